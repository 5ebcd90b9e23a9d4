"""What somebody brings to the page Data: a file that is uploaded, or one that is fetched from elsewhere."""

from typing import Any

import streamlit as st

from pages._kept_upload import KeptUpload, forget, kept
from pages._language import N_, _, retell
from pages._studio import errors_shown, get_home, get_person, show_error
from pages._words import escape, sentences, size
from studio.errors import DataError, StudioError

AUTO = N_("Auto-detect")
HEADERS = {AUTO: None, N_("First row"): True, N_("None"): False}
TYPED = (".parquet", ".arrow", ".feather")  # nothing about these is left open
NAMED_CELLS, SHEETS = (".json", ".jsonl"), (".xlsx",)
ENCODING = N_("Such as utf-8, cp1252 or gb18030. With a named one the file is read even where bytes do not fit it.")
REMOTE = "https://HOST/FILE or hub:ORG/NAME"
REMOTE_HELP = N_(
    "The file at a public https address, or a data set of the Hugging Face Hub; a subset is ORG/NAME/SUBSET."
)
DELIMITER = N_("One character such as ; or |, or the word tab.")
STAYS = N_("Files stay on this machine; what is not saved is deleted after a day.")
ASKS = N_("This machine asks that address, or huggingface.co; nothing of yours is sent there.")


@st.cache_resource(show_spinner=False, max_entries=4)
def read(_kept: KeptUpload, token: str, header: bool | None, encoding: str | None, delimiter: str | None) -> Any:
    from studio.data import apart

    with apart.one_at_a_time(get_person().address):
        return apart.read(_kept.path, name=_kept.name, header=header, encoding=encoding, delimiter=delimiter)


def upload_box(label: str, key: str, help_text: str) -> tuple[Any, tuple[Any, ...]] | None:
    """The upload as a table, and what identifies it, its name last; None while there is none or it cannot be read."""
    is_new_visit = key not in st.session_state
    file = st.file_uploader(label, key=key, help=help_text)
    found = None
    with errors_shown():
        found = kept(get_home(), file, key, is_new_visit)
    if found is None:
        return None
    if file is None:
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"again-{key}"):
            st.markdown(f":material/draft: **{escape(found.name)}**", width="content")
            st.button(_("Remove"), key=f"remove-{key}", type="tertiary", on_click=forget, args=(get_home(), key))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"read-{key}"):
        notes = st.container(width="content")
        how = reading_options(found.name.lower(), key)
    try:
        with st.spinner(_("Reading the file …")):
            upload = read(found, found.token, *how)
    except StudioError as error:
        show_error(error)
        return None
    notes.caption(sentences(*(escape(retell(note)) for note in upload.notes)))
    return upload, (found.token, *how, found.name)


def reading_options(name: str, key: str) -> tuple[bool | None, str | None, str | None]:
    """Header, encoding and delimiter as far as they can be named for a file of this name; None: find it out."""
    if name.endswith(TYPED):
        return None, None, None
    header, encoding, delimiter = None, "", ""
    with st.popover(_("Reading options"), type="tertiary"):
        if not name.endswith(NAMED_CELLS):
            word = st.segmented_control(_("Header"), list(HEADERS), default=AUTO, key=f"{key}-header",
                                            format_func=lambda option: _(option))  # fmt: skip
            header = HEADERS[word or AUTO]
        if not name.endswith(SHEETS):
            encoding = st.text_input(_("Encoding"), placeholder=_(AUTO), key=f"{key}-encoding", help=_(ENCODING))
        if not name.endswith((*NAMED_CELLS, *SHEETS)):
            delimiter = st.text_input(_("Delimiter"), placeholder=_(AUTO), key=f"{key}-delimiter", help=_(DELIMITER))
    return header, encoding.strip() or None, delimiter or None


def remote_box() -> tuple[Any, tuple[Any, ...]] | None:
    """What stands at an address or on the hub; None while none is named or it cannot be read."""
    with st.expander(_("From an address or the Hugging Face Hub")), st.form("remote", border=False):
        said = st.text_input(_("Address or name"), placeholder=REMOTE, key="remote-name", help=_(REMOTE_HELP)).strip()
        st.caption(_(ASKS))
        st.form_submit_button(_("Fetch"), icon=":material/download:")
    if not said:
        return None
    try:
        upload = fetch(said)
    except StudioError as error:
        show_error(error)
        return None
    st.caption(sentences(*(escape(retell(note)) for note in upload.notes)))
    return upload, ("remote", said)


def fetch(said: str) -> Any:
    """What stands there; the last one is kept for this session."""
    from studio.data import apart
    from studio.service import sources, web

    def tell(done: int, total: int | None) -> None:
        progress = _("{done} of {total}", done=size(done), total=size(total)) if total else size(done)
        bar.progress(min(1.0, done / total) if total else 0.0, _("Fetching … {size}", size=progress))

    name, upload = st.session_state.get("fetched", ("", None))
    if name == said:
        return upload
    if not web.is_remote(said):
        raise DataError(f"{said!r} is neither an address nor a name on the hub.", f"Write {REMOTE}.")
    bar = st.progress(0.0, _("Fetching …"))
    try:
        with apart.one_at_a_time(get_person().address):
            upload = sources.bring(said, tell=tell)
    finally:
        bar.empty()
    st.session_state["fetched"] = said, upload
    return upload
