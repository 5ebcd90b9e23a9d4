"""What the machine can do to a run: `python -m tests.bench.faults [--moments 30] [--json]`.

Power cuts: a run trains on a file system in a file, which is copied as it is at many moments; each copy is mounted and
the run goes on there. That takes Linux, root and a loop device; elsewhere it is said that it was skipped. Damages: what
a run has written is emptied, cut off, or gets another bit, and it goes on. Every run must end with the weights of an
unbroken one: `lost` did not end, `wrong` ended otherwise, `unexplained` ended with words that name no cause. It prints
and asserts nothing.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.distill import checkpoints
from studio.events import Metrics
from studio.home import Home
from studio.machine.identity import is_gone, new_owner
from studio.service import library
from studio.service.ownership import INTERRUPTED
from studio.service.runs import carry
from studio.store.store import Store
from tests.conftest import TINY, here, reviews

MEGABYTES = 96
SETTINGS = {"dataset": "reviews", **TINY, "teacher": "builtin/fasttext-small", "student": "builtin/fasttext-tiny"}
Weights = dict[str, Any]


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--json", action="store_true")
    wanted.add_argument("--moments", type=int, default=30)
    options = wanted.parse_args()
    checkpoints.LEAST_SECONDS, checkpoints.SHARE = 0.0, 1e9  # a state after each step
    with tempfile.TemporaryDirectory() as folder:
        faults = play(Path(folder), options.moments)
    found = {"faults": faults}
    print(json.dumps(found, indent=2) if options.json else "\n".join(map(str, faults)))


def play(folder: Path, moments: int) -> list[dict[str, Any]]:
    plain = Home(folder / "plain")
    events = sum(1 for _ in go_on(begun(plain), plain))
    expected = weights(plain)
    faults = [judged(kind, damaged(folder / kind, damage), expected) for kind, damage in DAMAGES.items()]
    if has_loop_devices():
        return [power_cuts(folder, moments, events, expected), *faults]
    return [{"name": "power cut", "skipped": "it takes Linux, root and a loop device"}, *faults]


# --- one run


def begun(home: Home) -> Store:
    store = Store(home.database)
    columns = Columns("text", "label")
    library.save(store, home, "reviews", clean(reviews(), columns, "text-classification"), columns)
    store.submit(parse_config(SETTINGS), key="k")
    return store


def go_on(store: Store, home: Home) -> Iterator[object]:
    """The run from wherever it is to its end."""
    store.take_back(is_gone, INTERRUPTED)
    store.take_back(lambda owner: True, INTERRUPTED)  # this process carried it before the cut
    run = store.run(1)
    if run.status == "queued":
        run = store.claim(new_owner()) or run
    elif run.can_resume:
        run = store.resume(1, owner=new_owner())
    return carry(store, home, run, here) if run.status == "running" else iter(())


def weights(home: Home) -> Weights:
    return load_file(home.model(1, "student") / "model.safetensors")


def judged(name: str, homes: Iterator[Home], expected: Weights) -> dict[str, Any]:
    """How the runs of these homes end."""
    counts = {"tries": 0, "lost": 0, "wrong": 0, "unexplained": 0}
    for home in homes:
        counts["tries"] += 1
        store = Store(home.database)
        if not store.count_runs():
            counts["lost"] += 1
            continue
        for _ in go_on(store, home):
            pass
        run = store.run(1)
        if run.status != "finished":
            counts["lost"] += 1
            counts["unexplained"] += "does not know" in (run.message or "") or "cut off" in (run.message or "")
            continue
        now = weights(home)
        counts["wrong"] += any(not now[key].equal(known) for key, known in expected.items())
    return {"name": name, **counts}


# --- damages


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def bit_flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], None]] = {"emptied": emptied, "cut off": cut_off, "bit flipped": bit_flipped}


def damaged(folder: Path, damage: Callable[[Path], None]) -> Iterator[Home]:
    """Homes of a run that stopped in the middle of its distillation, each with one of its files damaged."""
    stopped = Home(folder / "stopped")
    store = begun(stopped)
    with contextlib.closing(go_on(store, stopped)) as run:  # type: ignore[type-var]  # it is a generator
        for event in run:
            if isinstance(event, Metrics) and event.phase == "distill" and event.step > 1:
                break
    written = [*stopped.checkpoints(1).rglob("*.pt*"), *stopped.teacher_outputs.rglob("*.npy")]
    for number, file in enumerate(written):
        copy = Home(folder / str(number))
        shutil.copytree(stopped.root, copy.root)
        damage(copy.root / file.relative_to(stopped.root))
        yield copy
        shutil.rmtree(copy.root)


# --- power cuts


def has_loop_devices() -> bool:
    free = (
        shutil.which("losetup") and subprocess.run(["losetup", "-f"], capture_output=True, check=False).returncode == 0
    )
    return sys.platform == "linux" and os.geteuid() == 0 and bool(free) and bool(shutil.which("mkfs.ext4"))


def power_cuts(folder: Path, moments: int, events: int, expected: Weights) -> dict[str, Any]:
    disk, place = folder / "disk", folder / "mounted"
    place.mkdir()
    with disk.open("wb") as image:
        image.truncate(MEGABYTES * 1024**2)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(disk)], check=True)
    cuts = []
    with mounted(disk, place):
        home = Home(place / "home")
        for number, _ in enumerate(go_on(begun(home), home)):
            if number % max(1, events // moments) == 0 and len(cuts) < moments:
                cuts.append(Path(shutil.copyfile(disk, folder / f"cut-{number}")))
    return judged("power cut", after(cuts, place), expected)


def after(cuts: list[Path], place: Path) -> Iterator[Home]:
    for cut in cuts:
        with mounted(cut, place):
            yield Home(place / "home")
        cut.unlink()


@contextlib.contextmanager
def mounted(disk: Path, place: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "loop", str(disk), str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


if __name__ == "__main__":
    main()
