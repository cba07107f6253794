"""Ordinary clients work through relay and forwarder as they do at the server itself."""
import os
import re

import psycopg
import psycopg2
import psycopg2.extras
import pytest

from harness import APP_PASSWORD, Forwarder, same, wait_until
from harness.places import pg, run
from harness.process import clean_environment

WAYS = ("tcp", "ipv6", "socket", "forwarder", "other-node")


@pytest.fixture
def way_in(pair):
    """way_in(way, user=...) gives the connection string of one way to the pair."""
    forwarder = Forwarder(pair.forwarder_relays())

    def conninfo(way, **who):
        if way == "tcp":
            return pair.a.relay.tcp(**who)
        if way == "ipv6":
            return pair.a.relay.tcp(host="::1", **who)
        if way == "socket":
            return pair.a.relay.by_socket(**who)
        if way == "other-node":
            return pair.b.relay.tcp(**who)
        if not forwarder.running():
            forwarder.start()
        return forwarder.tcp(**who)

    yield conninfo
    forwarder.end()


def psql(conninfo, *commands, check=True):
    arguments = [part for command in commands for part in ("-c", command)]
    return run(pg("psql"), "-X", "-v", "ON_ERROR_STOP=1", "-At", *arguments, conninfo, check=check,
               env=clean_environment())


@pytest.mark.parametrize("way", WAYS)
def test_psql_works_by_every_way_in(pair, way_in, way):
    """psql logs in with SCRAM by TCP, IPv6, Unix socket, forwarder and the other node; what it writes is on both."""
    table = f"psql_{way.replace('-', '_')}"
    conninfo = way_in(way)
    psql(conninfo, f"CREATE TABLE {table} (n int PRIMARY KEY, t text)", f"INSERT INTO {table} VALUES (1, 'ä''\\'), (2, NULL)")
    assert psql(conninfo, f"TABLE {table} ORDER BY n").stdout == "1|ä'\\\n2|\n"
    same(pair.a.postgres, pair.b.postgres, table)
    pair.a.relay.assert_still_joined()


@pytest.mark.parametrize("mode", ("simple", "extended", "prepared"))
def test_pgbench_runs_in_every_query_protocol(pair, way_in, mode):
    """pgbench's TPC-B runs through the forwarder in each of its protocols without one failed transaction."""
    conninfo = way_in("forwarder")
    run(pg("pgbench"), "-i", "-q", "-s", "2", conninfo, env=clean_environment())
    done = run(pg("pgbench"), "-n", "-M", mode, "-c", "4", "-j", "2", "-t", "100", conninfo, env=clean_environment())
    assert "number of transactions actually processed: 400/400" in done.stdout
    assert "number of failed transactions: 0" in done.stdout
    same(pair.a.postgres, pair.b.postgres, "pgbench_accounts", "pgbench_branches", "pgbench_tellers")
    # The history's time stamps are each server's own; the rest of it is the same.
    for node in (pair.a, pair.b):
        assert node.postgres.value("SELECT count(*) FROM pgbench_history") == 400
    pair.a.relay.assert_still_joined()


def test_pgbench_connects_for_each_transaction(pair, way_in):
    """A connection a transaction (`pgbench -C`) with SCRAM through the forwarder: logins to both servers, no leftovers."""
    conninfo = way_in("forwarder")
    run(pg("pgbench"), "-i", "-q", "-s", "1", conninfo, env=clean_environment())
    done = run(pg("pgbench"), "-n", "-C", "-S", "-c", "4", "-t", "25", conninfo, env=clean_environment())
    assert "number of transactions actually processed: 100/100" in done.stdout
    for node in (pair.a, pair.b):
        wait_until(lambda: node.postgres.backends() == 0, 10, f"no backend to be left on {node.name}")
    pair.a.relay.assert_still_joined()


@pytest.mark.parametrize("way", ("socket", "forwarder"))
def test_pg_dump_reads_the_same_as_from_the_server(pair, way_in, way):
    """pg_dump through the relay writes what it writes straight from the master, and the pair stays joined."""
    with psycopg.connect(pair.a.relay.tcp(), autocommit=True) as session:
        session.execute("""
            DROP SCHEMA IF EXISTS dumped CASCADE; CREATE SCHEMA dumped;
            CREATE TYPE dumped.colour AS ENUM ('red', 'green');
            CREATE TABLE dumped.parent (id serial PRIMARY KEY, c dumped.colour, v numeric CHECK (v > 0));
            CREATE TABLE dumped.child (id int REFERENCES dumped.parent, data bytea, doc jsonb);
            INSERT INTO dumped.parent (c, v) SELECT 'green', n FROM generate_series(1, 500) n;
            INSERT INTO dumped.child SELECT n, decode(md5(n::text), 'hex'), jsonb_build_object('n', n)
              FROM generate_series(1, 500) n;
            CREATE VIEW dumped.both AS SELECT p.id, p.c, c.doc FROM dumped.parent p JOIN dumped.child c USING (id);
            CREATE FUNCTION dumped.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2'""")

    def dump(conninfo):
        text = run(pg("pg_dump"), "--schema=dumped", "-d", conninfo, env=clean_environment()).stdout
        return re.sub(r"(?m)^\\(un)?restrict .*$", "", text)  # a random token of newer minor versions

    through = dump(way_in(way))
    assert "COPY dumped.child" in through
    assert through == dump(pair.a.postgres.tcp())
    pair.a.relay.assert_still_joined()


