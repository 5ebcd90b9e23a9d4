"""How small and fast a student gets, and what that costs: `python -m tests.bench.compression [--json] [--only
text|images] [--home FOLDER]`.

It prints and asserts nothing. With a folder it can be cut off: what is done there is not done again.
`STUDIO_TEST_DATA` names the folder of real data.

The protocol, written before it was run.

* Text: SST-2, of whose 6,920 training rows alone all rows are drawn: a fifth to test on, a tenth of the rest to choose
  weights. Images: MNIST, of whose 60,000 training images alone all rows are drawn: 20,000 to learn from, 2,000 that
  choose weights, 10,000 to test on. The official test rows, which earlier tables had seen, take no part.
* MiniLM with 6 layers, and `cnn-large`, are the teachers, trained once. Every point is a whole run of the studio with
  its plan, under seed 0; the points, `TEXT` and `IMAGES` stand below, nothing else is tried out. Of each training the
  weights count that did best on validation rows; test rows are read once a run.
* Accuracy comes with its 95 % interval, the difference to the teacher with that of the same rows. Size is all that
  answering needs, on disk.
* Faster is how many times as long as the student the teacher takes for one row, and for 32, on one thread, both as ONNX
  files in the same runtime and in turn, with the interval of the ratio. Weights of few bits are float32 there: such a
  student is smaller on disk and no faster than its shape.
* A star marks what no other line of the table, by its printed numbers, matches in accuracy, size and time for one row
  and beats in one of them. With one seed, stars of lines that are within each other's intervals are luck.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from studio.data import uploads
from studio.data.cleaning import clean
from studio.data.columns import guess_columns
from studio.events import Evaluation
from studio.home import Home
from studio.service import library
from studio.store.rows import DatasetRow
from studio.store.store import Store
from tests.bench.methods import SEED_OF_CHOICE, carry

WORDS = {"do": "factorize", "rank": 0.33, "layers": False}
INT8 = {"do": "quantize", "form": "int8"}
STATIC = {"do": "quantize", "form": "int8_static"}
BITS = {"do": "quantize", "form": "weights_int4", "epochs": 1}


def prune(ratio: float, *units: str, **more: Any) -> dict[str, Any]:
    return {"do": "prune", "ratio": ratio, "units": list(units), **more}


ROWS = {"train": 20_000, "validation": 2_000, "test": 10_000}
TEXT: dict[str, Any] = {"epochs": 3, "batch_size": 32, "max_length": 64, "alpha": 0.9}
IMAGES: dict[str, Any] = {"epochs": 3, "batch_size": 64, "alpha": 0.9, "learning_rate": 1e-3}
POINTS: dict[str, list[tuple[str, str, list[Any]]]] = {
    "text": [
        ("6 layers, int8", "teacher/same", ["distill:1", INT8]),
        ("4 layers, int8", "teacher/4-layers", ["distill", INT8]),
        ("4 layers, small word table, int8", "teacher/4-layers", [WORDS, "distill", INT8]),
        ("3 layers", "teacher/3-layers", ["distill"]),
        ("3 layers, int8", "teacher/3-layers", ["distill", INT8]),
        ("3 layers, small word table, int8", "teacher/3-layers", [WORDS, "distill", INT8]),
        ("3 layers, half the neurons, word table, int8", "teacher/3-layers",
         [prune(0.5, "neurons"), WORDS, "distill", INT8]),
        ("4 layers, half of heads and neurons, word table, int8", "teacher/4-layers",
         [prune(0.5, "heads", "neurons", importance="taylor"), WORDS, "distill", INT8]),
        ("2 layers, int8", "teacher/2-layers", ["distill", INT8]),
        ("2 layers, small word table, int8", "teacher/2-layers", [WORDS, "distill", INT8]),
        ("1 layer, small word table, int8", "teacher/1-layer", [WORDS, "distill", INT8]),
        ("3 layers, 80 % zeros", "teacher/3-layers", ["distill", "sparsify:0.8", "distill:1"]),
        ("3 layers, word table, 4 bits", "teacher/3-layers",
         [WORDS, "distill", BITS]),
    ],
    "images": [
        ("same, int8", "teacher/same", ["distill:1", STATIC]),
        ("three quarters of the channels, int8", "teacher/same", [prune(0.25), "distill", STATIC]),
        ("half the channels", "teacher/same", [prune(0.5), "distill"]),
        ("half the channels, int8", "teacher/same", [prune(0.5), "distill", STATIC]),
        ("three eighths of the channels, int8", "teacher/same", [prune(0.625), "distill", STATIC]),
        ("a quarter of the channels", "teacher/same", [prune(0.75), "distill"]),
        ("a quarter of the channels, int8", "teacher/same", [prune(0.75), "distill", STATIC]),
        ("a quarter, globally by Taylor, int8", "teacher/same",
         [prune(0.75, importance="taylor", scope="global"), "distill", STATIC]),
        ("a seventh, in 2 rounds, int8", "teacher/same", [prune(0.86, rounds=2), "distill", STATIC]),
        ("a seventh of the channels, int8", "teacher/same", [prune(0.86), "distill", STATIC]),
        ("same, 4 bits", "teacher/same", ["distill:1", BITS]),
        ("half the channels, 4 bits", "teacher/same", [prune(0.5), "distill", BITS]),
        ("a quarter of the channels, 4 bits", "teacher/same", [prune(0.75), "distill", BITS]),
        ("cnn-small", "builtin/cnn-small", ["distill"]),
        ("cnn-small, int8", "builtin/cnn-small", ["distill", STATIC]),
        ("cnn-tiny, int8", "builtin/cnn-tiny", ["distill", STATIC]),
    ],
}  # fmt: skip


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--json", action="store_true")
    wanted.add_argument("--only", choices=["text", "images"])
    wanted.add_argument("--home", type=Path)
    options = wanted.parse_args()
    torch.set_num_threads(1)
    found = {}
    for kind in [options.only] if options.only else ["images", "text"]:
        with contextlib.ExitStack() as stack:
            folder = options.home / kind if options.home else Path(stack.enter_context(tempfile.TemporaryDirectory()))
            home = Home(folder)
            home.make()
            found[kind] = measure(kind, home, Store(home.database))
    print(json.dumps(found, indent=2) if options.json else "\n\n".join(table(kind, one) for kind, one in found.items()))


def measure(kind: str, home: Home, store: Store) -> list[dict[str, Any]]:
    """All points of one data set, and which of them nothing else beats."""
    dataset = sst2(store, home) if kind == "text" else mnist(store, home)
    settings = (TEXT if kind == "text" else IMAGES) | {"dataset": dataset.name, "control": False}
    minilm = f"folder:{Path(os.environ['STUDIO_TEST_DATA']) / 'models' / 'minilm-l6'}"
    teacher = minilm if kind == "text" else "builtin/cnn-large"
    once = {"teacher": teacher, "student": POINTS[kind][-1][1], "teacher_epochs": 3, "epochs": 1}
    carry(store, home, {**settings, **once, "evaluate_on": "validation"})
    points = []
    for name, student, plan in POINTS[kind]:
        run = carry(store, home, {**settings, "teacher": "run:1/teacher", "student": student, "plan": plan})
        points.append(point(name, store, run.id))
        print(f"{kind} {name}: {points[-1]}", file=sys.stderr, flush=True)
    for one in points:
        one["best"] = not any(beats(other, one) for other in points)
    return points


def point(name: str, store: Store, run_id: int) -> dict[str, Any]:
    """The student beside its teacher: the ends of an interval stand behind each value."""
    known = {(one.role, one.metric): one for one in store.evaluations(run_id) if one.split in ("", "test")}
    against = next(one for one in store.comparisons(run_id) if (one.first, one.second) == ("student", "teacher"))
    accuracy, teacher = known["student", "accuracy"], known["teacher", "accuracy"]
    size = known["teacher", "size_bytes"].value / known["student", "size_bytes"].value
    return {
        "name": name,
        "accuracy": [accuracy.value, accuracy.low, accuracy.high],
        "teacher_accuracy": teacher.value,
        "difference": [against.difference, against.low, against.high],
        "smaller": size,
        "size_bytes": known["student", "size_bytes"].value,
        "faster": _faster(known, "latency_ratio"),
        "faster_32": _faster(known, "latency_32_ratio"),
    }


def _faster(known: dict[tuple[str, str], Evaluation], metric: str) -> list[float | None]:
    """The teacher's time over the student's in ONNX Runtime."""
    found = known.get(("teacher", f"onnx_{metric}")) or known["teacher", metric]
    return [found.value, found.low, found.high]


def shown(one: dict[str, Any]) -> tuple[float, float, float]:
    """What the table prints and stars go by."""
    return round(100 * one["accuracy"][0], 1), round(one["smaller"], 1), round(one["faster"][0], 1)


def beats(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether it is at least as good in everything and better in something."""
    pairs = list(zip(shown(one), shown(other), strict=True))
    return all(mine >= theirs for mine, theirs in pairs) and any(mine > theirs for mine, theirs in pairs)


