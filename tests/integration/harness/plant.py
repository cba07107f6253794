"""A plant: two server hosts, a witness host, two workstations, a load on each workstation whose every answer is kept."""
import contextlib

import psycopg

from .anomalies import History, masters_in_turn
from .etcd import Etcd
from .forwarder import Forwarder
from .hosts import Network
from .list_append import LISTS, ListAppend
from .recorder import TABLE, Recorder
from .relay import Pair
from .waiting import wait_until

ACTIVE = ("MASTER", "ALONE", "DEGRADING", "DRAINING")
WORKSTATIONS = ("desk1", "desk2")
ACCESS = ("--access", "10.77.0.0/24 all all allow")


class Plant:
    """A joined pair, `a` its master, and forwarders with loads before it. `with plant:` starts and ends everything.

    `levels`: the isolation levels of the transactions on lists. Servers are named by their setting cluster_name, which each session of the ledger's load asks for first.
    `clocks`: by host, where those of its relay or forwarder are set apart (a PostgreSQL server hangs with that library).
    """

    def __init__(self, witness=True, seed=0, settings=None, connect_wait="30s", load=True, levels=("READ COMMITTED",),
                 clocks=None):
        self.network = Network("a", "b", "witness", *WORKSTATIONS)
        self.seed, self.loaded, self.levels = seed, load, levels
        self.etcd = None
        if witness:
            self.etcd = Etcd(address=self.network["witness"].address)
            self.network["witness"].runs(self.etcd)
        self.pair = Pair(hosts=self.network.hosts, settings=settings, sections=self.sections, flags=ACCESS)
        for node in self.pair.nodes.values():
            node.postgres.settings["cluster_name"] = node.name
        self.forwarders = {}
        for name in WORKSTATIONS:
            self.forwarders[name] = Forwarder(self.pair.forwarder_relays(), connect_wait=connect_wait)
            self.network[name].runs(self.forwarders[name])
        for name, host_clocks in (clocks or {}).items():
            program = self.forwarders.get(name) or self.pair.nodes[name].relay
            program.clocks = host_clocks
        self.recorders, self.lists = [], None
        self.a, self.b = self.pair.a, self.pair.b

    def sections(self, _node):
        return {"witness": {"endpoints": [self.etcd.url()]}} if self.etcd else {}

    # Life.
    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def start(self):
        if self.etcd:
            self.etcd.start()
        for node in self.pair.nodes.values():
            node.postgres.start()
        self.pair.start_relays()
        if self.etcd:
            for node in self.pair.nodes.values():
                wait_until(lambda relay=node.relay: relay.status()["witness"]["answers"], 15, "the witness to be heard")
        self.pair.init()
        self.witness_holds_sync()
        for forwarder in self.forwarders.values():
            forwarder.start()
        with self.session("desk1") as session:
            session.execute(TABLE)
            session.execute(LISTS)
        if self.loaded:
            self.start_loads()

    def start_loads(self):
        places = [(self.forwarders[name].tcp(), self.network[name].namespace) for name in WORKSTATIONS]
        self.recorders = [Recorder(places[n][0], writers=2, seed=self.seed + n, namespace=places[n][1], first=2 * n,
                                   ask="SHOW cluster_name") for n in range(len(places))]
        self.lists = ListAppend([*places, *places], self.seed, levels=self.levels)
        for load in self.loads():
            load.start()
        self.load_goes_on()

    def end(self):
        with contextlib.ExitStack() as stack:
            stack.callback(self.network.end)
            for node in self.pair.nodes.values():
                stack.callback(node.postgres.drop_files)
                stack.callback(node.relay.end)
            for load in self.loads():
                stack.callback(load.stop)

    def loads(self):
        return [*self.recorders, *([self.lists] if self.lists else [])]

    # As a client.
    @contextlib.contextmanager
    def session(self, name):
        """A session of a workstation, through its forwarder."""
        with self.network[name], psycopg.connect(self.forwarders[name].tcp(), autocommit=True, connect_timeout=20) as made:
            yield made

    # Conditions.
    def witness_holds_sync(self):
        if self.etcd:
            wait_until(lambda: self.record()["sync"], 15, "the witness to hold that the standby is joined")

    def record(self):
        return self.etcd.record(self.pair.uuid)

    def load_goes_on(self, timeout=30, on=WORKSTATIONS):
        """Every load on these workstations gets further acknowledgements."""
        recorders = [r for r, name in zip(self.recorders, WORKSTATIONS) if name in on]
        before = [r.count for r in recorders], self.lists.count
        wait_until(lambda: all(r.count > b + 20 for r, b in zip(recorders, before[0])) and self.lists.count > before[1] + 10,
                   timeout, "the loads to go on")

    def every_writer_goes_on(self, timeout=30):
        before = [len(ids) for r in self.recorders for ids in r.acknowledged]
        wait_until(lambda: all(len(ids) > b + 5 for (ids, b) in zip((ids for r in self.recorders for ids in r.acknowledged),
                                                                   before)), timeout, "every writer to go on")

    def acknowledged(self) -> int:
        return sum(r.count for r in self.recorders) + self.lists.count

    def epoch(self, node) -> int:
        return node.relay.status()["role"]["epoch"]

    def errors(self) -> list:
        """What the ledger's writers have been told."""
        return [text for recorder in self.recorders for _, _, text in recorder.errors]

    def serving(self) -> list:
        """The names of the nodes that serve frontends now."""
        return [node.name for node in self.pair.nodes.values() if node.relay.running() and node.relay.state() in ACTIVE]

    # The judgement.
    def end_loads(self):
        for load in self.loads():
            load.stop()

    def rows(self, node) -> set:
        """The ids in that node's ledger."""
        return {row[0] for row in node.postgres.sql("SELECT id FROM ledger", database="app")}

    def written(self) -> set:
        """The ids that were acknowledged."""
        return set().union(*(ids for r in self.recorders for ids in r.acknowledged))

    def check(self, node, changes):
        """Ends the loads. `node` holds every acknowledged write, and what clients saw can have been one server, which
        changed its host no more than `changes` times."""
        self.end_loads()
        there, acknowledged = self.rows(node), self.written()
        assert acknowledged, "nothing was acknowledged: these loads show nothing"
        lost = sorted(acknowledged - there)
        assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged writes are not on {node.name}: {lost[:20]}"
        strange = there - set().union(*(ids for r in self.recorders for ids in r.attempted))
        assert not strange, f"{node.name} holds ids that nobody wrote: {sorted(strange)[:20]}"
        turns = masters_in_turn([entry for r in self.recorders for entry in r.log])
        assert len(turns) <= changes + 1, f"two masters at the same time: {turns}"
        history = History(self.lists.history, self.lists.final(node.postgres))
        assert len(history.committed()) > 20, "too few transactions to show anything"
        found = history.anomalies()
        early = [text for kind, text in found if kind == "early read"]
        print(f"{len(acknowledged)} writes and {len(history.committed())} transactions acknowledged, turns {turns}, "
              f"{len(early)} early reads")
        found = [f"{kind}: {text}" for kind, text in found if kind != "early read"]
        assert not found, f"{len(found)} anomalies:\n" + "\n".join(found[:10])
