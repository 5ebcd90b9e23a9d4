"""What is examined of a run when somebody asks: how its models bear worse inputs and other data, and whose layers are
alike."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages import _charts as charts
from pages import _pictures as pictures
from pages._language import N_, _
from pages._markup import Html, element
from pages._scores import small
from pages._studio import errors_shown, get_acts, get_home, get_store
from pages._words import commas, data_name, low_and_high, measured, per_cent, role, sentences
from studio.evaluate import corruptions
from studio.evaluate.corruptions import Corruption
from studio.kept import examined
from studio.pipeline.answers import Curve, Elsewhere, Examined, Gap, Layers, Robustness
from studio.service.paired import CHANCE
from studio.store.rows import DatasetRow, RunRow
from studio.tasks import Measure, Task

Found = TypeVar("Found", bound=Examined)

UNITS = {"share": "{level:g}{per_cent}", "factor": "{level:g} ×", "quality": "{level:g}"}
ACROSS = {
    "typos": N_("share of the letters"),
    "capitals": N_("share of the words"),
    "dropped_words": N_("share of the words"),
    "blur": N_("radius, share of the shorter side"),
    "noise": N_("standard deviation, share of full brightness"),
    "brightness": N_("as bright as before"),
    "jpeg": N_("quality of the JPEG file"),
}
LARGEST_TABLE, HARDLY = 24, 0.0005
"""Rows and columns of layers that are shown; a loss that would be written as 0.0 points."""


def known(run: RunRow, kind: type[Found], title: str, offer: str, why: str, waiting: str) -> Found | None:
    """What is known; a button where nobody has asked yet."""
    home = get_home()
    found = examined.read(home, run.id, kind)
    if found is not None:
        return found
    st.subheader(title, anchor=False)
    st.caption(why)
    acts = get_acts()
    if not acts.person.has("member"):
        st.info(_("To have it computed, ask a member."), icon=":material/visibility:")
        return None
    if not home.model(run.id, "student").is_dir():
        st.info(_("The student of this run is not kept, so it cannot be asked."), icon=":material/info:")
        return None
    if st.button(offer, icon=":material/play_arrow:", key=f"examine-{kind.program}"):
        with errors_shown():
            with st.spinner(waiting):
                acts.examine(run.id, kind)
            st.rerun()
    return None


# --- robustness


def robustness(run: RunRow, task: Task) -> None:
    """How good the models stay on worse inputs, as curves; and on the test rows of another data set."""
    kinds = corruptions.of_task(task)
    if kinds:
        found = known(
            run, Robustness, _("How do the models bear worse inputs?"), _("Make the inputs worse"),
            _("All of them answer the same test rows, made worse step by step: {kinds}. It takes from seconds to some "
              "minutes.", kinds=commas(small(_(corruptions.ALL[name].title)) for name in kinds)),
            _("Asking all models about worse and worse inputs …"),
        )  # fmt: skip
        if found is not None:
            _curves(found, task.measures[0])
    _other_data(run, task)


def _curves(found: Robustness, measure: Measure) -> None:
    by_kind: dict[str, list[Curve]] = {}
    for curve in found.curves:
        by_kind.setdefault(curve.corruption, []).append(curve)
    st.subheader(finding(by_kind, found.gaps, measure), anchor=False)
    st.caption(_("The models on the same test rows ({rows}), made worse step by step. The band is the student’s 95 % "
                 "interval; control is the same small model, trained without the teacher. Nothing was trained on such "
                 "rows, and nothing is chosen by them.", rows=f"{found.rows:,}"))  # fmt: skip
    if found.gaps is not None:
        note = _("Student and teacher are compared at every level on the same rows, and the title says only what is "
                 "more than chance for all levels together (permutation tests, Holm).")  # fmt: skip
        st.caption(sentences(note, other_way(by_kind, found.gaps, measure)))
    kinds = list(by_kind)
    for start in range(0, len(kinds), 2):
        for place, name in zip(st.columns(2, gap="medium"), kinds[start : start + 2], strict=False):
            with place, st.container(border=True, key=f"card-robust-{name}"):
                st.html(pictures.titled(_(corruptions.ALL[name].title), at_worst(by_kind[name], measure)))
                figure = picture(by_kind[name], measure)
                st.plotly_chart(figure, key=f"robust-{name}", config={"displayModeBar": False})


def finding(by_kind: dict[str, list[Curve]], gaps: Sequence[Gap] | None, measure: Measure) -> str:
    """Where what student and teacher lose is furthest apart, of those places where that is more than chance; else that
    there is none. What was examined before there were tests tells only what it is."""
    if gaps is None:
        return _("How good each model stays on worse inputs")
    clear = furthest(gaps)
    if not clear:
        return _("No clear difference in what worse inputs cost student and teacher")
    return _("{kind} at {level}: the student loses {student}, the teacher {teacher}",
             **_both_lose(by_kind, clear[0], measure))  # fmt: skip


def furthest(gaps: Sequence[Gap]) -> list[Gap]:
    """Of those that are more than chance the largest; behind it the largest where it is the other one that loses more,
    if there is one."""
    clear = sorted(
        (gap for gap in gaps if gap.difference and gap.p_value < CHANCE), key=lambda gap: -abs(gap.difference)
    )
    return clear[:1] + [gap for gap in clear if gap.difference * clear[0].difference < 0][:1]


def other_way(by_kind: dict[str, list[Curve]], gaps: Sequence[Gap], measure: Measure) -> str:
    """Where it is the other one of the two that loses more; "" where there is no such place."""
    if len(clear := furthest(gaps)) < 2:
        return ""
    return _("Elsewhere it is the other way round. {kind} at {level}: the student loses {student}, the teacher "
             "{teacher}.",
             **_both_lose(by_kind, clear[1], measure))  # fmt: skip


def _both_lose(by_kind: dict[str, list[Curve]], gap: Gap, measure: Measure) -> dict[str, str]:
    kind = corruptions.ALL[gap.corruption]
    lost = {curve.role: _amount(_lost(curve, kind, gap.level), measure) for curve in by_kind[gap.corruption]}
    return {"kind": _(kind.title), "level": level_words(kind, gap.level), "student": lost["student"],
            "teacher": lost["teacher"]}  # fmt: skip


def at_worst(curves: Sequence[Curve], measure: Measure) -> str:
    """What student and teacher come to where the student is worst."""
    kind, known = corruptions.ALL[curves[0].corruption], {curve.role: curve for curve in curves}
    student, teacher = known["student"], known["teacher"]
    worst = int(np.argmin(student.values))
    if max(_lost(curve, kind, level) for curve in (student, teacher) for level in curve.levels) < HARDLY:
        return _("Neither student nor teacher loses anything")
    before, after = ({curve.role: measured(curve.values[place], measure) for curve in (student, teacher)}
                     for place in (student.levels.index(kind.unchanged), worst))  # fmt: skip
    return _("At {level}: student {student_before} → {student}, teacher {teacher_before} → {teacher}",
             level=level_words(kind, student.levels[worst]), student_before=before["student"], student=after["student"],
             teacher_before=before["teacher"], teacher=after["teacher"])  # fmt: skip


def _lost(curve: Curve, kind: Corruption, level: float) -> float:
    return curve.values[curve.levels.index(kind.unchanged)] - curve.values[curve.levels.index(level)]


def _amount(lost: float, measure: Measure) -> str:
    if lost < HARDLY:
        return _("nothing")
    return _("{points} points", points=f"{100 * lost:.1f}") if measure.unit == "share" else f"{lost:.3f}"


def level_words(kind: Corruption, level: float) -> str:
    """A level as a person reads it.

    >>> level_words(corruptions.ALL["typos"], 0.05), level_words(corruptions.ALL["brightness"], 1.5)
    ('5\\xa0%', '1.5 ×')
    """
    return UNITS[kind.unit].format(level=100 * level if kind.unit == "share" else level, per_cent=per_cent())


def picture(curves: Sequence[Curve], measure: Measure) -> go.Figure:
    """The deciding measure of each model at each level, the unchanged one on the left; brightness as it is."""
    kind = corruptions.ALL[curves[0].corruption]
    scale = 100.0 if measure.unit == "share" else measure.shown(1.0)
    places = list(range(len(kind.levels)))
    figure = go.Figure()
    figure.update_layout(height=260, margin={"l": 0, "r": 8, "t": 4, "b": 0}, hovermode="x unified",
                         paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")  # fmt: skip
    for curve in curves:
        figure.add_scatter(
            x=places, y=[scale * value for value in curve.values], name=_(curve.role), mode="lines+markers",
            line={"color": charts.COLOURS[curve.role], "width": 2.5,
                  "dash": "dot" if curve.role in ("control", "smoothed") else "solid"},
            marker={"size": 7}, hovertemplate=f"%{{y:.1f}}{per_cent()}" if scale == 100 else "%{y:.3f}",
        )  # fmt: skip
    charts.named_at_their_ends(figure)
    for curve in curves:
        if curve.role == "student":
            band = [*curve.high, *curve.low[::-1]]
            figure.add_scatter(x=[*places, *places[::-1]], y=[scale * value for value in band], fill="toself",
                               fillcolor=charts.COLOURS["student"], opacity=0.16, line={"width": 0}, mode="lines",
                               hoverinfo="skip")  # fmt: skip
    title = {"text": _(ACROSS[curves[0].corruption]), "font": {"size": 12}, "standoff": 16}
    words = [level_words(kind, level) for level in kind.levels]
    figure.update_xaxes(tickvals=places, ticktext=words, automargin=True, title=title)
    figure.update_yaxes(automargin=True, tickformatstops=charts.TICKS, ticksuffix=per_cent() if scale == 100 else "")
    return figure


def _other_data(run: RunRow, task: Task) -> None:
    """The test rows of another data set with the same labels."""
    home, store, acts = get_home(), get_store(), get_acts()
    rows = {row.id: row for row in store.datasets()}
    mine = rows.get(run.dataset_id)
    others = [row for row in rows.values() if mine is not None and row.id != mine.id and _alike(row, mine)]
    st.subheader(_("On the test rows of other data"), anchor=False)
    if not others:
        st.caption(
            _("To see how the models do on other data, add another data set of this kind.")
            if task.targets.column is None
            else _("To see how the models do on other data, add a data set with the same labels.")
        )
        return
    known = {row.id: found for row in others if (found := examined.read(home, run.id, Elsewhere, str(row.id)))}
    if known:
        st.html(pictures.table([_of_other(found, task.measures[0]) for found in known.values()]))
        if any(found.known for found in known.values()):
            st.caption(_("Rows that the models have seen while they learned are left out: they test nothing."))
    left = [row for row in others if row.id not in known]
    if not left or not acts.person.has("member") or not home.model(run.id, "student").is_dir():
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            _("Data set"), left, format_func=lambda row: data_name(row.name), key="elsewhere", width=300
        )
        if st.button(_("Ask the models about it"), icon=":material/play_arrow:", key="examine-elsewhere"):
            with errors_shown():
                with st.spinner(_("Asking all models …")):
                    acts.examine_elsewhere(run.id, chosen.id)
                st.rerun()


def _alike(dataset: DatasetRow, other: DatasetRow) -> bool:
    return (dataset.task, dataset.multi_label, dataset.labels) == (other.task, other.multi_label, other.labels)


def _of_other(found: Elsewhere, measure: Measure) -> dict[str, str]:
    values = {
        role(name): _("{value} ({low} to {high})", value=measured(value, measure), **low_and_high(low, high, measure))
        for name, (value, low, high) in found.values.items()
    }  # fmt: skip
    rows = {_("Rows"): f"{found.rows:,}", _("Left out"): f"{found.known:,}"}
    return {_("Data set"): data_name(found.dataset)} | rows | values


# --- layers


def layers(run: RunRow) -> None:
    """Which layer of the student sees the rows as which layer of the teacher does."""
    found = known(
        run, Layers, _("Does the student see the data as its teacher does?"), _("Compare the layers"),
        _("Each of its layers is compared with each of the teacher’s, on validation rows. It takes seconds."),
        _("Asking both models …"),
    )  # fmt: skip
    if found is None:
        return
    alike = np.array(found.alike, dtype=float)
    if not np.isfinite(alike).any():
        st.info(_("The layers say the same of every row: there is nothing to compare."), icon=":material/info:")
        return
    nearest = int(np.nanargmax(alike[:, -1])) if np.isfinite(alike[:, -1]).any() else 0
    st.subheader(
        _("The student’s last layer is most like layer {layer} of {layers} of its teacher: {value}", layer=nearest + 1,
          layers=len(found.teacher), value=f"{alike[nearest, -1]:.2f}"),
        anchor=False,
    )  # fmt: skip
    st.caption(
        _("Centred kernel alignment (CKA): 1 where two layers place the rows alike, about 0 where they have nothing in "
          "common. {rows} validation rows, estimated without bias; no interval is known, and values that are close may "
          "be alike.", rows=f"{found.rows:,}")
    )  # fmt: skip
    st.html(alike_table(alike[:LARGEST_TABLE], found))


def alike_table(alike: np.ndarray, found: Layers) -> Html:
    """A line for each layer of the teacher, a column for each one of the student; the darker the more alike."""
    head = element("tr", element("th", _("teacher ↓ student →")),
                   *(element("th", name, scope="col") for name in found.student))  # fmt: skip
    body = []
    for name, values in zip(found.teacher, alike.tolist(), strict=False):
        cells = [element("td", "–" if value != value else f"{value:.2f}",
                         style=f"--share:{0.0 if value != value else min(1.0, max(0.0, value)):.2f}")
                 for value in values]  # fmt: skip
        body.append(element("tr", element("th", name, scope="row"), *cells))
    return element("div", element("table", head, *body), kind="ds-table student", tabindex="0")
