"""Clocks of a host of its own: the wall clock wrong, the time since boot another one.

The wall clock is wrong by libfaketime (Debian package faketime), which must be preloaded and leaves the clocks alone that
do not jump; these begin elsewhere by a time namespace.
"""
import functools
import glob
import shutil

from .places import run


@functools.lru_cache(maxsize=None)
def refusal() -> str:
    """Why clocks cannot be set apart here; empty if they can."""
    if not _library():
        return "there is no libfaketime (Debian package faketime)"
    try:
        run("unshare", "--time", "--boottime", "1000", "true")
    except AssertionError as error:
        return f"no time namespaces: {error}"
    return ""


def _library() -> str:
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    return found[0] if found else ""


class Clocks:
    """`wall`: how far the wall clock is ahead; `boot`: how much longer ago the host was booted. In seconds."""

    def __init__(self, wall=0, boot=0):
        self.wall, self.boot = wall, boot

    def prefixes(self):
        """What a command line begins with, before and after the change to the program's user: a time namespace takes root,
        and what the library shares with children belongs to the user that loads it."""
        unshare = shutil.which("unshare") or "/usr/bin/unshare"
        before = [unshare, "--time", f"--boottime={self.boot}", f"--monotonic={self.boot}", "--"]
        after = ["/usr/bin/env", f"LD_PRELOAD={_library()}", f"FAKETIME={self.wall:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC=1",
                 "NO_FAKE_STAT=1"]
        return before, after
