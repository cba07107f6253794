"""A program under test: started, stopped, killed, frozen; its log; what it uses."""
import atexit
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading

from .waiting import wait_until

_running = []  # every Program that has a process, in the order of their starts
_of_this_test: list = []
_deaths = []  # programs that ended although nobody told them to
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


class Program:
    """One process (and its children) with a log file. Owned and used by the main thread.

    It dies with the test process: a signal on the parent's death (setpriv) holds even when that one is SIGKILLed.
    """

    name = "program"
    death_signal = "KILL"  # what the kernel sends when the test process is gone
    namespace = None  # of the host that it runs on (see hosts.py); None: this one
    clocks = None  # of that host, if they are set apart (see clocks.py)

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.log_file = folder / f"{self.name}.log"
        self.process = None
        self.log_start = 0  # where the log of the present run begins

    # What a subclass says about itself.
    def command(self) -> list:
        raise NotImplementedError

    def ready(self) -> bool:
        raise NotImplementedError

    def environment(self) -> dict:
        return {}

    def user(self):
        return None

    start_timeout = 20.0

    def place(self, namespace):
        """On which host it runs."""
        self.namespace = namespace

    def inside(self):
        """`with` it the calling thread is on that host."""
        return self.namespace or contextlib.nullcontext()

    # Life.
    def start(self, wait=True):
        assert self.process is None, f"{self.name} is running already"
        assert threading.current_thread() is threading.main_thread(), "the parent's death is the death of a thread"
        if self.log_file.exists():
            self.log_start = self.log_file.stat().st_size
        setpriv = [shutil.which("setpriv") or "/usr/bin/setpriv", "--pdeathsig", self.death_signal]
        user = self.user()
        if user is not None:
            setpriv += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        before, after = self.clocks.prefixes() if self.clocks else ((), ())
        with open(self.log_file, "ab") as log, self.inside():
            self.process = subprocess.Popen(
                [*before, *setpriv, "--", *after, *map(str, self.command())],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, process_group=0,
                env={**clean_environment(), **self.environment()})
        _running.append(self)
        if self not in _of_this_test:
            _of_this_test.append(self)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        with self.inside():
            wait_until(lambda: self.process.poll() is not None or self.ready(), self.start_timeout,
                       f"{self.name} to be ready")
        status = self.process.poll()
        if status is not None:
            self._gone()
            raise AssertionError(f"{self.name} ended with status {status}:\n{self.log(whole=False)[-3000:]}")
        return self

    def stop(self, timeout=20.0, with_signal=signal.SIGTERM):
        """An orderly stop. Fails if the program does not end in time."""
        if self.process is None:
            return None
        self.signal(signal.SIGCONT)
        self.process.send_signal(with_signal)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            trace = self.stacks()
            self.kill()
            raise AssertionError(f"{self.name} did not stop within {timeout} s; killed\n{trace}") from None
        self._gone()
        return status

    def kill(self):
        """SIGKILL to the process and all its descendants, as a power cut would."""
        if self.process is None:
            return
        if self.process.poll() is not None:
            self.note_death()
            return
        family = descendants(self.process.pid)
        for pid in [self.process.pid, *family]:
            send(pid, signal.SIGKILL)
        if self.process.wait(20) != -signal.SIGKILL:  # it was just dying by itself
            self.note_death()
        wait_until(lambda: not any(alive(pid) for pid in family), 20, f"{self.name}'s children to be gone")
        self._gone()

    def freeze(self):
        """SIGSTOP to the process and its descendants: connections stay open and nothing answers."""
        send(self.process.pid, signal.SIGSTOP)  # first, so that it starts no further child
        self.signal(signal.SIGSTOP)
        return self

    def thaw(self):
        self.signal(signal.SIGCONT)
        return self

    def restart(self, **stop_options):
        self.stop(**stop_options)
        return self.start()

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        for pid in [*reversed(descendants(self.process.pid)), self.process.pid]:
            send(pid, number)

    def _gone(self):
        self.process = None
        if self in _running:
            _running.remove(self)

    # Its log.
    def log(self, whole=True) -> str:
        if not self.log_file.exists():
            return ""
        with open(self.log_file, "rb") as file:
            file.seek(0 if whole else self.log_start)
            return file.read().decode(errors="replace")

    def log_contains(self, pattern: str, since=0) -> bool:
        """Whether a regular expression matches in the log from character `since` (see log_size)."""
        return re.search(pattern, self.log()[since:]) is not None

    def log_size(self) -> int:
        return len(self.log())

    def log_lines(self, pattern: str, since=0) -> list:
        return [line for line in self.log()[since:].splitlines() if re.search(pattern, line)]

    # What it uses.
    def cpu_seconds(self) -> float:
        """User and system time of the process and its living and reaped descendants."""
        return sum(cpu_seconds(pid) for pid in [self.process.pid, *descendants(self.process.pid)])

    def rss(self) -> int:
        """Resident memory in bytes, the process alone."""
        return int(read(f"/proc/{self.process.pid}/statm").split()[1]) * PAGE

    def memory(self) -> int:
        """Memory in bytes of the process and its descendants, shared pages divided among their users."""
        found = [re.search(r"^Pss:\s+(\d+)", read(f"/proc/{pid}/smaps_rollup"), re.M)
                 for pid in [self.process.pid, *descendants(self.process.pid)]]
        return sum(int(match.group(1)) * 1024 for match in found if match)

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stacks(self) -> str:
        """Where the threads of a hung program are, if gdb is installed."""
        if shutil.which("gdb") is None or not self.running():
            return ""
        try:
            return subprocess.run(["gdb", "-p", str(self.process.pid), "-batch", "-ex", "thread apply all bt 12"],
                                  capture_output=True, text=True, timeout=30).stdout[-6000:]
        except subprocess.TimeoutExpired:
            return ""

    def __enter__(self):
        return self.start() if self.process is None else self

    def __exit__(self, *_):
        self.end()

    def end(self):
        """Whatever its state, it is gone afterwards. An end of its own before that is kept for deaths()."""
        if self.process is not None:
            self.note_death()
            self.kill()

    def note_death(self):
        if self.process is not None and self.process.poll() is not None:
            end_of_log = "\n".join(self.log(whole=False).splitlines()[-20:])
            _deaths.append(f"{self.name} ended by itself with status {self.process.returncode}:\n{end_of_log}")
            self._gone()


