"""Isolation through the relay, step by step: what one server could answer; and nobody can hold up the others."""
import concurrent.futures
import contextlib
import time

import pytest

from harness import Mirror, everything_same, holds, wait_until, wire
from harness.load import Load, Session, USER
from harness.players import SOON, Player, answer, others_write, waits
from harness.worlds import DISCIPLINE, of_mirror, refusal

pytestmark = [pytest.mark.skipif(bool(refusal()), reason=refusal() or "-"), pytest.mark.timeout(90)]

LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
SETUP = ("CREATE TABLE kept (id int PRIMARY KEY, v int NOT NULL)",
         "INSERT INTO kept SELECT i, 100 FROM generate_series(1, 10) i",
         "CREATE TABLE elsewhere (id serial PRIMARY KEY, who text)", "CREATE TABLE copied (n int, filler text)",
         "CREATE PROCEDURE touch(i int) LANGUAGE plpgsql AS $$ BEGIN UPDATE kept SET v = v + 1000 WHERE id = i; COMMIT; END $$")


@pytest.fixture
def line(world):
    """Makes raw connections."""
    with contextlib.ExitStack() as stack:
        def make() -> wire.Wire:
            one = stack.enter_context(wire.Wire(world.port))
            one.login(USER, application_name="load")
            return one
        yield make


# Anomalies at each level.

@pytest.mark.parametrize("level", LEVELS)
def test_write_skew(world, player, level):
    """Two transactions each read both rows and write one: SERIALIZABLE lets one of them commit, the others both."""
    one, two = player(), player()
    for session in (one, two):
        session.begin(f"ISOLATION LEVEL {level}")
        assert session.do("SELECT sum(v) FROM kept WHERE id IN (1, 2)").value() == "200"
    committed = 0
    writes = [one.do("UPDATE kept SET v = v - 150 WHERE id = 1"), two.do("UPDATE kept SET v = v - 150 WHERE id = 2")]
    for session, write in zip((one, two), writes):
        if write.ok:
            committed += session.do("COMMIT").tag == "COMMIT"
        else:
            session.rollback()
    assert committed == (1 if level == "SERIALIZABLE" else 2)


@pytest.mark.parametrize("level", LEVELS)
def test_a_deferred_key_that_two_take(world, player, level):
    """Two look for a key, find none and insert it: the second COMMIT fails, at SERIALIZABLE perhaps for a reason that only
    the master can find."""
    assert player().do("CREATE TABLE taken (k int UNIQUE DEFERRABLE INITIALLY DEFERRED)").ok
    one, two = player(), player()
    for session in (one, two):
        session.begin(f"ISOLATION LEVEL {level}")
        session.do("SELECT count(*) FROM taken WHERE k = 1")
    assert one.do("INSERT INTO taken VALUES (1)").ok
    second = two.go("INSERT INTO taken VALUES (1)", allow=("40001",))
    assert one.do("COMMIT").tag == "COMMIT"
    if answer(second).ok:
        ended = two.do("COMMIT", allow=("23505", "40001"))
        assert ended.sqlstate in ({"23505"} if level != LEVELS[2] else {"23505", "40001"})
    else:
        two.rollback()


@pytest.mark.parametrize("how", ("one statement", "in a block", "several statements"))
def test_what_the_master_refuses_waits_nowhere(world, player, how):
    """Of two rows with a deferred key one is committed, one of an open transaction. Where they lie in the table says which
    one a server finds first: the master refuses, the standby waits for the transaction. Both have refused."""
    assert player().do("CREATE TABLE placed (k int UNIQUE DEFERRABLE INITIALLY DEFERRED, n int)").ok
    world.standby.sql("INSERT INTO placed VALUES (0, 0)", database="app")
    assert player().do("INSERT INTO placed VALUES (1, 1)", tag="INSERT 0 1").ok
    world.standby.sql("DELETE FROM placed WHERE k = 0", database="app")
    world.standby.sql("VACUUM placed", database="app")  # the next row lies in front of the first one
    open_one, other = player(), player()
    open_one.begin()
    assert open_one.do("INSERT INTO placed VALUES (1, 2)", tag="INSERT 0 1").ok
    assert [s.value("SELECT ctid FROM placed WHERE n = 1") for s in (world.master, world.standby)] == ["(0,1)", "(0,2)"]
    began = time.monotonic()
    insert = "INSERT INTO placed VALUES (1, 3)"
    if how == "one statement":
        assert other.do(insert, allow=("23505",)).sqlstate == "23505"
    elif how == "several statements":
        assert other.do(f"{insert}; SELECT 1", allow=("23505",), protocol="simple").sqlstate == "23505"
    else:
        other.begin()
        other.do(insert)
        assert other.do("COMMIT", allow=("23505",)).sqlstate == "23505"
    assert time.monotonic() - began < 1.5, "nobody waits for the open transaction"
    open_one.rollback()
    world.relay.assert_still_joined()


