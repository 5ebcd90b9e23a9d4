"""How fast the pages open, idle and while a run trains; prints, asserts nothing.

`python -m tests.bench.pages [--json]`: each page once to compile it, then so many times as `TIMES` says, twice; about
two minutes on two idle cores. What is known is told at once, on standard error.
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
TIMES, PATIENCE = 7, 120
"""How often a page is opened; seconds until a run has its first point."""


def opened(page: Page, address: str) -> float:
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(f"{READY} h1")
    return time.perf_counter() - start


def measure(page: Page, address: str, state: str, times: int = TIMES) -> dict[str, dict[str, float]]:
    found = {}
    for name in PAGES:
        seconds = [opened(page, f"{address}/{name}") for _ in range(times)]
        found[name or "home"] = {"median": round(statistics.median(seconds), 3), "slowest": round(max(seconds), 3)}
        print(f"{state}: {name or 'home'} {found[name or 'home']['median']:.2f} s", file=sys.stderr)
    return found


def main(as_json: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with served(home) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGUMENTS)
            page = browser.new_page()
            measure(page, address, "first visit", times=1)
            idle = measure(page, address, "idle")
            train(home)
            wait_until_it_trains(home)
            found = {"idle": idle, "training": measure(page, address, "training")}
            browser.close()
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print(f"{'page':10} {'idle, median s':>15} {'slowest':>8} {'training, median s':>20} {'slowest':>8}")
    for name, one in idle.items():
        busy = found["training"][name]
        print(f"{name:10} {one['median']:15.2f} {one['slowest']:8.2f} {busy['median']:20.2f} {busy['slowest']:8.2f}")


def train(folder: Path) -> None:
    """Queue a long run of a small transformer on the demo's messages."""
    home = Home(folder)
    store = Store(home.database)
    config = samples.config("text", samples.add(store, home, "text").name)
    store.submit(with_values(config, teacher="builtin/transformer-base", teacher_epochs=500), key="bench")


def wait_until_it_trains(home: Path) -> None:
    store, until = Store(Home(home).database), time.monotonic() + PATIENCE
    while not store.curve(1):
        if time.monotonic() > until or store.run(1).is_over:
            raise SystemExit(f"The run has no point after {PATIENCE} s; it is {store.run(1).status}.")
        time.sleep(0.2)


if __name__ == "__main__":
    main("--json" in sys.argv)
