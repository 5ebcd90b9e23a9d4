"""Runs in one picture: curves overlaid, quality against its price, settings beside what they brought."""

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_origin

import numpy as np
import plotly.graph_objects as go

from pages import _charts as charts
from pages._language import N_, _, retell
from pages._scores import milliseconds, small
from pages._words import commas, data_name, listed, measured, model, size
from studio import tasks
from studio.config import plan
from studio.config.methods import LOSSES
from studio.config.run import RunConfig
from studio.language import escaping
from studio.service import comparison
from studio.service.comparison import Curve, Side, smoothed
from studio.tasks import Measure

PALETTE = ("#0d9488", "#7c3aed", "#2563eb", "#be123c", "#65a30d", "#a16207", "#0891b2", "#c026d3", "#4d7c0f", "#7c8794")
"""Told apart 3 : 1 from light and from dark ground; orange is the teacher's, and no run's."""

HEIGHT, NAMES, LONGEST_LABEL = 340, 12, 18
MOST_TICKS = 5
SAME_PLACE = 1e-6


def curves(grouped: Sequence[Sequence[Curve]], names: Sequence[str], by_time: bool, weight: float,
           measure: Measure) -> go.Figure:  # fmt: skip
    """The deciding measure of each student on validation rows. Seeds of one kind are one line, their mean, in a band
    from the lowest to the highest of them."""
    figure = _figure(_("minutes") if by_time else _("step")).update_xaxes(nticks=3, tickangle=0)
    scale = _in_unit(figure.update_yaxes, measure)
    for number, (together, name) in enumerate(zip(grouped, names, strict=True)):
        lines = [_line(curve, by_time, weight, scale) for curve in together if curve.steps]
        if not lines:
            continue
        colour = PALETTE[number % len(PALETTE)]
        across, low, middle, high = _band(lines)
        if len(lines) > 1:
            figure.add_scatter(x=[*across, *across[::-1]], y=[*high, *low[::-1]], fill="toself", line={"width": 0},
                               fillcolor=colour, opacity=0.18, hoverinfo="skip", name="")  # fmt: skip
        figure.add_scatter(x=across, y=middle, name=_label(name), mode="lines", opacity=1,
                           line={"color": colour, "width": 2.5},
                           hovertemplate="%{y:.1f}" if scale == 100 else "%{y:.3f}")  # fmt: skip
    drawn = figure.data
    figure.data = [line for line in drawn if line.name]
    charts.named_in_the_margin(figure)
    return go.Figure(data=drawn, layout=figure.layout)


def _label(name: str) -> str:
    """A name short enough to stand beside what it names: its ends, since names of runs often begin or end alike. It has
    no comma with a blank, at which the name of a curve would be cut.

    >>> _label("Small, correlations of answers")
    'Small,\\xa0co…answers'
    """
    half = LONGEST_LABEL // 2
    shown = name if len(name) <= LONGEST_LABEL else f"{name[:half].rstrip()}…{name[-half + 1 :].lstrip()}"
    return escaping.in_chart(shown).replace(", ", ",\N{NO-BREAK SPACE}")


