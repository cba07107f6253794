// The goal of these tests: every sort of statement is what its table row says, with a catalogue made by hand.
#include <vector>

#include <catch2/catch.hpp>

#include "tests/unit/statements/statement-fixtures.h"

using namespace pgtandem;
using namespace pgtandem::testing;

namespace {

struct Row {
  const char* sql;
  const char* expected;
};

void check_all(const std::vector<Row>& rows, const StatementCatalogue* catalogue) {
  for (const Row& row : rows) {
    INFO(row.sql);
    CHECK(summary(classify(row.sql, catalogue)) == row.expected);
  }
}

}  // namespace

TEST_CASE("nothing to do is empty") {
  check_all(
      {
          {"", "empty"},
          {" \n\t", "empty"},
          {";", "empty"},
          {";;  ;", "empty"},
          {"-- only a remark", "empty"},
          {"/* /* nested */ */", "empty"},
      },
      small_catalogue().get());
}

TEST_CASE("a query of known harmless things alone is a read") {
  check_all(
      {
          {"SELECT 1", "read"},
          {"SELECT", "read"},
          {"VALUES (1, 2), (3, 4)", "read"},
          {"TABLE t", "read"},
          {"SELECT a FROM t WHERE b = 'x' ORDER BY a LIMIT 5", "read"},
          {"SELECT a FROM t LIMIT 5", "read"},
          {"SELECT * FROM public.t", "read"},
          {"SELECT * FROM \"T 1\"", "read"},
          {"SELECT $1::int + 1", "read parameters"},
          {"SELECT now(), lower('A'), CURRENT_TIMESTAMP, current_user", "read"},
          {"SELECT count(*) FROM t JOIN m ON t.a = m.a", "read"},
          {"SELECT count(*) FROM t, LATERAL (SELECT 1) x", "read"},
          {"SELECT * FROM q", "read"},
          {"SELECT * FROM p", "read"},
          {"SELECT * FROM good", "read"},
          {"SELECT * FROM deep", "read"},
          {"SELECT relname FROM pg_class", "read"},
          {"WITH x AS (SELECT 1) SELECT * FROM x", "read"},
          {"WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 9) SELECT * FROM x",
           "read"},
          {"SELECT 1 UNION SELECT 2 EXCEPT SELECT 3", "read"},
          {"SELECT EXISTS (SELECT FROM t), a IN (SELECT 1) FROM t", "read"},
          {"SELECT CASE WHEN a THEN 1 ELSE 2 END, COALESCE(a, b), NULLIF(a, b), a BETWEEN 1 AND 2 FROM t",
           "read"},
          {"SELECT a LIKE 'x%', a SIMILAR TO 'x', a IS DISTINCT FROM b FROM t", "read"},
          {"SELECT row_number() OVER (ORDER BY a) FROM t", "read"},
          {"SELECT '1'::positive, CAST(2 AS int), ARRAY[1]::text[]", "read"},
          {"SELECT extract(year FROM now()), now() AT TIME ZONE 'utc'", "read"},
          {"SELECT * FROM generate_series(1, 3)", "read"},
          {"SELECT a FROM t TABLESAMPLE system (1)", "read"},
          {"SELECT pure(1), pg_catalog.lower('x'), public.twice(1)", "read"},
          {"SELECT \"My Func\"()", "read"},
          {"SELECT random(), clock_timestamp(), gen_random_uuid()", "read"},
          {"SELECT pg_is_in_recovery(), currval('q'), pg_relation_size('t')", "read"},
          {"SELECT pg_sleep(1)", "read"},
          {"SHOW search_path", "read"},
          {"SHOW transaction_isolation", "read"},
          {"SHOW ALL", "read settings"},
          {"SHOW lock_timeout", "read settings"},
          {"SELECT current_setting('statement_timeout')", "read settings"},
          {"SELECT current_setting('work_mem')", "read"},
          {"SELECT current_setting(a) FROM t", "read settings"},
          {"SELECT name FROM pg_settings", "read settings"},
          {"EXPLAIN SELECT 1", "read"},
          {"EXPLAIN INSERT INTO t VALUES (1)", "read"},
          {"EXPLAIN (ANALYZE false) DELETE FROM t", "read"},
          {"EXPLAIN (ANALYZE 0) DELETE FROM t", "read"},
          {"EXPLAIN ANALYZE SELECT a FROM t", "read inner"},
          {"EXPLAIN (VERBOSE, ANALYZE) SELECT a FROM t", "read inner"},
          {"EXPLAIN SELECT nextval('q')", "read"},
          {"COPY t TO STDOUT", "read"},
          {"COPY t (a, b) TO STDOUT WITH (FORMAT csv)", "read"},
          {"COPY (SELECT a FROM good) TO STDOUT", "read"},
      },
      small_catalogue().get());
}

