"""`pgtandem witness add | remove`: a running pair begins to use a witness, and ceases to, under a load that goes on."""
import concurrent.futures
import json
import re

import pytest

from harness import etcd, holds, wait_until
from harness.places import program, run
from harness.process import clean_environment
from harness.scenes import WitnessScene, nothing_lost

TERM = 3.0  # witness.term, in seconds
PASSWORD = "a password of the witness-5519"

pytestmark = pytest.mark.skipif(not etcd.installed(), reason="there is no etcd (Debian package etcd-server)")


class Operator(WitnessScene):
    """Says `pgtandem witness` on the host of a node, and restarts relays."""

    def __init__(self, with_witness=True):
        # A restart on a busy machine takes its time.
        super().__init__(with_witness=with_witness, settings={"standby_timeout": "10s"})

    def says(self, action, node, *more, check=True):
        return self.pair.tool.run("witness", action, "--node", node, "--yes", *more, on=node, check=check)

    def adds(self, node, *more, check=True):
        return self.says("add", node, "--endpoints", self.url(node), *more, check=check)

    def removes(self, node, *more, check=True):
        return self.says("remove", node, *more, check=check)

    def refused(self, done, *texts, status=75):
        assert done.returncode == status, done.stdout + done.stderr
        for text in texts:
            assert text in done.stderr, done.stderr
        assert "\n  do: " in done.stderr, done.stderr

    def restarts(self, node, master="a"):
        self.pair.nodes[node].relay.restart()
        self.pair.wait_joined(master=master, timeout=30)
        self.load_goes_on()

    def file(self, node) -> str:
        return (self.pair.nodes[node].folder / "pgtandem.toml").read_text()

    def uses(self, node) -> bool:
        return self.pair.nodes[node].relay.status()["witness"] is not None

    def holds_sync(self):
        wait_until(lambda: self.record() and self.record()["sync"], 15, "the witness to hold that the standby is joined")


@pytest.mark.slow
def test_a_witness_is_added_to_a_running_pair():
    """The standby first, then the master, each once its relay runs with it; then a lost host is taken over from."""
    with Operator(with_witness=False) as scene:
        pair = scene.pair
        before = {node: scene.file(node) for node in "ab"}
        scene.refused(scene.adds("a", check=False), "the standby comes first", "on the host of node b first")
        assert scene.file("a") == before["a"]
        done = scene.adds("b")
        assert "systemctl restart pgtandem-relay" in done.stdout and "on host 127.0.0.1 (node a)" in done.stdout
        assert scene.file("b") == before["b"] + f'\n[witness]\nendpoints = ["{scene.url("b")}"]\n'
        scene.refused(scene.adds("a", check=False), "its relay runs without this witness")
        assert "nothing to do" in scene.adds("b").stdout
        scene.restarts("b")
        scene.refused(scene.adds("a", "--term", "5s", check=False), "witness.term = 3000ms, this would be 5000ms")
        scene.refused(scene.adds("a", "--prefix", "/other", check=False), f"'/pgtandem/{pair.uuid}'")
        assert scene.file("a") == before["a"]
        scene.adds("a")
        scene.restarts("a")
        scene.holds_sync()
        assert pair.a.relay.status()["witness"]["key"] == f"/pgtandem/{pair.uuid}"
        scene.kill_host_a()
        scene.b_takes_over()
        scene.load_goes_on()
        nothing_lost(scene, pair.b)


@pytest.mark.slow
def test_a_witness_is_removed_and_what_it_keeps_is_not_trusted_again():
    """The standby first; the record that stays there is refused by the next add, until it is deleted on purpose."""
    with Operator() as scene:
        pair = scene.pair
        scene.holds_sync()
        scene.refused(scene.removes("a", check=False), "the standby comes first", "on the host of node b first")
        scene.removes("b")
        scene.restarts("b")
        scene.refused(pair.tool.run("switchover", "--yes", check=False), "node b does not use the witness")
        shown = scene.removes("a").stdout
        scene.restarts("a")
        assert not scene.uses("a") and not scene.uses("b")
        scene.with_witness = False
        assert all(scene.file(node.name) == pair.config(node) for node in pair.nodes.values())
        left = scene.record()
        assert left["master"] == "a"
        scene.refused(scene.adds("b", check=False), f"etcdctl del /pgtandem/{pair.uuid}", "--replace-record")
        # As it was shown at the end of the removal.
        words = re.search(r"pgtandem witness (remove --record .*)", shown).group(1).split()
        assert "is deleted" in pair.tool.run("witness", *words, "--node", "a", "--yes").stdout
        assert scene.record() is None
        assert "nothing to do" in pair.tool.run("witness", *words, "--node", "a", "--yes").stdout
        # And with a record once more, as it was then: signed, and so one that a standby would go by.
        scene.etcd.put(pair.uuid, json.dumps(left, separators=(",", ":")))
        scene.refused(scene.adds("b", check=False), "--replace-record")
        scene.adds("b", "--replace-record")
        assert scene.record() is None
        scene.restarts("b")
        scene.adds("a")
        scene.restarts("a")
        scene.holds_sync()
        scene.kill_host_a()
        scene.b_takes_over()
        scene.load_goes_on()
        nothing_lost(scene, pair.b)


