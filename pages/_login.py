"""The login at the server's door: the page that asks for it, the way to the provider and back to where one was going.

Streamlit signs the cookie and speaks with the provider; what a person may do is said by `studio.service.people`. No
page of the studio, and no socket, is opened before that.
"""

import functools
import hashlib
import html
import json
import time
from collections.abc import Iterable, Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response
from streamlit.auth_util import encode_provider_token, get_cookie_with_chunks
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette import starlette_auth_routes as auth_routes
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value, decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import AUTH_COOKIE_MAX_AGE_SECONDS, USER_COOKIE_NAME

from pages._access import base, own_address
from pages._language import reader_of
from studio.errors import StudioError
from studio.language.catalog import translated
from studio.language.languages import TAGS
from studio.language.retold import retold
from studio.service import people
from studio.service.people import Person

SIGN_IN, LOGOUT, CALLBACK = "/sign-in", "/auth/logout", "/oauth2callback"
WANTED = "studio_wanted"
"""The cookie that remembers, for as long as a login takes, which page was asked for."""

SEAL = "studio_login"
"""The cookie that says which pieces make up a login: of one that is long Streamlit makes several cookies, each signed
for itself, and pieces of two logins would make a third one."""

LOGIN_SECONDS, LONGEST_ADDRESS = 600, 2000
CLIENT_SECONDS = 600
"""So long what the provider has said of itself counts: its keys may change."""

LOGO = (Path(__file__).parents[1] / "assets" / "logo.svg").read_text(encoding="utf-8")


_over: set[str] = set()
"""The logins that somebody has ended: their cookies, wherever they are kept, would open the door for days."""


def login_of(user: Mapping[str, Any]) -> str | None:
    """The name of a login, which no other one has; None where the provider has not said when it was."""
    if user.get("iat") is None:
        return None
    said = [str(user.get(name, "")) for name in ("iss", "sub", "email", "iat", "nonce")]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def end(logins: Iterable[str]) -> None:
    """Whoever sends the cookies of these logins is a stranger from now on."""
    _over.update(logins)


def is_over(user: Mapping[str, Any]) -> bool:
    return login_of(user) in _over


def claims(cookies: Mapping[str, str]) -> dict[str, Any] | None:
    """What the provider said of whoever sends these cookies; None where this server has not signed them, or signed them
    under another address, where they are pieces of several logins, and where that login was ended."""
    value = _said(cookies)
    try:
        user = json.loads(value) if value else None
    except ValueError:
        return None
    is_in_pieces = value != _signed(cookies, USER_COOKIE_NAME)
    if is_in_pieces and value is not None and _signed(cookies, SEAL) != _digest(value):
        return None
    if not isinstance(user, dict) or user.get("is_logged_in") is not True or user.get("origin") != own_address():
        return None
    return None if is_over(user) else user


def _said(cookies: Mapping[str, str]) -> bytes | None:
    """The claims in one or several cookies, put together as Streamlit does it."""
    return get_cookie_with_chunks(functools.partial(_signed, cookies), USER_COOKIE_NAME)


def _signed(cookies: Mapping[str, str], name: str) -> bytes | None:
    """What this server has put into the cookie; None where it was not this server."""
    value = cookies.get(name)
    try:
        return None if value is None else decode_signed_value(get_cookie_secret(), name, value.encode("latin-1"))
    except UnicodeEncodeError:
        return None


def _digest(said: bytes) -> bytes:
    return hashlib.sha256(said).hexdigest().encode()


def sealed(cookies: Mapping[str, str]) -> dict[str, str]:
    """The cookies of a login that has just come to its end, and the seal that holds them together."""
    said = _said(cookies)
    if said is None:
        return dict(cookies)
    return {**cookies, SEAL: create_signed_value(get_cookie_secret(), SEAL, _digest(said)).decode()}


def who(cookies: Mapping[str, str]) -> Person | None:
    """Who sends these cookies; None where nobody has signed in. Raises `AccessError` for who may not enter."""
    user = claims(cookies)
    return None if user is None else people.person(user)


def safe_address(address: str) -> str:
    """The address of a page of this server, else that of its first one.

    >>> safe_address("/run?run=3"), safe_address("//evil.example"), safe_address("https://evil.example")
    ('/run?run=3', '/', '/')
    >>> safe_address("/./auth/logout"), safe_address("/x/../auth/logout"), safe_address("/run?note=a/../b")
    ('/', '/', '/run?note=a/../b')
    >>> safe_address("/x/%2e%2E/auth/logout"), safe_address("/x/.%2e/auth/logout")
    ('/', '/')
    >>> safe_address("/\\\\evil.example"), safe_address("/run\\r\\nSet-Cookie: x"), safe_address("")
    ('/', '/', '/')
    """
    is_own = address.startswith("/") and not address.startswith("//") and len(address) <= LONGEST_ADDRESS
    is_plain = address.isascii() and address.isprintable() and not set(address) & set('\\ "<>;,')
    steps = unquote(address.partition("?")[0]).split("/")
    is_plain = is_plain and not {".", ".."} & set(steps)  # browsers take these away, also where they are written %2e
    leads_on = not address.startswith((base() + SIGN_IN, base() + LOGOUT, base() + CALLBACK))
    return address if is_own and is_plain and leads_on else f"{base()}/"


