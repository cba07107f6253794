"""Settings of discipline `serial`: for whom it holds, slow writes, what is recorded of a difference, a service user that falls short."""
import concurrent.futures
import contextlib
import json

import psycopg
import pytest

from harness import Relay, everything_same, holds, wait_until
from harness.load import USER, Session
from harness.places import new_folder, program, run
from harness.process import clean_environment
from harness.worlds import World, refusal

pytestmark = [pytest.mark.skipif(bool(refusal()), reason=refusal() or "-"), pytest.mark.timeout(90)]

SOON = 5.0  # seconds within which what is not held up is done
SETUP = (
    "CREATE TABLE kept (id serial PRIMARY KEY, what text, v int, at timestamptz)",
    "INSERT INTO kept (what, v) SELECT 'row ' || i, 0 FROM generate_series(1, 10) i ORDER BY i",
    "CREATE TABLE elsewhere (id serial PRIMARY KEY, who text)", "CREATE TABLE told (n int)",
    "GRANT ALL ON SCHEMA public TO app", "GRANT ALL ON ALL TABLES IN SCHEMA public TO app",
    # It gives up before the tests do.
    "CREATE FUNCTION until_told() RETURNS int LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..1500 LOOP "
    "EXIT WHEN EXISTS (SELECT FROM told); PERFORM pg_sleep(0.01); END LOOP; RETURN 1; END $$",
)


@pytest.fixture
def servers(serial):
    """The shared servers with the tables of these tests; their usual relay has nothing to do meanwhile."""
    serial.reset(SETUP)
    yield serial
    serial.quiet()
    serial.reset()


@contextlib.contextmanager
def relay_before(servers, *flags, discipline="serial"):
    """A relay of the test's own before the shared servers."""
    words = ("--discipline", discipline) if discipline else ()
    with Relay.flags_only(servers.master, servers.standby, *words, *flags) as relay:
        relay.wait_joined()
        yield World("own", servers.master, servers.standby, relay.port, relay)


@contextlib.contextmanager
def sessions(world, count=1, protocol="simple", user=USER):
    made = [Session(world.conninfo(user), number, protocol) for number in range(count)]
    try:
        yield made
    finally:
        for one in made:
            one.cut()
            one.close()


