"""Both programs on Windows, under wine: the forwarder as a service, the relay in a console between two servers on Linux.

What wine does not have is read from its traces of the calls."""
import contextlib
import hashlib
import re
import socket
import struct
import threading
import time

import psycopg
import pytest

from harness import APP_PASSWORD, Pair, Postgres, free_port, same, wait_until
from harness.message_table import message_table
from harness.places import pg, run
from harness.process import clean_environment
from harness.stand_in import StandIn
from harness.wine import EVENT_KEY, RELAY, SERVICE, SERVICE_KEY, Service, WindowsRelay, Wine, build_folder, built, forwarder_exe

pytestmark = pytest.mark.windows

MOST_RESIDENT = 24 << 20  # bytes, with IDLE_SESSIONS
IDLE_SESSIONS = 200
STOP_LIMIT = 30.0  # seconds
NOBODY = [(1, 1)]  # a relay that is never there
UNINSTALL_KEY = rf"HKLM\Software\Microsoft\Windows\CurrentVersion\Uninstall\{SERVICE}"
FOLDER = r"C:\ProgramData\pgtandem"


@pytest.fixture(scope="module")
def wine():
    with Wine() as started:
        yield started


@pytest.fixture(scope="module")
def servers():
    """Two servers on Linux: master and standby."""
    with Postgres("windows-master") as master, Postgres("windows-standby") as standby:
        yield master, standby


@pytest.fixture
def relay(wine, servers):
    with WindowsRelay(wine, *servers) as started:
        started.wait_joined()
        yield started


@pytest.fixture
def service(wine):
    """Not installed yet; gone afterwards."""
    made = Service(wine, free_port())
    yield made
    wine.forwarder("uninstall", check=False)
    made.wait_gone()


@pytest.fixture
def stand_ins():
    made = StandIn("a"), StandIn("b")
    yield made
    for one in made:
        one.close()


def connect(service, timeout=10):
    return socket.create_connection(("127.0.0.1", service.port), timeout)


class Busy:
    """Sessions through the service that send and read as fast as it goes, until they are ended."""

    def __init__(self, service, sessions):
        self.service, self.bytes = service, 0
        self.threads = [threading.Thread(target=self.work) for _ in range(sessions)]

    def work(self):
        with contextlib.suppress(OSError), connect(self.service) as client:
            while True:
                client.sendall(bytes(32768))
                received = len(client.recv(1 << 16))
                if received == 0:
                    return
                self.bytes += received

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for thread in self.threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self.threads), "a session outlived the service"


# Installing.
def test_it_is_installed_as_promised(wine, service):
    """One command makes the service with its account, start type, limits, event source, settings and closed folders."""
    since = wine.log_size()
    done = service.install(NOBODY)
    key = wine.registry(SERVICE_KEY)
    assert key["ObjectName"] == rf"NT SERVICE\{SERVICE}"
    assert key["Start"] == 2 and key["Type"] == 0x10  # automatic; a process of its own
    assert key["PreshutdownTimeout"] == 30000
    assert "database" in key["Description"]
    assert key["ImagePath"].endswith(rf'" service "{FOLDER}\forwarder" --config "{FOLDER}\pgtandem.toml"')
    source = wine.registry(EVENT_KEY)
    assert source["TypesSupported"] == 7
    assert source["EventMessageFile"].replace("\\", "/").removeprefix("Z:") == str(forwarder_exe())
    assert str(service.port) in wine.file(rf"{FOLDER}\pgtandem.toml").read_text()
    for folder in (FOLDER, rf"{FOLDER}\forwarder"):
        assert wine.file(folder).stat().st_mode & 0o007 == 0, "others can look into it"
    assert service.status() == 3
    # Wine 8 keeps no recovery actions and does not know three levels: it writes down that they were asked for, and the
    # installation goes on.
    calls = wine.log()[since:]
    assert "SERVICE_CONFIG_FAILURE_ACTIONS not implemented: period 300 " in calls
    for level, what in ((3, "delay the automatic start"), (4, "set recovery for an end without a crash"),
                        (6, "limit the privileges")):
        assert f"ChangeServiceConfig2W level {level} not implemented" in calls
        assert f"warning: cannot {what}: " in done.stderr


