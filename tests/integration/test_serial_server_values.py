"""What depends on the server: computed once by the master for both, or flagged in the log; all else of a text stays."""
import concurrent.futures
import contextlib
import re
import struct

import pytest
from psycopg.pq import DiagnosticField

from harness import FaultProxy, Relay, holds, wait_until, wire
from harness.load import APPLICATION, USER, Session
from harness.worlds import DISCIPLINE, World, refusal

pytestmark = [pytest.mark.skipif(bool(refusal()), reason=refusal() or "-"), pytest.mark.timeout(90)]

SETUP = (
    "CREATE TABLE kept (id serial PRIMARY KEY, what text, v text, at timestamptz, d date, key uuid, luck float8)",
    "CREATE TABLE ticks (n int PRIMARY KEY, at timestamptz NOT NULL)",
    "CREATE TABLE stamped (id serial PRIMARY KEY, what text, at timestamptz DEFAULT now(), day date DEFAULT CURRENT_DATE, "
    "t time DEFAULT LOCALTIME, clock timestamptz DEFAULT clock_timestamp(), key uuid DEFAULT gen_random_uuid(), "
    "luck float8 DEFAULT random(), mixed text DEFAULT 'at ' || now() || '/' || random())",
    "CREATE TABLE timed (id serial PRIMARY KEY, what text UNIQUE, at timestamptz DEFAULT CURRENT_TIMESTAMP)",
    "CREATE SEQUENCE counted",
)

# The time of the transaction, or of the statement, in each of its spellings.
TIMES = (
    "now()", "NOW ( )", "pg_catalog.now()", "transaction_timestamp()", "CURRENT_TIMESTAMP", "current_timestamp(3)", "CURRENT_DATE",
    "CURRENT_TIME", "CURRENT_TIME(2)", "LOCALTIME", "LOCALTIME(0)", "LOCALTIMESTAMP", "LocalTimestamp (4)", "'now'::timestamptz",
    "timestamp 'now'", "CAST('today' AS date)", "date 'tomorrow'", "'yesterday'::timestamp", "time 'now'", "now()::date",
    "extract(epoch FROM now())", "now() - interval '1 day'", "to_char(now(), 'HH24:MI:SS.US')", "now() AT TIME ZONE 'Asia/Tokyo'",
    "date_trunc('milliseconds', now())", "age(timestamp '2001-01-01')",
)
# Another value at each call.
OWN_VALUES = ("clock_timestamp()", "timeofday()", "random()", "gen_random_uuid()", "random() * 100 + 1", "md5(random()::text)",
              "floor(random() * 1e9)::int", "clock_timestamp() + interval '1 h'")


class Player(Session):
    """A session in one of three ways to run a statement: as a Query, extended, or prepared once and executed thrice."""

    TIMES = 3

    def __init__(self, world, way):
        super().__init__(world.conninfo(), protocol="simple" if way == "simple" else "extended")
        self.way, self.names = way, iter(range(10**6))

    def write(self, sql, *values, tag=None, allow=()) -> list:
        """Runs it as many times as this way does; the replies."""
        if self.way != "prepared":
            return [self.do(sql, *values, tag=tag, allow=allow)]
        name = f"prepared {next(self.names)}"
        self.prepare(name, sql % tuple(f"${n}" for n in range(1, len(values) + 1)) if values else sql)
        return [self.prepared(name, *values, tag=tag, allow=allow) for _ in range(self.TIMES)]

    @property
    def runs(self) -> int:
        return self.TIMES if self.way == "prepared" else 1


@pytest.fixture(params=("simple", "extended", "prepared"))
def way(request):
    return request.param


@pytest.fixture
def freed(serial):
    """As `world`, for what the relay leaves different: the test says what, and it is wiped out afterwards."""
    serial.reset(SETUP)
    yield serial
    serial.quiet()
    serial.relay.assert_still_joined()
    serial.reset()


def session_of(world, way):
    one = Player(world, way)
    try:
        yield one
    finally:
        one.close()
    assert not one.wrong


@pytest.fixture
def player(world, way):
    yield from session_of(world, way)


@pytest.fixture
def free_player(freed, way):
    yield from session_of(freed, way)


@contextlib.contextmanager
def line_to(port):
    with wire.Wire(port) as one:
        one.login(USER, application_name=APPLICATION)
        yield one


@contextlib.contextmanager
def statements_logged(world):
    """The servers write what they get to their logs, for sessions that begin from now on."""
    for server in world.servers():
        server.sql("ALTER ROLE trusting SET log_statement = 'all'")
    try:
        yield
    finally:
        for server in world.servers():
            server.sql("ALTER ROLE trusting RESET log_statement")


def column(world, query) -> list:
    """The first column of a query, which must be the same on both servers."""
    found = [[row[0] for row in server.sql(query, database="app")] for server in world.servers()]
    assert found[0] == found[1], f"the servers differ in {query}"
    return found[0]


def master_clock(world):
    return world.value("SELECT clock_timestamp()")


@contextlib.contextmanager
def another_relay(world, *flags, standby_port=None):
    """A relay of its own before the same two servers."""
    with Relay.flags_only(world.master, world.standby, "--discipline", DISCIPLINE, "--on-mismatch", "log", *flags,
                          standby_port=standby_port) as relay:
        relay.wait_joined()
        yield World("switched off", world.master, world.standby, relay.port, relay)


# The transaction's time.

