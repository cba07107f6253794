"""A service manager's side: the socket of NOTIFY_SOCKET, and programs in the background."""
import contextlib
import os
import signal
import socket

from .places import new_folder
from .process import alive
from .waiting import wait_until


class NotifySocket:
    """Receives what a program tells its service manager. Each message is a dictionary of its lines."""

    def __init__(self, abstract=False):
        self.folder = new_folder("notify")
        self.folder.chmod(0o777)  # a program may run as another user
        self.name = f"@{self.folder}" if abstract else str(self.folder / "socket")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.name.replace("@", "\0", 1) if abstract else self.name)
        if not abstract:
            os.chmod(self.name, 0o777)
        self.unread = []

    def environment(self, watchdog=None) -> dict:
        """`watchdog`: seconds within which the manager wants to hear of the program."""
        return {"NOTIFY_SOCKET": self.name, **({"WATCHDOG_USEC": str(int(watchdog * 1e6))} if watchdog else {})}

    def arrived(self) -> list:
        """All messages that nobody has taken yet."""
        with contextlib.suppress(BlockingIOError):
            while True:
                text = self.socket.recv(4096, socket.MSG_DONTWAIT).decode()
                self.unread.append(dict(line.split("=", 1) for line in text.splitlines()))
        return self.unread

    def take(self, fits, timeout, what) -> dict:
        """The first message that `fits`; it and those before it are taken."""
        def find():
            for i, message in enumerate(self.arrived()):
                if fits(message):
                    del self.unread[:i + 1]
                    return message
            return None

        return wait_until(find, timeout, f"the message {what} (there are {self.arrived()})")

    def take_key(self, key, timeout=10.0) -> dict:
        return self.take(lambda message: key in message, timeout, f"with {key}")

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@contextlib.contextmanager
def ended_at_last(pid_file):
    """What runs in the background by this pid file is gone afterwards."""
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            pid = int(pid_file.read_text())
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not alive(pid), 20, f"the background process {pid} to be gone")
