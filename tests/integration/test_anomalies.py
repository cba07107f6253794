"""The judges of histories find what was planted, and nothing in a history that one server could have made."""
import random

import pytest

from harness.anomalies import FAILED, OK, UNKNOWN, History, Transaction, masters_in_turn


def transaction(operations, began=0.0, ended=None, outcome=OK, client=0):
    return Transaction(client, began, operations, outcome, began + 0.5 if ended is None else ended)


def append(value, key=1):
    return "append", key, value


def read(*seen, key=1):
    return "read", key, list(seen)


def kinds(transactions, final):
    return sorted({kind for kind, _ in History(transactions, final).anomalies()})


def one_server(seed, clients=6, count=400):
    """A history as one server makes it: transactions that overlap and commit one at a time."""
    choice, lists, history, value = random.Random(seed), {}, [], 0
    for n in range(count):
        outcome = choice.choice((OK, OK, OK, OK, FAILED, UNKNOWN))
        kept = outcome == OK or outcome == UNKNOWN and choice.random() < 0.5
        mine = {key: list(values) for key, values in lists.items()}
        operations = []
        for _ in range(choice.randrange(1, 5)):
            key = choice.randrange(3)
            if choice.random() < 0.5:
                value += 1
                mine.setdefault(key, []).append(value)
                operations.append(append(value, key))
            else:
                operations.append(read(*mine.get(key, []), key=key))
        if kept:
            lists = mine
        began = n - choice.random() * clients
        history.append(transaction(operations, began, n + choice.random(), outcome, n % clients))
    return history, lists


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_found_where_nothing_is_wrong(seed):
    history, final = one_server(seed)
    assert History(history, final).anomalies() == []


@pytest.mark.parametrize("seed", range(20))
def test_what_is_planted_into_a_long_history_is_found(seed):
    """One element less, twice, or two in the wrong order, anywhere among 400 transactions."""
    choice = random.Random(seed)
    history, final = one_server(seed)
    key = max(final, key=lambda k: len(final[k]))
    kept = [v for v in final[key] if History(history, final).writer[key, v].outcome == OK]
    value = choice.choice(kept[5:-5])
    at = final[key].index(value)
    less, twice, swapped = (dict(final, **{}) for _ in range(3))
    less[key] = [v for v in final[key] if v != value]
    twice[key] = [*final[key], value]
    swapped[key] = [*final[key][:at - 1], value, final[key][at - 1], *final[key][at + 1:]]
    assert "lost append" in kinds(history, less)
    assert "duplicate append" in kinds(history, twice)
    assert {"read of no prefix", "cycle", "intermediate read"} & set(kinds(history, swapped))


@pytest.mark.parametrize("kind, transactions, final", [
    ("lost append", [transaction([append(1)]), transaction([append(2)])], {1: [1]}),
    ("lost append", [transaction([append(1)])], {}),
    ("duplicate append", [transaction([append(1)], outcome=UNKNOWN)], {1: [1, 1]}),
    ("unknown value", [], {1: [7]}),
    ("aborted append", [transaction([append(1)], outcome=FAILED)], {1: [1]}),
    ("aborted append, read of no prefix", [transaction([append(1)], outcome=FAILED), transaction([read(1)])], {}),
    ("read of no prefix", [transaction([append(1)]), transaction([append(2)]), transaction([read(2)])], {1: [1, 2]}),
    ("read of no prefix", [transaction([append(1)]), transaction([append(2)]), transaction([read(2, 1)])], {1: [1, 2]}),
    ("early read", [transaction([append(1)], outcome=UNKNOWN), transaction([read(1)])], {}),
    ("own append unseen", [transaction([append(1), read()])], {1: [1]}),
    ("own append unseen", [transaction([append(1), append(2), read(1)])], {1: [1, 2]}),
    ("intermediate read", [transaction([append(1), append(2)]), transaction([read(1)])], {1: [1, 2]}),
    ("stale read", [transaction([append(1)], 0, 1), transaction([read()], 2, 3)], {1: [1]}),
    # Written to write: 1 before 2 in one list, behind it in the other.
    ("cycle", [transaction([append(1), append(10, key=2)]), transaction([append(2), append(20, key=2)])],
     {1: [1, 2], 2: [20, 10]}),
    # Written to read: each has seen what the other one wrote.
    ("cycle", [transaction([append(1), read(2, key=2)]), transaction([append(2, key=2), read(1)])], {1: [1], 2: [2]}),
    # Of three: the reader is behind a writer that is behind it.
    ("cycle", [transaction([append(1)]), transaction([append(2), append(30, key=3)]),
               transaction([append(1, key=2), read(30, key=3)]), transaction([append(2, key=2), append(9)])],
     {1: [9, 1, 2], 2: [1, 2], 3: [30]}),
], ids=lambda value: value if isinstance(value, str) else "")
def test_each_kind_is_found_and_named(kind, transactions, final):
    assert kinds(transactions, final) == kind.split(", ")


def test_what_is_allowed_is_no_anomaly():
    """Of an unknown outcome either is right; a read that overlaps an append may miss it; the own end may be longer."""
    assert kinds([transaction([append(1)], outcome=UNKNOWN)], {}) == []
    assert kinds([transaction([append(1)], outcome=UNKNOWN)], {1: [1]}) == []
    assert kinds([transaction([append(1)], 0, 2), transaction([read()], 1, 3)], {1: [1]}) == []
    assert kinds([transaction([append(1)]), transaction([append(2), read(1, 2)])], {1: [1, 2]}) == []


# Acknowledgements.

def test_one_master_at_a_time():
    """The turns are as few as the acknowledgements allow."""
    a = [(n, n + 0.9, "a") for n in range(10)]
    b = [(n, n + 0.9, "b") for n in range(20, 30)]
    assert masters_in_turn(a) == ["a"]
    assert masters_in_turn(b + a) == ["a", "b"]
    assert masters_in_turn(a + b + [(40, 41, "a")]) == ["a", "b", "a"]
    # An answer that was long under way may have been given before.
    assert masters_in_turn(a + b + [(9, 25, "a")]) == ["a", "b"]
    # Asked for on both sides of the change, each can have been given on its own side.
    assert masters_in_turn([(0, 10, "a"), (1, 9, "b"), (2, 11, "b")]) in (["a", "b"], ["b", "a"])


@pytest.mark.parametrize("strange", [(25.5, 25.6, "a"), (29.91, 29.95, "a"), (5.95, 5.97, "b")])
def test_two_masters_at_a_time_take_more_turns(strange):
    """One acknowledgement of a among those of b, or the other way about, is enough."""
    log = [(n, n + 0.9, "a") for n in range(10)] + [(n, n + 0.9, "b") for n in range(20, 30)]
    if strange == (29.91, 29.95, "a"):
        log.append((29.96, 29.97, "b"))
    assert len(masters_in_turn([*log, strange])) > 2
