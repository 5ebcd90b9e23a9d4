"""Pictures of every page, from a running studio with real results.

`python -m tests.bench.screenshots http://127.0.0.1:8501 RUN [FOLDER]` writes into assets/screenshots: every page
in light and dark, wide and as on a phone. RUN is a finished run.
"""

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.server import CHROMIUM, CHROMIUM_ARGUMENTS, READY, ROOT

FOLDER = ROOT / "assets" / "screenshots"
WIDTHS, LEAST, MOST = {"": 1280, "-phone": 360}, 720, 1500
PAGES = {
    "home": "",
    "data": "data",
    "new_run": "new_run",
    "runs": "runs",
    "live": "run?run={run}",
    "results": "results?run={run}",
    "playground": "playground?run={run}",
    "compare": "compare",
    "settings": "settings?part=disk",
    "guide": "guide",
}
NO_TOUR = "localStorage.setItem('studio-tour-seen', '1')"
SETTLED = 2_000
"""Milliseconds until charts are drawn and what is worked out beside the page has come."""


def take(page: Page, file: Path, width: int) -> None:
    """The page as it is, as tall as its content."""
    page.wait_for_selector(f"{READY} h1")
    page.wait_for_timeout(SETTLED)
    height = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
    page.set_viewport_size({"width": width, "height": max(LEAST, min(MOST, int(height) + 60))})
    page.wait_for_timeout(800)
    page.screenshot(path=file)
    page.set_viewport_size({"width": width, "height": LEAST})


def main(address: str, run: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGUMENTS)
        for scheme, dark in (("light", ""), ("dark", "-dark")):
            for narrow, width in WIDTHS.items():
                context = browser.new_context(viewport={"width": width, "height": LEAST}, color_scheme=scheme)
                context.add_init_script(NO_TOUR)
                page = context.new_page()
                for name, place in PAGES.items():
                    page.goto(f"{address}/{place.format(run=run)}")
                    if name == "new_run":
                        page.wait_for_selector(".st-key-start")  # the models are counted then
                    take(page, folder / f"{name}{narrow}{dark}.png", width)
                context.close()
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or not FOLDER.parent.is_dir():
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]) if len(sys.argv) == 4 else FOLDER)
