// The goal of these tests: a guess at the rows is the same however the statement came (as a text of its own,
// by the cache, bound), and differs where the rows do.
#include "server-relay/statements/row-target.h"

#include <random>

#include <catch2/catch.hpp>

#include "server-relay/statements/lexical-scan.h"
#include "server-relay/statements/parse-tree.h"
#include "server-relay/statements/statement-cache.h"
#include "tests/unit/statements/statement-fixtures.h"

using namespace pgtandem;
using namespace pgtandem::testing;
using Source = RowTarget::Term::Source;

namespace {

RowTarget target_of(std::string_view sql) {
  const auto tree = ParseTree::parse(std::string(sql));
  if (!tree) throw std::runtime_error(std::string(sql));
  return find_row_target(*tree->statements()[0]->stmt, sql);
}

std::uint64_t key_of(std::string_view sql, std::optional<std::string_view> parameter = std::nullopt) {
  return row_key(target_of(sql), sql, [&](std::size_t) { return parameter; });
}

/// The table t with the key id.
std::shared_ptr<const StatementCatalogue> keyed_catalogue() {
  using Rows = std::vector<std::vector<std::string>>;
  const Rows functions{{"pg_catalog", "now", "s", "f"}};
  const Rows relations{{"public", "t", "r", "f", ""}};
  const Rows keys{{"public", "t", "t", "id", "t", ""}};
  return *StatementCatalogue::from_rows({functions, {}, {}, relations, keys});
}

/// "relation: column=source, ..." with what the source names.
std::string shown(std::string_view sql) {
  const RowTarget target = target_of(sql);
  std::string out = target.relation + ":";
  for (const RowTarget::Term& term : target.terms) {
    out += " " + term.column + "=";
    if (term.source == Source::number) out += "number " + std::to_string(term.index);
    if (term.source == Source::parameter) out += "parameter " + std::to_string(term.index);
    if (term.source == Source::fixed) out += "'" + term.text + "'";
  }
  return out;
}

}  // namespace

TEST_CASE("the comparisons that all of a WHERE needs make the target") {
  CHECK(shown("UPDATE t SET a = 1 WHERE id = 2") == "t: id=number 1");
  CHECK(shown("UPDATE s.t AS x SET a = 1 WHERE x.id = 2 AND 'k' = s.x.k") == "t: id=number 1 k='k'");
  CHECK(shown("DELETE FROM t WHERE id = $2 AND n > 5") == "t: id=parameter 1");
  CHECK(shown("DELETE FROM t WHERE id = $1::int8 AND k = ('a'::text)::varchar") == "t: id=parameter 0 k='a'");
  CHECK(shown("SELECT 1 FROM t WHERE id = 2 FOR UPDATE") == "t: id=number 1");
  CHECK(shown("SELECT 1 FROM t WHERE id = 2 FOR NO KEY UPDATE") == "t: id=number 1");
  CHECK(shown("UPDATE t SET a = 1 WHERE id = 99999999999") == "t: id=number 1");
  CHECK(shown("UPDATE t SET a = 1 WHERE (id = 1 AND (b = 2 AND c = 3))") ==
        "t: id=number 1 b=number 2 c=number 3");
}

TEST_CASE("what is no comparison with a value, or not needed by all, is left out") {
  for (const char* where :
       {"id > 1", "id = 1 OR id = 2", "NOT id = 1", "id IN (1)", "id = ANY ($1)", "id = n", "id = n + 1",
        "id = (SELECT 1)", "id = 1.5", "id = NULL", "id = true", "id OPERATOR(s.=) 1", "id = -1", "true"}) {
    INFO(where);
    CHECK(target_of(std::string("UPDATE t SET a = 1 WHERE ") + where).terms.empty());
    CHECK(key_of(std::string("UPDATE t SET a = 1 WHERE ") + where, "1") == 0);
  }
}

TEST_CASE("statements that wait for no row, or whose rows are of several relations, have no target") {
  for (const char* sql :
       {"SELECT 1 FROM t WHERE id = 1", "SELECT 1 FROM t WHERE id = 1 FOR UPDATE SKIP LOCKED",
        "SELECT 1 FROM t WHERE id = 1 FOR UPDATE NOWAIT", "SELECT 1 FROM t WHERE id = 1 FOR SHARE",
        "SELECT 1 FROM t WHERE id = 1 FOR KEY SHARE", "SELECT 1 FROM t, u WHERE id = 1 FOR UPDATE",
        "SELECT 1 FROM t JOIN u USING (id) WHERE id = 1 FOR UPDATE", "UPDATE t SET a = 1 FROM u WHERE id = 1",
        "DELETE FROM t USING u WHERE id = 1", "INSERT INTO t VALUES (1)", "TRUNCATE t", "SHOW all"}) {
    INFO(sql);
    CHECK(shown(sql) == ":");
    CHECK(key_of(sql) == 0);
  }
}

TEST_CASE("a target has a bound, and so have the numbers that are looked at") {
  std::string sql = "UPDATE t SET a = 0 WHERE c0 = 1";
  for (int i = 1; i < 20; ++i) sql += " AND c" + std::to_string(i) + " = 1";
  CHECK(target_of(sql).terms.size() == RowTarget::kMostTerms);
  std::string list = "UPDATE t SET a = ARRAY[1";
  for (int i = 0; i < 100; ++i) list += ", 1";
  CHECK(target_of(list + "] WHERE id = 1").terms.empty());
}

