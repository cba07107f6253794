#include "server-relay/session/session-oids.h"

#include <xxhash.h>

namespace pgtandem {

/// Digests rows in the master's form. The pieces are combined so that their borders do not count.
class SessionOids::Mapper final : public ReplyMapper {
 public:
  Mapper(std::shared_ptr<const OidMap> map, OidSide side) : canonicaliser_(std::move(map)), side_(side) {
    XXH3_64bits_reset(state_.get());
  }

  std::uint32_t type_oid(std::uint32_t oid) const override { return canonicaliser_.type_oid(oid, side_); }
  std::uint64_t row_digest(ByteSpan body) const override {
    XXH3_64bits_reset(state_.get());
    canonicaliser_.feed_row(body, side_, [this](ByteSpan piece) {
      XXH3_64bits_update(state_.get(), piece.data(), piece.size());
    });
    return XXH3_64bits_digest(state_.get());
  }

 private:
  struct FreeState {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  ValueCanonicaliser canonicaliser_;
  OidSide side_;
  std::unique_ptr<XXH3_state_t, FreeState> state_{XXH3_createState()};
};

void SessionOids::use(std::shared_ptr<const OidMap> map) {
  active_ = map != nullptr && !map->empty();
  rewriter_.use(map);
  described_.clear();
  master_mapper_.reset();
  standby_mapper_.reset();
  if (!active_) return;
  master_mapper_ = std::make_unique<Mapper>(map, OidSide::master);
  standby_mapper_ = std::make_unique<Mapper>(map, OidSide::standby);
}

bool SessionOids::append_for_standby(const MessagePiece& piece, std::string& out) {
  if (piece.whole() && piece.type == 'D' && piece.body.size() >= 2 && char(piece.body[0]) == 'S') {
    described_.push_back(std::string(as_text(piece.body.subspan(1, piece.body.size() - 2))));
  }
  if (!piece.whole() || !rewriter_.concerns(piece.type)) {
    out.append(as_text(piece.wire));
    return false;
  }
  Rewriting done = rewriter_.rewrite(piece.wire, rewritten_);
  const bool unknown = done == Rewriting::unknown_oid;
  if (unknown) done = rewriter_.rewrite(piece.wire, rewritten_, UnknownOids::keep);
  out.append(done == Rewriting::rewritten ? std::string_view(rewritten_) : as_text(piece.wire));
  return unknown;
}

void SessionOids::on_master_reply(const MessagePiece& piece) {
  if (piece.type != 't' || !piece.first || described_.empty()) return;
  const std::string statement = std::move(described_.front());
  described_.pop_front();
  if (!piece.whole()) return;
  if (const auto types = parse_parameter_description(piece.wire))
    rewriter_.on_parameter_description(statement, *types);
}

}  // namespace pgtandem
