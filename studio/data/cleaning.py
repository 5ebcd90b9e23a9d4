"""Data sets: guess the columns, inspect, split, save as Arrow, load."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import pandas as pd
from datasets import disable_progress_bars
from pydantic import BaseModel

from studio.config.run import TaskName
from studio.data.columns import Columns, guess_columns
from studio.data.uploads import SPLITS, Upload
from studio.errors import DataError

MAX_LABELS = 1_000
MIN_ROWS = 10
BETWEEN = "\x1f"


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
class Rows:
    """The rows of an upload, cleaned: `table` has the columns input, label ("" = none), split ("" = not said).

    `multi_label`: a row can have any number of labels; they stand in one cell, with `BETWEEN` between them.
    """

    task: TaskName
    table: pd.DataFrame
    empty: int
    labels: list[str] = field(default_factory=list)
    multi_label: bool = False


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
    return Rows(task, table, int(blank.sum()), labels, multi_label=columns.separator is not None)


def inspect(rows: Rows) -> Report:
    """Counts and warnings that a person should see before training."""
    table = rows.table
    keys = _keys(table)
    labelled = table["label"] != ""
    multi_label = table[labelled].groupby(keys[labelled])["label"].nunique()
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
        conflicts=int((multi_label > 1).sum()),
        leaked=leaked,
        splits={split or "not said": int(count) for split, count in table["split"].value_counts().items()},
        warnings=[],
    )
    return report.model_copy(update={"warnings": _warnings(report)})


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


disable_progress_bars()  # its bars would end up in the log of the server
