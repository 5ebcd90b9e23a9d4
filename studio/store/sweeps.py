"""What is known of searches for settings: what is tried, which run carries out which trial."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from studio.config.sweep import SweepConfig
from studio.errors import StoreError
from studio.store.runs import Runs

SweepStatus = Literal["running", "paused", "finished", "failed"]


@dataclass(frozen=True)
class SweepRow:
    """A search; `winner` is the run that trains the best settings anew and reads the test rows."""

    id: int
    status: SweepStatus
    config: SweepConfig
    message: str
    winner: int | None
    created_at: float
    made_by: str | None


@dataclass(frozen=True)
class TrialRow:
    """One trial: its settings, and the run that carries it out; None for a moment before that is queued. `pruned`: it
    was stopped, because others were better at that point."""

    number: int
    params: dict[str, Any]
    run_id: int | None
    pruned: bool


class Sweeps(Runs):
    """The tables of searches and their trials."""

    def add_sweep(self, config: SweepConfig, key: str, made_by: str | None = None) -> SweepRow:
        """The same `key` gives the same search."""
        sql = "INSERT INTO sweeps (request_key, config, status, created_at, made_by) VALUES (?, ?, 'running', ?, ?)"
        self._db.execute(f"{sql} ON CONFLICT (request_key) DO NOTHING",
                         [key, config.model_dump_json(), time.time(), made_by])  # fmt: skip
        return _sweep(self._rows("SELECT * FROM sweeps WHERE request_key = ?", [key])[0])

    def sweep(self, sweep_id: int) -> SweepRow:
        found = self._row("SELECT * FROM sweeps WHERE id = ?", [sweep_id])
        if found is None:
            raise StoreError(f"There is no search {sweep_id}.", "`python -m studio sweeps` lists them.")
        return _sweep(found)

    def sweeps(self) -> list[SweepRow]:
        """The newest first."""
        return [_sweep(row) for row in self._rows("SELECT * FROM sweeps ORDER BY id DESC")]

    def sweeps_that_go_on(self) -> list[int]:
        """Asked by every training thread now and then."""
        return [row["id"] for row in self._rows("SELECT id FROM sweeps WHERE status = 'running' ORDER BY id")]

    def set_sweep(self, sweep_id: int, status: SweepStatus, message: str = "", winner: int | None = None) -> None:
        self._db.execute(
            "UPDATE sweeps SET status = ?, message = ?, winner = coalesce(?, winner) WHERE id = ?",
            [status, message, winner, sweep_id],
        )

    def add_trial(self, sweep_id: int, number: int, params: Mapping[str, Any]) -> TrialRow:
        """The first one to ask decides what a trial is."""
        sql = "INSERT INTO trials (sweep_id, number, params) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        self._db.execute(sql, [sweep_id, number, json.dumps(params)])
        return next(trial for trial in self.trials(sweep_id) if trial.number == number)

    def carried_by(self, sweep_id: int, number: int, run_id: int) -> None:
        sql = "UPDATE trials SET run_id = ? WHERE sweep_id = ? AND number = ?"
        self._db.execute(sql, [run_id, sweep_id, number])

    def trials(self, sweep_id: int) -> list[TrialRow]:
        """In the order in which they were begun."""
        found = self._rows("SELECT * FROM trials WHERE sweep_id = ? ORDER BY number", [sweep_id])
        return [TrialRow(row["number"], json.loads(row["params"]), row["run_id"], bool(row["pruned"])) for row in found]

    def sweep_of(self, run_id: int) -> int | None:
        """The search whose trial a run is."""
        found = self._row("SELECT sweep_id FROM trials WHERE run_id = ?", [run_id])
        return found["sweep_id"] if found else None

    def prune(self, run_id: int) -> None:
        self._db.execute("UPDATE trials SET pruned = 1 WHERE run_id = ?", [run_id])


def _sweep(row: dict[str, Any]) -> SweepRow:
    values = {name: value for name, value in row.items() if name != "request_key"}
    return SweepRow(**values | {"config": SweepConfig.model_validate_json(row["config"])})
