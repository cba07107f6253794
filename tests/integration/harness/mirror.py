"""Two servers and one relay by flags alone, with a fault proxy before the standby: the quickest whole of it."""
from .fault_proxy import FaultProxy
from .postgres import Postgres
from .relay import Relay


class Mirror:
    def __init__(self, *flags, settings=None, control_timeout=5.0, direct=False):
        """`direct`: no fault proxy, whose connections count against this process's 1024 descriptors for select()."""
        self.master = Postgres("postgres-master", settings)
        self.standby = Postgres("postgres-standby", settings)
        self.line = FaultProxy(self.standby.port)
        self.relay = Relay.flags_only(self.master, self.standby, *flags,
                                       standby_port=self.standby.port if direct else self.line.port)
        self.relay.control.timeout = control_timeout

    def start(self):
        self.master.start()
        self.standby.start()
        self.line.start()
        self.relay.start()
        self.relay.wait_joined()
        return self

    def healthy(self) -> bool:
        """Everything runs, joined, and no session of an earlier test is left."""
        return (self.master.running() and self.standby.running() and self.relay.running() and self.relay.joined()
                and self.master.backends() == 0 and self.standby.backends() == 0)

    def end(self):
        self.relay.end()
        self.line.end()
        self.master.drop_files()
        self.standby.drop_files()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.end()

    def sql_on_both(self, statement, database="app"):
        """The same on each server, past the relay."""
        return [server.sql(statement, database=database) for server in (self.master, self.standby)]
