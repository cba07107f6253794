"""Where things are: programs, PostgreSQL's binaries, temporary folders, free ports."""
import atexit
import functools
import os
import pathlib
import pwd
import random
import shutil
import socket
import subprocess
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
PG_BIN = pathlib.Path(os.environ.get("PGTANDEM_PG_BIN", "/usr/lib/postgresql/15/bin"))
# Outgoing connections take their ports from 32768 up (ip_local_port_range): a port above could be taken by a client
# while a server that has it is being restarted.
PORTS = range(20000, 32000)

_given_ports = set()
_work_folder = None


def build_folder() -> pathlib.Path:
    return pathlib.Path(os.environ.get("PGTANDEM_BUILD", REPOSITORY / "build" / "release")).absolute()


@functools.lru_cache(maxsize=None)
def _find(name):
    for place, folders, files in os.walk(build_folder()):
        folders[:] = [f for f in folders if f not in ("CMakeFiles", "_deps", "Testing")]
        candidate = os.path.join(place, name)
        if name in files and os.access(candidate, os.X_OK):
            return candidate
    return None


def program(name: str) -> str:
    """The path of one of our programs in the build folder."""
    found = _find(name)
    assert found, f"{name} is not built: no such program below {build_folder()} (scripts/test builds it)"
    return found


def programs_exist(*names) -> bool:
    return all(_find(name) for name in names)


def pg(name: str) -> str:
    return str(PG_BIN / name)


def server_user():
    """PostgreSQL refuses to run as root: the user that servers run as, or None for the current one."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None


def work_folder() -> pathlib.Path:
    """The folder of this run; removed at its end unless KEEP is set there. Its path is short, for Unix sockets."""
    global _work_folder
    if _work_folder is None:
        _work_folder = pathlib.Path(tempfile.mkdtemp(prefix="pgt-", dir=os.environ.get("PGTANDEM_TMP", "/tmp")))
        _work_folder.chmod(0o755)
        atexit.register(remove_work_folder, os.getpid())
    return _work_folder


def remove_work_folder(pid=None):
    if (_work_folder and (pid is None or pid == os.getpid()) and not (_work_folder / "KEEP").exists()):
        shutil.rmtree(_work_folder, ignore_errors=True)


@functools.lru_cache(maxsize=None)
def _folder_counter(name):
    return iter(range(10**6))


def new_folder(name: str) -> pathlib.Path:
    """A new folder in the work folder, `name` with a number."""
    folder = work_folder() / f"{name}{next(_folder_counter(name))}"
    folder.mkdir()
    return folder


def free_port(family=socket.AF_INET) -> int:
    """A port that nobody has on loopback, and that no other object of this run was given."""
    chosen = random.SystemRandom()
    for _ in range(2000):
        port = chosen.choice(PORTS)
        if port in _given_ports:
            continue
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", port))
            except OSError:
                continue
        _given_ports.add(port)
        return port
    raise AssertionError("no free port between 20000 and 32000")


def passfile_line(user: str, password: str) -> str:
    return f"*:*:*:{user}:{password}\n"


def run(*command, user=None, timeout=120, check=True, **options) -> subprocess.CompletedProcess:
    """Runs a program to its end and returns it with its output as text; `user` as server_user() gives it."""
    if user is not None:
        options.update(user=user.pw_uid, group=user.pw_gid, extra_groups=[])
    options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=timeout,
                          errors="replace", **options)
    assert not check or done.returncode == 0, (
        f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done
