"""What each way to distil brings on two real sets: `python -m tests.bench.methods [--json] [--seeds 3] [--only text]
[--ways dist,hints] [--home FOLDER]`.

It prints and asserts nothing. With a folder it can be cut off: what is done there is not done again.
`STUDIO_TEST_DATA` names the folder of real data.

The protocol, written before it was run.

* Text: banking77, questions to a bank, of whose 77 kinds the first 20 in the order of letters, all with labels; a tenth
  of the training rows chooses weights and rates; their official test rows. MiniLM with 6 layers teaches the first of
  its own layers, two of them.
* Images: MNIST, of whose 60,000 training images alone all rows are drawn: 500 with a label, 10,000 without, 1,000 that
  choose, 10,000 to test on. The official test images, which earlier versions of this table had seen, take no part.
* The teacher is trained once, with a seed of its own; that of text at each of `TEACHER_RATES`, and the one with the
  best accuracy on validation rows teaches. (A first run, on all 77 kinds with one seed, was given up after six ways:
  its teacher had learned at 5e-5 alone and had 84 % on the test rows, where a linear model has 91 %.)
* The learning rate is chosen once, with that seed: the one of `RATES` at which the student *alone* has the best
  accuracy on validation rows, for every way alike. Epochs, batch
  size, alpha 0.9, temperature 4 and every loss's weight are what the studio gives by itself or what stands below;
  nothing else is tried out.
* Every way is a whole run for each of three seeds. It is held against a control of equal effort with the same seed:
  the same student without the teacher, with as many epochs, hard labels and augmented views. Ways whose control is the
  same share it. Of each training the weights count that did best on validation rows; test rows are read once a run.
* What is told: accuracy and difference, mean and standard deviation over the seeds, the difference seed by seed. The
  best of many ways is partly the luckiest; no way is called best here.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from studio import tasks
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
from tests.conftest import here

SEED_OF_CHOICE = 100
LABELLED, UNLABELLED_ROWS, VALIDATION_ROWS, TEST_ROWS = 500, 10_000, 1_000, 10_000
TEXT: dict[str, Any] = {"student": "teacher/2-layers", "epochs": 6, "batch_size": 32, "max_length": 40, "alpha": 0.9}
IMAGES: dict[str, Any] = {"student": "builtin/cnn-tiny", "epochs": 8, "batch_size": 64, "alpha": 0.9}
TEACHERS: dict[str, dict[str, Any]] = {
    "text": {"teacher_epochs": 6},
    "images": {"teacher": "builtin/cnn-large", "teacher_epochs": 60},
}
TEACHER_RATES = (5e-5, 1e-4, 3e-4)
KINDS = 20
RATES = {"text": (1e-4, 3e-4, 1e-3), "images": (1e-3, 3e-3, 1e-2)}
EFFORT = ("epochs", "hard_epochs", "augment", "views")
"""The settings that the control follows, too."""

WHOLE: dict[str, Any] = {"allow_weak_teacher": True, "smoothed_control": "never", "onnx_times": False}
MORE_WAYS: dict[str, dict[str, dict[str, Any]]] = {
    "text": {
        "soft, T per example": {"temperature_per_sample": True},
        "soft, then hard labels": {"hard_epochs": 1},
        "soft, words left out": {"augment": ["word_dropout"], "views": 2},
    },
    "images": {
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
    wanted.add_argument("--ways", help="some of them, with commas between")
    wanted.add_argument("--only", choices=["text", "images"])
    wanted.add_argument("--home", type=Path)
    options = wanted.parse_args()
    found = {}
    for kind in [options.only] if options.only else ["images", "text"]:
        with contextlib.ExitStack() as stack:
            folder = options.home / kind if options.home else Path(stack.enter_context(tempfile.TemporaryDirectory()))
            home = Home(folder)
            home.make()
            some = None if options.ways is None else set(options.ways.split(","))
            found[kind] = measure(kind, home, Store(home.database), range(options.seeds), some)
    print(json.dumps(found, indent=2) if options.json else "\n\n".join(table(kind, one) for kind, one in found.items()))


def measure(kind: str, home: Home, store: Store, seeds: range, some: set[str] | None) -> dict[str, Any]:
    """Test accuracy of every way, or of some, its control's of the same seed, and the difference."""
    dataset = banking(store, home) if kind == "text" else mnist(store, home)
    settings = (TEXT if kind == "text" else IMAGES) | WHOLE | {"dataset": dataset.name}
    settings |= taught(kind, settings, store, home)
    settings |= chosen(kind, settings, store, home)
    found: dict[str, list[tuple[float, float]]] = {}
    controls: dict[str, float] = {}
    for seed in seeds:
        for name, values in ways(kind, dataset).items():
            if some is not None and name not in some:
                continue
            effort = json.dumps([seed, *(values.get(setting) for setting in EFFORT)])
            run = carry(store, home, {**settings, **values, "seed": seed, "control": effort not in controls})
            told = accuracies(store, run)
            controls.setdefault(effort, told.get("control", 0.0))
            found.setdefault(name, []).append((told["student"], controls[effort]))
            print(
                f"{kind} seed {seed} {name}: {told['student']:.4f} {controls[effort]:.4f}", file=sys.stderr, flush=True
            )
    return {
        "teacher": told["teacher"],
        "ways": {name: row(pairs) for name, pairs in found.items()},
        "settings": settings,
        "minutes": sum((run.finished_at or 0) - (run.started_at or 0) for run in store.runs()) / 60,
    }


