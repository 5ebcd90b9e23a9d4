"""Whether a model was still getting better when its training ended."""

from collections.abc import Sequence

from scipy import stats

TAIL = 1 / 3
FEWEST_POINTS = 4
LEAST_RISE = 0.01
"""One point of a share: what rises by less over the last third of a training has stopped for all that matters."""

FEWEST_ROWS = 2
"""So many validation rows must have turned right: a curve is a staircase of single rows, and one step is no trend."""

CHANCE = 0.05


def still_improving(points: Sequence[tuple[int, float]], rows: int | None = None) -> bool:
    """Whether a curve of validation values, (step, value) each, still rises at its end.

    Looked at is the last third of the steps, and at least the last four values. It rises where a straight line through
    them gains at least 0.01 (one point of a share), and as much as two of the `rows` are where that is known, and its
    slope is no chance (one-sided t-test, p < 0.05). With fewer than four values: where the last one is the best by as
    much.

    >>> still_improving([(step, 0.5 + 0.02 * step) for step in range(10)])
    True
    >>> still_improving([(step, 0.9 - 0.4 * 0.5**step) for step in range(12)])
    False
    >>> still_improving([(0, 0.1), (10, 0.4), (20, 0.6)]), still_improving([(0, 0.1), (10, 0.6), (20, 0.6)])
    (True, False)
    >>> staircase = [(step, 0.875 if step < 25 else 0.8875) for step in range(30)]
    >>> still_improving(staircase), still_improving(staircase, rows=80)
    (True, False)
    """
    least = max(LEAST_RISE, FEWEST_ROWS / rows if rows else 0)
    if len(points) < FEWEST_POINTS:
        earlier = [value for _, value in points[:-1]]
        return bool(earlier) and points[-1][1] - max(earlier) >= least
    first, last = points[0][0], points[-1][0]
    tail = [point for point in points if point[0] >= last - TAIL * (last - first)]
    tail = tail if len(tail) >= FEWEST_POINTS else list(points[-FEWEST_POINTS:])
    steps, values = zip(*tail, strict=True)
    line = stats.linregress(steps, values, alternative="greater")
    return bool(line.slope * (steps[-1] - steps[0]) >= least and line.pvalue < CHANCE)
