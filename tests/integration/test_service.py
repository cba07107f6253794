"""The programs as services: what a service manager is told, reload, background, pid file, log file."""
import contextlib
import json
import os
import re
import signal

import psycopg
import pytest

from harness import ControlError, Forwarder, Pair, Postgres, Relay, free_port, holds, wait_until
from harness.notify import NotifySocket, ended_at_last
from harness.one_thread import stopped, threads
from harness.places import new_folder, program, run
from harness.process import alive, clean_environment
from harness.relay import open_port
from harness.stand_in import StandIn


@pytest.fixture
def stand_ins():
    made = StandIn("a"), StandIn("b")
    yield made
    for one in made:
        one.close()


@pytest.fixture
def server():
    with Postgres() as made:
        yield made


def with_notify(started, manager, watchdog=None):
    started.environment = lambda: manager.environment(watchdog)
    return started


# What the manager is told.
@pytest.mark.parametrize("abstract", (False, True), ids=("path", "abstract"))
def test_a_forwarder_tells_its_manager_how_it_is(stand_ins, abstract):
    """READY when the port is open, STATUS as the master changes, RELOADING and READY at SIGHUP, WATCHDOG, STOPPING."""
    stand_ins[0].says("MASTER", 1, "a")
    with NotifySocket(abstract) as manager:
        forwarder = with_notify(Forwarder([one.ports for one in stand_ins]), manager, watchdog=0.4)
        forwarder.start(wait=False)
        assert manager.take_key("READY")["READY"] == "1"
        assert open_port(forwarder.port)
        manager.take(lambda m: re.search(r"following .*, epoch 1, ", m.get("STATUS", "")), 10, "following, epoch 1")
        manager.take_key("WATCHDOG")
        stand_ins[1].says("ALONE", 2, "b")
        manager.take(lambda m: "epoch 2" in m.get("STATUS", ""), 10, "with epoch 2")
        before = int(float(open("/proc/uptime").read().split()[0]) * 1e6) - 1_000_000
        forwarder.process.send_signal(signal.SIGHUP)
        assert int(manager.take_key("RELOADING")["MONOTONIC_USEC"]) > before
        manager.take_key("READY")
        assert forwarder.log_contains("reloaded taken_over=\"\"")
        assert forwarder.stop() == 0
        assert manager.take_key("STOPPING")["EXTEND_TIMEOUT_USEC"]


def test_a_relay_tells_its_manager_how_it_is(server):
    """The same of a relay: ready means that clients can log in, and the status names role and sessions."""
    with NotifySocket() as manager:
        relay = with_notify(Relay.flags_only(server, None, "--stop-timeout", "60s"), manager, watchdog=0.6)
        relay.start(wait=False)
        assert "epoch" in manager.take_key("READY")["STATUS"]
        assert open_port(relay.port) and open_port(relay.control_port)
        relay.wait_ready()
        with psycopg.connect(relay.tcp(), autocommit=True) as session:
            manager.take(lambda m: m.get("STATUS", "").endswith("1 session"), 10, "with one session")
            relay.process.send_signal(signal.SIGHUP)
            manager.take_key("RELOADING")
            manager.take_key("READY")
            assert session.execute("SELECT 1").fetchone() == (1,)
            session.execute("BEGIN")
            relay.process.send_signal(signal.SIGTERM)
            assert int(manager.take_key("STOPPING")["EXTEND_TIMEOUT_USEC"]) > 60e6
            holds(relay.running, 0.5, "a stop waits for the open transaction")
            with contextlib.suppress(psycopg.OperationalError):  # its end may come with the end of the session
                session.execute("COMMIT")
        assert wait_until(lambda: relay.process.poll() is not None, 20, "the end of the relay")
        assert relay.stop() == 0


def test_a_hanging_thread_starves_the_watchdog(server):
    """One I/O thread that hangs is a failure of the relay: no WATCHDOG, although the control port answers."""
    with NotifySocket() as manager:
        relay = with_notify(Relay.flags_only(server, None, "--threads", "2"), manager, watchdog=0.4)
        with relay:
            manager.take_key("WATCHDOG")
            io_threads = ticking_threads(relay.process.pid, 2)
            for hanging in io_threads:
                with stopped(hanging):
                    fed = feeds(manager)

                    def starved():  # a last feed may be on its way
                        fed()
                        return holds(lambda: fed() == 0 and relay.control.status(), 1.0, "no feed in five of its times") is None

                    wait_until(starved, 10, "the watchdog to starve while the control port answers")
                manager.take_key("WATCHDOG")
            # What stood still for a second asks before it releases anything; that must be over before the end.
            relay.wait_ready()


