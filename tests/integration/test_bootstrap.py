"""The bootstrap over a real sshd: copies everything, joins; any failure leaves the master serving and the standby stale."""
import json
import re
import signal
import subprocess
import time

import psycopg
import pytest

from harness import Pair, Recorder, Sshd, same, wait_until
from harness.places import run
from harness.process import clean_environment
from harness.recorder import TABLE

FILL = """
CREATE TYPE colour AS ENUM ('red', 'green', 'blue');
CREATE TYPE spot AS (x int, c colour);
CREATE TABLE goods (id bigserial PRIMARY KEY, name text NOT NULL, c colour, spots spot[], doc jsonb, raw bytea,
                    price numeric(12, 2) CHECK (price >= 0));
CREATE INDEX goods_name ON goods (lower(name));
CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, goods bigint REFERENCES goods, at timestamptz);
CREATE VIEW dear AS SELECT * FROM goods WHERE price > 50;
CREATE MATERIALIZED VIEW totals AS SELECT c, count(*) FROM goods GROUP BY c;
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.at = coalesce(NEW.at, now()); RETURN NEW; END';
CREATE TRIGGER stamp BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION stamp();
INSERT INTO goods (name, c, spots, doc, raw, price)
  SELECT 'thing ' || n, (enum_range(NULL::colour))[1 + n % 3], ARRAY[(n, 'red')::spot], jsonb_build_object('n', n),
         decode(md5(n::text), 'hex'), n % 100 FROM generate_series(1, 20000) n;
INSERT INTO orders (goods, at) SELECT n, '2026-01-01'::timestamptz + n * interval '1 s' FROM generate_series(1, 5000) n;
REFRESH MATERIALIZED VIEW totals;  -- pg_dump does not copy a view's rows: the copy's are made anew
SELECT lo_from_bytea(7777, convert_to(repeat('large object ', 5000), 'UTF8'));
COMMENT ON TABLE goods IS 'with a comment: ''quoted'' and ünïcode';
"""


@pytest.fixture
def sshd():
    with Sshd() as started:
        yield started


@pytest.fixture
def stale_pair(sshd):
    """A master with data that goes on alone, a standby that has nothing of it, and a way there by ssh."""
    with_data = Pair(sshd=sshd)
    try:
        with_data.start(init=False)
        with_data.a.postgres.sql(FILL, database="app")
        with_data.a.postgres.sql("ALTER DATABASE app SET work_mem = '9MB'")
        with_data.a.postgres.sql("CREATE DATABASE \"second one\"")
        with_data.a.postgres.sql("CREATE TABLE t AS SELECT generate_series(1, 100) n", database="second one")
        with_data.a.postgres.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO app", database="app")
        with_data.b.postgres.sql("CREATE TABLE only_here (n int)", database="app")  # must be gone afterwards
        with_data.tool.run("init", "--master", "a")
        with_data.a.relay.wait_state("ALONE")
        with_data.b.relay.wait_state("STALE")
        yield with_data
    finally:
        with_data.end()


def bootstrap(pair, *more, check=True, on="a"):
    return pair.tool.run("bootstrap", "--abort-clients", "--replace", *more, check=check, timeout=120, on=on)


def assert_equal(pair):
    """Tables, sequences, roles with their verifiers, large objects and settings are the same on both servers."""
    for database in ("app", "second one"):
        same(pair.a.postgres, pair.b.postgres, database=database)

    def everything(server):
        return {
            "sequences": server.sql("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1", database="app"),
            "roles": server.sql("SELECT rolname, rolsuper, rolcanlogin, rolpassword FROM pg_authid "
                                "WHERE rolname !~ '^pg_' ORDER BY 1"),
            "members": server.sql("SELECT roleid::regrole::text, member::regrole::text FROM pg_auth_members ORDER BY 1, 2"),
            "large objects": server.sql("SELECT oid, md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY 1",
                                        database="app"),
            "databases": server.sql("SELECT datname, datdba::regrole::text FROM pg_database ORDER BY 1"),
            "settings": server.sql("SELECT setdatabase::regclass IS NULL, setconfig FROM pg_db_role_setting ORDER BY 2"),
            "views": server.sql("SELECT viewname, definition FROM pg_views WHERE schemaname = 'public'", database="app"),
            "materialized": server.sql("TABLE totals ORDER BY 1", database="app"),
            "indexes": server.sql("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1", database="app"),
            "comment": server.sql("SELECT obj_description('goods'::regclass)", database="app"),
            "analyzed": server.sql("SELECT count(*) > 0 FROM pg_statistic WHERE starelid = 'goods'::regclass",
                                   database="app"),
        }

    here, there = everything(pair.a.postgres), everything(pair.b.postgres)
    del here["analyzed"]
    assert there.pop("analyzed") == [(True,)]
    assert here == there


