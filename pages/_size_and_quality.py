"""The models of a run by size and quality: where each stands, with its interval; and what several seeds reached."""

import itertools
import math
from collections.abc import Mapping, Sequence

from pages import _beside as beside
from pages._language import _, counted
from pages._markup import Html, element
from pages._scores import Scored, by_role, levels, times
from pages._words import commas, measured, size
from studio.tasks import Measure

HEIGHT = 190
"""Pixels between the lowest and the highest value of the picture of size and quality."""
LEFT, RIGHT = 10.0, 90.0
"""Per cent of its width where the smallest and the largest model stand."""
SAME_PLACE, DOT = 6.0, beside.DOT
"""Models nearer than this, in per cent, stand in one place; pixels of a dot."""
TOUCHING, BESIDE = 7, 2
"""Pixels from the middle of such a place: where one dot would hide another, and where only the intervals would."""
NAME_ROW, ABOVE, MOST_TICKS = 21, 14, 4
"""Pixels of a name; of the room above the highest value; how many sizes are written below, on a phone too."""
MOST_APART = 1.0
"""How far from the others the student before it learned may lie, as a share of what they take: they keep half of the
height."""
SEED_ROW = 44
"""Pixels of a model in the picture of several seeds."""


def sizes(models: Sequence[Scored], measure: Measure) -> Html:
    """All models of a run by size on disk (across) and the deciding measure (up), each with its name beside it. One
    without a size is a line across."""
    everybody, models = models, _near(models)
    placed = sorted((model for model in models if model.size_bytes), key=lambda model: -(model.size_bytes or 1))
    low, high = _range([end for model in models for end in (model.low, model.high)], measure)
    weights = [model.size_bytes or 1 for model in placed]
    across = [
        *zip(placed, _places(weights), strict=True),
        *((model, 100.0) for model in models if not model.size_bytes),
    ]
    marks: list[Html] = [_tick(words, _up(value, low, high)) for value, words in levels(low, high, measure)]
    marks += [_size_tick(bytes_, weights) for bytes_ in _round_sizes(weights)]
    points = []
    for model, place in across:
        near = [other for other, at in across if abs(at - place) < SAME_PLACE and other.size_bytes]
        aside = _aside(model, near, (low, high)) if model.size_bytes else 0
        height, lowest, highest = (_up(value, low, high) for value in (model.value, model.low, model.high))
        written = f"{model.name} {measured(model.value, measure)}"
        points.append(beside.Point(written, place, aside, height, lowest, highest, bool(model.size_bytes)))
    named = beside.places(points, HEIGHT + ABOVE)
    marks += [_mark(*triple, measure) for triple in zip((model for model, _ in across), points, named, strict=True)]
    rows = max((model.rows for model in models), default=0)
    words = counted("{measure} on {shown} test row, with the 95 % interval",
                    "{measure} on {shown} test rows, with the 95 % interval", rows, measure=_(measure.title),
                    shown=f"{rows:,}")  # fmt: skip
    words = _("{told}. Lower is better, and stands higher", told=words) if measure.lower else words
    for model in everybody:
        if model not in models:
            words = _("{told}. Outside the picture: {model} {value}", told=words, model=model.name,
                      value=measured(model.value, measure))  # fmt: skip
    above = max(round(place.height) - HEIGHT for place in named) + ABOVE
    field = element("div", *marks, kind="ds-field", style=f"height:{HEIGHT}px;margin-top:{max(ABOVE, above)}px")
    return element(
        "figure",
        element("p", finding(models, measure), kind="ds-lead"),
        element("p", words, kind="ds-sub"),
        field,
        element("p", _("size on disk →"), kind="ds-axis"),
        kind="ds-plot",
        role="img",
        style="margin:0",
        aria_label=f"{words}: " + commas(_told(model, measure) for model in models),
    )


def _near(models: Sequence[Scored]) -> list[Scored]:
    """Without the student before it learned where that is so far from all others that these would lie on one
    another."""
    ends = [end for model in models if model.role != "untouched" for end in (model.low, model.high)]
    low, high = min(ends, default=0.0), max(ends, default=0.0)
    far = MOST_APART * (high - low)
    return [model for model in models if model.role != "untouched" or low - far <= model.value <= high + far]


