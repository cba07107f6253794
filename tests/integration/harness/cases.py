"""The twenty hardest cases of keeping two servers equal, as loads of eight sessions.

Each runs against anything that stands before two servers (worlds.py). A case is what it sets up, what one session does
in one round, which SQLSTATEs one server may show there, and what must hold on the master afterwards.
"""
import dataclasses
import re
import threading
import time

from . import wire
from .load import Load

BOTH = ("simple", "extended")


@dataclasses.dataclass
class Case:
    name: str
    title: str  # as the table in docs/consistency.md says it
    setup: tuple
    step: object  # step(session, n)
    protocols: tuple = BOTH
    allowed: tuple = ()
    begin: object = None  # begin(session, world): before the load starts
    check: object = None  # check(world, load): asserts about the master


@dataclasses.dataclass
class Outcome:
    differences: list
    wrong: list
    hangs: list
    stale: str
    rounds: int
    took: float

    @property
    def good(self) -> bool:
        return not (self.differences or self.wrong or self.hangs or self.stale)

    def __str__(self):
        parts = [(f"{len(self.differences)} differences", self.differences), (f"{len(self.wrong)} wrong replies", self.wrong),
                 (f"{len(self.hangs)} hang", self.hangs), ("the standby was given up", [self.stale] if self.stale else [])]
        said = [f"{head}:\n  " + "\n  ".join(line[:600] for line in lines[:8]) for head, lines in parts if lines]
        return "\n".join([f"{self.rounds} rounds in {self.took:.1f} s", *said])


def run_case(case, world, protocol, seed=0, seconds=0.8, count=8, patience=15.0) -> Outcome:
    """One repetition: set up through the world, the load, the comparison."""
    world.reset(case.setup)
    began = time.monotonic()
    load = Load(world.conninfo(), case.step, protocol, count, seconds, seed, case.allowed, patience,
                setup=lambda session: prepare(case, session, world)).run()
    wrong, different = list(load.wrong), []
    try:
        world.quiet()
    except AssertionError as error:
        load.hangs.append(str(error))
    stale = world.stale()
    if not load.hangs:
        different = world.differences()
        try:
            if case.check:
                case.check(world, load)
        except AssertionError as error:
            wrong.append(f"on the master: {error}")
    return Outcome(different, wrong, load.hangs, stale, load.rounds, time.monotonic() - began)


def prepare(case, session, world):
    session.world = world
    if case.begin:
        case.begin(session)


def even(session) -> bool:
    return session.number % 2 == 0


def expect(what, got, wanted):
    assert got == wanted, f"{what}: {got}, but the clients were told {wanted}"


# 1: autocommit on one row.

def hot_row(session, n):
    if session.do("UPDATE t SET s = s || %s WHERE id = 1", "abcdefgh"[session.number], tag="UPDATE 1").ok:
        session.count("done")


def check_hot_row(world, load):
    expect("letters", world.value("SELECT length(s) FROM t"), load.total("done"))


# 2: a waiter whose condition changes under it.

def category(session, n):
    if even(session):
        key = 10 + session.number + 8 * n
        session.block("UPDATE c SET cat = 'a' WHERE id = 1", ("INSERT INTO c VALUES (%s, 'a', 0)", key))
        session.do("UPDATE c SET cat = 'b' WHERE id = 1", tag="UPDATE 1")
        if n > 20:
            session.do("DELETE FROM c WHERE id = %s", key - 160, tag="DELETE 1")
    else:
        session.do("UPDATE c SET n = n + 1 WHERE cat = 'a'")


# 3: a write that reads what others are committing.

def history(session, n):
    if even(session):
        one, other = session.choice.sample(range(1, 11), 2)
        session.block(("UPDATE acc SET bal = bal - 1 WHERE id = %s", one), ("UPDATE acc SET bal = bal + 2 WHERE id = %s", other))
    else:
        session.do("INSERT INTO hist (who, total) SELECT %s, sum(bal) FROM acc", session.number, tag="INSERT 0 1")


