"""The student answers where it is sure, the teacher all other rows: what that brings, and what it costs.

The rule is one number: the confidence of the student from which on its answer counts. It is chosen on validation rows
and told of test rows. A cascade of models, as in Viola & Jones (2001); of classifiers by their confidence: Wang et
al., "IDK Cascades" (2018).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

POINTS = 41
"""Thresholds of which a curve is made."""

NEVER_ASKED, ALWAYS_ASKED = 0.0, float(np.nextafter(1.0, 2.0))
"""The thresholds at which the teacher is asked about no row, and about all of them, however sure the student is."""

Measured = Callable[[np.ndarray], dict[str, float]]


@dataclass(frozen=True)
class Point:
    """One threshold: the share of the rows that the teacher is `asked` about, and the measure of both together."""

    threshold: float
    asked: float
    value: float

    def milliseconds(self, student: float, teacher: float) -> float:
        """The mean time of a row: the student reads every row, the teacher those that it is asked about."""
        return student + self.asked * teacher


@dataclass(frozen=True)
class Answered:
    """What a cascade is made of, on the same rows: the student's confidence (n,), and what the measure reads of each
    model's answers (n, s)."""

    confidence: np.ndarray
    student: np.ndarray
    teacher: np.ndarray

    def together(self, threshold: float) -> np.ndarray:
        """(n, s): the student's where it is as sure as that, the teacher's elsewhere."""
        return np.where((self.confidence >= threshold)[:, None], self.student, self.teacher)

    def at(self, threshold: float, measure: Measured, name: str) -> Point:
        asked = float((self.confidence < threshold).mean())
        return Point(threshold, asked, measure(self.together(threshold))[name])


def curve(rows: Answered, measure: Measured, name: str, points: int = POINTS) -> list[Point]:
    """From a student that answers all to a teacher that does: thresholds that ask it about evenly more rows."""
    wanted = np.quantile(rows.confidence, np.linspace(0, 1, points), method="lower")
    thresholds = [NEVER_ASKED, *np.unique(wanted[wanted > NEVER_ASKED]), ALWAYS_ASKED]
    found: dict[float, Point] = {}
    for point in (rows.at(float(threshold), measure, name) for threshold in thresholds[:-1]):
        found.setdefault(point.asked, point)
    found[1.0] = rows.at(ALWAYS_ASKED, measure, name)
    return [found[asked] for asked in sorted(found)]


def chosen(points: list[Point], least: float) -> Point:
    """The point that asks the teacher least and has at least this value; the best one where none has.

    >>> points = [Point(0.0, 0.0, 0.8), Point(0.6, 0.2, 0.9), Point(0.9, 0.5, 0.91), Point(1.0, 1.0, 0.9)]
    >>> chosen(points, 0.9).threshold, chosen(points, 0.99).threshold
    (0.6, 0.9)
    """
    enough = [point for point in points if point.value >= least]
    if enough:
        return min(enough, key=lambda point: point.asked)
    return max(points, key=lambda point: (point.value, -point.asked))
