"""Kill, freeze and close each part at random moments under load: no acknowledged write is ever lost.

Every moment has a pair of its own. The moment is a random number of acknowledged writes, from the seed that a failure
shows: --seed N repeats it. --moments N (2 by default, 10 with --full) sets how many for each fault.
"""
import random

import psycopg
import pytest

from harness import Forwarder, Pair, Recorder, same, wait_until
from harness.recorder import TABLE

TARGETS = ("standby server", "standby relay", "master server", "master relay", "forwarder")
FAULTS = ("kill", "freeze", "close")
DEFAULT_MOMENTS, FULL_MOMENTS = 2, 10


def pytest_generate_tests(metafunc):
    if "moment" in metafunc.fixturenames:
        options = metafunc.config.option
        moments = options.moments or (FULL_MOMENTS if options.full else DEFAULT_MOMENTS)
        metafunc.parametrize("moment", range(moments))


class Scene:
    """A joined pair, a forwarder before it, and a load through that."""

    def __init__(self, choice):
        self.choice = choice
        self.pair = Pair()
        self.forwarder = Forwarder(self.pair.forwarder_relays())
        self.recorder = None

    def __enter__(self):
        self.pair.start()
        self.forwarder.start()
        with psycopg.connect(self.pair.a.relay.tcp(), autocommit=True) as session:
            session.execute(TABLE)
        self.recorder = Recorder(self.forwarder.tcp(), writers=4, seed=self.choice.randrange(1000)).start()
        wait_until(lambda: self.recorder.count > 30, 20, "the load to run")
        return self

    def __exit__(self, *_):
        self.recorder.stop()
        self.forwarder.end()
        self.pair.end()

    def part(self, target):
        return {"standby server": self.pair.b.postgres, "standby relay": self.pair.b.relay,
                "master server": self.pair.a.postgres, "master relay": self.pair.a.relay,
                "forwarder": self.forwarder}[target]

    def random_moment(self):
        at = self.recorder.count + self.choice.randrange(400)
        wait_until(lambda: self.recorder.count >= at, 30, "the random moment")

    def load_goes_on(self, timeout=30):
        reached = self.recorder.count
        wait_until(lambda: self.recorder.count > reached + 50, timeout, "the load to go on")

    def promote_b(self):
        """As an operator does it: promote; if the old master does not yield, its host is off, or is switched off."""
        if self.pair.tool.run("promote", "--node", "b", check=False, on="b").returncode != 0:
            if self.pair.a.postgres.running() and self.pair.a.relay.running():
                pass  # one of them is frozen: the worst case is that it wakes up after the promotion
            else:
                self.switch_a_off()
            self.pair.tool.promote("b", other_host_is_off=True)
        self.pair.b.relay.wait_state("ALONE", "MASTER", timeout=20)

    def switch_a_off(self):
        self.pair.a.relay.end()
        self.pair.a.postgres.end()


def apply(fault, part):
    {"kill": part.kill, "freeze": part.freeze, "close": part.stop}[fault]()


def undo(fault, part):
    """The part comes back."""
    if fault == "freeze":
        if part.running():
            part.thaw()
    elif not part.running():
        part.start()


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("target", TARGETS)
def test_no_acknowledged_write_is_lost(target, fault, moment, seed):
    """The survivors of one lost part hold every acknowledged write, and the part that returns serves nothing old."""
    with Scene(random.Random(f"{seed} {target} {fault} {moment}")) as scene:
        part = scene.part(target)
        scene.random_moment()
        apply(fault, part)
        if target.startswith("standby"):
            standby_lost(scene, fault, part)
        elif target.startswith("master"):
            master_lost(scene, fault, part)
        else:
            forwarder_lost(scene, fault, part)


def standby_lost(scene, fault, part):
    """The master goes on by itself; what returns is stale."""
    pair = scene.pair
    pair.a.relay.wait_state("ALONE", timeout=20)
    scene.load_goes_on()
    undo(fault, part)
    pair.b.relay.wait_state("STALE", timeout=20)
    scene.load_goes_on()
    scene.recorder.stop()
    assert pair.a.relay.state() == "ALONE" and not pair.a.relay.joined()
    if fault != "close":  # an orderly stop of the standby's relay may end sessions, in order
        assert scene.recorder.errors == []
    scene.recorder.check(pair.a.postgres)


def master_lost(scene, fault, part):
    """The operator promotes; the same forwarder address serves on; the old master returns stale and gives nothing out."""
    pair = scene.pair
    scene.promote_b()
    scene.load_goes_on()
    undo(fault, part)
    for old in (pair.a.postgres, pair.a.relay):
        if not old.running():
            old.start()
    pair.a.relay.wait_state("STALE", timeout=30)
    scene.load_goes_on()
    scene.recorder.stop()
    assert pair.b.relay.state() == "ALONE"
    scene.recorder.check(pair.b.postgres)


def forwarder_lost(scene, fault, part):
    """Clients reconnect; the pair has noticed nothing."""
    pair = scene.pair
    undo(fault, part)
    scene.load_goes_on()
    scene.recorder.stop()
    pair.a.relay.assert_still_joined()
    for node in (pair.a, pair.b):
        wait_until(lambda: node.postgres.backends() == 0, 10, f"no backend to be left on {node.name}")
        scene.recorder.check(node.postgres)
    same(pair.a.postgres, pair.b.postgres, "ledger")


@pytest.mark.slow
def test_one_fault_after_the_other(seed):
    """Standby lost, master crashed and back, forwarder lost, standby's host restarted: the one copy keeps everything."""
    with Scene(random.Random(f"{seed} chain")) as scene:
        pair = scene.pair
        scene.random_moment()
        pair.b.postgres.kill()
        pair.a.relay.wait_state("ALONE", timeout=20)
        scene.random_moment()
        pair.b.postgres.start()
        pair.a.relay.kill()
        pair.a.relay.start()
        pair.a.relay.wait_state("ALONE", timeout=20)
        scene.load_goes_on()
        scene.forwarder.kill()
        scene.forwarder.start()
        scene.load_goes_on()
        pair.b.relay.restart()
        scene.load_goes_on()
        scene.recorder.stop()
        pair.b.relay.wait_state("STALE", timeout=20)
        scene.recorder.check(pair.a.postgres)
