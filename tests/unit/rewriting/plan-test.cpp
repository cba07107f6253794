// The goal of these tests: what the servers would compute differently is replaced at its place, and nothing
// else of the text changes.
#include <vector>

#include <catch2/catch.hpp>

#include "tests/unit/rewriting/rewriting-fixtures.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

struct Row {
  const char* sql;
  std::string expected;
};

const std::string kTime = "('<1>'::pg_catalog.timestamptz)";
const std::string kSecondTime = "('<2>'::pg_catalog.timestamptz)";

void check_all(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    INFO(row.sql);
    CHECK(rewritten(row.sql) == row.expected);
  }
}

}  // namespace

TEST_CASE("every spelling of the transaction's time becomes one constant of the same type") {
  check_all({
      {"UPDATE x SET a = now()", "UPDATE x SET a = " + kTime},
      {"UPDATE x SET a = NOW ( )", "UPDATE x SET a = " + kTime},
      {"UPDATE x SET a = pg_catalog.now()", "UPDATE x SET a = " + kTime},
      {"UPDATE x SET a = \"pg_catalog\" . \"now\"()", "UPDATE x SET a = " + kTime},
      {"UPDATE x SET a = transaction_timestamp()", "UPDATE x SET a = " + kTime},
      {"UPDATE x SET a = CURRENT_TIMESTAMP", "UPDATE x SET a = " + kTime},
      {"UPDATE x SET a = current_timestamp(3)",
       "UPDATE x SET a = (" + kTime + "::pg_catalog.timestamptz(3))"},
      {"UPDATE x SET a = CURRENT_DATE", "UPDATE x SET a = (" + kTime + "::pg_catalog.date)"},
      {"UPDATE x SET a = CURRENT_TIME", "UPDATE x SET a = (" + kTime + "::pg_catalog.timetz)"},
      {"UPDATE x SET a = CURRENT_TIME(0)", "UPDATE x SET a = (" + kTime + "::pg_catalog.timetz(0))"},
      {"UPDATE x SET a = LOCALTIME", "UPDATE x SET a = (" + kTime + "::pg_catalog.time)"},
      {"UPDATE x SET a = LOCALTIME ( 2 )", "UPDATE x SET a = (" + kTime + "::pg_catalog.time(2))"},
      {"UPDATE x SET a = LOCALTIMESTAMP", "UPDATE x SET a = (" + kTime + "::pg_catalog.timestamp)"},
      {"UPDATE x SET a = LOCALTIMESTAMP(6)", "UPDATE x SET a = (" + kTime + "::pg_catalog.timestamp(6))"},
      {"UPDATE x SET a = now(), b = CURRENT_DATE",
       "UPDATE x SET a = " + kTime + ", b = (" + kTime + "::pg_catalog.date)"},
      {"UPDATE x SET a = now(), b = statement_timestamp()",
       "UPDATE x SET a = " + kTime + ", b = " + kSecondTime},
  });
  CHECK(plan_of("UPDATE x SET a = now(), b = CURRENT_DATE").expressions() ==
        std::vector<std::string>{"pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.now()), "
                                 "'YYYY-MM-DD HH24:MI:SS.US\"+00\"')"});
}

TEST_CASE("large objects whose oid the server would choose get one that is chosen once") {
  const std::string oid = "('<1>'::pg_catalog.oid)";
  check_all({
      {"SELECT lo_create(0)", "SELECT lo_create(" + oid + ")"},
      {"SELECT pg_catalog.lo_create( 0 ) AS made", "SELECT pg_catalog.lo_create( " + oid + " ) AS made"},
      {"SELECT lo_creat(-1)", "SELECT pg_catalog.lo_create(" + oid + ") AS \"lo_creat\""},
      {"SELECT lo_from_bytea(0, $1)", "SELECT lo_from_bytea(" + oid + ", $1)"},
      {"SELECT lo_import('/etc/hostname')", "SELECT lo_import('/etc/hostname', " + oid + ")"},
      {"INSERT INTO x VALUES (lo_create(0), lo_creat(131072))",
       "INSERT INTO x VALUES (lo_create(" + oid + "), pg_catalog.lo_create(('<2>'::pg_catalog.oid)))"},
      {"SELECT lo_create(4711)", "same"},
      {"SELECT lo_create($1)", "same"},
      {"SELECT own.lo_create(0)", "same"},
      {"SELECT lo_creat($1)", "same"},
      {"SELECT lo_create(0) FROM x", "same [large object]"},
      {"SELECT lo_create(0), generate_series(1, 2)", "same [large object]"},
      {"INSERT INTO x SELECT lo_create(0) FROM y", "same [large object]"},
      {"SELECT lo_create(0) WHERE false", "same [large object]"},
  });
}

