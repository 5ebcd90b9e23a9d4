"""What is worth having where quality has a price: the Pareto front."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def front(points: Mapping[Key, tuple[float, float]]) -> list[Key]:
    """Those of (quality, cost) that no other one beats, the cheapest first: none is at least as good at no higher cost,
    and better in one of both. Of two that are alike both stay.

    >>> front({"a": (0.9, 10), "b": (0.8, 5), "c": (0.7, 7), "d": (0.9, 12), "e": (0.8, 5)})
    ['b', 'e', 'a']
    """
    kept = [
        key
        for key, (quality, cost) in points.items()
        if not any(
            better >= quality and cheaper <= cost and (better, cheaper) != (quality, cost)
            for better, cheaper in points.values()
        )
    ]
    return sorted(kept, key=lambda key: points[key][1])
