"""A change of master without an operator's word about hosts: switchover, the witness, the fencing hook.

Behind every test runs an append-only load whose acknowledgements are kept and looked for on the survivor.
"""
import concurrent.futures
import contextlib
import re
import stat
import time

import psycopg
import pytest

from harness import Certificates, Pair, Recorder, etcd, holds, wait_until
from harness.recorder import TABLE
from harness.scenes import Scene, WitnessScene, nothing_lost

ACTIVE = ("MASTER", "ALONE", "DEGRADING", "DRAINING")
TERM = 3.0  # witness.term, in seconds
PASSWORD = "a password of the witness-8842"

needs_etcd = pytest.mark.skipif(not etcd.installed(), reason="there is no etcd (Debian package etcd-server)")


# Switchover.

@pytest.mark.slow
def test_a_switchover_there_and_back_under_load():
    """The standby becomes master in order, the old master its standby, and back: nothing lost, both equal, no bootstrap."""
    with Scene() as scene:
        pair = scene.pair
        for turn, (old, new) in enumerate((("a", "b"), ("b", "a"), ("a", "b"))):
            done = pair.tool.run("switchover", "--to", new, "--yes", on="ab"[turn % 2])
            assert f"node {new}" in done.stdout
            pair.wait_joined(master=new)
            assert pair.nodes[old].relay.state() == "STANDBY"
            scene.load_goes_on()
        assert pair.a.relay.status()["differences"]["writes"] == 0
        nothing_lost(scene, pair.a, pair.b)
        ended = [error for _, _, error in scene.recorder.errors]
        assert all("connect again" in error or "connection" in error for error in ended), ended[:5]


def test_a_switchover_to_who_is_master_already_changes_nothing():
    """What a script repeats is done once."""
    with Scene(network=False) as scene:
        epoch = scene.pair.a.relay.status()["role"]["epoch"]
        assert "master already" in scene.pair.tool.run("switchover", "--to", "a", "--yes").stdout
        assert scene.pair.a.relay.status()["role"]["epoch"] == epoch
        assert scene.pair.a.relay.state() == "MASTER"


def test_two_operators_at_once():
    """One switches over; the other is told so, or finds it done. Nobody switches back by accident."""
    with Scene(network=False) as scene:
        pair = scene.pair
        with concurrent.futures.ThreadPoolExecutor() as pool:
            runs = [pool.submit(pair.tool.run, "switchover", "--to", "b", "--yes", check=False, on=on) for on in "ab"]
            done = [run.result() for run in runs]
        statuses = sorted(run.returncode for run in done)
        assert statuses[0] == 0, [run.stderr for run in done]
        for run in done:
            if run.returncode != 0:
                assert run.returncode == 75, run.stderr
                assert re.search("DRAINING|RECOVER|STANDBY|not ready|no node is master", run.stderr), run.stderr
        pair.wait_joined(master="b")
        scene.load_goes_on()
        nothing_lost(scene, pair.a, pair.b)


def test_a_switchover_needs_a_joined_standby():
    """Without a standby that may take over it is refused, and the master serves on."""
    with Scene() as scene:
        pair = scene.pair
        pair.b.relay.kill()
        pair.a.relay.wait_state("ALONE")
        refused = pair.tool.run("switchover", "--yes", check=False)
        assert refused.returncode == 75
        assert "ALONE" in refused.stderr
        scene.load_goes_on()
        nothing_lost(scene, pair.a)


def test_a_switchover_of_the_server_alone():
    """The standby's server takes over under sessions that go on; new ones are passed on, the old data are stale."""
    with Scene() as scene:
        pair = scene.pair
        pair.tool.run("switchover", "--server-only", "--yes")
        pair.b.relay.wait_state("ALONE")
        assert pair.a.relay.state() == "STALE"
        scene.load_goes_on()
        with psycopg.connect(pair.a.relay.tcp(), connect_timeout=10) as session:
            assert session.execute("SELECT inet_server_port()").fetchone()[0] == pair.b.postgres.port
        assert pair.a.relay.status()["guests"]
        assert "guests" in pair.tool.run("status", check=False).stdout
        assert scene.recorder.errors == []
        nothing_lost(scene, pair.b)
        wait_until(lambda: not pair.a.relay.status()["guests"], 20, "the last guest to have gone")


