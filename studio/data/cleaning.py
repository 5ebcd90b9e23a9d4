"""Data sets: guess the columns, inspect, split, save as Arrow, load."""

import hashlib
import json
import os
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict, Features, Image, Sequence, Value, disable_progress_bars, load_from_disk
from pydantic import BaseModel

from studio.config import UNLABELLED, TaskName
from studio.errors import DataError
from studio.uploads import SPLITS, Upload

VALIDATION_SHARE = 0.1
TEST_SHARE = 0.2
MAX_LABELS = 1_000
MIN_ROWS = 10
_FILE = "dataset.json"
BETWEEN = "\x1f"
SEPARATORS = ("|", ";", ",")
disable_progress_bars()  # its bars would end up in the log of the server
_INPUT_NAMES = ("text", "sentence", "message", "review", "content", "question", "utterance", "body", "text_a", "title")
_LABEL_NAMES = ("label", "labels", "class", "category", "intent", "target", "sentiment", "y", "tag", "topic")


@dataclass(frozen=True)
class Columns:
    """Which column is the input, which the label (None: there is none), which names the split (None: likewise).

    `separator` stands between the labels of one cell, where a row can have several.
    """

    input: str
    label: str | None
    split: str | None = None
    separator: str | None = None

    def as_dict(self) -> dict[str, str]:
        """What was chosen, by its role; what was not is left out."""
        named = {"input": self.input, "label": self.label, "split": self.split, "separator": self.separator}
        return {role: column for role, column in named.items() if column is not None}


class Report(BaseModel):
    """What was found in a data set before it is saved."""

    rows: int
    labelled: int
    unlabelled: int
    empty: int
    classes: dict[str, int]
    words: dict[str, int] = {}
    duplicates: int
    conflicts: int
    leaked: int
    splits: dict[str, int]
    warnings: list[str]


@dataclass(frozen=True)
class DataSet:
    """A saved data set, ready to train on."""

    dict: DatasetDict
    labels: list[str]
    task: TaskName
    fingerprint: str
    name: str
    several: bool = False


@dataclass(frozen=True)
class Rows:
    """The rows of an upload, cleaned: `table` has the columns input, label ("" = none), split ("" = not said).

    `several`: a row can have any number of labels; they stand in one cell, with `BETWEEN` between them.
    """

    task: TaskName
    table: pd.DataFrame
    empty: int
    labels: list[str] = field(default_factory=list)
    several: bool = False


def guess_task(upload: Upload) -> TaskName:
    return "image-classification" if upload.kind == "images" else "text-classification"