TEST_CASE("the words that a date may be written with become constants of their type") {
  check_all({
      {"UPDATE x SET a = 'now'::timestamptz", "UPDATE x SET a = " + kTime + "::timestamptz"},
      {"UPDATE x SET a = ' NOW '::timestamp(0)", "UPDATE x SET a = " + kTime + "::timestamp(0)"},
      {"UPDATE x SET a = 'today'::date", "UPDATE x SET a = (" + kTime + "::pg_catalog.date)::date"},
      {"UPDATE x SET a = 'tomorrow'::timestamp",
       "UPDATE x SET a = ((" + kTime + "::pg_catalog.date) OPERATOR(pg_catalog.+) 1)::timestamp"},
      {"UPDATE x SET a = 'yesterday'::pg_catalog.date",
       "UPDATE x SET a = ((" + kTime + "::pg_catalog.date) OPERATOR(pg_catalog.-) 1)::pg_catalog.date"},
      {"UPDATE x SET a = CAST('now' AS time with time zone)",
       "UPDATE x SET a = CAST(" + kTime + " AS time with time zone)"},
      {"UPDATE x SET a = E'no\\x77'::date, b = $$now$$::date, c = U&'!006eow' UESCAPE '!'::date",
       "UPDATE x SET a = " + kTime + "::date, b = " + kTime + "::date, c = " + kTime + "::date"},
      {"UPDATE x SET a = 'n'\n 'ow'::date", "UPDATE x SET a = " + kTime + "::date"},
      {"UPDATE x SET a = date'today'+1", "UPDATE x SET a = ((" + kTime + "::pg_catalog.date)::date)+1"},
      {"UPDATE x SET a = timestamp (0) /* c */ with time zone 'now'",
       "UPDATE x SET a = (" + kTime + "::timestamp (0) /* c */ with time zone )"},
      {"UPDATE x SET a = 'now'::text", "same"},
      {"UPDATE x SET a = 'now', b = 'today'", "same [now]"},
      {"UPDATE x SET a = 'allballs'::time, b = 'infinity'::date, c = '2020-01-01'::date", "same"},
      {"UPDATE x SET a = 'today 08:00'::timestamp", "same [now]"},
      {"UPDATE x SET a = 'now'::text::timestamp", "same [now]"},
      {"UPDATE x SET a = '{now}'::date[]", "same [now]"},
      {"UPDATE x SET a = 'now'::app.date", "same [now]"},
  });
}

TEST_CASE("sources are found wherever an expression stands") {
  check_all({
      {"INSERT INTO x VALUES (1, now()), (2, now())",
       "INSERT INTO x VALUES (1, " + kTime + "), (2, " + kTime + ")"},
      {"INSERT INTO x SELECT a, now() FROM y WHERE b < now()",
       "INSERT INTO x SELECT a, " + kTime + " AS \"now\" FROM y WHERE b < " + kTime},
      {"DELETE FROM x WHERE a < now() - interval '1 day'",
       "DELETE FROM x WHERE a < " + kTime + " - interval '1 day'"},
      {"WITH c AS (DELETE FROM x WHERE a < now() RETURNING *) INSERT INTO y SELECT * FROM c",
       "WITH c AS (DELETE FROM x WHERE a < " + kTime + " RETURNING *) INSERT INTO y SELECT * FROM c"},
      {"INSERT INTO x VALUES (1) ON CONFLICT (a) DO UPDATE SET b = now() WHERE x.b < now()",
       "INSERT INTO x VALUES (1) ON CONFLICT (a) DO UPDATE SET b = " + kTime + " WHERE x.b < " + kTime},
      {"UPDATE x SET (a, b) = (now(), now())", "UPDATE x SET (a, b) = (" + kTime + ", " + kTime + ")"},
      {"UPDATE x SET (a, b) = (SELECT 1, now())",
       "UPDATE x SET (a, b) = (SELECT 1, " + kTime + " AS \"now\")"},
      {"MERGE INTO x USING y ON x.a = y.a WHEN MATCHED AND b < now() THEN UPDATE SET b = now() "
       "WHEN NOT MATCHED THEN INSERT VALUES (1, now())",
       "MERGE INTO x USING y ON x.a = y.a WHEN MATCHED AND b < " + kTime + " THEN UPDATE SET b = " + kTime +
           " WHEN NOT MATCHED THEN INSERT VALUES (1, " + kTime + ")"},
      {"CREATE TABLE y AS SELECT now(), CURRENT_DATE AS d",
       "CREATE TABLE y AS SELECT " + kTime + " AS \"now\", (" + kTime + "::pg_catalog.date) AS d"},
      {"SELECT f(now(), ARRAY[now()])", "SELECT f(" + kTime + ", ARRAY[" + kTime + "])"},
      {"EXPLAIN ANALYZE UPDATE x SET a = now()", "EXPLAIN ANALYZE UPDATE x SET a = " + kTime},
      {"SELECT * FROM generate_series(now(), now(), '1 h') FOR UPDATE",
       "SELECT * FROM generate_series(" + kTime + ", " + kTime + ", '1 h') FOR UPDATE"},
      {"UPDATE x SET a = CASE WHEN b THEN now()ELSE now()END",
       "UPDATE x SET a = CASE WHEN b THEN " + kTime + "ELSE " + kTime + "END"},
  });
}

