"""How fast pages are for eight people who watch two runs: `python -m tests.bench.watchers [--minutes 1] [--json]`.

Two long runs train at once; eight browser windows show one of them each, and redraw it every second. Measured is how
long each redraw takes, from the browser's question to the last word of the answer, and how long a page takes to open
anew. It prints and asserts nothing.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from studio.config.reading import with_values
from studio.home import Home
from studio.service import samples
from studio.store.store import Store
from tests.server import CHROMIUM, CHROMIUM_ARGUMENTS, served

WATCHERS = 8
OPENED = "() => [...document.querySelectorAll('.live-chart')].some(one => Number(one.dataset.points) > 0)"


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--json", action="store_true")
    wanted.add_argument("--minutes", type=float, default=1)
    options = wanted.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = watch(Path(folder) / "home", options.minutes * 60)
    print(json.dumps(found, indent=2) if options.json else "\n".join(f"{name}: {one}" for name, one in found.items()))


def watch(home: Path, seconds: float) -> dict[str, Any]:
    os.environ["STUDIO_SLOTS"] = "2"
    store = start_two(home)
    with served(home) as address, sync_playwright() as playwright:
        while not all(store.curve(run) for run in (1, 2)):
            time.sleep(0.2)
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGUMENTS)
        pages = [browser.new_page() for _ in range(WATCHERS)]
        redraws: list[float] = []
        for number, page in enumerate(pages):
            listen(page, redraws)
            page.goto(f"{address}/run?run={1 + number % 2}")
            page.wait_for_function(OPENED)
        redraws.clear()
        opened, until = [], time.monotonic() + seconds
        while time.monotonic() < until:
            for page in pages:
                page.wait_for_timeout(1_000)
                begun = time.monotonic()
                page.reload()
                page.wait_for_function(OPENED)
                opened.append(time.monotonic() - begun)
        browser.close()
    return {
        "watchers": WATCHERS,
        "runs": len([one for one in store.runs() if one.status in ("running", "queued")]),
        "redraws": len(redraws),
        "redraw_median_s": quantile(redraws, 0.5),
        "redraw_p95_s": quantile(redraws, 0.95),
        "openings": len(opened),
        "open_median_s": quantile(opened, 0.5),
        "open_p95_s": quantile(opened, 0.95),
    }


def start_two(home: Path) -> Store:
    """Two runs that train for longer than anybody watches."""
    place = Home(home)
    store = Store(place.database)
    config = samples.config("text", samples.add(store, place, "text").name)
    for number in range(2):
        store.submit(with_values(config, teacher="builtin/transformer-base", teacher_epochs=500), key=str(number))
    return store


def listen(page: Page, redraws: list[float]) -> None:
    """Write down how long each redraw took, by what goes through the page's connection."""
    asked: list[float] = []

    def sent(frame: Any) -> None:
        message = BackMsg.FromString(frame if isinstance(frame, bytes) else frame.encode("latin-1"))
        if message.WhichOneof("type") == "rerun_script" and message.rerun_script.fragment_id:
            asked.append(time.monotonic())

    def received(frame: Any) -> None:
        message = ForwardMsg.FromString(frame if isinstance(frame, bytes) else frame.encode("latin-1"))
        if message.WhichOneof("type") == "script_finished" and asked:
            redraws.append(time.monotonic() - asked.pop(0))
            asked.clear()

    def connected(socket: Any) -> None:
        asked.clear()
        socket.on("framesent", sent)
        socket.on("framereceived", received)

    page.on("websocket", connected)


def quantile(values: list[float], share: float) -> float | None:
    return round(sorted(values)[min(len(values) - 1, int(share * len(values)))], 3) if values else None


if __name__ == "__main__":
    main()
