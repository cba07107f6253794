"""Sessions that work at the same time, each reply judged by what one server alone would have said."""
import os
import random
import re
import select
import socket
import threading
import time

import psycopg
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus

from . import wire

APPLICATION = "load"
USER = "trusting"  # no passwords: their key derivation would be most of the time
ANSWERED = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.EMPTY_QUERY, ExecStatus.COPY_IN, ExecStatus.COPY_OUT)
STATUS = {TransactionStatus.IDLE: "I", TransactionStatus.INTRANS: "T", TransactionStatus.INERROR: "E"}
# What a session sees of settings that a middleman might use for itself.
SETTINGS = {"lock_timeout": "0", "statement_timeout": "0", "idle_in_transaction_session_timeout": "0",
            "transaction_isolation": "read committed", "transaction_read_only": "off", "client_min_messages": "notice",
            "application_name": APPLICATION, "synchronous_commit": "on"}
RETRY = frozenset({"40P01", "40001"})  # a client is always told to try these again


class Lost(Exception):
    """The connection ended although nobody asked for it."""


class Reply:
    """The answer to one statement, or to one Query of several."""

    def __init__(self, results):
        self.tags = [r.command_status.decode() for r in results if r.status in ANSWERED and r.command_status]
        self.failed = next((r for r in results if r.status not in ANSWERED), None)
        self.sqlstate = self.failed and (self.failed.error_field(psycopg.pq.DiagnosticField.SQLSTATE) or b"").decode()
        self.message = self.failed and self.failed.error_message.decode(errors="replace").strip()
        tables = [r for r in results if r.status == ExecStatus.TUPLES_OK]
        self.rows = [[text(tables[-1].get_value(i, j)) for j in range(tables[-1].nfields)]
                     for i in range(tables[-1].ntuples)] if tables else []

    @property
    def ok(self) -> bool:
        return self.failed is None

    @property
    def tag(self) -> str:
        return self.tags[-1] if self.tags else ""

    def value(self):
        return self.rows[0][0] if self.rows else None


def text(value):
    return None if value is None else value.decode(errors="replace")


def literal(value) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, (int, float)) else "'" + str(value).replace("'", "''") + "'"


def status_after(before, sql, ok):
    """The transaction status that one server shows after `sql`, or None where it cannot be told from the text."""
    words = sql.upper().split()
    if ";" in sql or not words:
        return None
    ends = (words[0] in ("COMMIT", "END", "ABORT") or words[0] == "ROLLBACK" or words[:2] == ["PREPARE", "TRANSACTION"])
    ends = ends and words[1:2] not in (["TO"], ["PREPARED"])
    if not ok:
        if before == "E":
            return "E"  # a COMMIT, too, that was given up before it did anything
        return "I" if ends and words[0] != "ROLLBACK" or before == "I" else "E"
    if ends:
        return "I"
    return "T" if words[0] in ("BEGIN", "START") or words[:2] == ["ROLLBACK", "TO"] else before


