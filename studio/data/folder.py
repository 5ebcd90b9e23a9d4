"""A data set on disk: split, written as Arrow in one move, opened again."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict, Image, load_from_disk

from studio import files
from studio.data.cleaning import Rows, keys
from studio.errors import DataError
from studio.tasks.classes import BETWEEN

VALIDATION_SHARE = 0.1
TEST_SHARE = 0.2
_FILE = "dataset.json"
ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class DataSet:
    """A saved data set, ready to train on."""

    dict: DatasetDict
    labels: list[str]
    task: str
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
    """Splits train, validation and test. Given ones stay; missing ones are cut from train, class by class, or tenth by
    tenth of a number.

    Rows without a label go to train alone. In splits made here, copies of one input always stay together.
    `drop_leaked` removes from train what also stands in a given validation or test split.
    """
    table = rows.table[["input", "pair", "label", "split"]].copy()
    table["key"] = keys(rows.learns.inputs.related(table))
    table["stratum"] = rows.learns.targets.strata(list(table["label"]))
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
    if not (table["split"] == "train").any():
        raise DataError("The train split has no row.", "Bring more data, or smaller shares for the other splits.")
    for split in ("validation", "test"):
        if not ((table["split"] == split) & (table["label"] != "")).any():
            raise DataError(f"The {split} split has no labelled row.", "Bring more data, or give it a larger share.")
    table = table.drop(columns=["key", "stratum"])
    names = ("train", "validation", "test")
    return DatasetDict({split: rows.learns.rows(table[table["split"] == split], rows.labels) for split in names})


def fingerprint(splits: DatasetDict, labels: list[str]) -> str:
    """A hash of the content: the same rows in the same splits and order give the same one."""
    digest = hashlib.sha256(json.dumps(labels).encode())
    for split, rows in splits.items():
        digest.update(split.encode())
        for name in rows.column_names:
            if name != "label":
                _add_column(digest, rows, name)
        digest.update(_bytes(rows["label"][:]))
    return digest.hexdigest()[:32]


def _add_column(digest: Any, rows: Dataset, name: str) -> None:
    """The values of an input column, each after its length."""
    column = rows.cast_column(name, Image(decode=False)) if isinstance(rows.features[name], Image) else rows
    batches = column.select_columns(name).iter(ROWS_AT_ONCE)
    for value in (value for batch in batches for value in batch[name]):
        text = BETWEEN.join(value) if isinstance(value, list) else value
        data = text["bytes"] if isinstance(text, dict) else text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)


def write(splits: DatasetDict, folder: Path, rows: Rows | DataSet, *, name: str, digest: str) -> None:
    """Save as Arrow, whole or not at all."""
    about = {"name": name, "task": rows.task, "labels": rows.labels, "fingerprint": digest, "several": rows.multi_label}
    with files.whole(folder) as part:
        splits.save_to_disk(part)
        (part / _FILE).write_text(json.dumps(about, ensure_ascii=False))


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


def drawn(rows: Dataset, count: int, seed: int = 0) -> Dataset:
    """So many rows by chance, or all: data often stands in the order of its classes, and the first rows are then of
    one class alone."""
    return rows if len(rows) <= count else rows.shuffle(seed=seed).select(range(count))


def _bytes(labels: list[Any]) -> bytes:
    """Labels as bytes to be hashed."""
    if labels and isinstance(labels[0], list):
        return json.dumps(labels).encode()
    return np.asarray(labels).tobytes()


def _cut(table: pd.DataFrame, split: str, share: float, seed: int) -> None:
    """Move a share of the labelled training inputs to `split`, of every stratum alike; copies move together."""
    generator = np.random.default_rng(seed)
    first = table.loc[(table["split"] == "train") & (table["label"] != ""), ["key", "stratum"]].drop_duplicates("key")
    chosen = [np.array([], np.uint64)]
    for _, group in first.groupby("stratum", sort=True):
        count = min(max(1, round(len(group) * share)), len(group) - 1)
        chosen.append(generator.permutation(group["key"].to_numpy())[:count])
    table.loc[(table["split"] == "train") & table["key"].isin(np.concatenate(chosen)), "split"] = split