@pytest.mark.parametrize("level", LEVELS)
def test_read_skew(world, player, level):
    """A row read before another's commit and one read after it: only READ COMMITTED sees the other's change."""
    reader, writer = player(), player()
    reader.begin(f"ISOLATION LEVEL {level}")
    assert reader.do("SELECT v FROM kept WHERE id = 1").value() == "100"
    assert writer.block("UPDATE kept SET v = v - 50 WHERE id = 1", "UPDATE kept SET v = v + 50 WHERE id = 2")
    assert reader.do("SELECT v FROM kept WHERE id = 2").value() == ("150" if level == LEVELS[0] else "100")
    assert reader.commit().ok


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("waiting", (False, True), ids=("after the commit", "waiting for the commit"))
def test_lost_update(world, player, level, waiting):
    """Both read, both write what they computed: above READ COMMITTED the second is told 40001."""
    one, two = player(), player()
    for session in (one, two):
        session.begin(f"ISOLATION LEVEL {level}")
        assert session.do("SELECT v FROM kept WHERE id = 1").value() == "100"
    assert one.do("UPDATE kept SET v = 110 WHERE id = 1", tag="UPDATE 1").ok
    if waiting:
        second = two.go("UPDATE kept SET v = 120 WHERE id = 1", tag="UPDATE 1")
        waits(second)
        assert one.commit().ok
        reply = answer(second)
    else:
        assert one.commit().ok
        reply = two.do("UPDATE kept SET v = 120 WHERE id = 1", tag="UPDATE 1")
    if level == LEVELS[0]:
        assert reply.ok and two.commit().ok
        assert world.value("SELECT v FROM kept WHERE id = 1") == 120
    else:
        assert reply.sqlstate == "40001"
        two.rollback()
        assert world.value("SELECT v FROM kept WHERE id = 1") == 110


@pytest.mark.parametrize("level", LEVELS)
def test_phantom(world, player, level):
    """A row inserted between two counts is seen by READ COMMITTED alone, and by a write that follows as well."""
    reader, writer = player(), player()
    reader.begin(f"ISOLATION LEVEL {level}")
    assert reader.do("SELECT count(*) FROM kept WHERE v = 100").value() == "10"
    assert writer.do("INSERT INTO kept VALUES (11, 100)", tag="INSERT 0 1").ok
    seen = "11" if level == LEVELS[0] else "10"
    assert reader.do("SELECT count(*) FROM kept WHERE v = 100").value() == seen
    assert reader.do("INSERT INTO kept SELECT 20, count(*) FROM kept WHERE v = 100", tag="INSERT 0 1").ok
    assert reader.commit().ok
    assert world.value("SELECT v FROM kept WHERE id = 20") == int(seen)


@pytest.mark.parametrize("level", LEVELS)
def test_the_snapshot_is_that_of_the_first_statement(world, player, level):
    """BEGIN takes no snapshot: a commit between BEGIN and the first statement is seen at every level, on both servers."""
    one, two = player(), player()
    one.begin(f"ISOLATION LEVEL {level}")
    assert two.do("UPDATE kept SET v = 7 WHERE id = 1", tag="UPDATE 1").ok
    assert one.do("INSERT INTO elsewhere (who) SELECT v FROM kept WHERE id = 1", tag="INSERT 0 1").ok
    assert two.do("UPDATE kept SET v = 8 WHERE id = 1", tag="UPDATE 1").ok
    assert one.do("INSERT INTO elsewhere (who) SELECT v FROM kept WHERE id = 1", tag="INSERT 0 1").ok
    assert one.commit().ok
    wanted = ["7", "8" if level == LEVELS[0] else "7"]
    assert [r[0] for r in world.master.sql("SELECT who FROM elsewhere ORDER BY id", database="app")] == wanted


def test_an_increment_after_a_wait_loses_nothing(world, player):
    """READ COMMITTED: an UPDATE that waited works on the row as the other left it."""
    one, two = player(), player()
    one.begin()
    one.do("UPDATE kept SET v = v + 10 WHERE id = 1", tag="UPDATE 1")
    second = two.go("UPDATE kept SET v = v + 1 WHERE id = 1 RETURNING v", tag="UPDATE 1")
    waits(second)
    assert one.commit().ok
    assert answer(second).value() == "111"


def test_a_waiter_whose_rows_changed(world, player):
    """READ COMMITTED: after a wait, rows that began to match meanwhile may be seen or not; the two servers agree."""
    one, two = player(), player()
    one.begin()
    one.do("UPDATE kept SET v = v + 1", tag="UPDATE 10")
    one.do("INSERT INTO kept VALUES (11, 100)", tag="INSERT 0 1")
    second = two.go("DELETE FROM kept WHERE v = 100")
    waits(second)
    assert one.commit().ok
    assert answer(second).tag in ("DELETE 0", "DELETE 1")


def test_a_waiter_after_a_rollback(world, player):
    """The holder rolls back: the waiter finds the row as it was."""
    one, two = player(), player()
    one.begin()
    one.do("UPDATE kept SET v = v + 10 WHERE id = 1", tag="UPDATE 1")
    second = two.go("UPDATE kept SET v = v + 1 WHERE id = 1 RETURNING v", tag="UPDATE 1")
    waits(second)
    one.rollback()
    assert answer(second).value() == "101"


