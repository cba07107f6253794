#include "server-relay/oids/oid-map.h"

#include <random>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/unit/oids/oid-fixtures.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

using Rows = std::vector<std::vector<std::string>>;

const Rows kTypeRows{{"16400", "public", "mood", "p", "0", ""},
                     {"16399", "public", "_mood", "a", "16400", ""},
                     {"16402", "public", "pair", "c", "0", "23 16400"}};
const Rows kFunctionRows{{"16500", "public", "greet", "23 16400"}, {"16501", "public", "nothing", ""}};

}  // namespace

TEST_CASE("a catalogue is read from the rows of its queries") {
  const auto read = OidCatalogue::from_rows(kTypeRows, kFunctionRows);
  REQUIRE(read.ok());
  CHECK(read->types.at(1) == CatalogueType{16399, "public", "_mood", TypeForm::array, 16400, {}});
  CHECK(read->types.at(2).attributes == std::vector<Oid>{23, 16400});
  CHECK(read->functions.at(0).arguments == std::vector<Oid>{23, 16400});
  CHECK(read->functions.at(1).arguments.empty());
}

TEST_CASE("a malformed row is named and refused") {
  const auto type_with = [](std::size_t column, const std::string& value) {
    Rows rows = kTypeRows;
    rows[1][column] = value;
    return OidCatalogue::from_rows(rows, kFunctionRows);
  };
  REQUIRE(type_with(0, "16398").ok());
  const auto refused = {type_with(0, ""),   type_with(0, "1x"),    type_with(0, "4294967296"),
                        type_with(0, "-1"), type_with(0, "16383"), type_with(1, ""),
                        type_with(2, ""),   type_with(3, "z"),     type_with(3, ""),
                        type_with(3, "aa"), type_with(4, "0"),     type_with(5, "23"),
                        type_with(5, "x"),  type_with(0, "16400"), type_with(2, std::string(2000, 'x'))};
  for (const auto& one : refused) CHECK_FALSE(one.ok());
  CHECK(type_with(4, "x").error() == "the oid catalogue's type number 2 is malformed");
  CHECK_FALSE(OidCatalogue::from_rows(Rows{{"16400"}}, {}).ok());
  CHECK_FALSE(OidCatalogue::from_rows({}, Rows{{"16500", "public", "f", "23,24"}}).ok());
  CHECK_FALSE(OidCatalogue::from_rows({}, Rows{{"16500", "public", "f"}}).ok());
}

TEST_CASE("a catalogue comes back from JSON as it went") {
  OidCatalogue all = catalogue_of(kMaster);
  all.types[0].name =
      "m\"o\\o\xC3\xB6"
      "d\n";
  const auto back = OidCatalogue::from_json(all.to_json());
  REQUIRE(back.ok());
  CHECK(*back == all);
  CHECK(OidCatalogue::from_json(OidCatalogue{}.to_json()).ok());
}

