"""Waiting for conditions: the only clock that tests have."""
import time

PAUSE = 0.02  # seconds between two looks


def wait_until(condition, timeout, what):
    """Returns the first true value of `condition()`; fails after `timeout` seconds, naming `what` was awaited.

    An exception of the condition counts as "not yet" and is shown if the time runs out.
    """
    deadline = time.monotonic() + timeout
    while True:
        seen = None
        try:
            seen = condition()
            if seen:
                return seen
        except Exception as error:  # whatever it is, it is part of the message below
            seen = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {timeout} s in vain for: {what} (last seen: {seen!r:.2000})")
        time.sleep(PAUSE)


def holds(condition, seconds, what):
    """Asserts that `condition()` is true now and at every look for `seconds`: for what must NOT happen."""
    deadline = time.monotonic() + seconds
    while True:
        assert condition(), f"did not hold: {what}"
        if time.monotonic() >= deadline:
            return
        time.sleep(PAUSE)
