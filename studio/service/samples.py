"""The two demos: real data that needs no network, and a teacher that was trained beforehand; labels are few, so that
the teacher's answers are worth something."""

import io
import uuid
from pathlib import Path
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
LABELLED: dict[Demo, int] = {"text": 60, "images": 100}
"""How many training rows keep their label."""

TEST_SHARE, VALIDATION_SHARE = 0.35, 0.15
FOLDER = program_folder() / "assets" / "demo"
MESSAGES = FOLDER / "support_messages.csv"
MORE_MESSAGES = FOLDER / "unlabelled_messages.csv"
INTENTS = ("account_access", "cancel_order", "damaged_or_wrong_item", "payment_failed")
"""Of nine those that people keep apart by what they write."""

TEACHERS: dict[Demo, Path] = {
    "text": FOLDER / "teachers" / "messages-transformer",
    "images": FOLDER / "teachers" / "digits-cnn",
}
NAMES: dict[Demo, str] = {"text": "Demo: support messages", "images": "Demo: handwritten digits"}
SETTINGS: dict[Demo, dict[str, Any]] = {
    "text": {
        "teacher": f"folder:{TEACHERS['text']}",
        "student": "builtin/fasttext-tiny",
        "temperature": 2.0,
        "alpha": 0.9,
        "augment": ["cutmix"],
        "views": 16,
        "epochs": 110,
        "learning_rate": 1e-2,
        "max_length": 64,
    },
    "images": {
        "teacher": f"folder:{TEACHERS['images']}",
        "student": "builtin/mlp-48",
        "temperature": 4.0,
        "alpha": 0.9,
        "augment": ["crop"],
        "views": 16,
        "epochs": 120,
        "learning_rate": 5e-3,
    },
}
"""The teachers were trained beforehand, on the training rows with all their labels (`tests.bench.demo_teachers`)."""


def start(acts: Acts, demo: Demo, owner: str | None = None) -> RunRow:
    """Save the demo's data unless it is there, and queue its run; an `owner` takes it at once."""
    acts.require("member")
    dataset = add(acts.store, acts.home, demo)
    return acts.start(config(demo, dataset.name), key=f"demo-{uuid.uuid4()}", owner=owner)


def config(demo: Demo, dataset: str) -> RunConfig:
    return parse_config({"dataset": dataset, **SETTINGS[demo]})


def add(store: Store, home: Home, demo: Demo) -> DatasetRow:
    """The demo's data set; where its name is taken by other data, under a free name like it."""
    upload, columns = rows_of(demo, LABELLED[demo])
    rows = clean(upload, columns, guess_task(upload))
    return library.save(store, home, None, rows, columns, like=NAMES[demo])


def rows_of(demo: Demo, labelled: int | None) -> tuple[Upload, Columns]:
    """The demo's rows with their splits; labels stay on so many training rows, on all where None is given."""
    if demo == "text":
        table = uploads.read(MESSAGES, header=True).table
        table = table[table["intent"].isin(INTENTS)].reset_index(drop=True)
        table = _few_labels(table, "intent", labelled)
        return Upload("table", table if labelled is None else _with_more(table)), Columns("text", "intent", "split")
    return Upload("images", _few_labels(_digits(), "label", labelled)), Columns("image", "label", "split")


def _with_more(table: pd.DataFrame) -> pd.DataFrame:
    """With messages that nobody labelled, for training: what the teacher says of them the student learns, too."""
    more = uploads.read(MORE_MESSAGES, header=True).table.assign(intent="", split="train")
    return pd.concat([table, more], ignore_index=True)


def _digits() -> pd.DataFrame:
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, sixteen shades, as PNG."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = [_png(np.clip(image * 16, 0, 255).astype(np.uint8)) for image in digits.images]
    return pd.DataFrame({"image": images, "label": digits.target.astype(str)}, dtype=object)


def _few_labels(table: pd.DataFrame, label: str, keep: int | None) -> pd.DataFrame:
    """With splits, and labels on `keep` of the training rows alone, as where labelling is dear.

    The student learns the other rows from the teacher.
    """
    from sklearn.model_selection import train_test_split

    names = table[label].to_numpy()
    rest, test = train_test_split(np.arange(len(table)), test_size=TEST_SHARE, stratify=names, random_state=0)
    train, validation = train_test_split(rest, test_size=VALIDATION_SHARE, stratify=names[rest], random_state=0)
    labelled = train
    if keep is not None:
        labelled, _ = train_test_split(train, train_size=keep, stratify=names[train], random_state=0)
    split = np.full(len(table), "train", dtype=object)
    split[test], split[validation] = "test", "validation"
    known = np.isin(np.arange(len(table)), np.concatenate([labelled, validation, test]))
    return table.assign(split=split, **{label: np.where(known, names, "")})


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
