"""A large table through the whole door: `python -m tests.bench.big --rows 10000000 [--json]`.

Writes a CSV of so many rows, reads it, checks it, saves it, and says after each step how long it took and how much
memory the process and its reader have held at most. It prints and asserts nothing.
"""

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from studio.data import apart
from studio.errors import StudioError
from studio.home import Home
from studio.service import library
from studio.store.store import Store

WORDS = [
    "the",
    "film",
    "was",
    "very",
    "good",
    "bad",
    "long",
    "short",
    "warm",
    "cold",
    "actors",
    "never",
    "again",
    "and",
    "but",
]


def written(path: Path, rows: int) -> None:
    """Reviews of about eight words, in two classes."""
    chance = random.Random(0)
    with path.open("w") as file:
        file.write("text,label\n")
        texts = [" ".join(chance.choices(WORDS, k=8)) for _ in range(997)]
        for number in range(rows):
            file.write(f"{texts[number % 997]} {number},{'ab'[number % 2]}\n")


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--rows", type=int, default=1_000_000)
    wanted.add_argument("--json", action="store_true")
    options = wanted.parse_args()
    steps: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "big.csv"
        written(path, options.rows)
        home = Home(Path(place) / "home")
        store = Store(home.database)

        def step(name: str, work: Callable[[], Any]) -> Any:
            start = time.perf_counter()
            try:
                return work()
            except StudioError as error:
                steps.append({"refused": str(error)})
                raise
            finally:
                held = [
                    resource.getrusage(whose).ru_maxrss for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
                ]
                seconds = round(time.perf_counter() - start, 1)
                steps.append({"step": name, "seconds": seconds, "mb": held[0] // 1024, "reader_mb": held[1] // 1024})

        try:
            upload = step("read", lambda: apart.read(path))
            found = step("check", lambda: library.check(library.Files(upload)))
            saved = step("save", lambda: library.save(store, home, "big", found.rows, found.columns))
            steps.append({"splits": saved.splits})
        except StudioError:
            pass
        answer = {"rows": options.rows, "file_mb": path.stat().st_size // 1024**2, "steps": steps}
    print(json.dumps(answer, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
