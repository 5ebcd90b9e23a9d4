"""The pages' one way into the studio, and how errors look."""

import contextlib
from collections.abc import Iterator

import streamlit as st

from pages._words import escape
from studio.errors import StudioError
from studio.home import Home
from studio.store.store import Store


def get_home() -> Home:
    return Home.from_environment()


@st.cache_resource(show_spinner=False)
def _store(path: str) -> Store:
    return Store(Home.from_environment().database)


def get_store() -> Store:
    """The store of this server; a database that cannot be opened ends the page with the reason."""
    try:
        return _store(str(get_home().database))
    except StudioError as error:
        show_error(error)
        st.stop()


def show_error(error: StudioError) -> None:
    """What is wrong, and the cure."""
    st.error(f"**{escape(error.message)}** {escape(error.cure)}", icon=":material/error:")


@contextlib.contextmanager
def errors_shown() -> Iterator[None]:
    """Show a `StudioError` in the page instead of ending it."""
    try:
        yield
    except StudioError as error:
        show_error(error)
