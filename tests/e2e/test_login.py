"""People sign in with a provider in a real browser: who may not enter stays out, others do what their role allows."""

import re
import urllib.error
import urllib.request
from typing import NamedTuple

import pytest
from playwright.sync_api import Page, expect

from studio import events
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.home import Home
from studio.service import library
from studio.store.store import Store
from tests.conftest import TINY, reviews
from tests.provider import CLIENT, SECRET, provided
from tests.server import READY, served

pytestmark = pytest.mark.e2e

ACCOUNTS = {
    "una": {"email": "una@example.org", "email_verified": False},
    "eve": {"email": "eve@elsewhere.example", "email_verified": True},
    "vera": {"email": "vera@example.org", "email_verified": True},
    "mia": {"email": "mia@elsewhere.example", "email_verified": True, "groups": ["research"]},
    "ada": {"email": "Ada@example.org", "email_verified": True},
}
LISTS = {"STUDIO_VIEWERS": "@example.org", "STUDIO_MEMBERS": "group:research", "STUDIO_ADMINS": "ada@example.org"}


class Studio(NamedTuple):
    """Where it is, and what it knows."""

    address: str
    store: Store
    asked: list[str]
    """Paths of what the provider was asked for."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A studio behind a login that knows one data set and one finished run, both made by nobody."""
    folder = tmp_path_factory.mktemp("login")
    home, columns = Home(folder / "home"), Columns("text", "label")
    store = Store(home.database)
    rows = clean(reviews(240), columns, "text-classification")
    library.save(store, home, "reviews", rows, columns)
    finish(store)
    with provided(ACCOUNTS) as provider:
        secrets = folder / "secrets.toml"
        secrets.write_text(
            f'[auth]\nredirect_uri = "http://127.0.0.1:{{port}}/oauth2callback"\n'
            f'cookie_secret = "0123456789abcdef0123456789abcdef"\nclient_id = "{CLIENT}"\n'
            f'client_secret = "{SECRET}"\nserver_metadata_url = "{provider.discovery}"\n'
        )
        with served(home.root, "--secrets.files", str(secrets), **LISTS, NO_PROXY="127.0.0.1") as address:
            yield Studio(address, store, provider.asked)


def finish(store: Store) -> None:
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="finished", owner="me")
    said: list[events.Event] = [
        events.Evaluation(role=role, split="test", metric="accuracy", value=0.9, low=0.8, high=1.0, n=100)
        for role in ("teacher", "student", "control")
    ]
    store.record(run.id, [*said, events.Verdict(outcome="better", sentence="The student kept 97 % of it.")])
    store.finish(run.id)


def sign_in(page: Page, address: str, account: str) -> None:
    """Ask for a page, sign in, and be where one wanted to be."""
    page.goto(address)
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("link", name=account).click()


def opened(page: Page) -> None:
    page.wait_for_selector(READY)
    expect(page.get_by_role("heading").first).to_be_visible()


def status(address: str, method: str = "GET", cookie: str = "") -> int:
    request = urllib.request.Request(address, b"" if method == "PUT" else None, {"Cookie": cookie}, method=method)
    try:
        return urllib.request.urlopen(request, timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code


def cookies(page: Page) -> str:
    return "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in page.context.cookies())


def test_a_stranger_gets_the_login_and_nothing_else(page: Page, studio: Studio):
    for path, method in (("/_stcore/upload_file/a/b", "PUT"), ("/media/a.png", "GET"), ("/_stcore/metrics", "GET")):
        assert status(studio.address + path, method) == 401
    sockets = []
    page.on("websocket", lambda socket: sockets.append(socket))
    assert page.goto(f"{studio.address}/results?run=1").status == 401
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    expect(page.locator("body")).not_to_contain_text("97 %")
    assert not sockets


def test_a_stranger_cannot_have_the_provider_asked_again_and_again(studio: Studio):
    for _ in range(5):
        assert status(f"{studio.address}/sign-in") == 200
    assert studio.asked.count("/authorize") >= 5
    assert studio.asked.count("/.well-known/openid-configuration") <= 2  # where a period ends meanwhile


def test_an_address_that_is_not_verified_is_refused(page: Page, studio: Studio):
    sign_in(page, studio.address, "una")
    expect(page.get_by_text(re.compile(r"una@.?example\.org is not verified"))).to_be_visible()
    assert status(f"{studio.address}/_stcore/metrics", cookie=cookies(page)) == 403


def test_who_is_on_no_list_is_refused_and_can_take_another_account(page: Page, studio: Studio):
    sign_in(page, f"{studio.address}/results?run=1", "eve")
    expect(page.get_by_text(re.compile(r"eve@.?elsewhere\.example may not use this studio\."))).to_be_visible()
    page.get_by_role("link", name="Use another account").click()
    sign_in(page, f"{studio.address}/results?run=1", "vera")
    expect(page.get_by_text("The student kept 97 %")).to_be_visible()


def test_a_viewer_comes_to_the_page_that_was_asked_for_and_can_start_nothing(page: Page, studio: Studio):
    sign_in(page, f"{studio.address}/results?run=1", "vera")
    expect(page.get_by_text("The student kept 97 %")).to_be_visible()
    assert page.url == f"{studio.address}/results?run=1"
    expect(page.get_by_role("button", name="Change and start again")).to_have_count(0)
    page.goto(f"{studio.address}/run?run=1")
    opened(page)
    expect(page.get_by_text("See the results")).to_be_visible()
    expect(page.get_by_role("button", name="More")).to_have_count(0)
    page.goto(f"{studio.address}/new_run?dataset=1")
    expect(page.get_by_text("To start runs, ask an admin.")).to_be_visible()
    expect(page.locator(".st-key-start")).to_have_count(0)
    page.goto(f"{studio.address}/data")
    opened(page)
    expect(page.get_by_test_id("stFileUploader")).to_have_count(0)
    assert status(f"{studio.address}/_stcore/upload_file/a/b", "PUT", cookies(page)) == 403


def test_a_member_starts_a_run_owns_it_and_cannot_delete_those_of_others(page: Page, studio: Studio):
    sign_in(page, f"{studio.address}/new_run?dataset=1", "mia")
    opened(page)
    page.locator(".st-key-start button").click()
    expect(page).to_have_url(re.compile(r"run\?run=2"))
    assert studio.store.run(2).made_by == "mia@elsewhere.example"
    expect(page.get_by_text(re.compile(r"by mia@.?elsewhere\.example"))).to_be_visible()
    page.get_by_role("button", name="Stop").first.click()
    page.get_by_role("button", name="Stop the run").click()
    expect(page.get_by_role("button", name="Resume").first).to_be_visible()
    page.goto(f"{studio.address}/run?run=1")
    expect(page.get_by_text("See the results")).to_be_visible()
    expect(page.get_by_role("button", name="More")).to_have_count(0)


def test_an_admin_reads_who_did_what_and_signs_out(page: Page, studio: Studio):
    sign_in(page, f"{studio.address}/settings", "ada")
    expect(page.get_by_text(re.compile(r"ada@.?example\.org, admin"))).to_be_visible()
    log = {(entry.who, entry.what) for entry in studio.store.audit()}
    assert ("ada@example.org", "login") in log
    page.get_by_role("tab", name="Audit log").click()
    expect(page.locator("td", has_text="ada@example.org").first).to_be_visible()
    page.goto(f"{studio.address}/run?run=1")
    page.get_by_role("button", name="More").click()
    expect(page.get_by_role("button", name="Delete")).to_be_visible()
    page.goto(f"{studio.address}/settings")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    assert page.goto(f"{studio.address}/run?run=1").status == 401