# 4: deadlocks.

def opposite(session, n):
    one, other = (1, 2) if even(session) else (2, 1)
    session.begin()
    for row in (one, other):
        if not session.do("UPDATE r SET v = v + 1 WHERE id = %s", row, tag="UPDATE 1").ok:
            session.rollback()
            return
    if session.commit().ok:
        session.count("committed")


def check_opposite(world, load):
    expect("the sum", world.value("SELECT sum(v) FROM r"), 2 * load.total("committed"))
    expect("row 1", world.value("SELECT v FROM r WHERE id = 1"), load.total("committed"))


# 5: serial ids, unique keys, rollbacks.

def serial_unique(session, n):
    key = session.choice.randrange(10) if session.choice.random() < 0.2 else 1000 * (session.number + 1) + n
    if session.choice.random() < 0.6:
        reply = session.do("INSERT INTO u (k, who) VALUES (%s, %s) RETURNING id", key, session.number, tag="INSERT 0 1")
        if reply.ok:
            session.count("rows")
    else:
        session.begin()
        ok = session.do("INSERT INTO u (k, who) VALUES (%s, %s)", key, session.number, tag="INSERT 0 1").ok
        if ok and session.choice.random() < 0.5 and session.commit().ok:
            session.count("rows")
        elif session.status != "I":
            session.rollback()


def check_serial_unique(world, load):
    expect("rows", world.value("SELECT count(*) FROM u"), load.total("rows"))


# 6 and 7: a block that failed does not commit.

def fail_a_block(session, row):
    session.begin()
    if session.do("UPDATE f SET v = v + 1000000 WHERE id = %s", row, tag="UPDATE 1").ok:
        session.do("SELECT 1/0", allow=("22012",))
    session.do("COMMIT", tag="ROLLBACK", status="I")


def failed_block(session, n):
    fail_a_block(session, session.number)
    if session.block(("UPDATE f SET v = v + 1 WHERE id = %s", session.number)):
        session.count("committed")


def failed_block_waited_for(session, n):
    if even(session):
        fail_a_block(session, 1)
    elif session.do("UPDATE f SET v = v + 1 WHERE id = 1", tag="UPDATE 1").ok:
        session.count("committed")


def check_failed(world, load):
    expect("the sum", world.value("SELECT sum(v) FROM f"), load.total("committed"))


# 8: pipelines.

def open_line(session):
    session.line = session.wire(session.world.port)


def pipeline(session, n):
    """Two implicit transactions in one go: the first fails as a whole, the second is done."""
    row = session.choice.randrange(4)
    session.last = "pipeline"
    session.line.send(wire.extended("UPDATE p SET bad = bad + 1 WHERE id = $1", row), wire.extended("SELECT 1/0"),
                      wire.extended("UPDATE p SET bad = bad + 1 WHERE id = $1", row), wire.SYNC,
                      wire.extended("UPDATE p SET good = good + 1 WHERE id = $1", row), wire.SYNC)
    first = session.line.until_ready(raise_errors=False)
    second = session.line.until_ready(raise_errors=False)
    if wire.kinds(first) != "12nC1EZ" and not only_error(first, ("40P01",)):
        session.complain(f"the failed half says {wire.kinds(first)}, not 12nC1EZ")
    if wire.kinds(second) == "12nCZ" and wire.tags(second) == ["UPDATE 1"]:
        session.count("done")
    elif not only_error(second, ("40P01",)):
        session.complain(f"the good half says {wire.kinds(second)}")
    if first[-1][1] != b"I" or second[-1][1] != b"I":
        session.complain(f"transaction status {first[-1][1]} {second[-1][1]}")


def only_error(messages, allowed) -> bool:
    errors = [wire.fields(body)["C"] for kind, body in messages if kind == b"E"]
    return bool(errors) and all(error in allowed for error in errors)


def check_pipeline(world, load):
    expect("failed halves", world.value("SELECT sum(bad) FROM p"), 0)
    expect("good halves", world.value("SELECT sum(good) FROM p"), load.total("done"))


