"""The server answers under its own names, to its own pages, and starts only where it is known who may come in."""

import asyncio
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from streamlit.errors import StreamlitSecretNotFoundError

from pages import _access, _door
from pages._access import content_policy, why_not_to_start
from pages._door import Door
from studio.machine.neighbours import FORWARDED


class Reached(Exception):
    """The request came through to the studio."""


async def studio(scope, receive, send):
    raise Reached


def status(path="/", host="127.0.0.1:8501", kind="http", method="GET", **headers):
    """The status that the door answers with; 200 where it lets the request through."""
    sent = []

    async def send(message):
        sent.append(message)

    sent_with = {"host": host} | {name.replace("_", "-"): value for name, value in headers.items()}
    raw = [(name.encode(), value.encode()) for name, value in sent_with.items()]
    scope = {"type": kind, "path": path, "method": method, "headers": raw, "query_string": b"",
             "client": ("127.0.0.1", 50_000), "server": ("127.0.0.1", 8501)}  # fmt: skip
    try:
        with ThreadPoolExecutor(1) as thread:  # a browser test leaves a loop in the thread of the tests
            thread.submit(lambda: asyncio.run(Door(studio)(scope, None, send))).result()
    except Reached:
        return 200
    return sent[0].get("status", 403) if sent[0]["type"] != "websocket.close" else 403


@pytest.fixture
def options(monkeypatch):
    """The options of the server, which has no login."""
    values = {"server.address": "127.0.0.1", "server.allowedHosts": [], "secrets.files": []}
    monkeypatch.setattr(_access.st, "get_option", values.get)
    monkeypatch.setattr(_door, "is_of_another_user", lambda *ends: False)
    _access.has_login.cache_clear()
    yield values
    _access.has_login.cache_clear()


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("path", ["/", "/_stcore/stream", "/_stcore/health", "/studio-assets/plotly.min.js"])
def test_on_this_machine_a_foreign_name_gets_403_whatever_it_asks_for(options, kind, path):
    for host in ("rebound.example:8501", "127.0.0.1.rebound.example", "", "localhost@rebound.example", "127.0.0.1,x"):
        assert status(path, host, kind) == 403
    for host in ("127.0.0.1:8501", "localhost", "[::1]:8600", "LOCALHOST:1"):
        assert status(path, host, kind) == 200


def test_a_proxy_is_let_through_under_the_names_that_are_set(options, monkeypatch):
    monkeypatch.setenv("STUDIO_LOGIN", "elsewhere")
    assert status(host="studio.example") == 403
    options["server.allowedHosts"] = ["studio.example", "*.inner.example"]
    assert [status(host=host) for host in ("studio.example", "a.inner.example", "localhost", "b.example")] == [
        200, 200, 200, 403
    ]  # fmt: skip


def test_on_this_machine_the_page_of_another_site_and_a_proxy_nobody_told_of_get_403(options):
    for kind in ("http", "websocket"):
        assert status(kind=kind, origin="http://127.0.0.1:8501") == 200
        for origin in ("https://studio.example", "null", "http://localhost.evil.example", "x["):
            assert status(kind=kind, origin=origin) == 403
        for name in FORWARDED:
            assert status(kind=kind, **{name: "192.0.2.7"}) == 403


@pytest.mark.parametrize("setting", [{"server.address": "0.0.0.0"}, {"server.allowedHosts": ["studio.example"]}])
def test_without_a_login_a_network_or_a_proxy_gets_nothing_and_the_server_does_not_start(options, monkeypatch, setting):
    assert why_not_to_start() is None
    options.update(setting)
    assert "no login is set up" in str(why_not_to_start())
    for path in ("/", "/_stcore/upload_file/session/file", "/_stcore/metrics", "/media/abc.png", "/auth/login"):
        assert status(path) == 403
    assert status("/_stcore/stream", kind="websocket") == 403
    monkeypatch.setenv("STUDIO_LOGIN", "elsewhere")
    assert why_not_to_start() is None
    assert status() == 200


def test_on_this_machine_a_page_of_another_port_opens_no_socket_and_changes_nothing(options):
    other, own = "http://127.0.0.1:3000", "http://127.0.0.1:8501"
    assert [status(kind="websocket", origin=origin) for origin in (other, own)] == [403, 200]
    for method in ("POST", "PUT", "DELETE"):
        assert [status("/api/runs/1/predict", method=method, origin=origin) for origin in (other, own)] == [403, 200]
    assert status(origin=other) == 200, "browsers keep what is read from other pages"


def test_where_another_program_asks_who_comes_a_page_of_another_site_changes_nothing_either(options, monkeypatch):
    monkeypatch.setenv("STUDIO_LOGIN", "elsewhere")
    options.update({"server.address": "0.0.0.0", "server.allowedHosts": ["studio.example"]})
    for kind, method in (("websocket", "GET"), ("http", "POST"), ("http", "PUT")):
        for origin in ("https://evil.example", "http://127.0.0.1:3000", "null"):
            assert status(kind=kind, method=method, origin=origin) == 403
        for host in ("studio.example", "127.0.0.1:8501"):  # some proxies pass on the name, others do not
            assert status(host=host, kind=kind, method=method, origin="https://studio.example") == 200
        assert status(kind=kind, method=method, origin="http://127.0.0.1:8501") == 200
    assert status(origin="https://evil.example") == 200, "a link is followed"