@pytest.mark.slow
def test_a_witness_that_is_gone_for_good_is_removed():
    """The master first: it serves by the promise of a standby that uses the witness. Nobody stops serving."""
    with Operator() as scene:
        pair = scene.pair
        scene.holds_sync()
        scene.etcd.kill()
        for node in pair.nodes.values():
            wait_until(lambda relay=node.relay: not relay.status()["witness"]["answers"], 10, "the witness to be missed")
        scene.refused(scene.removes("b", check=False), "serves by this node's promise", "on the host of node a first")
        scene.removes("a")
        scene.restarts("a")
        # It comes back in between, with what it held then.
        scene.etcd.start()
        holds(lambda: pair.a.relay.state() == "MASTER" and pair.b.relay.state() == "STANDBY", 2 * TERM, "nobody takes over")
        scene.removes("b")
        scene.restarts("b")
        assert not scene.uses("a") and not scene.uses("b")
        nothing_lost(scene, pair.a, pair.b)


@pytest.mark.slow
def test_what_add_refuses():
    """A witness that is away, a wrong password, a file that it cannot edit: told, and nothing is changed."""
    with Operator(with_witness=False) as scene:
        pair = scene.pair
        path = pair.b.folder / "pgtandem.toml"
        before = path.read_text()
        scene.etcd.kill()
        away = scene.adds("b", check=False)
        scene.refused(away, "not every member of the witness answers", status=69)
        scene.etcd.start()
        scene.etcd.enable_auth("pgtandem", PASSWORD)
        scene.refused(scene.adds("b", check=False), "user name is empty", status=69)
        secret = pair.b.folder / "witness-password"
        secret.touch(mode=0o600)
        secret.write_text("another password-5520\n")
        login = ("--user", "pgtandem", "--password-file", secret)
        wrong = scene.adds("b", *login, check=False)
        scene.refused(wrong, "cannot log in", status=69)
        assert "another password" not in wrong.stdout + wrong.stderr
        secret.write_text(PASSWORD + "\n")
        half = scene.adds("b", "--user", "pgtandem", check=False)
        assert half.returncode == 78 and "belong together" in half.stderr
        path.write_text('witness.prefix = "/pgtandem"\n' + before)
        scene.refused(scene.adds("b", *login, check=False), "line 1", "dotted keys", status=78)
        path.write_text(before)
        variables = {**clean_environment(), "PGTANDEM_WITNESS_TERM": "5s"}
        over = run(*pair.tool.command("witness", "add", "--endpoints", scene.url("b"), "--node", "b", "--yes", on="b"),
                   check=False, env=variables)
        scene.refused(over, "PGTANDEM_WITNESS_TERM lies over the file", status=78)
        by_relay = run(program("pgtandem"), "--relay", pair.tool.relays[1], "witness", "remove", "--yes", check=False,
                       env=clean_environment())
        scene.refused(by_relay, "no file was given", status=78)
        assert path.read_text() == before
        done = scene.adds("b", *login)
        assert "in clear text over http://" in done.stderr
        assert path.read_text() == before + f'\n[witness]\nendpoints = ["{scene.url("b")}"]\nuser = "pgtandem"\n' \
                                            f'password_file = "{secret}"\n'
        # Not restarted yet: it can be taken back.
        scene.removes("b")
        assert path.read_text() == before


def test_two_operators_at_once_leave_one_section():
    """On one host: one writes it, the others are told that it is there, or that somebody is at it."""
    with Operator(with_witness=False) as scene:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            runs = [run.result() for run in [pool.submit(scene.adds, "b", check=False) for _ in range(4)]]
        assert any(run.returncode == 0 for run in runs), [run.stderr for run in runs]
        for run_ in runs:
            assert run_.returncode == 0 or "another pgtandem is changing" in run_.stderr, run_.stderr
        assert scene.file("b").count("[witness]") == 1
        assert sorted(p.name for p in scene.pair.b.folder.glob("pgtandem.toml*")) == ["pgtandem.toml"]
