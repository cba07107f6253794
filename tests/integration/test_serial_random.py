"""Loads that nobody planned: random transactions of sixteen sessions, and sqlsmith. Both servers end equal."""
import concurrent.futures
import contextlib
import random
import re
import subprocess
import time

import pytest

from harness import Mirror, everything_same, random_load, wait_until
from harness.load import USER, Load, Session
from harness.places import new_folder
from harness.process import clean_environment
from harness.worlds import of_mirror, refusal

pytestmark = pytest.mark.skipif(bool(refusal()), reason=refusal() or "-")

FIXED_SEED = 20231
SESSIONS = 16
MINUTES = 600  # seconds, with --full
PROBE = 10.0  # seconds for a probing session's write, whatever the others do


def random_transactions(world, seed, seconds):
    print(f"seed {seed}: repeat with --seed {seed}")
    world.reset(random_load.SETUP)
    load = Load(world.conninfo(), random_load.step, count=SESSIONS, seconds=seconds, seed=seed, allowed=random_load.ALLOWED,
                patience=30).run()
    said = f"seed {seed}, {load.rounds} transactions"
    assert not load.hangs, f"{said}: {load.hangs}"
    assert not load.wrong, f"{said}: {load.wrong[:10]}"
    assert load.rounds > SESSIONS * 2, f"{said}: too few to show anything"
    world.quiet()
    world.relay.assert_still_joined()
    everything_same(world.master, world.standby)
    orphans = "SELECT count(*) FROM items WHERE NOT EXISTS (SELECT FROM orders o WHERE o.id = order_id)"
    assert [server.value(orphans) for server in world.servers()] == [0, 0]
    print(f"{said}: equal")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_random_transactions_with_a_fixed_seed(serial):
    """Sixteen sessions of random transactions, the same ones in every run: equal at the end."""
    random_transactions(serial, FIXED_SEED, 15)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_random_transactions_with_a_fresh_seed(serial, full, request):
    """Sixteen sessions of random transactions that nobody ran before (10 minutes with --full): equal at the end."""
    seed = request.config.getoption("--seed")
    random_transactions(serial, random.SystemRandom().randrange(10**6) if seed is None else seed, MINUTES if full else 15)


# What each server computes for itself, no relay can make equal: sqlsmith sees views alone, for it samples tables at random, and may not
# call functions that tell of the server. It tries; that is an error on both.
SMITHED = (
    "CREATE TABLE smithed (id serial PRIMARY KEY, a int, b text, c numeric, d timestamptz, e bool)",
    "CREATE TABLE smithed_more (id bigserial PRIMARY KEY, of int REFERENCES smithed ON DELETE CASCADE, j jsonb, xs int[])",
    "INSERT INTO smithed (a, b, c, d, e) SELECT i, 'text ' || i, i / 7.0, '2020-01-01'::timestamptz + i * interval '1 h', i % 2 = 0 "
    "FROM generate_series(1, 200) i",
    "INSERT INTO smithed_more (of, j, xs) SELECT i, jsonb_build_object('n', i), ARRAY[i, i + 1] FROM generate_series(1, 100) i",
    "CREATE VIEW smithed_view AS SELECT s.id, s.b, m.j FROM smithed s JOIN smithed_more m ON m.of = s.id",
    "CREATE VIEW smithed_rows AS SELECT * FROM smithed", "CREATE VIEW smithed_more_rows AS SELECT * FROM smithed_more",
)
# Functions that the relay itself calls in a client's session stay.
OF_THE_SERVER = """
DO $$ DECLARE one regprocedure; BEGIN
  FOR one IN SELECT oid FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND
    (provolatile = 'v' AND proname NOT IN ('nextval', 'setseed') OR provolatile <> 'i' AND proname ~
     '^(inet_|pg_stat|pg_postmaster|pg_conf|pg_current|pg_last|pg_snapshot|pg_lock|pg_ls|pg_wal|pg_get_wal|pg_relation_file|pg_.*size|pg_tablespace|pg_cursor|pg_prepared|pg_blocking|pg_safe|pg_show|pg_hba|pg_ident|pg_options|pg_backend|pg_replication|pg_timezone|pg_notification|pg_xact|pg_control|pg_export|txid|statement_timestamp|clock_timestamp|timeofday|.*_to_xml|.*_to_xmlschema|currtid)')
  LOOP EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', one); END LOOP;
END $$"""