TEST_CASE("an expression that is stored, or takes no replacement, is left alone and noted") {
  check_all({
      {"CREATE TABLE y (a timestamptz DEFAULT now(), CHECK (a < now()))", "same"},
      {"CREATE VIEW y AS SELECT now()", "same"},
      {"CREATE MATERIALIZED VIEW y AS SELECT now()", "same [now]"},
      {"CREATE FUNCTION f() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'", "same"},
      {"CREATE RULE r AS ON INSERT TO x DO ALSO INSERT INTO y VALUES (now())", "same"},
      {"CREATE INDEX ON x (a) WHERE a < now()", "same"},
      {"CREATE POLICY p ON x USING (a < now())", "same"},
      {"ALTER TABLE x ALTER a SET DEFAULT now()", "same"},
      {"PREPARE p AS INSERT INTO x VALUES (now(), random())", "same [now; random]"},
      {"EXECUTE p(now())", "same [now]"},
      {"COPY (SELECT now()) TO STDOUT", "same [now]"},
      {"SELECT * FROM now() FOR UPDATE", "same [now]"},
      {"SELECT * FROM current_date AS d FOR UPDATE", "same [now]"},
      {"UPDATE x SET a = age(b)", "same [now]"},
      {"UPDATE x SET a = app.now()", "same [now]"},
      {"UPDATE x SET a = now(1)", "same [now]"},
      {"UPDATE x SET a = random()", "same [random]"},
      {"INSERT INTO x SELECT gen_random_uuid()", "same [uuid]"},
      {"INSERT INTO x VALUES (1) ON CONFLICT (a) DO UPDATE SET b = clock_timestamp()",
       "same [clock_timestamp]"},
      {"UPDATE x SET a = 1", "same"},
      {"UPDATE x SET a = now(); UPDATE x SET a = now()", "same"},
      {"UPDATE x SET a = now(", "same"},
      {"", "same"},
  });
}

