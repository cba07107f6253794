"""What the standby gets together with the unit behind it: nobody notices, but by the time that it saves."""
import contextlib
import time

import pytest

from harness import Pair, wait_until, wire
from harness.players import SOON, answer, waits
from harness.worlds import World, refusal

pytestmark = [pytest.mark.skipif(bool(refusal()), reason=refusal() or "-"), pytest.mark.timeout(90)]

SETUP = ("CREATE TABLE kept (id int PRIMARY KEY, v int NOT NULL)", "INSERT INTO kept SELECT i, 100 FROM generate_series(1, 10) i",
         "CREATE TABLE elsewhere (id serial PRIMARY KEY, who text)")
ADD = "UPDATE kept SET v = v + 1 WHERE id = {}"
READ = "SELECT v FROM kept WHERE id = {}"


@pytest.fixture
def world(patient_world):
    return patient_world


def is_in_a_block(server):
    return server.backends("state = 'idle in transaction'") == 1


def test_a_transaction_that_is_begun_is_soon_begun_on_both(world, player):
    """A client that thinks behind its BEGIN or a read leaves the standby without them for a moment only."""
    session = player()
    session.begin()
    for server in world.servers():
        wait_until(lambda: is_in_a_block(server), SOON, "the transaction to be begun")
    session.do(READ.format(1))
    for server in world.servers():
        wait_until(lambda: server.backends("query LIKE 'SELECT v%'") == 1, SOON, "the read")
    assert session.commit().ok


def test_reads_in_a_block_do_not_wait_for_a_standby_far_off(world, line, player):
    """Ten of them take less time than one way to it and back."""
    session = player()
    session.begin()
    session.do(READ.format(1))
    line.delay(0.2, "back")
    began = time.monotonic()
    for row in range(1, 11):
        assert session.do(READ.format(row)).ok
    assert time.monotonic() - began < 0.2
    assert session.do(ADD.format(1), tag="UPDATE 1").ok
    assert session.commit().ok


def test_a_read_waits_for_a_standby_that_is_silent(world, player):
    """What the master alone has may be lost with it: a standby that does not answer is waited for before anything is told."""
    session, other = player(), player()
    before = world.standby.pids()
    session.do(READ.format(1))
    with contextlib.ExitStack() as frozen:
        for pid in before:
            frozen.enter_context(world.standby.frozen_backend(pid))
        time.sleep(0.05)  # so long a standby has not answered: by the clock, which nothing tells of
        read = session.go(READ.format(1))
        waits(read)
    assert answer(read).ok
    assert other.do(READ.format(2)).ok


def test_what_is_kept_comes_first(world, player):
    """Reads, writes and what both leave behind are in the client's order on both servers, whatever was kept between."""
    session = player()
    for number in range(1, 30):
        session.begin()
        for row in range(number % 4):
            session.do(READ.format(row + 1))
        session.do(ADD.format(number % 10 + 1), tag="UPDATE 1")
        session.do(READ.format(1))
        session.do(f"INSERT INTO elsewhere (who) SELECT v FROM kept WHERE id = {number % 10 + 1}", tag="INSERT 0 1")
        assert session.commit().ok
        for row in range(number % 11):
            session.do(READ.format(row % 10 + 1))
        session.do(ADD.format(1), tag="UPDATE 1")


def test_a_cursor_is_declared_at_once(world, player):
    """What it finds depends on when it is declared: the standby's stands on the same row, and the row is changed there too."""
    session, other = player(), player()
    session.begin()
    session.do("DECLARE here CURSOR FOR SELECT id, v FROM kept WHERE v = 100 ORDER BY id")
    assert other.do("UPDATE kept SET v = 0 WHERE id = 1", tag="UPDATE 1").ok
    session.do("FETCH 2 FROM here")
    assert session.do("UPDATE kept SET v = 7 WHERE CURRENT OF here", tag="UPDATE 1").ok
    assert session.commit().ok
    assert world.value("SELECT string_agg(v::text, ' ' ORDER BY id) FROM kept WHERE id <= 3") == "0 7 100"