def deaths() -> list:
    """What ended by itself since the last call: a crash, whatever else a test may have noticed."""
    for program in list(_running):
        program.note_death()
    found = list(_deaths)
    _deaths.clear()
    return found


def end_everything():
    """Ends every program that is still there, the last started first. Also called at exit."""
    for program in reversed(list(_running)):
        try:
            program.end()
        except Exception as error:
            print(f"could not end {program.name}: {error}")


atexit.register(lambda pid: end_everything() if pid == os.getpid() else None, os.getpid())


def running_programs() -> list:
    return list(_running)


def forget_programs():
    """A test begins: what ended before it is not its affair."""
    _of_this_test[:] = _running


def programs_of_this_test() -> list:
    """Those that run, and those that ran in this test: a scene that failed has ended its programs by the time it is reported."""
    return list(_of_this_test)


def clean_environment() -> dict:
    """The environment without what would redirect libpq or our programs."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "PGTANDEM_"))}
    env.update(LC_ALL="C.UTF-8", TZ="UTC")
    return env


def read(path) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def stat(pid):
    """The fields of /proc/PID/stat from the state on, or None if there is no such process."""
    text = read(f"/proc/{pid}/stat")
    return text.rpartition(")")[2].split() if text else None


def alive(pid) -> bool:
    fields = stat(pid)
    return fields is not None and fields[0] != "Z"


def descendants(pid) -> list:
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = stat(entry)
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry))
    found, next_ones = [], [pid]
    while next_ones:
        below = children.get(next_ones.pop(), [])
        found += below
        next_ones += below
    return found


def cpu_seconds(pid) -> float:
    fields = stat(pid)
    return sum(map(int, fields[11:15])) / TICKS if fields else 0.0


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
