"""How fast the tabs of a result open with 10, 10,000 and 1,000,000 kept rows; prints, asserts nothing.

`python -m tests.bench.results [--json] [--times 5]`. The rows are made up, and so are the answers; pages are opened in
a browser, each in a window of its own. `ratio` is the slowest of the medians to that of the smallest.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import Dataset, DatasetDict
from playwright.sync_api import Browser, sync_playwright

from studio import events
from studio.config.reading import parse_config
from studio.data.folder import DataSet, write
from studio.home import Home
from studio.kept import answers
from studio.store.store import Store
from tests.conftest import TINY
from tests.server import CHROMIUM, CHROMIUM_ARGUMENTS, READY, served

SIZES = (10, 10_000, 1_000_000)
TABS = ("classes", "rows", "confidence", "together", "mix-ups", "numbers")
LABELS = ["bad", "fair", "good", "superb"]


def fill(home: Home, rows: int) -> None:
    """A data set of so many test rows, and a run that has answered them."""
    store, generator = Store(home.database), np.random.default_rng(rows)
    sizes = {"train": 100, "validation": max(10, min(rows // 10, 100_000)), "test": rows}
    labels = {split: generator.integers(0, len(LABELS), size) for split, size in sizes.items()}
    splits = DatasetDict(
        {
            split: Dataset.from_dict(
                {"text": [f"row {n} of the {split} rows" for n in range(size)], "label": labels[split]}
            )
            for split, size in sizes.items()
        }
    )
    row = store.add_dataset(name=f"{rows} rows", task="text-classification", labels=LABELS, splits=sizes,
                            fingerprint=str(rows), columns={}, report={})  # fmt: skip
    about = DataSet(splits, LABELS, "text-classification", str(rows), row.name)
    parts = {split: [part] for split, part in splits.items()}
    write(parts, home.dataset(row.id), about, name=row.name, digest=str(rows))
    store.dataset_ready(row.id)
    run = store.submit(parse_config({"dataset": row.name, **TINY}), key=str(rows), owner="bench")
    for role, noise in (("teacher", 0.8), ("student", 1.2), ("control", 1.5), ("baseline", 2.0), ("ensemble", 0.7)):
        for split in ("validation", "test"):
            keep(home, run.id, role, split, labels[split], noise, generator)
    store.record(run.id, measured(rows))
    store.finish(run.id)


def keep(home: Home, run: int, role: str, split: str, labels: np.ndarray, noise: float, generator) -> None:
    drawn = generator.normal(size=(len(labels), len(LABELS)))
    logits = (2 * np.eye(len(LABELS))[labels] + noise * drawn).astype("float32")
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    said = logits.argmax(1)
    found = answers.Answers(
        answer=pa.array(said.astype("int32")),
        confidence=shares.max(1),
        loss=-np.log(shares[np.arange(len(labels)), labels]),
        labelled=np.ones(len(labels), dtype=bool),
        right=said == labels,
        statistics=np.stack([labels, said], 1),
        logits=logits,
    )
    answers.write(home, run, role, split, found)


def measured(rows: int) -> list[events.Event]:
    found: list[events.Event] = []
    for role, value in (("teacher", 0.9), ("student", 0.8), ("control", 0.7)):
        found += [
            events.Evaluation(
                role=role, split="test", metric="accuracy", value=value, low=value - 0.1, high=value, n=rows
            ),
            events.Evaluation(role=role, split="", metric="size_bytes", value=1e6),
            events.Evaluation(role=role, split="", metric="latency_ms", value=2.0),
            events.Confusion(role=role, split="test", labels=LABELS, counts=[[rows] * 4] * 4),
        ]
    return [*found, events.Verdict(outcome="better", sentence="It is so.")]


def opened(browser: Browser, address: str, open_tab: str) -> float:
    """Seconds until the tab's own content is there, in a new window."""
    page = browser.new_page()
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(f"{READY} h1")
    page.wait_for_selector(f"{READY} [role=tabpanel] :is(h3, table, .stSelectbox)")
    seconds = time.perf_counter() - start
    page.close()
    return seconds


def main(as_json: bool, times: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        os.environ["STUDIO_HOME"] = str(home.root)
        for rows in SIZES:
            fill(home, rows)
        found: dict[str, dict[str, float]] = {}
        with served(home.root) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGUMENTS)
            for tab in TABS:
                for _ in range(2):
                    opened(browser, f"{address}/results?run=1&tab={tab}", tab)
                found[tab] = {
                    str(rows): round(statistics.median(
                        opened(browser, f"{address}/results?run={run}&tab={tab}", tab) for _ in range(times)), 3)
                    for run, rows in enumerate(SIZES, start=1)
                }  # fmt: skip
                found[tab]["ratio"] = round(max(found[tab].values()) / found[tab][str(SIZES[0])], 2)
            browser.close()
    if as_json:
        print(json.dumps({"tabs": found, "ratio": max(one["ratio"] for one in found.values())}, indent=2))
        return
    print(f"{'tab':12}" + "".join(f"{rows:>12,}" for rows in SIZES) + f"{'ratio':>8}")
    for tab, one in found.items():
        print(f"{tab:12}" + "".join(f"{one[str(rows)]:11.2f}s" for rows in SIZES) + f"{one['ratio']:8.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    main(arguments.json, arguments.times)