# 9: constraints that are checked at the end.

def deferred(session, n):
    key, mine = session.choice.randrange(30), 1000 * session.number + n
    if session.choice.random() < 0.4:
        session.do("DELETE FROM d WHERE v = %s", key)
    elif even(session):
        reply = session.do("INSERT INTO d VALUES (%s, %s)", mine, key, tag="INSERT 0 1", allow=("23505",))
        # The extended protocol says it was done and fails at Sync; the simple one commits before it says so.
        shown = ["INSERT 0 1"] if session.protocol == "extended" else []
        if reply.sqlstate == "23505" and reply.tags != shown:
            session.complain(f"an autocommit duplicate shows {reply.tags}, not {shown}")
    else:
        session.begin()
        if not session.do("INSERT INTO d VALUES (%s, %s)", mine, key, tag="INSERT 0 1").ok:
            session.rollback()
        elif not session.commit(allow=("23505",)).ok and session.status != "I":
            session.complain("a COMMIT that failed left the transaction open")


# 10: COMMIT in the middle of one Query.

def commit_inside(session, n):
    who = session.number
    reply = session.do(f"INSERT INTO m (who, what) VALUES ({who}, 'kept'); COMMIT; "
                       f"INSERT INTO m (who, what) VALUES ({who}, 'lost'); SELECT 1/0", allow=("22012",))
    if reply.tags != ["INSERT 0 1", "COMMIT", "INSERT 0 1"] or reply.sqlstate != "22012":
        session.complain(f"answers {reply.tags} and {reply.sqlstate}")
    else:
        session.count("kept")
    session.do("UPDATE hits SET n = n + 1", tag="UPDATE 1")


def allow_no_transaction(session):
    session.noted = re.compile("there is no transaction in progress")


def check_commit_inside(world, load):
    expect("kept", world.value("SELECT count(*) FROM m WHERE what = 'kept'"), load.total("kept"))
    expect("lost", world.value("SELECT count(*) FROM m WHERE what = 'lost'"), 0)


# 11: a procedure that commits.

def call_commit(session, n):
    if session.number < 2:
        if session.do("CALL twice(%s)", "xy"[session.number], tag="CALL").ok:
            session.count("done", 2)
    else:
        hot_row(session, n)


# 12: write skew.

def write_skew(session, n):
    """A doctor leaves only while another one is on call."""
    shift, who = session.choice.randrange(3), session.choice.randrange(2)
    session.begin("ISOLATION LEVEL SERIALIZABLE")
    seen = session.do("SELECT count(*) FROM duty WHERE shift = %s AND on_call", shift)
    if seen.ok:
        if seen.value() == "0":
            session.complain("nobody is on call")
        done = session.do("UPDATE duty SET on_call = %s, changes = changes + 1 WHERE shift = %s AND who = %s",
                          "f" if seen.value() == "2" else "t", shift, who, tag="UPDATE 1")
        if done.ok:
            if session.commit().ok:
                session.count("changes")
            return
    session.rollback()


def check_write_skew(world, load):
    expect("changes", world.value("SELECT sum(changes) FROM duty"), load.total("changes"))
    expect("shifts with a doctor", world.value("SELECT count(DISTINCT shift) FROM duty WHERE on_call"), 3)


# 13: a work queue.

def queue(session, n):
    if session.number == 0:
        session.do("INSERT INTO jobs (what) SELECT 'more ' || i FROM generate_series(1, 5) i ORDER BY i", tag="INSERT 0 5")
        return
    session.begin()
    found = session.do("SELECT id FROM jobs ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 1")
    if found.ok and found.rows:
        job = int(found.value())
        if (session.do("DELETE FROM jobs WHERE id = %s", job, tag="DELETE 1").ok
                and session.do("INSERT INTO done (job, who) VALUES (%s, %s)", job, session.number, tag="INSERT 0 1").ok):
            session.commit()
            session.count("done")
            return
        session.rollback()
    else:
        session.rollback()