def test_where_another_program_asks_who_comes_a_name_that_somebody_could_register_has_to_be_told(options, monkeypatch):
    monkeypatch.setenv("STUDIO_LOGIN", "elsewhere")
    options["server.address"] = "0.0.0.0"
    for kind in ("http", "websocket"):
        for host in ("rebound.example:8501", "10.0.0.7.rebound.example", "lan.example", "", "x@10.0.0.7", "10.0.0.7/x"):
            assert status(host=host, kind=kind, origin=f"http://{host}") == 403
        for host in ("10.0.0.7:8501", "[fd00::7]:8501", "studio:8501", "studio.lan", "Studio.Internal.", "localhost"):
            assert status(host=host, kind=kind) == 200
    options["server.allowedHosts"] = ["studio.example"]
    assert [status(host=host) for host in ("studio.example", "rebound.example")] == [200, 403]
    options["server.allowedHosts"] = ["*"]
    assert status(host="studio.example") == 200, "whoever runs it wants so"


def test_a_word_that_means_nothing_does_not_take_the_login_away(options, monkeypatch):
    options["server.address"] = "0.0.0.0"
    monkeypatch.setenv("STUDIO_LOGIN", "off")
    assert "can only be 'elsewhere', got 'off'" in str(why_not_to_start())
    assert status() == 403


def test_a_file_of_secrets_that_cannot_be_read_counts_as_one_that_asks_for_a_login(options, monkeypatch, tmp_path):
    file = tmp_path / "secrets.toml"
    file.write_text("[auth")
    options["secrets.files"] = [str(file)]

    class Broken:
        def __contains__(self, name):
            raise StreamlitSecretNotFoundError("damaged")

    monkeypatch.setattr(_access.st, "secrets", Broken())
    assert _access.needs_login()


AUTH = {
    "redirect_uri": "https://studio.example/oauth2callback",
    "cookie_secret": "0123456789abcdef0123456789abcdef",
    "client_id": "studio",
    "client_secret": "secret",
    "server_metadata_url": "https://provider.example/.well-known/openid-configuration",
}


@pytest.fixture
def login(options, monkeypatch):
    """The section [auth] of a server that has one, to be changed."""

    class Secrets(dict):
        def load_if_toml_exists(self):
            return True

    secrets = Secrets(auth=dict(AUTH))
    monkeypatch.setattr(_access.st, "secrets", secrets)
    monkeypatch.setattr("streamlit.auth_util.secrets_singleton", secrets)
    return secrets["auth"]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("cookie_secret", "xxx", "fewer than 32 characters"),
        ("redirect_uri", "https://studio.example/", "does not end in /oauth2callback"),
        ("client_id", None, "missing the following keys: ['client_id']"),
        ("cookie_secret", None, 'missing the "cookie_secret" key'),
    ],
)
def test_a_login_that_cannot_work_or_can_be_guessed_is_refused_at_the_start(login, monkeypatch, name, value, told):
    monkeypatch.setenv("STUDIO_ADMINS", "ada@example.org")
    assert why_not_to_start() is None
    login.pop(name)
    if value is not None:
        login[name] = value
    assert told in str(why_not_to_start())


def test_a_login_that_nobody_could_pass_is_refused_at_the_start(login, monkeypatch):
    assert "Nobody may enter" in str(why_not_to_start())
    monkeypatch.setenv("STUDIO_MEMBERS", "everybody")
    assert "names 'everybody', which is no person" in str(why_not_to_start())


def test_pages_may_load_and_send_nothing_elsewhere():
    policy = dict(part.split(" ", 1) for part in content_policy("localhost:8501").split("; "))
    assert policy["connect-src"] == "'self' data: blob: ws://localhost:8501 wss://localhost:8501"
    assert all("*" not in value and "http" not in value for value in policy.values())
    assert "ws://" not in content_policy("a.example; script-src *")


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_without_a_login_another_user_of_this_machine_is_a_stranger(options, monkeypatch, kind):
    asked = []
    monkeypatch.setattr(_door, "is_of_another_user", lambda *ends: bool(asked.append(ends)) or True)
    assert status(kind=kind) == 403
    assert asked == [(("127.0.0.1", 50_000), ("127.0.0.1", 8501))]
    assert status("/_stcore/health") == status("/static/js/index.js") == 200
    assert status("/media/a.png") == status("/api/runs") == status("/report/1") == 403
    monkeypatch.setenv("STUDIO_LOGIN", "elsewhere")
    assert status(kind=kind) == 200


@pytest.fixture
def set_up():
    """The settings that the server comes with."""
    return tomllib.loads((Path(_access.__file__).parents[1] / ".streamlit" / "config.toml").read_text())


def test_grids_hand_out_no_file_in_which_a_cell_could_be_a_formula(set_up):
    assert set_up["client"]["disableDataExport"] is True


def test_uploads_carry_a_token_other_sites_read_nothing_and_errors_show_no_paths(set_up):
    assert set_up["server"]["enableXsrfProtection"] is True
    assert set_up["server"]["enableCORS"] is True
    assert set_up["client"]["showErrorDetails"] == "none"
    assert set_up["client"]["allowedOrigins"] == []
    assert set_up["browser"]["gatherUsageStats"] is False
