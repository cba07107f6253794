#include "server-relay/oids/oid-rewriter.h"

#include <algorithm>

#include "server-relay/oids/binary-value.h"

namespace pgtandem {
namespace {

constexpr std::size_t kHeader = 5;  // type byte and length
constexpr std::uint32_t kNull = 0xFFFFFFFF;

/// A message's body; nothing unless its length field agrees with what we have.
std::optional<ByteSpan> body_of(ByteSpan message) {
  if (message.size() < kHeader || load_u32(message.data() + 1) != message.size() - 1) return std::nullopt;
  return message.subspan(kHeader);
}

/// The format codes of Bind and FunctionCall: none (all text), one for all, or one each.
class Formats {
 public:
  explicit Formats(ByteReader& reader) : count_(reader.u16()), codes_(reader.take(std::size_t(count_) * 2)) {}

  bool fits(std::size_t values) const { return count_ <= 1 || count_ == values; }
  bool all_text() const {
    return std::ranges::all_of(codes_, [](std::byte b) { return b == std::byte(0); });
  }
  bool binary(std::size_t value) const {
    if (count_ == 0) return false;
    const std::size_t at = count_ == 1 ? 0 : value * 2;
    return codes_[at] == std::byte(0) && codes_[at + 1] == std::byte(1);
  }

 private:
  std::uint16_t count_;
  ByteSpan codes_;
};

/// Walks the values of a Bind or FunctionCall whose types are known; false where the message is malformed.
template <typename Visit>
bool walk_values(ByteReader& reader, const OidMap& map, std::span<const Oid> types, Visit& visit) {
  BinaryValueWalker<Visit> walker(map, OidSide::master, visit);
  const Formats formats(reader);
  const std::size_t count = reader.u16();
  if (reader.failed() || !formats.fits(count)) return false;
  if (formats.all_text()) return true;
  for (std::size_t i = 0; i < count && i < types.size(); ++i) {
    const std::uint32_t length = reader.u32();
    if (reader.failed()) return false;
    if (length == kNull) continue;
    const ByteSpan value = reader.take(length);
    if (reader.failed()) return false;
    if (formats.binary(i) && !walker.walk(types[i], value)) return false;
  }
  return true;
}

}  // namespace

void StandbyRewriter::use(std::shared_ptr<const OidMap> map) {
  map_ = std::move(map);
  active_ = map_ && !map_->empty();
}

Rewriting StandbyRewriter::rewrite(ByteSpan message, std::string& out, UnknownOids unknown) {
  if (message.empty() || !concerns(char(message[0]))) return Rewriting::unchanged;
  begin_ = message.data();
  patches_.clear();
  declared_.clear();
  unknown_ = 0;
  bool well_formed = true;
  switch (char(message[0])) {
    case 'P':
      well_formed = read_parse(message);
      break;
    case 'B':
      well_formed = read_bind(message);
      break;
    case 'F':
      well_formed = read_function_call(message);
      break;
    default:
      read_close(message);
      return Rewriting::unchanged;
  }
  if (!well_formed) return Rewriting::unchanged;
  if (unknown_ != 0 && unknown == UnknownOids::report) return Rewriting::unknown_oid;
  if (message[0] == std::byte('P')) {
    ByteReader reader(message.subspan(kHeader));
    remember(reader.c_string(), declared_);
  }
  if (patches_.empty()) return Rewriting::unchanged;
  out.assign(as_text(message));
  auto* bytes = reinterpret_cast<std::byte*>(out.data());
  for (const Patch& patch : patches_) store_u32(bytes + patch.at, patch.oid);
  return Rewriting::rewritten;
}

/// Parse = statement:c_string query:c_string count:u16 { type:oid }*count
bool StandbyRewriter::read_parse(ByteSpan message) {
  const auto body = body_of(message);
  if (!body) return false;
  ByteReader reader(*body);
  reader.c_string();
  reader.c_string();
  const std::size_t count = reader.u16();
  if (reader.failed() || reader.left() != count * sizeof(Oid)) return false;
  declared_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::byte* where = reader.rest().data();
    declared_.push_back(reader.u32());
    replace(where, OidKind::type, declared_.back());
  }
  return true;
}

