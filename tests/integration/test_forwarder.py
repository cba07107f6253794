"""The forwarder follows the master of the highest epoch, lets connections wait, and is plain TCP underneath."""
import concurrent.futures
import contextlib
import datetime
import re
import resource
import socket
import statistics
import time

import psycopg
import pytest

from harness import Forwarder, holds, wait_until, wire
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


def refused(forwarder) -> dict:
    """The fields of the error that a PostgreSQL client gets."""
    with wire.Wire(forwarder.port) as line:
        line.send(wire.startup(user="app"))
        kind, body = line.receive()
    assert kind == b"E", (kind, body)
    return wire.fields(body)


def test_a_wait_has_an_end(stand_ins):
    """After connect_wait, and not before, a PostgreSQL client is told 57P03 and why."""
    with Forwarder([one.ports for one in stand_ins], connect_wait="500ms") as forwarder:
        began = time.monotonic()
        told = refused(forwarder)
        assert 0.4 < time.monotonic() - began < 5
        assert told["S"] == "FATAL" and told["C"] == "57P03"
        assert "no master" in told["M"] and "node a is STANDBY, node b is STANDBY" in told["D"]


def test_it_follows_within_100_ms(stand_ins, forwarder):
    """From the new master's record to the first byte of it on a connection that waited."""
    a, b = stand_ins
    took = []
    b.says("ALONE", 2, "b")
    assert who(forwarder) == "b"
    for epoch in range(4, 44, 2):
        since = forwarder.log_size()
        b.says("STALE", epoch - 2, "b")
        wait_until(lambda: forwarder.log_contains("no-master", since=since), 5, "the forwarder to know no master")
        with connect(forwarder) as client:
            began = time.monotonic()
            b.says("ALONE", epoch, "b")
            assert client.recv(1) == b"b"
            took.append(time.monotonic() - began)
    print(f"median {statistics.median(took) * 1000:.1f} ms, longest {max(took) * 1000:.1f} ms")
    assert statistics.median(took) <= 0.1


def test_it_leaves_sessions_that_go_on_with_the_new_masters_server(stand_ins, forwarder):
    """A relay that handed its server's sessions over keeps them (its guests), until it says that there are none."""
    a, b = stand_ins
    a.says("MASTER", 1, "a")
    with connect(forwarder) as client:
        assert client.recv(1) == b"a"
        a.says("DRAINING", 1, "a")
        b.says("ALONE", 2, "b")
        wait_until(lambda: who(forwarder) == "b", 5, "the forwarder to follow")
        a.says("STALE", 2, "b", guests=True)
        for n in range(20):
            client.sendall(b"%02d" % n)
            assert client.recv(2) == b"%02d" % n
        assert who(forwarder) == "b"
        a.says("STALE", 2, "b")
        client.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


@pytest.fixture
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_sessions(many_files, stand_ins, forwarder):
    """All are served; when the master changes all are ended, and a thousand new ones that waited are served by the new one."""
    a, b = stand_ins
    a.says("MASTER", 1, "a")
    before = forwarder.rss()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(forwarder, 30)) for _ in range(1000)]
        for n, client in enumerate(clients):
            client.sendall(b"%04d" % n)
        for n, client in enumerate(clients):
            assert receive(client, 5) == b"a%04d" % n
        print(f"{(forwarder.rss() - before) / 1000 / 1024:.1f} KiB a session")
        assert forwarder.rss() - before < 1000 * 64 * 1024
        a.says("STALE", 2, "b")
        wait_until(lambda: forwarder.log_contains("no-master"), 5, "the forwarder to know no master")
        waiting = [stack.enter_context(connect(forwarder, 30)) for _ in range(1000)]
        b.says("ALONE", 2, "b")
        for client in waiting:
            assert client.recv(1) == b"b"
        for client in clients:
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""


def receive(client, count) -> bytes:
    got = b""
    while len(got) < count:
        piece = client.recv(count - len(got))
        assert piece, f"the connection was ended after {got!r}"
        got += piece
    return got


def test_both_relays_away_and_back(full):
    """For five seconds (with --full: five minutes) nobody answers: clients are told so, neither log nor processor time grows
    with the time, and it is there when they are back."""
    first = StandIn("a"), StandIn("b")
    ports = [one.ports for one in first]
    first[0].says("MASTER", 1, "a")
    seconds = 300 if full else 5
    with Forwarder(ports, connect_wait="500ms") as forwarder:
        assert who(forwarder) == "a"
        for one in first:
            one.close()
        wait_until(lambda: forwarder.log().count("relay-silent") == 2, 10, "the forwarder to miss both")
        said, used, memory = forwarder.log_size(), forwarder.cpu_seconds(), forwarder.rss()
        assert refused(forwarder)["C"] == "57P03"
        holds(forwarder.running, seconds, "it waits")
        assert forwarder.log_size() - said < 1000, forwarder.log()[said:]
        assert forwarder.cpu_seconds() - used < 0.02 * seconds
        assert forwarder.rss() - memory < 1 << 20
        back = [StandIn(name, those) for name, those in zip("ab", ports)]
        try:
            back[1].says("ALONE", 2, "b")
            wait_until(lambda: who(forwarder) == "b", 5, "the forwarder to follow the one that came back")
        finally:
            for one in back:
                one.close()


def test_it_follows_real_relays_within_100_ms(own_pair):
    """From the moment at which the new master serves, by its log, until the forwarder follows it, by its own."""
    with Forwarder(own_pair.forwarder_relays()) as forwarder:
        took = []
        for new in "baba":
            since = forwarder.log_size()
            own_pair.tool.run("switchover", "--to", new, "--yes")
            own_pair.wait_joined(master=new)
            wait_until(lambda: forwarder.log_contains(" following ", since=since), 10, "the forwarder to follow")
            served = own_pair.nodes[new].relay.log_lines(" role-(master|alone) ")[-1]
            took.append(moment(forwarder.log_lines(" following ", since=since)[-1]) - moment(served))
        print([f"{seconds * 1000:.0f} ms" for seconds in took])
        assert statistics.median(took) <= 0.1


def moment(line) -> float:
    return datetime.datetime.fromisoformat(re.match(r"\S+", line).group()).timestamp()


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