# The witness.

@needs_etcd
@pytest.mark.slow
def test_the_standby_takes_over_from_a_host_that_died():
    """Master host killed: within 5 s the forwarder's clients write again; the old master returns as stale."""
    with WitnessScene() as scene:
        pair = scene.pair
        wait_until(lambda: scene.record()["sync"], 10, "the witness to hold that the standby is joined")
        scene.kill_host_a()
        reached, begun = scene.recorder.count, time.monotonic()
        wait_until(lambda: scene.recorder.count > reached + 8, 20, "the load to go on")
        took = time.monotonic() - begun
        assert took <= 5.0, f"{took:.1f} s"
        assert pair.b.relay.state() == "ALONE"
        assert scene.record()["master"] == "b" and scene.record()["epoch"] == 2
        scene.start_host_a()
        pair.a.relay.wait_state("STALE")
        scene.load_goes_on()
        assert scene.record()["master"] == "b"
        nothing_lost(scene, pair.b)


@needs_etcd
@pytest.mark.slow
def test_a_master_that_is_cut_off_is_fenced_before_the_standby_serves():
    """Cut off from the witness and the standby, a master releases nothing once its right is over."""
    with WitnessScene() as scene:
        pair = scene.pair
        with Recorder(pair.a.relay.tcp(), table="ledger_a") as at_a:
            with psycopg.connect(pair.a.relay.tcp(), autocommit=True) as session:
                session.execute(TABLE.replace("ledger", "ledger_a"))
            wait_until(lambda: at_a.count > 30, 20, "the load at a to run")
            scene.lines["a"].cut()
            pair.cut_network()
            seen = []  # of a, at the moment at which b was seen to serve first

            def b_serves():
                if pair.b.relay.state() in ACTIVE:
                    seen.append((pair.a.relay.state(), at_a.count))
                    return True
                return False

            wait_until(b_serves, 20, "the standby to take over")
            state, acknowledged = seen[0]
            assert state not in ACTIVE
            holds(lambda: at_a.count == acknowledged, 1.0, "a acknowledges nothing")
            assert pair.a.relay.log_contains("right to be master has run out")
            scene.load_goes_on()
            scene.lines["a"].heal()
            pair.heal_network()
            pair.a.relay.wait_state("STALE")
        at_a.check(pair.b.postgres)
        nothing_lost(scene, pair.b)


@needs_etcd
@pytest.mark.slow
def test_a_frozen_master_that_thaws_acknowledges_nothing():
    """Everything of the master's relay stands still until the standby serves: what it wakes up with is over."""
    with WitnessScene() as scene:
        pair = scene.pair
        with psycopg.connect(pair.a.relay.tcp(), autocommit=True) as session:
            session.execute(TABLE.replace("ledger", "ledger_a"))
        wait_until(lambda: scene.record()["sync"], 10, "the witness to hold that the standby is joined")
        with Recorder(pair.a.relay.tcp(), table="ledger_a") as at_a:
            wait_until(lambda: at_a.count > 30, 20, "the load at a to run")
            pair.a.relay.freeze()
            scene.b_takes_over()
            acknowledged = at_a.count  # a frozen relay acknowledges nothing
            pair.a.relay.thaw()
            pair.a.relay.wait_state("STALE")
            assert not pair.a.relay.log_contains("role-master|role-alone", since=pair.a.relay.log().index("stalled"))
            at_a.stop()
            scene.load_goes_on()
        # Later acknowledgements came through a, from b.
        assert at_a.count >= acknowledged
        at_a.check(pair.b.postgres)
        nothing_lost(scene, pair.b)


FAILOVERS = 20


