"""Options, marks, and what happens to servers and logs around every test."""
import pathlib
import random
import re
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import harness  # noqa: E402
from harness import Mirror, Pair, places, process  # noqa: E402
from harness.players import kept_equal, players  # noqa: E402
from harness.worlds import early_mirror, of_mirror, patient_mirror, serial_mirror  # noqa: E402

SHOWN_LOG_LINES = 40
# Fixtures whose programs outlive a test.
WIDE = ("shared_pair", "shared_mirror", "shared_serial", "shared_patient", "shared_early")
OWN_CONNECTIONS = r"host=\[local\]|application_name=test$"  # the tests' looks at the servers


def pytest_addoption(parser):
    group = parser.getgroup("pgtandem")
    group.addoption("--quick", action="store_true", help="leave out tests marked slow")
    group.addoption("--full", action="store_true", help="also tests marked full; the long form of the others")
    group.addoption("--packages", action="store_true", help="also tests marked packages: in a clean Debian root")
    group.addoption("--windows", action="store_true", help="also tests marked windows: the Windows service, under wine")
    group.addoption("--seed", type=int, default=None, help="repeat the random moments of an earlier run")
    group.addoption("--repeat", type=int, default=None, help="runs of each of the hardest cases (default 2)")
    group.addoption("--moments", type=int, default=None, help="random moments for each fault")


def pytest_configure(config):
    config.addinivalue_line("markers", "mirror_flags(*flags): what the relay of own_mirror gets on its command line")
    config.addinivalue_line("markers", "network: fault proxies between the hosts of patient_pair")
    config.addinivalue_line("markers", "slow: takes over ten seconds; left out by --quick")
    config.addinivalue_line("markers", "packages: needs root and a Debian mirror; only with --packages")
    config.addinivalue_line("markers", "windows: needs wine and the mingw build; only with --windows")
    config.addinivalue_line("markers", "full: takes minutes; only with --full")
    # A time limit from outside ends this process by SIGTERM: as an interrupt, it runs every clean-up.
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)


def interrupted(number, _frame):
    raise KeyboardInterrupt(f"signal {number}")


def pytest_collection_modifyitems(config, items):
    full, quick = config.getoption("--full"), config.getoption("--quick")
    for item in items:
        if "full" in item.keywords and not full:
            item.add_marker(pytest.mark.skip(reason="runs with --full"))
        if "packages" in item.keywords and not config.getoption("--packages"):
            item.add_marker(pytest.mark.skip(reason="runs with --packages"))
        if "windows" in item.keywords and not config.getoption("--windows"):
            item.add_marker(pytest.mark.skip(reason="runs with --windows"))
        if "slow" in item.keywords and quick:
            item.add_marker(pytest.mark.skip(reason="left out by --quick"))


@pytest.fixture(scope="session")
def seed(request):
    """The seed of every random moment: printed where a test fails, taken up again with --seed."""
    given = request.config.getoption("--seed")
    return random.SystemRandom().randrange(10**6) if given is None else given


@pytest.fixture(scope="session")
def full(request) -> bool:
    return request.config.getoption("--full")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the ends of the logs of all programs that run, and keeps its folder."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    for program in process.programs_of_this_test():
        lines = [line for line in program.log().splitlines() if not re.search(OWN_CONNECTIONS, line)]
        lines = lines[-SHOWN_LOG_LINES:]
        report.sections.append((f"log of {program.name} ({program.log_file})", "\n".join(lines)))
    if "seed" in item.fixturenames:
        report.sections.append(("seed", f"repeat with --seed {item.funcargs.get('seed')}"))
    keep_logs(item.nodeid)


def keep_logs(test):
    """Copies the logs and configurations of what runs now to build/test-logs, where a look at them is possible later."""
    folder = places.REPOSITORY / "build" / "test-logs" / "".join(c if c.isalnum() else "-" for c in test)[-100:]
    folder.mkdir(parents=True, exist_ok=True)
    for program in process.programs_of_this_test():
        (folder / f"{program.folder.name}.log").write_text(program.log())
    if places._work_folder:
        for file in places.work_folder().glob("*/*.toml"):
            (folder / f"{file.parent.name}.toml").write_text(file.read_text())


