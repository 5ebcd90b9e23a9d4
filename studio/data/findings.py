"""What a person should know of a data set before training on it, beyond its counts."""

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from studio import tasks
from studio.data import joining, label_columns
from studio.data.columns import Columns, guess_separator, listed
from studio.data.near_labels import near_labels, spelling
from studio.data.on_disk import ROWS_AT_ONCE
from studio.tasks import chats
from studio.tasks.task import Task

FEW_ROWS = 10
"""A class with fewer rows is hard to learn."""

FEW_TEST_ROWS = 200
LOST = "\N{REPLACEMENT CHARACTER}"
TEST_SHARE = 0.2
MAJORITY = 0.8
GIVEN_AWAY = 0.99
SAMPLE = 5_000
MOST_NAMED = 5
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?(e[+-]?\d+)?", re.IGNORECASE)
NO_VALUES = {"n/a", "#n/a", "na", "nan", "null", "none", "nil", "<na>", "?", "-", "--", "unknown", "missing"}


class Finding(BaseModel):
    """One thing that was found: its kind for programs, how many rows or labels it concerns, a sentence for people."""

    kind: str
    message: str
    count: int = 0
    examples: list[str] = []


def of_rows(table: pd.DataFrame, first: np.ndarray, task: Task, classes: dict[str, int]) -> list[Finding]:
    """What the cleaned rows tell; `first` (rows,) says which ones repeat no row before them, `classes` counts the
    labelled rows."""
    found = [*(_few_rows(table) if task.kind != "token" else _shared_passages(table)), *_near_copies(table, first)]
    found += _lost_letters(table)
    if task.kind == "class":
        found += [
            *_labels_in_test_only(table),
            *_spellings(classes),
            *_near(classes),
            *_no_values(classes),
            *_ids(classes),
            *_majority(classes),
            *_in_text(table),
        ]
    if task.kind != "number":
        found += _rare(classes)
    return found


def of_columns(table: pd.DataFrame, columns: Columns, task: Task) -> tuple[Finding, ...]:
    """Texts that are none; labels that are several in one cell; other columns that tell the label by themselves."""
    sample = table.head(SAMPLE)
    read = joining.cells(sample, columns.input)
    found = _numbers(read, columns.input)
    if task.kind == "token" and columns.pair is None:
        found += _prompts_alone(read, columns.input)
    if columns.label is None or task.kind not in ("class", "multi_label"):
        return tuple(found)
    found += _numbered_tags(read, sample[columns.label], columns)
    if task.kind == "class" and not found:
        found += _several_labels(sample[columns.label], columns, task)
        found += _other_labels(sample, columns.label, columns)
        found += _giving_away(sample, columns.label, columns)
    return tuple(found)


def _numbers(cells: pd.Series, column: str) -> list[Finding]:
    """Where what is to be read is a number in every row."""
    said = [cell for cell in cells if cell]
    if len(said) < FEW_ROWS or not all(isinstance(cell, str) and _NUMBER.fullmatch(cell.strip()) for cell in said):
        return []
    message = (
        f"The cells of the column {column!r} are numbers, not texts. The studio teaches models that read texts or see "
        "images; a table of numbers is for models of another kind, such as decision trees."
    )
    return [Finding(kind="numbers", message=message)]


PROMPTS = {"prompt", "prompts", "instruction", "instructions", "question", "questions", "query", "queries"}


def _prompts_alone(cells: pd.Series, column: str) -> list[Finding]:
    """Where what a language model is to learn seems to be what it will be asked."""
    if column.strip().lower() not in PROMPTS or any(chats.is_chat(chats.said(cell)) for cell in cells.head(FEW_ROWS)):
        return []
    message = (
        f"The column {column!r} seems to hold prompts, and no column answers: models learn to write such prompts. To "
        "teach them to answer, have a large model answer the prompts first: on the page Data, or with data answer."
    )
    return [Finding(kind="prompts_alone", message=message)]