def test_a_dry_run_shows_every_step_and_does_nothing(wine, service):
    """`install --dry-run` is what administrators read, and the record of the calls that wine lacks."""
    shown = service.install(NOBODY, "--dry-run").stdout
    digest = hashlib.sha1(SERVICE.upper().encode("utf-16-le")).digest()
    account = "S-1-5-80-" + "-".join(map(str, struct.unpack("<5I", digest)))
    everyone = r"O:BAG:BAD:P\(A;OICI;FA;;;SY\)\(A;OICI;FA;;;BA\)"
    for line in (rf"service {SERVICE} as NT SERVICE\\{SERVICE}, automatic start,",
                 rf"folder C:\\ProgramData\\pgtandem with access {everyone}\(A;OICI;0x1200a9;;;{account}\)$",
                 rf"folder C:\\ProgramData\\pgtandem\\forwarder with access {everyone}\(A;OICI;0x1301bf;;;{account}\)$",
                 "recovery: restart after 60 s, 120 s, counted anew after 300 s$", "recovery also without a crash$",
                 "delayed start$", "preshutdown: 30 s$", "privileges: SeChangeNotifyPrivilege$"):
        assert re.search("^" + line, shown.replace("\r", ""), re.M), f"{line} is not in\n{shown}"
    assert service.status() == 4
    assert wine.registry(SERVICE_KEY) is None
    assert not wine.file(FOLDER).exists()


def test_wrong_settings_install_nothing(wine, service):
    """Settings that the service could not start with are refused with words before anything is made."""
    done = service.install(NOBODY, "--connect-wait", "soon", check=False)
    assert done.returncode == 78 and "connect-wait" in done.stderr
    assert "--relay" in wine.forwarder("install", check=False).stderr
    assert service.status() == 4 and not wine.file(FOLDER).exists()


def test_a_second_installation_keeps_settings_and_state(wine, service):
    """Installing over itself, as an upgrade does, changes nothing that was set."""
    service.install(NOBODY)
    before = wine.file(rf"{FOLDER}\pgtandem.toml").read_text()
    service.start()
    service.stop()
    log = service.log()
    done = wine.forwarder("install")
    assert "as it should be" in done.stdout
    assert wine.file(rf"{FOLDER}\pgtandem.toml").read_text() == before
    assert service.log() == log
    service.start()


def test_uninstalling_leaves_nothing(wine, service):
    """A running service is stopped and removed with its event source, settings, state and log."""
    service.install(NOBODY)
    service.start()
    wine.forwarder("uninstall")
    assert service.gone()
    assert service.status() == 4
    assert wine.registry(SERVICE_KEY) is None and wine.registry(EVENT_KEY) is None
    assert not wine.file(FOLDER).exists()
    wine.forwarder("uninstall")  # once more is no error


def test_uninstalling_can_keep_the_settings(wine, service):
    """`--keep-settings` leaves the settings file alone, for the next installation."""
    service.install(NOBODY)
    wine.forwarder("uninstall", "--keep-settings")
    assert [file.name for file in wine.file(FOLDER).iterdir()] == ["pgtandem.toml"]
    wine.forwarder("install")
    assert service.status() == 3


# The installer.
def test_the_installer_installs_upgrades_and_removes_in_silence(wine, service):
    """`/S /RELAY=a,b` installs and starts; over itself it keeps settings and state; its uninstaller leaves nothing."""
    setup = build_folder() / "win32" / f"{SERVICE}-setup.exe"
    folder = wine.file(r"C:\Program Files\pgtandem")
    assert wine.run(setup, "/S", check=False).returncode == 2, "without relays there is nothing to install"
    assert service.status() == 4

    wine.run(setup, "/S", "/RELAY=hosta.invalid:5432,hostb.invalid:5432/8433", f"/LISTEN=127.0.0.1:{service.port}")
    assert service.running()
    assert sorted(file.name for file in folder.iterdir()) == ["LICENSE.txt", f"{SERVICE}.exe", "uninstall.exe"]
    settings = wine.file(rf"{FOLDER}\pgtandem.toml")
    before = settings.read_text()
    assert 'relays = ["hosta.invalid:5432", "hostb.invalid:5432/8433"]' in before
    listed = wine.registry(UNINSTALL_KEY)
    assert listed["DisplayName"] == "pgtandem forwarder" and "/S" in listed["QuietUninstallString"]
    assert wine.registry(SERVICE_KEY)["ImagePath"].startswith(r'"C:\Program Files\pgtandem\pgtandem-forwarder.exe" ')
    first = wine.processes()

    service.stop()  # a program that runs is mapped: nobody may write to its file
    (folder / f"{SERVICE}.exe").write_bytes((folder / f"{SERVICE}.exe").read_bytes() + b"an older version")
    service.start()
    wine.run(setup, "/S")
    assert not (folder / f"{SERVICE}.exe").read_bytes().endswith(b"an older version")
    assert settings.read_text() == before
    assert service.running() and wine.processes() != first

    # It goes on from a copy of itself elsewhere, since it removes its own file too.
    wine.run(folder / "uninstall.exe", "/S")
    wait_until(lambda: not folder.exists() and wine.registry(UNINSTALL_KEY) is None, 30, "the uninstaller to end")
    assert service.status() == 4 and service.gone()
    assert not wine.file(FOLDER).exists()
    for key in (SERVICE_KEY, EVENT_KEY, UNINSTALL_KEY):
        assert wine.registry(key) is None


