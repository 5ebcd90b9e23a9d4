"""The server's door, which every request passes: foreign names stay out, and before a login nothing is opened but the
login itself."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from urllib.parse import unquote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages import _login as login
from pages._access import (
    allowed_hosts,
    has_login,
    is_allowed,
    is_guarded_elsewhere,
    is_named_right,
    named_hosts,
    needs_login,
    own_address,
)
from studio.errors import AccessError, StudioError
from studio.machine.neighbours import is_of_another_user, is_passed_on
from studio.serve.answers import UnknownTokenError, refusal
from studio.service import people
from studio.service.people import Person
from studio.store.audit import SIGNED_OUT

_log = logging.getLogger(__name__)

Note = Callable[[str, str, str], None]
"""Writes who did what to what into the audit log."""

Over = Callable[[], Iterable[str]]
"""The logins that had been ended before the server started."""

HEALTH = "/_stcore/health"
PROGRAM_FILES = ("/static/", "/studio-assets/", "/component/")
"""What the browser is given to carry out; everybody has the same."""

OPEN = (HEALTH, "/auth/login", login.LOGOUT, login.CALLBACK)
"""What a stranger may ask for: whether the server lives, and the login."""

PROGRAMS = "/api/"
"""Below this programs ask, with a token in place of a login; whether a token works, is found out there."""

MOST_WINDOWS = 50
"""Of one person: each is a program that runs on this machine."""

NO_PAGES = ("/_stcore/", "/media/", "/static/", "/component/", "/studio-assets/", "/app/static/")
"""Below these no person looks for a page: a short answer is enough."""

FOREIGN = "The studio does not answer under this name. Set server.allowedHosts to the names that it has."
PROXIED = (
    "A proxy passes this on, and the studio does not know of one: set server.allowedHosts and a login, as "
    "docs/deploy.md shows."
)
UNPRINTABLE = "The address holds signs that cannot be printed."
OF_ANOTHER_SITE = "A page of another site asks for this."
OF_ANOTHER_USER = (
    "Another user of this machine asks for this. Set up a login, as docs/deploy.md shows, where several use the studio."
)
READING = ("GET", "HEAD", "OPTIONS")
CLOSE = {"type": "websocket.close", "code": 1008, "reason": ""}
NO_PROVIDER = "The studio is open to the network, and no login is set up."


def sender(connection: HTTPConnection) -> Person | None:
    """Who sends a request, without a token: whoever is signed in, or sits at this machine where no login is needed."""
    return login.who(connection.cookies) if needs_login() else people.local()


class Door:
    """Refuses what may not come in; lets a person sign in, and writes down who did."""

    def __init__(self, app: ASGIApp, note: Note | None = None, over: Over | None = None) -> None:
        self.app, self.note = app, note or (lambda who, what, about: None)
        self._over = over
        self._windows: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        connection = HTTPConnection(scope)
        answer = _foreign(connection) or (await self._before_login(connection) if needs_login() else None)
        if answer is None:
            if needs_login() and _path(connection) == login.LOGOUT:
                await run_in_threadpool(self._end, connection)
            if scope["type"] == "http" and needs_login():
                send = _private(_encrypted(send))
                send = self._after_login(connection, send) if _path(connection) == login.CALLBACK else send
            elif needs_login():
                return await self._window(connection, receive, send)
            return await self.app(scope, receive, send)
        if scope["type"] == "websocket":
            return await send(CLOSE)
        await answer(scope, receive, send)

    async def _window(self, connection: HTTPConnection, receive: Receive, send: Send) -> None:
        """A socket of somebody who has not too many of them."""
        name = str((login.claims(connection.cookies) or {}).get("email", ""))
        if self._windows[name] >= MOST_WINDOWS:
            return await send(CLOSE)
        self._windows[name] += 1
        try:
            await self.app(connection.scope, receive, send)
        finally:
            self._windows[name] -= 1

    async def _before_login(self, connection: HTTPConnection) -> Response | None:
        """None for what may be asked for; the logins that are over are known from the first request on."""
        if self._over is not None:
            try:
                login.end(await run_in_threadpool(self._over))
            except StudioError as error:
                return _refusal(connection, _path(connection), error)
            self._over = None
        return _before_login(connection)

    def _end(self, connection: HTTPConnection) -> None:
        """Sign out: not in this browser alone, for its cookies may have been copied."""
        claims = login.claims(connection.cookies)
        name = login.login_of(claims) if claims else None
        if claims and name:
            login.end([name])
            try:
                self.note(str(claims.get("email", "")), SIGNED_OUT, name)
            except StudioError as error:  # the browser still loses its cookies
                _log.error("A sign-out could not be written down and ends with this server: %s", error)

    def _after_login(self, connection: HTTPConnection, send: Send) -> Send:
        """What Streamlit answers when a login ends: it leads back to the page that was asked for, and the log says who
        has come."""

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                cookies = login.sealed(login.set_cookies(message["headers"]))
                if login.claims(cookies) is not None:
                    headers.append("set-cookie", login.seal_cookie(cookies[login.SEAL]))
                    wanted = unquote(connection.cookies.get(login.WANTED, ""))
                    headers["location"] = login.safe_address(wanted)
                    await run_in_threadpool(self._write_down, cookies)
                gone = f"{login.WANTED}=; Max-Age=0; Path={login.base() or '/'}; HttpOnly; SameSite=Lax"
                headers.append("set-cookie", gone)
            await send(message)

        return send_on

    def _write_down(self, cookies: dict[str, str]) -> None:
        claims = login.claims(cookies) or {}
        try:
            person = login.who(cookies)
            self.note(person.name if person else "", "login", person.role if person else "")
        except AccessError as error:
            self.note(str(claims.get("email", "")), "refused login", error.message)


def _private(send: Send) -> Send:
    """What was asked for with a login is for who asked alone: no cache on the way, which may go by the ending of an
    address, hands it to strangers. What says itself how long it may be kept is the program."""

    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("cache-control", "private")
        await send(message)

    return send_on


def _encrypted(send: Send) -> Send:
    """Cookies travel encrypted alone where the server is reached that way."""

    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start" and own_address().startswith("https:"):
            message["headers"] = [_with_secure(name, value) for name, value in message["headers"]]
        await send(message)

    return send_on


def _with_secure(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    is_cookie = name.lower() == b"set-cookie" and b"; secure" not in value.lower()
    return (name, value + b"; Secure") if is_cookie else (name, value)


def _path(connection: HTTPConnection) -> str:
    """The path below the one at which the server answers."""
    path = connection.scope["path"]
    return path.removeprefix(login.base()) if path.startswith(f"{login.base()}/") else path


def _foreign(connection: HTTPConnection) -> Response | None:
    """A refusal for a request under another name, or from a page of another site, or through a proxy that nobody told
    of. Where there is a login any proxy may pass requests on; but a browser sends a person's cookies along with what a
    page of another site asks for: it opens no socket, and changes nothing. Nor does one of another port of this machine
    where there is none: some other program made it."""
    if not is_named_right(connection.headers.get("host")):
        return PlainTextResponse(FOREIGN, 403)
    if needs_login():
        return PlainTextResponse(OF_ANOTHER_SITE, 403) if _is_of_another_site(connection) else None
    origin = connection.headers.get("origin")
    if is_guarded_elsewhere():
        is_named = is_allowed(_host_of(origin or ""), named_hosts())  # a proxy may pass on another name as the host's
        is_elsewhere = _is_of_another_site(connection) and not is_named
        return PlainTextResponse(OF_ANOTHER_SITE, 403) if is_elsewhere else None
    if origin is not None and not is_allowed(_host_of(origin), allowed_hosts()):
        return PlainTextResponse(FOREIGN, 403)
    if is_passed_on(connection.headers):
        return PlainTextResponse(PROXIED, 403)
    if _is_of_another_user(connection):
        return PlainTextResponse(OF_ANOTHER_USER, 403)
    is_elsewhere = origin is not None and _changes(connection) and _host_of(origin) != connection.headers.get("host")
    return PlainTextResponse(OF_ANOTHER_SITE, 403) if is_elsewhere else None


def _is_of_another_user(connection: HTTPConnection) -> bool:
    """Whether another user of this machine asks for more than whether the server lives, and its program."""
    if _path(connection) == HEALTH or _path(connection).startswith(PROGRAM_FILES):
        return False
    client, server = connection.scope.get("client"), connection.scope.get("server")
    return client is not None and server is not None and is_of_another_user(tuple(client), tuple(server))


def _changes(connection: HTTPConnection) -> bool:
    """Whether a request does more than to read; a socket does."""
    return connection.scope["type"] == "websocket" or connection.scope["method"] not in READING


def _is_of_another_site(connection: HTTPConnection) -> bool:
    """Whether a page from elsewhere, be it from another port of this host, wants more than to read. To sign
    somebody out it would only have to lead there; browsers say where they were led from."""
    if _path(connection) == login.LOGOUT and connection.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return True
    origin = connection.headers.get("origin")
    is_own = origin in (None, own_address()) or _host_of(origin) == connection.headers.get("host")
    return _changes(connection) and not is_own


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def _before_login(connection: HTTPConnection) -> Response | None:
    """None for what may be asked for: everything by who is signed in and on a list, by others the login."""
    path, is_page = _path(connection), connection.scope["type"] == "http"
    if not has_login():
        return PlainTextResponse(NO_PROVIDER, 403)
    if path in OPEN:
        return None if unquote(connection.url.query).isprintable() else PlainTextResponse(UNPRINTABLE, 400)
    if path.startswith(PROGRAMS) and is_page and "authorization" in connection.headers:
        return None
    if path == login.SIGN_IN and is_page:
        return login.to_provider(connection)
    try:
        person = login.who(connection.cookies)
    except StudioError as error:
        return _refusal(connection, path, error)
    if person is None:
        return _refusal(connection, path)
    return _above_role(connection, path, person)


def _refusal(connection: HTTPConnection, path: str, error: StudioError | None = None) -> Response:
    if path.startswith(PROGRAMS):
        return refusal(error or UnknownTokenError("This needs a token.", "Make one on Settings of the studio."))
    wants_page = connection.scope["type"] == "http" and connection.scope["method"] in ("GET", "HEAD")
    if wants_page and not path.startswith(NO_PAGES):
        return login.sign_in_page(connection, error)
    return PlainTextResponse(str(error), 403) if error else PlainTextResponse("Sign in first.", 401)


def _above_role(connection: HTTPConnection, path: str, person: Person) -> Response | None:
    if path.startswith("/_stcore/upload_file") and not person.has("member"):
        return PlainTextResponse("A viewer uploads nothing.", 403)
    return None