@pytest.mark.parametrize("way", WAYS)
def test_psycopg2_works(pair, way_in, way):
    """psycopg2 (simple protocol): transactions, rollback, server-side cursors, COPY both ways, errors."""
    import io
    table = f"two_{way.replace('-', '_')}"
    connection = psycopg2.connect(way_in(way))
    with connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table} (n int PRIMARY KEY, t text)")
        psycopg2.extras.execute_values(cursor, f"INSERT INTO {table} VALUES %s", [(n, f"t{n}") for n in range(300)])
    with pytest.raises(psycopg2.errors.UniqueViolation):
        with connection, connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {table} VALUES (1000, 'undone')")
            cursor.execute(f"INSERT INTO {table} VALUES (1, 'twice')")
    with connection, connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {table} FROM STDIN", io.StringIO("".join(f"{n}\tcopied\n" for n in range(400, 700))))
        out = io.StringIO()
        cursor.copy_expert(f"COPY (SELECT n FROM {table} WHERE t = 'copied' ORDER BY n) TO STDOUT", out)
        assert out.getvalue().split() == [str(n) for n in range(400, 700)]
    with connection, connection.cursor("server_side") as cursor:
        cursor.itersize = 50
        cursor.execute(f"SELECT n FROM {table} ORDER BY n")
        assert [row[0] for row in cursor] == [*range(300), *range(400, 700)]
    connection.close()
    same(pair.a.postgres, pair.b.postgres, table)
    pair.a.relay.assert_still_joined()


@pytest.mark.parametrize("way", WAYS)
def test_psycopg3_works(pair, way_in, way):
    """psycopg 3 (extended protocol): binary values, pipeline mode, server-side cursors, COPY, prepared statements."""
    table = f"three_{way.replace('-', '_')}"
    with psycopg.connect(way_in(way), autocommit=True) as connection:
        connection.execute(f"CREATE TABLE {table} (n int PRIMARY KEY, b bytea, f float8, a int[])")
        with connection.pipeline():
            cursors = [connection.execute(f"INSERT INTO {table} VALUES (%b, %b, %b, %b) RETURNING n",
                                          (n, os.urandom(20), n / 3, [n, n + 1])) for n in range(200)]
        assert [cursor.fetchone()[0] for cursor in cursors] == list(range(200))
        with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "bytea", "float8", "int4[]"])
            for n in range(200, 400):
                copy.write_row((n, b"\0\1", 0.5, [1]))
        for _ in range(8):  # prepared on the server from the fifth time on
            assert connection.execute(f"SELECT count(*) FROM {table} WHERE n < %s", (100,)).fetchone() == (100,)
        with connection.transaction(), connection.cursor("portal", binary=True) as cursor:
            cursor.itersize = 30
            cursor.execute(f"SELECT n, a FROM {table} WHERE n < 200 ORDER BY n")
            assert [(n, a) for n, a in cursor] == [(n, [n, n + 1]) for n in range(200)]
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1 / 0")
    same(pair.a.postgres, pair.b.postgres, table)
    pair.a.relay.assert_still_joined()


def sessions_of(server, user):
    return server.value("SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND backend_type = 'client backend' "
                        "AND application_name NOT LIKE 'pgtandem%%' AND application_name <> 'test'", user)


@pytest.mark.parametrize("user", ("app", "md5_role", "plain", "trusting"))
@pytest.mark.parametrize("way", ("tcp", "forwarder", "other-node"))
def test_every_way_to_log_in(pair, way_in, way, user):
    """SCRAM, md5, password and trust: the master decides, and the relay logs the same role in to the standby."""
    with psycopg.connect(way_in(way, user=user)) as connection:
        assert connection.execute("SELECT session_user::text").fetchone() == (user,)
        assert [sessions_of(node.postgres, user) for node in (pair.a, pair.b)] == [1, 1]
    pair.a.relay.assert_still_joined()


def fatal(conninfo) -> str:
    """The server's words when it refuses a connection."""
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(conninfo, connect_timeout=10)
    found = re.search(r"FATAL:.*", str(caught.value), re.S)
    assert found, f"no FATAL in: {caught.value}"
    return found.group(0).strip()


@pytest.mark.parametrize("way", ("tcp", "ipv6", "socket", "forwarder", "other-node"))
@pytest.mark.parametrize("who", (
    {"password": "wrong"},
    {"user": "md5_role", "password": "wrong"},
    {"user": "plain", "password": "wrong"},
    {"user": "stranger"},
    {"database": "nowhere"},
    {"user": "nobody"},
), ids=("scram", "md5", "password", "unknown-role", "unknown-database", "rejected"))
def test_a_refusal_has_the_masters_own_words(pair, way_in, way, who):
    """Whom the master refuses hears exactly the master's words, the standby is given no proof, and nothing is left."""
    seen = pair.b.postgres.log_size()
    assert fatal(way_in(way, **who)) == fatal(pair.a.postgres.tcp(**who))
    for node in (pair.a, pair.b):
        wait_until(lambda: node.postgres.backends() == 0, 10, f"no backend to be left on {node.name}")
    name = who.get("user", "app")
    # Both start-up packets go out together, so a rule that rejects without a question is met on both; no proof is given.
    if name != "nobody":
        assert not pair.b.postgres.log_contains(f"FATAL: .*\"{name}\"", since=seen), "the standby refused it, too"
    pair.a.relay.assert_still_joined()


