"""Who is master: init, promote, fencing, split, orderly stops, and state files that went bad."""
import concurrent.futures
import json
import random
import re
import shutil

import psycopg
import pytest

from harness import ControlError, Pair, Recorder, holds, same, wait_until
from harness.places import program, run
from harness.recorder import TABLE

SLOT_FILES = ("role-0", "role-1")


def connects(conninfo) -> bool:
    try:
        psycopg.connect(conninfo, connect_timeout=3).close()
        return True
    except psycopg.Error:
        return False


def refusal(conninfo) -> str:
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(conninfo, connect_timeout=10)
    return str(caught.value)


def served_by(conninfo) -> int:
    """The port of the server that answers."""
    with psycopg.connect(conninfo, connect_timeout=10) as connection:
        return connection.execute("SELECT inet_server_port()").fetchone()[0]


# The first start.

def test_nobody_serves_before_init():
    """Two new nodes refuse frontends and say what to do; `init` makes one of them master and the pair joined."""
    with_pair = Pair()
    try:
        with_pair.start(init=False)
        for node in with_pair.nodes.values():
            assert node.relay.state() == "RECOVER"
            assert "init" in node.relay.status()["hint"]
            assert "init" in refusal(node.relay.tcp())
        with_pair.init()
        status = with_pair.a.relay.status()
        assert status["role"]["epoch"] == 1 and status["role"]["master"] == "a" and status["role"]["sync"] is True
        assert status["role"]["generation"] == with_pair.b.relay.status()["role"]["generation"]
        assert with_pair.a.relay.log_contains("equal"), "the log says that the operator's word was taken"
        again = with_pair.tool.run("init", "--master", "b", check=False)
        assert again.returncode == 75 and with_pair.a.relay.state() == "MASTER"
    finally:
        with_pair.end()


def test_init_without_the_word_leaves_the_standby_to_a_bootstrap():
    """`init` alone makes a master that goes on alone, and a stale standby."""
    pair = Pair()
    try:
        pair.start(init=False)
        pair.tool.run("init", "--master", "b")
        pair.b.relay.wait_state("ALONE")
        pair.a.relay.wait_state("STALE")
        assert served_by(pair.b.relay.tcp()) == pair.b.postgres.port
        assert not pair.b.relay.joined()
    finally:
        pair.end()


@pytest.mark.parametrize("what", ("uuid", "key"))
def test_a_relay_of_another_pair_gets_nothing(own_pair, what):
    """A relay with another pair's uuid or key takes no role in this one, and this one's master goes on alone."""
    own_pair.b.relay.kill()
    shutil.rmtree(own_pair.b.relay.state_dir)
    if what == "uuid":
        config = own_pair.b.folder / "pgtandem.toml"
        config.write_text(config.read_text().replace(own_pair.uuid, own_pair.uuid[:-4] + "abcd"))
    else:
        (own_pair.b.folder / "pair.key").write_text("0" * 64 + "\n")
    own_pair.b.relay.start()
    holds(lambda: own_pair.b.relay.state() == "RECOVER", 3, "the stranger gets no role")
    assert not connects(own_pair.b.relay.tcp())
    with psycopg.connect(own_pair.a.relay.tcp(), autocommit=True) as session:
        session.execute("CREATE TABLE without_the_stranger (n int)")
    own_pair.a.relay.wait_state("ALONE")
    assert own_pair.b.postgres.sql("SELECT to_regclass('without_the_stranger')", database="app") == [(None,)]


# The standby's relay.

def test_the_standbys_relay_passes_on(pair):
    """A program on the standby's host connects to its own relay, by TCP and socket, and is served by the master."""
    assert served_by(pair.b.relay.tcp()) == pair.a.postgres.port
    assert served_by(pair.b.relay.by_socket()) == pair.a.postgres.port
    with psycopg.connect(pair.b.relay.tcp(), autocommit=True) as session:
        session.execute("CREATE TABLE IF NOT EXISTS passed_on (n int); INSERT INTO passed_on VALUES (1)")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            running = pool.submit(session.execute, "SELECT pg_sleep(30)")
            wait_until(lambda: pair.a.postgres.backends("query LIKE '%pg_sleep%'") == 1, 5, "the statement to run")
            session.cancel()
            with pytest.raises(psycopg.errors.QueryCanceled):
                running.result(10)
    same(pair.a.postgres, pair.b.postgres, "passed_on")


