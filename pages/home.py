"""What the studio is, three ways in, what runs now, the latest verdicts."""

import streamlit as st

from pages import _pictures as pictures
from pages._scores import by_role, scored, three
from pages._studio import errors_shown, get_acts, get_store, task_of
from pages._words import (
    OUTCOMES,
    ago,
    badge,
    duration,
    escape,
    model,
    status_word,
)
from studio.pipeline.timetable import title
from studio.service.progress import whole
from studio.store.rows import RunRow

RECENT, FAILED = 3, 2
DEMOS = {
    "text": ("Support messages", "What is it about: an account, an order to cancel, a damaged item, a failed payment?"),
    "images": ("Handwritten digits", "Which digit is it? Ten classes of small images."),
}

acts, store = get_acts(), get_store()


def start_demo(kind: str) -> None:
    from studio.service import samples

    with errors_shown(), st.spinner("Preparing the demo data …"):
        run = samples.start(acts, "text" if kind == "text" else "images")
        st.switch_page("run.py", query_params={"run": str(run.id)})


def hero(shown: RunRow | None) -> None:
    """What it is, beside a teacher that shrinks: that of the latest finished run."""
    left, right = st.columns([6, 5], gap="large", vertical_alignment="center")
    with left:
        st.title("Make a large model small, and know what it cost", anchor=False)
        st.markdown(
            "A large model, the **teacher**, trains a small one, the **student**, on your data. You watch it learn, "
            "and read at the end how much it kept, how much smaller and faster it is, and whether it was worth it."
        )
    with right:
        models = {} if shown is None else by_role(scored(store.evaluations(shown.id), task_of(shown).measures[0]))
        if shown is None or not models:
            st.html(pictures.shrink())
        else:
            source = f"From run {shown.id}, {shown.config.dataset}."
            st.html(pictures.shrink(models.get("teacher"), models.get("student"), task_of(shown).measures[0], source))


def ways_in(unfinished: list[RunRow]) -> None:
    """A demo; one's own data; what was begun."""
    if not acts.person.has("member"):
        st.info("You see runs and results here. To start runs, ask an admin.", icon=":material/visibility:")
        return
    columns = st.columns(3)
    with columns[0], st.container(border=True, height="stretch", key="card-demo"):
        st.subheader("Try a demo", anchor=False)
        st.caption("Few rows have a label; a teacher that is ready knows the rest. No network, nothing to choose.")
        for kind, (name, words) in DEMOS.items():
            if st.button(name, key=f"demo-{kind}", icon=":material/play_arrow:", width="stretch", help=words,
                         type="primary" if kind == "text" else "secondary"):  # fmt: skip
                start_demo(kind)
    with columns[1], st.container(border=True, height="stretch", key="card-own"):
        st.subheader("Your own data", anchor=False)
        st.caption("A table (CSV, Excel and others) with a text and a label in each row, or a ZIP of image folders.")
        st.page_link("data.py", label="Add data", icon=":material/upload_file:")
        if store.datasets():
            st.page_link("new_run.py", label="New run", icon=":material/add_circle:")
    with columns[2], st.container(border=True, height="stretch", key="card-continue"):
        st.subheader("Continue", anchor=False)
        if not unfinished:
            runs = store.runs(limit=1)
            st.caption("What you pause or stop waits here." if runs else "Your runs will be here.")
        for run in unfinished[:FAILED]:
            word = {"paused": "Resume", "stopped": "Open", "failed": "See what went wrong"}[status_word(run)]
            st.markdown(f"{badge(run)} **{escape(run.config.dataset)}**, {ago(run.created_at)}")
            st.page_link("run.py", label=f"{word}: run {run.id}", query_params={"run": str(run.id)},
                         icon=":material/arrow_forward:")  # fmt: skip
        if store.runs(limit=1):
            st.page_link("all_runs.py", label="All runs", icon=":material/timeline:")


@st.fragment(run_every="3s")
def running() -> None:
    """What runs now, with the progress of the whole run."""
    for run in (run for run in store.runs(limit=50) if not run.is_over):
        with st.container(border=True, key=f"row-{run.id}"):
            done = whole(store, run)
            left = (
                "" if done.seconds_left is None or done.seconds_left < 1 else f" · {duration(done.seconds_left)} left"
            )
            now = f"{title(run.phase or '')}{left}" if run.status == "running" else "waits for its turn"
            with st.container(horizontal=True, vertical_alignment="center"):
                st.page_link("run.py", label=f"**{escape(run.config.dataset)}** · run {run.id}",
                             query_params={"run": str(run.id)})  # fmt: skip
                st.markdown(f":gray[{escape(model(run.config.student))} · {escape(now)}]", width="content")
            st.html(pictures.bar(done.share))


def verdict_card(run: RunRow) -> None:
    """One verdict: a badge, three numbers, the way to the rest."""
    measure = task_of(run).measures[0]
    outcome = OUTCOMES.get(run.outcome or "no_control", OUTCOMES["no_control"])
    with st.container(border=True, height="stretch", key=f"row-card-{run.id}"):
        st.html(pictures.badge(outcome.words, outcome.kind))
        st.subheader(escape(run.config.dataset), anchor=False)
        numbers = three(scored(store.evaluations(run.id), measure), measure)
        if numbers:
            st.html(pictures.numbers(numbers, few=True))
        else:
            st.caption(escape(run.verdict))
        st.page_link("results.py", label=f"Results of run {run.id}", query_params={"run": str(run.id)},
                     icon=":material/arrow_forward:")  # fmt: skip


runs = store.runs(limit=50)
done = [run for run in runs if run.verdict]
hero(next(iter(done), None))
ways_in([run for run in runs if run.can_resume])
if any(not run.is_over for run in runs):
    st.header("Running now", anchor=False)
    running()
if done:
    st.header("Latest results", anchor=False)
    for column, run in zip(st.columns(RECENT), done, strict=False):
        with column:
            verdict_card(run)
