/// What one server's database knows of user-defined types and functions: enough to pair their oids with the
/// other server's by name, and to find the oids inside binary values. Pure.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace pgtandem {

using Oid = std::uint32_t;

/// Oids below belong to PostgreSQL itself (FirstNormalObjectId in its access/transam.h).
inline constexpr Oid kFirstNormalOid = 16384;

/// How a type's binary form is built (PostgreSQL manual, pg_type).
enum class TypeForm : char {
  plain = 'p',       ///< base, enum and pseudo types: no oids inside that we know of
  array = 'a',       ///< a true array, as pg_type.typarray names it; inner is the element
  composite = 'c',   ///< a row; holds its fields' types
  domain = 'd',      ///< inner is the base type
  range = 'r',       ///< inner is the subtype
  multirange = 'm',  ///< inner is the range
};

struct CatalogueType {
  Oid oid = 0;
  std::string schema;
  std::string name;
  TypeForm form = TypeForm::plain;
  Oid inner = 0;
  std::vector<Oid>
      attributes;  ///< of a composite with a user-defined one or a reg... type among them; else empty

  friend bool operator==(const CatalogueType&, const CatalogueType&) = default;
};

struct CatalogueFunction {
  Oid oid = 0;
  std::string schema;
  std::string name;
  std::vector<Oid> arguments;  ///< input arguments' types, which tell overloaded functions apart

  friend bool operator==(const CatalogueFunction&, const CatalogueFunction&) = default;
};

/// Rows as a service connection returns them.
using CatalogueRows = std::span<const std::vector<std::string>>;

struct OidCatalogue {
  /// Larger than any schema we have heard of; a bound for memory.
  static constexpr std::size_t kMaxTypes = 400'000;
  static constexpr std::size_t kMaxFunctions = 200'000;
  /// Of the JSON form, in bytes: what a peer may make us parse.
  static constexpr std::size_t kMaxJson = 64U << 20;

  std::vector<CatalogueType> types;
  std::vector<CatalogueFunction> functions;

  /// Reads the answers to kCatalogueTypesSql and kCatalogueFunctionsSql.
  static Result<OidCatalogue> from_rows(CatalogueRows types, CatalogueRows functions);
  /// Travels between relays. from_json takes nothing but what to_json writes.
  std::string to_json() const;
  static Result<OidCatalogue> from_json(std::string_view text);

  friend bool operator==(const OidCatalogue&, const OidCatalogue&) = default;
};

/// Both work on PostgreSQL 12 to 18, without parameters (pg_range has no rngmultitypid before 14). Temporary
/// objects are left out: their schema's name says nothing on another server.
extern const char* const kCatalogueTypesSql;
extern const char* const kCatalogueFunctionsSql;

}  // namespace pgtandem
