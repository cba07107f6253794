"""Real PostgreSQL servers, relays, forwarders, an sshd and faults between them, as objects that tests own.

Every object has start, stop, kill, freeze, thaw and log_contains; everything that was started ends with the test
process, however that ends.
"""
from .compare import digest, everything_same, same
from .control import Control, ControlError
from .etcd import Certificates, Etcd
from .fault_proxy import FaultProxy
from .forwarder import Forwarder
from .hosts import Network
from .list_append import ListAppend
from .mirror import Mirror
from .places import free_port, passfile_line, program, programs_exist, work_folder
from .plant import Plant
from .postgres import APP_PASSWORD, Postgres
from .process import Program, end_everything
from .recorder import Recorder
from .relay import Pair, Relay, Tool
from .sampler import MemoryWatch
from .sshd import Sshd
from .waiting import holds, wait_until

__all__ = [
    "APP_PASSWORD", "Certificates", "Control", "ControlError", "Etcd", "FaultProxy", "Forwarder", "ListAppend",
    "MemoryWatch", "Mirror", "Network", "Pair", "Plant", "Postgres", "Program", "Recorder",
    "Relay", "Sshd", "Tool", "digest", "end_everything", "everything_same", "free_port", "holds", "passfile_line", "program",
    "programs_exist", "same", "wait_until", "work_folder",
]