def finding(models: Sequence[Scored], measure: Measure) -> str:
    """What the picture of size and quality says.

    >>> accuracy = Measure("accuracy", "Accuracy", "")
    >>> finding([Scored("teacher", 0.9, 0.8, 1, 9, 9e6), Scored("student", 0.85, 0.8, 0.9, 9, 3e6)], accuracy)
    '3.0 times smaller, 5.0 points below'
    """
    known = by_role(models)
    if "teacher" not in known or "student" not in known:
        return _("Size and quality")
    teacher, student = known["teacher"], known["student"]
    quality = _quality(student.value - teacher.value, measure)
    if not teacher.size_bytes or not student.size_bytes:
        return quality[0].upper() + quality[1:]
    ratio = teacher.size_bytes / student.size_bytes
    if ratio >= 1:
        return _("{ratio} times smaller, {quality}", ratio=times(ratio), quality=quality)
    return _("{ratio} times larger, {quality}", ratio=times(1 / ratio), quality=quality)


def _quality(apart: float, measure: Measure) -> str:
    """How far the student is from its teacher."""
    if round(apart, 4) == 0:
        return _("the same score")
    if measure.unit == "share":
        points = f"{abs(100 * apart):.1f}"
        return _("{points} points above", points=points) if apart > 0 else _("{points} points below", points=points)
    number = f"{abs(apart):.3f}"
    if measure.lower:
        return _("{number} better", number=number) if apart > 0 else _("{number} worse", number=number)
    return _("{number} above", number=number) if apart > 0 else _("{number} below", number=number)


def _told(model: Scored, measure: Measure) -> str:
    weight = f", {size(model.size_bytes)}" if model.size_bytes else ""
    return f"{model.name} {measured(model.value, measure)}{weight}"


def _range(ends: Sequence[float], measure: Measure) -> tuple[float, float]:
    """The lowest and the highest value that are drawn: the intervals and a little room."""
    low, high = min(ends), max(ends)
    room = max(high - low, 0.02)
    low, high = low - 0.08 * room, high + 0.08 * room
    return (max(0.0, low), high) if measure.unit == "share" else (low, high)


def _places(weights: Sequence[float]) -> list[float]:
    """Where the models stand, in per cent of the width: by the logarithm of their size."""
    if not weights:
        return []
    low, high = math.log(min(weights)), math.log(max(weights))
    if high - low < 1e-6:
        return [50.0 for _ in weights]
    return [LEFT + (RIGHT - LEFT) * (math.log(weight) - low) / (high - low) for weight in weights]


def _round_sizes(weights: Sequence[float]) -> list[float]:
    """Powers of ten among the models; where they are alike, their own sizes.

    >>> _round_sizes([5e3, 14e6])
    [10000.0, 100000.0, 1000000.0, 10000000.0]
    >>> _round_sizes([6e6, 50e6])
    [6000000.0, 50000000.0]
    """
    if not weights:
        return []
    powers = [10.0**power for power in range(3, 13) if min(weights) / 1.2 <= 10**power <= max(weights) * 1.2]
    return powers[:: math.ceil(len(powers) / MOST_TICKS)] if len(powers) > 1 else sorted({min(weights), max(weights)})


def _size_tick(bytes_: float, weights: Sequence[float]) -> Html:
    low, high = math.log(min(weights)), math.log(max(weights))
    share = 0.5 if high - low < 1e-6 else (math.log(bytes_) - low) / (high - low)
    return element("span", size(bytes_), kind="across", style=f"left:{LEFT + (RIGHT - LEFT) * share:.1f}%")


def _up(value: float, low: float, high: float) -> float:
    return HEIGHT * (value - low) / (high - low)


def _tick(words: str, bottom: float) -> Html:
    return element("div", element("span", words), kind="tick", style=f"bottom:{bottom:.0f}px")


def _aside(model: Scored, near: Sequence[Scored], ends: tuple[float, float]) -> int:
    """Pixels by which a model stands beside the middle of its place, so that it hides none of those that share it."""
    heights = sorted(_up(other.value, *ends) for other in near)
    hidden = any(above - below < DOT for below, above in itertools.pairwise(heights))
    return round((2 * near.index(model) + 1 - len(near)) * (TOUCHING if hidden else BESIDE))


