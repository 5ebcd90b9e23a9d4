"""Pictures of single rows and of how far a model's word can be trusted, made of numbers."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from pages import _shares
from pages._language import _, counted
from pages._markup import Html, breaking, element, joined
from pages._scores import levels
from pages._words import change, commas, measured, per_cent, percent, role, upright
from studio.evaluate.calibration import Bin
from studio.evaluate.cascade import Point
from studio.evaluate.changes import ClassChange
from studio.kept.groups import Group
from studio.tasks import Measure

MOST_LABELS = 5
NAME_ABOVE, ROOM_RIGHT = 14, 75
"""Pixels from the end of a curve to the middle of its name; the per cent of a field behind which a name has no room."""


def class_changes(found: Sequence[ClassChange], labels: Sequence[str]) -> Html:
    """Teacher's and student's share of each class as two dots on a line; the difference with its interval."""
    start = _shares.start(share for class_change in found for share in (class_change.first, class_change.second))
    cells: list[Html] = [*_shares.scale(start)]
    for class_change in found:
        line = _shares.pair(class_change.first, class_change.second, start)
        both = {"before": f"{100 * class_change.first:.0f}", "after": f"{100 * class_change.second:.0f}"}
        if class_change.low is None or class_change.high is None:
            text = _("{before} → {after} %, too few rows for an interval", **both)
        else:
            text = _("{before} → {after} %, {low} to {high} points", low=change(class_change.low, "share"),
                     high=change(class_change.high, "share"), **both)  # fmt: skip
        rows = counted("{number} row", "{number} rows", class_change.rows)
        value = element("b", text) if class_change.is_clear else text
        label = labels[class_change.number]
        cells += [element("div", breaking(label), kind="label", title=label), line,
                  element("div", value, " · ", rows, kind="value")]  # fmt: skip
    return element("div", *cells, kind="ds-rows changes")


def difference(labels: Sequence[str], apart: np.ndarray) -> Html:
    """A table of counts with their signs: rows are true classes, columns what is said."""
    head = element("tr", element("th", _("true ↓ said →")), *(element("th", label, scope="col", title=label)
                   for label in labels))  # fmt: skip
    largest = max(1, int(abs(apart).max()))
    body = []
    for number, label in enumerate(labels):
        cells = []
        for column, value in enumerate(apart[number].tolist()):
            better = value > 0 if column == number else value < 0
            kind = "" if not value else "better" if better else "worse"
            text = f"{value:+,}".replace("-", "−") if value else "·"
            cells.append(element("td", text, kind=kind, style=f"--share:{abs(value) / largest:.2f}"))
        body.append(element("tr", element("th", breaking(label), scope="row", title=label), *cells))
    kind = f"ds-table apart {upright(labels)}"
    return element("div", element("table", head, *body), kind=kind, tabindex="0")


# --- rows


def group_title(group: Group, is_number: bool = False) -> str:
    """Who of the two is right; of numbers: near the label."""
    if is_number:
        return {"both": _("Both near"), "teacher": _("Only teacher near"), "student": _("Only student near"),
                "neither": _("Both far off")}[group]  # fmt: skip
    return {"both": _("Both right"), "teacher": _("Only teacher right"), "student": _("Only student right"),
            "neither": _("Both wrong")}[group]  # fmt: skip


def mosaic(counts: Mapping[Group, int], chosen: str, is_number: bool = False) -> Html:
    """Two by two: areas are rows, and nothing else. Above, the student is right; to the left, the teacher is. The
    numbers stand beside the picture, so that a group without rows takes no area."""
    columns = []
    for sides in (("both", "teacher"), ("student", "neither")):
        groups: list[Group] = [group for group in counts if group in sides and counts[group]]
        groups.sort(key=sides.index)
        cells = [element("div", kind=f"cell {group}{' chosen' if group == chosen else ''}",
                         style=f"flex-grow:{counts[group]}") for group in groups]  # fmt: skip
        if cells:
            width = sum(counts[group] for group in groups)
            columns.append(element("div", *cells, kind="column", style=f"flex-grow:{width}"))
    description = commas(f"{group_title(group, is_number)} {number:,}" for group, number in counts.items())
    names = [
        element("div", element("i", kind=f"cell {group}"), element("b", f"{number:,}"),
                element("span", group_title(group, is_number)), kind="name chosen" if group == chosen else "name")
        for group, number in counts.items()
    ]  # fmt: skip
    picture = element("div", *columns, kind="areas", role="img", aria_label=description)
    return element("div", picture, element("div", *names, kind="names"), kind="ds-mosaic")


def row_line(text: str, true: str, said: Mapping[str, tuple[str, float, bool]]) -> Html:
    """One row of a list: the input, what it is ("" where nobody can say), what each model says of it and how sure it
    is."""
    parts = [
        element("span", element("i", role(name)), " ", answer, " " if sure == sure else "",
                element("small", percent(sure)) if sure == sure else "", kind=f"said {name}{'' if right else ' wrong'}")
        for name, (answer, sure, right) in said.items()
    ]  # fmt: skip
    return element("div", element("p", text, kind="ds-text"),
                   element("p", *([element("span", _("Label"), " ", element("b", true), kind="said")] if true else []),
                           *parts, kind="ds-said-line"),
                   kind="ds-row")  # fmt: skip


def bars(shares: Mapping[str, float], name: str, true: Sequence[str] = ()) -> Html:
    """The likeliest labels of one model, a bar each; the true one is marked."""
    shown = dict(sorted(shares.items(), key=lambda pair: -pair[1])[:MOST_LABELS])
    shown |= {label: shares[label] for label in true if label in shares}
    lines: list[Html] = []
    for label, share in shown.items():
        mark = " ✓" if label in true else ""
        lines += [element("span", label + mark, kind="label", title=label),
                  element("span", element("i", style=f"width:{100 * share:.1f}%"), kind="bar"),
                  element("span", percent(share), kind="value")]  # fmt: skip
    return element("div", *lines, kind=f"ds-rows own {name}")


def tagged(words: Sequence[str], tags: Sequence[str]) -> Html:
    """A text with what is said of its words; words of no kind stay plain."""
    parts: list[Html | str] = []
    for word, tag in zip(words, tags, strict=False):
        parts += [word if tag == "O" else element("mark", word, element("small", tag)), " "]
    return element("p", *parts, kind="ds-tagged")


def opinion(name: str, said: str, note: str, inside: Html) -> Html:
    """A model's card: what it says, and how it comes to it."""
    return element("div", element("small", role(name)), element("p", said, kind="ds-lead"), inside,
                   element("p", note, kind="ds-sub"), kind=f"ds-model {name}")  # fmt: skip


