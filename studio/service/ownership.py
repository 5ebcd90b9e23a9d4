"""Who carries a run: its heartbeat, who listens to it, and how a run is taken back from a process that is no more."""

import math
import time

from studio.errors import StoreError, WorkerError
from studio.machine import identity
from studio.store.rows import RunRow
from studio.store.store import Store

BEAT_SECONDS = 3.0
SILENT_SECONDS = 30.0
"""A process that cannot be seen from here and has said nothing for so long is gone. The time is this process's own:
nobody's clock is compared with another's."""

INTERRUPTED = WorkerError(
    "The studio was closed several times while this run was at the same place.",
    "Look into the log of the run, then resume it.",
)


class Heart:
    """Says now and then that a run's process lives, and hears when the run has been taken from it."""

    def __init__(self, store: Store, run: RunRow) -> None:
        self._store, self._run = store, run
        self._beaten = -math.inf
        self.is_mine = True

    def beats(self) -> bool:
        """Whether the run is still this process's."""
        if time.monotonic() - self._beaten >= BEAT_SECONDS:
            self.asks()
        return self.is_mine

    def asks(self) -> bool:
        """The same, from the store, whenever it was last asked: this clock stands still while the machine sleeps, and
        who has slept may have lost its run meanwhile. For whoever is about to write."""
        if self.is_mine:
            self._beaten = time.monotonic()
            self.is_mine = self._store.beat(self._run.id, self._run.owner)
        return self.is_mine


class Listener:
    """Knows for how long the heartbeats of others have stood still."""

    def __init__(self) -> None:
        self._heard: dict[str, tuple[int, float]] = {}

    def is_silent(self, owner: str, beat: int, seconds: float) -> bool:
        """Whether this beat is the one that was heard so many seconds ago, and none since."""
        known, since = self._heard.get(owner, (None, 0.0))
        if known != beat:
            self._heard[owner] = beat, time.monotonic()
            return False
        return time.monotonic() - since >= seconds


def take_back_lost(store: Store, listener: Listener) -> list[int]:
    """Take back the runs of processes that are elsewhere and have fallen silent; returns their ids."""
    lost = [
        run
        for run in store.carried()
        if run.owner is not None
        and not identity.is_here(run.owner)
        and listener.is_silent(run.owner, run.beat, SILENT_SECONDS)
    ]
    return [run.id for run in lost if store.take_from(run.id, run.owner, INTERRUPTED)]


def take_back(store: Store, run_id: int) -> RunRow:
    """Queue a run again whose process a person knows to be gone. If it lives after all it ends by itself, and writes
    nothing more about the run.

    Raises `StoreError` for a run that does not go on, or whose process is seen to live.
    """
    run = store.run(run_id)
    if run.status != "running":
        raise StoreError(f"Run {run_id} is {run.status}.", "Only a run that is running can be taken back.")
    if identity.is_here(run.owner) and not identity.is_gone(run.owner):
        raise StoreError(f"The process of run {run_id} is alive on this machine.", "Stop the run, then resume it.")
    store.take_from(run.id, run.owner, INTERRUPTED)
    return store.run(run_id)