def test_the_transactions_time(world, player):
    """Each spelling of now() gives, on both servers, what the master gives in that very transaction."""
    player.do("SET TimeZone = 'Asia/Kolkata'")
    for settings in ("SET DateStyle = 'ISO'", "SET DateStyle = 'SQL, DMY'"):
        player.do(settings)
        for expression in TIMES:
            player.do("TRUNCATE kept")
            player.begin()
            for reply in player.write(f"INSERT INTO kept (what, v) VALUES (%s, ({expression})::text)", "time", tag="INSERT 0 1"):
                assert reply.ok
            own = player.do(f"SELECT ({expression})::text").value()
            assert player.commit().ok
            assert set(column(world, "SELECT v FROM kept")) == {own}, expression


def test_the_time_outside_of_a_block(world, player):
    """In autocommit each execution has a time of its own, between the master's clock before and after it."""
    before = master_clock(world)
    for expression in ("now()", "CURRENT_TIMESTAMP", "statement_timestamp()", "'now'::timestamptz"):
        for _ in range(3):
            player.write(f"INSERT INTO kept (what, at) VALUES (%s, {expression})", expression, tag="INSERT 0 1")
    after = master_clock(world)
    times = column(world, "SELECT at FROM kept ORDER BY id")
    assert len(times) == len(set(times)) == 4 * 3 * player.runs
    assert before < min(times) <= max(times) < after and times == sorted(times)


def test_the_time_is_constant_in_a_block(world, player):
    """Within a transaction now() stays the same, statement_timestamp() goes on, and a later transaction has a later time."""
    for _ in range(2):
        player.begin()
        for n in range(3):
            player.write("INSERT INTO kept (what, at, v) VALUES (%s, now(), statement_timestamp()::text)", n, tag="INSERT 0 1")
        player.write("UPDATE kept SET at = now() WHERE at = now()", tag=f"UPDATE {3 * player.runs}")
        player.do("SAVEPOINT a")
        player.write("INSERT INTO kept (what, at) VALUES ('in a savepoint', CURRENT_TIMESTAMP)", tag="INSERT 0 1")
        assert player.commit().ok
    assert column(world, "SELECT count(DISTINCT at) FROM kept") == [2]
    assert column(world, "SELECT count(DISTINCT v) FROM kept") == [2 * 3 * player.runs]
    assert column(world, "SELECT count(*) FROM kept WHERE v::timestamptz <= at") == [0]


def test_the_time_in_conditions(world, player):
    """UPDATE and DELETE by the clock hit the same rows on both servers, among rows 100 microseconds apart, however slow the machine is."""
    player.do("INSERT INTO ticks SELECT i, now() + i * interval '100 us' FROM generate_series(1, 20000) i ORDER BY i")
    player.do("INSERT INTO ticks VALUES (0, 'infinity')")
    for n in range(4):
        player.write("UPDATE ticks SET at = at + interval '1 s' WHERE at < now() + interval '50 ms'")
        player.write("DELETE FROM ticks WHERE at <= CURRENT_TIMESTAMP + %s::interval", f"{60 + n} ms")
    left = column(world, "SELECT n FROM ticks ORDER BY n")
    assert left[0] == 0 and len(left) <= 20000


def test_the_time_in_queries_of_writes(world, player):
    """now() within INSERT ... SELECT, a CTE that writes, ON CONFLICT, FROM, RETURNING and a subquery."""
    player.write("INSERT INTO kept (what, at) SELECT 'row ' || i, now() + i * interval '1 s' FROM generate_series(1, 3) i ORDER BY i")
    player.write("INSERT INTO timed (what) VALUES ('one') ON CONFLICT (what) DO UPDATE SET at = now()", tag="INSERT 0 1")
    player.write("WITH made AS (INSERT INTO kept (what, at) VALUES ('in a CTE', now()) RETURNING at) "
                 "INSERT INTO timed (what, at) SELECT 'by a CTE', at FROM made ORDER BY at ON CONFLICT (what) DO UPDATE SET at = excluded.at")
    player.write("UPDATE kept SET d = (SELECT CURRENT_DATE), v = to_char((SELECT now()), 'US') WHERE what = 'row 1'")
    for reply in player.write("INSERT INTO kept (what, at) VALUES ('returned', now()) RETURNING at = now(), now() - at, CURRENT_DATE"):
        assert reply.rows[0][:2] == ["t", "00:00:00"]
    assert column(world, "SELECT count(*) FROM kept WHERE at IS NULL") == [0]


def test_defaults_that_need_the_time_and_values(world, player):
    """Defaults of columns that an INSERT leaves out or calls DEFAULT have one value, as each row of one server would have."""
    before = master_clock(world)
    forms = ("INSERT INTO stamped DEFAULT VALUES", "INSERT INTO stamped (what) VALUES ('left out')",
             "INSERT INTO stamped (what) VALUES ('row 1'), ('row 2'), ('row 3')",
             "INSERT INTO stamped (what, key, luck) VALUES ('by name', DEFAULT, DEFAULT)",
             "INSERT INTO stamped VALUES (DEFAULT, 'no list'), (DEFAULT, 'of columns')",
             "INSERT INTO public.stamped AS s (what, at) VALUES ('given', '2001-01-01') RETURNING s.at, s.key")
    for form in forms:
        assert all(reply.ok for reply in player.write(form))
    count = 9 * player.runs
    for unique in ("key", "luck", "mixed"):
        assert column(world, f"SELECT count(DISTINCT {unique}) FROM stamped") == [count], unique
    assert column(world, "SELECT count(DISTINCT at) FROM stamped WHERE what LIKE 'row%'") == [player.runs]
    assert min(column(world, "SELECT at FROM stamped WHERE what <> 'given'")) > before
    assert column(world, "SELECT count(*) FROM stamped WHERE luck < 0 OR luck >= 1 OR day <> (at AT TIME ZONE 'UTC')::date "
                         "AND what <> 'given'") == [0]


