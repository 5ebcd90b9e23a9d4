"""An upload that a reload and the way back find again. Its file stays for a day at most, under a name that nobody can
guess; that name stands in the address."""

import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from studio.home import Home

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
        st.session_state[seen] = file.file_id
        st.query_params[key] = _keep(home, file)
    elif file is None and not is_new_visit and seen in st.session_state:
        forget(home, key)
    elif file is None:
        st.session_state.pop(seen, None)
    return _find(home, st.query_params.get(key, ""))


def forget(home: Home, key: str) -> None:
    """The file goes, and its place in the address."""
    st.session_state.pop(f"kept {key}", None)
    found = _find(home, st.query_params.pop(key, ""))
    if found is not None:
        shutil.rmtree(found.path.parent, ignore_errors=True)


def _keep(home: Home, file: Any) -> str:
    """A copy under a name of our own; the user's name is kept beside it."""
    home.make()
    token = secrets.token_urlsafe(16)
    folder = home.uploads / token
    folder.mkdir(parents=True)
    with (folder / "file").open("wb") as to:
        file.seek(0)
        shutil.copyfileobj(file, to, CHUNK)
    (folder / "name").write_text(file.name[-LONGEST_NAME:], encoding="utf-8")
    return token


def _find(home: Home, token: str) -> KeptUpload | None:
    folder = home.uploads / token
    if not _TOKEN.fullmatch(token) or not (folder / "name").is_file():
        return None
    return KeptUpload(token, folder / "file", (folder / "name").read_text(encoding="utf-8"))
