"""Writes that go without a try, where the standby is late, the servers fail differently, or the master is lost."""
import concurrent.futures
import contextlib
import threading

import pytest

from harness import Pair, wait_until, wire
from harness.load import Load
from harness.players import SOON, answer, kept_equal, players, row_locked, waits
from harness.worlds import World, of_mirror, refusal

pytestmark = [pytest.mark.skipif(bool(refusal()), reason=refusal() or "-"), pytest.mark.timeout(90)]

SETUP = ("CREATE TABLE kept (id int PRIMARY KEY, k text UNIQUE, v int NOT NULL)",
         "INSERT INTO kept SELECT i, 'row ' || i, 100 FROM generate_series(1, 10) i",
         "CREATE TABLE elsewhere (id serial PRIMARY KEY, who text)", "CREATE TABLE heap (n int)")
ADD = "UPDATE kept SET v = v + 1 WHERE id = {}"
DOUBLE = "UPDATE kept SET v = 2 * v WHERE id = {}"
ADD_BY_NAME = "UPDATE kept SET v = v + 10 WHERE k = 'row {}'"  # another claim to the same row
NEW_ROW = "INSERT INTO kept VALUES (11, 'row 11', 100)"


def writes_go_untried(world) -> bool:
    """Not while the relay still reads what the last definitions have changed."""
    with world.connect() as connection:
        connection.execute("BEGIN")
        for row in (1, 2, 3):
            connection.execute(ADD.format(row))
        # A savepoint's writes have a transaction number of their own.
        numbers = connection.execute("SELECT count(DISTINCT xmin::text) FROM kept WHERE id <= 3").fetchone()[0]
        connection.execute("ROLLBACK")
    return numbers == 1


@contextlib.contextmanager
def ready(world):
    with kept_equal(world, SETUP) as kept:
        wait_until(lambda: writes_go_untried(kept), SOON, "writes to go without a try")
        yield kept


@pytest.fixture
def world(patient_world):
    return patient_world


@pytest.fixture
def early(shared_early):
    """Tells a client of its COMMIT before the standby has it."""
    with ready(of_mirror(shared_early.get())) as kept:
        yield kept


@pytest.fixture
def patient_pair(request):
    """A pair to be damaged, with time for a standby that stands still. `network`: with fault proxies."""
    with Pair(network=request.node.get_closest_marker("network") is not None, settings={"standby_timeout": "20s"}) as pair:
        world = World("pair", pair.a.postgres, pair.b.postgres, pair.a.relay_port, pair.a.relay)
        world.reset(SETUP)
        wait_until(lambda: writes_go_untried(world), SOON, "writes to go without a try")
        yield pair


def with_leg(make, server):
    """A new session, and the process id of its backend on that server."""
    before = server.pids()
    session = make()
    (leg,) = wait_until(lambda: server.pids() - before, SOON, "the session's backend")
    return session, leg


def at_rest(server, pid, query=""):
    """The backend has answered all that it was sent, this last."""
    wait_until(lambda: server.pids(f"pid = {pid} AND state <> 'active' AND wait_event = 'ClientRead' AND query LIKE '{query}%'"),
               SOON, f"{server.name} to be done")


def late_in_a_block(world, make):
    """A new session in a transaction that has been begun on the standby too, and its backend there."""
    late, leg = with_leg(make, world.standby)
    late.begin()
    at_rest(world.standby, leg, "BEGIN")
    return late, leg


# A standby that is late.

@contextlib.contextmanager
def without_a_pause(session):
    """The session writes one row after the other in one transaction, without waiting for the standby."""
    end = threading.Event()

    def write():
        session.begin()
        while not end.is_set():
            if session.protocol == "simple":
                session.do(ADD.format(1), tag="UPDATE 1")
            else:
                session.pipeline([[(ADD.format(row),)] for row in range(1, 6)])
        return session.commit()
    writing = session.thread.submit(write)
    try:
        yield writing
    finally:
        end.set()
    assert answer(writing).ok