@contextlib.contextmanager
def running(session, sql, allow=()):
    """The statement's future, while it runs in a thread."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(session.do, sql, allow=allow)
        except BaseException:
            session.cut()
            raise


def tell(world, *servers):
    """Lets until_told() return on these servers, or on both."""
    for server in servers or world.servers():
        server.sql("INSERT INTO told VALUES (1)", database="app")


# For whom.

RULES = {
    "a role": ("serial", ["--discipline-for", "app/trusting=classic"], "classic"),
    "a database": ("classic", ["--discipline-for", "app/*=serial"], "serial"),
    "another role": ("serial", ["--discipline-for", "app/app=classic"], "serial"),
    "another database": ("classic", ["--discipline-for", "postgres/*=serial"], "classic"),
    "the first that fits": ("serial", ["--discipline-for", "*/trusting=classic", "--discipline-for", "app/*=serial"], "classic"),
    "a list in one flag": ("classic", ["--discipline-for", "postgres/*=classic,app/app=classic,*/*=serial"], "serial"),
}


@pytest.mark.parametrize("rule", RULES)
def test_discipline_for(servers, rule):
    """A session has the discipline of the first rule for its database and role, else the general one: only `serial` rewrites."""
    general, flags, expected = RULES[rule]
    with relay_before(servers, *flags, "--on-mismatch", "log", discipline=general) as world:
        with sessions(world) as (session,):
            for _ in range(20):  # two clocks may agree to the microsecond now and then, but not every time
                assert session.do("INSERT INTO kept (what, at) VALUES ('looked for', now())", tag="INSERT 0 1").ok
        world.quiet()
        times = [server.value("SELECT string_agg(at::text, ' ' ORDER BY at) FROM kept WHERE what = 'looked for'") for server in world.servers()]
        assert (times[0] == times[1]) == (expected == "serial")


def test_sessions_of_another_discipline_do_not_wait(servers):
    """Behind a write that is alone, a session of `serial` waits and one of `classic` does not."""
    with relay_before(servers, "--discipline-for", "app/app=classic") as world, sessions(world, 2) as (slow, waiting):
        with psycopg.connect(world.relay.tcp(), autocommit=True) as classic, running(slow, "SELECT until_told()") as first:
            wait_until(lambda: world.master.backends("query LIKE '%until_told()%' AND state = 'active'") == 1, SOON, "the slow unit to run")
            with running(waiting, "INSERT INTO elsewhere (who) VALUES ('waiting')") as second:
                assert classic.execute("UPDATE kept SET v = 5 WHERE id = 5").rowcount == 1
                holds(lambda: not first.done() and not second.done(), 0.3, "the session of serial waits")
                tell(world)
                assert first.result(SOON).ok and second.result(SOON).ok
    everything_same(servers.master, servers.standby)


def test_a_pair_takes_the_rules_from_its_file():
    """In a configuration file `discipline_for` is a list; a rule that is none is refused with its place."""
    folder = new_folder("rules")
    for rules, good in (('["app/*=classic", "*/batch=serial"]', True), ('["app=classic"]', False), ('["app/*=loose"]', False)):
        file = folder / "pgtandem.toml"
        file.write_text(f'master = "127.0.0.1:2"\nstate_dir = "{folder}"\ndiscipline_for = {rules}\n[listen]\nfrontends = ["127.0.0.1:1"]\n'
                        '[service]\nuser = "pgtandem"\n')
        asked = run(program("pgtandem-relay"), "--config", file, "--print-config", check=False, env=clean_environment())
        assert (asked.returncode == 0) == good, asked.stderr
        assert good or "discipline_for" in asked.stderr
        assert not good or "app/*=classic" in asked.stdout


# Slow writes.

@pytest.mark.parametrize("protocol", ("simple", "extended"))
def test_a_slow_write_is_told_and_waited_for(servers, protocol):
    """Behind a write that takes longer than slow_write the log names it once; writers wait, readers do not; then all go on."""
    with relay_before(servers, "--slow-write", "200ms") as world, sessions(world, 3, protocol) as (slow, waiting, reading):
        text = "UPDATE kept SET v = 7 WHERE id = until_told() -- the slow one"
        with running(slow, text) as first:
            wait_until(lambda: world.relay.log_contains("slow-write"), SOON, "the slow write to be told")
            with running(waiting, "UPDATE elsewhere SET who = 'waiting'") as second:
                assert reading.do("SELECT count(*) FROM kept").value() == "10"
                holds(lambda: not first.done() and not second.done(), 0.6, "the other writer waits")
                tell(world)
                assert first.result(SOON).tag == "UPDATE 1" and second.result(SOON).ok
        (line,) = world.relay.log_lines("slow-write.*the slow one")
        for shown in ("database=app", f"user={USER}", "application=load", "the other writers of the database wait", "UPDATE kept SET v = 7"):
            assert shown in line
        world.relay.assert_still_joined()
    everything_same(servers.master, servers.standby)


@pytest.mark.parametrize("slow", ("UPDATE kept SET v = 7 WHERE id = until_told()", "UPDATE kept SET v = 7 WHERE pg_sleep(0.15) IS NOT NULL"),
                         ids=("alone", "write"))
def test_a_slow_write_is_overtaken(servers, slow):
    """slow_write_policy=overlap: before slow_write is over writers wait, then they pass beside it, in blocks too; nobody's write is lost."""
    with relay_before(servers, "--slow-write", "400ms", "--slow-write-policy", "overlap") as world:
        with sessions(world, 3) as (first_one, beside, block), running(first_one, slow) as first:
            wait_until(lambda: world.master.backends("query LIKE '%UPDATE kept%' AND state = 'active'") == 1, SOON, "the slow write to run")
            for n in range(3):
                assert beside.do("INSERT INTO elsewhere (who) VALUES (%s)", f"beside {n}", tag="INSERT 0 1").ok
            assert world.relay.log_contains("slow-write.*others pass beside it"), "they passed before the time was over"
            assert not first.done()
            assert block.block("INSERT INTO elsewhere (who) VALUES ('in a block')", "UPDATE elsewhere SET who = who || '!'")
            assert not first.done()
            tell(world)
            assert first.result(SOON).ok
        world.relay.assert_still_joined()
        assert len(world.relay.log_lines("slow-write")) == 1
        assert world.value("SELECT count(*) FROM elsewhere WHERE who LIKE '%!'") == 4
    everything_same(servers.master, servers.standby)