def test_defaults_of_time_without_values(world, player):
    """A default that needs the time alone follows INSERT ... SELECT, UPDATE and ON CONFLICT too."""
    for n in range(2):
        player.do("INSERT INTO timed (what) SELECT %s || i FROM generate_series(1, 5) i ORDER BY i", f"{n}, number ", tag="INSERT 0 5")
        player.write("INSERT INTO timed VALUES (DEFAULT, 'again') ON CONFLICT (what) DO UPDATE SET at = DEFAULT")
        player.write("UPDATE timed SET at = DEFAULT WHERE what LIKE %s", f"{n},%")
    assert len(set(column(world, "SELECT at FROM timed"))) == 3


def test_defaults_that_have_just_been_made(world, player):
    """The first INSERT behind CREATE TABLE or SET DEFAULT knows the new default, in autocommit and in the same block."""
    def fill():
        return [player.write(f"INSERT INTO {table} (what) VALUES ('x')", tag="INSERT 0 1") for table in ("fresh", "altered")]

    player.do("CREATE TABLE fresh (what text, at timestamptz DEFAULT now(), key uuid DEFAULT gen_random_uuid())")
    player.do("CREATE TABLE altered (what text, luck float8)")
    fill()
    player.do("ALTER TABLE altered ALTER luck SET DEFAULT random()")
    fill()
    player.do("ALTER TABLE altered ADD seen timestamptz")
    player.do("ALTER TABLE altered ALTER seen SET DEFAULT now()")
    fill()
    player.do("CREATE DOMAIN day_of_write AS date DEFAULT CURRENT_DATE")
    player.do("CREATE TABLE by_domain (what text, d day_of_write)")
    player.write("INSERT INTO by_domain (what) VALUES ('x')", tag="INSERT 0 1")
    assert column(world, "SELECT count(DISTINCT key) FROM fresh") == [3 * player.runs]
    assert column(world, "SELECT count(DISTINCT luck) FROM altered") == [2 * player.runs]


# Values of their own.

def test_values_of_their_own(world, player):
    """clock_timestamp(), random() and uuids in VALUES: one value at each call for both servers."""
    for expression in OWN_VALUES:
        player.do("TRUNCATE kept")
        player.write(f"INSERT INTO kept (what, v) VALUES ('single', ({expression})::text)", tag="INSERT 0 1")
        player.write(f"INSERT INTO kept (what, v) VALUES ('a', ({expression})::text), (%s, ({expression})::text), "
                     f"('c', ({expression})::text || ({expression})::text)", "b", tag="INSERT 0 3")
        values = column(world, "SELECT v FROM kept ORDER BY id")
        assert len(values) == 4 * player.runs
        if "time" not in expression:  # two looks at a clock may be in the same microsecond
            assert len(values) == len(set(values)), expression


def test_values_of_their_own_have_the_types_of_theirs(world, player):
    """They land in columns of their types, and RETURNING shows the client what both servers have."""
    for reply in player.write("INSERT INTO kept (at, key, luck) VALUES (clock_timestamp(), gen_random_uuid(), random()) RETURNING at, key, luck"):
        at, key, luck = reply.rows[0]
        assert column(world, f"SELECT count(*) FROM kept WHERE at = '{at}' AND key = '{key}' AND luck = {luck}::float8") == [1]
        assert 0 <= float(luck) < 1 and re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", key)


def test_uuids_of_the_extension(world, player):
    """uuid-ossp's functions, wherever its schema is, and as a default."""
    for server in world.servers():
        server.sql("CREATE SCHEMA IF NOT EXISTS ids; CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\" SCHEMA ids; "
                   "GRANT USAGE ON SCHEMA ids TO public", database="app")
    try:
        # What was made past the relay is known at the next DDL that goes through it.
        player.do("CREATE TABLE named (key uuid DEFAULT ids.uuid_generate_v4(), other uuid)")
        for function in ("uuid_generate_v4()", "uuid_generate_v1()", "uuid_generate_v1mc()"):
            player.write(f"INSERT INTO named (other) VALUES (ids.{function}), (ids.{function})", tag="INSERT 0 2")
        player.do("SET search_path = public, ids")
        player.write("INSERT INTO named (other) VALUES (uuid_generate_v4())", tag="INSERT 0 1")
        rows = 7 * player.runs
        assert column(world, "SELECT count(DISTINCT key) FROM named") == [rows]
        assert column(world, "SELECT count(DISTINCT other) FROM named") == [rows]
    finally:
        player.do("DROP TABLE named")
        for server in world.servers():
            server.sql("DROP SCHEMA ids CASCADE", database="app")


def test_sequences(world, player):
    """nextval, currval, lastval and setval in writes and reads, serial columns, rollbacks: the same on both."""
    player.write("INSERT INTO kept (what, v) VALUES (nextval('counted'), currval('counted')), (lastval(), nextval('counted'))",
                 tag="INSERT 0 2")
    for _ in range(2):
        last = player.write("INSERT INTO kept (what) VALUES ('serial') RETURNING id")[-1].value()
        assert player.do("SELECT lastval()").value() == player.do("SELECT currval('kept_id_seq')").value() == last
        player.write("INSERT INTO kept (what, v) VALUES ('last', lastval()), ('current', currval('kept_id_seq'))")
    player.write("SELECT nextval('counted')")
    player.begin()
    player.write("INSERT INTO kept (what, v) VALUES ('undone', nextval('counted'))", tag="INSERT 0 1")
    player.rollback()
    player.write("INSERT INTO kept (id, v) VALUES (1, nextval('counted'))", allow=("23505",))
    player.do("SELECT setval('counted', 1000)")
    player.write("INSERT INTO kept (what, v) VALUES ('set', nextval('counted'))", tag="INSERT 0 1")
    assert max(map(int, column(world, "SELECT v FROM kept WHERE what = 'set'"))) == 1000 + player.runs


