"""Hosts and lines fail: two servers, a witness and two workstations, each a host of its own (network namespaces).

On both workstations run an append-only load and transactions on lists; every answer is kept. Afterwards the survivor holds
all that was acknowledged, no two masters have acknowledged at a time, and no client has seen what one server cannot show.
"""
import concurrent.futures
import datetime
import random
import time

import pytest

from harness import Plant, clocks, etcd, holds, hosts, list_append, wait_until
from harness.clocks import Clocks
from harness.plant import ACTIVE

TERM = 3.0  # witness.term, in seconds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(hosts.refusal()), reason=hosts.refusal()),
    pytest.mark.skipif(not etcd.installed(), reason="there is no etcd (Debian package etcd-server)"),
]


@pytest.fixture
def levels(full):
    return list_append.ALL_LEVELS if full else ("READ COMMITTED",)


@pytest.fixture
def plant(seed, levels):
    with Plant(seed=seed, levels=levels) as made:
        yield made


@pytest.fixture
def without_witness(seed, levels):
    with Plant(witness=False, seed=seed, levels=levels) as made:
        yield made


def nobody_serves(plant):
    return plant.serving() == []


# Hosts.

def test_a_lost_host_is_taken_over(plant):
    """The master's host loses its power: the standby serves; the host that comes back is stale and gives nothing out."""
    plant.network["a"].lose()
    plant.b.relay.wait_state("ALONE", timeout=20)
    plant.load_goes_on()
    plant.network["a"].boot()
    plant.a.relay.wait_state("STALE", timeout=20)
    plant.load_goes_on()
    assert plant.record()["master"] == "b"
    plant.check(plant.b, changes=1)


def test_a_lost_standby_is_left_behind(plant):
    """The standby's host loses its power: the master goes on alone within standby_timeout, and what returns is stale."""
    errors = plant.errors()
    plant.network["b"].lose()
    plant.a.relay.wait_state("ALONE", timeout=20)
    plant.load_goes_on()
    assert plant.errors() == errors
    plant.network["b"].boot()
    plant.b.relay.wait_state("STALE", timeout=20)
    # Nor does it take over when it is the only one that is left: it has not everything.
    plant.network["a"].lose()
    holds(lambda: nobody_serves(plant), 2 * TERM, "a stale node does not serve")
    plant.network["a"].boot()
    plant.a.relay.wait_state("ALONE", timeout=20)
    plant.load_goes_on()
    plant.check(plant.a, changes=0)


def test_a_frozen_host_wakes_up_too_late(plant):
    """The master's host stands still for longer than its right lasts: it acknowledges nothing when it goes on."""
    plant.network["a"].freeze()
    plant.b.relay.wait_state("ALONE", timeout=20)
    plant.load_goes_on()
    plant.network["a"].thaw()
    plant.a.relay.wait_state("STALE", timeout=20)
    plant.load_goes_on()
    plant.check(plant.b, changes=1)


def test_all_hosts_lost_and_the_standby_alone_comes_back(plant):
    """It was joined, and the witness says so: after the term it serves, with everything that was acknowledged."""
    for name in ("witness", "a", "b"):
        plant.network[name].lose()
    plant.network["b"].boot()
    holds(lambda: nobody_serves(plant), TERM, "without the witness nobody serves")
    plant.network["witness"].boot()
    plant.b.relay.wait_state("ALONE", timeout=30)
    plant.load_goes_on()
    plant.network["a"].boot()
    plant.a.relay.wait_state("STALE", timeout=20)
    plant.check(plant.b, changes=1)


@pytest.mark.full
def test_all_hosts_lost_and_the_standby_alone_comes_back_without_a_witness(without_witness):
    """It does not know what the master did meanwhile: it waits, and says so, until an operator promotes it."""
    plant = without_witness
    for name in ("a", "b"):
        plant.network[name].lose()
    plant.network["b"].boot()
    holds(lambda: nobody_serves(plant), TERM, "nobody serves without an operator's word")
    assert "promote" in plant.b.relay.status()["hint"]
    plant.pair.tool.promote("b", other_host_is_off=True)
    plant.b.relay.wait_state("ALONE", timeout=20)
    plant.load_goes_on()
    plant.network["a"].boot()
    plant.a.relay.wait_state("STALE", timeout=20)
    plant.check(plant.b, changes=1)


# Lines.

