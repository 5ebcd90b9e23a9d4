"""Every page in light and dark, narrow and wide: no serious finding of axe, nothing beyond the screen, a way on from
any address."""

import contextlib
import re
from pathlib import Path
from urllib.parse import urlsplit

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from studio import events
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.home import Home
from studio.service import library
from studio.store.store import Store
from tests.conftest import TINY, reviews
from tests.server import READY, served

pytestmark = pytest.mark.e2e

PAGES = (
    "", "data", "new_run", "runs", "compare?runs=1", "run?run=1", "run?run=1&curves=Loss", "run?run=2", "results?run=1",
    "playground?run=1", "settings", "settings?part=Runs", "settings?part=Disk", "settings?part=Machine", "guide",
)  # fmt: skip
NOWHERE = ("run?run=999", f"results?run={'9' * 30}", "new_run?from=abc", "settings?part=none", "run?run=1&curves=none")
AXE = next(Path(axe_playwright_python.__file__).parent.glob("axe*.js")).read_text()
SERIOUS = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
    .filter((found) => ["serious", "critical"].includes(found.impact))
    .map((found) => `${found.id}: ${found.nodes[0].html.slice(0, 200)}`)"""
BEYOND = """() => Math.max(0, ...[document.documentElement, document.querySelector("[data-testid=stMain]")]
    .map((part) => part.scrollWidth - part.clientWidth))"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """The address of a studio with a data set, a finished run and one that failed; nothing is trained."""
    folder = tmp_path_factory.mktemp("pages")
    home, columns = Home(folder / "home"), Columns("text", "label")
    store = Store(home.database)
    library.save(store, home, "reviews", clean(reviews(240), columns, "text-classification"), columns)
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="finished", owner="me")
    store.record(run.id, list(said()))
    store.finish(run.id)
    failed = store.submit(parse_config({"dataset": "reviews", **TINY}), key="failed", owner="me")
    from tests.pages.conftest import broken

    store.fail(failed.id, broken())
    with served(home.root) as address:
        yield address


def said():
    for phase, until in (("teach", 0.93), ("distill", 0.9), ("control", 0.8)):
        yield events.PhaseStarted(phase=phase)
        for step in range(10):
            values = {"loss": 1 / (step + 1), "accuracy": until * (step + 1) / 10}
            yield events.Metrics(phase=phase, step=step, values=values)
        yield events.PhaseFinished(phase=phase, seconds=3, steps=10)
    for role, value, size in (("teacher", 0.93, 8e6), ("student", 0.9, 1e6), ("control", 0.8, 1e6)):
        for metric, number in (("accuracy", value), ("size_bytes", size), ("latency_ms", size / 1e6)):
            yield events.Evaluation(role=role, split="test", metric=metric, value=number, n=60)
        yield events.Confusion(role=role, split="test", labels=["bad", "good"], counts=[[25, 5], [4, 26]])
    yield events.Verdict(outcome="better", sentence="The student kept 97 % of it.")


def scrolls_sideways(page: Page) -> bool:
    """Also once charts, which follow the window a moment later, have found their width."""
    try:
        page.wait_for_function(f"({BEYOND})() === 0", timeout=10_000)
    except PlaywrightTimeout:
        return True
    return False


APART = """() => { const [right] = [...document.querySelectorAll("header a, header button")]
    .map((one) => one.getBoundingClientRect()).filter((box) => box.width && box.top < 60).map((box) => box.right)
    .sort((one, other) => other - one);
    return right < document.querySelector(".ds-languages").getBoundingClientRect().left; }"""


def test_the_languages_have_a_place_of_their_own_beside_the_navigation(page: Page, studio: str):
    for width in (700, 768, 1000, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"{studio}/guide")
        page.wait_for_selector(f"{READY} .ds-languages")
        page.wait_for_function(APART)


def test_a_button_that_its_script_has_not_named_yet_is_not_there(page: Page, studio: str):
    page.goto(f"{studio}/results?run=1")
    button = page.get_by_role("button", name="Save as a picture")
    button.wait_for()
    page.locator(".picture-file span").evaluate("one => { one.textContent = ''; }")
    assert page.locator(".picture-file").evaluate("one => getComputedStyle(one).visibility") == "hidden"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_dialog_is_as_light_or_dark_as_the_page(browser: Browser, studio: str, scheme):
    page = browser.new_page(color_scheme=scheme)
    page.goto(f"{studio}/data")
    page.get_by_role("button", name="Preview").first.click()
    page.wait_for_selector("[role=dialog] .ds-table")
    assert page.evaluate("getComputedStyle(document.querySelector('[role=dialog] .ds-table')).colorScheme") == scheme
    page.close()


def hosts_asked(page: Page) -> set[str]:
    """Grows with every host that the page asks for something, or tries to."""
    asked: set[str] = set()
    for event in ("request", "websocket"):
        page.on(event, lambda one: asked.add(urlsplit(one.url).netloc))  # type: ignore[call-overload]
    return asked


@pytest.mark.parametrize(("scheme", "width", "also"), [("light", 360, 360), ("dark", 1440, 768)])
def test_no_page_has_a_serious_finding_or_anything_beyond_the_screen(
    browser: Browser, studio: str, scheme, width, also
):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked = hosts_asked(page)
    found = {}
    for address in PAGES:
        page.goto(f"{studio}/{address}")
        page.wait_for_selector(f"{READY} h1")
        page.wait_for_timeout(600)  # what is drawn by a script of its own comes a moment later
        page.evaluate(AXE)
        wrong = page.evaluate(SERIOUS)
        for one in (width, also):
            page.set_viewport_size({"width": one, "height": 900})
            wrong += [f"scrolls sideways at {one}"] if scrolls_sideways(page) else []
        page.set_viewport_size({"width": width, "height": 900})
        if wrong:
            found[address] = wrong
    page.close()
    assert not found
    assert asked == {urlsplit(studio).netloc, ""}, "what a page holds in itself has no host"


def test_a_link_to_a_result_is_answered_on_the_first_screen_of_a_phone(browser: Browser, studio: str):
    page = browser.new_page(viewport={"width": 390, "height": 700})
    page.goto(f"{studio}/results?run=1")
    page.wait_for_selector(f"{READY} h1")
    expect(page.get_by_text("The teacher helped").first).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("heading", level=1)).to_be_in_viewport(ratio=1)
    expect(page.locator(".phone-numbers b").first).to_be_in_viewport(ratio=1)
    page.close()


def test_an_address_that_leads_nowhere_gets_a_sentence_and_a_way_on(page: Page, studio: str):
    for address in NOWHERE:
        page.goto(f"{studio}/{address}")
        page.wait_for_selector(f"{READY} h1")
        expect(page.get_by_test_id("stException")).to_have_count(0)
        expect(page.locator("[data-testid=stMain] a, [data-testid=stMain] button").first).to_be_visible()


def test_the_tour_is_offered_once_hides_nothing_can_be_skipped_by_keyboard_and_taken_again(page: Page, studio: str):
    page.goto(studio)
    bubble = page.locator(".ds-bubble")
    expect(bubble).to_be_visible()
    head, offered = page.locator("h1").bounding_box(), bubble.bounding_box()
    assert head["y"] + head["height"] < offered["y"] or head["x"] + head["width"] < offered["x"]
    bubble.get_by_role("button", name="Take the tour").press("Enter")
    expect(bubble.get_by_text("1 / 4")).to_be_visible()
    bubble.get_by_role("button", name="Next").press("Enter")
    expect(bubble.get_by_text("2 / 4")).to_be_visible()
    bubble.get_by_role("button", name="Next").press("Escape")
    expect(bubble).to_be_hidden()
    page.reload()
    expect(page.get_by_role("button", name="Take the tour")).to_be_visible()
    expect(bubble).to_be_hidden()
    page.get_by_role("button", name="Take the tour").press("Enter")
    expect(bubble.get_by_text("1 / 4")).to_be_visible()


RING = """() => { const on = document.activeElement;
    return !on.matches("a, button, summary, main") || getComputedStyle(on).outlineStyle !== "none"
        ? "" : on.outerHTML.slice(0, 160); }"""


def unseen_focus(page: Page) -> str:
    """What has the focus and no ring, within a second: the page is drawn anew now and then, its styles with it."""
    with contextlib.suppress(PlaywrightTimeout):
        page.wait_for_function(f"() => ({RING})() === ''", timeout=1_000)
    return str(page.evaluate(RING))


def tab_to(page: Page, place: str, unseen: set[str]) -> None:
    """With the Tab key alone; what on the way has the focus and shows it nowhere is put into `unseen`."""
    for _ in range(120):
        page.keyboard.press("Tab")
        unseen.add(unseen_focus(page))
        if page.evaluate("place => Boolean(document.activeElement.closest(place))", place):
            return
    pytest.fail(f"{place} was not reached by the Tab key.")


def test_by_keyboard_alone_an_analyst_comes_from_a_file_to_the_verdict_and_sees_the_focus(
    page: Page, studio: str, tmp_path: Path
):
    table, unseen = tmp_path / "my reviews.csv", set[str]()
    reviews(240).table.to_csv(table, index=False)
    page.goto(f"{studio}/data")
    page.wait_for_selector(f"{READY} [data-testid='stFileUploaderDropzone'] button")
    with page.expect_file_chooser() as chooser:  # asked for first: the browser is told so without an answer
        tab_to(page, "[data-testid='stFileUploaderDropzone'] button", unseen)
        page.keyboard.press("Enter")
    chooser.value.set_files(table)
    page.wait_for_selector(f"{READY} .st-key-save")
    tab_to(page, ".st-key-save", unseen)
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{READY} .st-key-use-saved")
    tab_to(page, ".st-key-use-saved", unseen)
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{READY} .st-key-start")
    tab_to(page, ".st-key-fold-models summary", unseen)  # the usual teacher learns for minutes
    page.keyboard.press("Enter")
    tab_to(page, "[class*='st-key-teacher-builtin-']", unseen)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")  # the last but one
    expect(page.locator(".st-key-ready .ds-pair")).to_contain_text("fasttext-small")
    tab_to(page, ".st-key-start", unseen)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{studio}/run?run=3")
    page.wait_for_selector(".st-key-results", timeout=300_000)
    tab_to(page, ".st-key-results", unseen)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"results\?run=3"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("accuracy")
    assert unseen == {""}
