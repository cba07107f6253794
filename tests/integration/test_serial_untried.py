"""Writes that go without a try, since their rows are claimed: what they leave out, and locks that no claim tells of."""
import contextlib

import pytest

from harness import Mirror, holds, wait_until
from harness.load import Load
from harness.players import SOON, Player, answer, others_write, row_locked, waits
from harness.worlds import of_mirror, refusal

pytestmark = [pytest.mark.skipif(bool(refusal()), reason=refusal() or "-"), pytest.mark.timeout(90)]

SETUP = ("CREATE TABLE kept (id int PRIMARY KEY, k text UNIQUE, v int NOT NULL)",
         "INSERT INTO kept SELECT i, 'row ' || i, 100 FROM generate_series(1, 10) i",
         "CREATE TABLE elsewhere (id serial PRIMARY KEY, who text)", "CREATE TABLE heap (n int)",
         "CREATE TABLE gone (id int PRIMARY KEY, v int)", "INSERT INTO gone SELECT i, 0 FROM generate_series(1, 10) i")
ADD = "UPDATE kept SET v = v + 1 WHERE id = {}"
ADD_BY_NAME = "UPDATE kept SET v = v + 10 WHERE k = 'row {}'"  # another claim to the same row
# A savepoint's writes have a transaction number of their own.
SUBTRANSACTIONS = "SELECT count(DISTINCT xmin::text) FROM kept WHERE id <= 3"


def three_writes(session):
    """In one transaction; how many transaction numbers they took on the master."""
    session.begin()
    for row in (1, 2, 3):
        session.do(ADD.format(row), tag="UPDATE 1")
    session.do("INSERT INTO heap VALUES (1)", tag="INSERT 0 1")
    numbers = int(session.do(SUBTRANSACTIONS).value())
    assert session.commit().ok
    return numbers


def test_claimed_rows_need_no_savepoint(world, player):
    """A transaction of writes by keys runs on the servers as the client wrote it."""
    assert three_writes(player()) == 1


@pytest.mark.parametrize("other", ("DELETE FROM gone WHERE id = 1", "INSERT INTO gone VALUES (11, 0)", "LOCK TABLE heap",
                                   "UPDATE kept SET v = 0 WHERE v > 1000", "UPDATE gone SET v = 1 WHERE id = 1 AND v = 0"))
def test_beside_unknown_locks_every_write_is_tried(world, player, other):
    """While a transaction is open whose locks or rows are not all known, writes by keys can be undone; not after it."""
    holder, writer = player(), player()
    holder.begin()
    assert holder.do(other).ok
    if not other.startswith("LOCK"):
        assert three_writes(writer) > 1
    holder.rollback()
    wait_until(lambda: three_writes(writer) == 1, SOON, "the writes to go without a try again")


def test_what_is_rolled_back_to_a_savepoint_leaves_unknown_locks(world, player):
    """Behind ROLLBACK TO the relay no longer knows what is locked, and tries; rows locked before it stay locked."""
    holder, writer = player(), player()
    holder.begin()
    holder.do(ADD.format(5), tag="UPDATE 1")
    holder.do("SAVEPOINT a")
    holder.do(ADD.format(6), tag="UPDATE 1")
    holder.do("ROLLBACK TO a")
    assert three_writes(writer) > 1
    second = writer.go(ADD.format(5), tag="UPDATE 1")
    waits(second)
    assert holder.commit().ok
    assert answer(second).ok


@pytest.mark.parametrize("where", ("master", "standby"))
def test_a_lock_of_somebody_on_one_server(world, player, where):
    """A write without a try that waits for a lock which no session of the relay has holds nobody up, and goes on when it is free."""
    waiter = player()
    waiter.begin()
    waiter.do(ADD.format(2), tag="UPDATE 1")
    with row_locked(getattr(world, where), 1):
        second = waiter.go(ADD.format(1), tag="UPDATE 1")
        if where == "master":
            waits(second)
        else:
            assert answer(second).ok  # the COMMIT is what waits
            second = waiter.go("COMMIT")
            waits(second)
        assert others_write(world) < 1
    assert answer(second).ok
    if where == "master":
        assert waiter.commit().ok
    waiter.finish()


