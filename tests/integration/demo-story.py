"""The story that scripts/demo tells, on real servers: a pair loses its master under load and gets it back."""
import argparse
import pathlib
import re
import signal
import sys
import time

import psycopg

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import Forwarder, Pair, Recorder, Sshd, digest, end_everything, same, wait_until  # noqa: E402
from harness.compare import tables  # noqa: E402
from harness.places import pg, remove_work_folder, run, work_folder  # noqa: E402
from harness.process import clean_environment  # noqa: E402
from harness.recorder import TABLE  # noqa: E402
from harness.relay import TOKEN  # noqa: E402

SCALE = 5
BENCH_SECONDS = 6


class Story:
    def __init__(self):
        self.began = time.monotonic()
        self.sshd = Sshd()
        self.pair = Pair(sshd=self.sshd)
        self.forwarder = Forwarder(self.pair.forwarder_relays())
        self.recorder = None

    def tell(self, text):
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def play(self):
        self.begin()
        self.first_bootstrap()
        self.work()
        self.lose_the_master()
        self.go_on()
        self.bring_it_back()
        self.lose_the_server()
        self.tell("That was all: a host and a server lost, one `promote`, no write lost, no connection string edited.")

    def begin(self):
        pair = self.pair
        self.sshd.start()
        pair.start(init=False)
        self.forwarder.start()
        self.tell(f"Two PostgreSQL servers run (host a :{pair.a.postgres.port}, host b :{pair.b.postgres.port}), a relay "
                  f"before each (:{pair.a.relay_port}, :{pair.b.relay_port}),")
        print(f"{'':10}and a forwarder at 127.0.0.1:{self.forwarder.port}: the only address the application knows.")
        pair.tool.run("init", "--master", "a")
        pair.a.relay.wait_state("ALONE")
        self.tell("`pgtandem init --master a`: a is master, and alone. The standby is empty.")

    def first_bootstrap(self):
        run(pg("pgbench"), "-i", "-q", "-s", str(SCALE), self.forwarder.tcp(), env=clean_environment())
        self.pair.a.postgres.sql(TABLE + "; ALTER TABLE ledger OWNER TO app", database="app")
        size = self.pair.a.postgres.value("SELECT pg_size_pretty(pg_database_size('app'))")
        self.tell(f"The application fills its tables through the forwarder: {size}.")
        took = self.bootstrap("a")
        self.tell(f"`pgtandem bootstrap`: dumped, compressed, sent over ssh, loaded, joined in {took:.1f} s.")

    def bootstrap(self, master) -> float:
        began = time.monotonic()
        self.pair.tool.run("bootstrap", "--abort-clients", "--replace", timeout=120, on=master)
        self.pair.wait_joined(master=master)
        return time.monotonic() - began

    def pgbench(self) -> float:
        done = run(pg("pgbench"), "-n", "-c", "4", "-j", "2", "-T", str(BENCH_SECONDS), self.forwarder.tcp(),
                   env=clean_environment())
        return float(re.search(r"^tps = ([0-9.]+)", done.stdout, re.M).group(1))

    def work(self):
        tps = self.pgbench()
        pair = self.pair
        pair.a.relay.assert_still_joined()
        same(pair.a.postgres, pair.b.postgres, "pgbench_accounts", "pgbench_branches", "pgbench_tellers", "pgbench_history")
        rows = digest(pair.a.postgres, "pgbench_accounts")[0]
        self.tell(f"pgbench through the forwarder, every commit on both servers: {tps:.0f} transactions a second.")
        self.tell(f"Compared: {rows:,} accounts, every balance and every time stamp of the history are the same on both.")

    def lose_the_master(self):
        pair = self.pair
        self.recorder = Recorder(self.forwarder.tcp(), writers=4).start()
        wait_until(lambda: self.recorder.count > 500, 30, "the application to work")
        self.tell("Four writers work through the forwarder and note every write that was acknowledged. Now:")
        pair.a.relay.kill()
        pair.a.postgres.kill()
        self.tell(f"kill -9 of server and relay on host a, after {self.recorder.count:,} acknowledged writes.")
        wait_until(lambda: "promote" in pair.b.relay.status()["hint"], 15, "relay b to miss its master")
        since = pair.tool.time_of_silence("b")
        self.tell(f"Relay b says since when a is silent ({since[11:19]}) and what to type. The operator sees that host a is")
        print(f"{'':10}off, and types: pgtandem promote --other-host-is-off --accept-loss-since={since}")
        pair.tool.run("promote", "--node", "b", "--other-host-is-off", f"--accept-loss-since={since}", on="b")
        pair.b.relay.wait_state("ALONE")

    def go_on(self):
        reached = self.recorder.count
        wait_until(lambda: self.recorder.count > reached + 500, 30, "the application to go on")
        self.tell(f"b is master. The application goes on through the same address; its longest pause was "
                  f"{self.recorder.longest_pause:.1f} s.")
        self.recorder.stop()
        self.recorder.check(self.pair.b.postgres)
        self.tell(f"Counted on b: {self.recorder.count:,} writes were acknowledged, before and after; "
                  f"{self.recorder.count:,} are there, 0 are lost.")

    def bring_it_back(self):
        pair = self.pair
        pair.a.postgres.start()
        pair.a.relay.start()
        pair.a.relay.wait_state("STALE")
        self.tell("Host a is back. Its relay finds the newer master, serves nobody, and passes its clients on to b.")
        took = self.bootstrap("b")
        self.tell(f"`pgtandem bootstrap` on b loads it anew: joined as the standby in {took:.1f} s.")
        tps = self.pgbench()
        pair.b.relay.assert_still_joined()
        names = tables(pair.b.postgres)
        same(pair.a.postgres, pair.b.postgres, *names)
        self.tell(f"pgbench again: {tps:.0f} transactions a second, all {len(names)} tables the same on both servers.")

    def lose_the_server(self):
        pair = self.pair
        with psycopg.connect(self.forwarder.tcp(), autocommit=True) as session:
            session.execute(TABLE.replace("ledger", "second_ledger"))
        with Recorder(self.forwarder.tcp(), writers=4, table="second_ledger") as recorder:
            wait_until(lambda: recorder.count > 500, 30, "the application to work")
            pair.b.postgres.kill()
            self.tell("Now PostgreSQL alone dies on b, by kill -9; its relay lives.")
            pair.a.relay.wait_state("ALONE")
            reached = recorder.count
            wait_until(lambda: recorder.count > reached + 500, 30, "the application to go on")
        assert recorder.errors == []
        recorder.check(pair.a.postgres)
        self.tell(f"The same four connections go on with a's server, in mid-transaction: no error, none of {recorder.count:,} writes "
                  f"lost; longest pause {recorder.longest_pause:.2f} s.")

    def addresses(self) -> str:
        pair = self.pair
        return f"""
Left running in {work_folder()}:
  application   psql '{self.forwarder.tcp()}'
  status        {' '.join(map(str, pair.tool.command('status')))}
  watch         {' '.join(map(str, pair.tool.command('watch')))}
  control port  http://127.0.0.1:{pair.b.control_port}/ and http://127.0.0.1:{pair.a.control_port}/ (token: {TOKEN})
  servers       psql '{pair.a.postgres.conninfo()}'
                psql '{pair.b.postgres.conninfo()}'
Ctrl-C ends and removes everything.
"""

    def end(self):
        if self.recorder is not None:
            self.recorder.stop()


def interrupted(number, _frame):
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    story, status = None, 0
    try:
        story = Story()
        story.play()
        if options.keep:
            print(story.addresses(), flush=True)
            signal.pause()
    except KeyboardInterrupt:
        status = 0 if options.keep else 130
    except Exception as error:
        (work_folder() / "KEEP").touch()
        print(f"\ndemo: {error}\ndemo: failed; the logs are in {work_folder()}", file=sys.stderr)
        status = 1
    finally:
        if story is not None:
            story.end()
        end_everything()
        remove_work_folder()
    return status


if __name__ == "__main__":
    sys.exit(main())
