"""The list of the runs: the queue, what runs now, what is over; each row opens its run."""

import streamlit as st

from pages import _pictures as pictures
from pages._studio import get_person, get_store
from pages._words import badge, escape, made, model, status_word
from studio.pipeline.timetable import title
from studio.service.progress import whole
from studio.store.rows import RunRow

STATES = ("running", "queued", "paused", "finished", "stopped", "failed")
AT_FIRST = 25  # rows, until somebody asks for more

store = get_store()


def fits(run: RunRow, searched: str, states: list[str]) -> bool:
    """Whether a row is among those that are asked for."""
    told = (
        f"run {run.id} {run.config.dataset} {model(run.config.teacher)} {model(run.config.student)} {run.verdict or ''}"
    )
    return (not states or status_word(run) in states) and all(word in told.lower() for word in searched.lower().split())


def row(run: RunRow, queue: list[int]) -> None:
    """What a run is, how it stands, what came of it."""
    with st.container(border=True, key=f"row-{run.id}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.page_link("run.py", label=f"**{escape(run.config.dataset)}** · run {run.id}",
                         query_params={"run": str(run.id)}, width="content")  # fmt: skip
            place = f", {queue.index(run.id) + 1} of {len(queue)}" if run.id in queue and len(queue) > 1 else ""
            st.markdown(f"{badge(run)}{place}", width="content")
            st.markdown(
                f":gray[{escape(model(run.config.teacher))} → {escape(model(run.config.student))} · {made(run)}]",
                width="content",
            )
        if run.status == "running":
            st.caption(title(run.phase or ""))
            st.html(pictures.bar(whole(store, run).share))
        elif run.verdict or run.message:
            st.caption(escape(run.verdict or run.message))


def all_runs() -> None:
    st.title("Runs", anchor=False)
    archived = st.toggle("Show archived runs", key="archived") if store.has_archive() else False
    runs = store.runs(archived=archived)
    if not runs:
        st.info("Nothing has run yet.", icon=":material/inbox:")
        if get_person().has("member"):
            st.page_link("new_run.py", label="Start a run", icon=":material/add_circle:")
        return
    present = [state for state in STATES if any(status_word(run) == state for run in runs)]
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    searched = left.text_input("Search", placeholder="Data, model or number", key="search", icon=":material/search:",
                               label_visibility="collapsed")  # fmt: skip
    states = right.pills("State", present, selection_mode="multi", key="states", label_visibility="collapsed")
    shown = [run for run in runs if fits(run, searched, list(states))]
    if not shown:
        st.info("No run fits. Take away a filter.", icon=":material/filter_alt_off:")
    many = len(shown) > AT_FIRST and not st.session_state.get("all-rows", False)
    queue = store.queue()
    for run in shown[:AT_FIRST] if many else shown:
        row(run, queue)
    if many:
        st.button(f"Show {len(shown) - AT_FIRST} more", key="more", on_click=st.session_state.update,
                  kwargs={"all-rows": True})  # fmt: skip
    known = store.count_runs(archived=archived)
    if known > len(runs):
        st.caption(f"The newest {len(runs):,} of {known:,} runs.")


if "run" in st.query_params:  # an address from before a run had its own page
    st.switch_page("run.py", query_params={"run": st.query_params["run"]})
all_runs()
