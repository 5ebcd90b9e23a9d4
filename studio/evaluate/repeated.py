"""Quality and differences where student and control were trained under several seeds: of each, and of their mean."""

from collections.abc import Iterator, Mapping

import numpy as np

from studio.evaluate import metrics, over_seeds
from studio.evaluate.over_seeds import OF_A_DIFFERENCE, OF_A_SHARE, OverSeeds
from studio.events import Comparison, Confusion, Evaluation, Role
from studio.tasks import Measure, Task

Pair = tuple[np.ndarray, np.ndarray]


def quality(
    task: Task, role: Role, split: str, models: Mapping[int, np.ndarray], labels: list[str], exported: int
) -> Iterator[Evaluation | Confusion]:
    """Every measure of the model of each seed, then of their mean. The confusion matrix is the exported one's.

    `models`: (rows, s) by seed, as `task.targets.statistics` makes them.
    """
    notes: dict[str, str] = {}
    for place, (seed, rows) in enumerate(models.items()):
        for event in metrics.quality(task, role, split, rows, labels):
            if isinstance(event, Evaluation):
                notes[event.metric] = event.note
                yield event.model_copy(update={"seed": seed})
            elif place == exported:
                yield event
    statistics = list(models.values())
    for measure in (measure for measure in task.measures if measure.name in notes):
        found, note = _of_models(task, measure, statistics), notes[measure.name]
        ends = {} if note else {"low": found.low, "high": found.high}
        yield Evaluation(
            role=role,
            split=split,
            metric=measure.name,
            value=found.mean,
            spread=found.spread,
            n=len(statistics[0]),
            note=note,
            **ends,
        )


def compare(
    task: Task, roles: tuple[Role, Role], split: str, pairs: Mapping[int, Pair], measure: Measure
) -> Iterator[Comparison]:
    """The difference of two models under each seed, then its mean. `pairs`: by seed, both on the same rows.

    The p-value of the mean is the larger of two: of the test over seeds and rows, and of a permutation test of these
    models, which holds for few rows, too.
    """
    for seed, statistics in pairs.items():
        yield metrics.compare(task, roles, split, statistics, measure).model_copy(update={"seed": seed})
    found, by_rows = _of_pairs(task, measure, list(pairs.values()))
    yield Comparison(
        first=roles[0],
        second=roles[1],
        split=split,
        metric=measure.name,
        difference=found.mean,
        spread=found.spread,
        low=found.low,
        high=found.high,
        p_value=max(found.p_value, by_rows),
        n=len(next(iter(pairs.values()))[0]),
    )


def _of_models(task: Task, measure: Measure, models: list[np.ndarray]) -> OverSeeds:
    if measure.interval == "share":
        found = over_seeds.of_rows(np.array([task.targets.right(rows) for rows in models], dtype=float), OF_A_SHARE)
    else:
        values = [task.targets.measure(rows)[measure.name] for rows in models]
        found = over_seeds.of_draws(values, over_seeds.drawn(models, task.targets.measure, measure.name))
    return found if measure.unit != "share" else found.within(0.0, 1.0)


def _of_pairs(task: Task, measure: Measure, pairs: list[Pair]) -> tuple[OverSeeds, float]:
    """The mean difference, and the p-value of the permutation test."""
    first, second = [mine for mine, _ in pairs], [theirs for _, theirs in pairs]
    if measure.interval == "share":
        right = [np.array([task.targets.right(rows) for rows in models], dtype=float) for models in (first, second)]
        differences = right[0] - right[1]
        found = over_seeds.of_rows(differences, OF_A_DIFFERENCE)
        return found, over_seeds.swapped_shares(differences.mean(0))
    draws = [over_seeds.drawn(models, task.targets.measure, measure.name) for models in (first, second)]
    of = task.targets.measure
    values = [of(mine)[measure.name] - of(theirs)[measure.name] for mine, theirs in pairs]
    found = over_seeds.of_draws(values, draws[0] - draws[1])
    return found, over_seeds.swapped(first, second, task.targets.measure, measure.name)
