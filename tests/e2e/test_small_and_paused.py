"""A plan of its own chosen in a real browser, its steps on the results page, the student as a zip; a run that is
paused."""

import re
import zipfile
from pathlib import Path

import pytest
from onnxruntime import InferenceSession
from playwright.sync_api import Page, expect

from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.home import Home
from studio.service import library
from studio.store.store import Store
from tests.conftest import reviews
from tests.e2e.test_main_journey import choose, choose_models, slide, train_for
from tests.server import READY, served

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """The address of a studio that knows one data set."""
    folder = tmp_path_factory.mktemp("plans") / "home"
    home, columns = Home(folder), Columns("text", "label")
    rows = clean(reviews(240), columns, "text-classification")
    library.save(Store(home.database), home, "reviews", rows, columns)
    with served(folder) as address:
        yield address


def test_a_plan_is_put_together_refused_mended_started_and_stopped(page: Page, studio: str):
    page.goto(f"{studio}/new_run?dataset=1")
    page.wait_for_selector(READY)
    choose_models(page, "transformer-small", "transformer-tiny")
    train_for(page, epochs=4, teacher_epochs=15)
    page.get_by_role("tab", name="Steps").click()
    choose(page, "plan-text-classification", "Custom steps")
    page.locator(".st-key-step-add button").click()  # prune, at the end
    page.wait_for_selector(READY)
    expect(page.get_by_text("Distil → Prune 50 % of neurons")).to_be_visible()
    page.get_by_role("button", name="Attention heads").click()
    expect(page.get_by_text("Distil → Prune 50 % of neurons and heads")).to_be_visible()
    page.get_by_role("button", name="Feed-forward neurons").click()
    expect(page.get_by_text("Distil → Prune 50 % of heads")).to_be_visible()
    page.locator("[class*='st-key-ratio-'] input[type=range]").press("Home")
    expect(page.get_by_text("Distil → Prune 5 % of heads")).to_be_visible()
    page.locator(".st-key-start button").click()
    expect(page.get_by_text("not a whole number").first).to_be_visible(timeout=90_000)  # 5 % of the heads
    slide(page, "[class*='st-key-ratio-']", below=0.45)
    expect(page.get_by_text("Distil → Prune 50 % of heads")).to_be_visible()
    choose(page, "step-kind", "Quantize")
    page.locator(".st-key-step-add button").click()
    expect(page.get_by_text("Distil → Prune 50 % of heads → Quantize to int8")).to_be_visible()
    page.locator(".st-key-start button").click()
    expect(page).to_have_url(re.compile(r"run\?run=1"), timeout=90_000)
    expect(page.get_by_text("Plan: Distil → Prune 50 % of heads → Quantize to int8")).to_be_visible()
    page.locator(".st-key-stop button").first.click()  # how such a run ends is walked by the engineer below
    expect(page.get_by_text("stopped", exact=False).first).to_be_visible()


def test_an_engineer_comes_from_a_limit_of_milliseconds_to_an_int8_file(page: Page, studio: str, tmp_path: Path):
    page.goto(f"{studio}/new_run?dataset=1")
    page.wait_for_selector(READY)
    page.get_by_text("Choose the models yourself").click()
    page.locator("[class*='st-key-teacher-builtin-']").get_by_text("transformer-small", exact=True).click()
    page.locator(".st-key-goal").get_by_text("Fast enough", exact=True).click()
    expect(page.get_by_label("Longest time for one row, in milliseconds")).to_have_value("5")
    expect(page.get_by_text("Nearest to that:")).to_be_visible()
    page.get_by_text("Store whole numbers (int8)").click()
    expect(page.locator(".st-key-ready").get_by_text("Quantize to int8")).to_be_visible()
    train_for(page, epochs=3, teacher_epochs=15)
    page.locator(".st-key-start button").click()
    expect(page).to_have_url(re.compile(r"run\?run="))
    expect(page.get_by_text("See the results")).to_be_visible(timeout=180_000)
    page.get_by_text("See the results").click()
    page.get_by_role("tab", name="Step by step").click()
    expect(page.get_by_text("The student after each step of the plan")).to_be_visible()
    page.get_by_role("button", name="Get the student").click()
    page.locator(".st-key-prepare button").click()
    with page.expect_download(timeout=120_000) as download:
        page.get_by_role("link", name="Download the student").click(timeout=120_000)
    expect(page.get_by_role("row", name="ONNX in int8")).to_contain_text("ms")
    download.value.save_as(tmp_path / "student.zip")
    with zipfile.ZipFile(tmp_path / "student.zip") as archive:
        assert {"model.safetensors", "README.md"} <= set(archive.namelist())
        file = archive.extract("int8/model.onnx", tmp_path)
    assert InferenceSession(file).get_outputs()


def test_a_run_is_paused_and_goes_on_to_its_verdict(page: Page, studio: str):
    page.goto(f"{studio}/new_run?dataset=1")
    page.wait_for_selector(READY)
    choose_models(page, "transformer-tiny", "transformer-tiny")
    train_for(page, epochs=50, teacher_epochs=15)
    page.locator(".st-key-start button").click()
    expect(page).to_have_url(re.compile(r"run\?run="))
    page.wait_for_function(
        "[...document.querySelectorAll('.live-chart')].some(e => Number(e.dataset.points) > 20)", timeout=90_000
    )
    page.locator(".st-key-pause button").first.click()
    expect(page.get_by_text("paused", exact=False).first).to_be_visible()
    page.locator(".st-key-resume button").first.click()
    expect(page.get_by_text("See the results")).to_be_visible(timeout=180_000)
