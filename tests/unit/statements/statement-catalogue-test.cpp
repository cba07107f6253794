// The goal of these tests: a catalogue takes nothing but well-formed rows, and is safe to share between
// threads.
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/unit/statements/statement-fixtures.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

using Rows = std::vector<std::vector<std::string>>;

bool accepted(const Rows& functions, const Rows& operators = {}, const Rows& types = {},
              const Rows& relations = {}) {
  return StatementCatalogue::from_rows({functions, operators, types, relations}).ok();
}

}  // namespace

TEST_CASE("rows of another form than the queries' are refused") {
  CHECK(
      accepted({{"a", "b", "v", "t"}}, {{"a", "+"}}, {{"a", "b", "d", "VALUE"}}, {{"a", "b", "r", "f", ""}}));
  CHECK_FALSE(accepted({{"a", "b", "v"}}));
  CHECK_FALSE(accepted({{"a", "b", "x", "t"}}));
  CHECK_FALSE(accepted({{"a", "b", "v", ""}}));
  CHECK_FALSE(accepted({}, {{"a"}}));
  CHECK_FALSE(accepted({}, {}, {{"a", "b", "z", ""}}));
  CHECK_FALSE(accepted({}, {}, {{"a", "b", "d"}}));
  CHECK_FALSE(accepted({}, {}, {}, {{"a", "b", "rr", "f", ""}}));
  CHECK_FALSE(accepted({}, {}, {}, {{"a", "b", "x", "f", ""}}));
  CHECK_FALSE(accepted({}, {}, {}, {{"a", "b", "r", "x", ""}}));
  const auto error = StatementCatalogue::from_rows({Rows{{"a", "b", "v", "t"}, {}}, {}, {}, {}});
  REQUIRE_FALSE(error);
  CHECK(error.error() == "the statement catalogue's function number 2 is malformed");
}

TEST_CASE("views that name each other, or nest without end, are not safe and do no harm") {
  Rows relations{{"s", "a", "v", "t", "SELECT 1 FROM s.b"}, {"s", "b", "v", "t", "SELECT 1 FROM s.a"}};
  for (int i = 0; i < 5000; ++i) {
    const std::string next = i == 4999 ? "1" : "1 FROM s.v" + std::to_string(i + 1);
    relations.push_back({"s", "v" + std::to_string(i), "v", "t", "SELECT " + next});
  }
  const auto catalogue = StatementCatalogue::from_rows({{}, {}, {}, relations});
  REQUIRE(catalogue);
  CHECK_FALSE((*catalogue)->relation_is_safe("s", "a"));
  CHECK_FALSE((*catalogue)->relation_is_safe("s", "v0"));
  CHECK((*catalogue)->relation_is_safe("s", "v4990"));
}

TEST_CASE("threads that judge the same views find the same") {
  const auto catalogue = small_catalogue();
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int& count : wrong) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        if (classify("SELECT * FROM deep, t", catalogue.get()).kind != StatementKind::read) ++count;
        if (classify("SELECT * FROM deep_bad", catalogue.get()).kind != StatementKind::write) ++count;
        if (classify("SELECT '1'::positive", catalogue.get()).kind != StatementKind::read) ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4, 0));
}
