"""A healthy pair stays joined: what differs between two servers by nature must not cost the standby."""
import concurrent.futures

import psycopg
import pytest
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum

from harness import Recorder, same, wait_until
from harness.places import pg, run
from harness.process import clean_environment
from harness.recorder import TABLE

DESCRIBE = (r"\d", r"\d+", r"\dt+", r"\di+", r"\dv", r"\df", r"\df+", r"\dn+", r"\du", r"\l+", r"\dT+", r"\dp", r"\ds",
            r"\dx", r"\dD", r"\do", r"\dC", r"\dRp", r"\conninfo", r"\d described", r"\sf described_twice", r"\dO",
            r"\dconfig", r"\dd", r"\des", r"\dF", r"\dL", r"\drds", r"\dy", r"\db", r"\encoding")


@pytest.fixture(autouse=True)
def still_joined(pair):
    """Every test of this file: joined before (the fixture), joined after, and no write differed."""
    before = pair.a.relay.status()["differences"]["writes"]
    yield
    status = pair.a.relay.status()
    assert status["role"]["state"] == "MASTER", status["role"]["reason"]
    assert status["standby"]["joined"], status["standby"]["stale_reason"]
    assert status["differences"]["writes"] == before
    assert pair.b.relay.state() == "STANDBY"


@pytest.fixture
def session(pair):
    with psycopg.connect(pair.a.relay.tcp(), autocommit=True) as connection:
        yield connection


def different_oids(pair, count=25):
    """Takes oids on the standby alone: types that are created from now on differ there."""
    for _ in range(count):
        pair.b.postgres.sql("CREATE TYPE burnt AS ENUM ('x'); DROP TYPE burnt", database="app")


def test_psqls_describe_commands(pair, session):
    r"""All of psql's \d commands, with types and tables whose oids differ on the two servers."""
    different_oids(pair)
    session.execute("""DROP TABLE IF EXISTS described; DROP FUNCTION IF EXISTS described_twice;
                       CREATE TABLE described (id int PRIMARY KEY, t text DEFAULT 'x' CHECK (t <> ''));
                       CREATE FUNCTION described_twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2'""")
    oids = [n.postgres.value("SELECT 'described'::regclass::oid::int") for n in (pair.a, pair.b)]
    assert oids[0] != oids[1], "this test needs oids that differ"
    arguments = [part for command in DESCRIBE for part in ("-c", command)]
    done = run(pg("psql"), "-X", "-v", "ON_ERROR_STOP=1", *arguments, pair.a.relay.tcp(), env=clean_environment())
    assert "described_pkey" in done.stdout


def test_pg_dump(pair, session):
    """A dump of everything, in parallel with writes."""
    session.execute("DROP TABLE IF EXISTS dumped_along; CREATE TABLE dumped_along (n int)")
    session.execute("INSERT INTO dumped_along SELECT generate_series(1, 20000)")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        dump = pool.submit(run, pg("pg_dump"), "-d", pair.a.relay.tcp(), env=clean_environment())
        n = 0
        while not dump.done() or n == 0:
            session.execute("INSERT INTO dumped_along VALUES (%s)", (n,))
            n += 1
    assert "COPY public.dumped_along" in dump.result().stdout


@pytest.mark.parametrize("sql", (
    "SELECT now()", "SELECT clock_timestamp(), random()", "SELECT pg_backend_pid()", "SELECT gen_random_uuid()",
    "EXPLAIN ANALYZE SELECT count(*) FROM generate_series(1, 1000)", "EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM pg_class",
    "SELECT * FROM pg_stat_activity", "SHOW port", "SELECT pg_current_wal_lsn()", "SELECT oid, relname FROM pg_class",
    "SELECT inet_server_port()", "SELECT txid_current()", "TABLE pg_stat_database", "SELECT * FROM pg_locks",
))
@pytest.mark.parametrize("protocol", ("simple", "extended"))
def test_reads_that_differ(pair, session, protocol, sql):
    """Reads that each server answers differently go out as the master gave them and change no role."""
    cursor = psycopg.ClientCursor(session) if protocol == "simple" else session.cursor()
    for _ in range(3):
        assert cursor.execute(sql).fetchall()
    with session.transaction():
        assert cursor.execute(sql).fetchall()


