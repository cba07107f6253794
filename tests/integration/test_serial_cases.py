"""The hardest cases: eight sessions each, and afterwards both servers hold the same.

`--repeat 50` runs each case fifty times; tests/integration/consistency-table compares with classic and pgpool-II.
"""
import pytest

from harness.cases import CASES, run_case
from harness.worlds import refusal

pytestmark = pytest.mark.skipif(bool(refusal()), reason=refusal() or "-")

REPEAT = 2
TOGETHER = [(case, protocol) for case in CASES for protocol in case.protocols]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("case, protocol", TOGETHER, ids=[f"{case.name}-{protocol}" for case, protocol in TOGETHER])
def test_both_servers_are_equal_after(case, protocol, serial, seed, request):
    """After a hard case under contention: tables, sequences and large objects are equal, nobody hung, no client saw
    what one server would not show."""
    for n in range(request.config.getoption("--repeat") or REPEAT):
        outcome = run_case(case, serial, protocol, seed + n)
        assert outcome.good, f"{case.title}, {protocol}, run {n}, --seed {seed}: {outcome}"
