"""The programs as people meet them on a command line: help, versions, mistakes, exit statuses."""
import signal
import subprocess

import psycopg
import pytest

from harness import Pair, Postgres, Relay
from harness.places import program, run

PROGRAMS = ("pgtandem-relay", "pgtandem-forwarder", "pgtandem")


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_and_version(name):
    """--help and --version print to standard output and end with 0."""
    assert "--config" in run(program(name), "--help").stdout
    assert run(program(name), "--version").stdout.split()[-1].count(".") == 2


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("arguments", (["--no-such-flag"], ["--config", "/nonexistent/file"]))
def test_mistakes_on_the_command_line(name, arguments):
    """A mistake ends with a status of sysexits and one clear sentence that names it, on standard error."""
    done = run(program(name), *arguments, *(["status"] if name == "pgtandem" else []), check=False)
    assert done.returncode in (64, 66, 78)
    assert arguments[-1].lstrip("-") in done.stderr and "terminate" not in done.stderr


@pytest.mark.parametrize("line, word", (
    ("ack = \"sometimes\"", "sometimes"), ("no_such_key = 1", "no_such_key"), ("standby_timeout = true", "standby_timeout"),
    ("threads = 100000", "threads"), ("discipline = \"loose\"", "discipline"), ("ack = ", "ack"),
))
def test_mistakes_in_the_file(tmp_path, line, word):
    """A wrong key, type or value is an error with file, line and what is allowed; nothing is started."""
    file = tmp_path / "pgtandem.toml"
    file.write_text(f'state_dir = "{tmp_path}/state"\nmaster = "127.0.0.1:1"\n{line}\n'
                    '[listen]\nfrontends = ["127.0.0.1:1"]\n')
    done = run(program("pgtandem-relay"), "--config", file, check=False, timeout=10)
    assert done.returncode == 78
    assert word in done.stderr and "pgtandem.toml" in done.stderr and "3" in done.stderr


def test_a_second_sigterm_stops_at_once():
    """SIGTERM stops in order and waits for open transactions; a second one does not wait."""
    with Postgres() as server:
        relay = Relay.flags_only(server, None, "--stop-timeout", "60s").start()
        session = psycopg.connect(relay.tcp())
        session.execute("SELECT 1")  # a transaction is open now
        relay.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            relay.process.wait(1.5)
        relay.stop(timeout=5)
        session.close()


def test_variables_stand_for_flags():
    """Every setting can be given as a PGTANDEM_... variable."""
    with Postgres() as server:
        relay = Relay.flags_only(server, None)
        at = relay.arguments.index("--master")
        del relay.arguments[at:at + 2]
        relay.environment = lambda: {"PGTANDEM_MASTER": server.endpoint(), "PGTANDEM_LOG_FORMAT": "json"}
        with relay:
            psycopg.connect(relay.tcp()).close()
            assert relay.log().lstrip().startswith("{")


def test_a_key_file_that_others_can_read_is_refused():
    """The pair's key with mode 0644 is refused at start: a secret that everybody reads is none."""
    pair = Pair()
    try:
        (pair.a.folder / "pair.key").chmod(0o644)
        with pytest.raises(AssertionError, match="ended with status 78"):
            pair.a.relay.start()
        assert pair.a.relay.log_contains("pair.key")
    finally:
        pair.end()
