"""The words of the pages in the language of the person who reads them.

`_` and `counted` are what pages write; English is the key, and `studio/language` has the catalog. Who reads is known by
what was chosen with the switch on every page, else by the browser.
"""

import contextlib
import functools
import re
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import cast

import streamlit as st
from starlette.requests import HTTPConnection
from streamlit.runtime.scriptrunner import get_script_run_ctx

from studio.config.run import RunConfig
from studio.language import catalog
from studio.language.languages import LANGUAGES, SOURCE, TAGS, accepted, chosen
from studio.language.retold import retold

CHOSEN = "studio-language"
"""The cookie, and the state of a window, that hold what was chosen."""

_HTML = '<nav class="ds-languages"></nav>'
_SCRIPT = """
export default function ({ data, parentElement, setStateValue }) {
  document.documentElement.lang = data.tag;
  const app = document.querySelector(".stApp"); // dialogs stand beside it, and are as light or dark as it is
  document.documentElement.style.colorScheme = getComputedStyle(app).colorScheme;
  const nav = parentElement.querySelector(".ds-languages");
  nav.setAttribute("aria-label", data.label);
  nav.replaceChildren(...data.languages.map(({ code, name, tag }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.lang = tag;
    button.textContent = name;
    button.setAttribute("aria-pressed", String(code === data.chosen));
    button.onclick = () => {
      const secure = location.protocol === "https:" ? "; Secure" : "";
      document.cookie = `${data.cookie}=${code}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
      setStateValue("language", code);
    };
    return button;
  }));
}
"""

_component = st.components.v2.component("studio_language", html=_HTML, js=_SCRIPT, isolate_styles=False)


_of_document: ContextVar[str | None] = ContextVar("language of a document", default=None)


@contextlib.contextmanager
def in_language(code: str) -> Iterator[None]:
    """What is written within is in this language, whoever looks: for documents that are made outside a page."""
    before = _of_document.set(code)
    try:
        yield
    finally:
        _of_document.reset(before)


_found = threading.local()
"""The language that was found out: a thread that runs a page runs those of one window alone, and a page asks often."""


def reader() -> str:
    """The language of who looks at this page; English where nobody does."""
    wanted = _of_document.get()
    if wanted is not None:
        return wanted
    if get_script_run_ctx(suppress_warning=True) is None:
        return SOURCE
    if not hasattr(_found, "language"):
        in_window = cast("str | None", st.session_state.get(CHOSEN))
        _found.language = chosen(in_window or st.context.cookies.get(CHOSEN), st.context.locale)
    return cast(str, _found.language)


def reader_of(request: HTTPConnection) -> str:
    """The language of who sends a request, for what is answered outside a page."""
    return chosen(request.cookies.get(CHOSEN), *accepted(request.headers.get("accept-language", "")))


GAP = "\N{NO-BREAK SPACE}"
_BEFORE_A_UNIT = re.compile(r"(?<=[\d}]) (?=(?:%|[kMGT]?B|[KM]|ms|s|min|h)(?!\w)|毫秒|秒|分|小时|天|万|亿)")
"""Between a number, or the place of one, and its per cent or unit."""


@functools.lru_cache(maxsize=8192)
def held(text: str) -> str:
    """A text in which no line ends between a number and its unit.

    >>> held("95 % of {rows} rows in {seconds} s")
    '95\\xa0% of {rows} rows in {seconds}\\xa0s'
    """
    return _BEFORE_A_UNIT.sub(GAP, text)


@functools.lru_cache(maxsize=8192)
def told(language: str, text: str) -> str:
    """A text in a language, with the places for values."""
    return held(catalog.translated(language, text))


def _(text: str, **values: object) -> str:
    """A text of the pages in the reader's language, with `values` in the places that it names.

    >>> _("Run {run} is {status}.", run=3, status="queued")
    'Run 3 is queued.'
    """
    found = told(reader(), text)
    return found.format(**values) if values else found


def counted(one: str, many: str, number: int, **values: object) -> str:
    """The one or the other of two texts, as the number asks for in the reader's language.

    >>> counted("{number} row", "{number} rows", 1), counted("{number} row", "{number} rows", 30)
    ('1 row', '30 rows')
    """
    return held(catalog.counted(reader(), one, many, number, **values))


def retell(text: str) -> str:
    """A sentence that the engine wrote (a verdict, an error, a log line), in the reader's language; settings by the
    titles that pages give them, but where somebody has to write their names.

    >>> retell("There is no setting 'epocs_'; did you mean teacher_epochs?")
    "There is no setting 'epocs_'; did you mean teacher_epochs?"
    >>> retell("With allow_weak_teacher the run goes on all the same.")
    'With “Allow a weak teacher” the run goes on all the same.'
    """
    sentence = held(retold(reader(), text))
    if NAMED in text:
        return sentence
    return _SETTING.sub(lambda found: _("“{name}”", name=_(_titles()[found[0]])), sentence)


NAMED = "There is no setting"
"""How a sentence begins that tells somebody who writes settings what they are called."""


@functools.cache
def _titles() -> dict[str, str]:
    """By the name of a setting its title, of those whose name is no usual word."""
    return {name: field.title for name, field in RunConfig.model_fields.items() if "_" in name and field.title}


_SETTING = re.compile(rf"(?<![A-Za-z0-9_`=.])(?:{'|'.join(_titles())})(?![A-Za-z0-9_`=])")


def N_(text: str) -> str:
    """The same text: marks a constant for the catalog, which `_` translates where it is shown."""
    return text


def _remember() -> None:
    st.session_state[CHOSEN] = _found.language = st.session_state["language-switch"].language


def switch() -> None:
    """The languages, to choose from; what is chosen holds in this window at once, elsewhere from the next visit on."""
    languages = [{"code": code, "name": name, "tag": TAGS[code]} for code, name in LANGUAGES.items()]
    with st.container(key="languages"):
        _component(
            data={"languages": languages, "chosen": reader(), "tag": TAGS[reader()], "cookie": CHOSEN,
                  "label": _("Language")},
            key="language-switch",
            on_language_change=_remember,
        )  # fmt: skip
