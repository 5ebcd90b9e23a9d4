"""A method, changed copies and a hard stage chosen in a real browser; then the student goes on with new data."""

import re

import pytest
from playwright.sync_api import Page, expect

from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.uploads import Upload
from studio.home import Home
from studio.service import library
from studio.store.store import Store
from tests.conftest import reviews
from tests.e2e.test_main_journey import choose, choose_models, train_for
from tests.server import READY, served

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """The address of a studio that knows two data sets, the later one newer."""
    folder = tmp_path_factory.mktemp("ways") / "home"
    home, columns = Home(folder), Columns("text", "label")
    store = Store(home.database)
    table = reviews(400).table
    for name, rows in (("reviews", table.iloc[:240]), ("later reviews", table.iloc[240:])):
        upload = Upload("table", rows.reset_index(drop=True))
        library.save(store, home, name, clean(upload, columns, "text-classification"), columns)
    with served(folder) as address:
        yield address


def start_and_wait(page: Page, run: int) -> None:
    page.locator(".st-key-start button").click()
    expect(page).to_have_url(re.compile(rf"run\?run={run}"))
    expect(page.get_by_text("See the results")).to_be_visible(timeout=180_000)


def test_a_method_with_features_and_more_data_and_then_new_data(page: Page, studio: str):
    page.goto(f"{studio}/new_run?dataset=1")
    page.wait_for_selector(READY)
    choose_models(page, "transformer-small", "transformer-tiny")
    train_for(page, epochs=3, teacher_epochs=15)
    page.get_by_role("tab", name="Method").click()
    expect(page.locator(".st-key-method-text-classification input")).to_be_visible()
    page.wait_for_selector(READY)
    choose(page, "method-text-classification", "Soft targets and hints")
    expect(page.get_by_text("Soft targets and hints · Distil")).to_be_visible()
    page.get_by_role("tab", name="Augmentation").click()
    page.get_by_role("button", name="Leave out some words").first.click()
    page.wait_for_selector(READY)
    start_and_wait(page, 1)
    expect(page.get_by_text("Soft targets and hints").first).to_be_visible()
    page.get_by_text("See the results").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(re.compile("accuracy", re.IGNORECASE))

    page.get_by_role("button", name="Get the student").click()
    page.get_by_text("Continue with new data").click()
    expect(page).to_have_url(re.compile("new_run"))
    page.wait_for_selector(READY)
    expect(page.get_by_text("Data it already knows")).to_be_visible()
    start_and_wait(page, 2)
    page.get_by_text("See the results").click()
    page.get_by_role("tab", name="New and old data").click()
    expect(page.get_by_text("so as not to forget it")).to_be_visible()
