// The goal of these tests: no text can exhaust the stack, ordinary texts of any length are parsed, and the
// words and keys that are found without a parse agree with the parser.
#include "server-relay/statements/lexical-scan.h"

#include <chrono>
#include <functional>
#include <pthread.h>
#include <vector>

#include <catch2/catch.hpp>

#include "server-relay/statements/sql-lexer.h"
#include "tests/unit/statements/statement-fixtures.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  out.reserve(text.size() * times);
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

/// Runs `work` on a thread that has no more stack than the module says it needs.
void on_small_stack(const std::function<void()>& work) {
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, kParseStack) == 0);
  pthread_t thread{};
  REQUIRE(pthread_create(
              &thread, &attributes,
              [](void* argument) -> void* {
                (*static_cast<const std::function<void()>*>(argument))();
                return nullptr;
              },
              const_cast<std::function<void()>*>(&work)) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

/// A statement that nests `before` `times` times, then holds `middle`, then closes with `after`.
struct Shape {
  const char* start;
  const char* before;
  const char* middle;
  const char* after;

  std::string text(std::size_t times) const {
    return start + repeated(before, times) + middle + repeated(after, times);
  }
};

const std::vector<Shape> kShapes{
    {"SELECT ", "(", "1", ")"},
    {"SELECT ", "(", "", ""},
    {"SELECT ", "(1 + ", "1", ")"},
    {"SELECT ", "", "1", " + 1"},
    {"SELECT ", "", "1", "::int"},
    {"SELECT ", "", "1", " IS NULL"},
    {"SELECT ", "", "a", " AT TIME ZONE 'x'"},
    {"SELECT ", "", "a", " COLLATE \"C\""},
    {"SELECT ", "(", "a", ").b"},
    {"SELECT ", "", "a", "[1]"},
    {"SELECT ", "NOT ", "true", ""},
    {"SELECT ", "- ", "1", ""},
    {"SELECT ", "+", "1", ""},
    {"SELECT ", "+-+", "1", ""},
    {"SELECT ", "@ ", "1", ""},
    {"SELECT 1", "", "", "+1"},
    {"SELECT ", "(SELECT ", "1", ")"},
    {"SELECT ", "EXISTS (SELECT ", "1", ")"},
    {"SELECT ", "ARRAY(SELECT ", "1", ")"},
    {"SELECT ARRAY", "[", "1", "]"},
    {"SELECT ", "ROW(", "1", ")"},
    {"SELECT ", "f(", "1", ")"},
    {"SELECT ", "f(1, 2, ", "1", ")"},
    {"SELECT ", "COALESCE(a, ", "1", ")"},
    {"SELECT ", "CAST(", "1", " AS int)"},
    {"SELECT ", "CASE WHEN a THEN ", "1", " END"},
    {"SELECT ", "CASE WHEN b OR ", "a", " THEN 1 END"},
    {"SELECT ", "CASE ", "1", " WHEN 2 THEN 3 END"},
    {"SELECT 1", "", "", " UNION SELECT 1"},
    {"SELECT 1, 2", "", "", " UNION SELECT 1, 2"},
    {"", "(SELECT 1 UNION ", "SELECT 1", ")"},
    {"SELECT 1 FROM a", "", "", " CROSS JOIN b"},
    {"SELECT 1 FROM a", "", "", " JOIN b ON x AND y"},
    {"SELECT 1 FROM ", "a JOIN ", "b", " ON x"},
    {"SELECT 1 FROM ", "(", "a CROSS JOIN b", " CROSS JOIN c)"},
    {"SELECT * FROM ", "(SELECT * FROM ", "a", ") x"},
    {"", "WITH x AS (", "SELECT 1", ") SELECT 1"},
    {"SELECT ", "1 BETWEEN 0 AND NOT ", "1", ""},
    {"SELECT 1", "", "", " + a.or"},
    {"SELECT 1", "", "", " + a.and"},
    {"SELECT 1", "", "", " + join(1)"},
    {"SELECT 1", "", "", " OPERATOR(pg_catalog.+) 1"},
    {"SELECT ", "(", "1", " + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1)"},
    {"SELECT ", "a IN (", "1", ")"},
    {"SELECT ", "a = ANY (", "1", ")"},
    {"SELECT E'x'\n'\\'' || ", "- ", "'1'", ""},
    {"SELECT ", "/* , AND */ - ", "1", ""},
    {"SELECT ", "- -- , AND\n", "1", ""},
    {"SELECT ", "1 + $$,$$ || $a$ AND $$ $a$ || ", "1", ""},
    {"CREATE VIEW v AS SELECT ", "(", "1", " + 1)"},
    {"UPDATE t SET a = ", "(1 + ", "1", ")"},
    {"INSERT INTO t ", "SELECT (SELECT ", "1", ")"},
};

}  // namespace

