"""What each class gained and lost on the way from one model to another, with intervals."""

from dataclasses import dataclass

import numpy as np

from studio.evaluate.intervals import mcnemar, paired_difference_of_class
from studio.evaluate.multiple import SIGNIFICANT, holm


@dataclass(frozen=True)
class ClassChange:
    """The rows of one class: the share that each model gets right, and the difference of the second from the first with
    its 95 % interval, where the class has enough rows for one. `gained` rows the second alone gets right, `lost` the
    first alone. `is_clear`: whether that is more than chance explains, all classes together."""

    number: int
    rows: int
    first: float
    second: float
    difference: float
    low: float | None
    high: float | None
    gained: int
    lost: int
    is_clear: bool


def of_classes(classes: np.ndarray, first: np.ndarray, second: np.ndarray) -> list[ClassChange]:
    """Each class that has a row, the largest loss first.

    `classes` (rows,): the class of each row, with `first` and `second` (rows,) whether a model is right. Or, where a
    row can have several labels, all three (rows, labels): what it has, and what the models say. The intervals are
    Agresti & Min's of a paired difference, each for itself: of many classes one in twenty is without 0 by chance. What
    is clear is so by exact McNemar tests of all classes together (Holm).
    """
    count = classes.shape[1] if classes.ndim == 2 else int(classes.max(initial=-1)) + 1
    first, second = first.astype(bool), second.astype(bool)
    rows, mine, theirs, gained, lost = (
        _counted(classes, which, count)
        for which in (np.ones_like(first), first, second, second & ~first, first & ~second)
    )
    found, present = [], np.flatnonzero(rows)
    p_values = holm([mcnemar(int(gained[number]), int(lost[number])) for number in present])
    for number, p_value in zip(present, p_values, strict=True):
        n, more, less = int(rows[number]), int(gained[number]), int(lost[number])
        low, high = paired_difference_of_class(n, more, less)
        found.append(
            ClassChange(
                int(number),
                n,
                mine[number] / n,
                theirs[number] / n,
                (more - less) / n,
                low,
                high,
                more,
                less,
                low is not None and p_value < SIGNIFICANT,
            )
        )
    return sorted(found, key=lambda change: (change.difference, -change.rows))


def _counted(classes: np.ndarray, which: np.ndarray, count: int) -> np.ndarray:
    """(count,): the rows of each class that are meant."""
    if classes.ndim == 2:
        return np.asarray((classes.astype(bool) & which).sum(0))
    return np.bincount(classes[which], minlength=count)