def sst2(store: Store, home: Home) -> DatasetRow:
    upload = uploads.read(Path(os.environ["STUDIO_TEST_DATA"]) / "text" / "sst2" / "train.tsv", header=False)
    columns = guess_columns(upload)
    return library.save(store, home, "sst2", clean(upload, columns, "text-classification"), columns)


def mnist(store: Store, home: Home) -> DatasetRow:
    """Images of the training file alone, in splits of its own."""
    upload = uploads.read(Path(os.environ["STUDIO_TEST_DATA"]) / "image" / "mnist.zip")
    table = upload.table
    order = np.random.default_rng(SEED_OF_CHOICE).permutation(np.flatnonzero(table["split"].to_numpy() == "train"))
    drawn = table.iloc[order[: sum(ROWS.values())]].reset_index(drop=True)
    drawn["split"] = np.repeat(list(ROWS), list(ROWS.values()))
    upload = uploads.Upload("images", drawn)
    columns = guess_columns(upload)
    return library.save(store, home, "mnist", clean(upload, columns, "image-classification"), columns)


def table(kind: str, points: list[dict[str, Any]]) -> str:
    """Markdown; a star marks the points that no other beats in accuracy, size and time for one row."""
    lines = [
        f"**{kind}**, teacher {points[0]['teacher_accuracy']:.1%}",
        "",
        "| student | accuracy, % | against the teacher, points | smaller | faster, 1 row | faster, 32 rows |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in sorted(points, key=lambda one: one["smaller"]):
        star = " \\*" if one["best"] else ""
        accuracy, difference = ([100 * value for value in one[name]] for name in ("accuracy", "difference"))
        lines.append(
            f"| {one['name']}{star} | {accuracy[0]:.1f} ({accuracy[1]:.1f} to {accuracy[2]:.1f}) "
            f"| {difference[0]:+.1f} ({difference[1]:+.1f} to {difference[2]:+.1f}) | {one['smaller']:.1f} × "
            f"| {times(one['faster'])} | {times(one['faster_32'])} |"
        )
    return "\n".join(lines)


def times(ratio: list[float]) -> str:
    return f"{ratio[0]:.1f} × ({ratio[1]:.1f} to {ratio[2]:.1f})"


if __name__ == "__main__":
    main()