TEST_CASE("no shape of nesting exhausts the stack, whatever its depth") {
  const auto catalogue = small_catalogue();
  on_small_stack([&] {
    for (const Shape& shape : kShapes) {
      INFO(shape.text(2));
      for (const std::size_t times : {1, 10, 100, 400, 1000, 3000, 10000, 40000, 200000}) {
        (void)classify(shape.text(times), catalogue.get());
      }
      // The deepest one that is still parsed.
      std::size_t parsed = 0;
      for (std::size_t step = 1024; step > 0; step /= 2) {
        if (parse_cost(shape.text(parsed + step)).is_bearable()) parsed += step;
      }
      (void)classify(shape.text(parsed), catalogue.get());
      CHECK(parsed >= 40);
    }
  });
}

TEST_CASE("a megabyte of hostile text takes no longer than a parse may") {
  for (const char* piece : {"(",   "[", "-",        "'",    "\"",    "/*",   "/**/",    "*/",  "$a$",
                            "- ",  "+", "+-",       "+*",   "CASE ", "NOT ", "SELECT ", "((,", "a.or+",
                            "'\n", "$", "E'\\''\n", "--\n", "1,",    "a,",   ";",       "\xc3"}) {
    INFO(piece);
    const std::string text = "SELECT " + repeated(piece, (1U << 20) / std::string_view(piece).size() - 8);
    const auto start = std::chrono::steady_clock::now();
    (void)classify(text, nullptr);
    const auto taken = std::chrono::steady_clock::now() - start;
    // Ten times the estimate, for slow machines and sanitizers.
    CHECK(taken < 10 * std::chrono::nanoseconds(kMaxParseNanoseconds));
  }
  CHECK(classify("SELECT " + repeated(" ", kMaxParsedText) + "1", nullptr).kind == StatementKind::opaque);
}

TEST_CASE("what lies side by side does not count as deep") {
  const auto catalogue = small_catalogue();
  const auto kind = [&](const std::string& text) { return classify(text, catalogue.get()).kind; };
  CHECK(kind("INSERT INTO t VALUES (1, 'x', now())" + repeated(", (2, 'y', now())", 2000)) ==
        StatementKind::write);
  CHECK(kind("INSERT INTO t VALUES (1, 'x', NULL)" + repeated(", (-2, 'y', 0.5)", 60000)) ==
        StatementKind::write);
  CHECK(kind("SELECT a FROM t WHERE a IN (1" + repeated(", 2", 15000) + ")") == StatementKind::read);
  CHECK(kind("SELECT a FROM t WHERE a = 1" + repeated(" OR a = 2 AND NOT b = 3", 2000)) ==
        StatementKind::read);
  CHECK(kind("SELECT CASE WHEN a = 1 THEN 2" + repeated(" WHEN a = 2 THEN 3", 3000) + " END FROM t") ==
        StatementKind::read);
  CHECK(kind("SELECT 1" + repeated(", a AS b", 1600) + " FROM t") == StatementKind::read);
  CHECK(kind("SELECT 1" + repeated(" UNION ALL SELECT a FROM t WHERE a = 1", 500)) == StatementKind::read);
  CHECK(kind("SELECT 1 FROM t" + repeated(" LEFT JOIN t x ON t.a = x.a AND x.b = 1", 100)) ==
        StatementKind::read);
  CHECK(kind("/" + repeated("*", 200) + "/ SELECT 1 /* " + repeated("=", 200) + " */") ==
        StatementKind::read);
}

TEST_CASE("an INSERT of constants is told without a parse, and as the parser tells it") {
  const auto catalogue = small_catalogue();
  for (const char* text : {
           "INSERT INTO t VALUES (1)",
           "insert into public.\"T 1\" (a, \"b c\") values (-1, +2.5), (.5, 'it''s'), (3., NULL);",
           "INSERT INTO a.b.c VALUES ($1, E'x\\'y', $$z$$), (DEFAULT, true, FALSE)",
           "INSERT INTO t /* x */ VALUES -- y\n (x'1f', b'0', N'c') ; -- z",
       }) {
    INFO(text);
    const auto known = classify_insert_of_constants(text);
    REQUIRE(known);
    // The same where the parser has to tell.
    CHECK(*known == classify("WITH x AS (SELECT 1) " + std::string(text), catalogue.get()));
  }
  for (const char* text : {"INSERT INTO t VALUES (1); DELETE FROM t",
                           "INSERT INTO t VALUES (nextval('q'))",
                           "INSERT INTO t VALUES (1 + 1)",
                           "INSERT INTO t VALUES (now())",
                           "INSERT INTO t VALUES ((1))",
                           "INSERT INTO t VALUES (1) RETURNING a",
                           "INSERT INTO t VALUES (current_date)",
                           "INSERT INTO t DEFAULT VALUES",
                           "INSERT INTO t VALUES (1",
                           "INSERT INTO t",
                           "INSERT INTO t VALUES ('a'::x)",
                           "INSERT INTO t VALUES (date 'now')",
                           "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
                           "INSERT INTO t SELECT 1",
                           "INSERT INTO t (a[1]) VALUES (1)",
                           "INSERT INTO t VALUES (1)(2)",
                           "INSERT INTO t VALUES ()",
                           "INSERT INTO t VALUES (1);;",
                           "INSERT INTO t VALUES ('a",
                           "INSERT INTO t VALUES (-)",
                           "INSERT INTO t VALUES (.)"}) {
    INFO(text);
    CHECK_FALSE(classify_insert_of_constants(text));
  }
}

