"""Choices of a page that stand in its address: the same list opens again from a link, on reload and on the way back.

Streamlit's own `bind` writes what an option is called, which is another word in another language.
"""

from collections.abc import Mapping, Sequence

import streamlit as st
from streamlit.elements.lib.mutable_tab_container import TabContainer


def follow(*keys: str) -> None:
    """Where a link or the way back has changed what the address says under these keys, their widgets show that: what
    they held is forgotten. Called before the widgets."""
    said, seen = {key: st.query_params.get_all(key) for key in keys}, f"seen {' '.join(keys)}"
    if st.session_state.get(seen) != said:
        for key in keys:
            st.session_state.pop(key, None)
    st.session_state[seen] = said


def text(key: str) -> str:
    """What the address says, once, as the first value of the widget of this key."""
    return str(_first(key, st.query_params.get(key, "")))


def one(key: str, options: Sequence[str], first: str | None = None) -> str:
    """One of the options; `first`, or else the first one, where the address names none of them."""
    said = st.query_params.get(key, "")
    return str(_first(key, said if said in options else first or options[0], options))


def several(key: str, options: Sequence[str]) -> list[str]:
    """Those of the options that the address names."""
    known = st.session_state.get(key, st.query_params.get_all(key))
    st.session_state[key] = [said for said in known if said in options]
    return list(st.session_state[key])


def write(key: str, nothing: object = "") -> None:
    """Put what was chosen into the address; `nothing` needs no word there. The list begins at its first page."""
    value = st.session_state[key]
    if value in (nothing, "", [], False, None):
        st.query_params.pop(key, None)
    else:
        st.query_params[key] = value if isinstance(value, list | str) else str(value)
    if key != "page":
        st.session_state.pop("page", None)
        st.query_params.pop("page", None)


def _first(key: str, said: object, options: Sequence[str] = ()) -> object:
    known = st.session_state.get(key)
    if known is None or (options and known not in options):
        st.session_state[key] = said
    return st.session_state[key]


def tabs(key: str, names: Mapping[str, str]) -> dict[str, TabContainer]:
    """Tabs by what the address calls them, in whatever language their titles are; the open one stands in the address
    under `key`, the first one needs no word there. Addresses from before, which hold a title, open it, too."""
    said, widget, seen = st.query_params.get(key, ""), f"tabs {key}", f"seen {key}"
    titles = {title: name for name, title in names.items()}
    older = {title.casefold(): name for title, name in titles.items()} | {name: name for name in names}
    if st.session_state.get(widget) not in titles or st.session_state.get(seen) != said:
        st.session_state[widget] = names[older.get(said.casefold(), next(iter(names)))]
    st.session_state[seen] = said

    def follow_tab() -> None:
        opened = titles[st.session_state[widget]]
        if opened == next(iter(names)):
            st.query_params.pop(key, None)
        else:
            st.query_params[key] = opened
        st.session_state[seen] = st.query_params.get(key, "")

    return dict(zip(names, st.tabs(list(titles), key=widget, on_change=follow_tab), strict=True))
