"""A load that remembers every write that was acknowledged, to look for it on the survivor."""
import contextlib
import os
import random
import socket
import threading
import time

import psycopg

TABLE = "CREATE TABLE ledger (id bigint PRIMARY KEY, writer int NOT NULL, filler text)"
WRITER_SPAN = 10**9


class Recorder:
    """`writers` threads insert rows with ids of their own, half of them in transactions of several statements.

    An id is acknowledged once its COMMIT (or its autocommitted INSERT) returned. After an error a writer connects again
    and goes on with the next id: what became of the failed one is unknown, both are right.

    `first`: the number of the first writer, where two loads share a table. `namespace`: of the host that the writers are
    on. `ask`: a query that each session asks first; its answer stands beside every acknowledgement in `log`.
    """

    def __init__(self, conninfo, writers=4, seed=0, table="ledger", connect_timeout=8, namespace=None, ask=None, first=0):
        self.namespace, self.ask, self.first = namespace, ask, first
        self.log = []  # (sent, acknowledged, answer to `ask`, ids), the times as time.monotonic() gives them
        self.conninfo = conninfo
        self.table = table
        self.connect_timeout = connect_timeout
        self.acknowledged = [set() for _ in range(writers)]
        self.attempted = [set() for _ in range(writers)]
        self.errors = []
        self.longest_pause = 0.0  # between two acknowledged writes of one writer, in seconds
        self._stop = threading.Event()
        self._connections = [None] * writers
        self._threads = [threading.Thread(target=self._write, args=(n, random.Random(seed * 1000 + n)), daemon=True,
                                          name=f"writer-{n}") for n in range(writers)]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self, patience=5.0):
        """Ends the load. A writer that hangs on a dead connection is woken by shutting that down."""
        self._stop.set()
        deadline = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.disconnect()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(self.connect_timeout + 5)
                assert not thread.is_alive(), f"{thread.name} cannot be ended"
        return self

    def disconnect(self):
        """Shuts every writer's connection down; they connect again (those of a frozen server, say)."""
        for connection in self._connections:
            shut_down(connection)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def count(self) -> int:
        return sum(map(len, self.acknowledged))

    def pause_since(self, began) -> float:
        """The longest time that a writer was without an acknowledgement, of those that ended after `began`, in seconds."""
        last, longest = {}, 0.0
        for _, received, _, ids in list(self.log):
            writer = ids[0] // WRITER_SPAN
            if writer in last and received > began:
                longest = max(longest, received - last[writer])
            last[writer] = received
        return longest

    def check(self, server, database="app", others=False):
        """Asserts that `server` holds every acknowledged id, and none that nobody tried to write (`others`: but loads that
        ended before)."""
        there = {row[0] for row in server.sql(f"SELECT id FROM {self.table}", database=database)}
        acknowledged = set().union(*self.acknowledged)
        attempted = set().union(*self.attempted)
        lost = sorted(acknowledged - there)
        assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged writes are not on {server.name}: {lost[:20]}"
        assert acknowledged, "nothing was acknowledged: this load shows nothing"
        strange = [] if others else sorted(there - attempted)
        assert not strange, f"{server.name} holds ids that nobody wrote: {strange[:20]}"

    def _write(self, number, choice):
        with self.namespace or contextlib.nullcontext():
            self._write_there(number, choice)

    def _write_there(self, number, choice):
        next_id = (self.first + number) * WRITER_SPAN
        last = time.monotonic()
        while not self._stop.is_set():
            try:
                with psycopg.connect(self.conninfo, connect_timeout=self.connect_timeout, autocommit=True,
                                     application_name="recorder") as connection:
                    self._connections[number] = connection
                    told = connection.execute(self.ask).fetchone()[0] if self.ask else None
                    while not self._stop.is_set():
                        ids = range(next_id, next_id + choice.choice((1, 1, 2, 3)))
                        next_id = ids.stop
                        self.attempted[number].update(ids)
                        sent = time.monotonic()
                        self._insert(connection, self.first + number, ids, choice)
                        self.acknowledged[number].update(ids)
                        now = time.monotonic()
                        self.log.append((sent, now, told, ids))
                        self.longest_pause = max(self.longest_pause, now - last)
                        last = now
            except (psycopg.Error, OSError) as error:
                self.errors.append((time.monotonic(), number, str(error).strip()))
                self._stop.wait(0.05)  # a refused connection must not become a busy loop
            finally:
                self._connections[number] = None

    def _insert(self, connection, number, ids, choice):
        filler = "x" * choice.randrange(200)
        statement = f"INSERT INTO {self.table} VALUES (%s, %s, %s)"
        if len(ids) == 1:
            connection.execute(statement, (ids[0], number, filler))
            return
        with connection.transaction():
            for one in ids:
                connection.execute(statement, (one, number, filler))


def shut_down(connection):
    """Ends a connection under the thread that waits on it; None and a closed one are let be."""
    try:
        if connection is not None:
            with socket.socket(fileno=os.dup(connection.fileno())) as copy:
                copy.shutdown(socket.SHUT_RDWR)
    except (OSError, psycopg.Error):
        pass  # closed in the meantime