# The same seed on both.

def test_random_inside_of_queries_and_functions(world, player):
    """random() in a query whose order is fixed, in a function and in a trigger gives the same on both."""
    player.do("CREATE FUNCTION luck() RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN RETURN random() + random(); END $$")
    player.do("CREATE FUNCTION lucky() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.luck := random(); RETURN NEW; END $$")
    player.do("CREATE TRIGGER lucky BEFORE INSERT ON kept FOR EACH ROW EXECUTE FUNCTION lucky()")
    player.write("INSERT INTO kept (what) VALUES ('by trigger')", tag="INSERT 0 1")
    player.write("INSERT INTO kept (v) SELECT random()::text FROM generate_series(1, 5) i ORDER BY i", tag="INSERT 0 5")
    player.write("INSERT INTO kept (v) SELECT luck()::text", tag="INSERT 0 1")
    player.write("UPDATE kept SET luck = luck() WHERE id = 1", tag="UPDATE 1")
    assert len(set(column(world, "SELECT luck FROM kept"))) == 7 * player.runs


def test_random_after_a_wait(world, player):
    """What was tried in vain on both, and perhaps not equally far, leaves no trace in the values."""
    player.do("INSERT INTO kept (what) SELECT 'row' FROM generate_series(1, 3) i ORDER BY i", tag="INSERT 0 3")
    player.do("CREATE FUNCTION lucky() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.luck := random(); RETURN NEW; END $$")
    player.do("CREATE TRIGGER lucky BEFORE UPDATE ON kept FOR EACH ROW EXECUTE FUNCTION lucky()")
    holder = Session(world.conninfo())
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for _ in range(5):
            holder.begin()
            holder.do("UPDATE kept SET v = 'held' WHERE id = 2", tag="UPDATE 1")
            waiting = pool.submit(player.do, "UPDATE kept SET v = 'all'", tag="UPDATE 3")
            holds(lambda: not waiting.done(), 0.3, "the update waits")
            holder.commit()
            assert waiting.result(10).ok
            assert len(set(column(world, "SELECT luck FROM kept ORDER BY id"))) == 3
    holder.close()


def test_a_seed_of_the_clients(world, player):
    """setseed() gives the client the series that it knows."""
    expected = [row[0] for row in world.master.sql("SELECT setseed(0.25); SELECT random()::text FROM generate_series(1, 2)", database="app")]
    player.do("SELECT setseed(0.25)")
    assert [player.do("SELECT random()::text").value() for _ in range(2)] == expected
    player.do("SET seed = 0.25")
    player.do("INSERT INTO kept (v) SELECT random()::text", tag="INSERT 0 1")
    assert column(world, "SELECT v FROM kept") == expected[:1]


def test_no_parallel_plans_fill_tables(world, player):
    """CREATE TABLE AS and its like run without workers; the client's setting is there again behind it."""
    player.do("SET max_parallel_workers_per_gather = 3")
    setting = "current_setting('max_parallel_workers_per_gather')"
    player.do(f"CREATE TABLE filled AS SELECT {setting} AS workers")
    player.begin()
    player.do(f"CREATE MATERIALIZED VIEW seen AS SELECT {setting} AS workers")
    assert player.do("SHOW max_parallel_workers_per_gather").value() == "3"
    player.commit()
    assert player.do("SHOW max_parallel_workers_per_gather").value() == "3"
    assert column(world, "SELECT workers FROM filled UNION ALL SELECT workers FROM seen") == ["0", "0"]


def test_ddl_that_no_statement_shows(freed, free_player):
    """A function that changes a default: the relay finds it out by itself."""
    free_player.do("CREATE FUNCTION change() RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
                   "EXECUTE 'ALTER TABLE kept ALTER v SET DEFAULT now()::text'; END $$")
    free_player.do("INSERT INTO kept (what) VALUES ('before')", tag="INSERT 0 1")
    free_player.do("SELECT change()")

    def is_equal():
        free_player.do("INSERT INTO kept (what) VALUES ('behind')", tag="INSERT 0 1")
        return len({server.value("SELECT v FROM kept ORDER BY id DESC LIMIT 1") for server in freed.servers()}) == 1
    wait_until(is_equal, 15, "the default to be computed once")


# Large objects.

LO_CREAT, LO_CREATE, LO_FROM_BYTEA = 957, 715, 3457  # in pg_proc.dat; libpq's lo_creat() calls the first
WRITE_MODE = 0x20000


def objects(server) -> list:
    return server.sql("SELECT m.oid, lo_get(m.oid) FROM pg_largeobject_metadata m ORDER BY 1", database="app")


def test_large_objects_have_one_oid(world, player):
    """Whoever leaves the oid to the server gets one that both have, whatever their counters say."""
    world.standby.sql("SELECT lo_unlink(lo_create(0)); SELECT lo_unlink(lo_create(0))", database="app")
    for sql in ("SELECT lo_create(0)", "SELECT lo_creat(-1)", "SELECT lo_from_bytea(0, 'abc'::bytea)", "SELECT lo_creat(131072) AS made"):
        for reply in player.write(sql):
            assert int(reply.value()) >= 16384
    player.write("INSERT INTO kept (v) VALUES (lo_create(0)), (lo_from_bytea(0, 'in a list'::bytea))", tag="INSERT 0 2")
    player.begin()
    player.do("SELECT lo_create(0)")
    player.rollback()
    made = objects(world.master)
    assert len(made) == 6 * player.runs and made == objects(world.standby)


