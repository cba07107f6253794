"""A relay, flags-only or as one node of a pair; the pair; the operator's tool."""
import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import uuid

from .control import Control
from .fault_proxy import FaultProxy
from .places import PG_BIN, free_port, new_folder, program, run
from .postgres import APP_PASSWORD, SERVICE_USER, Postgres, service_passfile
from .process import Program, clean_environment
from .waiting import wait_until

TOKEN = "token-of-the-tests"


class Relay(Program):
    """pgtandem-relay. `arguments` is the command line behind the program's name."""

    start_timeout = 30.0

    def __init__(self, name, folder, port, control_port, arguments, socket_folder=None):
        self.name = name
        super().__init__(folder)
        self.port = port
        self.control_port = control_port
        self.arguments = arguments
        self.socket_folder = socket_folder
        self.state_dir = folder / "state"
        self.control = Control(control_port, TOKEN)

    @classmethod
    def flags_only(cls, master, standby=None, *more, name="relay", standby_port=None):
        """Between `master` and `standby` (Postgres); `standby_port`: reach the standby by this port instead."""
        folder = new_folder(name)
        port, control_port = free_port(), free_port()
        flags = ["--listen", f"127.0.0.1:{port}", "--listen", f"[::1]:{port}", "--master", master.endpoint(),
                 "--state-dir", folder / "state", "--unix-socket-dir", folder, "--control", f"127.0.0.1:{control_port}",
                 "--control-token-file", token_file(folder), "--service-user", SERVICE_USER,
                 "--service-passfile", service_passfile(folder)]
        if standby is not None:
            flags += ["--standby", f"127.0.0.1:{standby_port or standby.port}"]
        return cls(name, folder, port, control_port, [*flags, *more], folder)

    def command(self):
        return [program("pgtandem-relay"), *self.arguments]

    def place(self, namespace):
        super().place(namespace)
        self.control.namespace = namespace

    def ready(self):
        return self.control.status()["version"]

    # As a client of this relay.
    def tcp(self, database="app", user="app", password=APP_PASSWORD, host="127.0.0.1") -> str:
        return f"host={host} port={self.port} dbname='{database}' user={user} password={password}"

    def by_socket(self, database="app", user="app", password=APP_PASSWORD) -> str:
        return f"host={self.socket_folder} port={self.port} dbname='{database}' user={user} password={password}"

    # What it says.
    def status(self) -> dict:
        return self.control.status()

    def state(self) -> str:
        return self.status()["role"]["state"]

    def joined(self) -> bool:
        return self.status()["standby"]["joined"]

    def wait_state(self, *states, timeout=15.0):
        return wait_until(lambda: self.state() in states, timeout, f"{self.name} to be {' or '.join(states)}")

    def wait_joined(self, timeout=15.0):
        return wait_until(self.joined, timeout, f"{self.name} to say that the standby is joined")

    def wait_stale(self, timeout=15.0) -> str:
        """Waits until the standby is given up and returns the reason."""
        wait_until(lambda: not self.joined(), timeout, f"{self.name} to give up the standby")
        return self.status()["standby"]["stale_reason"]

    def assert_still_joined(self):
        standby = self.status()["standby"]
        assert standby["joined"], f"the standby was lost: {standby['stale_reason']}"


def token_file(folder):
    path = folder / "token"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(TOKEN + "\n")
    return path


class Node:
    """One node of a pair: a server, its relay, and the ports under which the other node reaches it.

    `host`: of its own (see hosts.py), on which everything has the port that it has in a plant; None: loopback."""

    def __init__(self, name, postgres, host=None):
        self.name = name
        self.host = host
        self.address = host.address if host else "127.0.0.1"
        self.postgres = postgres
        self.folder = new_folder(f"node-{name}")
        if host:
            self.relay_port, self.leg_port, self.control_port, postgres.port = 5432, 5442, 8432, 5433
        else:
            self.relay_port, self.leg_port, self.control_port = free_port(), free_port(), free_port()
        self.relay = None
        self.proxies = {}  # as the other host sees this one: relay, leg, control

    def seen_port(self, what) -> int:
        return self.proxies[what].port if self.proxies else getattr(self, f"{what}_port")