def test_a_quick_write_is_not_told(servers):
    """Writes below slow_write, however many, leave nothing in the log; neither does a slow read."""
    with relay_before(servers, "--slow-write", "400ms") as world, sessions(world, 2) as (writer, reader):
        # From the first write on the relay knows that pg_sleep() writes nothing.
        assert writer.do("INSERT INTO kept (what, at) VALUES ('first', now())", tag="INSERT 0 1").ok
        with running(reader, "SELECT pg_sleep(0.8)") as slow:
            while not slow.done():
                assert writer.do("UPDATE kept SET v = v + 1 WHERE id = 1", tag="UPDATE 1").ok
        assert not world.relay.log_contains("slow-write")
    everything_same(servers.master, servers.standby)


def test_limits_of_slow_write():
    """A slow_write out of its limits, or a policy that is none, is refused with the setting's name."""
    for flag, value in (("--slow-write", "99ms"), ("--slow-write", "25h"), ("--slow-write", "soon"), ("--slow-write-policy", "hurry")):
        asked = run(program("pgtandem-relay"), "--listen", "127.0.0.1:1", "--master", "127.0.0.1:2", "--state-dir", "/nowhere",
                    "--service-user", "postgres", flag, value, "--print-config", check=False, env=clean_environment())
        assert asked.returncode != 0 and flag.strip("-").replace("-", "_") in asked.stderr.replace("-", "_"), asked.stderr


# The divergence log.

def entries(relay) -> list:
    file = relay.state_dir / "differences.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


DIFFERENT = {
    "a tag": ("UPDATE kept SET v = 1 WHERE what = 'row 3'", "UPDATE 1", "UPDATE 0"),
    "rows": ("UPDATE kept SET v = v + 1 WHERE id = 4 RETURNING v", "1 row", "1 row"),
    "an error of the standby": ("INSERT INTO kept (id, what) VALUES (100, 'mine')", "INSERT 0 1", "23505"),
    "an error inside of a function": ("SELECT put_one()", "SELECT 1", "23505"),
}


@pytest.mark.parametrize("protocol", ("simple", "extended"))
@pytest.mark.parametrize("thing", DIFFERENT)
def test_a_difference_is_recorded_with_both_replies(servers, thing, protocol):
    """What differs is one JSON line with statement, session and both replies; `pgtandem differences` shows it."""
    text, master, standby = DIFFERENT[thing]
    for server in (servers.master, servers.standby):
        server.sql("CREATE OR REPLACE FUNCTION put_one() RETURNS void LANGUAGE sql AS "
                   "$$ INSERT INTO kept (id, what) VALUES (100, 'mine') $$", database="app")
    servers.standby.sql("UPDATE kept SET what = 'other' WHERE id = 3; UPDATE kept SET v = 40 WHERE id = 4; "
                        "INSERT INTO kept (id, what) VALUES (100, 'hers')", database="app")
    with relay_before(servers, "--on-mismatch", "log") as world:
        with sessions(world, 1, protocol) as (session,):
            session.do(text, allow=("40001", "XX000", "23505", "25P02"))
        wait_until(lambda: entries(world.relay), SOON, "the divergence log to have an entry")
        wait_until(lambda: world.relay.status()["differences"]["writes"] == len(entries(world.relay)), SOON, "all of it to be written")
        written = entries(world.relay)
        assert len(written) == 1 and {e["statement"] for e in written} == {text}
        entry = written[0]
        assert entry["kind"] == "write"
        assert entry["statement"] == text and entry["user"] == USER and entry["database"] == "app" and entry["application"] == "load"
        assert entry["action"] == "logged" and entry["time"].endswith("Z") and entry["session"]
        assert master in entry["master"] and standby in entry["standby"] and entry["what"]
        state = ["--state-dir", world.relay.state_dir]
        shown = run(program("pgtandem"), "differences", *state, env=clean_environment()).stdout
        for part in (text, entry["master"].strip(), entry["standby"].strip(), f"{USER}@app (load)", f"{len(written)} differences of writes"):
            assert part in shown
        lines = run(program("pgtandem"), "differences", *state, "--json", "--writes", env=clean_environment()).stdout.splitlines()
        assert [json.loads(line) for line in lines] == written
        copied = new_folder("copied") / "log"
        copied.write_bytes((world.relay.state_dir / "differences.jsonl").read_bytes() + b"{broken\n")
        assert "1 lines unreadable" in run(program("pgtandem"), "differences", "--file", copied, env=clean_environment()).stdout


