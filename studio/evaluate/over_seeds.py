"""What several seeds say of a method: a mean, its spread, an interval and a test that count seeds and test rows.

Models of several seeds that answer the same test rows are what radiology calls several readers of the same cases. The
method is theirs: Obuchowski & Rockette (1995), with the degrees of freedom of Hillis (2007). The variance of a mean
over K seeds is s² / K + c: s² is the variance of the seeds' values, c the covariance that two seeds have because they
answer the same rows, at least 0. The interval is that of Student's t with (K - 1) (1 + cK / s²)² degrees of freedom.
`python -m tests.bench.coverage` simulates how often it holds.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from studio.evaluate.intervals import CONFIDENCE, ROW_DRAWS

Measured = Callable[[np.ndarray], dict[str, float]]
"""Statistics of rows (n, s) -> the value of each measure; see `studio.tasks.task.Targets.measure`."""

Pseudo = Sequence[tuple[float, float]]
"""Rows that are added to those of a share, (value, weight) each: few rows hold few errors, or none."""

OF_A_SHARE: Pseudo = ((1.0, 2.0), (0.0, 2.0))
"""Two right and two wrong ones (Agresti & Coull, 1998)."""

OF_A_DIFFERENCE: Pseudo = ((1.0, 0.5), (-1.0, 0.5), (0.0, 1.0))
"""Half a row in each of the four cells (Agresti & Min, 2005)."""


@dataclass(frozen=True)
class OverSeeds:
    """The mean over the seeds with its 95 % interval, `spread`, the standard deviation of the seeds' values, and the
    two-sided p-value of a mean that is 0."""

    mean: float
    spread: float
    low: float
    high: float
    p_value: float

    def within(self, least: float, most: float) -> "OverSeeds":
        """The interval without what cannot be."""
        return replace(self, low=max(least, self.low), high=min(most, self.high))


def of_rows(values: np.ndarray, pseudo: Pseudo) -> OverSeeds:
    """Of a mean over rows: `values` (K, n) has a seed in each row and a test row in each column.

    >>> alike = of_rows(np.tile([1.0, 1.0, 1.0, 0.0], (3, 25)), OF_A_SHARE)
    >>> round(alike.mean, 2), alike.spread, round(alike.low, 2), round(alike.high, 2)
    (0.75, 0.0, 0.66, 0.82)
    """
    more, weights = np.array([value for value, _ in pseudo]), np.array([weight for _, weight in pseudo])
    count = values.shape[1] + weights.sum()
    means = (values.sum(1) + (more * weights).sum()) / count
    products = (values @ values.T + (more**2 * weights).sum()) / count - np.outer(means, means)
    middle, plain = float(means.mean()), values.mean(1)
    return _told(plain, products / count, middle - float(plain.mean()))


def of_draws(values: Sequence[float], draws: np.ndarray) -> OverSeeds:
    """Of any measure: its `values` (K,), and `draws` (b, K), what they are where the rows are drawn anew."""
    return _told(np.array(values), np.cov(draws.T), 0.0)


def drawn(statistics: Sequence[np.ndarray], measure: Measured, name: str, seed: int = 0) -> np.ndarray:
    """(b, K): a measure of the models of several seeds, on rows that are drawn anew, for all together."""
    count = len(statistics[0])
    numbers = np.random.default_rng(seed).integers(0, count, (ROW_DRAWS, count))
    return np.array([[measure(model[rows])[name] for model in statistics] for rows in numbers])


def swapped(first: Sequence[np.ndarray], second: Sequence[np.ndarray], measure: Measured, name: str) -> float:
    """The p-value of a mean difference for these seeds: how often it is as large where each row's answers are given to
    the one or the other by a coin, alike for all seeds (Yeh, 2000). It holds for few rows, too."""
    draws = np.random.default_rng(0).random((ROW_DRAWS, len(first[0]))) < 0.5
    pairs = list(zip(first, second, strict=True))
    found = abs(np.mean([measure(mine)[name] - measure(theirs)[name] for mine, theirs in pairs]))
    as_large = 0
    for coins in draws:
        turned = [(np.where(coins[:, None], b, a), np.where(coins[:, None], a, b)) for a, b in pairs]
        mean = np.mean([measure(mine)[name] - measure(theirs)[name] for mine, theirs in turned])
        as_large += abs(mean) >= found - 1e-12
    return float((as_large + 1) / (ROW_DRAWS + 1))


def swapped_shares(differences: np.ndarray, draws: int = 4_000) -> float:
    """The same of shares: `differences` (n,) are the seeds' mean differences of each row.

    >>> round(swapped_shares(np.array([1.0] * 4 + [0.0] * 8)), 2)
    0.12
    """
    signs = np.random.default_rng(0).integers(0, 2, (draws, np.count_nonzero(differences))) * 2 - 1
    sums = np.abs(signs @ differences[differences != 0])
    return float(((sums >= abs(differences.sum()) - 1e-9).sum() + 1) / (draws + 1))


def _told(values: np.ndarray, covariances: np.ndarray, shift: float) -> OverSeeds:
    """`shift`: by how much rows that were added move the interval."""
    count, mean = len(values), float(values.mean())
    of_rows = max(0.0, float(covariances[~np.eye(count, dtype=bool)].mean()))
    by_rows_alone = float(np.diag(covariances).mean()) - of_rows  # seeds cannot be nearer to each other but by chance
    of_seeds = max(float(values.var(ddof=1)), by_rows_alone) / count
    error, middle = math.sqrt(of_seeds + of_rows), mean + shift
    freedom = (count - 1) * (1 + of_rows / of_seeds) ** 2 if of_seeds else math.inf
    half = error * float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom))
    p_value = 2 * float(stats.t.sf(abs(middle) / error, freedom)) if error else float(middle == 0)
    return OverSeeds(mean, float(values.std(ddof=1)), middle - half, middle + half, p_value)
