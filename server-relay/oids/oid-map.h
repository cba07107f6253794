/// Pairs the oids of user-defined types and functions of two servers' databases by schema and name, and knows
/// the shape of each type's binary values. Immutable once built, so shared by threads. Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "server-relay/oids/oid-catalogue.h"

namespace pgtandem {

/// Whose oids.
enum class OidSide : std::uint8_t { master, standby };

enum class OidKind : std::uint8_t { type, function };

/// How a binary value of a type is walked. The oids are of the side that the shape was asked for.
struct TypeShape {
  enum class Walk : std::uint8_t {
    none,
    array,
    composite,
    domain,
    range,
    multirange,
    oid_of_type,
    oid_of_function
  };

  Oid other = 0;  ///< the same type on the other side; 0: it has none
  Walk walk = Walk::none;
  Oid inner = 0;
  bool deep = false;  ///< its binary values may contain oids of user-defined objects: worth walking
};

class OidMap {
 public:
  OidMap() = default;
  /// Arrays are paired by their elements and multiranges by their ranges, for the server makes up their
  /// names.
  OidMap(const OidCatalogue& master, const OidCatalogue& standby);

  /// Nothing needs rewriting: whatever the master has, the standby has under the same oid.
  bool empty() const { return empty_; }

  /// O(1). PostgreSQL's own types that can contain user-defined oids (record, regtype, ...) have shapes too;
  /// a type that is unknown, or of no interest, has none.
  const TypeShape* shape(OidSide side, Oid type) const;
  /// The other side's oid. Built-in oids are their own; 0 where there is none.
  Oid translate(OidSide from, OidKind kind, Oid oid) const;
  /// The types of a function's arguments on the master; null where it is unknown.
  const std::vector<Oid>* arguments_on_master(Oid function) const;

  std::size_t types() const { return master_types_.size(); }
  std::size_t functions() const { return master_functions_.size(); }

 private:
  using Shapes = std::unordered_map<Oid, TypeShape>;
  struct Function {
    Oid other = 0;
    std::vector<Oid> arguments;
  };

  void pair_types(const OidCatalogue& master, const OidCatalogue& standby);
  void pair_functions(const OidCatalogue& master, const OidCatalogue& standby);

  bool empty_ = true;
  Shapes master_types_;
  Shapes standby_types_;
  std::unordered_map<Oid, Function> master_functions_;
  std::unordered_map<Oid, Oid> standby_functions_;
};

}  // namespace pgtandem
