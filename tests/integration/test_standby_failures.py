"""A standby that fails never hurts the master's clients: it is marked stale, durably, and the sessions go on."""
import concurrent.futures
import contextlib
import json
import socket
import threading
import time

import psycopg
import pytest

from harness import Mirror, Pair, Recorder, Relay, free_port, holds, same, wait_until, wire
from harness.recorder import TABLE

STANDBY_TIMEOUT = 2.0  # seconds, the relay's default
# Beyond the time-out: the probe of the standby, the fsync, and a busy machine.
MARGIN = 2.5


def refuse(mirror):
    mirror.line.refuse()
    mirror.line.reset()


FAILURES = {
    "refused connection": refuse,
    "closed connection": lambda m: m.line.reset(),
    "silence": lambda m: m.line.cut(),
    "no answers": lambda m: m.line.cut("back"),
    "nothing arrives": lambda m: m.line.cut("there"),
    "server killed": lambda m: m.standby.kill(),
    "server frozen": lambda m: m.standby.freeze(),
    "server stopped": lambda m: m.standby.stop(),
}


@pytest.fixture
def session(own_mirror):
    """A session with state of its own, which must survive."""
    with psycopg.connect(own_mirror.relay.tcp(), autocommit=True) as connection:
        connection.execute("CREATE TABLE written (n int PRIMARY KEY); CREATE TEMP TABLE own_state AS SELECT 42 AS n")
        yield connection


def difference_log(relay) -> list:
    file = relay.state_dir / "differences.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.parametrize("failure", FAILURES)
def test_sessions_go_on_without_the_standby(own_mirror, session, failure):
    """Whatever becomes of the standby: writes are acknowledged within standby_timeout and a margin, state is kept."""
    relay = own_mirror.relay
    with psycopg.connect(relay.tcp()) as in_transaction:
        in_transaction.execute("INSERT INTO written VALUES (-1)")
        FAILURES[failure](own_mirror)
        began = time.monotonic()
        session.execute("INSERT INTO written VALUES (1)")
        took = time.monotonic() - began
        assert took < STANDBY_TIMEOUT + MARGIN
        reason = relay.wait_stale(timeout=5)
        assert reason, "status says why"
        in_transaction.execute("INSERT INTO written VALUES (-2)")
        in_transaction.commit()
    assert session.execute("SELECT n FROM own_state").fetchone() == (42,)
    began = time.monotonic()
    session.execute("INSERT INTO written VALUES (2)")
    with psycopg.connect(relay.tcp(), autocommit=True) as newcomer:
        newcomer.execute("INSERT INTO written VALUES (3)")
    assert time.monotonic() - began < 1, "once it is stale nobody waits for it any more"
    assert own_mirror.master.sql("SELECT n FROM written ORDER BY n", database="app") == [(-2,), (-1,), (1,), (2,), (3,)]
    assert relay.status()["role"]["state"] == "ALONE"
    assert relay.status()["role"]["sync"] is False
    assert relay.log_contains("warning role-alone .*standby"), "the loss stands in the log"


@pytest.mark.parametrize("failure", ("closed connection", "silence", "server frozen"))
def test_nothing_but_a_bootstrap_rejoins(own_mirror, session, failure):
    """A standby that was lost and is well again stays stale: through new sessions, and through a restart of the relay."""
    FAILURES[failure](own_mirror)
    session.execute("INSERT INTO written VALUES (1)")
    own_mirror.relay.wait_stale(timeout=8)
    own_mirror.line.heal()
    own_mirror.standby.thaw()
    wait_until(lambda: own_mirror.standby.value("SELECT 1") == 1, 10, "the standby to be well again")
    with psycopg.connect(own_mirror.relay.tcp(), autocommit=True) as newcomer:
        newcomer.execute("INSERT INTO written VALUES (2)")
    holds(lambda: not own_mirror.relay.joined(), 2, "the standby stays stale")
    own_mirror.relay.restart()
    holds(lambda: not own_mirror.relay.joined(), 2, "the standby stays stale after a restart")
    assert own_mirror.standby.value("SELECT count(*) FROM written WHERE n = 2") == 0


