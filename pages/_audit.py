"""Who did what: the audit log, the newest entries in a table."""

import streamlit as st

from pages import _pictures as pictures
from pages._language import N_, _, retell
from pages._studio import get_store
from pages._words import moment

MOST, FEW, HEIGHT = 100, 12, 560

DEEDS = {
    "start": N_("start"), "stop": N_("stop"), "pause": N_("pause"), "resume": N_("resume"),
    "take back": N_("take back"), "move": N_("move"), "archive": N_("archive"), "unarchive": N_("unarchive"),
    "search": N_("search"), "learning curve": N_("learning curve"), "describe": N_("describe"),
    "delete": N_("delete"), "examine": N_("examine"), "keep": N_("keep"), "convert": N_("convert"),
    "answer": N_("answer"), "ask": N_("ask"), "save": N_("save"), "version": N_("version"),
    "rename": N_("rename"), "mark": N_("mark"), "unmark": N_("unmark"), "export": N_("export"),
    "calibrate": N_("calibrate"), "settings": N_("tidy up"), "set": N_("set"), "make token": N_("make token"),
    "revoke token": N_("revoke token"), "login": N_("sign in"), "refused login": N_("refused sign-in"),
    "sign out": N_("sign out"),
}  # fmt: skip
"""What is written down that somebody did, as a person reads it."""


def section() -> None:
    entries = get_store().audit(MOST)
    caption = _("All that was done here, the newest first.") if entries else _("Empty.")
    if len(entries) == MOST:
        caption = _("The newest {number} entries; `python -m studio audit` has them all.", number=MOST)
    st.caption(caption)
    with st.container(height=HEIGHT if len(entries) > FEW else "content"):
        rows = [
            {_("When"): moment(entry.time), _("Who"): entry.who, _("What"): _(DEEDS.get(entry.what, entry.what)),
             _("About"): retell(entry.about)}
            for entry in entries
        ]  # fmt: skip
        st.html(pictures.table(rows))
