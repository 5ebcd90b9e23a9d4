"""What more training rows would bring: the same student after learning from an eighth, a quarter and half of them."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages import _charts as charts
from pages import _pictures as pictures
from pages._language import _
from pages._studio import errors_shown, get_acts, get_home, get_store
from pages._words import change, escape, measured, status_word
from studio.evaluate import learning_curve, metrics
from studio.evaluate.learning_curve import ClassCurve
from studio.kept.answers import Kept
from studio.service import learning_curves
from studio.service.learning_curves import Part
from studio.store.rows import RunRow
from studio.tasks import Measure, Task

MOST_CLASSES = 30


def show(run: RunRow, task: Task, labels: Sequence[str]) -> None:
    """The curve as far as it is known; a button where nobody has asked for it."""
    store, acts = get_store(), get_acts()
    parts = learning_curves.parts(store, run)
    if not learning_curves.can_begin(get_home(), run):
        st.info(_("The answers to validation rows are not kept: no learning curve can be drawn."),
                icon=":material/info:")  # fmt: skip
        return
    if len(parts) < len(learning_curves.shares(run)):
        st.markdown(_("Would more rows help, and of which class?") if has_classes(task) else _("Would more rows help?"))
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
    _progress(run, parts)
    known = learning_curves.kept(get_home(), run, parts)
    if len(known) > 1 and 1.0 in known:
        _curve(task, known, run)
        _classes(task, known, labels)


def _progress(run: RunRow, parts: Sequence[Part]) -> None:
    """The runs that are not over, or came to nothing."""
    left = [part.run for part in parts if part.run is not None and part.run.verdict is None]
    if not left:
        return
    with st.container(border=True):
        st.markdown(_("{done} of {all} runs are over.", done=len(parts) - len(left), all=len(parts)))
        for one in left:
            told = f"{one.name} · {status_word(one)}"
            st.page_link("run.py", label=escape(told), query_params={"run": str(one.id)}, icon=":material/timeline:")


def _curve(task: Task, known: Mapping[float, Kept], run: RunRow) -> None:
    measure = task.measures[0]
    shares = sorted(known)
    points = [metrics.first_measure(task, known[share].statistics) for share in shares]
    before, last = points[-2], points[-1]
    told = _("{value} with all rows, {before} with {share} of them", value=measured(last[0], measure),
             before=measured(before[0], measure), share=f"{100 * shares[-2]:g} %")  # fmt: skip
    st.subheader(told, anchor=False)
    rows = get_store().dataset_by_id(run.dataset_id).splits.get("train", 0) * run.config.training_share
    st.plotly_chart(picture([share * rows for share in shares], points, measure), key="learning",
                    config={"displayModeBar": False})  # fmt: skip
    st.caption(
        _("{measure} of the student on validation rows, with 95 % intervals, by the number of training rows. It was "
          "trained once at each; another seed would move the points a little.", measure=_(measure.title))
    )  # fmt: skip


def picture(rows: Sequence[float], points: Sequence[tuple[float, float, float]], measure: Measure) -> go.Figure:
    """Quality by the number of rows, each step twice as many as the one before."""
    scale = 100.0 if measure.unit == "share" else measure.shown(1.0)
    colour = charts.COLOURS["student"]
    figure = go.Figure()
    ends = [
        [scale * (value - low) for value, low, _high in points],
        [scale * (high - value) for value, _, high in points],
    ]
    down, up = ends if scale > 0 else ([-one for one in ends[1]], [-one for one in ends[0]])
    figure.add_scatter(
        x=list(rows), y=[scale * value for value, _low, _high in points], mode="lines+markers",
        line={"color": colour, "width": 2.5}, marker={"size": 9},
        error_y={"array": up, "arrayminus": down, "width": 0, "thickness": 1.5, "color": colour},
        hovertemplate="%{y:.1f} %<extra></extra>" if scale == 100 else "%{y:.3f}<extra></extra>",
    )  # fmt: skip
    figure.update_layout(height=300, margin={"l": 0, "r": 8, "t": 8, "b": 0}, showlegend=False,
                         paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")  # fmt: skip
    figure.update_xaxes(type="log", tickvals=list(rows), ticktext=[f"{round(one):,}" for one in rows], automargin=True,
                        title={"text": _("training rows"), "font": {"size": 12}, "standoff": 16})  # fmt: skip
    figure.update_yaxes(automargin=True, ticksuffix=" %" if scale == 100 else "")
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
    clear = [one for one in found if one.is_clear]
    if clear:
        told = _("“{label}” gained most from the last step: {points} points", label=labels[clear[0].number],
                 points=change(clear[0].gain, "share"))  # fmt: skip
    else:
        told = _("No class gained more from the last step than chance explains")
    st.subheader(escape(told), anchor=False)
    st.html(pictures.table([_line(one, labels) for one in found[:MOST_CLASSES]]))
    st.caption(
        _("The share of each class that the student gets right. A class that still gains is one of which more rows are "
          "worth having; the 95 % intervals are of a paired difference, each for itself.")
    )  # fmt: skip


def _line(one: ClassCurve, labels: Sequence[str]) -> dict[str, str]:
    values = {f"{100 * share:g} %": f"{100 * value:.1f} %" for share, value in zip(one.shares, one.values, strict=True)}
    if one.low is None or one.high is None:
        gain = _("{gain} (too few rows for an interval)", gain=change(one.gain, "share"))
    else:
        gain = _("{gain} ({low} to {high})", gain=change(one.gain, "share"), low=change(one.low, "share"),
                 high=change(one.high, "share"))  # fmt: skip
    return {_("Class"): labels[one.number], _("Rows"): f"{one.rows:,}", **values, _("Last step, points"): gain}