def test_a_waiter_after_an_error_of_the_holder(world, player):
    """A row lock is freed at the ERROR, before the client's ROLLBACK: the waiter goes on, the block stays failed."""
    one, two = player(), player()
    one.begin()
    one.do("UPDATE kept SET v = v + 10 WHERE id = 1", tag="UPDATE 1")
    second = two.go("UPDATE kept SET v = v + 1 WHERE id = 1 RETURNING v", tag="UPDATE 1")
    waits(second)
    assert one.do("SELECT 1/0", allow=("22012",)).sqlstate == "22012"
    assert answer(second).value() == "101"
    assert one.status == "E"
    one.do("COMMIT", tag="ROLLBACK", status="I")


# What clients set for themselves.

@pytest.mark.parametrize("setting, sqlstate", (("lock_timeout", "55P03"), ("statement_timeout", "57014")))
@pytest.mark.parametrize("in_block", (False, True), ids=("autocommit", "in a block"))
def test_the_clients_own_time_limits(world, player, setting, sqlstate, in_block):
    """A wait for a row ends at the client's own limit, with the SQLSTATE of that limit; SHOW shows what it set."""
    holder, waiter = player(), player()
    holder.begin()
    holder.do("UPDATE kept SET v = 0 WHERE id = 1", tag="UPDATE 1")
    if in_block:
        waiter.begin()
        waiter.do("UPDATE kept SET v = v + 1 WHERE id = 2", tag="UPDATE 1")
    waiter.do(f"SET {'LOCAL ' if in_block else ''}{setting} = '500ms'", tag="SET")
    began = time.monotonic()
    reply = answer(waiter.go("UPDATE kept SET v = v + 1 WHERE id = 1"))
    took = time.monotonic() - began
    assert reply.sqlstate == sqlstate and 0.4 < took < 2.5, f"{reply.sqlstate} {reply.message} after {took:.2f} s"
    if in_block:
        assert waiter.status == "E"
        waiter.rollback()
        assert waiter.do(f"SHOW {setting}").value() == "0"
    else:
        assert waiter.do(f"SHOW {setting}").value() == "500ms"
    holder.rollback()
    assert waiter.do("UPDATE kept SET v = v + 1 WHERE id = 1", tag="UPDATE 1").ok


def test_a_client_that_has_no_time_limit_waits(world, player):
    """Without a limit a wait goes on, longer than any that a middleman might use for itself."""
    holder, waiter = player(), player()
    holder.begin()
    holder.do("UPDATE kept SET v = 0 WHERE id = 1", tag="UPDATE 1")
    second = waiter.go("UPDATE kept SET v = v + 1 WHERE id = 1", tag="UPDATE 1")
    waits(second, 3.0)
    assert holder.commit().ok
    assert answer(second).ok


def test_nowait_is_answered_at_once(world, player):
    """NOWAIT on a row that is taken is the client's own 55P03: it is not tried again."""
    holder, other = player(), player()
    holder.begin()
    holder.do("UPDATE kept SET v = 0 WHERE id = 1", tag="UPDATE 1")
    other.begin()
    assert answer(other.go("SELECT v FROM kept WHERE id = 1 FOR UPDATE NOWAIT"), 2).sqlstate == "55P03"
    other.rollback()
    assert holder.commit().ok


def test_idle_in_transaction_session_timeout(world, line):
    """The client's own limit ends its idle transaction with 25P03 on both servers; the row is free."""
    idle = line()
    idle.send(wire.query("SET idle_in_transaction_session_timeout = '500ms'"))
    idle.until_ready()
    idle.send(wire.query("BEGIN"))
    idle.until_ready()
    idle.send(wire.query("UPDATE kept SET v = 0 WHERE id = 1"))
    assert wire.tags(idle.until_ready()) == ["UPDATE 1"]
    kind, body = idle.receive()  # nobody asked for it
    assert kind == b"E" and wire.fields(body)["C"] == "25P03"
    assert idle.at_end()
    session = Session(world.conninfo())
    assert session.do("UPDATE kept SET v = v + 1 WHERE id = 1 RETURNING v", tag="UPDATE 1").value() == "101"
    session.close()


