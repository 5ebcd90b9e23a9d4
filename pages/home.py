"""Try the demo; what is running; what is over; your own data."""

import streamlit as st

from pages._studio import errors_shown, get_home, get_store
from pages._words import ago, badge, escape, model, status_word
from studio.store.rows import RunRow

RECENT = 5

home, store = get_home(), get_store()


def start_demo(kind: str) -> None:
    from studio.service import samples

    with errors_shown(), st.spinner("Preparing the demo data …"):
        run = samples.start(store, home, "text" if kind == "text" else "images")
        st.switch_page("run.py", query_params={"run": str(run.id)})


def demo_card(kind: str, title: str, words: str) -> None:
    with st.container(border=True, height="stretch"):
        st.subheader(title, anchor=False)
        st.write(words)
        if st.button("Run this demo", key=f"demo-{kind}", type="primary", icon=":material/play_arrow:"):
            start_demo(kind)


def run_line(run: RunRow) -> None:
    with st.container(border=True):
        what = (
            f"{escape(run.config.dataset)}: {escape(model(run.config.teacher))} → {escape(model(run.config.student))}"
        )
        st.markdown(f"{badge(run)} **Run {run.id}** · {what} · {ago(run.created_at)}")
        if run.verdict:
            st.markdown(escape(run.verdict))
        elif run.message:
            st.markdown(escape(run.message))
        page, word = ("results.py", "See the results") if run.verdict else ("run.py", link_word(run))
        st.page_link(page, label=word, query_params={"run": str(run.id)}, icon=":material/arrow_forward:")


def link_word(run: RunRow) -> str:
    """What a run without a verdict is opened for."""
    return {"paused": "Resume", "stopped": "Open", "failed": "See what went wrong"}.get(status_word(run), "Watch")


st.title("Make a large model small", anchor=False)
st.markdown(
    "Pick a large **teacher** and a small **student**, bring your data, and watch the student learn. "
    "At the end, one sentence tells you how much of the teacher's quality it kept and whether the teacher helped."
)

st.header("Try a demo", anchor=False)
left, right = st.columns(2)
with left:
    demo_card(
        "text",
        "Support messages",
        "A student learns to recognise what customers want: delivery, payment, returns and more. Few messages are "
        "labelled; the student learns the rest from the teacher. Takes a few minutes; no network, no account.",
    )
with right:
    demo_card(
        "images",
        "Handwritten digits",
        "A student many times smaller than its teacher learns to read digits. Few images are labelled; the student "
        "learns the rest from the teacher. Takes a few minutes; no network, no account.",
    )

runs = store.runs(limit=50)
active = [run for run in runs if not run.is_over]
waiting = [run for run in runs if status_word(run) == "paused"]
over = [run for run in runs if run.is_over and run not in waiting][:RECENT]

for heading, shown in (("Active runs", active), ("Paused", waiting), ("Recent runs", over)):
    if shown:
        st.header(heading, anchor=False)
    for run in shown:
        run_line(run)
st.header("Your own data", anchor=False)
st.markdown("Bring a table or a ZIP of images, then start a run on it.")
with st.container(horizontal=True):
    st.page_link("data.py", label="Add data", icon=":material/upload_file:")
    st.page_link("new_run.py", label="New run", icon=":material/add_circle:")