def ticking_threads(process, count) -> list:
    """The I/O threads: those that wake up most often, every 100 ms, besides the main one."""
    def wakes(thread):
        text = open(f"/proc/{process}/task/{thread}/status").read()
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M).group(1))

    others = [thread for thread in threads(process) if thread != process]
    before = {thread: wakes(thread) for thread in others}

    def most():
        found = sorted(others, key=lambda thread: before[thread] - wakes(thread))[:count]
        return found if all(wakes(thread) >= before[thread] + 30 for thread in found) else None

    return wait_until(most, 20, f"{count} threads to tick thirty times")


def feeds(manager):
    """How many WATCHDOG messages came since the last call."""
    def count():
        found = sum("WATCHDOG" in message for message in manager.arrived())
        manager.unread.clear()
        return found

    return count


def test_without_a_manager_nothing_is_missing(stand_ins):
    """A NOTIFY_SOCKET that leads nowhere stops nobody."""
    forwarder = Forwarder([one.ports for one in stand_ins])
    forwarder.environment = lambda: {"NOTIFY_SOCKET": "/nonexistent/socket", "WATCHDOG_USEC": "200000"}
    with forwarder:
        forwarder.process.send_signal(signal.SIGHUP)
        wait_until(lambda: forwarder.log_contains("reloaded"), 10, "the reload")
        assert forwarder.stop() == 0


# Reload.
class FileRelay:
    """A flags-only relay whose settings stand in a file that tests rewrite."""

    def __init__(self, server):
        self.relay = Relay.flags_only(server, None)
        self.file = self.relay.folder / "pgtandem.toml"
        self.log_file = self.relay.folder / "relay.own.log"
        self.relay.arguments += ["--config", self.file]
        self.write()

    def write(self, top="", log='level = "info"', tables="", log_file=None):
        self.file.write_text(f'{top}\n[log]\n{log}\nfile = "{log_file or self.log_file}"\n{tables}')

    def log(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""

    def reload(self) -> str:
        """What the log says about it."""
        before = len(self.log())
        self.relay.process.send_signal(signal.SIGHUP)
        return wait_until(lambda: re.search(r"^.*\b(reloaded|reload-failed)\b.*\n(.*needs-a-restart .*)?", self.log()[before:],
                                            re.M), 10, "the reload").group(0)


@pytest.fixture
def file_relay(server):
    made = FileRelay(server)
    with made.relay:
        yield made


def connects(relay) -> bool:
    try:
        psycopg.connect(relay.tcp()).close()
        return True
    except psycopg.OperationalError as refused:
        assert "no [[access]] rule" in str(refused)
        return False


def test_a_reload_takes_the_access_list_over(file_relay):
    """Who may connect changes without a restart; sessions that are open stay."""
    relay = file_relay.relay
    with psycopg.connect(relay.tcp(), autocommit=True) as session:
        file_relay.write(tables='[[access]]\naddress = "127.0.0.0/8"\naction = "deny"\n')
        assert 'taken_over=access' in file_relay.reload()
        wait_until(lambda: not connects(relay), 10, "the new list to hold")
        assert session.execute("SELECT 1").fetchone() == (1,)
    file_relay.write()
    assert 'taken_over=access' in file_relay.reload()
    wait_until(lambda: connects(relay), 10, "the old list to hold again")


def test_a_reload_takes_limits_and_the_form_of_the_log_over(file_relay):
    """max_sessions and log.format: each is named and holds."""
    relay = file_relay.relay
    file_relay.write("max_sessions = 1", 'format = "json"')
    assert '"taken_over":"log.format, max_sessions"' in file_relay.reload()
    with psycopg.connect(relay.tcp()):
        def refused():
            try:
                psycopg.connect(relay.tcp()).close()
                return False
            except psycopg.OperationalError:
                return "too-many-sessions" in file_relay.log()

        wait_until(refused, 10, "the second session to be refused")
    assert json.loads(file_relay.log().splitlines()[-1])["reason"] == "too-many-sessions"


def test_a_reload_takes_the_token_over(file_relay):
    """A new token in the same file counts from the reload on."""
    relay = file_relay.relay
    (relay.folder / "token").write_text("another-token-of-the-tests\n")
    assert relay.control.command("token")["ok"]
    assert "taken_over=control.token_file" in file_relay.reload()
    with pytest.raises(ControlError, match="401"):
        relay.control.command("token")
    relay.control.token = "another-token-of-the-tests"
    assert relay.control.command("token")["ok"]


def test_a_reload_says_what_needs_a_restart(file_relay):
    """What cannot change while running is named in one line, at each reload, and stays as it was."""
    file_relay.write('standby_timeout = "3s"\nthreads = 3')
    said = file_relay.reload()
    assert 'taken_over=""' in said and 'needs-a-restart settings="standby_timeout, threads"' in said
    assert "needs-a-restart" in file_relay.reload()
    file_relay.write()
    assert "needs-a-restart" not in file_relay.reload()


@pytest.mark.parametrize("wrong", ("no_such_key = 1", "threads = 9999", "max_sessions = 1\n[broken"))
def test_a_bad_file_changes_nothing(file_relay, wrong):
    """A mistake in the new file is reported with file and line; nothing of the file counts."""
    file_relay.write(wrong, tables='[[access]]\naddress = "127.0.0.0/8"\naction = "deny"\n')
    said = file_relay.reload()
    assert "reload-failed" in said and "pgtandem.toml:" in said
    assert connects(file_relay.relay)


def test_a_log_file_that_cannot_be_opened_changes_nothing(file_relay):
    """The old log goes on and says so."""
    file_relay.write("max_sessions = 1", log_file="/proc/nowhere/log")
    assert "reload-failed" in file_relay.reload()
    assert "/proc/nowhere/log" in file_relay.log()


def test_a_log_file_that_was_renamed_is_begun_anew(file_relay):
    """What logrotate does: rename, then SIGHUP."""
    renamed = file_relay.log_file.with_suffix(".1")
    file_relay.log_file.rename(renamed)
    file_relay.relay.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "reloaded" in file_relay.log(), 10, "the new file")
    assert "reloaded" not in renamed.read_text() and "relay-started" in renamed.read_text()


