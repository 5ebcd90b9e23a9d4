"""An address of no page: a sentence and a way on, where Streamlit would open Home with words of its own."""

import difflib

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pages import _login as login
from pages._language import _, in_language, reader_of
from pages._theme import ROUTES

OURS = ("api", "studio-assets", "static", "media", "component", "auth",
        *(path.strip("/") for path in (login.SIGN_IN, login.LOGOUT, login.CALLBACK)))  # fmt: skip
"""What is no page and is answered elsewhere; also what begins with an underscore, has a dot, or a second part."""

LONGEST = 60


class Lost:
    """Answers who opens a mistyped address in a browser."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = _asked_for(scope)
        if name is None:
            return await self.app(scope, receive, send)
        await lost(name, reader_of(HTTPConnection(scope)))(scope, receive, send)


def lost(name: str, language: str) -> HTMLResponse:
    """That there is no such page, and the way to the one that may be meant."""
    pages = [route for route in ROUTES if route != "./"]
    near = difflib.get_close_matches(name.casefold(), pages, n=1)
    with in_language(language):
        words = _("There is no page “{name}”.", name=name[:LONGEST])
        link, label = (near[0], _("Open “{page}”", page=near[0].replace("_", " "))) if near else ("./", _("To Home"))
    return HTMLResponse(login.page_of_words(language, words, link, label), status_code=404)


def _asked_for(scope: Scope) -> str | None:
    """The name in an address that a browser opens and that no page has."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return None
    path = str(scope["path"]).removeprefix(login.base()).strip("/")
    is_page = "text/html" in Headers(scope=scope).get("accept", "")
    if not is_page or not path or "/" in path or "." in path or path.startswith("_") or path in OURS or path in ROUTES:
        return None
    return path