def _numbered_tags(texts: pd.Series, cells: pd.Series, columns: Columns) -> list[Finding]:
    """Where a row has a list of words, and for each of them a number that nobody has named."""
    if not all(_has_numbers(text, cell) for text, cell in zip(texts, cells, strict=True)):
        return []
    message = (
        f"The column {columns.label!r} has a number for each word of {columns.input!r}, and the file does not say what "
        "they stand for: each list is read as labels of the whole row. Write the tags themselves, such as O, B-PER and "
        "I-PER, to teach a model to find them."
    )
    return [Finding(kind="numbered_tags", message=message)]


def _has_numbers(text: object, cell: object) -> bool:
    """Whether a text is a list of words, and the cell one of as many numbers."""
    words = listed(text.strip()) if isinstance(text, str) else None
    numbers = listed(str(cell).strip()) if words else None
    return bool(words and numbers and len(words) == len(numbers) and all(map(str.isdigit, numbers)))


def _several_labels(cells: pd.Series, columns: Columns, task: Task) -> list[Finding]:
    """Where a cell seems to hold several labels, and is read as one."""
    separator = guess_separator(cells) if columns.separator is None else None
    if separator is None or tasks.get(task.name).multi_label_targets is None:
        return []
    message = (
        f"Cells of the column {columns.label!r} seem to hold several labels with {separator!r} between them, and "
        "are read as one label each: name the separator if a row can have several."
    )
    return [Finding(kind="several_labels", message=message)]


def _other_labels(sample: pd.DataFrame, column: str, columns: Columns) -> list[Finding]:
    """Columns that might as well be that of the labels."""
    names = label_columns.others(sample, column, {"image", "file", *columns.taken(sample.columns)})
    if not names:
        return []
    message = (
        f"The label is read from the column {column!r}. Other columns could be it, too: {_named(names)}. Choose the "
        "one that the models are to tell."
    )
    return [Finding(kind="other_labels", message=message, count=len(names), examples=names[:MOST_NAMED])]


def _giving_away(sample: pd.DataFrame, column: str, columns: Columns) -> list[Finding]:
    """Other columns that tell the label by themselves."""
    label = sample[column].map(lambda cell: str(cell).strip())
    sample, label = sample[label != ""], label[label != ""]
    if len(label) < 2 * FEW_ROWS or label.nunique() < 2:
        return []
    used = {"image", "file", *columns.taken(sample.columns)}
    findings = []
    for name in (name for name in sample.columns if name not in used):
        cells = sample[name].astype(str)
        if cells.nunique() > len(cells) / 5 or cells.nunique() < 2:
            continue
        best = label.groupby(cells).agg(lambda group: group.value_counts().iloc[0]).sum() / len(label)
        if best >= GIVEN_AWAY > label.value_counts(normalize=True).iloc[0]:
            message = f"The column {name!r} gives the label away: it is not read, and must not be part of the input."
            findings.append(Finding(kind="gives_away", message=message, examples=[str(name)]))
    return findings


def _shared_passages(table: pd.DataFrame) -> list[Finding]:
    """Held-out texts that have a run of words with a training text in common (Brown et al., 2020, appendix C): of
    prompts and chats what is to be written. Of much text as many runs are known as fit into memory."""
    held = table["split"].isin(["validation", "test"]).to_numpy()
    known: set[int] = set()
    for text in _to_write(table[~held]):
        known.update(_runs(text))
        if len(known) >= MOST_RUNS:
            break
    shared = [text for text in _to_write(table[held]) if not known.isdisjoint(_runs(text))] if known else []
    if not shared:
        return []
    message = (
        f"{len(shared):,} of {int(held.sum()):,} validation or test texts have {RUN_WORDS} words or more in a row that "
        "a training text has, too: models that know them by heart look better than they are."
    )
    return [Finding(kind="shared_passages", message=message, count=len(shared), examples=[shared[0][:200]])]


RUN_WORDS, MOST_RUNS = 13, 5_000_000


