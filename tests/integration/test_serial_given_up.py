"""What the master alone gives up, by the client's time limit or a cancel, is not done on the standby either."""
import concurrent.futures
import contextlib
import os
import signal
from pathlib import Path

import pytest

from harness import Mirror, wait_until, wire
from harness.load import USER
from harness.players import SOON, answer, kept_equal, players
from harness.process import descendants
from harness.worlds import of_mirror, refusal

pytestmark = [pytest.mark.skipif(bool(refusal()), reason=refusal() or "-"), pytest.mark.timeout(90)]

SETUP = ("CREATE TABLE kept (id int PRIMARY KEY, v numeric NOT NULL)", "INSERT INTO kept SELECT i, 0 FROM generate_series(1, 10) i")
LIMIT = 0.3  # seconds: statement_timeout


@pytest.fixture(scope="module")
def mirror():
    """Its servers have a process that writes their logs, and each backend waits for that one."""
    with Mirror("--discipline", "serial", "--standby-timeout", "20s", direct=True, settings={"logging_collector": "on", "log_connections": "off", "log_disconnections": "off"}) as made:
        yield made


@pytest.fixture
def world(mirror):
    with kept_equal(of_mirror(mirror), SETUP) as kept:
        yield kept


def logger_of(server) -> int:
    (logger,) = [pid for pid in descendants(server.process.pid) if b"logger" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return logger


def logs_in_vain(pid) -> bool:
    """The backend waits in write(), for a pipe to be read."""
    return "pipe" in Path(f"/proc/{pid}/wchan").read_text()


@contextlib.contextmanager
def stuck_log(server):
    """Whoever logs something on this server stands still, in the middle of its statement."""
    logger = logger_of(server)
    with server.connect("app") as filling, concurrent.futures.ThreadPoolExecutor(1) as pool:
        filling.execute("SET log_statement = 'all'")
        os.kill(logger, signal.SIGSTOP)
        try:
            pool.submit(filling.execute, f"SELECT length('{'x' * 200_000}')")  # more than the pipe takes
            wait_until(lambda: logs_in_vain(filling.info.backend_pid), SOON, "the log to be full")
            yield
        finally:
            os.kill(logger, signal.SIGCONT)


@contextlib.contextmanager
def client_is_logged(server):
    server.sql(f"ALTER ROLE {USER} SET log_statement = 'all'")
    try:
        yield
    finally:
        server.sql(f"ALTER ROLE {USER} RESET log_statement")


@contextlib.contextmanager
def limited(world, protocol):
    """A session that has LIMIT for each of its statements, and is logged by the master."""
    with client_is_logged(world.master), players(world, protocol) as player:
        session = player()
        session.do(f"SET statement_timeout = {int(LIMIT * 1000)}")
        assert session.do("SELECT 1").ok  # now the relay knows the session's settings
        yield session


def becomes_late(server, statement):
    """Its only session is at this statement, or at what the relay puts before it, and its time is over."""
    late = f"state = 'active' AND query_start < clock_timestamp() - interval '{2 * LIMIT} s'"
    (pid,) = wait_until(lambda: server.pids(late), SOON, f"{statement} to be late")
    assert logs_in_vain(pid)


def given_up(world, session, statement):
    """The master has had the statement for so long that it gives it up, whatever it is."""
    with stuck_log(world.master):
        done = session.go(statement)
        becomes_late(world.master, statement)
    assert answer(done).sqlstate == "57014"


def both_are(world, state):
    for server in world.servers():
        wait_until(lambda: server.backends(f"state = '{state}'") == 1, SOON, f"the session to be {state} on {server.name}")


STATES = {"nothing done": (), "a row written": ("UPDATE kept SET v = v + 1 WHERE id = 3",),
          "a savepoint": ("SAVEPOINT a", "UPDATE kept SET v = v + 1 WHERE id = 3", "SAVEPOINT a", "UPDATE kept SET v = v + 1 WHERE id = 3"),
          "a failed block": ("SAVEPOINT a", "SELECT 1 / 0")}


ENDINGS = {"ROLLBACK": STATES, "ROLLBACK AND CHAIN": ("a row written",), "COMMIT": ("a row written", "a failed block"),
           "SAVEPOINT a": ("nothing done", "a savepoint"), "ROLLBACK TO SAVEPOINT a": ("a savepoint", "a failed block"),
           "RELEASE SAVEPOINT a": ("a savepoint",)}


@pytest.mark.parametrize("ending, before", [(ending, before) for ending, states in ENDINGS.items() for before in states])
def test_an_end_that_the_master_gives_up(world, protocol, ending, before):
    """The client is told 57014, and its block has failed: so it has on the standby, which would have done it."""
    with limited(world, protocol) as session:
        session.begin()
        for statement in STATES[before]:
            session.do(statement, allow=("22012",))
        if ending == "COMMIT" and before != "a failed block":
            session.do("SELECT 1 / 0", allow=("22012",))
        given_up(world, session, ending)
        session.do("SELECT 1", allow=("25P02",))
        both_are(world, "idle in transaction (aborted)")
        if "SAVEPOINT a" in STATES[before]:
            session.do("ROLLBACK TO SAVEPOINT a", tag="ROLLBACK")
            expected = 1 if before == "a savepoint" else 0
            assert session.do("SELECT v FROM kept WHERE id = 3").rows == [[str(expected)]]
        session.rollback()
        assert session.block("UPDATE kept SET v = v + 1 WHERE id = 4")
    assert world.value("SELECT v FROM kept WHERE id = 3") == 0


@pytest.mark.parametrize("after", ("SELECT v FROM kept WHERE id = 3", "UPDATE kept SET v = v + 1 WHERE id = 3", "BEGIN"))
def test_a_begin_that_the_master_gives_up(world, protocol, after):
    """There is no transaction on the standby either: what the client does next is done on both."""
    with limited(world, protocol) as session:
        given_up(world, session, "BEGIN")
        assert session.do(after).ok
        both_are(world, "idle in transaction" if after == "BEGIN" else "idle")
        if after == "BEGIN":
            session.rollback()


def test_a_setting_that_the_master_gives_up(world, protocol):
    """It has its old value on both servers."""
    with limited(world, protocol) as session:
        given_up(world, session, "SET extra_float_digits = 0")
        assert session.do("SHOW extra_float_digits").rows == [["1"]]
        session.do("UPDATE kept SET v = (1.0::float8 / 3)::text::numeric WHERE id = 3", tag="UPDATE 1")


SLOW = "(SELECT count(*) FROM generate_series(1, 100000000) AS a)"
SLOW_ONES = {"a read": f"SELECT v + {SLOW} FROM kept WHERE id = 3", "a write": f"UPDATE kept SET v = v + {SLOW} WHERE id = 3"}


# What goes out in front of a write in autocommit waits for the standby.
@pytest.mark.parametrize("inside, statement", ((False, "a read"), (True, "a read"), (True, "a write")))
def test_what_the_master_gives_up_before_the_standby_has_begun_it(world, protocol, inside, statement):
    """The standby, which misses the first cancel and has no limit of its own, is stopped all the same."""
    with players(world, protocol) as player:
        before = world.standby.pids()
        session = player()
        (leg,) = wait_until(lambda: world.standby.pids() - before, SOON, "the session's backend")
        session.do(f"SET statement_timeout = {int(LIMIT * 1000)}")
        assert session.do("SELECT 1").ok
        if inside:
            session.begin()
            assert session.do("UPDATE kept SET v = v + 1 WHERE id = 4", tag="UPDATE 1").ok
        with world.standby.frozen_backend(leg):
            slow = session.go(SLOW_ONES[statement])
            wait_until(lambda: world.master.backends("state = 'active' AND query LIKE '%generate_series%'") == 1, SOON, "the master to be at it")
            wait_until(lambda: world.master.backends("state = 'active'") == 0, SOON, "the master to give it up")
        assert answer(slow).sqlstate == "57014"
        wait_until(lambda: world.standby.backends("state = 'active'") == 0, SOON, "the standby to be stopped")
        if inside:
            session.rollback()
        assert session.do("UPDATE kept SET v = v + 1 WHERE id = 5", tag="UPDATE 1").ok


@pytest.mark.parametrize("inside", (False, True), ids=("autocommit", "in a block"))
def test_what_the_master_gives_up_while_the_standby_waits_to_be_read(world, protocol, inside):
    """The standby has sent as much more than the master as it may, and stands still: it is read to its end all the same."""
    with players(world, protocol) as player:
        before = [server.pids() for server in world.servers()]
        session = player()
        at_master, at_standby = [wait_until(lambda: server.pids() - had, SOON, "the session's backend").pop()
                                 for server, had in zip(world.servers(), before)]
        session.do(f"SET statement_timeout = {int(LIMIT * 1000)}")
        assert session.do("SELECT 1").ok
        if inside:
            session.begin()
        with world.standby.frozen_backend(at_standby):
            sent = session.go("SELECT repeat('row', 300), generate_series(1, 100000000)")
            wait_until(lambda: world.master.pids(f"pid = {at_master} AND state = 'active'"), SOON, "the master to have begun")
            with world.master.frozen_backend(at_master):
                os.kill(at_standby, signal.SIGCONT)
                wait_until(lambda: world.standby.pids(f"pid = {at_standby} AND wait_event = 'ClientWrite'"), SOON, "the standby to wait")
                late = f"pid = {at_master} AND query_start < clock_timestamp() - interval '{LIMIT} s'"
                wait_until(lambda: world.master.pids(late), SOON, "the master's time to be over")
        assert answer(sent).sqlstate == "57014"
        wait_until(lambda: world.standby.backends("state = 'active'") == 0, SOON, "the standby to be stopped")
        if inside:
            session.rollback()


@pytest.mark.parametrize("statement", ("VACUUM kept", "SAVEPOINT a"))
def test_a_statement_that_was_prepared_and_given_up_in_one_go(world, statement):
    """The names that the client prepared together with what took too long are known on both servers, those behind it on none."""
    tag = statement.split()[0]
    with client_is_logged(world.master), wire.Wire(world.port) as line:
        line.login(user=USER, options=f"-cstatement_timeout={int(LIMIT * 1000)}")

        def ask(*messages):
            line.send(*messages)
            return wire.tags(line.until_ready())

        ask(wire.query("SELECT 1"))
        if tag == "SAVEPOINT":
            ask(wire.query("BEGIN"))
        with stuck_log(world.master):
            line.send(wire.parse("SELECT 1", name="first"), wire.parse(statement, name="late"), wire.bind(name="late"), wire.execute(),
                      wire.parse("SELECT 2", name="never"), wire.SYNC)
            becomes_late(world.master, statement)
        with pytest.raises(wire.WireError) as failed:
            line.until_ready()
        assert failed.value.fields["C"] == "57014"
        if tag == "SAVEPOINT":
            ask(wire.query("ROLLBACK"))
            ask(wire.query("BEGIN"))
        for name, expected in (("first", "SELECT 1"), ("late", tag)):
            assert ask(wire.bind(name=name), wire.execute(), wire.SYNC) == [expected]
        with pytest.raises(wire.WireError) as failed:
            ask(wire.bind(name="never"), wire.execute(), wire.SYNC)
        assert failed.value.fields["C"] == "26000"
