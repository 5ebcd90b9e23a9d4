"""Whether a model's probabilities can be trusted: how often it is right where it says that it is so and so sure.

All of `confidence` (rows,), 0 to 1, and `right` (rows,), whether the answer was. Nothing here opens a model.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from studio.evaluate.intervals import CONFIDENCE, accuracy_interval

BINS = 10
FEWEST_ROWS = 100
"""Student's interval of such a mean holds in fewer than 93 of 100 cases where there are 50 rows."""

DRAWS = 500
STEPS = 41


@dataclass(frozen=True)
class Bin:
    """The rows with a confidence from `low` to `high`: how many, how sure the model is of them on the average, how many
    of them are right, with Wilson's interval."""

    low: float
    high: float
    rows: int
    confidence: float
    right: float
    right_low: float
    right_high: float


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; NaN where there are too few rows for one."""

    value: float
    low: float
    high: float


def bins(confidence: np.ndarray, right: np.ndarray, count: int = BINS) -> list[Bin]:
    """The rows by confidence, in `count` ranges of equal width; ranges without a row are left out."""
    numbers = _numbers(confidence, count)
    found = []
    for number in np.unique(numbers):
        inside = numbers == number
        rows, hits = int(inside.sum()), int(right[inside].sum())
        low, high = accuracy_interval(hits, rows)
        found.append(
            Bin(number / count, (number + 1) / count, rows, float(confidence[inside].mean()), hits / rows, low, high)
        )
    return found


def expected_error(confidence: np.ndarray, right: np.ndarray, count: int = BINS, seed: int = 0) -> Estimate:
    """The expected calibration error (Naeini et al., 2015; Guo et al., 2017): how far confidence and accuracy are apart
    in a range, mean over the ranges, each counted by its rows.

    The value of a perfect model, too, is above 0, so that drawing rows anew would tell too much. The interval holds
    those errors under which a value such as this one is no rare thing (inversion of a test; Davison & Hinkley, 1997,
    section 5.6): gaps of the same shape, made larger or smaller, are simulated. Their shape is what was found, drawn
    towards the mean gap as far as the noise of each range asks for (DerSimonian & Laird, 1986).
    `python -m tests.bench.coverage` simulates how often it holds.
    """
    ranges = bins(confidence, right, count)
    rows = np.array([bucket.rows for bucket in ranges])
    sure = np.array([bucket.confidence for bucket in ranges])
    gaps, share = sure - np.array([bucket.right for bucket in ranges]), rows / rows.sum()
    value = float((share * abs(gaps)).sum())
    usual = np.clip(sure - (share * gaps).sum(), 0.01, 0.99)
    likely = ((sure - gaps) * rows + 2 * usual) / (rows + 2)
    errors = np.sqrt(likely * (1 - likely) / rows)
    shape = _drawn_together(gaps, errors)
    truths = np.linspace(0, value + 4 * float((share * errors).sum()), STEPS)
    rates = np.clip(sure - shape * truths[:, None] / (share * abs(shape)).sum(), 0, 1)
    hits = np.random.default_rng(seed).binomial(rows, rates[:, None, :], size=(STEPS, DRAWS, len(rows)))
    drawn = (share * abs(sure - hits / rows)).sum(-1)
    tail, step = (1 - CONFIDENCE) / 2, truths[1]
    held = truths[((drawn >= value).mean(1) > tail) & ((drawn <= value).mean(1) > tail)]
    if not len(held):
        return Estimate(value, value, value)
    return Estimate(value, float(held[0] - step / 2 if held[0] else 0.0), float(held[-1] + step / 2))


def _drawn_together(gaps: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """(n,): gaps that were found with these standard errors, each drawn towards their mean by its share of the noise;
    never all 0."""
    weights = errors**-2.0
    mean = (weights * gaps).sum() / weights.sum()
    spread = (weights * (gaps - mean) ** 2).sum() - (len(gaps) - 1)
    between = max(0.0, spread / max(1e-12, weights.sum() - (weights**2).sum() / weights.sum()))
    found: np.ndarray = mean + between / (between + errors**2) * (gaps - mean)
    return found if found.any() else errors


def overconfidence(confidence: np.ndarray, right: np.ndarray) -> Estimate:
    """By how much a model is surer than it is right, mean over the rows; below 0 it is too careful. The interval is
    Student's of a mean."""
    return _mean(confidence - right)


def brier(confidence: np.ndarray, right: np.ndarray) -> Estimate:
    """The Brier score (1950) of being right: the squared distance of confidence from 1 where the answer is right, from
    0 where it is not, mean over the rows; 0 is perfect. The interval is Student's of a mean."""
    return _mean((confidence - right) ** 2)


def _mean(values: np.ndarray) -> Estimate:
    mean, rows = float(values.mean()), len(values)
    if rows < FEWEST_ROWS:
        return Estimate(mean, np.nan, np.nan)
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, rows - 1)) * float(values.std(ddof=1)) / np.sqrt(rows)
    return Estimate(mean, mean - half, mean + half)


def _numbers(confidence: np.ndarray, count: int) -> np.ndarray:
    """The number of each row's range; a confidence of 1 is in the last one."""
    return np.minimum((confidence * count).astype(np.int64), count - 1)