TEST_CASE("a query that may write, or that is not proven, is a write") {
  check_all(
      {
          {"SELECT nextval('q')", "write seq"},
          {"SELECT pg_catalog.setval('q', 1)", "write seq"},
          {"SELECT writes()", "write seq"},
          {"SELECT unknown_function()", "write seq"},
          {"SELECT twice(1)", "write seq"},
          {"SELECT other.twice(1)", "write seq"},
          {"SELECT pg_temp.pure(1)", "write seq"},
          {"SELECT \"NOW\"()", "write seq"},
          {"SELECT a FROM t WHERE b = (SELECT nextval('q'))", "write seq"},
          {"SELECT count(*) FILTER (WHERE writes()) FROM t", "write seq"},
          {"SELECT a FROM t ORDER BY writes()", "write seq"},
          {"SELECT sum(a) OVER (PARTITION BY writes()) FROM t", "write seq"},
          {"SELECT a FROM t GROUP BY GROUPING SETS ((writes()))", "write seq"},
          {"SELECT * FROM ROWS FROM (writes(), now()) AS x", "write seq [now]"},
          {"SELECT a FROM t LIMIT writes()", "write seq [LIMIT without ORDER BY]"},
          {"VALUES (writes())", "write seq"},
          {"SELECT t.touch FROM t", "write seq"},
          {"SELECT (t).touch FROM t", "write seq"},
          {"SELECT touch FROM t", "read"},
          {"SELECT table_to_xml('bad', true, true, '')", "write seq"},
          {"SELECT query_to_xml('x', true, true, '')", "write seq"},
          {"SELECT pg_notify('a', 'b')", "write seq"},
          {"SELECT lo_create(0)", "write seq large"},
          {"SELECT pg_advisory_lock(1)", "write seq advisory"},
          {"SELECT pg_try_advisory_lock(1)", "write seq advisory"},
          {"SELECT pg_advisory_xact_lock(1)", "write seq"},
          {"SELECT * FROM nowhere", "write"},
          {"SELECT * FROM pg_temp.t", "write"},
          {"SELECT * FROM bad", "write"},
          {"SELECT * FROM deep_bad", "write"},
          {"SELECT * FROM locking", "write"},
          {"SELECT * FROM unread", "write"},
          {"SELECT * FROM guarded", "write"},
          {"SELECT * FROM away", "write"},
          {"SELECT * FROM twin", "write"},
          {"SELECT * FROM public.twin", "read"},
          {"SELECT * FROM other.twin", "write"},
          {"WITH bad AS (SELECT 1) SELECT * FROM bad", "write"},
          {"WITH x AS (SELECT 1) SELECT * FROM x, nowhere", "write"},
          {"SELECT (WITH y AS (SELECT 1) SELECT 1 FROM y) FROM public.y", "write"},
          {"SELECT a FROM t FOR UPDATE", "write"},
          {"SELECT a FROM t FOR KEY SHARE SKIP LOCKED", "write"},
          {"SELECT a FROM (SELECT a FROM t FOR UPDATE) x", "write"},
          {"SELECT * INTO n FROM t", "write seq catalogue"},
          {"SELECT '1'::odd", "write"},
          {"SELECT a FROM t TABLESAMPLE own (1)", "write [TABLESAMPLE]"},
          {"WITH x AS (DELETE FROM t RETURNING a) SELECT * FROM x", "write"},
          {"WITH x AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM x", "write seq"},
          {"EXPLAIN ANALYZE DELETE FROM t", "write"},
          {"EXPLAIN (ANALYZE on) SELECT nextval('q')", "write seq"},
          {"EXPLAIN ANALYZE EXECUTE x", "write seq"},
          {"EXPLAIN EXECUTE x(nextval('q'))", "write seq"},
          {"EXPLAIN EXECUTE x(1)", "read"},
          {"EXPLAIN ANALYZE CREATE TABLE n AS SELECT 1", "write seq catalogue"},
          {"COPY guarded TO STDOUT", "write"},
          {"COPY good TO STDOUT", "write"},
          {"COPY t TO '/tmp/x'", "write"},
          {"COPY t TO PROGRAM 'cat'", "write"},
          {"COPY (SELECT nextval('q')) TO STDOUT", "write seq"},
          {"COPY (DELETE FROM t RETURNING a) TO STDOUT", "write"},
      },
      small_catalogue().get());
}