TEST_CASE("each volatile call in VALUES has a value of its own") {
  check_all({
      {"INSERT INTO x VALUES (random(), random()), (random(), now())",
       "INSERT INTO x VALUES (('<1>'::pg_catalog.float8), ('<2>'::pg_catalog.float8)), "
       "(('<3>'::pg_catalog.float8), ('<4>'::pg_catalog.timestamptz))"},
      {"INSERT INTO x VALUES (upper(gen_random_uuid()::text))",
       "INSERT INTO x VALUES (upper(('<1>'::pg_catalog.uuid)::text))"},
      {"INSERT INTO x VALUES (coalesce($1, public.uuid_generate_v4()), uuidv7(), clock_timestamp())",
       "INSERT INTO x VALUES (coalesce($1, ('<1>'::pg_catalog.uuid)), ('<2>'::pg_catalog.uuid), "
       "('<3>'::pg_catalog.timestamptz))"},
      {"INSERT INTO x VALUES (random(-5, 10), random(1, 5000000000), random_normal(0, 1.5))",
       "INSERT INTO x VALUES (('<1>'::pg_catalog.int4), ('<2>'::pg_catalog.int8), "
       "('<3>'::pg_catalog.float8))"},
      {"WITH c AS (INSERT INTO x VALUES (random()) RETURNING a) INSERT INTO y SELECT a FROM c",
       "WITH c AS (INSERT INTO x VALUES (('<1>'::pg_catalog.float8)) RETURNING a) "
       "INSERT INTO y SELECT a FROM c"},
      {"INSERT INTO x VALUES (random()) RETURNING random()",
       "INSERT INTO x VALUES (('<1>'::pg_catalog.float8)) RETURNING random() [random]"},
      {"INSERT INTO x VALUES ((SELECT random() FROM y))", "same [random]"},
      {"INSERT INTO x VALUES (random(a, 5), random(9, 1), uuidv7('1 h'::interval))", "same [random; uuid]"},
      {"INSERT INTO x VALUES (timeofday())", "same [clock_timestamp]"},  // a user's function may be meant
      {"INSERT INTO x VALUES (pg_catalog.timeofday())", "INSERT INTO x VALUES (('<1>'::pg_catalog.text))"},
      {"INSERT INTO x VALUES (uuidv4())", "same [uuid]"},  // not on this server
  });
  CHECK(plan_of("INSERT INTO x VALUES (random ( -5 , /* most */ 10), uuid_generate_v4())").expressions() ==
        std::vector<std::string>{"\"pg_catalog\".\"random\"( - 5 , 10 )",
                                 "\"public\".\"uuid_generate_v4\"( )"});
}

TEST_CASE("more volatile calls than an evaluation takes are left alone, but not the time") {
  const auto insert = [](std::size_t rows) {
    std::string sql = "INSERT INTO x VALUES (random(), now())";
    for (std::size_t i = 1; i < rows; ++i) sql += ", (random(), now())";
    return plan_of(sql);
  };
  CHECK(insert(kMaxOwnValues).expressions().size() == kMaxOwnValues + 1);
  CHECK(insert(kMaxOwnValues).not_rewritten().empty());
  CHECK(insert(kMaxOwnValues + 1).expressions().size() == 1);
  CHECK(insert(kMaxOwnValues + 1).not_rewritten() == std::vector<std::string>{"random"});
}

TEST_CASE("columns of a result keep their names") {
  const std::string date = "(" + kTime + "::pg_catalog.date)";
  check_all({
      {"INSERT INTO x VALUES (1) RETURNING now(), a",
       "INSERT INTO x VALUES (1) RETURNING " + kTime + " AS \"now\", a"},
      {"DELETE FROM x RETURNING transaction_timestamp(), CURRENT_DATE",
       "DELETE FROM x RETURNING " + kTime + " AS \"transaction_timestamp\", " + date +
           " AS \"current_date\""},
      {"DELETE FROM x RETURNING now() AS b, now() c",
       "DELETE FROM x RETURNING " + kTime + " AS b, " + kTime + " c"},
      {"DELETE FROM x RETURNING (now()), now()::date, CASE WHEN a THEN 1 ELSE now() END",
       "DELETE FROM x RETURNING ((SELECT " + kTime + " AS \"now\")), (SELECT " + kTime +
           " AS \"now\")::date, CASE WHEN a THEN 1 ELSE (SELECT " + kTime + " AS \"now\") END"},
      {"DELETE FROM x RETURNING now() + '1 h', date_trunc('h', now()), 'now'::date",
       "DELETE FROM x RETURNING " + kTime + " + '1 h', date_trunc('h', " + kTime + "), " + kTime + "::date"},
      {"DELETE FROM x RETURNING (SELECT CURRENT_DATE)",
       "DELETE FROM x RETURNING (SELECT " + date + " AS \"current_date\")"},
  });
}

TEST_CASE("where the server compares expressions, names are not kept at the price of an error") {
  check_all({
      {"SELECT DISTINCT now()::date, a FROM x ORDER BY now()::date", "same [now]"},
      {"SELECT CASE WHEN a THEN b ELSE now() END FROM x GROUP BY CASE WHEN a THEN b ELSE now() END",
       "same [now]"},
      {"SELECT f(a)::date FROM x WHERE b < now() GROUP BY 1",
       "SELECT f(a)::date FROM x WHERE b < " + kTime + " GROUP BY 1"},
      {"INSERT INTO x SELECT now()::date FROM y GROUP BY now()::date",
       "INSERT INTO x SELECT " + kTime + "::date FROM y GROUP BY " + kTime + "::date"},
      {"SELECT DISTINCT now(), a FROM x ORDER BY now()",
       "SELECT DISTINCT " + kTime + " AS \"now\", a FROM x ORDER BY " + kTime},
  });
}

