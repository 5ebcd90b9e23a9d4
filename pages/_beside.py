"""Where the names of points stand in a picture whose width nobody knows: as near to their points as can be, none on
another name or on a point, and of names above each other that of the higher point is the higher one."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from pages._words import letters

WIDTHS = (230, 380, 900)
"""Pixels that the picture is wide on a phone, beside a text, and alone: names stand apart in each."""
LETTER, NAME_HIGH, GAP, OUTSIDE = 7, 18, 12, 12
"""Pixels of a letter and of a name's height; between a point and its name; by which a name may leave the picture."""
DOT = 16
STEP, LOWEST = 3, 6
"""Pixels between two heights that are tried, and the lowest one."""
LIFTS = range(0, 64, 9)
"""Pixels above their points at which names want to begin."""
OTHER_SIDE, OVER, CROSSING = 6, 14, 25
"""What a place costs, in pixels further away: on the other side, above or below the point, across a line."""

Side = Literal["right", "left", "over"]


class Point(NamedTuple):
    """A point: per cent of the width and pixels beside that; its height and the ends of its interval in pixels. Not
    `is_dot`: a line over the whole width, whose name stands at its right end."""

    name: str
    across: float
    aside: float
    height: float
    low: float
    high: float
    is_dot: bool = True


class Place(NamedTuple):
    """Where a name stands: at which side of its point, and the height of its middle."""

    side: Side
    height: float


class _Box(NamedTuple):
    """Per cent of the width, and pixels from there to either end; two heights."""

    across: float
    left: float
    right: float
    low: float
    high: float

    def is_beside(self, other: "_Box", width: float) -> bool:
        """Whether the two share some of the width."""
        apart = (self.across - other.across) * width / 100
        return apart + self.left < other.right and other.left < apart + self.right

    def meets(self, other: "_Box") -> bool:
        return self.low < other.high and other.low < self.high and any(self.is_beside(other, width) for width in WIDTHS)


def places(points: Sequence[Point], highest: float) -> list[Place]:
    """A place for each name. Where many points are alike their names begin above them, so that all are near."""
    best, least = [], float("inf")
    for lift in LIFTS:
        found = _from_above(points, highest, lift)
        away = sum(abs(place.height - point.height) for place, point in zip(found, points, strict=True))
        if away < least:
            best, least = found, away
        if least < NAME_HIGH:
            break
    return best


def _from_above(points: Sequence[Point], highest: float, lift: float) -> list[Place]:
    """A place for each name, those of high points first, as near as can be to a height above their points; above
    `highest`, a row each, where there is none."""
    dots = [
        _Box(point.across, point.aside - DOT / 2, point.aside + DOT / 2, point.height - DOT / 2, point.height + DOT / 2)
        for point in points
        if point.is_dot
    ]
    lines = [_Box(point.across, point.aside - 1, point.aside + 1, point.low, point.high) if point.is_dot
             else _Box(0, 0, WIDTHS[-1], point.height - 1, point.height + 1) for point in points]  # fmt: skip
    taken: list[_Box] = []
    found: dict[int, Place] = {}
    for number in sorted(range(len(points)), key=lambda number: -points[number].height):
        point = points[number]
        row = highest + NAME_HIGH * (1 + sum(box.low > highest for box in taken))
        found[number], least = Place("over", row), float("inf")
        for place, cost in _near(point, highest, lift):
            if cost >= least:
                break
            box = _box(point, place)
            if _is_free(box, taken, dots):
                cost += CROSSING * sum(box.meets(line) for line in lines)
                found[number], least = (place, cost) if cost < least else (found[number], least)
        taken.append(_box(point, found[number]))
    return [found[number] for number in range(len(points))]


def _near(point: Point, highest: float, lift: float) -> Iterator[tuple[Place, float]]:
    """Places for a name with what they cost, the nearest first."""
    usual: Side = "right" if point.across <= 50 else "left"
    other: Side = "left" if usual == "right" else "right"
    sides: dict[Side, int] = {usual: 0, other: OTHER_SIDE, "over": OVER}
    heights: list[float] = [LOWEST + STEP * turn for turn in range(int(highest - LOWEST) // STEP + 1)]
    heights += [point.height] if LOWEST <= point.height <= highest else []
    tried = [(Place(side, height), cost + abs(height - point.height - lift))
             for side, cost in sides.items() for height in heights]  # fmt: skip
    yield from sorted(tried, key=lambda pair: pair[1])


def _box(point: Point, place: Place) -> _Box:
    """What a name covers."""
    wide = LETTER * letters(point.name)
    left = {"right": GAP, "left": -GAP - wide, "over": -wide * point.across / 100}[place.side]
    start = point.aside * (place.side != "over") + left
    return _Box(point.across, start, start + wide, place.height - NAME_HIGH / 2, place.height + NAME_HIGH / 2)


def _is_free(box: _Box, names: Sequence[_Box], dots: Sequence[_Box]) -> bool:
    """Whether a name lies within the picture, on nothing, and below those above it: those of higher points."""
    for width in WIDTHS:
        start = box.across * width / 100
        if start + box.left < 0 or start + box.right > width + OUTSIDE:
            return False
        if any(box.is_beside(name, width) and box.high > name.low for name in names):
            return False
    return not any(box.meets(dot) for dot in dots)