def check_queue(world, load):
    expect("jobs done", world.value("SELECT count(*) FROM done"), load.total("done"))


# 14: advisory locks and NOWAIT.

TRY_LOCK = """DO $$ BEGIN
  IF pg_try_advisory_xact_lock(7) THEN INSERT INTO adv (who, got) VALUES ({who}, true);
  ELSE INSERT INTO adv (who, got) VALUES ({who}, false); END IF; END $$"""


def advisory(session, n):
    if even(session):
        session.begin()
        if (session.do(TRY_LOCK.format(who=session.number), tag="DO").ok
                and session.do("UPDATE own SET n = n + 1 WHERE id = %s", session.number, tag="UPDATE 1").ok):
            session.commit()
        else:
            session.rollback()
        return
    session.begin()
    if session.do("SELECT v FROM nw WHERE id = 1 FOR UPDATE NOWAIT", allow=("55P03",)).ok:
        if session.do("UPDATE nw SET v = v + 1 WHERE id = 1", tag="UPDATE 1").ok and session.commit().ok:
            session.count("got")
            return
    session.rollback()
    session.do("INSERT INTO missed (who) VALUES (%s)", session.number, tag="INSERT 0 1")
    session.count("missed")


def check_advisory(world, load):
    expect("locks got", world.value("SELECT v FROM nw"), load.total("got"))
    expect("locks missed", world.value("SELECT count(*) FROM missed"), load.total("missed"))


# 15: savepoints with a waiter.

def savepoint(session, n):
    if not even(session):
        if session.do("UPDATE sp SET v = v + 1 WHERE id = 1", tag="UPDATE 1").ok:
            session.count("done")
        return
    session.begin()
    steps = (("SAVEPOINT a", "SAVEPOINT"), ("UPDATE sp SET v = v + 1000000 WHERE id = 1", "UPDATE 1"), ("ROLLBACK TO a", "ROLLBACK"),
             (f"UPDATE sp SET v = v + 1 WHERE id = {10 + session.number}", "UPDATE 1"), ("RELEASE a", "RELEASE"))
    for sql, tag in steps:
        if not session.do(sql, tag=tag).ok:
            session.rollback()
            return
    if session.commit().ok:
        session.count("done")


def check_savepoint(world, load):
    expect("the sum", world.value("SELECT sum(v) FROM sp"), load.total("done"))


# 16: cancels and time limits.

def limit_time(session):
    if session.number in (3, 4):
        session.do("SET statement_timeout = '5ms'", tag="SET")
        session.settings["statement_timeout"] = "5ms"


def cancel(session, n):
    if session.number > 4:
        session.do("UPDATE big SET v = v + 1 WHERE id = %s", session.choice.randrange(1, 4000), tag="UPDATE 1")
        return
    canceller = None
    if session.number < 3:
        moment = session.choice.random() * 0.06
        canceller = threading.Thread(target=cancel_after, args=(session, moment))
        canceller.start()
    session.do("UPDATE big SET v = v + 1", tag="UPDATE 4000", allow=("57014",))
    if canceller:
        canceller.join()
        session.do("SELECT 1", allow=("57014",))  # a late cancel may hit what comes next


def cancel_after(session, seconds):
    threading.Event().wait(seconds)  # a random moment, not a condition
    session.pgconn.get_cancel().cancel()


# 17: values that depend on the server.

def server_values(session, n):
    if even(session):
        session.do("INSERT INTO stamped DEFAULT VALUES", tag="INSERT 0 1")
    else:
        session.do("INSERT INTO stamped (what, at) VALUES (%s, now())", f"by {session.number}", tag="INSERT 0 1")


# 18: COPY and large objects.