TEST_CASE("comments, blanks and strange names stay") {
  check_all({
      {"/* now() */ UPDATE/**/x SET a=now/* b */(-- c\n)/* d */ -- now()",
       "/* now() */ UPDATE/**/x SET a=" + kTime + "/* b */-- c\n/* d */ -- now()"},
      {"UPDATE x SET \"now()\" = 'now()', b = $a$ now() $a$, c = E'\\' now()', d=now()",
       "UPDATE x SET \"now()\" = 'now()', b = $a$ now() $a$, c = E'\\' now()', d=" + kTime},
      {"UPDATE \xC3\xA4 SET \xC3\xB6 = '\xE2\x82\xAC', b = now() ;",
       "UPDATE \xC3\xA4 SET \xC3\xB6 = '\xE2\x82\xAC', b = " + kTime + " ;"},
      {"UPDATE x SET now = now.now, a = now()", "UPDATE x SET now = now.now, a = " + kTime},
  });
}

TEST_CASE("each class can be switched off") {
  const std::string sql = "INSERT INTO x VALUES (now(), random())";
  CHECK(rewritten(sql, {.time = false}) == "INSERT INTO x VALUES (now(), ('<1>'::pg_catalog.float8)) [now]");
  CHECK(rewritten(sql, {.volatile_values = false}) ==
        "INSERT INTO x VALUES (" + kTime + ", random()) [random]");
  CHECK(rewritten("UPDATE x SET a = CURRENT_DATE, b = 'now'::date", {.time = false}) == "same [now]");
}

TEST_CASE("without a catalogue only what every server has is replaced") {
  const auto words = [](std::string_view sql) { return rewrite_plan({.text = sql}).not_rewritten(); };
  CHECK(words("INSERT INTO x VALUES (now(), pg_catalog.random(), clock_timestamp(), timeofday())").empty());
  CHECK(words("INSERT INTO x VALUES (gen_random_uuid(), public.random())") ==
        std::vector<std::string>{"uuid", "random"});
}

TEST_CASE("in the extended protocol the values are parameters behind the text's own") {
  CHECK(with_parameters("UPDATE x SET a = now() WHERE b = $2") ==
        "UPDATE x SET a = ($3::pg_catalog.timestamptz) WHERE b = $2");
  CHECK(with_parameters("INSERT INTO x VALUES (now(), random(), CURRENT_DATE)") ==
        "INSERT INTO x VALUES (($1::pg_catalog.timestamptz), ($2::pg_catalog.float8), "
        "(($1::pg_catalog.timestamptz)::pg_catalog.date))");
  const RewritePlan plan =
      plan_of("INSERT INTO x VALUES ($1, random(), gen_random_uuid(), clock_timestamp())");
  CHECK(plan.parameter_types() == std::vector<std::uint32_t>{701, 2950, 1184});
  CHECK(plan.original_parameters(0) == 1);
  CHECK(plan.original_parameters(3) == 3);
  CHECK(plan.evaluation().starts_with(
      "SELECT \"pg_catalog\".\"random\"( ), \"pg_catalog\".\"gen_random_uuid\"( ), "));
}

TEST_CASE("constants are quoted for every setting of the session") {
  const RewritePlan plan = plan_of("INSERT INTO x VALUES (pg_catalog.timeofday())");
  const auto text = [&](const std::optional<std::string>& value) { return plan.text({{value}})->text; };
  CHECK(text("it's") == "INSERT INTO x VALUES (('it''s'::pg_catalog.text))");
  CHECK(text("a\\'b") == "INSERT INTO x VALUES ((E'a\\\\''b'::pg_catalog.text))");
  CHECK(text(std::nullopt) == "INSERT INTO x VALUES ((NULL::pg_catalog.text))");
  CHECK_FALSE(plan.text({}));
  CHECK(plan.text({}).error() == "the master gave 0 values where a rewritten statement needs 1");
}

