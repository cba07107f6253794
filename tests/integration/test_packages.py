"""The Debian packages: what they hold, and their life in a clean system."""
import os
import re
import signal
import stat

import pytest

from harness import free_port, wait_until
from harness.booted_system import BootedSystem
from harness.clean_root import CleanRoot
from harness.notify import ended_at_last
from harness.places import REPOSITORY, build_folder, run
from harness.process import alive
from harness.relay import open_port

NAMES = ("pgtandem-relay", "pgtandem-forwarder")
pytestmark = pytest.mark.timeout(900)  # the first clean root is loaded from a mirror


@pytest.fixture(scope="module")
def packages():
    """The two packages of this build, by name."""
    cache = (build_folder() / "CMakeCache.txt").read_text()
    if re.search(r"^PGTANDEM_SANITIZE:STRING=.+", cache, re.M):
        pytest.skip("packages are made of builds without sanitizers")
    for old in (build_folder() / "packages").glob("*.deb"):
        old.unlink()
    run("cpack", "-G", "DEB", cwd=build_folder())
    made = {name: list((build_folder() / "packages").glob(f"{name}_*.deb")) for name in NAMES}
    assert all(len(files) == 1 for files in made.values()), made
    return {name: files[0] for name, files in made.items()}


def control(package) -> dict:
    fields = run("dpkg-deb", "--field", package).stdout
    return dict(re.findall(r"^(\S+): (.*)$", fields, re.M))


def content(package) -> dict:
    """Path: permissions and owner of everything in a package."""
    lines = [line.split() for line in run("dpkg-deb", "--contents", package).stdout.splitlines()]
    return {line[5][1:].rstrip("/"): (line[0], line[1]) for line in lines}


def test_the_packages_hold_what_they_promise(packages):
    """Programs, unit, manual pages, completions, sample and licence, each file in one package, all of root."""
    relay, forwarder = (content(packages[name]) for name in NAMES)
    for path in ("/usr/bin/pgtandem-relay", "/usr/bin/pgtandem", "/usr/share/pgtandem/bootstrap-standby",
                 "/usr/lib/systemd/system/pgtandem-relay.service", "/etc/default/pgtandem-relay",
                 "/usr/share/man/man8/pgtandem-relay.8.gz", "/usr/share/man/man1/pgtandem.1.gz",
                 "/usr/share/man/man5/pgtandem.toml.5.gz", "/usr/share/bash-completion/completions/pgtandem",
                 "/usr/share/zsh/vendor-completions/_pgtandem", "/usr/share/doc/pgtandem-relay/copyright",
                 "/usr/share/doc/pgtandem-relay/examples/pgtandem.toml"):
        assert path in relay
    for path in ("/usr/bin/pgtandem-forwarder", "/usr/lib/systemd/system/pgtandem-forwarder.service",
                 "/etc/default/pgtandem-forwarder", "/usr/share/man/man8/pgtandem-forwarder.8.gz",
                 "/usr/share/bash-completion/completions/pgtandem-forwarder", "/usr/share/doc/pgtandem-forwarder/copyright"):
        assert path in forwarder
    files = [{path for path, (mode, _) in one.items() if not mode.startswith("d")} for one in (relay, forwarder)]
    assert not files[0] & files[1]
    assert {owner for one in (relay, forwarder) for _, owner in one.values()} == {"root/root"}
    assert not any("/usr/local" in path for path in relay | forwarder)


def test_dependencies_are_found_from_the_programs(packages):
    """Shared libraries by dpkg-shlibdeps; the forwarder needs no PostgreSQL."""
    relay, forwarder = (control(packages[name]) for name in NAMES)
    for library in ("libpq5", "libssh2-1", "libssl3", "libc6"):
        assert re.search(rf"\b{library}\b", relay["Depends"])
    assert "libpq" not in forwarder["Depends"] and "libssl3" in forwarder["Depends"]
    version = re.search(r"project\(pgtandem VERSION (\S+)", (REPOSITORY / "CMakeLists.txt").read_text()).group(1)
    assert relay["Version"] == forwarder["Version"] == version


