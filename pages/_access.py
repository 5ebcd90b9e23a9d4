"""Who may talk to the server: under which names, and what only after a login."""

import json
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.errors import StreamlitSecretNotFoundError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
BEHIND_LOGIN = ("/_stcore/upload_file", "/_stcore/metrics", "/media/")
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


def is_open_to_a_network() -> bool:
    """Whether the server listens on more than this machine's own address."""
    return st.get_option("server.address") not in LOOPBACK


def has_login() -> bool:
    """Whether a login provider is set up in `.streamlit/secrets.toml`."""
    try:
        return "auth" in st.secrets
    except StreamlitSecretNotFoundError:
        return False


def needs_login() -> bool:
    """Pages, uploads and files are shown only to who is signed in: on a network, and wherever a login is set up, as
    behind a proxy."""
    return is_open_to_a_network() or has_login()


def allowed_hosts() -> Iterable[str] | None:
    """The names under which the server answers; None: any.

    On this machine alone it is asked under another name only by a page of another site (DNS rebinding), or by a proxy,
    whose name stands in `server.allowedHosts`.
    """
    named: list[str] = st.get_option("server.allowedHosts")
    if named:
        return [*named, *LOOPBACK]
    return None if is_open_to_a_network() else LOOPBACK


def is_allowed(host: str | None, allowed: Iterable[str] | None) -> bool:
    """Whether a request for this `Host` is answered.

    >>> is_allowed("localhost:8501", LOOPBACK), is_allowed("[::1]:8501", LOOPBACK), is_allowed("evil.example", LOOPBACK)
    (True, True, False)
    >>> is_allowed("127.0.0.1.evil.example", LOOPBACK), is_allowed("x@127.0.0.1", LOOPBACK), is_allowed(None, LOOPBACK)
    (False, False, False)
    >>> is_allowed("studio.example", ["*.example"]), is_allowed("anything", None)
    (True, True)
    """
    if allowed is None:
        return True
    if host is None or not _HOST.fullmatch(host):
        return False
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    return any(
        name == known.lower().rstrip(".")
        or known == "*"
        or (known.startswith("*.") and name.endswith(known[1:].lower()))
        for known in allowed
    )


def is_signed_in(request: Request) -> bool:
    """Whether the signed cookie of a login comes with the request."""
    from streamlit.web.server.starlette.starlette_auth_routes import _get_cookie_value_from_request
    from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

    value = _get_cookie_value_from_request(request, USER_COOKIE_NAME)
    try:
        told = json.loads(value) if value else {}
    except ValueError:
        return False
    return isinstance(told, dict) and told.get("is_logged_in") is True


class Door:
    """Refuses requests under a foreign name, and files and figures before a login, with status 403."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and (reason := _refusal(scope)):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": reason})
            else:
                await PlainTextResponse(reason, status_code=403)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _refusal(scope: Scope) -> str | None:
    if not is_allowed(Headers(scope=scope).get("host"), allowed_hosts()):
        return "The studio does not answer under this name. Set server.allowedHosts to the names that it has."
    if scope["type"] == "http" and scope["path"].startswith(BEHIND_LOGIN) and needs_login():
        return None if is_signed_in(Request(scope)) else "Sign in first."
    return None


def content_policy(host: str | None) -> str:
    """The Content-Security-Policy: nothing is loaded from, and nothing sent to, any other server.

    Streamlit's own page has a script within it and makes code for charts, hence the two exceptions for scripts.
    """
    sockets = f" ws://{host} wss://{host}" if host and _HOST.fullmatch(host) else ""
    return "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "media-src 'self' data: blob:",
            "worker-src 'self' blob:",
            f"connect-src 'self' data: blob:{sockets}",
            "frame-src 'self' data: blob:",
            "frame-ancestors 'none'",
            "form-action 'self'",
            "object-src 'none'",
            "base-uri 'self'",
        )
    )
