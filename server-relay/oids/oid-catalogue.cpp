#include "server-relay/oids/oid-catalogue.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <unordered_set>

#include <nlohmann/json.hpp>

namespace pgtandem {

using nlohmann::json;

// The oids in HAVING are those of regproc, regprocedure, regtype and their arrays.
// The limits are kMaxTypes + 1 and kMaxFunctions + 1, so that one too many is seen.
const char* const kCatalogueTypesSql =
    "SELECT t.oid, n.nspname, t.typname, "
    "CASE WHEN e.oid IS NOT NULL THEN 'a' WHEN t.typtype IN ('c', 'd', 'r', 'm') THEN t.typtype::text ELSE "
    "'p' END, "
    "CASE WHEN e.oid IS NOT NULL THEN e.oid WHEN t.typtype = 'd' THEN t.typbasetype "
    "ELSE coalesce(r.rngsubtype, m.rngtypid, 0) END, "
    "coalesce(c.attributes, '') "
    "FROM pg_catalog.pg_type t "
    "JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace "
    "LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid "
    "LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid AND t.typtype = 'r' "
    "LEFT JOIN pg_catalog.pg_range m ON t.typtype = 'm' "
    "AND (pg_catalog.to_jsonb(m) ->> 'rngmultitypid')::pg_catalog.oid = t.oid "
    "LEFT JOIN (SELECT a.attrelid, pg_catalog.string_agg(a.atttypid::text, ' ' ORDER BY a.attnum) AS "
    "attributes "
    "FROM pg_catalog.pg_attribute a WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid >= 16384 "
    "GROUP BY a.attrelid HAVING pg_catalog.bool_or(a.atttypid >= 16384 "
    "OR a.atttypid IN (24, 1008, 2202, 2206, 2207, 2211))) c ON c.attrelid = t.typrelid AND t.typtype = 'c' "
    "WHERE t.oid >= 16384 AND n.nspname !~ '^pg_(toast|temp|toast_temp)' ORDER BY t.oid LIMIT 400001";

const char* const kCatalogueFunctionsSql =
    "SELECT p.oid, n.nspname, p.proname, p.proargtypes FROM pg_catalog.pg_proc p "
    "JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace "
    "WHERE p.oid >= 16384 AND n.nspname !~ '^pg_temp' ORDER BY p.oid LIMIT 200001";

namespace {

/// NAMEDATALEN is 64 unless somebody built the server otherwise.
constexpr std::size_t kMaxName = 1024;
/// MaxTupleAttributeNumber.
constexpr std::size_t kMaxAttributes = 1664;
/// FUNC_MAX_ARGS is 100 unless somebody built the server otherwise.
constexpr std::size_t kMaxArguments = 1000;
constexpr int kJsonVersion = 1;

std::optional<Oid> parse_oid(std::string_view text) {
  Oid oid = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), oid);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return oid;
}

/// "23 16390", as oidvector and string_agg write them.
std::optional<std::vector<Oid>> parse_oids(std::string_view text) {
  std::vector<Oid> oids;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const auto oid = parse_oid(text.substr(0, end));
    if (!oid) return std::nullopt;
    oids.push_back(*oid);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return oids;
}

std::optional<TypeForm> parse_form(std::string_view text) {
  if (text.size() != 1 || std::string_view("pacdrm").find(text[0]) == std::string_view::npos)
    return std::nullopt;
  return TypeForm(text[0]);
}

bool good_name(const std::string& name) {
  return !name.empty() && name.size() <= kMaxName && name.find('\0') == std::string::npos;
}

std::string wrong_entry(std::string_view what, std::size_t at) {
  return "the oid catalogue's " + std::string(what) + " number " + std::to_string(at + 1) + " is malformed";
}

bool plausible(const CatalogueType& type) {
  const bool has_inner = type.form != TypeForm::plain && type.form != TypeForm::composite;
  return type.oid >= kFirstNormalOid && good_name(type.schema) && good_name(type.name) &&
         (type.inner != 0) == has_inner && type.attributes.size() <= kMaxAttributes &&
         (type.attributes.empty() || type.form == TypeForm::composite);
}

bool plausible(const CatalogueFunction& function) {
  return function.oid >= kFirstNormalOid && good_name(function.schema) && good_name(function.name) &&
         function.arguments.size() <= kMaxArguments;
}

template <typename Entry>
std::optional<Error> check_entries(const std::vector<Entry>& entries, std::size_t most,
                                   std::string_view what) {
  if (entries.size() > most) {
    return Error{"the database has more than " + std::to_string(most) + " " + std::string(what) +
                 "s: their oids cannot be mapped between the servers"};
  }
  std::unordered_set<Oid> seen;
  seen.reserve(entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!plausible(entries[i]) || !seen.insert(entries[i].oid).second) return Error{wrong_entry(what, i)};
  }
  return std::nullopt;
}

Result<OidCatalogue> checked(OidCatalogue catalogue) {
  if (auto error = check_entries(catalogue.types, OidCatalogue::kMaxTypes, "type")) return *std::move(error);
  if (auto error = check_entries(catalogue.functions, OidCatalogue::kMaxFunctions, "function")) {
    return *std::move(error);
  }
  return catalogue;
}

