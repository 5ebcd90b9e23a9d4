"""What more training rows would bring: how good a student is after learning from a part of them, class by class."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from studio.evaluate.intervals import paired_difference_of_class


@dataclass(frozen=True)
class ClassCurve:
    """One class with its `rows`: what the student gets right of it at each share, the smallest first. `gain`: of the
    last step, with Agresti & Min's 95 % interval of a paired difference, where there
    are enough rows for one."""

    number: int
    rows: int
    shares: tuple[float, ...]
    values: tuple[float, ...]
    gain: float
    low: float | None
    high: float | None

    @property
    def is_clear(self) -> bool:
        """Whether the class gained more than chance explains: more rows of it are worth having."""
        return self.low is not None and self.low > 0


def of_classes(classes: np.ndarray, right: Mapping[float, np.ndarray]) -> list[ClassCurve]:
    """Each class that has a row; first those that certainly gained from the last step, the largest gain first.

    `classes` (n,): the class of each row, and `right` (n,) by share. Or, where a row can have several labels, all of
    them (n, labels). Raises `ValueError` for fewer than two shares.
    """
    if len(right) < 2:
        raise ValueError(f"a curve needs two shares, got {len(right)}")
    shares = sorted(right)
    several = classes.ndim == 2
    count = classes.shape[1] if several else int(classes.max(initial=-1)) + 1
    found = []
    for number in range(count):
        mine = classes[:, number] == 1 if several else classes == number
        rows = int(mine.sum())
        if not rows:
            continue
        told = [(right[share][mine, number] if several else right[share][mine]).astype(bool) for share in shares]
        before, after = told[-2], told[-1]
        gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
        low, high = paired_difference_of_class(rows, gained, lost)
        values = tuple(float(one.mean()) for one in told)
        found.append(ClassCurve(number, rows, tuple(shares), values, (gained - lost) / rows, low, high))
    return sorted(found, key=lambda one: (not one.is_clear, -one.gain, -one.rows))
