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
  map_ = map;
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

/// RowDescription: count:Int16 { name:String table:Int32 attribute:Int16 type:Int32 size:Int16 modifier:Int32
/// format:Int16 }*; ParameterDescription: count:Int16 { type:Int32 }* ("Message Formats").
std::optional<std::string> SessionOids::for_frontend(const MessagePiece& piece) const {
  constexpr std::size_t kBehindName = 18;
  constexpr std::size_t kTypeBehindName = 6;
  if (!active_ || !piece.whole() || (piece.type != 'T' && piece.type != 't')) return std::nullopt;
  std::string out(as_text(piece.wire));
  std::size_t at = MessageSplitter::kHeaderSize + 2;
  while (at < out.size()) {
    std::size_t type_at = at;
    if (piece.type == 'T') {
      const std::size_t name_end = out.find('\0', at);
      if (name_end == std::string::npos) break;
      type_at = name_end + 1 + kTypeBehindName;
      at = name_end + 1 + kBehindName;
    } else {
      at += sizeof(Oid);
    }
    if (at > out.size()) break;
    auto* const place = reinterpret_cast<std::byte*>(out.data()) + type_at;
    const Oid masters = map_->translate(OidSide::standby, OidKind::type, load_u32(place));
    if (masters != 0) store_u32(place, masters);
  }
  return out;
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