def test_start_up_parameters_reach_both_servers(pair):
    """Options, application_name and client_encoding of the start-up packet hold on the master and on the standby."""
    conninfo = pair.a.relay.tcp() + " application_name=plotter options='-c work_mem=5MB -c search_path=pg_temp'"
    with psycopg.connect(conninfo, client_encoding="LATIN1", autocommit=True) as connection:
        assert connection.execute("SHOW work_mem").fetchone() == ("5MB",)
        assert connection.execute("SHOW search_path").fetchone() == ("pg_temp",)
        assert connection.info.parameter_status("client_encoding") == "LATIN1"
        for node in (pair.a, pair.b):
            assert node.postgres.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'plotter'") == 1
    pair.a.relay.assert_still_joined()


def test_a_changed_password_is_learned(pair):
    """After ALTER ROLE ... PASSWORD with a ready verifier, the old password fails and the new one reaches both servers."""
    scratch = psycopg.connect(pair.a.postgres.conninfo())
    verifiers = [scratch.pgconn.encrypt_password(p, b"turncoat", b"scram-sha-256").decode() for p in (b"one", b"two")]
    scratch.close()
    with psycopg.connect(pair.a.relay.tcp(user="pgtandem", password="service-secret"), autocommit=True) as operator:
        operator.execute(f"CREATE ROLE turncoat LOGIN PASSWORD '{verifiers[0]}' IN ROLE app")
        psycopg.connect(pair.a.relay.tcp(user="turncoat", password="one")).close()
        operator.execute(f"ALTER ROLE turncoat PASSWORD '{verifiers[1]}'")
        assert "password authentication failed" in fatal(pair.a.relay.tcp(user="turncoat", password="one"))
        with psycopg.connect(pair.a.relay.tcp(user="turncoat", password="two")):
            assert [sessions_of(node.postgres, "turncoat") for node in (pair.a, pair.b)] == [1, 1]
        wait_until(lambda: sessions_of(pair.b.postgres, "turncoat") == 0, 10, "the session to end on the standby")
        operator.execute("DROP ROLE turncoat")
    pair.a.relay.assert_still_joined()


def test_no_secret_reaches_log_or_status(pair):
    """Passwords of logins, right and wrong, stand in no log line and no status."""
    wrong = "seekrit-wrong-password"
    fatal(pair.a.relay.tcp(password=wrong))
    fatal(pair.a.relay.tcp(user="plain", password=wrong))
    psycopg.connect(pair.a.relay.tcp(user="plain")).close()
    for node in (pair.a, pair.b):
        for word in (wrong, APP_PASSWORD, "service-secret", pair.key.hex()):
            assert word not in node.relay.log()
            assert word not in node.relay.control.request("GET", "/v1/status")[1]
            assert word not in node.relay.control.request("GET", "/metrics")[1]


def test_the_access_list_holds_before_the_master_is_asked():
    """A relay with an access list refuses database, user and way in by the first rule that matches."""
    from harness import Postgres, Relay
    with Postgres() as master, Relay.flags_only(
            master, None, name="guarded") as relay:
        relay.stop()
        rules = relay.folder / "access.toml"
        rules.write_text(relay_toml(relay, master))
        relay.arguments = ["--config", rules]
        relay.start()
        psycopg.connect(relay.tcp()).close()
        refused = fatal(relay.tcp(user="trusting"))
        assert "trusting" in refused or "access" in refused, refused
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(relay.tcp(database="postgres"))
        assert master.log_contains("user=app database=app"), "the right one did get in"
        assert not master.log_contains("connection authorized: user=trusting"), "the master was asked"


def relay_toml(relay, master) -> str:
    return f"""
state_dir = "{relay.folder}/state"
master = "127.0.0.1:{master.port}"
[listen]
frontends = ["127.0.0.1:{relay.port}"]
control = ["127.0.0.1:{relay.control_port}"]
[[access]]
address = "127.0.0.0/8"
database = "all"
user = "trusting"
action = "deny"
[[access]]
address = "127.0.0.0/8"
database = "app"
user = "all"
action = "allow"
"""


def test_a_port_that_is_taken_is_said(pair):
    """A relay that cannot listen ends at once with a status of sysexits and names the address."""
    from harness import Relay
    relay = Relay.flags_only(pair.a.postgres, None, name="late")
    port = pair.a.relay_port
    relay.arguments[1] = f"127.0.0.1:{port}"
    with pytest.raises(AssertionError) as caught:
        relay.start()
    assert "ended with status" in str(caught.value)
    assert relay.log_contains(str(port))
