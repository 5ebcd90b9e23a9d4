"""The main job in a real browser: upload, map, start, watch, reload, read the verdict, take the student away."""

import re
import zipfile

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.conftest import reviews
from tests.server import READY

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Real messages of bank customers where there is real data, else short reviews."""
    import os
    from pathlib import Path

    path = tmp_path_factory.mktemp("upload") / "my messages.csv"
    real = os.environ.get("STUDIO_TEST_DATA")
    if real:
        from studio.data import uploads

        rows = uploads.read(Path(real) / "text" / "banking77" / "train.csv").table
        some = rows[rows["category"].isin(["card_arrival", "exchange_rate", "lost_or_stolen_card", "top_up_failed"])]
        some.rename(columns={"text": "what they wrote", "category": "topic"}).to_csv(path, index=False, sep=";")
    else:
        reviews(600).table.rename(columns={"text": "what they wrote", "label": "topic"}).to_csv(
            path, index=False, sep=";"
        )
    return path


def choose(page: Page, key: str, option: str) -> None:
    box = page.locator(f".st-key-{key} input")
    offered = page.get_by_role("option", name=option, exact=True)
    for _ in range(20):  # a list closes when the page scrolls below it
        box.click()
        page.wait_for_timeout(500)
        if offered.is_visible():
            break
    offered.click()
    expect(box).to_have_value(option)
    page.wait_for_selector(READY)


def choose_models(page: Page, teacher: str, student: str) -> None:
    """Both by their names, in place of a goal."""
    page.locator(".st-key-goal").get_by_text("I choose", exact=True).click()
    page.get_by_text("Choose the models yourself").click()
    for role, name in (("teacher", teacher), ("student", student)):
        page.locator(f"[class*='st-key-{role}-builtin-']").get_by_text(name, exact=True).click()
    page.wait_for_selector(READY)
    expect(page.locator(".st-key-ready .ds-pair")).to_have_text(f"{teacher}→{student}")


def slide(page: Page, place: str, below: float) -> None:
    """To the next value above this one."""
    slider = page.locator(f"{place} input[type=range]")
    slider.fill(str(below))
    slider.press("ArrowRight")  # a value that came by no key and no pointer is not sent


def train_for(page: Page, epochs: int, teacher_epochs: int) -> None:
    """So many epochs, where the studio would choose up to a hundred for data this small."""
    page.get_by_text("More settings · ").click()
    for name, number in (("epochs", epochs), ("teacher_epochs", teacher_epochs)):
        slide(page, f".st-key-setting-{name}", number - 1)
    expect(page.get_by_text(f"epochs: {epochs}, of the teacher: {teacher_epochs}")).to_be_visible()
    page.wait_for_selector(READY)


def points(page: Page) -> int:
    chart = page.locator("[class*='st-key-loss-'] .live-chart")
    return int(chart.get_attribute("data-points") or 0)


def wait_for_more_points(page: Page, than: int) -> int:
    page.wait_for_function(
        "least => Number(document.querySelector(\"[class*='st-key-loss-'] .live-chart\")?.dataset.points ?? 0) > least",
        arg=than,
        timeout=120_000,
    )
    return points(page)


def test_upload_map_start_watch_reload_and_read_the_verdict(page: Page, studio: str, table, tmp_path):
    page.goto(f"{studio}/data")
    page.wait_for_selector(READY)
    page.locator(".st-key-upload input[type=file]").set_input_files(table)
    expect(page.get_by_text("semicolon between columns, with a header")).to_be_visible()
    expect(page.get_by_text("Rows per label")).to_be_visible()
    page.get_by_role("button", name="Save data set").click()
    page.get_by_text("Use it in a new run").click()
    expect(page).to_have_url(re.compile("new_run"))
    page.wait_for_selector(READY)
    expect(page.get_by_text("Text classification · ")).to_be_visible()

    choose_models(page, "transformer-small", "transformer-tiny")
    train_for(page, epochs=20, teacher_epochs=8)
    page.locator(".st-key-start button").click()
    expect(page).to_have_url(re.compile(r"run\?run=1"))

    page.get_by_role("tab", name="Loss").click()
    first = wait_for_more_points(page, 0)
    second = wait_for_more_points(page, first)
    wait_for_more_points(page, second)

    zoom_survives_the_next_points(page)

    page.reload()  # the tab that is open stands in the address
    expect(page.get_by_text("Run 1 · ")).to_be_visible()
    wait_for_more_points(page, 0)

    expect(page.get_by_text("See the results")).to_be_visible(timeout=300_000)
    page.get_by_text("See the results").click()
    expect(page.get_by_role("heading", name="of the teacher’s accuracy")).to_be_visible()
    for role in ("teacher", "student", "control"):
        expect(page.locator(f".ds-plot .{role} .name")).to_be_visible()
    a_picture_of_the_result_is_saved(page, tmp_path)

    page.get_by_role("button", name="Get the student").click()
    page.get_by_role("button", name="Build download").click()
    with page.expect_download(timeout=150_000) as taken:
        page.get_by_role("link", name="Download the student").click(timeout=120_000)
    taken.value.save_as(tmp_path / "student.zip")
    with zipfile.ZipFile(tmp_path / "student.zip") as archive:
        assert {"config.json", "model.safetensors", "README.md", "config.yaml"} <= set(archive.namelist())


def a_picture_of_the_result_is_saved(page: Page, folder) -> None:
    with page.expect_download() as taken:
        page.get_by_role("button", name="Save as a picture").click()
    taken.value.save_as(folder / "card.png")
    assert Image.open(folder / "card.png").size == (1200, 630)


def test_a_live_chart_has_no_buttons_of_its_own_and_a_drag_that_was_no_use_is_taken_back(page: Page, studio: str):
    page.goto(f"{studio}/run?run=1")
    chart = page.locator("[class*='st-key-measure-'] .live-chart")
    expect(chart.locator(".nsewdrag")).to_be_visible()
    expect(chart.locator(".modebar-btn")).to_have_count(0)
    read = "() => document.querySelector(\"[class*='st-key-measure-'] .live-chart\").layout.xaxis.range.map(Number)"
    whole = page.evaluate(read)
    chart.locator(".nsewdrag").scroll_into_view_if_needed()
    box = chart.locator(".nsewdrag").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.7 * box["height"], steps=8)
    page.mouse.up()
    page.wait_for_function(f"whole => String(({read})()) !== String(whole)", arg=whole)
    chart.locator(".nsewdrag").dblclick()
    page.wait_for_function(f"whole => String(({read})()) === String(whole)", arg=whole)
    assert page.title() == "Run 1: my messages · Distillation Studio"


def test_from_a_run_the_navigation_leads_back_to_the_list(page: Page, studio: str):
    for name in ("All runs", "Runs"):
        page.goto(f"{studio}/runs?run=1")
        expect(page.get_by_text("Run 1 · ")).to_be_visible()
        page.get_by_role("link", name=name, exact=True).click()
        expect(page).to_have_url(f"{studio}/runs")
        expect(page.get_by_role("heading", name="Runs")).to_be_visible()


def test_a_click_anywhere_in_its_row_opens_a_run(page: Page, studio: str):
    page.goto(f"{studio}/runs")
    row = page.locator(".st-key-row-1")
    expect(row.locator(".ds-about")).to_be_visible()
    row.click(position={"x": 500, "y": 40})  # where no word is a link
    expect(page).to_have_url(re.compile(r"results\?run=1"))


def test_the_models_of_a_run_are_asked_about_a_test_row(page: Page, studio: str):
    page.goto(f"{studio}/results?run=1")
    page.get_by_role("button", name="Try it").click()
    page.get_by_role("button", name="Take a test row").click()
    for role in ("teacher", "student", "control"):
        expect(page.locator(f".ds-model.{role} .ds-rows").first).to_be_visible()


def zoom_survives_the_next_points(page: Page) -> None:
    """Zoom by hand as Plotly records it, wait for new points, and look whether the range is still there."""
    chart = "[class*='st-key-loss-'] .live-chart"
    box = page.locator(f"{chart} .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.7 * box["height"], steps=8)
    page.mouse.up()
    page.wait_for_function(f'() => document.querySelector("{chart}").layout.xaxis.autorange !== true')
    read = f'() => document.querySelector("{chart}").layout.xaxis.range.map(Number)'
    zoomed = page.evaluate(read)
    page.evaluate(f'() => {{ document.querySelector("{chart}").studioMark = 1 }}')
    total = f'() => document.querySelector("{chart}").data.reduce((sum, trace) => sum + trace.x.length, 0)'
    before = page.evaluate(total)
    page.wait_for_function(f"before => ({total})() > before", arg=before, timeout=120_000)
    assert page.evaluate(read) == pytest.approx(zoomed)
    assert page.evaluate(f'() => document.querySelector("{chart}").studioMark') == 1


def test_a_deep_link_opens_its_page_with_the_navigation(page: Page, studio: str):
    page.goto(f"{studio}/results")
    page.wait_for_selector(READY)
    expect(page.get_by_role("link", name="New run")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_every_answer_carries_the_security_headers(page: Page, studio: str):
    answer = page.goto(studio)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