TEST_CASE("writes say whether they may move sequences and what they leave to chance") {
  check_all(
      {
          {"INSERT INTO t VALUES (1)", "write seq"},
          {"INSERT INTO t DEFAULT VALUES", "write seq"},
          {"INSERT INTO t SELECT a FROM u", "write seq [INSERT ... SELECT without ORDER BY]"},
          {"INSERT INTO t SELECT a FROM u ORDER BY a", "write seq"},
          {"INSERT INTO t SELECT 1", "write seq"},
          {"INSERT INTO t SELECT 1 UNION SELECT 2", "write seq [INSERT ... SELECT without ORDER BY]"},
          {"INSERT INTO t VALUES ($1, $2) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING a",
           "write seq parameters"},
          {"UPDATE t SET a = a + 1 WHERE b = 2", "write"},
          {"UPDATE t SET a = DEFAULT", "write seq"},
          {"UPDATE t SET a = nextval('q')", "write seq"},
          {"UPDATE audited SET a = 1", "write seq"},
          {"UPDATE good SET a = 1", "write seq"},
          {"UPDATE nowhere SET a = 1", "write seq"},
          {"UPDATE t SET a = u.a FROM u WHERE t.b = u.b", "write [UPDATE ... FROM]"},
          {"DELETE FROM t WHERE a = 1", "write"},
          {"DELETE FROM t USING u WHERE t.a = u.a", "write"},
          {"DELETE FROM t WHERE a = (SELECT a FROM u LIMIT 1)", "write [LIMIT without ORDER BY]"},
          {"DELETE FROM t WHERE a = (SELECT a FROM u ORDER BY b LIMIT 1)", "write"},
          {"DELETE FROM t WHERE ctid = '(0,1)'", "write [ctid]"},
          {"MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE", "write seq"},
          {"UPDATE t SET a = now()", "write [now]"},
          {"UPDATE t SET a = CURRENT_DATE, b = LOCALTIME", "write [now]"},
          {"UPDATE t SET a = current_user", "write"},
          {"UPDATE t SET a = 'now'::timestamp", "write [now]"},
          {"UPDATE t SET a = timestamp 'today'", "write [now]"},
          {"UPDATE t SET a = 'now'::text", "write"},
          {"UPDATE t SET a = random(), b = gen_random_uuid()", "write [random; uuid]"},
          {"UPDATE t SET a = clock_timestamp()", "write [clock_timestamp]"},
          {"UPDATE t SET a = txid_current()", "write [txid_current]"},
          {"UPDATE t SET a = xmin::text", "write [txid_current]"},
          {"UPDATE t SET a = pg_backend_pid()", "write [pg_backend_pid]"},
          {"UPDATE t SET a = (SELECT oid FROM pg_class WHERE relname = 't')", "write [oid]"},
          {"UPDATE t SET a = (SELECT array_agg(b) FROM u)", "write [array_agg or the like without ORDER BY]"},
          {"UPDATE t SET a = (SELECT array_agg(b ORDER BY b) FROM u)", "write"},
          {"INSERT INTO t SELECT DISTINCT ON (a) a FROM u",
           "write seq [INSERT ... SELECT without ORDER BY; DISTINCT ON without ORDER BY]"},
          {"INSERT INTO t SELECT DISTINCT a FROM u ORDER BY a", "write seq"},
          {"INSERT INTO t SELECT row_number() OVER () FROM u ORDER BY 1",
           "write seq [window without ORDER BY]"},
          {"INSERT INTO t SELECT row_number() OVER (ORDER BY a) FROM u ORDER BY 1", "write seq"},
          {"UPDATE t SET a = age(b)", "write [now]"},
          {"UPDATE t SET a = age(b, c)", "write"},
          {"NOTIFY x, 'y'", "write"},
          {"GRANT SELECT ON t TO x", "write"},
          {"REVOKE ALL ON SCHEMA public FROM PUBLIC", "write"},
          {"COMMENT ON TABLE t IS 'x'", "write"},
          {"ANALYZE t", "write"},
          {"SET CONSTRAINTS ALL IMMEDIATE", "write needs seq"},
          {"COPY t FROM STDIN", "copy_in seq"},
          {"COPY t (a) FROM STDIN WITH (FORMAT binary)", "copy_in seq"},
          {"COPY t FROM '/tmp/x'", "write seq"},
          {"COPY t FROM PROGRAM 'cat'", "write seq"},
      },
      small_catalogue().get());
}

