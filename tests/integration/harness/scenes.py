"""A joined pair under a load whose acknowledgements are kept, with or without a witness that each node reaches by a line of
its own."""
import psycopg

from .compare import same
from .etcd import Etcd
from .fault_proxy import FaultProxy
from .forwarder import Forwarder
from .recorder import TABLE, Recorder
from .relay import Pair
from .waiting import wait_until


class Scene:
    """A joined pair with proxies between its hosts, and a load through a forwarder."""

    def __init__(self, sections=None, settings=None, network=True):
        self.pair = Pair(network=network, sections=sections, settings=settings)
        self.forwarder = Forwarder(self.pair.forwarder_relays())
        self.recorder = None

    def __enter__(self):
        self.before()
        self.pair.start(init=False)
        self.init()
        self.forwarder.start()
        with psycopg.connect(self.pair.a.relay.tcp(), autocommit=True) as session:
            session.execute(TABLE)
        self.recorder = Recorder(self.forwarder.tcp()).start()
        self.load_goes_on()
        return self

    def before(self):
        pass

    def init(self):
        self.pair.init()

    def __exit__(self, *_):
        if self.recorder:
            self.recorder.stop()
        self.forwarder.end()
        self.pair.end()

    def load_goes_on(self, timeout=30, by=50):
        reached = self.recorder.count
        wait_until(lambda: self.recorder.count > reached + by, timeout, "the load to go on")

    def kill_host_a(self):
        self.pair.a.relay.kill()
        self.pair.a.postgres.kill()

    def start_host_a(self):
        self.pair.a.postgres.start()
        self.pair.a.relay.start()


class WitnessScene(Scene):
    """With an etcd that each node reaches by a line of its own, which can be cut."""

    def __init__(self, certificates=None, more=None, with_witness=True, settings=None):
        """`with_witness`: in the files from the start."""
        self.etcd = Etcd(certificates)
        self.lines = {name: FaultProxy(self.etcd.port) for name in "ab"}
        self.more = more or {}
        self.with_witness = with_witness
        super().__init__(sections=self.witness_section, settings=settings)

    def url(self, node) -> str:
        """Of the witness, by that node's line."""
        return self.etcd.url(self.lines[node].port)

    def witness_section(self, node):
        section = {"endpoints": [self.url(node)], **self.more}
        return {"witness": section} if self.with_witness else {}

    def before(self):
        self.etcd.start()
        for line in self.lines.values():
            line.start()

    def init(self):
        for node in self.pair.nodes.values() if self.with_witness else ():
            wait_until(lambda relay=node.relay: relay.status()["witness"]["answers"], 15, "the witness to be heard")
        self.pair.init()

    def __exit__(self, *_):
        super().__exit__()
        for line in self.lines.values():
            line.end()
        self.etcd.end()

    def b_takes_over(self, timeout=20):
        self.pair.b.relay.wait_state("ALONE", timeout=timeout)

    def record(self):
        return self.etcd.record(self.pair.uuid)


def nothing_lost(scene, *nodes):
    scene.recorder.stop()
    for node in nodes:
        scene.recorder.check(node.postgres)
    if len(nodes) == 2:
        same(*(node.postgres for node in nodes), "ledger")
