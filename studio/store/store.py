"""SQLite: what is known of data sets and runs, and all SQL of the project.

WAL mode: a reader never waits for a writer. One connection a thread. A damaged or newer database is left untouched.
"""

import contextlib
import json
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from studio import events, tasks
from studio.config.reading import parse_config, readable_part
from studio.config.run import RunConfig
from studio.errors import ConfigError, DataError, StoreError, StudioError
from studio.home import Home
from studio.store.connection import connect, file_number, gone, in_words
from studio.store.migrations import MIGRATIONS
from studio.store.rows import AuditRow, Carried, Cursor, DatasetRow, Lease, LogRow, PhaseRow, Point, RunRow
from studio.store.speeds import speed

BUSY_MILLISECONDS = 15_000
MOST_DEATHS = 15
"""So often a run's process may die without getting any further before the run fails. Kills at random may hit a
run several times in a row while it starts, so it is no small number."""


GOES_ON = "The run goes on from its last checkpoint."


class Store:
    """The database at `path`, made when it is not there. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._open()

    # --- data sets

    def add_dataset(
        self,
        *,
        name: str,
        task: str,
        labels: list[str],
        splits: dict[str, int],
        fingerprint: str,
        columns: dict[str, str],
        report: dict[str, Any],
        made_by: str | None = None,
    ) -> DatasetRow:
        """Take a name and an id for a data set whose files are about to be written; see `dataset_ready`.

        The same name with the same content gives the data set that is there. Raises `DataError` for other content.
        """
        values = {
            "name": name,
            "task": task,
            "labels": json.dumps(labels),
            "splits": json.dumps(splits),
            "fingerprint": fingerprint,
            "columns": json.dumps(columns),
            "report": json.dumps(report),
            "created_at": time.time(),
            "made_by": made_by,
        }
        with self._db.atomic():
            self._db.execute("DELETE FROM datasets WHERE name = ? AND NOT ready", [name])  # takes the write lock first
            existing = self._row("SELECT * FROM datasets WHERE name = ?", [name])
            new_id = existing["id"] if existing else self._db.table("datasets").insert(values).last_pk
        if existing and (existing["fingerprint"], existing["task"]) != (fingerprint, task):
            raise DataError(f"There is a data set named {name!r} already, with other content.", "Choose another name.")
        return _dataset(existing or {**values, "id": new_id})

    def dataset_ready(self, dataset_id: int) -> None:
        """The files are in place: from now on the data set is listed.

        Raises `DataError` where someone else took the name while the files were written.
        """
        if self._db.execute("UPDATE datasets SET ready = 1 WHERE id = ?", [dataset_id]).rowcount == 0:
            raise DataError("A data set of the same name was saved at the same time.", "Choose another name.")

    def datasets(self) -> list[DatasetRow]:
        """All data sets, the newest first."""
        return [_dataset(row) for row in self._rows("SELECT * FROM datasets WHERE ready ORDER BY id DESC")]

    def dataset(self, reference: str | int) -> DatasetRow:
        """The data set of that name, else of that id; raises `StoreError` that names what there is."""
        found = self._row("SELECT * FROM datasets WHERE name = ? AND ready", [str(reference)])
        if found is None and str(reference).isdecimal():
            found = self._row("SELECT * FROM datasets WHERE id = ? AND ready", [int(reference)])
        if found is None:
            names = ", ".join(repr(row.name) for row in self.datasets()) or "none yet"
            raise StoreError(f"There is no data set {str(reference)!r}.", f"Saved data sets: {names}.")
        return _dataset(found)

    def rename_dataset(self, dataset_id: int, name: str) -> DatasetRow:
        """Give a data set another name; the runs that name it go on naming it. Raises `DataError` where it is taken."""
        old = self.dataset_by_id(dataset_id)
        with self._db.atomic():
            self._db.execute("DELETE FROM datasets WHERE name = ? AND NOT ready", [name])  # takes the write lock first
            if self._row("SELECT id FROM datasets WHERE name = ? AND id != ?", [name, old.id]):
                raise DataError(f"There is a data set named {name!r} already.", "Choose another name.")
            self._db.execute("UPDATE datasets SET name = ? WHERE id = ?", [name, old.id])
            for setting, whose in (("dataset", "dataset_id = :id AND"), ("replay", "")):
                self._db.execute(
                    f"UPDATE runs SET config = json_set(config, '$.{setting}', :name)"
                    f" WHERE {whose} json_valid(config) AND json_extract(config, '$.{setting}') = :old",
                    {"name": name, "id": old.id, "old": old.name},
                )
        return self.dataset_by_id(old.id)

    def delete_dataset(self, dataset_id: int) -> None:
        """Forget a data set; its files are `service.library.delete`'s. Raises `StoreError` where a run uses it."""
        dataset = self.dataset_by_id(dataset_id)
        with self._db.atomic():
            self._db.execute("UPDATE datasets SET ready = ready WHERE id = ?", [dataset.id])  # the write lock first
            users = self.users_of_dataset(dataset)
            if users:
                names = ", ".join(map(str, users[:10])) + (f" and {len(users) - 10:,} more" if len(users) > 10 else "")
                raise StoreError(
                    f"Data set {dataset.name!r} is used by run {names}.", "Delete those runs first, or keep it."
                )
            self._db.execute("DELETE FROM datasets WHERE id = ?", [dataset.id])

    def users_of_dataset(self, dataset: DatasetRow) -> list[int]:
        """The runs that learn from it, or repeat it beside new data."""
        sql = "SELECT id FROM runs WHERE dataset_id = ? OR json_valid(config) AND json_extract(config, '$.replay')"
        sql += " IN (?, ?) ORDER BY id"
        return [row["id"] for row in self._rows(sql, [dataset.id, dataset.name, str(dataset.id)])]

    def dataset_by_id(self, dataset_id: int) -> DatasetRow:
        """The data set of that id; raises `StoreError` where there is none."""
        found = self._row("SELECT * FROM datasets WHERE id = ? AND ready", [dataset_id])
        if found is None:
            raise StoreError(f"There is no data set {dataset_id}.", "`python -m studio data list` lists them.")
        return _dataset(found)

    # --- runs

    def submit(self, config: RunConfig, *, key: str, owner: str | None = None, made_by: str | None = None) -> RunRow:
        """Queue a run. The same `key` gives the same run, however often it is asked for.

        With an `owner` the run is claimed at once. Raises where the data set is unknown or the task does not fit.
        """
        dataset = self.dataset(config.dataset)
        if config.task not in (None, dataset.task):
            raise ConfigError(
                f"task must be {dataset.task}, as data set {dataset.name!r} is, got {config.task}.", "Leave task out."
            )
        full = tasks.resolved(config, tasks.get(dataset.task, dataset.multi_label), len(dataset.labels))
        if config.replay is not None:
            self._check_replay(dataset, self.dataset(config.replay))
        now = time.time()
        with self._on_the_disk():
            self._db.execute(
                "INSERT INTO runs (request_key, status, config, dataset_id, owner, created_at, started_at, made_by)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (request_key) DO NOTHING",
                [
                    key,
                    "running" if owner else "queued",
                    full.model_dump_json(),
                    dataset.id,
                    owner,
                    now,
                    owner and now,
                    made_by,
                ],
            )
        return _run(self._rows("SELECT * FROM runs WHERE request_key = ?", [key])[0])

    def run(self, run_id: int) -> RunRow:
        """One run; raises `StoreError` where there is none."""
        found = self._row("SELECT * FROM runs WHERE id = ?", [run_id])
        if found is None:
            raise StoreError(f"There is no run {run_id}.", "`python -m studio runs` and the page Runs list them.")
        return _run(found)

    def runs(self, limit: int | None = 200, archived: bool = False) -> list[RunRow]:
        """The newest runs first, all of them where `limit` is None; those that were put into the archive only when
        asked for."""
        sql = "SELECT * FROM runs WHERE archived <= ? ORDER BY id DESC LIMIT ?"
        return [_run(row) for row in self._rows(sql, [archived, -1 if limit is None else limit])]

    def count_runs(self, archived: bool = False) -> int:
        """How many `runs` would list without a limit."""
        return int(self._rows("SELECT count(*) AS runs FROM runs WHERE archived <= ?", [archived])[0]["runs"])

    def claim(self, owner: str) -> RunRow | None:
        """Take the oldest of the queued runs of the highest priority; one statement, so that none is taken twice."""
        with self._db.atomic():
            taken = self._row(
                "UPDATE runs SET status = 'running', owner = ?, started_at = coalesce(started_at, ?)"
                " WHERE id = (SELECT id FROM runs WHERE status = 'queued' ORDER BY priority DESC, id LIMIT 1)"
                " RETURNING *",
                [owner, time.time()],
            )
        return _run(taken) if taken else None

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
        if not (run.can_resume or (owner and run.status == "queued")):
            cure = "Only a run that was stopped or failed can be resumed."
            if run.status == "running":
                cure += f" If its machine is gone, take it back: `python -m studio take-back {run_id}`."
            raise StoreError(f"Run {run_id} is {run.status}.", cure)
        self._begin_again(run_id, run.status, owner)
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
        now. One that has died too often at the same place fails with `error`."""
        with self._db.atomic():
            taken = self._row(
                "UPDATE runs SET owner = NULL WHERE id = ? AND owner IS ? AND status = 'running' RETURNING *",
                [run_id, owner],
            )
            if taken is None:
                return False
            if taken["stop_requested"]:
                self.stopped(run_id)
            elif self.may_go_on(run_id):
                self.tell(run_id, f"The process that carried this run ended at {self.place(run_id)}. {GOES_ON}")
                self._begin_again(run_id, "running", None)
            else:
                self.fail(run_id, error)
        return True

    def put_back(self, run_id: int) -> None:
        """A running run into the queue again, because the studio closes; this is no death."""
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
        """What a run measured at its end is measured anew: its process died, and it goes on in another one."""
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

    def archive(self, run_id: int, archived: bool = True) -> None:
        """Put a run that is over out of sight, or back; nothing of it is lost."""
        if not self.run(run_id).is_over:
            raise StoreError(f"Run {run_id} goes on.", "Stop it first.")
        self._db.execute("UPDATE runs SET archived = ? WHERE id = ?", [archived, run_id])

    def has_archive(self) -> bool:
        return bool(self._rows("SELECT EXISTS (SELECT 1 FROM runs WHERE archived) AS found")[0]["found"])

    def users_of(self, run_id: int) -> list[int]:
        """The runs whose teacher, student or step between is a model of this one."""
        sql = "SELECT id FROM runs WHERE id != ? AND instr(config, ?) ORDER BY id"
        return [row["id"] for row in self._rows(sql, [run_id, f'"run:{int(run_id)}/'])]

    def delete(self, run_id: int) -> None:
        """Forget a run that is over, with its curves and results; its files are `service.runs.delete`'s.

        Raises `StoreError` where it goes on, or where another run uses a model of it.
        """
        run, users = self.run(run_id), self.users_of(run_id)
        if not run.is_over:
            raise StoreError(f"Run {run_id} is {run.status}.", "Stop it first.")
        if users:
            names = ", ".join(map(str, users))
            raise StoreError(
                f"Models of run {run_id} are used by run {names}.", "Delete those first, or archive this one."
            )
        with self._db.atomic():
            for table in ("metrics", "logs", "results", "phases"):
                self._db.execute(f"DELETE FROM {table} WHERE run_id = ?", [run_id])
            self._db.execute("DELETE FROM runs WHERE id = ?", [run_id])

    # --- what a run says

    def record(self, run_id: int, said: Sequence[events.Event]) -> None:
        """Write events to their places, all or none."""
        with self._db.atomic():
            self._db.execute("UPDATE runs SET step = step WHERE id = ?", [run_id])  # takes the write lock first
            for event in said:
                self._record_one(run_id, event)

    def curve(self, run_id: int, after: Cursor | None = None) -> list[Point]:
        """The points of all curves, or only those later than the step that `after` names for their curve.

        The cursor counts each curve for itself: the accuracy at a step is written later than the loss at that step.
        """
        known = json.dumps([[phase, name, step] for (phase, name), step in (after or {}).items()])
        sql = """
            SELECT metrics.phase, step, metrics.name, value FROM metrics LEFT JOIN (
                SELECT json_extract(value, '$[0]') AS phase, json_extract(value, '$[1]') AS name,
                       json_extract(value, '$[2]') AS last FROM json_each(?)
            ) AS known ON known.phase = metrics.phase AND known.name = metrics.name
            WHERE run_id = ? AND metrics.phase != 'device' AND step > coalesce(last, -1)
            ORDER BY metrics.phase, step"""
        return [Point(**row) for row in self._rows(sql, [known, run_id])]

    def last_steps(self, run_id: int) -> dict[str, int]:
        """The last step of each curve, by phase/name."""
        sql = "SELECT phase || '/' || name AS curve, max(step) AS last FROM metrics"
        sql += " WHERE run_id = ? AND phase != 'device' GROUP BY phase, name"
        return {row["curve"]: row["last"] for row in self._rows(sql, [run_id])}

    def device_use(self, run_id: int, after: int = -1) -> list[Point]:
        """What the run used of the machine; `step` counts seconds since its start."""
        sql = "SELECT phase, step, name, value FROM metrics"
        sql += " WHERE run_id = ? AND phase = 'device' AND step > ? ORDER BY step"
        return [Point(**row) for row in self._rows(sql, [run_id, after])]

    def seconds_used(self, run_id: int) -> int:
        """How long a run has been watched so far."""
        sql = "SELECT coalesce(max(step), 0) AS last FROM metrics WHERE run_id = ? AND phase = 'device'"
        return int(self._rows(sql, [run_id])[0]["last"])

    def logs(self, run_id: int, after_id: int = 0) -> list[LogRow]:
        sql = "SELECT id, time, level, message FROM logs WHERE run_id = ? AND id > ? ORDER BY id"
        return [LogRow(**row) for row in self._rows(sql, [run_id, after_id])]

    def phases(self, run_id: int) -> list[PhaseRow]:
        """The phases so far, in the order they began."""
        sql = "SELECT name, seconds, steps, first_step FROM phases WHERE run_id = ? ORDER BY position"
        return [PhaseRow(**row) for row in self._rows(sql, [run_id])]

    def timetable(self, run_id: int) -> tuple[events.PlannedStage, ...]:
        """All stages of the run in their order; none before it has told them, and none of an old run."""
        told = [event for event in self._results(run_id, "planned") if isinstance(event, events.Planned)]
        return told[-1].stages if told else ()

    def evaluations(self, run_id: int) -> list[events.Evaluation]:
        """What was measured; over several seeds the means."""
        return [found for found in self._evaluations(run_id) if found.seed is None]

    def evaluations_of_seeds(self, run_id: int) -> list[events.Evaluation]:
        """What was measured of the models of each seed, where a run has several."""
        return [found for found in self._evaluations(run_id) if found.seed is not None]

    def comparisons(self, run_id: int) -> list[events.Comparison]:
        """How the student differs from the others; over several seeds the mean."""
        return [found for found in self._comparisons(run_id) if found.seed is None]

    def seeds(self, run_id: int) -> list[events.SeedResult]:
        """Where a run has several seeds: what each reached on validation rows, and which one is exported."""
        return [event for event in self._results(run_id, "seed") if isinstance(event, events.SeedResult)]

    def confusions(self, run_id: int) -> list[events.Confusion]:
        return [event for event in self._results(run_id, "confusion") if isinstance(event, events.Confusion)]

    def choice(self, run_id: int) -> events.Choice | None:
        """Temperature and alpha that the run chose by itself."""
        found = [event for event in self._results(run_id, "choice") if isinstance(event, events.Choice)]
        return found[-1] if found else None

    def stage_results(self, run_id: int) -> list[events.StageResult]:
        """The teacher, then the student after each step of its plan."""
        return [event for event in self._results(run_id, "milestone") if isinstance(event, events.StageResult)]

    def show(self, run_id: int) -> dict[str, Any]:
        """Everything about one run as plain values: what `python -m studio show RUN --json` prints."""
        run = self.run(run_id)
        return {
            "id": run.id,
            "status": run.status,
            "config": run.config.model_dump(mode="json"),
            "phases": [
                {"name": phase.name, "seconds": phase.seconds, "steps": phase.steps} for phase in self.phases(run_id)
            ],
            "evaluations": [result.model_dump(exclude={"kind"}) for result in self.evaluations(run_id)],
            "comparisons": [result.model_dump(exclude={"kind"}) for result in self.comparisons(run_id)],
            "speed": speed(self.evaluations(run_id)),
            "seeds": [self._show_seed(run_id, one) for one in self.seeds(run_id)],
            "stage_results": [result.model_dump(exclude={"kind"}) for result in self.stage_results(run_id)],
            "choice": choice.model_dump(mode="json", exclude={"kind"}) if (choice := self.choice(run_id)) else None,
            "outcome": run.outcome,
            "verdict": run.verdict,
            "cautions": [caution.model_dump() for caution in run.cautions],
            "next_step": run.next_step.model_dump() if run.next_step else None,
            "error": {"kind": run.error, "message": run.message, "cure": run.cure} if run.error else None,
            "made_by": run.made_by,
        }

    # --- the audit log

    def note(self, who: str, what: str, about: str = "") -> None:
        """Write down that somebody did something. What stands here can be neither changed nor taken away."""
        with self._on_the_disk():
            self._db.execute(
                "INSERT INTO audit (time, who, what, about) VALUES (?, ?, ?, ?)", [time.time(), who, what, about]
            )

    def audit(self, limit: int | None = 200) -> list[AuditRow]:
        """The newest entries first, all of them where `limit` is None."""
        sql = "SELECT id, time, who, what, about FROM audit ORDER BY id DESC LIMIT ?"
        return [AuditRow(**row) for row in self._rows(sql, [-1 if limit is None else limit])]

    # --- the lease

    def hold_lease(self, name: str, owner: str, instead_of: str | None = None) -> bool:
        """Take a lease, or say that its holder lives; False while it is another's, except one that is gone."""
        self._db.execute(
            "INSERT INTO leases (name, owner, expires_at) VALUES (?, ?, 0) ON CONFLICT (name) DO UPDATE"
            " SET owner = excluded.owner, beat = beat + 1 WHERE leases.owner IN (excluded.owner, ?)",
            [name, owner, instead_of],
        )
        held = self.lease(name)
        return held is not None and held.owner == owner

    def lease(self, name: str) -> Lease | None:
        found = self._row("SELECT owner, beat FROM leases WHERE name = ?", [name])
        return Lease(**found) if found else None

    def release_lease(self, name: str, owner: str) -> None:
        self._db.execute("DELETE FROM leases WHERE name = ? AND owner = ?", [name, owner])

    # --- inside

    @property
    def _db(self) -> Database:
        """This thread's connection, a new one where the file was put back meanwhile. Raises `DiskError` where it is
        gone: SQLite would go on writing into what nobody can open any more."""
        known = getattr(self._local, "file", None)
        if known is not None and known != (now := file_number(self.path)):
            if now is None:
                raise gone(self.path)
            self._local.db.close()
            del self._local.db, self._local.file
        if not hasattr(self._local, "db"):
            connection = connect(self.path, BUSY_MILLISECONDS / 1000)
            for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
                connection.execute(f"PRAGMA {pragma}")
            self._local.db, self._local.file = Database(connection), file_number(self.path)
        db: Database = self._local.db
        return db

    @contextlib.contextmanager
    def _on_the_disk(self) -> Iterator[None]:
        """What is written here, and before, outlives a power cut from the moment the block ends. Points of curves need
        no such care: a run that goes on tells them again."""
        self._db.execute("PRAGMA synchronous = FULL")
        try:
            yield
        finally:
            self._db.execute("PRAGMA synchronous = NORMAL")

    def _open(self) -> None:
        """Look at what is there without touching it, then bring it to today's shape."""
        try:
            Home(self.path.parent).make()
            if self.path.exists() and self.path.stat().st_size:
                self._check()
            self._db.conn.execute("BEGIN IMMEDIATE")
            MIGRATIONS.apply(self._db)
            self._db.conn.commit()
        except OSError as error:
            raise StoreError(
                f"The folder {self.path.parent} cannot be used: {error.strerror}.",
                "Set STUDIO_HOME to a folder that you can write to.",
            ) from error
        except sqlite3.DatabaseError as error:
            raise in_words(error, self.path) or StoreError(
                f"{self.path} cannot be opened as the studio's database: {error}.",
                "Restore it from a backup, or set STUDIO_HOME to another folder. Nothing was changed.",
            ) from error

    def _check(self) -> None:
        """Raise where the file is damaged, another program's, or newer; it is only read."""
        address = f"{self.path.resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=BUSY_MILLISECONDS / 1000)) as connection:
            health = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if health != "ok":
                raise sqlite3.DatabaseError(f"it is damaged ({health.splitlines()[-1]})")
            db = Database(connection)
            applied = [migration.name for migration in MIGRATIONS.applied(db)]
            if db.table_names() and not applied:
                raise sqlite3.DatabaseError("it belongs to another program")
        newer = set(applied) - {migration.name for migration in MIGRATIONS.pending(Database(memory=True))}
        if newer:
            raise StoreError(
                f"{self.path} was written by a newer version of the studio ({max(newer)}).",
                "Update the studio, or set STUDIO_HOME to another folder. Nothing was changed.",
            )

    def _rows(self, sql: str, values: Iterable[Any] | dict[str, Any] = ()) -> list[dict[str, Any]]:
        return list(self._db.query(sql, values if isinstance(values, dict) else list(values)))

    def _row(self, sql: str, values: Iterable[Any] = ()) -> dict[str, Any] | None:
        return next(iter(self._rows(sql, values)), None)

    def _results(self, run_id: int, kind: str) -> list[events.Event]:
        sql = "SELECT event FROM results WHERE run_id = ? AND kind = ? ORDER BY position"
        return [events.from_json(row["event"]) for row in self._rows(sql, [run_id, kind])]

    def _evaluations(self, run_id: int) -> list[events.Evaluation]:
        return [event for event in self._results(run_id, "evaluation") if isinstance(event, events.Evaluation)]

    def _comparisons(self, run_id: int) -> list[events.Comparison]:
        return [event for event in self._results(run_id, "comparison") if isinstance(event, events.Comparison)]

    def _show_seed(self, run_id: int, one: events.SeedResult) -> dict[str, Any]:
        measured = (self._evaluations(run_id), self._comparisons(run_id))
        evaluations, comparisons = ([found for found in kind if found.seed == one.seed] for kind in measured)
        return one.model_dump(exclude={"kind"}) | {
            "evaluations": [found.model_dump(exclude={"kind"}) for found in evaluations],
            "comparisons": [found.model_dump(exclude={"kind"}) for found in comparisons],
        }

    def _begin_again(self, run_id: int, status: str, owner: str | None) -> None:
        """From `status` into the queue, or to `owner`; what led to the end is forgotten."""
        with self._db.atomic():
            self._db.execute(
                "UPDATE runs SET status = ?, owner = ?, stop_requested = 0, paused = 0, archived = 0, error = NULL,"
                " message = NULL, cure = NULL, finished_at = NULL WHERE id = ? AND status = ?",
                ["running" if owner else "queued", owner, run_id, status],
            )
            self.go_on(run_id)

    def _end(self, run_id: int, status: str) -> None:
        """A run ends once; a second end changes nothing."""
        self._db.execute(
            "UPDATE runs SET status = ?, finished_at = ? WHERE id = ? AND status = 'running'",
            [status, time.time(), run_id],
        )

    def _check_replay(self, new: DatasetRow, old: DatasetRow) -> None:
        if old.id == new.id:
            raise ConfigError(
                f"replay names the new data itself, {new.name!r}.", "Name the data that was learned before."
            )
        if (old.task, old.labels, old.multi_label) != (new.task, new.labels, new.multi_label):
            raise ConfigError(
                f"The data sets {old.name!r} and {new.name!r} do not have the same labels.",
                "A student goes on with data that has the labels it knows.",
            )

    def _record_one(self, run_id: int, event: events.Event) -> None:
        run = self._db.conn.execute
        match event:
            case events.PhaseStarted(phase=phase, total=total):
                run("UPDATE runs SET phase = ?, phase_started_at = ?, step = 0, total = ?, detail = '' WHERE id = ?",
                    [phase, time.time(), total, run_id])  # fmt: skip
                run("INSERT INTO phases (run_id, name, position) SELECT ?, ?, count(*) FROM phases WHERE run_id = ?"
                    " ON CONFLICT DO UPDATE SET first_step = NULL WHERE seconds IS NULL",
                    [run_id, phase, run_id])  # fmt: skip
            case events.Planned():  # one that goes on tells it again
                run("INSERT INTO results (run_id, kind, position, event) VALUES (?, ?, 0, ?)"
                    " ON CONFLICT DO UPDATE SET event = excluded.event",
                    [run_id, event.kind, events.to_json(event)])  # fmt: skip
            case events.Progress(phase=phase, step=step, total=total, detail=detail):
                run("UPDATE runs SET step = ?, total = ?, detail = ? WHERE id = ?", [step, total, detail, run_id])
                run("UPDATE phases SET first_step = ? WHERE run_id = ? AND name = ? AND first_step IS NULL"
                    " AND seconds IS NULL", [step, run_id, phase])  # fmt: skip
            case events.Metrics(phase=phase, step=step, values=values):
                self._add_points(run_id, phase, step, values)
            case events.DeviceUse(seconds=seconds, values=values):
                self._add_points(run_id, "device", seconds, values)
            case events.Log(level=level, message=message):
                run("INSERT INTO logs (run_id, time, level, message) SELECT ?, ?, ?, ? WHERE NOT EXISTS"
                    " (SELECT 1 FROM logs WHERE run_id = ? AND message = ?)",  # a run that goes on says things again
                    [run_id, time.time(), level, message, run_id, message])  # fmt: skip
            case events.PhaseFinished(phase=phase, seconds=seconds, steps=steps):
                run("UPDATE phases SET seconds = coalesce(seconds, ?), steps = max(steps, ?)"
                    " WHERE run_id = ? AND name = ?", [seconds, steps, run_id, phase])  # fmt: skip
            case (
                events.Evaluation()
                | events.Comparison()
                | events.Confusion()
                | events.SeedResult()
                | events.Choice()
                | events.StageResult()
            ):
                run("INSERT INTO results (run_id, kind, position, event)"
                    " SELECT ?, ?, count(*), ? FROM results WHERE run_id = ? AND kind = ?",
                    [run_id, event.kind, events.to_json(event), run_id, event.kind])  # fmt: skip
            case events.Verdict(outcome=outcome, sentence=sentence, cautions=cautions, next_step=next_step):
                told = json.dumps([caution.model_dump() for caution in cautions])
                after = next_step.model_dump_json() if next_step else None
                run("UPDATE runs SET outcome = ?, verdict = ?, cautions = ?, next_step = ? WHERE id = ?",
                    [outcome, sentence, told, after, run_id])  # fmt: skip
            case events.Failed(error=error, message=message, cure=cure):
                run("UPDATE runs SET error = ?, message = ?, cure = ? WHERE id = ?", [error, message, cure, run_id])

    def _add_points(self, run_id: int, phase: str, step: int, values: dict[str, float]) -> None:
        """A value that is not finite has no place on a curve: it is left out."""
        self._db.conn.executemany(
            "INSERT INTO metrics (run_id, phase, step, name, value) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [(run_id, phase, step, name, value) for name, value in values.items() if math.isfinite(value)],
        )


