"""The server answers under its own names, and shows files and figures only to who may see them."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.requests import Request

from pages import _access
from pages._access import Door, content_policy


class Reached(Exception):
    """The request came through to the studio."""


async def studio(scope, receive, send):
    raise Reached


def status(path="/", host="127.0.0.1:8501", kind="http", method="GET", cookie=""):
    """The status that the door answers with; 200 where it lets the request through."""
    sent = []

    async def send(message):
        sent.append(message)

    headers = [(b"host", host.encode()), (b"cookie", cookie.encode())]
    scope = {"type": kind, "path": path, "method": method, "headers": headers, "query_string": b""}
    try:
        with ThreadPoolExecutor(1) as thread:  # a browser test leaves a loop in the thread of the tests
            thread.submit(lambda: asyncio.run(Door(studio)(scope, None, send))).result()
    except Reached:
        return 200
    return sent[0].get("status", 403) if sent[0]["type"] != "websocket.close" else 403


@pytest.fixture
def options(monkeypatch):
    """The options of the server, and whether a login is set up."""
    values = {"server.address": "127.0.0.1", "server.allowedHosts": []}
    monkeypatch.setattr(_access.st, "get_option", values.get)
    monkeypatch.setattr(_access, "has_login", lambda: values.get("login", False))
    return values


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("path", ["/", "/_stcore/stream", "/_stcore/health", "/studio-assets/plotly.min.js"])
def test_on_this_machine_a_foreign_name_gets_403_whatever_it_asks_for(options, kind, path):
    for host in ("rebound.example:8501", "127.0.0.1.rebound.example", "", "localhost@rebound.example", "127.0.0.1,x"):
        assert status(path, host, kind) == 403
    for host in ("127.0.0.1:8501", "localhost", "[::1]:8600", "LOCALHOST:1"):
        assert status(path, host, kind) == 200


def test_a_proxy_is_let_through_under_the_names_that_are_set(options):
    assert status(host="studio.example") == 403
    options["server.allowedHosts"] = ["studio.example", "*.inner.example"]
    assert [status(host=host) for host in ("studio.example", "a.inner.example", "localhost", "b.example")] == [
        200, 200, 200, 403
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["/_stcore/upload_file/session/file", "/_stcore/metrics", "/media/abc.png"])
@pytest.mark.parametrize("setting", [{"server.address": "0.0.0.0"}, {"login": True}])
def test_uploads_files_and_figures_are_refused_before_a_login(options, monkeypatch, path, setting):
    assert status(path) == 200, "on this machine alone there is no login"
    options.update(setting)
    assert status(path) == 403
    assert status("/") == 200, "the page with the login is shown"
    monkeypatch.setattr(_access, "is_signed_in", lambda request: True)
    assert status(path) == 200


@pytest.mark.parametrize("cookie", ["", "_streamlit_user=1", '_streamlit_user="{\\"is_logged_in\\": true}"'])
def test_a_cookie_that_the_server_did_not_sign_is_no_login(cookie):
    scope = {"type": "http", "path": "/", "headers": [(b"cookie", cookie.encode())], "method": "GET"}
    assert not _access.is_signed_in(Request(scope))


def test_pages_may_load_and_send_nothing_elsewhere():
    policy = dict(part.split(" ", 1) for part in content_policy("localhost:8501").split("; "))
    assert policy["connect-src"] == "'self' data: blob: ws://localhost:8501 wss://localhost:8501"
    assert all("*" not in value and "http" not in value for value in policy.values())
    assert "ws://" not in content_policy("a.example; script-src *")