def test_lintian_finds_no_fault(packages):
    """No error and no warning."""
    done = run("lintian", "--allow-root", "--fail-on=error,warning", *packages.values(), check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# In a clean system.
def dependencies(packages) -> list:
    return sorted({re.split(r"[ (|]", part.strip())[0] for package in packages.values()
                   for part in control(package)["Depends"].split(",")})


@pytest.fixture
def root(packages):
    if os.geteuid() != 0:
        pytest.skip("a clean root needs root")
    with CleanRoot(dependencies(packages)) as made:
        yield made


def enabled(root, name) -> bool:
    return root.at(f"/etc/systemd/system/multi-user.target.wants/{name}.service").is_symlink()


def status(root, name) -> str:
    return root.run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}", name, check=False).stdout.strip()


def owner_and_mode(root, path):
    found = root.at(path).stat()
    users = {line.split(":")[2]: line.split(":")[0] for line in root.at("/etc/passwd").read_text().splitlines()}
    return users[str(found.st_uid)], stat.S_IMODE(found.st_mode)


def configure(root, port):
    """What an administrator does after the installation."""
    root.at("/etc/pgtandem/pgtandem.toml").write_text(
        f'[pair]\nuuid = "9b2f6c1e-5f0a-4c56-8a3e-6d4f0c2b7e11"\nkey_file = "/etc/pgtandem/pair.key"\n'
        f'[nodes.a]\nhost = "127.0.0.1"\ncontrol_port = {port + 1}\nrelay_port = {port + 2}\nleg_port = {port + 3}\n'
        f'[nodes.b]\nhost = "127.0.0.2"\n[forwarder]\nlisten = ["127.0.0.1:{port}"]\n')
    root.run("install", "-o", "pgtandem", "-m", "600", "/dev/null", "/etc/pgtandem/pair.key")
    root.at("/etc/pgtandem/pair.key").write_text("0123456789abcdef0123456789abcdef\n")
    default = root.at("/etc/default/pgtandem-relay")
    default.write_text(default.read_text().replace("#PGTANDEM_NODE=a", "PGTANDEM_NODE=a"))


def start(root, user, *command):
    """Starts a program in the background inside of the root as the user of its service."""
    return root.run("runuser", "-u", user, "--", *command, "--daemon", "--pid-file", f"/tmp/{user}.pid",
                    "--log-file", f"/var/log/{user}/own.log")


@pytest.mark.packages
def test_a_package_without_its_dependencies_is_not_configured(packages, root):
    """What shlibdeps found is needed: without a library dpkg leaves the package unconfigured."""
    root.run("dpkg", "--force-depends", "--remove", "libhttp-parser2.9")
    assert root.install(packages["pgtandem-forwarder"], check=False).returncode != 0
    assert status(root, "pgtandem-forwarder") == "iU"


@pytest.mark.packages
@pytest.mark.parametrize("with_postgres", (False, True), ids=("workstation", "server"))
def test_installed_with_users_folders_and_units(packages, root, with_postgres):
    """Own system users without a shell, private folders, units enabled; the relay's user may write PostgreSQL's socket folder."""
    if with_postgres:
        root.run("groupadd", "--system", "postgres")
    root.install(*packages.values())
    for name, user in (("pgtandem-relay", "pgtandem"), ("pgtandem-forwarder", "pgtandem-forwarder")):
        assert status(root, name) == "ii"
        entry = root.run("getent", "passwd", user).stdout.strip().split(":")
        assert 0 < int(entry[2]) < 1000 and entry[5] == f"/var/lib/{user}" and entry[6] == "/usr/sbin/nologin"
        assert owner_and_mode(root, f"/var/lib/{user}") == (user, 0o700)
        assert owner_and_mode(root, f"/var/log/{user}") == (user, 0o750)
        assert enabled(root, name)
    groups = root.run("id", "-nG", "pgtandem").stdout.split()
    assert sorted(groups) == (["pgtandem", "postgres"] if with_postgres else ["pgtandem"])


