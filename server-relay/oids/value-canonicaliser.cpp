#include "server-relay/oids/value-canonicaliser.h"

namespace pgtandem {

Oid ValueCanonicaliser::type_oid(Oid oid, OidSide leg) const {
  if (oid < kFirstNormalOid || leg == OidSide::master || !map_ || map_->empty()) return oid;
  const Oid translated = map_->translate(OidSide::standby, OidKind::type, oid);
  return translated == 0 ? oid : translated;
}

bool ValueCanonicaliser::recognised(ByteSpan field) const {
  constexpr std::size_t kSmallest = 12;        // an empty array, or a composite of one NULL
  constexpr std::uint32_t kMaxColumns = 1664;  // MaxTupleAttributeNumber
  if (field.size() < kSmallest || field[0] != std::byte(0)) return false;
  const std::uint32_t count = load_u32(field.data());
  const std::uint32_t second = load_u32(field.data() + 4);
  if (count > kMaxColumns) return false;
  bool found = false;
  auto visit = [&](const std::byte*, OidKind kind, Oid oid) {
    found = found || (oid >= kFirstNormalOid && map_->translate(OidSide::standby, kind, oid) != 0);
  };
  BinaryValueWalker walker(*map_, OidSide::standby, visit);
  if (second >= kLowestType) return walker.composite(field, 0) && found;
  const TypeShape* element = map_->shape(OidSide::standby, load_u32(field.data() + 8));
  return element != nullptr && walker.array(field, 0) && found;
}

}  // namespace pgtandem
