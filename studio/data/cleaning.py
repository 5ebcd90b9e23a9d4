"""The rows of an upload, cleaned, and what a person should know of them before training."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from datasets import disable_progress_bars
from pydantic import BaseModel

from studio import tasks
from studio.data import findings, joining, refused, splits
from studio.data.columns import Columns, guess_columns
from studio.data.findings import Finding
from studio.data.refused import Refused, Told
from studio.data.uploads import Upload
from studio.errors import DataError
from studio.tasks.classes import BETWEEN
from studio.tasks.task import Task

MIN_ROWS = 10
NO_INPUT, NO_LABEL, NO_ANSWER = "no input", "for testing, without a label", "no answer"


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
    ("" = none), split ("" = not said) and line (its number in the file, 0 in another file).

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


def clean(
    upload: Upload, columns: Columns, task: str, test: Upload | None = None, unlabelled: Upload | None = None
) -> Rows:
    """The rows that can be used, those of `test` marked as such. Raises `DataError` where there is nothing to learn.

    Rows of `unlabelled` are for training, and lose whatever label they have.
    """
    learns = tasks.get(task, columns.separator is not None)
    parts = [_part(upload, columns, learns)]
    if test is not None:
        parts.append(_part(test, columns, learns).assign(split="test"))
    if unlabelled is not None:
        parts.append(_part(unlabelled, _input_columns(unlabelled, columns, task), learns).assign(split="train"))
    table = pd.concat(parts, ignore_index=True)
    table, unusable = _usable(table, answered=learns.kind == "token" and columns.pair is not None)
    learns.inputs.check(table)
    labels = learns.targets.names(list(table["label"]), columns.label)
    if len(table) < MIN_ROWS:
        raise DataError(f"The data set has {len(table)} rows; at least {MIN_ROWS} are needed.", "Bring more data.")
    earlier = [each for given in (upload, test, unlabelled) if given is not None for each in given.refused]
    empty = next((each.count for each in unusable if each.reason == NO_INPUT), 0)
    return Rows(
        task, table, empty, labels, multi_label=columns.separator is not None, refused=(*earlier, *unusable),
        hints=findings.of_columns(upload.table, columns, learns),
    )  # fmt: skip


def _usable(table: pd.DataFrame, answered: bool) -> tuple[pd.DataFrame, list[Refused]]:
    """The rows that have an input and, where they are for testing, a label, and where prompts are `answered`, an
    answer; the others are counted."""
    blank = table["input"].map(lambda value: not value if isinstance(value, bytes) else not str(value).strip())
    unlabelled_test = (table["split"] == "test") & (table["label"] == "") & ~blank
    unanswered = ~blank & (table["pair"].map(lambda text: not str(text).strip()) if answered else False)
    found = [
        as_refused(reason, table[rows])
        for reason, rows in ((NO_INPUT, blank), (NO_LABEL, unlabelled_test), (NO_ANSWER, unanswered))
        if rows.any()
    ]
    return table[~blank & ~unlabelled_test & ~unanswered].reset_index(drop=True), found


def as_refused(reason: str, rows: pd.DataFrame) -> Refused:
    """Rows of a cleaned table that are left out."""
    cells = rows[["input", "pair", "label", "split"]].itertuples(index=False, name=None)
    return Refused.of(reason, rows["line"], map(refused.as_line, cells))


def inspect(rows: Rows) -> Report:
    """Counts and warnings that a person should see before training."""
    table = rows.table
    same = keys(table)
    labelled = table["label"] != ""
    different = table[labelled].groupby(same[labelled])["label"].nunique()
    leaked = _leaked(table, same)
    report = Report(
        rows=len(table),
        labelled=int(labelled.sum()),
        unlabelled=int((~labelled).sum()),
        empty=rows.empty,
        classes=rows.learns.targets.counts(list(table.loc[labelled, "label"]), rows.labels),
        words=_word_counts(table) if rows.learns.modality == "text" else {},
        duplicates=int(same.duplicated().sum()),
        conflicts=int((different > 1).sum()),
        leaked=leaked,
        splits={split or "not said": int(count) for split, count in table["split"].value_counts().items()},
        read=len(table) + sum(each.count for each in rows.refused),
        refused=[each.told for each in rows.refused],
        warnings=[],
    )
    found = [*_counted(report), *findings.of_rows(table, same, rows.learns, report.classes), *rows.hints]
    return report.model_copy(update={"findings": found, "warnings": [each.message for each in found]})


def _input_columns(upload: Upload, like: Columns, task: str) -> Columns:
    """Where a file without labels has its inputs: in columns of the same names, else where they are guessed."""
    guessed = guess_columns(upload, task)
    there = upload.table.columns
    text = like.input if joining.parts(like.input, there) else guessed.input
    return Columns(text, None, pair=like.pair if joining.parts(like.pair or "", there) else guessed.pair)


def _part(upload: Upload, columns: Columns, task: Task) -> pd.DataFrame:
    """One upload as columns input, pair, label, split."""
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
    empty = pd.Series([""] * len(table), index=table.index, dtype=object)
    said = table[columns.label] if columns.label else empty
    label = said.map(lambda cell: _label(cell, columns.separator if columns.label else None, task))
    split = _splits(table[columns.split], columns.split) if columns.split else empty
    pair = joining.cells(table, columns.pair) if columns.pair else empty
    lines = upload.lines if len(upload.lines) == len(table) else range(1, len(table) + 1)
    values = {
        "input": joining.cells(table, columns.input),
        "pair": pair,
        "label": label,
        "split": split,
    }
    return pd.DataFrame(values, dtype=object).assign(line=np.asarray(lines, dtype=np.int64))


def _splits(cells: pd.Series, column: str) -> pd.Series:
    """The split that each cell names; "" where it names none. A name that is no split's is asked for."""
    named = cells.map(lambda cell: str(cell).strip())
    splits.require_known(set(named) - {""}, f"A split in the column {column!r}")
    return named.map(lambda name: splits.of(name) or "")


