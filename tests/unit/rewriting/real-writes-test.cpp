// The goal of these tests: rewritten statements leave both databases equal, answer under the original's
// columns, and compute what the original would have computed.
#include <catch2/catch.hpp>

#include "tests/unit/rewriting/real-pair.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

constexpr const char* kTables[] = {"plain",       "defaults", "\"Odd Name\"", "times",     "parts",
                                   "public.twin", "granted",  "ruled",        "extension", "dropped"};

/// Those that keep nothing of what servers compute.
constexpr const char* kWrites[] = {
    "INSERT INTO plain VALUES (1, now(), LOCALTIMESTAMP, CURRENT_DATE, LOCALTIME, CURRENT_TIME) RETURNING *",
    "INSERT INTO plain VALUES (2, CURRENT_TIMESTAMP(2), LOCALTIMESTAMP(1), 'tomorrow'::date, LOCALTIME(3), "
    "CURRENT_TIME(0), pg_catalog.timeofday()) RETURNING now(), CURRENT_DATE, CURRENT_TIME(3), id, now() AS x",
    "INSERT INTO plain (id, s, u, f) VALUES (3, upper(gen_random_uuid()::text), gen_random_uuid(), "
    "random()), "
    "(4, pg_catalog.timeofday(), gen_random_uuid(), pg_catalog.random()) RETURNING (now()), now()::date, "
    "CURRENT_TIMESTAMP(1), LOCALTIME(2)::text, 'now'::timestamp(3), timestamp(2) 'today', u, f",
    "INSERT INTO plain (id, a) SELECT i, clock.now + i * interval '1 s' FROM generate_series(11, 13) i, "
    "(SELECT now()) clock",
    "INSERT INTO plain (id, a) SELECT 14, now() GROUP BY now() ORDER BY now()",
    "INSERT INTO plain (id, a) SELECT 15, now() UNION ALL SELECT 16, NULL",
    "INSERT INTO plain (id, a) VALUES (1, now()) ON CONFLICT (id) DO UPDATE SET a = now() + interval '1 "
    "day', "
    "s = to_char(statement_timestamp(), 'US') WHERE plain.a <= now() RETURNING a, statement_timestamp()",
    "UPDATE plain SET a = now(), (b, d) = (now(), now()), s = CASE WHEN id > 1 THEN now()::text END "
    "WHERE a < now() + interval '1 day' RETURNING id, CASE WHEN id > 2 THEN NULL ELSE now() END",
    "DELETE FROM plain WHERE a < now() - interval '1 h' RETURNING transaction_timestamp()",
    "WITH c AS (INSERT INTO plain (id, f, a) VALUES (20, random(), now()) RETURNING *), d AS (SELECT now()) "
    "INSERT INTO plain (id, f, a) SELECT 21, c.f, d.now FROM c, d RETURNING *",
    "MERGE INTO plain USING (SELECT 30 AS id, now()) src ON plain.id = src.id WHEN MATCHED THEN DO NOTHING "
    "WHEN NOT MATCHED THEN INSERT (id, a) VALUES (src.id, now())",
    "SELECT echo(now()), now(), CURRENT_DATE",
    "SELECT DISTINCT now(), id FROM plain ORDER BY now(), id",
    "INSERT INTO plain (id, a) SELECT 40, x FROM generate_series(now(), now(), '1 h') x",
    "INSERT INTO defaults DEFAULT VALUES RETURNING *",
    "INSERT INTO defaults (n) VALUES (1), (2), (3) RETURNING *",
    "INSERT INTO defaults (id, at, u, n) VALUES (DEFAULT, DEFAULT, DEFAULT, DEFAULT), (1000, '2020-01-01', "
    "NULL, 1) RETURNING *",
    "INSERT INTO defaults VALUES (2000)",
    "INSERT INTO defaults VALUES (2001, '2020-01-01', DEFAULT) RETURNING *",
    "INSERT INTO defaults AS z OVERRIDING USER VALUE VALUES (2002) RETURNING z.id, z.up",
    "UPDATE defaults SET at = DEFAULT, day = DEFAULT, (zone, n) = (DEFAULT, 9), dom = DEFAULT RETURNING *",
    "INSERT INTO \"Odd Name\" VALUES (1) RETURNING *",
    "INSERT INTO \"Odd Name\" (\"a \"\"1\") SELECT id FROM plain ORDER BY id",
    "INSERT INTO times (n) VALUES (1), (2) RETURNING *",
    "INSERT INTO times (n) SELECT id FROM plain ORDER BY id RETURNING *",
    "INSERT INTO times VALUES (DEFAULT) RETURNING *",
    "INSERT INTO times VALUES (DEFAULT, DEFAULT, 4, DEFAULT) RETURNING *",
    "INSERT INTO parts (id) VALUES (1), (2) RETURNING tableoid::regclass, *",
    "INSERT INTO parts_1 SELECT 3 RETURNING *",
    "INSERT INTO public.twin (id) VALUES (1)",
    "INSERT INTO dropped VALUES (1), (2)",
    "INSERT INTO dropped SELECT 3",
    "INSERT INTO extension (n) VALUES (1), (2) RETURNING *",
    "INSERT INTO extension VALUES (other.uuid_generate_v1mc(), 3), (other.uuid_generate_v4(), 4)",
    "INSERT INTO plain (id, d) SELECT id + 60, now()::date FROM plain WHERE id < 3 GROUP BY id, now()::date "
    "ORDER BY id",
    "SELECT count(*), now() FROM plain GROUP BY now() HAVING now() > '2020-01-01' AND count(*) > 0",
    "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) INSERT INTO plain (id, a) VALUES (50, now())",
};