@pytest.mark.parametrize("going_on", ("rollback", "savepoint"))
@pytest.mark.parametrize("where", ("master", "both"))
def test_a_cancel_of_one_that_waits_in_the_server(world, player, where, going_on):
    """A cancel ends the wait with 57014 and fails the transaction on both servers, also where the standby had done the statement."""
    waiter = player()
    waiter.begin()
    waiter.do("SAVEPOINT a")
    waiter.do(ADD.format(2), tag="UPDATE 1")
    with contextlib.ExitStack() as locks:
        for server in world.servers() if where == "both" else [world.master]:
            locks.enter_context(row_locked(server, 1))
        second = waiter.go(ADD.format(1))
        waits(second)
        waiter.pgconn.get_cancel().cancel()
        assert answer(second, 2).sqlstate == "57014"
        assert waiter.status == "E"
    if going_on == "savepoint":
        assert waiter.do("ROLLBACK TO a", status="T").ok
        assert waiter.do(ADD.format(3), tag="UPDATE 1").ok
        assert waiter.commit().ok
        assert world.value("SELECT string_agg(v::text, ' ' ORDER BY id) FROM kept WHERE id <= 3") == "100 100 101"
    else:
        assert waiter.do("COMMIT", tag="ROLLBACK").ok
        assert world.value("SELECT sum(v) FROM kept") == 1000


def test_a_deadlock_of_rows_that_are_named_in_two_ways(world, player):
    """Two claims to one row do not see each other: who waits for whom is found in the server, and one is told 40P01."""
    by_id, by_name = player(), player()
    by_id.begin(), by_name.begin()
    by_id.do(ADD.format(1), tag="UPDATE 1")
    by_name.do(ADD_BY_NAME.format(2), tag="UPDATE 1")
    waiting = ((by_id, by_id.go(ADD.format(2), tag="UPDATE 1")), (by_name, by_name.go(ADD_BY_NAME.format(1), tag="UPDATE 1")))
    replies = [(session, answer(future)) for session, future in waiting]  # the error frees the victim's rows
    (victim,) = [session for session, reply in replies if reply.sqlstate == "40P01"]
    (survivor,) = [session for session, reply in replies if reply.ok]
    victim.rollback()
    assert survivor.commit().ok
    assert world.value("SELECT sum(v) FROM kept") in (1002, 1020)


def test_waits_that_cross_between_the_servers(world, player):
    """One waits on the standby, and another behind it on the master: the second gives way, for it may be what the first waits for."""
    first, second = player(), player()
    first.begin(), second.begin()
    with row_locked(world.standby, 1):
        assert first.do(ADD.format(1), tag="UPDATE 1").ok
        behind = second.go(ADD_BY_NAME.format(1))
        assert answer(behind, 1.8).sqlstate == "40P01"
    second.rollback()
    assert first.commit().ok


def test_a_holder_that_ends_lets_the_others_go_on_in_order(world, player):
    """Sessions that want a claimed row stand aside, and nothing of what they write is lost."""
    holder, *others = [player() for _ in range(5)]
    holder.begin()
    holder.do(ADD.format(1), tag="UPDATE 1")

    def block(session):
        session.begin()
        session.do(ADD.format(1), tag="UPDATE 1")
        return session.commit()
    waiting = [session.thread.submit(block, session) for session in others]
    holds(lambda: not any(one.done() for one in waiting), 0.3, "they wait")
    assert holder.commit().ok
    assert all(one.result(SOON).ok for one in waiting)
    assert world.value("SELECT v FROM kept WHERE id = 1") == 105


STILL_LOCKED = {
    "another condition finds nothing": ("SELECT FROM kept WHERE id = 1 FOR UPDATE", "UPDATE kept SET v = 0 WHERE id = 1 AND v > 1000"),
    "behind a savepoint": (ADD.format(1), "SAVEPOINT a", ADD.format(2), "ROLLBACK TO a"),
    "an error behind a savepoint": (ADD.format(1), "SAVEPOINT a", "SELECT 1/0", "ROLLBACK TO a"),
}


@pytest.mark.parametrize("how", STILL_LOCKED)
def test_a_row_that_is_still_locked_is_still_its_holders(world, player, how):
    """What a transaction has locked before something was undone or found nothing stays its own: no deadlock is seen where none is."""
    holder, waiter = player(), player()
    holder.begin()
    *before, last = STILL_LOCKED[how]
    for sql in before:
        holder.do(sql, allow=("22012",))
    second = waiter.go(ADD.format(1), tag="UPDATE 1")
    waits(second)
    assert holder.do(last).ok
    waits(second)
    assert holder.do(ADD.format(1), tag="UPDATE 1").ok
    assert holder.commit().ok
    assert answer(second).ok