@pytest.mark.parametrize("moment", range(4))
def test_stale_is_durable_before_an_output_is_released(moment):
    """The relay is killed at the very moment of the first acknowledgement after a loss: the pair still knows it."""
    with Pair() as pair:
        with psycopg.connect(pair.a.relay.tcp(), autocommit=True) as session:
            session.execute("CREATE TABLE written (n int PRIMARY KEY)")
            session.execute("INSERT INTO written VALUES (1)")
            pair.b.postgres.freeze() if moment % 2 else pair.b.postgres.kill()
            session.execute("INSERT INTO written VALUES (2)")
            pair.a.relay.kill()  # at once
        if moment % 2:
            pair.b.postgres.thaw()
        else:
            pair.b.postgres.start()
        pair.a.relay.start()
        pair.a.relay.wait_state("ALONE", timeout=20)
        pair.b.relay.wait_state("STALE", timeout=20)
        holds(lambda: not pair.a.relay.joined() and pair.b.relay.state() == "STALE", 2, "the standby stays stale")
        with psycopg.connect(pair.a.relay.tcp()) as session:
            assert session.execute("SELECT count(*) FROM written").fetchone() == (2,)
        # And nobody promotes it by mistake: the master answers, so the operator has no reason to.
        refused = pair.tool.run("promote", "--node", "b", check=False)
        assert refused.returncode != 0 and pair.b.relay.state() == "STALE"


def test_without_a_durable_record_nothing_is_released(own_mirror, session):
    """When the state folder is gone, the loss of the standby cannot be recorded: the write is not acknowledged."""
    away = own_mirror.relay.state_dir.with_name("away")
    own_mirror.relay.state_dir.rename(away)
    own_mirror.relay.state_dir.write_text("not a folder")
    own_mirror.line.cut()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        write = pool.submit(session.execute, "INSERT INTO written VALUES (1)")
        finished = concurrent.futures.wait([write], STANDBY_TIMEOUT + 4).done
        assert not finished or isinstance(write.exception(), psycopg.OperationalError), "it was acknowledged"
        wait_until(lambda: own_mirror.relay.state() != "ALONE", 1, "the relay not to claim that it goes on alone")
        own_mirror.relay.kill()
        concurrent.futures.wait([write], 10)


@pytest.mark.parametrize("load", (1, 8))
def test_a_frozen_standby_under_load(load):
    """Under load nobody waits longer than standby_timeout and a margin, and every acknowledged write is there."""
    with Mirror() as mirror:
        with psycopg.connect(mirror.relay.tcp(), autocommit=True) as session:
            session.execute(TABLE)
        with Recorder(mirror.relay.tcp(), writers=load) as recorder:
            wait_until(lambda: recorder.count > 100, 20, "the load to run")
            mirror.standby.freeze()
            mirror.relay.wait_stale(timeout=10)
            reached = recorder.count
            wait_until(lambda: recorder.count > reached + 200, 20, "the load to go on")
        assert recorder.longest_pause < STANDBY_TIMEOUT + MARGIN
        assert recorder.errors == []
        recorder.check(mirror.master)


# Mismatch.

def make_different(mirror):
    """One row that only the master has, made past the relay: an UPDATE of it differs in its count."""
    mirror.sql_on_both("CREATE TABLE uneven (n int PRIMARY KEY, v int DEFAULT 0); ALTER TABLE uneven OWNER TO app; "
                       "INSERT INTO uneven VALUES (1), (2)")
    mirror.standby.sql("DELETE FROM uneven WHERE n = 2", database="app")


WRITES_THAT_DIFFER = {
    "tag": "UPDATE uneven SET v = v + 1",
    "returning": "UPDATE uneven SET v = v + 1 WHERE n = 3 - (SELECT count(*) FROM uneven) RETURNING n",
    "error": "INSERT INTO uneven VALUES (2)",
    "do": "DO $$ BEGIN IF (SELECT count(*) FROM uneven) = 2 THEN RAISE EXCEPTION 'only here'; END IF; END $$",
}


@pytest.mark.parametrize("difference", WRITES_THAT_DIFFER)
def test_a_write_that_differs_makes_the_standby_stale(own_mirror, difference):
    """Tag, RETURNING rows or error of a write differ: the master's answer goes out, the standby is stale, it is on record."""
    make_different(own_mirror)
    statement = WRITES_THAT_DIFFER[difference]
    with psycopg.connect(own_mirror.relay.tcp(), autocommit=True) as session:
        try:
            session.execute(statement)
        except psycopg.Error as error:
            assert difference in ("error", "do") and error.sqlstate in ("23505", "P0001")
        own_mirror.relay.wait_stale()
        assert session.execute("SELECT count(*) FROM uneven").fetchone() == (2,)
    assert own_mirror.relay.status()["differences"]["writes"] == 1
    wait_until(lambda: difference_log(own_mirror.relay), 5, "the divergence log to have an entry")
    entry = difference_log(own_mirror.relay)[0]
    assert entry["statement"] == statement and entry["user"] == "app" and entry["database"] == "app"
    assert entry["kind"] == "write" and entry["action"] == "stale"
    assert entry["master"] != entry["standby"] and entry["time"].endswith("Z") and entry["session"]


