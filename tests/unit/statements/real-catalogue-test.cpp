// The goal of these tests: the catalogue of a real server proves what clients really send to be reads, and
// nothing that writes.
#include <fstream>

#include <catch2/catch.hpp>

#include "tests/unit/statements/real-database.h"
#include "tests/unit/statements/statement-fixtures.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

constexpr const char* kDatabase = "statements";

/// What the queries of psql and pg_dump in the data files were recorded with, and what is hard to judge.
constexpr const char* kObjects[] = {
    "CREATE TABLE pt (a serial PRIMARY KEY, b text)",
    "CREATE VIEW pv AS SELECT * FROM pt",
    "CREATE TABLE pp (a int REFERENCES pt ON DELETE CASCADE, c int) PARTITION BY RANGE (c)",
    "CREATE TABLE pp1 PARTITION OF pp FOR VALUES FROM (0) TO (10)",
    "CREATE SEQUENCE us",
    "CREATE FUNCTION reads(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION writes(int) RETURNS bool LANGUAGE sql AS 'SELECT nextval(''us'') > $1'",
    "CREATE FUNCTION touch(pt) RETURNS bigint LANGUAGE sql AS 'SELECT nextval(''us'')'",
    "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE PROCEDURE proc() LANGUAGE sql AS 'SELECT 1'",
    "CREATE VIEW counting AS SELECT nextval('us')",
    "CREATE VIEW above AS SELECT * FROM counting, pv",
    "CREATE VIEW by_name AS SELECT * FROM pt WHERE reads(a) = 1 AND b IN (SELECT relname FROM pg_class)",
    "CREATE RECURSIVE VIEW numbers (n) AS SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 9",
    "CREATE MATERIALIZED VIEW kept AS SELECT nextval('us')",
    "CREATE TABLE guarded (a int)",
    "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY",
    "CREATE TABLE audited (a int)",
    "CREATE TRIGGER audit BEFORE UPDATE ON audited FOR EACH ROW EXECUTE FUNCTION audit()",
    "CREATE TABLE parent (c int) PARTITION BY RANGE (c)",
    "CREATE TABLE child PARTITION OF parent FOR VALUES FROM (0) TO (10)",
    "CREATE TRIGGER audit BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION audit()",
    "CREATE FOREIGN DATA WRAPPER none",
    "CREATE SERVER elsewhere FOREIGN DATA WRAPPER none",
    "CREATE FOREIGN TABLE away (a int) SERVER elsewhere",
    "CREATE TABLE mixed (c int) PARTITION BY RANGE (c)",
    "CREATE FOREIGN TABLE far PARTITION OF mixed FOR VALUES FROM (0) TO (10) SERVER elsewhere",
    "CREATE DOMAIN small AS int CHECK (VALUE < 9)",
    "CREATE TABLE pgbench_accounts (aid int, bid int, abalance int, filler char(84))",
    "CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))",
    "CREATE TABLE pgbench_branches (bid int, bbalance int)",
    "CREATE TABLE pgbench_tellers (tid int, bid int, tbalance int)",
};

RealDatabase& real() {
  static RealDatabase one(kDatabase, kObjects);
  return one;
}

const StatementCatalogue* catalogue() {
  static const auto read = real().read();
  return read.get();
}

std::vector<std::string> lines(const std::string& file) {
  std::ifstream in(std::string(STATEMENTS_TEST_DATA) + "/" + file);
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

StatementKind kind(std::string_view sql) {
  return classify(sql, catalogue()).kind;
}

}  // namespace

TEST_CASE("every catalogue query behind psql's commands is a read") {
  const auto queries = lines("psql-15-queries.txt");
  CHECK(queries.size() > 100);
  for (const std::string& query : queries) {
    INFO(query);
    CHECK(kind(query) == StatementKind::read);
  }
}