class Session:
    """One client. Statements go out in `protocol` ("simple" or "extended"); what no server would answer is kept in `wrong`."""

    def __init__(self, conninfo, number=0, protocol="simple", seed=0, allowed=()):
        self.number, self.protocol = number, protocol
        self.choice = random.Random(seed * 1000 + number)
        self.allowed = RETRY | frozenset(allowed)  # SQLSTATEs that this load may meet
        self.wrong = []
        self.settings = dict(SETTINGS)
        self.noted = re.compile("(?!)")  # texts of notices that are expected
        self.last = "connecting"  # the statement that runs, for the report of a hang
        self.memory = {}  # what the load wants to remember: counts of its acknowledged writes, say
        self.wires = []
        self.connection = psycopg.connect(conninfo, autocommit=True, application_name=APPLICATION, connect_timeout=10)
        self.connection.add_notice_handler(self._noticed)

    @property
    def pgconn(self):
        return self.connection.pgconn

    @property
    def status(self) -> str:
        return STATUS.get(self.pgconn.transaction_status, "?")

    def _noticed(self, diagnostic):
        if not self.noted.search(diagnostic.message_primary or ""):
            self.complain(f"notice {diagnostic.severity}: {diagnostic.message_primary}")

    def complain(self, what):
        if len(self.wrong) < 20:
            self.wrong.append(f"session {self.number}, {self.last[:200]}: {what}")

    # Statements.
    def do(self, sql, *values, tag=None, allow=(), status=None, protocol=None) -> Reply:
        """Runs `sql` (%s for values) and judges the answer. `tag`: as it must be if no error comes; `status`: afterwards."""
        before = self.status
        self.last = sql
        if (protocol or self.protocol) == "simple":
            self.pgconn.send_query((sql % tuple(map(literal, values)) if values else sql).encode())
        else:
            names = tuple(f"${n}" for n in range(1, len(values) + 1))
            self.pgconn.send_query_params((sql % names if values else sql).encode(), encoded(values))
        return self._judge(self._results(), sql, before, tag, allow, status)

    def prepare(self, name, sql, types=None) -> Reply:
        self.last = f"prepare {name}"
        self.pgconn.send_prepare(name.encode(), sql.encode(), types)
        return self._judge(self._results(), "PREPARE", self.status, None, (), None)

    def prepared(self, name, *values, tag=None, allow=()) -> Reply:
        """Executes what prepare() named."""
        before, self.last = self.status, f"execute {name} {values}"
        self.pgconn.send_query_prepared(name.encode(), encoded(values))
        return self._judge(self._results(), "EXECUTE", before, tag, allow, None)

    def copy_in(self, sql, data, fail=None, tag=None, allow=()) -> Reply:
        """COPY FROM STDIN; `fail`: end it with CopyFail and this text."""
        before, self.last = self.status, sql
        if self.protocol == "simple":
            self.pgconn.send_query(sql.encode())
        else:
            self.pgconn.send_query_params(sql.encode(), [])
        result = self.pgconn.get_result()
        if result is not None and result.status == ExecStatus.COPY_IN:
            while self.pgconn.put_copy_data(data.encode()) == 0:
                self._writable()
            while self.pgconn.put_copy_end(fail and fail.encode()) == 0:
                self._writable()
            results = self._results()
        else:
            results = [result, *self._results()] if result else self._results()
        return self._judge(results, sql, before, tag, allow, None)

    def pipeline(self, groups, allow=()):
        """Groups of statements, a Sync behind each, all sent before the first answer is read."""
        self.last = f"pipeline of {groups}"
        self.pgconn.enter_pipeline_mode()
        for group in groups:
            for sql, *values in group:
                names = tuple(f"${n}" for n in range(1, len(values) + 1))
                self.pgconn.send_query_params((sql % names if values else sql).encode(), encoded(values))
            self.pgconn.pipeline_sync()
        for group in groups:
            self._group(len(group), allow)
        self.pgconn.exit_pipeline_mode()

    def _group(self, statements, allow):
        """The answers to one group: results and a NULL of each statement, then that of the Sync."""
        answered, failed, silent = 0, False, 0
        while True:
            result = self.pgconn.get_result()
            silent = silent + 1 if result is None else 0
            if self.pgconn.status == ConnStatus.BAD or silent > 2:
                raise Lost(f"session {self.number}, {self.last[:300]}: {self.pgconn.error_message.decode(errors='replace')}")
            if result is None:
                continue
            if result.status == ExecStatus.PIPELINE_SYNC:
                break
            if result.status == ExecStatus.PIPELINE_ABORTED:
                if not failed:
                    self.complain("an aborted pipeline without an error")
            elif result.status == ExecStatus.FATAL_ERROR:
                failed, reply = True, Reply([result])
                if reply.sqlstate not in self.allowed and reply.sqlstate not in allow:
                    self.complain(f"{reply.sqlstate} {reply.message}")
            elif failed:
                self.complain("an answer behind the error of a pipeline")
            answered += 1
        # A group may fail at its Sync, behind the answers to all its statements.
        if not statements <= answered <= statements + failed:
            self.complain(f"{answered} answers to {statements} statements")

    def begin(self, how="") -> Reply:
        return self.do(f"BEGIN {how}".strip(), tag="BEGIN", status="T")

    def commit(self, allow=()) -> Reply:
        """COMMIT of a block in which nothing failed: on one server it never answers ROLLBACK."""
        return self.do("COMMIT", tag="COMMIT", allow=allow, status="I")

    def rollback(self) -> Reply:
        return self.do("ROLLBACK", tag="ROLLBACK", status="I")

    def block(self, *statements, begin="", allow=()) -> bool:
        """A transaction of statements (text, or text and values), rolled back at the first error. True: committed."""
        self.begin(begin)
        for statement in statements:
            sql, *values = (statement,) if isinstance(statement, str) else statement
            if not self.do(sql, *values, allow=allow).ok:
                self.rollback()
                return False
        return self.commit(allow).ok

    def count(self, what, by=1):
        self.memory[what] = self.memory.get(what, 0) + by

    def _results(self) -> list:
        results = []
        while (result := self.pgconn.get_result()) is not None:
            results.append(result)
            if result.status in (ExecStatus.COPY_IN, ExecStatus.COPY_OUT):
                break
        if self.pgconn.status == ConnStatus.BAD:
            words = "; ".join(r.error_message.decode(errors="replace").strip() for r in results)
            raise Lost(f"session {self.number}, {self.last[:200]}: {words or self.pgconn.error_message.decode(errors='replace')}")
        return results

    def _writable(self):
        select.select([], [self.pgconn.socket], [], 20)
        self.pgconn.flush()

    def _judge(self, results, sql, before, tag, allow, status) -> Reply:
        reply = Reply(results)
        if not reply.ok and reply.sqlstate not in self.allowed and reply.sqlstate not in allow:
            self.complain(f"{reply.sqlstate} {reply.message}")
        if reply.ok and tag is not None and reply.tag != tag:
            self.complain(f"the tag is {reply.tag!r}, not {tag!r}")
        expected = status_after(before, sql, reply.ok) if status is None or not reply.ok else status
        if expected is not None and self.status != expected:
            self.complain(f"the transaction status is {self.status}, not {expected} (it was {before})")
        return reply

    # Beside the driver.
    def wire(self, port, timeout=15.0) -> wire.Wire:
        """A connection of its own for raw packets, closed with the session."""
        line = wire.Wire(port, timeout=timeout)
        self.wires.append(line)
        line.login(USER, application_name=APPLICATION)
        return line

    # Its end.
    def finish(self):
        """In the end the session is idle and has the settings that it gave itself."""
        if self.status != "I":
            self.complain(f"ends in transaction status {self.status}")
            self.do("ROLLBACK")
        for name, value in self.settings.items():
            shown = self.do(f"SHOW {name}").value()
            if shown != value:
                self.complain(f"shows {shown!r}, not {value!r}")

    def close(self):
        for line in self.wires:
            line.socket.close()
        self.connection.close()

    def cut(self):
        """Wakes a thread that hangs in a read."""
        for number in [self.connection.fileno()] if not self.connection.closed else []:
            try:
                with socket.socket(fileno=os.dup(number)) as copy:
                    copy.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def encoded(values) -> list:
    return [None if v is None else str(v).encode() for v in values]


