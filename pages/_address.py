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


def show() -> None:
    """Let the browser show an address that changed within this window. Streamlit 1.67 leaves the old one where a link
    leads to the same page, such as from the list of rows to a row, and the next click would be one on the list. The
    address that the window was opened with stays as somebody wrote it: written anew, it would be one more step back."""
    said = _whole()
    if st.session_state.setdefault("address", said) != said:
        st.query_params.from_dict(said)
    st.session_state["address"] = said
    if not st.session_state.pop("pressed", False):
        st.session_state["behind"] = []


def catch_up() -> None:
    """Called first when somebody has chosen something. Who chooses twice in a row sends, the second time, the address
    that the window showed before the first choice was written there: what was written since counts. The way back brings
    an earlier address, too, but nobody has chosen anything then."""
    behind = st.session_state.get("behind", [])
    if _whole() in behind:
        st.query_params.from_dict(st.session_state["newest"])
    else:
        st.session_state["behind"] = []
    st.session_state["pressed"] = True


def put(key: str, value: str | list[str] | None) -> None:
    """Let the address say this under a key, or nothing."""
    before = _whole()
    if value is None:
        st.query_params.pop(key, None)
    else:
        st.query_params[key] = value
    if _whole() != before:
        st.session_state["behind"] = [*st.session_state.get("behind", []), before]
        st.session_state["newest"] = _whole()


def _whole() -> dict[str, list[str]]:
    return {key: st.query_params.get_all(key) for key in st.query_params}


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
    catch_up()
    value = st.session_state[key]
    if value in (nothing, "", [], False, None):
        put(key, None)
    else:
        put(key, value if isinstance(value, list | str) else str(value))
    if key != "page":
        st.session_state.pop("page", None)
        put("page", None)


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
        catch_up()
        opened = titles[st.session_state[widget]]
        put(key, None if opened == next(iter(names)) else opened)
        st.session_state[seen] = st.query_params.get(key, "")

    return dict(zip(names, st.tabs(list(titles), key=widget, on_change=follow_tab), strict=True))