def test_no_divergence_log_is_no_input(servers):
    """Without a log the tool says which file it looked for, with the exit status for a missing input."""
    asked = run(program("pgtandem"), "differences", "--state-dir", "/nowhere", check=False, env=clean_environment())
    assert asked.returncode == 66 and "/nowhere/differences.jsonl" in asked.stderr and "do:" in asked.stderr


# The service user.

def print_config(*flags):
    return run(program("pgtandem-relay"), "--listen", "127.0.0.1:1", "--master", "127.0.0.1:2", "--standby", "127.0.0.1:3",
               "--state-dir", "/nowhere", *flags, "--print-config", check=False, env=clean_environment())


def test_serial_needs_a_service_user():
    """Asked for without a service user, `serial` is refused and the message says what to give; not asked for, it is `classic`."""
    refused = print_config("--discipline", "serial")
    assert refused.returncode == 78 and "service.user" in refused.stderr
    some = print_config("--discipline-for", "app/*=serial")
    assert some.returncode == 78 and "discipline_for" in some.stderr.replace("-", "_") and "service.user" in some.stderr
    for flags in ((), ("--discipline", "classic"), ("--service-user", "postgres")):
        assert print_config(*flags).returncode == 0


def test_the_discipline_without_a_service_user(servers):
    """Nobody asked for `serial` and there is no service user: the relay runs `classic`, its status and its log say so."""
    relay = Relay.flags_only(servers.master, servers.standby)
    at = relay.arguments.index("--service-user")
    del relay.arguments[at:at + 4]
    with relay:
        relay.wait_joined()
        assert relay.status()["discipline"] == "classic" and relay.log_contains("give --service-user for .*serial")
        with psycopg.connect(relay.tcp(), autocommit=True) as session:
            assert session.execute("UPDATE kept SET v = 1 WHERE id = 1").rowcount == 1
    with relay_before(servers, discipline=None) as world:
        assert world.relay.status()["discipline"] == "serial", "with a service user it is the default"


def without_access(servers, database):
    """The servers refuse the service user this database."""
    for server in servers.servers():
        rules = server.data / "pg_hba.conf"
        rules.write_text(f"host {database} pgtandem all reject\n" + rules.read_text())
        server.sql("SELECT pg_reload_conf()")


def test_a_database_that_the_service_user_may_not_enter(servers):
    """Its sessions work: unknown counts as a write, the log says why, and no statement waits for long; the copies stay equal."""
    kept = {server: (server.data / "pg_hba.conf").read_text() for server in servers.servers()}
    try:
        for server in servers.servers():
            server.sql("CREATE DATABASE closed OWNER app")
            server.sql("ALTER SCHEMA public OWNER TO app", database="closed")
        without_access(servers, "closed")
        with relay_before(servers) as world:
            conninfo = world.conninfo().replace("dbname=app", "dbname=closed")
            with psycopg.connect(conninfo, autocommit=True, application_name="load") as session:
                session.execute("CREATE TABLE kept (id serial PRIMARY KEY, at timestamptz, what text UNIQUE)")
                with concurrent.futures.ThreadPoolExecutor(1) as pool:
                    def work():
                        for n in range(20):
                            session.execute("INSERT INTO kept (at, what) VALUES (now(), %s)", (f"row {n}",))
                            with contextlib.suppress(psycopg.errors.UniqueViolation):
                                session.execute(f"INSERT INTO kept (what) VALUES ('row {n}')")
                            assert session.execute("SELECT count(*) FROM kept").fetchone() == (n + 1,)
                    pool.submit(work).result(10)
            wait_until(lambda: world.relay.log_contains("statement-catalogue-unread.*database=closed"), SOON, "the log to say why")
            world.relay.assert_still_joined()
        rows = [server.sql("SELECT id, at, what FROM kept ORDER BY 1", database="closed") for server in servers.servers()]
        assert rows[0] == rows[1] and len(rows[0]) == 20
    finally:
        for server, rules in kept.items():
            (server.data / "pg_hba.conf").write_text(rules)
            server.sql("SELECT pg_reload_conf()")
            wait_until(lambda: not server.sql("DROP DATABASE IF EXISTS closed"), SOON, "the database to be free")