def test_what_is_away_for_a_while_and_costs_nothing(plant, full):
    """The witness' host off and on again; the master's line to the witness cut: the pair stays as it is, without an error."""
    errors, epoch = plant.errors(), plant.epoch(plant.a)

    def undisturbed():
        return plant.a.relay.state() == "MASTER" and plant.a.relay.joined() and nobody_else(plant, "a")

    plant.network["witness"].lose()
    wait_until(lambda: not plant.a.relay.status()["witness"]["answers"], 10, "the master to miss the witness")
    holds(undisturbed, 1.5 * TERM, "the pair goes on without the witness")
    plant.network["witness"].boot()
    wait_until(lambda: plant.a.relay.status()["witness"]["answers"], 20, "the master to hear the witness")
    for way in ("both", "a", "witness") if full else ("both",):
        plant.network.cut("a", "witness", way)
        wait_until(lambda: not plant.a.relay.status()["witness"]["answers"], 10, "the master to miss the witness")
        holds(undisturbed, 1.5 * TERM, "the standby hears the master, and lets it be")
        plant.network.heal("a", "witness")
        wait_until(lambda: plant.a.relay.status()["witness"]["answers"], 20, "the master to hear the witness")
    plant.load_goes_on()
    assert plant.errors() == errors
    assert plant.epoch(plant.a) == epoch
    plant.network["a"].lose()
    plant.b.relay.wait_state("ALONE", timeout=20)
    plant.load_goes_on()
    plant.check(plant.b, changes=1)


def nobody_else(plant, master):
    return plant.serving() == [master]


@pytest.mark.parametrize("way", ["both", "a", pytest.param("b", marks=pytest.mark.full)])
def test_the_hosts_lose_each_other(plant, way):
    """The line between them is cut, one way too: the master has the witness and goes on alone; the standby is stale."""
    errors = plant.errors()
    plant.network.cut("a", "b", way)
    plant.a.relay.wait_state("ALONE", timeout=20)
    plant.load_goes_on()
    assert plant.errors() == errors
    holds(lambda: nobody_else(plant, "a"), TERM + 1, "the other one does not take over")
    plant.network.heal("a", "b")
    plant.b.relay.wait_state("STALE", timeout=20)
    plant.load_goes_on()
    plant.check(plant.a, changes=0)


def test_a_master_that_only_workstations_reach(plant):
    """Cut off from the witness and the standby, it ends in time, although clients go on writing to it."""
    plant.network.cut("a", "b")
    plant.network.cut("a", "witness")
    plant.b.relay.wait_state("ALONE", timeout=20)
    assert plant.a.relay.state() not in ACTIVE
    assert plant.a.relay.log_contains("right to be master has run out")
    plant.load_goes_on()
    plant.network.heal("a", "b")
    plant.network.heal("a", "witness")
    plant.a.relay.wait_state("STALE", timeout=20)
    plant.load_goes_on()
    plant.check(plant.b, changes=1)


def test_witness_and_line_lost_together(plant):
    """Nobody can know: within the term nobody serves. When the witness is back, one does."""
    plant.network["witness"].lose()
    plant.network.cut("a", "b")
    wait_until(lambda: nobody_serves(plant), 15, "the master to be fenced")
    acknowledged = plant.acknowledged()
    holds(lambda: nobody_serves(plant) and plant.acknowledged() == acknowledged, TERM, "nobody serves")
    plant.network["witness"].boot()
    survivor = wait_until(plant.serving, 30, "one of them to serve")[0]
    plant.load_goes_on()
    plant.network.heal("a", "b")
    plant.load_goes_on()
    assert plant.serving() == [survivor]
    plant.check(plant.pair.nodes[survivor], changes=1)


@pytest.mark.parametrize("run", [0, *(pytest.param(n, marks=pytest.mark.full) for n in range(1, 10))])
def test_lines_that_flap(plant, seed, run):
    """Lines between all of them come and go at random: in the end one serves, and has everything."""
    choice = random.Random(f"{seed} {run}")
    lines = [("a", "b"), ("a", "witness"), ("b", "witness")]
    for _ in range(12):
        line = choice.choice(lines)
        plant.network.cut(*line, way=choice.choice(("both", *line)))
        time.sleep(choice.random())  # the fault is that long
        plant.network.heal(*choice.choice((line, *lines)))
    for line in lines:
        plant.network.heal(*line)
    plant.load_goes_on(60)
    survivor = plant.serving()
    assert len(survivor) == 1
    other = plant.b if survivor == ["a"] else plant.a
    other.relay.wait_state("STANDBY", "STALE", timeout=20)
    changes = plant.epoch(plant.pair.nodes[survivor[0]]) - 1
    plant.check(plant.pair.nodes[survivor[0]], changes=changes)


@pytest.mark.full
def test_a_slow_line(plant):
    """The master's host sends 50 kB/s: everybody waits for it, nobody is wrong, and nothing is lost when it dies then."""
    plant.network["a"].limit("400kbit")
    plant.load_goes_on(60)
    assert nobody_else(plant, "a")
    joined = plant.a.relay.joined()
    plant.network["a"].limit(None)
    plant.load_goes_on()
    if joined:
        plant.network["a"].lose()
        plant.b.relay.wait_state("ALONE", timeout=20)
        plant.load_goes_on()
    plant.check(plant.b if joined else plant.a, changes=1)


