"""The trials of a search in pictures: what each setting that was varied came to, and what the students weigh."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from pages import _run_pictures as run_pictures
from pages._language import _, counted
from pages._markup import Html, element
from pages._scores import levels
from pages._words import measured, size
from studio.config.run import RunConfig
from studio.config.sweep import Range, SweepConfig
from studio.service.sweeps import Tried
from studio.tasks import Measure

HEIGHT, APART, NEAR = 150, 1.05, 0.2
"""Pixels of a picture; the ratio of two sizes that differ; shares of its width in which two words would meet."""

Mark = tuple[float, str]
"""How far from the left, 0 to 1, something is written below."""


class Place(NamedTuple):
    """A trial in a picture: how far it stands from the left, 0 to 1, and what that is."""

    tried: Tried
    across: float
    words: str


def pictures(config: SweepConfig, found: Sequence[Tried], best: Tried | None, measure: Measure) -> Html:
    """A picture for each setting that was varied, and one by size where sizes differ; nothing for less than two
    trials that came to a number."""
    over = [tried for tried in found if tried.value is not None]
    if len(over) < 2:
        return Html("")
    drawn = []
    for name, space in config.search.items():
        title = _(RunConfig.model_fields[name].title or name)
        drawn.append(_picture(title, *_by_setting(over, name, space), best, measure))
    sizes = [tried.size_bytes for tried in over if tried.size_bytes]
    if len(sizes) == len(over) and max(sizes) > APART * min(sizes):
        drawn.append(_picture(_("Size"), *_by_size(over), best, measure))
    return element("div", *drawn, kind="ds-tried")


def since(found: Sequence[Tried], best: Tried) -> str:
    """How long nothing better has been found, which tells whether more trials are worth their time."""
    later = sum(
        tried.trial.number > best.trial.number and (tried.value is not None or tried.trial.pruned) for tried in found
    )
    number = best.trial.number + 1
    if not later:
        return _("The latest trial is the best one")
    return counted("Since trial {best}, {number} more did no better", "Since trial {best}, {number} more did no better",
                   later, best=number)  # fmt: skip


def _by_setting(over: Sequence[Tried], name: str, space: Range | tuple[Any, ...]) -> tuple[list[Place], list[Mark]]:
    """By the value of a setting: on its scale where it is a range, else one value beside the other."""
    values = [tried.trial.params[name] for tried in over]
    words = [run_pictures.setting_of(name, value) for value in values]
    if isinstance(space, Range):
        shares = [_share(value, space.low, space.high, space.log) for value in values]
        marks = [(0.0, run_pictures.setting_of(name, space.low)), (1.0, run_pictures.setting_of(name, space.high))]
    else:
        marks = [((number + 0.5) / len(space), run_pictures.setting_of(name, value))
                 for number, value in enumerate(space)]  # fmt: skip
        stands = {word: across for across, word in marks}
        shares = [stands.get(word, 0.0) for word in words]
    return [Place(*fields) for fields in zip(over, shares, words, strict=True)], marks


def _by_size(over: Sequence[Tried]) -> tuple[list[Place], list[Mark]]:
    weights = [tried.size_bytes or 1.0 for tried in over]
    low, high = min(weights), max(weights)
    shares = [_share(weight, low, high, log=True) for weight in weights]
    return [Place(*fields) for fields in zip(over, shares, map(size, weights), strict=True)], [
        (0, size(low)),
        (1, size(high)),
    ]


def _share(value: float, low: float, high: float, log: bool) -> float:
    """Where a value stands between two others.

    >>> _share(5, 0, 10, log=False), round(_share(1e-3, 1e-4, 1e-2, log=True), 3)
    (0.5, 0.5)
    """
    low, value, high = (math.log(number) if log else number for number in (low, value, high))
    return (value - low) / ((high - low) or 1)


def _picture(title: str, places: Sequence[Place], marked: Sequence[Mark], best: Tried | None, measure: Measure) -> Html:
    """The deciding measure (up) by something else (across); the best trial is filled and has its words below."""
    values = [place.tried.value or 0.0 for place in places]
    room = 0.1 * max(max(values) - min(values), 0.005)
    low, high = min(values) - room, max(values) + room
    marks = [_level(words, (value - low) / (high - low)) for value, words in levels(low, high, measure)]
    marks += [_dot(place, ((place.tried.value or 0.0) - low) / (high - low), place.tried is best, measure)
              for place in sorted(places, key=lambda place: place.tried is best)]  # fmt: skip
    marks += [element("span", words, kind="across", style=f"left:{100 * across:.1f}%")
              for across, words in _written(places, marked, best)]  # fmt: skip
    field = element("div", *marks, kind="ds-field", style=f"height:{HEIGHT}px")
    description = ", ".join(f"{place.words}: {measured(place.tried.value or 0.0, measure)}" for place in places)
    return element("figure", element("p", title, kind="ds-sub"), field, role="img", kind="ds-plot",
                   aria_label=f"{title}. {description}")  # fmt: skip


def _level(words: str, up: float) -> Html:
    return element("div", element("span", words), kind="tick", style=f"bottom:{HEIGHT * up:.0f}px")


def _dot(place: Place, up: float, is_best: bool, measure: Measure) -> Html:
    text = f"{_('Trial')} {place.tried.trial.number + 1}: {place.words}, {measured(place.tried.value or 0.0, measure)}"
    style = f"left:{100 * place.across:.1f}%;bottom:{HEIGHT * up:.0f}px"
    return element("div", element("div", kind="dot", style=style, title=text), kind="student" if is_best else "control")


def _written(places: Sequence[Place], marks: Sequence[Mark], best: Tried | None) -> list[Mark]:
    """What is written below: where the best one stands, and the marks that are far enough from it."""
    written = [(place.across, place.words) for place in places if place.tried is best]
    for mark in marks:
        if all(abs(mark[0] - across) > NEAR for across, _ in written):
            written.append(mark)
    return written
