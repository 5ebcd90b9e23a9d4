"""What a run reaches with nothing but a data set, a teacher and a student given, on whole sets and on a tenth of each.

`python -m tests.bench.defaults [--only sst2,mnist_small] [--shares 1,0.1] [--teacher … --student …] [--home FOLDER]
[--json]`; prints, asserts nothing. With a folder it can be cut off and goes on. Data comes from `STUDIO_TEST_DATA`;
all of it takes an hour or more. A run also goes on where its teacher is weak, which its cautions then say.
"""

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
import wave
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from studio.config.reading import parse_config
from studio.data import uploads
from studio.data.folder import load
from studio.data.uploads import Upload
from studio.home import Home
from studio.service import library, runs
from studio.service.library import Files
from studio.service.runtime import new_owner
from studio.store.rows import DatasetRow
from studio.store.store import Store

MODELS = {
    "text": ("builtin/fasttext-large", "builtin/fasttext-small"),
    "images": ("builtin/cnn-large", "builtin/cnn-small"),
}
SIDE = 32
"""Spectrograms become squares of so many pixels."""


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--json", action="store_true")
    wanted.add_argument("--home", type=Path, help="a folder that is kept: what is done there is not done again")
    wanted.add_argument("--only", default=",".join(SETS), help="some of the sets, with commas between")
    wanted.add_argument("--shares", default="1,0.1", help="shares of the training rows")
    wanted.add_argument("--teacher", help="in place of the usual one")
    wanted.add_argument("--student")
    wanted.add_argument("--set", action="append", default=[], help="a setting, to see what else it would do")
    options = wanted.parse_args()
    found = []
    with contextlib.ExitStack() as stack:
        home = Home(options.home or Path(stack.enter_context(tempfile.TemporaryDirectory())))
        home.make()
        store = Store(home.database)
        for name in options.only.split(","):
            for share in map(float, options.shares.split(",")):
                files = _part(SETS[name](Path(os.environ["STUDIO_TEST_DATA"])), share)
                added = library.add(store, home, files, name=name if share == 1 else f"{name}, {share:.0%}")
                found.append(measure(home, store, added.row, options))
                print(_line(found[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"sets": found}, indent=2) if options.json else "\n".join(map(_line, found)))


def measure(home: Home, store: Store, dataset: DatasetRow, options: argparse.Namespace) -> dict[str, Any]:
    """One run, the baseline that it fitted, and what the most common class gets on the same test rows."""
    teacher, student = MODELS["images" if dataset.task.startswith("image") else "text"]
    names = {"teacher": options.teacher or teacher, "student": options.student or student}
    more = dict(item.split("=", 1) for item in options.set)
    config = parse_config({"dataset": dataset.name, "allow_weak_teacher": True, **names, **more})
    run = store.submit(config, key=f"{dataset.name} {names} {more}", owner=new_owner())
    if run.status != "finished":
        list(runs.carry(store, home, run))
    done = store.run(run.id)
    accuracy = {
        one.role: one.value for one in store.evaluations(run.id) if (one.metric, one.split) == ("accuracy", "test")
    }
    labels = np.array(load(home.dataset(dataset.id)).dict["test"]["label"][:])
    cautions = [caution.code for caution in done.cautions]
    if done.status != "finished":
        cautions.append(f"{done.status}: {done.message}")
    return {
        "name": dataset.name,
        "models": names,
        **{role: accuracy.get(role) for role in ("teacher", "student", "control", "baseline")},
        "majority": float(np.bincount(labels[labels >= 0]).max() / len(labels)),
        "seconds": round((done.finished_at or 0) - (done.started_at or 0)),
        "outcome": done.outcome,
        "cautions": cautions,
    }


def _part(files: Files, share: float) -> Files:
    """The same files with a share of the rows that are not for testing, by chance."""
    if share == 1:
        return files
    table = files.rows.table
    tested = table["split"] == "test" if "split" in table else pd.Series(False, index=table.index)
    kept = pd.concat([table[tested], table[~tested].sample(frac=share, random_state=0)]).sort_index()
    return replace(files, rows=replace(files.rows, table=kept.reset_index(drop=True)))


def _line(one: dict[str, Any]) -> str:
    shares = ("teacher", "student", "control", "baseline", "majority")
    written = ", ".join(f"{name} {'–' if one[name] is None else format(one[name], '.1%')}" for name in shares)
    return f"{one['name']}: {written}; {one['seconds']} s; {', '.join(one['cautions']) or 'no caution'}"


def _tables(folder: str, ending: str) -> Any:
    return lambda data: Files(
        rows=uploads.read(data / "text" / folder / f"train.{ending}"),
        test=uploads.read(data / "text" / folder / f"test.{ending}"),
    )


def _digits(data: Path) -> Files:
    return Files(rows=uploads.read(data / "image" / "mnist_small.zip"))


def _spoken(data: Path) -> Files:
    """Spoken digits as pictures of their spectrograms; the official test rows are those numbered 0 to 4."""
    rows = []
    with zipfile.ZipFile(data / "audio" / "spoken_digits.zip") as archive:
        for name in sorted(name for name in archive.namelist() if name.endswith(".wav")):
            digit, _, number = Path(name).stem.split("_")
            rows.append((_spectrogram(archive.read(name)), digit, "test" if int(number) < 5 else "train"))
    return Files(rows=Upload("images", pd.DataFrame(rows, columns=["image", "label", "split"], dtype=object)))


def _spectrogram(sound: bytes) -> bytes:
    """Loudness by time and pitch, 60 decibels from black to white, as PNG."""
    with wave.open(io.BytesIO(sound)) as opened:
        samples = np.frombuffer(opened.readframes(opened.getnframes()), dtype=np.int16).astype(float)
    samples = np.pad(samples, (0, max(0, 256 - len(samples))))
    windows = np.lib.stride_tricks.sliding_window_view(samples, 256)[::64] * np.hanning(256)
    loudness = 20 * np.log10(np.abs(np.fft.rfft(windows, axis=1)).T[:128] + 1e-3)
    shades = np.clip(255 * (1 + (loudness - loudness.max()) / 60), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(shades[::-1]).resize((SIDE, SIDE)).save(file, "PNG")
    return file.getvalue()


SETS = {
    "sst2": _tables("sst2", "tsv"),
    "banking77": _tables("banking77", "csv"),
    "chnsenticorp": _tables("chnsenticorp", "tsv"),
    "mnist_small": _digits,
    "spoken_digits": _spoken,
}


if __name__ == "__main__":
    main()
