"""Sessions that take turns: a statement of one is left running while the test looks at the others."""
import concurrent.futures
import contextlib
import time

from .compare import everything_same
from .load import Session
from .waiting import holds

SOON = 5.0  # seconds within which another session's write is done, whatever a client does
WAITS = 0.4  # seconds for which a statement that waits is looked at


class Player(Session):
    """A session whose statements can be left running while the test looks at the others."""

    def __init__(self, world, number, protocol):
        super().__init__(world.conninfo(), number, protocol, allowed=("55P03", "57014"))
        self.thread = concurrent.futures.ThreadPoolExecutor(1)

    def go(self, sql, **judged):
        """Begins a statement and returns its future."""
        return self.thread.submit(self.do, sql, **judged)

    def close(self):
        self.thread.shutdown(wait=False, cancel_futures=True)
        self.cut()
        self.thread.shutdown()  # libpq's connection is one thread's at a time
        super().close()


@contextlib.contextmanager
def players(world, protocol):
    """Makes sessions, and closes them; none of them may have seen what one server would not show."""
    with contextlib.ExitStack() as stack:
        made = []

        def make() -> Player:
            made.append(Player(world, len(made), protocol))
            stack.callback(made[-1].close)
            return made[-1]
        yield make
    assert not [wrong for one in made for wrong in one.wrong]


@contextlib.contextmanager
def kept_equal(world, setup):
    """The world after `setup`. In the end no session is left, the standby is joined, and the servers are equal."""
    world.reset(setup)
    writes = world.relay.status()["differences"]["writes"]
    yield world
    world.quiet()
    world.relay.assert_still_joined()
    everything_same(world.master, world.standby)
    assert world.relay.status()["differences"]["writes"] == writes


@contextlib.contextmanager
def row_locked(server, row):
    """Somebody who works on this server alone holds a row of `kept` there."""
    with server.connect("app", autocommit=False) as connection:
        connection.execute("SELECT FROM kept WHERE id = %s FOR UPDATE", (row,))
        yield connection
        connection.rollback()


def waits(future, seconds=WAITS):
    """Asserts that a statement does not end yet."""
    holds(lambda: not future.done(), seconds, "the statement waits")


def answer(future, timeout=SOON):
    return future.result(timeout)


def others_write(world, timeout=SOON):
    """Another session's writes, in autocommit and in a transaction, are done within `timeout`."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        session = Session(world.conninfo(), number=99)
        try:
            def write():
                assert session.do("INSERT INTO elsewhere (who) VALUES ('other')", tag="INSERT 0 1").ok
                assert session.block("INSERT INTO elsewhere (who) VALUES ('other, in a block')")
            began = time.monotonic()
            pool.submit(write).result(timeout)
            assert not session.wrong
            return time.monotonic() - began
        finally:
            session.cut()
            session.close()
