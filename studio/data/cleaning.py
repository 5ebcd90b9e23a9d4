"""The rows of an upload, cleaned, and what a person should know of them before training."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np
import pandas as pd
from datasets import disable_progress_bars
from pandas.api.types import union_categoricals
from pydantic import BaseModel

from studio import tasks
from studio.data import findings, joining, refused, splits
from studio.data.columns import Columns, guess_columns, listed
from studio.data.findings import Finding
from studio.data.refused import Refused, Told
from studio.data.uploads import Upload
from studio.errors import DataError
from studio.tasks import chats
from studio.tasks.classes import BETWEEN
from studio.tasks.language import NO_ANSWER
from studio.tasks.task import Task

MIN_ROWS = 10
NO_INPUT, NO_LABEL = "no input", "for testing, without a label"


class Report(BaseModel):
    """What was found in a data set before it is saved. `read` = `rows` + those that were `refused`."""

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
    read: int = 0
    refused: list[Told] = []
    findings: list[Finding] = []
    warnings: list[str]


@dataclass(frozen=True)
class Rows:
    """The rows of an upload, cleaned: `table` has the columns input, pair ("" where it is no pair of texts), label
    ("" = none), split ("" = not said) and line (its number in the file, 0 in another file). Inputs of a large upload
    stay on disk.

    `multi_label`: a row can have any number of labels; they stand in one cell, with `BETWEEN` between them.
    `refused` says which rows of the files are not among them, and why; `hints` what their other columns tell.
    """

    task: str
    table: pd.DataFrame
    empty: int
    labels: list[str] = field(default_factory=list)
    multi_label: bool = False
    refused: tuple[Refused, ...] = ()
    hints: tuple[Finding, ...] = ()

    @property
    def learns(self) -> Task:
        return tasks.get(self.task, self.multi_label)

    @cached_property
    def groups(self) -> np.ndarray:
        """(rows,): the same number for rows of the same input, from 0 on."""
        return grouped(keys(self.table))

    @cached_property
    def related(self) -> np.ndarray:
        """(rows,): the same number for rows that belong into one split."""
        some, inputs = self.table.head(1), self.learns.inputs
        return self.groups if inputs.related(some) is some else grouped(keys(self.table, inputs.related))

    @cached_property
    def report(self) -> Report:
        return inspect(self)


def clean(
    upload: Upload,
    columns: Columns,
    task: str,
    test: Upload | None = None,
    unlabelled: Upload | None = None,
    validation: Upload | None = None,
) -> Rows:
    """The rows that can be used, those of `test` and `validation` marked as such. Raises `DataError` where there is
    nothing to learn.

    Rows of `unlabelled` are for training, and lose whatever label they have.
    """
    learns = tasks.get(task, columns.separator is not None)
    parts = [_part(upload, columns, learns)]
    for given, split in ((validation, "validation"), (test, "test")):
        if given is not None:
            _require_columns(given, columns, split)
            parts.append(_part(given, replace(columns, split=None), learns, split))
    if unlabelled is not None:
        parts.append(_part(unlabelled, _input_columns(unlabelled, columns, task), learns, "train"))
    table, unusable = _usable(_stacked(parts), learns, columns)
    labels = learns.targets.names(list(table["label"].cat.remove_unused_categories().cat.categories), columns.label)
    if len(table) < MIN_ROWS:
        message = f"The data set has {len(table)} rows; at least {MIN_ROWS} are needed."
        raise DataError(" ".join([message, *(str(each.told) for each in unusable)]), "Bring more data.")
    files = [given for given in (upload, validation, test, unlabelled) if given is not None]
    empty = next((each.count for each in unusable if each.reason == NO_INPUT), 0)
    return Rows(
        task, table, empty, labels, multi_label=columns.separator is not None,
        refused=(*(refused for given in files for refused in given.refused), *unusable),
        hints=findings.of_columns(upload.table, columns, learns),
    )  # fmt: skip


def more(upload: Upload, columns: Columns, task: str) -> tuple[pd.DataFrame, tuple[Refused, ...]]:
    """The rows of an upload that can stand beside those of a data set that is there already, as `Rows.table` has them,
    and those that cannot: its labels are known, so that one row is enough."""
    learns = tasks.get(task, columns.separator is not None)
    table, unusable = _usable(_stacked([_part(upload, columns, learns)]), learns, columns)
    return table, (*upload.refused, *unusable)


def _require_columns(upload: Upload, columns: Columns, split: str) -> None:
    """Raise `DataError` where the file of a split lacks a column that is read."""
    there = upload.table.columns
    needed = (column for column in (columns.input, columns.pair, columns.label) if column is not None)
    missing = next((column for column in needed if not joining.parts(column, there)), None)
    if missing is not None:
        listed = ", ".join(map(repr, there))
        raise DataError(f"The {split} file has no column {missing!r}; it has {listed}.", "Name the columns alike.")


def _stacked(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all files, one below the other."""
    if len(parts) == 1:
        return parts[0]
    columns: dict[str, Any] = {}
    for name in parts[0]:
        cells = [part[name] for part in parts]
        is_category = isinstance(cells[0].dtype, pd.CategoricalDtype)
        columns[name] = union_categoricals(cells) if is_category else pd.concat(cells, ignore_index=True)
    return pd.DataFrame(columns, copy=False)