def test_the_leg_port_is_for_the_peer_alone(pair):
    """Whoever reaches the leg port without the pair's key gets no session, not even where the server trusts."""
    from harness import wire
    with wire.Wire(pair.b.leg_port, timeout=15) as stranger:
        stranger.send(wire.startup(user="trusting", database="app"), wire.query("SELECT 1"))
        answer = b""
        try:
            while piece := stranger.socket.recv(4096):
                answer += piece
        except ConnectionResetError:
            pass
    assert b"SELECT" not in answer and b"R\0\0\0\x08\0\0\0\0" not in answer
    pair.a.relay.assert_still_joined()


# Promote.

def test_promote_takes_over_from_a_master_that_agrees(own_pair):
    """With both hosts up, `promote` asks the master to stand down first: no word is needed, and nothing is lost."""
    with psycopg.connect(own_pair.a.relay.tcp(), autocommit=True) as session:
        session.execute(TABLE)
    with Recorder(own_pair.a.relay.tcp()) as recorder:
        wait_until(lambda: recorder.count > 100, 20, "the load to run")
        own_pair.tool.promote("b")
        own_pair.b.relay.wait_state("ALONE")
        reached = recorder.count
        # The writers still use a's address: its relay passes them on to the new master.
        wait_until(lambda: recorder.count > reached + 100, 20, "the load to go on through a's relay")
    recorder.check(own_pair.b.postgres)
    own_pair.a.relay.wait_state("STALE")
    assert own_pair.b.relay.status()["role"]["epoch"] > 1
    assert served_by(own_pair.a.relay.tcp()) == own_pair.b.postgres.port


def test_promote_needs_the_operators_words(own_pair):
    """While the master does not answer, `promote` shows since when, and wants exactly that repeated."""
    own_pair.a.relay.kill()
    bare = own_pair.tool.run("promote", "--node", "b", check=False, on="b")
    assert bare.returncode == 75
    text = bare.stdout + bare.stderr
    assert "--other-host-is-off" in text and "--accept-loss-since=" in text
    holds(lambda: own_pair.b.relay.state() not in ("ALONE", "MASTER"), 1, "b does not promote itself")
    shown = own_pair.tool.time_of_silence("b")
    assert re.match(r"\d{4}-\d\d-\d\dT", shown)
    wrong = own_pair.tool.run("promote", "--node", "b", "--other-host-is-off", "--accept-loss-since=2020-01-01T00:00:00Z",
                              check=False)
    assert wrong.returncode == 75 and own_pair.b.relay.state() not in ("ALONE", "MASTER")
    half = own_pair.tool.run("promote", "--node", "b", "--other-host-is-off", check=False)
    assert half.returncode == 64
    own_pair.tool.run("promote", "--node", "b", "--other-host-is-off", f"--accept-loss-since={shown}")
    own_pair.b.relay.wait_state("ALONE")
    assert served_by(own_pair.b.relay.tcp()) == own_pair.b.postgres.port


def test_the_standby_never_promotes_itself(own_pair):
    """Without a witness nobody takes over by himself, however long the master is silent (R10)."""
    own_pair.a.relay.kill()
    own_pair.a.postgres.kill()
    holds(lambda: own_pair.b.relay.state() not in ("ALONE", "MASTER", "CANDIDATE"), 5, "b waits for the operator")
    assert "promote" in own_pair.b.relay.status()["hint"]
    assert own_pair.tool.run("status", check=False).returncode == 2


