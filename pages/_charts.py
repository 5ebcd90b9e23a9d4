"""Rows of the store as Plotly figures. No torch, no Streamlit."""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import plotly.graph_objects as go
from tsdownsample import MinMaxLTTBDownsampler

from studio.config.methods import LOSSES
from studio.events import Confusion, Evaluation, StageResult, stage
from studio.store.rows import Point

MAX_POINTS = 2_000
HEIGHT, AXIS, LEGEND_LINE = 320, 50, 20
"""Pixels: a figure without its legend, its axis with the title, one line of the legend."""

COLOURS = {"teacher": "#d97706", "student": "#0d9488", "control": "#7c8794", "assistant": "#8b5cf6"}
ROLE_OF_STAGE = {
    "teach": "teacher",
    "assist": "assistant",
    "distill": "student",
    "harden": "student",
    "control": "control",
}
DASHES = ("dash", "dot", "dashdot", "longdash", "longdashdot")


def loss_curves(points: Sequence[Point]) -> go.Figure:
    """Total and parts of the student's loss; the totals of teachers, assistants and control."""
    figure = _figure("step", "")
    starts = _starts(points)
    dashes = dict(zip(_parts(points), itertools.cycle(DASHES)))
    for phase, start in starts.items():
        role, who = ROLE_OF_STAGE[stage(phase)], _who(phase)
        _add_line(
            figure, f"{who}, total" if role == "student" else who, role, _line(points, phase, "loss", start), "solid"
        )
        for name, dash in dashes.items() if phase == "distill" else ():
            _add_line(figure, f"{who}, {_words(name)}", role, _line(points, phase, name, start), dash)
    return _with_room_for_legend(figure)


def accuracy_curves(points: Sequence[Point], teacher: float | None = None) -> go.Figure:
    """Validation accuracy of every model that learns; a line for the teacher's final one."""
    figure = _figure("step", "")
    figure.update_yaxes(tickformat=".0%")
    for phase, start in _starts(points).items():
        line = _line(points, phase, "accuracy", start)
        _add_line(figure, _who(phase), ROLE_OF_STAGE[stage(phase)], line, "solid", markers=True)
    best = max((point.value for point in points if point.phase == "teach" and point.name == "accuracy"), default=None)
    level = best if best is not None else teacher
    if level is not None:
        figure.add_hline(y=level, line_dash="dash", line_color=COLOURS["teacher"], line_width=1)
    return _with_room_for_legend(figure)


def _with_room_for_legend(figure: go.Figure) -> go.Figure:
    """Two names stand beside each other in the legend below; the plot keeps its height, however many there are."""
    lines = (len(figure.data) + 1) // 2
    return figure.update_layout(height=HEIGHT + LEGEND_LINE * lines, margin_b=AXIS + LEGEND_LINE * lines)


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
    role = ROLE_OF_STAGE[stage(phase)]
    return "student, hard labels" if phase == "harden" else f"{role} {number}".strip()


def _words(name: str) -> str:
    known = LOSSES.get(name.removesuffix("_loss"))
    return known.title[0].lower() + known.title[1:] if known else name.removesuffix("_loss").replace("label", "labels")


def device_curves(points: Sequence[Point]) -> go.Figure:
    """How busy the processor and the GPUs were over the seconds of a run; 100 % is one core, or a whole GPU."""
    return _machine(points, {"processor": "cpu_percent", "GPU": "gpu_percent"}, "%", 1)


def memory_curves(points: Sequence[Point]) -> go.Figure:
    """The memory that the run's processes held, and its GPUs had in use, in gigabytes."""
    return _machine(points, {"memory": "memory_bytes", "GPU memory": "gpu_memory_bytes"}, " GB", 1e9)


def _machine(points: Sequence[Point], curves: dict[str, str], unit: str, divisor: float) -> go.Figure:
    figure = _figure("seconds", "")
    figure.update_yaxes(ticksuffix=unit, rangemode="tozero")
    for (title, name), role in zip(curves.items(), ("student", "teacher"), strict=True):
        steps, values = _line(points, "device", name)
        if len(steps):
            _add_line(figure, title, role, (steps, values / divisor), "solid")
    return figure


