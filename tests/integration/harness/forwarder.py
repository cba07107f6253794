"""pgtandem-forwarder on a free port."""
from .places import free_port, new_folder, program
from .postgres import APP_PASSWORD
from .process import Program
from .relay import open_port


class Forwarder(Program):
    name = "forwarder"

    def __init__(self, relays, *more, connect_wait="30s"):
        """`relays`: of each node (relay port, control port) on loopback, or the text that names it."""
        super().__init__(new_folder("forwarder"))
        self.port = free_port()
        self.relays = list(relays)
        self.connect_wait = connect_wait
        self.state_file = self.folder / "forwarder.state"
        self.more = more

    def command(self):
        names = [r if isinstance(r, str) else f"127.0.0.1:{r[0]}/{r[1]}" for r in self.relays]
        relays = [part for name in names for part in ("--relay", name)]
        return [program("pgtandem-forwarder"), "--listen", f"127.0.0.1:{self.port}", *relays, "--state-file",
                self.state_file, "--connect-wait", self.connect_wait, *self.more]

    def ready(self):
        return open_port(self.port)

    def tcp(self, database="app", user="app", password=APP_PASSWORD) -> str:
        return f"host=127.0.0.1 port={self.port} dbname='{database}' user={user} password={password}"
