"""What is known of runs: asked for, listed, put away, deleted."""

import json
import time
from typing import Any

from studio import events, tasks
from studio.config.reading import parse_config, readable_part
from studio.config.run import RunConfig
from studio.errors import ConfigError, StoreError
from studio.store.datasets import Datasets
from studio.store.rows import DatasetRow, RunRow


class Runs(Datasets):
    """The table of runs."""

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
        return run_row(self._rows("SELECT * FROM runs WHERE request_key = ?", [key])[0])

    def run(self, run_id: int) -> RunRow:
        """One run; raises `StoreError` where there is none."""
        found = self._row("SELECT * FROM runs WHERE id = ?", [run_id])
        if found is None:
            raise StoreError(
                f"There is no run {run_id}.", "The page Runs lists them, and so does `python -m studio runs`."
            )
        return run_row(found)

    def run_of_key(self, key: str) -> RunRow | None:
        """The run that was queued under this key; None where there is none, or it was deleted."""
        found = self._row("SELECT * FROM runs WHERE request_key = ?", [key])
        return None if found is None else run_row(found)

    def runs(self, limit: int | None = 200, archived: bool = False) -> list[RunRow]:
        """The newest runs first, all of them where `limit` is None; those that were put into the archive only when
        asked for."""
        sql = "SELECT * FROM runs WHERE archived <= ? ORDER BY id DESC LIMIT ?"
        return [run_row(row) for row in self._rows(sql, [archived, -1 if limit is None else limit])]

    def count_runs(self, archived: bool = False) -> int:
        """How many `runs` would list without a limit."""
        return int(self._rows("SELECT count(*) AS runs FROM runs WHERE archived <= ?", [archived])[0]["runs"])

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


_OF_THE_QUEUE = ("request_key", "deaths", "died_at", "begun")
"""Columns that nobody else asks for."""


def run_row(row: dict[str, Any]) -> RunRow:
    values = {name: value for name, value in row.items() if name not in _OF_THE_QUEUE}
    values["config"], values["unreadable"] = _config(row["id"], row["config"])
    values["message"] = row["message"] or values["unreadable"] or None
    values |= {name: bool(row[name]) for name in ("stop_requested", "archived", "paused")}
    values["tags"] = tuple(json.loads(row["tags"]))
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
        problem = error.message if isinstance(error, ConfigError) else f"They are damaged: {error}."
        reason = f"This version of the studio cannot read the settings of run {run_id}. {problem}"
        return readable_part(stored if isinstance(stored, dict) else {}), reason