# Serving.
def test_psql_goes_through_the_service_and_follows_the_master(wine, service):
    """Sessions on Linux reach real servers through the service; after a change of master they reach the new one."""
    with Pair() as pair:
        service.install(pair.forwarder_relays())
        service.start()
        address = f"host=127.0.0.1 port={service.port} dbname=app user=app password={APP_PASSWORD}"
        with psycopg.connect(address, autocommit=True) as session:
            session.execute("CREATE TABLE kept (n int PRIMARY KEY)")
            session.execute("INSERT INTO kept SELECT generate_series(1, 1000)")
            assert session.execute("SELECT sum(n) FROM kept").fetchone() == (500500,)
        for node in pair.nodes.values():
            assert node.postgres.sql("SELECT count(*) FROM kept", database="app") == [(1000,)]
        pair.tool.run("switchover", "--to", "b", "--yes")
        wait_until(lambda: "epoch=2" in service.log().rpartition(" following ")[2], 20, "the service to follow b")
        with psycopg.connect(address, autocommit=True) as session:
            assert session.execute("SELECT inet_server_port()").fetchone() == (pair.b.postgres.port,)
            session.execute("INSERT INTO kept VALUES (1001)")
        assert any("event: following" in event for event in wine.events())


def test_it_starts_with_the_machine(wine, service):
    """Nobody logs in, nobody starts it: after a start of the machine it runs."""
    service.install(NOBODY)
    assert service.status() == 3
    wine.reboot()
    wait_until(service.running, 20, "the service to be started")


def test_it_reads_its_settings_again(wine, service):
    """`reload` takes over what needs no restart, as a signal does on other systems."""
    service.install(NOBODY)
    service.start()
    file = wine.file(rf"{FOLDER}\pgtandem.toml")
    file.write_text(file.read_text().replace("[forwarder]", "[forwarder]\nconnect_wait = '7s'"))
    wine.forwarder("reload")
    wait_until(lambda: "info reloaded taken_over=forwarder.connect_wait" in service.log(), 10, "the log to say so")
    assert service.running()


def test_it_stops_in_time_with_sessions_in_use(wine, service, stand_ins):
    """A stop answers at once and ends within 30 s, however busy the sessions are; the manager sees an end in order."""
    stand_ins[0].says("MASTER", 1, "a")
    service.install([one.ports for one in stand_ins])
    service.start()
    with Busy(service, 20) as load:
        wait_until(lambda: load.bytes > 1 << 20, 20, "the load to run")
        began = time.monotonic()
        service.stop()
        took = time.monotonic() - began
    assert took < STOP_LIMIT
    assert service.gone()
    assert wine.forwarder("status", check=False).stdout.strip() == f"the service {SERVICE} does not run"
    assert " info forwarder-stopped sessions=" in service.log()


def test_idle_sessions_need_little_memory(service, stand_ins):
    """200 idle sessions: at most 24 MiB resident."""
    stand_ins[0].says("MASTER", 1, "a")
    service.install([one.ports for one in stand_ins])
    service.start()
    with contextlib.ExitStack() as stack:
        for _ in range(IDLE_SESSIONS):
            client = stack.enter_context(connect(service))
            assert client.recv(1) == b"a"
        assert service.resident() <= MOST_RESIDENT


@pytest.mark.parametrize("test", ["base/base-test.exe", "roles/roles-slot-store-test.exe", "statements/statements-test.exe",
                                  "win32/service-plan-test.exe"])
def test_unit_tests_pass_on_windows(wine, test):
    """What is another file on Windows (digests by CNG, the slot files, the parser) keeps the same promises there."""
    assert "All tests passed" in wine.run(build_folder() / "tests" / "unit" / test).stdout


# What it says.
def test_a_taken_port_reaches_the_event_log_in_words(wine, service):
    """A start that fails says why: to whoever starts it, in the log file, in the event log."""
    service.install(NOBODY)
    with socket.create_server(("127.0.0.1", service.port)):
        since = wine.log_size()
        done = wine.forwarder("start", check=False)
    assert done.returncode == 71 and "cannot be listened on" in done.stderr
    assert f"cannot listen on 127.0.0.1:{service.port}" in service.log()
    wait_until(lambda: any(f"event: start-failed error: cannot listen on 127.0.0.1:{service.port}" in event
                           for event in wine.events(since)), 10, "the event log's entry")
    shown = wine.forwarder("status", check=False)
    assert shown.returncode == 3 and "an address cannot be listened on" in shown.stdout
    service.start()


