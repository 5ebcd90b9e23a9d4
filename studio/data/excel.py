"""Excel workbooks: the sheet that holds a table, or a sheet for each split."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from studio.data import archives, heads, splits
from studio.data.cells import MAX_CELL, Found, cell, names_of, require_few
from studio.data.refused import Refused, as_line
from studio.errors import DataError, LimitError

MAX_CELLS = 50_000_000
BLANK_ROWS = 10_000
"""After so many rows without a cell a sheet is over."""

ERRORS = {"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!", "#CALC!"}
"""What a cell shows whose formula has no value; it is read as empty."""


@dataclass(frozen=True)
class _Sheet:
    """The rows of a sheet that hold something, and their numbers."""

    title: str
    numbers: list[int]
    rows: list[list[str]]

    @property
    def is_table(self) -> bool:
        """Whether it has several columns, and more than one row: an explanation for readers does not."""
        return len(self.rows) > 1 and sum(len(row) > 1 for row in self.rows) * 2 > len(self.rows)


def read(path: Path, header: bool | None = None) -> Found:
    """The first sheet that holds a table; several where their names say splits. Raises `DataError` where none does."""
    with archives.open_zip(path) as archive:
        archives.members(archive)  # a workbook is an archive, and is held to the same limits
        archives.require_true_sizes(archive)
    sheets = [sheet for sheet in _sheets(path) if sheet.rows]
    marked = [sheet for sheet in sheets if splits.of(sheet.title)]
    if len(marked) > 1 and len(marked) == len([sheet for sheet in sheets if sheet.is_table]):
        return _joined([(sheet, _table(sheet, header)) for sheet in marked])
    chosen = next((sheet for sheet in sheets if sheet.is_table), sheets[0] if sheets else _Sheet("", [], []))
    found = _table(chosen, header)
    others = [repr(sheet.title) for sheet in sheets if sheet is not chosen]
    more = [f"Sheets that were not read: {', '.join(others)}."] if others else []
    told = f"The sheet {chosen.title!r} of an Excel file, {'without' if header is False else 'with'} a header."
    return Found(found.table, (told, *found.notes, *more), found.lines, found.refused)


def _sheets(path: Path) -> list[_Sheet]:
    import openpyxl

    with warnings.catch_warnings(action="ignore"):
        book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
        try:
            return [_read(sheet) for sheet in book.worksheets]
        finally:
            book.close()


def _read(sheet: Any) -> _Sheet:
    sheet.reset_dimensions()  # what a file says of its size need not be so
    numbers: list[int] = []
    rows: list[list[str]] = []
    count = 0
    for number, values in enumerate(sheet.iter_rows(values_only=True), start=1):
        row = ["" if value in ERRORS else cell(value) for value in values]
        while row and not row[-1]:
            row.pop()
        if number - (numbers[-1] if numbers else 0) > BLANK_ROWS:
            break
        if not any(map(str.strip, row)):
            continue
        count += len(row)
        require_few(len(rows), len(row))
        if count > MAX_CELLS or max(map(len, row)) > MAX_CELL:
            raise LimitError(f"The sheet has more than is read, in row {number:,}.", "Save it as CSV, and split it.")
        numbers.append(number)
        rows.append(row)
    return _Sheet(str(sheet.title), numbers, rows)


def _table(sheet: _Sheet, header: bool | None) -> Found:
    """The rows below the header; a title above it is left out, and told."""
    head = heads.find(sheet.rows, header is not False) if sheet.rows else heads.Head(0, None, 0)
    body = sheet.rows[head.first :]
    if not body:
        raise DataError("The Excel file holds no rows below its header.", "Add rows.")
    width = max(map(len, sheet.rows[head.above :]))
    names, notes = names_of(head.names or [], width)
    table = pd.DataFrame([row + [""] * (width - len(row)) for row in body], columns=names, dtype=object)
    above = sheet.rows[: head.above]
    refused = (Refused.of(heads.ABOVE, sheet.numbers[: head.above], map(as_line, above)),) if above else ()
    return Found(table, tuple(notes), tuple(sheet.numbers[head.first :]), refused)


def _joined(parts: Sequence[tuple[_Sheet, Found]]) -> Found:
    """The sheets one below the other, each in the split that its name says."""
    tables = [found.table.assign(split=splits.of(sheet.title)) for sheet, found in parts]
    told = f"Splits from the sheets {', '.join(repr(sheet.title) for sheet, _ in parts)} of an Excel file."
    table = pd.concat(tables, ignore_index=True).astype(object).fillna("")
    notes = [note for _, found in parts for note in found.notes]
    return Found(table, (told, *notes), refused=tuple(each for _, found in parts for each in found.refused))
