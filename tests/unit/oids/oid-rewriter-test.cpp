#include "server-relay/oids/oid-rewriter.h"

#include <random>

#include <catch2/catch.hpp>

#include "tests/unit/oids/oid-fixtures.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

StandbyRewriter rewriter_of_different_servers() {
  StandbyRewriter rewriter;
  rewriter.use(different_servers());
  return rewriter;
}

/// What the standby is to get.
std::string sent(StandbyRewriter& rewriter, const std::string& text) {
  std::string out;
  switch (rewriter.rewrite(as_bytes(text), out)) {
    case Rewriting::unchanged:
      return text;
    case Rewriting::rewritten:
      return out;
    case Rewriting::unknown_oid:
      return "unknown " + std::to_string(rewriter.unknown());
  }
  return {};
}

bool unchanged(StandbyRewriter& rewriter, const std::string& text) {
  std::string out = "untouched";
  return rewriter.rewrite(as_bytes(text), out) == Rewriting::unchanged && out == "untouched";
}

/// A Bind of one binary value of `type`, after its Parse.
std::string bound(Oid type, const std::string& value) {
  auto rewriter = rewriter_of_different_servers();
  sent(rewriter, parse_message("s", "select $1", {type}));
  return sent(rewriter, bind_message("s", {1}, {item(value)}));
}

std::string expected(const std::string& value) {
  return bind_message("s", {1}, {item(value)});
}

}  // namespace

TEST_CASE("Parse gets the standby's parameter types and nothing else changes") {
  auto rewriter = rewriter_of_different_servers();
  CHECK(sent(rewriter, parse_message("s", "select 16400", {kMaster.mood, 23, 0, kMaster.pairs})) ==
        parse_message("s", "select 16400", {kStandby.mood, 23, 0, kStandby.pairs}));
  CHECK(unchanged(rewriter, parse_message("s", "select 1", {23, 0})));
  CHECK(unchanged(rewriter, parse_message("", "", {})));
}

TEST_CASE("servers that agree, or no map at all, mean no work") {
  StandbyRewriter rewriter;
  for (const char type : {'P', 'B', 'F', 'C', 'Q'}) CHECK_FALSE(rewriter.concerns(type));
  CHECK(unchanged(rewriter, parse_message("s", "", {kMaster.mood})));
  rewriter.use(std::make_shared<const OidMap>(catalogue_of(kMaster), catalogue_of(kMaster)));
  for (const char type : {'P', 'B', 'F', 'C', 'Q'}) CHECK_FALSE(rewriter.concerns(type));
  CHECK(unchanged(rewriter, parse_message("s", "", {99999})));
  rewriter.use(different_servers());
  CHECK(rewriter.concerns('P'));
  CHECK(rewriter.concerns('F'));
  CHECK_FALSE(rewriter.concerns('B'));  // no statement of interest yet
  CHECK_FALSE(rewriter.concerns('Q'));
  CHECK_FALSE(rewriter.concerns('d'));
}

TEST_CASE("binary parameters of every nesting get the standby's oids") {
  const std::string happy = item("happy");
  CHECK(bound(kMaster.moods, array_value(kMaster.mood, {happy, null_item()})) ==
        expected(array_value(kStandby.mood, {happy, null_item()})));
  CHECK(bound(kMaster.moods, array_value(kMaster.mood, {})) == expected(array_value(kStandby.mood, {})));
  CHECK(bound(kMaster.moods_domain, array_value(kMaster.mood, {happy})) ==
        expected(array_value(kStandby.mood, {happy})));
  CHECK(bound(kMaster.pair, pair_value(kMaster, "sad")) == expected(pair_value(kStandby, "sad")));
  CHECK(bound(kMaster.pairs, array_value(kMaster.pair, {item(pair_value(kMaster, "a")), null_item()})) ==
        expected(array_value(kStandby.pair, {item(pair_value(kStandby, "a")), null_item()})));

  const auto range = [](const SchemaOids& oids) {
    return ByteWriter().u8(2).text(item(pair_value(oids, "a"))).text(item(pair_value(oids, "b"))).take();
  };
  const auto half_range = [](const SchemaOids& oids) {
    return ByteWriter().u8(0x10).text(item(pair_value(oids, "a"))).take();
  };
  const auto multirange = [&](const SchemaOids& oids) {
    return ByteWriter().u32(2).text(item(range(oids))).text(item(half_range(oids))).take();
  };
  CHECK(bound(kMaster.pair_range, range(kMaster)) == expected(range(kStandby)));
  CHECK(bound(kMaster.pair_range, half_range(kMaster)) == expected(half_range(kStandby)));
  CHECK(bound(kMaster.pair_range, "\x01") == expected("\x01"));
  CHECK(bound(kMaster.pair_multirange, multirange(kMaster)) == expected(multirange(kStandby)));

  const auto tree = [](const SchemaOids& oids) {
    const std::string leaf = composite_value({{25, item("leaf")}, {oids.trees, null_item()}});
    const std::string twig = composite_value(
        {{25, null_item()}, {oids.trees, item(array_value(oids.tree, {item(leaf), item(leaf)}))}});
    return composite_value({{25, item("root")}, {oids.trees, item(array_value(oids.tree, {item(twig)}))}});
  };
  CHECK(bound(kMaster.tree, tree(kMaster)) == expected(tree(kStandby)));
}

