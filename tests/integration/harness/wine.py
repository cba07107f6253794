"""A Windows of one's own, by wine: its folders below build/, its processes ended with it."""
import os
import pathlib
import re
import shutil
import subprocess

from .places import REPOSITORY, free_port, new_folder, run
from .postgres import SERVICE_USER, service_passfile
from .process import Program, alive, clean_environment, read
from .relay import Relay, token_file
from .waiting import wait_until

SERVICE = "pgtandem-forwarder"
RELAY = "pgtandem-relay"
SERVICE_KEY = rf"HKLM\System\CurrentControlSet\Services\{SERVICE}"
EVENT_KEY = rf"HKLM\System\CurrentControlSet\Services\EventLog\Application\{SERVICE}"
# What wine writes down of calls: those to the service manager, and what would stand in the event log.
TRACES = "-all,trace+service,fixme+service,trace+eventlog,warn+eventlog,err+eventlog"


def build_folder() -> pathlib.Path:
    return pathlib.Path(os.environ.get("PGTANDEM_WINDOWS_BUILD", REPOSITORY / "build" / "mingw")).absolute()


def built(name) -> pathlib.Path:
    exe = build_folder() / "win32" / f"{name}.exe"
    assert exe.exists(), f"{exe} is not built (scripts/test --windows builds it)"
    return exe


def forwarder_exe() -> pathlib.Path:
    return built(SERVICE)


def binary(name) -> str:
    """Of wine's 64-bit half, past Debian's script that asks for the other one."""
    for path in (f"/usr/lib/wine/{name}", shutil.which(name)):
        if path and os.access(path, os.X_OK):
            return path
    raise AssertionError(f"{name} is not here: install Debian's wine64 (scripts/setup --windows)")


class Wine(Program):
    """The server of one prefix, and with it its services. What services write to standard error is in `log_file`."""

    name = "wine"
    start_timeout = 120.0

    def __init__(self):
        super().__init__(new_folder("wine"))
        self.prefix = REPOSITORY / "build" / "windows" / f"wine-{os.getpid()}"
        self.drive = self.prefix / "drive_c"

    def environment(self):
        return {"WINEPREFIX": str(self.prefix), "WINEDEBUG": TRACES, "DISPLAY": "", "HOME": str(self.folder),
                "WINEDLLOVERRIDES": "mscoree=;mshtml=;winemenubuilder.exe="}

    def command(self):
        return [binary("wineserver64"), "--foreground", "--persistent"]

    def ready(self):
        # The service manager is started here, and has this log as its standard error.
        with open(self.log_file, "ab") as log:
            self._tool("wine64", "wineboot", stdout=log, stderr=log, check=True)
        return self.drive.is_dir()

    def start(self, wait=True):
        """A new prefix, set up and started a second time: while it is being set up, wine starts two services through
        one pipe now and then, and both fail."""
        if not self.prefix.exists():
            self.prefix.mkdir(parents=True)
            self._tool("wine64", "wineboot", "--init", check=True)
            self._tool("wineserver64", "--wait", check=True)
        return super().start(wait)

    def _tool(self, name, *words, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
        subprocess.run([binary(name), *words], env={**clean_environment(), **self.environment()},
                       timeout=self.start_timeout, **options)

    def reboot(self):
        """Everything ends, and starts again as a machine does."""
        self._tool("wineserver64", "--kill", check=True)
        self.process.wait(60)
        self._gone()
        return self.start()

    def end(self):
        """Every process of this prefix, and no other, ends with its server."""
        if self.process is not None:
            self._tool("wineserver64", "--kill")
            self.process.wait(60)
            self._gone()
        shutil.rmtree(self.prefix, ignore_errors=True)

    # In it.
    def run(self, *command, check=True, timeout=60, traced=False):
        """A Windows program; its standard error has wine's traces only if it is `traced`."""
        environment = {**clean_environment(), **self.environment()}
        if not traced:
            environment["WINEDEBUG"] = "-all"
        return run(binary("wine64"), *command, check=check, timeout=timeout, env=environment, cwd=self.folder)

    def forwarder(self, *words, **options):
        return self.run(forwarder_exe(), *words, **options)

    def file(self, path) -> pathlib.Path:
        r"""Where C:\... is on this machine."""
        return self.drive / path.removeprefix("C:\\").replace("\\", "/")

    def registry(self, key) -> dict:
        """Values of a key by name; None where there is no such key."""
        shown = self.run("reg", "query", key, check=False)
        if shown.returncode != 0:
            return None
        rows = re.findall(r"^ {4}(\S+) {4}REG_\w+ {4}(.*?)\r?$", shown.stdout, re.M)
        return {name: int(value, 16) if value.startswith("0x") else value for name, value in rows}

    def processes(self, name=f"{SERVICE}.exe") -> list:
        """Linux's numbers of the processes of this prefix that run a program."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and name in read(f"/proc/{entry}/cmdline").replace("\0", " "):
                if f"WINEPREFIX={self.prefix}\0" in read(f"/proc/{entry}/environ") + "\0" and alive(int(entry)):
                    found.append(int(entry))
        return found

    def events(self, since=0) -> list:
        """What was given to the event log since a log_size(): texts, their lines joined by blanks."""
        texts = re.findall(r':eventlog:ReportEventW L"(.*)"$', self.log()[since:], re.M)
        return [text.replace("\\r\\n", " ").replace('\\"', '"') for text in texts]


class Service:
    """The forwarder as a service of a Wine."""

    def __init__(self, wine, port):
        self.wine, self.port = wine, port

    def install(self, relays, *more, **options):
        names = [r if isinstance(r, str) else f"127.0.0.1:{r[0]}/{r[1]}" for r in relays]
        words = [part for name in names for part in ("--relay", name)]
        return self.wine.forwarder("install", *words, "--listen", f"127.0.0.1:{self.port}", *more, **options)

    def start(self):
        self.wine.forwarder("start")
        assert self.running()
        return self

    def stop(self):
        self.wine.forwarder("stop")

    def status(self) -> int:
        return self.wine.forwarder("status", check=False).returncode

    def running(self) -> bool:
        return self.status() == 0

    def log(self) -> str:
        return read(self.wine.file(r"C:\ProgramData\pgtandem\forwarder\forwarder.log"))

    def resident(self) -> int:
        """Bytes of the service's process."""
        process, = self.wine.processes()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", read(f"/proc/{process}/status"), re.M).group(1)) * 1024

    def gone(self) -> bool:
        return not self.wine.processes()

    def wait_gone(self, timeout=30):
        wait_until(self.gone, timeout, "the service's process to end")


class WindowsRelay(Relay):
    """pgtandem-relay.exe in a console of a Wine, flags-only; the servers are Linux's. Its log is standard error's."""

    def __init__(self, wine, master, standby, *more):
        folder = new_folder("windows-relay")
        self.wine = wine
        port, control_port = free_port(), free_port()
        super().__init__("windows-relay", folder, port, control_port,
                         ["--listen", f"127.0.0.1:{port}", "--master", master.endpoint(), "--standby", standby.endpoint(),
                          "--state-dir", folder / "state", "--control", f"127.0.0.1:{control_port}",
                          "--control-token-file", token_file(folder), "--service-user", SERVICE_USER,
                          "--service-passfile", service_passfile(folder), *more])

    def environment(self):
        return {**self.wine.environment(), "WINEDEBUG": "-all"}

    def run(self, *words, **options):
        """One of the program's commands, such as `start`."""
        return self.wine.run(built(RELAY), *words, **options)

    def command(self):
        return [binary("wine64"), built(RELAY), *self.arguments]
