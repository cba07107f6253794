/// A small schema as two servers' catalogues show it, and builders for messages and binary values.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "server-relay/oids/oid-map.h"

namespace pgtandem::testing {

/// The oids that the schema's objects have on one server.
struct SchemaOids {
  Oid mood, moods, pair, pairs, pair_range, pair_multirange, moods_domain, plain, greet, greet_pairs, tree,
      trees;
};
inline constexpr SchemaOids kMaster{16400, 16401, 16402, 16403, 16404, 16405,
                                    16406, 16407, 16408, 16409, 16410, 16411};
inline constexpr SchemaOids kStandby{26400, 26411, 26402, 26410, 26404, 26409,
                                     26406, 26408, 26407, 26405, 26403, 26401};

inline OidCatalogue catalogue_of(const SchemaOids& oids) {
  OidCatalogue all;
  all.types = {
      {oids.mood, "public", "mood", TypeForm::plain, 0, {}},
      {oids.moods, "public", "_mood" + std::to_string(oids.moods), TypeForm::array, oids.mood, {}},
      {oids.pair, "public", "pair", TypeForm::composite, 0, {23, oids.mood}},
      {oids.pairs, "public", "_pair", TypeForm::array, oids.pair, {}},
      {oids.pair_range, "app", "pairrange", TypeForm::range, oids.pair, {}},
      {oids.pair_multirange,
       "app",
       "mr" + std::to_string(oids.moods),
       TypeForm::multirange,
       oids.pair_range,
       {}},
      {oids.moods_domain, "public", "some_moods", TypeForm::domain, oids.moods, {}},
      {oids.plain, "public", "plain", TypeForm::domain, 23, {}},
      {oids.tree, "public", "tree", TypeForm::composite, 0, {25, oids.trees}},
      {oids.trees, "public", "_tree", TypeForm::array, oids.tree, {}},
  };
  all.functions = {{oids.greet, "public", "greet", {23, oids.mood}},
                   {oids.greet_pairs, "public", "greet", {oids.pairs}}};
  return all;
}

inline std::shared_ptr<const OidMap> different_servers() {
  return std::make_shared<const OidMap>(catalogue_of(kMaster), catalogue_of(kStandby));
}

/// length and bytes, as in a Bind, a composite or an array.
inline std::string item(std::string_view value) {
  return ByteWriter().u32(std::uint32_t(value.size())).text(value).take();
}
inline std::string null_item() {
  return ByteWriter().u32(0xFFFFFFFF).take();
}

/// A one-dimensional array; the items are given with their lengths.
inline std::string array_value(Oid element, const std::vector<std::string>& items) {
  ByteWriter out;
  out.u32(items.empty() ? 0 : 1).u32(0).u32(element);
  if (!items.empty()) out.u32(std::uint32_t(items.size())).u32(1);
  for (const auto& one : items) out.text(one);
  return out.take();
}

struct Field {
  Oid type;
  std::string item;
};
inline std::string composite_value(const std::vector<Field>& fields) {
  ByteWriter out;
  out.u32(std::uint32_t(fields.size()));
  for (const auto& field : fields) out.u32(field.type).text(field.item);
  return out.take();
}

inline std::string int4(std::uint32_t value) {
  return ByteWriter().u32(value).take();
}

/// (7, mood) as a `pair` of one server.
inline std::string pair_value(const SchemaOids& oids, std::string_view mood) {
  return composite_value({{23, item(int4(7))}, {oids.mood, item(mood)}});
}

inline std::string message(char type, std::string_view body) {
  return ByteWriter().u8(std::uint8_t(type)).u32(std::uint32_t(body.size() + 4)).text(body).take();
}

inline std::string parse_message(std::string_view statement, std::string_view sql,
                                 const std::vector<Oid>& types) {
  ByteWriter body;
  body.c_string(statement).c_string(sql).u16(std::uint16_t(types.size()));
  for (const Oid type : types) body.u32(type);
  return message('P', body.str());
}

/// Values with their lengths; results in binary.
inline std::string bind_message(std::string_view statement, const std::vector<std::uint16_t>& formats,
                                const std::vector<std::string>& items) {
  ByteWriter body;
  body.c_string("").c_string(statement).u16(std::uint16_t(formats.size()));
  for (const std::uint16_t format : formats) body.u16(format);
  body.u16(std::uint16_t(items.size()));
  for (const auto& one : items) body.text(one);
  return message('B', body.u16(1).u16(1).str());
}

inline std::string function_call_message(Oid function, const std::vector<std::uint16_t>& formats,
                                         const std::vector<std::string>& items) {
  ByteWriter body;
  body.u32(function).u16(std::uint16_t(formats.size()));
  for (const std::uint16_t format : formats) body.u16(format);
  body.u16(std::uint16_t(items.size()));
  for (const auto& one : items) body.text(one);
  return message('F', body.u16(0).str());
}

inline std::string close_message(char what, std::string_view name) {
  return message('C', ByteWriter().u8(std::uint8_t(what)).c_string(name).str());
}

}  // namespace pgtandem::testing
