"""Rows in four groups, by who of teacher and student is right; searched, filtered and sorted without reading any row
that is not asked for."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from studio.kept.answers import Kept
from studio.kept.rows import Rows

Group = Literal["both", "teacher", "student", "neither"]
"""Who is right: both, only the teacher, only the student, neither of them."""

GROUPS: tuple[Group, ...] = get_args(Group)

Order = Literal["loss", "gap", "unsure", "place"]
"""The student's loss, how far the two models' confidences are apart, the student's confidence from the least on, or as
in the data."""

ORDERS: tuple[Order, ...] = get_args(Order)


@dataclass(frozen=True)
class Wanted:
    """Which rows somebody wants to see. `label`: with this class, or with it among theirs. `words`: that hold these
    letters. `confidence` of the student, and `length` in letters, from and to."""

    label: int | None = None
    words: str = ""
    confidence: tuple[float, float] = (0.0, 1.0)
    length: tuple[int, int] | None = None


@dataclass(frozen=True)
class Explored:
    """The rows of a split with what teacher and student say of them."""

    rows: Rows
    teacher: Kept
    student: Kept

    def mask(self, wanted: Wanted) -> np.ndarray:
        """(rows,) bool: the labelled rows that are wanted, whoever is right."""
        found = self.student.labelled.copy()
        if wanted.label is not None:
            found &= self.rows.having(wanted.label)
        low, high = wanted.confidence
        if low > 0 or high < 1:
            found &= (self.student.confidence >= low) & (self.student.confidence <= high)
        if wanted.words.strip():
            found &= self.rows.contain(wanted.words.strip())
        if wanted.length is not None:
            found &= (self.rows.lengths >= wanted.length[0]) & (self.rows.lengths <= wanted.length[1])
        return found

    def of(self, group: Group) -> np.ndarray:
        """(rows,) bool: the rows of a group, labelled or not."""
        teacher, student = self.teacher.right, self.student.right
        match group:
            case "both":
                found = teacher & student
            case "teacher":
                found = teacher & ~student
            case "student":
                found = ~teacher & student
            case "neither":
                found = ~teacher & ~student
        return found

    def counts(self, mask: np.ndarray) -> dict[Group, int]:
        """How many of these rows are in each group."""
        return {group: int(np.count_nonzero(self.of(group) & mask)) for group in GROUPS}

    def sorted(self, mask: np.ndarray, order: Order) -> np.ndarray:
        """The numbers of these rows, those first that say most by this order."""
        numbers = np.flatnonzero(mask)
        match order:
            case "loss":
                by = -self.student.loss[numbers]
            case "gap":
                by = -abs(self.teacher.confidence[numbers] - self.student.confidence[numbers])
            case "unsure":
                by = self.student.confidence[numbers]
            case "place":
                return numbers
        found: np.ndarray = numbers[np.argsort(np.nan_to_num(by, nan=np.inf, posinf=np.inf), kind="stable")]
        return found


def nearest(teacher: Kept, row: int, training: Kept, count: int = 5) -> np.ndarray:
    """The numbers of the training rows of which the teacher says most nearly the same as of this row, the nearest
    first: by the distance of its logits, freed of what they have in common; of several positions of their mean.

    What two rows have in common for a teacher is in its answers as far as it is about the labels; rows that it takes
    for alike for other reasons are not found.
    """
    mine, known = _vectors(teacher.logits_of(row), None), _vectors(training.logits, training.offsets)
    distances = ((known - mine) ** 2).sum(1)
    count = min(count, len(distances))
    found = np.argpartition(np.nan_to_num(distances, nan=np.inf), count - 1)[:count] if count else np.array([], int)
    return np.asarray(found[np.argsort(distances[found], kind="stable")])


def _vectors(logits: np.ndarray, offsets: np.ndarray | None) -> np.ndarray:
    """(rows, c): the centred logits of each row, mean over its positions that were seen."""
    width = logits.shape[1]
    centred = logits - logits.mean(1, keepdims=True) if width > 1 else logits
    if offsets is None:
        return np.asarray(np.nanmean(centred, axis=0, keepdims=True))
    if len(offsets) == len(centred) + 1 and (np.diff(offsets) == 1).all():
        return np.asarray(centred)
    sums = np.add.reduceat(np.nan_to_num(np.vstack([centred, np.zeros((1, width))])), offsets[:-1], axis=0)
    counts = np.diff(offsets)[:, None]
    return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1), np.inf))
