"""The protocol's corners through the relay: cancel, COPY, large and half messages, pipelining, function calls, versions."""
import concurrent.futures
import socket
import struct
import threading

import psycopg
import psycopg2
import pytest

from harness import MemoryWatch, Mirror, same, wait_until
from harness import wire
from harness.places import pg, run
from harness.process import clean_environment
from harness.wire import Wire

MB = 1 << 20
# Two legs, three buffers of 64 KiB each, the window of 256 KiB and the allocator's slack; a copy of what passes through
# would be several times this.
MEMORY_BOUND = 32 * MB


@pytest.fixture(autouse=True)
def still_joined(request):
    """What a client does, however odd, never costs the standby."""
    mirror = request.getfixturevalue("mirror") if "mirror" in request.fixturenames else None
    yield
    if mirror is not None:
        mirror.relay.assert_still_joined()
        assert mirror.relay.status()["differences"]["writes"] == 0
        for server in (mirror.master, mirror.standby):
            wait_until(lambda: server.backends() == 0, 10, f"no backend to be left on {server.name}")


@pytest.fixture
def session(mirror):
    with psycopg.connect(mirror.relay.tcp(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def line(mirror):
    """A connection byte by byte, logged in."""
    with Wire(mirror.relay.port) as connection:
        connection.login()
        yield connection


def active(server, words) -> int:
    return server.backends(f"state = 'active' AND query LIKE '%{words}%'")


# Cancel.

@pytest.mark.parametrize("sql", ("SELECT pg_sleep(60)", "INSERT INTO stop_me SELECT 1 FROM pg_sleep(60)"))
def test_cancel_ends_the_statement_on_both_servers(mirror, session, sql):
    """A cancel request ends a running statement on both servers; the session goes on."""
    session.execute("CREATE TABLE IF NOT EXISTS stop_me (n int)")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        running = pool.submit(session.execute, sql)
        for server in (mirror.master, mirror.standby):
            wait_until(lambda: active(server, "pg_sleep") == 1, 10, f"the statement to run on {server.name}")
        session.cancel()
        with pytest.raises(psycopg.errors.QueryCanceled):
            running.result(20)
    for server in (mirror.master, mirror.standby):
        wait_until(lambda: active(server, "pg_sleep") == 0, 5, f"the statement to end on {server.name}")
    assert session.execute("SELECT count(*) FROM stop_me").fetchone() == (0,)


def test_a_cancel_with_a_wrong_key_does_nothing(mirror, session):
    """A cancel request with a key that the relay never gave out ends nothing and is closed."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        running = pool.submit(session.execute, "SELECT pg_sleep(2)")
        wait_until(lambda: active(mirror.standby, "pg_sleep") == 1, 10, "the statement to run")
        for body in (struct.pack("!II", session.info.backend_pid, 1), struct.pack("!II", 1, 1), b"", b"x" * 200):
            with Wire(mirror.relay.port) as stranger:
                stranger.send(wire.request(wire.CANCEL_REQUEST, body))
                assert stranger.at_end()
        assert running.result(20).fetchone()


def test_a_cancel_never_hits_a_later_statement(session):
    """Cancels that come late, between statements, leave the next statement alone or end it as at a server: cleanly."""
    for _ in range(100):
        session.cancel()
        try:
            session.execute("SELECT 1")
        except psycopg.errors.QueryCanceled:
            pass  # it came in time for this one
    assert session.execute("SELECT 2").fetchone() == (2,)


# COPY and large things.

def test_a_large_copy_in(mirror, line, full):
    """A COPY in of 1 GB (256 MB without --full) passes in constant memory and is on both servers."""
    megabytes = 1024 if full else 256
    line.send(wire.query("CREATE UNLOGGED TABLE IF NOT EXISTS bulk (t text); TRUNCATE bulk"))
    line.until_ready()
    chunk = wire.copy_data((b"x" * 1023 + b"\n") * 64)  # 64 KiB
    with MemoryWatch(mirror.relay) as watch:
        line.send(wire.query("COPY bulk FROM STDIN"))
        assert line.receive()[0] == b"G"
        for _ in range(megabytes * 16):
            line.socket.sendall(chunk)
        line.send(wire.COPY_DONE)
        line.socket.settimeout(60)
        assert wire.tags(line.until_ready()) == [f"COPY {megabytes * 1024}"]
    assert watch.growth < MEMORY_BOUND, f"{watch.growth >> 20} MiB"
    assert mirror.standby.value("SELECT count(*) FROM bulk") == megabytes * 1024
    for server in (mirror.master, mirror.standby):
        server.sql("TRUNCATE bulk", database="app")


@pytest.mark.parametrize("form", ("copy", "rows"))
def test_a_large_result(mirror, line, full, form):
    """A result of 1 GB (256 MB without --full) passes in constant memory, by COPY out and as rows."""
    megabytes = 1024 if full else 256
    source = f"SELECT repeat('x', 1000), generate_series(1, {megabytes * 1024})"
    with MemoryWatch(mirror.relay) as watch:
        line.send(wire.query(f"COPY ({source}) TO STDOUT" if form == "copy" else source))
        received, kind = 0, b""
        while kind != b"Z":
            kind, body = line.receive()
            received += len(body) if kind in (b"d", b"D") else 0
    assert received >= megabytes * 1024 * 1000
    assert watch.growth < MEMORY_BOUND, f"{watch.growth >> 20} MiB"


def test_one_huge_value_each_way(mirror, line, full):
    """A single message of 512 MB (64 MB without --full) in each direction is never held whole by the relay."""
    size = (512 if full else 64) * MB
    with MemoryWatch(mirror.relay) as watch:
        body = b"\0\0" + struct.pack("!HHi", 0, 1, size)
        line.send(wire.parse("SELECT length($1), repeat('y', length($1))"),
                  b"B" + struct.pack("!I", 4 + len(body) + size + 2), body)
        for _ in range(size // MB):
            line.socket.sendall(b"z" * MB)
        line.send(struct.pack("!H", 0), wire.execute(), wire.SYNC)
        line.socket.settimeout(120)
        received, kind = 0, b""
        while kind != b"Z":
            kind, length = line.exactly(1), struct.unpack("!I", line.exactly(4))[0] - 4
            received = max(received, length)
            while length:
                length -= len(line.exactly(min(length, MB)))
    assert received > size
    assert watch.growth < MEMORY_BOUND, f"{watch.growth >> 20} MiB"


def test_copy_that_fails(mirror, session):
    """COPY that the client breaks off, that the data breaks, and data that goes on after the error."""
    session.execute("CREATE TABLE IF NOT EXISTS picky (n int PRIMARY KEY)")
    with pytest.raises(psycopg.errors.QueryCanceled):
        with session.cursor().copy("COPY picky FROM STDIN") as copy:
            copy.write("1\n2\n")
            raise RuntimeError("the client changes its mind") from None
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        with session.cursor().copy("COPY picky FROM STDIN") as copy:
            for _ in range(2000):
                copy.write("1000\nnot a number\n" * 100)
    assert session.execute("SELECT count(*) FROM picky").fetchone() == (0,)
    same(mirror.master, mirror.standby, "picky")


def test_copy_among_other_statements(line, mirror):
    """Several statements in one Query, COPY both ways among them."""
    line.send(wire.query("CREATE TABLE IF NOT EXISTS amid (n int); TRUNCATE amid; COPY amid FROM STDIN; "
                         "INSERT INTO amid VALUES (7); COPY amid TO STDOUT; SELECT count(*) FROM amid"))
    while line.receive()[0] != b"G":
        pass
    line.send(wire.copy_data(b"1\n2\n"), wire.copy_data(b"3\n"), wire.COPY_DONE)
    messages = line.until_ready()
    assert wire.tags(messages) == ["COPY 3", "INSERT 0 1", "COPY 4", "SELECT 1"] and wire.rows(messages) == [["4"]]
    same(mirror.master, mirror.standby, "amid")


def test_copy_in_the_extended_protocol_with_early_syncs(line, mirror):
    """The backend ignores Flush and Sync during COPY FROM STDIN: libpq sends Sync right after Execute and again at the end."""
    line.send(wire.query("CREATE TABLE IF NOT EXISTS early (n int); TRUNCATE early"))
    line.until_ready()
    line.send(wire.extended("COPY early FROM STDIN"), wire.SYNC)
    while line.receive()[0] != b"G":
        pass
    line.send(wire.FLUSH, wire.copy_data(b"1\n"), wire.SYNC, wire.copy_data(b"2\n"), wire.COPY_DONE, wire.SYNC)
    assert wire.tags(line.until_ready()) == ["COPY 2"]
    line.send(wire.query("SELECT count(*) FROM early"))
    assert wire.rows(line.until_ready()) == [["2"]]
    same(mirror.master, mirror.standby, "early")


# Many, slow and broken clients.

def test_five_hundred_sessions():
    """500 sessions at once, each logged in to both servers and writing; all are counted and all leave nothing behind."""
    count = 500
    with Mirror("--max-sessions", str(count + 1), settings={"max_connections": count + 40}, direct=True) as mirror:
        mirror.master.sql("SELECT 1")
        with psycopg.connect(mirror.relay.tcp(), autocommit=True) as session:
            session.execute("CREATE TABLE crowd (n int PRIMARY KEY)")
        wait_until(lambda: mirror.relay.status()["sessions"]["open"] == 0, 5, "the first session to be gone")
        lines = []
        try:
            for number in range(count):
                lines.append(Wire(mirror.relay.port))
                lines[-1].send(wire.startup(user="trusting", database="app"))
            for one in lines:
                one.until_login()
            for number, one in enumerate(lines):
                one.send(wire.query(f"INSERT INTO crowd VALUES ({number})"))
            for one in lines:
                assert wire.tags(one.until_ready()) == ["INSERT 0 1"]
            assert mirror.relay.status()["sessions"]["open"] == count
            assert mirror.standby.backends() == mirror.master.backends() == count
            # One above the limit still gets an answer: PostgreSQL's own for it.
            with Wire(mirror.relay.port) as last:
                last.login()
                with Wire(mirror.relay.port) as too_many, pytest.raises(wire.WireError) as refused:
                    too_many.login()
                assert refused.value.fields["C"] == "53300"
        finally:
            for one in lines:
                one.socket.close()
        for server in (mirror.master, mirror.standby):
            wait_until(lambda: server.backends() == 0, 20, f"no backend to be left on {server.name}")
        assert mirror.relay.status()["sessions"]["open"] == 0
        same(mirror.master, mirror.standby, "crowd")
        mirror.relay.assert_still_joined()


def test_a_client_that_never_reads(mirror):
    """A client that asks for 400 MB and reads none of it: bounded memory, no lost standby, others undisturbed."""
    with Wire(mirror.relay.port) as lazy, psycopg.connect(mirror.relay.tcp(), autocommit=True) as other:
        lazy.login()
        with MemoryWatch(mirror.relay) as watch:
            lazy.send(wire.query("SELECT repeat('x', 1000), generate_series(1, 400000)"))
            wait_until(lambda: active(mirror.master, "generate_series") == 1, 5, "the query to run")
            deadline = threading.Event()
            threading.Timer(5, deadline.set).start()  # more than twice standby_timeout
            while not deadline.is_set():
                assert other.execute("SELECT 1").fetchone() == (1,)
        assert watch.growth < MEMORY_BOUND, f"{watch.growth >> 20} MiB"
        mirror.relay.assert_still_joined()
        lazy.socket.settimeout(60)
        assert len(wire.rows(lazy.until_ready())) == 400000  # it was only slow: everything comes


def test_a_client_that_never_reads_and_leaves(mirror):
    """A client that leaves in the middle of a large result ends its statement on both servers."""
    lazy = Wire(mirror.relay.port)
    lazy.login()
    lazy.send(wire.query("SELECT repeat('x', 1000), generate_series(1, 100000000)"))
    for server in (mirror.master, mirror.standby):
        wait_until(lambda: active(server, "generate_series") == 1, 5, f"the query to run on {server.name}")
    lazy.socket.close()
    for server in (mirror.master, mirror.standby):
        wait_until(lambda: server.backends() == 0, 10, f"the query to end on {server.name}")


HALVES = {
    "half a length": lambda: b"Q\0\0",
    "half a query": lambda: wire.query("SELECT 1; SELECT 2")[:-5],
    "half a bind": lambda: wire.parse("SELECT $1") + wire.bind("x" * 100000)[:5000],
    "no sync": lambda: wire.extended("INSERT INTO halves VALUES (1)"),
    "half a copy": lambda: wire.query("COPY halves FROM STDIN") + wire.copy_data(b"1\n2\n")[:-2],
    "a whole query": lambda: wire.query("SELECT pg_sleep(0.2)"),
}


@pytest.mark.parametrize("what", HALVES)
@pytest.mark.parametrize("how", ("close", "half-close", "reset"))
def test_a_client_that_sends_half_a_message_and_leaves(mirror, session, what, how):
    """Half a message, then the end: nothing half is executed, both legs end, others work on."""
    session.execute("CREATE TABLE IF NOT EXISTS halves (n int)")
    leaver = Wire(mirror.relay.port)
    leaver.login()
    leaver.send(HALVES[what]())
    if how == "half-close":
        leaver.socket.shutdown(socket.SHUT_WR)
        while leaver.socket.recv(1 << 16):
            pass
    elif how == "reset":
        leaver.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    leaver.socket.close()
    assert session.execute("SELECT count(*) FROM halves").fetchone() == (0,)
    for server in (mirror.master, mirror.standby):
        wait_until(lambda: server.backends("usename = 'trusting'") == 0, 10, f"its leg to end on {server.name}")


@pytest.mark.parametrize("packet", (b"", b"\0", b"\0\0\0\x08\x04", wire.startup(user="trusting")[:-4]))
def test_half_a_start_up_packet(mirror, session, packet):
    """A client that leaves before its start-up packet is whole leaves nothing behind."""
    with Wire(mirror.relay.port) as leaver:
        leaver.send(packet)
    assert session.execute("SELECT 1").fetchone() == (1,)


# Pipelining.

def test_pipelining_across_syncs(line, mirror):
    """Many units sent before the first answer: each is answered in order, an error ends its own unit alone."""
    line.send(wire.query("DROP TABLE IF EXISTS piped; CREATE TABLE piped (n int PRIMARY KEY)"))
    line.until_ready()
    packets = []
    for n in range(200):
        if n % 10 == 3:  # a unit with an error in its middle: what stands behind it up to Sync is skipped
            packets.append(wire.extended("INSERT INTO piped VALUES ($1)", 1000 + n)
                           + wire.extended("SELECT 1 / ($1::int - $1::int)", n)
                           + wire.extended("INSERT INTO piped VALUES ($1)", 2000 + n) + wire.SYNC)
        elif n % 10 == 5:
            packets.append(wire.query(f"SELECT {n}; INSERT INTO piped VALUES ({n})"))
        else:
            packets.append(wire.extended("INSERT INTO piped VALUES ($1) RETURNING n", n) + wire.SYNC)
    line.send(*packets)
    for n in range(200):
        messages = line.until_ready(raise_errors=False)
        if n % 10 == 3:
            assert [wire.fields(b)["C"] for k, b in messages if k == b"E"] == ["22012"], n
        else:
            assert wire.rows(messages)[0] == [str(n)], n
    assert mirror.master.value("SELECT count(*) FROM piped") == 180
    same(mirror.master, mirror.standby, "piped")


def test_one_byte_at_a_time(line, mirror):
    """Packets cut at every byte are the same packets."""
    line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = wire.query("SELECT 42") + wire.extended("SELECT $1::text", "byte by byte") + wire.SYNC
    for at in range(len(data)):
        line.socket.sendall(data[at:at + 1])
    assert wire.rows(line.until_ready()) == [["42"]]
    assert wire.rows(line.until_ready()) == [["byte by byte"]]


def test_flush_brings_replies_before_sync(line):
    """After Flush the replies come although the unit is not over; in a transaction block they are not held."""
    line.send(wire.query("BEGIN"))
    line.until_ready()
    line.send(wire.extended("SELECT 5"), wire.FLUSH)
    seen = []
    while seen[-1:] != [b"C"]:
        seen.append(line.receive()[0])
    assert seen == [b"1", b"2", b"T", b"D", b"C"]
    line.send(wire.SYNC)
    assert wire.kinds(line.until_ready()) == "Z"
    line.send(wire.query("COMMIT"))
    line.until_ready()


def test_portals_that_are_continued(line):
    """Execute with a row limit suspends the portal; the next Execute goes on where it was."""
    line.send(wire.query("BEGIN"))
    line.until_ready()
    line.send(wire.parse("SELECT generate_series(1, 5)"), wire.bind(portal="p"), wire.execute("p", 2),
              wire.execute("p", 2), wire.SYNC)
    assert wire.kinds(line.until_ready()) == "12DDsDDsZ"
    line.send(wire.execute("p", 2), wire.SYNC)
    assert wire.kinds(line.until_ready()) == "DCZ"
    line.send(wire.query("COMMIT"))
    line.until_ready()


def test_empty_statements(line):
    """Empty queries, Sync alone, Flush alone."""
    line.send(wire.query(""), wire.query(";"), wire.SYNC, wire.FLUSH, wire.extended(""), wire.SYNC)
    assert [wire.kinds(line.until_ready()) for _ in range(4)] == ["IZ", "IZ", "Z", "12nIZ"]


# Function calls, notifications, replication.

def test_large_objects_by_function_calls(mirror):
    """psycopg2's large objects (FunctionCall in libpq): created with a given oid, written, read, on both servers."""
    connection = psycopg2.connect(mirror.relay.tcp())
    with connection:
        thing = connection.lobject(0, "wb", new_oid=4242)
        thing.write(b"0123456789" * 20000)
        thing.close()
    with connection:
        thing = connection.lobject(4242, "rb")
        assert thing.seek(100000) == 100000 and thing.read(20) == b"0123456789" * 2
        thing.close()
    for server in (mirror.master, mirror.standby):
        assert server.value("SELECT md5(lo_get(4242))") == server.value("SELECT md5(repeat('0123456789', 20000))")
    with connection:
        connection.lobject(4242).unlink()
    connection.close()
    assert mirror.standby.value("SELECT count(*) FROM pg_largeobject_metadata") == 0


def test_a_bare_function_call(line):
    """A FunctionCall message is a unit of its own."""
    int4pl = 177
    line.send(wire.function_call(int4pl, struct.pack("!i", 40), struct.pack("!i", 2)))
    messages = line.until_ready()
    assert wire.kinds(messages) == "VZ" and messages[0][1] == struct.pack("!ii", 4, 42)
    line.send(wire.function_call(int4pl, struct.pack("!i", 2**31 - 1), struct.pack("!i", 2)), wire.query("SELECT 1"))
    with pytest.raises(wire.WireError, match="22003"):
        line.until_ready()
    assert wire.rows(line.until_ready()) == [["1"]]


def test_listen_and_notify(mirror, session):
    """A notification reaches a listener exactly once, within a transaction too, although both servers send it."""
    with psycopg.connect(mirror.relay.tcp(), autocommit=True) as listener:
        listener.execute("LISTEN news")
        for n in range(5):
            session.execute("SELECT pg_notify('news', %s)", (str(n),))
        with session.transaction():
            session.execute("NOTIFY news, 'in a transaction'")
        session.execute("NOTIFY news, 'last'")
        got = []
        for note in listener.notifies():
            got.append(note.payload)
            if note.payload == "last":
                break
        assert got == ["0", "1", "2", "3", "4", "in a transaction", "last"]
        assert note.pid == session.info.backend_pid


def test_notices_and_settings_come_once(session):
    """Notices and ParameterStatus are the master's, once each."""
    notices = []
    session.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    session.execute("DO $$ BEGIN RAISE NOTICE 'only once'; END $$")
    session.execute("SET application_name = 'renamed'")
    assert notices == ["only once"]
    assert session.info.parameter_status("application_name") == "renamed"


@pytest.mark.parametrize("kind", ("database", "true"))
def test_replication_connections_go_to_the_master_alone(mirror, kind):
    """A connection with replication=... is the master's alone: it works, and the standby never hears of it."""
    seen = mirror.standby.log_size()
    conninfo = mirror.relay.tcp(user="pgtandem", password="service-secret") + f" replication={kind}"
    done = run(pg("psql"), "-X", "-At", "-c", "IDENTIFY_SYSTEM", conninfo, env=clean_environment())
    assert done.stdout.split("|")[1] == "1"
    assert mirror.master.log_contains("replication connection authorized: user=pgtandem") or kind == "database"
    assert not mirror.standby.log_contains("replication connection authorized|application_name=psql", since=seen)


def test_a_base_backup_through_the_relay(mirror, tmp_path):
    """pg_basebackup works through the relay, from the master."""
    target = tmp_path / "backup"
    run(pg("pg_basebackup"), "-D", target, "-X", "fetch", "-c", "fast", "-d",
        mirror.relay.tcp(user="pgtandem", password="service-secret"), env=clean_environment())
    assert (target / "PG_VERSION").read_text() == "15\n"


# Versions and negotiation.

def test_encryption_requests_are_answered_with_no(mirror):
    """SSLRequest and GSSENCRequest are each answered 'N'; the connection then goes on in plain text."""
    for requests in ([wire.SSL_REQUEST], [wire.GSSENC_REQUEST], [wire.SSL_REQUEST, wire.GSSENC_REQUEST],
                     [wire.GSSENC_REQUEST, wire.SSL_REQUEST]):
        with Wire(mirror.relay.port) as one:
            for code in requests:
                one.send(wire.request(code))
                assert one.exactly(1) == b"N"
            one.login()
            one.send(wire.query("SELECT 1"))
            assert wire.rows(one.until_ready()) == [["1"]]


def test_libpqs_negotiation(mirror):
    """libpq's sslmode=prefer gets its plain connection; sslmode=require is told that there is no TLS."""
    for mode in ("disable", "allow", "prefer"):
        psycopg.connect(mirror.relay.tcp() + f" sslmode={mode}").close()
    with pytest.raises(psycopg.OperationalError, match="does not support SSL"):
        psycopg.connect(mirror.relay.tcp() + " sslmode=require")


@pytest.mark.parametrize("requests", ([wire.SSL_REQUEST] * 2, [wire.GSSENC_REQUEST] * 2,
                                      [wire.SSL_REQUEST, wire.GSSENC_REQUEST] * 20), ids=("ssl", "gss", "alternating"))
def test_repeated_negotiation_is_refused(mirror, requests):
    """At most one request of each kind: a client cannot hold a connection by asking for ever."""
    with Wire(mirror.relay.port) as one:
        answers = b""
        try:
            for code in requests:
                one.send(wire.request(code))
                answers += one.exactly(1)
        except (EOFError, ConnectionError):
            pass
        assert answers.count(b"N") <= 2 and len(answers) < len(requests) + 1
        assert answers.strip(b"N")[:1] in (b"", b"E"), "refused with an error, or closed"


@pytest.mark.parametrize("code", (wire.SSL_REQUEST, wire.GSSENC_REQUEST))
def test_bytes_stuffed_behind_a_negotiation_are_refused(mirror, code):
    """Nothing may be buffered behind SSLRequest: plain text smuggled before TLS must never be taken as the session's."""
    with Wire(mirror.relay.port) as one:
        one.send(wire.request(code) + wire.startup(user="trusting", database="app") + wire.query("SELECT 1"))
        answer = b""
        try:
            while piece := one.socket.recv(4096):
                answer += piece
        except ConnectionResetError:
            pass
        assert b"SELECT 1" not in answer and b"R\0\0\0\x08\0\0\0\0" not in answer, "it was let in"


def test_protocol_3_2_is_negotiated(mirror):
    """A client that asks for 3.2 gets NegotiateProtocolVersion from a server of 3.0, and works."""
    with Wire(mirror.relay.port) as one:
        messages = one.login(version=wire.PROTOCOL_3_2)
        assert b"v" in wire.kinds(messages).encode()
        assert struct.unpack("!I", [b for k, b in messages if k == b"v"][0][:4])[0] == wire.PROTOCOL_3_0
        one.send(wire.query("SELECT 1"))
        assert wire.rows(one.until_ready()) == [["1"]]


def test_unknown_start_up_options_are_named(mirror):
    """Options _pq_.* that the server does not know come back in NegotiateProtocolVersion."""
    with Wire(mirror.relay.port) as one:
        one.send(wire.startup(user="trusting", database="app", **{"_pq_.novelty": "1"}))
        messages = one.until_login()
        assert [b for k, b in messages if k == b"v"][0].endswith(b"_pq_.novelty\0")


@pytest.mark.parametrize("version", (1 << 16, 2 << 16, 4 << 16, 4 << 16 | 1))
def test_unknown_major_versions_are_refused(mirror, version):
    """A major version other than 3 is refused with the server's own wording, which names it, and closed."""
    with Wire(mirror.relay.port) as one:
        one.send(wire.startup(version, user="trusting", database="app"))
        answer = b""
        while piece := one.socket.recv(4096):
            answer += piece
    assert answer[:1] == b"E"
    assert f"unsupported frontend protocol {version >> 16}.{version & 0xffff}".encode() in answer


def test_a_message_that_cannot_be_is_refused(mirror, line):
    """A message length below 4 or far beyond PostgreSQL's limit ends the session with a protocol violation."""
    for bad in (b"Q" + struct.pack("!I", 3), b"Q" + struct.pack("!I", 0xffffffff), b"\0" * 5, b"Z" + struct.pack("!I", 4)):
        with Wire(mirror.relay.port) as one:
            one.login()
            one.send(bad)
            kinds = b""
            try:
                while True:
                    kinds += one.receive()[0]
            except (EOFError, ConnectionError):
                pass
            assert kinds in (b"", b"E", b"EZ")
    line.send(wire.query("SELECT 1"))
    assert wire.rows(line.until_ready()) == [["1"]]