OTHERS = {"a write that is tried": ("INSERT INTO elsewhere (who) VALUES ('other')",),
          "a definition": ("CREATE TABLE new (n int)",),
          "what runs alone": ("DO $$ BEGIN INSERT INTO heap VALUES (1); END $$",),
          "an end": ("BEGIN", "DELETE FROM kept WHERE id = 10", "COMMIT"),
          "a prepared transaction": ("BEGIN", NEW_ROW, "PREPARE TRANSACTION 'new'", "COMMIT PREPARED 'new'")}


@pytest.mark.parametrize("other", OTHERS)
def test_a_session_that_never_pauses_keeps_nobody_out(world, line, player, other):
    """The standby is always some writes behind: others get in between nevertheless, whatever they want."""
    line.delay(0.03, "back")
    busy, late = player(), player()
    with without_a_pause(busy) as writing:
        wait_until(lambda: world.master.backends("query LIKE 'UPDATE%'"), SOON, "the writes to begin")
        for sql in OTHERS[other]:
            assert answer(late.go(sql)).ok
        assert not writing.done()


ENDS = {"a new row": (NEW_ROW, "COMMIT"), "a row with another key": ("UPDATE kept SET id = 11 WHERE id = 10", "COMMIT"),
        "by a prepared transaction": (NEW_ROW, "PREPARE TRANSACTION 'new'", "COMMIT PREPARED 'new'")}


@pytest.mark.parametrize("end", ENDS)
def test_a_transaction_is_over_when_both_servers_have_ended_it(early, protocol, end):
    """With ack = "master" its client is told before the standby has it: nobody writes its rows there without a try until then."""
    with players(early, protocol) as make:
        maker, leg = with_leg(make, early.standby)
        writer = make()
        maker.begin()
        *before, last = ENDS[end]
        for sql in before:
            assert maker.do(sql, protocol="simple").ok
        writer.begin()
        at_rest(early.standby, leg, before[-1][:6])
        with early.standby.frozen_backend(leg):
            assert answer(maker.go(last)).ok
            second = writer.go(ADD.format(11), tag="UPDATE 1")
            waits(second)
            assert early.standby.value("SELECT count(*) FROM kept WHERE id = 11") == 0
        assert answer(second).ok
        assert writer.commit().ok
        assert early.value("SELECT v FROM kept WHERE id = 11") == 101


def test_what_found_no_row_has_found_none_on_both(world, player):
    """The standby has still to look for a row that is not there: nobody makes it in the meantime."""
    late, leg = late_in_a_block(world, player)
    maker = player()
    with world.standby.frozen_backend(leg):
        assert answer(late.go(ADD.format(11), tag="UPDATE 0")).ok
        made = maker.go(NEW_ROW, tag="INSERT 0 1")
        waits(made)
    assert answer(made).ok
    assert late.commit().ok


def test_one_write_after_the_other_leaves_none_behind(world, player):
    """A second write does not go to the master while the standby is at the first: that found no row, and must not find one."""
    late, leg = late_in_a_block(world, player)
    maker = player()
    with world.standby.frozen_backend(leg):
        assert answer(late.go(ADD.format(11), tag="UPDATE 0")).ok
        second = late.go(ADD.format(1), tag="UPDATE 1")
        made = maker.go(NEW_ROW, tag="INSERT 0 1")
        waits(made)
        waits(second, 0)
    assert answer(made).ok and answer(second).ok
    assert late.commit().ok


def test_rows_are_taken_in_one_order_by_both(world, player):
    """A session whose standby is late does not take a further row on the master: another one gets it first, on both."""
    late, leg = late_in_a_block(world, player)
    other = player()
    other.begin()
    with world.standby.frozen_backend(leg):
        assert answer(late.go(DOUBLE.format(2), tag="UPDATE 1")).ok
        second = late.go(DOUBLE.format(1), tag="UPDATE 1")
        waits(second)
        assert answer(other.go(ADD_BY_NAME.format(1), tag="UPDATE 1")).ok
        assert other.commit().ok
        waits(second, 0)
    assert answer(second).ok
    assert late.commit().ok
    assert world.value("SELECT string_agg(v::text, ' ' ORDER BY id) FROM kept WHERE id <= 2") == "220 200"


