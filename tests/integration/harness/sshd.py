"""A real sshd on loopback with a key of its own, for the bootstrap."""
import getpass
import os
import pathlib
import socket

from .places import free_port, new_folder, run
from .process import Program


class Sshd(Program):
    """Lets the current user in by the key `client_key`; `known_hosts` names its host key."""

    name = "sshd"

    def __init__(self, environment=None):
        super().__init__(new_folder("sshd"))
        self.folder.chmod(0o700)
        self.port = free_port()
        self.login = getpass.getuser()
        self.host_key = self.folder / "host_key"
        self.client_key = self.folder / "client_key"
        self.known_hosts = self.folder / "known_hosts"
        self.accepted_environment = dict(environment or {})
        for key in (self.host_key, self.client_key):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", key)
        self.authorized_keys = self.folder / "authorized_keys"
        self.authorized_keys.write_text(self.client_key.with_suffix(".pub").read_text())
        self.trust_host()
        if os.geteuid() == 0:
            pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)

    def trust_host(self, key=None):
        """Writes known_hosts with this server's key, or with another one (a host that is not who it says)."""
        words = (key or self.host_key).with_suffix(".pub").read_text().split()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {words[0]} {words[1]}\n")

    def command(self):
        set_environment = [f"-oSetEnv={k}={v}" for k, v in self.accepted_environment.items()]
        return ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", self.host_key, f"-oPort={self.port}",
                "-oListenAddress=127.0.0.1", f"-oAuthorizedKeysFile={self.authorized_keys}", "-oStrictModes=no",
                "-oUsePAM=no", "-oPasswordAuthentication=no", "-oKbdInteractiveAuthentication=no",
                "-oPermitRootLogin=prohibit-password", "-oPidFile=none", "-oMaxStartups=100", "-oLogLevel=VERBOSE",
                *set_environment]

    def ready(self):
        with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            connection.settimeout(1)
            return connection.recv(4) == b"SSH-"
