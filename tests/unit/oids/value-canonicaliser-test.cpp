#include "server-relay/oids/value-canonicaliser.h"

#include <random>

#include <catch2/catch.hpp>

#include "tests/unit/oids/oid-fixtures.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

std::string canonical(const std::string& field, OidSide leg,
                      std::shared_ptr<const OidMap> map = different_servers()) {
  std::string out;
  ValueCanonicaliser(std::move(map)).feed(as_bytes(field), leg, [&](ByteSpan piece) {
    out.append(as_text(piece));
  });
  return out;
}

std::string canonical_row(const std::string& body) {
  std::string out;
  ValueCanonicaliser(different_servers()).feed_row(as_bytes(body), OidSide::standby, [&](ByteSpan piece) {
    out.append(as_text(piece));
  });
  return out;
}

std::string tree(const SchemaOids& oids) {
  const std::string leaf = composite_value({{25, item("leaf")}, {oids.trees, null_item()}});
  return composite_value(
      {{25, item("root")}, {oids.trees, item(array_value(oids.tree, {item(leaf), item(leaf)}))}});
}

/// A composite that PostgreSQL calls record: `SELECT ROW(...)`.
std::string record(const SchemaOids& oids) {
  const std::string range =
      ByteWriter().u8(2).text(item(pair_value(oids, "a"))).text(item(pair_value(oids, "b"))).take();
  return composite_value({{23, item(int4(1))},
                          {2249, item(pair_value(oids, "in"))},
                          {oids.pair_range, item(range)},
                          {2287, item(array_value(2249, {item(pair_value(oids, "x"))}))}});
}

}  // namespace

TEST_CASE("a value of the standby is fed as the master would have written it") {
  const auto same = [](const std::string& standby, const std::string& master) {
    CHECK(standby != master);
    CHECK(canonical(standby, OidSide::standby) == master);
    CHECK(canonical(master, OidSide::master) == master);
  };
  same(array_value(kStandby.mood, {item("a"), null_item()}),
       array_value(kMaster.mood, {item("a"), null_item()}));
  same(array_value(kStandby.mood, {}), array_value(kMaster.mood, {}));
  same(pair_value(kStandby, "a"), pair_value(kMaster, "a"));
  same(array_value(kStandby.pair, {item(pair_value(kStandby, "a"))}),
       array_value(kMaster.pair, {item(pair_value(kMaster, "a"))}));
  same(tree(kStandby), tree(kMaster));
  same(record(kStandby), record(kMaster));
}

TEST_CASE("other data is fed as it is") {
  const auto as_it_is = [](const std::string& field) { CHECK(canonical(field, OidSide::standby) == field); };
  as_it_is("");
  as_it_is("{happy,sad}");
  as_it_is("(7,happy)");
  as_it_is(int4(kStandby.mood));
  as_it_is(array_value(23, {item(int4(kStandby.mood))}));
  as_it_is(composite_value({{23, item(int4(1))}, {25, item("x")}}));
  as_it_is(composite_value({{23, item(pair_value(kStandby, "data of an int4"))}}));
  as_it_is(array_value(99999, {item("a")}));
  as_it_is(array_value(kStandby.mood, {item("a")}) + "x");
  as_it_is(pair_value(kStandby, "a") + "x");
  as_it_is("x" + pair_value(kStandby, "a"));
  as_it_is(std::string(64, '\0'));
}

TEST_CASE("without a map, or where the servers agree, nothing is looked at") {
  const std::string field = pair_value(kStandby, "a");
  CHECK(canonical(field, OidSide::standby, nullptr) == field);
  const auto agree = std::make_shared<const OidMap>(catalogue_of(kStandby), catalogue_of(kStandby));
  CHECK(canonical(field, OidSide::standby, agree) == field);
}

TEST_CASE("a row is fed with its counts and lengths, whatever is in it") {
  const auto row = [](const SchemaOids& oids) {
    return ByteWriter()
        .u16(4)
        .text(item("text"))
        .text(null_item())
        .text(item(tree(oids)))
        .text(item(""))
        .take();
  };
  CHECK(canonical_row(row(kStandby)) == row(kMaster));
  const std::string whole = row(kMaster);
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    CHECK(canonical_row(whole.substr(0, size)) == whole.substr(0, size));
  }
}

TEST_CASE("a RowDescription's types are compared in the master's oids") {
  const ValueCanonicaliser canonicaliser(different_servers());
  CHECK(canonicaliser.type_oid(kStandby.pair, OidSide::standby) == kMaster.pair);
  CHECK(canonicaliser.type_oid(kMaster.pair, OidSide::master) == kMaster.pair);
  CHECK(canonicaliser.type_oid(23, OidSide::standby) == 23);
  CHECK(canonicaliser.type_oid(99999, OidSide::standby) == 99999);
  CHECK(ValueCanonicaliser(nullptr).type_oid(kStandby.pair, OidSide::standby) == kStandby.pair);
}

TEST_CASE("a value cut at any length is fed as it is") {
  for (const std::string& whole :
       {tree(kStandby), record(kStandby), array_value(kStandby.mood, {item("a"), item("b")})}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CHECK(canonical(whole.substr(0, size), OidSide::standby) == whole.substr(0, size));
    }
  }
}

TEST_CASE("damaged values keep their length and do no harm") {
  std::mt19937 random(3);
  for (int round = 0; round < 20'000; ++round) {
    std::string field = round % 2 == 0 ? tree(kStandby) : record(kStandby);
    for (unsigned i = 0; i <= random() % 4; ++i) field[random() % field.size()] = char(random() % 5);
    REQUIRE(canonical(field, OidSide::standby).size() == field.size());
    REQUIRE(canonical_row(field).size() == field.size());
  }
}

TEST_CASE("nesting without end is fed as it is") {
  std::string value = composite_value({{kStandby.trees, null_item()}});
  for (int i = 0; i < 2000; ++i) value = composite_value({{2249, item(value)}});
  CHECK(canonical(value, OidSide::standby) == value);
}
