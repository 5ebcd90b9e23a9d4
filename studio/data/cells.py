"""What every reader gives back: rows of texts, and what was found out while they were read."""

import json
import re
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from studio.data.refused import Refused
from studio.errors import DataError, LimitError

MAX_ROWS = 50_000_000
MAX_COLUMNS = 500
MAX_READ_COLUMNS = 5_000
"""So many may a text file have, whose columns become one: an image with a column for each of its points."""

MAX_CELL = 10 * 1024**2
MAX_NAME = 1_000
"""Letters of a column's name, which pages and reports show again and again."""

MAX_SOURCE = 255
"""Letters of the name of a file or a sheet that stands beside each of its rows: no file system has longer ones."""

_HALVES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Found:
    """A table of texts. `lines` are the numbers of its rows' lines in the file, where it has lines."""

    table: pd.DataFrame
    notes: tuple[str, ...] = ()
    lines: Sequence[int] = ()
    refused: tuple[Refused, ...] = ()


Block = TypeVar("Block")
Changed = TypeVar("Changed")
Blocks = Generator[Found, None, tuple[str, ...]]
"""A table in blocks of rows; what is returned at the end are the notes of all of it."""


def gathered(blocks: Blocks) -> Found:
    """The blocks as one table, in memory."""
    parts: list[Found] = []
    notes = each(blocks, parts.append)
    if len(parts) == 1:
        return replace(parts[0], notes=(*parts[0].notes, *notes))
    table = pd.concat([part.table for part in parts], ignore_index=True).astype(object).fillna("")
    lines = [line for part in parts for line in part.lines]
    return Found(table, notes, lines, tuple(refused for part in parts for refused in part.refused))


def each(blocks: Generator[Block, None, tuple[str, ...]], take: Callable[[Block], object]) -> tuple[str, ...]:
    """Give every block to `take`; returns the notes."""
    while True:
        try:
            block = next(blocks)
        except StopIteration as end:
            notes: tuple[str, ...] = end.value
            return notes
        take(block)


def changed(
    blocks: Generator[Block, None, tuple[str, ...]], change: Callable[[Block], Changed]
) -> Generator[Changed, None, tuple[str, ...]]:
    """The blocks as `change` makes them, with their notes."""
    while True:
        try:
            block = next(blocks)
        except StopIteration as end:
            notes: tuple[str, ...] = end.value
            return notes
        yield change(block)


def preceded(first: Block, blocks: Generator[Block, None, tuple[str, ...]]) -> Generator[Block, None, tuple[str, ...]]:
    """A block that was taken already, and those that follow it."""
    yield first
    return (yield from blocks)


def names_of(first: Sequence[str], width: int) -> tuple[list[str], list[str]]:
    """Column names, each one once, and a note where that took something; unnamed columns get their number.

    >>> names_of(["text", "", "text"], 3)[0]
    ['text', '1', 'text_2']
    """
    names: list[str] = []
    doubled = []
    taken: set[str] = set()
    for index in range(width):
        name = (first[index].strip() if index < len(first) else "") or str(index)
        if name in taken:
            doubled.append(name)
        while name in taken:
            name += "_2"
        names.append(name)
        taken.add(name)
    notes = [f"Two columns are called {name!r}; the second is {name + '_2'!r} here." for name in doubled[:3]]
    return names, notes


def require_few(rows: int, columns: int, most: int = MAX_COLUMNS) -> None:
    """Raise `LimitError` where a table is larger than what is read."""
    if rows > MAX_ROWS:
        raise LimitError(f"The table has {rows:,} rows; at most {MAX_ROWS:,} are read.", "Split it.")
    if columns > most:
        raise LimitError(f"The table has {columns:,} columns; at most {most:,} are read.", "Keep the ones you need.")


def require_short(names: Iterable[str]) -> None:
    """Raise `LimitError` where a column's name is longer than what is read."""
    longest = max(map(len, names), default=0)
    if longest > MAX_NAME:
        message = f"A column has a name of {longest:,} letters; at most {MAX_NAME:,} are read."
        raise LimitError(message, "Write a short one, or say that the file has no header.")


