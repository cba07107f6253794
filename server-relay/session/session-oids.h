/// The stage of a session that makes up for user-defined oids that differ between the servers (hard point 7):
/// requests on their way to the standby are rewritten, replies are made comparable. Idle, and of no cost but
/// a test of a flag, where both servers agree. Pure; on the session's thread.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "common/base/ring.h"
#include "common/protocol/message-splitter.h"
#include "server-relay/oids/oid-map.h"
#include "server-relay/oids/oid-rewriter.h"
#include "server-relay/oids/value-canonicaliser.h"
#include "server-relay/replies/reply-reader.h"

namespace pgtandem {

class SessionOids {
 public:
  /// Larger messages go to the standby as they are: the stage keeps at most one of this size in memory.
  static constexpr std::size_t kMaxRewritten = 48U << 10;

  /// To be called between units.
  void use(std::shared_ptr<const OidMap> map);
  /// Something may need rewriting: requests must then be given to append_for_standby() one by one.
  bool active() const { return active_; }
  /// What the splitters have to deliver whole while the stage is active.
  std::size_t request_limit() const { return active_ ? kMaxRewritten : MessageSplitter::kWholeLimit; }
  std::size_t reply_limit() const {
    return active_ ? ReplyMapper::kMappedRowLimit + MessageSplitter::kHeaderSize
                   : MessageSplitter::kWholeLimit;
  }
  const ReplyMapper* mapper(OidSide side) const {
    return !active_ ? nullptr : side == OidSide::master ? master_mapper_.get() : standby_mapper_.get();
  }

  /// Appends a request to what is sent to the standby. True if it names an oid that the map lacks: the
  /// catalogues should be read again before the next unit.
  bool append_for_standby(const MessagePiece& piece, std::string& out);
  /// The master's ParameterDescription, in the order of the Describes.
  void on_master_reply(const MessagePiece& piece);
  /// The standby's server has become the session's only one: its RowDescription and ParameterDescription as
  /// the frontend knows the types, by the lost master's oids; nothing where the piece may go as it is. Oids
  /// within binary values stay as they are.
  std::optional<std::string> for_frontend(const MessagePiece& piece) const;
  /// The unit is over: Describes that an error skipped get no answer any more.
  void on_unit_end() { described_.clear(); }

 private:
  class Mapper;

  bool active_ = false;
  std::shared_ptr<const OidMap> map_;
  StandbyRewriter rewriter_;
  std::unique_ptr<ReplyMapper> master_mapper_;
  std::unique_ptr<ReplyMapper> standby_mapper_;
  Ring<std::string> described_;  ///< statements whose Describe has not been answered
  std::string rewritten_;
};

}  // namespace pgtandem