def test_large_objects_by_function_calls(world):
    """As drivers make them, in binary, inside and outside of a block."""
    world.standby.sql("SELECT lo_unlink(lo_create(0))", database="app")
    with line_to(world.port) as line:
        for block in (False, True):
            if block:
                line.send(wire.query("BEGIN"))
                line.until_ready()
            for call in (wire.function_call(LO_CREAT, struct.pack("!i", WRITE_MODE)), wire.function_call(LO_CREATE, struct.pack("!I", 0)),
                         wire.function_call(LO_FROM_BYTEA, struct.pack("!I", 0), b"bytes")):
                line.send(call)
                answer = next(body for kind, body in line.until_ready() if kind == b"V")
                length, oid = struct.unpack("!iI", answer)
                assert length == 4 and oid >= 16384
            if block:
                line.send(wire.query("COMMIT"))
                line.until_ready()
    made = objects(world.master)
    assert len(made) == 6 and made == objects(world.standby)


# What stays different is in the log.

FLAGGED = {
    "random() in an UPDATE": ("UPDATE kept SET luck = random()", "random"),
    "random() in a condition": ("UPDATE kept SET v = 'lucky' WHERE random() < 2", "random"),
    "a uuid in INSERT ... SELECT": ("INSERT INTO kept (key) SELECT gen_random_uuid() FROM generate_series(1, 3)", "uuid"),
    "clock_timestamp() in an UPDATE": ("UPDATE kept SET at = clock_timestamp()", "clock_timestamp"),
    "txid_current()": ("INSERT INTO kept (v) VALUES (txid_current())", "txid_current"),
    "pg_current_xact_id()": ("INSERT INTO kept (v) VALUES (pg_current_xact_id()::text)", "txid_current"),
    "pg_current_snapshot()": ("UPDATE kept SET v = pg_current_snapshot()::text", "txid_current"),
    "xmin": ("UPDATE kept SET v = xmin::text", "txid_current"),
    "ctid": ("DELETE FROM kept WHERE ctid = '(0,1)'", "ctid"),
    "tableoid": ("INSERT INTO kept (v) SELECT tableoid::text FROM kept WHERE id = 1", "oid"),
    "a number of an object": ("INSERT INTO kept (v) VALUES ('1259'::regclass::text)", "oid"),
    "a literal without a type": ("INSERT INTO kept (at) VALUES ('now')", "now"),
    "pg_backend_pid()": ("INSERT INTO kept (v) VALUES (pg_backend_pid())", "pg_backend_pid"),
    "LIMIT without ORDER BY": ("DELETE FROM kept WHERE id IN (SELECT id FROM kept LIMIT 1)", "LIMIT without ORDER BY"),
    "the WAL's place": ("INSERT INTO kept (v) VALUES (pg_current_wal_lsn()::text)", "place in the WAL"),
    "the server's port": ("INSERT INTO kept (v) VALUES (inet_server_port())", "address of the server"),
    "several matches of a FROM": ("UPDATE kept SET v = t.n FROM ticks t WHERE t.n > 0", "UPDATE ... FROM"),
    "array_agg": ("INSERT INTO kept (v) SELECT array_agg(what)::text FROM kept", "array_agg"),
    "a default in INSERT ... SELECT": ("INSERT INTO stamped (what) SELECT 'x' FROM generate_series(1, 2)", "column default"),
    "a default in COPY": ("COPY stamped (what) FROM STDIN", "column default"),
    "a default in MERGE": ("MERGE INTO stamped s USING kept k ON false WHEN NOT MATCHED THEN INSERT (what) VALUES (k.what)",
                           "column default"),
    "a column with a default": ("ALTER TABLE kept ADD added timestamptz DEFAULT now()", "now"),
    "PREPARE": ("PREPARE kept_for_later AS INSERT INTO kept (at) VALUES (now())", "now"),
    "large objects of several rows": ("INSERT INTO kept (v) SELECT lo_create(0)::text FROM generate_series(1, 2)", "large object"),
    "a size on disk": ("INSERT INTO kept (v) VALUES (pg_relation_size('kept'))", "size on disk"),
}


AGAIN = ("42701", "42P05")  # the column, or the statement, is there already


def test_what_stays_different_is_in_the_log(freed, free_player):
    """What the relay cannot compute once: `write-may-differ` tells what, where and which statement, once a text."""
    player, relay, unflagged = free_player, freed.relay, []
    for thing, (statement, flag) in FLAGGED.items():
        player.do("TRUNCATE kept, stamped")
        player.do("INSERT INTO kept (what) VALUES ('first'), ('second')", tag="INSERT 0 2")
        size = relay.log_size()
        text = f"/* {player.way} */ {statement}"
        for _ in range(2):
            if statement.startswith("COPY"):
                player.copy_in(text, "one\ntwo\n", tag="COPY 2")
            else:
                player.write(text, allow=AGAIN)
        shown = relay.log_lines(f"write-may-differ database=app user={USER} why=.*{re.escape(flag)}.*{re.escape(text[:40])}", size)
        if len(shown) != 1:
            unflagged.append(f"{thing}: {len(shown)} times")
    assert not unflagged


def test_several_statements_are_in_the_log(freed):
    """What is not rewritten because it stands among other statements is flagged, too."""
    size = freed.relay.log_size()
    with contextlib.closing(Session(freed.conninfo())) as session:
        session.do("INSERT INTO kept (at) VALUES (now()); INSERT INTO kept (luck) VALUES (random())")
    assert len(freed.relay.log_lines("write-may-differ.*why=.*now.*random", size)) == 1