def accuracies(evaluations: Sequence[Evaluation], split: str = "test") -> go.Figure:
    """Test accuracy of each model with its 95 % interval."""
    shown = [one for one in evaluations if one.metric == "accuracy" and one.split == split][::-1]
    figure = _figure("accuracy on the test rows, with 95 % interval", "")
    figure.update_xaxes(tickformat=".1%")
    for one in shown:
        low, high = one.low if one.low is not None else one.value, one.high if one.high is not None else one.value
        figure.add_scatter(
            x=[one.value],
            y=[one.role],
            mode="markers",
            marker={"size": 13, "color": COLOURS[one.role]},
            error_x={"type": "data", "symmetric": False, "array": [high - one.value], "arrayminus": [one.value - low],
                     "thickness": 2.5, "width": 8},
            hovertemplate="%{y}: %{x:.1%}<extra></extra>",
            showlegend=False,
        )  # fmt: skip
    figure.update_layout(height=60 + 55 * max(1, len(shown)))
    return figure


def pruning(ratios: Sequence[float], accuracy: Sequence[float]) -> go.Figure:
    """What is left of the accuracy when a share is pruned and nothing is learned."""
    figure = _figure("share that is pruned", "")
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    hover = "%{x:.0%} pruned: %{y:.1%} right<extra></extra>"
    line = {"color": COLOURS["student"]}
    figure.add_scatter(x=list(ratios), y=list(accuracy), mode="lines+markers", line=line, hovertemplate=hover)
    return figure.update_layout(showlegend=False)


def milestones(told: Sequence[StageResult]) -> go.Figure:
    """The way of the student from step to step: right on validation rows, against its size."""
    figure = _figure("size on disk, MB", "")
    figure.update_xaxes(type="log", dtick="D2", tickformat="~g")
    figure.update_yaxes(tickformat=".0%")
    for role, shown in (("teacher", told[:1]), ("student", told[1:])):
        shares = [one.value for one in shown]
        figure.add_scatter(
            x=[one.size_bytes / 1e6 for one in shown],
            y=shares,
            error_y={
                "array": [one.high - share for one, share in zip(shown, shares, strict=True)],
                "arrayminus": [share - one.low for one, share in zip(shown, shares, strict=True)],
                "thickness": 1,
            },
            name=role.capitalize(),
            text=[one.title for one in shown],
            mode="lines+markers",
            marker={"size": 9},
            line={"color": COLOURS[role], "dash": "dot"},
            hovertemplate="%{text}: %{y:.1%} right, %{x:.2f} MB<extra></extra>",
        )
    return _with_room_for_legend(figure)


def confusion(one: Confusion) -> go.Figure:
    """Rows: true class; columns: predicted class; shade: share of the row."""
    counts = np.array(one.counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    many = len(one.labels) > 20
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=one.labels,
            y=one.labels,
            customdata=counts,
            text=None if many else counts,
            texttemplate=None if many else "%{text}",
            colorscale=[[0, "rgba(13,148,136,0.03)"], [1, COLOURS[one.role]]],
            zmin=0,
            zmax=1,
            showscale=False,
            hovertemplate="true %{y}, predicted %{x}: %{customdata} rows (%{z:.0%})<extra></extra>",
        )
    )
    figure.update_layout(margin={"l": 0, "r": 0, "t": 8, "b": 0}, height=min(760, 240 + 18 * len(one.labels)))
    figure.update_yaxes(autorange="reversed", title="true", type="category")
    figure.update_xaxes(title="predicted", type="category")
    return figure


def class_counts(classes: dict[str, int]) -> go.Figure:
    """How many rows each label has."""
    figure = _figure("rows", "")
    figure.add_bar(x=list(classes.values()), y=list(classes), orientation="h", marker_color=COLOURS["student"])
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_layout(height=min(900, 70 + 24 * len(classes)), bargap=0.35, showlegend=False)
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
        mode="lines+markers" if markers else "lines",
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
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        showlegend=True,
    )
    figure.update_xaxes(title=across, automargin=True)
    figure.update_yaxes(title=up, automargin=True)
    return figure
