"""Rows of the store as Plotly figures. No torch."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from tsdownsample import MinMaxLTTBDownsampler

from pages._language import N_, _, retell
from pages._words import letters, measured, per_cent
from studio import tasks
from studio.config.methods import LOSSES
from studio.events import Confusion, StageResult, stage
from studio.language import escaping
from studio.store.rows import Point

MAX_POINTS = 2_000
HEIGHT, AXIS = 320, 50
"""Pixels: a figure, its axis with the title."""
APART = 1.1
"""Two sizes whose numbers stand apart on an axis."""
NARROW = 300
"""Pixels between the first and the last point of a figure on a narrow page."""
NAME_LINE, LETTER, MARK, SHORT_NAME, NEAR_END, EARLY_END = 18, 7, 10, 12, 0.1, 0.5
"""Pixels between the names of two curves, of a letter, and of what stands before a name; the letters that fit beside
the plot; the share of the width from its right end where a curve's name still stands there; the share up to which a
curve leaves room for it behind."""

COLOURS = {
    "teacher": "#d97706",
    "student": "#0d9488",
    "control": "#7c8794",
    "smoothed": "#a16207",
    "untouched": "#5f8f8a",
    "baseline": "#475569",
    "assistant": "#8b5cf6",
}
ROLE_OF_STAGE = {
    "teach": N_("teacher"),
    "assist": N_("assistant"),
    "distill": N_("student"),
    "harden": N_("student"),
    "control": N_("control"),
    "smooth": N_("smoothed"),
}
TICKS = [{"dtickrange": [0.99 * 10**-decimals, 5.01 * 10**-decimals], "value": f".{decimals}f"}
         for decimals in range(1, 6)]  # fmt: skip
"""How the numbers of an axis are written by what lies between two of them, so that all have as many decimals."""
DASHES = {"dash": "– –", "dot": "•••", "dashdot": "– •", "longdash": "——", "longdashdot": "— •"}
"""How lines of one colour are told apart, and what stands for each before its name."""
MOST_MARKED = 30
"""Points of a curve that are seen as points; more of them hide the line."""


def loss_curves(points: Sequence[Point]) -> go.Figure:
    """Total and parts of the student's loss; the totals of teachers, assistants and control. Each in per cent of its
    first value, since the losses themselves have scales of their own."""
    figure = _figure(_("step"), "")
    figure.update_yaxes(ticksuffix=per_cent(), rangemode="tozero")
    starts = _starts(points)
    dashes = dict(zip(_parts(points), itertools.cycle(DASHES)))
    for phase, start in starts.items():
        role, who = ROLE_OF_STAGE[stage(phase)], _who(phase)
        name = f"{who}, {_('total')}" if role == "student" else who
        _add_line(figure, name, role, _of_first(_line(points, phase, "loss", start)), "solid")
        for part, dash in dashes.items() if phase == "distill" else ():
            _add_line(figure, f"{who}, {_words(part)}", role, _of_first(_line(points, phase, part, start)), dash)
    return named_at_their_ends(figure)


def _of_first(line: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """In per cent of the first value; a curve that begins at 0 stays as it is."""
    steps, values = line
    return steps, values if not len(values) or values[0] == 0 else 100 * values / values[0]


def measure_curves(points: Sequence[Point], measure: tasks.Measure, teacher: float | None = None) -> go.Figure:
    """The deciding measure of every model that learns, on validation data; a line for the teacher's best value."""
    figure = _figure(_("step"), "")
    scale = scaled(figure.update_yaxes, measure)
    for phase, start in _starts(points).items():
        steps, values = _line(points, phase, measure.name, start)
        _add_line(figure, _who(phase), ROLE_OF_STAGE[stage(phase)], (steps, values * scale), "solid", markers=True)
    if not any(curve.x[-1] for curve in figure.data):
        figure.update_xaxes(range=[0, 1], showticklabels=False)  # until there is a second point
    found = teacher_level(points, measure)
    level = teacher if found is None else found
    named_at_their_ends(figure)
    is_alone = {ROLE_OF_STAGE[stage(phase)] for phase in _starts(points)} == {"teacher"}  # its curve says it
    if level is not None and not is_alone:
        if not figure.data:
            _before_the_first_point(figure, measure, level * scale)
        figure.add_hline(
            y=level * scale,
            line_dash="dash",
            line_color=COLOURS["teacher"],
            line_width=1.5,
            annotation={
                "text": f"{_mark(COLOURS['teacher'], 'dash')} {_('teacher: {value}', value=measured(level, measure))}",
                "font_size": 13,
            },
            annotation_position="top left",
        )
    return figure


