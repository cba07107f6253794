"""Garbage to every port: alive, others undisturbed, one log line each."""
import os
import random
import socket
import struct

import psycopg
import pytest

from harness import Forwarder, wait_until, wire

PORTS = ("frontend", "frontend-socket", "leg", "control", "forwarder", "passing-on")


def garbage(choice) -> dict:
    """Each by its name: what is sent before the sender gives up."""
    http = b"POST /v1/promote HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{"
    return {
        "nothing": b"",
        "one byte": b"\x00",
        "random": choice.randbytes(5000),
        "random, much": choice.randbytes(300000),
        "zeros": bytes(20000),
        "text": b"HELO example.org\r\nMAIL FROM:<x>\r\n",
        "http get": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "http huge": http,
        "http long header": b"GET / HTTP/1.1\r\nX: " + b"y" * 200000 + b"\r\n\r\n",
        "http broken": b"GET /v1/status HTTP/9.9\r\n\0\0\0\r\n\r\n",
        "http body no json": b"POST /v1/init HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{{{{{",
        "tls hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + choice.randbytes(500),
        "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
        "length too long": struct.pack("!II", 0x7fffffff, wire.PROTOCOL_3_0) + b"user\0x\0\0",
        "length negative": struct.pack("!II", 0xffffffff, wire.PROTOCOL_3_0),
        "length too short": struct.pack("!II", 4, wire.PROTOCOL_3_0),
        "no terminator": wire.request(wire.PROTOCOL_3_0, b"user\0app"),
        "no user": wire.startup(database="app"),
        "odd parameters": wire.request(wire.PROTOCOL_3_0, b"user\0app\0database\0"),
        "many parameters": wire.startup(user="app", **{f"p{n}": "v" for n in range(900)}),
        "cancel": wire.request(wire.CANCEL_REQUEST, choice.randbytes(8)),
        "cancel, long": wire.request(wire.CANCEL_REQUEST, choice.randbytes(300)),
        "password first": wire.message(b"p", b"secret\0"),
        "startup, then garbage": wire.startup(user="app", database="app") + choice.randbytes(2000),
        "startup, wrong sasl": wire.startup(user="app", database="app") + wire.message(
            b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", 10) + b"n,,n=,r=\xff\xff"),
        "sasl of another kind": wire.startup(user="app", database="app") + wire.message(b"p", b"OAUTH\0\0\0\0\0"),
        "query before login": wire.startup(user="app", database="app") + wire.query("SELECT 1"),
    }


def throw(address, data):
    """Sends it, reads what comes within a moment, leaves."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as thrower:
        thrower.settimeout(5)
        thrower.connect(address)
        try:
            thrower.sendall(data)
            thrower.shutdown(socket.SHUT_WR)
            while thrower.recv(65536):
                pass
        except OSError:
            pass  # being cut off is a fine answer


@pytest.fixture
def targets(pair):
    """Each port: its address and the program behind it."""
    with Forwarder(pair.forwarder_relays()) as forwarder:
        yield {
            "frontend": (("127.0.0.1", pair.a.relay_port), pair.a.relay),
            "frontend-socket": (f"{pair.a.folder}/.s.PGSQL.{pair.a.relay_port}", pair.a.relay),
            "leg": (("127.0.0.1", pair.b.leg_port), pair.b.relay),
            "control": (("127.0.0.1", pair.a.control_port), pair.a.relay),
            "forwarder": (("127.0.0.1", forwarder.port), forwarder),
            "passing-on": (("127.0.0.1", pair.b.relay_port), pair.b.relay),
        }


@pytest.mark.parametrize("port", PORTS)
def test_garbage(pair, targets, port, seed):
    """Every kind of garbage to one port: the program lives, a session beside it works on, the log has a line for each."""
    address, program = targets[port]
    pid = program.process.pid
    with psycopg.connect(pair.a.relay.tcp(), autocommit=True) as other:
        for name, data in garbage(random.Random(seed)).items():
            since = program.log_size()
            throw(address, data)
            assert other.execute("SELECT 1").fetchone() == (1,), name
            assert program.running() and program.process.pid == pid, name
            lines = program.log()[since:].count("\n")
            assert lines <= 3, f"{name}: {lines} lines in the log:\n{program.log()[since:]}"
    wait_until(lambda: pair.a.relay.status()["sessions"]["open"] == 0, 10, "no session to be left")
    pair.a.relay.assert_still_joined()
    assert pair.a.relay.status()["differences"]["writes"] == 0
    assert pair.b.relay.state() == "STANDBY"


@pytest.mark.parametrize("port", ("frontend", "leg"))
@pytest.mark.parametrize("name", ("random", "length too long", "tls hello", "text", "http get"))
def test_garbage_is_logged_with_its_sender(targets, port, name, seed):
    """One line in the log says that a connection was refused, from where and why; control characters are escaped."""
    address, program = targets[port]
    since = program.log_size()
    throw(address, garbage(random.Random(seed))[name])
    wait_until(lambda: program.log_contains("127.0.0.1", since=since), 5, "a line with the sender's address")
    assert all(c.isprintable() or c == "\n" for c in program.log()[since:])


def test_half_open_connections_do_not_last():
    """Hundreds of connections that never say a word are closed at login_timeout, and a real client gets in meanwhile."""
    from harness import Mirror
    with Mirror("--login-timeout", "3s") as mirror:
        silent = []
        try:
            for _ in range(400):
                silent.append(socket.create_connection(("127.0.0.1", mirror.relay.port), 5))
            psycopg.connect(mirror.relay.tcp(), connect_timeout=5).close()
            for one in silent:
                one.settimeout(10)
                try:
                    while one.recv(4096):
                        pass
                except ConnectionResetError:
                    pass
        finally:
            for one in silent:
                one.close()
        before = mirror.relay.open_files()
        assert before < 100, f"{before} descriptors are still open"
        mirror.relay.assert_still_joined()


def test_a_storm_of_cancels(mirror):
    """Hundreds of cancel requests for nobody disturb no statement."""
    with psycopg.connect(mirror.relay.tcp(), autocommit=True) as other:
        for n in range(300):
            with wire.Wire(mirror.relay.port) as stranger:
                stranger.send(wire.request(wire.CANCEL_REQUEST, os.urandom(8)))
            if n % 50 == 0:
                assert other.execute("SELECT pg_sleep(0.01)").fetchone()
    mirror.relay.assert_still_joined()
