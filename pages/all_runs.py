"""The list of the runs: the queue, what runs now, what is over."""

import streamlit as st

from pages._studio import get_store
from pages._words import ago, model, status_word
from studio.pipeline.timetable import title
from studio.service.progress import whole
from studio.store.rows import RunRow

store = get_store()


def in_words(run: RunRow, queue: list[int]) -> str:
    """The status, and the place in the queue."""
    if run.id in queue and len(queue) > 1:
        return f"queued, {queue.index(run.id) + 1} of {len(queue)}"
    return status_word(run)


def all_runs() -> None:
    st.title("Runs", anchor=False)
    archived = st.toggle("Show archived runs", key="archived") if store.has_archive() else False
    runs = store.runs(archived=archived)
    if not runs:
        st.info("Nothing has run yet.", icon=":material/inbox:")
        st.page_link("new_run.py", label="Start a run", icon=":material/add_circle:")
        return
    queue = store.queue()
    table = [
        {
            "Run": run.id,
            "Status": in_words(run, queue),
            "Data": run.config.dataset,
            "Teacher": model(run.config.teacher),
            "Student": model(run.config.student),
            "Phase": title(run.phase) if run.phase and not run.is_over else "",
            "Progress": whole(store, run).share if run.status == "running" else None,
            "Started": ago(run.created_at),
            "Verdict": run.verdict or run.message or "",
        }
        for run in runs
    ]
    picked = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        column_config={
            "Progress": st.column_config.ProgressColumn(min_value=0, max_value=1, format="percent"),
            "Verdict": st.column_config.TextColumn(width="large"),
        },
        key="runs",
    )
    st.caption("Click a row to open the run.")
    rows = picked["selection"]["rows"] or [row for row, _ in picked["selection"]["cells"]]
    if rows:
        st.switch_page("run.py", query_params={"run": str(runs[rows[0]].id)})


if "run" in st.query_params:  # an address from before a run had its own page
    st.switch_page("run.py", query_params={"run": st.query_params["run"]})
all_runs()