def _before_the_first_point(figure: go.Figure, measure: tasks.Measure, level: float) -> None:
    """The teacher alone, which came ready, on the axes on which its student will be."""
    line = np.zeros(1), np.array([level])
    _add_line(figure, _("teacher"), "teacher", line, "solid", markers=True)
    if measure.unit == "share":
        figure.update_yaxes(range=[0, 104])


def teacher_level(points: Sequence[Point], measure: tasks.Measure) -> float | None:
    """The teacher's best value on validation data so far; of one that came ready, what was measured of it before the
    student began."""
    looks = (point for point in points if point.name == measure.name)
    return max((point.value for point in looks if stage(point.phase) in ("teach", "record")), default=None)


def scaled(update_axis: Callable[..., object], measure: tasks.Measure) -> float:
    """Show an axis in the unit of a measure; what its values are to be multiplied by: a measure that people know as
    better the lower it is has its values with a minus before them."""
    if measure.unit != "share":
        return measure.shown(1.0)
    update_axis(ticksuffix=per_cent())
    return 100.0


def whiskers(found: Sequence[tuple[float, float, float]], scale: float) -> dict[str, list[float]]:
    """How far (value, low, high) reach to either side of the values, once they are scaled.

    >>> whiskers([(-2.0, -2.5, -1.9)], -1.0)["array"]
    [0.5]
    """
    down = [(value - low) * abs(scale) for value, low, _ in found]
    up = [(high - value) * abs(scale) for value, _, high in found]
    return {"array": up, "arrayminus": down} if scale > 0 else {"array": down, "arrayminus": up}


def _hover(measure: tasks.Measure, variable: str) -> str:
    return f"%{{{variable}:.1f}}{per_cent()}" if measure.unit == "share" else f"%{{{variable}:.3f}}"


def named_at_their_ends(figure: go.Figure) -> go.Figure:
    """Each curve's name beside its end; one that ends early, or whose name is long, has it above, none on another."""
    ends = sorted(figure.data, key=lambda curve: curve.y[-1])
    last = max((curve.x[-1] for curve in ends), default=0)
    beside = [
        curve for curve in ends if curve.x[-1] >= (1 - NEAR_END) * last and letters(_short(curve.name)) <= SHORT_NAME
    ]
    pixel = _pixel(figure)
    wanted = [curve.y[-1] / pixel for curve in beside]
    shifts = [place - height for place, height in zip(_apart(wanted), wanted, strict=True)]
    for curve, shift in zip(beside, shifts, strict=True):
        _name(figure, curve, x=1, xref="paper", xanchor="left", xshift=4, yshift=shift)
    above = [curve for curve in ends if curve not in beside]
    wanted = [curve.y[-1] / pixel + NAME_LINE / 2 for curve in above]
    for curve, place in zip(above, _apart(wanted), strict=True):
        is_early = curve.x[-1] < EARLY_END * last  # then there is room beyond its end
        side = {"xanchor": "left", "xshift": 4} if is_early else {"xanchor": "right"}
        _name(figure, curve, x=curve.x[-1], yshift=place - curve.y[-1] / pixel, **side)
    longest = max((letters(_short(curve.name)) for curve in beside), default=0)
    return figure.update_layout(showlegend=False, margin_r=LETTER * longest + NAME_LINE + MARK)


def named_in_the_margin(figure: go.Figure) -> go.Figure:
    """Each curve's name right of the plot, none on another, with a dotted line from where the curve ends: for curves of
    which any may end anywhere, so that a name at its end would lie on another one."""
    ends = sorted(figure.data, key=lambda curve: curve.y[-1])
    last = max((curve.x[-1] for curve in ends), default=0)
    pixel = _pixel(figure)
    for curve, place in zip(ends, _apart([curve.y[-1] / pixel for curve in ends]), strict=True):
        height = curve.y[-1]
        figure.add_shape(type="line", x0=curve.x[-1], y0=height, x1=last, y1=place * pixel, opacity=0.7,
                         line={"color": curve.line.color, "width": 1, "dash": "dot"})  # fmt: skip
        _name(figure, curve, x=1, xref="paper", xanchor="left", xshift=4, yshift=place - height / pixel)
    longest = max((letters(curve.name) for curve in ends), default=0)
    return figure.update_layout(showlegend=False, margin_r=LETTER * longest + NAME_LINE + MARK)