@pytest.mark.parametrize("how", ("in a block", "in a block that wrote", "in autocommit", "alone"))
def test_limits_for_idle_sessions_end_none_whose_statement_waits(world, player, how):
    """A session whose statement stands aside, or runs on the master alone, is not idle to its client, nor to the servers."""
    holder, waiter = player(), player()
    for setting in ("idle_in_transaction_session_timeout", "idle_session_timeout"):
        waiter.do(f"SET {setting} = '1s'")
        waiter.settings.pop(setting, None)
    if how == "alone":
        waiter.begin()
        assert waiter.do("UPDATE kept SET v = v + 1 WHERE id = 2", tag="UPDATE 1").ok
        assert waiter.do("DO $$ BEGIN PERFORM pg_sleep(2.5); END $$").ok
        assert waiter.commit().ok
        return
    holder.begin()
    holder.do("UPDATE kept SET v = 0 WHERE id = 1", tag="UPDATE 1")
    if how != "in autocommit":
        waiter.begin()
    if how == "in a block that wrote":
        assert waiter.do("UPDATE kept SET v = v + 1 WHERE id = 2", tag="UPDATE 1").ok
    second = waiter.go("UPDATE kept SET v = v + 1 WHERE id = 1", tag="UPDATE 1")
    waits(second, 2.5)
    assert holder.commit().ok
    assert answer(second).ok
    if how != "in autocommit":
        assert waiter.commit().ok


def test_savepoints_of_the_client(world, player):
    """Savepoints by any name, nested under the same name, around statements that wait: they lead back where they were set."""
    one, holder = player(), player()
    one.begin()
    one.do("INSERT INTO elsewhere (who) VALUES ('first')", tag="INSERT 0 1")
    one.do("SAVEPOINT a", tag="SAVEPOINT")
    one.do("INSERT INTO elsewhere (who) VALUES ('second')", tag="INSERT 0 1")
    one.do("SAVEPOINT a", tag="SAVEPOINT")
    holder.begin()
    holder.do("UPDATE kept SET v = 0 WHERE id = 1", tag="UPDATE 1")
    waiting = one.go("UPDATE kept SET v = v + 1 WHERE id = 1 RETURNING v", tag="UPDATE 1")
    waits(waiting)
    assert holder.commit().ok
    assert answer(waiting).value() == "1"
    one.do("INSERT INTO elsewhere (who) VALUES ('third')", tag="INSERT 0 1")
    one.do("ROLLBACK TO SAVEPOINT a", tag="ROLLBACK")
    one.do("RELEASE SAVEPOINT a", tag="RELEASE")
    assert one.do("SELECT v FROM kept WHERE id = 1").value() == "0"
    one.do("INSERT INTO elsewhere (who) VALUES ('fourth')", tag="INSERT 0 1")
    one.do("ROLLBACK TO a", tag="ROLLBACK")
    one.do("RELEASE a", tag="RELEASE")
    assert one.do("ROLLBACK TO a", allow=("3B001",)).sqlstate == "3B001"
    one.do("COMMIT", tag="ROLLBACK", status="I")
    one.begin()
    one.do("SAVEPOINT a", tag="SAVEPOINT")
    one.do("INSERT INTO elsewhere (who) VALUES ('kept')", tag="INSERT 0 1")
    assert one.do("SELECT 1/0", allow=("22012",)).sqlstate == "22012"
    one.do("ROLLBACK TO a", tag="ROLLBACK", status="T")
    one.do("INSERT INTO elsewhere (who) VALUES ('after the error')", tag="INSERT 0 1")
    assert one.commit().ok
    assert [r[0] for r in world.master.sql("SELECT who FROM elsewhere", database="app")] == ["after the error"]


def test_settings_after_waits(world, player):
    """After statements that waited, failed and were retried, every setting shows what the client gave it."""
    holder, waiter = player(), player()
    waiter.do("SET lock_timeout = '9s'", tag="SET")
    waiter.settings["lock_timeout"] = "9s"
    for end in ("COMMIT", "ROLLBACK"):
        holder.begin()
        holder.do("UPDATE kept SET v = v + 1 WHERE id = 1", tag="UPDATE 1")
        waiter.begin()
        second = waiter.go("UPDATE kept SET v = v + 1 WHERE id = 1", tag="UPDATE 1")
        waits(second)
        holder.do(end, status="I")
        assert answer(second).ok
        assert waiter.do("SHOW lock_timeout").value() == "9s"
        assert waiter.do("SELECT setting FROM pg_settings WHERE name = 'lock_timeout'").value() == "9000"
        assert waiter.do("SELECT current_setting('lock_timeout')").value() == "9s"
        assert waiter.commit().ok
    for session in (holder, waiter):
        session.finish()


def test_cancel_of_a_statement_that_waits(world, player):
    """A cancel request ends a wait for a row with 57014 at once, and the session goes on."""
    holder, waiter = player(), player()
    holder.begin()
    holder.do("UPDATE kept SET v = 0 WHERE id = 1", tag="UPDATE 1")
    second = waiter.go("UPDATE kept SET v = v + 1 WHERE id = 1")
    waits(second)
    waiter.pgconn.get_cancel().cancel()
    assert answer(second, 2).sqlstate == "57014"
    assert waiter.do("UPDATE kept SET v = v + 1 WHERE id = 2", tag="UPDATE 1").ok
    assert holder.commit().ok