def assert_master_serves_and_standby_is_stale(pair):
    """What every failed bootstrap leaves."""
    pair.a.relay.wait_state("ALONE", timeout=30)
    pair.b.relay.wait_state("STALE", timeout=30)
    assert not pair.a.relay.joined()
    with psycopg.connect(pair.a.relay.tcp(user="pgtandem", password="service-secret"), autocommit=True,
                         connect_timeout=10) as session:
        session.execute("CREATE TABLE IF NOT EXISTS still_serving (n int); INSERT INTO still_serving VALUES (1)")


@pytest.mark.slow
def test_a_bootstrap_copies_everything_and_joins(stale_pair):
    """Tables, types, sequences, roles with their passwords, large objects: all is there, and the pair is joined."""
    done = bootstrap(stale_pair)
    stale_pair.wait_joined()
    assert_equal(stale_pair)
    events = [json.loads(line) for line in done.stdout.splitlines()]  # not a terminal: JSON
    last = events[-1]
    assert last["event"] == "done" and re.fullmatch("[0-9a-f]{64}", last["sha256"]), last
    assert any(event["event"] == "progress" for event in events)
    # The joined standby takes part at once: types with other oids, sequences, old and new sessions.
    with psycopg.connect(stale_pair.a.relay.tcp(user="pgtandem", password="service-secret"), autocommit=True) as session:
        session.execute("INSERT INTO goods (name, c) VALUES ('new', 'green')")
        session.execute("INSERT INTO orders (goods, at) SELECT id, '2026-02-02' FROM goods WHERE name = 'new'")
    same(stale_pair.a.postgres, stale_pair.b.postgres, "goods", "orders")
    stale_pair.a.relay.assert_still_joined()
    # And it may take over.
    stale_pair.a.relay.kill()
    stale_pair.tool.promote("b", other_host_is_off=True)
    stale_pair.b.relay.wait_state("ALONE")


@pytest.mark.slow
def test_clients_are_let_go_and_come_back(stale_pair):
    """With --abort-clients every client is disconnected, waits for the copy when it comes back, and loses nothing."""
    with psycopg.connect(stale_pair.a.relay.tcp(), autocommit=True) as session:
        session.execute(TABLE)
    with Recorder(stale_pair.a.relay.tcp(), connect_timeout=60) as recorder:
        wait_until(lambda: recorder.count > 50, 20, "the load to run")
        bootstrap(stale_pair)
        stale_pair.wait_joined()
        reached = recorder.count
        wait_until(lambda: recorder.count > reached + 100, 30, "the load to go on")
    for node in (stale_pair.a, stale_pair.b):
        recorder.check(node.postgres)
    same(stale_pair.a.postgres, stale_pair.b.postgres, "ledger")


@pytest.mark.slow
def test_the_script_does_it_too(stale_pair):
    """scripts/bootstrap-standby is the same with its questions answered by flags."""
    from harness.places import REPOSITORY, program
    environment = clean_environment()
    environment["PATH"] = f"{program('pgtandem').rpartition('/')[0]}:{environment['PATH']}"
    run(REPOSITORY / "scripts" / "bootstrap-standby", "--config", stale_pair.a.folder / "pgtandem.toml",
        "--abort-clients", "--replace", env=environment)
    stale_pair.wait_joined()
    assert_equal(stale_pair)


