"""A run as a row of a list: what it is called, how it stands, what came of it in three numbers."""

from collections.abc import Mapping

import streamlit as st

from pages import _pictures as pictures
from pages._language import _, retell
from pages._markup import Html, element
from pages._scores import scored, three
from pages._studio import errors_shown, get_acts, get_store
from pages._words import (
    OUTCOMES,
    Outcome,
    about,
    ago,
    data_name,
    escape,
    model,
    run_name,
    stage_title,
    status_word,
    teachers,
)
from studio import tasks
from studio.service.progress import whole
from studio.store import run_list
from studio.store.rows import DatasetRow, RunRow
from studio.tasks import Measure

MOST_OF_A_NOTE = 160


def name_of(run: RunRow) -> str:
    """What a run is called: its own name, else that of its data."""
    return run_name(run.name) or data_name(run.config.dataset)


def measure_of(run: RunRow, datasets: Mapping[int, DatasetRow]) -> Measure:
    """The measure that decides, as the data of the run says."""
    data = datasets.get(run.dataset_id)
    task = tasks.get(data.task, data.multi_label) if data else tasks.get(run.config.task or next(iter(tasks.TASKS)))
    return task.measures[0]


def figures(run: RunRow, measure: Measure) -> Html | None:
    """Kept, smaller, faster, a word each, as all pages say them; None where teacher or student was not measured."""
    cells = []
    for number in three(scored(get_store().evaluations(run.id), measure), measure, run.outcome):
        value = element("b", number.value, element("small", number.unit) if number.unit else "")
        cells.append(element("div", value, element("span", number.short), title=f"{number.words}: {number.detail}"))
    return element("div", *cells, kind="ds-figures") if cells else None


def outcome_of(run: RunRow) -> Outcome | None:
    return OUTCOMES.get(run.outcome or "no_control", OUTCOMES["no_control"]) if run.verdict else None


def row(run: RunRow, measure: Measure, place: str = "") -> None:
    """One run; a click anywhere opens it. `place` says where in the queue it waits."""
    page = "results.py" if run.verdict else "run.py"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"head-{run.id}"):
        with st.container(gap=None, key=f"what-{run.id}"):
            st.page_link(page, label=f"**{escape(name_of(run))}**", query_params={"run": str(run.id)}, width="content")
            st.html(_about(run, place))
        found = figures(run, measure) if run.verdict and run.outcome != "not_learned" else None
        if found:
            st.html(found, width="content")
    if run.status == "running":
        _progress(run.id)
    elif run.verdict and run.config.evaluate_on == "validation":  # a trial of a search has no test rows to tell of
        st.caption(escape(retell(run.verdict)))
    elif not run.verdict and run.message:
        st.caption(escape(retell(run.message)))


def _about(run: RunRow, place: str) -> Html:
    """The badge, then what the run is made of, when it was started and by whom; its tags and its note."""
    outcome = outcome_of(run)
    state = pictures.badge(outcome.words, outcome.kind) if outcome else state_badge(run)
    parts = [data_name(run.config.dataset)] if run.name else []
    parts += [f"{teachers(run.config)} → {model(run.config.student)}", _("run {run}", run=run.id), ago(run.created_at)]
    parts += [_("by {person}", person=run.made_by)] if run.made_by else []
    details = element("span", " · ".join([*parts, place] if place else parts), kind="ds-sub")
    tags = [element("span", tag, kind="ds-tag") for tag in run.tags]
    lines = [element("div", state, details, *tags, kind="ds-about")]
    note = " ".join(run.note.split())
    if note:
        shown = note if len(note) <= MOST_OF_A_NOTE else note[: MOST_OF_A_NOTE - 1] + "…"
        lines.append(element("p", shown, kind="ds-remark"))
    return element("div", *lines)


def state_word(state: str) -> str:
    """A state of a run in the reader's language."""
    return {
        "running": _("running"),
        "queued": _("queued"),
        "paused": _("paused"),
        "finished": _("finished"),
        "stopped": _("stopped"),
        "failed": _("failed"),
    }.get(state, state)


def state_badge(run: RunRow) -> Html:
    state = status_word(run)
    kind = {"running": "good", "finished": "good", "paused": "careful", "stopped": "careful", "failed": "bad"}
    return pictures.badge(state_word(state), kind.get(state, "even"))


@st.fragment(run_every="3s")
@errors_shown()
def _progress(run_id: int) -> None:
    """How far a run is; the list is drawn anew when it is over."""
    run = get_store().run(run_id)
    if run.status != "running":
        st.rerun()
    done = whole(get_store(), run)
    st.html(pictures.bar(done.share))
    left = done.seconds_left
    now = stage_title(run.phase or "")
    st.caption(escape(_("{stage} · {time} left", stage=now, time=about(left)) if left and left >= 1 else now))


def describe(run_id: int) -> None:
    """Ask for what a person wants to write on a run, and keep it."""
    st.dialog(_("Name, note and tags"))(_describe)(run_id)


def _describe(run_id: int) -> None:
    store, acts = get_store(), get_acts()
    run, known = store.run(run_id), list(store.tags())
    name = st.text_input(
        _("Name"), run.name, placeholder=data_name(run.config.dataset), max_chars=run_list.LONGEST_NAME
    )
    tags = st.multiselect(_("Tags"), list(dict.fromkeys([*run.tags, *known])), run.tags, accept_new_options=True,
                          placeholder=_("Choose some, or type new ones"))  # fmt: skip
    note = st.text_area(_("Note"), run.note, max_chars=run_list.LONGEST_NOTE,
                        placeholder=_("What you tried, and why"))  # fmt: skip
    if st.button(_("Save"), type="primary", key="save-description"):
        with errors_shown():
            acts.describe(run_id, name=name, note=note, tags=tags)
            st.rerun()