def test_a_client_that_goes_away_while_it_waits(world, player):
    """A waiter whose connection ends holds nobody up, and leaves no backend behind."""
    holder, waiter, third = player(), player(), player()
    holder.begin()
    holder.do("UPDATE kept SET v = v + 10 WHERE id = 1", tag="UPDATE 1")
    second = waiter.go("UPDATE kept SET v = v + 1 WHERE id = 1")
    waits(second)
    waiter.cut()
    assert isinstance(second.exception(SOON), Exception)
    assert holder.commit().ok
    assert answer(third.go("UPDATE kept SET v = v + 100 WHERE id = 1", tag="UPDATE 1")).ok


@pytest.mark.parametrize("sessions", (2, 3, 5))
def test_a_deadlock_has_one_victim(world, player, sessions):
    """Sessions that wait for each other in a ring: one is told 40P01, every other one commits."""
    ring = [player() for _ in range(sessions)]
    for n, session in enumerate(ring):
        session.begin()
        session.do(f"UPDATE kept SET v = v + 1 WHERE id = {n + 1}", tag="UPDATE 1")
    waiting = {session.go(f"UPDATE kept SET v = v + 1 WHERE id = {(n + 1) % sessions + 1}", tag="UPDATE 1"): session
               for n, session in enumerate(ring)}
    victims = 0
    while waiting:
        done, _ = concurrent.futures.wait(waiting, 10, concurrent.futures.FIRST_COMPLETED)
        assert done, f"nobody gets on; {victims} victims so far"
        for future in done:
            session, reply = waiting.pop(future), future.result()
            if reply.ok:
                assert session.commit().ok
            else:
                assert reply.sqlstate == "40P01"
                victims += 1
                session.rollback()
    assert victims == 1
    assert world.value("SELECT sum(v) FROM kept") == 1000 + 2 * (sessions - 1)


# Nobody can hold up the others.

def test_a_waiter_holds_nobody_up(world, player):
    """While one session waits for a row, the others write."""
    holder, waiter = player(), player()
    holder.begin()
    holder.do("UPDATE kept SET v = 0 WHERE id = 1", tag="UPDATE 1")
    second = waiter.go("UPDATE kept SET v = v + 1 WHERE id = 1")
    waits(second)
    assert others_write(world) < 1
    holder.rollback()
    answer(second)


def test_a_safe_snapshot_is_waited_for_outside(world, player):
    """The first read of a SERIALIZABLE READ ONLY DEFERRABLE transaction waits for writers, and nobody waits for it."""
    writer, reader = player(), player()
    writer.begin("ISOLATION LEVEL SERIALIZABLE")
    assert writer.do("SELECT sum(v) FROM kept").ok
    assert writer.do("UPDATE kept SET v = v + 1 WHERE id = 1", tag="UPDATE 1").ok
    reader.begin("ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE")
    first = reader.go("SELECT count(*) FROM kept")
    waits(first)
    assert others_write(world) < 1
    assert writer.do("COMMIT").tag == "COMMIT"
    assert answer(first).value() == "10"
    assert reader.do("COMMIT").ok


@pytest.mark.parametrize("level", ("REPEATABLE READ", "SERIALIZABLE, READ ONLY, DEFERRABLE"))
def test_a_long_read_with_a_snapshot_holds_nobody_up(world, player, level):
    """What a dump does: its first query fixes the snapshot in order, the long ones behind it are beside the writes."""
    dump = player()
    dump.begin(f"ISOLATION LEVEL {level}")
    assert dump.do("SELECT set_config('search_path', 'public', true)").ok
    assert dump.do("SELECT sum(v) FROM kept").value() == "1000"
    long = dump.go("SELECT sum(v), count(pg_sleep(0.2)) FROM kept")
    waits(long, 0.1)
    assert others_write(world) < 1
    assert not long.done()
    assert answer(long).value() == "1000"
    assert dump.do("COMMIT").ok


@pytest.mark.parametrize("before", ("SHOW work_mem", "LOCK TABLE elsewhere IN ROW SHARE MODE", "SET CONSTRAINTS ALL IMMEDIATE"))
def test_what_takes_no_snapshot_is_not_taken_for_one(world, player, before):
    """Behind a SHOW or a LOCK the first query of a REPEATABLE READ transaction still fixes its snapshot, so it is in order."""
    reader, other = player(), player()
    reader.begin("ISOLATION LEVEL REPEATABLE READ")
    assert reader.do(before).ok
    running = other.go("DO $$ BEGIN PERFORM pg_sleep(0.8); UPDATE kept SET v = 0 WHERE id = 1; END $$")
    wait_until(lambda: world.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'") == 1, SOON,
               "the DO to run")
    first = reader.go("SELECT sum(v) FROM kept")
    waits(first, 0.2)
    assert answer(running).ok
    assert answer(first).value() == "900"
    assert reader.do("SELECT v FROM kept WHERE id = 1").value() == "0"
    assert reader.do("COMMIT").ok


