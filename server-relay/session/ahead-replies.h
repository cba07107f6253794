/// What the standby has said beyond the place that the master has come to (hard point 5). Were the master
/// lost there, its replies would go on with this. Pure; one per session.
///
///   master   C Z T D D
///   standby  C Z T D D D C Z
///                     |~~~~~|  kept
#pragma once
#include <optional>
#include <string>

#include "common/protocol/message-splitter.h"
#include "server-relay/replies/reply-progress.h"

namespace pgtandem {

class ReplyMapper;

class AheadReplies {
 public:
  /// How the session reads the standby's replies.
  struct Reading {
    std::size_t whole_limit = MessageSplitter::kWholeLimit;
    const ReplyMapper* mapper = nullptr;
  };

  bool empty() const { return bytes_.empty(); }
  std::size_t size() const { return bytes_.size(); }

  /// A piece of the standby's that begins at, or is part of the message at, `place` of the standby.
  void add(const ReplyProgress& place, ByteSpan wire) {
    if (bytes_.empty()) begin_ = place;
    bytes_.append(as_text(wire));
  }
  /// The master has come to `place`: what it has said, too, is dropped when it has become much.
  void master_is_at(const ReplyProgress& place, const Reading& reading);
  void clear();

  /// What the standby said from `place` on; nothing if what it said from the last outcome up to there is not
  /// what the master said.
  std::optional<ByteSpan> from(const ReplyProgress& place, const Reading& reading) const;

 private:
  static constexpr std::size_t kKeptCapacity = 1024;  ///< bytes that an idle session may keep allocated
  /// Bytes between two looks for what may be dropped.
  static constexpr std::size_t kTrimStep = 64U << 10;

  struct Found {
    std::size_t offset = 0;
    ReplyProgress progress;
  };
  Found find(const ReplyProgress& place, const Reading& reading) const;

  std::string bytes_;
  ReplyProgress begin_;  ///< the standby's place at the first byte
  std::size_t trim_at_ = kTrimStep;
};

}  // namespace pgtandem
