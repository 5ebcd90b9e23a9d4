"""Runs that are compared, a card each; and what to compare, for who has not chosen yet."""

from collections.abc import Sequence

import streamlit as st

from pages import _pictures as pictures
from pages._language import _, counted
from pages._markup import Html, element
from pages._run_rows import name_of, outcome_of, state_badge
from pages._scores import milliseconds, on_test
from pages._studio import go_to
from pages._words import data_name, escape, listed, measured, model, size, teachers
from studio.evaluate.measured import timing_noise
from studio.service import comparison
from studio.service.comparison import Side
from studio.store.rows import RunRow
from studio.tasks import Measure

APART = {"student_bytes": 1.05, "student_ms": 1.25}
"""How many times as much is a difference; times of two runs were taken at different moments, and those of a run whose
own times were apart by more are taken for no better than that."""
MOST_CARDS, MOST_OFFERS, AT_ONCE = 4, 3, 4
"""Runs that stand as cards side by side; offers on the empty page, and how many runs of each are taken."""


def cards(compared: Sequence[Side], measure: Measure | None, is_clear: bool) -> None:
    """Each run with its badge, its student's quality, size and time; the best of each is marked where they can be
    compared: the best quality where that `is_clear`, the best time where all ran in one runtime, the best size where
    all were counted alike. Without `measure` each is told by its own."""
    is_one_clock = len(comparison.runtimes(compared)) < 2
    is_one_size = not comparison.of_earlier_versions(compared)
    marked = ["student"] * is_clear + ["student_bytes"] * is_one_size + ["student_ms"] * is_one_clock if measure else []
    best = {cost: _best(compared, cost) for cost in marked}
    for column, side in zip(st.columns(len(compared)), compared, strict=True):
        with column, st.container(border=True, height="stretch", key=f"row-side-{side.run.id}", gap="xsmall"):
            outcome = outcome_of(side.run)
            st.html(pictures.badge(outcome.words, outcome.kind) if outcome else state_badge(side.run))
            st.page_link("results.py" if side.run.verdict else "run.py", label=f"**{escape(side.name)}**",
                         query_params={"run": str(side.run.id)})  # fmt: skip
            st.html(pictures.pair(teachers(side.run.config), model(side.run.config.student)))
            st.html(_figures(side, best, is_one_clock))


def _best(compared: Sequence[Side], cost: str) -> int | None:
    """The run that is best in this, where one is: a measure as the task says, bytes and milliseconds the lowest, and
    lower by more than the measurement bears; none where both read alike."""
    known = {side.run.id: value for side in compared
             if side.summary and (value := getattr(side.summary, cost)) is not None}  # fmt: skip
    if len(known) < 2:
        return None
    first, second = sorted(known, key=lambda run_id: known[run_id], reverse=cost == "student")[:2]
    sides = {side.run.id: side for side in compared}
    if _written(sides[first], cost) == _written(sides[second], cost):
        return None
    if cost == "student":
        return first
    noise = [timing_noise(on_test(sides[run_id].evaluations)) for run_id in (first, second) if cost == "student_ms"]
    return first if known[second] / known[first] > max([APART[cost], *noise]) else None


def _written(side: Side, cost: str) -> str:
    """What a student reached, or what it takes, as its card says it; "" where that was not measured."""
    value = getattr(side.summary, cost)
    if cost == "student":
        return measured(value, side.measure)
    write = size if cost == "student_bytes" else milliseconds
    return write(value) if value else ""


def _figures(side: Side, best: dict[str, int | None], is_one_clock: bool) -> Html:
    known = side.summary
    if known is None or known.student is None:
        return element("p", _("Not measured on test rows."), kind="ds-sub")
    titles = {"student": _(side.measure.title), "student_bytes": _("Size"), "student_ms": _("One row")}
    values = {cost: value for cost in titles if (value := _written(side, cost))}
    if "student_ms" in values and not is_one_clock and known.student_runtime:
        values["student_ms"] = _("{time} in {runtime}", time=values["student_ms"], runtime=known.student_runtime)
    rows = {
        titles[cost]: element("span", element("em", _("best")) if best.get(cost) == side.run.id else "", value)
        for cost, value in values.items()
    }
    return pictures.facts(rows)


def offers(runs: Sequence[RunRow]) -> None:
    """Runs that learned from the same data, newest first, compared at a click; what to do where there are none."""
    by_data: dict[int, list[RunRow]] = {}
    for run in runs:
        by_data.setdefault(run.dataset_id, []).append(run)
    groups = [group for group in by_data.values() if len(group) > 1][:MOST_OFFERS]
    if not groups:
        _nothing(bool(runs))
        return
    st.subheader(_("Runs that learned from the same data"), anchor=False)
    for column, group in zip(st.columns(MOST_OFFERS), groups, strict=False):
        with column, st.container(border=True, height="stretch", key=f"card-offer-{group[0].dataset_id}"):
            taken = group[:AT_ONCE]
            st.subheader(escape(data_name(taken[0].config.dataset)), anchor=False)
            students = listed(
                [escape(model(student)) for student in dict.fromkeys(run.config.student for run in taken)]
            )
            st.caption(counted("{number} run, the newest: {students}", "{number} runs, the newest: {students}",
                               len(group), students=students))  # fmt: skip
            st.button(_("Compare the newest {number}", number=len(taken)), key=f"offer-{group[0].dataset_id}",
                      icon=":material/compare_arrows:", on_click=_take,
                      args=([run.id for run in taken],))  # fmt: skip


def _take(run_ids: list[int]) -> None:
    st.query_params["runs"] = ",".join(map(str, run_ids))


def _nothing(is_one: bool) -> None:
    lead = _("One more run, and there is something to compare") if is_one else _("There is nothing to compare yet")
    hint = _("Start a run again with another student or another setting, and see here what it brought.")
    st.html(pictures.empty(lead, hint))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button(_("New run"), type="primary", icon=":material/add_circle:", key="first-run"):
            go_to("new_run.py")
        st.page_link("all_runs.py", label=_("All runs"), icon=":material/timeline:", width="content")


def names(side: RunRow) -> str:
    """How a run is called where one is chosen among many."""
    return _("{name} · {student} · run {run}", name=name_of(side), student=model(side.config.student), run=side.id)