def test_advisory_locks_of_failed_tries_are_given_back(world, player):
    """A statement that locks in its own way and then waits for a row holds its lock once in the end, on both servers."""
    holder, waiter = player(), player()
    keys = ("77", "-5", f"{2**40 + 1}", "3, -4")
    holder.begin()
    holder.do("UPDATE kept SET v = 0 WHERE id = 1", tag="UPDATE 1")
    second = waiter.go("WITH l AS MATERIALIZED (SELECT " + ", ".join(f"pg_advisory_lock({key}) AS l{n}" for n, key in enumerate(keys)) +
                       ") UPDATE kept SET v = v + 1 FROM l WHERE id = 1 AND l0 IS NOT NULL AND l1 IS NOT NULL AND l2 IS NOT NULL "
                       "AND l3 IS NOT NULL")
    waits(second)
    assert holder.do("COMMIT").ok
    assert answer(second).ok
    count = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    assert [server.value(count) for server in world.servers()] == [4, 4]
    for key in keys:
        assert waiter.do(f"SELECT pg_advisory_unlock({key})").value() == "t"
    assert [server.value(count) for server in world.servers()] == [0, 0]


def test_copy_freeze_behind_other_writes(world, player):
    """COPY with FREEZE wants a table of the same subtransaction: the relay's own savepoints are not in the way."""
    one = player()
    one.begin()
    one.do("INSERT INTO elsewhere (who) VALUES ('first')", tag="INSERT 0 1")
    one.do("CREATE TABLE frozen (n int)")
    one.do("INSERT INTO elsewhere (who) VALUES ('second')", tag="INSERT 0 1")
    assert one.copy_in("COPY frozen FROM STDIN WITH (FREEZE)", "1\n2\n", tag="COPY 2").ok
    assert one.do("COMMIT").tag == "COMMIT"
    one.do("DROP TABLE frozen")


def test_roles_are_in_one_order_for_all_databases(world):
    """Sessions of two databases change the same roles: both servers agree, and no standby is lost."""
    for server in world.servers():
        server.sql("CREATE DATABASE beside")
        server.sql(f"ALTER ROLE {USER} SUPERUSER")
    first = Session(world.conninfo())
    try:
        for role in ("anna", "bert"):
            assert first.do(f"CREATE ROLE {role}").ok

        def change(database, number):
            session = Session(world.conninfo().replace("dbname=app", f"dbname={database}"), number,
                              allowed=("XX000", "40001", "23505"))
            try:
                for n in range(15):
                    session.do("GRANT anna TO bert" if n % 2 else "REVOKE anna FROM bert")
                    session.do(f"ALTER ROLE bert VALID UNTIL '2030-01-{n + 1:02}'")
                assert not [wrong for wrong in session.wrong if "member of" not in wrong]
            finally:
                session.close()

        with concurrent.futures.ThreadPoolExecutor() as pool:
            for done in [pool.submit(change, database, n) for n, database in enumerate(("app", "beside") * 3)]:
                done.result(60)
        valid = "SELECT rolvaliduntil::text FROM pg_roles WHERE rolname = 'bert'"
        assert len({server.value(valid) for server in world.servers()}) == 1
    finally:
        for role in ("anna", "bert"):
            first.do(f"DROP ROLE IF EXISTS {role}")
        first.close()
        for server in world.servers():
            wait_until(lambda: server.backends("datname = 'beside'") == 0, 10, "nobody to be in the database beside")
            server.sql("DROP DATABASE beside")
            server.sql(f"ALTER ROLE {USER} NOSUPERUSER")


@pytest.mark.parametrize("size", (10, 3 << 20), ids=("little", "much"))
def test_a_client_that_stops_in_mid_copy(world, line, size):
    """COPY IN whose client stops sending: the others write, and it ends as done or with 57014, alike on both servers."""
    copying = line()
    copying.send(wire.query("COPY copied FROM STDIN"))
    assert copying.receive()[0] == b"G"
    for _ in range(max(1, size >> 14)):
        copying.send(wire.copy_data(b"1\t" + b"x" * min(size, 1 << 14) + b"\n"))
    others_write(world)
    others_write(world)
    with contextlib.suppress(ConnectionError):
        copying.send(wire.copy_data(b"2\tend\n"), wire.COPY_DONE)
    ended = the_rest(copying)
    assert wire.tags(ended) or error(ended) == "57014", wire.kinds(ended)


def test_a_copy_that_is_typed_slowly(world, line):
    """COPY IN of a client that takes its time: the others write all the while, and it ends as it would on one server."""
    copying = line()
    copying.send(wire.query("COPY copied FROM STDIN"))
    assert copying.receive()[0] == b"G"
    began = time.monotonic()
    rows = 0
    while time.monotonic() - began < 2.5:  # client_stall is 1 s
        copying.send(wire.copy_data(b"%d\ttyped\n" % rows))
        rows += 1
        assert others_write(world) < 1
        holds(lambda: world.value("SELECT count(*) FROM copied") == 0, 0.3, "nothing of it is seen")
    copying.send(wire.COPY_DONE)
    assert wire.tags(copying.until_ready()) == [f"COPY {rows}"]
    assert world.value("SELECT count(*) FROM copied") == rows