@pytest.mark.packages
def test_the_installed_programs_serve(packages, root):
    """Both start as their users with the configuration of the host, answer, and stop."""
    root.install(*packages.values())
    port = free_port()
    configure(root, port)
    node = [line for line in root.at("/etc/default/pgtandem-relay").read_text().splitlines() if line.startswith("PGTANDEM_")]
    assert node == ["PGTANDEM_NODE=a"]
    pids = [root.at(f"/tmp/{user}.pid") for user in ("pgtandem", "pgtandem-forwarder")]
    with ended_at_last(pids[0]), ended_at_last(pids[1]):
        start(root, "pgtandem", "env", *node, "/usr/bin/pgtandem-relay", "--config", "/etc/pgtandem/pgtandem.toml")
        start(root, "pgtandem-forwarder", "/usr/bin/pgtandem-forwarder", "--config", "/etc/pgtandem/pgtandem.toml",
              "--state-file", "/var/lib/pgtandem-forwarder/forwarder.state")
        assert open_port(port) and open_port(port + 1)
        shown = root.run("pgtandem", "--config", "/etc/pgtandem/pgtandem.toml", "status", check=False).stdout
        assert "RECOVER" in shown or "no master" in shown.lower(), shown
        numbers = [int(pid.read_text()) for pid in pids]
        for number in numbers:
            os.kill(number, signal.SIGTERM)
        for number in numbers:
            wait_until(lambda number=number: not alive(number), 20, "the end")
    assert root.at("/var/lib/pgtandem").iterdir() and "relay-stopped" in root.at("/var/log/pgtandem/own.log").read_text()


@pytest.mark.packages
def test_an_upgrade_keeps_what_the_administrator_did(packages, root):
    """Upgraded over itself: settings, changed conffiles, state, users and a unit that was disabled stay as they are."""
    root.install(*packages.values())
    configure(root, free_port())
    root.at("/var/lib/pgtandem/slot").write_text("state")
    root.at("/etc/systemd/system/multi-user.target.wants/pgtandem-forwarder.service").unlink()
    before = (root.users(), root.at("/etc/default/pgtandem-relay").read_text(), root.files())
    root.install(*packages.values())
    assert (root.users(), root.at("/etc/default/pgtandem-relay").read_text(), root.files()) == before
    assert enabled(root, "pgtandem-relay") and not enabled(root, "pgtandem-forwarder")
    assert "PGTANDEM_NODE=a" in before[1] and root.at("/var/lib/pgtandem/slot").read_text() == "state"


@pytest.mark.packages
def test_a_removal_keeps_settings_and_state(packages, root):
    """Removed and installed again: the pair goes on where it was."""
    root.install(*packages.values())
    configure(root, free_port())
    root.at("/var/lib/pgtandem/slot").write_text("state")
    root.run("dpkg", "--remove", *packages)
    for name in packages:
        assert status(root, name) == "rc"
        assert not root.at(f"/usr/bin/{name}").exists()
        assert not root.at(f"/usr/lib/systemd/system/{name}.service").exists()
    assert root.at("/etc/pgtandem/pgtandem.toml").exists() and root.at("/var/lib/pgtandem/slot").exists()
    assert "PGTANDEM_NODE=a" in root.at("/etc/default/pgtandem-relay").read_text()
    root.install(*packages.values())
    assert all(status(root, name) == "ii" and enabled(root, name) for name in packages)
    assert not root.at("/etc/systemd/system/pgtandem-relay.service").is_symlink()  # not masked any more


@pytest.mark.packages
@pytest.mark.parametrize("order", (NAMES, NAMES[::-1]), ids=("relay-first", "forwarder-first"))
def test_a_purge_leaves_nothing(packages, root, order):
    """No file, no user, no group: the system is as before. The settings of both go with the last one."""
    before = (root.files(), root.users())
    root.install(*packages.values())
    configure(root, free_port())
    root.at("/var/lib/pgtandem/slot").write_text("state")
    root.at("/var/log/pgtandem-forwarder/own.log").write_text("log")
    root.run("dpkg", "--purge", order[0])
    assert root.at("/etc/pgtandem/pgtandem.toml").exists()
    root.run("dpkg", "--purge", order[1])
    assert root.files() - before[0] == set() and before[0] - root.files() == set()
    assert root.users() == before[1]
    assert all(status(root, name) in ("", "un") for name in NAMES)