def test_writes_that_do_not_commute_beside_a_standby_far_off(world, line, protocol):
    """Rows that are named in two ways, and come and go, with a standby that answers late: both servers stay equal."""
    line.delay(0.01)

    def step(session, n):
        session.begin()
        good = True
        for _ in range(session.choice.randrange(1, 4)):
            sql = session.choice.choice((ADD, ADD, DOUBLE, DOUBLE, ADD_BY_NAME, "DELETE FROM kept WHERE id = {}",
                                         "INSERT INTO kept VALUES ({0}, 'row {0}', 100) ON CONFLICT DO NOTHING",
                                         "UPDATE kept SET v = v % 1000 WHERE id = {}"))
            good = good and session.do(sql.format(session.choice.randrange(1, 5))).ok
        session.commit() if good else session.rollback()
    load = Load(world.conninfo(), step, protocol, seconds=2, allowed=("40P01",)).run()
    assert not load.hangs and not load.wrong
    assert load.rounds >= 16  # two of each session, however slow


# Errors that differ.

@contextlib.contextmanager
def in_a_circle(server, row, with_row):
    """Somebody who works on this server alone holds `row`, and waits there for the session that holds `with_row`: who waits for
    `row` closes the circle, and is the one that the server gives up."""
    with row_locked(server, row) as connection, concurrent.futures.ThreadPoolExecutor(1) as pool:
        connection.execute("SET deadlock_timeout = '1min'")
        pid = connection.info.backend_pid
        waiting = pool.submit(connection.execute, "SELECT FROM kept WHERE id = %s FOR UPDATE", (with_row,))
        wait_until(lambda: server.value(f"SELECT wait_event_type FROM pg_stat_activity WHERE pid = {pid}") == "Lock", SOON,
                   "the circle to be prepared")
        yield
        waiting.result(SOON)


def failed_on(server):
    wait_until(lambda: server.backends("state = 'idle in transaction (aborted)'") == 1, SOON, f"{server.name} to refuse it")


def cancelled_on_the_master(world, session, leg, stack):
    """Master 57014; standby 40P01, and before the master."""
    stack.enter_context(row_locked(world.master, 1))
    stack.enter_context(in_a_circle(world.standby, 1, 2))
    failing = session.go(ADD.format(1))
    failed_on(world.standby)
    session.pgconn.get_cancel().cancel()
    return answer(failing)


def victim_on_the_master(world, session, leg, stack):
    """Master 40P01; the standby has done it."""
    stack.enter_context(in_a_circle(world.master, 1, 2))
    return answer(session.go(ADD.format(1)))


def victim_while_the_standby_waits(world, session, leg, stack):
    """Master 40P01; the standby still waits for the row, and is told 57014."""
    stack.enter_context(row_locked(world.standby, 1))
    stack.enter_context(in_a_circle(world.master, 1, 2))
    reply = answer(session.go(ADD.format(1)))
    failed_on(world.standby)
    return reply


def cancelled_on_the_standby(world, session, leg, stack):
    """Standby 57014; master 22012, which would be the standby's, too: of the row that both find when they have waited."""
    holders = [stack.enter_context(row_locked(server, 1)) for server in world.servers()]
    for holder in holders:
        holder.execute("UPDATE kept SET v = 101 WHERE id = 1")
    failing = session.go("UPDATE kept SET v = 1 / (v - 101) WHERE id = 1", allow=("22012",))
    wait_until(lambda: world.standby.backends("wait_event_type = 'Lock'") == 1, SOON, "the standby to be at it")
    world.standby.sql(f"SELECT pg_cancel_backend({leg})")
    failed_on(world.standby)
    for holder in holders:
        holder.commit()
    return answer(failing)


