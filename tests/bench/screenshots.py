"""Pictures of every page for the README, from a running studio with real results.

`python -m tests.bench.screenshots http://127.0.0.1:8501 RUN` writes into assets/screenshots; a text demo is started,
and its page is taken when it is over, with all of its curve.
"""

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.server import CHROMIUM, CHROMIUM_ARGUMENTS, READY, ROOT

FOLDER = ROOT / "assets" / "screenshots"
WIDTH, LEAST, MOST = 1280, 720, 1500
LONGEST_RUN = 15 * 60_000
"""Milliseconds that the demo may take."""


def take(page: Page, name: str) -> None:
    """The page as it is, as tall as its content."""
    page.wait_for_selector(READY)
    page.wait_for_timeout(1_500)
    height = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": max(LEAST, min(MOST, int(height) + 60))})
    page.wait_for_timeout(800)
    page.screenshot(path=FOLDER / f"{name}.png")
    page.set_viewport_size({"width": WIDTH, "height": LEAST})


def main(address: str, run: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGUMENTS)
        for scheme, suffix in (("light", ""), ("dark", "-dark")):
            context = browser.new_context(viewport={"width": WIDTH, "height": LEAST}, color_scheme=scheme)
            page = context.new_page()
            for name in (
                "",
                "new_run",
                f"results?run={run}",
                *(("data", "runs", f"playground?run={run}", "settings") if not suffix else ()),
            ):
                page.goto(f"{address}/{name}")
                take(page, (name.split("?")[0] or "home") + suffix)
        page = browser.new_page(viewport={"width": WIDTH, "height": LEAST})
        page.goto(address)
        page.locator(".st-key-demo-text button").click()
        page.wait_for_selector(".st-key-results button", timeout=LONGEST_RUN)
        take(page, "live")
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 3 or not Path(FOLDER).parent.is_dir():
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