# --- curves


def _field(
    *inside: Html, across: str, up: str, description: str, ticks: Sequence[tuple[float, str]], kind: str = ""
) -> Html:
    """Axes around what is drawn, across from 0 to 100 %; `ticks`: height from 0 to 1, and words."""
    lines = [
        element("div", element("span", words), kind="tick", style=f"bottom:{100 * place:.1f}%")
        for place, words in ticks
    ]
    lines += [element("span", f"{share}{per_cent()}", kind="across", style=f"left:{share}%") for share in (0, 50, 100)]
    return element(
        "figure",
        element("p", up, kind="ds-sub"),
        element("div", *lines, *inside, kind=f"ds-field curve {kind}"),
        element("p", across, kind="ds-axis"),
        kind="ds-plot",
        role="img",
        aria_label=description,
        style="margin:0",
    )


def _line(points: Sequence[tuple[float, float]], thick: float, kind: str) -> Html:
    """A curve through points, (right, up) in per cent of the field: two thin shapes that are cut out, one for where it
    rises and one for where it falls."""
    shapes = []
    for side in (thick, -thick):
        upper = [f"calc({x:.2f}% - {side}px) calc({100 - y:.2f}% - {thick}px)" for x, y in points]
        lower = [f"calc({x:.2f}% + {side}px) calc({100 - y:.2f}% + {thick}px)" for x, y in reversed(points)]
        shapes.append(element("i", style=f"clip-path:polygon({','.join([*upper, *lower])})"))
    return element("span", *shapes, kind=f"line {kind}")


def _dot(x: float, y: float, wide: float, kind: str = "dot") -> Html:
    return element("span", kind=kind, style=f"left:{x:.2f}%;bottom:{y:.2f}%;width:{wide:.0f}px;height:{wide:.0f}px")


def _named(words: str, x: float, y: float, right: bool = False, pixels: int = 0) -> Html:
    """A name in the field, beginning at a place, or ending there (`right`), so many pixels above it."""
    side = f"right:calc({100 - x:.2f}% + 10px)" if right else f"left:calc({x:.2f}% + 10px)"
    return element("span", words, kind="name", style=f"{side};bottom:calc({y:.2f}% + {pixels}px)")