def guess_columns(upload: Upload) -> Columns:
    """By name first; else the longest texts are the input, and the column with few different values the label."""
    if upload.kind == "images":
        return Columns("image", "label", "split")
    table = upload.table
    names = {str(name).strip().lower(): str(name) for name in table.columns}
    split = next((names[name] for name in ("split", "subset", "partition") if name in names), None)
    left = [str(name) for name in table.columns if str(name) != split]
    sample = table.head(2_000)
    label = next((names[name] for name in _LABEL_NAMES if name in names), None)
    text = next((names[name] for name in _INPUT_NAMES if name in names and names[name] != label), None)
    if text is None:
        others = [name for name in left if name != label] or left
        text = max(others, key=lambda name: sample[name].astype(str).str.len().mean())
    if label is None:
        others = [name for name in left if name != text]
        few = [name for name in others if 1 < sample[name].nunique() <= max(2, min(200, len(sample) // 2))]
        label = min(few, key=lambda name: sample[name].nunique(), default=others[0] if others else None)
    return Columns(text, label, split)


def clean(
    upload: Upload, columns: Columns, task: TaskName, test: Upload | None = None, unlabelled: Upload | None = None
) -> Rows:
    """The rows that can be used, those of `test` marked as such. Raises `DataError` where there is nothing to learn.

    Rows of `unlabelled` are for training, and lose whatever label they have.
    """
    parts = [_part(upload, columns)]
    if test is not None:
        parts.append(_part(test, columns).assign(split="test"))
    if unlabelled is not None:
        found = guess_columns(unlabelled).input
        input_column = columns.input if columns.input in unlabelled.table.columns else found
        parts.append(_part(unlabelled, Columns(input_column, None)).assign(split="train"))
    table = pd.concat(parts, ignore_index=True)
    blank = table["input"].map(lambda value: not value if isinstance(value, bytes) else not str(value).strip())
    unlabelled_test = (table["split"] == "test") & (table["label"] == "")
    table = table[~blank & ~unlabelled_test].reset_index(drop=True)
    labels = sorted({one for cell in set(table["label"]) for one in cell.split(BETWEEN)} - {""}, key=_label_order)
    if len(labels) < 2:
        found = f"only {labels[0]!r}" if labels else "none"
        raise DataError(
            f"Column {columns.label!r} must hold at least two different labels, got {found}.", "Choose another column."
        )
    if len(labels) > MAX_LABELS:
        raise DataError(
            f"Column {columns.label!r} holds {len(labels):,} different labels; at most {MAX_LABELS:,} are learned.",
            "Choose the column with the classes.",
        )
    if len(table) < MIN_ROWS:
        raise DataError(f"The data set has {len(table)} rows; at least {MIN_ROWS} are needed.", "Bring more data.")
    return Rows(task, table, int(blank.sum()), labels, several=columns.separator is not None)


def inspect(rows: Rows) -> Report:
    """Counts and warnings that a person should see before training."""
    table = rows.table
    keys = _keys(table)
    labelled = table["label"] != ""
    several = table[labelled].groupby(keys[labelled])["label"].nunique()
    classes = Counter(one for cell in table.loc[labelled, "label"] for one in cell.split(BETWEEN))
    leaked = _leaked(table, keys)
    report = Report(
        rows=len(table),
        labelled=int(labelled.sum()),
        unlabelled=int((~labelled).sum()),
        empty=rows.empty,
        classes={label: classes[label] for label in rows.labels},
        words=_word_counts(table) if rows.task == "text-classification" else {},
        duplicates=int(keys.duplicated().sum()),
        conflicts=int((several > 1).sum()),
        leaked=leaked,
        splits={split or "not said": int(count) for split, count in table["split"].value_counts().items()},
        warnings=[],
    )
    return report.model_copy(update={"warnings": _warnings(report)})


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
    label = Sequence(Value("int64")) if rows.several else Value("int64")
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
    several = not isinstance(splits["train"].features["label"], Value)
    about = {"name": name, "task": task, "labels": labels, "fingerprint": digest, "several": several}
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
    several = about.get("several", False)
    return DataSet(splits, about["labels"], about["task"], about["fingerprint"], about["name"], several)


def _part(upload: Upload, columns: Columns) -> pd.DataFrame:
    """One upload as columns input, label, split."""
    table = upload.table
    for role, column in columns.as_dict().items():
        if role != "separator" and column not in table.columns:
            there = ", ".join(map(repr, table.columns))
            raise DataError(f"There is no column {column!r} for the {role}; there are {there}.", "Choose one of them.")
    if columns.input == columns.label:
        raise DataError(f"Input and label are the same column, {columns.input!r}.", "Choose two different ones.")
    empty = pd.Series([""] * len(table), index=table.index, dtype=object)
    label = table[columns.label].map(lambda cell: _label(cell, columns.separator)) if columns.label else empty
    split = (
        table[columns.split].map(lambda value: SPLITS.get(str(value).strip().lower(), "")) if columns.split else empty
    )
    return pd.DataFrame({"input": table[columns.input], "label": label, "split": split}, dtype=object)


def _label(cell: object, separator: str | None) -> str:
    """The label of a cell, or its labels in the order of the alphabet with `BETWEEN` between them."""
    text = str(cell).strip()
    if separator is None:
        return text
    return BETWEEN.join(sorted({part.strip() for part in text.split(separator)} - {""}))


def guess_separator(upload: Upload, label: str | None) -> str | None:
    """What stands between several labels of one cell: splitting there must leave few labels that come again."""
    if label is None or label not in upload.table.columns:
        return None
    cells = [str(cell) for cell in upload.table[label].head(2_000) if str(cell).strip()]
    for separator in SEPARATORS:
        parts = [part.strip() for cell in cells for part in cell.split(separator)]
        split = len(parts) - len(cells)
        if split >= len(cells) / 20 and len(set(parts)) < min(len(set(cells)), len(parts) / 5):
            return separator
    return None


def _bytes(labels: list[Any]) -> bytes:
    """Labels as bytes to be hashed."""
    if labels and isinstance(labels[0], list):
        return json.dumps(labels).encode()
    return np.asarray(labels, dtype=np.int64).tobytes()


def _label_order(label: str) -> tuple[int, float, str]:
    """Numbers by size, before everything else by letters."""
    try:
        return (0, float(label), label)
    except ValueError:
        return (1, 0.0, label)


def _keys(table: pd.DataFrame) -> pd.Series:
    """What makes two inputs the same: equal bytes, or equal texts but for case and white space."""
    return table["input"].map(
        lambda value: (
            hashlib.sha1(value, usedforsecurity=False).hexdigest()
            if isinstance(value, bytes)
            else " ".join(str(value).lower().split())
        )
    )


def _leaked(table: pd.DataFrame, keys: pd.Series) -> int:
    """Rows of given validation and test splits whose input also stands in train."""
    held = table["split"].isin(["validation", "test"])
    return int(keys[held].isin(set(keys[~held])).sum())


def _word_counts(table: pd.DataFrame) -> dict[str, int]:
    """Quantiles of the number of words; a CJK character counts as one."""
    counts = table["input"].map(
        lambda text: len(str(text).split()) + sum("\u3040" <= one <= "\u9fff" for one in str(text))
    )
    shares = {"shortest": 0, "median": 0.5, "95 % are shorter than": 0.95, "longest": 1}
    return {name: int(counts.quantile(share)) for name, share in shares.items()}


def _warnings(report: Report) -> list[str]:
    warnings = []
    small = [label for label, count in report.classes.items() if count < 10]
    if small:
        more = f" and {len(small) - 5} more" if len(small) > 5 else ""
        warnings.append(f"Fewer than 10 rows for {', '.join(map(repr, small[:5]))}{more}: these are hard to learn.")
    if report.leaked:
        warnings.append(
            f"{report.leaked:,} inputs of the validation or test set also stand in the training data: "
            "the accuracy will look better than it is."
        )
    if report.conflicts:
        warnings.append(f"{report.conflicts:,} inputs come with different labels.")
    if report.empty:
        warnings.append(f"{report.empty:,} rows have no input and are left out.")
    if report.unlabelled:
        warnings.append(f"{report.unlabelled:,} rows have no label: the student learns them from the teacher alone.")
    return warnings


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