@pytest.mark.parametrize("ending", ("fails", "goes away", "breaks"))
def test_a_slow_copy_that_ends_badly(world, line, ending):
    """CopyFail, a closed connection and a bad row, after a pause longer than client_stall: nothing of it stays anywhere."""
    copying = line()
    copying.send(wire.query("COPY copied FROM STDIN"))
    assert copying.receive()[0] == b"G"
    copying.send(wire.copy_data(b"1\tone\n"))
    holds(lambda: others_write(world) < 1, 1.2, "others write")
    if ending != "goes away":
        copying.send(wire.message(b"f", wire.text("no more")) if ending == "fails" else wire.copy_data(b"x\ty\n") + wire.COPY_DONE)
        with pytest.raises(wire.WireError) as failed:
            copying.until_ready()
        assert failed.value.fields["C"] == ("57014" if ending == "fails" else "22P02")
    copying.socket.close()
    world.quiet()
    assert [server.value("SELECT count(*) FROM copied") for server in world.servers()] == [0, 0]


def the_rest(line) -> list:
    """Every message up to ReadyForQuery, or to the end of a connection that was ended for its client's stall."""
    messages = []
    with contextlib.suppress(EOFError, ConnectionError):
        while not messages or messages[-1][0] != b"Z":
            messages.append(line.receive())
    return messages


def error(messages) -> str:
    return next((wire.fields(body)["C"] for kind, body in messages if kind == b"E"), "")


def test_several_statements_that_wait_find_the_same_rows(world, player):
    """What a unit that is alone finds behind a lock that it waited for is the same on both servers."""
    holder, waiter = player(), player()
    delete = "DELETE FROM kept WHERE id IN (SELECT id FROM kept ORDER BY id LIMIT 5)"
    holder.begin()
    holder.do(delete, tag="DELETE 5")
    second = waiter.go(f"INSERT INTO elsewhere (who) VALUES ('several'); {delete}", protocol="simple")
    waits(second)
    assert holder.do("COMMIT").tag == "COMMIT"
    assert answer(second).ok


def test_execute_and_flush_is_answered_before_the_sync(world, line):
    """What a client flushes is answered at once, writes included; others write when it has sent its Sync."""
    one = line()
    for n in range(2):
        one.send(wire.parse("INSERT INTO elsewhere (who) VALUES ('flushed') RETURNING who"), wire.bind(), wire.execute(), wire.FLUSH)
        assert [one.receive()[0] for _ in range(4)] == [b"1", b"2", b"D", b"C"]
        one.send(wire.parse("UPDATE kept SET v = v + 1 WHERE id = 1"), wire.bind(), wire.execute(), wire.FLUSH)
        assert [one.receive()[0] for _ in range(3)] == [b"1", b"2", b"C"]
        one.send(wire.SYNC)
        assert one.receive()[0] == b"Z"
    others_write(world)
    assert world.value("SELECT count(*) FROM elsewhere WHERE who = 'flushed'") == 2


@pytest.mark.parametrize("extended", (False, True), ids=("simple", "extended"))
def test_a_client_that_never_reads_its_rows(world, line, extended):
    """RETURNING of many rows that nobody reads: the others write."""
    deaf = line()
    sql = "INSERT INTO copied SELECT n, 'x' FROM generate_series(1, 20000) n RETURNING n, repeat('x', 1000)"
    deaf.send(wire.extended(sql) + wire.SYNC if extended else wire.query(sql))
    wait_until(lambda: deaf.socket.recv(1, 2), 5, "the first row")  # MSG_PEEK: it stays unread
    others_write(world)
    others_write(world)


def test_a_long_reply_does_not_say_done_before_the_commit(world, line):
    """More rows than the relay keeps go out as they come; the tag waits for the COMMIT, which a deferred constraint refuses."""
    client = line()
    client.send(wire.query("CREATE TABLE long_reply (v int UNIQUE DEFERRABLE INITIALLY DEFERRED, filler text)"))
    client.until_ready()
    client.send(wire.query("INSERT INTO long_reply SELECT 1 + i % 19999, repeat('x', 50) FROM generate_series(1, 20000) i RETURNING *"))
    messages = client.until_ready(raise_errors=False)
    assert wire.tags(messages) == []
    assert error(messages) == "23505" and wire.kinds(messages).count("D") == 20000


def test_execute_and_flush_without_sync(world, line):
    """A statement of which the client has not yet sent the Sync: the others write, on other rows, and it ends in order."""
    open_ended = line()
    open_ended.send(wire.extended("UPDATE kept SET v = v + 1 WHERE id = 1"), wire.FLUSH)
    others_write(world)
    others_write(world)
    with contextlib.suppress(ConnectionError):
        open_ended.send(wire.SYNC)
    ended = the_rest(open_ended)
    done = wire.tags(ended) == ["UPDATE 1"] and ended[-1] == (b"Z", b"I")
    assert done or error(ended) == "57014", wire.kinds(ended)