def _dataset(row: dict[str, Any]) -> DatasetRow:
    plain = {name: row[name] for name in ("id", "name", "task", "fingerprint", "created_at", "made_by")}
    return DatasetRow(**plain, **{name: json.loads(row[name]) for name in ("labels", "splits", "columns", "report")})


def _run(row: dict[str, Any]) -> RunRow:
    values = {name: value for name, value in row.items() if name not in ("request_key", "deaths", "died_at")}
    values["config"], values["unreadable"] = _config(row["id"], row["config"])
    values["message"] = row["message"] or values["unreadable"] or None
    values |= {name: bool(row[name]) for name in ("stop_requested", "archived", "paused")}
    values["cautions"] = tuple(events.Caution(**caution) for caution in json.loads(row["cautions"]))
    values["next_step"] = events.NextStep.model_validate_json(row["next_step"]) if row["next_step"] else None
    return RunRow(**values)


def _config(run_id: int, text: str) -> tuple[RunConfig, str]:
    """The settings of a run; where this version cannot read them, what it can read of them, and why."""
    stored: Any = None
    try:
        stored = json.loads(text)
        return parse_config(stored), ""
    except (ConfigError, ValueError) as error:
        told = error.message if isinstance(error, ConfigError) else f"They are damaged: {error}."
        reason = f"This version of the studio cannot read the settings of run {run_id}. {told}"
        return readable_part(stored if isinstance(stored, dict) else {}), reason
