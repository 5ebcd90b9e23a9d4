"""A whole file in, its rows with a model's answers out."""

import tempfile
from pathlib import Path, PurePath

import streamlit as st

from pages._language import _, counted
from pages._studio import errors_shown, get_home, get_person, get_store
from pages._words import role
from studio.pipeline.answers import AskedRole
from studio.service import playground
from studio.service.predict import predict_file
from studio.store.rows import RunRow

TYPES = ["csv", "tsv", "txt", "jsonl", "json", "parquet", "xlsx", "zip"]
DONE = "playground-file-done"


def section(run: RunRow) -> None:
    """The file, whose answers, the download."""
    with st.expander(_("Ask about a whole file"), icon=":material/table:", key="fold-file"):
        if not get_person().has("member"):
            st.caption(_("Members and admins bring files."))
            return
        file = st.file_uploader(_("A table, or a ZIP of pictures"), type=TYPES, key="playground-file")
        roles = [one for one in playground.asked_roles(get_home(), get_store(), run.id) if one != "baseline"]
        start = roles.index("student") if "student" in roles else 0
        with st.container(horizontal=True, vertical_alignment="bottom"):
            whose = st.selectbox(_("Whose answers"), roles, index=start, format_func=role, key="playground-file-role",
                                 width=220)  # fmt: skip
            asked = st.button(_("Answer every row"), icon=":material/play_arrow:", key="playground-file-ask",
                              disabled=file is None)  # fmt: skip
        if asked and file is not None:
            st.session_state.pop(DONE, None)
            with errors_shown():
                st.session_state[DONE] = (run.id, *_answered(run, whose, file.name, file.getvalue()))
        _download(run)


def _answered(run: RunRow, whose: AskedRole, name: str, data: bytes) -> tuple[str, bytes, int, int]:
    """(name, content, rows, rows without an input) of the file of answers; a bar shows how far it is."""
    bar = st.progress(0.0, _("Reading the file …"))

    def tell(done: int, total: int) -> None:
        if done == total or done % playground.MOST_ROWS == 0:
            bar.progress(done / max(1, total), _("{done} of {total} rows", done=f"{done:,}", total=f"{total:,}"))

    with tempfile.TemporaryDirectory(prefix="asked-") as place:
        source = Path(place) / f"file{PurePath(name).suffix.lower()}"
        source.write_bytes(data)
        asked = playground.shared(get_home().root)
        scored = predict_file(
            get_store(), get_home(), run.id, source, Path(place) / "answers.csv", tell=tell,
            ask=lambda values: asked.stream(get_store(), run.id, whose, values),
        )  # fmt: skip
        written = scored.file.read_bytes()
    bar.empty()
    return f"{PurePath(name).stem}-answers.csv", written, scored.rows, scored.empty


def _download(run: RunRow) -> None:
    done = st.session_state.get(DONE)
    if done is None or done[0] != run.id:
        return
    _run, name, written, rows, empty = done
    st.success(counted("{number} row has an answer.", "{number} rows have an answer.", rows - empty),
               icon=":material/check:")  # fmt: skip
    if empty:
        st.caption(
            counted("{number} row has no input and got none.", "{number} rows have no input and got none.", empty)
        )
    st.download_button(_("Download the answers"), written, name, "text/csv", icon=":material/download:",
                       key="playground-file-get")  # fmt: skip