def _pixel(figure: go.Figure) -> float:
    """How much of the scale a pixel is, in a figure of curves."""
    heights = [height for curve in figure.data for height in curve.y]
    return (max(heights, default=1) - min(heights, default=0)) / (figure.layout.height - AXIS) or 1


def _short(name: str) -> str:
    """What a curve is called at its end: of a part its own name.

    >>> _short("student, soft targets"), _short("student, total"), _short("control")
    ('soft targets', 'student', 'control')
    """
    who, part = f"{name}, ".split(", ")[:2]
    return who if part in ("", _("total")) else part


def _mark(colour: str, dash: str | None = None) -> str:
    """A dot, or a piece of its line, in the colour of a model; the text beside it has that of text, which can be read
    on either background."""
    return f'<span style="color:{colour}">{DASHES.get(dash or "", "●")}</span>'


def _name(figure: go.Figure, curve: go.Scatter, **place: object) -> None:
    figure.add_annotation(
        text=f"{_mark(curve.line.color, curve.line.dash)} {_short(curve.name)}", y=curve.y[-1], font_size=13,
        showarrow=False, **place,
    )  # fmt: skip


def _apart(wanted: Sequence[float]) -> list[float]:
    """Places, from low to high, at least a line apart and otherwise as near to the wanted ones as can be.

    >>> _apart([0, 2, 100])
    [-8.0, 10.0, 100.0]
    """
    groups: list[list[float]] = []
    for number, place in enumerate(wanted):
        groups.append([place - number * NAME_LINE])
        while len(groups) > 1 and fmean(groups[-2]) > fmean(groups[-1]):
            groups[-2:] = [groups[-2] + groups[-1]]
    lowest = [fmean(group) for group in groups for _ in group]
    return [place + number * NAME_LINE for number, place in enumerate(lowest)]


def _starts(points: Sequence[Point]) -> dict[str, int]:
    """The phases that have curves, in the order of a run, and the step at which their curves begin: a hard stage goes
    on where the student's first one ended."""
    found = {point.phase for point in points if stage(point.phase) in ROLE_OF_STAGE}
    order = sorted(found, key=lambda phase: (list(ROLE_OF_STAGE).index(stage(phase)), phase))
    distilled = max((point.step for point in points if point.phase == "distill"), default=0)
    return {phase: distilled if phase == "harden" else 0 for phase in order}


def _parts(points: Sequence[Point]) -> list[str]:
    """The names of the losses that the student's total is made of."""
    names = dict.fromkeys(point.name for point in points if point.phase == "distill" and point.name.endswith("_loss"))
    return sorted(names, key=lambda name: (name == "label_loss", name))


def _who(phase: str) -> str:
    """`teacher 2` for teach-2; the hard stage has its own name, since its loss is another one."""
    number = phase.partition("-")[2]
    who = _(ROLE_OF_STAGE[stage(phase)])
    return f"{who}, {_('teacher answers')}" if phase == "harden" else f"{who} {number}".strip()


def _words(name: str) -> str:
    known = LOSSES.get(name.removesuffix("_loss"))
    if known is None:
        return _("labels") if name == "label_loss" else name.removesuffix("_loss")
    title = _(known.title)
    return title[0].lower() + title[1:]


def device_curves(points: Sequence[Point]) -> go.Figure:
    """How busy the processor and the GPUs were over the seconds of a run; 100 % is one core, or a whole GPU."""
    return _machine(points, {_("processor"): "cpu_percent", _("GPU"): "gpu_percent"}, per_cent(), 1)


def memory_curves(points: Sequence[Point]) -> go.Figure:
    """The memory that the run's processes held, and its GPUs had in use, in gigabytes."""
    return _machine(points, {_("memory"): "memory_bytes", _("GPU memory"): "gpu_memory_bytes"}, " GB", 1e9)