def test_an_old_master_that_returns_is_fenced(own_pair):
    """A master that was killed and comes back after a promotion serves nobody, is stale and passes on to the new one."""
    own_pair.a.relay.kill()
    own_pair.tool.promote("b", other_host_is_off=True)
    with psycopg.connect(own_pair.b.relay.tcp(), autocommit=True) as session:
        session.execute("CREATE TABLE newer (n int)")
    own_pair.a.relay.start()
    own_pair.a.relay.wait_state("STALE")
    assert served_by(own_pair.a.relay.tcp()) == own_pair.b.postgres.port
    holds(lambda: own_pair.a.relay.state() == "STALE" and own_pair.b.relay.state() == "ALONE", 2, "it stays so")
    assert own_pair.a.relay.status()["role"]["epoch"] == own_pair.b.relay.status()["role"]["epoch"]
    assert own_pair.a.postgres.sql("SELECT to_regclass('newer')", database="app") == [(None,)]
    # And it cannot be made master by mistake: its copy is old.
    assert own_pair.tool.run("promote", "--node", "a", check=False).returncode != 0


def test_a_frozen_master_that_thaws_acknowledges_nothing(own_pair):
    """A master that was frozen during a promotion finds the higher epoch before it releases anything of the old one."""
    with psycopg.connect(own_pair.a.relay.tcp(), autocommit=True) as setup:
        setup.execute("CREATE TABLE frozen (n int PRIMARY KEY)")
    session = psycopg.connect(own_pair.a.relay.tcp(), autocommit=True)
    own_pair.a.relay.freeze()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        write = pool.submit(session.execute, "INSERT INTO frozen VALUES (1)")
        own_pair.tool.promote("b", other_host_is_off=True)
        own_pair.b.relay.wait_state("ALONE")
        own_pair.a.relay.thaw()
        assert isinstance(write.exception(20), psycopg.OperationalError), "the old epoch acknowledged a write"
        own_pair.a.relay.wait_state("STALE", timeout=20)
    session.close()
    assert not own_pair.a.relay.log_contains("MASTER.*epoch=3")
    wait_until(lambda: own_pair.a.postgres.backends() == 0, 15, "the old sessions' backends to be ended on a")


