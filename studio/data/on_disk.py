"""Columns of a table whose cells stay on disk: pandas holds where they are, and they are read some at a time.

A table of millions of texts takes so no more memory than the numbers of its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from pandas.api.extensions import ExtensionArray, ExtensionDtype

ROWS_AT_ONCE = 16_384


class Chunk(Protocol):
    """Some cells that follow each other."""

    def __len__(self) -> int: ...

    def cells(self) -> np.ndarray:
        """All of them, as Python's values."""
        ...


@dataclass(frozen=True)
class ArrowFile:
    """A file in Arrow's format. `keep` is what removes it when nobody needs it any more."""

    path: Path
    keep: Any = None

    def columns(self) -> dict[str, OnDisk]:
        """The columns of the file; one without a row has no chunk."""
        with pa.OSFile(str(self.path)) as source:
            reader = pa.ipc.open_file(source)
            sizes = [reader.get_batch(number).num_rows for number in range(reader.num_record_batches)]
            names = reader.schema.names
        return {
            name: OnDisk([_Batch(self, place, number, size) for number, size in enumerate(sizes)])
            for place, name in enumerate(names)
        }


@dataclass(frozen=True)
class _Batch:
    """One column of one batch of a file."""

    file: ArrowFile
    column: int
    number: int
    size: int

    def __len__(self) -> int:
        return self.size

    def cells(self) -> np.ndarray:
        options = pa.ipc.IpcReadOptions(included_fields=[self.column])
        with pa.OSFile(str(self.file.path)) as source:
            column = pa.ipc.open_file(source, options=options).get_batch(self.number).column(0)
            return as_objects(column.to_pylist())


@dataclass(frozen=True)
class _Held:
    """Cells in memory, as those of a small file beside a large one."""

    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def cells(self) -> np.ndarray:
        return self.values


@dataclass(frozen=True)
class _Joined:
    """The cells of several columns as one text, what is blank left out."""

    parts: tuple[Chunk, ...]
    between: str

    def __len__(self) -> int:
        return len(self.parts[0])

    def cells(self) -> np.ndarray:
        rows = zip(*(part.cells() for part in self.parts), strict=True)
        return as_objects([self.between.join(str(cell) for cell in row if str(cell).strip()) for row in rows])


class OnDiskType(ExtensionDtype):
    """What pandas calls such a column."""

    name = "on disk"
    type = object
    kind = "O"

    @classmethod
    def construct_array_type(cls) -> Any:
        return OnDisk

    def _get_common_dtype(self, dtypes: list[Any]) -> Any:
        return self


