"""How small and fast a student gets, and what that costs: `python -m tests.bench.compression [--json] [--only
text|images]`.

SST-2 with the MiniLM teacher, MNIST with a convolutional one. Every point is a whole run of the studio with its plan;
the teacher is trained once for each set. Size is the file on disk, latency one row on the CPU, teacher and student in
turn in one session. It prints and asserts nothing. `STUDIO_TEST_DATA` names the folder of real data.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from studio.config.reading import parse_config
from studio.data import uploads
from studio.data.cleaning import clean
from studio.data.columns import guess_columns
from studio.home import Home
from studio.service import library
from studio.store.rows import DatasetRow
from studio.store.store import Store
from tests.bench.methods import carry, sst2

WORDS = {"do": "factorize", "rank": 0.33, "layers": False}
INT8 = {"do": "quantize", "form": "int8"}
STATIC = {"do": "quantize", "form": "int8_static"}
BITS = {"do": "quantize", "form": "weights_int4", "epochs": 1}


def prune(ratio: float, *units: str, **more: Any) -> dict[str, Any]:
    return {"do": "prune", "ratio": ratio, "units": list(units), **more}


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
REACH = {"text": {"kept": 0.97, "faster": 4, "smaller": 6}, "images": {"kept": 0.99, "faster": 4, "smaller": 10}}


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--json", action="store_true")
    wanted.add_argument("--only", choices=["text", "images"])
    options = wanted.parse_args()
    found = {}
    for kind in [options.only] if options.only else ["images", "text"]:
        with tempfile.TemporaryDirectory() as folder:
            home = Home(Path(folder))
            found[kind] = measure(kind, home, Store(home.database))
    print(json.dumps(found, indent=2) if options.json else "\n\n".join(table(kind, one) for kind, one in found.items()))


def measure(kind: str, home: Home, store: Store) -> dict[str, Any]:
    """All points of one data set, and which of them nothing else beats."""
    start = time.monotonic()
    dataset = sst2(store, home) if kind == "text" else mnist(store, home)
    settings = (TEXT if kind == "text" else IMAGES) | {"dataset": dataset.name, "control": False}
    minilm = f"folder:{Path(os.environ['STUDIO_TEST_DATA']) / 'models' / 'minilm-l6'}"
    teacher = minilm if kind == "text" else "builtin/cnn-large"
    first = {**settings, "teacher": teacher, "student": POINTS[kind][-1][1], "teacher_epochs": 3, "epochs": 1}
    carry(store, home, parse_config(first), "teacher")
    points = []
    for number, (name, student, plan) in enumerate(POINTS[kind]):
        config = parse_config({**settings, "teacher": "run:1/teacher", "student": student, "plan": plan})
        run = carry(store, home, config, f"point-{number}")
        points.append(point(name, store, run.id))
        print(f"{kind} {name}: {points[-1]}", file=sys.stderr, flush=True)
    for one in points:
        one["best"] = not any(beats(other, one) for other in points)
    reached = [one["name"] for one in points if all(one[key] >= least for key, least in REACH[kind].items())]
    return {
        "points": points,
        "front": [one["name"] for one in points if one["best"]],
        "reach": REACH[kind],
        "reached_by": reached,
        "threads": torch.get_num_threads(),
        "minutes": (time.monotonic() - start) / 60,
    }


def point(name: str, store: Store, run_id: int) -> dict[str, Any]:
    """The student beside its teacher, both measured in the same exam."""
    rows = store.evaluations(run_id)
    value = {(one.role, one.metric): one.value for one in rows}
    accuracy = next(one for one in rows if (one.role, one.metric) == ("student", "accuracy"))
    return {
        "name": name,
        "accuracy": accuracy.value,
        "low": accuracy.low,
        "high": accuracy.high,
        "teacher_accuracy": value["teacher", "accuracy"],
        "kept": accuracy.value / value["teacher", "accuracy"],
        "smaller": value["teacher", "size_bytes"] / value["student", "size_bytes"],
        "faster": value["teacher", "latency_ms"] / value["student", "latency_ms"],
        "faster_32": value["teacher", "latency_32_ms"] / value["student", "latency_32_ms"],
        "size_bytes": value["student", "size_bytes"],
        "parameters": value["student", "parameters"],
        "latency_ms": value["student", "latency_ms"],
        "latency_p95_ms": value["student", "latency_p95_ms"],
        "teacher_latency_ms": value["teacher", "latency_ms"],
    }


def beats(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether it is at least as good in everything and better in something."""
    pairs = [(one[key], other[key]) for key in ("accuracy", "smaller", "faster")]
    return all(mine >= theirs for mine, theirs in pairs) and any(mine > theirs for mine, theirs in pairs)


def mnist(store: Store, home: Home) -> DatasetRow:
    upload = uploads.read(Path(os.environ["STUDIO_TEST_DATA"]) / "image" / "mnist.zip")
    columns = guess_columns(upload)
    return library.save(store, home, "mnist", clean(upload, columns, "image-classification"), columns)


def table(kind: str, found: dict[str, Any]) -> str:
    """Markdown; a star marks the points that no other beats in accuracy, size and latency."""
    lines = [
        f"**{kind}**, {found['threads']} threads, teacher {found['points'][0]['teacher_accuracy']:.2%}",
        "",
        "| student | accuracy | of the teacher's | smaller | faster, 1 row | faster, 32 rows |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in sorted(found["points"], key=lambda one: one["smaller"]):
        star = " *" if one["best"] else ""
        lines.append(
            f"| {one['name']}{star} | {100 * one['accuracy']:.1f} ({100 * one['low']:.1f} to {100 * one['high']:.1f}) "
            f"| {100 * one['kept']:.1f} % | {one['smaller']:.1f} × | {one['faster']:.1f} × | {one['faster_32']:.1f} × |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