def test_the_log_keeps_no_values(own_mirror):
    """The divergence log names the statement and a digest of the bind values, never the values."""
    make_different(own_mirror)
    with psycopg.connect(own_mirror.relay.tcp(), autocommit=True) as session:
        session.execute("UPDATE uneven SET v = length(%s::text)", ("a confidential value",))
    own_mirror.relay.wait_stale()
    wait_until(lambda: difference_log(own_mirror.relay), 5, "the divergence log to have an entry")
    text = (own_mirror.relay.state_dir / "differences.jsonl").read_text()
    assert "confidential" not in text and "UPDATE uneven" in text
    assert "confidential" not in own_mirror.relay.log()


def test_on_mismatch_log():
    """on_mismatch=log: differences are recorded, the standby stays joined (a trial of a new server)."""
    with Mirror("--on-mismatch", "log") as mirror:
        make_different(mirror)
        with psycopg.connect(mirror.relay.tcp(), autocommit=True) as session:
            for _ in range(3):
                assert session.execute("UPDATE uneven SET v = v + 1").rowcount == 2
        wait_until(lambda: mirror.relay.status()["differences"]["writes"] == 3, 5, "the differences to be counted")
        mirror.relay.assert_still_joined()
        wait_until(lambda: len(difference_log(mirror.relay)) == 3, 5, "the divergence log to be written")
        assert {entry["action"] for entry in difference_log(mirror.relay)} == {"logged"}
        assert mirror.standby.value("SELECT v FROM uneven") == 3


def test_on_mismatch_refuse():
    """on_mismatch=refuse: the session whose write differs ends with 40001 before its commit reaches either server."""
    with Mirror("--on-mismatch", "refuse", "--discipline", "classic") as mirror:
        make_different(mirror)
        with wire.Wire(mirror.relay.port) as line:
            line.login()
            line.send(wire.query("BEGIN"))
            line.until_ready()
            line.send(wire.query("UPDATE uneven SET v = v + 1"))
            line.until_ready()  # in a block: the master's answer does not wait
            wait_until(lambda: mirror.relay.status()["differences"]["writes"] == 1, 5, "the difference to be found")
            with pytest.raises((wire.WireError, ConnectionError)) as refused:
                line.send(wire.query("COMMIT"))
                line.until_ready()
            assert refused.value.fields["C"] == "40001"
        for server in (mirror.master, mirror.standby):
            wait_until(lambda: server.backends() == 0, 5, f"the session to end on {server.name}")
            assert server.value("SELECT max(v) FROM uneven") == 0, "neither server committed it"


def test_on_mismatch_refuse_in_order():
    """In `serial` the statement itself is refused; the session ends, and neither server keeps anything."""
    with Mirror("--on-mismatch", "refuse", "--discipline", "serial") as mirror:
        make_different(mirror)
        with wire.Wire(mirror.relay.port) as line:
            line.login()
            line.send(wire.query("BEGIN"))
            line.until_ready()
            with pytest.raises(wire.WireError) as refused:
                line.send(wire.query("UPDATE uneven SET v = v + 1"))
                line.until_ready()
            assert refused.value.fields["C"] == "40001"
        for server in (mirror.master, mirror.standby):
            wait_until(lambda: server.backends() == 0, 5, f"the session to end on {server.name}")
            assert server.value("SELECT max(v) FROM uneven") == 0, "neither server committed it"


def test_a_read_that_differs_is_recorded_only(own_mirror):
    """Rows of a SELECT differ: counted and logged as a read, the standby stays joined."""
    make_different(own_mirror)
    with psycopg.connect(own_mirror.relay.tcp(), autocommit=True) as session:
        assert session.execute("SELECT count(*) FROM uneven").fetchone() == (2,)
        assert len(session.execute("SELECT * FROM uneven").fetchall()) == 2
    wait_until(lambda: own_mirror.relay.status()["differences"]["reads"] >= 2, 5, "the differences to be counted")
    assert own_mirror.relay.status()["differences"]["writes"] == 0
    own_mirror.relay.assert_still_joined()
    wait_until(lambda: difference_log(own_mirror.relay), 5, "the divergence log to have an entry")
    assert difference_log(own_mirror.relay)[0]["kind"] == "read"


