"""Discipline `serial` in a pair: hard cases through the two relays, sequences over the peer protocol, then a promotion."""
import concurrent.futures

import psycopg
import pytest

from harness import Pair, everything_same, holds, wait_until
from harness.cases import CASES, run_case
from harness.load import Session
from harness.worlds import World, refusal

pytestmark = [pytest.mark.skipif(bool(refusal()), reason=refusal() or "-"), pytest.mark.timeout(120)]

HARD = (("01-", "extended"), ("05-", "simple"), ("05-", "extended"), ("09-", "simple"), ("15-", "extended"), ("17-", "extended"))


def world_of(pair, active="a") -> World:
    other = "b" if active == "a" else "a"
    node = pair.nodes[active]
    return World("pair", node.postgres, pair.nodes[other].postgres, node.relay_port, node.relay)


@pytest.fixture(scope="module")
def made_pair():
    with Pair(settings={"discipline": "serial"}) as pair:
        yield pair


@pytest.fixture
def world(made_pair):
    world = world_of(made_pair)
    world.reset(("CREATE TABLE u (id serial PRIMARY KEY, k int UNIQUE)", "INSERT INTO u (k) VALUES (1)", "CREATE SEQUENCE loose"))
    yield world
    world.quiet()
    world.relay.assert_still_joined()
    everything_same(world.master, world.standby)


def sequence(server, name="u_id_seq"):
    return server.sql(f"SELECT last_value, is_called FROM {name}", database="app")[0]


@pytest.mark.parametrize("name, protocol", HARD)
def test_hard_cases_in_a_pair(made_pair, name, protocol):
    """Some of the hardest cases, eight sessions each: both servers equal, no client saw what one server would not show."""
    (case,) = [c for c in CASES if c.name.startswith(name)]
    outcome = run_case(case, world_of(made_pair), protocol, seconds=0.3)
    assert outcome.good, str(outcome)
    assert not made_pair.a.relay.log_contains("sequences-not-aligned")


@pytest.mark.parametrize("protocol", ("simple", "extended"))
def test_the_peer_sets_the_sequences(made_pair, world, protocol):
    """After a failure the standby's sequences become the master's by way of its relay, even one that had run ahead."""
    session = Session(world.conninfo(), protocol=protocol)
    try:
        assert session.do("INSERT INTO u (k) VALUES (2)", tag="INSERT 0 1").ok
        session.do("SELECT nextval('loose')")
        made_pair.b.postgres.sql("SELECT setval('u_id_seq', 500), setval('loose', 40, false)", database="app")
        assert session.do("INSERT INTO u (k) VALUES (1)", allow=("23505",)).sqlstate == "23505"
        wait_until(lambda: sequence(made_pair.b.postgres) == sequence(made_pair.a.postgres) == (3, True), 5, "b's sequence to be a's")
        assert sequence(made_pair.b.postgres, "loose") == (1, True)
        # What is undone leaves its numbers used on both.
        session.begin()
        for key in range(10, 15):
            session.do("INSERT INTO u (k) VALUES (%s)", key, tag="INSERT 0 1")
        session.rollback()
        assert session.do("INSERT INTO u (k) VALUES (99) RETURNING id").value() == "9"
        assert not made_pair.a.relay.log_contains("sequences-not-aligned")
        assert not session.wrong
    finally:
        session.close()


def test_odd_sequences_are_set_too(made_pair, world):
    """Names in quotes, other schemas, descending ones, the ends of smallint and bigint, identity columns, one never called."""
    session = Session(world.conninfo())
    try:
        for statement in ('CREATE SCHEMA "O\'dd"', 'CREATE SEQUENCE "O\'dd"."Big one" AS bigint START 9223372036854775800',
                          "CREATE SEQUENCE down INCREMENT -5 START -1", "CREATE SEQUENCE small AS smallint MAXVALUE 3 CYCLE",
                          "CREATE TABLE ident (id int GENERATED ALWAYS AS IDENTITY, k int REFERENCES u (k))", "CREATE SEQUENCE idle START 77"):
            assert session.do(statement).ok
        numbers = "nextval('\"O''dd\".\"Big one\"'), nextval('down'), nextval('small')"
        for n in range(7):
            session.do(f"SELECT {numbers}")
            made_pair.b.postgres.sql(f"SELECT {numbers}", database="app")
            assert session.do("INSERT INTO ident (k) VALUES (12345)", allow=("23503",)).sqlstate == "23503"
            everything_same(made_pair.a.postgres, made_pair.b.postgres)
        assert session.do("SELECT nextval('idle')").value() == "77"
        session.do("DROP SCHEMA \"O'dd\" CASCADE; DROP SEQUENCE down, small, idle; DROP TABLE ident")
        assert not made_pair.a.relay.log_contains("sequences-not-aligned")
        session.wrong = [w for w in session.wrong if "notice" not in w]
        assert not session.wrong
    finally:
        session.close()


def test_promote_after_hard_cases():
    """After failures and rollbacks b is promoted: its ids go on where a's were, none twice, with the same discipline."""
    with Pair(settings={"discipline": "serial"}) as pair:
        world = world_of(pair)
        (case,) = [c for c in CASES if c.name.startswith("05-")]
        outcome = run_case(case, world, "simple", seconds=0.6)
        assert outcome.good, str(outcome)
        before = sequence(pair.a.postgres)
        pair.tool.promote("b")
        pair.b.relay.wait_state("ALONE")
        assert sequence(pair.b.postgres) == before
        with psycopg.connect(world_of(pair, "b").conninfo(), autocommit=True) as session:
            given = session.execute("INSERT INTO u (k, who) VALUES (-1, 0) RETURNING id").fetchone()[0]
            assert given == before[0] + 1
            statement = "INSERT INTO u (k, who) VALUES (-2, extract(year FROM now())::int)"
            assert session.execute(statement).rowcount == 1
        assert pair.b.relay.status()["discipline"] == "serial"


@pytest.mark.parametrize("begun_by", ("INSERT INTO outlives VALUES (2, 0)", "UPDATE outlives SET n = n WHERE k = 3"))
def test_a_transaction_that_outlives_the_standby_waits_as_on_one_server(own_pair, begun_by):
    """Begun with a standby, it meets a lock after that was lost: the client's own lock_timeout holds again."""
    with psycopg.connect(own_pair.a.relay.tcp(), autocommit=True) as holder, \
            psycopg.connect(own_pair.a.relay.tcp(), autocommit=True) as other:
        holder.execute("CREATE TABLE outlives (k int PRIMARY KEY, n int)")
        holder.execute("INSERT INTO outlives VALUES (1, 0), (3, 0)")
        other.execute("BEGIN")
        other.execute(begun_by)
        own_pair.b.relay.kill()
        own_pair.a.relay.wait_state("ALONE")
        assert other.execute("SHOW lock_timeout").fetchone() == ("0",)
        holder.execute("BEGIN")
        holder.execute("UPDATE outlives SET n = n + 1 WHERE k = 1")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(other.execute, "UPDATE outlives SET n = n + 1 WHERE k = 1")
            holds(lambda: not waiting.done(), 1.0, "it waits for the lock")
            holder.execute("COMMIT")
            waiting.result(10)
        other.execute("COMMIT")
    assert own_pair.a.postgres.value("SELECT n FROM outlives WHERE k = 1") == 2