def test_reads_that_differ_are_counted(pair, session):
    """A read whose rows differ while nothing was written at the time is recorded as a difference in a read."""
    before = pair.a.relay.status()["differences"]["reads"]
    session.execute("SHOW port")
    wait_until(lambda: pair.a.relay.status()["differences"]["reads"] > before, 5, "the difference to be counted")


@pytest.mark.parametrize("mode", ("simple", "extended", "prepared"))
def test_pgbench_with_eight_clients(pair, full, mode):
    """TPC-B with eight clients in `classic`: no deadlock across the servers, the same balances on both."""
    conninfo = pair.a.relay.tcp()
    run(pg("pgbench"), "-i", "-q", "-s", "1", conninfo, env=clean_environment())  # scale 1: every client in every way
    done = run(pg("pgbench"), "-n", "-M", mode, "-c", "8", "-j", "2", "-T", "30" if full else "4", conninfo,
               env=clean_environment())
    assert "number of failed transactions: 0" in done.stdout
    same(pair.a.postgres, pair.b.postgres, "pgbench_accounts", "pgbench_branches", "pgbench_tellers")


SLOW = """
CREATE OR REPLACE FUNCTION takes(on_port int, master_s float8, standby_s float8) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_sleep(CASE WHEN current_setting('port')::int = on_port THEN master_s ELSE standby_s END);
  RETURN 1;
END $$"""


@pytest.mark.slow
def test_a_long_statement_that_takes_the_standby_longer(pair, session, full):
    """A write that keeps the master busy for long may take the standby a little longer, beyond standby_timeout."""
    master_s, standby_s = (60, 64) if full else (6, 8.6)  # standby_timeout is 2 s, half of the master's time is 3 s
    session.execute(SLOW)
    session.execute("DROP TABLE IF EXISTS slowly; CREATE TABLE slowly (n int)")
    session.execute("INSERT INTO slowly SELECT takes(%s, %s, %s)", (pair.a.postgres.port, master_s, standby_s))
    same(pair.a.postgres, pair.b.postgres, "slowly")


@pytest.mark.slow
def test_a_long_read(pair, session):
    """A read of several seconds on both servers, with others working meanwhile."""
    with psycopg.connect(pair.a.relay.tcp(), autocommit=True) as other:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            asleep = pool.submit(session.execute, "SELECT pg_sleep(5)")
            served = 0
            while not asleep.done():
                other.execute("SELECT 1")
                served += 1
    assert asleep.result().fetchall() and served > 50


def test_user_defined_types_in_binary(pair, session):
    """Enums, composites and arrays of them travel in binary although their oids differ on the two servers."""
    different_oids(pair)
    session.execute("DROP TABLE IF EXISTS typed; DROP TYPE IF EXISTS spot; DROP TYPE IF EXISTS mood")
    session.execute("CREATE TYPE mood AS ENUM ('sad', 'fine', 'happy')")
    session.execute("CREATE TYPE spot AS (x int, m mood, label text)")
    session.execute("CREATE TABLE typed (n int PRIMARY KEY, m mood, ms mood[], s spot, ss spot[])")
    oids = [n.postgres.value("SELECT array['mood'::regtype::oid::int, 'spot'::regtype::oid::int]")
            for n in (pair.a, pair.b)]
    assert oids[0][0] != oids[1][0] and oids[0][1] != oids[1][1], "this test needs oids that differ"

    # A new session, so that the driver looks the types up as an application does at its start.
    with psycopg.connect(pair.a.relay.tcp(), autocommit=True) as fresh:
        mood = EnumInfo.fetch(fresh, "mood")
        register_enum(mood, fresh)
        spot = CompositeInfo.fetch(fresh, "spot")
        register_composite(spot, fresh)
        moods, spots = mood.enum, spot.python_type
        for n in range(10):
            value = spots(n, moods.happy, f"spot {n}")
            fresh.execute("INSERT INTO typed VALUES (%b, %b, %b, %t, %t)",
                          (n, moods.fine, [moods.sad, moods.happy], value, [value, value]))
        binary = fresh.cursor(binary=True)
        assert binary.execute("SELECT m, ms, s, ss FROM typed WHERE n = 3").fetchone() == (
            moods.fine, [moods.sad, moods.happy], spots(3, moods.happy, "spot 3"), [spots(3, moods.happy, "spot 3")] * 2)
        assert binary.execute("SELECT n FROM typed WHERE ms = %b AND n = 4",
                              ([moods.sad, moods.happy],)).fetchone() == (4,)
    same(pair.a.postgres, pair.b.postgres, "typed")