def ways(kind: str, dataset: DatasetRow) -> dict[str, dict[str, Any]]:
    """The methods of the wizard that fit, then the other ways with soft targets."""
    modality = tasks.get(dataset.task).modality
    return {name: one.values for name, one in METHODS.items() if modality in one.modality} | MORE_WAYS[kind]


def taught(kind: str, settings: dict[str, Any], store: Store, home: Home) -> dict[str, str]:
    """A teacher that knows the labels, trained once; for the images a second one from another seed."""
    minilm = f"folder:{Path(os.environ['STUDIO_TEST_DATA']) / 'models' / 'minilm-l6'}"
    names = {"teacher": minilm} | TEACHERS[kind] | {"control": False, "evaluate_on": "validation", "epochs": 1}
    if kind == "images":
        for seed in (SEED_OF_CHOICE, SEED_OF_CHOICE + 1):
            carry(store, home, {**settings, **names, "seed": seed})
        return {"teacher": "run:1/teacher"}
    found = {}
    for rate in TEACHER_RATES:
        run = carry(store, home, {**settings, **names, "seed": SEED_OF_CHOICE, "teacher_learning_rate": rate})
        found[run.id] = accuracies(store, run, "validation")["teacher"]
    print(f"{kind}: teachers on validation rows, by run {found}", file=sys.stderr, flush=True)
    return {"teacher": f"run:{max(found, key=found.__getitem__)}/teacher"}


def chosen(kind: str, settings: dict[str, Any], store: Store, home: Home) -> dict[str, float]:
    """The learning rate at which the student alone does best on validation rows. No test row is read."""
    values = {**settings, "seed": SEED_OF_CHOICE, "evaluate_on": "validation"}
    found = {
        rate: accuracies(store, carry(store, home, {**values, "learning_rate": rate}), "validation")["control"]
        for rate in RATES[kind]
    }
    print(f"{kind}: the student alone on validation rows, by learning rate {found}", file=sys.stderr, flush=True)
    return {"learning_rate": max(found, key=found.__getitem__)}


def carry(store: Store, home: Home, values: dict[str, Any]) -> RunRow:
    """One run to its end, in this process; one that is done is not done again."""
    config = parse_config(values)
    run = store.submit(config, key=config.to_yaml(), owner=new_owner())
    if run.status != "finished":
        for _ in runs.carry(store, home, run, here):
            pass
    done = store.run(run.id)
    if done.status != "finished":
        raise SystemExit(f"run {run.id} {done.status}: {done.message} {done.cure}")
    return done


def accuracies(store: Store, run: RunRow, split: str = "test") -> dict[str, float]:
    return {one.role: one.value for one in store.evaluations(run.id) if (one.metric, one.split) == ("accuracy", split)}


def banking(store: Store, home: Home) -> DatasetRow:
    folder = Path(os.environ["STUDIO_TEST_DATA"]) / "text" / "banking77"
    upload, test = (uploads.read(folder / f"{name}.csv") for name in ("train", "test"))
    columns = guess_columns(upload)
    kinds = sorted(set(upload.table[columns.label]))[:KINDS]
    upload, test = (
        replace(each, table=each.table[each.table[columns.label].isin(kinds)].reset_index(drop=True), lines=())
        for each in (upload, test)
    )
    rows = clean(upload, columns, "text-classification", test)
    return library.save(store, home, "banking77", rows, columns, validation_share=0.1)


def mnist(store: Store, home: Home) -> DatasetRow:
    """Of the training images some keep their label, some lose it, some are for validation, some to test on."""
    upload = uploads.read(Path(os.environ["STUDIO_TEST_DATA"]) / "image" / "mnist.zip")
    table = upload.table
    order = np.random.default_rng(SEED_OF_CHOICE).permutation(np.flatnonzero(table["split"].to_numpy() == "train"))
    ends = np.cumsum([LABELLED, UNLABELLED_ROWS, VALIDATION_ROWS, TEST_ROWS])
    _, unlabelled, validation, test, _ = np.split(order, ends)
    table.iloc[unlabelled, table.columns.get_loc("label")] = ""
    table.iloc[validation, table.columns.get_loc("split")] = "validation"
    table["split"] = np.where(np.isin(np.arange(len(table)), test), "test", table["split"])
    columns = guess_columns(upload)
    upload = uploads.Upload("images", table.iloc[order[: ends[-1]]].reset_index(drop=True))
    return library.save(store, home, "mnist", clean(upload, columns, "image-classification"), columns)


def row(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    students, controls = (list(each) for each in zip(*pairs, strict=True))
    gains = [student - control for student, control in pairs]
    return {"accuracy": summary(students), "control": summary(controls), "gain": summary(gains)}


def summary(values: list[float]) -> dict[str, Any]:
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.mean(values), "sd": sd, "each": values}


def table(kind: str, found: dict[str, Any]) -> str:
    """Every way as lines of docs/measured.md, the one with the largest gain first."""
    lines = [f"{kind}: teacher {found['teacher']:.1%}, {found['minutes']:.0f} minutes", ""]
    lines += ["| way | student | its control | difference | seed by seed |", "| --- | --- | --- | --- | --- |"]
    for name, one in sorted(found["ways"].items(), key=lambda item: -item[1]["gain"]["mean"]):
        each = ", ".join(f"{100 * gain:+.1f}" for gain in one["gain"]["each"])
        told = [f"{100 * one[part]['mean']:.1f} ± {100 * one[part]['sd']:.1f}" for part in ("accuracy", "control")]
        gain = f"{100 * one['gain']['mean']:+.1f} ± {100 * one['gain']['sd']:.1f}"
        lines.append(
            f"| {METHODS[name].title if name in METHODS else name} | {told[0]} | {told[1]} | {gain} | {each} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
