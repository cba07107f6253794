"""A PostgreSQL server of the tests' own: initdb runs once, every server is a copy of that template."""
import contextlib
import os
import shutil
import signal

import psycopg

from .places import free_port, new_folder, passfile_line, pg, run, server_user, work_folder
from .process import Program, clean_environment

SUPERUSER_PASSWORD = "only-for-tests"
APP_PASSWORD = "app-secret"
SERVICE_USER = "pgtandem"
SERVICE_PASSWORD = "service-secret"

# Without fsync, but with synchronous_commit: what was committed is in the kernel's hands and survives a kill -9.
SETTINGS = """
listen_addresses = '127.0.0.1, ::1'
fsync = off
full_page_writes = off
shared_buffers = 64MB
max_connections = 60
max_wal_size = 4GB
checkpoint_timeout = 1h
autovacuum_naptime = 1h
max_prepared_transactions = 20
log_line_prefix = '%m [%p] %u@%d %a '
log_statement = none
log_connections = on
lc_messages = 'C.UTF-8'
"""
# Superusers of the tests come by the socket. By TCP every way to log in has a role of its own.
ACCESS = """
local all postgres               trust
local all all                    scram-sha-256
host  all trusting 127.0.0.1/32  trust
host  all trusting ::1/128       trust
host  all md5_role 127.0.0.1/32  md5
host  all plain    127.0.0.1/32  password
host  all nobody   127.0.0.1/32  reject
host  all all      127.0.0.1/32  scram-sha-256
host  all all      ::1/128       scram-sha-256
host  replication all 127.0.0.1/32 scram-sha-256
"""
ROLES = f"""
ALTER ROLE postgres PASSWORD '{SUPERUSER_PASSWORD}';
CREATE ROLE {SERVICE_USER} LOGIN SUPERUSER REPLICATION PASSWORD '{SERVICE_PASSWORD}';
CREATE ROLE app LOGIN PASSWORD '{APP_PASSWORD}';
CREATE ROLE trusting LOGIN IN ROLE app;
CREATE ROLE plain LOGIN PASSWORD '{APP_PASSWORD}' IN ROLE app;
CREATE ROLE nobody LOGIN PASSWORD '{APP_PASSWORD}';
SET password_encryption = 'md5';
CREATE ROLE md5_role LOGIN PASSWORD '{APP_PASSWORD}' IN ROLE app;
"""
DATABASE = """
ALTER SCHEMA public OWNER TO app;
GRANT ALL ON SCHEMA public TO app;
"""

_template = None


def template():
    """The data folder that every server begins with: roles, access rules, an empty database `app` owned by app."""
    global _template
    if _template is None:
        base = work_folder() / "pg-template"
        base.mkdir()
        owner = server_user()
        if owner is not None:
            os.chown(base, owner.pw_uid, owner.pw_gid)
        data = base / "data"
        run(pg("initdb"), "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "-N",
            "--wal-segsize=16", user=owner, cwd=base, env=clean_environment())
        (data / "postgresql.auto.conf").write_text(SETTINGS)
        single = Postgres(data=data, name="template")
        with single:
            single.sql(ROLES)
            single.sql("CREATE DATABASE app OWNER app")
            single.sql(DATABASE, database="app")
            single.stop()
        (data / "pg_hba.conf").write_text(ACCESS)
        (data / "postgres.log").unlink(missing_ok=True)
        _template = data
    return _template


class Postgres(Program):
    """One server on a free port of loopback, and on a Unix socket in its folder for the tests' superuser."""

    death_signal = "QUIT"  # an immediate shutdown: no children stay behind

    def __init__(self, name="postgres", settings=None, data=None):
        self.name = name
        super().__init__(new_folder(name))
        self.owner = server_user()
        if self.owner is not None:
            os.chown(self.folder, self.owner.pw_uid, self.owner.pw_gid)
        self.port = free_port()
        self.data = data
        if data is None:
            self.data = self.folder / "data"
            run("cp", "-a", "--reflink=auto", template(), self.data)
        self.settings = dict(settings or {})
        # A system identifier of its own is not needed: nothing here is physical replication between the two.

    def command(self):
        settings = {"port": self.port, "unix_socket_directories": self.folder, **self.settings}
        return [pg("postgres"), "-D", self.data, *(part for k, v in settings.items() for part in ("-c", f"{k}={v}"))]

    def user(self):
        return self.owner

    def ready(self):
        with self.connect():
            return True

    def stop(self, timeout=30.0, with_signal=signal.SIGINT):
        """A fast shutdown, as `pg_ctl stop` does it."""
        return super().stop(timeout, with_signal)

    def kill(self):
        """As a power cut would, save that nothing stays in the kernel: it has room for some thousand segments of servers
        that were killed and never start again."""
        super().kill()
        with contextlib.suppress(OSError, IndexError):
            key_and_segment = (self.data / "postmaster.pid").read_text().splitlines()[6].split()
            run("ipcrm", "-m", key_and_segment[1], check=False)

    def kill_backend(self, pid):
        """SIGKILL to one backend: the postmaster then restarts all."""
        os.kill(pid, signal.SIGKILL)

    # Straight to this server, past every relay.
    def conninfo(self, database="app", user="postgres") -> str:
        return f"host={self.folder} port={self.port} dbname='{database}' user={user}"

    def tcp(self, database="app", user="app", password=APP_PASSWORD, host="127.0.0.1") -> str:
        return f"host={host} port={self.port} dbname='{database}' user={user} password={password}"

    def connect(self, database="postgres", user="postgres", **options):
        options.setdefault("autocommit", True)
        options.setdefault("connect_timeout", 10)
        return psycopg.connect(self.conninfo(database, user), application_name="test", **options)

    def sql(self, statement, *parameters, database="postgres"):
        """Runs statements as superuser; the rows of the last one, if it has any."""
        with self.connect(database) as connection:
            cursor = connection.execute(statement, parameters or None)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else None

    def value(self, statement, *parameters, database="app"):
        return self.sql(statement, *parameters, database=database)[0][0]

    def backends(self, where="true") -> int:
        """How many client backends there are besides the tests' own and the relay's service connections."""
        return len(self.pids(where))

    def pids(self, where="true") -> set:
        """Their process ids."""
        return {row[0] for row in self.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND "
                                           f"application_name <> 'test' AND application_name NOT LIKE 'pgtandem%' AND ({where})")}

    @contextlib.contextmanager
    def frozen_backend(self, pid):
        """SIGSTOP to one backend: what it is sent waits until the end of this."""
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def locked(self, table, database="app"):
        """Holds ACCESS EXCLUSIVE on a table of this server alone, so that statements on it wait here."""
        with self.connect(database, autocommit=False) as connection:
            connection.execute(f"LOCK TABLE {table}")
            yield connection
            connection.rollback()

    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def drop_files(self):
        """Frees the disk space of a server that is not needed any more."""
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)


def service_passfile(folder):
    """The passfile of the relay's service user (and of the tests' superuser, for the tools)."""
    path = folder / "passfile"
    path.touch(mode=0o600)
    path.write_text(passfile_line(SERVICE_USER, SERVICE_PASSWORD) + passfile_line("postgres", SUPERUSER_PASSWORD)
                    + passfile_line("app", APP_PASSWORD))
    return path