def test_a_takeover_ends_old_legs_first(own_pair):
    """Before the new master opens, the backends of the old master's legs on it are gone, running ones included."""
    sessions = [psycopg.connect(own_pair.a.relay.tcp() + " application_name=oldleg", autocommit=True) for _ in range(5)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        running = [pool.submit(s.execute, "SELECT pg_sleep(60)") for s in sessions]
        wait_until(lambda: own_pair.b.postgres.backends("query LIKE '%pg_sleep%' AND state = 'active'") == 5, 10,
                   "five statements to run on b")
        own_pair.a.relay.freeze()
        own_pair.tool.promote("b", other_host_is_off=True)
        own_pair.b.relay.wait_state("ALONE")
        assert own_pair.b.postgres.backends("application_name = 'oldleg'") == 0
        own_pair.a.relay.kill()
        for future in running:
            assert future.exception(10) is not None
    for session in sessions:
        session.close()


def test_fence_by_order(own_pair):
    """`fence` ends the sessions of the master with 57P01 and refuses new ones until somebody is promoted."""
    session = psycopg.connect(own_pair.a.relay.tcp(), autocommit=True)
    assert own_pair.tool.run("fence", "--node", "a", check=False).returncode != 0, "a script must say --yes"
    own_pair.tool.run("fence", "--node", "a", "--yes")
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    wait_until(lambda: own_pair.a.relay.state() not in ("MASTER", "ALONE"), 10, "a to serve no more")
    assert not connects(own_pair.a.relay.tcp())
    own_pair.tool.promote("b")
    own_pair.b.relay.wait_state("ALONE", "MASTER")
    assert connects(own_pair.b.relay.tcp())


# Cut apart.

def test_a_master_that_is_cut_off_goes_on_alone(parted_pair):
    """Network cut: the master goes on alone after standby_timeout; healed, the standby is stale and nothing is torn."""
    with psycopg.connect(parted_pair.a.relay.tcp(), autocommit=True) as session:
        session.execute(TABLE)
    with Recorder(parted_pair.a.relay.tcp()) as recorder:
        wait_until(lambda: recorder.count > 50, 20, "the load to run")
        parted_pair.cut_network()
        parted_pair.a.relay.wait_state("ALONE", timeout=15)
        reached = recorder.count
        wait_until(lambda: recorder.count > reached + 100, 20, "the load to go on")
        assert parted_pair.b.relay.state() != "MASTER"
        parted_pair.heal_network()
        parted_pair.b.relay.wait_state("STALE", timeout=15)
    assert recorder.errors == []
    recorder.check(parted_pair.a.postgres)
    assert parted_pair.a.relay.state() == "ALONE"


@pytest.mark.parametrize("way", ("to_a", "to_b"))
def test_a_line_that_is_cut_one_way(parted_pair, way):
    """A line on which only one direction works is a lost line: one master, no loss, no split."""
    with psycopg.connect(parted_pair.a.relay.tcp(), autocommit=True) as session:
        session.execute(TABLE)
    with Recorder(parted_pair.a.relay.tcp()) as recorder:
        wait_until(lambda: recorder.count > 50, 20, "the load to run")
        parted_pair.cut_network(way)
        parted_pair.a.relay.wait_state("ALONE", timeout=15)
        reached = recorder.count
        wait_until(lambda: recorder.count > reached + 100, 20, "the load to go on")
        parted_pair.heal_network()
        parted_pair.b.relay.wait_state("STALE", timeout=15)
    recorder.check(parted_pair.a.postgres)


def split(pair):
    """A wrong word in `promote`: the network is cut, a lives and goes on, b is promoted; both take writes."""
    with psycopg.connect(pair.a.relay.tcp(), autocommit=True) as session:
        session.execute("CREATE TABLE torn (n int PRIMARY KEY, side text)")
        session.execute("INSERT INTO torn VALUES (0, 'before')")
        pair.cut_network()
        session.execute("INSERT INTO torn VALUES (1, 'a')")
    pair.a.relay.wait_state("ALONE")
    pair.tool.promote("b", other_host_is_off=True)
    pair.b.relay.wait_state("ALONE")
    with psycopg.connect(pair.b.relay.tcp(), autocommit=True) as session:
        session.execute("INSERT INTO torn VALUES (2, 'b')")


@pytest.mark.parametrize("give_up", ("a", "b"))
def test_a_split_is_detected_and_nothing_is_thrown_away(parted_pair, give_up):
    """After a wrong word both copies went on: SPLIT, an alarm, both copies kept until the operator names one to give up."""
    split(parted_pair)
    parted_pair.heal_network()
    parted_pair.a.relay.wait_state("SPLIT", timeout=20)
    # The higher epoch may go on serving, or both wait for the operator; never do both serve.
    wait_until(lambda: not connects(parted_pair.a.relay.tcp())
               or served_by(parted_pair.a.relay.tcp()) == parted_pair.b.postgres.port, 10, "a not to serve its copy")
    assert parted_pair.a.relay.log_contains("(?i)split")
    for node, rows in ((parted_pair.a, [(0,), (1,)]), (parted_pair.b, [(0,), (2,)])):
        assert node.postgres.sql("SELECT n FROM torn ORDER BY n", database="app") == rows
    keep = parted_pair.nodes["b" if give_up == "a" else "a"]
    if give_up == "b":  # it is the one that serves: first it must not
        parted_pair.tool.run("fence", "--node", "b", "--yes")
        parted_pair.b.relay.wait_state("RECOVER", "SPLIT")
    parted_pair.tool.run("giveup", "--node", give_up, "--yes")
    parted_pair.nodes[give_up].relay.wait_state("STALE")
    if keep.relay.state() not in ("ALONE", "MASTER"):
        wait_until(lambda: parted_pair.tool.run("promote", "--node", keep.name, on=keep.name), 10, "the promotion")
    keep.relay.wait_state("ALONE")
    assert served_by(keep.relay.tcp()) == keep.postgres.port
    wait_until(lambda: served_by(parted_pair.nodes[give_up].relay.tcp()) == keep.postgres.port, 10,
               "the other node to pass on")


def test_a_split_survives_a_restart(parted_pair):
    """SPLIT is durable: after a restart of both relays nobody serves both copies, and neither is thrown away."""
    split(parted_pair)
    parted_pair.a.relay.kill()
    parted_pair.b.relay.kill()
    parted_pair.heal_network()
    parted_pair.start_relays()
    parted_pair.a.relay.wait_state("SPLIT", timeout=20)
    holds(lambda: parted_pair.a.relay.state() == "SPLIT", 2, "a stays split")
    assert len(parted_pair.a.postgres.sql("TABLE torn", database="app")) == 2
    assert len(parted_pair.b.postgres.sql("TABLE torn", database="app")) == 2


# Starts and stops.

def test_a_cold_start_of_everything(own_pair):
    """Orderly stop of both relays and servers, start in any order: joined again with the same data."""
    with psycopg.connect(own_pair.a.relay.tcp(), autocommit=True) as session:
        session.execute("CREATE TABLE kept AS SELECT 1 AS n")
    for node in (own_pair.b, own_pair.a):
        assert node.relay.stop() == 0
        node.postgres.stop()
    for node in (own_pair.b, own_pair.a):
        node.postgres.start()
        node.relay.start()
    own_pair.wait_joined(timeout=20)
    with psycopg.connect(own_pair.a.relay.tcp(), autocommit=True) as session:
        session.execute("INSERT INTO kept VALUES (2)")
    same(own_pair.a.postgres, own_pair.b.postgres)


def test_a_cold_start_of_the_master_alone_waits(own_pair):
    """Authority never survives a start: with the peer down the old master waits for it, or for the operator."""
    for node in (own_pair.b, own_pair.a):
        node.relay.stop()
    own_pair.a.relay.start()
    holds(lambda: own_pair.a.relay.state() == "RECOVER", 4, "a waits")
    assert not connects(own_pair.a.relay.tcp())
    assert own_pair.a.relay.status()["hint"]
    own_pair.b.relay.start()
    own_pair.wait_joined(timeout=20)


def test_a_cold_start_can_be_ordered(own_pair):
    """With the peer gone for good, the operator's word brings the old master back."""
    for node in (own_pair.b, own_pair.a):
        node.relay.stop()
    own_pair.a.relay.start()
    own_pair.a.relay.wait_state("RECOVER")
    own_pair.tool.promote("a", other_host_is_off=True)
    own_pair.a.relay.wait_state("ALONE")
    assert connects(own_pair.a.relay.tcp())


@pytest.mark.parametrize("which", ("a", "b", "both"))
def test_a_crash_of_a_relay_is_no_clean_stop(own_pair, which):
    """kill -9 of a relay under load and its start: served again by the same master, and what was acknowledged is there."""
    with psycopg.connect(own_pair.a.relay.tcp(), autocommit=True) as session:
        session.execute(TABLE)
    relays = [own_pair.nodes[n].relay for n in ("b", "a") if which in (n, "both")]
    with Recorder(own_pair.a.relay.tcp()) as recorder:
        wait_until(lambda: recorder.count > 100, 20, "the load to run")
        for relay in relays:
            relay.kill()
        for relay in relays:
            relay.start(wait=False)
        for relay in relays:
            relay.wait_ready()
        own_pair.a.relay.wait_state("ALONE", "MASTER", timeout=20)
        reached = recorder.count
        wait_until(lambda: recorder.count > reached + 100, 30, "the load to go on")
    recorder.check(own_pair.a.postgres)
    if own_pair.a.relay.joined():
        recorder.check(own_pair.b.postgres)


def test_a_second_relay_on_the_same_state_folder_is_refused(pair):
    """Two relays never share a state folder: the second says so and ends."""
    second = run(program("pgtandem-relay"), *pair.a.relay.arguments, check=False, timeout=20)
    assert second.returncode in range(64, 79) and str(pair.a.relay.state_dir) in second.stderr
    pair.a.relay.assert_still_joined()


def test_a_restarted_postmaster_of_the_master(own_pair):
    """The master's postmaster is restarted by its administrator: the standby's server takes over, with nothing lost.

    The master's relay passes on to it from then on; its own data are stale, whatever its server says."""
    with psycopg.connect(own_pair.a.relay.tcp(), autocommit=True) as session:
        session.execute(TABLE)
    with Recorder(own_pair.a.relay.tcp()) as recorder:
        wait_until(lambda: recorder.count > 100, 20, "the load to run")
        own_pair.a.postgres.stop()
        own_pair.b.relay.wait_state("ALONE")
        reached = recorder.count
        wait_until(lambda: recorder.count > reached + 100, 30, "the load to go on")
        own_pair.a.postgres.start()
        wait_until(lambda: own_pair.a.relay.status()["postmaster"]["ok"], 20, "the relay to see its server again")
        reached = recorder.count
        wait_until(lambda: recorder.count > reached + 100, 30, "the load to go on")
    assert own_pair.a.relay.state() == "STALE"
    assert own_pair.b.relay.state() == "ALONE"
    assert served_by(own_pair.a.relay.tcp()) == own_pair.b.postgres.port
    recorder.check(own_pair.b.postgres)


# State files.

def corrupt(path, how, choice):
    data = bytearray(path.read_bytes())
    if how == "flip":
        data[choice.randrange(len(data))] ^= 1 << choice.randrange(8)
    elif how == "truncate":
        del data[choice.randrange(len(data)):]
    elif how == "empty":
        data.clear()
    elif how == "zeros":
        data[:] = bytes(len(data))
    elif how == "longer":
        data += b"\0"
    path.write_bytes(bytes(data))


DAMAGE = ("flip", "flip", "flip", "truncate", "truncate", "empty", "zeros", "longer")


def test_one_damaged_state_file_is_survived(own_pair, seed):
    """Whatever happens to one of the two state files of either node: the other one holds the same, and the pair joins."""
    choice = random.Random(seed)
    for number, how in enumerate(DAMAGE):
        for node in (own_pair.b, own_pair.a):
            node.relay.stop()
        victim = own_pair.nodes["ab"[number % 2]].relay
        corrupt(victim.state_dir / SLOT_FILES[choice.randrange(2)], how, choice)
        own_pair.start_relays()
        own_pair.wait_joined(timeout=20)


def test_two_damaged_state_files_give_no_authority(own_pair, seed):
    """When both files of a node are damaged it serves nobody and takes over nothing; the log names the files."""
    choice = random.Random(seed)
    for node in (own_pair.b, own_pair.a):
        node.relay.stop()
    for number, how in enumerate(DAMAGE):
        victim = own_pair.nodes["ab"[number % 2]]
        saved = {name: (victim.relay.state_dir / name).read_bytes() for name in SLOT_FILES}
        for name in SLOT_FILES:
            corrupt(victim.relay.state_dir / name, how, choice)
        since = victim.relay.log_size()
        victim.relay.start()  # alone: its peer is down
        holds(lambda: victim.relay.state() == "RECOVER" and not victim.relay.joined(), 0.5, "no authority")
        assert not connects(victim.relay.tcp())
        assert victim.relay.log_contains("role-[01]", since=since)
        victim.relay.stop()
        for name, data in saved.items():
            (victim.relay.state_dir / name).write_bytes(data)


def test_a_state_file_of_another_node_gives_no_authority(own_pair):
    """A state folder that was copied from the other node is not this node's."""
    for node in (own_pair.b, own_pair.a):
        node.relay.stop()
    for name in SLOT_FILES:
        shutil.copy(own_pair.a.relay.state_dir / name, own_pair.b.relay.state_dir / name)
    try:
        own_pair.b.relay.start()
    except AssertionError as ended:
        assert "ended with status" in str(ended)
        return
    holds(lambda: own_pair.b.relay.state() == "RECOVER", 1, "no authority")
    assert not connects(own_pair.b.relay.tcp())


# Records carried by others (hard point 12).

def test_an_unsigned_record_changes_nothing(pair):
    """A workstation that posts a record with a higher epoch and no valid signature cannot fence a plant."""
    record = pair.a.relay.status()["record"]
    control = pair.a.relay.control
    forged = record["payload"].replace("epoch=1", "epoch=99") if "epoch=1" in record["payload"] else "epoch=99"
    for payload, mac in ((forged, record["mac"]), (forged, "00" * 32), (record["payload"], "00" * 32), ("", "")):
        code, _ = control.request("POST", "/v1/record", json.dumps({"payload": payload, "mac": mac}),
                                  {"Content-Type": "application/json"})
        assert code >= 400
    holds(lambda: pair.a.relay.state() == "MASTER", 1, "the master stays")
    pair.a.relay.assert_still_joined()


def test_a_signed_record_of_a_higher_epoch_fences(parted_pair):
    """A forwarder that carries the new master's signed record to a cut-off old master fences it (R7)."""
    parted_pair.cut_network()
    parted_pair.tool.promote("b", other_host_is_off=True)
    parted_pair.b.relay.wait_state("ALONE")
    record = parted_pair.b.relay.status()["record"]
    code, text = parted_pair.a.relay.control.request("POST", "/v1/record", json.dumps(record),
                                                     {"Content-Type": "application/json"})
    assert code == 200, text
    wait_until(lambda: parted_pair.a.relay.state() not in ("MASTER", "ALONE", "DEGRADING", "DRAINING"), 10,
               "a to be fenced")
    assert not connects(parted_pair.a.relay.tcp())


# The control port.

def test_commands_need_the_token(pair):
    """POST without the token, with a wrong one, or to an unknown command is refused; reading is open."""
    control = pair.a.relay.control
    for token in ("", "wrong"):
        with pytest.raises(ControlError) as refused:
            control.command("fence", token=token)
        assert refused.value.status in (401, 403)
    with pytest.raises(ControlError) as unknown:
        control.command("explode")
    assert unknown.value.status in (400, 404)
    assert control.request("GET", "/v1/status")[0] == 200
    assert control.request("GET", "/master")[0] == 200 and control.request("GET", "/standby")[0] == 503
    other = pair.b.relay.control
    assert other.request("GET", "/master")[0] == 503 and other.request("GET", "/standby")[0] == 200
    assert pair.a.relay.state() == "MASTER"


def test_status_metrics_and_watch_tell_the_same(pair):
    """/metrics follows Prometheus' conventions, /v1/watch sends the status at once and at least every second."""
    import socket
    code, text = pair.a.relay.control.request("GET", "/metrics")
    assert code == 200 and text.count("# HELP") == text.count("# TYPE") > 5
    samples = pair.a.relay.control.metrics()
    assert all(name.startswith("pgtandem_") for name in samples)
    with socket.create_connection(("127.0.0.1", pair.a.control_port), 5) as watch:
        watch.settimeout(3)
        watch.sendall(b"GET /v1/watch HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
        data = b""
        while data.count(b"data: {") < 3:
            piece = watch.recv(65536)
            assert piece, "the stream ended"
            data += piece
    event = json.loads(re.search(rb"data: (\{.*\})", data).group(1))
    assert event["role"]["state"] == "MASTER" and event["node"] == "a"


def test_the_tool_shows_one_screen(pair):
    """`pgtandem status` on a healthy pair: exit status 0, both nodes, no colours in a pipe; the same as JSON."""
    shown = pair.tool.run("status")
    assert "MASTER" in shown.stdout and "STANDBY" in shown.stdout and "\x1b" not in shown.stdout
    assert json.loads(pair.tool.run("status", "--json").stdout)
    by_address = pair.tool.run("status", on=None)
    assert "MASTER" in by_address.stdout
    assert pair.tool.run("nonsense", check=False).returncode == 64


def test_check_finds_what_is_wrong_and_nothing_else(pair):
    """`pgtandem check` says that the tests' servers run without fsync, and has nothing else against a healthy pair."""
    done = pair.tool.run("check", check=False)
    errors = [line for line in done.stdout.splitlines() if line.startswith("ERROR")]
    assert done.returncode == 78 and len(errors) == 2 and all("fsync is off" in line for line in errors), done.stdout


def test_check_accepts_a_pair_that_is_in_order():
    """With fsync on there is no error left, and the exit status is 0."""
    with Pair(postgres_settings={"fsync": "on"}) as pair:
        done = pair.tool.run("check", check=False)
        assert done.returncode == 0, done.stdout
