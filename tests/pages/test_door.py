"""Before a login the door opens for nothing but the login; after it, for what the person's role allows."""

import asyncio
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit.auth_util import set_cookie_with_chunks
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from pages import _access, _door, _login, _studio
from pages._door import Door
from studio.errors import StoreError

SECRET, ADDRESS = "0123456789abcdef0123456789abcdef", "https://studio.example"
PERSON = {"email": "Ada@Example.org", "email_verified": True, "is_logged_in": True, "origin": ADDRESS}


@pytest.fixture(autouse=True)
def server(monkeypatch):
    """Options of a server behind a proxy, with a login."""
    options = {"server.address": "127.0.0.1", "server.allowedHosts": ["studio.example"], "server.baseUrlPath": ""}
    monkeypatch.setattr(_access.st, "get_option", options.get)
    for module in (_access, _door):
        monkeypatch.setattr(module, "has_login", lambda: True)
    for module in (_door, _login):
        monkeypatch.setattr(module, "own_address", lambda: ADDRESS)
    monkeypatch.setattr(_login, "get_cookie_secret", lambda: SECRET)
    monkeypatch.setattr(_login, "encode_provider_token", lambda name: f"token-{name}")
    for name in ("STUDIO_VIEWERS", "STUDIO_MEMBERS", "STUDIO_ADMINS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STUDIO_MEMBERS", "ada@example.org")
    monkeypatch.setattr(_login, "_over", set())
    return options


def signed(secret=SECRET, **claims) -> str:
    value = create_signed_value(secret, USER_COOKIE_NAME, json.dumps(PERSON | claims))
    return f"{USER_COOKIE_NAME}={value.decode()}"


class Answer:
    """What comes back: the status, 200 where the request came through; headers; text."""

    def __init__(self, sent):
        self.status = 403 if sent[0]["type"] == "websocket.close" else sent[0]["status"]
        self.headers = [(name.decode(), value.decode()) for name, value in sent[0].get("headers", [])]
        self.text = b"".join(message.get("body", b"") for message in sent[1:]).decode()

    def header(self, name):
        return dict(self.headers).get(name)


