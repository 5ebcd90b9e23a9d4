"""Settings that were never tried together, each carried to its end on a few rows: `python -m tests.bench.settings
[--minutes 10] [--seed 0] [--json]`.

Settings are drawn by chance for data of every kind. Each is refused in words, before a run or in it, or carried out;
`foreign` counts errors that the studio has no words for, which are told with their settings. Models that were trained
beforehand take part where `STUDIO_TEST_DATA` names their folder. It prints and asserts nothing.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from studio import tasks
from studio.config.methods import LOSSES
from studio.config.plan import FORMS, IMPORTANCES, UNITS
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.uploads import Upload
from studio.errors import StudioError
from studio.home import Home
from studio.service import library, runs
from studio.service.runtime import new_owner
from studio.store.store import Store
from tests.conftest import digits, here

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "Paris"]
ROWS = 90


def data(chance: random.Random) -> dict[str, tuple[Upload, Columns, str]]:
    """A few rows of every kind."""
    labels = [chance.choice(["bad", "good"]) for _ in range(ROWS)]
    texts = [f"{' '.join(chance.choices(WORDS, k=6))} {number} {label}" for number, label in enumerate(labels)]
    splits = ["train", "train", "train", "validation", "test"] * (ROWS // 5)
    few = [
        label if split != "train" or chance.random() < 0.5 else "" for label, split in zip(labels, splits, strict=True)
    ]
    several = ["|".join(chance.sample("abc", chance.randrange(3))) for _ in texts]
    tags = [" ".join("B-LOC" if word == "Paris" else "O" for word in text.split()) for text in texts]
    classes, text = "text-classification", Columns("text", "label")
    given: dict[str, tuple[dict[str, list[str]], Columns, str]] = {
        "two classes": ({"text": texts, "label": labels}, text, classes),
        "few labels": ({"text": texts, "label": few, "split": splits}, Columns("text", "label", "split"), classes),
        "five classes": ({"text": texts, "label": [str(number % 5) for number in range(ROWS)]}, text, classes),
        "several labels": ({"text": texts, "label": several}, Columns("text", "label", separator="|"), classes),
        "pairs": ({"a": texts, "b": texts[::-1], "label": labels}, Columns("a", "label", pair="b"),
                  "sentence-pair-classification"),
        "scores": ({"text": texts, "label": [str(len(one) / 7) for one in texts]}, text, "regression"),
        "words": ({"text": texts, "label": tags}, text, "token-classification"),
        "prose": ({"text": texts}, Columns("text", None), "language-model"),
        "prompts": ({"prompt": texts, "answer": texts[::-1]}, Columns("prompt", None, pair="answer"), "language-model"),
    }  # fmt: skip
    found = {
        name: (Upload("words" if name == "words" else "table", pd.DataFrame(columns, dtype=object)), roles, task)
        for name, (columns, roles, task) in given.items()
    }
    return found | {"images": (digits(150), Columns("image", "label", "split"), "image-classification")}


def settings(chance: random.Random, dataset: str, task: tasks.Task) -> dict[str, Any]:
    """Settings for a run that takes seconds; most of the others only now and then."""
    builtin = [
        f"builtin/{name}" for name in task.inputs.builtins if not name.endswith(("base", "large", "1200", "800"))
    ]
    found: dict[str, Any] = {
        "dataset": dataset, "epochs": 1, "teacher_epochs": 1, "allow_weak_teacher": True,
        "teacher": chance.choice([*builtin, *_trained(task)]), "student": chance.choice([*builtin, "teacher/1-layers"]),
        "max_length": chance.choice((4, 16, 24)), "batch_size": chance.choice((1, 7, 32, 64)),
        "onnx_times": chance.random() < 0.1,
    }  # fmt: skip
    names = list(task.changes)
    drawn = {
        "terms": _terms(chance), "plan": _plan(chance), "temperature": chance.choice((0.5, 1, 20)),
        "alpha": chance.choice((0, 0.5, 1)), "alpha_schedule": "cosine", "temperature_schedule": "linear",
        "temperature_per_sample": True, "hard_epochs": 1, "more_teachers": [chance.choice(builtin)],
        "fusion": "confidence", "assistants": [chance.choice(builtin)], "chain": "shrinking",
        "augment": chance.sample(names, min(1, len(names))), "views": chance.choice((2, 3)),
        "teacher_augment": chance.sample(names, min(1, len(names))), "seeds": 2, "control": False,
        "control_start": "pretrained", "smoothed_control": chance.choice(("always", "never")),
        "evaluate_on": "validation", "training_share": 0.5, "lora_rank": 4, "recompute_layers": True,
        "teacher_precision": chance.choice(("bfloat16", "8bit", "4bit")), "precision": "bfloat16",
        "own_texts": 0.5, "kept_answers": chance.choice((1, 8, 100_000)), "seed": chance.randrange(5),
    }  # fmt: skip
    often = {"terms", "plan"}
    return found | {name: one for name, one in drawn.items() if chance.random() < (0.5 if name in often else 0.12)}


def _trained(task: tasks.Task) -> list[str]:
    models = Path(os.environ.get("STUDIO_TEST_DATA", "")) / "models"
    name = {"text": "minilm-l6", "image": ""}[task.modality] if task.kind != "token" else "stories260k"
    return [f"folder:{models / name}"] if name and (models / name).is_dir() else []


def _terms(chance: random.Random) -> list[dict[str, Any]]:
    chosen = chance.sample(list(LOSSES), chance.randrange(1, 4))
    return [{"loss": name} | ({"weight": 25.0} if chance.random() < 0.3 else {}) for name in chosen]


def _plan(chance: random.Random) -> list[dict[str, Any]]:
    """Some steps in which the student becomes smaller, and one in which it learns."""
    steps: list[dict[str, Any]] = [
        {"do": "prune", "ratio": chance.choice((0.2, 0.5, 0.95))},
        {"do": "prune", "ratio": 0.5, "units": [chance.choice(list(UNITS))],
         "importance": chance.choice(list(IMPORTANCES)), "scope": chance.choice(("local", "global"))},
        {"do": "prune", "ratio": 0.5, "rounds": 2}, {"do": "sparsify", "ratio": 0.7},
        {"do": "sparsify", "threshold": 0.01}, {"do": "factorize", "rank": 0.3},
        {"do": "factorize", "energy": 0.8, "weighted": False},
    ]  # fmt: skip
    last = [{"do": "quantize", "form": chance.choice(list(FORMS)), "epochs": chance.choice((0, 1))}]
    return chance.sample(steps, chance.randrange(3)) + [{"do": "distill"}] + last * (chance.random() < 0.4)


def carried(home: Home, store: Store, given: dict[str, Any]) -> str:
    """What became of a run with these settings, and in what words."""
    did = "refused"
    try:
        run = store.submit(parse_config(given), key=json.dumps(given), owner=new_owner())
        did = "failed"
        list(runs.carry(store, home, run, here))
    except StudioError as error:
        return f"{did}: {error}"
    except Exception:  # noqa: BLE001  finding these is what this is for
        return f"foreign: {traceback.format_exc()}"
    done = store.run(run.id)
    return "finished" if done.status == "finished" else f"failed: {done.message}"


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--minutes", type=float, default=10)
    wanted.add_argument("--seed", type=int, default=0)
    wanted.add_argument("--json", action="store_true")
    options = wanted.parse_args()
    chance, found = random.Random(options.seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.make()
        store, given = Store(home.database), data(chance)
        for name, (upload, columns, task) in given.items():
            library.save(store, home, name, clean(upload, columns, task), columns)
        end = time.monotonic() + 60 * options.minutes
        while time.monotonic() < end:
            name = chance.choice(list(given))
            drawn = settings(chance, name, tasks.get(given[name][2], given[name][1].separator is not None))
            told = carried(home, store, drawn)
            found[told.partition(":")[0]] += 1
            if told != "finished":
                print(told, json.dumps(drawn) if told.startswith("foreign") else "", file=sys.stderr, flush=True)
    counted = {kind: found[kind] for kind in ("finished", "refused", "failed", "foreign")}
    print(json.dumps(counted) if options.json else ", ".join(f"{kind} {count}" for kind, count in counted.items()))


if __name__ == "__main__":
    main()