TEST_CASE("the same rows have the same key, however they are written") {
  const std::uint64_t key = key_of("UPDATE t SET a = 1 WHERE id = 7");
  CHECK(key != 0);
  CHECK(key == key_of("DELETE FROM t WHERE 7 = t.id AND n > 0"));
  CHECK(key == key_of("SELECT 1, 2, 3 FROM public.t WHERE id = 7 FOR UPDATE"));
  CHECK(key == key_of("UPDATE t SET a = 1 WHERE id = '7'"));
  CHECK(key == key_of("UPDATE t SET a = $2 WHERE id = $1", "7"));
  CHECK(key != key_of("UPDATE t SET a = 1 WHERE id = 8"));
  CHECK(key != key_of("UPDATE u SET a = 1 WHERE id = 7"));
  CHECK(key != key_of("UPDATE t SET a = 1 WHERE ix = 7"));
  CHECK(key_of("UPDATE t SET a = 1 WHERE id = $1") == 0);
  CHECK(key_of("UPDATE t SET a = 1 WHERE id = $1", "") != 0);
}

TEST_CASE("numbers that are fixed give the key that their text gave") {
  const std::string_view sql = "UPDATE t SET a = 5 WHERE id = 7 AND k = $1 AND s = 'x'";
  RowTarget target = target_of(sql);
  const auto value = [](std::size_t) { return std::optional<std::string_view>("v"); };
  const std::uint64_t key = row_key(target, sql, value);
  fix_numbers(target, sql);
  CHECK(row_key(target, "", value) == key);
  CHECK(row_key(target, "1 2 3 4", value) == key);
  RowTarget broken = target_of("UPDATE t SET a = 5 WHERE id = 7");
  CHECK(row_key(broken, "UPDATE t SET a = 5", value) == 0);
}

TEST_CASE("whole numbers are those that the key leaves open") {
  const auto numbers = [](std::string_view sql) {
    std::string out;
    for (const std::string_view number : whole_numbers(sql, 64)) out.append(number).append(",");
    return out;
  };
  CHECK(numbers("SELECT 1, 23") == "1,23,");
  CHECK(numbers("SELECT $1, x1, 1e5, 1x, t1.a2, _3, \xC3\xA9"
                "4") == "");
  CHECK(numbers("SELECT 1.5, .5, 1.") == "1,5,5,1,");
  CHECK(numbers("SELECT '1', 'it''s 2', 3") == "3,");
  CHECK(numbers("") == "");
  CHECK(numbers("7") == "7,");
  CHECK(whole_numbers("SELECT 1, 2, 3", 2).size() == 2);
  CHECK(whole_numbers("SELECT 1", 0).empty());
}

// Templates whose # are numbers: what the cache says of one filling by another one's entry must be what the
// parser says, and the key of the rows must follow the text at hand.
TEST_CASE("what a text is told by another text's entry in the cache is what it would be told alone") {
  static constexpr const char* kTemplates[] = {
      "UPDATE t SET a = # WHERE id = #",
      "UPDATE t SET a = a+# WHERE id=# AND b = #",
      "UPDATE t SET a = '#', b = # WHERE # = id",
      "UPDATE t SET a = #.# WHERE id = #",
      "UPDATE t SET a = # WHERE id = #.#",
      "UPDATE t SET a = #e1 WHERE id = #",
      "UPDATE t SET a = -# WHERE id = -#",
      "UPDATE t SET a = # WHERE id = $# AND b = #",
      "UPDATE t SET a = x# WHERE c# = # AND id = #",
      "UPDATE t SET a = 'it''s #' WHERE id = # AND k = '#'",
      "UPDATE t SET a = # WHERE id = #::int8",
      "UPDATE t SET a = # WHERE id = # -- #\n AND b = #",
      "UPDATE t SET a = # /* # */ WHERE id = #",
      "UPDATE t SET \"#\" = # WHERE id = #",
      "UPDATE t SET a = E'\\'#' WHERE id = #",
      "UPDATE t SET a = $a$ # $a$ WHERE id = #",
      "UPDATE t SET a = B'1' || X'#' WHERE id = #",
      "UPDATE t SET a = # WHERE id = #and b = #",
      "UPDATE t SET a = u&'#' WHERE id = #",
      "DELETE FROM t WHERE id = # OR id = #",
      "SELECT a FROM t WHERE id = # FOR UPDATE",
      "SELECT a FROM t WHERE id = # LIMIT #",
      "SELECT a::numeric(#,#), a::varchar(#) FROM t ORDER BY #",
      "SELECT now()::timestamp(#)",
      "INSERT INTO t VALUES (#, '#'), (#, $#)",
      "WITH w AS (SELECT #) SELECT # FROM w",
      "VALUES (#)",
  };
  const unsigned seed = GENERATE(range(1U, 11U));
  std::mt19937 random(seed);
  const auto catalogue = keyed_catalogue();
  StatementCache cache;
  int local = 0;
  const auto no_value = [](std::size_t) { return std::optional<std::string_view>("v"); };
  for (const char* shape : kTemplates) {
    for (int filling = 0; filling < 12; ++filling) {
      std::string sql;
      for (const char c : std::string_view(shape)) {
        static constexpr const char* kNumbers[] = {"0",   "1",          "7",          "12",
                                                   "007", "2147483647", "2147483648", "99999999999999999999"};
        if (c == '#') sql += kNumbers[random() % std::size(kNumbers)];
        if (c != '#') sql += c;
      }
      INFO(sql);
      const Statement alone = classify(sql, catalogue.get());
      const auto cached = cache.classify(sql, catalogue);
      if (alone.kind == StatementKind::opaque) continue;  // refused by the server, too
      CHECK(summary(*cached) == summary(alone));
      CHECK(cached->row_local == alone.row_local);
      local += alone.row_local ? 1 : 0;
      CHECK(row_key(cached->row_target, sql, no_value) == row_key(alone.row_target, sql, no_value));
    }
  }
  CHECK(cache.hits() > 50);
  CHECK(local > 50);
}