TEST_CASE("a text that the server reads in another way is left alone") {
  const std::string escaped = "UPDATE x SET a = now(), b = 'c\\'";
  CHECK_FALSE(rewrite_plan({.text = escaped}).empty());
  CHECK(rewrite_plan({.text = escaped, .dialect = {.standard_strings = false}}).empty());
  const std::string beyond = "UPDATE x SET a = now(), b = '\x95\x5C'";
  CHECK(rewrite_plan({.text = beyond, .dialect = {.ascii_safe = false}}).empty());
}

TEST_CASE("places of the rewritten text are told as places of the original") {
  const std::string sql = "UPDATE \xC3\xA4 SET a = now(), b = CURRENT_DATE, c = wrong";
  const RewritePlan plan = plan_of(sql);
  const auto text = plan.text({{std::optional<std::string>("2026-01-02 03:04:05.678901+00")}});
  const auto place = [](std::string_view in, std::string_view what) {
    return count_characters(in.substr(0, in.find(what)), CharacterWidth::utf8) + 1;
  };
  const PositionMap& positions = text->positions;
  for (const char* word : {"UPDATE", "\xC3\xA4", "SET", "a = ", ", b", "b =", ", c", "c =", "wrong"}) {
    INFO(word);
    CHECK(positions.original(place(text->text, word)) == place(sql, word));
  }
  CHECK(positions.original(place(text->text, "('2026")) == place(sql, "now"));
  CHECK(positions.original(place(text->text, "04:05")) == place(sql, "now"));
  CHECK(positions.original(place(text->text, "::pg_catalog.date)")) == place(sql, "CURRENT_DATE"));
  CHECK(positions.original(0) == 0);
  const auto parameters = plan.parameter_text(0);
  CHECK(parameters.positions.original(place(parameters.text, "wrong")) == place(sql, "wrong"));
}

TEST_CASE("places are counted in characters of the client's encoding") {
  CHECK(character_width("UTF8") == CharacterWidth::utf8);
  CHECK(character_width("utf-8") == CharacterWidth::utf8);
  CHECK(character_width("LATIN1") == CharacterWidth::one_byte);
  CHECK(character_width("ISO_8859_5") == CharacterWidth::one_byte);
  CHECK(character_width("WIN1252") == CharacterWidth::one_byte);
  CHECK(character_width("EUC_JP") == CharacterWidth::unknown);
  CHECK(character_width("SQL_ASCII") == CharacterWidth::unknown);
  CHECK(character_width("win950") == CharacterWidth::unknown);
  const std::string sql = "UPDATE x SET \xE4 = now(), b = wrong";
  const auto plan = rewrite_plan({.text = sql, .width = CharacterWidth::one_byte});
  const auto text = plan.parameter_text(0);
  CHECK(text.positions.original(text.text.find("wrong") + 1) == sql.find("wrong") + 1);
  // Better the server's own place than a wrong one.
  const auto unknown = rewrite_plan({.text = sql, .width = CharacterWidth::unknown}).parameter_text(0);
  CHECK(unknown.positions.original(40) == 40);
}

TEST_CASE("the quick test lets nothing pass that would be rewritten") {
  const auto may = [](const char* sql) {
    Statement statement = classify(sql, nullptr);
    return may_need_rewriting(sql, statement, small_catalogue().get(), {});
  };
  for (const char* sql :
       {"UPDATE x SET a = now()", "INSERT INTO x VALUES (random())", "UPDATE x SET a = ' Today '::date",
        "INSERT INTO x VALUES (1, 'now')", "INSERT INTO t (id) VALUES (1)", "INSERT INTO public.t VALUES (1)",
        "INSERT INTO \"Odd\" VALUES (1)", "INSERT INTO LOG VALUES (1)", "CREATE ROLE x PASSWORD 'y'",
        "alter user x password 'y'", "COPY t (id) FROM STDIN", "PREPARE p AS INSERT INTO t (id) VALUES ($1)",
        "WITH a AS (INSERT INTO log DEFAULT VALUES) DELETE FROM x", "INSERT INTO \"o\"\"dd\" VALUES (1)"}) {
    INFO(sql);
    CHECK(may(sql));
  }
  for (const char* sql :
       {"UPDATE x SET a = 1", "INSERT INTO x VALUES (1, 'never')", "DELETE FROM x WHERE a = $1", "SELECT 1",
        "CREATE ROLE x", "INSERT INTO harmless VALUES (1)", "BEGIN"}) {
    INFO(sql);
    CHECK_FALSE(may(sql));
  }
}
