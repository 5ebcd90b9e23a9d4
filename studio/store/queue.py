"""The way of a run through the queue: claimed, stopped, resumed, taken back, ended."""

import time
from collections.abc import Callable

from studio.errors import StoreError, StudioError
from studio.store.rows import Carried, RunRow
from studio.store.runs import Runs, run_row

MOST_DEATHS = 15
"""So often a run's process may die without getting any further before the run fails. Kills at random may hit a
run several times in a row while it starts, so it is no small number. A server that dies before the run's worker has
begun says nothing about the run: that is no death of it."""

GOES_ON = "The run goes on from its last checkpoint."


class Queue(Runs):
    """Who carries which run."""

    def claim(self, owner: str) -> RunRow | None:
        """Take the oldest of the queued runs of the highest priority; one statement, so that none is taken twice."""
        with self._db.atomic():
            taken = self._row(
                "UPDATE runs SET status = 'running', owner = ?, started_at = coalesce(started_at, ?)"
                " WHERE id = (SELECT id FROM runs WHERE status = 'queued' ORDER BY priority DESC, id LIMIT 1)"
                " RETURNING *",
                [owner, time.time()],
            )
        return run_row(taken) if taken else None

    def request_stop(self, run_id: int, pause: bool = False) -> None:
        """Ask a run to stop; one that has not begun is stopped at once. `pause`: it is meant to go on later."""
        self.run(run_id)
        with self._db.atomic():
            self._db.execute(
                "UPDATE runs SET stop_requested = 1, paused = ? WHERE id = ? AND status IN ('queued', 'running')",
                [pause, run_id],
            )
            self._db.execute(
                "UPDATE runs SET status = 'stopped', finished_at = ? WHERE id = ? AND status = 'queued'",
                [time.time(), run_id],
            )

    def stop_requested(self, run_id: int) -> bool:
        """Asked several times a second while a run goes on."""
        return bool(self._rows("SELECT stop_requested FROM runs WHERE id = ?", [run_id])[0]["stop_requested"])

    def finish(self, run_id: int) -> None:
        with self._on_the_disk():
            self._end(run_id, "finished")

    def stopped(self, run_id: int) -> None:
        self._end(run_id, "stopped")

    def fail(self, run_id: int, error: StudioError) -> None:
        """End a run with the reason; what it recorded stays."""
        with self._db.atomic():
            self._db.execute(
                "UPDATE runs SET error = ?, message = ?, cure = ? WHERE id = ? AND status = 'running'",
                [type(error).__name__, error.message, error.cure, run_id],
            )
            self._end(run_id, "failed")

    def resume(self, run_id: int, owner: str | None = None) -> RunRow:
        """Queue a run that was stopped or failed: it goes on from its checkpoints. With an `owner` it is claimed at
        once.

        Raises `StoreError` for a run that goes on already, or has its verdict.
        """
        run = self.run(run_id)
        may_begin = run.can_resume or (owner and run.status == "queued")
        if not (may_begin and self._begin_again(run_id, run.status, owner)):
            run = self.run(run_id)
            cure = "Only a run that was stopped or failed can be resumed."
            if run.status == "running":
                cure += f" If its machine is gone, take it back: `python -m studio take-back {run_id}`."
            raise StoreError(f"Run {run_id} is {run.status}.", cure)
        return self.run(run_id)

    def carried(self) -> list[Carried]:
        """The runs that go on."""
        rows = self._rows("SELECT id, owner, beat, stop_requested FROM runs WHERE status = 'running'")
        return [Carried(**row | {"stop_requested": bool(row["stop_requested"])}) for row in rows]

    def beat(self, run_id: int, owner: str | None) -> bool:
        """The owner of a run lives; False where the run is not its own any more."""
        sql = "UPDATE runs SET beat = beat + 1 WHERE id = ? AND owner IS ? AND status = 'running'"
        return bool(self._db.execute(sql, [run_id, owner]).rowcount)

    def take_back(self, owner_is_gone: Callable[[str | None], bool], error: StudioError) -> list[int]:
        """Queue the running runs whose owner is gone again; returns their ids.

        One that has died too often at the same place fails with `error`.
        """
        lost = [run for run in self.carried() if owner_is_gone(run.owner)]
        return [run.id for run in lost if self.take_from(run.id, run.owner, error)]

    def take_from(self, run_id: int, owner: str | None, error: StudioError) -> bool:
        """Queue a run again that this owner has left, or end it as was asked for; False where it has another owner by
        now. One that has begun and has died too often at the same place fails with `error`."""
        with self._db.atomic():
            taken = self._row(
                "UPDATE runs SET owner = NULL WHERE id = ? AND owner IS ? AND status = 'running' RETURNING *",
                [run_id, owner],
            )
            if taken is None:
                return False
            if taken["stop_requested"]:
                self.stopped(run_id)
            elif not taken["begun"]:
                self.put_back(run_id)
            elif self.may_go_on(run_id):
                self.tell(run_id, f"The process that carried this run ended at {self.place(run_id)}. {GOES_ON}")
                self._begin_again(run_id, "running", None)
            else:
                self.fail(run_id, error)
        return True

    def put_back(self, run_id: int) -> None:
        """A running run into the queue again, because the studio closes or had not begun it; this is no death."""
        self._begin_again(run_id, "running", None)

    def may_go_on(self, run_id: int) -> bool:
        """Count a death of a run's process; False where it has died `MOST_DEATHS` times without getting any further."""
        return self.died(run_id) < MOST_DEATHS

    def died(self, run_id: int) -> int:
        """Count a death of a run's process; returns how many there were without its getting any further."""
        place = "SELECT count(*) || ' ' || coalesce((SELECT sum(seconds) FROM phases WHERE run_id = :id), '')"
        place += " || ' ' || (SELECT coalesce(phase, '') || ' ' || step FROM runs WHERE id = :id) AS place"
        here = self._rows(f"{place} FROM metrics WHERE run_id = :id AND phase != 'device'", {"id": run_id})[0]["place"]
        self._db.execute(
            "UPDATE runs SET deaths = CASE WHEN died_at = ? THEN deaths + 1 ELSE 1 END, died_at = ? WHERE id = ?",
            [str(here), str(here), run_id],
        )
        return int(self._rows("SELECT deaths FROM runs WHERE id = ?", [run_id])[0]["deaths"])

    def place(self, run_id: int) -> str:
        """Where a run stands, in words."""
        run = self.run(run_id)
        return f"step {run.step:,} of {run.phase}" if run.phase else "its start"

    def halve(self, run_id: int) -> int:
        """Cut the batches of a run into twice as many parts from now on; returns how many."""
        self._db.execute("UPDATE runs SET parts = parts * 2 WHERE id = ?", [run_id])
        return self.run(run_id).parts

    def tell(self, run_id: int, message: str) -> None:
        """A warning in the run's log, also where the same one stands there already."""
        self._db.execute(
            "INSERT INTO logs (run_id, time, level, message) VALUES (?, ?, 'warning', ?)",
            [run_id, time.time(), message],
        )

    def go_on(self, run_id: int) -> None:
        """What a run measured at its end is measured anew: its process died, and it goes on in another one, which has
        not begun yet."""
        self._db.execute("UPDATE runs SET begun = 0 WHERE id = ?", [run_id])
        self._db.execute("DELETE FROM results WHERE run_id = ? AND kind != 'planned'", [run_id])

    def queue(self) -> list[int]:
        """The runs that wait, in the order in which they will begin."""
        sql = "SELECT id FROM runs WHERE status = 'queued' ORDER BY priority DESC, id"
        return [row["id"] for row in self._rows(sql)]

    def move(self, run_id: int, place: int) -> None:
        """Put a run that waits at this place of the queue, 0 being the first; one that has begun stays as it is."""
        with self._db.atomic():
            self._db.execute("UPDATE runs SET step = step WHERE id = ?", [run_id])  # takes the write lock first
            order = self.queue()
            if run_id not in order:
                return
            order.remove(run_id)
            order.insert(max(0, place), run_id)
            for number, run in enumerate(reversed(order)):
                self._db.execute("UPDATE runs SET priority = ? WHERE id = ?", [number, run])

    def _begin_again(self, run_id: int, status: str, owner: str | None) -> bool:
        """From `status` into the queue, or to `owner`; what led to the end is forgotten. False where it has another
        status by now."""
        with self._db.atomic():
            changed = self._db.execute(
                "UPDATE runs SET status = ?, owner = ?, stop_requested = 0, paused = 0, archived = 0, error = NULL,"
                " message = NULL, cure = NULL, finished_at = NULL WHERE id = ? AND status = ?",
                ["running" if owner else "queued", owner, run_id, status],
            )
            if changed.rowcount:
                self.go_on(run_id)
        return bool(changed.rowcount)

    def _end(self, run_id: int, status: str) -> None:
        """A run ends once; a second end changes nothing."""
        self._db.execute(
            "UPDATE runs SET status = ?, finished_at = ? WHERE id = ? AND status = 'running'",
            [status, time.time(), run_id],
        )