TEST_CASE("all that pg_dump sends is a read or touches its session, save for its locks") {
  const auto queries = lines("pg-dump-15-queries.txt");
  CHECK(queries.size() > 80);
  for (const std::string& query : queries) {
    INFO(query);
    const Statement statement = classify(query, catalogue());
    switch (statement.kind) {
      case StatementKind::read:
      case StatementKind::session:
      case StatementKind::begin:
        CHECK((!query.starts_with("PREPARE") || statement.inner_reads));
        break;
      case StatementKind::execute:
        CHECK(statement.inner_reads);
        break;
      default:
        CHECK(query.starts_with("LOCK TABLE"));
        CHECK(query.ends_with("IN ACCESS SHARE MODE"));
        CHECK(statement.kind == StatementKind::write);
    }
  }
}

TEST_CASE("every system view can be read") {
  const auto views = real().rows(
      "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
      "WHERE c.relkind = 'v' AND n.nspname IN ('pg_catalog', 'information_schema')");
  CHECK(views.size() > 100);
  for (const auto& view : views) {
    INFO(view[0]);
    CHECK(kind("SELECT * FROM " + view[0]) == StatementKind::read);
  }
}

TEST_CASE("the queries of pgbench and of drivers' metadata are what they are") {
  CHECK(kind("UPDATE pgbench_accounts SET abalance = abalance + -5 WHERE aid = 1;") == StatementKind::write);
  CHECK_FALSE(classify("UPDATE pgbench_tellers SET tbalance = tbalance + 1 WHERE tid = 1;", catalogue())
                  .may_use_sequences);
  CHECK(kind("SELECT abalance FROM pgbench_accounts WHERE aid = 1;") == StatementKind::read);
  CHECK(summary(classify("INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, 1, 5, "
                         "CURRENT_TIMESTAMP);",
                         catalogue())) == "write [now]");
  for (const char* query : {
           // PostgreSQL JDBC 42: getTables, getColumns, getPrimaryKeys, isValid and the rest in short
           "SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, c.relname AS TABLE_NAME, CASE n.nspname ~ "
           "'^pg_' OR "
           "n.nspname = 'information_schema' WHEN true THEN 'SYSTEM TABLE' ELSE 'TABLE' END AS TABLE_TYPE, "
           "d.description AS REMARKS FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c LEFT JOIN "
           "pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = "
           "'pg_class'::regclass) WHERE c.relnamespace = n.oid AND c.relname LIKE 'x' ORDER BY TABLE_TYPE",
           "SELECT * FROM (SELECT n.nspname, c.relname, a.attname, a.attnotnull OR (t.typtype = 'd' AND "
           "t.typnotnull) AS attnotnull, row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS "
           "attnum, "
           "pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc FROM pg_catalog.pg_namespace n JOIN "
           "pg_catalog.pg_class c ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON "
           "(a.attrelid = c.oid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN "
           "pg_catalog.pg_attrdef def ON (a.attrelid = def.adrelid AND a.attnum = def.adnum)) c WHERE true",
           "SELECT (information_schema._pg_expandarray(i.indkey)).n FROM pg_catalog.pg_index i",
           "SELECT typinput = 'pg_catalog.array_in'::regproc AS is_array, typtype, typname, pg_type.oid FROM "
           "pg_catalog.pg_type LEFT JOIN (SELECT ns.oid AS nspoid, ns.nspname, r.r FROM pg_namespace AS ns "
           "JOIN "
           "(SELECT s.r, (current_schemas(false))[s.r] AS nspname FROM generate_series(1, "
           "array_upper(current_schemas(false), 1)) AS s(r)) AS r USING (nspname)) AS sp ON sp.nspoid = "
           "typnamespace WHERE pg_type.oid = $1 ORDER BY sp.r, pg_type.oid DESC",
           "SHOW TRANSACTION ISOLATION LEVEL",
           "select current_schema()",
           "SELECT version()",
           "SELECT lastval()",
           "SELECT pg_is_in_recovery()",
           "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'",
           "SELECT t.oid, typarray FROM pg_type t JOIN pg_namespace ns ON typnamespace = ns.oid WHERE "
           "typname = "
           "'hstore'",
           "SELECT pid, state, query FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
       }) {
    INFO(query);
    CHECK(kind(query) == StatementKind::read);
  }
}

