"""The rows of a saved data set as they lie on disk, mapped into memory: what a page shows of one, and what is searched.

A row is what `Inputs.features` says: texts (`text`, `text_pair`), words, an image. Nothing here asks for a task.
"""

import functools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from studio.errors import DataError

LABEL = "label"


@dataclass(frozen=True)
class Rows:
    """The rows of one split. Nothing is read before it is asked for."""

    table: pa.Table = field(repr=False)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def inputs(self) -> list[str]:
        """The columns that a model reads."""
        return [name for name in self.table.column_names if name != LABEL]

    def label(self, row: int) -> Any:
        """What somebody said of the row, as stored: a class number, a list of them, a number."""
        return self.table.column(LABEL)[row].as_py()

    def labels(self, rows: Sequence[int] | np.ndarray) -> list[Any]:
        """The same of several rows."""
        found: list[Any] = self.table.column(LABEL).take(pa.array(rows, pa.int64())).to_pylist()
        return found

    def value(self, row: int) -> Any:
        """The input as the playground takes it: a text, two texts, a list of words, or the bytes of an image."""
        cells = [self.table.column(name)[row].as_py() for name in self.inputs]
        plain = [cell["bytes"] if isinstance(cell, dict) else cell for cell in cells]
        return plain[0] if len(plain) == 1 else plain

    @property
    def is_text(self) -> bool:
        """Whether a row can be read and searched."""
        return bool(self.texts)

    @functools.cached_property
    def texts(self) -> list[pa.ChunkedArray]:
        """The columns of text, words joined by spaces."""
        found = []
        for name in self.inputs:
            column = self.table.column(name)
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                found.append(column)
            elif pa.types.is_list(column.type):
                found.append(pc.binary_join(column, " "))
        return found

    def text(self, row: int) -> str:
        """All text of a row; "" of an image."""
        return " · ".join(column[row].as_py() or "" for column in self.texts)

    def contain(self, words: str) -> np.ndarray:
        """(rows,) bool: which rows hold these letters, small or large."""
        found = np.zeros(len(self), dtype=bool)
        for column in self.texts:
            mask = pc.fill_null(pc.match_substring(column, words, ignore_case=True), False)
            found |= mask.combine_chunks().to_numpy(zero_copy_only=False) if len(self) else found
        return found

    @functools.cached_property
    def lengths(self) -> np.ndarray:
        """(rows,): letters of a row's texts; 0 for images."""
        found = np.zeros(len(self), dtype=np.int64)
        for column in self.texts:
            found += pc.fill_null(pc.utf8_length(column), 0).to_numpy()
        return found

    def having(self, number: int) -> np.ndarray:
        """(rows,) bool: which rows have the class of this number, or have it among theirs."""
        column = self.table.column(LABEL).combine_chunks()
        if not pa.types.is_list(column.type):
            found: np.ndarray = column.to_numpy() == number
            return found
        flat, parents = pc.list_flatten(column).to_numpy(), pc.list_parent_indices(column).to_numpy()
        found = np.zeros(len(self), dtype=bool)
        found[parents[flat == number]] = True
        return found

    def like(self, other: "Rows", row: int) -> np.ndarray:
        """The numbers of the rows whose input is that row of `other`, to the letter."""
        same: np.ndarray | None = None
        for name in self.inputs:
            column, wanted = self.table.column(name), other.table.column(name)[row]
            if pa.types.is_struct(column.type):
                column, wanted = pc.struct_field(column, "bytes"), wanted["bytes"]
            elif pa.types.is_list(column.type):
                column, wanted = pc.binary_join(column, "\x1f"), "\x1f".join(wanted.as_py() or [])
            here = pc.fill_null(pc.equal(column, wanted), False).to_numpy()
            same = here if same is None else same & here
        return np.flatnonzero(same) if same is not None else np.array([], dtype=np.int64)


def opened(folder: Path, split: str) -> Rows:
    """The rows of a split of the data set in `folder`; raises `DataError` where its files are gone or damaged."""
    place = folder / split
    try:
        state = json.loads((place / "state.json").read_text(encoding="utf-8"))
        parts = []
        for file in state["_data_files"]:
            with pa.memory_map(os.fspath(place / Path(file["filename"]).name)) as mapped:
                parts.append(pa.ipc.open_stream(mapped).read_all())
        return Rows(pa.concat_tables(parts))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"The rows of the data set in {folder} cannot be read: {error}.", "Add the data again."
        ) from error


def named(value: Any, labels: Sequence[str]) -> Any:
    """A stored label, or an answer in its form, by the names of the labels: a name, a list of names, a number; None
    where nobody said.

    >>> named(1, ["bad", "good"]), named([0, 1], ["bad", "good"]), named(2.5, ["score"]), named(-1, ["bad", "good"])
    ('good', ['bad', 'good'], 2.5, None)
    """
    if isinstance(value, list):
        return [labels[number] for number in value]
    if isinstance(value, int):
        return labels[value] if value >= 0 else None
    return value