def pytest_sessionfinish(session):
    harness.end_everything()


class Shared:
    """One object for many tests, made anew when a test left it unhealthy: one failure must not fail all that follow."""

    GIVE_UP = 3  # beginnings that failed in a row: then every test fails at once instead of after a time limit

    def __init__(self, make):
        self.make, self.object, self.failed = make, None, 0

    def get(self):
        if self.object is not None and not self._healthy():
            self.end()
        if self.object is None:
            assert self.failed < self.GIVE_UP, f"{self.make.__name__} could not be started {self.failed} times"
            made = self.make()
            try:
                made.start()
            except BaseException:
                self.failed += 1
                raise
            self.object, self.failed = made, 0
        return self.object

    def _healthy(self) -> bool:
        try:
            return harness.wait_until(self.object.healthy, 3, "health")  # a session of the last test may just be ending
        except AssertionError:
            return False

    def end(self):
        if self.object is not None:
            self.object.end()
            self.object = None


@pytest.fixture(scope="session")
def shared_pair():
    shared = Shared(Pair)
    yield shared
    shared.end()


@pytest.fixture(scope="session")
def shared_mirror():
    shared = Shared(Mirror)
    yield shared
    shared.end()


@pytest.fixture(scope="session")
def shared_serial():
    shared = Shared(serial_mirror)
    yield shared
    shared.end()


@pytest.fixture(scope="session")
def shared_patient():
    shared = Shared(patient_mirror)
    yield shared
    shared.end()


@pytest.fixture(scope="session")
def shared_early():
    shared = Shared(early_mirror)
    yield shared
    shared.end()


@pytest.fixture
def serial(shared_serial):
    """A healthy relay with `--discipline serial` and its two servers, shared with other tests: leave it so."""
    return of_mirror(shared_serial.get())


@pytest.fixture
def line(shared_patient):
    """Before the standby of `patient_world`."""
    proxy = shared_patient.get().line
    yield proxy
    proxy.delay(0)


@pytest.fixture
def patient_world(shared_patient, line, request):
    """As `world`; its standby may stand still for long, and be far off."""
    with kept_equal(of_mirror(shared_patient.get()), request.module.SETUP) as kept:
        yield kept


@pytest.fixture
def world(serial, request):
    """`serial` after the SETUP of the test's file: the servers are equal after every test, and the standby is joined."""
    with kept_equal(serial, request.module.SETUP) as kept:
        yield kept


@pytest.fixture(params=("simple", "extended"))
def protocol(request):
    return request.param


@pytest.fixture
def player(world, protocol):
    """Makes sessions of `world`; none of them may have seen what one server would not show."""
    with players(world, protocol) as make:
        yield make


@pytest.fixture
def pair(shared_pair):
    """A healthy pair, shared with other tests: leave it so."""
    return shared_pair.get()


@pytest.fixture
def mirror(shared_mirror):
    """A healthy flags-only relay with its two servers, shared with other tests: leave it so."""
    return shared_mirror.get()


@pytest.fixture
def own_pair():
    """A pair of this test's own, to be damaged."""
    with Pair() as made:
        yield made


@pytest.fixture
def parted_pair():
    """A pair of this test's own with fault proxies between the hosts."""
    with Pair(network=True) as made:
        yield made


@pytest.fixture
def own_mirror(request):
    """A mirror of this test's own, to be damaged; `mirror_flags` are for its relay."""
    flags = request.node.get_closest_marker("mirror_flags")
    with Mirror(*(flags.args if flags else ())) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_stays_behind(request):
    """Programs that a test started and did not end are ended for it; those of wider fixtures stay."""
    wide = {request.getfixturevalue(name) for name in WIDE if name in request.fixturenames}
    before = set(map(id, process.running_programs()))
    process.forget_programs()
    yield
    kept = {id(p) for shared in wide if shared.object for p in programs_of(shared.object)}
    for program in reversed(process.running_programs()):
        if id(program) not in before and id(program) not in kept:
            program.end()
    ended = process.deaths()
    assert not ended, "\n".join(ended)


def programs_of(thing):
    if isinstance(thing, Mirror):
        return [thing.master, thing.standby, thing.relay]
    return [part for node in thing.nodes.values() for part in (node.postgres, node.relay)]
