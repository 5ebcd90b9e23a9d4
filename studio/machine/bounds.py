"""Something that may take so much memory and time and no more, in a process that goes on afterwards."""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

MANY_FILES = 65_536
SOON = 1e-3
"""Seconds after which an outer bound ends whose time was over meanwhile."""


def allow_many_files() -> None:
    """As many open files as this user may have at once, up to `MANY_FILES`. Each connection takes one, also where it
    never says what it wants: with the usual thousand a stranger keeps everybody else out."""
    if sys.platform == "win32":
        return
    import resource

    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY_FILES if most == resource.RLIM_INFINITY else min(MANY_FILES, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        with contextlib.suppress(ValueError, OSError):  # macOS allows less than it says; a sandbox may forbid it
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


@contextlib.contextmanager
def bounded(size: int, seconds: float) -> Iterator[None]:
    """Whoever takes more than `size` bytes beyond what the process holds gets a `MemoryError`, or what a library makes
    of it; whoever takes longer than `seconds` a `TimeoutError`. Within another bound that one holds, too. Memory is
    bounded on Linux alone, time in the main thread alone and between two steps of Python: what looks after the process
    ends one that hangs elsewhere."""
    with _little_memory(size), _little_time(seconds):
        yield


@contextlib.contextmanager
def _little_memory(size: int) -> Iterator[None]:
    if sys.platform != "linux":
        yield
        return
    import resource

    before, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _held() + size
    if all(limit == resource.RLIM_INFINITY or wanted < limit for limit in (before, most)):
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, most))


def _held() -> int:
    """What counts against the limit so far: memory of this process alone that it may write to."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmData:")) * 1024


@contextlib.contextmanager
def _little_time(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    left, begun = signal.getitimer(signal.ITIMER_REAL)[0], time.monotonic()
    if 0 < left <= seconds:  # an outer bound ends sooner
        yield
        return

    def over(_: int, __: FrameType | None) -> None:
        raise TimeoutError(f"it took longer than {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(SOON, left - (time.monotonic() - begun)))