def asked_for(connection: HTTPConnection) -> str:
    """The page that a request asks for, with its query."""
    query = connection.url.query
    return safe_address(quote(connection.url.path, safe="/%") + (f"?{query}" if query else ""))


def sign_in_page(connection: HTTPConnection, refused: StudioError | None = None) -> Response:
    """What a stranger gets in place of every page (401), and who may not enter (403)."""
    onward = f"{base()}{SIGN_IN}?{urlencode({'next': asked_for(connection)})}"
    language = reader_of(connection)
    if refused is None:
        words, link = translated(language, "Sign in to see your runs."), onward
        name = translated(language, "Sign in")
    else:
        words, link = retold(language, str(refused)), f"{base()}{LOGOUT}"
        name = translated(language, "Use another account")
    page = page_of_words(language, words, link, name)
    return HTMLResponse(page, 401 if refused is None else 403, {"Cache-Control": "no-store"})


def page_of_words(language: str, words: str, link: str, name: str) -> str:
    """A page of a sentence and one way on."""
    about = translated(language, "Make a large model small, and know what it cost")
    texts = {"about": about, "words": words, "link": link, "name": name}
    return _PAGE.format(logo=LOGO, tag=TAGS[language], **{what: html.escape(text) for what, text in texts.items()})


def keep_client() -> None:
    """One client of the provider for many logins. Streamlit makes one for each, and each asks the provider what it is:
    a stranger could have it asked without end."""
    make = auth_routes._create_oauth_client
    kept = functools.lru_cache(1)(lambda provider, _period: make(provider))
    auth_routes._create_oauth_client = lambda provider: kept(provider, time.monotonic() // CLIENT_SECONDS)


def to_provider(connection: HTTPConnection) -> Response:
    """On to the provider, with a note of where to come back to."""
    token = encode_provider_token("default")
    answer = RedirectResponse(
        f"{base()}/auth/login?{urlencode({'provider': token})}", 302, {"Cache-Control": "no-store"}
    )
    wanted = safe_address(connection.query_params.get("next", ""))
    answer.set_cookie(WANTED, quote(wanted, safe=""), LOGIN_SECONDS, path=base() or "/", httponly=True, samesite="lax",
                      secure=own_address().startswith("https:"))  # fmt: skip
    return answer


def seal_cookie(seal: str) -> str:
    """The header that gives the seal to the browser, for as long as the login."""
    return f"{SEAL}={seal}; Max-Age={AUTH_COOKIE_MAX_AGE_SECONDS}; Path={base() or '/'}; HttpOnly; SameSite=Lax"


def set_cookies(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """The cookies that an answer sets."""
    found: dict[str, str] = {}
    for name, value in headers:
        if name.lower() == b"set-cookie":
            try:
                found |= {key: morsel.value for key, morsel in SimpleCookie(value.decode("latin-1")).items()}
            except CookieError:
                continue
    return found


_PAGE = """<!doctype html>
<html lang="{tag}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Distillation Studio</title>
<style>
:root {{ color-scheme: light dark; --paper: light-dark(#fcfbf8, #11171c); --card: light-dark(#ffffff, #182127);
  --line: light-dark(#e0dccf, #33414b); --ink: light-dark(#1f2a30, #e4e8ea); --mute: light-dark(#566069, #aab6c1);
  --teal: light-dark(#0f766e, #2dd4bf); --on: light-dark(#ffffff, #06211e); }}
body {{ background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; margin: 0;
  min-height: 100vh; display: grid; place-content: center;
  grid-template-columns: minmax(0, 22rem); padding: 1rem; box-sizing: border-box; }}
main {{ background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 2rem;
  margin-bottom: 12vh; }}
h1 {{ margin: 0; height: 2.5rem; }}
h1 svg {{ height: 100%; max-width: 100%; }}
h1 span {{ position: absolute; clip-path: inset(50%); }}
small {{ display: block; font-size: .875rem; color: var(--mute); margin: .75rem 0 1.5rem; }}
p {{ margin: 0; overflow-wrap: anywhere; }}
a {{ display: block; text-align: center; margin-top: 1.5rem; padding: .6rem 1.2rem; border-radius: .5rem;
  background: var(--teal); color: var(--on); font-weight: 600; text-decoration: none; }}
a:focus-visible {{ outline: 3px solid var(--ink); outline-offset: 2px; }}
</style></head>
<body><main><h1>{logo}<span>Distillation Studio</span></h1>
<small>{about}</small><p>{words}</p><a href="{link}">{name}</a></main></body>
</html>
"""