@pytest.mark.skipif(bool(hosts.loss_refusal()), reason=hosts.loss_refusal())
@pytest.mark.parametrize("percent", [5, pytest.param(20, marks=pytest.mark.full)])
def test_lines_that_lose_packets(plant, percent):
    """Of all that comes to the servers and the witness some packets are lost by chance: it is slower, and nothing else."""
    losing = [plant.network[name] for name in ("a", "b", "witness")]
    for host in losing:
        host.drop(percent)
    for _ in range(3):
        plant.load_goes_on(60)
    wait_until(lambda: all(host.dropped() > 3 for host in losing), 60, "packets to be lost at each of them")
    wait_until(lambda: len(plant.serving()) == 1, 30, "one to serve")
    for host in losing:
        host.drop(0)
    plant.load_goes_on(60)
    survivor = plant.pair.nodes[plant.serving()[0]]
    other = plant.b if survivor is plant.a else plant.a
    other.relay.wait_state("STANDBY", "STALE", timeout=20)
    plant.check(survivor, changes=plant.epoch(survivor) - 1)


# Clocks.

DAY, HOUR = 86400, 3600


@pytest.fixture
def plant_of_wrong_clocks(seed, levels):
    apart = {"a": Clocks(wall=HOUR, boot=30 * DAY), "b": Clocks(wall=-HOUR), "desk1": Clocks(wall=3 * HOUR, boot=DAY)}
    with Plant(seed=seed, levels=levels, clocks=apart) as made:
        yield made


def wall_of(node):
    """What time the node's relay last put to an event, in seconds since 1970."""
    return datetime.datetime.fromisoformat(node.relay.status()["events"][-1]["time"].replace("Z", "+00:00")).timestamp()


@pytest.mark.skipif(bool(clocks.refusal()), reason=clocks.refusal())
def test_clocks_an_hour_off(plant_of_wrong_clocks):
    """Wall clocks hours apart, hosts booted a month apart: a takeover and the way back are as ever, clocks decide nothing."""
    plant = plant_of_wrong_clocks
    assert abs(wall_of(plant.a) - time.time() - HOUR) < 300
    assert abs(wall_of(plant.b) - time.time() + HOUR) < 300
    plant.network["a"].lose()
    plant.b.relay.wait_state("ALONE", timeout=20)
    plant.load_goes_on()
    plant.network["a"].boot()
    plant.a.relay.wait_state("STALE", timeout=20)
    plant.network["witness"].lose()
    wait_until(lambda: not plant.b.relay.status()["witness"]["answers"], 10, "the master to miss the witness")
    holds(lambda: plant.serving() == ["b"], 1.5 * TERM, "the other node's promise counts, whatever its clock says")
    plant.network["witness"].boot()
    plant.load_goes_on()
    plant.check(plant.b, changes=1)


# Operators.

def test_a_wrong_word_is_found_out(without_witness):
    """During a partition the standby is promoted, "the other host is off", and it is not: SPLIT, and nothing is thrown away."""
    plant = without_witness
    plant.network.cut("a", "b")
    plant.network.cut("desk1", "b")
    plant.network.cut("desk2", "a")
    plant.a.relay.wait_state("ALONE", timeout=20)
    plant.pair.tool.promote("b", other_host_is_off=True)
    plant.b.relay.wait_state("ALONE", timeout=20)
    plant.load_goes_on()  # each workstation at the master that it reaches
    assert plant.serving() == ["a", "b"]
    for line in (("a", "b"), ("desk1", "b"), ("desk2", "a")):
        plant.network.heal(*line)
    nodes = plant.pair.nodes.values()
    split = wait_until(lambda: [n.name for n in nodes if n.relay.state() == "SPLIT"], 20, "the split to be seen")
    assert split == ["a"], "the later epoch goes on"
    assert "giveup" in plant.a.relay.status()["hint"]
    plant.load_goes_on()
    holds(lambda: nobody_else(plant, "b"), 1, "only one serves")
    plant.end_loads()
    everywhere = plant.rows(plant.a) | plant.rows(plant.b)
    assert plant.written() <= everywhere, "what either of them acknowledged is on one of the two"
    assert plant.written() - plant.rows(plant.b), "the word was wrong: something is on the other one alone"
    plant.pair.tool.run("giveup", "--node", "a", "--yes", on="a")
    plant.a.relay.wait_state("STALE", timeout=20)


@pytest.mark.parametrize("second", ["promote --node b", pytest.param("fence --node a --yes", marks=pytest.mark.full),
                                    pytest.param("switchover --to b --yes", marks=pytest.mark.full)])
def test_two_operators_at_once(plant, second):
    """One switches over while the other one gives another command on the other host: one serves in the end."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = [pool.submit(plant.pair.tool.run, *words, check=False, on=on)
                for words, on in ((("switchover", "--to", "b", "--yes"), "a"), (second.split(), "b"))]
        done = [run.result() for run in runs]
    assert any(run.returncode == 0 for run in done), [run.stderr for run in done]
    assert all(run.returncode in (0, 75) for run in done), [run.stderr for run in done]
    wait_until(lambda: len(plant.serving()) == 1, 30, "one to serve")
    plant.load_goes_on()
    survivor = plant.pair.nodes[plant.serving()[0]]
    plant.check(survivor, changes=plant.epoch(survivor) - 1)
