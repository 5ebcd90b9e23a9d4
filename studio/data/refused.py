"""Rows of a file that were not taken: why, where they stand, what stands in them. Rows in are rows kept and these."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from studio.language import escaping

MOST_LINES = 20
"""So many line numbers are told of a kind of refused rows; all of them stand in the file of these rows."""

MOST_LETTERS = 2_000
"""So much is kept of a refused row."""

COLUMNS = ("line", "reason", "row")


@dataclass(frozen=True)
class Told:
    """What a report says of rows that were not taken: why, how many, and the numbers of the first lines."""

    reason: str
    count: int
    lines: tuple[int, ...] = ()

    def __str__(self) -> str:
        many = self.count > 1
        if not self.lines:
            return f"{self.count:,} row{'s' if many else ''} left out: {self.reason}."
        lines, more = ", ".join(map(str, self.lines)), self.count - len(self.lines)
        if more:
            return f"{self.count:,} rows left out, lines {lines} and {more:,} more: {self.reason}."
        return f"{self.count:,} row{'s' if many else ''} left out, line{'s' if many else ''} {lines}: {self.reason}."


@dataclass(frozen=True)
class Refused:
    """Rows that were not taken for one reason: the number of each one's line, 0 where it has none or stands in another
    file, and what stood there."""

    reason: str
    lines: tuple[int, ...]
    rows: tuple[str, ...]

    @classmethod
    def of(cls, reason: str, lines: Iterable[int], rows: Iterable[str]) -> "Refused":
        return cls(reason, tuple(map(int, lines)), tuple(row[:MOST_LETTERS] for row in rows))

    def and_also(self, other: "Refused") -> "Refused":
        """These and others of the same reason."""
        return Refused(self.reason, (*self.lines, *other.lines), (*self.rows, *other.rows))

    @property
    def count(self) -> int:
        return len(self.lines)

    @property
    def told(self) -> Told:
        return Told(self.reason, self.count, tuple(line for line in self.lines if line)[:MOST_LINES])


def as_line(cells: Sequence[object]) -> str:
    """Cells as they would stand in a CSV file; what is no text, such as an image, is left empty.

    >>> as_line(["one, two", "a", b"..."])
    '"one, two",a,'
    """
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([cell if isinstance(cell, str) else "" for cell in cells])
    return line.getvalue()


def as_csv(refused: Iterable[Refused]) -> str:
    """All of them, in the order of the file's lines, as a table that a spreadsheet can open without harm."""
    found = [(line, each.reason, row) for each in refused for line, row in zip(each.lines, each.rows, strict=True)]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([line or "", reason, escaping.in_table(row)] for line, reason, row in sorted(found))
    return file.getvalue()
