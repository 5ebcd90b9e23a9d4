"""What a run says: curves, log, stages, what was measured."""

import json
import math
import time
from array import array
from collections.abc import Sequence
from typing import Any

from studio import events, tasks
from studio.store.rows import Cursor, LogRow, PhaseRow, Point
from studio.store.runs import Runs
from studio.store.speeds import speed


class Results(Runs):
    """The tables that a run's events are written to."""

    def record(self, run_id: int, said: Sequence[events.Event]) -> None:
        """Write events to their places, all or none."""
        with self._db.atomic():
            self._db.execute("UPDATE runs SET step = step WHERE id = ?", [run_id])  # takes the write lock first
            for event in said:
                self._record_one(run_id, event)

    def curve(self, run_id: int, after: Cursor | None = None, name: str | None = None) -> list[Point]:
        """The points of all curves, or only those later than the step that `after` names for their curve; with a `name`
        those of that name alone.

        The cursor counts each curve for itself: the accuracy at a step is written later than the loss at that step.
        """
        known = json.dumps([[phase, name, step] for (phase, name), step in (after or {}).items()])
        return [Point(**row) for row in self._rows(_LATER, {"run": run_id, "known": known, "name": name})]

    def curve_arrays(self, run_id: int) -> "dict[tuple[str, str], tuple[array[int], array[float]]]":
        """Steps and values of all curves, by phase and name: what `curve` gives in a tenth of the memory."""
        found: dict[tuple[str, str], tuple[array[int], array[float]]] = {}
        sql = "SELECT phase, name, step, value FROM metrics WHERE run_id = ? AND phase != 'device'"
        for phase, name, step, value in self._db.execute(sql, [run_id]):
            steps, values = found.setdefault((phase, name), (array("q"), array("d")))
            steps.append(step)
            values.append(value)
        return found

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
        planned = [event for event in self._results(run_id, "planned") if isinstance(event, events.Planned)]
        return planned[-1].stages if planned else ()

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

    def kept_answers(self, run_id: int) -> list[events.KeptAnswers]:
        """Whose answers to which rows are on disk; none of a run from before they were kept."""
        return [event for event in self._results(run_id, "kept") if isinstance(event, events.KeptAnswers)]

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
            "evaluations": [_shown(result) for result in self.evaluations(run_id)],
            "comparisons": [_shown(result) for result in self.comparisons(run_id)],
            "speed": speed(self.evaluations(run_id)),
            "seeds": [self._show_seed(run_id, seed) for seed in self.seeds(run_id)],
            "stage_results": [_shown(result) for result in self.stage_results(run_id)],
            "choice": choice.model_dump(mode="json", exclude={"kind"}) if (choice := self.choice(run_id)) else None,
            "outcome": run.outcome,
            "verdict": run.verdict,
            "cautions": [caution.model_dump() for caution in run.cautions],
            "next_step": run.next_step.model_dump() if run.next_step else None,
            "error": {"kind": run.error, "message": run.message, "cure": run.cure} if run.error else None,
            "made_by": run.made_by,
        }

    def _results(self, run_id: int, kind: str) -> list[events.Event]:
        sql = "SELECT event FROM results WHERE run_id = ? AND kind = ? ORDER BY position"
        return [events.from_json(row["event"]) for row in self._rows(sql, [run_id, kind])]

    def _evaluations(self, run_id: int) -> list[events.Evaluation]:
        return [event for event in self._results(run_id, "evaluation") if isinstance(event, events.Evaluation)]

    def _comparisons(self, run_id: int) -> list[events.Comparison]:
        return [event for event in self._results(run_id, "comparison") if isinstance(event, events.Comparison)]

    def _show_seed(self, run_id: int, seed: events.SeedResult) -> dict[str, Any]:
        evaluations = [_shown(found) for found in self._evaluations(run_id) if found.seed == seed.seed]
        comparisons = [_shown(found) for found in self._comparisons(run_id) if found.seed == seed.seed]
        return _shown(seed) | {"evaluations": evaluations, "comparisons": comparisons}

    def _record_one(self, run_id: int, event: events.Event) -> None:
        run = self._db.conn.execute
        match event:
            case events.PhaseStarted(phase=phase, total=total):
                run("UPDATE runs SET begun = 1, phase = ?, phase_started_at = ?, step = 0, total = ?, detail = ''"
                    " WHERE id = ?", [phase, time.time(), total, run_id])  # fmt: skip
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
                | events.KeptAnswers()
                | events.SeedResult()
                | events.Choice()
                | events.StageResult()
            ):
                run("INSERT INTO results (run_id, kind, position, event)"
                    " SELECT ?, ?, count(*), ? FROM results WHERE run_id = ? AND kind = ?",
                    [run_id, event.kind, events.to_json(event), run_id, event.kind])  # fmt: skip
            case events.Verdict(outcome=outcome, sentence=sentence, cautions=cautions, next_step=next_step):
                cautions_json = json.dumps([caution.model_dump() for caution in cautions])
                after = next_step.model_dump_json() if next_step else None
                run("UPDATE runs SET outcome = ?, verdict = ?, cautions = ?, next_step = ?, edition = ? WHERE id = ?",
                    [outcome, sentence, cautions_json, after, events.EDITION, run_id])  # fmt: skip
            case events.Failed(error=error, message=message, cure=cure):
                run("UPDATE runs SET error = ?, message = ?, cure = ? WHERE id = ?", [error, message, cure, run_id])

    def _add_points(self, run_id: int, phase: str, step: int, values: dict[str, float]) -> None:
        """A value that is not finite has no place on a curve: it is left out."""
        self._db.conn.executemany(
            "INSERT INTO metrics (run_id, phase, step, name, value) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [(run_id, phase, step, name, value) for name, value in values.items() if math.isfinite(value)],
        )


def _shown(result: tasks.Result) -> dict[str, Any]:
    return tasks.reported(result).model_dump(exclude={"kind"})


_LATER = """
WITH RECURSIVE known AS (
    SELECT json_extract(value, '$[0]') AS phase, json_extract(value, '$[1]') AS name,
           json_extract(value, '$[2]') AS last FROM json_each(:known)
), phases AS (
    SELECT min(phase) AS phase FROM metrics WHERE run_id = :run
    UNION ALL
    SELECT (SELECT min(phase) FROM metrics WHERE run_id = :run AND phase > phases.phase) FROM phases
    WHERE phases.phase IS NOT NULL
), begun AS (
    SELECT phase, coalesce((SELECT min(last) FROM known WHERE known.phase = phases.phase) - 1000, -1) AS first
    FROM phases WHERE phase IS NOT NULL AND phase != 'device'
)
SELECT metrics.phase, step, metrics.name, value FROM begun
CROSS JOIN metrics ON run_id = :run AND metrics.phase = begun.phase AND step > begun.first
LEFT JOIN known ON known.phase = metrics.phase AND known.name = metrics.name
WHERE step > coalesce(last, -1) AND metrics.name = coalesce(:name, metrics.name)
ORDER BY metrics.phase, step"""
"""Phase by phase along the key, from shortly before the step on that a reader lacks first, since a curve may begin
later than the others: a long run is not read whole again."""