def test_a_composite_sent_in_binary(pair, session):
    """A record in binary carries oids inside its value: they too are translated for the standby."""
    different_oids(pair)
    session.execute("DROP TABLE IF EXISTS inner_oids; DROP TYPE IF EXISTS cell; DROP TYPE IF EXISTS shade")
    session.execute("CREATE TYPE shade AS ENUM ('dark', 'light'); CREATE TYPE cell AS (x int, s shade)")
    session.execute("CREATE TABLE inner_oids (n int, c cell, cs cell[])")
    shade, cell, cells = (session.execute("SELECT oid::int FROM pg_type WHERE typname = %s", (name,)).fetchone()[0]
                          for name in ("shade", "cell", "_cell"))
    record = composite([(23, (7).to_bytes(4, "big")), (shade, b"light")])
    array = binary_array(cell, [record, record])
    result = session.pgconn.exec_params(b"INSERT INTO inner_oids VALUES (1, $1, $2) RETURNING c, cs", [record, array],
                                        [cell, cells], [1, 1], 1)
    assert result.error_message == b""
    assert result.get_value(0, 0) == record and result.get_value(0, 1) == array
    same(pair.a.postgres, pair.b.postgres, "inner_oids")
    assert pair.b.postgres.value("SELECT c::text FROM inner_oids") == "(7,light)"


def composite(fields) -> bytes:
    """A composite value in binary: number of fields, then oid, length and bytes of each (record_recv)."""
    return len(fields).to_bytes(4, "big") + b"".join(
        oid.to_bytes(4, "big") + len(data).to_bytes(4, "big") + data for oid, data in fields)


def binary_array(oid, elements) -> bytes:
    """A one-dimensional array in binary (array_recv)."""
    head = b"".join(n.to_bytes(4, "big") for n in (1, 0, oid, len(elements), 1))
    return head + b"".join(len(data).to_bytes(4, "big") + data for data in elements)


def test_types_that_a_session_makes_and_uses_in_the_next_transaction(pair, session):
    """DDL, and in the very next statement a use of the new type's own oid."""
    different_oids(pair)
    session.execute("DROP TABLE IF EXISTS quick; DROP TYPE IF EXISTS speed")
    with session.transaction():
        session.execute("CREATE TYPE speed AS ENUM ('slow', 'fast'); CREATE TABLE quick (s speed)")
        oid = session.execute("SELECT 'speed'::regtype::oid::int").fetchone()[0]
    result = session.pgconn.exec_params(b"INSERT INTO quick VALUES ($1)", [b"fast"], [oid], [1], 1)
    assert result.error_message == b""
    same(pair.a.postgres, pair.b.postgres, "quick")


def test_an_oid_of_a_type_that_is_not_committed_yet(own_pair):
    """A known limit: no other connection can see the type, so its oid cannot be mapped. Never wrong data: stale, and said."""
    pair = own_pair
    with psycopg.connect(pair.a.relay.tcp(), autocommit=True) as session:
        different_oids(pair)
        with session.transaction():
            session.execute("CREATE TYPE speed AS ENUM ('slow', 'fast'); CREATE TABLE quick (s speed)")
            oid = session.execute("SELECT 'speed'::regtype::oid::int").fetchone()[0]
            result = session.pgconn.exec_params(b"INSERT INTO quick VALUES ($1)", [b"fast"], [oid], [1], 1)
            assert result.error_message == b""
        assert "cache lookup failed for type" in pair.a.relay.wait_stale(timeout=5)
        assert session.execute("SELECT s::text FROM quick").fetchone() == ("fast",)