TEST_CASE("objects of users' own are judged by what they do") {
  for (const char* query : {
           "SELECT * FROM pt, pv, pp, us, kept, by_name, numbers, child",
           "SELECT reads(a) FROM pt",
           "SELECT 5::small, '{1}'::int[]",
           "SELECT pt.b, (pt).a FROM pt",
           "COPY pp TO STDOUT",
       }) {
    INFO(query);
    CHECK(kind(query) == StatementKind::read);
  }
  for (const char* query : {
           "SELECT writes(1)",
           "SELECT * FROM counting",
           "SELECT * FROM above",
           "SELECT pt.touch FROM pt",
           "SELECT * FROM guarded",
           "SELECT * FROM away",
           "SELECT * FROM mixed",
           "SELECT a FROM pt WHERE writes(a)",
           "SELECT proc()",
           "COPY guarded TO STDOUT",
           "UPDATE pt SET b = 'x'",
       }) {
    INFO(query);
    CHECK(kind(query) == StatementKind::write);
  }
  const auto moves_sequences = [](std::string_view sql) {
    return classify(sql, catalogue()).may_use_sequences;
  };
  CHECK_FALSE(moves_sequences("UPDATE guarded SET a = 1"));
  CHECK(moves_sequences("UPDATE audited SET a = 1"));
  CHECK(moves_sequences("UPDATE parent SET c = 1"));
  CHECK(moves_sequences("DELETE FROM pt"));
  CHECK(moves_sequences("UPDATE pv SET b = 'x'"));
  CHECK(classify("REINDEX TABLE pp", catalogue()).refuses_block);
}

TEST_CASE("every function that PostgreSQL declares volatile is a write unless it is known to be harmless") {
  // Those that were read one by one; a new one on this list has to be looked at, here and in
  // known-functions.cpp.
  const auto names = real().rows(
      "SELECT DISTINCT proname FROM pg_proc WHERE provolatile = 'v' AND pronamespace = "
      "'pg_catalog'::regnamespace");
  std::size_t safe = 0;
  for (const auto& name : names) safe += catalogue()->function_is_safe("pg_catalog", name[0]) ? 1 : 0;
  CHECK(names.size() > 150);
  CHECK(safe < 75);
  for (const char* name : {"nextval",
                           "setval",
                           "lo_create",
                           "lo_unlink",
                           "lowrite",
                           "lo_open",
                           "pg_notify",
                           "pg_advisory_lock",
                           "pg_advisory_xact_lock",
                           "pg_try_advisory_lock",
                           "pg_advisory_unlock",
                           "pg_cancel_backend",
                           "pg_terminate_backend",
                           "pg_reload_conf",
                           "pg_switch_wal",
                           "pg_create_physical_replication_slot",
                           "pg_logical_emit_message",
                           "pg_import_system_collations",
                           "pg_stat_reset",
                           "query_to_xml",
                           "ts_stat",
                           "ts_rewrite",
                           "table_to_xml",
                           "schema_to_xml",
                           "database_to_xml",
                           "pg_export_snapshot",
                           "pg_read_file",
                           "gin_clean_pending_list",
                           "brin_summarize_new_values",
                           "pg_promote",
                           "currtid2",
                           "pg_nextoid",
                           "binary_upgrade_create_empty_extension"}) {
    INFO(name);
    CHECK_FALSE(catalogue()->function_is_safe("", name));
  }
}

