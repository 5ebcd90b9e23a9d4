"""Runs side by side: the settings that differ, the curves, the models, paired tests on the same test rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studio import tasks
from studio.errors import ConfigError
from studio.evaluate import pareto
from studio.events import Evaluation, stage
from studio.store.rows import DatasetRow, Point, RunRow, Summary
from studio.store.store import Store
from studio.tasks import Measure, Task

MOST_RUNS = 50
"""More cannot be told apart in one picture."""

_STUDENT_STAGES = ("distill", "harden")


@dataclass(frozen=True)
class Side:
    """One of the runs that are compared; `data` is None where its data set is gone."""

    run: RunRow
    data: DatasetRow | None
    summary: Summary | None
    evaluations: tuple[Evaluation, ...]

    @property
    def name(self) -> str:
        """What tells it from the others: its name, with its number where it has none of its own."""
        return self.run.name or f"Run {self.run.id}"

    @property
    def task(self) -> Task:
        if self.data is None:
            return tasks.get(self.run.config.task or next(iter(tasks.TASKS)))
        return tasks.get(self.data.task, self.data.multi_label)

    @property
    def measure(self) -> Measure:
        """The one that decides."""
        return self.task.measures[0]


@dataclass(frozen=True)
class Curve:
    """The deciding measure of a run's student on validation rows: step, seconds since the run began, value of each
    look. Within a stage the time is taken to be even over its steps."""

    run_id: int
    steps: tuple[int, ...]
    seconds: tuple[float, ...]
    values: tuple[float, ...]


def sides(store: Store, ids: Sequence[int]) -> list[Side]:
    """The runs in this order, each once. Raises `ConfigError` for too few or too many, `StoreError` for one that there
    is not."""
    wanted = list(dict.fromkeys(ids))
    if not 2 <= len(wanted) <= MOST_RUNS:
        raise ConfigError(f"From 2 to {MOST_RUNS} runs can be compared, got {len(wanted)}.", "Choose others.")
    runs = [store.run(run_id) for run_id in wanted]
    datasets = {row.id: row for row in store.datasets()}
    known = store.summaries(wanted)
    return [
        Side(run, datasets.get(run.dataset_id), known.get(run.id), tuple(store.evaluations(run.id))) for run in runs
    ]


def differing(compared: Sequence[Side]) -> dict[str, list[Any]]:
    """The settings in which the runs are not alike, as plain values in the order of the runs; the data set's content,
    `data`, where it is another one under the same name or number of rows."""
    configs = [side.run.config.model_dump(mode="json") for side in compared]
    found = {name: [config[name] for config in configs] for name in configs[0]}
    return {name: values for name, values in found.items() if len({json.dumps(value) for value in values}) > 1}


def groups(compared: Sequence[Side]) -> list[list[Side]]:
    """Runs that differ in nothing but the seed belong together; in the order of their first ones."""
    found: dict[str, list[Side]] = {}
    for side in compared:
        alike = side.run.config.model_dump_json(exclude={"seed"})
        found.setdefault(f"{side.run.dataset_id} {alike}", []).append(side)
    return list(found.values())


def curve(store: Store, side: Side) -> Curve:
    """How good the student of a run was while it learned; empty where it never looked."""
    begun, spent = {}, 0.0
    for phase in store.phases(side.run.id):
        begun[phase.name] = (spent, (phase.seconds or 0.0) / max(1, phase.steps))
        spent += phase.seconds or 0.0
    points = [point for point in store.curve(side.run.id, name=side.measure.name) if _is_student(point, side.measure)]
    first = max((point.step for point in points if stage(point.phase) == "distill"), default=0)
    looks = []
    for point in points:
        start, a_step = begun.get(point.phase, (0.0, 0.0))
        shift = first if stage(point.phase) == "harden" else 0
        looks.append((point.step + shift, start + a_step * point.step, point.value))
    steps, seconds, values = zip(*sorted(looks), strict=True) if looks else ((), (), ())
    return Curve(side.run.id, steps, seconds, values)


def _is_student(point: Point, measure: Measure) -> bool:
    """Of several seeds and several learnings the first: the others have numbers behind the dash."""
    return point.phase in _STUDENT_STAGES and point.name == measure.name


def smoothed(values: Sequence[float], weight: float) -> list[float]:
    """The exponential moving average, in which a value counts `weight` less than the one after it, 0 to below 1; early
    values are weighed up, so that they are not drawn towards 0 (Kingma & Ba, 2015, section 3).

    >>> smoothed([1.0, 1.0, 1.0], 0.9), smoothed([0.0, 1.0], 0)
    ([1.0, 1.0, 1.0], [0.0, 1.0])
    """
    found, mean, known = [], 0.0, 0.0
    for value in values:
        mean, known = weight * mean + (1 - weight) * value, weight * known + (1 - weight)
        found.append(mean / known)
    return found


def same_measure(compared: Sequence[Side]) -> Measure | None:
    """The measure that decides in all of them; None where they have learned different things."""
    names = {(side.task.name, side.measure.name) for side in compared}
    return compared[0].measure if len(names) == 1 else None


def runtimes(compared: Sequence[Side]) -> list[str]:
    """In what the students were timed: times of two runtimes say nothing of two models."""
    known = [side.summary for side in compared if side.summary and side.summary.student_ms is not None]
    return sorted({summary.student_runtime or "" for summary in known})


def of_earlier_versions(compared: Sequence[Side]) -> list[Side]:
    """Runs whose sizes and macro F1 an earlier version of the studio measured otherwise than those of the others; none
    where all were measured alike."""
    known = [side for side in compared if side.run.verdict is not None]
    latest = max((side.run.edition for side in known), default=0)
    return [side for side in known if side.run.edition < latest]


def front(compared: Sequence[Side], cost: str) -> list[int]:
    """The runs that no other one beats: better in the deciding measure at no higher `cost`, student_bytes or
    student_ms. None of them where they have learned different things, were timed in different runtimes, or had their
    sizes counted in different ways."""
    if same_measure(compared) is None or (cost == "student_ms" and len(runtimes(compared)) > 1):
        return []
    if cost == "student_bytes" and of_earlier_versions(compared):
        return []
    points = {
        side.run.id: (value, spent)
        for side in compared
        if side.summary is not None
        and (value := side.summary.student) is not None
        and (spent := getattr(side.summary, cost)) is not None
    }
    return pareto.front(points)


def facts(store: Store, compared: Sequence[Side]) -> dict[str, Any]:
    """Everything as plain values: what `python -m studio compare RUN RUN --json` prints."""
    return {
        "runs": [_facts_of(side) for side in compared],
        "settings": differing(compared),
        "groups": [[side.run.id for side in group] for group in groups(compared)],
        "front": {cost: front(compared, cost) for cost in ("student_bytes", "student_ms")},
        "curves": {str(side.run.id): _points(curve(store, side), side.measure) for side in compared},
    }


def _points(found: Curve, measure: Measure) -> list[Mapping[str, float]]:
    looks = zip(found.steps, found.seconds, found.values, strict=True)
    return [{"step": step, "seconds": seconds, "value": measure.shown(value)} for step, seconds, value in looks]


def _facts_of(side: Side) -> dict[str, Any]:
    run = side.run
    return {
        "id": run.id,
        "name": run.name,
        "status": run.status,
        "outcome": run.outcome,
        "edition": run.edition,
        "dataset": {"id": run.dataset_id, "name": run.config.dataset,
                    "fingerprint": side.data.fingerprint if side.data else None},
        "measure": side.measure.name,
        "evaluations": [tasks.reported(found).model_dump(exclude={"kind"}) for found in side.evaluations],
    }  # fmt: skip
