"""Images that are written as numbers: a column for each point, as the digits and letters of Kaggle are, or one column
with all points of an image, as the faces of FER2013 are. Grey, square, row by row from the top left."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image

from studio.data import image_tables, splits
from studio.data.refused import Refused, as_line

LOOKED_AT, MOST = 200, 0.9
"""So many rows are looked at first, and so large a share of them must be images; those that are none are left out."""

SMALLEST, LARGEST = 8, 128
"""The sides of images that are looked for: fewer columns of numbers are a table of something else."""

WHITE = 255
SCALES = (1, 16, WHITE)
"""How bright white is: a share, as in the digits of UCI and scikit-learn, or a byte."""

NO_POINTS = f"not as many points as the other images, or not numbers from 0 to {WHITE}"
"""Why such a row is not taken."""

MOST_LETTERS = 8 * LARGEST**2
"""More are in no cell that holds the points of an image."""

_NAME = re.compile(r"(?:pixel|pix|px|p)?[ _-]?\d+|\d+x\d+|pixel_\d+_\d+", re.IGNORECASE)
_SAID = re.compile(r"[\[\]\s,;]+")
_USAGE = {"training": splits.TRAIN, "publictest": splits.VALIDATION, "privatetest": splits.TEST}
"""What the splits of the competition with these faces are called."""


@dataclass(frozen=True)
class _Columns:
    """Those of the points, and how far white is: 1 where they are shares of it."""

    points: Sequence[str]
    side: int
    white: int


class Points:
    """Changes the tables of a file into tables of images, one block after the other; the first one tells whether it is
    such a file."""

    def __init__(self, table: pd.DataFrame) -> None:
        some = table.head(LOOKED_AT)
        self.found = _of_columns(some) or _in_a_column(some)
        taken = set(self.found.points) if self.found else set()
        others = [str(name) for name in table.columns if name not in taken]
        self.split = next((name for name in others if name.strip().lower() in (*splits.COLUMNS, "usage")), None)
        left = [name for name in others if name != self.split]
        self.label = image_tables.label_column(left, left if len(left) == 1 else [])

    def changed(self, table: pd.DataFrame, lines: Sequence[int]) -> tuple[pd.DataFrame, list[int], tuple[Refused, ...]]:
        """(the images, the lines that they stand in, the rows whose points cannot be read)."""
        assert self.found is not None
        values, good = _values(table[list(self.found.points)], self.found)
        kept = table[good].reset_index(drop=True)
        said = kept[self.split].map(_split) if self.split is not None else ""
        label = kept[self.label] if self.label is not None else ""
        others = kept.drop(columns=[*self.found.points, *filter(None, [self.split, self.label])])
        cells = np.empty(len(kept), dtype=object)
        cells[:] = [_file(row, self.found) for row in values[good]]
        images = others.assign(image=cells, label=label, split=said, file="")
        numbers = list(lines) if len(lines) == len(table) else [0] * len(table)
        bad = [
            (number, as_line(row)) for number, row, ok in zip(numbers, table.to_numpy(), good, strict=True) if not ok
        ]
        refused = (Refused.of(NO_POINTS, *zip(*bad, strict=True)),) if bad else ()
        return images, [number for number, ok in zip(numbers, good, strict=True) if ok], refused

    @property
    def notes(self) -> tuple[str, ...]:
        assert self.found is not None
        points, side = self.found.points, self.found.side
        if len(points) > 1:
            drawn = f"The numbers in {len(points):,} columns are grey images of {side} × {side} points."
        else:
            drawn = f"The numbers in {points[0]!r} are grey images of {side} × {side} points."
        return (drawn, "They have no labels." if self.label is None else f"Their labels stand in {self.label!r}.")


def _of_columns(some: pd.DataFrame) -> _Columns | None:
    """A column for each point; of columns without names the first one is the label, or the last one."""
    names = [str(name) for name in some.columns]
    points = [name for name in names if _NAME.fullmatch(name.strip())]
    for chosen in (points, _without_label(some, points)):
        side = _side(len(chosen))
        if side and len(names) - len(chosen) <= SMALLEST:
            return _with_white(some[chosen], chosen, side)
    return None


def _without_label(some: pd.DataFrame, names: Sequence[str]) -> Sequence[str]:
    """The columns but for the first or the last one, whichever looks like a label: the one with fewer values, of which
    there are two at least."""
    first, last = (some[names[place]].nunique() if names else 0 for place in (0, -1))
    return names[1:] if first > 1 and (first <= last or last < 2) else names[:-1]


def _in_a_column(some: pd.DataFrame) -> _Columns | None:
    """All points of an image in a cell, with spaces or commas between them."""
    for name in map(str, some.columns):
        cells = some[name].astype(str)
        side = _side(_count(cells.iloc[0])) if len(cells) else None
        if side:
            return _with_white(some[[name]], [name], side)
    return None


def _with_white(some: pd.DataFrame, points: Sequence[str], side: int) -> _Columns | None:
    """None where most of what stands there is not as bright as points are; the darkest scale that holds the rest."""
    values, good = _values(some, _Columns(points, side, WHITE))
    if not len(some) or good.mean() < MOST:
        return None
    return _Columns(points, side, next(white for white in SCALES if values[good].max() <= white))


def _side(count: int) -> int | None:
    side = int(count**0.5)
    return side if side * side == count and SMALLEST <= side <= LARGEST else None


def _values(table: pd.DataFrame, found: _Columns) -> tuple[np.ndarray, np.ndarray]:
    """(rows, points) as numbers, and (rows,): which of them are all those of an image."""
    values = np.full((len(table), found.side**2), np.nan, dtype=np.float32)
    for place, row in enumerate(table.to_numpy()):
        cells = row if len(found.points) > 1 else _split_up(row[0])
        if len(cells) == found.side**2:
            try:
                values[place] = np.asarray(cells, dtype=np.float32)
            except ValueError:
                continue  # a point that is no number: it stays one that is none
    return values, np.asarray(((values >= 0) & (values <= found.white)).all(axis=1))


def _count(cell: str) -> int:
    return len(_split_up(cell)) if len(cell) <= MOST_LETTERS else 0


def _split_up(cell: object) -> list[str]:
    return [part for part in _SAID.split(str(cell)) if part]


def _file(values: np.ndarray, found: _Columns) -> bytes:
    """The image as the bytes of a PNG file."""
    grey = np.rint(values * (WHITE / found.white)).astype(np.uint8).reshape(found.side, found.side)
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    return file.getvalue()


def _split(name: object) -> str:
    said = str(name).strip()
    return _USAGE.get(said.lower(), said)