class Pair:
    """Two servers, two relays, one TOML file each, the master `a`. `network=True` puts fault proxies between them.

    `sections`: more sections of the files, as a function of the node's name; see write_files().
    `hosts`: the host of each node, by its name; else both are on loopback. `flags`: more for both relays."""

    def __init__(self, network=False, settings=None, postgres_settings=None, unix_sockets=True, sshd=None, sections=None,
                 hosts=None, flags=()):
        self.sshd = sshd
        self.sections = sections
        self.unix_sockets = unix_sockets
        self.uuid = str(uuid.uuid4())
        self.settings = dict(settings or {})
        self.a, self.b = (Node(n, Postgres(f"postgres-{n}", postgres_settings), hosts and hosts[n]) for n in "ab")
        self.nodes = {"a": self.a, "b": self.b}
        self.key = secrets.token_bytes(32)
        if network:
            for node in self.nodes.values():
                node.proxies = {what: FaultProxy(getattr(node, f"{what}_port")) for what in ("relay", "leg", "control")}
        for node in self.nodes.values():
            self._write_files(node)
            node.relay = Relay(f"relay-{node.name}", node.folder, node.relay_port, node.control_port,
                               ["--config", node.folder / "pgtandem.toml", "--node", node.name, *flags], node.folder)
            if node.host:
                node.host.runs(node.postgres, node.relay)
        self.tool = Tool({name: node.folder / "pgtandem.toml" for name, node in self.nodes.items()},
                         [n.control_port for n in self.nodes.values()],
                         [n.relay_port for n in self.nodes.values()], token_file(self.a.folder), hosts)

    # Life.
    def start(self, init=True):
        for node in self.nodes.values():
            for proxy in node.proxies.values():
                proxy.start()
            node.postgres.start()
        self.start_relays()
        if init:
            self.init()
        return self

    def start_relays(self):
        for node in self.nodes.values():
            node.relay.start(wait=False)
        for node in self.nodes.values():
            node.relay.wait_ready()

    def init(self):
        self.tool.run("init", "--master", "a", "--standby-is-equal")
        return self.wait_joined()

    def wait_joined(self, master="a", timeout=15.0):
        other = "b" if master == "a" else "a"

        def joined():
            here, there = self.nodes[master].relay.status(), self.nodes[other].relay.status()
            seen = (here["role"]["state"], there["role"]["state"], here["standby"]["joined"])
            if seen != ("MASTER", "STANDBY", True):
                raise AssertionError(f"{master}, {other}, joined: {seen}; {here['role']['reason']}; "
                                     f"{there['role']['reason']}; {here['standby']['stale_reason']}")
            return True

        wait_until(joined, timeout, f"{master} to be master and {other} to be joined")
        return self

    def healthy(self) -> bool:
        """Everything runs, a is master and b joined, as after start(), and no session of an earlier test is left."""
        return (all(n.postgres.running() and n.relay.running() for n in self.nodes.values())
                and self.a.relay.state() == "MASTER" and self.b.relay.state() == "STANDBY" and self.a.relay.joined()
                and all(n.postgres.backends() == 0 for n in self.nodes.values()))

    def end(self):
        for node in reversed(self.nodes.values()):
            node.relay.end()
        for node in reversed(self.nodes.values()):
            node.postgres.drop_files()
            for proxy in node.proxies.values():
                proxy.end()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.end()

    # The line between the two hosts.
    def cut_network(self, way="both"):
        """`way`: both, or "to_a", "to_b": what that host sends still arrives, what it should get does not."""
        for name, node in self.nodes.items():
            for proxy in node.proxies.values():
                if way == "both":
                    proxy.cut()
                else:
                    proxy.cut("there" if way == f"to_{name}" else "back")

    def heal_network(self):
        for node in self.nodes.values():
            for proxy in node.proxies.values():
                proxy.heal()

    # Files.
    def config(self, node) -> str:
        key_file, passfile = node.folder / "pair.key", service_passfile(node.folder)
        sections = {
            "": {"protocol": "postgres", "state_dir": node.folder / "state", **self.settings},
            "pair": {"uuid": self.uuid, "key_file": key_file},
            "listen": {} if node.host else {
                "frontends": [f"127.0.0.1:{node.relay_port}", f"[::1]:{node.relay_port}"],
                "legs": [f"127.0.0.1:{node.leg_port}"], "control": [f"127.0.0.1:{node.control_port}"]},
            "service": {"user": SERVICE_USER, "passfile": passfile, "database": "postgres"},
            "control": {"token_file": token_file(node.folder)},
        }
        if self.sshd is not None:
            sections["bootstrap"] = {
                "ssh_user": self.sshd.login, "ssh_port": self.sshd.port, "ssh_key": self.sshd.client_key,
                "known_hosts": self.sshd.known_hosts, "remote_pgtandem": program("pgtandem"), "pg_bin": PG_BIN,
                "remote_pg_bin": PG_BIN}
        if self.unix_sockets:
            sections["listen"]["unix_socket_dir"] = node.folder
        for other in self.nodes.values():
            own = other is node
            sections[f"nodes.{other.name}"] = {
                "host": other.address, "postmaster": other.postgres.endpoint(),
                **{f"{what}_port": getattr(other, f"{what}_port") if own else other.seen_port(what)
                   for what in ("relay", "leg", "control")}}
        sections.update(self.sections(node.name) if self.sections else {})
        return to_toml(sections)

    def write_files(self):
        """Once more, with what `sections` gives now: for the relays' next start."""
        for node in self.nodes.values():
            self._write_files(node)

    def _write_files(self, node):
        key = node.folder / "pair.key"
        key.touch(mode=0o600)
        key.write_bytes(self.key.hex().encode() + b"\n")
        (node.folder / "pgtandem.toml").write_text(self.config(node))

    # As a client.
    def forwarder_relays(self):
        """Each node as a Forwarder takes it."""
        if self.a.host:
            return [f"{n.address}:{n.relay_port}/{n.control_port}" for n in self.nodes.values()]
        return [(n.relay_port, n.control_port) for n in self.nodes.values()]


