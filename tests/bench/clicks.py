"""How long someone waits who presses a demo on Home: for the first point of the curve, and for the verdict.

`python -m tests.bench.clicks [--look SECONDS] [--json]`: each demo twice, after Home was looked at for so many seconds;
without them the first click comes as soon as Home is there, when nothing is warm yet. Prints, asserts nothing.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from studio.service.samples import NAMES
from tests.server import CHROMIUM, CHROMIUM_ARGUMENTS, READY, served

PATIENCE = 300_000
"""Milliseconds."""


def waited(page: Page, address: str, demo: str, look: float) -> dict[str, object]:
    page.goto(address)
    page.wait_for_selector(f"{READY} h1")
    page.keyboard.press("Escape")  # the tour
    time.sleep(look)
    start = time.perf_counter()
    page.locator(f".st-key-demo-{demo} button").first.click(force=True)
    page.wait_for_function("[...document.querySelectorAll('.live-chart')].some(e => Number(e.dataset.points) > 0)")
    first = time.perf_counter() - start
    page.wait_for_selector(".st-key-results button")
    return {"demo": demo, "first_point": round(first, 1), "verdict": round(time.perf_counter() - start, 1)}


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--json", action="store_true")
    wanted.add_argument("--look", type=float, default=0.0)
    options = wanted.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "home") as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE)
        found = [waited(page, address, demo, options.look) for demo in [*NAMES, *NAMES]]
        browser.close()
    if options.json:
        print(json.dumps({"clicks": found}))
        return
    for one in found:
        print(f"{one['demo']}: first point after {one['first_point']} s, verdict after {one['verdict']} s")


if __name__ == "__main__":
    main()