@needs_etcd
@pytest.mark.full
@pytest.mark.timeout(900)
def test_how_long_a_failover_takes():
    """A host lost with a witness, many times: an application behind a forwarder writes again within 5 s (p99)."""
    took = []
    for _ in range(FAILOVERS):
        with WitnessScene() as scene:
            wait_until(lambda: scene.record()["sync"], 10, "the witness to hold that the standby is joined")
            scene.kill_host_a()
            reached, begun = scene.recorder.count, time.monotonic()
            wait_until(lambda: scene.recorder.count > reached + 8, 20, "the load to go on")
            took.append(time.monotonic() - begun)
            nothing_lost(scene, scene.pair.b)
    took.sort()
    print(f"failovers: {len(took)}, median {took[len(took) // 2]:.2f} s, longest {took[-1]:.2f} s")
    assert took[-1] <= 5.0, took


SWITCHOVERS = 20


@pytest.mark.full
@pytest.mark.timeout(900)
def test_how_long_switchovers_pause():
    """Many switchovers with the relay under load: the longest pause between two acknowledged writes of one client."""
    with Scene() as scene:
        pair = scene.pair
        for turn in range(SWITCHOVERS):
            new = "ba"[turn % 2]
            pair.tool.run("switchover", "--to", new, "--yes")
            pair.wait_joined(master=new)
            scene.load_goes_on()
        nothing_lost(scene, pair.a, pair.b)
        print(f"switchovers: {SWITCHOVERS}, {len(scene.recorder.errors)} connections ended, "
              f"longest pause {scene.recorder.longest_pause:.2f} s")
        assert scene.recorder.longest_pause <= 2.0


@needs_etcd
@pytest.mark.slow
@pytest.mark.parametrize("how", ["frozen", "killed", "cut"])
def test_a_pair_outlives_its_witness(how):
    """While the two nodes hear each other, a witness that is away costs nothing; and nobody takes over without it."""
    with WitnessScene() as scene:
        pair = scene.pair
        scene.load_goes_on()
        errors = len(scene.recorder.errors)
        away, back = {"frozen": (scene.etcd.freeze, scene.etcd.thaw), "killed": (scene.etcd.kill, scene.etcd.start),
                      "cut": (lambda: [line.cut() for line in scene.lines.values()],
                              lambda: [line.heal() for line in scene.lines.values()])}[how]
        away()
        wait_until(lambda: not pair.a.relay.status()["witness"]["answers"], 10, "the master to miss the witness")
        holds(lambda: pair.a.relay.state() == "MASTER" and pair.a.relay.joined(), 2 * TERM, "the master serves on")
        assert scene.recorder.errors[errors:] == []
        scene.load_goes_on()
        assert pair.a.relay.status()["right_ms"] > 0
        shown = pair.tool.run("status", check=False).stdout
        assert re.search(r"witness +does not answer", shown), shown
        scene.kill_host_a()
        holds(lambda: pair.b.relay.state() not in ACTIVE, TERM + 2, "nobody takes over without the witness")
        back()
        scene.b_takes_over()
        scene.load_goes_on()
        nothing_lost(scene, pair.b)