def copy(session, n):
    rows = "".join(f"{session.number}\t{n * 10 + i}\n" for i in range(5))
    turn = (session.number + n) % 4
    if turn == 0:
        session.copy_in("COPY cp (who, n) FROM STDIN", rows + "not a number\t0\n", allow=("22P02",))
    elif turn == 1:
        if session.copy_in("COPY cp (who, n) FROM STDIN", rows, tag="COPY 5").ok:
            session.count("rows", 5)
    elif turn == 2:
        if session.copy_in("COPY cp (who, n) FROM STDIN", rows, fail="enough", allow=("57014",)).ok:
            session.complain("a COPY that the client failed was done")
    else:
        made = session.do("SELECT lo_create(0)")
        if made.ok:
            session.count("objects")
            session.do("SELECT lo_put(%s::int8::oid, 0, 'written'::bytea)", int(made.value()))
            session.do("INSERT INTO named (lo) VALUES (%s)", int(made.value()), tag="INSERT 0 1")


def check_copy(world, load):
    expect("rows", world.value("SELECT count(*) FROM cp"), load.total("rows"))
    expect("objects", world.value("SELECT count(*) FROM pg_largeobject_metadata JOIN named ON oid = lo"), load.total("objects"))


# 19: foreign keys.

def foreign_keys(session, n):
    parent = session.choice.randrange(6)
    what = session.choice.randrange(5)
    if what == 0:
        session.do("DELETE FROM parent WHERE id = %s", parent, allow=("23503",))
    elif what == 1:
        session.do("INSERT INTO parent VALUES (%s) ON CONFLICT DO NOTHING", parent)
    elif what == 2:
        session.do("DELETE FROM child WHERE pid = %s", parent)
    elif what == 3:
        session.do("INSERT INTO child (pid, who) VALUES (%s, %s)", parent, session.number, allow=("23503",), tag="INSERT 0 1")
    else:
        session.block(("DELETE FROM child WHERE pid = %s", parent), ("DELETE FROM parent WHERE id = %s", parent),
                      ("INSERT INTO parent VALUES (%s)", parent), allow=("23503", "23505"))


def check_foreign_keys(world, load):
    expect("children without a parent",
           world.value("SELECT count(*) FROM child WHERE NOT EXISTS (SELECT FROM parent WHERE id = pid)"), 0)


# 19, second half: two-phase commit.

def two_phase(session, n):
    if session.number > 4:
        if session.do("UPDATE tp SET v = v + 1 WHERE id = 1", tag="UPDATE 1").ok:
            session.count("done")
        return
    gid = f"load {session.number} {n}"
    session.begin()
    if (not session.do("UPDATE tp SET v = v + 1 WHERE id = %s", 1 + session.number % 2, tag="UPDATE 1").ok
            or not session.do(f"PREPARE TRANSACTION '{gid}'", tag="PREPARE TRANSACTION", status="I").ok):
        if session.status != "I":
            session.rollback()
        return
    if session.choice.random() < 0.7:
        if session.do(f"COMMIT PREPARED '{gid}'", tag="COMMIT PREPARED").ok:
            session.count("done")
    else:
        session.do(f"ROLLBACK PREPARED '{gid}'", tag="ROLLBACK PREPARED")


def check_two_phase(world, load):
    expect("the sum", world.value("SELECT sum(v) FROM tp"), load.total("done"))
    expect("transactions left prepared", world.value("SELECT count(*) FROM pg_prepared_xacts"), 0)

# 21: writes of single rows pass side by side; whether a row exists, or fits, is nothing that its lock can order.

def single_row(session):
    key, by = session.choice.randrange(6), session.choice.randrange(1, 9)
    return session.choice.choice((
        ("INSERT INTO cell (k, v, n) VALUES (%s, %s, 0)", key, by),
        ("INSERT INTO cell (k, v, n) VALUES (%s, %s, 0) ON CONFLICT (k) DO UPDATE SET n = cell.n + 1", key, by),
        ("INSERT INTO cell (k, v, n) VALUES (%s, %s, 0) ON CONFLICT DO NOTHING", key, by),
        ("DELETE FROM cell WHERE k = %s", key),
        ("DELETE FROM cell WHERE k = %s AND n > %s", key, by),
        ("UPDATE cell SET n = n + %s WHERE k = %s", by, key),
        ("UPDATE cell SET n = 0, v = v + 100 WHERE k = %s AND n >= %s", key, by),
        ("UPDATE cell SET k = %s WHERE k = %s", session.choice.randrange(6), key),
        ("UPDATE cell SET n = n * 2 WHERE v = %s", by),
        ("SELECT k, v, n FROM cell WHERE k = %s FOR UPDATE", key),
        ("INSERT INTO leaf (of, n) VALUES (%s, %s)", key, by),
        ("UPDATE leaf SET n = n + 1 WHERE of = %s AND n = %s", key, by),
        ("INSERT INTO total SELECT count(*), sum(n) FROM cell",)))