def ask(path="/", cookie="", kind="http", method="GET", query="", answers=(), noted=None, over=None, **headers):
    """Send a request to the door; behind it stands a studio that answers 200 with the headers `answers`."""
    sent = []

    async def send(message):
        sent.append(message)

    async def studio(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": list(answers)})

    def note(*entry):
        (noted if noted is not None else []).append(entry)

    told = {"host": "studio.example", "cookie": cookie} | headers
    sent_headers = [(name.encode(), value.encode()) for name, value in told.items()]
    scope = {"type": kind, "path": path, "method": method, "headers": sent_headers, "query_string": query.encode(),
             "scheme": "https", "server": ("studio.example", 443)}  # fmt: skip
    with ThreadPoolExecutor(1) as thread:  # a browser test leaves a loop in the thread of the tests
        thread.submit(lambda: asyncio.run(Door(studio, note, over)(scope, None, send))).result()
    return Answer(sent)


ROUTES = ["/_stcore/upload_file/session/file", "/_stcore/metrics", "/media/abc.png", "/_stcore/host-config",
          "/static/js/index.js", "/studio-assets/plotly.min.js", "/_stcore/agent/interact"]  # fmt: skip


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_without_a_login_uploads_media_and_figures_get_401(path, method):
    assert ask(path, method=method).status == 401
    assert ask(path, signed(), method=method).status == 200


@pytest.mark.parametrize("path", ["//media/abc.png", "/x/../media/abc.png", "/_stcore", "/MEDIA/a", "/sign-in/media"])
def test_no_spelling_of_a_path_opens_the_door(path):
    assert ask(path).status == 401


def test_without_a_login_there_is_no_socket():
    assert ask("/_stcore/stream", kind="websocket").status == 403
    assert ask("/_stcore/stream", signed(), kind="websocket").status == 200
    assert ask("/sign-in", kind="websocket").status == 403


@pytest.mark.parametrize("kind", ["websocket", "http"])
def test_a_page_of_another_site_opens_no_socket_and_changes_nothing_with_the_cookies_of_who_is_signed_in(kind):
    def status(origin, **headers):
        return ask("/_stcore/stream", signed(), kind=kind, method="POST", origin=origin, **headers).status

    for origin in ("https://evil.example", "https://other.studio.example", "https://studio.example:8080", "null", "x["):
        assert status(origin) == 403
    assert status("https://studio.example") == 200
    assert status("http://studio.example", host="studio.example") == 200
    assert ask("/run", signed(), origin="https://evil.example").status == 200, "a link from elsewhere is followed"


def test_a_stranger_sees_the_login_and_whether_the_server_lives():
    page = ask("/run", query="run=3")
    assert page.status == 401
    assert 'href="/sign-in?next=%2Frun%3Frun%3D3"' in page.text
    assert ask("/_stcore/health").status == 200


@pytest.mark.parametrize("sign", ["%1b[2J", "%C2%9b2J", "%0A", "%E2%80%AE", "%00"])
def test_what_a_stranger_says_of_a_failed_login_cannot_steer_the_terminal_that_shows_the_log(sign):
    refused = ask("/oauth2callback", query=f"error=no&error_description={sign}")
    assert refused.status == 400
    assert ask("/oauth2callback", query="error=no&error_description=No%20entry+today%2C%20Ren%C3%A9").status == 200


def test_the_login_begins_with_a_note_of_the_page_that_was_asked_for():
    answer = ask("/sign-in", query="next=%2Frun%3Frun%3D3")
    assert answer.status == 302
    assert answer.header("location") == "/auth/login?provider=token-default"
    cookie = answer.header("set-cookie")
    assert cookie.startswith("studio_wanted=%2Frun%3Frun%3D3;")
    assert {"HttpOnly", "Secure", "SameSite=lax"} <= set(cookie.split("; "))


def test_every_cookie_travels_encrypted_where_the_server_is_reached_that_way(monkeypatch):
    cookies = [b"state=a; path=/", b"token=insecure; Path=/", b"other=b; Path=/; Secure"]
    answers = [(b"set-cookie", cookie) for cookie in cookies]
    for path in ("/auth/login", "/_stcore/health", "/oauth2callback"):
        sent = [value for name, value in ask(path, answers=answers).headers if name == "set-cookie"]
        assert [value.count("; Secure") for value in sent[:3]] == [1, 1, 1]
    monkeypatch.setattr(_door, "own_address", lambda: "http://localhost:8501")
    sent = [value for name, value in ask("/auth/login", answers=answers).headers if name == "set-cookie"]
    assert sent == [cookie.decode() for cookie in cookies]


def test_what_was_asked_for_with_a_login_is_kept_by_no_cache_on_the_way():
    assert ask("/media/abc.png", signed()).header("cache-control") == "private"
    assert ask("/report/1", signed()).header("cache-control") == "private"
    program = [(b"cache-control", b"max-age=86400")]
    assert ask("/studio-assets/plotly.min.js", signed(), answers=program).header("cache-control") == "max-age=86400"


def logged_in(cookie, wanted=""):
    """What the door makes of Streamlit's answer at the end of a login, and what it writes down."""
    noted = []
    headers = [(b"location", b"/"), (b"set-cookie", f"{cookie}; HttpOnly".encode())]
    return ask("/oauth2callback", f"studio_wanted={wanted}", answers=headers, noted=noted), noted


def test_a_deep_link_survives_the_login_and_the_login_is_written_down():
    answer, noted = logged_in(signed(), "%2Frun%3Frun%3D3")
    assert answer.header("location") == "/run?run=3"
    assert noted == [("ada@example.org", "login", "member")]
    cookies = [value for name, value in answer.headers if name == "set-cookie"]
    assert all("Secure" in value for value in cookies if value.startswith(USER_COOKIE_NAME))
    assert any(SimpleCookie(value)["studio_wanted"]["max-age"] == "0" for value in cookies if "wanted" in value)


@pytest.mark.parametrize(
    "wanted", ["https://evil.example", "//evil.example", "%2F%2Fevil.example", "/\\evil", "/auth/logout"]
)
def test_a_login_never_leads_to_another_server(wanted):
    assert logged_in(signed(), wanted)[0].header("location") == "/"


def long_login(name, address) -> dict[str, str]:
    """The cookies that Streamlit makes of a login of which much is said, with the address cut in two behind `name`."""
    found: dict[str, str] = {}
    junk = "".join(hashlib.sha256(bytes([number])).hexdigest() for number in range(200))

    def give(cookie, value):
        found[cookie] = create_signed_value(SECRET, cookie, value).decode()

    def login(letters):
        found.clear()
        claims = {"name": junk[:letters], **PERSON, "email": f"{name}@{address}"}
        set_cookie_with_chunks(
            give, lambda *said: create_signed_value(SECRET, *said), USER_COOKIE_NAME, claims, cookie_attr_size=60
        )

    login(10_000)
    whole, size = _login._said(found), len(_login._signed(found, f"{USER_COOKIE_NAME}_1"))
    login(10_000 - (whole.index(b"@") + 1) % size)
    return found


def kept_by_a_browser(login) -> dict[str, str]:
    """The cookies of a browser in which this login came to its end."""
    sent = [(b"set-cookie", f"{name}={value}".encode()) for name, value in login.items()]
    answer = ask("/oauth2callback", answers=[(b"location", b"/"), *sent])
    given = [(name.encode(), value.encode()) for name, value in answer.headers]
    return _login.set_cookies(given)


def written(cookies) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def test_pieces_of_two_long_logins_make_no_third_one():
    mine = kept_by_a_browser(long_login("ada", "elsewhere.example"))
    other = kept_by_a_browser(long_login("eve", "example.org"))
    last = f"{USER_COOKIE_NAME}_{_login._signed(mine, USER_COOKIE_NAME).decode().removeprefix('chunks-')}"
    mixed = mine | {last: other[last]}
    assert json.loads(_login._said(mixed))["email"] == "ada@example.org", "the pieces fit, and each is signed"
    for cookies in (mixed, mixed | {_login.SEAL: other[_login.SEAL]}):
        assert ask("/run", written(cookies)).status == 401
        assert ask("/_stcore/stream", written(cookies), kind="websocket").status == 403


def test_a_login_of_which_much_is_said_opens_the_door():
    cookies = kept_by_a_browser(long_login("ada", "example.org"))
    assert f"{USER_COOKIE_NAME}_2" in cookies
    assert ask("/run", written(cookies)).status == 200
    assert ask("/_stcore/stream", written(cookies), kind="websocket").status == 200


def test_a_login_of_somebody_on_no_list_is_written_down_as_refused():
    _, noted = logged_in(signed(email="eve@example.org"))
    assert noted == [("eve@example.org", "refused login", "eve@example.org may not use this studio.")]


@pytest.mark.parametrize(
    "claims",
    [{"email": "eve@example.org"}, {"email_verified": False}, {"email_verified": None}, {"email": None}, {"email": 1}],
)
def test_an_account_that_is_not_verified_or_on_no_list_gets_403_everywhere(claims):
    page = ask("/run", signed(**claims))
    assert page.status == 403
    assert "/auth/logout" in page.text and "Distillation Studio" in page.text
    for path in ROUTES:
        assert ask(path, signed(**claims)).status == 403
    assert ask("/_stcore/stream", signed(**claims), kind="websocket").status == 403


def test_who_may_not_enter_reads_why_in_their_own_language():
    page = ask("/run", signed(email="eve@example.org"), **{"accept-language": "zh-CN"})
    assert page.status == 403
    assert "eve@example.org 不能使用这个工作室。" in page.text and "may not use" not in page.text


@pytest.mark.parametrize(
    "cookie",
    [
        f"{USER_COOKIE_NAME}=1",
        f"{USER_COOKIE_NAME}={json.dumps(PERSON)}",
        signed("another secret"),
        signed(is_logged_in=False),
        signed(origin="https://other.example"),
        f"{USER_COOKIE_NAME}=chunks-3",
        f"{USER_COOKIE_NAME}=\u20ac",
    ],
)
def test_a_cookie_that_this_server_did_not_sign_for_its_own_address_is_no_login(cookie):
    assert ask("/", cookie).status == 401
    assert ask("/_stcore/metrics", cookie).status == 401


def test_a_viewer_uploads_nothing(monkeypatch):
    monkeypatch.setenv("STUDIO_MEMBERS", "")
    monkeypatch.setenv("STUDIO_VIEWERS", "@example.org")
    assert ask("/run", signed()).status == 200
    for method in ("PUT", "POST", "DELETE"):
        assert ask("/_stcore/upload_file/session/file", signed(), method=method).status == 403


def test_below_a_path_of_its_own_the_same_holds(server):
    server["server.baseUrlPath"] = "/studio/"
    for path in ("/studio/media/abc.png", "/studio/_stcore/metrics", "/media/abc.png"):
        assert ask(path).status == 401
    assert ask("/studio/_stcore/health").status == 200
    link = ask("/studio/run", query="run=3").text.partition('href="')[2].partition('"')[0]
    assert link == "/studio/sign-in?next=%2Fstudio%2Frun%3Frun%3D3"
    answer = ask("/studio/sign-in", query=urlsplit(link).query)
    assert answer.header("location").startswith("/studio/auth/login?")
    assert parse_qs(urlsplit(link).query) == {"next": ["/studio/run?run=3"]}


def test_the_page_of_a_stranger_holds_no_markup_from_the_address():
    page = ask('/<script>alert("1")</script>', query='a="><script>')
    assert "<script" not in page.text


@pytest.mark.parametrize("path", ["/api/runs", "/api/nothing", "/api/openapi.json"])
def test_programs_without_a_token_are_told_so_in_json(path):
    answer = ask(path)
    assert (answer.status, answer.header("www-authenticate")) == (401, "Bearer")
    assert "token" in json.loads(answer.text)["message"]


def test_a_token_is_looked_at_by_the_interface_and_opens_nothing_else():
    token = {"authorization": "Bearer studio_x"}
    assert ask("/api/runs", **token).status == 200
    assert ask("/apiary", **token).status == 401
    assert ask("/run", **token).status == 401
    assert ask("/_stcore/upload_file/session/file", method="PUT", **token).status == 401
    assert ask("/api/runs", kind="websocket", **token).status == 403


def test_who_has_signed_out_is_a_stranger_whoever_kept_the_cookies_and_can_sign_in_again():
    first, again, noted = signed(iat=1, nonce="a"), signed(iat=2, nonce="b"), []
    assert ask("/results", first).status == 200
    assert ask(_login.LOGOUT, first, noted=noted).status == 200
    ((who, what, about),) = noted
    assert (who, what) == ("Ada@Example.org", "sign out")
    for kind in ("http", "websocket"):
        assert ask("/_stcore/stream", first, kind).status in (401, 403)
        assert ask("/_stcore/stream", again, kind).status == 200
    _login._over.clear()  # as in a server that was started again
    assert ask("/results", first, over=lambda: {about}).status == 401


def test_a_page_of_another_site_signs_nobody_out():
    cookie = signed(iat=1)
    for place in ("cross-site", "same-site"):
        assert ask(_login.LOGOUT, cookie, **{"sec-fetch-site": place}).status == 403
        assert ask("/results", cookie, **{"sec-fetch-site": place}).status == 200  # a link in a mail leads to a page
    assert ask(_login.LOGOUT, cookie, **{"sec-fetch-site": "same-origin"}).status == 200
    assert ask("/results", cookie).status == 401


def test_a_sign_out_that_cannot_be_written_down_ends_the_login_all_the_same():
    told = signed(iat=1, nonce="c")

    def full(*_):
        raise StoreError("The disk is full.", "Free some space.")

    assert ask(_login.LOGOUT, told, noted=SimpleNamespace(append=full)).status == 200
    assert ask("/results", told).status == 401


def test_where_it_cannot_be_found_out_which_logins_are_over_nobody_enters():
    def damaged():
        raise StoreError("The database is damaged.", "Take a copy.")

    assert ask("/results", signed(iat=1), over=damaged).status == 403


def test_a_page_that_was_open_when_its_login_ended_shows_nothing_more(monkeypatch):
    told = PERSON | {"iat": 1}
    monkeypatch.setattr(_studio, "needs_login", lambda: True)
    monkeypatch.setattr(_studio.st, "user", SimpleNamespace(get=told.get, to_dict=lambda: told))
    monkeypatch.setattr(_studio.st, "error", lambda *given, **more: None)
    monkeypatch.setattr(_studio.st, "stop", lambda: (_ for _ in ()).throw(InterruptedError))
    assert _studio.get_person().role == "member"
    _login.end([_login.login_of(told)])
    with pytest.raises(InterruptedError):
        _studio.get_person()


def test_a_person_has_no_more_windows_than_a_person_needs():
    inside, closed = [], []

    async def window(scope, receive, send):
        inside.append(scope)
        await asyncio.sleep(0)

    async def send(message):
        closed.append(message)

    def opened(email):
        headers = [(b"host", b"studio.example"), (b"cookie", signed(email=email).encode())]
        scope = {"type": "websocket", "path": "/_stcore/stream", "headers": headers, "query_string": b"",
                 "scheme": "wss", "server": ("studio.example", 443)}  # fmt: skip
        return door(scope, None, send)

    async def all_at_once(*emails):
        await asyncio.gather(*map(opened, emails))

    door, ada = Door(window), "ada@example.org"
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(all_at_once(*[ada] * (_door.MOST_WINDOWS + 2), "ADA2@example.org"))).result()
        assert (len(inside), len(closed)) == (_door.MOST_WINDOWS, 3)  # the last one is on no list
        thread.submit(lambda: asyncio.run(all_at_once(ada))).result()
    assert len(inside) == _door.MOST_WINDOWS + 1