def test_bad_settings_reach_the_event_log_in_words(wine, service):
    """A settings file that was spoilt by hand: the event log names the line."""
    service.install(NOBODY)
    file = wine.file(rf"{FOLDER}\pgtandem.toml")
    file.write_text(file.read_text().replace("[forwarder]", "[forwarder]\nconnect_wait = 'soon'"))
    since = wine.log_size()
    done = wine.forwarder("start", check=False)
    assert "the settings are wrong" in done.stderr
    wait_until(lambda: any(re.search(r"event: start-failed error: .*pgtandem\.toml:\d+: .*soon", event)
                           for event in wine.events(since)), 10, "the event log's entry")


def test_starts_and_stops_reach_the_event_log(wine, service):
    """What an administrator looks for first."""
    since = wine.log_size()
    service.install(NOBODY)
    service.start()
    service.stop()
    for event in ("forwarder-started", "forwarder-stopped"):
        wait_until(lambda name=event: any(f"event: {name}" in text for text in wine.events(since)), 10, event)


def test_every_event_has_its_text_in_the_program():
    """The event viewer finds the text of every number in the program's own file."""
    table = message_table(forwarder_exe())
    assert table[0x40000064].startswith("The forwarder has started.")
    assert table[0xC000012D].startswith("The program could not start.")
    assert table[0x800000C9].startswith("No relay is the master's")
    assert len(table) == 20 and all(text.endswith("%1") for text in table.values())


# The relay.
@pytest.mark.parametrize("mode", ["simple", "prepared"])
def test_the_relay_mirrors_pgbench_to_two_servers(relay, servers, mode):
    """pgbench through pgtandem-relay.exe, in discipline `serial`: no transaction fails, both servers have every row."""
    master, standby = servers
    assert relay.status()["discipline"] == "serial"
    run(pg("pgbench"), "-i", "-q", "-s", "1", relay.tcp(), env=clean_environment())
    done = run(pg("pgbench"), "-n", "-M", mode, "-c", "4", "-j", "2", "-t", "100", relay.tcp(), env=clean_environment())
    assert "number of failed transactions: 0" in done.stdout
    status = relay.status()
    assert status["standby"]["joined"], status["standby"]["stale_reason"]
    assert status["differences"]["writes"] == 0
    assert master.value("SELECT count(*) FROM pgbench_history") == 400
    same(master, standby)


def test_the_relay_keeps_its_state_and_its_differences(relay, servers, wine):
    """What differs is written down and costs the standby; a killed relay goes on from its state folder."""
    master, standby = servers
    with psycopg.connect(relay.tcp(), autocommit=True) as session:
        session.execute("CREATE TABLE differs (n int PRIMARY KEY)")
        standby.sql("INSERT INTO differs VALUES (1)", database="app")
        session.execute("INSERT INTO differs VALUES (1)")
        assert "differ" in relay.wait_stale()
    state = relay.folder / "state"
    wait_until(lambda: "INSERT INTO differs" in (state / "differences.jsonl").read_text(), 10, "the difference in its log")
    second = wine.run(built(RELAY), *relay.arguments, check=False)
    assert second.returncode != 0 and "another relay uses the state folder" in second.stderr
    relay.kill()
    assert (state / "role-0").stat().st_size == (state / "role-1").stat().st_size > 0
    relay.start()
    assert not relay.joined(), "a restart made a standby equal that is not"
    for server in servers:
        server.sql("DROP TABLE differs", database="app")


def test_the_relay_is_a_service(wine, servers):
    """Installed with the options of a console, started, used, stopped in order, removed without a trace."""
    relay = WindowsRelay(wine, *servers)
    folder = r"C:\ProgramData\pgtandem-relay"
    options = [word for word in relay.arguments if word not in ("--state-dir", relay.folder / "state")]
    try:
        relay.run("install", *options)
        assert relay.run("status", check=False).returncode == 3
        relay.run("start")
        relay.wait_joined()
        with psycopg.connect(relay.tcp(), autocommit=True) as session:
            session.execute("CREATE TABLE by_service (n int PRIMARY KEY); INSERT INTO by_service VALUES (1)")
        same(*servers, "by_service")
        assert relay.run("status").stdout.startswith("the service pgtandem-relay runs")
        assert (wine.file(folder) / "state" / "role-0").exists()
        relay.run("stop")
        wait_until(lambda: not wine.processes(f"{RELAY}.exe"), 30, "the service's process to end")
        log = (wine.file(folder) / "state" / "relay.log").read_text()
        assert "relay-started" in log and "relay-stopped" in log
        with socket.create_server(("127.0.0.1", relay.port)):
            done = relay.run("start", check=False)
        assert done.returncode == 71 and "cannot be listened on" in done.stderr
        assert f"cannot listen on 127.0.0.1:{relay.port}" in (wine.file(folder) / "state" / "relay.log").read_text()
    finally:
        relay.run("uninstall", check=False)
    assert relay.run("status", check=False).returncode == 4 and not wine.file(folder).exists()