def single_rows(session, n):
    if session.choice.random() < 0.5:
        session.do(*single_row(session))
        return
    session.begin()
    for _ in range(session.choice.randrange(1, 4)):
        if not session.do(*single_row(session)).ok:
            break
    if session.status == "T" and session.choice.random() < 0.75:
        session.commit()
    else:
        session.rollback()



HOT = ("CREATE TABLE t (id int PRIMARY KEY, s text)", "INSERT INTO t VALUES (1, '')")
CASES = (
    Case("01-hot-row", "one row, autocommit updates that do not commute", HOT, hot_row, check=check_hot_row),
    Case("02-category", "a waiting UPDATE whose rows change meanwhile", (
        "CREATE TABLE c (id int PRIMARY KEY, cat text, n int)", "INSERT INTO c VALUES (1, 'b', 0), (2, 'a', 0)"), category),
    Case("03-history", "INSERT ... SELECT sum() during commits", (
        "CREATE TABLE acc (id int PRIMARY KEY, bal int)", "INSERT INTO acc SELECT i, 100 FROM generate_series(1, 10) i",
        "CREATE TABLE hist (id serial PRIMARY KEY, who int, total bigint)"), history),
    Case("04-opposite-order", "two rows in opposite order: deadlocks", (
        "CREATE TABLE r (id int PRIMARY KEY, v int)", "INSERT INTO r VALUES (1, 0), (2, 0)"), opposite, check=check_opposite),
    Case("05-serial-unique", "serial ids, unique keys, duplicates, rollbacks", (
        "CREATE TABLE u (id serial PRIMARY KEY, k int UNIQUE, who int)",), serial_unique, allowed=("23505",),
        check=check_serial_unique),
    Case("06-failed-block", "COMMIT of a block that failed", (
        "CREATE TABLE f (id int PRIMARY KEY, v int)", "INSERT INTO f SELECT i, 0 FROM generate_series(0, 7) i"),
        failed_block, check=check_failed),
    Case("07-failed-block-waited-for", "the same while others wait for the row", (
        "CREATE TABLE f (id int PRIMARY KEY, v int)", "INSERT INTO f VALUES (1, 0)"), failed_block_waited_for,
        check=check_failed),
    Case("08-pipeline", "a pipeline that fails, and the next one behind it", (
        "CREATE TABLE p (id int PRIMARY KEY, bad int, good int)", "INSERT INTO p SELECT i, 0, 0 FROM generate_series(0, 3) i"),
        pipeline, ("extended",), begin=open_line, check=check_pipeline),
    Case("09-deferred-unique", "a DEFERRABLE UNIQUE that fails at the end", (
        "CREATE TABLE d (id int PRIMARY KEY, v int UNIQUE DEFERRABLE INITIALLY DEFERRED)",), deferred),
    Case("10-commit-inside-query", "INSERT; COMMIT; INSERT; SELECT 1/0 in one Query", (
        "CREATE TABLE m (id serial PRIMARY KEY, who int, what text)", "CREATE TABLE hits (n int)", "INSERT INTO hits VALUES (0)"),
        commit_inside, ("simple",), begin=allow_no_transaction, check=check_commit_inside),
    Case("11-call-commit", "CALL of a procedure that commits, beside case 1", (
        *HOT, "CREATE PROCEDURE twice(k text) LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET s = s || k WHERE id = 1; COMMIT; "
        "UPDATE t SET s = s || upper(k) WHERE id = 1; COMMIT; END $$"), call_commit, check=check_hot_row),
    Case("12-write-skew", "SERIALIZABLE write skew", (
        "CREATE TABLE duty (shift int, who int, on_call bool, changes int DEFAULT 0, PRIMARY KEY (shift, who))",
        "INSERT INTO duty SELECT s, w, true FROM generate_series(0, 2) s, generate_series(0, 1) w"), write_skew,
        check=check_write_skew),
    Case("13-queue", "FOR UPDATE SKIP LOCKED as a work queue", (
        "CREATE TABLE jobs (id serial PRIMARY KEY, what text)", "CREATE TABLE done (job int PRIMARY KEY, who int)",
        "INSERT INTO jobs (what) SELECT 'job ' || i FROM generate_series(1, 200) i"), queue, check=check_queue),
    Case("14-advisory", "advisory locks in DO, and NOWAIT", (
        "CREATE TABLE adv (id serial PRIMARY KEY, who int, got bool)", "CREATE TABLE own (id int PRIMARY KEY, n int)",
        "INSERT INTO own SELECT i, 0 FROM generate_series(0, 7) i", "CREATE TABLE nw (id int PRIMARY KEY, v int)",
        "INSERT INTO nw VALUES (1, 0)", "CREATE TABLE missed (id serial, who int)"), advisory, check=check_advisory),
    Case("15-savepoint", "ROLLBACK TO a savepoint with a waiter", (
        "CREATE TABLE sp (id int PRIMARY KEY, v int)", "INSERT INTO sp SELECT i, 0 FROM generate_series(1, 20) i"), savepoint,
        check=check_savepoint),
    Case("16-cancel", "cancels and statement_timeout in a large UPDATE", (
        "CREATE TABLE big (id int PRIMARY KEY, v int)", "INSERT INTO big SELECT i, 0 FROM generate_series(1, 4000) i"), cancel,
        allowed=("57014",), begin=limit_time),
    Case("17-server-values", "defaults of now(), uuid and random(), and an audit trigger", (
        "CREATE TABLE stamped (id serial PRIMARY KEY, what text DEFAULT 'default', at timestamptz DEFAULT now(), "
        "key uuid DEFAULT gen_random_uuid(), luck float8 DEFAULT random())",
        "CREATE TABLE audit (n bigserial, id int, what text, at timestamptz)",
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO audit (id, what, at) VALUES (NEW.id, NEW.what, NEW.at); RETURN NEW; END $$",
        "CREATE TRIGGER note AFTER INSERT ON stamped FOR EACH ROW EXECUTE FUNCTION note()"), server_values),
    Case("18-copy", "COPY with a bad last row, lo_create(0)", (
        "CREATE TABLE cp (id serial PRIMARY KEY, who int, n int)", "CREATE TABLE named (id serial, lo oid)"), copy,
        check=check_copy),
    Case("19-foreign-keys", "DELETE of a parent against INSERT of a child", (
        "CREATE TABLE parent (id int PRIMARY KEY)", "INSERT INTO parent SELECT generate_series(0, 5)",
        "CREATE TABLE child (id serial PRIMARY KEY, pid int REFERENCES parent, who int)"), foreign_keys,
        check=check_foreign_keys),
    Case("19-two-phase", "PREPARE TRANSACTION with waiters", (
        "CREATE TABLE tp (id int PRIMARY KEY, v int)", "INSERT INTO tp VALUES (1, 0), (2, 0)"), two_phase,
        check=check_two_phase),
    Case("21-single-rows", "rows that come and go, written by their keys", (
        "CREATE TABLE cell (k int PRIMARY KEY, v int UNIQUE, n int CHECK (n < 1000000000))",
        "CREATE TABLE leaf (of int REFERENCES cell, n int, UNIQUE (of, n))", "CREATE TABLE total (cells bigint, n numeric)"),
        single_rows, allowed=("23505", "23503", "22003", "23514")),
)
