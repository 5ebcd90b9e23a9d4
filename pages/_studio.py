"""The pages' one way into the studio, and how errors look."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import NoReturn

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages import _login as login
from pages._access import needs_login
from pages._language import _, retell
from pages._words import coded, escape, moment
from studio import tasks
from studio.errors import StoreError, StudioError, of_system
from studio.home import Home
from studio.service import people
from studio.service.acts import Acts
from studio.service.people import Person
from studio.store.rows import RunRow
from studio.store.store import Store

LONGEST_NUMBER = 18
"""Digits of a run's number; longer ones are more than the database can count to."""


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


def get_person() -> Person:
    """Who looks at this page; where a login is needed and nobody who may enter has signed in, the page ends here."""
    if not needs_login():
        return people.local()
    if not st.user.get("is_logged_in", False) or login.is_over(st.user.to_dict()):
        st.error(_("Sign in first."), icon=":material/lock:")
        st.stop()
    try:
        return people.person(st.user.to_dict())
    except StudioError as error:
        show_error(error)
        st.stop()


def get_acts() -> Acts:
    """What this person does."""
    return Acts(get_person(), get_home(), get_store())


def show_trouble() -> None:
    """Say on every page where nothing can be written any more."""
    get_store()  # it makes a home that is new
    trouble = get_home().trouble()
    if trouble is not None:
        st.error(escape(retell(trouble)), icon=":material/warning:")


def run_in_address(name: str) -> RunRow | None:
    """The run whose number the address gives under this name; None where it gives no number.

    Raises `StoreError` where there is no such run.
    """
    wanted = st.query_params.get(name, "")
    if not wanted.isdecimal():
        return None
    if len(wanted) > LONGEST_NUMBER:
        raise StoreError(f"There is no run {wanted}.", "Choose one of the list.")
    return get_store().run(int(wanted))


def task_of(run: RunRow) -> tasks.Task:
    """What the models of a run learn, as its data set says."""
    rows = {row.id: row for row in get_store().datasets()}
    row = rows.get(run.dataset_id)
    if row is None:
        return tasks.get(run.config.task or next(iter(tasks.TASKS)))
    return tasks.get(row.task, row.multi_label)


def go_to(page: str, query: Mapping[str, str] | None = None) -> NoReturn:
    """Open another page, with this query in its address.

    What redraws itself on the page that is left (`run_every`) is forgotten first: the browser may ask for it once more
    before it knows of the new page, and Streamlit's answer would then empty that one.
    """
    context = get_script_run_ctx()
    if context is not None:
        context.fragment_storage.clear()
    st.switch_page(page, query_params=query)


def set_title(title: str) -> None:
    """What the browser's tab says."""
    st.set_page_config(page_title=f"{title} · Distillation Studio")


def show_error(error: StudioError) -> None:
    """What is wrong, and the cure."""
    st.error(f"**{escape(retell(error.message))}** {coded(retell(error.cure))}", icon=":material/error:")


@contextlib.contextmanager
def faults_told() -> Iterator[None]:
    """Say in the reader's language where the studio itself fails, and leave the fault to Streamlit, which logs it. Its
    own box is hidden then."""
    try:
        yield
    except Exception:
        with st.container(key="fault"):
            message = _("This page failed before it was complete. What is saved stays saved, and runs go on.")
            cure = _("Load the page again. If it fails again, the log of the server says why, at {time}.",
                     time=moment(time.time()))  # fmt: skip
            st.error(f"**{message}** {cure}", icon=":material/error:")
        raise


@contextlib.contextmanager
def errors_shown() -> Iterator[None]:
    """Show a `StudioError`, or what the system says of a disk, in the page instead of ending it."""
    try:
        yield
    except StudioError as error:
        show_error(error)
    except OSError as error:
        studio_error = of_system(error)
        if studio_error is None:
            raise
        show_error(studio_error)
