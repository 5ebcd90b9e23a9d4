"""The server: starts and ends the training threads, sets the headers, keeps foreign names out; nothing else.

The pages live in `pages/`, the navigation in `pages/_shell.py`: a page that is asked for directly goes through it too.
"""

import contextlib
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import plotly
import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages import _documents as documents
from pages import _downloads as downloads
from pages import _login as login
from pages._access import base, content_policy, why_not_to_start
from pages._door import Door, sender
from pages._lost import Lost
from pages._uploads import Uploads
from studio.home import Home
from studio.language import catalog
from studio.machine.bounds import allow_many_files
from studio.machine.few_lines import keep_short
from studio.serve.studio import interface
from studio.service import preferences
from studio.service.runtime import Runtime
from studio.store.store import Store

ROOT = Path(__file__).parent
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
HEARD = ("streamlit.web.server.starlette.starlette_auth_routes", "uvicorn.error")
"""Where a line of the log is written for what a stranger asks: a login that fails, and what is no request at all."""

COOKIE_DAYS = 32.0
"""After this no cookie of a login is taken."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
}


class SecurityHeaders:
    """Adds `HEADERS` and the policy of what a page may load to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                policy = content_policy(Headers(scope=scope).get("host"))
                for name, value in (HEADERS | {"Content-Security-Policy": policy}).items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


async def plotly_script(_: Request) -> FileResponse:
    """Plotly's own script from the installed package, for the live curves: no network is needed."""
    return FileResponse(PLOTLY, media_type="text/javascript", headers={"Cache-Control": "max-age=86400"})


@contextlib.asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[dict[str, object]]:
    """The training threads live as long as the server, in whose state they are."""
    threading.Thread(target=catalog.read_all, daemon=True).start()  # the first reader of another language waits less
    runtime = Runtime(Home.from_environment())
    runtime.start()
    try:
        yield {"runtime": runtime}
    finally:
        runtime.stop()


def note(who: str, what: str, about: str) -> None:
    """A line in the audit log."""
    Store(Home.from_environment().database).note(who, what, about)


def logins_over() -> set[str]:
    """The logins that people have ended and whose cookies may still be somewhere."""
    return Store(Home.from_environment().database).logins_over(COOKIE_DAYS)


preferences.apply(Home.from_environment())
allow_many_files()
keep_short(*HEARD)
login.keep_client()
reason = why_not_to_start()
if reason is not None:
    sys.exit(f"Error: {reason}")

app = st.App(
    ROOT / "pages" / "_shell.py",
    lifespan=lifespan,
    routes=[
        Route(f"{base()}/studio-assets/plotly.min.js", plotly_script),
        *documents.routes(),
        *downloads.routes(),
        Mount(f"{base()}/api", app=interface(Home.from_environment(), sender, f"{base()}/api")),
    ],
    middleware=[
        Middleware(SecurityHeaders),
        Middleware(Door, note=note, over=logins_over),
        Middleware(Uploads),
        Middleware(Lost),
    ],
)