def _usable(table: pd.DataFrame, task: Task, columns: Columns) -> tuple[pd.DataFrame, list[Refused]]:
    """The rows that have an input and, where they are for testing, a label, and where prompts have answers, one; and
    whose parts go together. The others are counted, each for the first reason."""
    values = ((not value if isinstance(value, bytes) else not str(value).strip()) for value in table["input"])
    reasons = [
        (NO_INPUT, np.fromiter(values, bool, len(table))),
        (NO_LABEL, ((table["split"] == "test") & (table["label"] == "")).to_numpy()),
        *((reason, np.array(rows, bool)) for reason, rows in task.inputs.unusable(table).items()),
    ]
    if task.kind == "token" and columns.pair is not None:
        pairs = zip(table["input"], table["pair"], strict=True)
        unanswered = (not str(text).strip() and not chats.is_chat(chats.said(cell)) for cell, text in pairs)
        reasons.append((NO_ANSWER, np.fromiter(unanswered, bool, len(table))))
    found, left = [], np.zeros(len(table), bool)
    for reason, rows in reasons:
        if (rows & ~left).any():
            found.append(as_refused(reason, table[rows & ~left]))
        left |= rows
    return (table[~left].reset_index(drop=True) if left.any() else table), found


def as_refused(reason: str, rows: pd.DataFrame) -> Refused:
    """Rows of a cleaned table that are left out."""
    cells = rows[["input", "pair", "label", "split"]].itertuples(index=False, name=None)
    return Refused.of(reason, rows["line"], map(refused.as_line, cells))


def inspect(rows: Rows) -> Report:
    """Counts and warnings that a person should see before training."""
    table, groups = rows.table, rows.groups
    labelled = (table["label"] != "").to_numpy()
    first = firsts(groups)
    report = Report(
        rows=len(table),
        labelled=int(labelled.sum()),
        unlabelled=int((~labelled).sum()),
        empty=rows.empty,
        classes=rows.learns.targets.counts(list(table["label"][labelled]), rows.labels),
        words=_word_counts(table, groups) if rows.learns.modality == "text" else {},
        duplicates=len(table) - int(first.sum()),
        conflicts=_conflicts(groups[labelled], table["label"].cat.codes.to_numpy()[labelled]),
        leaked=_leaked(table, groups),
        splits={split or "not said": int(count) for split, count in table["split"].value_counts().items() if count},
        read=len(table) + sum(each.count for each in rows.refused),
        refused=[each.told for each in rows.refused],
        warnings=[],
    )
    found = [*_counted(report), *findings.of_rows(table, first, rows.learns, report.classes), *rows.hints]
    return report.model_copy(update={"findings": found, "warnings": [each.message for each in found]})


def firsts(groups: np.ndarray) -> np.ndarray:
    """(rows,): whether a row is the first one of its group."""
    places = np.full(int(groups.max(initial=-1)) + 1, -1, dtype=np.int32)
    places[groups[::-1]] = np.arange(len(groups), dtype=np.int32)[::-1]  # the last one that is written is the first row
    found = np.zeros(len(groups), dtype=bool)
    found[places[places >= 0]] = True
    return found


