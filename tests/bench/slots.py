"""What two runs at once cost: `python -m tests.bench.slots [--times 2] [--json]`; prints, asserts nothing.

The same two runs one after the other with all cores, then both at once with the cores divided; each way twice, in turn.
Once with a small student, to which a second core brings nothing, and once with one that keeps both busy.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.home import Home
from studio.service import library
from studio.service.runtime import Runtime
from studio.store.store import Store
from tests.conftest import reviews

SIZES: dict[str, dict[str, Any]] = {
    "small": {
        "teacher": "builtin/transformer-small",
        "student": "builtin/transformer-tiny",
        "max_length": 16,
        "epochs": 40,
        "teacher_epochs": 10,
        "allow_weak_teacher": True,
    },
    "large": {
        "teacher": "builtin/transformer-base",
        "student": "builtin/transformer-base",
        "max_length": 64,
        "epochs": 3,
        "teacher_epochs": 3,
        "allow_weak_teacher": True,
    },
}


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--json", action="store_true")
    wanted.add_argument("--times", type=int, default=2)
    options = wanted.parse_args()
    found = {size: measure(settings, options.times) for size, settings in SIZES.items()}
    print(json.dumps(found, indent=2) if options.json else "\n".join(f"{name}: {one}" for name, one in found.items()))


def measure(settings: dict[str, Any], times: int) -> dict[str, Any]:
    seconds = defaultdict[int, list[float]](list)
    for _ in range(times):
        for slots in (1, 2):
            with tempfile.TemporaryDirectory() as folder:
                seconds[slots].append(two_runs(Home(Path(folder)), slots, settings))
    return {
        "one_after_the_other_s": [round(one, 1) for one in seconds[1]],
        "at_once_s": [round(one, 1) for one in seconds[2]],
        "ratio": round(statistics.mean(seconds[2]) / statistics.mean(seconds[1]), 2),
    }


def two_runs(home: Home, slots: int, settings: dict[str, Any]) -> float:
    """Seconds from the start of the training threads to the end of the second run."""
    store = Store(home.database)
    columns = Columns("text", "label")
    library.save(store, home, "reviews", clean(reviews(2_000), columns, "text-classification"), columns)
    config = parse_config({"dataset": "reviews", **settings})
    runs = [store.submit(config, key=str(number)).id for number in range(2)]
    runtime = Runtime(home, slots=slots)
    begun = time.monotonic()
    runtime.start()
    try:
        while any(store.run(one).status != "finished" for one in runs):
            time.sleep(0.1)
        return time.monotonic() - begun
    finally:
        runtime.stop()


if __name__ == "__main__":
    main()