TEST_CASE("transactions, savepoints and cursors are known with their names and properties") {
  check_all(
      {
          {"BEGIN", "begin"},
          {"begin work;", "begin"},
          {"  Start  Transaction ;", "begin"},
          {"BEGIN ISOLATION LEVEL REPEATABLE READ", "begin isolation"},
          {"BEGIN READ ONLY", "begin"},
          {"BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE", "begin isolation deferrable"},
          {"START TRANSACTION READ ONLY, DEFERRABLE", "begin deferrable"},
          {"BEGIN ISOLATION LEVEL SERIALIZABLE, READ WRITE, DEFERRABLE", "begin isolation"},
          {"BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY DEFERRABLE", "begin isolation"},
          {"BEGIN READ ONLY NOT DEFERRABLE", "begin"},
          {"COMMIT", "commit"},
          {"END TRANSACTION;", "commit"},
          {"COMMIT /* done */", "commit"},
          {"COMMIT AND CHAIN", "commit needs chain"},
          {"COMMIT AND NO CHAIN", "commit"},
          {"ROLLBACK", "rollback"},
          {"ABORT", "rollback"},
          {"ROLLBACK AND CHAIN", "rollback needs chain"},
          {"SAVEPOINT Abc", "savepoint needs name=abc"},
          {"SAVEPOINT \"A b\"", "savepoint needs name=A b"},
          {"RELEASE SAVEPOINT abc", "release needs name=abc"},
          {"RELEASE abc", "release needs name=abc"},
          {"ROLLBACK TO abc", "rollback_to needs name=abc"},
          {"ROLLBACK WORK TO SAVEPOINT abc", "rollback_to needs name=abc"},
          {"PREPARE TRANSACTION 'g 1'", "prepare_transaction needs name=g 1"},
          {"COMMIT PREPARED 'g 1'", "finish_prepared refuses name=g 1"},
          {"ROLLBACK PREPARED 'g 1'", "finish_prepared refuses name=g 1"},
          {"DECLARE c CURSOR FOR SELECT a FROM t", "cursor needs inner name=c"},
          {"DECLARE C BINARY SCROLL CURSOR WITH HOLD FOR SELECT a FROM t", "cursor inner name=c"},
          {"DECLARE c CURSOR FOR SELECT a FROM t FOR UPDATE", "cursor needs name=c"},
          {"DECLARE c CURSOR FOR SELECT nextval('q')", "cursor needs seq name=c"},
          {"FETCH 5 FROM c", "fetch name=c"},
          {"FETCH NEXT \"C\"", "fetch name=C"},
          {"MOVE BACKWARD ALL IN c", "fetch name=c"},
          {"CLOSE c", "session name=c"},
          {"CLOSE ALL", "session"},
          {"PREPARE x AS SELECT $1::int", "session inner name=x"},
          {"PREPARE x (int) AS UPDATE t SET a = $1", "session name=x"},
          {"PREPARE x AS INSERT INTO t VALUES (now())", "session seq name=x [now]"},
          {"EXECUTE x", "execute inner seq name=x"},
          {"EXECUTE x(1, 'a')", "execute inner seq name=x"},
          {"EXECUTE x(nextval('q'))", "execute seq name=x"},
          {"EXECUTE x($1)", "execute inner seq parameters name=x"},
          {"DEALLOCATE x", "session name=x"},
          {"DEALLOCATE PREPARE ALL", "session"},
      },
      small_catalogue().get());
}