@pytest.mark.slow
def test_an_old_master_is_brought_back(sshd):
    """After a takeover the old master is the target: run on the new master's host, it joins as the standby."""
    with Pair(sshd=sshd) as pair:
        with psycopg.connect(pair.a.relay.tcp(), autocommit=True) as session:
            session.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) n")
        pair.a.relay.kill()
        pair.a.postgres.kill()
        pair.tool.promote("b", other_host_is_off=True)
        with psycopg.connect(pair.b.relay.tcp(), autocommit=True) as session:
            session.execute("INSERT INTO kept SELECT generate_series(1001, 2000)")
        pair.a.postgres.start()
        pair.a.relay.start()
        pair.a.relay.wait_state("STALE")
        bootstrap(pair, on="b")
        pair.wait_joined(master="b")
        same(pair.a.postgres, pair.b.postgres)


def test_preflight_tells_everything_at_once_and_changes_nothing(stale_pair, sshd):
    """Several things are wrong: all are said in one run, nothing is begun, no client notices."""
    sshd.trust_host(key=other_key(sshd))
    with psycopg.connect(stale_pair.a.relay.tcp(), autocommit=True) as session:
        done = bootstrap(stale_pair, "--pg-bin", "/nonexistent", "--progress", "json", check=False)
        assert done.returncode == 69, done.stdout + done.stderr
        findings = [json.loads(line) for line in done.stdout.splitlines()]
        problems = [f for f in findings if f.get("kind") == "problem"]
        assert len(problems) >= 2, findings
        assert "nothing was changed" in done.stdout + done.stderr
        assert session.execute("SELECT 1").fetchone() == (1,), "the client was not disconnected"
    assert stale_pair.b.postgres.sql("SELECT to_regclass('only_here') IS NOT NULL", database="app") == [(True,)]
    assert_master_serves_and_standby_is_stale(stale_pair)


def other_key(sshd):
    path = sshd.folder / "other_key"
    if not path.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path)
    return path


def nobody_knows_the_host(pair, sshd):
    sshd.known_hosts.write_text("")


def wrong_host_key(pair, sshd):
    sshd.trust_host(key=other_key(sshd))


def key_is_not_accepted(pair, sshd):
    sshd.authorized_keys.write_text("")


def sshd_is_down(pair, sshd):
    sshd.stop()


def target_server_is_down(pair, sshd):
    pair.b.postgres.stop()


def target_relay_is_down(pair, sshd):
    pair.b.relay.kill()


def no_loader_there(pair, sshd):
    config = pair.tool.configs["a"]
    config.write_text(re.sub("remote_pgtandem = .*", 'remote_pgtandem = "/nonexistent/pgtandem"', config.read_text()))


@pytest.mark.parametrize("trouble", (nobody_knows_the_host, wrong_host_key, key_is_not_accepted, sshd_is_down,
                                     target_server_is_down, target_relay_is_down, no_loader_there),
                         ids=lambda f: f.__name__)
def test_what_is_in_the_way_is_said_before_anything_changes(stale_pair, sshd, trouble):
    """Each obstacle that can be seen before: refused with a sentence, clients not disconnected, nothing changed."""
    with psycopg.connect(stale_pair.a.relay.tcp(), autocommit=True) as session:
        trouble(stale_pair, sshd)
        done = bootstrap(stale_pair, check=False)
        assert done.returncode != 0
        assert "nothing was changed" in done.stdout + done.stderr, done.stdout + done.stderr
        assert session.execute("SELECT 1").fetchone() == (1,), "the client was disconnected"
    if not stale_pair.b.postgres.running():
        stale_pair.b.postgres.start()
    if not stale_pair.b.relay.running():
        stale_pair.b.relay.start()
    assert stale_pair.b.postgres.sql("SELECT to_regclass('only_here') IS NOT NULL", database="app") == [(True,)]
    assert_master_serves_and_standby_is_stale(stale_pair)


