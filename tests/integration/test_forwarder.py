"""The forwarder follows the master of the highest epoch, lets connections wait, and is plain TCP underneath."""
import concurrent.futures
import socket
import time

import psycopg
import pytest

from harness import Forwarder, holds, wait_until
from harness.stand_in import StandIn, signed_record


@pytest.fixture
def stand_ins():
    made = StandIn("a"), StandIn("b")
    yield made
    for one in made:
        one.close()


@pytest.fixture
def forwarder(stand_ins):
    with Forwarder([one.ports for one in stand_ins], connect_wait="20s") as started:
        yield started


def connect(forwarder, timeout=10):
    return socket.create_connection(("127.0.0.1", forwarder.port), timeout)


def who(forwarder, timeout=10) -> str:
    """The name of the stand-in that a new connection reaches."""
    with connect(forwarder, timeout) as client:
        return client.recv(1).decode()


def test_it_reaches_the_master(stand_ins, forwarder):
    """New connections go to the relay whose state is active, in every active state and in no other."""
    a, b = stand_ins
    epoch = 1
    for state in ("MASTER", "ALONE", "DEGRADING", "DRAINING"):
        for master, other in ((b, a), (a, b)):
            epoch += 1
            other.says("STALE", epoch, master.node)
            master.says(state, epoch, master.node)
            wait_until(lambda: who(forwarder) == master.node, 5, f"the forwarder to follow {master.node} in {state}")


def test_the_higher_epoch_wins(stand_ins, forwarder):
    """When two relays claim to be active, the one of the higher epoch is followed."""
    a, b = stand_ins
    a.says("ALONE", 4, "a")
    assert who(forwarder) == "a"
    b.says("ALONE", 5, "b")
    wait_until(lambda: who(forwarder) == "b", 5, "the forwarder to follow")
    holds(lambda: who(forwarder) == "b", 1, "it stays there")


def test_it_ends_the_sessions_of_the_old_master(stand_ins, forwarder):
    """When the master changes, sessions that hang on the old one are ended, so that their clients connect again."""
    a, b = stand_ins
    a.says("MASTER", 1, "a")
    with connect(forwarder) as client:
        assert client.recv(1) == b"a"
        b.says("ALONE", 2, "b")
        client.settimeout(10)
        try:
            assert client.recv(1) == b""
        except ConnectionResetError:
            pass
    assert who(forwarder) == "b"


def test_it_never_follows_a_lower_epoch(stand_ins, forwarder):
    """An epoch that was seen is remembered, on disk too: a master of a lower one is not followed after a restart either."""
    a, b = stand_ins
    a.says("ALONE", 7, "a")
    assert who(forwarder) == "a"
    a.closing.set()  # its host is gone, its record is on this host's disk
    a.control.shutdown()
    a.control.server_close()
    b.says("MASTER", 6, "b")
    forwarder.kill()
    forwarder.start()
    with connect(forwarder, 2) as client:
        with pytest.raises(TimeoutError):
            client.recv(1)
    assert b.connections == 0
    b.says("ALONE", 8, "b")
    assert who(forwarder) == "b"


def test_it_carries_the_newest_record_to_the_old_master(stand_ins, forwarder):
    """A relay that still shows a lower epoch is given the signed record of the higher one, unchanged (hard point 12)."""
    a, b = stand_ins
    a.says("MASTER", 1, "a")
    assert who(forwarder) == "a"
    b.says("ALONE", 2, "b")
    wait_until(lambda: a.carried, 10, "the record to be carried to a")
    assert a.carried[0] == signed_record(2, "b")
    assert b.carried == []


def test_connections_wait_for_a_master(stand_ins, forwarder):
    """While no master is known new connections wait, with what they have sent, and are served when one appears."""
    a, b = stand_ins
    clients = [connect(forwarder) for _ in range(20)]
    for client in clients:
        client.sendall(b"waiting")
    clients[-1].settimeout(0.5)
    with pytest.raises(TimeoutError):
        clients[-1].recv(1)
    a.says("STALE", 2, "b")
    b.says("ALONE", 2, "b")
    for client in clients:
        client.settimeout(10)
        got = b""
        while len(got) < 8:
            piece = client.recv(100)
            assert piece, "the connection was ended"
            got += piece
        assert got == b"bwaiting"
        client.close()


