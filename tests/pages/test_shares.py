"""Teacher and student as two dots a class, on a line with a scale."""

import re

import pytest

from pages import _explained, _pictures, _shares
from studio.evaluate.changes import ClassChange


def ticks(drawn: str) -> list[tuple[str, float]]:
    """What the scale says, and where."""
    return [(words.replace("\N{NO-BREAK SPACE}", " "), float(left))
            for left, words in re.findall(r'<span style="left:([\d.]+)%">([^<]+)</span>', drawn)]  # fmt: skip


def dots(drawn: str, role: str) -> list[float]:
    return [float(left) for left in re.findall(rf'class="{role}" style="left:([\d.]+)%', drawn)]


def change(first: float, second: float) -> ClassChange:
    return ClassChange(0, 50, first, second, second - first, None, None, 0, 0, False)


@pytest.mark.parametrize(
    ("first", "second", "said", "places"),
    [
        (0.4, 0.8, [("0 %", 0), ("50 %", 50), ("100 %", 100)], (40, 80)),
        (1.0, 0.95, [("90 %", 0), ("95 %", 50), ("100 %", 100)], (100, 50)),
    ],
)
def test_dots_stand_where_the_scale_above_them_says(first, second, said, places):
    for drawn in (_explained.class_changes([change(first, second)], ["a"]),
                  _pictures.class_changes([("a", first, second, 50)])):  # fmt: skip
        assert ticks(drawn) == said
        assert (dots(drawn, "teacher"), dots(drawn, "student")) == ([places[0]], [places[1]])


def test_no_dot_stands_before_the_scale_begins():
    for lowest in (0.0, 0.3, 0.5, 0.62, 0.8, 0.9, 0.99, 1.0):
        assert _shares.start([lowest, 1.0]) <= lowest