def require_short_sources(names: Iterable[str]) -> None:
    """Raise `LimitError` where the name of a file or a sheet, which is to stand beside each row, is longer than any is:
    a small file would become a large table."""
    longest = max(map(len, names), default=0)
    if longest > MAX_SOURCE:
        message = f"A file or sheet has a name of {longest:,} letters; at most {MAX_SOURCE} are read."
        raise LimitError(message, "Give it a short one.")


def of_records(records: Iterable[dict[str, Any]], lines: Sequence[int] = ()) -> Found:
    """Rows given as dictionaries, fields within fields by their path. Raises `DataError` where they hold nothing."""
    columns: dict[str, None] = {}
    rows = []
    for record in records:
        row = dict(_flat(record))
        columns |= dict.fromkeys(row)
        rows.append(row)
        require_few(len(rows), len(columns))
    if not rows:
        raise DataError("The file holds no rows.", "Choose another one.")
    if not columns:
        raise DataError(f"The {len(rows):,} rows of the file are all empty.", "Write the fields text and label.")
    table = pd.DataFrame({name: [cell(row.get(name)) for row in rows] for name in columns}, dtype=object)
    return Found(table, lines=tuple(lines))


def _flat(record: dict[str, Any], before: str = "", depth: int = 0) -> Iterable[tuple[str, Any]]:
    for name, value in record.items():
        path = clean_text(f"{before}{name}")
        if isinstance(value, dict) and value and depth < 4 and not {"bytes", "path"} <= set(value) and not _says(value):
            yield from _flat(value, f"{path}.", depth + 1)
        else:
            yield path, value


def _says(value: dict[str, Any]) -> bool:
    """Whether a dictionary says where in a text what is: by types, by words, places. Its names are no columns.

    >>> _says({"name": {"Ada": [[0, 2]]}}), _says({"en": "a", "de": "b"})
    (True, False)
    """
    words = [places for each in value.values() if isinstance(each, dict) for places in each.values()]
    return len(words) >= len(value) and all(
        isinstance(places, list) and places and all(isinstance(place, list) and len(place) == 2 for place in places)
        for places in words
    )


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Every cell as a person would write it; a missing one is empty, a whole number has no point."""
    names, _ = names_of([clean_text(str(name)) for name in table.columns], len(table.columns))
    columns = [[cell(value) for value in _values(table.iloc[:, place])] for place in range(len(names))]
    return pd.DataFrame(dict(zip(names, columns, strict=True)), dtype=object)


def _values(column: pd.Series) -> Iterable[object]:
    """The values of a column; of numbers with few digits as they are, for as Python's own they show digits that nobody
    wrote."""
    return column.to_numpy() if column.dtype in (np.float16, np.float32) else column


def cell(value: object) -> str:
    """A value as a text that UTF-8 can hold; lists and what has names as JSON.

    >>> cell(np.float32(0.1)), cell(np.array([0.1, 2], dtype=np.float32)), cell(["a", np.array([{"b": np.int64(1)}])])
    ('0.1', '[0.1, 2.0]', '["a", [{"b": 1}]]')
    """
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list | tuple | dict | np.ndarray):
        return clean_text(json.dumps(value, ensure_ascii=False, default=_plain))
    if isinstance(value, np.floating):
        value = _plain(value)
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return clean_text(str(value))


def _plain(value: object) -> object:
    """What JSON knows in place of a value that it does not."""
    if isinstance(value, np.ndarray):
        return list(value) if value.ndim else value.item()
    if isinstance(value, np.floating):
        return float(value if value.is_integer() else str(value))
    return value.item() if isinstance(value, np.generic) else str(value)


def clean_text(text: str) -> str:
    """The text; halves of characters, which no file can hold, become the sign for a letter that was lost."""
    return text if text.isascii() else _HALVES.sub("\N{REPLACEMENT CHARACTER}", text)