def test_temporary_tables_and_cursors(pair, session):
    """Session state of every kind lives on both servers: temporary tables, cursors, prepared statements, settings."""
    session.execute("CREATE TEMP TABLE mine (n int); INSERT INTO mine SELECT generate_series(1, 100)")
    session.execute("SET work_mem = '7MB'; PREPARE one AS SELECT count(*) FROM mine")
    with session.transaction():
        session.execute("DECLARE walk CURSOR FOR SELECT n FROM mine ORDER BY n")
        assert session.execute("FETCH 10 FROM walk").fetchall()[-1] == (10,)
        session.execute("MOVE 20 IN walk; CLOSE walk")
    assert session.execute("EXECUTE one").fetchone() == (100,)
    session.execute("DISCARD ALL")


def test_transactions_that_fail_fail_on_both(pair, session):
    """Constraint errors, deferred ones at COMMIT included, savepoints and two-phase commit end alike on both servers."""
    session.execute("""DROP TABLE IF EXISTS strict;
        CREATE TABLE strict (n int PRIMARY KEY, later int UNIQUE DEFERRABLE INITIALLY DEFERRED, CHECK (n > 0))""")
    for wrong in ("INSERT INTO strict VALUES (0, 0)", "INSERT INTO strict VALUES (1, 1), (1, 2)",
                  "INSERT INTO strict VALUES (1, 5), (2, 5)", "INSERT INTO nowhere VALUES (1)", "SELEC 1"):
        with pytest.raises(psycopg.Error):
            session.execute(wrong)
    with session.transaction():
        session.execute("INSERT INTO strict VALUES (1, 1)")
        with pytest.raises(psycopg.errors.UniqueViolation), session.transaction():
            session.execute("INSERT INTO strict VALUES (1, 2)")
        session.execute("INSERT INTO strict VALUES (2, 2)")
    session.execute("BEGIN; INSERT INTO strict VALUES (3, 3); PREPARE TRANSACTION 'healthy'")
    session.execute("COMMIT PREPARED 'healthy'")
    session.execute("BEGIN; INSERT INTO strict VALUES (4, 4); PREPARE TRANSACTION 'healthy'")
    session.execute("ROLLBACK PREPARED 'healthy'")
    assert session.execute("SELECT count(*) FROM strict").fetchone() == (3,)
    same(pair.a.postgres, pair.b.postgres, "strict")


def test_statements_outside_transactions(pair, session):
    """VACUUM, CREATE INDEX CONCURRENTLY, CREATE and DROP DATABASE, ALTER SYSTEM-free maintenance."""
    session.execute("DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT n, n % 7 AS m FROM generate_series(1, 5000) n")
    session.execute("CREATE INDEX CONCURRENTLY kept_m ON kept (m)")
    session.execute("VACUUM (ANALYZE) kept")
    session.execute("REINDEX TABLE kept")
    session.execute("CLUSTER kept USING kept_m")
    with psycopg.connect(pair.a.relay.tcp(user="pgtandem", password="service-secret"), autocommit=True) as operator:
        operator.execute("CREATE DATABASE sideline")
        with psycopg.connect(pair.a.relay.tcp(database="sideline", user="pgtandem", password="service-secret"),
                             autocommit=True) as there:
            there.execute("CREATE TABLE t AS SELECT 1 AS n")
        same(pair.a.postgres, pair.b.postgres, "public.t", database="sideline")
        for node in (pair.a, pair.b):
            node.postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'sideline'")
        operator.execute("DROP DATABASE sideline")
    same(pair.a.postgres, pair.b.postgres, "kept")


