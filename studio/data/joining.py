"""Several columns that are read as one text: their names with a plus between them, such as `title + body`."""

from collections.abc import Iterable, Sequence

import pandas as pd

from studio.data.on_disk import OnDisk
from studio.errors import DataError

PLUS = " + "
NEW_LINE = "\n"
"""Between the texts of a row."""


def name_of(columns: Sequence[str]) -> str:
    """The name of several columns as one.

    >>> name_of(["title", "body"])
    'title + body'
    """
    return PLUS.join(columns)


def parts(name: str, there: Iterable[str]) -> list[str]:
    """The columns that a name stands for: the one that is called so, else those between the plus signs; none where one
    of them is not there.

    >>> parts("title + body", ["title", "body"]), parts("a + b", ["a + b", "a"]), parts("a + b", ["a"])
    (['title', 'body'], ['a + b'], [])
    """
    known = list(there)
    if name in known:
        return [name]
    named = [part.strip() for part in name.split(PLUS.strip())]
    return named if all(part in known for part in named) else []


def cells(table: pd.DataFrame, name: str) -> pd.Series:
    """The cells of a column; of several the texts one below the other, empty ones left out. Raises `DataError` where a
    column is not there."""
    columns = parts(name, map(str, table.columns))
    if not columns:
        there = ", ".join(map(repr, table.columns))
        raise DataError(f"There is no column {name!r}; there are {there}.", "Choose one of them.")
    if len(columns) == 1:
        return table[columns[0]]
    arrays = [table[column].array for column in columns]
    on_disk = [each for each in arrays if isinstance(each, OnDisk)]
    if len(on_disk) == len(arrays):
        return pd.Series(OnDisk.joined(on_disk, NEW_LINE), index=table.index)
    rows = zip(*(table[column] for column in columns), strict=True)
    texts = [NEW_LINE.join(str(cell) for cell in row if str(cell).strip()) for row in rows]
    return pd.Series(texts, index=table.index, dtype=object)