@needs_etcd
@pytest.mark.slow
def test_a_witness_that_was_wiped_gives_no_authority():
    """Another store at the same address (R12): the pair goes on, nobody takes over by it, and the operator is told.

    What operations.md says to do then: `pgtandem witness remove` on the master's host and then on the standby's, `add` on
    the standby's and then on the master's, each with a restart of that relay."""
    with WitnessScene(settings={"standby_timeout": "10s"}) as scene:
        pair = scene.pair
        for node in pair.nodes.values():
            wait_until(lambda relay=node.relay: relay.status()["witness"]["record"]["sync"], 10, "the relay to have seen it")
        scene.etcd.wipe()
        for node in pair.nodes.values():
            wait_until(lambda relay=node.relay: relay.status()["witness"]["flaw"], 15, "the relay to see it")
        assert pair.a.relay.log_contains("witness-not-trusted")
        holds(lambda: pair.a.relay.state() == "MASTER", TERM + 1, "the master serves on by the standby's promise")
        scene.load_goes_on()
        assert scene.record() is None
        shown = pair.tool.run("status", check=False).stdout
        assert re.search(r"witness +gives no authority", shown), shown
        for action, order in (("remove", "ab"), ("add", "ba")):
            for name in order:
                more = ["--endpoints", scene.url(name)] if action == "add" else []
                pair.tool.run("witness", action, "--node", name, "--yes", *more, on=name)
                pair.nodes[name].relay.restart()
                pair.wait_joined()
            assert (pair.a.relay.status()["witness"] is not None) == (action == "add")
        wait_until(lambda: scene.record() and scene.record()["sync"], 15, "the new witness to hold the pair's record")
        assert pair.a.relay.status()["witness"]["flaw"] == ""
        scene.load_goes_on()
        scene.kill_host_a()
        scene.b_takes_over()
        scene.load_goes_on()
        nothing_lost(scene, pair.b)


@needs_etcd
@pytest.mark.slow
def test_a_lost_postmaster_is_handed_over_with_a_witness():
    """The master's server dies, its relay lives: the standby is named at the witness, and serves."""
    with WitnessScene() as scene:
        pair = scene.pair
        wait_until(lambda: scene.record()["sync"], 10, "the witness to hold that the standby is joined")
        pair.a.postgres.kill()
        scene.b_takes_over()
        pair.a.relay.wait_state("STALE")
        assert scene.record()["master"] == "b"
        scene.load_goes_on()
        nothing_lost(scene, pair.b)


@needs_etcd
@pytest.mark.slow
def test_a_switchover_with_a_witness():
    """In order and back; the witness names the new master each time, and the standby stays joined there."""
    with WitnessScene() as scene:
        pair = scene.pair
        for new in "ba":
            pair.tool.run("switchover", "--to", new, "--yes")
            pair.wait_joined(master=new)
            wait_until(lambda name=new: (scene.record()["master"], scene.record()["sync"]) == (name, True), 10,
                       "the witness to name the new master and its standby")
            scene.load_goes_on()
        nothing_lost(scene, pair.a, pair.b)


@needs_etcd
@pytest.mark.slow
def test_a_witness_by_tls_with_users():
    """Certificates on both sides and a login; no secret reaches a log or the status; a master host lost is taken over."""
    certificates = Certificates()
    secret = certificates.folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(PASSWORD + "\n")
    more = {"ca_file": certificates.path("ca.pem"), "cert_file": certificates.path("client.pem"),
            "key_file": certificates.path("client.key"), "user": "pgtandem", "password_file": secret,
            "prefix": "/plant/7"}

    class Guarded(WitnessScene):
        def before(self):
            super().before()
            self.etcd.enable_auth("pgtandem", PASSWORD, "/plant/7")

        def record(self):
            return self.etcd.record(self.pair.uuid, "/plant/7")

    with Guarded(certificates, more) as scene:
        pair = scene.pair
        wait_until(lambda: scene.record()["sync"], 10, "the witness to hold that the standby is joined")
        # Tokens end with the member: the relays log in again.
        scene.etcd.kill()
        scene.etcd.start()
        wait_until(lambda: pair.a.relay.status()["witness"]["answers"], 10, "the relay to log in again")
        scene.kill_host_a()
        scene.b_takes_over()
        scene.load_goes_on()
        nothing_lost(scene, pair.b)
        token = scene.etcd.token
        for shown in (pair.a.relay.log(), pair.b.relay.log(), str(pair.b.relay.status())):
            assert PASSWORD not in shown and token not in shown and "PRIVATE KEY" not in shown


