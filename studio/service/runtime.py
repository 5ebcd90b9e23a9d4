"""The queue and the training threads: who carries which run, and what becomes of it."""

import logging
import math
import threading
import time

from studio import events, files
from studio.errors import StudioError
from studio.executors import local, registry
from studio.executors.local import Execute
from studio.home import Home
from studio.machine.identity import is_gone, new_owner
from studio.machine.slots import Slots
from studio.service import housekeeping, notify, sweeps
from studio.service.ownership import INTERRUPTED, Listener, take_back_lost
from studio.service.runs import carry
from studio.store.queue import GOES_ON
from studio.store.store import Store

WAKE_SECONDS = 0.3
LEASE = "trainer"
LEASE_SECONDS = 15.0
"""A server that holds the lease says three times as often that it lives."""

RETRY_SECONDS = 5.0
TIDY_SECONDS = 3600.0

_log = logging.getLogger(__name__)


class Runtime:
    """The training threads of one server, one a slot: each GPU, or a share of the processor's cores."""

    def __init__(self, home: Home, execute: Execute | None = None, slots: int | None = None) -> None:
        self.home = home
        self.owner = new_owner()
        self.trains = False
        """Whether this server holds the lease; a second one on the same folder serves pages only."""
        self._closing = threading.Event()
        self._renewed = -math.inf
        self._renewing = threading.Lock()
        self._listener = Listener()
        self._tidied = -math.inf
        count = slots or registry.wanted_slots()
        self.owners = [new_owner() for _ in range(count)]
        """Each thread by its name in the store."""
        carry_out = execute or registry.chosen().execute(Slots(count))
        self._threads = [
            threading.Thread(target=self._work, args=(owner, carry_out), name=f"training {number}", daemon=True)
            for number, owner in enumerate(self.owners)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Put the run in progress back into the queue, and end the thread."""
        self._closing.set()
        for thread in self._threads:
            thread.join(timeout=3 * local.GRACE_SECONDS)

    def _work(self, owner: str, execute: Execute) -> None:
        store = self._open()
        if store is None:
            return
        trouble: StudioError | None = None
        while not self._closing.is_set():
            try:
                if trouble is not None:
                    _queue_again(store, owner, trouble)
                    trouble = None
                self._one_turn(store, owner, execute)
            except StudioError as error:  # of the store: the disk is full, the folder is gone …
                _log.error("%s", error)
                trouble = error
                self._closing.wait(RETRY_SECONDS)
            except Exception:  # noqa: BLE001  the thread must outlive a full disk or a locked database, and say so
                _log.exception("The training thread met an error and goes on.")
            self._closing.wait(WAKE_SECONDS)
        store.release_lease(LEASE, self.owner)

    def _open(self) -> Store | None:
        """The store, as soon as it can be opened: until then the pages show why it cannot."""
        while not self._closing.is_set():
            try:
                store = Store(self.home.database)
                files.recover(self.home.root)
                return store
            except StudioError as error:
                _log.error("%s", error)
                self._closing.wait(RETRY_SECONDS)
        return None

    def _one_turn(self, store: Store, owner: str, execute: Execute) -> None:
        """Take back what was left behind, by a dead server or by an error of this thread, and carry the next run."""
        if not self._keep_lease(store):
            return
        store.take_back(lambda other: other == owner or is_gone(other), INTERRUPTED)
        take_back_lost(store, self._listener)
        sweeps.advance(store, self.home)
        self._tidy(store)
        run = store.claim(owner)
        if run is None:
            return

        def leave() -> bool:
            self._keep_lease(store)
            return self._closing.is_set()

        for _ in sweeps.watched(store, run, carry(store, self.home, run, execute, leave)):
            pass
        done = store.run(run.id)
        if done.is_over:
            notify.run_is_over(done)

    def _tidy(self, store: Store) -> None:
        """Now and then, between two runs or while there is none."""
        if time.monotonic() - self._tidied > TIDY_SECONDS:
            self._tidied = time.monotonic()
            freed = housekeeping.tidy(store, self.home)
            if freed:
                _log.info("%.1f MB that nobody uses any more were deleted.", freed / 1e6)

    def _keep_lease(self, store: Store) -> bool:
        """Take or renew the lease when it is time to, at once where its holder is dead, else when it has been silent;
        whether it is held."""
        with self._renewing:
            if time.monotonic() - self._renewed > LEASE_SECONDS / 3:
                holder = store.lease(LEASE)
                gone = holder is not None and (
                    is_gone(holder.owner) or self._listener.is_silent(holder.owner, holder.beat, LEASE_SECONDS)
                )
                self.trains = store.hold_lease(LEASE, self.owner, holder.owner if holder and gone else None)
                self._renewed = time.monotonic()
            return self.trains


def _queue_again(store: Store, owner: str, trouble: StudioError) -> None:
    """The run that this thread had to leave because nothing could be written; its process has not died of anything."""
    for run in store.carried():
        if run.owner != owner:
            continue
        store.record(run.id, [events.Log(level="warning", message=f"{trouble.message} {GOES_ON}")])
        if run.stop_requested:
            store.stopped(run.id)
        else:
            store.put_back(run.id)
