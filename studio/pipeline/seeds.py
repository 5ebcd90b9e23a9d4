"""Student and control under several seeds: which student is exported, and where each is kept."""

import math
import shutil
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

from studio import files
from studio.events import Log, SeedResult
from studio.home import Home
from studio.pipeline.prepare import RunContext
from studio.pipeline.timetable import counted

Curve = Sequence[tuple[int, float]]
"""Validation values of a training, (step, value) each."""


def export_the_best(context: RunContext, curves: Mapping[str, Curve]) -> Generator[SeedResult | Log, None, int]:
    """Keep the student that did best on validation rows as the run's student; returns its place among the seeds.

    The test rows have no part in it: to choose by them would flatter what is exported.
    """
    config = context.config
    if config.seeds == 1:
        return 0
    reached = [_best(curves.get(counted("student", number + 1))) for number in range(config.seeds)]
    known = [-math.inf if value is None else value for value in reached]
    best = known.index(max(known))
    for number, student in enumerate(reached):
        yield SeedResult(
            seed=config.seed + number,
            metric=context.problem.task.measures[0].name,
            student=student,
            control=_best(curves.get(counted("control", number + 1))),
            exported=number == best,
        )
    which = f"that of seed {config.seed + best} is exported: it did best on validation rows"
    yield Log(message=f"Of {config.seeds} students {which}.")
    _keep(context.home, context.run_id, best)
    return best


def means(curves: Mapping[str, Curve]) -> dict[str, Curve]:
    """The curves of each role, the mean over its seeds at each step that all of them have; a teacher's as it is."""
    found: dict[str, list[dict[int, float]]] = {}
    for name, curve in curves.items():
        role = name.partition("-")[0]
        found.setdefault(role if role in ("student", "control", "smoothed") else name, []).append(dict(curve))
    return {role: _mean(of_seeds) for role, of_seeds in found.items()}


def _mean(curves: Sequence[Mapping[int, float]]) -> Curve:
    steps = sorted(set.intersection(*map(set, curves)))
    return [(step, sum(curve[step] for curve in curves) / len(curves)) for step in steps]


def _best(curve: Curve | None) -> float | None:
    """The highest value of a curve; None where it has none that is a number."""
    return max((value for _, value in curve or () if math.isfinite(value)), default=None)


def _keep(home: Home, run_id: int, best: int) -> None:
    """`student-1` is the first seed's, and `student` the best one's; so with what a plan made of them in int8."""
    for place in (home.model, home.quantized):
        student, first = place(run_id, "student"), place(run_id, "student-1")
        if student.is_dir():
            _copy(student, first)
            _copy(place(run_id, f"student-{best + 1}"), student)


def _copy(folder: Path, target: Path) -> None:
    with files.whole(target) as part:
        shutil.copytree(folder, part, dirs_exist_ok=True)