def test_what_is_computed_once_is_not_in_the_log(world, player):
    """Rewritten statements and statements that need nothing are not flagged."""
    size = world.relay.log_size()
    player.write("INSERT INTO kept (what, at, key) VALUES ('quiet', now(), gen_random_uuid())", tag="INSERT 0 1")
    player.write("INSERT INTO stamped (what) VALUES ('quiet')", tag="INSERT 0 1")
    player.write("UPDATE kept SET at = now() WHERE id = 1")
    player.write("INSERT INTO kept (what) SELECT 'sorted' FROM generate_series(1, 3) i ORDER BY i", tag="INSERT 0 3")
    player.write("DELETE FROM kept WHERE id IN (SELECT id FROM kept ORDER BY id LIMIT 1)", tag="DELETE 1")
    assert not world.relay.log_lines("write-may-differ", size)


# All else stays as it is.

ODD = ("/* häufig; 'quoted' -- not a comment */ INSERT  INTO kept\t(what , \"v\", at)\r VALUES ( $tag$ now() $tag$,E'it\\'s now() \\\\',{} )  "
       "-- ünd now() -- ")


@pytest.mark.parametrize("protocol", ("simple", "extended"))
def test_the_servers_see_the_clients_text(world, protocol):
    """The logs of both servers have the client's comments and spaces byte for byte; only now() is a constant."""
    with statements_logged(world):
        session = Session(world.conninfo(), protocol=protocol)
        sizes = [server.log_size() for server in world.servers()]
        try:
            session.do(ODD.format("NULL"), tag="INSERT 0 1")
            session.do(ODD.format("now()"), tag="INSERT 0 1")
        finally:
            session.close()
        before, behind = (re.escape(part) for part in ODD.split("{}"))
        for server, size in zip(world.servers(), sizes):
            got = server.log()[size:]
            assert re.search(f"{before}NULL{behind}\n", got), f"{server.name}: the text was changed"
            assert re.search(rf"{before}[^\n]*(\$1|'[-0-9 :.+]+')[^\n]*{behind}", got), f"{server.name}: more than now() was changed"
            assert not re.search(f"{before}now", got), f"{server.name}: now() was not replaced"
    assert column(world, "SELECT DISTINCT what || v FROM kept") == [" now() it's now() \\"]
    assert not session.wrong


@pytest.mark.parametrize("protocol", ("simple", "extended"))
def test_activity_shows_the_clients_text(world, protocol):
    """While it runs, pg_stat_activity of both servers has the statement with the client's comment."""
    session = Session(world.conninfo(), protocol=protocol)
    text = f"/* look for me, {protocol} */ INSERT INTO kept (what, at) SELECT 'slept', now() FROM pg_sleep(20) -- behind"
    try:
        session.pgconn.send_query(text.encode()) if protocol == "simple" else session.pgconn.send_query_params(text.encode(), [])
        for server in world.servers():
            wait_until(lambda: server.backends(f"state = 'active' AND query LIKE '/* look for me, {protocol} */ INSERT %-- behind'") == 1,
                       10, f"{server.name} to show it")
        session.pgconn.get_cancel().cancel()
        assert session.pgconn.get_result().error_field(DiagnosticField.SQLSTATE) == b"57014"
    finally:
        session.close()


ERRORS = {
    "behind": "INSERT INTO kept (at, what) VALUES (now(), nosuch)",
    "before": "INSERT INTO kept (nosuch, at) VALUES (1, now())",
    "at": "INSERT INTO kept (id) VALUES (now())",
    "between": "UPDATE kept SET at = now(), nosuch = 1, d = CURRENT_DATE",
    "around": "UPDATE kept SET v = nosuch(now(), CURRENT_DATE)",
    "behind wide letters": "INSERT /* ünïcödé ⌚ */ INTO kept (what, at, v) VALUES ('⌚⌚', clock_timestamp(), nosuch)",
    "behind a default": "INSERT INTO stamped (what) VALUES (nosuch)",
    "behind several rows": "INSERT INTO stamped (what) VALUES ('a'), ('b'), (nosuch)",
    "of a uuid": "INSERT INTO kept (d) VALUES (gen_random_uuid())",
    "without a place": "INSERT INTO kept (id, at) VALUES (NULL, now())",
    "the grammar's": "INSERT INTO kept (at) VALUES (now()) nosuch here",
    "RETURNING": "INSERT INTO kept (at) VALUES (now()) RETURNING id, nosuch",
}


def test_errors_are_those_of_the_clients_text(world):
    """Every field of an ErrorResponse, the position too, is what the master says to the text as the client wrote it."""
    with line_to(world.port) as through, line_to(world.master.port) as direct:
        for where, statement in ERRORS.items():
            for unit in (wire.query(statement), wire.parse(statement) + wire.bind() + wire.execute() + wire.SYNC):
                said = []
                for line in (through, direct):
                    line.send(unit)
                    (error,) = [wire.fields(body) for kind, body in line.until_ready(raise_errors=False) if kind == b"E"]
                    said.append({key: value for key, value in error.items() if not (key == "D" and error["C"] == "23502")})
                assert said[0] == said[1], where
                assert ("P" in said[0]) == (where != "without a place"), where


DESCRIBED = (
    "INSERT INTO kept (what, at) VALUES ($1, now()) RETURNING id, at, now(), CURRENT_DATE, now()::text, now() AS named",
    "INSERT INTO kept (key, luck, what) VALUES (gen_random_uuid(), random() * $2, $1)",
    "UPDATE kept SET at = now(), v = $2 WHERE id = $1 AND at < now() - $3::interval RETURNING *",
    "INSERT INTO stamped (what) VALUES ($1) RETURNING *",
    "INSERT INTO stamped DEFAULT VALUES",
    "DELETE FROM kept WHERE at < CURRENT_TIMESTAMP",
)