def test_tables_of_one_name_in_two_schemas_have_rows_of_their_own(world, player):
    """Two sessions write the rows of one number in tables of one name: neither waits for the other."""
    first, second = player(), player()
    for schema in ("here", "there"):
        assert first.do(f"CREATE SCHEMA {schema}").ok
        assert first.do(f"CREATE TABLE {schema}.orders (id int PRIMARY KEY, v int)").ok
        assert first.do(f"INSERT INTO {schema}.orders VALUES (1, 0), (2, 0)").ok
    for session, schema in ((first, "here"), (second, "there")):
        session.begin()
        assert answer(session.go(f"UPDATE {schema}.orders SET v = 1 WHERE id = 1", tag="UPDATE 1"), 1).ok
    assert first.commit().ok and second.commit().ok
    for schema in ("here", "there"):
        assert first.do(f"DROP TABLE {schema}.orders").ok and first.do(f"DROP SCHEMA {schema}").ok


def test_rows_of_a_cancelled_statement_are_free_on_both_servers_at_once(world, player):
    """The client that was told 57014 thinks about it: others get its rows meanwhile, and the standby stays."""
    waiter, other = player(), player()
    waiter.begin()
    waiter.do(ADD.format(2), tag="UPDATE 1")
    with row_locked(world.master, 1):
        second = waiter.go(ADD.format(1))
        waits(second)
        waiter.pgconn.get_cancel().cancel()
        assert answer(second, 2).sqlstate == "57014"
        assert answer(other.go(ADD.format(2), tag="UPDATE 1"), 1).ok
    waiter.rollback()


def test_a_client_that_leaves_while_it_waits_in_the_server(world, player):
    """The session that it waited for wants the gate: it is not kept out by one that is gone."""
    holder, gone = player(), player()
    holder.begin()
    holder.do(ADD_BY_NAME.format(1), tag="UPDATE 1")
    gone.begin()
    second = gone.go(ADD.format(1))
    wait_until(lambda: world.master.backends("wait_event_type = 'Lock'") == 1, SOON, "it to wait in the server")
    gone.cut()
    assert isinstance(second.exception(SOON), Exception)
    assert answer(holder.go("INSERT INTO elsewhere (who) VALUES ('holder')", tag="INSERT 0 1")).ok
    assert holder.commit().ok


def test_who_waits_for_a_row_goes_on_when_the_standby_is_lost():
    """With one server left nobody tells the relay's waiters any more: they wait as that server lets them."""
    with Mirror("--discipline", "serial", direct=True) as mirror:
        world = of_mirror(mirror)
        world.reset(SETUP)
        sessions = [Player(world, number, "simple") for number in range(4)]
        try:
            holder, *others = sessions
            for session in sessions:
                session.begin()
            holder.do(ADD.format(1), tag="UPDATE 1")
            waiting = [other.go(ADD.format(1), tag="UPDATE 1") for other in others]
            waits(waiting[0])
            mirror.standby.kill()
            wait_until(lambda: world.stale(), SOON, "the standby to be given up")
            assert holder.commit().ok
            while others:
                wait_until(lambda: any(one.done() for one in waiting), SOON, "one of them to get the row")
                number = next(n for n, one in enumerate(waiting) if one.done())
                assert waiting.pop(number).result().ok and others.pop(number).commit().ok
            assert mirror.master.value("SELECT v FROM kept WHERE id = 1") == 104
        finally:
            for session in sessions:
                session.close()


@pytest.mark.parametrize("protocol", ("simple", "extended"))
def test_rows_that_come_and_go_beside_claimed_ones(world, protocol):
    """Mostly writes by keys, beside some that make, delete and rename rows, and prepared transactions: both servers stay equal."""
    def step(session, n):
        def row():
            return session.choice.randrange(1, 11)
        chance = session.choice.random()
        session.begin()
        good = True
        for _ in range(session.choice.randrange(1, 4)):
            sql = ADD.format(row()) if session.choice.random() < 0.7 else f"UPDATE gone SET v = v + 1 WHERE id = {row()}"
            if chance > 0.8:
                sql = session.choice.choice((f"DELETE FROM gone WHERE id = {row()}", ADD_BY_NAME.format(row()),
                                             f"INSERT INTO gone VALUES ({row()}, 0) ON CONFLICT DO NOTHING",
                                             f"INSERT INTO gone VALUES ({row()}, 0)",
                                             f"UPDATE gone SET id = id + 100 WHERE id = {row()}",
                                             f"UPDATE gone SET v = v + 1 WHERE id = {row()} AND v > 3"))
            good = good and session.do(sql).ok
        if good and chance > 0.95:
            name = f"p{session.number}_{n}"
            if session.do(f"PREPARE TRANSACTION '{name}'").ok:
                session.do(f"{'COMMIT' if chance > 0.97 else 'ROLLBACK'} PREPARED '{name}'")
        elif good and chance < 0.9:
            session.commit()
        else:
            session.rollback()
    load = Load(world.conninfo(), step, protocol, seconds=3, allowed=("40P01", "23505")).run()
    assert not load.hangs and not load.wrong
    assert load.rounds > 50
