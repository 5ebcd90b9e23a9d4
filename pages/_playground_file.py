"""A whole file in, its rows with a model's answer out: it is answered beside the page, which tells how far it is."""

import tempfile
from pathlib import Path, PurePath
from typing import Any

import streamlit as st

from pages._language import _, counted
from pages._studio import errors_shown, get_acts, get_home, get_person, get_store, show_error
from pages._words import escape, listed, role
from studio import tasks
from studio.data import joining
from studio.errors import StudioError
from studio.home import PASSING
from studio.language.escaping import unturned
from studio.service import file_answers, playground
from studio.service.file_answers import FileAnswers
from studio.store.rows import RunRow

TYPES = ["csv", "tsv", "txt", "jsonl", "json", "parquet", "xlsx", "zip"]
ROLES = {"input": "column", "pair": "pair"}
"""What the columns of the run's data are for, and what a model that answers a file calls them."""
MOST_SHOWN = 5


def section(run: RunRow) -> None:
    """The file, whose answers; below it the files that are being answered, and those that are ready."""
    with st.expander(_("Ask about a whole file"), icon=":material/table:", key="fold-file"):
        person = get_person()
        if not person.has("member"):
            st.caption(_("Members and admins bring files."))
            return
        desk = file_answers.shared(get_home().root)
        file = st.file_uploader(_("A table, or a ZIP of pictures"), type=TYPES, key="playground-file")
        columns = choose_columns(run, file) if file is not None else {}
        roles = [name for name in playground.asked_roles(get_home(), get_store(), run.id) if name != "baseline"]
        start = roles.index("student") if "student" in roles else 0
        with st.container(horizontal=True, vertical_alignment="bottom"):
            whose = st.selectbox(_("Whose answers"), roles, index=start, format_func=role, key="playground-file-role",
                                 width=220)  # fmt: skip
            asked = st.button(_("Answer every row"), icon=":material/play_arrow:", key="playground-file-ask",
                              disabled=file is None or columns is None)  # fmt: skip
        if asked and file is not None and columns is not None:
            with errors_shown():
                get_acts().answer_file(run.id, whose, file.name, file.getvalue(), columns)
        files = desk.of(run.id, person.address)[:MOST_SHOWN]
        if any(not job.is_over for job in files):
            st.caption(_("You can close this page: the answers will be here."))
            _watched(run)
        else:
            for job in files:
                line(job)
            if any(job.state == "finished" for job in files):
                st.caption(_("Answers stay here for a day."))


@st.cache_resource(show_spinner=False, max_entries=2)
def table_of(_file: Any, file_id: str) -> Any:
    """The file as a table."""
    from studio.data import apart

    with tempfile.TemporaryDirectory(prefix=PASSING) as folder:
        path = Path(folder) / f"file{PurePath(_file.name).suffix.lower()}"
        path.write_bytes(_file.getvalue())
        with apart.one_at_a_time(get_person().address):
            return apart.read(path, name=_file.name)


def choose_columns(run: RunRow, file: Any) -> dict[str, str] | None:
    """The columns to read, where those of the run's data are not in this file: guessed as on the page Data, to be
    changed. Nothing to choose where they are there; None where the file cannot be read or one is missing."""
    from studio.data.columns import guess_columns

    store = get_store()
    dataset = store.dataset_by_id(run.dataset_id)
    try:
        upload = table_of(file, file.file_id)
        there = [str(name) for name in upload.table.columns]
        wanted = {of: dataset.columns[of] for of in ROLES if of in dataset.columns}
        if upload.kind == "images" or len(there) == 1 or all(joining.parts(name, there) for name in wanted.values()):
            return {}
        guess = guess_columns(upload, dataset.task).as_dict()
    except StudioError as error:
        show_error(error)
        return None
    st.caption(_("This file has no column {names}. Which one is to be read?",
                 names=listed([f"“{escape(name)}”" for name in wanted.values()])))  # fmt: skip
    titles = {column.role: _(column.title) for column in tasks.get(dataset.task).columns}
    picked: dict[str, str | None] = {}
    for place, of in zip(st.columns(len(wanted)), wanted, strict=True):
        first = there.index(guess[of]) if guess.get(of) in there else None
        picked[of] = place.selectbox(_("{name} column", name=titles.get(of, of)), there, index=first,
                                     format_func=unturned,
                                     key=f"playground-column-{of}-{file.file_id}")  # fmt: skip
    named = {ROLES[of]: name for of, name in picked.items() if name is not None}
    return named if len(named) == len(wanted) else None


@st.fragment(run_every="1s")
def _watched(run: RunRow) -> None:
    """The files as they are now; the page is drawn anew when none goes on any more."""
    files = file_answers.shared(get_home().root).of(run.id, get_person().address)[:MOST_SHOWN]
    if all(job.is_over for job in files):
        st.rerun()
    for job in files:
        line(job)


def line(job: FileAnswers) -> None:
    """One file: how far it is, what came of it."""
    name = escape(f"{job.name} · {role(job.role)}")
    if job.state == "failed" and job.error is not None:
        st.markdown(name)
        show_error(job.error)
    elif job.state == "stopped":
        st.caption(_("{name}: stopped", name=name))
    elif job.state == "finished" and job.scored is not None:
        _ready(job, name)
    else:
        _going(job, name)


def _going(job: FileAnswers, name: str) -> None:
    text = _("Reading the file …") if not job.total else _("{done} of {total} rows", done=f"{job.done:,}",
                                                           total=f"{job.total:,}")  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.progress(job.done / max(1, job.total), f"{name}: {text}")
        st.button(_("Stop"), key=f"file-stop-{job.id}", on_click=job.stop.set, type="tertiary", icon=":material/stop:")


def _ready(job: FileAnswers, name: str) -> None:
    assert job.scored is not None
    text = counted("{number} row has an answer.", "{number} rows have an answer.", job.scored.rows - job.scored.empty)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":material/check: {name}: {text}")
        st.download_button(_("Download the answers"), job.answers.read_bytes, f"{PurePath(job.name).stem}-answers.csv",
                           "text/csv", icon=":material/download:", key=f"file-get-{job.id}",
                           on_click="ignore")  # fmt: skip
    if job.scored.empty:
        st.caption(counted("{number} row has no input and got none.", "{number} rows have no input and got none.",
                           job.scored.empty))  # fmt: skip