def to_toml(sections) -> str:
    def value(v):
        return json.dumps(v if isinstance(v, (bool, int, list)) else str(v))

    lines = []
    for name, keys in sections.items():
        if name:
            lines.append(f"\n[{name}]")
        lines += [f"{k} = {value(v)}" for k, v in keys.items()]
    return "\n".join(lines) + "\n"


class Tool:
    """The operator's `pgtandem`, on one of the hosts with its configuration file, or by relay addresses."""

    def __init__(self, configs, control_ports=(), relay_ports=(), token=None, hosts=None):
        self.hosts = hosts  # by the node's name; None: everything is on loopback
        self.configs = configs  # of each node
        self.relays = [f"127.0.0.1:{r}/{c}" for r, c in zip(relay_ports, control_ports)]
        self.token = token

    def where(self, on) -> list:
        if on is not None:
            return ["--config", self.configs[on]]
        addresses = [part for relay in self.relays for part in ("--relay", relay)]
        return [*addresses, "--token-file", self.token]

    def command(self, *arguments, on="a") -> list:
        """`on`: the node on whose host the operator sits; None: on a third one, with addresses."""
        return [program("pgtandem"), *map(str, self.where(on)), *map(str, arguments)]

    def run(self, *arguments, check=True, timeout=60, on="a"):
        with self.hosts[on] if self.hosts and on else contextlib.nullcontext():
            return run(*self.command(*arguments, on=on), check=check, timeout=timeout, env=clean_environment())

    def time_of_silence(self, node) -> str:
        """The time that `promote` shows, from which on the silent master's writes may exist there alone."""
        shown = self.run("promote", "--node", node, check=False, on=node)
        found = re.search(r"--accept-loss-since[= ]'?\"?(unknown|[0-9TZ:.+-]+)", shown.stdout + shown.stderr)
        assert found, f"promote does not show since when the master is silent:\n{shown.stdout}{shown.stderr}"
        return found.group(1)

    def promote(self, node, other_host_is_off=False, timeout=60):
        """Promotes `node` on its own host, with an operator's words where the other one does not answer."""
        words = []
        if other_host_is_off:
            words = ["--other-host-is-off", f"--accept-loss-since={self.time_of_silence(node)}"]
        return self.run("promote", "--node", node, *words, timeout=timeout, on=node)


def open_port(port, host="127.0.0.1") -> bool:
    try:
        with socket.create_connection((host, port), 1):
            return True
    except OSError:
        return False


def copy_state(relay, to):
    """A copy of a stopped relay's state folder."""
    shutil.copytree(relay.state_dir, to, dirs_exist_ok=True)
    return sorted(os.listdir(to))