void check_tables() {
  for (const char* table : kTables) {
    const std::string sql = std::string("SELECT x::text FROM ") + table + " x ORDER BY 1";
    INFO(sql);
    CHECK(rows_of(run(real_pair().master(), sql).get()) == rows_of(run(real_pair().standby(), sql).get()));
  }
}

void clear_tables() {
  for (const char* table : kTables)
    real_pair().on_both(std::string("TRUNCATE ") + table + " RESTART IDENTITY");
  real_pair().on_both(
      "INSERT INTO plain (id, s, a) SELECT i, 'old', '2020-01-01' FROM generate_series(100, 110) i");
}

void check_same_answers(const PgResultPtr& master, const PgResultPtr& standby) {
  CHECK(std::string(PQresultErrorMessage(master.get())).empty());
  CHECK(rows_of(master.get()) == rows_of(standby.get()));
  CHECK(std::string(PQcmdStatus(master.get())) == PQcmdStatus(standby.get()));
}

}  // namespace

TEST_CASE("without rewriting the same statements leave the databases different") {
  clear_tables();
  for (const char* sql :
       {"INSERT INTO plain (id, f) VALUES (1, random())", "INSERT INTO times (n) VALUES (1)"}) {
    real_pair().on_both(sql);
  }
  for (const char* table : {"plain", "times"}) {
    const std::string sql = std::string("SELECT x::text FROM ") + table + " x ORDER BY 1";
    CHECK(rows_of(run(real_pair().master(), sql).get()) != rows_of(run(real_pair().standby(), sql).get()));
  }
}

TEST_CASE("with constants both databases are equal, and the columns are the original's") {
  clear_tables();
  const RealPair& pair = real_pair();
  for (const char* sql : kWrites) {
    INFO(sql);
    const RewritePlan plan = pair.plan(sql);
    CHECK_FALSE(plan.empty());
    CHECK(plan.not_rewritten().empty());
    const auto text = plan.text(pair.evaluate(plan));
    REQUIRE(text);
    INFO(text->text);
    CHECK(columns_of(pair.master(), text->text) == columns_of(pair.master(), sql));
    const PgResultPtr master = run(pair.master(), text->text);
    check_same_answers(master, run(pair.standby(), text->text));
    check_tables();
  }
}

TEST_CASE("with parameters both databases are equal, and the columns are the original's") {
  clear_tables();
  const RealPair& pair = real_pair();
  for (const char* sql : kWrites) {
    INFO(sql);
    const RewritePlan plan = pair.plan(sql);
    const OptionalValues values = pair.evaluate(plan);
    const std::string text = plan.parameter_text(plan.original_parameters(0)).text;
    INFO(text);
    CHECK(columns_of(pair.master(), text) == columns_of(pair.master(), sql));
    const PgResultPtr master = run(pair.master(), text, values, plan.parameter_types());
    check_same_answers(master, run(pair.standby(), text, values, plan.parameter_types()));
    check_tables();
  }
}

TEST_CASE("a table made from a query has the original's columns") {
  const RealPair& pair = real_pair();
  const std::string sql =
      "CREATE TABLE made AS SELECT now(), CURRENT_DATE, LOCALTIME(2), 'now'::timestamp(1), 1 AS n";
  const RewritePlan plan = pair.plan(sql);
  const auto columns = [&] { return columns_of(pair.master(), "SELECT * FROM made"); };
  pair.on_both(sql);
  const std::string original = columns();
  pair.on_both("DROP TABLE made");
  const OptionalValues values = pair.evaluate(plan);
  for (PGconn* connection : {pair.master(), pair.standby()}) run(connection, plan.text(values)->text);
  CHECK(columns() == original);
  const std::string rows = "SELECT * FROM made";
  CHECK(rows_of(run(pair.master(), rows).get()) == rows_of(run(pair.standby(), rows).get()));
  pair.on_both("DROP TABLE made");
  const std::string text = plan.parameter_text(0).text;
  for (PGconn* connection : {pair.master(), pair.standby()})
    run(connection, text, values, plan.parameter_types());
  CHECK(columns() == original);
  CHECK(rows_of(run(pair.master(), rows).get()) == rows_of(run(pair.standby(), rows).get()));
  pair.on_both("DROP TABLE made");
}

