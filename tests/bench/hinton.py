"""Hinton, Vinyals & Dean (2015), section 3, on MNIST: `python -m tests.bench.hinton [--json] [--seeds 3]`.

It prints and asserts nothing.

A teacher 784-1200-1200-10 learns with dropout, weight decay and images that are shifted by up to two pixels. A student
784-800-800-10 learns without any of these: alone, and from the teacher at temperature 20. Then once more with no 3 in
the transfer set. `STUDIO_TEST_DATA` names the folder with `image/mnist.zip`.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
import uuid
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

VALIDATION_SHARE = 2_000 / 70_000
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
    "teacher_learning_rate": 2e-3,
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
    "learning_rate": 3e-3,
    "weight_decay": 0.0,
}
EPOCHS_WITHOUT_THREES = 10
CPU = Device(torch.device("cpu"), torch.float32)


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--json", action="store_true")
    wanted.add_argument("--seeds", type=int, default=3)
    options = wanted.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        store = Store(home.database)
        found = measure(home, store, options.seeds)
    found["minutes"] = (time.monotonic() - start) / 60
    print(json.dumps(found, indent=2) if options.json else table(found))


def measure(home: Home, store: Store, seeds: int) -> dict:
    """Test errors of each model and seed, and the errors on 3s of a student that never saw one."""
    rows, columns = mnist()
    whole = library.save(store, home, "mnist", rows, columns, validation_share=VALIDATION_SHARE)
    names = {"teacher": "teacher", "control": "alone", "student": "distilled"}
    errors: dict[str, list[int]] = {name: [] for name in names.values()}
    runs = []
    for seed in range(seeds):
        here = {"dataset": "mnist", "seed": seed}
        taught = carry(store, home, parse_config({**here, **TEACHER}))
        teacher_of = {"teacher": f"run:{taught.id}/teacher"}
        run = carry(store, home, parse_config({**here, **teacher_of, **STUDENT}))
        runs.append(taught)
        for one in store.evaluations(run.id):
            if one.metric == "accuracy" and one.n:
                errors[names[one.role]].append(round(one.n * (1 - one.value)))
    return {
        "errors": {name: summary(values) for name, values in errors.items()},
        "published": PUBLISHED,
        "gap": summary([alone - d for alone, d in zip(errors["alone"], errors["distilled"], strict=True)]),
        "omitted_3": without_threes(home, store, rows, columns, whole, runs[0]),
        "settings": {"teacher": TEACHER, "student": STUDENT},
    }


def mnist() -> tuple[Rows, Columns]:
    upload = uploads.read(Path(os.environ["STUDIO_TEST_DATA"]) / "image" / "mnist.zip")
    columns = guess_columns(upload)
    return clean(upload, columns, guess_task(upload)), columns


def carry(store: Store, home: Home, config: RunConfig) -> RunRow:
    """One run to its end, in a worker of its own as always."""
    run = store.submit(config, key=str(uuid.uuid4()), owner=new_owner())
    for _ in runs.carry(store, home, run):
        pass
    done = store.run(run.id)
    if done.status != "finished":
        raise SystemExit(f"run {run.id} {done.status}: {done.message} {done.cure}")
    return done


def without_threes(home: Home, store: Store, rows: Rows, columns: Columns, whole: DatasetRow, before: RunRow) -> dict:
    """The teacher of an earlier run teaches a student whose training rows hold no 3."""
    splits = load(home.dataset(whole.id)).dict
    table = rows.table.copy()
    is_train = (table["split"] != "test") & (table["label"] == "3")
    kept = Rows(rows.task, table[~is_train].reset_index(drop=True), rows.empty, rows.labels)
    saved = library.save(store, home, "no threes", kept, columns, validation_share=VALIDATION_SHARE)
    config = {**STUDENT, "teacher": f"run:{before.id}/teacher", "epochs": EPOCHS_WITHOUT_THREES}
    run = carry(store, home, parse_config({"dataset": saved.name, **config}))
    student = open_model(home, run, saved)
    validation = logits(student, splits["validation"])
    test = logits(student, splits["test"])
    bias = best_bias(validation, np.array(splits["validation"]["label"][:]))
    labels = np.array(splits["test"]["label"][:])
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
        "published": PUBLISHED_WITHOUT_THREES,
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


def summary(values: list[int]) -> dict:
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.mean(values), "sd": sd, "each": values}


def table(found: dict) -> str:
    lines = ["errors on 10,000 test images     mean ±   sd   published"]
    for name, one in found["errors"].items():
        lines.append(f"{name:<30} {one['mean']:7.1f} ± {one['sd']:4.1f}   {PUBLISHED[name]:9d}   {one['each']}")
    three = found["omitted_3"]
    lines += [
        f"fewer errors than alone          {found['gap']['mean']:.1f}, each seed {found['gap']['each']}",
        f"no 3 in the transfer set: {three['wrong_threes']} of {three['threes']} threes wrong, "
        f"{three['wrong_threes_after_bias']} after a bias of {three['bias']:g} chosen on validation rows "
        f"(published 133 and 14 of 1,010); without the teacher {three['wrong_threes_without_teacher']}",
        f"{found['minutes']:.1f} minutes",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
