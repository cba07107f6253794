"""Two servers and what stands before them: what the same load is run against."""
import functools
import os
import pathlib
import sys

import psycopg

from .compare import contents, differences
from .load import APPLICATION, USER
from .mirror import Mirror
from .places import build_folder, program, programs_exist, run
from .postgres import Postgres
from .process import clean_environment
from .waiting import wait_until

# The discipline that the tests of `serial` run against; another one shows what they find there.
DISCIPLINE = os.environ.get("PGTANDEM_DISCIPLINE", "serial")

RESET = ("SET client_min_messages = warning", "SELECT lo_unlink(oid) FROM pg_largeobject_metadata ORDER BY oid",
         "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")


@functools.lru_cache(maxsize=None)
def refusal(discipline=DISCIPLINE, build=None) -> str:
    """Why the relay that was built does not start with this discipline; empty if it does."""
    if not programs_exist("pgtandem-relay"):
        return f"pgtandem-relay is not built below {build or build_folder()}"
    asked = run(program("pgtandem-relay"), "--listen", "127.0.0.1:1", "--master", "127.0.0.1:2", "--state-dir", "/nowhere",
                "--discipline", discipline, "--service-user", "postgres", "--print-config", check=False, env=clean_environment())
    return "" if asked.returncode == 0 else asked.stderr.strip()


class World:
    """`relay` is None where something else stands before the servers. `forgiving`: differences are no surprise, and are
    wiped out past what stands before the servers."""

    def __init__(self, name, master, standby, port, relay=None, forgiving=False):
        self.name, self.master, self.standby, self.port = name, master, standby, port
        self.relay, self.forgiving = relay, forgiving

    def conninfo(self, user=USER) -> str:
        return f"host=127.0.0.1 port={self.port} dbname=app user={user}"

    def servers(self) -> list:
        return [self.master] if self.standby is self.master else [self.master, self.standby]

    def connect(self):
        return psycopg.connect(self.conninfo(), autocommit=True, application_name=APPLICATION, connect_timeout=10)

    def reset(self, setup=()):
        """An empty database, then `setup` (statements), the same on both servers."""
        if self.forgiving:
            self._reset_past()
        with self.connect() as connection:
            connection.execute("SET statement_timeout = '20s'")
            if not self.forgiving:
                for gid in [r[0] for r in self.master.sql("SELECT gid FROM pg_prepared_xacts")]:
                    connection.execute(f"ROLLBACK PREPARED '{gid}'")
                for statement in RESET:
                    connection.execute(statement)
            for statement in setup:
                connection.execute(statement)
        found = differences(self.master, self.standby)
        assert not found, f"{self.name}: the servers differ before the load begins: {found[:5]}"

    def _reset_past(self):
        for server in self.servers():
            server.sql(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'app' AND usename = '{USER}'")
            for (gid,) in server.sql("SELECT gid FROM pg_prepared_xacts"):
                server.sql(f"ROLLBACK PREPARED '{gid}'", database="app")
            for statement in (*RESET[1:], "ALTER SCHEMA public OWNER TO app"):
                server.sql(statement, database="app")

    def quiet(self, timeout=5.0):
        """Waits until the servers have no session of a load any more."""
        for server in self.servers():
            wait_until(lambda: server.backends(f"application_name = '{APPLICATION}'") == 0, timeout,
                       f"the load's sessions to end on {server.name}")

    def differences(self) -> list:
        return differences(self.master, self.standby)

    def value(self, query):
        return self.master.value(query)

    def contents(self) -> dict:
        return contents(self.master)

    def stale(self) -> str:
        """Why the standby was given up; empty while it is joined."""
        if self.relay is None:
            return ""
        standby = self.relay.status()["standby"]
        return "" if standby["joined"] else standby["stale_reason"] or "not joined"


def of_mirror(mirror, name=DISCIPLINE, forgiving=False) -> World:
    return World(name, mirror.master, mirror.standby, mirror.relay.port, mirror.relay, forgiving)


def serial_mirror() -> Mirror:
    """The relay under test: by flags alone, straight to its two servers."""
    return Mirror("--discipline", DISCIPLINE, direct=True)


def patient_mirror() -> Mirror:
    """The same with time for a standby that stands still, and that can be made a long way off."""
    return Mirror("--discipline", DISCIPLINE, "--standby-timeout", "20s")


def early_mirror() -> Mirror:
    """The same, and it acknowledges what the master alone has."""
    return Mirror("--discipline", DISCIPLINE, "--standby-timeout", "20s", "--ack", "master", direct=True)


class Making:
    """A world that is made when it is first needed, and again when it was spoilt."""

    def __init__(self, make):
        self.make, self.parts, self.world = make, [], None

    def get(self) -> World:
        if self.world is None:
            self.world, self.parts = self.make()
        return self.world

    def spoilt(self):
        for part in reversed(self.parts):
            part.drop_files() if isinstance(part, Postgres) else part.end()
        self.world, self.parts = None, []


def relay_world(discipline, *flags):
    def make():
        mirror = Mirror("--discipline", discipline, *flags, direct=True).start()
        return of_mirror(mirror, discipline, forgiving=True), [mirror]
    return Making(make)


def pgpool_world():
    """pgpool-II in native replication: every statement to both servers."""
    bench = str(pathlib.Path(__file__).resolve().parents[2] / "bench")
    if bench not in sys.path:
        sys.path.append(bench)
    from rivals import Pgpool

    def make():
        servers = [Postgres(f"pooled-{n}").start() for n in ("master", "standby")]
        pool = Pgpool(*servers, cache=False).start()
        return World("pgpool", *servers, pool.port, forgiving=True), [*servers, pool]
    return Making(make)


def single_world():
    """One server without anything before it: whatever a case finds wrong here is wrong with the case."""
    def make():
        server = Postgres("single").start()
        return World("single", server, server, server.port, forgiving=True), [server]
    return Making(make)
