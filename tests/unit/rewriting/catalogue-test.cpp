// The goal of these tests: the catalogue's copy tells surely which defaults and functions are sources.
#include <catch2/catch.hpp>

#include "tests/unit/rewriting/rewriting-fixtures.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

using Rows = std::vector<std::vector<std::string>>;

const Rows kNow{{"now", "pg_catalog", "0", "0", "t"}, {"random", "pg_catalog", "0", "0", "t"}};

/// What is known of a default: nothing, or its parts.
std::optional<RewrittenDefault> judged(const std::string& sql) {
  const Rows columns{{"public", "t", "t", "a", sql}, {"public", "t", "t", "b", "now()"}};
  const auto catalogue = RewriteCatalogue::from_rows({kNow, columns});
  REQUIRE(catalogue);
  return (*catalogue)->table("", "t")->columns[0].rewritten;
}

}  // namespace

TEST_CASE("a default is judged by its parse, not by its words") {
  CHECK_FALSE(judged("'now() is known'::text"));
  CHECK_FALSE(judged("nextval('random_seq'::regclass)"));
  CHECK_FALSE(judged("lower('x')"));
  for (const char* sql :
       {"now()", "(CURRENT_DATE + 1)", "timezone('utc'::text, now())", "(now() AT TIME ZONE 'utc'::text)",
        "('now'::timestamp)", "COALESCE(now(), now())"}) {
    INFO(sql);
    const auto value = judged(sql);
    REQUIRE(value);
    CHECK(value->is_replaceable());
    CHECK(value->has_time);
    CHECK_FALSE(value->has_once);
  }
  CHECK(judged("(random() * 5)")->has_once);
  CHECK(judged("(nextval('s'::regclass) || now())")->has_nextval);
}

TEST_CASE("a default that cannot be written anew is known as such") {
  for (const char* sql : {"('now'::text)::date", "clock_timestamp()", "public.now()", "gen_random_uuid()",
                          "JSON_ARRAY(now() NEW SYNTAX)"}) {
    INFO(sql);
    const auto value = judged(sql);
    REQUIRE(value);
    CHECK_FALSE(value->is_replaceable());
  }
  CHECK_FALSE(judged("JSON_ARRAY(1 NEW SYNTAX)"));
}

TEST_CASE("a function is sure only if no other may be meant") {
  const auto& catalogue = *small_catalogue();
  CHECK(catalogue.home_of_function("", "now", 0) == "pg_catalog");
  CHECK(catalogue.home_of_function("pg_catalog", "now", 0) == "pg_catalog");
  CHECK(catalogue.home_of_function("public", "now", 0) == std::nullopt);
  CHECK(catalogue.home_of_function("", "now", 1) == std::nullopt);
  CHECK(catalogue.home_of_function("", "timeofday", 0) == std::nullopt);
  CHECK(catalogue.home_of_function("pg_catalog", "timeofday", 0) == "pg_catalog");
  CHECK(catalogue.home_of_function("", "gen_random_uuid", 0) == "pg_catalog");
  CHECK(catalogue.home_of_function("public", "gen_random_uuid", 0) == "public");
  CHECK(catalogue.home_of_function("", "uuid_generate_v4", 0) == "public");
  CHECK(catalogue.home_of_function("", "random", 2) == "pg_catalog");
  CHECK(catalogue.home_of_function("", "random", 1) == std::nullopt);
  CHECK(catalogue.home_of_function("", "random_normal", 1) == "pg_catalog");
  CHECK(catalogue.home_of_function("", "unknown", 0) == std::nullopt);
}

TEST_CASE("relations are found by their names") {
  const auto& catalogue = *small_catalogue();
  CHECK(catalogue.has_rewritten_defaults());
  CHECK(catalogue.relation_has_rewritten_default("", "t"));
  CHECK(catalogue.relation_has_rewritten_default("public", "t"));
  CHECK_FALSE(catalogue.relation_has_rewritten_default("other", "t"));
  CHECK_FALSE(catalogue.relation_has_rewritten_default("", "harmless"));
  CHECK_FALSE(catalogue.relation_has_rewritten_default("", "unknown"));
  CHECK(catalogue.relation_has_rewritten_default("", "twin"));
  CHECK(catalogue.table("", "twin") == nullptr);
  CHECK(catalogue.table("public", "twin") != nullptr);
  CHECK(catalogue.table("", "harmless") == nullptr);
  CHECK(catalogue.table("", "t")->columns.size() == 3);
}

TEST_CASE("rows of another form are refused") {
  CHECK_FALSE(RewriteCatalogue::from_rows({Rows{{"now", "pg_catalog", "0", "0"}}, {}}));
  CHECK_FALSE(RewriteCatalogue::from_rows({Rows{{"now", "pg_catalog", "x", "0", "t"}}, {}}));
  CHECK_FALSE(RewriteCatalogue::from_rows({{}, Rows{{"public", "t", "t", "a"}}}));
  CHECK_FALSE((*RewriteCatalogue::from_rows({{}, {}}))->has_rewritten_defaults());
}