TEST_CASE("an array of several dimensions is walked to its end") {
  const auto square = [](const SchemaOids& oids) {
    ByteWriter out;
    out.u32(2).u32(1).u32(oids.pair).u32(2).u32(1).u32(2).u32(1);
    for (int i = 0; i < 3; ++i) out.text(item(pair_value(oids, "x")));
    return out.text(null_item()).take();
  };
  CHECK(bound(kMaster.pairs, square(kMaster)) == expected(square(kStandby)));
}

TEST_CASE("a regtype or regprocedure parameter names the same object on the standby") {
  CHECK(bound(2206, int4(kMaster.pair)) == expected(int4(kStandby.pair)));
  CHECK(bound(2202, int4(kMaster.greet)) == expected(int4(kStandby.greet)));
  CHECK(bound(2211, array_value(2206, {item(int4(kMaster.pair))})) ==
        expected(array_value(2206, {item(int4(kStandby.pair))})));
  CHECK(bound(26, int4(kMaster.pair)) == expected(int4(kMaster.pair)));
}

TEST_CASE("formats decide which parameters are binary") {
  auto rewriter = rewriter_of_different_servers();
  sent(rewriter, parse_message("s", "", {kMaster.pair, 23, kMaster.pair}));
  const auto items = [](const SchemaOids& first, const SchemaOids& last) {
    return std::vector<std::string>{item(pair_value(first, "a")), item(int4(kMaster.pair)),
                                    item(pair_value(last, "b"))};
  };
  const auto all = items(kMaster, kMaster);
  CHECK(unchanged(rewriter, bind_message("s", {}, all)));
  CHECK(unchanged(rewriter, bind_message("s", {0}, all)));
  CHECK(unchanged(rewriter, bind_message("s", {0, 0, 0}, all)));
  CHECK(sent(rewriter, bind_message("s", {1}, all)) == bind_message("s", {1}, items(kStandby, kStandby)));
  CHECK(sent(rewriter, bind_message("s", {0, 1, 1}, all)) ==
        bind_message("s", {0, 1, 1}, items(kMaster, kStandby)));
  CHECK(unchanged(rewriter, bind_message("s", {1, 1}, all)));  // two formats for three values: malformed
}

TEST_CASE("types that the frontend left open are learned from the master's ParameterDescription") {
  auto rewriter = rewriter_of_different_servers();
  const std::string bind = bind_message("s", {1}, {item(pair_value(kMaster, "a"))});
  CHECK(unchanged(rewriter, parse_message("s", "", {0})));
  CHECK(unchanged(rewriter, bind));
  const std::string described = message('t', ByteWriter().u16(1).u32(kMaster.pair).str());
  const auto types = parse_parameter_description(as_bytes(described));
  REQUIRE(types);
  CHECK(*types == std::vector<Oid>{kMaster.pair});
  rewriter.on_parameter_description("s", *types);
  CHECK(sent(rewriter, bind) == expected(pair_value(kStandby, "a")));
  for (std::size_t size = 0; size < described.size(); ++size) {
    CHECK_FALSE(parse_parameter_description(as_bytes(described.substr(0, size))));
  }
  CHECK_FALSE(parse_parameter_description(as_bytes(described + "x")));
}

