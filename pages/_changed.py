"""What a new run does otherwise than the run that it starts from: each change by its name, old and new, and its way
back."""

import streamlit as st

from pages import _address as address
from pages._language import _
from pages._models import show_model
from pages._parameters import as_shown
from pages._run_pictures import setting_of
from pages._studio import get_store
from pages._words import escape
from studio import tasks
from studio.config.run import RunConfig

MODELS, DATA = ("teacher", "student"), "dataset"
NOT_CHOSEN = ("task",)
"""What follows from the data set."""


def changes(before: RunConfig, now: RunConfig) -> dict[str, tuple[str, str]]:
    """By the name of the setting its old and its new value, in words.

    >>> config = RunConfig(dataset="d", teacher="builtin/cnn-large", student="builtin/cnn-tiny", epochs=6)
    >>> changes(config, config.model_copy(update={"epochs": 12, "control": False}))
    {'epochs': ('6', '12'), 'control': ('yes', 'no')}
    """
    plain, found = before.model_dump(mode="json"), {}
    for name, value in now.model_dump(mode="json").items():
        old, new = (setting_of(name, setting) for setting in (plain[name], value))
        if value != plain[name] and name not in NOT_CHOSEN:
            found[name] = (old, new) if old != new else (str(plain[name]), str(value))
    return found


def show_changes(run_id: int, before: RunConfig, now: RunConfig) -> None:
    """The list, with a button for each change that one click can undo."""
    found = changes(_resolved(before), now)
    if not found:
        return
    with st.container(key="changed", gap="small"):
        st.markdown(_("**Changed from run {run}**", run=run_id))
        for name, (old, new) in found.items():
            title = _(RunConfig.model_fields[name].title or name)
            with st.container(horizontal=True, vertical_alignment="center", key=f"changed-{name}", gap="small"):
                change = _("{setting}: {old} → {new}", setting=escape(title), old=escape(old), new=f"**{escape(new)}**")
                st.markdown(change, width="content")
                if name in MODELS or f"setting-{name}" in st.session_state or _known_data(name, before) is not None:
                    st.button(_("Undo"), key=f"undo-{name}", type="tertiary", icon=":material/undo:",
                              help=_("{setting} as in run {run}", setting=title, run=run_id), on_click=_undo,
                              args=(name, before))  # fmt: skip


def _resolved(config: RunConfig) -> RunConfig:
    """With the losses that an open choice of them means."""
    if config.terms or config.task not in tasks.TASKS:
        return config
    usual = [{"loss": loss} for loss in tasks.get(config.task).terms]
    return RunConfig.model_validate(config.model_dump() | {"terms": usual})


def _undo(name: str, before: RunConfig) -> None:
    """The widget says what the earlier run had; what a next step proposed is not proposed again."""
    address.catch_up()
    address.put("next", None)
    value = getattr(before, name)
    if name in MODELS:
        show_model(name, value, before.task)
        address.put(name, None)
        if name == "student":  # a goal would choose another one again
            address.put("goal", None)
    elif name == DATA:
        st.session_state[DATA] = _known_data(name, before)
        address.write(DATA)
    else:
        st.session_state[f"setting-{name}"] = as_shown(name, value)


def _known_data(name: str, before: RunConfig) -> str | None:
    """The earlier run's data set as the list knows it; None where it is gone, and for any other setting."""
    known = {row.name: str(row.id) for row in get_store().datasets()} if name == DATA else {}
    return known.get(before.dataset)
