"""The programs that pgtandem is measured against."""
import socket

from harness import Program, free_port
from harness.places import new_folder

HAPROXY = """
global
    maxconn 2000
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend postgres
    bind 127.0.0.1:{port}
    default_backend master
backend master
    server master 127.0.0.1:{master}
"""

# Native replication as the nearest to what pgtandem does: every statement, SELECT included, to both servers.
PGPOOL = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
pcp_listen_addresses = ''
pcp_socket_dir = '{folder}'
pcp_port = {pcp_port}
pid_file_name = '{folder}/pgpool.pid'
logdir = '{folder}'
work_dir = '{folder}'
backend_clustering_mode = 'native_replication'
backend_hostname0 = '127.0.0.1'
backend_port0 = {master}
backend_weight0 = 1
backend_hostname1 = '127.0.0.1'
backend_port1 = {standby}
backend_weight1 = 1
num_init_children = 40
max_pool = 1
connection_cache = {cache}
load_balance_mode = off
replicate_select = on
insert_lock = off
enable_pool_hba = off
health_check_period = 0
sr_check_period = 0
failover_on_backend_error = off
log_min_messages = error
"""


class Haproxy(Program):
    name = "haproxy"

    def __init__(self, master):
        super().__init__(new_folder("haproxy"))
        self.port = free_port()
        self.config = self.folder / "haproxy.cfg"
        self.config.write_text(HAPROXY.format(port=self.port, master=master.port))

    def command(self):
        return ["/usr/sbin/haproxy", "-db", "-f", self.config]

    def ready(self):
        with socket.create_connection(("127.0.0.1", self.port), 1):
            return True


class Pgpool(Program):
    name = "pgpool"

    def __init__(self, master, standby, cache=True):
        super().__init__(new_folder("pgpool"))
        self.port = free_port()
        self.config = self.folder / "pgpool.conf"
        self.config.write_text(PGPOOL.format(port=self.port, pcp_port=free_port(), folder=self.folder,
                                             master=master.port, standby=standby.port, cache="on" if cache else "off"))
        (self.folder / "pcp.conf").write_text("")

    def command(self):
        return ["/usr/sbin/pgpool", "-n", "-f", self.config, "-F", self.folder / "pcp.conf"]

    def ready(self):
        with socket.create_connection(("127.0.0.1", self.port), 1):
            return True