# Under a systemd of its own.
SETTINGS = """
master = "127.0.0.1:5433"
state_dir = "/var/lib/pgtandem"
max_sessions = 100
[listen]
frontends = ["127.0.0.1:5432"]
unix_socket_dir = "/var/run/postgresql"
[service]
user = "pgtandem"
passfile = "/etc/pgtandem/passfile"
[forwarder]
listen = ["127.0.0.1:6432"]
relays = ["thishost:5432/8432"]
"""
RELAY, FORWARDER = (f"{name}.service" for name in NAMES)


@pytest.fixture(scope="module")
def system(packages):
    """A booted system with a PostgreSQL server on port 5433, and the packages installed and configured. One for all
    tests: each leaves it serving, but the last."""
    if os.geteuid() != 0:
        pytest.skip("booting a system needs root")
    with BootedSystem(dependencies(packages), ["postgresql-15"]) as made:
        made.shell("pg_conftool 15 main set port 5433; systemctl restart postgresql@15-main; "
                   "runuser -u postgres -- psql -p 5433 -c \"CREATE ROLE pgtandem SUPERUSER LOGIN PASSWORD 'x'\"")
        made.install(*packages.values())
        for unit in (RELAY, FORWARDER):  # not configured, and so not failed
            assert made.show(unit, "ActiveState") == "inactive" and made.show(unit, "Result") == "success"
        made.at("/etc/hosts").write_text("127.0.0.1 localhost thishost\n")  # names are looked up inside of the sandbox too
        made.at("/etc/pgtandem/pgtandem.toml").write_text(SETTINGS)
        made.shell("install -o pgtandem -m 600 /dev/null /etc/pgtandem/passfile; "
                   "echo '*:*:*:pgtandem:x' > /etc/pgtandem/passfile")
        made.run("systemctl", "start", RELAY, FORWARDER)
        yield made


def select_one(system, *where) -> str:
    return system.run("env", "PGPASSWORD=x", "psql", "-X", "-A", "-t", "-U", "pgtandem", "-d", "postgres", *where, "-c",
                      "SELECT 'served'", check=False).stdout.strip()


def journal(system, unit) -> str:
    """What the unit's program has written so far."""
    return system.run("journalctl", "--no-pager", "-o", "cat", "-u", unit).stdout


def restarted(system, unit, old):
    """Waits until another process than `old` serves, and returns it."""
    def another():
        pid = system.show(unit, "MainPID")
        return pid if pid not in ("0", old) and system.show(unit, "ActiveState") == "active" else None

    return wait_until(another, 30, f"{unit} to run again")


@pytest.mark.packages
def test_the_services_serve_inside_of_their_sandboxes(system):
    """psql through forwarder, relay and Unix socket; the sandbox is in force; the status says how things are."""
    for where in (("-h", "/var/run/postgresql"), ("-h", "127.0.0.1"), ("-h", "127.0.0.1", "-p", "6432")):
        assert wait_until(lambda where=where: select_one(system, *where), 20, f"an answer by {where}") == "served"
    for unit, user in ((RELAY, "pgtandem"), (FORWARDER, "pgtandem-forwarder")):
        facts = system.shell(f"cat /proc/$(systemctl show -P MainPID {unit})/status")
        assert re.search(r"^Seccomp:\s+2$", facts, re.M) and re.search(r"^NoNewPrivs:\s+1$", facts, re.M)
        assert re.search(r"^CapBnd:\s+0+$", facts, re.M)
        assert system.shell(f"ps -o user:32= -p $(systemctl show -P MainPID {unit})").strip() == user
    assert system.show(RELAY, "StatusText").startswith("ALONE, epoch 1")
    wait_until(lambda: "following thishost:5432" in system.show(FORWARDER, "StatusText"), 20, "the forwarder's status")
    assert system.at("/var/lib/pgtandem-forwarder").is_dir()