def _machine(points: Sequence[Point], curves: dict[str, str], unit: str, divisor: float) -> go.Figure:
    figure = _figure(_("seconds"), "")
    figure.update_yaxes(ticksuffix=unit, rangemode="tozero")
    for (title, name), dash in zip(curves.items(), ("solid", "dot"), strict=True):  # no model, so none of its colour
        steps, values = _line(points, "device", name)
        if len(steps):
            _add_line(figure, title, "control", (steps, values / divisor), dash)
    return named_at_their_ends(figure)


def pruning(ratios: Sequence[float], values: Sequence[float], measure: tasks.Measure) -> go.Figure:
    """What is left of the deciding measure when a share is pruned and nothing is trained."""
    figure = _figure(_("share that is pruned"), "")
    scale = scaled(figure.update_yaxes, measure)
    figure.update_xaxes(ticksuffix=per_cent(), range=[0, 100])
    figure.update_yaxes(rangemode="tozero")
    figure.add_scatter(
        x=[100 * ratio for ratio in ratios],
        y=[value * scale for value in values],
        mode="lines+markers",
        line={"color": COLOURS["student"]},
        hovertemplate=_(
            "{share} % pruned: {measure} {value}",
            share="%{x:.0f}",
            measure=_(measure.title),
            value=_hover(measure, "y"),
        )
        + "<extra></extra>",
    )
    return figure.update_layout(showlegend=False)


def stage_results(results: Sequence[StageResult], measure: tasks.Measure) -> go.Figure:
    """The student from step to step: the deciding measure on validation rows, against its size."""
    figure = _figure(_("size on disk, MB"), "")
    figure.update_xaxes(type="log", **_size_ticks([result.size_bytes / 1e6 for result in results]))
    scale = scaled(figure.update_yaxes, measure)
    if measure.lower:  # heights show quality
        figure.update_yaxes(autorange="reversed")
    for role, shown in (("teacher", results[:1]), ("student", results[1:])):
        figure.add_scatter(
            x=[result.size_bytes / 1e6 for result in shown],
            y=[result.value * scale for result in shown],
            error_y={
                **whiskers([(result.value, result.low, result.high) for result in shown], scale),
                "thickness": 1,
                "width": 0,
            },
            name=_(role.capitalize()),
            text=escaping.in_charts([retell(result.title) for result in shown]),
            mode="lines+markers",
            marker={"size": 10},
            line={"color": COLOURS[role], "dash": "dot"},
            hovertemplate=f"%{{text}}: {_(measure.title)} {_hover(measure, 'y')}, %{{x:.2f}} MB<extra></extra>",
        )
    ends = [end for result in results for end in (result.low, result.high)]
    pixel = (max(ends) - min(ends)) / (HEIGHT - AXIS) or 1
    named = [
        Named(math.log10(result.size_bytes / 1e6), result.value * scale, result.value, _step(result),
              is_left=result is results[0])
        for result in results
    ]  # fmt: skip
    return named_beside(figure, named, pixel)


def _size_ticks(sizes: Sequence[float]) -> dict[str, object]:
    """The numbers of an axis of sizes: round ones, and where fewer than two are among the sizes the ends themselves.

    >>> _size_ticks([2.71, 3.68])["tickvals"]
    [2.71, 3.68]
    """
    low, high = min(sizes), max(sizes)
    round_ones = (factor * 10.0**power for power in range(-3, 7) for factor in (1, 2, 5))
    if sum(low <= tick <= high for tick in round_ones) > 1:
        return {"dtick": "D2", "tickformat": "~g"}
    return {"tickvals": [low, high] if high > APART * low else [high], "tickformat": ".2~r"}


class Named(NamedTuple):
    """A point of a figure (`x` as its axis has it: of a logarithmic one the logarithm), how high it is in the unit of
    a pixel, and its name, which stands right or left of it, above or below its middle."""

    x: float
    y: float
    height: float
    text: str
    is_left: bool
    is_below: bool = False