def _alone(points: Sequence[tuple[float, float]], others: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The one of the points that is farthest from all others, where a name hides none of them."""
    return max(points, key=lambda point: min(math.dist(point, other) for other in others))


def reliability(found: Mapping[str, Sequence[Bin]], shown: str) -> Html:
    """How often a model is right where it is so and so sure: on the diagonal its word can be taken. A dot is a range of
    confidence, its area the rows in it, its line the 95 % interval; those of the other models are small and hollow, and
    named."""
    large = [(100 * bin_.confidence, 100 * bin_.right) for bin_ in found[shown]]
    inside: list[Html] = [element("span", kind="even")]
    for name, ranges in found.items():
        points = [(100 * bin_.confidence, 100 * bin_.right) for bin_ in ranges]
        marks = []
        if name != shown and points:
            x, y = _alone(points, large)
            marks = [*(_dot(*point, 9, "dot small") for point in points), _named(role(name), x, y, x > ROOM_RIGHT)]
        if name == shown:
            most = max(bin_.rows for bin_ in ranges)
            for bin_, (x, y) in zip(ranges, points, strict=True):
                high = 100 * (bin_.right_high - bin_.right_low)
                style = f"left:{x:.2f}%;bottom:{100 * bin_.right_low:.2f}%;height:{high:.2f}%"
                marks += [element("span", kind="range", style=style), _dot(x, y, 7 + 15 * (bin_.rows / most) ** 0.5)]
        inside.append(element("div", *marks, kind=name))
    description = "; ".join(
        counted(
            "{sure} sure, {right} right, {rows} row",
            "{sure} sure, {right} right, {rows} rows",
            bin_.rows,
            sure=percent(bin_.confidence),
            right=percent(bin_.right),
            rows=f"{bin_.rows:,}",
        )
        for bin_ in found[shown]
    )
    ticks = [(place / 4, f"{25 * place}{per_cent()}") for place in range(5)]
    return _field(
        *inside, across=_("how sure it is →"), up=_("how often it is right"), description=description, ticks=ticks
    )


def cascade(points: Sequence[Point], test: Sequence[Point], chosen: Point, measure: Measure) -> Html:
    """What both together reach, by the share of rows that the teacher is asked about: on validation rows, where the
    threshold is chosen, and on test rows."""
    values = [point.value for point in (*points, *test)]
    low, high = min(values), max(values)
    room = max(high - low, 0.01)
    low, high = low - 0.15 * room, high + 0.15 * room

    def place(point: Point) -> tuple[float, float]:
        return 100 * point.asked, 100 * (point.value - low) / (high - low)

    above = NAME_ABOVE if points[-1].value >= test[-1].value else -NAME_ABOVE
    inside = [
        element(
            "div",
            _line([place(point) for point in points], 0.75, "pale"),
            _named(_("validation rows"), *place(points[-1]), True, above),
            kind="control",
        ),
        element(
            "div",
            _line([place(point) for point in test], 1.5, ""),
            _dot(*place(chosen), 16),
            _named(_("test rows"), *place(test[-1]), True, -above),
            kind="student",
        ),
    ]
    ticks = [((value - low) / (high - low), words) for value, words in levels(low, high, measure)]
    description = _(
        "From {low} with the student alone to {high} with the teacher alone",
        low=measured(test[0].value, measure),
        high=measured(test[-1].value, measure),
    )
    return _field(
        *inside,
        across=_("share of rows that the teacher is asked about →"),
        up=_(measure.title),
        description=description,
        ticks=ticks,
        kind="wide",
    )


def parts(values: Mapping[str, float]) -> Html:
    """One bar in parts, named below: {teacher: 0.7, labels: 0.3}."""
    kinds = {"teacher": "t", "labels": "l"}
    shown = [element("div", kind=kinds[name], style=f"flex:{max(share, 0.001):.3f}") for name, share in values.items()]
    words = {"teacher": _("teacher"), "labels": _("labels")}
    said = [element("span", f"{words[name]} {percent(share)}") for name, share in values.items()]
    return element("div", element("div", *shown, kind="ds-split"), element("div", *said, kind="ds-said"))


def facts(rows: Sequence[tuple[str, str]]) -> Html:
    """Names and values, a line each."""
    return element("dl", joined(*(joined(element("dt", name), element("dd", value)) for name, value in rows)),
                   kind="ds-facts")  # fmt: skip
