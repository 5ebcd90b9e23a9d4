"""Slots in which runs train, handed out in turn: each GPU of this machine, or a share of its processor."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

LOOK_SECONDS = 0.2


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Slots:
    """`count` slots. A run that needs more than one waits until they are free, and those behind it wait, too."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = list(range(count))
        self._waiting: list[object] = []
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def take(self, wanted: int, give_up: Callable[[], bool]) -> Iterator[list[int]]:
        """So many slots for as long as the block lasts, but no more than there are; none where `give_up()` is true
        before its turn comes."""
        turn, needed = object(), min(wanted, self.count)
        mine: list[int] = []
        with self._changed:
            self._waiting.append(turn)
            while not (is_next := self._waiting[0] is turn and len(self._free) >= needed) and not give_up():
                self._changed.wait(LOOK_SECONDS)
            self._waiting.remove(turn)
            if is_next:
                mine = sorted(self._free)[:needed]
                self._free = [slot for slot in self._free if slot not in mine]
            self._changed.notify_all()
        try:
            yield mine
        finally:
            with self._changed:
                self._free += mine
                self._changed.notify_all()

    def would_wait(self, wanted: int) -> bool:
        """Whether a run that came now would not begin at once."""
        return bool(self._waiting) or len(self._free) < min(wanted, self.count)
