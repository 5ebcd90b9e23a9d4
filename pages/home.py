"""Try the demo; what is running; the latest verdicts."""

import streamlit as st

from pages._studio import errors_shown, get_home, get_store
from pages._words import STATUS_COLOURS, STATUS_ICONS, ago, escape, model
from studio.store.rows import RunRow

RECENT = 5

home, store = get_home(), get_store()


def start_demo(kind: str) -> None:
    from studio.service import samples

    with errors_shown(), st.spinner("Preparing the demo data …"):
        run = samples.start(store, home, "text" if kind == "text" else "images")
        st.switch_page("runs.py", query_params={"run": str(run.id)})


def demo_card(kind: str, title: str, words: str) -> None:
    with st.container(border=True, height="stretch"):
        st.subheader(title, anchor=False)
        st.write(words)
        if st.button("Try the demo", key=f"demo-{kind}", type="primary", icon=":material/play_arrow:"):
            start_demo(kind)


def run_line(run: RunRow) -> None:
    with st.container(border=True):
        what = (
            f"{escape(run.config.dataset)}: {escape(model(run.config.teacher))} → {escape(model(run.config.student))}"
        )
        badge = f":{STATUS_COLOURS[run.status]}-badge[{STATUS_ICONS[run.status]} {run.status}]"
        st.markdown(f"{badge} **Run {run.id}** · {what} · {ago(run.created_at)}")
        if run.verdict:
            st.markdown(escape(run.verdict))
        elif run.message:
            st.markdown(escape(run.message))
        page = "results.py" if run.status in ("finished", "stopped") else "runs.py"
        word = "See the results" if run.status in ("finished", "stopped") else "Watch it"
        st.page_link(page, label=word, query_params={"run": str(run.id)}, icon=":material/arrow_forward:")


st.title("Make a large model small", anchor=False)
st.markdown(
    "Pick a **teacher** and a small **student**, bring your data, and watch the student learn. "
    "At the end you read in one sentence how much of the teacher it kept, and whether the teacher was worth it."
)

left, right = st.columns(2)
with left:
    demo_card(
        "text",
        "Support messages",
        "A student learns to tell what customers want: delivery, payment, returns and more. Few messages have a "
        "label; the student learns the others from the teacher. Under a minute; no network, no account.",
    )
with right:
    demo_card(
        "images",
        "Handwritten digits",
        "A student many times smaller than its teacher learns to read digits. Few images have a label; the student "
        "learns the others from the teacher. Under a minute; no network, no account.",
    )

runs = store.runs(limit=50)
active = [run for run in runs if not run.is_over]
over = [run for run in runs if run.is_over][:RECENT]

if active:
    st.header("Running now", anchor=False)
    for run in active:
        run_line(run)
if over:
    st.header("Latest verdicts", anchor=False)
    for run in over:
        run_line(run)
if not runs:
    st.header("Your own data", anchor=False)
    st.markdown("Nothing has run here yet. Try a demo, or bring your own data.")
    st.page_link("data.py", label="Add data", icon=":material/upload_file:")