@pytest.mark.parametrize("how, sqlstate", ((cancelled_on_the_master, "57014"), (victim_on_the_master, "40P01"),
                                           (victim_while_the_standby_waits, "40P01"), (cancelled_on_the_standby, "22012")))
def test_both_fail_what_one_of_them_fails_for_a_reason_of_its_own(world, player, how, sqlstate):
    """Nothing is missed: the transaction is failed on both servers, its other rows are free, and the client goes on from there."""
    session, leg = with_leg(player, world.standby)
    other = player()
    session.begin()
    assert session.do(ADD.format(2), tag="UPDATE 1").ok
    with contextlib.ExitStack() as stack:
        assert how(world, session, leg, stack).sqlstate == sqlstate
        assert session.do("SELECT 1", allow=("25P02",)).sqlstate == "25P02"
    for server in world.servers():
        failed_on(server)
    assert answer(other.go(ADD.format(2), tag="UPDATE 1"), 1).ok
    session.rollback()
    assert session.block(ADD.format(1))
    assert world.value("SELECT v FROM kept WHERE id = 2") == 101


# Cancels.

def test_a_cancel_of_a_read_leaves_the_standbys_earlier_write_alone(world, player):
    """The master has given up the read; the standby, which is still at the write before it, does that."""
    late = player()
    late.begin()
    with row_locked(world.standby, 2):
        assert late.do(ADD.format(2), tag="UPDATE 1").ok
        with world.master.locked("heap"):
            read = late.go("SELECT count(*) FROM heap")
            waits(read)
            late.pgconn.get_cancel().cancel()
            assert answer(read).sqlstate == "57014"
        assert world.standby.backends("wait_event_type = 'Lock'") == 1
    late.rollback()


def test_a_cancel_of_a_write_that_stands_behind_the_standbys_earlier_one(world, player):
    """It was not sent yet: it fails on both, and nothing else does."""
    late = player()
    late.begin()
    late.do("SAVEPOINT a")
    with row_locked(world.standby, 2):
        assert late.do(ADD.format(2), tag="UPDATE 1").ok
        second = late.go(ADD.format(1))
        waits(second)
        late.pgconn.get_cancel().cancel()
        assert world.standby.backends("wait_event_type = 'Lock'") == 1
    assert answer(second).sqlstate == "57014"
    late.rollback()


@pytest.mark.parametrize("behind_a_write", (False, True), ids=("at once", "behind a write"))
def test_a_cancel_of_a_read_that_the_standby_has_done(world, player, behind_a_write):
    """The transaction is failed on the master by the cancel: so it is on the standby, which has answered the read."""
    reader = player()
    reader.begin()
    if behind_a_write:
        assert reader.do(ADD.format(2), tag="UPDATE 1").ok
    with world.master.locked("heap"):
        read = reader.go("SELECT count(*) FROM heap")
        waits(read)
        reader.pgconn.get_cancel().cancel()
        assert answer(read).sqlstate == "57014"
    reader.rollback()


# The master is lost.

