"""Names beside their points, in pictures of any width."""

import itertools

import pytest

from pages import _beside as beside
from pages._beside import Point

HIGHEST = 204
DEMO = [
    Point("Teacher 90.6 %", 90, 0, 150, 135, 162),
    Point("Baseline 76.7 %", 27, 0, 90, 65, 110),
    Point("Without teacher 66.2 %", 10.5, 0, 40, 15, 66),
    Point("Student 88.5 %", 10, 0, 140, 122, 155),
]
ALIKE = [
    Point("教师模型 97.6 %", 90, 0, 150, 135, 162),
    Point("Baseline 97.5 %", 100, 0, 149, 149, 149, is_dot=False),
    *(Point(f"Model {number} 97.5 %", 10, 14 * number - 14, 149, 133, 160) for number in range(3)),
]
CROWD = [Point(f"Model number {number}", 50, 0, 10 + number, 8, 12) for number in range(14)]


def boxes(points: list[Point], width: float) -> list[tuple[float, float, float, float]]:
    """Left, right, low and high of each name in pixels."""
    found = []
    for point, place in zip(points, beside.places(points, HIGHEST), strict=True):
        wide, middle = 7 * sum(1 + (letter > "\u2fff") for letter in point.name), point.across * width / 100
        left = {"right": middle + point.aside + beside.GAP, "left": middle + point.aside - beside.GAP - wide,
                "over": middle - wide * point.across / 100}[place.side]  # fmt: skip
        found.append((left, left + wide, place.height - 9, place.height + 9))
    return found


def meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


@pytest.mark.parametrize("width", beside.WIDTHS)
@pytest.mark.parametrize("points", [DEMO, ALIKE, CROWD])
def test_no_name_lies_on_another_one_or_on_a_point(points, width):
    names = boxes(points, width)
    assert not any(meet(*both) for both in itertools.combinations(names, 2))
    if points is not CROWD:
        dots = [(one.across * width / 100 + one.aside - 8, one.across * width / 100 + one.aside + 8, one.height - 8,
                 one.height + 8) for one in points if one.is_dot]  # fmt: skip
        assert not any(meet(name, dot) for name in names for dot in dots)


def test_a_name_stands_beside_its_point_and_of_two_above_each_other_the_better_one_is_above():
    heights = {point.name: place.height for point, place in zip(DEMO, beside.places(DEMO, HIGHEST), strict=True)}
    assert all(abs(heights[point.name] - point.height) < beside.NAME_HIGH for point in DEMO)
    assert sorted(heights, key=heights.__getitem__) == [
        point.name for point in sorted(DEMO, key=lambda one: one.height)
    ]


def test_names_of_points_that_are_alike_stand_around_them():
    heights = [place.height for place in beside.places(ALIKE, HIGHEST)[2:]]
    assert min(heights) < 149 < max(heights)


def test_where_there_is_no_place_beside_them_names_have_rows_above_the_picture():
    assert max(place.height for place in beside.places(CROWD, HIGHEST)) > HIGHEST
