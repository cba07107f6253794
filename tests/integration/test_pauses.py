"""How long an application behind a forwarder waits when the master changes. The long form, with --full, is the measurement
that docs/reliability.md tells of: 20 lost hosts, 100 switchovers of each kind."""
import contextlib
import math
import time

import psycopg
import pytest

from harness import Forwarder, Pair, Plant, Recorder, Sshd, etcd, hosts, same, wait_until
from harness.recorder import TABLE

FAILOVER_LIMIT, SWITCHOVER_LIMIT = 5.0, 0.5  # seconds, of the 99th of a hundred
BUSY = 4  # times as much where it is no measurement: the short form runs beside whatever else the machine does

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # 100 times with --full


def p99(pauses) -> float:
    return sorted(pauses)[math.ceil(0.99 * len(pauses)) - 1]


@contextlib.contextmanager
def measured(what):
    """The list of pauses; what was measured is printed although a later round fails."""
    pauses = []
    try:
        yield pauses
    finally:
        if pauses:
            ordered = sorted(pauses)
            print(f"{what}: {len(ordered)} pauses, median {ordered[len(ordered) // 2]:.3f} s, p99 {p99(ordered):.3f} s, "
                  f"longest {ordered[-1]:.3f} s")


def judge(what, pauses, limit, full):
    ordered = sorted(pauses)
    assert p99(pauses) <= (limit if full else BUSY * limit), f"{what}: {[round(pause, 3) for pause in ordered[-5:]]} s"


@pytest.fixture
def rounds(request, full):
    """How often: `rounds(short, long)`; --repeat N says it otherwise."""
    said = request.config.getoption("--repeat")
    return lambda short, long: range(said or (long if full else short))


class Behind:
    """A pair with a way to bootstrap, a forwarder, and a load that can be begun anew."""

    def __init__(self):
        self.sshd = Sshd()
        self.pair = Pair(sshd=self.sshd)
        self.forwarder = Forwarder(self.pair.forwarder_relays())
        self.recorder, self.loads = None, 0

    def __enter__(self):
        self.sshd.start()
        self.pair.start()
        self.forwarder.start()
        with psycopg.connect(self.forwarder.tcp(), autocommit=True) as session:
            session.execute(TABLE)
        return self

    def __exit__(self, *_):
        if self.recorder:
            self.recorder.stop()
        for part in (self.forwarder, self.pair, self.sshd):
            part.end()

    def begin_load(self):
        self.loads += 1
        self.recorder = Recorder(self.forwarder.tcp(), writers=4, seed=self.loads, first=4 * self.loads).start()
        self.load_goes_on()

    def load_goes_on(self):
        before = [len(ids) for ids in self.recorder.acknowledged]
        wait_until(lambda: all(len(ids) > b + 10 for ids, b in zip(self.recorder.acknowledged, before)), 30,
                   "every writer to go on")

    def switch(self, new, *more) -> float:
        """The longest pause of a writer, from the command until all of them go on."""
        began = time.monotonic()
        self.pair.tool.run("switchover", "--to", new, "--yes", *more)
        self.load_goes_on()
        return self.recorder.pause_since(began)


@pytest.mark.skipif(bool(hosts.refusal()) or not etcd.installed(), reason="needs network namespaces and etcd")
def test_the_pause_when_a_host_is_lost(full, rounds, seed):
    """With a witness: the application writes again within 5 s, each time with all that was acknowledged."""
    with measured("host lost, witness") as pauses:
        for n in rounds(1, 20):
            with Plant(seed=seed + n) as plant:
                began = time.monotonic()
                plant.network["a"].lose()
                plant.every_writer_goes_on()
                pauses.append(max(recorder.pause_since(began) for recorder in plant.recorders))
                plant.check(plant.b, changes=1)
    judge("host lost, witness", pauses, FAILOVER_LIMIT, full)


def test_the_pause_of_a_switchover(full, rounds):
    """With the relay: sessions end when they are idle, the forwarder holds new ones, and nothing is lost."""
    with Behind() as scene, measured("switchover with the relay") as pauses:
        scene.begin_load()
        for n in rounds(6, 100):
            new = "ba"[n % 2]
            pauses.append(scene.switch(new))
            scene.pair.wait_joined(master=new)
        scene.recorder.stop()
        for node in scene.pair.nodes.values():
            scene.recorder.check(node.postgres)
        same(scene.pair.a.postgres, scene.pair.b.postgres, "ledger")
        judge("switchover with the relay", pauses, SWITCHOVER_LIMIT, full)


def test_the_pause_of_a_switchover_of_the_server_alone(full, rounds):
    """No session ends, no client sees an error; then the old master's server is made anew by a bootstrap."""
    with Behind() as scene, measured("switchover of the server alone") as pauses:
        for n in rounds(2, 100):
            scene.begin_load()
            new, old = "ba"[n % 2], "ab"[n % 2]
            pauses.append(scene.switch(new, "--server-only"))
            scene.pair.nodes[new].relay.wait_state("ALONE")
            scene.recorder.stop()
            assert scene.recorder.errors == []
            scene.recorder.check(scene.pair.nodes[new].postgres, others=True)
            wait_until(lambda: not scene.pair.nodes[old].relay.status()["guests"], 20, "the last guest to have gone")
            scene.pair.tool.run("bootstrap", "--abort-clients", "--replace", timeout=120, on=new)
            scene.pair.wait_joined(master=new, timeout=30)
        judge("switchover of the server alone", pauses, SWITCHOVER_LIMIT, full)
