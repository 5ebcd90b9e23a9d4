"""How fast Runs and Compare open with 10 and with 10,000 runs; prints, asserts nothing.

`python -m tests.bench.many_runs [--json]`
"""

import contextlib
import json
import os
import sqlite3
import statistics
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from studio import events
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.home import Home
from studio.service import library
from studio.store.store import Store
from tests.bench.pages import opened
from tests.conftest import TINY, reviews
from tests.server import CHROMIUM, CHROMIUM_ARGUMENTS, served

PAGES = {
    "runs": "runs",
    "runs, searched": "runs?q=tiny",
    "runs, sorted": "runs?sort=kept",
    "compare": "compare?runs=1,2",
}
TIMES = 11


def fill(folder: Path, runs: int) -> None:
    """A home with so many finished runs, all measured."""
    home = Home(folder)
    store, columns = Store(home.database), Columns("text", "label")
    library.save(store, home, "reviews", clean(reviews(), columns, "text-classification"), columns)
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="1", owner="me")
    said: list[events.Event] = []
    for role in ("teacher", "student", "control"):
        for metric, value in (("accuracy", 0.8), ("f1_macro", 0.8), ("size_bytes", 4e6), ("latency_ms", 2.0)):
            split = "test" if metric in ("accuracy", "f1_macro") else ""
            said.append(events.Evaluation(role=role, split=split, metric=metric, value=value, n=50))
    said += [events.Metrics(phase="distill", step=step, values={"accuracy": step / 100}) for step in range(50)]
    store.record(run.id, [*said, events.Verdict(outcome="better", sentence="It kept most of it.")])
    store.finish(run.id)
    _copy(home.database, runs)


def _copy(database: Path, runs: int) -> None:
    """All other runs as copies of the first one, with their results."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        for table in ("runs", "results", "metrics", "summaries"):
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            changed = {"id": "n", "run_id": "n", "request_key": "'copy ' || n"}
            values = ", ".join(changed.get(name, f'"{name}"') for name in names)
            numbers = f"WITH RECURSIVE numbers (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < {runs})"
            listed = ", ".join(f'"{name}"' for name in names)
            key = "id" if table == "runs" else "run_id"
            copies = f"SELECT {values} FROM numbers, {table} WHERE {table}.{key} = 1"
            connection.execute(f"INSERT INTO {table} ({listed}) {numbers} {copies}")


def measure(runs: int) -> dict[str, float]:
    """The median time to open each page, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        os.environ["STUDIO_HOME"] = str(home)
        fill(home, runs)
        with served(home) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGUMENTS)
            page = browser.new_page()
            for place in PAGES.values():  # the first visit of each page compiles it
                opened(page, f"{address}/{place}")
            found = {name: [opened(page, f"{address}/{place}") for _ in range(TIMES)] for name, place in PAGES.items()}
            browser.close()
    return {name: round(statistics.median(seconds), 3) for name, seconds in found.items()}


def main(as_json: bool) -> None:
    few, many = measure(10), measure(10_000)
    ratios = {name: round(many[name] / few[name], 2) for name in PAGES}
    if as_json:
        print(json.dumps({"10": few, "10000": many, "ratio": ratios}, indent=2))
        return
    print(f"{'page':16} {'10 runs, s':>12} {'10,000 runs, s':>16} {'ratio':>7}")
    for name in PAGES:
        print(f"{name:16} {few[name]:12.2f} {many[name]:16.2f} {ratios[name]:7.2f}")


if __name__ == "__main__":
    main("--json" in sys.argv)