std::optional<Oid> oid_of(const json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  const auto number = value.get<std::uint64_t>();
  if (number > std::numeric_limits<Oid>::max()) return std::nullopt;
  return Oid(number);
}

std::optional<std::vector<Oid>> oids_of(const json& value) {
  if (!value.is_array()) return std::nullopt;
  std::vector<Oid> oids;
  oids.reserve(value.size());
  for (const json& element : value) {
    const auto oid = oid_of(element);
    if (!oid) return std::nullopt;
    oids.push_back(*oid);
  }
  return oids;
}

/// [oid, schema, name, form, inner, [attributes]]
std::optional<CatalogueType> type_of(const json& value) {
  if (!value.is_array() || value.size() != 6) return std::nullopt;
  if (!value[1].is_string() || !value[2].is_string() || !value[3].is_string()) return std::nullopt;
  const auto oid = oid_of(value[0]);
  const auto form = parse_form(value[3].get_ref<const std::string&>());
  const auto inner = oid_of(value[4]);
  auto attributes = oids_of(value[5]);
  if (!oid || !form || !inner || !attributes) return std::nullopt;
  return CatalogueType{*oid, value[1], value[2], *form, *inner, *std::move(attributes)};
}

/// [oid, schema, name, [arguments]]
std::optional<CatalogueFunction> function_of(const json& value) {
  if (!value.is_array() || value.size() != 4) return std::nullopt;
  if (!value[1].is_string() || !value[2].is_string()) return std::nullopt;
  const auto oid = oid_of(value[0]);
  auto arguments = oids_of(value[3]);
  if (!oid || !arguments) return std::nullopt;
  return CatalogueFunction{*oid, value[1], value[2], *std::move(arguments)};
}

}  // namespace

Result<OidCatalogue> OidCatalogue::from_rows(CatalogueRows type_rows, CatalogueRows function_rows) {
  OidCatalogue catalogue;
  catalogue.types.reserve(type_rows.size());
  for (std::size_t i = 0; i < type_rows.size(); ++i) {
    const auto& row = type_rows[i];
    if (row.size() != 6) return Error{wrong_entry("type", i)};
    const auto oid = parse_oid(row[0]);
    const auto form = parse_form(row[3]);
    const auto inner = parse_oid(row[4]);
    auto attributes = parse_oids(row[5]);
    if (!oid || !form || !inner || !attributes) return Error{wrong_entry("type", i)};
    catalogue.types.push_back({*oid, row[1], row[2], *form, *inner, *std::move(attributes)});
  }
  catalogue.functions.reserve(function_rows.size());
  for (std::size_t i = 0; i < function_rows.size(); ++i) {
    const auto& row = function_rows[i];
    if (row.size() != 4) return Error{wrong_entry("function", i)};
    const auto oid = parse_oid(row[0]);
    auto arguments = parse_oids(row[3]);
    if (!oid || !arguments) return Error{wrong_entry("function", i)};
    catalogue.functions.push_back({*oid, row[1], row[2], *std::move(arguments)});
  }
  return checked(std::move(catalogue));
}

std::string OidCatalogue::to_json() const {
  json type_list = json::array();
  for (const CatalogueType& type : types) {
    type_list.push_back(json::array(
        {type.oid, type.schema, type.name, std::string(1, char(type.form)), type.inner, type.attributes}));
  }
  json function_list = json::array();
  for (const CatalogueFunction& function : functions) {
    function_list.push_back(json::array({function.oid, function.schema, function.name, function.arguments}));
  }
  const json all{
      {"version", kJsonVersion}, {"types", std::move(type_list)}, {"functions", std::move(function_list)}};
  // Names are in the server's encoding if that is SQL_ASCII: replaced alike on both sides, they still pair.
  return all.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<OidCatalogue> OidCatalogue::from_json(std::string_view text) {
  if (text.size() > kMaxJson)
    return Error{"the oid catalogue is larger than " + std::to_string(kMaxJson) + " bytes"};
  const json all = json::parse(text, nullptr, false);
  if (!all.is_object() || all.size() != 3 || !all.contains("version") || !all.contains("types") ||
      !all.contains("functions") || !all["types"].is_array() || !all["functions"].is_array()) {
    return Error{"the oid catalogue is no object of version, types and functions"};
  }
  if (all["version"] != kJsonVersion)
    return Error{"the oid catalogue has an unknown version: update both relays"};
  OidCatalogue catalogue;
  catalogue.types.reserve(all["types"].size());
  for (const json& value : all["types"]) {
    auto type = type_of(value);
    if (!type) return Error{wrong_entry("type", catalogue.types.size())};
    catalogue.types.push_back(*std::move(type));
  }
  catalogue.functions.reserve(all["functions"].size());
  for (const json& value : all["functions"]) {
    auto function = function_of(value);
    if (!function) return Error{wrong_entry("function", catalogue.functions.size())};
    catalogue.functions.push_back(*std::move(function));
  }
  return checked(std::move(catalogue));
}

}  // namespace pgtandem