def grouped(keys: np.ndarray) -> np.ndarray:
    """(rows,): numbers from 0 on, the same for the same keys."""
    order = np.argsort(keys)
    ordered = keys[order]
    starts = np.empty(len(keys), dtype=bool)
    starts[:1], starts[1:] = False, ordered[1:] != ordered[:-1]
    del ordered
    groups = np.empty(len(keys), dtype=np.int32)
    groups[order] = np.cumsum(starts, dtype=np.int32)
    return groups


def _conflicts(groups: np.ndarray, labels: np.ndarray) -> int:
    """How many groups of rows have several labels."""
    some = np.full(int(groups.max(initial=-1)) + 1, -1, dtype=labels.dtype)
    some[groups] = labels
    return len(np.unique(groups[some[groups] != labels]))


def _input_columns(upload: Upload, like: Columns, task: str) -> Columns:
    """Where a file without labels has its inputs: in columns of the same names, else where they are guessed."""
    guessed = guess_columns(upload, task)
    there = upload.table.columns
    text = like.input if joining.parts(like.input, there) else guessed.input
    return Columns(text, None, pair=like.pair if joining.parts(like.pair or "", there) else guessed.pair)


def _part(upload: Upload, columns: Columns, task: Task, split: str | None = None) -> pd.DataFrame:
    """One upload as columns input, pair, label, split, line; all of it in `split` where one is given."""
    table = upload.table
    for role, column in columns.as_dict().items():
        if role != "separator" and not joining.parts(column, table.columns):
            there = ", ".join(map(repr, table.columns))
            raise DataError(f"There is no column {column!r} for the {role}; there are {there}.", "Choose one of them.")
    first, second = (joining.parts(name or "", table.columns) for name in (columns.input, columns.pair))
    if columns.label in (*first, *second):
        raise DataError(f"Input and label are the same column, {columns.label!r}.", "Choose two different ones.")
    if set(first) & set(second):
        raise DataError(f"Both texts are the same column, {columns.input!r}.", "Choose two different ones.")
    read = partial(_label, separator=columns.separator, task=task)
    lines = upload.lines if len(upload.lines) == len(table) else range(1, len(table) + 1)
    values = {
        "input": joining.cells(table, columns.input).array,
        "pair": joining.cells(table, columns.pair).array if columns.pair else _same("", len(table)),
        "label": _categories(table[columns.label], read)
        if columns.label
        else _same(_label("", None, task), len(table)),
        "split": _splits(table, columns.split, split),
        "line": np.zeros(len(table), np.int32) if split else np.fromiter(lines, np.int32, len(table)),
    }
    return pd.DataFrame(values, copy=False)


def _same(cell: str, rows: int) -> pd.Categorical:
    """So many cells that are all alike."""
    return pd.Categorical.from_codes(np.zeros(rows, np.int8), categories=[cell])


def _codes(cells: Iterable[Any], rows: int) -> tuple[np.ndarray, list[Any]]:
    """(rows,): the number of each cell among the different ones, and these."""
    known: dict[Any, int] = {}
    codes = np.fromiter((known.setdefault(cell, len(known)) for cell in cells), np.int32, rows)
    return codes, list(known)


def _categories(cells: pd.Series, read: Callable[[Any], str]) -> pd.Categorical:
    """What `read` makes of the cells; it is asked once for each different one."""
    codes, different = _codes(cells, len(cells))
    again, names = _codes(map(read, different), len(different))
    return pd.Categorical.from_codes(again[codes], categories=names)


def _splits(table: pd.DataFrame, column: str | None, split: str | None) -> pd.Categorical:
    """The split of each row; "" where none is named. A name that is no split's is asked for."""
    if split is not None or column is None:
        return _same(split or "", len(table))
    found = _categories(table[column], lambda cell: str(cell).strip())
    splits.require_known(set(found.categories) - {""}, f"A split in the column {column!r}")
    return _categories(pd.Series(found), lambda name: splits.of(name) or "")


def _label(cell: object, separator: str | None, task: Task) -> str:
    """The label of a cell, or its labels in the order of the alphabet with `BETWEEN` between them."""
    if separator is None:
        return task.targets.read(cell)
    several = listed(str(cell).strip())
    parts = str(cell).split(separator) if several is None else several
    return BETWEEN.join(sorted({part.strip() for part in parts} - {""}))


def keys(table: pd.DataFrame, related: Callable[[pd.DataFrame], pd.DataFrame] = lambda part: part) -> np.ndarray:
    """(rows,): what makes two inputs the same: equal bytes, or equal texts but for case and white space; as 64 bits of
    a hash, which in a table of ten million rows fall together by chance once in 400,000 tables. `related` gives the
    columns input and pair that are compared."""
    return findings.hashed(_key(value, pair) for value, pair in findings.inputs(table, related))