def test_a_forwarder_reloads_its_wait(stand_ins):
    """connect_wait changes, and a mistake in the file is reported."""
    forwarder = Forwarder([one.ports for one in stand_ins])
    file = forwarder.folder / "pgtandem.toml"
    file.write_text("")
    command = forwarder.command
    forwarder.command = lambda: [*(part for part in command() if part not in ("--connect-wait", "30s")), "--config", file]
    with forwarder:
        file.write_text('[forwarder]\nconnect_wait = "300ms"\n')
        forwarder.process.send_signal(signal.SIGHUP)
        wait_until(lambda: forwarder.log_contains("reloaded taken_over=forwarder.connect_wait"), 10, "the reload")
        with pytest.raises(psycopg.OperationalError, match="no master"):
            psycopg.connect(forwarder.tcp(), connect_timeout=20)
        file.write_text("[forwarder]\nconnect_wait = 5\n")
        forwarder.process.send_signal(signal.SIGHUP)
        wait_until(lambda: forwarder.log_contains("reload-failed .*pgtandem.toml:2"), 10, "the report")


# In the background.
def start_in_background(name, *arguments, check=True):
    return run(program(name), "--daemon", *arguments, check=check, timeout=30, env=clean_environment())


def forwarder_flags(folder, stand_ins, port):
    relays = [part for one in stand_ins for part in ("--relay", "127.0.0.1:{}/{}".format(*one.ports))]
    return ["--listen", f"127.0.0.1:{port}", *relays, "--pid-file", folder / "pid", "--log-file", folder / "log"]