class Line:
    """A session of the pair, message by message, in a transaction whose next write by key gets a prefix of the relay's own."""

    def __init__(self, stack, pair, protocol, prefix):
        self.protocol = protocol
        self.wire = stack.enter_context(wire.Wire(pair.a.relay.port, timeout=10))
        before = {node.name: node.postgres.pids() for node in pair.nodes.values()}
        self.wire.login()
        self.pids = {}
        for node in pair.nodes.values():
            (self.pids[node.name],) = wait_until(lambda: node.postgres.pids() - before[node.name], SOON, "its backend")
        if prefix == "the time":  # asked for in front of a transaction's first write, since one has needed it
            self.run("BEGIN")
            self.run("INSERT INTO elsewhere (who) VALUES (now()::text)")
            self.run("COMMIT")
        self.run("BEGIN")
        if prefix == "time limits":  # given back to the client
            self.run("INSERT INTO elsewhere (who) VALUES ('tried')")
        at_rest(pair.b.postgres, self.pids["b"])

    def send(self, sql):
        self.wire.send(wire.query(sql) if self.protocol == "simple" else wire.extended(sql) + wire.SYNC)

    def answered(self, tag, rows=None):
        """Reads the answer to one statement: nothing is missing, and nothing of the relay's own is there."""
        messages = self.wire.until_ready()
        kinds = ("" if rows is None else "T") + "D" * len(rows or ()) + "CZ"
        if self.protocol == "extended":
            kinds = "12" + ("n" if rows is None else "") + kinds
        assert (wire.kinds(messages), wire.tags(messages), wire.rows(messages)) == (kinds, [tag], rows or [])

    def run(self, sql):
        self.send(sql)
        return self.wire.until_ready()

    def goes_on(self, pair, rows):
        """It is a session of the other server now, where every write has been done once."""
        for sql, *expected in ((ADD.format(3), "UPDATE 1"), ("SELECT inet_server_port()", "SELECT 1", [[str(pair.b.postgres.port)]]),
                               ("COMMIT", "COMMIT")):
            self.send(sql)
            self.answered(*expected)
        assert pair.b.postgres.value("SELECT string_agg(v::text, ' ' ORDER BY id) FROM kept WHERE id <= 3") == rows


PREFIXES = ("the time", "time limits")


@pytest.mark.parametrize("sql, answer_to_it", ((ADD.format(1), ("UPDATE 1",)),
                                               ("SELECT id, v FROM kept WHERE id = 1 FOR UPDATE", ("SELECT 1", [["1", "100"]]))),
                         ids=("a write", "a lock"))
@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_the_lost_master_did_not_answer_is_answered_whole(patient_pair, protocol, prefix, sql, answer_to_it):
    """The master is lost at the relay's own words in front of a write; the other server has done all of it."""
    with contextlib.ExitStack() as stack:
        line = Line(stack, patient_pair, protocol, prefix)
        with patient_pair.a.postgres.frozen_backend(line.pids["a"]):
            line.send(sql)
            at_rest(patient_pair.b.postgres, line.pids["b"], sql[:6])
            patient_pair.a.postgres.kill()
        line.answered(*answer_to_it)
        line.goes_on(patient_pair, f"{101 if sql.startswith('UPDATE') else 100} 100 101")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_the_other_server_has_still_to_do_is_answered_once(patient_pair, protocol, prefix):
    """The master has answered a write and is lost; the other server is still in front of the relay's own words there."""
    with contextlib.ExitStack() as stack:
        line = Line(stack, patient_pair, protocol, prefix)
        with patient_pair.b.postgres.frozen_backend(line.pids["b"]):
            line.send(ADD.format(1))
            line.answered("UPDATE 1")
            line.send(ADD.format(2))
            patient_pair.a.postgres.kill()
            patient_pair.b.relay.wait_state("ALONE")
        line.answered("UPDATE 1")
        line.goes_on(patient_pair, "101 101 101")


@pytest.mark.network
def test_what_was_to_be_asked_of_the_lost_master_is_asked_of_nobody(patient_pair, protocol):
    """A write waits, with the relay's own words for the master in front of it, until the other server has taken over."""
    with contextlib.ExitStack() as stack:
        line = Line(stack, patient_pair, protocol, "the time")
        log = patient_pair.a.relay.log_size()
        with patient_pair.b.postgres.frozen_backend(line.pids["b"]):
            for _ in range(3):  # behind fewer reads it would not wait for the other server
                line.send("SELECT v FROM kept WHERE id = 2")
                line.answered("SELECT 1", [["100"]])
            line.send(ADD.format(1))
            patient_pair.b.proxies["control"].cut()
            patient_pair.a.postgres.kill()
            wait_until(lambda: patient_pair.a.relay.log_contains("role-draining", log), SOON, "the loss to be seen")
        at_rest(patient_pair.b.postgres, line.pids["b"], "SELECT v")
        patient_pair.b.proxies["control"].heal()
        line.answered("UPDATE 1")
        line.goes_on(patient_pair, "101 100 101")