TEST_CASE("tokens end where PostgreSQL's do") {
  const auto tokens = [](std::string_view text) {
    SqlLexer lexer(text);
    std::string out;
    for (SqlToken token = lexer.next(); token.kind != SqlToken::Kind::end; token = lexer.next())
      out.append(out.empty() ? "" : "|").append(token.text);
    return out;
  };
  CHECK(tokens("a.b,c;") == "a|.|b|,|c|;");
  CHECK(tokens("'a''b'c") == "'a''b'|c");
  CHECK(tokens("'a\\'d'c") == "'a\\'|d|'c");
  CHECK(tokens("e'a\\'b'c") == "e'a\\'b'|c");
  CHECK(tokens("E'a' -- x\n 'b\\'c' d") == "E'a' -- x\n 'b\\'c'|d");
  CHECK(tokens("E'a' 'b\\'c") == "E'a'|'b\\'|c");
  CHECK(tokens("U&'a\\'b") == "U&'a\\'|b");
  CHECK(tokens("u&\"a\"\"b\"c") == "u&\"a\"\"b\"|c");
  CHECK(tokens("U & 'a'") == "U|&|'a'");
  CHECK(tokens("$$a'$$b $x$ $$ $x$c$x$") == "$$a'$$|b|$x$ $$ $x$|c$x$");
  CHECK(tokens("a$1 $12b $a") == "a$1|$12|b|$|a");
  CHECK(tokens("a--b\nc/* d /* e */ f */g") == "a|c|g");
  CHECK(tokens("a<--b\n=/*c*/>d") == "a|<|=|>|d");
  CHECK(tokens("1.5e3x") == "1|.|5|e3x");
  CHECK(tokens("x'1f' b'01' n'a' z'a'") == "x'1f'|b'01'|n'a'|z|'a'");
  CHECK(tokens("\xc3\xa4$ä'") == "\xc3\xa4$ä|'");
  CHECK(tokens("E'a\\") == "E'a\\");
}

TEST_CASE("whole numbers make no other key, everything else does") {
  std::string key;
  const auto key_of = [&](std::string_view text) { return generalise_numbers(text, key) ? key : "no key"; };
  CHECK(key_of("SELECT a1 + 23 FROM t2 WHERE b=4711") == "SELECT a1 + 0 FROM t2 WHERE b=0");
  CHECK(key_of("\n update t set a='1 2',b=$12,c=1.50") == "\n update t set a='1 2',b=$12,c=0.0");
  CHECK(key_of("SELECT 1e5, 0x1F, 'it''s 5', x'12'") == "SELECT 1e5, 0x1F, 'it''s 5', x'12'");
  CHECK(key_of("VALUES(1,-22,333)") == "VALUES(0,-0,0)");
  for (const char* text :
       {"EXPLAIN (ANALYZE 0) DELETE FROM t", "FETCH 5 FROM c", "SELECT \"a 1\"", "SELECT 'a\\1'",
        "SELECT $$1$$", "SELECT 1 -- 1", "SELECT /* 1 */ 1", "SELECTED 1", ""}) {
    CHECK(key_of(text) == "no key");
  }
}

TEST_CASE("the words that need no parser are what the parser says") {
  for (const char* text :
       {"BEGIN", "begin;", " BEGIN WORK ;", "START TRANSACTION", "COMMIT", "Commit Transaction", "END",
        "END WORK", "ROLLBACK", "ABORT TRANSACTION", "rollback work"}) {
    INFO(text);
    const auto known = classify_by_words(text);
    REQUIRE(known);
    // The same with a remark too long for the fast path.
    CHECK(*known == classify(std::string(text) + repeated(" ", 99), nullptr));
  }
  for (const char* text : {"START", "BEGIN READ ONLY", "COMMIT AND CHAIN", "ROLLBACK TO a", "END;;",
                           "BEGIN; COMMIT", "SELECT", "BEGIN 1", "(BEGIN)", "COMMIT PREPARED 'a'", "/*"}) {
    INFO(text);
    CHECK_FALSE(classify_by_words(text));
  }
}
