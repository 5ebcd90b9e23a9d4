"""What the file of an Excel sheet says beside the values of its cells: which are merged, which formulas lack one."""

import re
from typing import IO, NamedTuple

CHUNK, OVERLAP = 1024**2, 16 * 1024
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^<>]*?ref="\$?([A-Z]{1,3})\$?(\d{1,7}):\$?([A-Z]{1,3})\$?(\d{1,7})"')
_NO_VALUE = re.compile(
    rb'<c\s(?:(?!\st=")[^<>])*>\s*(?:<f\b[^<>]*/>|<f\b[^<>]*>[^<]*</f>)\s*(?:<v\s*/>|<v>\s*</v>|</c>)'
)


class Merged(NamedTuple):
    """Cells of one column, counted from 0, that are merged: from the row `first` to the row `last`, counted from 1."""

    column: int
    first: int
    last: int


def marks(file: IO[bytes]) -> tuple[list[Merged], int]:
    """The cells that are merged downwards within a column, and how many formulas stand there without a value."""
    merged, without = [], 0
    before = b""
    while chunk := file.read(CHUNK):
        text, seen = before + chunk, len(before)
        for found in _MERGED.finditer(text):
            left, first, right, last = found.groups()
            if found.end() > seen and left == right and first != last:
                merged.append(Merged(_place(left), int(first), int(last)))
        without += sum(found.end() > seen for found in _NO_VALUE.finditer(text))
        before = text[-OVERLAP:]
    return merged, without


def _place(letters: bytes) -> int:
    """
    >>> _place(b"A"), _place(b"AB")
    (0, 27)
    """
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number - 1
