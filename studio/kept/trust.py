"""The rows of a run by how sure its models are: what is fitted on validation rows, and what is told of test rows."""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from studio.home import Home
from studio.kept import answers, logits, rows
from studio.kept.answers import Kept
from studio.tasks.task import Kind

MOST_ROWS = 20_000
"""So many rows tell enough: of more, so many are drawn by chance."""


@dataclass(frozen=True)
class Sample:
    """Labelled rows of one model: how sure it is (n,), whether it is right (n,), and what its measures read (n, s)."""

    confidence: np.ndarray
    right: np.ndarray
    statistics: np.ndarray


@dataclass(frozen=True)
class Temperature:
    """The temperature that fits the labelled validation rows, `value`; and, of each of them, how sure the model is
    `before` (n,), and `after` (n,) at what fits the other half of them, and whether it is `right` (n,). Judged by the
    rows to which it is fitted, it would always seem to help."""

    value: float
    before: np.ndarray
    after: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class Run:
    """The kept answers of a run and the data set that they are about, `folder`."""

    home: Home
    run_id: int
    folder: Path
    kind: Kind

    def drawn(self, kept: Kept) -> np.ndarray:
        """The numbers of the labelled rows that are looked at: the same ones for every model."""
        count = int(np.count_nonzero(kept.labelled))
        if count == len(kept):
            return _some(count)
        return np.asarray(np.flatnonzero(kept.labelled)[_some(count)])

    def sample(self, kept: Kept, temperature: float = 1.0) -> Sample:
        """The rows of one model; at another temperature its answers stay the same, and so does who is right."""
        numbers = self.drawn(kept)
        confidence = kept.confidence[numbers].astype(np.float64)
        if temperature != 1.0:
            values, offsets = self._logits(kept, numbers)
            confidence = logits.confidence(values, offsets, self.kind, temperature)
        place = numbers if kept.labelled.all() else (np.cumsum(kept.labelled) - 1)[numbers]
        return Sample(confidence, kept.right[numbers], kept.statistics[place])

    def temperature(self, role: str) -> Temperature | None:
        """What fits this model's probabilities to the validation rows, found once for the same answers; None where
        those are not kept, or too few."""
        file = answers.place(self.home, self.run_id, role, "validation")
        return _temperature(self, role, file.stat().st_mtime_ns) if file.is_file() else None

    def _temperature(self, role: str) -> Temperature | None:
        kept = answers.opened(self.home, self.run_id, role, "validation")
        if kept is None or not kept.has_logits or not logits.has_probabilities(self.kind):
            return None
        numbers = self.drawn(kept)
        value = self._fitted(kept, numbers) if len(numbers) > 1 else None
        if value is None:
            return None
        is_second = np.random.default_rng(0).permutation(len(numbers)) % 2 == 1
        after = np.empty(len(numbers))
        for half in (is_second, ~is_second):
            others = self._fitted(kept, numbers[~half])
            if others is None:
                return None
            after[half] = logits.confidence(*self._logits(kept, numbers[half]), self.kind, others)
        return Temperature(value, kept.confidence[numbers].astype(np.float64), after, kept.right[numbers])

    def _fitted(self, kept: Kept, numbers: np.ndarray) -> float | None:
        """The temperature that fits these validation rows; None where their labels are not those that were seen."""
        values, _ = self._logits(kept, numbers)
        labels = logits.targets(rows.opened(self.folder, "validation").labels(numbers), values.shape[1], self.kind)
        return logits.fitted_temperature(values, labels, self.kind) if len(labels) == len(values) else None

    def divergence(self, teacher: Kept, student: Kept) -> float | None:
        """The mean Kullback-Leibler divergence of the student from the teacher, in nats; None without logits."""
        if not (teacher.has_logits and student.has_logits) or not logits.has_probabilities(self.kind):
            return None
        numbers = self.drawn(student)
        found = logits.divergence(self._logits(teacher, numbers)[0], self._logits(student, numbers)[0], self.kind)
        return float(np.nanmean(found))

    def _logits(self, kept: Kept, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The logits of these rows, and where each begins; None where a row is one position."""
        if kept.one_per_row:
            return kept.logits[numbers], None
        values, offsets = kept.logits, kept.offsets
        counts = offsets[numbers + 1] - offsets[numbers]
        new = np.concatenate([[0], np.cumsum(counts)])
        places = np.repeat(offsets[numbers] - new[:-1], counts) + np.arange(new[-1])
        return values[places], new


@functools.lru_cache(maxsize=32)
def _temperature(run: Run, role: str, _written: int) -> Temperature | None:
    """Of answers that were written then: with many classes it takes seconds."""
    return run._temperature(role)


@functools.lru_cache(maxsize=8)
def _some(count: int) -> np.ndarray:
    """The numbers of at most `MOST_ROWS` of so many rows, drawn by chance, the same ones every time."""
    if count <= MOST_ROWS:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, MOST_ROWS, replace=False, shuffle=False))