class Load:
    """`count` sessions, each repeating `step(session, n)` for `seconds`; what hangs, is lost or is wrong is kept."""

    LEAST = 2  # rounds of each session, however slow they are

    def __init__(self, conninfo, step, protocol="simple", count=8, seconds=0.8, seed=0, allowed=(), patience=15.0,
                 setup=None):
        self.step, self.setup, self.seconds, self.patience = step, setup, seconds, patience
        self.sessions, self.wrong, self.hangs = [None] * count, [], []
        self.rounds = 0
        self._options = (conninfo, protocol, seed, allowed)
        self._start = threading.Barrier(count)
        self._threads = [threading.Thread(target=self._run, args=(n,), name=f"session {n}", daemon=True)
                         for n in range(count)]

    def run(self):
        for thread in self._threads:
            thread.start()
        self._join(self.seconds + self.patience)
        for number, thread in enumerate(self._threads):
            if thread.is_alive():
                session = self.sessions[number]
                self.hangs.append(f"{thread.name} hangs in {session.last[:200] if session else 'connecting'}")
        for number, thread in enumerate(self._threads):
            if thread.is_alive() and self.sessions[number] is not None:
                self.sessions[number].cut()
        self._join(10)
        for session in self.sessions:
            if session is not None:
                self.wrong += session.wrong
                if not session.connection.closed and not self.hangs:
                    session.close()
        return self

    def total(self, what) -> int:
        """The sum of what the sessions counted."""
        return sum(s.memory.get(what, 0) for s in self.sessions if s is not None)

    def _join(self, seconds):
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, number):
        conninfo, protocol, seed, allowed = self._options
        session = None
        try:
            session = self.sessions[number] = Session(conninfo, number, protocol, seed, allowed)
            if self.setup:
                self.setup(session)
            self._start.wait(20)
            deadline = time.monotonic() + self.seconds
            n = 0
            while n < self.LEAST or time.monotonic() < deadline:
                self.step(session, n)
                n += 1
            self.rounds += n
            session.finish()
        except threading.BrokenBarrierError:
            pass  # the session that broke it has said why
        except Exception as error:
            self._start.abort()
            self.wrong.append(f"session {number}: {type(error).__name__}: {str(error).strip()[:500]}")
        finally:
            if session is not None:
                session.close()
