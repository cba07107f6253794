// The goal of these tests: a client and a server that speak of parameters and places never notice the added
// parameters, and a malformed message is never made worse.
#include <catch2/catch.hpp>

#include "server-relay/rewriting/rewrite-messages.h"
#include "tests/unit/rewriting/rewriting-fixtures.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

using Values = std::vector<std::optional<std::string>>;

std::string parse_body(std::string_view query, const std::vector<std::uint32_t>& types) {
  ByteWriter out;
  out.c_string("name").c_string(query).u16(std::uint16_t(types.size()));
  for (const std::uint32_t type : types) out.u32(type);
  return out.take();
}

struct Bind {
  std::vector<std::uint16_t> formats;
  Values values;
};

std::string bind_body(const Bind& bind) {
  ByteWriter out;
  out.c_string("portal").c_string("name").u16(std::uint16_t(bind.formats.size()));
  for (const std::uint16_t format : bind.formats) out.u16(format);
  out.u16(std::uint16_t(bind.values.size()));
  for (const auto& value : bind.values) {
    out.u32(value ? std::uint32_t(value->size()) : 0xFFFFFFFFU);
    if (value) out.text(*value);
  }
  return out.u16(1).u16(1).take();
}

const std::string kQuery = "UPDATE x SET a = now(), b = pg_catalog.now() WHERE c = $2";
const std::string kRewritten =
    "UPDATE x SET a = ($3::pg_catalog.timestamptz), b = ($3::pg_catalog.timestamptz) WHERE c = $2";

}  // namespace

TEST_CASE("a Parse declares the added parameters behind the client's") {
  const RewritePlan plan = plan_of(kQuery);
  const auto parse = [&](const std::vector<std::uint32_t>& types) {
    return *rewrite_parse(plan, as_bytes(parse_body(kQuery, types)));
  };
  CHECK(parse({}).body == parse_body(kRewritten, {0, 0, 1184}));
  CHECK(parse({}).original_parameters == 2);
  CHECK(parse({23}).body == parse_body(kRewritten, {23, 0, 1184}));
  CHECK(parse({23, 25}).body == parse_body(kRewritten, {23, 25, 1184}));
  CHECK(parse({23, 25, 16}).original_parameters == 3);
  const std::string behind = parse({23, 25, 16}).body;
  CHECK(behind.find("$4::") != std::string::npos);
  CHECK(behind.ends_with(std::string("\0\0\0\x10\0\0\x04\xA0", 8)));
}

TEST_CASE("a Parse with constants keeps the client's types") {
  const RewritePlan plan = plan_of(kQuery);
  const Values values{"v"};
  const auto parse = rewrite_parse(plan, as_bytes(parse_body(kQuery, {23})), values);
  CHECK(parse->body == parse_body(plan.text(values)->text, {23}));
  CHECK(parse->original_parameters == 2);
  CHECK_FALSE(rewrite_parse(plan, as_bytes(parse_body(kQuery, {23})), Values{}));
}

TEST_CASE("a malformed Parse is refused, cut wherever it may be") {
  const RewritePlan plan = plan_of(kQuery);
  const std::string whole = parse_body(kQuery, {23, 25});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(rewrite_parse(plan, as_bytes(whole.substr(0, size))));
  }
  CHECK_FALSE(rewrite_parse(plan, as_bytes(whole + "x")));
  CHECK_FALSE(rewrite_parse(plan, as_bytes(parse_body(kQuery, std::vector<std::uint32_t>(65535, 0)))));
}

TEST_CASE("a Bind gets the values as text, in each way of telling formats") {
  const Values added{"now", std::nullopt};
  const auto bind = [&](const Bind& body) {
    return *rewrite_bind(as_bytes(bind_body(body)), unsigned(body.values.size()), added);
  };
  CHECK(bind({{}, {"a", std::nullopt}}) == bind_body({{}, {"a", std::nullopt, "now", std::nullopt}}));
  CHECK(bind({{0}, {"a"}}) == bind_body({{}, {"a", "now", std::nullopt}}));
  CHECK(bind({{1}, {"a", "b"}}) == bind_body({{1, 1, 0, 0}, {"a", "b", "now", std::nullopt}}));
  CHECK(bind({{1, 0}, {"a", "b"}}) == bind_body({{1, 0, 0, 0}, {"a", "b", "now", std::nullopt}}));
  CHECK(bind({{0, 0}, {"a", "b"}}) == bind_body({{0, 0, 0, 0}, {"a", "b", "now", std::nullopt}}));
  CHECK(bind({{}, {}}) == bind_body({{}, {"now", std::nullopt}}));
  CHECK(bind({{1}, {}}) == bind_body({{0, 0}, {"now", std::nullopt}}));
}