def test_half_a_message(world, line):
    """A client that stops in the middle of a message: the others write."""
    half = line()
    half.send(wire.query("UPDATE kept SET v = v + 1 WHERE id = 1")[:-9])
    others_write(world)
    half.send(wire.query("UPDATE kept SET v = v + 1 WHERE id = 1")[-9:])
    assert wire.tags(half.until_ready()) == ["UPDATE 1"]


def test_call_against_a_lock_whose_owner_writes(world, player):
    """CALL waits for a row whose owner wants to write on: one of them may be told 40P01, the others write meanwhile."""
    owner, caller = player(), player()
    owner.begin()
    owner.do("UPDATE kept SET v = v + 1 WHERE id = 1", tag="UPDATE 1")
    call = caller.go("CALL touch(1)", tag="CALL")
    waits(call, 0.2)
    write = owner.go("UPDATE kept SET v = v + 1 WHERE id = 2", tag="UPDATE 1")
    others_write(world)
    owner_done = answer(write).ok and owner.commit().ok
    if not owner_done:
        owner.rollback()
    call_done = answer(call).ok
    assert owner_done or call_done
    assert world.value("SELECT sum(v) FROM kept") == 1000 + 2 * owner_done + 1000 * call_done


def test_call_against_a_lock_whose_owner_commits(world, player):
    """CALL waits for a row: its owner's COMMIT passes, and then the procedure goes on."""
    owner, caller = player(), player()
    owner.begin()
    owner.do("UPDATE kept SET v = v + 1 WHERE id = 1", tag="UPDATE 1")
    call = caller.go("CALL touch(1)", tag="CALL")
    waits(call, 0.2)
    assert answer(owner.go("COMMIT", tag="COMMIT")).ok
    assert answer(call).ok
    assert world.value("SELECT v FROM kept WHERE id = 1") == 1101


# DDL.

DDL = ("ALTER TABLE kept ADD COLUMN more text", "CREATE INDEX kept_v ON kept (v)", "REINDEX TABLE kept",
       "ALTER TABLE kept DROP COLUMN more", "DROP INDEX kept_v", "CREATE INDEX CONCURRENTLY kept_v ON kept (v)", "VACUUM kept",
       "VACUUM FULL kept", "LOCK TABLE kept", "TRUNCATE kept", "DROP INDEX CONCURRENTLY kept_v", "CREATE TABLE another AS TABLE kept",
       "ALTER TABLE kept RENAME COLUMN v TO w", "ALTER TABLE kept RENAME COLUMN w TO v", "ALTER TABLE kept ALTER COLUMN v TYPE bigint")


def read(session, n):
    if n % 2:
        session.do("SELECT count(v) FROM kept", allow=("42703",))
    else:
        session.begin()
        for _ in range(3):
            if not session.do("SELECT count(v) FROM kept", allow=("42703",)).ok:
                session.rollback()
                return
        session.commit()


def test_ddl_under_continuous_reads(world, protocol):
    """Each statement that excludes readers is done soon although six sessions read without a pause."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        operator = Player(world, 50, protocol)
        load = Load(world.conninfo(), read, protocol, count=6, seconds=3.0)
        reading = pool.submit(load.run)
        wait_until(lambda: all(load.sessions), 10, "the readers to be there")
        took = {}
        for sql in DDL:
            began = time.monotonic()
            if sql.startswith("LOCK"):
                operator.begin()
            assert answer(operator.go(sql), 10).ok, operator.wrong
            if operator.status == "T":
                operator.commit()
            took[sql] = time.monotonic() - began
        reading.result(60)
        operator.close()
    assert not (load.hangs or load.wrong or operator.wrong), (load.hangs, load.wrong[:5], operator.wrong)
    assert max(took.values()) < SOON, took


AUTOVACUUM = {"autovacuum_naptime": "1s", "autovacuum_vacuum_cost_delay": "100ms", "autovacuum_vacuum_cost_limit": "1"}


@pytest.mark.slow
def test_ddl_beside_autovacuum():
    """A table that an autovacuum worker is in: ALTER TABLE is done soon, as on one server, and both are equal."""
    with Mirror("--discipline", DISCIPLINE, direct=True, settings=AUTOVACUUM) as mirror:
        world = of_mirror(mirror)
        world.reset(("CREATE TABLE vac (id int PRIMARY KEY, filler text)",
                     "INSERT INTO vac SELECT i, repeat('x', 500) FROM generate_series(1, 5000) i", "DELETE FROM vac WHERE id % 2 = 0"))
        session = Player(world, 0, "simple")
        for server in world.servers():
            wait_until(lambda: server.value("SELECT count(*) FROM pg_stat_progress_vacuum WHERE relid = 'vac'::regclass") > 0, 40,
                       f"autovacuum on {server.name}")
        began = time.monotonic()
        assert answer(session.go("ALTER TABLE vac ADD COLUMN more int"), 15).ok
        assert time.monotonic() - began < 8
        session.close()
        world.quiet()
        everything_same(mirror.master, mirror.standby)
        mirror.relay.assert_still_joined()
        assert not session.wrong
