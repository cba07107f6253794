/// For comparing replies of servers whose user-defined types have different oids: feeds a digest with the
/// standby's values as the master would have written them. Pure; copies and allocates nothing.
///
/// A reply does not say which of its fields are binary arrays or composites, so they are recognised: a field
/// that is exactly such a value (every count and length fits, nothing is left over) and contains an oid of a
/// type that both servers have. Text is never taken for one: its first byte is not 0. Anything else is fed as
/// it is: ranges at the top level of a field (those within arrays and composites are walked), and other data.
#pragma once
#include <memory>
#include <utility>

#include "common/base/bytes.h"
#include "server-relay/oids/binary-value.h"
#include "server-relay/oids/oid-map.h"

namespace pgtandem {

/// Thread-safe, as the map is immutable. A Sink is called as sink(ByteSpan piece); the digest must not depend
/// on where one piece ends and the next begins. The canonical form is the master's own, so the master's
/// pieces are whole fields.
class ValueCanonicaliser {
 public:
  explicit ValueCanonicaliser(std::shared_ptr<const OidMap> map) : map_(std::move(map)) {}

  /// For RowDescription: the oid that the master has for a type of `leg`; itself where it has none.
  Oid type_oid(Oid oid, OidSide leg) const;

  /// One field of a DataRow.
  template <typename Sink>
  void feed(ByteSpan field, OidSide leg, Sink&& sink) const {
    if (leg == OidSide::standby && map_ && !map_->empty() && recognised(field)) {
      feed_translated(field, sink);
    } else {
      sink(field);
    }
  }

  /// The body of a DataRow, counts and lengths included. A malformed one is fed as it is.
  template <typename Sink>
  void feed_row(ByteSpan body, OidSide leg, Sink&& sink) const {
    constexpr std::uint32_t kNull = 0xFFFFFFFF;
    if (leg == OidSide::master || !map_ || map_->empty()) return sink(body);
    ByteReader reader(body);
    sink(reader.take(2));
    while (reader.left() > 0) {
      const ByteSpan length = reader.take(4);
      if (reader.failed()) return sink(reader.rest());
      sink(length);
      const std::uint32_t size = load_u32(length.data());
      if (size == kNull) continue;
      if (size > reader.left()) return sink(reader.rest());
      feed(reader.take(size), leg, sink);
    }
  }

 private:
  /// Shapes that PostgreSQL writes, and type oids that exist, keep arrays and composites apart: where a
  /// composite has its first field's type, an array has flags, which are 0 or 1.
  static constexpr Oid kLowestType = 16;

  /// A field of the standby is an array or a composite that has to be translated.
  bool recognised(ByteSpan field) const;

  template <typename Sink>
  void feed_translated(ByteSpan field, Sink& sink) const {
    const std::byte* fed = field.data();
    auto visit = [&](const std::byte* where, OidKind kind, Oid oid) {
      const Oid translated = map_->translate(OidSide::standby, kind, oid);
      if (translated == 0 || translated == oid) return;
      std::byte canonical[sizeof(Oid)];
      store_u32(canonical, translated);
      if (where != fed) sink(ByteSpan(fed, where));
      sink(ByteSpan(canonical));
      fed = where + sizeof(Oid);
    };
    BinaryValueWalker walker(*map_, OidSide::standby, visit);
    // As recognised() walked it; the result is known to be true.
    if (load_u32(field.data() + 4) >= kLowestType) {
      walker.composite(field, 0);
    } else {
      walker.array(field, 0);
    }
    if (fed != field.data() + field.size()) sink(ByteSpan(fed, field.data() + field.size()));
  }

  std::shared_ptr<const OidMap> map_;
};

}  // namespace pgtandem
