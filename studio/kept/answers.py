"""The kept answers: what a model of a run said of every row of a split, as an Arrow file that is mapped into memory.

The final evaluation writes one file for each role and split under `home.kept(run_id)`, whole or not at all. Row r of a
file is row r of the split in the saved data set (`studio.kept.rows`). Columns:

    answer      what the model says, in the form of the data set's column `label`
    confidence  how likely the whole answer is, as the model says, 0 to 1; NaN where an answer has no probability
    loss        the loss with the label, in the unit of the task's label loss; NaN where the row has no label
    labelled    whether somebody said what the row is
    right       whether the answer is right, or near enough (`Targets.solved`); false where `labelled` is
    statistics  s numbers that the task's measures read, of the rows that are `labelled`; 0 elsewhere
    logits      (classes,) for each row, or a list of them, one a position; no such column in a split of more than
                `MOST_VALUES` of them

    teacher = answers.opened(home, run_id, "teacher", "test")
    if teacher is not None:                       # None: a run from before answers were kept
        teacher.right.mean()
        task.targets.measure(teacher.statistics)  # the numbers of the verdict, of any rows

Several teachers are one role: their answers are fused. Of several seeds it is the exported one that is kept. Of the
training rows only what the teacher recorded of them is kept. `ENSEMBLE` is no model: teacher and student, fused.
"""

import functools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa

from studio import files
from studio.errors import DataError
from studio.events import OLD_TEST, Role
from studio.home import Home

ROLES: tuple[str, ...] = get_args(Role)
"""Teacher first."""

ENSEMBLE = "ensemble"

SPLITS = {"test": "test", "validation": "validation", "train": "train", OLD_TEST: "old-test"}
"""The splits of which answers are kept, and what their files are called."""

MOST_VALUES = 100_000_000
"""Of one model's logits: 400 MB."""

VERSION = 1
ABOUT = b"studio"


@dataclass(frozen=True)
class Answers:
    """What a model says of the rows of a split, as arrays. `offsets` (rows + 1,): where the positions of a row begin;
    None where a row is one position."""

    answer: pa.Array
    confidence: np.ndarray
    loss: np.ndarray
    labelled: np.ndarray
    right: np.ndarray
    statistics: np.ndarray
    logits: np.ndarray
    offsets: np.ndarray | None = None


@dataclass(frozen=True)
class Kept:
    """The kept answers of one model to one split. Arrays are views of the file: nothing is read before it is used."""

    role: str
    split: str
    seed: int | None
    batch: pa.RecordBatch = field(repr=False)

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    @property
    def confidence(self) -> np.ndarray:
        """(rows,) float32, 0 to 1; NaN where an answer has no probability."""
        return self._numbers("confidence")

    @property
    def loss(self) -> np.ndarray:
        """(rows,) float32; NaN where the row has no label."""
        return self._numbers("loss")

    @functools.cached_property
    def labelled(self) -> np.ndarray:
        """(rows,) bool: whether somebody said what the row is."""
        return self._flags("labelled")

    @functools.cached_property
    def right(self) -> np.ndarray:
        """(rows,) bool: whether the answer is right, or near enough."""
        return self._flags("right")

    @property
    def statistics(self) -> np.ndarray:
        """(labelled rows, s): what `task.targets.measure`, `right` and `confusion` read."""
        column = self.batch.column("statistics")
        found: np.ndarray = column.values.to_numpy().reshape(len(self), -1)
        return found if self.labelled.all() else found[self.labelled]

    @property
    def has_logits(self) -> bool:
        """Whether there were few enough to keep."""
        return "logits" in self.batch.schema.names

    @property
    def one_per_row(self) -> bool:
        """Whether position r of `logits` is row r."""
        return self.has_logits and pa.types.is_fixed_size_list(self.batch.column("logits").type)

    @property
    def logits(self) -> np.ndarray:
        """(positions, classes) float32, of all rows in their order; NaN where the model did not see a position.

        Raises `KeyError` where there were too many to keep (`has_logits`).
        """
        column = self.batch.column("logits")
        inner = column if pa.types.is_fixed_size_list(column.type) else column.values
        found: np.ndarray = inner.values.to_numpy().reshape(-1, inner.type.list_size)
        return found

    @property
    def offsets(self) -> np.ndarray:
        """(rows + 1,): row r has the positions offsets[r] to offsets[r + 1] - 1 of `logits`."""
        column = self.batch.column("logits")
        if pa.types.is_fixed_size_list(column.type):
            return np.arange(len(self) + 1)
        found: np.ndarray = column.offsets.to_numpy()
        return found

    def answers(self, rows: Sequence[int] | np.ndarray | None = None) -> list[Any]:
        """What is said of these rows, all without any, as plain values in the form of the column `label`: a class
        number, a list of label numbers, a number, a list of tag numbers."""
        column = self.batch.column("answer")
        found: list[Any] = (column if rows is None else column.take(pa.array(rows, pa.int64()))).to_pylist()
        return found

    def logits_of(self, row: int) -> np.ndarray:
        """(positions, classes) of one row. Raises `KeyError` as `logits` does."""
        offsets = self.batch.column("logits")
        if pa.types.is_fixed_size_list(offsets.type):
            return self.logits[row : row + 1]
        start, end = offsets.offsets[row].as_py(), offsets.offsets[row + 1].as_py()
        return self.logits[start:end]

    def _numbers(self, name: str) -> np.ndarray:
        found: np.ndarray = self.batch.column(name).to_numpy()
        return found

    def _flags(self, name: str) -> np.ndarray:
        found: np.ndarray = self.batch.column(name).to_numpy(zero_copy_only=False)
        return found


