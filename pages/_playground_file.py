"""A whole file in, its rows with a model's answer out: it is answered beside the page, which tells how far it is."""

from pathlib import PurePath

import streamlit as st

from pages._language import _, counted
from pages._studio import errors_shown, get_acts, get_home, get_person, get_store, show_error
from pages._words import escape, role
from studio.service import file_answers, playground
from studio.service.file_answers import FileAnswers
from studio.store.rows import RunRow

TYPES = ["csv", "tsv", "txt", "jsonl", "json", "parquet", "xlsx", "zip"]
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
        roles = [one for one in playground.asked_roles(get_home(), get_store(), run.id) if one != "baseline"]
        start = roles.index("student") if "student" in roles else 0
        with st.container(horizontal=True, vertical_alignment="bottom"):
            whose = st.selectbox(_("Whose answers"), roles, index=start, format_func=role, key="playground-file-role",
                                 width=220)  # fmt: skip
            asked = st.button(_("Answer every row"), icon=":material/play_arrow:", key="playground-file-ask",
                              disabled=file is None)  # fmt: skip
        if asked and file is not None:
            with errors_shown():
                get_acts().answer_file(run.id, whose, file.name, file.getvalue())
        files = desk.of(run.id, person.address)[:MOST_SHOWN]
        if any(not one.is_over for one in files):
            st.caption(_("You can close this page: the answers will be here."))
            _watched(run)
        else:
            for one in files:
                line(one)


@st.fragment(run_every="1s")
def _watched(run: RunRow) -> None:
    """The files as they are now; the page is drawn anew when none goes on any more."""
    files = file_answers.shared(get_home().root).of(run.id, get_person().address)[:MOST_SHOWN]
    if all(one.is_over for one in files):
        st.rerun()
    for one in files:
        line(one)


def line(one: FileAnswers) -> None:
    """One file: how far it is, what came of it."""
    name = escape(f"{one.name} · {role(one.role)}")
    if one.state == "failed" and one.error is not None:
        st.markdown(name)
        show_error(one.error)
    elif one.state == "stopped":
        st.caption(_("{name}: stopped", name=name))
    elif one.state == "finished" and one.scored is not None:
        _ready(one, name)
    else:
        _going(one, name)


def _going(one: FileAnswers, name: str) -> None:
    told = _("Reading the file …") if not one.total else _("{done} of {total} rows", done=f"{one.done:,}",
                                                           total=f"{one.total:,}")  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.progress(one.done / max(1, one.total), f"{name}: {told}")
        st.button(_("Stop"), key=f"file-stop-{one.id}", on_click=one.stop.set, type="tertiary", icon=":material/stop:")


def _ready(one: FileAnswers, name: str) -> None:
    assert one.scored is not None
    told = counted("{number} row has an answer.", "{number} rows have an answer.", one.scored.rows - one.scored.empty)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":material/check: {name}: {told}")
        st.download_button(_("Download the answers"), one.answers.read_bytes, f"{PurePath(one.name).stem}-answers.csv",
                           "text/csv", icon=":material/download:", key=f"file-get-{one.id}")  # fmt: skip
    if one.scored.empty:
        st.caption(counted("{number} row has no input and got none.", "{number} rows have no input and got none.",
                           one.scored.empty))  # fmt: skip