def _line(curve: Curve, by_time: bool, weight: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    across = np.array(curve.seconds) / 60 if by_time else np.array(curve.steps, dtype=float)
    return across, scale * np.array(smoothed(curve.values, weight))


def _band(lines: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[list[float], ...]:
    """(across, lowest, mean, highest), where all lines have values; between two looks a line is straight."""
    if len(lines) == 1:
        across, values = (part.tolist() for part in lines[0])
        return across, values, values, values
    first, last = max(line[0][0] for line in lines), min(line[0][-1] for line in lines)
    places = np.unique(np.concatenate([line[0] for line in lines]))
    places = places[(places >= first) & (places <= last)]
    values = np.array([np.interp(places, *line) for line in lines])
    return places.tolist(), *(part.tolist() for part in (values.min(0), values.mean(0), values.max(0)))


MS_OF_A_MILLION = 3.6
"""A million rows of so many milliseconds each take an hour."""


def price(compared: Sequence[Side], front: Sequence[int], cost: str, measure: Measure,
          hourly: float | None = None) -> go.Figure:  # fmt: skip
    """Each student by what it costs and how good it is, what is better higher; those that no other one beats are
    joined. `hourly`: time is told as what a million rows cost at so much an hour."""
    across = _("size on disk, kB") if cost == "student_bytes" else _("milliseconds for one row")
    figure = _figure(across if hourly is None else _("cost of a million answers"))
    scale = _in_unit(figure.update_yaxes, measure)
    if measure.lower:
        figure.update_yaxes(autorange="reversed")
    unit = 1e3 if cost == "student_bytes" else 1.0 if hourly is None else MS_OF_A_MILLION / hourly
    figure.update_xaxes(type="log")
    known = {side.run.id: side for side in compared if _point(side, cost)}
    joined = [known[run_id] for run_id in front if run_id in known]
    places = [_point(side, cost) or (0.0, 0.0) for side in joined]
    figure.add_scatter(x=[spent / unit for spent, _value in places], y=[scale * value for _spent, value in places],
                       mode="lines", line={"color": charts.COLOURS["student"], "dash": "dot", "width": 2},
                       hoverinfo="skip")  # fmt: skip
    spread = [np.log10(point[0] / unit) for side in known.values() if (point := _point(side, cost))]
    middle = np.mean([min(spread), max(spread)]) + SAME_PLACE if spread else 0.0
    named = []
    for side in known.values():
        spent, value = _point(side, cost) or (0.0, 0.0)
        on_front, place = side.run.id in front, np.log10(spent / unit)
        amount = size(spent) if cost == "student_bytes" else milliseconds(spent)
        amount = amount if hourly is None else _("{cost} for a million", cost=f"{spent / unit:.3g}")
        figure.add_scatter(
            x=[spent / unit], y=[scale * value], mode="markers",
            marker={"size": 12, "color": charts.COLOURS["student" if on_front else "control"],
                    "symbol": "circle" if on_front else "circle-open", "line": {"width": 2}},
            error_y=_error(side, scale),
            hovertemplate=f"{escaping.in_chart(side.name)}: {measured(value, measure)}, {amount}<extra></extra>",
        )  # fmt: skip
        is_left = place > middle  # there the name has room left
        named.append(charts.Named(place, scale * value, value, _label(side.name), is_left, is_below=not is_left))
    if 0 < len(named) <= NAMES:
        charts.named_beside(figure, named, _pixel(list(known.values())))
    if spread:
        low, high = min(spread), max(spread)
        ends = low - 0.15 - 0.3 * (high - low), high + 0.15 + 0.3 * (high - low)
        figure.update_xaxes(range=ends, tickvals=_ticks(*ends) or sorted({float(f"{10**tick:.3g}") for tick in spread}),
                            tickformat=",~g", tickangle=0)  # fmt: skip
    return figure.update_layout(showlegend=False, hovermode="closest")


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two logarithms, as many as can be read on a phone; none where there is but one.

    >>> _ticks(1.3, 4.1), _ticks(1.0, 2.0)
    ([100.0, 1000.0, 10000.0], [10.0, 20.0, 50.0, 100.0])
    """
    for firsts in ((1, 2, 5), (1, 5), (1,)):
        ticks = [first * 10.0**power for power in range(-4, 10) for first in firsts]
        shown = [tick for tick in ticks if low <= math.log10(tick) <= high]
        if len(shown) <= MOST_TICKS:
            break
    return shown if len(shown) > 1 else []


def _point(side: Side, cost: str) -> tuple[float, float] | None:
    """(cost, quality) of a student, where both were measured."""
    if side.summary is None or side.summary.student is None:
        return None
    spent = getattr(side.summary, cost)
    return None if not spent else (spent, side.summary.student)


def _pixel(compared: Sequence[Side]) -> float:
    """How much of the scale of quality a pixel is."""
    found = [side.summary for side in compared if side.summary]
    ends = [end for summary in found for end in (summary.student, summary.low, summary.high) if end is not None]
    return (max(ends) - min(ends)) / (HEIGHT - charts.AXIS) or 1


def _error(side: Side, scale: float) -> dict[str, Any] | None:
    found = side.summary
    if found is None or found.student is None or found.low is None or found.high is None:
        return None
    return {
        **charts.whiskers([(found.student, found.low, found.high)], scale),
        "thickness": 1,
        "width": 0,
        "color": "#7c8794",
    }


def worth_having(compared: Sequence[Side], cost: str, measure: Measure, clear: bool | None) -> list[int]:
    """The runs that no other one beats, the cheapest first. Of those whose numbers read alike the cheapest alone,
    unless the best is better by more than chance (`clear`)."""
    front = comparison.front(compared, cost)
    if clear:
        return front
    points = {side.run.id: point for side in compared if (point := _point(side, cost))}
    least: dict[str, float] = {}
    for spent, value in (points[run_id] for run_id in front):
        least.setdefault(measured(value, measure), spent)
    return [run_id for run_id in front if points[run_id][0] == least[measured(points[run_id][1], measure)]]


def finding(compared: Sequence[Side], front: Sequence[int], cost: str, measure: Measure,
            clear: bool | None = None) -> str:  # fmt: skip
    """What the picture of quality and price says, in a sentence. `clear`: whether the best is better than every other
    one by more than chance, None where that was not tested."""
    names = {side.run.id: side.name for side in compared}
    on_front = [names[run_id] for run_id in front]
    cheap = _("smaller") if cost == "student_bytes" else _("faster")
    if len(on_front) == 1:
        values = [point[1] for side in compared if (point := _point(side, cost))]
        if len(values) == 1 < len(compared):
            return _("Only “{name}” has both numbers", name=on_front[0])
        is_tie = [measured(value, measure) for value in values].count(measured(max(values), measure)) > 1
        if is_tie and not clear:
            return _("“{name}” is as good as the best, and no other one is {cheaper}", name=on_front[0], cheaper=cheap)
        if clear is False:
            return _("“{name}” scored best, which may be chance, and no other one is {cheaper}",
                     name=on_front[0], cheaper=cheap)  # fmt: skip
        return _("“{name}” scored best, and no other one is {cheaper}", name=on_front[0], cheaper=cheap)
    if len({_point(side, cost) for side in compared}) == 1:
        return _("All of them are equally good, and none is {cheaper}", cheaper=cheap)
    if len(on_front) == len(compared):
        return _("Each has its place: what is {cheaper} is less good", cheaper=cheap)
    quoted = listed([_("“{name}”", name=name) for name in on_front[:3]])
    text = _("{names} are worth having; the others are beaten", names=quoted)
    return text if len(on_front) <= 3 else _("{count} of {all} are worth having; the others are beaten",
                                             count=len(on_front), all=len(compared))  # fmt: skip


def parallel(compared: Sequence[Side], differing: Mapping[str, Sequence[Any]], titles: Mapping[str, str],
             measure: Measure) -> go.Figure | None:  # fmt: skip
    """An axis for each setting that differs, then quality, size and time where they can be compared; a line for
    each run, the better the stronger (Inselberg, 1985). None where there is too little to draw."""
    shown = [place for place, side in enumerate(compared) if side.summary and side.summary.student is not None]
    if len(shown) < 3 or not differing:
        return None
    axes = [_axis(titles[name], [values[place] for place in shown]) for name, values in list(differing.items())[:6]]
    found = [summary for place in shown if (summary := compared[place].summary)]
    quality = [summary.student or 0.0 for summary in found]
    axes.append(of_quality(quality, measure))
    if not comparison.of_earlier_versions(compared):  # sizes that were counted in two ways cannot be compared
        axes.append(_axis(_("size, kB"), [(summary.student_bytes or 0) / 1e3 for summary in found]))
    if len(comparison.runtimes(compared)) < 2:
        axes.append(_axis(_("milliseconds"), [summary.student_ms or 0 for summary in found]))
    axes.insert(0, _of_runs([compared[place].name for place in shown], quality))
    figure = _figure("")
    best, worst = max(quality), min(quality)
    for number, summary in enumerate(found):
        heights = [axis.heights[number] for axis in axes]
        good = (quality[number] - worst) / (best - worst) if best > worst else 1.0
        name = compared[shown[number]].name
        score = measured(summary.student or 0.0, measure)
        figure.add_scatter(
            x=list(range(len(axes))), y=heights, mode="lines+markers", marker={"size": 7},
            line={"color": charts.COLOURS["student"] if good == 1 else charts.COLOURS["control"],
                  "width": 1.5 + 2 * good},
            opacity=0.35 + 0.65 * good, hovertemplate=f"{escaping.in_chart(name)}: {score}<extra></extra>",
        )  # fmt: skip
    for place, axis in enumerate(axes):
        _draw(figure, place, axis)
    figure.update_xaxes(tickvals=list(range(len(axes))), ticktext=[axis.title for axis in axes], side="top", title="",
                        showgrid=False, range=[-0.1, len(axes) - 0.6])  # fmt: skip
    figure.update_yaxes(visible=False, range=[-0.15, 1.15])
    widest = max((len(label) for _height, label in axes[0].ticks), default=0)
    return figure.update_layout(showlegend=False, hovermode="closest", margin_l=charts.LETTER * widest)


def _draw(figure: go.Figure, place: int, axis: "_Axis") -> None:
    """A line, and what is written at its heights: of the runs left of it, of others beyond its ends and beside it."""
    figure.add_shape(type="line", x0=place, x1=place, y0=0, y1=1, layer="below",
                     line={"color": charts.COLOURS["control"], "width": 1})  # fmt: skip
    beyond = {0.0: {"yshift": -14}, 1.0: {"yshift": 14}} if place else {}
    beside = {"xanchor": "left", "xshift": 6} if place else {"xanchor": "right", "xshift": -8}
    for height, label in axis.ticks:
        where = beyond.get(height, beside)
        figure.add_annotation(x=place, y=height, text=label, font_size=12, showarrow=False, **where)


@dataclass(frozen=True)
class _Axis:
    """An axis of the picture: where each run is, 0 below to 1 above, and what is written at which height."""

    title: str
    heights: list[float]
    ticks: list[tuple[float, str]]


def _of_runs(names: Sequence[str], quality: Sequence[float]) -> _Axis:
    """The axis of the runs themselves, the best on top; of many no name is written."""
    order = sorted(range(len(names)), key=lambda place: quality[place])
    heights = [order.index(place) / (len(names) - 1) for place in range(len(names))]
    ticks = zip(heights, map(_label, names), strict=True)
    return _Axis(_("Run"), heights, list(ticks) if len(names) <= NAMES else [])


def of_quality(values: Sequence[float], measure: Measure) -> _Axis:
    """The axis of a measure: what is better stands higher, also where that is the smaller number."""
    scale = 100.0 if measure.unit == "share" else 1.0
    axis = _axis(f"{_(measure.title)}{', %' if scale == 100 else ''}", [round(scale * value, 2) for value in values])
    if not measure.lower:
        return axis
    ends = {0.0: min(values), 1.0: max(values)} if min(values) < max(values) else {0.5: values[0]}
    return replace(axis, ticks=[(height, f"{measure.shown(value):.3g}") for height, value in ends.items()])


def _axis(title: str, values: Sequence[Any]) -> _Axis:
    """Of numbers from the lowest to the highest; of anything else a place for each value, as they come."""
    if all(isinstance(value, numbers.Real) and not isinstance(value, bool) for value in values):
        low, high = float(min(values)), float(max(values))
        heights = [(float(value) - low) / (high - low) if high > low else 0.5 for value in values]
        ends = [(0.0, _number(low)), (1.0, _number(high))] if high > low else [(0.5, _number(low))]
        return _Axis(escaping.in_chart(title), heights, ends)
    texts = [setting(value) for value in values]
    kinds = list(dict.fromkeys(texts))
    step = 1 / max(1, len(kinds) - 1)
    names = escaping.in_charts(kinds)
    ticks = [(number * step, name) for number, name in enumerate(names)]
    return _Axis(escaping.in_chart(title), [kinds.index(text) * step for text in texts], ticks)


def _number(value: float) -> str:
    """A number at the end of an axis.

    >>> _number(2656.4), _number(0.14412)
    ('2,656', '0.144')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


CHANGES = {
    "word_dropout": N_("Without some words"), "word_replacement": N_("Similar words"),
    "masked_word": N_("Masked words"), "cutmix": N_("Two joined (CutMix)"), "flip": N_("Mirrored"),
    "crop": N_("Shifted"), "jitter": N_("Colours changed"), "mixup": N_("Two blended (mixup)"),
}  # fmt: skip
"""What changed copies of rows are called in a table; `Task.changes` says what is done to them."""


def setting_of(name: str, value: Any) -> str:
    """The value of a setting as a person reads it: a task by its title; what was left open the studio chose.

    >>> setting_of("epochs", None), setting_of("plan", [{"do": "prune", "ratio": 0.5}, {"do": "distill"}])
    ('automatic', 'Prune 50\\xa0% of neurons or channels, Distil')
    >>> setting_of("augment", ["cutmix", "flip"])
    'Two joined (CutMix), Mirrored'
    """
    if name in ("dataset", "replay") and value:
        return data_name(value)
    if name == "task" and value in tasks.TASKS:
        return _(tasks.get(value).title)
    annotation = RunConfig.model_fields[name].annotation
    if value is None and annotation in (int | None, float | None):
        return _("automatic")
    if name in ("augment", "teacher_augment") and value:
        return commas(_(CHANGES.get(change, change)) for change in value)
    return _(value) if get_origin(annotation) is Literal else setting(value)


def setting(value: Any) -> str:
    """A value of a setting as a person reads it."""
    if value is None or value in ([], (), ""):
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list | tuple):
        return commas(map(_one_of_several, value))
    return model(value) if isinstance(value, str) else f"{value:.3g}" if isinstance(value, float) else str(value)


def _one_of_several(value: Any) -> str:
    """A loss with its weight, a step of a plan, a model, or a word."""
    if not isinstance(value, dict):
        return setting(value)
    if "do" in value:
        return retell(plan.title(plan.KINDS[value["do"]](**value)))
    weight = value.get("weight")
    return _(LOSSES[value["loss"]].title) + (f" × {weight:g}" if weight is not None else "")


def _in_unit(update_axis: Callable[..., object], measure: Measure) -> float:
    """Name an axis by a measure and show it in its unit; what its values are to be multiplied by."""
    update_axis(title={"text": small(_(measure.title)), "font": {"size": 12}})
    return charts.scaled(update_axis, measure)


def _figure(across: str) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(margin={"l": 0, "r": 8, "t": 8, "b": 0}, height=HEIGHT, hovermode="x unified",
                         paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")  # fmt: skip
    figure.update_xaxes(title={"text": across, "font": {"size": 12}, "standoff": 12}, automargin=True)
    figure.update_yaxes(automargin=True, tickformatstops=charts.TICKS)
    return figure