def place(home: Home, run_id: int, role: str, split: str) -> Path:
    """Where the answers of a role to a split are kept."""
    if role not in (*ROLES, ENSEMBLE):
        raise ValueError(f"role must be one of {', '.join(ROLES)} or {ENSEMBLE}, got {role!r}")
    return home.kept(run_id) / f"{role}-{SPLITS[split]}.arrow"


def opened(home: Home, run_id: int, role: str, split: str = "test") -> Kept | None:
    """The kept answers of a role; None where there are none, as of an older run. Raises `DataError` where the file is
    damaged."""
    file = place(home, run_id, role, split)
    try:
        with pa.memory_map(os.fspath(file)) as mapped:
            reader = pa.ipc.open_file(mapped)
            about = json.loads((reader.schema.metadata or {})[ABOUT])
            return Kept(role, split, about["seed"], reader.get_batch(0))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:  # Arrow's own errors are both
        raise DataError(
            f"The kept answers of the {role} of run {run_id} cannot be read: {error}.", "Have them computed anew."
        ) from error


def of_run(home: Home, run_id: int, split: str = "test") -> dict[str, Kept]:
    """The kept answers of all models of a run by role, teacher first; empty for an older run. Raises `DataError`."""
    found = {role: opened(home, run_id, role, split) for role in ROLES}
    return {role: kept for role, kept in found.items() if kept is not None}


def same(first: Kept, second: Kept) -> np.ndarray:
    """(rows,) bool: of which rows two models say the same, to the label and tag; of numbers to the last digit."""
    mine, theirs = first.batch.column("answer"), second.batch.column("answer")
    if not pa.types.is_list(mine.type):
        return np.asarray(mine.to_numpy() == theirs.to_numpy())
    lengths = [np.diff(column.offsets.to_numpy()) for column in (mine, theirs)]
    found = np.asarray(lengths[0] == lengths[1])
    if found.all():  # as tags always are
        apart = mine.values.to_numpy() != theirs.values.to_numpy()
        found[np.repeat(np.arange(len(found)), lengths[0])[apart]] = False
        return found
    for row in np.flatnonzero(found):
        found[row] = mine[row].as_py() == theirs[row].as_py()
    return found


def write(home: Home, run_id: int, role: str, split: str, said: Answers, seed: int | None = None) -> int:
    """Keep what a model said, in place of what was kept before; returns the bytes on disk."""
    columns = {
        "answer": said.answer,
        "confidence": pa.array(said.confidence.astype(np.float32)),
        "loss": pa.array(said.loss.astype(np.float32)),
        "labelled": pa.array(said.labelled),
        "right": pa.array(_scattered(said.right[:, None], said.labelled)[:, 0]),
        "statistics": _lists(_small(_scattered(said.statistics, said.labelled))),
    }
    if said.logits.size <= MOST_VALUES:
        lists = _lists(said.logits.astype(np.float32, copy=False))
        is_one = said.offsets is None
        columns["logits"] = lists if is_one else pa.LargeListArray.from_arrays(pa.array(said.offsets), lists)
    about = json.dumps({"version": VERSION, "role": role, "split": split, "seed": seed})
    batch = pa.RecordBatch.from_pydict(columns, metadata={ABOUT: about.encode()})
    file = place(home, run_id, role, split)
    with files.whole_file(file) as part, pa.OSFile(os.fspath(part), "wb") as sink:
        with pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
    return file.stat().st_size


def _lists(values: np.ndarray) -> pa.Array:
    """(n, s) as n lists of s values."""
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def _scattered(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The rows of `values` at the places that are true; 0 elsewhere."""
    if where.all():
        return values
    found = np.zeros((len(where), values.shape[1]), values.dtype)
    found[where] = values
    return found


def _small(values: np.ndarray) -> np.ndarray:
    """Whole numbers in as few bytes as hold them.

    >>> _small(np.array([[1, 300]])).dtype, _small(np.array([[0.5]])).dtype
    (dtype('int16'), dtype('float64'))
    """
    if not np.issubdtype(values.dtype, np.integer) or not values.size:
        return values
    kinds = (np.int8, np.int16, np.int32, np.int64)
    low, high = values.min(), values.max()
    return values.astype(next(kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max))