TEST_CASE("a Bind that does not fit is refused, cut wherever it may be") {
  const Values added{"now"};
  const std::string whole = bind_body({{1, 0}, {"a", "b"}});
  CHECK(rewrite_bind(as_bytes(whole), 2, added));
  const std::size_t result_formats = 4;  // the server's to judge
  for (std::size_t size = 0; size < whole.size() - result_formats; ++size) {
    CHECK_FALSE(rewrite_bind(as_bytes(whole.substr(0, size)), 2, added));
  }
  CHECK_FALSE(rewrite_bind(as_bytes(whole), 1, added));
  CHECK_FALSE(rewrite_bind(as_bytes(whole), 3, added));
  CHECK_FALSE(rewrite_bind(as_bytes(bind_body({{1, 0, 1}, {"a", "b"}})), 2, added));
  CHECK_FALSE(rewrite_bind(as_bytes(bind_body({{}, Values(65535, "")})), 65535, added));
  ByteWriter lying;
  lying.c_string("").c_string("").u16(0).u16(1).u32(0x7FFFFFFF).u16(0);
  CHECK_FALSE(rewrite_bind(as_bytes(lying.str()), 1, added));
}

TEST_CASE("a ParameterDescription tells the client's parameters alone") {
  const auto description = [](const std::vector<std::uint32_t>& types) {
    ByteWriter out;
    out.u16(std::uint16_t(types.size()));
    for (const std::uint32_t type : types) out.u32(type);
    return out.take();
  };
  const auto cut = [](const std::string& body, unsigned original) {
    return cut_parameter_description(as_bytes(body), original);
  };
  CHECK(cut(description({23, 25, 1184}), 2) == description({23, 25}));
  CHECK(cut(description({1184}), 0) == description({}));
  CHECK(cut(description({23}), 1) == description({23}));
  CHECK(cut(description({23}), 2) == description({23}));
  CHECK(cut(description({23}) + "x", 0) == description({23}) + "x");
  CHECK(cut("", 0).empty());
}

TEST_CASE("an error's position is the original's, and nothing else of it changes") {
  const RewrittenText text = plan_of(kQuery).parameter_text(2);
  const auto error = [](const std::string& position) {
    ByteWriter out;
    out.u8('S').c_string("ERROR").u8('M').c_string("P7 is wrong").u8('P').c_string(position);
    return out.u8('p').c_string("40").u8(0).take();
  };
  const auto restore = [&](const std::string& body) {
    return restore_position(as_bytes(body), text.positions);
  };
  const std::size_t place = text.text.find("WHERE") + 1;
  CHECK(restore(error(std::to_string(place))) == error(std::to_string(kQuery.find("WHERE") + 1)));
  CHECK(restore(error("3")) == error("3"));
  CHECK(restore(error("x")) == error("x"));
  CHECK(restore(error("99999999999999999999999")) == error("99999999999999999999999"));
  const std::string whole = error(std::to_string(place));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK(restore(whole.substr(0, size)) == whole.substr(0, size));
  }
  CHECK(restore(whole + "x") == whole + "x");
}

TEST_CASE("a FunctionCall that makes a large object gets the oid that both servers are to use") {
  using namespace std::string_literals;
  const std::string binary = "\0\1\0\1\0\1"s;  // one format, binary; one argument
  const std::string result = "\0\1"s;
  const std::string creat = "\0\0\3\xBD"s + binary + "\0\0\0\4"s + "\0\2\0\0"s + result;
  const std::string create = "\0\0\2\xCB"s + binary + "\0\0\0\4"s + "\0\0\0\0"s + result;
  const std::string with_oid = "\0\0\2\xCB"s + binary + "\0\0\0\4"s + "\0\0\x12\x67"s + result;
  CHECK(makes_large_object(as_bytes(creat)));
  CHECK(makes_large_object(as_bytes(create)));
  CHECK_FALSE(makes_large_object(as_bytes(with_oid)));
  CHECK(with_large_object(as_bytes(creat), "4711") == with_oid);
  CHECK(with_large_object(as_bytes(create), "4711") == with_oid);
  const std::string text = "\0\0\x0D\x81"s + "\0\0\0\2"s + "\0\0\0\1"s + "0" + "\0\0\0\2ab"s + result;
  CHECK(makes_large_object(as_bytes(text)));
  CHECK(with_large_object(as_bytes(text), "4711") ==
        "\0\0\x0D\x81"s + "\0\0\0\2"s + "\0\0\0\4"s + "4711" + "\0\0\0\2ab"s + result);
  CHECK_FALSE(with_large_object(as_bytes(create), "").has_value());
  CHECK_FALSE(with_large_object(as_bytes(create), "12x").has_value());
  const std::size_t argument_ends = create.size() - result.size();
  for (std::size_t size = 0; size < create.size(); ++size) {
    INFO(size);
    const ByteSpan cut = as_bytes(create).first(size);
    CHECK(makes_large_object(cut) == (size >= argument_ends));
    CHECK(with_large_object(cut, "4711").has_value() == (size >= argument_ends));
  }
}