TEST_CASE("JSON that to_json would not write is refused") {
  using nlohmann::json;
  const json good = json::parse(catalogue_of(kMaster).to_json());
  const auto refused = [&](const char* pointer, const json& value) {
    json changed = good;
    changed[json::json_pointer(pointer)] = value;
    return !OidCatalogue::from_json(changed.dump()).ok();
  };
  REQUIRE(OidCatalogue::from_json(good.dump()).ok());
  CHECK(refused("/version", 2));
  CHECK(refused("/extra", 1));
  CHECK(refused("/types", 1));
  CHECK(refused("/types/0", 1));
  CHECK(refused("/types/0/6", 1));
  CHECK(refused("/types/0/0", -16400));
  CHECK(refused("/types/0/0", 16400.5));
  CHECK(refused("/types/0/0", 4294967296));
  CHECK(refused("/types/0/0", 100));
  CHECK(refused("/types/0/0", kMaster.pair));
  CHECK(refused("/types/0/1", nullptr));
  CHECK(refused("/types/0/2", std::string("a\0b", 3)));
  CHECK(refused("/types/0/3", "x"));
  CHECK(refused("/types/0/4", 5));
  CHECK(refused("/types/0/5", json::array({1})));
  CHECK(refused("/types/2/5", json::array({"1"})));
  CHECK(refused("/functions/0/3", nullptr));
  CHECK(refused("/functions/0/0", kMaster.greet_pairs));
  CHECK_FALSE(OidCatalogue::from_json("").ok());
  CHECK_FALSE(OidCatalogue::from_json("[]").ok());
  CHECK_FALSE(OidCatalogue::from_json(std::string(100'000, '[')).ok());
  CHECK_FALSE(OidCatalogue::from_json(std::string(OidCatalogue::kMaxJson + 1, ' ')).ok());
}

TEST_CASE("JSON cut at any length or with any byte changed is refused or read, never worse") {
  const std::string good = catalogue_of(kMaster).to_json();
  for (std::size_t size = 0; size < good.size(); ++size)
    CHECK_FALSE(OidCatalogue::from_json(good.substr(0, size)).ok());
  std::mt19937 random(7);
  std::size_t accepted = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string changed = good;
    changed[at] = char(random());
    accepted += OidCatalogue::from_json(changed).ok() ? 1 : 0;
  }
  CHECK(accepted < good.size());
}

TEST_CASE("servers that agree have an empty map") {
  CHECK(OidMap().empty());
  CHECK(OidMap(OidCatalogue{}, OidCatalogue{}).empty());
  CHECK(OidMap(catalogue_of(kMaster), catalogue_of(kMaster)).empty());
  CHECK(OidMap(OidCatalogue{}, catalogue_of(kMaster)).empty());
}

TEST_CASE("a differing or missing type or function keeps the map from being empty") {
  OidCatalogue standby = catalogue_of(kMaster);
  standby.types.pop_back();
  CHECK_FALSE(OidMap(catalogue_of(kMaster), standby).empty());
  standby = catalogue_of(kMaster);
  standby.functions.pop_back();
  CHECK_FALSE(OidMap(catalogue_of(kMaster), standby).empty());
  standby = catalogue_of(kMaster);
  standby.types[0].schema = "other";
  CHECK_FALSE(OidMap(catalogue_of(kMaster), standby).empty());
}

TEST_CASE("types are paired by name, arrays by their elements, multiranges by their ranges, both ways") {
  const auto map = different_servers();
  CHECK_FALSE(map->empty());
  const auto both = [&](OidKind kind, Oid master, Oid standby) {
    CHECK(map->translate(OidSide::master, kind, master) == standby);
    CHECK(map->translate(OidSide::standby, kind, standby) == master);
  };
  both(OidKind::type, kMaster.mood, kStandby.mood);
  both(OidKind::type, kMaster.moods, kStandby.moods);
  both(OidKind::type, kMaster.pair, kStandby.pair);
  both(OidKind::type, kMaster.pair_range, kStandby.pair_range);
  both(OidKind::type, kMaster.pair_multirange, kStandby.pair_multirange);
  both(OidKind::type, kMaster.moods_domain, kStandby.moods_domain);
  both(OidKind::function, kMaster.greet, kStandby.greet);
  both(OidKind::function, kMaster.greet_pairs, kStandby.greet_pairs);
}

TEST_CASE("built-in oids are their own, and what is unknown is 0") {
  const auto map = different_servers();
  for (const OidKind kind : {OidKind::type, OidKind::function}) {
    CHECK(map->translate(OidSide::master, kind, 23) == 23);
    CHECK(map->translate(OidSide::master, kind, 99999) == 0);
    CHECK(map->translate(OidSide::standby, kind, kMaster.mood) == 0);
  }
  CHECK(map->shape(OidSide::master, 99999) == nullptr);
  CHECK(map->shape(OidSide::master, 23) == nullptr);
}

TEST_CASE("only types whose values can contain oids are worth walking") {
  const auto map = different_servers();
  const auto deep = [&](Oid type) { return map->shape(OidSide::master, type)->deep; };
  CHECK_FALSE(deep(kMaster.mood));
  CHECK_FALSE(deep(kMaster.plain));
  for (const Oid type : {kMaster.moods, kMaster.pair, kMaster.pairs, kMaster.pair_range,
                         kMaster.pair_multirange, kMaster.moods_domain, kMaster.tree, kMaster.trees}) {
    CHECK(deep(type));
  }
}

TEST_CASE("a chain of domains of any length, or a circle, ends") {
  OidCatalogue chain;
  constexpr Oid kLength = 100'000;
  for (Oid i = 0; i < kLength; ++i) {
    chain.types.push_back(
        {20000 + i, "public", "d" + std::to_string(i), TypeForm::domain, 20000 + (i + 1) % kLength, {}});
  }
  for (Oid i = 0; i < 100; ++i) {
    chain.types.push_back(
        {200000 + i, "public", "a" + std::to_string(i), TypeForm::array, 200000 + (i + 1) % 100, {}});
  }
  const OidMap map(chain, chain);
  CHECK(map.types() == kLength + 100);
  CHECK(map.translate(OidSide::master, OidKind::type, 20000 + kLength / 2) == 20000 + kLength / 2);
}
