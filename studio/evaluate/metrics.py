"""How good and how large a model is, with intervals, and how two models differ on the same rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from studio.evaluate import intervals
from studio.events import Comparison, Confusion, Evaluation, Role
from studio.tasks import Measure, Task

if TYPE_CHECKING:
    from studio.models.model import Model


def quality(
    task: Task, role: Role, split: str, statistics: np.ndarray, labels: list[str]
) -> list[Evaluation | Confusion]:
    """Every measure of the task that was taken of one model on one split, and the confusion matrix where a row has one
    class.

    `statistics` (rows, s) as `task.targets.statistics` makes them.
    """
    values = task.targets.measure(statistics)
    note = _too_few(task, statistics, labels)
    measures = [measure for measure in task.measures if measure.name in values]
    kept = [measure for measure in measures if measure.interval == "share" or not note]
    ends = _intervals(task, kept, statistics, len(labels))
    found: list[Evaluation | Confusion] = []
    for measure in measures:
        low, high = ends.get(measure.name, (None, None))
        found.append(
            Evaluation(
                role=role,
                split=split,
                metric=measure.name,
                value=values[measure.name],
                low=low,
                high=high,
                n=len(statistics),
                note="" if measure in kept else note,
            )
        )
    counts = task.targets.confusion(statistics, len(labels))
    if counts is not None:
        found.append(Confusion(role=role, split=split, labels=labels, counts=counts.tolist()))
    return found


def first_measure(task: Task, statistics: np.ndarray) -> tuple[float, float, float]:
    """(value, low, high) of the measure that decides."""
    measure = task.measures[0]
    value = task.targets.measure(statistics)[measure.name]
    low, high = _intervals(task, [measure], statistics, 0)[measure.name]
    return value, low, high


def _too_few(task: Task, statistics: np.ndarray, labels: list[str]) -> str:
    """Why a mean over the classes gets no interval, where a class has too few rows for one."""
    rarest = task.targets.rarest(statistics, len(labels))
    if rarest is None or rarest[1] >= intervals.FEWEST_OF_A_CLASS:
        return ""
    number, rows = rarest
    if rows == 1:
        return f"One test row of {labels[number]!r} is too few for an interval."
    return f"{rows} test rows of {labels[number]!r} are too few for an interval."


def _intervals(
    task: Task, measures: Sequence[Measure], statistics: np.ndarray, classes: int
) -> dict[str, tuple[float, float]]:
    """The 95 % interval of each of these measures."""
    drawn = any(measure.interval == "rows" for measure in measures)
    by_rows = intervals.bootstrap(statistics, task.targets.measure) if drawn else {}
    return {
        measure.name: by_rows[measure.name]
        if measure.interval == "rows"
        else _counted(task, measure, statistics, classes)
        for measure in measures
    }


def _counted(task: Task, measure: Measure, statistics: np.ndarray, classes: int) -> tuple[float, float]:
    """Of a share of right rows, or from the confusion matrix."""
    if measure.interval == "share":
        value = task.targets.measure(statistics)[measure.name]
        return intervals.accuracy_interval(round(value * len(statistics)), len(statistics))
    counts = task.targets.confusion(statistics, classes)
    assert counts is not None
    return intervals.f1_interval(counts)


def compare(
    task: Task,
    roles: tuple[Role, Role],
    split: str,
    statistics: tuple[np.ndarray, np.ndarray],
    measure: Measure | None = None,
) -> Comparison:
    """The difference of two models on the same rows, by default in the measure that decides.

    A share of right rows: Agresti & Min's interval and the exact McNemar test. Any other: the paired bootstrap and a
    permutation test.
    """
    measure, (mine, theirs) = measure or task.measures[0], statistics
    gained = lost = None
    if measure.interval == "share":
        mine_right, their_right = (task.targets.right(rows) for rows in statistics)
        gained, lost = int((mine_right & ~their_right).sum()), int((~mine_right & their_right).sum())
        low, high = intervals.paired_difference(len(mine), gained, lost)
        p_value, difference = intervals.mcnemar(gained, lost), (gained - lost) / len(mine)
    else:
        low, high = intervals.paired_bootstrap(mine, theirs, task.targets.measure, measure.name)
        p_value = intervals.permutation_test(mine, theirs, task.targets.measure, measure.name)
        values = [task.targets.measure(rows)[measure.name] for rows in statistics]
        difference = values[0] - values[1]
    return Comparison(
        first=roles[0],
        second=roles[1],
        split=split,
        metric=measure.name,
        difference=difference,
        low=low,
        high=high,
        p_value=p_value,
        n=len(mine),
        gained=gained,
        lost=lost,
    )


def lost_more(
    task: Task, first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
) -> tuple[float, float]:
    """How much more of the deciding measure the first model loses than the second one where inputs are changed, and its
    p-value; each model's statistics of the plain and of the changed inputs, (rows, s) twice, of the same rows.

    A permutation test: each row's answers, plain and changed together, are given to the models by a coin.
    """
    name, width = task.measures[0].name, first[0].shape[1]

    def lost(both: np.ndarray) -> dict[str, float]:
        return {name: task.targets.measure(both[:, :width])[name] - task.targets.measure(both[:, width:])[name]}

    mine, theirs = (np.concatenate(of_model, axis=1) for of_model in (first, second))
    return lost(mine)[name] - lost(theirs)[name], intervals.permutation_test(mine, theirs, lost, name)


def sizes(role: Role, members: "Sequence[Model]") -> list[Evaluation]:
    """Parameters of all models of a role, and the bytes on disk of all that they need to answer; they must have been
    saved or opened."""
    from studio.models.model import parameters  # torch, which comparing needs not
    from studio.models.saving import bytes_to_answer

    saved = [(model, model.folder) for model in members if model.folder is not None]
    if len(saved) < len(members):
        raise ValueError(f"the {role} was never saved, so its size on disk is not known")
    size = sum(bytes_to_answer(model, folder) for model, folder in saved)
    return [
        Evaluation(role=role, split="", metric="parameters", value=sum(parameters(model.network) for model in members)),
        Evaluation(role=role, split="", metric="size_bytes", value=size),
    ]
