// The goal of these tests: a catalogue takes nothing but well-formed rows, and is safe to share between
// threads.
#include <array>
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

TEST_CASE("keys of another form than the query's are refused, and those of no relation are nobody's") {
  const Rows relations{{"s", "a", "r", "f", ""}};
  const auto with_keys = [&](const Rows& keys) {
    return StatementCatalogue::from_rows({{}, {}, {}, relations, keys});
  };
  CHECK_FALSE(with_keys({{"s", "a", "t", "id"}}));
  CHECK_FALSE(with_keys({{"s", "a", "", "id", "t", ""}}));
  CHECK_FALSE(with_keys({{"s", "a", "t", "id", "", ""}}));
  CHECK_FALSE(with_keys({{"s", "a", "t", "id", "t", ""}, {"s", "a", "yes", "id", "t", ""}}));
  const auto other = with_keys({{"s", "b", "t", "id", "t", ""}, {"t", "a", "t", "id", "t", ""}});
  REQUIRE(other);
  const std::array<std::string_view, 1> id{"id"};
  CHECK_FALSE((*other)->relation_has_key("", "a", id));
  CHECK_FALSE((*other)->relation_has_key("s", "b", id));
  CHECK_FALSE((*other)->relation_takes_plain_rows("t", "a"));
}

TEST_CASE(
    "a key counts where every table of the name has it, all its columns are given and none of them acts") {
  const Rows relations{{"s", "a", "r", "f", ""},
                       {"s", "twin", "r", "f", ""},
                       {"other", "twin", "r", "f", ""},
                       {"s", "acts", "r", "t", ""},
                       {"s", "bare", "r", "f", ""}};
  const Rows keys{{"s", "a", "t", "id\nx\ty", "t", "r"},
                  {"s", "twin", "t", "id", "t", ""},
                  {"other", "twin", "f", "x", "f", ""},
                  {"s", "acts", "t", "id", "t", ""},
                  {"s", "bare", "t", "", "t", ""}};
  const auto read = StatementCatalogue::from_rows({{}, {}, {}, relations, keys});
  REQUIRE(read);
  const StatementCatalogue& catalogue = **read;
  const auto has = [&](std::string_view schema, std::string_view name,
                       std::vector<std::string_view> columns) {
    return catalogue.relation_has_key(schema, name, columns);
  };
  CHECK(has("", "a", {"id"}));
  CHECK(has("s", "a", {"z", "y", "x"}));
  CHECK_FALSE(has("", "a", {"x"}));
  CHECK_FALSE(has("", "a", {"x\ty"}));
  CHECK_FALSE(has("", "a", {"ID"}));
  CHECK_FALSE(has("", "a", {}));
  CHECK_FALSE(has("", "a", {""}));
  CHECK_FALSE(has("", "twin", {"id"}));
  CHECK(has("", "twin", {"id", "x"}));
  CHECK(has("s", "twin", {"id"}));
  CHECK_FALSE(has("other", "twin", {"id"}));
  CHECK_FALSE(has("third", "twin", {"id", "x"}));
  CHECK_FALSE(has("", "acts", {"id"}));
  CHECK_FALSE(has("", "bare", {"", "id"}));
  CHECK_FALSE(has("", "unheard", {"id"}));
  CHECK(catalogue.relation_key_is("", "a", std::vector<std::string_view>{"id"}));
  CHECK(catalogue.relation_key_is("s", "a", std::vector<std::string_view>{"y", "x"}));
  CHECK_FALSE(catalogue.relation_key_is("", "a", std::vector<std::string_view>{"id", "x"}));
  CHECK_FALSE(catalogue.relation_key_is("", "a", std::vector<std::string_view>{"x", "x"}));
  CHECK_FALSE(catalogue.relation_key_is("other", "twin", std::vector<std::string_view>{"x"}));
  CHECK_FALSE(catalogue.relation_key_is("s", "twin", std::vector<std::string_view>{"id"}));
  CHECK(catalogue.column_is_no_key("", "a", "z"));
  CHECK_FALSE(catalogue.column_is_no_key("", "a", "r"));
  CHECK_FALSE(catalogue.column_is_no_key("", "a", "y"));
  CHECK_FALSE(catalogue.column_is_no_key("", "twin", "z"));
  CHECK_FALSE(catalogue.column_is_no_key("", "unheard", "z"));
  CHECK(catalogue.relation_has_no_keys("", "bare"));
  CHECK_FALSE(catalogue.relation_has_no_keys("", "a"));
  CHECK_FALSE(catalogue.relation_has_no_keys("", "unheard"));
  CHECK(catalogue.relation_takes_plain_rows("", "a"));
  CHECK(catalogue.relation_takes_plain_rows("", "bare"));
  CHECK(catalogue.relation_takes_plain_rows("s", "twin"));
  CHECK_FALSE(catalogue.relation_takes_plain_rows("", "twin"));
  CHECK_FALSE(catalogue.relation_takes_plain_rows("", "acts"));
  CHECK_FALSE(catalogue.relation_takes_plain_rows("", "unheard"));
}

TEST_CASE("beside implicit calls that may write nothing needs no order") {
  const Rows functions{{"pg_catalog", "abs", "s", "f"}};
  const Rows relations{{"s", "a", "r", "f", ""}};
  const Rows keys{{"s", "a", "t", "id", "t", ""}};
  const auto is_local = [&](const Rows& operators, const Rows& types, const char* sql) {
    const auto read = StatementCatalogue::from_rows({functions, operators, types, relations, keys});
    REQUIRE(read);
    return classify(sql, read->get()).row_local;
  };
  const char* update = "UPDATE a SET n = abs(n) + 1 WHERE id = 1";
  CHECK(is_local({}, {}, update));
  CHECK_FALSE(is_local({{"s", "+"}}, {}, update));
  CHECK(is_local({{"s", "-"}}, {}, update));
  for (const Rows& implicit : {Rows{{"", ""}}, Rows{{"s", "="}}}) {
    CHECK_FALSE(is_local(implicit, {}, update));
    CHECK_FALSE(is_local(implicit, {}, "INSERT INTO a (id) VALUES (1)"));
  }
  CHECK_FALSE(is_local({}, {{"s", "odd", "i", ""}}, update));
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
