"""A data set on disk: split, written as Arrow in one move, opened again."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict, Image, concatenate_datasets, load_from_disk
from datasets.arrow_writer import ArrowWriter

from studio import files
from studio.data.cleaning import Rows, firsts
from studio.errors import DataError
from studio.tasks.classes import BETWEEN

VALIDATION_SHARE = 0.1
TEST_SHARE = 0.2
MANY_COPIES = 10
"""So many rows of one input may go into a split that is made here, however few rows there are."""
_FILE = "dataset.json"
ROWS_AT_ONCE = 10_000
SPLITS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = 1, 2, 3
"""Their numbers, from 1 on."""


@dataclass(frozen=True)
class DataSet:
    """A saved data set, ready to train on."""

    dict: DatasetDict
    labels: list[str]
    task: str
    fingerprint: str
    name: str
    multi_label: bool = False


@dataclass(frozen=True)
class Part:
    """The rows of one split, by their numbers; read some at a time, as often as is asked."""

    rows: Rows
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Dataset]:
        for start in range(0, len(self), ROWS_AT_ONCE):
            some = self.rows.table.iloc[self.places[start : start + ROWS_AT_ONCE]]
            yield self.rows.learns.rows(some, self.rows.labels)


@dataclass(frozen=True)
class Divided:
    """Cleaned rows in their splits."""

    rows: Rows
    parts: dict[str, Part]

    def whole(self) -> DatasetDict:
        """All of it in memory."""
        nothing = self.rows.learns.rows(self.rows.table.head(0), self.rows.labels)
        return DatasetDict({split: concatenate_datasets([nothing, *part]) for split, part in self.parts.items()})


def divide(
    rows: Rows,
    *,
    validation_share: float = VALIDATION_SHARE,
    test_share: float = TEST_SHARE,
    seed: int = 0,
) -> Divided:
    """Splits train, validation and test. Given ones stay; missing ones are cut from train, class by class, or tenth by
    tenth of a number.

    Rows without a label go to train alone. In splits made here, copies of one input always stay together.
    """
    labelled = (rows.table["label"] != "").to_numpy()
    split = np.array(rows.table["split"].astype(pd.CategoricalDtype(["", *SPLITS])).cat.codes)  # a place in SPLITS + 1
    split[split == 0] = TRAIN
    strata = _strata(rows)
    rest = 1.0
    for number, share in ((TEST, test_share), (VALIDATION, validation_share)):
        if not (split == number).any():
            split[_cut(rows.related, strata, (split == TRAIN) & labelled, share / rest, seed)] = number
            rest -= share
    split[~labelled] = TRAIN
    if not (split == TRAIN).any():
        raise DataError("The train split has no row.", "Bring more data, or smaller shares for the other splits.")
    for number in (VALIDATION, TEST):
        if not ((split == number) & labelled).any():
            name = SPLITS[number - 1]
            raise DataError(f"The {name} split has no labelled row.", "Bring more data, or give it a larger share.")
    parts = {name: Part(rows, np.flatnonzero(split == number)) for number, name in enumerate(SPLITS, start=1)}
    return Divided(rows, parts)


def _strata(rows: Rows) -> pd.Categorical:
    """(rows,): what rows must be alike in; where a label is no number, that is asked once for each different one."""
    labels, targets = rows.table["label"].array, rows.learns.targets
    if rows.learns.kind == "number":
        return pd.Categorical(targets.strata(list(labels)))
    different = pd.Categorical(targets.strata(list(labels.categories)))
    return pd.Categorical.from_codes(different.codes[labels.codes], dtype=different.dtype)


def _cut(groups: np.ndarray, strata: pd.Categorical, able: np.ndarray, share: float, seed: int) -> np.ndarray:
    """(rows,): which of the rows that are `able` to go make up a share of their inputs, of every stratum alike; copies
    go together. Copies that are half of such a share by themselves stay, where there are others."""
    generator = np.random.default_rng(seed)
    numbers = np.flatnonzero(able)
    numbers = numbers[firsts(groups[numbers])]
    chosen = np.zeros(int(groups.max(initial=-1)) + 1, dtype=bool)
    sizes = np.bincount(groups[able], minlength=len(chosen))
    codes = strata.codes[numbers]
    for code in range(len(strata.categories)):
        group = groups[numbers[codes == code]]
        if len(group):
            most = max(MANY_COPIES, share * sizes[group].sum() / 2)
            small = group[sizes[group] <= most]
            others, group = len(group) - 1, small if len(small) else group
            count = min(max(1, round(len(group) * share)), others)
            chosen[generator.permutation(group)[:count]] = True
    return able & chosen[groups]


def fingerprint(parts: Mapping[str, Iterable[Dataset]], labels: list[str]) -> str:
    """A hash of the content, which is read once for each column: the same rows in the same splits and order give the
    same one."""
    digest = hashlib.sha256(json.dumps(labels).encode())
    for split, part in parts.items():
        digest.update(split.encode())
        names: list[str] = next((rows.column_names for rows in part), [])
        for name in (name for name in names if name != "label"):
            for rows in part:
                _add_column(digest, rows, name)
        _add_labels(digest, part)
    return digest.hexdigest()[:32]


def _add_column(digest: Any, rows: Dataset, name: str) -> None:
    """The values of an input column, each after its length."""
    column = rows.cast_column(name, Image(decode=False)) if isinstance(rows.features[name], Image) else rows
    batches = column.select_columns(name).iter(ROWS_AT_ONCE)
    for value in (value for batch in batches for value in batch[name]):
        text = BETWEEN.join(value) if isinstance(value, list) else value
        data = text["bytes"] if isinstance(text, dict) else text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)


def _add_labels(digest: Any, parts: Iterable[Dataset]) -> None:
    """Numbers as their bytes, lists of them as one list in JSON."""
    between = "["
    for labels in (rows["label"][:] for rows in parts):
        if labels and isinstance(labels[0], list):
            digest.update((between + json.dumps(labels)[1:-1]).encode())
            between = ", "
        else:
            digest.update(np.asarray(labels).tobytes())
    if between == ", ":
        digest.update(b"]")


def write(
    parts: Mapping[str, Iterable[Dataset]], folder: Path, rows: Rows | DataSet, *, name: str, digest: str
) -> None:
    """Save the parts of `rows` as Arrow, whole or not at all, some rows at a time."""
    about = {"name": name, "task": rows.task, "labels": rows.labels, "fingerprint": digest, "several": rows.multi_label}
    features = next(some.features for part in parts.values() for some in part)
    nothing = Dataset.from_dict({column: [] for column in features}, features=features)
    with files.whole(folder) as place:
        empty = DatasetDict(dict.fromkeys(parts, nothing))
        empty.save_to_disk(place, num_shards=dict.fromkeys(parts, 1))  # all but the rows
        for split, part in parts.items():
            _write_rows(next((place / split).glob("*.arrow")), itertools.chain(part, [nothing]), features)
        (place / _FILE).write_text(json.dumps(about, ensure_ascii=False))


def _write_rows(file: Path, part: Iterable[Dataset], features: Any) -> None:
    with ArrowWriter(path=str(file), features=features) as writer:
        for table in (table for rows in part for table in rows.with_format("arrow").iter(ROWS_AT_ONCE)):
            writer.write_table(table)
        writer.finalize()


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