def test_a_failed_read_fails_the_standbys_transaction(world, player):
    """The error is told at once; the standby comes to it before the ROLLBACK TO that mends it."""
    session = player()
    session.begin()
    session.do(ADD.format(1), tag="UPDATE 1")
    session.do("SAVEPOINT a")
    assert session.do("SELECT 1 / (v - v) FROM kept WHERE id = 1", allow=("22012",)).sqlstate == "22012"
    session.do("ROLLBACK TO a")
    session.do(READ.format(1))
    session.do(ADD.format(2), tag="UPDATE 1")
    assert session.commit().ok


@pytest.mark.parametrize("limit", ("statement_timeout", "lock_timeout"))
@pytest.mark.parametrize("block", (True, False), ids=("in a block", "alone"))
def test_the_clients_time_limits_run_on_the_masters_clock(world, player, limit, block):
    """A standby that is slower than its client allows the master is waited for, and nothing is missed."""
    session = player()
    session.do(f"SET {limit} = '200ms'")
    if block:
        session.begin()
        assert session.do("SELECT count(*) FROM elsewhere").ok
    with world.standby.locked("kept"):
        read = session.go(READ.format(1))
        wait_until(lambda: world.standby.backends("wait_event_type = 'Lock'") == 1, SOON, "the standby to wait")
        if block:
            twice = "wait_event_type = 'Lock' AND clock_timestamp() - query_start > interval '400 ms'"
            wait_until(lambda: world.standby.backends(twice) == 1, SOON, "the standby to have waited for twice the limit")
        else:
            wait_until(lambda: world.standby.backends("wait_event_type = 'Lock'") == 0, SOON, "the standby to give it up")
    assert answer(read).ok
    if block:
        assert session.do(f"SHOW {limit}").value() == "200ms"
        assert session.do(READ.format(2)).ok
        assert session.commit().ok
    assert session.do(f"SHOW {limit}").value() == "200ms"


def scans(server):
    """How often `kept` has been read there, by sessions that have ended."""
    return server.value("SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 'kept'")


def test_a_client_that_leaves_behind_reads_costs_nothing(world):
    """Its last reads come to the standby although it has gone, and nothing is missed there."""
    before = {server: scans(server) for server in world.servers()}
    for _ in range(20):
        with wire.Wire(world.relay.port) as client:
            client.login()
            for row in range(1, 6):
                client.send(wire.query(READ.format(row)))
                client.until_ready()
    for server in world.servers():
        wait_until(lambda server=server: scans(server) - before[server] == 100, SOON, f"{server.name} to have read")


@pytest.mark.parametrize("kept", ("BEGIN", "a read"))
def test_what_was_kept_is_done_by_the_successor(protocol, kept):
    """The master is lost before the standby has begun: it does all of it, and the session goes on in its transaction."""
    with Pair(settings={"standby_timeout": "20s"}) as pair:
        World("pair", pair.a.postgres, pair.b.postgres, pair.a.relay_port, pair.a.relay).reset(SETUP)
        with wire.Wire(pair.a.relay.port, timeout=10) as client:
            client.login()

            def run(sql):
                client.send(wire.query(sql) if protocol == "simple" else wire.extended(sql) + wire.SYNC)
                return client.until_ready()
            run("BEGIN")
            if kept == "a read":
                run(ADD.format(2))
                run(READ.format(2))
            pair.a.postgres.kill()
            assert wire.tags(run(ADD.format(1))) == ["UPDATE 1"]
            assert wire.rows(run(READ.format(1))) == [["101"]]
            assert wire.tags(run("COMMIT")) == ["COMMIT"]
        assert pair.b.postgres.value("SELECT sum(v) FROM kept WHERE id <= 2") == (202 if kept == "a read" else 201)
