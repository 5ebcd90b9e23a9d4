"""An upload that a reload and the way back find again. Its file stays for a day at most, under a name that nobody can
guess; that name stands in the address, and opens the file for the person who brought it alone."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from pages._language import _
from pages._studio import get_person
from studio.home import Home
from studio.service.passing import OWNER, room

CHUNK, LONGEST_NAME = 1024**2, 200
_TOKEN = re.compile(r"[\w-]{22}")


@dataclass(frozen=True)
class KeptUpload:
    """A file as somebody brought it; `name` is what they call it."""

    token: str
    path: Path
    name: str


def kept(home: Home, file: Any, key: str, is_new_visit: bool) -> KeptUpload | None:
    """The file in the uploader of this key, or the one that the address still names; None where there is none.

    A file that somebody takes out of the uploader is gone; one that was brought before this visit is still there.
    """
    seen = f"kept {key}"
    if file is not None and st.session_state.get(seen) != file.file_id:
        forget(home, key)
        st.query_params[key] = _keep(home, file)
        st.session_state[seen] = file.file_id
    elif file is None and not is_new_visit and seen in st.session_state:
        forget(home, key)
    elif file is None:
        st.session_state.pop(seen, None)
    found = _find(home, st.query_params.get(key, ""))
    if found is None and st.query_params.pop(key, ""):
        st.info(_("This upload is no longer here. Bring the file again."), icon=":material/info:")
    return found


def forget(home: Home, key: str) -> None:
    """The file goes, and its place in the address."""
    st.session_state.pop(f"kept {key}", None)
    found = _find(home, st.query_params.pop(key, ""))
    if found is not None:
        shutil.rmtree(found.path.parent, ignore_errors=True)


def _keep(home: Home, file: Any) -> str:
    """A copy under a name of our own, returned here; the user's name is kept beside it."""
    folder = room(home, home.uploads, file.size, _owner())
    with (folder / "file").open("wb") as to:
        file.seek(0)
        shutil.copyfileobj(file, to, CHUNK)
    (folder / "name").write_text(file.name[-LONGEST_NAME:], encoding="utf-8", errors="replace")
    return folder.name


def _owner() -> str:
    """The address of who is signed in; nothing for the one who sits at this machine."""
    return get_person().address or ""


def _find(home: Home, token: str) -> KeptUpload | None:
    """What this person brought under this name; None where there is nothing, or it is somebody else's."""
    folder = home.uploads / token
    if not _TOKEN.fullmatch(token) or not (folder / "name").is_file():
        return None
    if (folder / OWNER).read_text(encoding="utf-8") != _owner():
        return None
    return KeptUpload(token, folder / "file", (folder / "name").read_text(encoding="utf-8"))
