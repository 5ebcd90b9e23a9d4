"""Lists of words beside lists of as many numbers, which are tags that the file does not name."""

import json
from collections import Counter
from collections.abc import Iterable

import pandas as pd

from studio.tasks.entities import OUTSIDE
from studio.tasks.tokens import TAGS, WORDS

LOOKED_AT = 2_000
_TAGS = (*TAGS, "pos_tags", "chunk_tags")


class NumberedTags:
    """Changes the tables of a file, one block after the other; the first one tells whether it is such a file.

    As most collections have it, 0 is what comes most often and no entity. Where each even number stands behind itself
    or the number before it, these two are the rest and the beginning of an entity (IOB2)."""

    def __init__(self, table: pd.DataFrame) -> None:
        names = {str(name).strip().lower(): str(name) for name in table.columns}
        words = next((names[name] for name in WORDS if name in names), None)
        some = table.head(LOOKED_AT)
        self.column = next(
            (names[name] for name in _TAGS if words and name in names and _fit(some[words], some[names[name]])), ""
        )
        rows = [numbers for cell in some[self.column] if (numbers := _numbers(cell))] if self.column else []
        counts = Counter(number for row in rows for number in row)
        self.has_outside = bool(counts) and counts.most_common(1)[0][0] == 0
        self.has_rests = self.has_outside and any(number % 2 == 0 for number in counts if number) and all(
            number % 2 or number == 0 or before in (number, number - 1)
            for row in rows for before, number in zip([0, *row], row, strict=False)
        )  # fmt: skip

    def changed(self, table: pd.DataFrame) -> pd.DataFrame:
        if not self.column:
            return table
        cells = [" ".join(map(self._tag, _numbers(cell) or [])) for cell in table[self.column]]
        return table.drop(columns=self.column).assign(tags=cells)

    @property
    def notes(self) -> tuple[str, ...]:
        if not self.column:
            return ()
        sentence = f"The tags in {self.column!r} are numbers that the file does not name."
        if self.has_rests:
            how = (
                "0 is read as no entity, 1 and 2 as the beginning and the rest of an entity called '1', 3 and 4 as "
                "those of '2', and so on, for they follow each other so."
            )
        elif self.has_outside:
            how = "0 is read as no entity, every other number as the name of one."
        else:
            how = "Every number is read as an entity of one word."
        return sentence, how

    def _tag(self, number: int) -> str:
        if self.has_outside and number == 0:
            return OUTSIDE
        if self.has_rests:
            return f"B-{number // 2 + 1}" if number % 2 else f"I-{number // 2}"
        return f"I-{number}" if self.has_outside else f"B-{number}"


def are_unnamed(notes: Iterable[str]) -> bool:
    """Whether the notes of an upload say that its tags were such numbers."""
    return any("numbers that the file does not name" in note for note in notes)


def _fit(words: Iterable[str], tags: Iterable[str]) -> bool:
    """Whether each row has as many numbers as words."""
    pairs = list(zip(map(_list, words), map(_numbers, tags), strict=True))
    return any(numbers for _, numbers in pairs) and all(
        said is not None and numbers is not None and len(said) == len(numbers) for said, numbers in pairs
    )


def _numbers(cell: str) -> list[int] | None:
    """The whole numbers in a list, from 0 on; None where it is none."""
    found = _list(cell)
    return None if found is None or not all(type(tag) is int and tag >= 0 for tag in found) else found


def _list(cell: str) -> list[int] | None:
    if not cell.startswith("["):
        return None
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None