def start_bootstrap(pair):
    """In the background; returns once the copy runs."""
    process = subprocess.Popen(pair.tool.command("bootstrap", "--abort-clients", "--replace", "--progress", "json"),
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean_environment())
    seen = []
    for line in process.stdout:
        seen.append(line)
        if '"copy"' in line:
            return process
    process.wait()
    raise AssertionError(f"the bootstrap never came to its copy: {''.join(seen)}")


def make_it_last(pair):
    """Enough data for the trouble to come in the middle of the copy."""
    pair.a.postgres.sql("CREATE TABLE ballast AS SELECT n, md5(n::text) || md5((n + 1)::text) AS t "
                        "FROM generate_series(1, 1500000) n", database="app")


def kill_the_tool(pair, sshd, process):
    process.kill()


def interrupt_the_tool(pair, sshd, process):
    process.send_signal(signal.SIGINT)


def cut_the_ssh(pair, sshd, process):
    sshd.kill()


def kill_the_target_server(pair, sshd, process):
    pair.b.postgres.kill()


def kill_the_target_relay(pair, sshd, process):
    pair.b.relay.kill()


@pytest.mark.slow
@pytest.mark.parametrize("trouble", (kill_the_tool, interrupt_the_tool, cut_the_ssh, kill_the_target_server,
                                     kill_the_target_relay), ids=lambda f: f.__name__)
def test_trouble_in_the_middle_of_the_copy(stale_pair, sshd, trouble):
    """Whatever dies during the copy: the master serves again soon, the standby is stale, and a new bootstrap works."""
    make_it_last(stale_pair)
    process = start_bootstrap(stale_pair)
    trouble(stale_pair, sshd, process)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    if trouble is not kill_the_tool:
        assert output.strip(), "one sentence says what to do"
    began = time.monotonic()
    wait_until(lambda: serves(stale_pair), 25, "the master to serve again")  # 15 s of silence end a lease
    assert time.monotonic() - began < 25
    for program in (sshd, stale_pair.b.postgres, stale_pair.b.relay):
        if not program.running():
            program.end()
            program.start()
    assert_master_serves_and_standby_is_stale(stale_pair)
    stale_pair.a.postgres.sql("DROP TABLE ballast", database="app")
    bootstrap(stale_pair)
    stale_pair.wait_joined()
    assert_equal(stale_pair)


def serves(pair) -> bool:
    with psycopg.connect(pair.a.relay.tcp(), autocommit=True, connect_timeout=2) as session:
        return session.execute("SELECT 1").fetchone() == (1,)


def test_load_errors_on_the_target_are_said(stale_pair):
    """A target that cannot take the dump (a role that may not be dropped is in the way) fails with its reason."""
    # The superuser of the target's service connection loses its right: nothing can be loaded.
    stale_pair.b.postgres.sql("ALTER ROLE pgtandem NOSUPERUSER")
    done = bootstrap(stale_pair, check=False)
    assert done.returncode != 0
    assert "superuser" in (done.stdout + done.stderr).lower()
    assert_master_serves_and_standby_is_stale(stale_pair)


def test_a_joined_standby_is_not_rebuilt_by_mistake(sshd):
    """On a healthy pair the bootstrap refuses, because it would throw a good standby away."""
    with Pair(sshd=sshd) as pair:
        done = bootstrap(pair, check=False)
        assert done.returncode != 0 and "joined" in done.stdout + done.stderr
        pair.a.relay.assert_still_joined()


def test_without_its_flags_it_asks(stale_pair):
    """Without a terminal and without --abort-clients and --replace nothing is disconnected and nothing replaced."""
    with psycopg.connect(stale_pair.a.relay.tcp(), autocommit=True) as session:
        done = stale_pair.tool.run("bootstrap", check=False)
        assert done.returncode != 0
        text = done.stdout + done.stderr
        assert "--abort-clients" in text and "--replace" in text
        assert session.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.slow
def test_a_dump_is_kept_on_request(stale_pair, tmp_path):
    """--to-file keeps the compressed dump as well; an existing file is not overwritten."""
    kept = tmp_path / "kept.dump"
    bootstrap(stale_pair, "--to-file", kept)
    stale_pair.wait_joined()
    assert kept.stat().st_size > 10000
    assert_equal(stale_pair)