def _mark(model: Scored, point: beside.Point, place: beside.Place, measure: Measure) -> Html:
    """One model: its interval, its dot and its name, with a line between where they are far apart; of a model without a
    size, a line across."""
    left = f"left:calc({point.across:.1f}% + {point.aside:.0f}px)"
    stands = {
        "right": f"left:calc({point.across:.1f}% + {point.aside + beside.GAP:.0f}px)",
        "left": f"right:calc({100 - point.across:.1f}% - {point.aside - beside.GAP:.0f}px)",
        "over": f"left:{point.across:.1f}%;translate:-{point.across:.1f}% 0",
    }[place.side]
    words = (f"{model.name} ", element("i", measured(model.value, measure)))
    name = element("span", *words, kind="name", style=f"{stands};bottom:{place.height:.0f}px")
    if not point.is_dot:
        line = element("span", kind="tick", style=f"bottom:{point.height:.0f}px;border-top:2px dashed var(--own)")
        return element("div", line, name, kind=model.role)
    marks = [element("span", kind="range", style=f"{left};bottom:{point.low:.0f}px;"
                                                 f"height:{max(2, point.high - point.low):.0f}px")]  # fmt: skip
    if place.height > point.high + NAME_ROW:
        high = place.height - point.high
        marks.append(element("span", kind="leader", style=f"{left};bottom:{point.high:.0f}px;height:{high:.0f}px"))
    dot = element("span", kind="dot", style=f"{left};bottom:{point.height:.0f}px")
    return element("div", *marks, name, dot, kind=model.role)


# --- several seeds


def seeds(models: Sequence[Scored], of_seeds: Mapping[str, Sequence[float]], measure: Measure) -> Html:
    """Student and control under each seed: a dot a seed, and a line where their mean is."""
    shown = [model for model in models if model.role in of_seeds]
    values = [value for model in shown for value in of_seeds[model.role]]
    low, high = min(values), max(values)
    room = max(high - low, 0.01)
    low, high, height = low - 0.15 * room, high + 0.15 * room, SEED_ROW * len(shown)
    marks: list[Html] = []
    for number, model in enumerate(reversed(shown)):
        bottom = SEED_ROW * number + SEED_ROW // 2
        places = [100 * (value - low) / (high - low) for value in of_seeds[model.role]]
        mean = 100 * (model.value - low) / (high - low)
        line = element("span", kind="range", style=f"left:{mean:.1f}%;bottom:{bottom - 14}px;height:28px")
        dots = [element("span", kind="dot", style=f"left:{place:.1f}%;bottom:{bottom}px") for place in places]
        name = element("span", model.name, kind="name", style=f"right:calc(100% + 8px);bottom:{bottom}px")
        marks.append(element("div", line, *dots, name, kind=model.role))
    ends = [element("span", measured(value, measure), kind="across", style=f"left:{place}%")
            for value, place in ((low, 0), (high, 100))]  # fmt: skip
    scores = "; ".join(
        f"{model.name} " + commas(measured(value, measure) for value in of_seeds[model.role]) for model in shown
    )
    words = _("{measure} on the test rows: a dot for each seed, a line for their mean", measure=_(measure.title))
    apart = max(max(of_seeds[model.role]) - min(of_seeds[model.role]) for model in shown)
    finding = _("Another seed moves the same model by up to {much}", much=size_of(apart, measure))
    field = element("div", *marks, *ends, kind="ds-field", style=f"height:{height}px;margin:0.8rem 3rem 1.6rem 8rem")
    return element("figure", element("p", finding, kind="ds-lead"), element("p", words, kind="ds-sub"), field,
                   kind="ds-plot", role="img", style="margin:0", aria_label=f"{words}: {scores}")  # fmt: skip


def size_of(difference: float, measure: Measure) -> str:
    """How large a difference is, whichever way: of shares in points."""
    much = abs(measure.shown(difference))
    return _("{points} points", points=f"{100 * much:.1f}") if measure.unit == "share" else f"{much:.3f}"
