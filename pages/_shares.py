"""The shares of rows that teacher and student get right, of a class: two dots on a line that has a scale."""

from collections.abc import Iterable

from pages._markup import Html, element
from pages._words import per_cent

STARTS = (0.9, 0.8, 0.5)
"""Where the scale may begin, in place of 0, so that classes of which nearly all rows are right can be told apart."""


def start(shares: Iterable[float]) -> float:
    """Where the scale of these shares begins: below all of them.

    >>> start([0.97, 1.0]), start([0.85, 0.9]), start([0.5, 0.9])
    (0.9, 0.8, 0.0)
    """
    lowest = min(shares, default=0.0)
    return next((candidate for candidate in STARTS if candidate < lowest), 0.0)


def scale(first: float) -> tuple[Html, Html, Html]:
    """The line above all classes, which says where the scale begins, its middle and its end."""
    marks = [element("span", f"{100 * value:.0f}{per_cent()}", style=f"left:{_place(value, first):.1f}%")
             for value in (first, (1 + first) / 2, 1.0)]  # fmt: skip
    return element("div", kind="label"), element("div", *marks, kind="pair scale"), element("div", kind="value")


def pair(teacher: float, student: float, first: float) -> Html:
    """Both on a line; one that is where the other one is lies within it."""
    low, high = sorted((_place(teacher, first), _place(student, first)))
    return element(
        "div",
        element("i", style=f"left:{low:.1f}%;width:{high - low:.1f}%"),
        element("u", kind="teacher", style=f"left:{_place(teacher, first):.1f}%"),
        element("u", kind="student", style=f"left:{_place(student, first):.1f}%"),
        kind="pair",
    )


def _place(share: float, first: float) -> float:
    """Where a share stands on the scale, in per cent of the width."""
    return 100 * (share - first) / (1 - first)
