"""What more training rows would bring: how good a student is after learning from a part of them, class by class."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from studio.evaluate.intervals import mcnemar, paired_difference_of_class
from studio.evaluate.multiple import SIGNIFICANT, holm


@dataclass(frozen=True)
class ClassCurve:
    """One class with its `rows`: what the student gets right of it at each share, the smallest first. `gain`: of the
    last step, with Agresti & Min's 95 % interval of a paired difference, where there are enough rows for one.
    `is_clear`: whether it gained more than chance explains, all classes together (exact McNemar tests, Holm): more rows
    of it are worth having."""

    number: int
    rows: int
    shares: tuple[float, ...]
    values: tuple[float, ...]
    gain: float
    low: float | None
    high: float | None
    is_clear: bool


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
    found, p_values = [], []
    for number in range(count):
        mine = classes[:, number] == 1 if several else classes == number
        rows = int(mine.sum())
        if not rows:
            continue
        by_share = [(right[share][mine, number] if several else right[share][mine]).astype(bool) for share in shares]
        before, after = by_share[-2], by_share[-1]
        gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
        low, high = paired_difference_of_class(rows, gained, lost)
        values = tuple(float(correct.mean()) for correct in by_share)
        found.append(ClassCurve(number, rows, tuple(shares), values, (gained - lost) / rows, low, high, False))
        p_values.append(mcnemar(gained, lost))
    found = [replace(curve, is_clear=curve.low is not None and curve.gain > 0 and p_value < SIGNIFICANT)
             for curve, p_value in zip(found, holm(p_values), strict=True)]  # fmt: skip
    return sorted(found, key=lambda curve: (not curve.is_clear, -curve.gain, -curve.rows))
