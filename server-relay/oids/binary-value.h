/// Finds the oids inside a binary value. Shared by the rewriting of what goes to the standby and by the
/// comparison of replies. Pure; allocates nothing; depth and every length are checked.
///
///   array      = ndim:u32 flags:u32 elemtype:oid { size:u32 lower:u32 }*ndim item*          array_recv
///   composite  = count:u32 { type:oid item }*count                                          record_recv
///   range      = flags:u8 [lower item] [upper item]                                         range_recv
///   multirange = count:u32 { length:u32 range }*count                                       multirange_recv
///   item       = length:u32 bytes, or length = -1 for NULL
#pragma once
#include <cstddef>
#include <cstdint>

#include "common/base/bytes.h"
#include "server-relay/oids/oid-map.h"

namespace pgtandem {

/// Visit is called as visit(const std::byte* where, OidKind kind, Oid oid), in the order of the bytes, for
/// every oid of a type or function, built-in ones included.
template <typename Visit>
class BinaryValueWalker {
 public:
  /// Deeper nesting counts as malformed.
  static constexpr unsigned kMaxDepth = 32;

  BinaryValueWalker(const OidMap& map, OidSide side, Visit& visit) : map_(map), side_(side), visit_(visit) {}

  /// Walks a value of a known type; false where it is malformed. A type of no interest has nothing to find.
  bool walk(Oid type, ByteSpan value, unsigned depth = 0) {
    const TypeShape* shape = map_.shape(side_, type);
    if (shape == nullptr || !shape->deep) return true;
    if (depth >= kMaxDepth) return false;
    switch (shape->walk) {
      case TypeShape::Walk::none:
        return true;
      case TypeShape::Walk::array:
        return array(value, depth);
      case TypeShape::Walk::composite:
        return composite(value, depth);
      case TypeShape::Walk::domain:
        return walk(shape->inner, value, depth + 1);
      case TypeShape::Walk::range:
        return range(shape->inner, value, depth);
      case TypeShape::Walk::multirange:
        return multirange(shape->inner, value, depth);
      case TypeShape::Walk::oid_of_type:
        return single(OidKind::type, value);
      case TypeShape::Walk::oid_of_function:
        return single(OidKind::function, value);
    }
    return false;
  }

  /// `value` is an array, by its structure.
  bool array(ByteSpan value, unsigned depth) {
    constexpr std::uint32_t kMaxDimensions = 6;  // MAXDIM
    ByteReader reader(value);
    const std::uint32_t dimensions = reader.u32();
    const std::uint32_t flags = reader.u32();
    const std::byte* where = reader.rest().data();
    const Oid element = reader.u32();
    if (reader.failed() || dimensions > kMaxDimensions || flags > 1) return false;
    std::uint64_t count = dimensions == 0 ? 0 : 1;
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      count *= reader.u32();
      reader.u32();
      if (reader.failed() || count > value.size() / sizeof(std::uint32_t)) return false;
    }
    visit_(where, OidKind::type, element);
    for (; count > 0; --count) {
      if (!item(element, reader, depth)) return false;
    }
    return reader.left() == 0;
  }

  /// `value` is a composite, by its structure.
  bool composite(ByteSpan value, unsigned depth) {
    ByteReader reader(value);
    const std::uint32_t count = reader.u32();
    if (reader.failed() || count > reader.left() / (2 * sizeof(std::uint32_t))) return false;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::byte* where = reader.rest().data();
      const Oid type = reader.u32();
      if (reader.failed()) return false;
      visit_(where, OidKind::type, type);
      if (!item(type, reader, depth)) return false;
    }
    return reader.left() == 0;
  }

 private:
  bool item(Oid type, ByteReader& reader, unsigned depth) {
    constexpr std::uint32_t kNull = 0xFFFFFFFF;
    const std::uint32_t length = reader.u32();
    if (reader.failed()) return false;
    if (length == kNull) return true;
    const ByteSpan value = reader.take(length);
    return !reader.failed() && walk(type, value, depth + 1);
  }

  bool range(Oid subtype, ByteSpan value, unsigned depth) {
    constexpr unsigned kEmpty = 0x01;
    constexpr unsigned kLowerInfinite = 0x08;
    constexpr unsigned kUpperInfinite = 0x10;
    ByteReader reader(value);
    const unsigned flags = reader.u8();
    if (reader.failed()) return false;
    if ((flags & (kEmpty | kLowerInfinite)) == 0 && !item(subtype, reader, depth)) return false;
    if ((flags & (kEmpty | kUpperInfinite)) == 0 && !item(subtype, reader, depth)) return false;
    return reader.left() == 0;
  }

  bool multirange(Oid range_type, ByteSpan value, unsigned depth) {
    ByteReader reader(value);
    const std::uint32_t count = reader.u32();
    if (reader.failed() || count > reader.left() / sizeof(std::uint32_t)) return false;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!item(range_type, reader, depth)) return false;
    }
    return reader.left() == 0;
  }

  bool single(OidKind kind, ByteSpan value) {
    if (value.size() != sizeof(std::uint32_t)) return false;
    visit_(value.data(), kind, load_u32(value.data()));
    return true;
  }

  const OidMap& map_;
  const OidSide side_;
  Visit& visit_;
};

}  // namespace pgtandem