TEST_CASE("a constant is what the source would have given in the same transaction") {
  const RealPair& pair = real_pair();
  constexpr const char* kSources[] = {"now()",
                                      "transaction_timestamp()",
                                      "CURRENT_TIMESTAMP",
                                      "CURRENT_TIMESTAMP(0)",
                                      "CURRENT_TIMESTAMP(3)",
                                      "CURRENT_DATE",
                                      "CURRENT_TIME",
                                      "CURRENT_TIME(2)",
                                      "LOCALTIME",
                                      "LOCALTIME(0)",
                                      "LOCALTIMESTAMP",
                                      "LOCALTIMESTAMP(4)",
                                      "'now'::timestamptz",
                                      "' NOW'::timestamptz(1)",
                                      "'now'::timestamp",
                                      "'now'::date",
                                      "'now'::time",
                                      "'now'::timetz(2)",
                                      "'today'::date",
                                      "'today'::timestamp",
                                      "'today'::timestamptz",
                                      "'tomorrow'::date",
                                      "'tomorrow'::timestamptz",
                                      "'yesterday'::timestamp(0)",
                                      "date 'yesterday'",
                                      "timestamp with time zone 'tomorrow'",
                                      "time(2) with time zone 'now'",
                                      "CAST('today' AS timestamptz)",
                                      "timestamptz(2) 'now'",
                                      "pg_catalog.timestamptz 'today'"};
  for (const char* settings :
       {"SET LOCAL TimeZone = 'Europe/Berlin'; SET LOCAL DateStyle = 'German'",
        "SET LOCAL TimeZone = 'Pacific/Kiritimati'; SET LOCAL DateStyle = 'Postgres, DMY'",
        "SET LOCAL TimeZone = 'America/St_Johns'; SET LOCAL standard_conforming_strings = off",
        "SET LOCAL TimeZone = 'PST8PDT'; SET LOCAL search_path = other, pg_temp"}) {
    sql_on(pair.master(), "BEGIN");
    sql_on(pair.master(), settings);
    for (const char* source : kSources) {
      INFO(settings);
      INFO(source);
      const std::string prefix = "UPDATE x SET a = ";
      const RewritePlan plan = pair.plan(prefix + source);
      const std::string text = plan.text(pair.evaluate(plan))->text.substr(prefix.size());
      INFO(text);
      const std::string same = std::string("SELECT (") + source + ")::text = (" + text +
                               ")::text AND pg_typeof(" + source + ") = pg_typeof(" + text + ")";
      CHECK(sql_on(pair.master(), same) == "t");
    }
    sql_on(pair.master(), "ROLLBACK");
  }
}

TEST_CASE("errors are at the place where the original has them") {
  const RealPair& pair = real_pair();
  for (const char* sql :
       {"INSERT INTO plain (id, a, wrong) VALUES (1, now(), 2)",
        "INSERT INTO plain (id, a, s) VALUES (1, now(), CURRENT_DATE, wrong)",
        "UPDATE plain SET s = '\xE2\x82\xAC\xC3\xA4', a = now(), b = CURRENT_DATE WHERE wrong = 1",
        "INSERT INTO times (n) VALUES (1), (wrong) RETURNING id",
        "INSERT INTO times (n) SELECT wrong FROM plain",
        "UPDATE plain SET s = '\xE2\x82\xAC', a = now() || CURRENT_DATE || 5, b = now(1)"}) {
    INFO(sql);
    const RewritePlan plan = pair.plan(sql);
    CHECK_FALSE(plan.empty());
    const auto place = [&](const PgResultPtr& result) {
      const char* field = PQresultErrorField(result.get(), PG_DIAG_STATEMENT_POSITION);
      return field != nullptr ? std::stoul(field) : 0UL;
    };
    const auto expected = place(run(pair.master(), sql));
    REQUIRE(expected > 0);
    const OptionalValues values = pair.evaluate(plan);
    const auto text = plan.text(values);
    CHECK(text->positions.original(place(run(pair.master(), text->text))) == expected);
    const RewrittenText parameters = plan.parameter_text(0);
    const auto result = run(pair.master(), parameters.text, values, plan.parameter_types());
    CHECK(parameters.positions.original(place(result)) == expected);
  }
}