@pytest.mark.parametrize("statement", DESCRIBED)
def test_descriptions_are_those_of_the_clients_statement(world, statement):
    """ParameterDescription and RowDescription, of statement and portal, are byte for byte the master's for the client's text."""
    asked = wire.parse(statement, "s") + wire.describe(b"S", "s") + wire.SYNC
    values = ["1", "2", "3"][:statement.count("$")]
    with line_to(world.port) as through, line_to(world.master.port) as direct:
        for line in (through, direct):
            line.send(asked)
        answers = [line.until_ready() for line in (through, direct)]
        assert answers[0] == answers[1]
        (parameters,) = [body for kind, body in answers[0] if kind == b"t"]
        assert struct.unpack_from("!H", parameters)[0] == len(values)
        for _ in range(2):
            through.send(wire.bind(*values, name="s") + wire.describe() + wire.execute() + wire.SYNC)
            answered = through.until_ready()
            assert [body for kind, body in answered if kind in b"Tn"] == [body for kind, body in answers[0] if kind in b"Tn"]
            assert wire.kinds(answered).replace("D", "") in ("2TCZ", "2nCZ")
        through.send(wire.message(b"C", b"S" + wire.text("s")) + wire.SYNC)
        assert wire.kinds(through.until_ready()) == "3Z"


def test_binary_parameters_and_results(world):
    """Values and formats of the client's own parameters stay its own: one format for all, each its own, declared types."""
    statement = "INSERT INTO kept (what, at, key, luck) VALUES ($1 || $2::int4, now(), gen_random_uuid(), random()) RETURNING luck"
    number = struct.pack("!i", 77)
    declared = wire.message(b"P", wire.text("typed") + wire.text(statement) + struct.pack("!HII", 2, 25, 23))
    undeclared = wire.message(b"P", wire.text("untyped") + wire.text(statement) + struct.pack("!H", 0))

    def bound(name, formats, *values):
        body = wire.text("") + wire.text(name) + struct.pack(f"!H{len(formats)}HH", len(formats), *formats, len(values))
        body += b"".join(struct.pack("!i", len(v)) + v for v in values)
        return wire.message(b"B", body + struct.pack("!HH", 1, 1)) + wire.execute()

    with line_to(world.port) as line:
        line.send(declared, undeclared, wire.SYNC)
        assert wire.kinds(line.until_ready()) == "11Z"
        for name in ("typed", "untyped"):
            for formats, values in (((1,), (b"bin", number)), ((0, 1), (b"mixed", number)), ((), (b"text", b"77")), ((0,), (b"text", b"77"))):
                line.send(bound(name, formats, *values), wire.SYNC)
                (row,) = [body for kind, body in line.until_ready() if kind == b"D"]
                luck = struct.unpack("!d", row[6:])[0]
                assert column(world, f"SELECT luck FROM kept WHERE luck = {luck!r}::float8") == [luck]
    assert sorted(column(world, "SELECT what FROM kept ORDER BY what")) == sorted(["bin77", "mixed77", "text77", "text77"] * 2)


def test_statements_by_name_live_as_on_one_server(world):
    """DEALLOCATE, DISCARD ALL, Close, a name that is taken, a Parse that fails, PREPARE and EXECUTE as text, unnamed statements."""
    now, plain = "INSERT INTO kept (what, at) VALUES ($1, now())", "INSERT INTO kept (what, v) VALUES ($1, 'plain')"
    with line_to(world.port) as line:
        def unit(*packets):
            line.send(*packets, wire.SYNC)
            return line.until_ready(raise_errors=False)

        def failure(messages):
            return [wire.fields(body)["C"] for kind, body in messages if kind == b"E"]

        def run(name):
            return unit(wire.bind("x", name=name), wire.execute())

        assert not failure(unit(wire.parse(now, "a")))
        assert failure(unit(wire.parse(plain, "a"))) == ["42P05"]
        assert wire.tags(run("a")) == ["INSERT 0 1"]
        assert not failure(unit(wire.message(b"C", b"S" + wire.text("a"))))
        assert failure(run("a")) == ["26000"]
        assert not failure(unit(wire.parse(plain, "a"))) and wire.tags(run("a")) == ["INSERT 0 1"]
        for words in ("DEALLOCATE a", "DEALLOCATE ALL", "DISCARD ALL"):
            line.send(wire.query(words))
            assert not failure(line.until_ready())
            assert not failure(unit(wire.parse(now, "a"))) and wire.tags(run("a")) == ["INSERT 0 1"]
        for text in (now, plain, now):
            assert not failure(unit(wire.parse(text))) and wire.tags(run("")) == ["INSERT 0 1"]
        assert failure(unit(wire.parse("INSERT INTO nosuch VALUES (now())", "b"))) == ["42P01"] and failure(run("b")) == ["26000"]
        for text in ("PREPARE p (text) AS INSERT INTO kept (what) VALUES ($1)", "EXECUTE p('one')", "EXECUTE p('two')", "DEALLOCATE p"):
            line.send(wire.query(text))
            assert not failure(line.until_ready(raise_errors=False)), text
        pipeline = wire.parse(now, "c") + wire.bind("1", name="c") + wire.execute() + wire.bind("2", name="c") + wire.execute()
        assert wire.tags(unit(pipeline)) == ["INSERT 0 1"] * 2