TEST_CASE("a statement is forgotten when it is closed, and replaced when it is parsed again") {
  auto rewriter = rewriter_of_different_servers();
  const std::string bind = bind_message("s", {1}, {item(pair_value(kMaster, "a"))});
  const std::string parse = parse_message("s", "", {kMaster.pair});
  sent(rewriter, parse);
  CHECK(rewriter.remembered_statements() == 1);
  CHECK(unchanged(rewriter, close_message('P', "s")));
  CHECK_FALSE(unchanged(rewriter, bind));
  CHECK(unchanged(rewriter, close_message('S', "s")));
  CHECK(rewriter.remembered_statements() == 0);
  CHECK(unchanged(rewriter, bind));
  sent(rewriter, parse);
  sent(rewriter, parse_message("s", "", {23}));
  CHECK(unchanged(rewriter, bind));
  sent(rewriter, parse);
  sent(rewriter, parse);
  CHECK_FALSE(unchanged(rewriter, bind));
}

TEST_CASE("statements without parameters of interest cost no memory, and the others a bounded amount") {
  auto rewriter = rewriter_of_different_servers();
  for (int i = 0; i < 1000; ++i)
    sent(rewriter, parse_message("e" + std::to_string(i), "", {kMaster.mood, 23, 25}));
  CHECK(rewriter.remembered_statements() == 0);
  const std::size_t count = StandbyRewriter::kMaxStatements + 10;
  for (std::size_t i = 0; i < count; ++i)
    sent(rewriter, parse_message("s" + std::to_string(i), "", {kMaster.pair}));
  CHECK(rewriter.remembered_statements() == StandbyRewriter::kMaxStatements);
  CHECK(unchanged(rewriter, bind_message("s9", {1}, {item(pair_value(kMaster, "a"))})));
  CHECK_FALSE(unchanged(rewriter, bind_message("s10", {1}, {item(pair_value(kMaster, "a"))})));
  const std::vector<Oid> many(65535, kMaster.pair);
  for (int i = 0; i < 10; ++i) sent(rewriter, parse_message("many" + std::to_string(i), "", many));
  CHECK(rewriter.remembered_statements() <= StandbyRewriter::kMaxParameters / many.size());
  CHECK_FALSE(unchanged(rewriter, bind_message("many9", {1}, {item(pair_value(kMaster, "a"))})));
}

TEST_CASE("FunctionCall gets the standby's function and its binary arguments the standby's types") {
  auto rewriter = rewriter_of_different_servers();
  const auto pairs = [](const SchemaOids& oids) {
    return array_value(oids.pair, {item(pair_value(oids, "a"))});
  };
  CHECK(sent(rewriter, function_call_message(kMaster.greet_pairs, {1}, {item(pairs(kMaster))})) ==
        function_call_message(kStandby.greet_pairs, {1}, {item(pairs(kStandby))}));
  CHECK(sent(rewriter, function_call_message(kMaster.greet_pairs, {}, {item(pairs(kMaster))})) ==
        function_call_message(kStandby.greet_pairs, {}, {item(pairs(kMaster))}));
  CHECK(unchanged(rewriter, function_call_message(952, {1}, {item(int4(1))})));
}

TEST_CASE("an oid that the map lacks is reported, changes nothing, and can be let through") {
  auto rewriter = rewriter_of_different_servers();
  const std::string parse = parse_message("s", "", {kMaster.pair, 99999});
  std::string out = "untouched";
  CHECK(rewriter.rewrite(as_bytes(parse), out) == Rewriting::unknown_oid);
  CHECK(rewriter.unknown() == 99999);
  CHECK(out == "untouched");
  CHECK(rewriter.remembered_statements() == 0);
  CHECK(rewriter.rewrite(as_bytes(parse), out, UnknownOids::keep) == Rewriting::rewritten);
  CHECK(out == parse_message("s", "", {kStandby.pair, 99999}));
  CHECK(rewriter.remembered_statements() == 1);

  CHECK(sent(rewriter, function_call_message(99998, {}, {})) == "unknown 99998");
  sent(rewriter, parse_message("a", "", {kMaster.moods}));
  CHECK(sent(rewriter, bind_message("a", {1}, {item(array_value(99997, {}))})) == "unknown 99997");
}