class Sqlsmith:
    """The generator of random queries, at work until it is stopped."""

    def __init__(self, world, seed):
        self.log_file = new_folder("sqlsmith") / "sqlsmith.log"
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen(["/usr/bin/sqlsmith", f"--target={world.conninfo()}", f"--seed={seed}", "--verbose", "--exclude-catalog"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean_environment())

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def queries(self) -> int:
        """How many it has run: it writes a letter or a dot for each."""
        return sum(map(len, re.findall(r"^[.eStC]+$", self.log(), re.M)))

    def answered(self) -> int:
        """How many of them without an error."""
        return sum(line.count(".") for line in re.findall(r"^[.eStC]+$", self.log(), re.M))

    def ends_within(self, seconds) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.poll() is not None

    def stop(self):
        """Ends it; the status with which it ended before it was told to, or None."""
        status = self.process.poll()
        if status is None:
            self.process.terminate()
            if not self.ends_within(10):
                self.process.kill()
                self.process.wait(10)
        return status


def probe(session):
    """One write and one read of a session that must get through."""
    assert session.do("UPDATE smithed_rows SET a = a + 1 WHERE id = 1", tag="UPDATE 1").ok
    assert session.do("INSERT INTO smithed_rows (b) VALUES ('probe')", tag="INSERT 0 1").ok
    assert session.do("SELECT count(*) FROM smithed_rows").ok


@pytest.fixture
def smithy():
    """A world of its own: it is not as others want it afterwards."""
    patience = "20s"  # some of its queries take long, and the standby has nothing that another one may wait for
    with Mirror("--discipline", "serial", "--standby-timeout", patience, direct=True, settings={"autovacuum": "off"}) as mirror:
        for statement in (*SMITHED, OF_THE_SERVER,
                          f"GRANT SELECT, INSERT, UPDATE, DELETE ON smithed_view, smithed_rows, smithed_more_rows TO {USER}",
                          f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {USER}"):
            mirror.sql_on_both(statement)
        yield of_mirror(mirror)


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sqlsmith(smithy, full, seed):
    """sqlsmith's queries, with writes of others beside them (10 minutes with --full): no hang, no crash, equal."""
    smiths = [Sqlsmith(smithy, seed + n) for n in range(2)]
    session = Session(smithy.conninfo())
    probes = 0
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            deadline = time.monotonic() + (MINUTES if full else 20)
            while time.monotonic() < deadline:
                try:
                    pool.submit(probe, session).result(PROBE)
                except concurrent.futures.TimeoutError:
                    session.cut()
                    raise AssertionError(f"a write hangs beside sqlsmith (seed {seed}): {session.last}") from None
                probes += 1
                if smiths[0].ends_within(0.2):  # the machine is sqlsmith's meanwhile
                    break
                assert smithy.relay.running(), "the relay crashed"
    finally:
        ended = [smith.stop() for smith in smiths]
        session.cut()
        session.close()
    assert ended == [None, None], f"sqlsmith ended by itself (seed {seed}): {ended}\n{smiths[0].log()[-2000:]}"
    assert not session.wrong, session.wrong
    assert all(smith.answered() > 10 for smith in smiths), smiths[0].log()[-1000:]
    print(f"seed {seed}: {sum(smith.queries() for smith in smiths)} queries, {sum(smith.answered() for smith in smiths)} of them without an "
          f"error, {probes} probes")
    wait_until(lambda: all(server.backends() == 0 for server in smithy.servers()), 30, "sqlsmith's sessions to end")
    smithy.relay.assert_still_joined()
    everything_same(smithy.master, smithy.standby)
