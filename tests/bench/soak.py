"""Whether runs survive anything: `python -m tests.bench.soak [--minutes 10] [--runs 200] [--json]`.

A server without pages trains tiny runs from the queue, two at once. Every few seconds a worker or the server itself is
killed without warning; a killed server is started again. After the minutes the rest goes through undisturbed. Every
run's curve is then held beside that of an unbroken one, point by point. It prints and asserts nothing.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.home import Home
from studio.service import library
from studio.service.runs import carry
from studio.service.runtime import new_owner
from studio.store.rows import Point
from studio.store.store import Store
from tests.conftest import reviews

TINY = {
    "teacher": "builtin/fasttext-small",
    "student": "builtin/fasttext-tiny",
    "epochs": 30,
    "teacher_epochs": 2,
    "allow_weak_teacher": True,
}
SERVER = "import time; from studio.service.runtime import Runtime; from studio.home import Home\n" \
         "Runtime(Home.from_environment()).start()\nwhile True: time.sleep(1)"  # fmt: skip
EVERY_SECONDS = (2.0, 6.0)
SERVERS_SHARE = 0.3
"""How many of the kills hit the server rather than a worker."""


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--json", action="store_true")
    wanted.add_argument("--minutes", type=float, default=10)
    wanted.add_argument("--runs", type=int, default=200)
    wanted.add_argument("--slots", type=int, default=2)
    options = wanted.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = soak(Home(Path(folder)), options.minutes * 60, options.runs, options.slots)
    print(json.dumps(found, indent=2) if options.json else "\n".join(f"{name}: {one}" for name, one in found.items()))


def soak(home: Home, seconds: float, runs: int, slots: int) -> dict[str, Any]:
    store = Store(home.database)
    columns = Columns("text", "label")
    library.save(store, home, "reviews", clean(reviews(200), columns, "text-classification"), columns)
    config = parse_config({"dataset": "reviews", **TINY})
    unbroken = store.submit(config, key="unbroken", owner=new_owner())
    for _ in carry(store, home, unbroken):
        pass
    expected = store.curve(unbroken.id)
    numbers = [store.submit(config, key=str(number)).id for number in range(runs)]
    begun, kills, memory = time.monotonic(), Counter[str](), list[int]()
    server = start(home, slots)
    draw = random.Random(0)
    while unfinished(store, numbers):
        time.sleep(draw.uniform(*EVERY_SECONDS))
        memory.append(psutil.Process(server.pid).memory_info().rss)
        if time.monotonic() - begun < seconds:
            server = kill(draw, server, kills, home, slots)
    server.terminate()
    server.wait()
    time.sleep(1)
    lost = [store.run(number) for number in numbers if store.run(number).status != "finished"]
    return {
        "runs": runs,
        "lost": len(lost),
        "lost_because": [f"{run.id}: {run.status}, {run.message}" for run in lost],
        **compare(store, numbers, expected),
        "orphans": len(workers()),
        "server_rss_growth": memory[-1] / max(1, memory[0]),
        "kills": dict(kills),
        "minutes": (time.monotonic() - begun) / 60,
    }


def start(home: Home, slots: int) -> subprocess.Popen[bytes]:
    surroundings = os.environ | {"STUDIO_HOME": str(home.root), "STUDIO_SLOTS": str(slots)}
    return subprocess.Popen([sys.executable, "-c", SERVER], env=surroundings)


def workers() -> list[psutil.Process]:
    """The workers of all servers that this benchmark has started, also of dead ones: known by where they write their
    log, for a process that was forked and named shows no environment of its own."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if "studio.executors.worker" in " ".join(process.info["cmdline"] or ()):
            with contextlib.suppress(OSError):  # it has just ended
                if str(Path(f"/proc/{process.pid}/fd/2").readlink()).startswith(tempfile.gettempdir()):
                    found.append(process)
    return found


def kill(
    draw: random.Random, server: subprocess.Popen[bytes], kills: Counter[str], home: Home, slots: int
) -> subprocess.Popen[bytes]:
    """A worker or the server, by chance; returns the server that runs from now on. Where chance says a worker and there
    is none, nothing is killed."""
    there = workers()
    if draw.random() < SERVERS_SHARE:
        kills["server"] += 1
        server.kill()
        server.wait()
        return start(home, slots)
    if there:
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(draw.choice(there).pid, signal.SIGKILL)
            kills["worker"] += 1
    return server


def unfinished(store: Store, numbers: list[int]) -> list[int]:
    return [number for number in numbers if store.run(number).status in ("queued", "running")]


def compare(store: Store, numbers: list[int], expected: list[Point]) -> dict[str, int]:
    """Points that a run has too often, lacks, or has with another value than the unbroken one."""
    wanted = {(one.phase, one.step, one.name): one.value for one in expected}
    doubled = missing = other = 0
    for number in numbers:
        points = store.curve(number)
        found = {(one.phase, one.step, one.name): one.value for one in points}
        doubled += len(points) - len(found)
        missing += len(wanted.keys() - found.keys())
        other += sum(abs(found[key] - value) > 1e-6 for key, value in wanted.items() if key in found)
    return {"doubled_points": doubled, "missing_points": missing, "other_values": other}


if __name__ == "__main__":
    main()