def _label(cell: object, separator: str | None, task: Task) -> str:
    """The label of a cell, or its labels in the order of the alphabet with `BETWEEN` between them."""
    if separator is None:
        return task.targets.read(cell)
    return BETWEEN.join(sorted({part.strip() for part in str(cell).split(separator)} - {""}))


def keys(table: pd.DataFrame) -> pd.Series:
    """What makes two inputs the same: equal bytes, or equal texts but for case and white space; as 64 bits of a hash,
    which in a table of two million rows fall together by chance once in ten million tables."""
    return findings.hashed(table, map(_key, table["input"], table["pair"]))


def _key(value: object, pair: object) -> bytes:
    if isinstance(value, bytes):
        return value
    text = " ".join(str(value).lower().split())
    second = " ".join(str(pair).lower().split())
    return (f"{text}\x1e{second}" if second else text).encode("utf-8", "surrogatepass")


def _leaked(table: pd.DataFrame, same: pd.Series) -> int:
    """Rows of given validation and test splits whose input also stands in train."""
    held = table["split"].isin(["validation", "test"])
    return int(same[held].isin(set(same[~held])).sum())


def _word_counts(table: pd.DataFrame) -> dict[str, int]:
    """Quantiles of the number of words; a CJK character counts as one."""
    counts = table["input"].map(
        lambda text: len(str(text).split()) + sum("\u3040" <= letter <= "\u9fff" for letter in str(text))
    )
    shares = {"shortest": 0, "median": 0.5, "95 % are shorter than": 0.95, "longest": 1}
    return {name: int(counts.quantile(share)) for name, share in shares.items()}


def _counted(report: Report) -> list[Finding]:
    """What the counts alone tell."""
    told = []
    if report.leaked:
        told.append(
            Finding(
                kind="leaks",
                count=report.leaked,
                message=f"{report.leaked:,} rows appear in both training and validation or test data: "
                "the results will look better than they are.",
            )
        )
    if report.conflicts:
        message = f"{report.conflicts:,} identical inputs have conflicting labels."
        told.append(Finding(kind="conflicts", count=report.conflicts, message=message))
    if report.duplicates:
        message = f"{report.duplicates:,} rows repeat the input of another row."
        told.append(Finding(kind="copies", count=report.duplicates, message=message))
    if report.empty:
        message = f"{report.empty:,} rows have no input and are left out."
        told.append(Finding(kind="empty", count=report.empty, message=message))
    told += [
        Finding(kind="refused", count=each.count, message=str(each))
        for each in report.refused
        if each.reason != NO_INPUT
    ]
    if report.unlabelled:
        message = f"{report.unlabelled:,} rows have no label: the student learns them from the teacher alone."
        told.append(Finding(kind="unlabelled", count=report.unlabelled, message=message))
    return told


disable_progress_bars()  # its bars would end up in the log of the server
