"""A load of transactions that append to lists and read them; anomalies.py judges the history that it leaves."""
import contextlib
import itertools
import random
import threading
import time

import psycopg

from .anomalies import FAILED, OK, UNKNOWN, Transaction
from .recorder import shut_down

LISTS = "CREATE TABLE lists (k int PRIMARY KEY, v bigint[] NOT NULL)"
APPEND = "INSERT INTO lists VALUES (%s, ARRAY[%s]::bigint[]) ON CONFLICT (k) DO UPDATE SET v = lists.v || EXCLUDED.v"
READ = "SELECT v FROM lists WHERE k = %s"
ALL_LEVELS = ("READ COMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
OPEN_KEYS = 4  # that are written at a time
APPENDS_A_KEY = 60  # then another one is taken: lists stay short
CLIENT_SPAN = 10**9


class ListAppend:
    """A client for each of `places`, (conninfo, namespace of the host that it is on), with one connection at a time.

    A transaction meets its keys in one order, so that two of them do not wait for each other."""

    def __init__(self, places, seed=0, connect_timeout=8, levels=ALL_LEVELS):
        self.connect_timeout, self.levels = connect_timeout, levels
        self.history, self.errors = [], []
        self._appended = 0
        self._stop = threading.Event()
        self._connections = [None] * len(places)
        self._threads = [threading.Thread(target=self._run, args=(n, *place, random.Random(seed * 1000 + n)), daemon=True,
                                          name=f"list client {n}") for n, place in enumerate(places)]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self, patience=5.0):
        """Ends the load; a client that waits for an answer of a host that is gone is woken."""
        self._stop.set()
        deadline = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for connection in self._connections:
            shut_down(connection)
        for thread in self._threads:
            thread.join(self.connect_timeout + 5)
            assert not thread.is_alive(), f"{thread.name} cannot be ended"

    @property
    def count(self) -> int:
        """How many transactions were committed so far."""
        return sum(one.outcome == OK for one in list(self.history))

    def final(self, server, database="app") -> dict:
        return dict(server.sql("SELECT k, v FROM lists", database=database))

    def _run(self, number, conninfo, namespace, choice):
        values = itertools.count(number * CLIENT_SPAN)
        with namespace or contextlib.nullcontext():
            while not self._stop.is_set():
                try:
                    with psycopg.connect(conninfo, connect_timeout=self.connect_timeout, autocommit=True,
                                         application_name="list-append") as connection:
                        self._connections[number] = connection
                        while not self._stop.is_set():
                            self._transaction(connection, number, choice, values)
                except (psycopg.Error, OSError) as error:
                    self.errors.append((time.monotonic(), number, str(error).strip()))
                    self._stop.wait(0.05)  # a refused connection must not become a busy loop
                finally:
                    self._connections[number] = None

    def _transaction(self, connection, number, choice, values):
        one = Transaction(number, time.monotonic())
        count = choice.choice((1, 2, 2, 3, 4))
        keys = sorted(self._key(choice) for _ in range(count))
        # What was not asked to commit did not.
        one.outcome = UNKNOWN if count == 1 else FAILED
        self.history.append(one)
        try:
            if count > 1:
                connection.execute(f"BEGIN ISOLATION LEVEL {choice.choice(self.levels)}")
            for key in keys:
                self._operation(connection, one, key, choice.random() < 0.5, values)
            if count > 1:
                one.outcome = UNKNOWN
                if connection.execute("COMMIT").statusmessage != "COMMIT":
                    one.outcome = FAILED
                    return
            one.ended, one.outcome = time.monotonic(), OK
        except psycopg.Error as error:
            if (error.sqlstate or "").startswith("40"):  # the server's word that it was rolled back
                one.outcome = FAILED
            if connection.broken or connection.closed:
                raise
            if not (error.sqlstate or "").startswith("40"):
                self.errors.append((time.monotonic(), number, str(error).strip()))
            connection.execute("ROLLBACK")

    def _operation(self, connection, one, key, appending, values):
        if appending:
            self._appended += 1
            value = next(values)
            one.operations.append(("append", key, value))
            connection.execute(APPEND, (key, value))
        else:
            row = connection.execute(READ, (key,)).fetchone()
            one.operations.append(("read", key, row[0] if row else []))

    def _key(self, choice):
        """One of those that are written to now. Exact counting among threads is not needed."""
        return self._appended // (OPEN_KEYS * APPENDS_A_KEY) * OPEN_KEYS + choice.randrange(OPEN_KEYS)
