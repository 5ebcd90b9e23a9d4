"""Hinton, Vinyals & Dean (2015), section 3, on MNIST: `python -m tests.bench.hinton [--json] [--seeds 3]
[--home FOLDER]`.

It prints and asserts nothing. With a folder it can be cut off: what is done there is not done again.

A teacher 784-1200-1200-10 learns with dropout, weight decay and images that are shifted by up to two pixels. A student
784-800-800-10 learns without any of these: alone, and from the teacher at temperature 20. Then once more with no 3 in
the transfer set. `STUDIO_TEST_DATA` names the folder with `image/mnist.zip`.

The protocol, written before it was run. Epochs, batch size, temperature 20, alpha 0.9 and weight decay stand as below
and are not tried out. Learning rates are chosen once, with a seed of their own: of the 60,000 training images 10,000
are held out, models learn on the rest, the teacher's rate is the one of `TEACHER_RATES` with the fewest errors on the
held-out images, the student's the one of `RATES` at which the student *alone* makes the fewest, for the distilled one
alike. Then each seed trains teacher, student and control on all training images but 2,000, by which the weights of the
best epoch are kept; the 10,000 test images are read once, at the end of each run. Without 3s: for each seed the same
teacher and as many epochs; the weights are kept by validation images that hold no 3 either; the bias of class 3 is set
by the 2,000 images, which neither teacher nor student learned from, and the test images are read once more with it.
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

import numpy as np
import torch

from studio import tasks
from studio.config.reading import parse_config
from studio.config.run import RunConfig
from studio.data import uploads
from studio.data.cleaning import Rows, clean
from studio.data.columns import Columns, guess_columns, guess_task
from studio.data.folder import load
from studio.distill import teacher_outputs as teacher
from studio.events import result_of
from studio.home import Home
from studio.machine.devices import Device
from studio.models.model import Model, Problem
from studio.models.opening import open_folder
from studio.service import library, runs
from studio.service.runtime import new_owner
from studio.store.rows import DatasetRow, RunRow
from studio.store.store import Store

HELD, CHOOSING = 2_000, 10_000
"""Training images by which weights are kept and the bias is set, and those by which learning rates are chosen."""

SEED_OF_CHOICE = 100
TEACHER_RATES, RATES = (1e-3, 2e-3, 4e-3), (1e-3, 3e-3)
PUBLISHED = {"teacher": 67, "alone": 146, "distilled": 74}
PUBLISHED_WITHOUT_THREES = {
    "threes": 1010,
    "wrong_threes": 133,
    "wrong_threes_after_bias": 14,
    "errors": 206,
    "errors_after_bias": 109,
}
TEACHER = {
    "teacher": "builtin/mlp-1200",
    "student": "builtin/mlp-16",
    "teacher_epochs": 45,
    "teacher_augment": ["crop"],
    "batch_size": 256,
    "weight_decay": 0.2,
    "epochs": 1,
    "control": False,
}
"""A run that is there for its teacher."""

STUDENT = {
    "student": "builtin/mlp-800",
    "temperature": 20.0,
    "alpha": 0.9,
    "epochs": 40,
    "batch_size": 256,
    "weight_decay": 0.0,
}
CPU = Device(torch.device("cpu"), torch.float32)


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--json", action="store_true")
    wanted.add_argument("--seeds", type=int, default=3)
    wanted.add_argument("--home", type=Path)
    options = wanted.parse_args()
    with contextlib.ExitStack() as stack:
        home = Home(options.home or Path(stack.enter_context(tempfile.TemporaryDirectory())))
        home.make()
        store = Store(home.database)
        found = measure(home, store, options.seeds)
    found["minutes"] = sum((run.finished_at or 0) - (run.started_at or 0) for run in store.runs()) / 60
    print(json.dumps(found, indent=2) if options.json else table(found))


def measure(home: Home, store: Store, seeds: int) -> dict:
    """Test errors of each model and seed, and the errors on 3s of a student that never saw one."""
    rows, columns = mnist()
    chosen = choose(home, store, rows, columns)
    whole = library.save(store, home, "mnist", rows, columns)
    without = library.save(store, home, "no threes", no_threes(rows), columns, validation_share=HELD / len(rows.table))
    errors: dict[str, list[int]] = {"teacher": [], "alone": [], "distilled": []}
    omitted = []
    for seed in range(seeds):
        taught, run = trained(home, store, "mnist", seed, chosen)
        told = errors_of(store, run)
        for name, values in errors.items():
            values.append(told[name])
        omitted.append(without_threes(home, store, whole, without, taught, {"seed": seed, **chosen[1]}))
        print(f"seed {seed}: {told}, without 3s {omitted[-1]}", file=sys.stderr, flush=True)
    return {
        "errors": {name: summary(values) for name, values in errors.items()},
        "published": PUBLISHED,
        "gap": summary([alone - d for alone, d in zip(errors["alone"], errors["distilled"], strict=True)]),
        "omitted_3": {name: summary([one[name] for one in omitted]) for name in omitted[0]},
        "published_without_threes": PUBLISHED_WITHOUT_THREES,
        "settings": {"teacher": {**TEACHER, **chosen[0]}, "student": {**STUDENT, **chosen[1]}},
    }


def mnist() -> tuple[Rows, Columns]:
    """All images; `HELD` of the training images are marked as validation images."""
    upload = uploads.read(Path(os.environ["STUDIO_TEST_DATA"]) / "image" / "mnist.zip")
    columns = guess_columns(upload)
    rows = clean(upload, columns, guess_task(upload))
    return marked(rows, "validation", HELD), columns


def marked(rows: Rows, split: str, count: int) -> Rows:
    """So many training images go into another split."""
    table = rows.table.copy()
    table["split"] = table["split"].astype(str)
    table.loc[table[table["split"] == "train"].sample(count, random_state=0).index, "split"] = split
    return replace(rows, table=table)


def no_threes(rows: Rows) -> Rows:
    """No training image is a 3; the validation images are left out, so that one can be set by them later."""
    table = rows.table
    is_kept = (table["split"] == "test") | ((table["split"] == "train") & (table["label"] != "3"))
    return replace(rows, table=table[is_kept].reset_index(drop=True))


def choose(home: Home, store: Store, rows: Rows, columns: Columns) -> tuple[dict, dict]:
    """The learning rates, by training images that are held out. No test image is in this data set."""
    known = replace(rows, table=rows.table[rows.table["split"] != "test"].reset_index(drop=True))
    library.save(store, home, "choosing", marked(known, "test", CHOOSING), columns)
    teachers = {}
    for rate in TEACHER_RATES:
        run = carry(store, home, config("choosing", SEED_OF_CHOICE, TEACHER, {"teacher_learning_rate": rate}))
        teachers[rate] = (errors_of(store, run)["teacher"], run)
    best = min(teachers, key=lambda rate: teachers[rate][0])
    teacher = {"teacher": f"run:{teachers[best][1].id}/teacher"}
    students = {
        rate: errors_of(
            store, carry(store, home, config("choosing", SEED_OF_CHOICE, teacher, STUDENT, {"learning_rate": rate}))
        )["alone"]
        for rate in RATES
    }
    chosen = min(students, key=students.__getitem__)
    errors = {rate: found for rate, (found, _) in teachers.items()}
    print(f"errors on {CHOOSING} held-out: teachers {errors}, students alone {students}", file=sys.stderr, flush=True)
    return {"teacher_learning_rate": best}, {"learning_rate": chosen}


def config(dataset: str, seed: int, *parts: dict) -> RunConfig:
    values = {"dataset": dataset, "seed": seed}
    for part in parts:
        values.update(part)
    return parse_config(values)


def trained(home: Home, store: Store, dataset: str, seed: int, chosen: tuple[dict, dict]) -> tuple[RunRow, RunRow]:
    """(the run that made the teacher, the run of student and control)."""
    taught = carry(store, home, config(dataset, seed, TEACHER, chosen[0]))
    teacher = {"teacher": f"run:{taught.id}/teacher"}
    return taught, carry(store, home, config(dataset, seed, teacher, STUDENT, chosen[1]))


def errors_of(store: Store, run: RunRow) -> dict[str, int]:
    """Wrong test images of each model of a run."""
    names = {"teacher": "teacher", "control": "alone", "student": "distilled"}
    return {
        names[one.role]: round(one.n * (1 - one.value))
        for one in store.evaluations(run.id)
        if (one.metric, one.split) == ("accuracy", "test") and one.n and one.role in names
    }


def carry(store: Store, home: Home, config: RunConfig) -> RunRow:
    """One run to its end, in a worker of its own as always; one that is done is not done again."""
    run = store.submit(config, key=config.to_yaml(), owner=new_owner())
    if run.status != "finished":
        list(runs.carry(store, home, run))
    done = store.run(run.id)
    if done.status != "finished":
        raise SystemExit(f"run {run.id} {done.status}: {done.message} {done.cure}")
    return done


def without_threes(
    home: Home, store: Store, whole: DatasetRow, without: DatasetRow, before: RunRow, values: dict
) -> dict[str, float]:
    """The teacher of an earlier run teaches a student whose training rows hold no 3."""
    teacher = {"teacher": f"run:{before.id}/teacher"}
    run = carry(store, home, config(without.name, values["seed"], STUDENT, teacher, values))
    student = open_model(home, run, without)
    held = load(home.dataset(whole.id)).dict["validation"]
    bias = best_bias(logits(student, held), np.array(held["label"][:]))
    splits = load(home.dataset(without.id)).dict
    test, labels = logits(student, splits["test"]), np.array(splits["test"]["label"][:])
    threes = labels == 3
    matrix = {one.role: one.counts for one in store.confusions(run.id)}
    corrected = test.copy()
    corrected[:, 3] += bias
    return {
        "threes": int(threes.sum()),
        "wrong_threes": int((test.argmax(1) != 3)[threes].sum()),
        "wrong_threes_after_bias": int((corrected.argmax(1) != 3)[threes].sum()),
        "wrong_threes_without_teacher": int(threes.sum()) - matrix["control"][3][3],
        "errors": int((test.argmax(1) != labels).sum()),
        "errors_after_bias": int((corrected.argmax(1) != labels).sum()),
        "bias": bias,
    }


def open_model(home: Home, run: RunRow, saved: DatasetRow) -> Model:
    problem = Problem(saved.task, saved.labels, load(home.dataset(saved.id)).dict["train"], run.config.max_length)
    return open_folder(home.model(run.id, "student"), problem)


def logits(model: Model, rows: object) -> np.ndarray:
    """(rows, classes)."""
    inputs = tasks.get("image-classification").encode(rows, model.processor, model.network.config, 0)
    steps = teacher.logits(model, inputs, CPU, lambda done: None)  # type: ignore[arg-type,return-value]
    return result_of(steps).values.numpy()


def best_bias(found: np.ndarray, labels: np.ndarray) -> float:
    """What to add to the logit of class 3, so that most validation rows are right. Test rows have no say in it."""
    steps = np.arange(0.0, 12.25, 0.25)
    right = []
    for step in steps:
        shifted = found.copy()
        shifted[:, 3] += step
        right.append(int((shifted.argmax(1) == labels).sum()))
    return float(steps[int(np.argmax(right))])


def summary(values: list) -> dict:
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.mean(values), "sd": sd, "each": values}


def table(found: dict) -> str:
    lines = ["errors on 10,000 test images     mean ±   sd   published"]
    for name, one in found["errors"].items():
        lines.append(f"{name:<30} {one['mean']:7.1f} ± {one['sd']:4.1f}   {PUBLISHED[name]:9d}   {one['each']}")
    three = {name: f"{one['mean']:g} ± {one['sd']:.1f}" for name, one in found["omitted_3"].items()}
    lines += [
        f"fewer errors than alone          {found['gap']['mean']:.1f}, each seed {found['gap']['each']}",
        f"no 3 in the transfer set: {three['wrong_threes']} of {three['threes']} threes wrong, "
        f"{three['wrong_threes_after_bias']} after a bias of {three['bias']} set by images held out "
        f"(published 133 and 14 of 1,010); without the teacher {three['wrong_threes_without_teacher']}",
        f"errors in all: {three['errors']}, with the bias {three['errors_after_bias']} (published 206 and 109)",
        f"{found['minutes']:.1f} minutes",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