@pytest.mark.parametrize("setting, differs", (("unordered", False), ("ordered", True)))
def test_the_order_of_rows(setting, differs):
    """Row order counts as a difference only with compare_rows=ordered."""
    with Mirror("--compare-rows", setting) as mirror:
        mirror.sql_on_both("CREATE TABLE heap (n int); ALTER TABLE heap OWNER TO app")
        mirror.master.sql("INSERT INTO heap SELECT generate_series(1, 50)", database="app")
        mirror.standby.sql("INSERT INTO heap SELECT generate_series(50, 1, -1)", database="app")
        with psycopg.connect(mirror.relay.tcp(), autocommit=True) as session:
            session.execute("SELECT n FROM heap")
            session.execute("SELECT 1")
        reads = 1 if differs else 0
        wait_until(lambda: mirror.relay.status()["differences"]["reads"] == reads, 5, "the differences to be counted")
        mirror.relay.assert_still_joined()


# What waits for the standby, and what does not.

DELAY = 0.6


@pytest.mark.parametrize("ack, waits", (("both", True), ("master", False)))
def test_what_waits_for_the_standby(ack, waits):
    """ack=both: an autocommitted write and a COMMIT wait for the standby's match; ack=master: nothing does."""
    with Mirror("--ack", ack, "--discipline", "classic") as mirror:
        with psycopg.connect(mirror.relay.tcp(), autocommit=True) as session:
            session.execute("CREATE TABLE waited (n int)")
            session.execute("SELECT 1")  # what follows DDL (the oid map) is over
            mirror.line.delay(DELAY, "back")

            def took(statement):
                began = time.monotonic()
                session.execute(statement)
                return time.monotonic() - began

            for statement in ("INSERT INTO waited VALUES (1)", "SELECT count(*) FROM waited"):
                assert (took(statement) >= DELAY) == waits, statement
            assert took("BEGIN") < DELAY
            for _ in range(3):
                assert took("INSERT INTO waited VALUES (2)") < DELAY, "inside a transaction block nothing waits"
            assert (took("COMMIT") >= DELAY) == waits
        mirror.line.delay(0)
        mirror.relay.assert_still_joined()
        same(mirror.master, mirror.standby, "waited")


@pytest.mark.mirror_flags("--discipline", "classic")
def test_two_sessions_that_lock_in_opposite_order_on_the_servers(own_mirror):
    """s1 has the row on the master, s2 the same row on the standby: classic lets both go on instead of waiting for ever."""
    with psycopg.connect(own_mirror.relay.tcp(), autocommit=True) as setup:
        setup.execute("CREATE TABLE crossing (n int PRIMARY KEY, v int); INSERT INTO crossing VALUES (1, 0)")
    sleep_on_standby = f"SELECT pg_sleep(CASE current_setting('port') WHEN '{own_mirror.standby.port}' THEN 1 ELSE 0 END)"
    with psycopg.connect(own_mirror.relay.tcp()) as s1, psycopg.connect(own_mirror.relay.tcp()) as s2:
        s2.execute("SELECT 1")
        # On the standby s1 comes to its UPDATE a second later than on the master; s2 is there first.
        s1.execute(f"{sleep_on_standby}; UPDATE crossing SET v = v + 1")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            second = pool.submit(s2.execute, "UPDATE crossing SET v = v + 10")
            wait_until(lambda: own_mirror.standby.value(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'UPDATE%' AND state = 'idle in transaction'"
            ) == 1, 5, "s2 to have the row on the standby")
            commit = pool.submit(s1.commit)
            second.result(10)
            s2.commit()
            commit.result(10)
    own_mirror.relay.assert_still_joined()
    assert own_mirror.master.value("SELECT v FROM crossing") == 11
    same(own_mirror.master, own_mirror.standby, "crossing")


def test_a_slow_standby_within_the_time_limit_stays(own_mirror, session):
    """A standby that lags by less than standby_timeout costs time, not the mirror."""
    own_mirror.line.delay(0.7)
    for n in range(10, 13):
        session.execute("INSERT INTO written VALUES (%s)", (n,))
    own_mirror.line.delay(0)
    own_mirror.relay.assert_still_joined()
    same(own_mirror.master, own_mirror.standby, "written")


