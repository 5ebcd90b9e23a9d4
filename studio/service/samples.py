"""The two demos: real data that needs no network, and settings that reach a verdict in about a minute."""

import io
import uuid
from typing import Any, Literal

import numpy as np
import pandas as pd
from PIL import Image

from studio.config.reading import parse_config
from studio.config.run import RunConfig
from studio.data import uploads
from studio.data.cleaning import clean
from studio.data.columns import Columns, guess_task
from studio.data.uploads import Upload
from studio.home import Home
from studio.service import library
from studio.service.acts import Acts
from studio.service.program import program_folder
from studio.store.rows import DatasetRow, RunRow
from studio.store.store import Store

Demo = Literal["text", "images"]
LABELLED: dict[Demo, int] = {"text": 400, "images": 120}
"""How many training rows keep their label."""

TEST_SHARE, VALIDATION_SHARE = 0.35, 0.15
MESSAGES = program_folder() / "assets" / "demo" / "support_messages.csv"

NAMES: dict[Demo, str] = {"text": "Demo: support messages", "images": "Demo: handwritten digits"}
SETTINGS: dict[Demo, dict[str, Any]] = {
    "text": {
        "teacher": "builtin/fasttext-large",
        "student": "builtin/fasttext-tiny",
        "temperature": 4.0,
        "alpha": 0.9,
        "epochs": 80,
        "teacher_epochs": 60,
        "batch_size": 32,
        "learning_rate": 2e-2,
        "teacher_learning_rate": 1e-2,
        "max_length": 64,
    },
    "images": {
        "teacher": "builtin/cnn-large",
        "student": "builtin/cnn-tiny",
        "temperature": 4.0,
        "alpha": 0.9,
        "epochs": 40,
        "teacher_epochs": 60,
        "batch_size": 32,
        "learning_rate": 5e-3,
    },
}


def start(acts: Acts, demo: Demo, owner: str | None = None) -> RunRow:
    """Save the demo's data unless it is there, and queue its run; an `owner` takes it at once."""
    acts.require("member")
    dataset = add(acts.store, acts.home, demo)
    return acts.start(config(demo, dataset.name), key=f"demo-{uuid.uuid4()}", owner=owner)


def config(demo: Demo, dataset: str) -> RunConfig:
    return parse_config({"dataset": dataset, **SETTINGS[demo]})


def add(store: Store, home: Home, demo: Demo) -> DatasetRow:
    """The demo's data set."""
    upload, columns = _messages() if demo == "text" else _digits()
    rows = clean(upload, columns, guess_task(upload))
    return library.save(store, home, NAMES[demo], rows, columns)


def _messages() -> tuple[Upload, Columns]:
    """Customer-support messages with their intent, written for this project."""
    table = uploads.read(MESSAGES, header=True).table
    return Upload("table", _few_labels(table, "intent", LABELLED["text"])), Columns("text", "intent", "split")


def _digits() -> tuple[Upload, Columns]:
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, sixteen shades, as PNG."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = [_png(np.clip(image * 16, 0, 255).astype(np.uint8)) for image in digits.images]
    table = pd.DataFrame({"image": images, "label": digits.target.astype(str)}, dtype=object)
    return Upload("images", _few_labels(table, "label", LABELLED["images"])), Columns("image", "label", "split")


def _few_labels(table: pd.DataFrame, label: str, keep: int) -> pd.DataFrame:
    """With splits, and labels on `keep` of the training rows alone, as where labelling is dear.

    The student learns the other rows from the teacher.
    """
    from sklearn.model_selection import train_test_split

    names = table[label].to_numpy()
    rest, test = train_test_split(np.arange(len(table)), test_size=TEST_SHARE, stratify=names, random_state=0)
    train, validation = train_test_split(rest, test_size=VALIDATION_SHARE, stratify=names[rest], random_state=0)
    labelled, _ = train_test_split(train, train_size=keep, stratify=names[train], random_state=0)
    split = np.full(len(table), "train", dtype=object)
    split[test], split[validation] = "test", "validation"
    known = np.isin(np.arange(len(table)), np.concatenate([labelled, validation, test]))
    return table.assign(split=split, **{label: np.where(known, names, "")})


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
