"""Hosts of their own: network namespaces on a switch, with cables that can be pulled and lines that can be cut one way.

A namespace has no name; it is there as long as this process or a program in it holds it. So nothing stays behind, however
the tests end. Two runs at the same time do not meet: each has a switch of its own. It needs root.

What one host sends to another is lost by giving it a wrong hardware address for that one: nobody is told, as on a line that
is broken one way. A host that is unplugged has no carrier. Single packets are lost by chance in the packet filter of the
host that they come to. Clocks can be set apart (clocks.py).
"""
import contextlib
import ctypes
import functools
import os
import re
import signal
import threading

from .places import run
from .process import alive, clean_environment, send

CLONE_NEWNET = 0x40000000
HERE = "/proc/thread-self/ns/net"
NETWORK = "10.77.0"
NOBODY = "02:00:00:00:00:ff"  # a hardware address that no host has

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Namespace:
    """A network namespace. `with namespace:` puts the calling thread into it, and what is started or connected there."""

    def __init__(self):
        before = os.open(HERE, os.O_RDONLY)
        try:
            _checked(_libc.unshare(CLONE_NEWNET))
            self.file = os.open(HERE, os.O_RDONLY)
        finally:
            _checked(_libc.setns(before, CLONE_NEWNET))
            os.close(before)
        self._before = threading.local()

    def __enter__(self):
        stack = self._before.__dict__.setdefault("stack", [])
        stack.append(os.open(HERE, os.O_RDONLY))
        _checked(_libc.setns(self.file, CLONE_NEWNET))
        return self

    def __exit__(self, *_):
        before = self._before.stack.pop()
        _checked(_libc.setns(before, CLONE_NEWNET))
        os.close(before)

    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self.file}"

    def processes(self) -> list:
        """Every process that is in it."""
        own = os.fstat(self.file)
        found = []
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                there = os.stat(f"/proc/{entry}/ns/net") if entry.isdigit() else None
                if there and there.st_ino == own.st_ino:
                    found.append(int(entry))
        return [pid for pid in found if alive(pid)]

    def close(self):
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def __call__(self, tool, words):
        with self:
            return run(tool, *words.split(), env=clean_environment())


@functools.lru_cache(maxsize=None)
def refusal() -> str:
    """Why there can be no hosts here; empty if there can."""
    try:
        Namespace().close()
        return ""
    except OSError as error:
        return f"no network namespaces: {error}"


@functools.lru_cache(maxsize=None)
def loss_refusal() -> str:
    """Why no packets can be lost by chance here; empty if they can."""
    try:
        namespace = Namespace()
        namespace("nft", "add table inet loss")
        namespace("nft", "add chain inet loss input { type filter hook input priority 0 ; }")
        namespace("nft", "add rule inet loss input numgen random mod 100 < 1 drop")
        namespace.close()
        return ""
    except (OSError, AssertionError) as error:
        return f"packets cannot be lost by chance (Debian package nftables): {error}"


class Host:
    """One host: an address, a cable to the switch, the programs that run on it."""

    def __init__(self, network, name, number):
        self.network, self.name, self.number = network, name, number
        self.address = f"{NETWORK}.{number}"
        self.hardware = f"02:00:00:00:00:{number:02x}"
        self.namespace = Namespace()
        self.programs = []

    def __enter__(self):
        return self.namespace.__enter__()

    def __exit__(self, *_):
        self.namespace.__exit__()

    def runs(self, *programs):
        """These programs are this host's from now on, in the order in which they start."""
        for program in programs:
            program.place(self.namespace)
            self.programs.append(program)

    # Its cable.
    def unplug(self):
        self.network.switch("ip", f"link set port{self.number} down")

    def plug(self):
        self.network.switch("ip", f"link set port{self.number} up")

    def send_to(self, other, reaches):
        """Whether what this host sends to `other` arrives there."""
        self.namespace("ip", f"neigh replace {other.address} lladdr {other.hardware if reaches else NOBODY} dev eth0 "
                             "nud permanent")

    def limit(self, rate):
        """Everything that this host sends, at `rate` (as "400kbit"); None: as fast as it can."""
        self.namespace("tc", f"qdisc replace dev eth0 root tbf rate {rate} burst 16k latency 500ms" if rate else
                       "qdisc del dev eth0 root")

    def drop(self, percent):
        """So many per cent of what comes to this host is lost, by chance; 0: nothing any more."""
        self.namespace("nft", "add table inet loss")
        self.namespace("nft", "delete table inet loss")
        if percent:
            self.namespace("nft", "add table inet loss")
            self.namespace("nft", "add chain inet loss input { type filter hook input priority 0 ; }")
            self.namespace("nft", f"add rule inet loss input iifname eth0 numgen random mod 100 < {percent} counter drop")

    def dropped(self) -> int:
        """How many packets have been lost so."""
        rules = self.namespace("nft", "list table inet loss").stdout
        return int(re.search(r"counter packets (\d+)", rules)[1])

    # The whole host.
    def lose(self):
        """The power fails: no packet leaves it any more, and nothing of it is left."""
        self.unplug()
        for program in reversed(self.programs):
            program.kill()
        for pid in self.namespace.processes():
            assert pid != os.getpid(), "the tests cannot lose the host that they are on"
            send(pid, signal.SIGKILL)

    def boot(self):
        self.plug()
        for program in self.programs:
            program.start(wait=False)
        for program in self.programs:
            program.wait_ready()

    def freeze(self):
        """As a virtual machine that is halted: nothing runs, and no packet is answered."""
        self.unplug()
        for program in reversed(self.programs):
            program.freeze()

    def thaw(self):
        """It goes on where it was, as if no time had passed."""
        for program in self.programs:
            program.thaw()
        self.plug()


class Network:
    """A switch, and hosts by name: `Network("a", "b", "witness")`."""

    def __init__(self, *names):
        self.switch = Namespace()
        self.switch("ip", "link add lan type bridge")
        self.switch("ip", "link set lan up")
        self.hosts = {}
        for number, name in enumerate(names, 1):
            self.hosts[name] = Host(self, name, number)
        for host in self.hosts.values():
            self._connect(host)

    def _connect(self, host):
        port = f"port{host.number}"
        self.switch("ip", f"link add {port} type veth peer name eth0 netns {host.namespace.path()} address {host.hardware}")
        self.switch("ip", f"link set {port} master lan up")
        host.namespace("ip", "link set lo up")
        host.namespace("ip", f"addr add {host.address}/24 dev eth0")
        host.namespace("ip", "link set eth0 up")
        for other in self.hosts.values():
            if other is not host:
                host.send_to(other, True)

    def __getitem__(self, name) -> Host:
        return self.hosts[name]

    def cut(self, one, other, way="both"):
        """`way`: both, or the name of the host that gets nothing from the other one any more."""
        self._line(one, other, way, False)

    def heal(self, one, other):
        self._line(one, other, "both", True)

    def _line(self, one, other, way, reaches):
        for sender, receiver in ((one, other), (other, one)):
            if way in ("both", receiver):
                self.hosts[sender].send_to(self.hosts[receiver], reaches)

    def end(self):
        for host in self.hosts.values():
            for program in reversed(host.programs):
                program.end()
            host.namespace.close()
        self.switch.close()
