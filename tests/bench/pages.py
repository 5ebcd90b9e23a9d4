"""How fast the pages open, idle and while a run trains; prints, asserts nothing.

`python -m tests.bench.pages [--json]`
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from studio.config.reading import with_values
from studio.home import Home
from studio.service import samples
from studio.store.store import Store
from tests.server import CHROMIUM, CHROMIUM_ARGUMENTS, READY, served

PAGES = ("", "data", "new_run", "runs", "results", "playground", "settings")
TIMES = 20


def opened(page: Page, address: str) -> float:
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(f"{READY} h1")
    return time.perf_counter() - start


def measure(page: Page, address: str) -> dict[str, dict[str, float]]:
    found = {}
    for name in PAGES:
        seconds = sorted(opened(page, f"{address}/{name}") for _ in range(TIMES))
        found[name or "home"] = {
            "median": round(statistics.median(seconds), 3),
            "p95": round(seconds[round(0.95 * TIMES) - 1], 3),
        }
    return found


def main(as_json: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with served(home) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGUMENTS)
            page = browser.new_page()
            measure(page, address)  # the first visit of each page compiles it
            idle = measure(page, address)
            train(home)
            wait_until_it_trains(home)
            found = {"idle": idle, "training": measure(page, address)}
            browser.close()
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print(f"{'page':10} {'idle, median s':>15} {'p95':>6} {'training, median s':>20} {'p95':>6}")
    for name, one in idle.items():
        busy = found["training"][name]
        print(f"{name:10} {one['median']:15.2f} {one['p95']:6.2f} {busy['median']:20.2f} {busy['p95']:6.2f}")


def train(folder: Path) -> None:
    """Queue a long run of a small transformer on the demo's messages."""
    home = Home(folder)
    store = Store(home.database)
    config = samples.config("text", samples.add(store, home, "text").name)
    store.submit(with_values(config, teacher="builtin/transformer-base", teacher_epochs=500), key="bench")


def wait_until_it_trains(home: Path) -> None:
    store = Store(Home(home).database)
    while not store.curve(1):
        time.sleep(0.2)


if __name__ == "__main__":
    main("--json" in sys.argv)