def test_a_standby_that_is_blocked_and_alive_gets_no_more_than_its_time(own_mirror, session):
    """A standby whose server answers but whose statement is blocked is given up at standby_timeout, not for ever waited for."""
    with own_mirror.standby.locked("written"):
        began = time.monotonic()
        session.execute("INSERT INTO written VALUES (5)")
        assert time.monotonic() - began < STANDBY_TIMEOUT + MARGIN
        own_mirror.relay.wait_stale()


# Logging in where the standby refuses.

def spoil_the_login(mirror):
    mirror.standby.sql("ALTER ROLE app NOLOGIN")


def test_a_login_that_the_standby_refuses_is_refused(own_mirror):
    """on_standby_refusal=refuse: 08004, and the text names the role, the database and the standby's words."""
    spoil_the_login(own_mirror)
    with pytest.raises(psycopg.OperationalError) as refused:
        psycopg.connect(own_mirror.relay.tcp(), connect_timeout=10)
    text = str(refused.value)
    assert '"app"' in text and "not permitted to log in" in text and "standby" in text
    own_mirror.relay.assert_still_joined()
    for server in (own_mirror.master, own_mirror.standby):
        wait_until(lambda: server.backends() == 0, 10, f"no backend to be left on {server.name}")
    psycopg.connect(own_mirror.relay.tcp(user="trusting")).close()


def test_the_sqlstate_of_that_refusal(own_mirror):
    """The refusal carries SQLSTATE 08004, for programs."""
    own_mirror.standby.sql("ALTER ROLE trusting NOLOGIN")
    with wire.Wire(own_mirror.relay.port) as line, pytest.raises(wire.WireError) as refused:
        line.login()
    assert refused.value.fields["C"] == "08004"


def test_a_login_that_the_standby_refuses_can_degrade():
    """on_standby_refusal=degrade: the session is served by the master, and the standby becomes stale."""
    with Mirror("--on-standby-refusal", "degrade") as mirror:
        spoil_the_login(mirror)
        with psycopg.connect(mirror.relay.tcp(), autocommit=True) as session:
            session.execute("CREATE TABLE lonely (n int)")
        mirror.relay.wait_stale()


def test_a_standby_that_hangs_during_the_login(own_mirror):
    """A standby that accepts and then says nothing delays a login no longer than standby_timeout and a margin."""
    own_mirror.line.cut()
    began = time.monotonic()
    with psycopg.connect(own_mirror.relay.tcp(), connect_timeout=20) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)
    assert time.monotonic() - began < STANDBY_TIMEOUT + MARGIN
    own_mirror.relay.wait_stale()


def test_a_backend_of_the_standby_that_is_killed(own_mirror, session):
    """SIGKILL to one backend of the standby makes its server restart: a loss of that postmaster, so the standby is stale."""
    pid = own_mirror.standby.value("SELECT pid FROM pg_stat_activity WHERE usename = 'app'")
    own_mirror.standby.kill_backend(pid)
    session.execute("INSERT INTO written VALUES (1)")
    own_mirror.relay.wait_stale(timeout=8)
    assert session.execute("SELECT n FROM own_state").fetchone() == (42,)


def test_raw_protocol_counts_and_drops_what_the_standby_says(tmp_path):
    """protocol=raw duplicates any TCP protocol: both get the bytes, the master's come back, the standby's are counted."""
    got = {"master": b"", "standby": b""}
    ports = {}

    def serve(name, answer):
        listener = socket.create_server(("127.0.0.1", 0))
        ports[name] = listener.getsockname()[1]

        def run(connection):
            with connection, contextlib.suppress(OSError):  # the relay's probes say nothing and reset
                while data := connection.recv(4096):
                    got[name] += data
                    connection.sendall(answer)

        def accept():
            while True:
                threading.Thread(target=run, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    serve("master", b"from the master\n")
    serve("standby", b"from the standby\n")
    port, control = free_port(), free_port()
    with Relay("relay-raw", tmp_path, port, control, [
            "--protocol", "raw", "--listen", f"127.0.0.1:{port}", "--control", f"127.0.0.1:{control}",
            "--master", f"127.0.0.1:{ports['master']}", "--standby", f"127.0.0.1:{ports['standby']}",
            "--state-dir", tmp_path / "state"]) as relay:
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(b"any bytes \0\xff at all")
            assert client.recv(100) == b"from the master\n"
            wait_until(lambda: got["standby"] == got["master"] == b"any bytes \0\xff at all", 5, "both to have the bytes")
            # Counted while the connection is open: nobody waits for the standby of one that has ended.
            wait_until(lambda: relay.status()["traffic"]["standby_bytes"] == len(b"from the standby\n"), 5,
                       "the standby's bytes to be counted")