TEST_CASE("what touches the session alone is told from what changes its isolation or the watched settings") {
  check_all(
      {
          {"SET search_path = a, b", "session"},
          {"SET SESSION work_mem TO '1MB'", "session"},
          {"SET LOCAL work_mem = 1", "session needs"},
          {"SET lock_timeout = 5", "session settings"},
          {"SET LOCAL Statement_Timeout = 5", "session needs settings"},
          {"RESET idle_in_transaction_session_timeout", "session settings"},
          {"SET ROLE x", "session settings"},
          {"RESET ROLE", "session settings"},
          {"SET SESSION AUTHORIZATION x", "session settings"},
          {"RESET ALL", "session settings isolation"},
          {"DISCARD ALL", "session refuses settings isolation"},
          {"DISCARD TEMP", "session"},
          {"SET TRANSACTION READ ONLY", "session needs"},
          {"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "session needs isolation"},
          {"SET TRANSACTION SNAPSHOT '0-1'", "session needs isolation [exported snapshot]"},
          {"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE", "session isolation"},
          {"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "session"},
          {"SET default_transaction_isolation = 'serializable'", "session isolation"},
          {"SET transaction_isolation TO serializable", "session isolation"},
          {"SELECT set_config('search_path', '', false)", "session settings"},
          {"SELECT set_config('transaction_isolation', 'serializable', true)", "session settings isolation"},
          {"SELECT set_config(a, '', false) FROM t", "session settings isolation"},
          {"SELECT setseed(0.5)", "session settings"},
          {"SELECT set_config('a.b', nextval('q')::text, false)", "write seq settings"},
          {"SET CONSTRAINTS ALL DEFERRED", "session needs"},
          {"LISTEN x", "session"},
          {"UNLISTEN *", "session"},
          {"LOAD 'x'", "session"},
          {"CHECKPOINT", "session"},
          {"SET TIME ZONE 'UTC'", "session"},
          {"ALTER ROLE x SET work_mem = 1", "write settings shared"},
          {"ALTER ROLE x SET default_transaction_isolation = 'serializable'",
           "write settings isolation shared"},
          {"ALTER DATABASE d SET lock_timeout = 1", "write settings shared"},
          {"SELECT 'LOCK_TIMEOUT'", "read settings"},
          {"SELECT 'clock_timeouts'", "read settings"},
          {"SELECT 'my_timeout'", "read"},
      },
      small_catalogue().get());
}

TEST_CASE("DDL is told by its locks, its place in transactions and what it changes") {
  check_all(
      {
          {"CREATE TABLE n (a serial PRIMARY KEY)", "write seq catalogue"},
          {"CREATE TEMP TABLE n (a int DEFAULT nextval('q'))", "write seq catalogue"},
          {"CREATE TABLE n PARTITION OF p DEFAULT", "ddl seq catalogue"},
          {"CREATE TABLE n AS SELECT 1", "write seq catalogue"},
          {"CREATE MATERIALIZED VIEW n AS SELECT 1", "write seq catalogue"},
          {"CREATE VIEW n AS SELECT 1", "write seq catalogue"},
          {"CREATE OR REPLACE VIEW n AS SELECT 1", "ddl seq catalogue"},
          {"CREATE SEQUENCE n", "write seq catalogue"},
          {"CREATE SCHEMA n CREATE TABLE x (a int)", "write seq catalogue"},
          {"CREATE FUNCTION n() RETURNS int LANGUAGE sql AS 'SELECT $1'", "write catalogue"},
          {"CREATE FUNCTION n(int) RETURNS int LANGUAGE sql RETURN $1", "write catalogue"},
          {"ALTER FUNCTION pure(int) VOLATILE", "write catalogue"},
          {"CREATE TYPE n AS ENUM ('a')", "write catalogue"},
          {"ALTER TYPE n ADD VALUE 'b'", "write catalogue"},
          {"CREATE DOMAIN n AS int", "write catalogue"},
          {"CREATE CAST (int AS text) WITH FUNCTION pure(int)", "write catalogue"},
          {"CREATE OPERATOR === (FUNCTION = pure, LEFTARG = int)", "write catalogue"},
          {"CREATE AGGREGATE n (int) (SFUNC = pure, STYPE = int)", "write catalogue"},
          {"ALTER TABLE t ADD COLUMN b int", "ddl seq catalogue"},
          {"ALTER TABLE t ENABLE ROW LEVEL SECURITY", "ddl seq catalogue"},
          {"ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY", "ddl refuses seq catalogue"},
          {"ALTER TABLE t RENAME TO n", "ddl seq catalogue"},
          {"ALTER TABLE t SET SCHEMA n", "ddl seq catalogue"},
          {"ALTER TABLE t OWNER TO n", "ddl seq catalogue"},
          {"CREATE POLICY n ON t USING (true)", "ddl seq catalogue"},
          {"CREATE TRIGGER n AFTER INSERT ON t EXECUTE FUNCTION f()", "ddl seq catalogue"},
          {"CREATE RULE n AS ON INSERT TO t DO INSTEAD NOTHING", "ddl seq catalogue"},
          {"CREATE EXTENSION n", "ddl seq catalogue"},
          {"DROP TABLE t", "ddl catalogue"},
          {"DROP VIEW good CASCADE", "ddl catalogue"},
          {"DROP INDEX n", "ddl"},
          {"DROP INDEX CONCURRENTLY n", "ddl refuses"},
          {"CREATE INDEX ON t (a)", "ddl"},
          {"CREATE UNIQUE INDEX CONCURRENTLY n ON t (a)", "ddl refuses"},
          {"REINDEX TABLE t", "ddl"},
          {"REINDEX TABLE p", "ddl refuses"},
          {"REINDEX INDEX p_index", "ddl refuses"},
          {"REINDEX TABLE CONCURRENTLY t", "ddl refuses"},
          {"REINDEX (CONCURRENTLY false) TABLE t", "ddl"},
          {"REINDEX DATABASE d", "ddl refuses"},
          {"REINDEX SCHEMA public", "ddl refuses"},
          {"CLUSTER", "ddl refuses"},
          {"CLUSTER t", "ddl"},
          {"CLUSTER p USING p_index", "ddl refuses"},
          {"TRUNCATE t, u RESTART IDENTITY", "ddl seq"},
          {"LOCK TABLE t", "ddl needs"},
          {"LOCK TABLE t IN SHARE MODE", "write needs"},
          {"VACUUM", "write refuses"},
          {"VACUUM (ANALYZE) t", "write refuses"},
          {"VACUUM FULL t", "ddl refuses"},
          {"VACUUM (FULL off) t", "write refuses"},
          {"REFRESH MATERIALIZED VIEW m", "ddl seq"},
          {"ALTER SEQUENCE q RESTART", "ddl seq catalogue"},
          {"CREATE STATISTICS n ON a, b FROM t", "write"},
          {"CREATE PUBLICATION n FOR ALL TABLES", "write"},
          {"CREATE SUBSCRIPTION n CONNECTION '' PUBLICATION p", "write refuses shared"},
          {"CREATE DATABASE d", "ddl refuses shared"},
          {"DROP DATABASE d", "ddl refuses shared"},
          {"ALTER DATABASE d CONNECTION LIMIT 1", "write shared"},
          {"ALTER DATABASE d SET TABLESPACE s", "ddl refuses shared"},
          {"ALTER DATABASE d RENAME TO e", "write shared"},
          {"ALTER DATABASE d OWNER TO e", "write shared"},
          {"COMMENT ON DATABASE d IS 'x'", "write shared"},
          {"GRANT CONNECT ON DATABASE d TO x", "write shared"},
          {"CREATE TABLESPACE s LOCATION '/x'", "write refuses shared"},
          {"DROP TABLESPACE s", "write refuses shared"},
          {"CREATE ROLE x PASSWORD 'y'", "write shared"},
          {"ALTER USER x SUPERUSER", "write shared"},
          {"DROP ROLE x", "write shared"},
          {"GRANT x TO y", "write shared"},
          {"ALTER ROLE x RENAME TO y", "write shared"},
          {"DROP OWNED BY x", "ddl catalogue shared"},
          {"ALTER SYSTEM SET work_mem = 1", "write refuses shared"},
          {"IMPORT FOREIGN SCHEMA x FROM SERVER s INTO public", "write catalogue"},
      },
      small_catalogue().get());
}

TEST_CASE("several statements, unknown code and unreadable text are opaque and keep what is known of them") {
  check_all(
      {
          {"SELECT 1; SELECT 2", "opaque"},
          {"BEGIN; UPDATE t SET a = 1; COMMIT", "opaque"},
          {"INSERT INTO t VALUES (now()); COMMIT; SELECT 1/0", "opaque seq [now]"},
          {"SET lock_timeout = 1; BEGIN ISOLATION LEVEL SERIALIZABLE", "opaque settings isolation"},
          {"DROP TABLE t; DROP ROLE x; VACUUM", "opaque refuses catalogue shared"},
          {"CALL x()", "opaque seq catalogue"},
          {"DO $$ BEGIN PERFORM 1; END $$", "opaque seq catalogue"},
          {"DO $$ BEGIN SET LOCAL lock_timeout = 1; END $$", "opaque seq settings catalogue"},
          {"DO 'SET transaction ISOLATION level serializable'", "opaque seq isolation catalogue"},
          {"SELEC 1", "opaque seq catalogue"},
          {"SELECT 'x", "opaque seq catalogue"},
          {"SELECT 1 FROM", "opaque seq catalogue"},
          {"SELECT json_table(1, '$' COLUMNS (a int)); RESET lock_timeout", "opaque seq settings catalogue"},
          {"BEGIN WORK TRANSACTION", "opaque seq catalogue"},
      },
      small_catalogue().get());
}

TEST_CASE("without a catalogue nothing is known that has a name") {
  check_all(
      {
          {"SELECT 1", "read"},
          {"SELECT '1'::int, NULL, CURRENT_DATE", "read"},
          {"SELECT now()", "write seq [now]"},
          {"SELECT 1 + 1", "write seq"},
          {"SELECT a FROM t", "write"},
          {"SELECT '1'::mine", "write"},
          {"UPDATE t SET a = 1", "write seq"},
          {"EXPLAIN SELECT a FROM t", "read"},
          {"COPY t TO STDOUT", "write"},
          {"SHOW search_path", "read"},
          {"BEGIN", "begin"},
      },
      nullptr);
}

TEST_CASE("one domain whose check may write makes casts to all but PostgreSQL's own types unproven") {
  check_all(
      {
          {"SELECT '1'::sly", "write"},
          {"SELECT '1'::positive", "write"},
          {"SELECT '1'::pg_catalog.text, '1'::int", "read"},
          {"SELECT a FROM t", "read"},
      },
      catalogue_with_writing_domain().get());
}

TEST_CASE("volatile operators are found by name, and everywhere if an index may use them") {
  check_all({{"SELECT 1 ~~~ 2", "write seq"},
             {"SELECT 1 OPERATOR(public.~~~) 2", "write seq"},
             {"SELECT 1 OPERATOR(pg_catalog.~~~) 2", "read"},
             {"SELECT a FROM t ORDER BY a USING ~~~", "write seq"},
             {"SELECT a ~~~ ANY (SELECT 1) FROM t", "write seq"},
             {"SELECT 1 + 2", "read"}},
            catalogue_with_volatile_operator(false).get());
  check_all({{"SELECT DISTINCT a FROM t", "write"}}, catalogue_with_volatile_operator(true).get());
}

TEST_CASE("a text that the server may read in another way is opaque") {
  const auto catalogue = small_catalogue();
  const auto kind = [&](std::string_view text, TextDialect dialect) {
    return classify(text, catalogue.get(), dialect).kind;
  };
  const TextDialect escapes{.standard_strings = false};
  CHECK(kind("SELECT 'a'", escapes) == StatementKind::read);
  CHECK(kind("SELECT 'a\\', nextval(''q'') --'", {}) == StatementKind::opaque);
  CHECK(kind("SELECT 'a\\''", escapes) == StatementKind::opaque);
  const TextDialect sjis{.ascii_safe = encoding_is_ascii_safe("SJIS")};
  CHECK(kind("SELECT 'a'", sjis) == StatementKind::read);
  CHECK(kind("SELECT '\x83\x5c'", sjis) == StatementKind::opaque);
  CHECK(kind("SELECT '\xc3\xa4'", {}) == StatementKind::read);
  for (const char* name : {"UTF8", "LATIN1", "WIN1252", "EUC_JP", "SQL_ASCII", "utf-8"})
    CHECK(encoding_is_ascii_safe(name));
  for (const char* name : {"SJIS", "Shift_JIS", "BIG5", "GBK", "GB18030", "UHC", "JOHAB", "WIN949", ""})
    CHECK_FALSE(encoding_is_ascii_safe(name));
  CHECK(kind(std::string_view("SELECT 1\0; DROP", 15), {}) == StatementKind::opaque);
}
