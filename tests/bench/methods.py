"""What each way to distil brings on two real sets: `python -m tests.bench.methods [--json] [--seeds 3] [--only text]`.

SST-2 with the MiniLM teacher and two of its layers; MNIST with 500 labels and 20,000 images without. Every run is a
whole run of the studio; the teacher is trained once for each set and the control once for each seed. It prints and
asserts nothing.
`STUDIO_TEST_DATA` names the folder of real data.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from studio.config.methods import METHODS
from studio.config.reading import parse_config
from studio.data import uploads
from studio.data.cleaning import clean
from studio.data.columns import guess_columns
from studio.home import Home
from studio.service import library, runs
from studio.service.runtime import new_owner
from studio.store.rows import DatasetRow, RunRow
from studio.store.store import Store

LABELLED, UNLABELLED_ROWS, VALIDATION_ROWS = 500, 20_000, 1_000
TEXT: dict[str, Any] = {"student": "teacher/2-layers", "epochs": 2, "batch_size": 32, "max_length": 64, "alpha": 0.9}
IMAGES: dict[str, Any] = {"student": "builtin/cnn-tiny", "epochs": 5, "batch_size": 64, "alpha": 0.9}
TEACHERS: dict[str, dict[str, Any]] = {
    "text": {"teacher_epochs": 3},
    "images": {"teacher": "builtin/cnn-large", "teacher_epochs": 60},
}
MORE_WAYS: dict[str, dict[str, dict[str, Any]]] = {
    "text": {
        "soft, alpha and T chosen": {"auto": True},
        "soft, T per example": {"temperature_per_sample": True},
        "soft, then hard labels": {"hard_epochs": 1},
        "soft, words left out": {"augment": ["word_dropout"], "views": 2},
    },
    "images": {
        "soft, alpha and T chosen": {"auto": True},
        "soft, T per example": {"temperature_per_sample": True},
        "soft, then hard labels": {"hard_epochs": 2},
        "soft, images shifted": {"augment": ["crop"], "views": 5},
        "soft, mixup": {"augment": ["mixup"], "views": 5},
        "assistant cnn-small": {"assistants": ["builtin/cnn-small"]},
        "two teachers": {"more_teachers": ["run:2/teacher"]},
        "two teachers, by confidence": {"more_teachers": ["run:2/teacher"], "fusion": "confidence"},
    },
}


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--json", action="store_true")
    wanted.add_argument("--seeds", type=int, default=3)
    wanted.add_argument("--first", type=int, default=0, help="the first seed")
    wanted.add_argument("--ways", help="some of them, with commas between; soft is always among them")
    wanted.add_argument("--only", choices=["text", "images"])
    options = wanted.parse_args()
    found = {}
    for kind in [options.only] if options.only else ["images", "text"]:
        with tempfile.TemporaryDirectory() as folder:
            home = Home(Path(folder))
            seeds = range(options.first, options.first + options.seeds)
            some = None if options.ways is None else {"soft", *options.ways.split(",")}
            found[kind] = measure(kind, home, Store(home.database), seeds, some)
    print(json.dumps(found, indent=2) if options.json else "\n\n".join(table(kind, one) for kind, one in found.items()))


def measure(kind: str, home: Home, store: Store, seeds: range, some: set[str] | None) -> dict[str, Any]:
    """Test accuracy of every way, or of some, and every seed."""
    start = time.monotonic()
    dataset = sst2(store, home) if kind == "text" else mnist(store, home)
    settings = (TEXT if kind == "text" else IMAGES) | {"dataset": dataset.name}
    first = taught(kind, settings, dataset, home, store)
    accuracies: dict[str, list[float]] = {"control": []}
    for seed in seeds:
        for name, values in ways(kind, dataset).items():
            if some is not None and name not in some:
                continue
            config = parse_config({**settings, "teacher": first, **values, "seed": seed, "control": name == "soft"})
            run = carry(store, home, config, f"{name}-{seed}")
            found = {one.role: one.value for one in store.evaluations(run.id) if one.metric == "accuracy"}
            accuracies.setdefault(name, []).append(found["student"])
            accuracies["control"] += [found["control"]] if "control" in found else []
            accuracies["teacher"] = [found["teacher"]] if name == "soft" else accuracies["teacher"]
            print(f"{kind} seed {seed} {name}: {found['student']:.4f}", file=sys.stderr, flush=True)
    rows = {name: summary(values) for name, values in accuracies.items()}
    return {"ways": rows, "settings": settings, "minutes": (time.monotonic() - start) / 60}


def ways(kind: str, dataset: DatasetRow) -> dict[str, dict[str, Any]]:
    """The methods of the wizard that fit, then the other ways with soft targets."""
    named = {name: one.values for name, one in METHODS.items() if dataset.task in one.tasks}
    if len(dataset.labels) == 2:
        named = {name: values for name, values in named.items() if name not in ("dkd", "standardized")}
    return named | MORE_WAYS[kind]


def taught(kind: str, settings: dict[str, Any], dataset: DatasetRow, home: Home, store: Store) -> str:
    """A teacher that knows the labels, trained once; for the images a second one from another seed."""
    minilm = f"folder:{Path(os.environ['STUDIO_TEST_DATA']) / 'models' / 'minilm-l6'}"
    for seed in range(1 if kind == "text" else 2):
        names = {"teacher": minilm} | TEACHERS[kind] | {"control": False, "seed": 100 + seed}
        carry(store, home, parse_config({**settings, **names, "epochs": 1}), f"teacher-{seed}")
    return "run:1/teacher"


def carry(store: Store, home: Home, config: Any, key: str) -> RunRow:
    run = store.submit(config, key=key, owner=new_owner())
    for _ in runs.carry(store, home, run):
        pass
    done = store.run(run.id)
    if done.status != "finished":
        raise SystemExit(f"{key} {done.status}: {done.message} {done.cure}")
    return done


def sst2(store: Store, home: Home) -> DatasetRow:
    folder = Path(os.environ["STUDIO_TEST_DATA"]) / "text" / "sst2"
    upload, test = (uploads.read(folder / f"{name}.tsv", header=False) for name in ("train", "test"))
    columns = guess_columns(upload)
    return library.save(store, home, "sst2", clean(upload, columns, "text-classification", test), columns)


def mnist(store: Store, home: Home) -> DatasetRow:
    """The whole test set; of the training images some keep their label, some lose it, some are for validation."""
    upload = uploads.read(Path(os.environ["STUDIO_TEST_DATA"]) / "image" / "mnist.zip")
    table = upload.table
    order = np.random.default_rng(0).permutation(np.flatnonzero(table["split"].to_numpy() == "train"))
    ends = np.cumsum([LABELLED, UNLABELLED_ROWS, VALIDATION_ROWS])
    _, unlabelled, validation, _ = np.split(order, ends)
    table.iloc[unlabelled, table.columns.get_loc("label")] = ""
    table.iloc[validation, table.columns.get_loc("split")] = "validation"
    kept = np.union1d(order[: ends[-1]], np.flatnonzero(table["split"].to_numpy() == "test"))
    columns = guess_columns(upload)
    upload = uploads.Upload("images", table.iloc[kept].reset_index(drop=True))
    return library.save(store, home, "mnist", clean(upload, columns, "image-classification"), columns)


def summary(values: list[float]) -> dict[str, Any]:
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.mean(values), "sd": sd, "each": values}


def table(kind: str, found: dict[str, Any]) -> str:
    """Every way, the best first, with its distance from the control."""
    rows = found["ways"]
    alone = rows["control"]["mean"]
    lines = [f"{kind}: test accuracy, mean ± sd, and points against the control ({found['minutes']:.0f} minutes)"]
    for name, one in sorted(rows.items(), key=lambda item: -item[1]["mean"]):
        lines.append(f"{name:<32} {one['mean']:.2%} ± {one['sd']:.2%}   {100 * (one['mean'] - alone):+.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