/// Bind = portal:c_string statement:c_string formats values result-formats
bool StandbyRewriter::read_bind(ByteSpan message) {
  const auto body = body_of(message);
  if (!body) return false;
  ByteReader reader(*body);
  reader.c_string();
  const auto statement = statements_.find(std::string(reader.c_string()));
  if (reader.failed() || statement == statements_.end()) return true;
  auto visit = [this](const std::byte* where, OidKind kind, Oid oid) { replace(where, kind, oid); };
  return walk_values(reader, *map_, statement->second.types, visit);
}

/// FunctionCall = function:oid formats values result-format:u16
bool StandbyRewriter::read_function_call(ByteSpan message) {
  const auto body = body_of(message);
  if (!body) return false;
  ByteReader reader(*body);
  const std::byte* where = reader.rest().data();
  const Oid function = reader.u32();
  if (reader.failed()) return false;
  replace(where, OidKind::function, function);
  const std::vector<Oid>* arguments = map_->arguments_on_master(function);
  if (arguments == nullptr) return true;
  auto visit = [this](const std::byte* at, OidKind kind, Oid oid) { replace(at, kind, oid); };
  return walk_values(reader, *map_, *arguments, visit);
}

/// Close = 'S' or 'P', name:c_string
void StandbyRewriter::read_close(ByteSpan message) {
  const auto body = body_of(message);
  if (!body) return;
  ByteReader reader(*body);
  if (reader.u8() != 'S') return;
  const std::string statement(reader.c_string());
  if (!reader.failed()) forget(statement);
}

void StandbyRewriter::replace(const std::byte* where, OidKind kind, Oid oid) {
  if (oid < kFirstNormalOid) return;
  const Oid translated = map_->translate(OidSide::master, kind, oid);
  if (translated == 0) {
    unknown_ = oid;
  } else if (translated != oid) {
    patches_.push_back({std::size_t(where - begin_), translated});
  }
}

void StandbyRewriter::on_parameter_description(std::string_view statement, std::span<const Oid> types) {
  if (active_) remember(statement, types);
}

/// Keeps only what a later Bind needs: a statement whose parameters cannot contain oids is not remembered.
/// Composites are, whatever is in them now: ALTER TYPE may add to them.
void StandbyRewriter::remember(std::string_view statement, std::span<const Oid> types) {
  const std::string name(statement);
  forget(name);
  const bool of_interest = std::ranges::any_of(types, [&](Oid type) {
    const TypeShape* shape = map_->shape(OidSide::master, type);
    if (shape == nullptr) return type >= kFirstNormalOid;
    return shape->deep || shape->walk == TypeShape::Walk::composite;
  });
  if (!of_interest || types.size() > kMaxParameters) return;
  while (!by_age_.empty() &&
         (statements_.size() >= kMaxStatements || parameters_ + types.size() > kMaxParameters)) {
    forget(std::string(by_age_.front()));
  }
  by_age_.push_back(name);
  statements_[name] = {{types.begin(), types.end()}, std::prev(by_age_.end())};
  parameters_ += types.size();
}

void StandbyRewriter::forget(const std::string& statement) {
  const auto found = statements_.find(statement);
  if (found == statements_.end()) return;
  parameters_ -= found->second.types.size();
  by_age_.erase(found->second.place);
  statements_.erase(found);
}

std::optional<std::vector<Oid>> parse_parameter_description(ByteSpan message) {
  const auto body = body_of(message);
  if (!body || message[0] != std::byte('t')) return std::nullopt;
  ByteReader reader(*body);
  const std::size_t count = reader.u16();
  if (reader.failed() || reader.left() != count * sizeof(Oid)) return std::nullopt;
  std::vector<Oid> types(count);
  for (Oid& type : types) type = reader.u32();
  return types;
}

}  // namespace pgtandem