TEST_CASE(
    "the server takes as one statement in a block what is said not to refuse it, and the other way round") {
  const auto connection = shared_postgres().connect(kDatabase);
  const auto refused = [&](const std::string& sql) {
    PQclear(PQexec(connection.get(), "BEGIN"));
    PGresult* result = PQexec(connection.get(), sql.c_str());
    const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const bool in_block = state != nullptr && std::string_view(state) == "25001";
    PQclear(result);
    PQclear(PQexec(connection.get(), "ROLLBACK"));
    return in_block;
  };
  for (const char* sql : {"VACUUM pt",
                          "VACUUM FULL pt",
                          "ANALYZE pt",
                          "CREATE DATABASE x",
                          "DROP DATABASE IF EXISTS x",
                          "CREATE INDEX CONCURRENTLY ON pt (b)",
                          "CREATE INDEX ON pt (b)",
                          "DROP INDEX CONCURRENTLY pt_pkey",
                          "REINDEX TABLE pt",
                          "REINDEX TABLE pp",
                          "REINDEX TABLE CONCURRENTLY pt",
                          "REINDEX SCHEMA public",
                          "REINDEX DATABASE statements",
                          "REINDEX SYSTEM statements",
                          "CLUSTER",
                          "CLUSTER pt USING pt_pkey",
                          "ALTER SYSTEM SET work_mem = '1MB'",
                          "CREATE TABLESPACE x LOCATION '/nowhere'",
                          "DROP TABLESPACE x",
                          "DISCARD ALL",
                          "DISCARD PLANS",
                          "DISCARD TEMP",
                          "COMMIT PREPARED 'x'",
                          "ROLLBACK PREPARED 'x'",
                          "ALTER DATABASE statements SET TABLESPACE pg_default",
                          "ALTER DATABASE statements CONNECTION LIMIT -1",
                          "ALTER TABLE pp DETACH PARTITION pp1 CONCURRENTLY",
                          "ALTER TABLE pp DETACH PARTITION pp1",
                          "CREATE SUBSCRIPTION x CONNECTION '' PUBLICATION y",
                          "REFRESH MATERIALIZED VIEW kept",
                          "TRUNCATE pt, pp",
                          "LOCK TABLE pt",
                          "CREATE ROLE x",
                          "ALTER ROLE postgres SET work_mem = '4MB'",
                          "CHECKPOINT",
                          "LISTEN x",
                          "CREATE TYPE e AS ENUM ('a')",
                          "DROP VIEW pv",
                          "CALL proc()"}) {
    INFO(sql);
    CHECK(refused(sql) == classify(sql, catalogue()).refuses_block);
  }
}

TEST_CASE("the version of the catalogue changes with what it tells, and with nothing else") {
  const auto connection = shared_postgres().connect(kDatabase);
  const auto run = [&](const std::string& sql) { sql_on(connection.get(), sql); };
  std::string before = real().version();
  const auto changes = [&](const std::string& sql) {
    INFO(sql);
    run(sql);
    const std::string after = real().version();
    CHECK(after != before);
    before = after;
  };
  changes("CREATE FUNCTION later() RETURNS int LANGUAGE sql AS 'SELECT 1'");
  changes("ALTER FUNCTION later() STABLE");
  changes("DROP FUNCTION later()");
  changes("CREATE TABLE later (a int)");
  changes("ALTER TABLE later ENABLE ROW LEVEL SECURITY");
  changes("ALTER TABLE later RENAME TO still_later");
  changes("CREATE VIEW later AS SELECT 1 AS a");
  changes("CREATE OR REPLACE VIEW later AS SELECT nextval('us')::int AS a");
  changes("CREATE RULE later AS ON DELETE TO still_later DO INSTEAD NOTHING");
  changes("CREATE DOMAIN later_domain AS int CHECK (VALUE > 0)");
  changes("CREATE CAST (bool AS small) WITH INOUT");
  changes("DROP VIEW later");
  run("INSERT INTO pt (b) VALUES ('x')");
  run("ANALYZE pt");
  run("VACUUM pt");
  run("CREATE INDEX ON pt (b)");
  CHECK(real().version() == before);
}
