"""Places at which runs train, handed out in turn: each GPU of this machine, or a share of its processor."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

LOOK_SECONDS = 0.2


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Places:
    """`count` places. A run that needs several waits until they are free, and those behind it wait, too."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = list(range(count))
        self._changed = threading.Condition()
        self._turn = threading.Lock()

    @property
    def free(self) -> int:
        return len(self._free)

    @contextlib.contextmanager
    def take(self, wanted: int, give_up: Callable[[], bool]) -> Iterator[list[int]]:
        """So many places for as long as the block lasts, but no more than there are; fewer where `give_up()` is
        true before."""
        with self._turn, self._changed:
            while len(self._free) < min(wanted, self.count) and not give_up():
                self._changed.wait(LOOK_SECONDS)
            mine = sorted(self._free)[:wanted]
            self._free = [one for one in self._free if one not in mine]
        try:
            yield mine
        finally:
            with self._changed:
                self._free += mine
                self._changed.notify_all()