@contextlib.contextmanager
def proxy_to(server):
    proxy = FaultProxy(server.port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.end()


def test_statements_outlive_the_standby(freed):
    """Prepared while the standby was joined, executed without it, in a failed block and in a unit with a Flush: as on one server."""
    now = "INSERT INTO kept (what, at, key) VALUES ($1, now(), gen_random_uuid()) RETURNING what"

    def run(line, *packets):
        line.send(*packets)
        return line.until_ready(raise_errors=False)

    with proxy_to(freed.standby) as proxy, another_relay(freed, standby_port=proxy.port) as world, line_to(world.port) as line:
        for name in ("a", "b", "c", ""):
            assert wire.kinds(run(line, wire.parse(now, name), wire.SYNC)) == "1Z"
        # In one write with the Parse: its ParseComplete is still to come.
        both = [wire.parse(now, "d"), wire.SYNC, wire.bind("at once", name="d"), wire.execute(), wire.SYNC]
        line.send(*both)
        assert wire.kinds(line.until_ready()) + wire.kinds(line.until_ready()) == "1Z2DCZ"
        # A failed block refuses the statement, not its number of values.
        run(line, wire.query("BEGIN"))
        run(line, wire.query("SELECT 1/0"))
        (refused,) = [wire.fields(body)["C"] for kind, body in run(line, wire.bind("x", name="a"), wire.execute(), wire.SYNC) if kind == b"E"]
        assert refused == "25P02"
        run(line, wire.query("ROLLBACK"))
        # The frontend waits for what it has flushed.
        line.send(wire.bind("flushed", name="a"), wire.execute(), wire.message(b"H"))
        assert [line.receive()[0] for _ in range(2)] == [b"2", b"D"]
        assert wire.kinds(run(line, wire.bind("flushed too", name="b"), wire.execute(), wire.SYNC)) == "C2DCZ"
        assert wire.tags(run(line, wire.bind("again", name="a"), wire.execute(), wire.SYNC)) == ["INSERT 0 1"]
        proxy.refuse()
        proxy.reset()
        world.relay.wait_stale()
        for _ in range(2):
            for name in ("a", "b", "c", "d"):
                described = run(line, wire.describe(b"S", name), wire.bind("alone", name=name), wire.execute(), wire.SYNC)
                assert wire.kinds(described) == "tT2DCZ" and wire.rows(described) == [["alone"]]
                (parameters,) = [body for kind, body in described if kind == b"t"]
                assert struct.unpack_from("!H", parameters)[0] == 1
    assert freed.master.value("SELECT count(*) FROM kept WHERE what = 'alone' AND at IS NOT NULL AND key IS NOT NULL") == 8


def test_other_words_than_the_functions(world, player):
    """A column, a text, an identifier or a function of the user's named like a source are left alone."""
    player.do("CREATE TABLE looks (\"now\" text, \"current_date\" text, random int)")
    player.do("CREATE FUNCTION public.random(i int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT i + 1'")
    player.write("INSERT INTO looks AS l (\"now\", \"current_date\", random) VALUES ('now()', 'random()', public.random(6)) "
                 "RETURNING l.now, random", tag="INSERT 0 1")
    player.write("UPDATE looks SET random = random + 1, \"now\" = now || 'CURRENT_TIMESTAMP' WHERE looks.random > 0")
    if player.way == "simple":
        assert column(world, "SELECT \"now\" || ' ' || \"current_date\" || ' ' || random FROM looks") == ["now()CURRENT_TIMESTAMP random() 8"]


# Switched off.

SWITCHES = {
    "time": (("--rewrite-time", "off"), {"own"}),
    "values": (("--rewrite-values", "off"), {"now"}),
    "both": (("--rewrite-time", "off", "--rewrite-values", "off"), set()),
}


@pytest.mark.parametrize("off, protocol", (("time", "simple"), ("values", "extended"), ("both", "simple"), ("both", "extended")))
def test_switched_off(freed, off, protocol):
    """With rewrite_time or rewrite_values off the servers get these texts as they came, and the log says that they may differ."""
    flags, equal = SWITCHES[off]
    texts = {"now": "INSERT INTO kept (what, at) SELECT 'time', now() FROM generate_series(1, 1) i ORDER BY i",
             "own": "INSERT INTO kept (what, key) VALUES ('own', gen_random_uuid())",
             "default": "INSERT INTO stamped (what) VALUES ('default')"}
    with another_relay(freed, *flags) as world, statements_logged(world):
        sizes = [server.log_size() for server in world.servers()]
        session = Session(world.conninfo(), protocol=protocol)
        try:
            for text in texts.values():
                assert session.do(text, tag="INSERT 0 1").ok
        finally:
            session.close()
        world.quiet()
        for name, text in texts.items():
            flagged = bool(world.relay.log_lines(f"write-may-differ.*{re.escape(text[:30])}"))
            assert flagged == (name not in equal), f"{name} in the log: {flagged}"
            for server, size in zip(world.servers(), sizes):
                as_it_came = f": {text}\n" in server.log()[size:]
                assert as_it_came == (off == "both" if name == "default" else name not in equal), f"{name} on {server.name}"
    keys = [server.value("SELECT key FROM kept WHERE what = 'own'") for server in freed.servers()]
    assert (keys[0] == keys[1]) == ("own" in equal)
    if "now" in equal:
        column(freed, "SELECT at FROM kept WHERE what = 'time'")


def test_the_year_of_a_time_zone(world, player):
    """Times far from UTC, before Christ and infinite stay what they are: only the source is replaced."""
    player.do("SET TimeZone = 'Pacific/Kiritimati'")
    player.begin()
    player.write("INSERT INTO kept (what, d, at) VALUES (CURRENT_DATE::text, CURRENT_DATE, LEAST(now(), 'infinity')), "
                 "('4713 BC', '4713-01-01 BC', '-infinity')", tag="INSERT 0 2")
    today = player.do("SELECT CURRENT_DATE").value()
    assert player.commit().ok
    found = column(world, "SELECT d::text FROM kept WHERE what NOT LIKE '%BC'")
    assert set(found) == {today}