def _to_write(table: pd.DataFrame) -> Iterator[str]:
    """What a model learns to write of each row."""
    for cell, pair in inputs(table):
        chat = chats.messages(cell)
        if chat is not None:
            yield "\n".join(message["content"] for message in chat if message["role"] == "assistant")
        else:
            yield str(pair) if pair else str(cell)


def _runs(text: str) -> Iterator[int]:
    """The hashes of all runs of words, whatever stands between them.

    >>> len(set(_runs("a b c " * 9))), len(set(_runs("too short")))
    (3, 0)
    """
    words = re.findall(r"\w+", text.casefold())
    return (hash(tuple(words[place : place + RUN_WORDS])) for place in range(len(words) - RUN_WORDS + 1))


def _named(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(map(repr, names[:MOST_NAMED])) + more


def _rare(classes: dict[str, int]) -> list[Finding]:
    small = [label for label, count in classes.items() if count < FEW_ROWS]
    if not small:
        return []
    message = f"Fewer than {FEW_ROWS} rows for {_named(small)}: these are hard to learn."
    return [Finding(kind="rare", message=message, count=len(small), examples=small[:MOST_NAMED])]


def _labels_in_test_only(table: pd.DataFrame) -> list[Finding]:
    held = table["split"].isin(["validation", "test"])
    known = {label for label, count in table.loc[~held, "label"].value_counts().items() if count}
    tested = table.loc[held, "label"].value_counts(sort=False)
    unknown = {str(label): int(count) for label, count in tested.items() if count and label and label not in known}
    if not unknown or not known - {""}:
        return []
    rows, names = sum(unknown.values()), list(unknown)
    one = f"One validation or test row has a label that no training row has: {_named(names)}."
    message = f"{rows:,} validation or test rows have labels that no training row has: {_named(names)}."
    message = one if rows == 1 else message
    return [Finding(kind="labels_in_test_only", message=message, count=rows, examples=names[:MOST_NAMED])]


def _spellings(classes: dict[str, int]) -> list[Finding]:
    groups: dict[str, list[str]] = {}
    for label in classes:
        groups.setdefault(spelling(label), []).append(label)
    alike = [label for group in groups.values() if len(group) > 1 for label in group]
    if not alike:
        return []
    message = (
        f"Labels differ only in capitals, spaces or invisible characters: {_named(alike)}. They are learned as "
        "different labels."
    )
    return [Finding(kind="label_spelling", message=message, count=len(alike), examples=alike[:MOST_NAMED])]


def _near(classes: dict[str, int]) -> list[Finding]:
    found = []
    for rare, usual, is_by_signs in near_labels(classes):
        message = (
            f"{rare!r} and {usual!r} differ {'only in punctuation' if is_by_signs else 'by one letter'} "
            f"({classes[rare]:,} against {classes[usual]:,} rows): are they the same label?"
        )
        found.append(Finding(kind="label_near", message=message, count=classes[rare], examples=[rare, usual]))
    return found


def _no_values(classes: dict[str, int]) -> list[Finding]:
    """Labels that programs write where there is none."""
    found = [label for label in classes if label.strip().casefold() in NO_VALUES]
    if not found or len(classes) - len(found) < 2:  # "none" against "some" are two classes
        return []
    rows = sum(classes[label] for label in found)
    message = (
        f"One row has a label that often stands for a missing one: {_named(found)}. It is learned as it."
        if rows == 1
        else f"{rows:,} rows have a label that often stands for a missing one: {_named(found)}. They are learned as it."
    )
    return [Finding(kind="label_of_nothing", message=message, count=rows, examples=found[:MOST_NAMED])]


def _ids(classes: dict[str, int]) -> list[Finding]:
    rows = sum(classes.values())
    if len(classes) <= max(20, rows / 3):
        return []
    message = f"{len(classes):,} different labels in {rows:,} rows: the column looks like an id or a text, not a class."
    return [Finding(kind="id_as_label", message=message, count=len(classes))]


def _majority(classes: dict[str, int]) -> list[Finding]:
    rows = sum(classes.values())
    label, count = max(classes.items(), key=lambda item: item[1])
    if count < MAJORITY * rows:
        return []
    message = f"{count / rows:.0%} of the rows are {label!r}: a model that always says so is right as often."
    return [Finding(kind="imbalance", message=message, count=count, examples=[label])]


def _few_rows(table: pd.DataFrame) -> list[Finding]:
    labelled = table["label"] != ""
    given = int((labelled & (table["split"] == "test")).sum())
    rows = given or round(TEST_SHARE * int(labelled.sum()))
    if rows >= FEW_TEST_ROWS or rows == 0:
        return []
    points = 196 * math.sqrt(0.25 / rows)
    message = (
        f"With {'' if given else 'about '}{rows} test rows a score can be off by {points:.0f} points: small "
        "differences will not show."
    )
    return [Finding(kind="few_test_rows", message=message, count=rows)]


def _near_copies(table: pd.DataFrame, first: np.ndarray) -> list[Finding]:
    """Texts that are equal but for punctuation."""
    if len(table) and isinstance(table["input"].iloc[0], bytes):
        return []
    plain = np.sort(hashed(_words(value, pair) for value, pair in inputs(table, some=first)))
    plain = plain[plain != _NOTHING]
    count = int((plain[1:] == plain[:-1]).sum())
    if not count:
        return []
    one = "One input differs from another only in punctuation."
    message = one if count == 1 else f"{count:,} inputs differ from another only in punctuation."
    return [Finding(kind="near_copies", message=message, count=count)]


def _lost_letters(table: pd.DataFrame) -> list[Finding]:
    """Rows with the sign that stands where bytes were no letter of an encoding, or half of one."""
    lost = sum(isinstance(value, str) and LOST in f"{value}{pair}" for value, pair in inputs(table))
    lost += sum(int(count) for label, count in table["label"].value_counts().items() if LOST in str(label))
    if not lost:
        return []
    message = (
        f"{lost:,} text{' or label holds' if lost == 1 else 's or labels hold'} {LOST}: letters were lost when the "
        "file was written, or it is read in another encoding than its own."
    )
    return [Finding(kind="lost_letters", message=message, count=lost)]


def inputs(
    table: pd.DataFrame,
    related: Callable[[pd.DataFrame], pd.DataFrame] = lambda part: part,
    some: np.ndarray | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Input and pair of each row, or of those where `some` (rows,) is true, as `related` says them; a part is read
    at a time."""
    for start in range(0, len(table), ROWS_AT_ONCE):
        part = table.iloc[start : start + ROWS_AT_ONCE]
        part = related(part if some is None else part[some[start : start + ROWS_AT_ONCE]])
        yield from zip(part["input"], part["pair"], strict=True)


def hashed(texts: Iterable[bytes]) -> np.ndarray:
    """A number for each row, the same for the same bytes: large tables have no room for their texts once more."""
    return np.fromiter(
        (int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") for text in texts), np.uint64
    )


def _words(value: object, pair: object) -> bytes:
    """The letters and digits of an input."""
    texts = (_NO_WORD.sub("", str(text).lower()) for text in (value, pair) if text)
    return "\x1e".join(texts).strip("\x1e").encode("utf-8", "surrogatepass")


_NO_WORD = re.compile(r"\W+")
_NOTHING = int.from_bytes(hashlib.blake2b(b"", digest_size=8).digest(), "little")


def _in_text(table: pd.DataFrame) -> list[Finding]:
    """Inputs that hold their own label as a word of at least three letters."""
    rows = table.iloc[np.flatnonzero(table["label"] != "")[:SAMPLE]]
    if len(rows) < 2 * FEW_ROWS or isinstance(rows["input"].iloc[0], bytes):
        return []
    pairs = zip(rows["input"], rows["label"], strict=True)
    share = sum(len(label) > 2 and label.casefold() in str(text).casefold() for text, label in pairs) / len(rows)
    if share < GIVEN_AWAY:
        return []
    message = "Nearly every input holds its own label as a word: the models will look for it and learn nothing else."
    return [Finding(kind="label_in_input", message=message, count=len(rows))]
