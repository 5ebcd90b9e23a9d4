"""The two demos: real data that needs no network, and settings that reach a verdict in about a minute."""

import io
import uuid
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from PIL import Image

from studio import data, library, uploads
from studio.config import RunConfig, parse_config
from studio.data import Columns
from studio.home import Home
from studio.rows import DatasetRow, RunRow
from studio.store import Store
from studio.uploads import Upload

Demo = Literal["text", "images"]
MESSAGES = Path(__file__).parents[1] / "assets" / "demo" / "support_messages.csv"

NAMES: dict[Demo, str] = {"text": "Demo: support messages", "images": "Demo: handwritten digits"}
SETTINGS: dict[Demo, dict[str, Any]] = {
    "text": {
        "teacher": "builtin/transformer-base",
        "student": "builtin/transformer-tiny",
        "epochs": 40,
        "teacher_epochs": 15,
        "batch_size": 32,
        "learning_rate": 3e-3,
        "max_length": 64,
    },
    "images": {
        "teacher": "builtin/cnn-large",
        "student": "builtin/cnn-tiny",
        "temperature": 2.0,
        "alpha": 0.9,
        "epochs": 15,
        "teacher_epochs": 10,
        "batch_size": 32,
        "learning_rate": 5e-3,
    },
}


def start(store: Store, home: Home, demo: Demo, owner: str | None = None) -> RunRow:
    """Save the demo's data unless it is there, and queue its run; an `owner` takes it at once."""
    dataset = add(store, home, demo)
    return store.submit(config(demo, dataset.name), key=f"demo-{uuid.uuid4()}", owner=owner)


def config(demo: Demo, dataset: str) -> RunConfig:
    return parse_config({"dataset": dataset, **SETTINGS[demo]})


def add(store: Store, home: Home, demo: Demo) -> DatasetRow:
    """The demo's data set."""
    upload, columns = _messages() if demo == "text" else _digits()
    rows = data.clean(upload, columns, data.guess_task(upload))
    test_share = 0.25 if demo == "text" else 0.4
    return library.save(store, home, NAMES[demo], rows, columns, test_share=test_share)


def _messages() -> tuple[Upload, Columns]:
    """Customer-support messages with their intent, written for this project."""
    return uploads.read(MESSAGES, header=True), Columns("text", "intent")


def _digits() -> tuple[Upload, Columns]:
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, sixteen shades, as PNG."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = [_png(np.clip(image * 16, 0, 255).astype(np.uint8)) for image in digits.images]
    table = pd.DataFrame({"image": images, "label": digits.target.astype(str)}, dtype=object)
    return Upload("images", table), Columns("image", "label")


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
