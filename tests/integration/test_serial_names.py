"""What names stand for, where others are in the way: cursors, portals and prepared statements in `serial`."""
import threading

import psycopg
import pytest

from harness.waiting import wait_until
from harness.worlds import refusal

pytestmark = pytest.mark.skipif(bool(refusal()), reason=refusal() or "-")

SETUP = ("CREATE TABLE items (id int PRIMARY KEY, n int)", "INSERT INTO items SELECT i, 0 FROM generate_series(1, 4) i",
         "CREATE TABLE log (n bigint)")
TRIES = 20


@pytest.fixture
def world(serial):
    serial.reset(SETUP)
    return serial


def waits_for_a_lock(world) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = 'app'"
    return world.value(waiting) != 0


def in_the_way(world, work):
    """Runs `work` while another session has item 3, which it gives back once somebody waits for it."""
    found = []

    def other():
        try:
            found.append(work())
        except psycopg.Error as error:
            found.append(error)

    with world.connect() as holder:
        holder.execute("BEGIN")
        holder.execute("UPDATE items SET n = 7 WHERE id = 3")
        thread = threading.Thread(target=other)
        thread.start()
        wait_until(lambda: waits_for_a_lock(world) or not thread.is_alive(), 10, "somebody to wait for item 3")
        holder.execute("COMMIT")
        thread.join(20)
        assert not thread.is_alive()
    return found[0]


def test_a_cursor_that_meets_a_lock_waits_for_it(world):
    """FETCH of a cursor FOR UPDATE meets a row of another session: it waits, as on one server, and gives every row once."""
    def walk():
        with world.connect() as session:
            session.execute("BEGIN")
            session.execute("DECLARE walk CURSOR FOR SELECT id, n FROM items ORDER BY id FOR UPDATE")
            rows = [session.execute("FETCH 2 FROM walk").fetchall() for _ in range(3)]
            session.execute("UPDATE items SET n = n + 1")
            session.execute("COMMIT")
            return [row for some in rows for row in some]

    # Until the relay knows that nothing here is deferred, a COMMIT checks that as a write, and who waits for it is given up.
    for _ in range(TRIES):
        found = in_the_way(world, walk)
        if not isinstance(found, psycopg.errors.DeadlockDetected):
            break
    assert found == [(1, 0), (2, 0), (3, 7), (4, 0)]
    assert world.master.sql("SELECT id, n FROM items ORDER BY id", database="app") == [(1, 1), (2, 1), (3, 8), (4, 1)]
    assert world.differences() == []


def test_what_was_prepared_before_a_trigger_is_in_order_with_it(world):
    """A statement of single rows, prepared while the table had no trigger, in the transaction that makes one."""
    def bump(session):
        session.execute("UPDATE items SET n = n + 1 WHERE id = %s", (1,), prepare=True)

    with world.connect() as session:
        bump(session)
        session.execute("BEGIN")
        session.execute("CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
                        "'BEGIN INSERT INTO log SELECT sum(n) FROM items; RETURN NEW; END'")
        session.execute("CREATE TRIGGER note AFTER UPDATE ON items FOR EACH ROW EXECUTE FUNCTION note()")
        bump(session)
        session.execute("COMMIT")
        bump(session)
    assert world.master.sql("SELECT n FROM log ORDER BY n", database="app") == [(2,), (3,)]
    assert world.differences() == []


def test_what_is_prepared_in_a_failed_block_is_known(world):
    """A ROLLBACK that is prepared when its block has failed is a ROLLBACK, and no unit that has to be alone."""
    with world.connect() as session, world.connect() as alone:
        session.execute("BEGIN")
        with pytest.raises(psycopg.errors.DivisionByZero):
            session.execute("SELECT 1/0")
        session.execute("ROLLBACK", prepare=True)
        thread = threading.Thread(target=alone.execute, args=("DO $$ BEGIN PERFORM pg_sleep(3); END $$",))
        thread.start()
        sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        wait_until(lambda: world.value(sleeping) != 0, 10, "the unit that is alone to run")
        session.execute("BEGIN")
        session.execute("ROLLBACK", prepare=True)
        assert thread.is_alive() and world.value(sleeping) != 0
        thread.join(20)
    assert world.differences() == []