def _key(value: object, pair: object) -> bytes:
    return value if isinstance(value, bytes) else _text_key(str(value), str(pair))


@lru_cache(maxsize=64)  # a workbook of a few kilobytes can hold one text of 30,000 letters in each of its rows
def _text_key(text: str, pair: str) -> bytes:
    first, second = (" ".join(part.lower().split()) for part in (text, pair))
    return (f"{first}\x1e{second}" if second else first).encode("utf-8", "surrogatepass")


def leaks(table: pd.DataFrame, groups: np.ndarray) -> np.ndarray:
    """(rows,): whether a row for training has an input that a given validation or test split has, too."""
    held = _held(table)
    return ~held & _within(groups, held)


def _leaked(table: pd.DataFrame, groups: np.ndarray) -> int:
    """Rows of given validation and test splits whose input also stands in train."""
    held = _held(table)
    return int((held & _within(groups, ~held)).sum())


def _held(table: pd.DataFrame) -> np.ndarray:
    return table["split"].isin(["validation", "test"]).to_numpy()


def _within(groups: np.ndarray, some: np.ndarray) -> np.ndarray:
    """(rows,): whether a row is in a group of which one row is among `some`."""
    marked = np.zeros(int(groups.max(initial=-1)) + 1, dtype=bool)
    marked[groups[some]] = True
    return marked[groups]


WORD_COUNTS = {"shortest": 0, "median": 0.5, "95 % are shorter than": 0.95, "longest": 1}
"""Quantiles of the number of words, by what they are called."""


def _word_counts(table: pd.DataFrame, groups: np.ndarray) -> dict[str, int]:
    """Quantiles of the number of words, which are counted once in each of the `groups` of rows with the same input."""
    first = firsts(groups)
    different = findings.inputs(table, some=first)
    counts = np.empty(int(first.sum()), np.int32)
    counts[groups[first]] = np.fromiter((_count_words(str(text)) for text, _ in different), np.int32, len(counts))
    of_rows = pd.Series(counts[groups])
    return {name: int(of_rows.quantile(share)) for name, share in WORD_COUNTS.items()}


def _count_words(text: str) -> int:
    """A CJK character counts as one.

    >>> _count_words("good film"), _count_words("这部 Netflix 电影")
    (2, 5)
    """
    if text.isascii():
        return len(text.split())
    others, characters = _CJK.subn(" ", text)
    return len(others.split()) + characters


_CJK = re.compile("[\u3040-\u9fff]")


def _counted(report: Report) -> list[Finding]:
    """What the counts alone tell."""
    problems = []
    if report.leaked:
        one = (
            "One row appears in both training and validation or test data: the results will look better than they are."
        )
        many = (
            f"{report.leaked:,} rows appear in both training and validation or test data: "
            "the results will look better than they are."
        )
        problems.append(Finding(kind="leaks", count=report.leaked, message=one if report.leaked == 1 else many))
    if report.conflicts:
        one = "One input appears with conflicting labels."
        message = one if report.conflicts == 1 else f"{report.conflicts:,} identical inputs have conflicting labels."
        problems.append(Finding(kind="conflicts", count=report.conflicts, message=message))
    if report.duplicates:
        one = "One row repeats the input of another row."
        message = one if report.duplicates == 1 else f"{report.duplicates:,} rows repeat the input of another row."
        problems.append(Finding(kind="copies", count=report.duplicates, message=message))
    if report.empty:
        one = "One row has no input and is left out."
        message = one if report.empty == 1 else f"{report.empty:,} rows have no input and are left out."
        problems.append(Finding(kind="empty", count=report.empty, message=message))
    problems += [
        Finding(kind="refused", count=each.count, message=str(each))
        for each in report.refused
        if each.reason != NO_INPUT
    ]
    if report.unlabelled:
        one = "One row has no label: the student learns it from the teacher alone."
        many = f"{report.unlabelled:,} rows have no label: the student learns them from the teacher alone."
        message = one if report.unlabelled == 1 else many
        problems.append(Finding(kind="unlabelled", count=report.unlabelled, message=message))
    return problems


disable_progress_bars()  # its bars would end up in the log of the server