@needs_etcd
def test_check_asks_every_member_of_the_witness():
    """`pgtandem check` finds a member that is down, and a hook that is not there."""
    with WitnessScene() as scene:
        pair = scene.pair
        wait_until(lambda: scene.record()["sync"], 10, "the witness to hold that the standby is joined")
        good = pair.tool.run("check", "--node", "a", check=False).stdout
        assert re.search(r"witness 127\.0\.0\.1:\d+.*answers; it holds epoch 1, master a, standby joined", good), good
        scene.etcd.kill()
        bad = pair.tool.run("check", "--node", "a", check=False)
        assert bad.returncode == 78
        assert re.search(r"nobody takes over by itself", bad.stdout), bad.stdout
        pair.sections = lambda node: {"fencing": {"hook": "/nonexistent/hook"}}
        pair.write_files()
        missing = pair.tool.run("check", "--node", "a", check=False)
        assert "/nonexistent/hook cannot be executed" in missing.stdout, missing.stdout


# The fencing hook.

class HookScene(Scene):
    """Each node's hook notes its arguments and does what its file `does` says: a line of shell."""

    def __init__(self):
        self.hooks = {}
        super().__init__(sections=self.hook_section, settings={"standby_timeout": "500ms"})

    def hook_section(self, node):
        folder = self.pair.nodes[node].folder if hasattr(self, "pair") else None
        return {"fencing": {"hook": folder / "hook", "hook_timeout": "1s", "hook_wait": "3s"}} if folder else {}

    def before(self):
        for name, node in self.pair.nodes.items():
            hook = node.folder / "hook"
            hook.write_text(f"#!/bin/sh\necho \"$*\" >> {node.folder}/told\necho switching\n. {node.folder}/does\n")
            hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
            self.does(name, "exit 1")
        self.pair.write_files()

    def does(self, node, what):
        (self.pair.nodes[node].folder / "does").write_text(what + "\n")

    def told(self, node) -> list:
        with contextlib.suppress(FileNotFoundError):
            return (self.pair.nodes[node].folder / "told").read_text().splitlines()
        return []


@pytest.mark.slow
def test_a_hook_that_confirms_lets_the_standby_take_over():
    """Master host killed: the standby has it powered off, and only then serves."""
    with HookScene() as scene:
        pair = scene.pair
        scene.does("b", "exit 0")
        scene.kill_host_a()
        pair.b.relay.wait_state("ALONE", timeout=20)
        assert scene.told("b") == ["a 127.0.0.1"]
        assert pair.b.relay.log_contains("hook-confirmed")
        assert pair.b.relay.log_contains("hook-output.*switching")
        scene.load_goes_on()
        nothing_lost(scene, pair.b)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["exit 1", "sleep 1000", "kill -9 $$"])
def test_a_hook_that_confirms_nothing_lets_nobody_serve(what):
    """The nodes lose each other and neither can be powered off: both wait, and nothing is acknowledged until one can."""
    with HookScene() as scene:
        pair = scene.pair
        for node in "ab":
            scene.does(node, what)
        pair.cut_network()
        wait_until(lambda: scene.told("a") and scene.told("b"), 30, "both hooks to have been called")
        assert pair.a.relay.state() == "DEGRADING"
        assert pair.b.relay.state() not in ACTIVE
        wait_until(lambda: pair.a.relay.log_contains("hook-failed"), 10, "the hook to have failed")
        acknowledged = scene.recorder.count
        holds(lambda: scene.recorder.count == acknowledged and pair.b.relay.state() not in ACTIVE, 2.0, "nobody serves")
        scene.does("a", "exit 0")
        pair.a.relay.wait_state("ALONE", timeout=20)
        assert scene.told("a")[-1] == "b 127.0.0.1"
        scene.load_goes_on()
        pair.heal_network()
        pair.b.relay.wait_state("STALE", timeout=20)
        nothing_lost(scene, pair.a)


def test_a_hook_that_cannot_run_stops_the_start():
    """A missing executable is found at the start, not when it is needed."""
    with Pair() as pair:
        pair.a.relay.stop()
        pair.sections = lambda node: {"fencing": {"hook": f"/nonexistent/{node}"}}
        pair.write_files()
        with pytest.raises(AssertionError, match="/nonexistent/a cannot be executed"):
            pair.a.relay.start()