TEST_CASE("a newer map is used from the next message on") {
  auto rewriter = rewriter_of_different_servers();
  CHECK(sent(rewriter, parse_message("s", "", {30000})) == "unknown 30000");
  OidCatalogue master = catalogue_of(kMaster);
  OidCatalogue standby = catalogue_of(kStandby);
  master.types.push_back({30000, "public", "fresh", TypeForm::plain, 0, {}});
  standby.types.push_back({30001, "public", "fresh", TypeForm::plain, 0, {}});
  rewriter.use(std::make_shared<const OidMap>(master, standby));
  CHECK(sent(rewriter, parse_message("s", "", {30000})) == parse_message("s", "", {30001}));
}

TEST_CASE("nesting beyond the limit is left as it is") {
  const auto nested = [](int levels) {
    std::string value = composite_value({{25, item("leaf")}, {kMaster.trees, null_item()}});
    for (int i = 0; i < levels; ++i) {
      value = composite_value(
          {{25, null_item()}, {kMaster.trees, item(array_value(kMaster.tree, {item(value)}))}});
    }
    return value;
  };
  CHECK_FALSE(bound(kMaster.tree, nested(15)) == expected(nested(15)));
  CHECK(bound(kMaster.tree, nested(16)) == expected(nested(16)));
  CHECK(bound(kMaster.tree, nested(5000)) == expected(nested(5000)));
}

namespace {

std::vector<std::string> sample_messages() {
  const std::string tree = composite_value(
      {{25, item("root")},
       {kMaster.trees,
        item(array_value(kMaster.tree,
                         {item(composite_value({{25, null_item()}, {kMaster.trees, null_item()}}))}))}});
  const std::string range = ByteWriter().u8(2).text(item(pair_value(kMaster, "a"))).text(item("")).take();
  return {parse_message("s", "select", {kMaster.tree, kMaster.pair_range, kMaster.pair_multirange, 23}),
          bind_message(
              "s", {1},
              {item(tree), item(range), item(ByteWriter().u32(1).text(item(range)).str()), item(int4(5))}),
          function_call_message(kMaster.greet_pairs, {1},
                                {item(array_value(kMaster.pair, {item(pair_value(kMaster, "a"))}))}),
          close_message('S', "s")};
}

}  // namespace

TEST_CASE("a message cut at any length is left as it is") {
  for (const std::string& whole : sample_messages()) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      auto rewriter = rewriter_of_different_servers();
      sent(rewriter, sample_messages()[0]);
      CHECK(unchanged(rewriter, whole.substr(0, size)));
      if (size < 5) continue;
      // The same with a length field that agrees: what is inside must not be trusted either.
      std::string out;
      const std::string cut = message(whole[0], whole.substr(5, size - 5));
      const Rewriting result = rewriter.rewrite(as_bytes(cut), out);
      if (result == Rewriting::rewritten) CHECK(out.size() == cut.size());
    }
  }
}

TEST_CASE("no bytes whatever can do harm") {
  std::mt19937 random(1);
  auto rewriter = rewriter_of_different_servers();
  for (int round = 0; round < 20'000; ++round) {
    std::string text = sample_messages()[round % 4];
    const unsigned changes = 1 + random() % 6;
    for (unsigned i = 0; i < changes; ++i) {
      const std::size_t at = 5 + random() % (text.size() - 5);
      text[at] = char(random() % 3 == 0 ? random() : random() % 3);
    }
    std::string out;
    const auto mode = random() % 2 == 0 ? UnknownOids::keep : UnknownOids::report;
    if (rewriter.rewrite(as_bytes(text), out, mode) == Rewriting::rewritten)
      REQUIRE(out.size() == text.size());
    if (round % 16 == 0) sent(rewriter, sample_messages()[0]);
  }
  CHECK(rewriter.remembered_statements() <= StandbyRewriter::kMaxStatements);
}