def named_beside(figure: go.Figure, points: Sequence[Named], pixel: float) -> go.Figure:
    """Each point's name beside it and its interval, none on another."""
    for near in _near(points):
        wanted = [point.height / pixel + (-1 if point.is_below else 1) * NAME_LINE / 2 for point in near]
        for point, place in zip(near, _apart(wanted), strict=True):
            side = {"xanchor": "right", "xshift": -9} if point.is_left else {"xanchor": "left", "xshift": 9}
            shift = place - point.height / pixel
            figure.add_annotation(x=point.x, y=point.y, text=point.text, yshift=shift, showarrow=False, **side)
    return figure.update_layout(showlegend=False)


def _near(points: Sequence[Named]) -> Iterator[list[Named]]:
    """Points whose names would stand above or below each other on a narrow page, each time from low to high."""
    places = [point.x for point in points]
    across = NARROW / ((max(places) - min(places)) or 1)
    spans = []
    for point in points:
        wide = LETTER * letters(point.text)
        spans.append((across * point.x - (wide if point.is_left else 0), wide, point))
    near: list[Named] = []
    end = -math.inf
    for start, wide, point in sorted(spans, key=lambda span: span[0]):
        if start > end and near:
            yield sorted(near, key=lambda named: named.height)
            near = []
        near.append(point)
        end = max(end, start + wide)
    yield sorted(near, key=lambda named: named.height)


def _step(result: StageResult) -> str:
    return escaping.in_chart(retell(result.title))


def confusion(matrix: Confusion) -> go.Figure:
    """Rows: true class; columns: predicted class; shade: share of the row."""
    counts = np.array(matrix.counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    many = len(matrix.labels) > 20
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=escaping.in_charts(matrix.labels),
            y=escaping.in_charts(matrix.labels),
            customdata=counts,
            text=None if many else counts,
            texttemplate=None if many else "%{text}",
            colorscale=[[0, "rgba(13,148,136,0.03)"], [1, COLOURS[matrix.role]]],
            zmin=0,
            zmax=1,
            showscale=False,
            hovertemplate=_(
                "true {true}, predicted {predicted}: {rows} ({share})",
                true="%{y}",
                predicted="%{x}",
                rows="%{customdata}",
                share="%{z:.0%}",
            )
            + "<extra></extra>",
        )
    )
    figure.update_layout(margin={"l": 0, "r": 0, "t": 8, "b": 0}, height=min(760, 240 + 18 * len(matrix.labels)))
    figure.update_yaxes(autorange="reversed", title=_("true"), type="category", showgrid=False)
    figure.update_xaxes(title=_("predicted"), type="category", showgrid=False)
    return figure


def downsample(steps: np.ndarray, values: np.ndarray, most: int = MAX_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """At most `most` points that look the same on a screen (LTTB, Steinarsson 2013); the ends are kept."""
    if len(steps) <= most:
        return steps, values
    kept = MinMaxLTTBDownsampler().downsample(steps, values, n_out=most)
    return steps[kept], values[kept]


def _line(points: Iterable[Point], phase: str, name: str, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
    found = [(start + point.step, point.value) for point in points if point.phase == phase and point.name == name]
    steps, values = np.array(found, dtype=float).reshape(-1, 2).T
    return downsample(np.ascontiguousarray(steps), np.ascontiguousarray(values))


def _add_line(
    figure: go.Figure, name: str, role: str, line: tuple[np.ndarray, np.ndarray], dash: str, markers: bool = False
) -> None:
    if not len(line[0]):
        return
    figure.add_scatter(
        x=line[0].tolist(),
        y=line[1].tolist(),
        name=name,
        mode="lines+markers" if markers and len(line[0]) <= MOST_MARKED else "lines",
        line={"color": COLOURS[role], "dash": dash, "width": 2},
        marker={"size": 5},
        hovertemplate="%{y:.4f}",
    )


def _figure(across: str, up: str) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        margin={"l": 0, "r": 8, "t": 8, "b": 0},
        height=HEIGHT,
        hovermode="x unified",
        showlegend=False,
    )
    figure.update_xaxes(
        title={"text": across, "font": {"size": 12}, "standoff": 12}, automargin=True, showgrid=False, zeroline=False,
        rangemode="nonnegative",
    )  # fmt: skip
    figure.update_yaxes(title=up, automargin=True, tickformatstops=TICKS)
    return figure
