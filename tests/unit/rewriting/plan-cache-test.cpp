// The goal of these tests: what is remembered of a text says of another one what a plan of its own would.
#include <array>
#include <vector>

#include <catch2/catch.hpp>

#include "server-relay/rewriting/rewrite-plan-cache.h"
#include "tests/unit/rewriting/rewriting-fixtures.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

RewriteRequest request_of(std::string_view text, const std::shared_ptr<const RewriteCatalogue>& catalogue) {
  RewriteRequest request;
  request.text = text;
  request.catalogue = catalogue.get();
  return request;
}

/// The text as the servers would get it, and where its last character came from.
std::string result_of(const RewritePlan& plan) {
  const std::vector<std::optional<std::string>> values(plan.expressions().size(), "value");
  const auto text = plan.text(values);
  if (!text) return text.error();
  return text->text + " " + std::to_string(text->positions.original(text->text.size()));
}

}  // namespace

TEST_CASE("texts that differ in numbers alone share a plan, which fits each of them") {
  const auto catalogue = small_catalogue();
  RewritePlanCache cache;
  const std::vector<std::string> texts{
      "INSERT INTO x VALUES (1, 22, -333, CURRENT_TIMESTAMP, 4)",
      "INSERT INTO x VALUES (4444, 2, -3, CURRENT_TIMESTAMP, 123456)",
      "INSERT INTO x VALUES (0, 0, -0, CURRENT_TIMESTAMP, 0)",
  };
  for (const std::string& text : texts) {
    INFO(text);
    const RewriteRequest request = request_of(text, catalogue);
    CHECK(result_of(cache.plan(request, catalogue)) == result_of(rewrite_plan(request)));
  }
  CHECK(cache.size() == 1);
  CHECK(cache.hits() == 2);
}

TEST_CASE("a number that means something keeps its text out of what is remembered") {
  const auto catalogue = small_catalogue();
  const std::vector<std::array<const char*, 2>> pairs{{
      {"UPDATE x SET a = current_timestamp(3)", "UPDATE x SET a = current_timestamp(1)"},
      {"UPDATE x SET a = CAST('now' AS timestamp(3))", "UPDATE x SET a = CAST('now' AS timestamp(1))"},
      {"INSERT INTO x VALUES (lo_create(4711))", "INSERT INTO x VALUES (lo_create(0))"},
      {"INSERT INTO x VALUES (lo_create(0))", "INSERT INTO x VALUES (lo_create(4711))"},
  }};
  for (const auto& [first, second] : pairs) {
    RewritePlanCache cache;
    (void)cache.plan(request_of(first, catalogue), catalogue);
    const RewriteRequest request = request_of(second, catalogue);
    INFO(second);
    CHECK(result_of(cache.plan(request, catalogue)) == result_of(rewrite_plan(request)));
  }
}

TEST_CASE("a new catalogue, other classes and other widths have plans of their own") {
  const auto catalogue = small_catalogue();
  RewritePlanCache cache;
  const std::string text = "INSERT INTO t (id) VALUES (7)";  // leaves a column with DEFAULT now() out
  CHECK_FALSE(cache.plan(request_of(text, catalogue), catalogue).empty());
  RewriteRequest fewer = request_of(text, catalogue);
  fewer.classes.time = fewer.classes.defaults = false;
  CHECK(cache.plan(fewer, catalogue).empty());
  CHECK(cache.plan(request_of(text, nullptr), nullptr).empty());
  CHECK_FALSE(cache.plan(request_of(text, catalogue), catalogue).empty());
  CHECK(cache.hits() == 1);
  const auto other = std::make_shared<const RewriteCatalogue>();
  CHECK(cache.plan(request_of(text, other), other).empty());
  CHECK(cache.size() == 1);
}

TEST_CASE("a session with unbounded texts is remembered within bounds") {
  RewritePlanCache cache;
  for (std::size_t i = 0; i < 3 * RewritePlanCache::kMaxEntries; ++i) {
    const std::string text = "UPDATE x" + std::to_string(i) + " SET a = now()";
    (void)cache.plan(request_of(text, nullptr), nullptr);
  }
  CHECK(cache.size() <= RewritePlanCache::kMaxEntries);
  const std::string longest =
      "UPDATE x SET a = now(), b = '" + std::string(RewritePlanCache::kMaxText, 'b') + "'";
  const std::size_t before = cache.size();
  CHECK_FALSE(cache.plan(request_of(longest, nullptr), nullptr).empty());
  CHECK(cache.size() == before);
}