def test_a_forwarder_in_the_background(stand_ins):
    """--daemon returns when the port is open; the pid file leads to the process, and a second instance is refused."""
    folder, port = new_folder("daemon"), free_port()
    flags = forwarder_flags(folder, stand_ins, port)
    with ended_at_last(folder / "pid"):
        done = start_in_background("pgtandem-forwarder", *flags)
        assert open_port(port)
        assert done.stdout == "" and done.stderr == ""
        pid = int((folder / "pid").read_text())
        assert os.readlink(f"/proc/{pid}/exe") == os.path.realpath(program("pgtandem-forwarder"))
        assert os.getsid(pid) != os.getsid(0) and os.getsid(pid) != pid
        assert {os.readlink(f"/proc/{pid}/fd/{n}") for n in range(3)} == {"/dev/null"}
        assert "forwarder-started" in (folder / "log").read_text()

        second = start_in_background("pgtandem-forwarder", *flags, check=False)
        assert second.returncode == 73 and f"belongs to process {pid}" in second.stderr
        assert int((folder / "pid").read_text()) == pid

        (folder / "log").rename(folder / "log.1")
        os.kill(pid, signal.SIGHUP)
        wait_until(lambda: "reloaded" in (folder / "log").read_text(), 10, "the log file to be begun anew")
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not alive(pid), 10, "the end")
        assert not (folder / "pid").exists()


def test_errors_of_the_start_reach_the_terminal(stand_ins):
    """In the background too: a port that is taken, a file that cannot be written, a setting that is wrong."""
    folder = new_folder("daemon")
    flags = forwarder_flags(folder, stand_ins, stand_ins[0].ports[1])
    taken = start_in_background("pgtandem-forwarder", *flags, check=False)
    assert taken.returncode == 71 and "cannot listen" in taken.stderr
    assert not (folder / "pid").exists()
    unwritable = start_in_background("pgtandem-forwarder", *flags[:-1], "/proc/nowhere/log", check=False)
    assert unwritable.returncode == 73 and "/proc/nowhere/log" in unwritable.stderr
    wrong = start_in_background("pgtandem-forwarder", *flags[:-2], check=False)
    assert wrong.returncode == 78 and "--log-file" in wrong.stderr


def test_a_relay_in_the_background(server):
    """The same of a relay; a port that is taken ends the start with 69 and a sentence."""
    relay = Relay.flags_only(server, None)
    pid_file, log_file = relay.folder / "pid", relay.folder / "own.log"
    flags = [*relay.arguments, "--pid-file", pid_file, "--log-file", log_file]
    with ended_at_last(pid_file):
        start_in_background("pgtandem-relay", *flags)
        psycopg.connect(relay.tcp()).close()
        pid = int(pid_file.read_text())
        other = [*flags, "--state-dir", relay.folder / "other", "--pid-file", relay.folder / "other.pid"]
        taken = start_in_background("pgtandem-relay", *other, check=False)
        assert taken.returncode == 69 and str(relay.control_port) in taken.stderr
        assert not (relay.folder / "other.pid").exists()
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not alive(pid), 20, "the end")
        assert not pid_file.exists()
        assert "relay-stopped" in log_file.read_text()


def test_a_crash_leaves_a_pid_file_that_hinders_nobody(stand_ins):
    """After SIGKILL the next instance takes the pid file over."""
    folder, port = new_folder("daemon"), free_port()
    flags = forwarder_flags(folder, stand_ins, port)
    with ended_at_last(folder / "pid"):
        start_in_background("pgtandem-forwarder", *flags)
        pid = int((folder / "pid").read_text())
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not alive(pid), 10, "the crash")
        start_in_background("pgtandem-forwarder", *flags)
        assert int((folder / "pid").read_text()) != pid


def test_a_reload_of_a_pair_keeps_it_joined():
    """SIGHUP to both relays of a pair, under a session: nobody notices, and both name the same changes."""
    with Pair() as pair:
        with psycopg.connect(pair.a.relay.tcp(), autocommit=True) as session:
            for node in pair.nodes.values():
                file = node.folder / "pgtandem.toml"
                file.write_text('slow_write = "20s"\n' + file.read_text())
                node.relay.process.send_signal(signal.SIGHUP)
                wait_until(lambda: node.relay.log_contains("reloaded taken_over=slow_write"), 10, f"the reload of {node.name}")
            session.execute("CREATE TABLE after_reload(n integer)")
            session.execute("INSERT INTO after_reload VALUES (1)")
        assert pair.a.relay.joined()
        assert pair.b.postgres.value("SELECT n FROM after_reload") == 1