@pytest.mark.packages
def test_a_reload_a_crash_a_hang_and_a_stop_under_systemd(system):
    """`systemctl reload` is over when the new settings hold; a crash and a hang end in a new process; a stop is in order."""
    pid = system.show(RELAY, "MainPID")
    system.at("/etc/pgtandem/pgtandem.toml").write_text(SETTINGS.replace("max_sessions = 100", "max_sessions = 50"))
    system.run("systemctl", "reload", RELAY, FORWARDER)
    wait_until(lambda: "reloaded taken_over=max_sessions" in journal(system, RELAY), 10, "the reload in the journal")
    assert system.show(RELAY, "MainPID") == pid

    system.run("systemctl", "kill", "--signal=KILL", RELAY)
    pid = restarted(system, RELAY, pid)
    assert select_one(system, "-h", "/var/run/postgresql") == "served"

    for unit in (RELAY, FORWARDER):
        folder = system.at(f"/etc/systemd/system/{unit}.d")
        folder.mkdir()
        (folder / "quick.conf").write_text("[Service]\nWatchdogSec=1\nTimeoutAbortSec=1\nRestartSec=100ms\n")
    system.run("systemctl", "daemon-reload")
    system.run("systemctl", "restart", RELAY, FORWARDER)
    for unit in (RELAY, FORWARDER):
        pid = system.show(unit, "MainPID")
        system.run("kill", "-STOP", pid)
        restarted(system, unit, pid)
    assert select_one(system, "-h", "/var/run/postgresql") == "served"

    system.run("systemctl", "stop", RELAY, FORWARDER)
    for unit in (RELAY, FORWARDER):
        assert (system.show(unit, "ActiveState"), system.show(unit, "Result")) == ("inactive", "success")
    wait_until(lambda: re.search(r"relay-stopped\n(?!.*relay-started)", journal(system, RELAY), re.S), 10, "the last line")
    system.shell(f"rm -r /etc/systemd/system/{RELAY}.d /etc/systemd/system/{FORWARDER}.d; systemctl daemon-reload; "
                 f"systemctl start {RELAY} {FORWARDER}")


@pytest.mark.packages
def test_wrong_settings_are_not_tried_for_ever(system):
    """A relay that ends with EX_CONFIG stays down until somebody mends its settings."""
    system.at("/etc/pgtandem/pgtandem.toml").write_text(SETTINGS + "no_such_key = 1\n")
    assert system.run("systemctl", "restart", RELAY, check=False).returncode != 0
    assert system.show(RELAY, "ActiveState") == "failed" and system.show(RELAY, "ExecMainStatus") == "78"
    assert system.show(RELAY, "NRestarts") == "0"
    system.at("/etc/pgtandem/pgtandem.toml").write_text(SETTINGS)
    system.run("systemctl", "start", RELAY)
    assert select_one(system, "-h", "/var/run/postgresql") == "served"


@pytest.mark.packages
def test_upgraded_and_purged_while_it_serves(system, packages):
    """An upgrade restarts the services, once; a purge stops them and leaves nothing."""
    before = {unit: system.show(unit, "MainPID") for unit in (RELAY, FORWARDER)}
    since = len(journal(system, RELAY))
    system.install(*packages.values())
    for unit, pid in before.items():
        restarted(system, unit, pid)
    log = journal(system, RELAY)[since:]
    assert log.count("relay-stopped") == 1 and log.count("relay-started") == 1
    assert select_one(system, "-h", "/var/run/postgresql") == "served"
    system.run("dpkg", "--purge", *packages)
    assert system.shell("pgrep -x 'pgtandem-.*' || true") == ""
    assert "pgtandem" not in system.users()
    assert not [path for path in system.files() if "pgtandem" in path]
