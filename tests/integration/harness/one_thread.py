"""Stops one thread of a process while the others go on: a loop that hangs, as seen from outside."""
import contextlib
import ctypes
import os

PTRACE_CONT, PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 7, 0x4206, 0x4207, 17
__WALL = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace({request:#x}) of thread {thread}")


@contextlib.contextmanager
def stopped(thread):
    """Within this block the thread stands still."""
    ptrace(PTRACE_SEIZE, thread)
    ptrace(PTRACE_INTERRUPT, thread)
    os.waitpid(thread, __WALL)
    try:
        yield
    finally:
        ptrace(PTRACE_DETACH, thread)


def threads(process) -> list:
    """The threads of a process, in the order of their numbers, the main one first."""
    return sorted(map(int, os.listdir(f"/proc/{process}/task")))