def test_a_wait_has_an_end(stand_ins):
    """After connect_wait a PostgreSQL client is told 57P03 and why."""
    with Forwarder([one.ports for one in stand_ins], connect_wait="500ms") as forwarder:
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError) as refused:
            psycopg.connect(forwarder.tcp(), connect_timeout=10)
        assert 0.4 < time.monotonic() - began < 5
        assert "master" in str(refused.value)


def test_half_close_in_both_directions(stand_ins, forwarder):
    """A client that ends its sending still gets the answer; the end of the stream follows it."""
    stand_ins[0].says("MASTER", 1, "a")
    with connect(forwarder) as client:
        client.sendall(b"last words")
        client.shutdown(socket.SHUT_WR)
        got = b""
        while piece := client.recv(100):
            got += piece
        assert got == b"alast wordsbye"


def test_much_data_both_ways_at_once(stand_ins, forwarder):
    """200 MB each way at the same time, in bounded memory, every byte in its place."""
    stand_ins[0].says("MASTER", 1, "a")
    block = bytes(range(256)) * 4096
    with connect(forwarder, 30) as client:
        assert client.recv(1) == b"a"
        start = forwarder.rss()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            sending = pool.submit(lambda: [client.sendall(block) for _ in range(200)])
            received = bytearray()
            count = 0
            while count < 200 * len(block):
                piece = client.recv(1 << 18)
                assert piece, sending.exception(1)
                received += piece
                count += len(piece)
                while len(received) >= len(block):
                    assert received[:len(block)] == block
                    del received[:len(block)]
        assert forwarder.rss() - start < 16 << 20


def test_a_relay_that_hangs_is_left(stand_ins, forwarder):
    """A control port that accepts and says nothing counts as silent: the other relay is followed."""
    a, b = stand_ins
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        with Forwarder([(hanging.getsockname()[1], hanging.getsockname()[1]), b.ports], connect_wait="20s") as other:
            b.says("ALONE", 2, "b")
            assert who(other) == "b"


def test_it_follows_a_promotion(own_pair):
    """The address of the forwarder stays the application's address through the loss of the master and a promotion."""
    with Forwarder(own_pair.forwarder_relays()) as forwarder:
        with psycopg.connect(forwarder.tcp(), autocommit=True) as session:
            assert session.execute("SELECT inet_server_port()").fetchone() == (own_pair.a.postgres.port,)
            own_pair.a.relay.kill()
            own_pair.a.postgres.kill()
            with pytest.raises(psycopg.OperationalError):
                session.execute("SELECT 1")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = pool.submit(psycopg.connect, forwarder.tcp())  # before anybody is promoted
            own_pair.tool.promote("b", other_host_is_off=True)
            with waiting.result(20) as session:
                assert session.execute("SELECT inet_server_port()").fetchone() == (own_pair.b.postgres.port,)


def test_it_starts_before_any_relay(own_pair):
    """A workstation that boots first: its connections wait until the pair is up."""
    for node in (own_pair.b, own_pair.a):
        node.relay.stop()
    with Forwarder(own_pair.forwarder_relays()) as forwarder, concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(psycopg.connect, forwarder.tcp())
        own_pair.start_relays()
        own_pair.wait_joined(timeout=20)
        with waiting.result(20) as session:
            assert session.execute("SELECT 1").fetchone() == (1,)


def test_it_stops_when_told(stand_ins):
    """SIGTERM ends the forwarder at once with status 0, sessions and waiting clients included."""
    with Forwarder([one.ports for one in stand_ins]) as forwarder:
        stand_ins[0].says("MASTER", 1, "a")
        with connect(forwarder) as client:
            assert client.recv(1) == b"a"
            stand_ins[0].state = "STANDBY"
            with connect(forwarder):
                assert forwarder.stop(timeout=5) == 0
