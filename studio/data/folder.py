"""A data set on disk: split, written as Arrow in one move, opened again."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict, Features, Image, Sequence, Value, load_from_disk

from studio.config.run import UNLABELLED, TaskName
from studio.data.cleaning import BETWEEN, Rows, _keys
from studio.errors import DataError

VALIDATION_SHARE = 0.1
TEST_SHARE = 0.2
_FILE = "dataset.json"


@dataclass(frozen=True)
class DataSet:
    """A saved data set, ready to train on."""

    dict: DatasetDict
    labels: list[str]
    task: TaskName
    fingerprint: str
    name: str
    multi_label: bool = False


def build(
    rows: Rows,
    *,
    validation_share: float = VALIDATION_SHARE,
    test_share: float = TEST_SHARE,
    drop_leaked: bool = False,
    seed: int = 0,
) -> DatasetDict:
    """Splits train, validation and test. Given ones stay; missing ones are cut from train, class by class.

    Rows without a label go to train alone. In splits made here, copies of one input always stay together.
    `drop_leaked` removes from train what also stands in a given validation or test split.
    """
    table = rows.table.copy()
    table["key"] = _keys(table)
    table["split"] = table["split"].replace("", "train")
    if drop_leaked:
        held = set(table.loc[table["split"] != "train", "key"])
        table = table[(table["split"] != "train") | ~table["key"].isin(held)].reset_index(drop=True)
    rest = 1.0
    for split, share in (("test", test_share), ("validation", validation_share)):
        if not (table["split"] == split).any():
            _cut(table, split, share / rest, seed)
            rest -= share
    table.loc[table["label"] == "", "split"] = "train"
    numbers = {label: number for number, label in enumerate(rows.labels)} | {"": UNLABELLED}
    parts = {split: table[table["split"] == split] for split in ("train", "validation", "test")}
    label = Sequence(Value("int64")) if rows.multi_label else Value("int64")
    if parts["train"].empty:
        raise DataError("The train split has no row.", "Bring more data, or smaller shares for the other splits.")
    for split in ("validation", "test"):
        if not (parts[split]["label"] != "").any():
            raise DataError(f"The {split} split has no labelled row.", "Bring more data, or give it a larger share.")
    return DatasetDict({split: _arrow(part, rows.task, numbers, label) for split, part in parts.items()})


def fingerprint(splits: DatasetDict, labels: list[str]) -> str:
    """A hash of the content: the same rows in the same splits and order give the same one."""
    digest = hashlib.sha256(json.dumps(labels).encode())
    for split, rows in splits.items():
        digest.update(split.encode())
        name = "image" if "image" in rows.column_names else "text"
        values = rows.cast_column("image", Image(decode=False))["image"][:] if name == "image" else rows["text"][:]
        for value in values:
            data = value["bytes"] if isinstance(value, dict) else value.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little") + data)
        digest.update(_bytes(rows["label"][:]))
    return digest.hexdigest()[:32]


def write(splits: DatasetDict, folder: Path, *, name: str, task: TaskName, labels: list[str], digest: str) -> None:
    """Save as Arrow in one move: the folder is there whole, or not at all."""
    part = folder.with_name(f"{folder.name}.part-{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    splits.save_to_disk(part)
    multi_label = not isinstance(splits["train"].features["label"], Value)
    about = {"name": name, "task": task, "labels": labels, "fingerprint": digest, "several": multi_label}
    (part / _FILE).write_text(json.dumps(about, ensure_ascii=False))
    part.rename(folder)


def load(folder: Path) -> DataSet:
    """A data set that `write` saved; raises `DataError` where its files are gone."""
    try:
        about: dict[str, Any] = json.loads((folder / _FILE).read_text())
        splits = load_from_disk(folder)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"The files of the data set in {folder} cannot be read: {error}.", "Add the data again."
        ) from error
    assert isinstance(splits, DatasetDict)
    multi_label = about.get("several", False)
    return DataSet(splits, about["labels"], about["task"], about["fingerprint"], about["name"], multi_label)


def _bytes(labels: list[Any]) -> bytes:
    """Labels as bytes to be hashed."""
    if labels and isinstance(labels[0], list):
        return json.dumps(labels).encode()
    return np.asarray(labels, dtype=np.int64).tobytes()


def _cut(table: pd.DataFrame, split: str, share: float, seed: int) -> None:
    """Move a share of the labelled training inputs to `split`, of every class alike; copies move together."""
    generator = np.random.default_rng(seed)
    rows = table[(table["split"] == "train") & (table["label"] != "")]
    first = rows.drop_duplicates("key")
    chosen: set[str] = set()
    for _, group in first.groupby("label", sort=True):
        count = min(max(1, round(len(group) * share)), len(group) - 1)
        chosen.update(generator.permutation(group["key"].to_numpy())[:count])
    table.loc[(table["split"] == "train") & table["key"].isin(chosen), "split"] = split


def _arrow(part: pd.DataFrame, task: TaskName, numbers: dict[str, int], kind: Value | Sequence) -> Dataset:
    label: list[Any] = (
        [numbers[one] for one in part["label"]]
        if isinstance(kind, Value)
        else [[numbers[one] for one in cell.split(BETWEEN)] if cell else [] for cell in part["label"]]
    )
    if task == "image-classification":
        features = Features({"image": Image(), "label": kind})
        images = [{"bytes": data, "path": None} for data in part["input"]]
        return Dataset.from_dict({"image": images, "label": label}, features=features)
    texts = [str(one).encode("utf-8", "replace").decode("utf-8") for one in part["input"]]
    return Dataset.from_dict(
        {"text": texts, "label": label}, features=Features({"text": Value("string"), "label": kind})
    )