class OnDisk(ExtensionArray):
    """Cells of `chunks`, in their order, or those at `places` among them. It can be read, cut and put together, and
    never changed."""

    dtype = OnDiskType()

    def __init__(self, chunks: Sequence[Chunk], places: np.ndarray | None = None) -> None:
        self.chunks = tuple(chunks)
        self.places = places
        self._ends = np.cumsum([len(chunk) for chunk in self.chunks], dtype=np.int64)
        self._last: tuple[int, np.ndarray] | None = None

    @classmethod
    def joined(cls, columns: Sequence[OnDisk], between: str) -> OnDisk:
        """The columns of one table as one, with `between` between the cells of a row."""
        first = columns[0]
        parts = zip(*(column.chunks for column in columns), strict=True)
        return cls([_Joined(tuple(each), between) for each in parts], first.places)

    @classmethod
    def alike(cls, cell: str, count: int) -> OnDisk:
        """The same cell so many times."""
        return cls([_Held(np.full(min(ROWS_AT_ONCE, count - start), cell, dtype=object))
                    for start in range(0, count, ROWS_AT_ONCE)])  # fmt: skip

    @classmethod
    def stacked(cls, columns: Sequence[OnDisk]) -> OnDisk:
        """The cells of all of them, one below the other."""
        return cls._concat_same_type(columns)

    def __len__(self) -> int:
        if self.places is not None:
            return len(self.places)
        return int(self._ends[-1]) if len(self._ends) else 0

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self), ROWS_AT_ONCE):
            yield from self._some(start, start + ROWS_AT_ONCE)

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, int | np.integer):
            place = int(item) + (len(self) if item < 0 else 0)
            if not 0 <= place < len(self):
                raise IndexError(f"row {item} of {len(self)}")
            return self._some(place, place + 1)[0]
        if isinstance(item, slice):
            return OnDisk(self.chunks, self._numbers()[item])
        item = np.asarray(item)
        chosen = np.flatnonzero(item) if item.dtype == bool else item.astype(np.int64)
        return OnDisk(self.chunks, self._numbers()[chosen])

    def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> OnDisk:
        chosen = np.asarray(indices, dtype=np.int64)
        if allow_fill and (chosen < 0).any():
            raise ValueError("a column on disk has no empty cells")
        return self[chosen]

    def copy(self) -> OnDisk:
        return OnDisk(self.chunks, self.places)

    def isna(self) -> np.ndarray:
        return np.zeros(len(self), dtype=bool)

    def map(self, mapper: Any, na_action: Any = None) -> np.ndarray:
        """What is made of the cells lies in memory, as of any other column."""
        return as_objects([mapper(cell) for cell in self])

    @property
    def nbytes(self) -> int:
        """In memory."""
        return 0 if self.places is None else int(self.places.nbytes)

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        if isinstance(dtype, OnDiskType):
            return self
        return as_objects(list(self)) if dtype is object else super().astype(dtype, copy=copy)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return as_objects(list(self)) if dtype in (None, object) else np.array(list(self), dtype=dtype)

    def __arrow_array__(self, type: Any = None) -> pa.Array:
        return pa.array(list(self), type=type)

    def __eq__(self, other: Any) -> Any:
        others = other if isinstance(other, OnDisk | np.ndarray | list) else [other] * len(self)
        return np.fromiter((a == b for a, b in zip(self, others, strict=True)), bool, len(self))

    @classmethod
    def _from_sequence(cls, scalars: Any, *, dtype: Any = None, copy: bool = False) -> OnDisk:
        return scalars if isinstance(scalars, OnDisk) else cls([_Held(as_objects(list(scalars)))])

    @classmethod
    def _concat_same_type(cls, to_concat: Iterable[OnDisk]) -> OnDisk:
        arrays = list(to_concat)
        chunks = [chunk for array in arrays for chunk in array.chunks]
        if all(array.places is None for array in arrays):
            return cls(chunks)
        before = np.cumsum([0, *(sum(map(len, array.chunks)) for array in arrays)])
        places = [array._numbers() + start for array, start in zip(arrays, before, strict=False)]
        return cls(chunks, _small(np.concatenate(places)))

    def _numbers(self) -> np.ndarray:
        return _small(np.arange(len(self))) if self.places is None else self.places

    def _some(self, start: int, stop: int) -> np.ndarray:
        """The cells from one row to another, chunk by chunk."""
        stop = min(stop, len(self))
        places = np.arange(start, stop) if self.places is None else self.places[start:stop]
        numbers = np.searchsorted(self._ends, places, side="right")
        cells = np.empty(len(places), dtype=object)
        for number in np.unique(numbers):
            chosen = numbers == number
            begin = self._ends[number] - len(self.chunks[number])
            cells[chosen] = self._chunk(int(number))[places[chosen] - begin]
        return cells

    def _chunk(self, number: int) -> np.ndarray:
        if self._last is None or self._last[0] != number:
            self._last = number, self.chunks[number].cells()
        return self._last[1]


def as_objects(values: Sequence[Any]) -> np.ndarray:
    """A row of Python's values, whatever they are."""
    cells = np.empty(len(values), dtype=object)
    cells[:] = values
    return cells


def _small(places: np.ndarray) -> np.ndarray:
    """Places in as few bytes as they need."""
    return places.astype(np.int32) if not len(places) or places.max() < 2**31 else places.astype(np.int64)
