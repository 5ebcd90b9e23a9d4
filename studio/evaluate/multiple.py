"""Several tests at once: among many p-values some are small by chance alone."""

from collections.abc import Sequence

SIGNIFICANT = 0.05
"""Better and worse need an exact test below this, beside an interval without 0."""


def holm(p_values: Sequence[float], of: int = 0) -> list[float]:
    """The p-values, each raised so that with all of them together a false finding is as rare as one test promises
    (Holm, 1979). `of`: how many tests they were picked from, where those are more; the others are taken for the least
    clear ones, which raises no p-value too little.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    >>> [round(p, 3) for p in holm([0.01, 0.04], of=3)]
    [0.03, 0.08]
    """
    tests = max(of, len(p_values))
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    raised, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (tests - rank) * p_values[place]))
        raised[place] = least
    return raised