@pytest.mark.parametrize("setting, statement, error", (
    ("statement_timeout = '300ms'", "SELECT pg_sleep(20)", psycopg.errors.QueryCanceled),
    ("lock_timeout = '300ms'", "LOCK TABLE locked_away", psycopg.errors.LockNotAvailable),
))
def test_time_limits_of_the_client(pair, session, setting, statement, error):
    """statement_timeout and lock_timeout end a statement on both servers with the same error."""
    session.execute("CREATE TABLE IF NOT EXISTS locked_away (n int)")
    with psycopg.connect(pair.a.relay.tcp()) as holder:
        holder.execute("LOCK TABLE locked_away")
        session.execute(f"SET {setting}")
        with pytest.raises(error), session.transaction():
            session.execute(statement)
    assert session.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("setting", ("idle_session_timeout", "idle_in_transaction_session_timeout"))
def test_sessions_that_the_servers_end(pair, setting):
    """An idle time-out ends the session on whichever server is first: that session alone, not the standby."""
    with psycopg.connect(pair.a.relay.tcp(), autocommit=True) as idle:
        idle.execute(f"SET {setting} = '200ms'")
        if "transaction" in setting:
            idle.execute("BEGIN")
        for node in (pair.a, pair.b):
            wait_until(lambda: node.postgres.backends() == 0, 10, f"the session to end on {node.name}")
        with pytest.raises(psycopg.OperationalError):
            idle.execute("SELECT 1")


@pytest.mark.parametrize("where", ("a", "b"))
def test_a_terminated_backend_ends_its_session_alone(pair, session, where):
    """pg_terminate_backend on either server ends that one session on both; the others and the role stay."""
    server = pair.nodes[where].postgres
    with psycopg.connect(pair.a.relay.tcp() + " application_name=victim", autocommit=True) as victim:
        victim.execute("SELECT 1")
        assert server.value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                            "WHERE application_name = 'victim'") == 1
        for node in (pair.a, pair.b):
            wait_until(lambda: node.postgres.backends("application_name = 'victim'") == 0, 10,
                       f"the session to end on {node.name}")
        with pytest.raises(psycopg.OperationalError):
            victim.execute("SELECT 1")
    assert session.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("which", ("a", "b", "both"))
def test_an_orderly_restart_of_a_relay_costs_no_bootstrap(pair, which):
    """SIGTERM and start of either relay, or of both, under load: joined again as before, nothing lost, no word needed."""
    with psycopg.connect(pair.a.relay.tcp(), autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS ledger; " + TABLE)
    epoch = pair.a.relay.status()["role"]["epoch"]
    relays = [pair.nodes[n].relay for n in ("b", "a") if which in (n, "both")]
    with Recorder(pair.a.relay.tcp()) as recorder:
        wait_until(lambda: recorder.count > 100, 20, "the load to run")
        for relay in relays:
            assert relay.stop() == 0
        for relay in relays:
            relay.start(wait=False)
        pair.wait_joined(timeout=20)
        reached = recorder.count
        wait_until(lambda: recorder.count > reached + 100, 20, "the load to go on")
    for node in (pair.a, pair.b):
        recorder.check(node.postgres)
    same(pair.a.postgres, pair.b.postgres, "ledger")
    assert pair.a.relay.status()["role"]["epoch"] <= epoch + 2 * len(relays)


def test_a_restart_keeps_the_map_of_oids(pair, session):
    """After a restart of both relays the types whose oids differ still travel in binary."""
    different_oids(pair)
    session.execute("DROP TABLE IF EXISTS after_restart; DROP TYPE IF EXISTS size")
    session.execute("CREATE TYPE size AS ENUM ('s', 'm', 'l'); CREATE TABLE after_restart (n int, s size[])")
    session.close()
    for node in (pair.b, pair.a):
        node.relay.stop()
    pair.start_relays()
    pair.wait_joined()
    with psycopg.connect(pair.a.relay.tcp(), autocommit=True) as fresh:
        info = EnumInfo.fetch(fresh, "size")
        register_enum(info, fresh)
        fresh.execute("INSERT INTO after_restart VALUES (1, %b)", ([info.enum.s, info.enum.l],))
    same(pair.a.postgres, pair.b.postgres, "after_restart")
