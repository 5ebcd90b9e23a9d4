"""What more training rows would bring: the same student after learning from an eighth, a quarter and half of them."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages import _charts as charts
from pages import _pictures as pictures
from pages._language import _
from pages._studio import errors_shown, get_acts, get_home, get_store
from pages._words import about_percent, change, escape, measured, per_cent, status_word
from studio.evaluate import learning_curve, metrics
from studio.evaluate.learning_curve import ClassCurve
from studio.evaluate.measured import is_clear
from studio.kept.answers import Kept
from studio.service import learning_curves
from studio.store.rows import RunRow
from studio.tasks import Measure, Task

MOST_CLASSES, LOOK_AGAIN = 30, 5.0


def show(run: RunRow, task: Task, labels: Sequence[str]) -> None:
    """The curve as far as it is known; a button where nobody has asked for it."""
    store, acts = get_store(), get_acts()
    parts = learning_curves.parts(store, run)
    if not learning_curves.can_begin(get_home(), run):
        st.info(_("The answers to validation rows are not kept: no learning curve can be drawn."),
                icon=":material/info:")  # fmt: skip
        return
    if len(parts) < len(learning_curves.shares(run)):
        asked = _("Would more rows help, and of which class?") if has_classes(task) else _("Would more rows help?")
        st.subheader(asked, anchor=False)
        st.markdown(
            _("The same student learns once more from an eighth, a quarter and half of the training rows: three "
              "shorter runs in the queue, without a control. They are measured on validation rows.")
        )  # fmt: skip
        if run.config.seeds > 1:
            st.caption(_("This run’s student is the best of {seeds} seeds on these rows. So that all points are alike, "
                         "a fourth run learns from all rows under one seed.", seeds=run.config.seeds))  # fmt: skip
        if not acts.person.has("member"):
            st.info(_("To have it computed, ask a member."), icon=":material/visibility:")
        elif st.button(_("Measure it"), icon=":material/play_arrow:", key="learning-curve"):
            with errors_shown():
                acts.measure_learning_curve(run.id)
                st.rerun()
        return
    if any(part.run is not None and part.run.verdict is None for part in parts):
        waits = not all(part.is_over for part in parts)
        st.fragment(_progress, run_every=LOOK_AGAIN if waits else None)(run, waits)
    known = learning_curves.kept(get_home(), run, parts)
    if len(known) > 1 and 1.0 in known:
        _curve(task, known, run)
        _classes(task, known, labels)


@errors_shown()
def _progress(run: RunRow, waits: bool) -> None:
    """The runs that are not over, or came to nothing; while it `waits` for them, the curve comes when they are over."""
    parts = learning_curves.parts(get_store(), run)
    if waits and all(part.is_over for part in parts):
        st.rerun()
    left = [(part.share, part.run) for part in parts if part.run is not None and part.run.verdict is None]
    with st.container(border=True, key="card-parts", gap="small"):
        st.markdown(_("{done} of {all} runs are over.", done=len(parts) - len(left), all=len(parts)))
        if waits:
            st.caption(_("The curve appears here as soon as they all are. You can leave this page."))
        for share, part_run in left:
            text = _("{share} of the training rows · {status}", share=f"{100 * share:g}{per_cent()}",
                     status=status_word(part_run))  # fmt: skip
            st.page_link(
                "run.py", label=escape(text), query_params={"run": str(part_run.id)}, icon=":material/timeline:"
            )


def _curve(task: Task, known: Mapping[float, Kept], run: RunRow) -> None:
    measure = task.measures[0]
    shares = sorted(known)
    points = [metrics.first_measure(task, known[share].statistics) for share in shares]
    st.subheader(finding(task, known), anchor=False)
    rows = get_store().dataset_by_id(run.dataset_id).splits.get("train", 0) * run.config.training_share
    st.plotly_chart(picture([share * rows for share in shares], points, measure), key="learning",
                    config={"displayModeBar": False})  # fmt: skip
    st.caption(
        _("{measure} of the student on validation rows, with 95 % intervals, by the number of training rows. Where the "
          "last step still rises, more rows are worth having. It was trained once at each number; another seed would "
          "move the points a little.", measure=_(measure.title))
    )  # fmt: skip


def finding(task: Task, known: Mapping[float, Kept]) -> str:
    """Whether the last step, to all rows, brought more than chance explains."""
    *_others, share, whole = sorted(known)
    statistics = known[whole].statistics, known[share].statistics
    last, before = (measured(metrics.first_measure(task, array)[0], task.measures[0]) for array in statistics)
    facts = {"value": last, "before": before, "share": f"{100 * share:g}{per_cent()}"}
    if is_clear(metrics.compare(task, ("student", "student"), "validation", statistics), 1):
        return _("More rows helped: {before} with {share} of them, {value} with all", **facts)
    return _("The last step brought no clear gain: {before} with {share} of the rows, {value} with all", **facts)


def picture(rows: Sequence[float], points: Sequence[tuple[float, float, float]], measure: Measure) -> go.Figure:
    """Quality by the number of rows, each step twice as many as the one before."""
    scale = 100.0 if measure.unit == "share" else measure.shown(1.0)
    colour = charts.COLOURS["student"]
    figure = go.Figure()
    ends = [
        [scale * (value - low) for value, low, _high in points],
        [scale * (high - value) for value, _, high in points],
    ]
    down, up = ends if scale > 0 else ([-end for end in ends[1]], [-end for end in ends[0]])
    figure.add_scatter(
        x=list(rows), y=[scale * value for value, _low, _high in points], mode="lines+markers",
        line={"color": colour, "width": 2.5}, marker={"size": 9},
        error_y={"array": up, "arrayminus": down, "width": 0, "thickness": 1.5, "color": colour},
        hovertemplate=f"%{{y:.1f}}{per_cent()}<extra></extra>" if scale == 100 else "%{y:.3f}<extra></extra>",
    )  # fmt: skip
    figure.update_layout(height=300, margin={"l": 0, "r": 8, "t": 8, "b": 0}, showlegend=False,
                         paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")  # fmt: skip
    figure.update_xaxes(
        type="log",
        tickvals=list(rows),
        ticktext=[f"{round(number):,}" for number in rows],
        automargin=True,
        title={"text": _("training rows"), "font": {"size": 12}, "standoff": 16},
    )
    figure.update_yaxes(automargin=True, tickformatstops=charts.TICKS, ticksuffix=per_cent() if scale == 100 else "")
    return figure


def has_classes(task: Task) -> bool:
    """Whether a row has one class, or several labels, of which each can be looked at by itself."""
    return task.kind not in ("number", "token") and task.measures[0].interval == "share"


def of_classes(task: Task, known: Mapping[float, Kept]) -> list[ClassCurve]:
    """Each class by itself; none where a row has neither one class nor several labels."""
    if not has_classes(task) or len(known) < 2:
        return []
    first = next(iter(known.values())).statistics
    if task.kind == "multi_label":
        labels = first.shape[1] // 2
        said = {share: np.asarray(kept.statistics[:, labels:]) for share, kept in known.items()}
        return learning_curve.of_classes(first[:, :labels], said)
    right = {share: task.targets.right(kept.statistics) for share, kept in known.items()}
    return learning_curve.of_classes(first[:, 0], right)


def _classes(task: Task, known: Mapping[float, Kept], labels: Sequence[str]) -> None:
    """Which class needs more rows."""
    found = of_classes(task, known)
    if not found:
        return
    clear = [curve for curve in found if curve.is_clear]
    if clear:
        text = _("“{label}” gained most from the last step: {points} points", label=labels[clear[0].number],
                 points=change(clear[0].gain, "share"))  # fmt: skip
    else:
        text = _("No class gained more from the last step than chance explains, as far as these rows can tell")
    st.subheader(escape(text), anchor=False)
    st.html(pictures.table([_line(curve, labels) for curve in found[:MOST_CLASSES]]))
    st.caption(
        _("The share of each class that the student gets right. A class that still gains is one of which more rows are "
          "worth having; the 95 % intervals are of a paired difference, each for itself; the title says what is more "
          "than chance for all classes together.")
    )  # fmt: skip


def _line(curve: ClassCurve, labels: Sequence[str]) -> dict[str, str]:
    values = {f"{100 * share:g}{per_cent()}": about_percent(value)
              for share, value in zip(curve.shares, curve.values, strict=True)}  # fmt: skip
    if curve.low is None or curve.high is None:
        gain = _("{gain} (too few rows for an interval)", gain=change(curve.gain, "share"))
    else:
        gain = _("{gain} ({low} to {high})", gain=change(curve.gain, "share"), low=change(curve.low, "share"),
                 high=change(curve.high, "share"))  # fmt: skip
    return {_("Class"): labels[curve.number], _("Last step, points"): gain, _("Rows"): f"{curve.rows:,}", **values}
