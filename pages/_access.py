"""Who may talk to the server: under which names, from which pages, and whether only after a login."""

import functools
import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import streamlit as st
from streamlit.auth_util import get_redirect_uri, validate_auth_credentials
from streamlit.errors import StreamlitAuthError, StreamlitSecretNotFoundError
from streamlit.runtime.secrets import AttrDict

from studio.errors import ConfigError, StudioError
from studio.service import people

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LOGIN, ELSEWHERE = "STUDIO_LOGIN", "elsewhere"
LEAST_SECRET = 32
OF_NO_SITE = ("local", "localdomain", "localhost", "internal", "intranet", "private", "corp", "home", "lan",
              "home.arpa")  # fmt: skip
"""What names end with that nobody can register: a page of another site has none of them."""

_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


def is_open_to_a_network() -> bool:
    """Whether the server listens on more than this machine's own address."""
    return st.get_option("server.address") not in LOOPBACK


def is_behind_a_proxy() -> bool:
    """Whether the server is known under a name that is not this machine's own."""
    return any(name.lower() not in LOOPBACK for name in named_hosts())


def named_hosts() -> list[str]:
    """The names that whoever runs the server has given it."""
    named: list[str] = st.get_option("server.allowedHosts")
    return named


@functools.cache
def has_login() -> bool:
    """Whether a login provider is set up in `.streamlit/secrets.toml`; found out once, so that nobody who edits that
    file takes the login away from a server that runs. A file that cannot be read counts as one that asks for it."""
    try:
        return "auth" in st.secrets
    except StreamlitSecretNotFoundError:
        return any(Path(file).exists() for file in st.get_option("secrets.files"))


def is_guarded_elsewhere() -> bool:
    """Whether whoever runs the studio has said that another program lets in only whom it may: everybody who reaches the
    server is then its admin."""
    return os.environ.get(LOGIN, "") == ELSEWHERE


def base() -> str:
    """The path below which the server answers: "" or "/studio"."""
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def needs_login() -> bool:
    """Nothing is shown but to who is signed in: on a network, behind a proxy, and wherever a login is set up."""
    return has_login() or (not is_guarded_elsewhere() and (is_open_to_a_network() or is_behind_a_proxy()))


def provider() -> Mapping[str, Any]:
    """The section `[auth]`; empty where there is none."""
    try:
        return cast(Mapping[str, Any], st.secrets.get("auth", {}))
    except StreamlitSecretNotFoundError:
        return {}


def own_address() -> str:
    """Under which address the provider knows this server, such as https://studio.example."""
    parts = urlsplit(get_redirect_uri(AttrDict(provider())) or "")
    return f"{parts.scheme}://{parts.netloc}"


def why_not_to_start() -> StudioError | None:
    """What must be set before the server may listen; None where all is well."""
    login = os.environ.get(LOGIN, "")
    if login not in ("", ELSEWHERE):
        return ConfigError(f"{LOGIN} can only be {ELSEWHERE!r}, got {login!r}.", "Correct it or leave it out.")
    if not needs_login():
        return None
    if not has_login():
        return ConfigError(
            "The studio would be open to a network or a proxy, and no login is set up.",
            "Set [auth] in .streamlit/secrets.toml as docs/deploy.md shows, or let it listen on 127.0.0.1 without "
            f"server.allowedHosts. Where another program asks who comes, say so: {LOGIN}={ELSEWHERE}.",
        )
    wrong = _wrong_with_provider()
    if wrong is not None:
        return ConfigError(f"The login cannot be used: {wrong}", "docs/deploy.md shows a whole [auth] section.")
    try:
        lists = people.lists()
    except ConfigError as error:
        return error
    if not any(lists.values()):
        return ConfigError(
            f"Nobody may enter: {', '.join(people.LISTS.values())} are empty.",
            "Set at least STUDIO_ADMINS, for example to your email address.",
        )
    return None


def _wrong_with_provider() -> str | None:
    """What is wrong with the section `[auth]`, in a sentence."""
    try:
        validate_auth_credentials("default")
    except StreamlitAuthError as error:
        return " ".join(str(error).split())
    if len(str(provider()["cookie_secret"])) < LEAST_SECRET:
        return f"cookie_secret has fewer than {LEAST_SECRET} characters, and whoever guesses it is anybody."
    if not urlsplit(str(provider()["redirect_uri"])).path.endswith("/oauth2callback"):
        return "redirect_uri does not end in /oauth2callback."
    return None


def allowed_hosts() -> Iterable[str] | None:
    """The names under which the server answers; None: any.

    On this machine alone it is asked under another name only by a page of another site (DNS rebinding), or by a proxy,
    whose name stands in `server.allowedHosts`. On a network see `is_named_right`.
    """
    if named_hosts():
        return [*named_hosts(), *LOOPBACK]
    return None if is_open_to_a_network() else LOOPBACK


def is_named_right(host: str | None) -> bool:
    """Whether the server answers under this name. Where no login asks who comes, a page of another site whose name was
    made to mean this server (DNS rebinding) would do what its reader may: it has to have a name that is known here."""
    if not is_allowed(host, allowed_hosts()):
        return False
    return needs_login() or allowed_hosts() is not None or is_of_no_site(host)


def is_allowed(host: str | None, allowed: Iterable[str] | None) -> bool:
    """Whether a request for this `Host` is answered.

    >>> is_allowed("localhost:8501", LOOPBACK), is_allowed("[::1]:8501", LOOPBACK), is_allowed("evil.example", LOOPBACK)
    (True, True, False)
    >>> is_allowed("127.0.0.1.evil.example", LOOPBACK), is_allowed("x@127.0.0.1", LOOPBACK), is_allowed(None, LOOPBACK)
    (False, False, False)
    >>> is_allowed("127.0.0.1:8501.evil.example", LOOPBACK), is_allowed("127.0.0.1:8501:1", LOOPBACK)
    (False, False)
    >>> is_allowed("studio.example", ["*.example"]), is_allowed("anything", None)
    (True, True)
    """
    if allowed is None:
        return True
    if host is None or not _HOST.fullmatch(host):
        return False
    try:
        parts = urlsplit(f"//{host}")
        name, _ = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return False
    return any(
        name == known.lower().rstrip(".")
        or known == "*"
        or (known.startswith("*.") and name.endswith(known[1:].lower()))
        for known in allowed
    )


def is_of_no_site(host: str | None) -> bool:
    """Whether no page of another site can have this name: it is an address, or one that is known in a network alone.

    >>> [is_of_no_site(host) for host in ("192.0.2.7:8501", "[::1]", "studio", "studio.lan:80", "studio.svc.local.")]
    [True, True, True, True, True]
    >>> [is_of_no_site(host) for host in ("studio.example", "192.0.2.7.evil.example", "7.lan.com", None)]
    [False, False, False, False]
    """
    if host is None or not _HOST.fullmatch(host):
        return False
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return bool(name) and ("." not in name or name.endswith(tuple(f".{end}" for end in OF_NO_SITE)))


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
