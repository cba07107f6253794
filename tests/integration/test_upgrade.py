"""A major upgrade, step by step as docs/upgrade.md says, under load."""
import psycopg
import pytest

from harness import Forwarder, ListAppend, Pair, Recorder, Sshd, newer_postgres, wait_until
from harness.anomalies import History
from harness.list_append import LISTS
from harness.recorder import TABLE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not newer_postgres.installed(), reason="there is no PostgreSQL 18 (scripts/setup fetches it)"),
]


class Plant:
    """A joined pair of two servers of one version, and applications behind a forwarder."""

    def __init__(self):
        self.sshd = Sshd()
        self.pair = Pair(sshd=self.sshd)
        self.forwarder = Forwarder(self.pair.forwarder_relays())
        self.recorder = self.lists = None

    def __enter__(self):
        self.sshd.start()
        self.pair.start()
        self.forwarder.start()
        with self.session() as session:
            session.execute(TABLE)
            session.execute(LISTS)
        self.recorder = Recorder(self.forwarder.tcp()).start()
        self.lists = ListAppend([(self.forwarder.tcp(), None)] * 2, levels=("READ COMMITTED",)).start()
        self.load_goes_on()
        return self

    def __exit__(self, *_):
        self.end_loads()
        for part in (self.forwarder, self.pair, self.sshd):
            part.end()

    def end_loads(self):
        for load in (self.recorder, self.lists):
            if load:
                load.stop()

    def session(self):
        return psycopg.connect(self.forwarder.tcp(), autocommit=True, connect_timeout=20)

    def load_goes_on(self):
        recorded, listed = self.recorder.count, self.lists.count
        wait_until(lambda: self.recorder.count > recorded + 100 and self.lists.count > listed + 20, 40, "the loads to go on")

    def version(self) -> int:
        """Of the server that applications are on."""
        with self.session() as session:
            return session.info.server_version // 10000

    def switch(self, new):
        self.pair.tool.run("switchover", "--to", new, "--yes")
        self.pair.wait_joined(master=new, timeout=30)
        self.load_goes_on()


def test_from_15_to_18_under_load():
    """The standby is made anew with the later version, joined, watched, switched to, back, and to again; the old one goes."""
    with Plant() as plant:
        pair = plant.pair
        old_version = plant.version()
        # 1. The standby's server is taken out, and a later one is put in its place.
        pair.b.relay.stop()
        pair.b.postgres.stop()
        pair.a.relay.wait_state("ALONE", timeout=20)
        plant.load_goes_on()
        newer = newer_postgres.NewerPostgres()
        newer.port = pair.b.postgres.port
        old_standby, pair.b.postgres = pair.b.postgres, newer
        old_standby.drop_files()
        newer.start()
        pair.b.relay.start()
        pair.b.relay.wait_state("STALE", timeout=20)
        # 2. It gets the data and joins.
        pair.tool.run("bootstrap", "--abort-clients", "--replace", timeout=120)
        pair.wait_joined(timeout=30)
        # 3. Real traffic on both.
        plant.load_goes_on()
        assert pair.a.relay.status()["differences"]["writes"] == 0
        pair.a.relay.assert_still_joined()
        # 4. The applications go to the later version; back; and there again.
        for new, version in (("b", 18), ("a", old_version), ("b", 18)):
            plant.switch(new)
            assert plant.version() == version
            pair.nodes[new].relay.assert_still_joined()
            assert pair.nodes[new].relay.status()["differences"]["writes"] == 0
        # 5. The old one goes.
        pair.a.relay.stop()
        pair.a.postgres.stop()
        pair.b.relay.wait_state("ALONE", timeout=20)
        plant.load_goes_on()
        plant.end_loads()
        plant.recorder.check(newer)
        found = History(plant.lists.history, plant.lists.final(newer)).anomalies()
        assert not found, found[:10]
