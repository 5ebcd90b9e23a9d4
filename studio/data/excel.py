"""Excel workbooks: the sheet that holds a table, or a sheet for each split."""

import bisect
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from studio.data import archives, heads, sheet_files, splits
from studio.data.cells import MAX_CELL, Found, cell, names_of, require_few, require_short_sources
from studio.data.refused import Refused, as_line
from studio.data.sheet_files import Merged
from studio.errors import DataError, LimitError

SPLIT, SHEET = "split", "sheet"
"""What the column is called that says of rows from several sheets where they are from."""

MAX_CELLS = 50_000_000
BLANK_ROWS = 10_000
"""After so many rows without a cell a sheet is over."""

MOST_SHEETS = 200
"""A few letters name one that is there already, and have it read again."""

MOST_GAPS = 20
"""So many gaps between rows are looked at for a second table."""

ERRORS = {"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!", "#CALC!"}
"""What a cell shows whose formula has no value; it is read as empty."""


@dataclass(frozen=True)
class _Sheet:
    """The rows of a sheet that hold something, their numbers, cells that are merged, and what is to be told of it."""

    title: str
    numbers: list[int]
    rows: list[list[str]]
    merged: list[Merged]
    notes: list[str]
    is_hidden: bool = False

    @property
    def is_table(self) -> bool:
        """Whether it has several columns, and more than one row: an explanation for readers does not."""
        return len(self.rows) > 1 and sum(len(row) > 1 for row in self.rows) * 2 > len(self.rows)


def read(path: Path, header: bool | None = None) -> Found:
    """The first sheet that holds a table, and with it those that have the same header; or several where their names say
    splits. Raises `DataError` where none holds a table."""
    with archives.open_zip(path) as archive:
        archives.members(archive)  # a workbook is an archive, and is held to the same limits
        archives.require_true_sizes(archive)
    sheets = [sheet for sheet in _sheets(path) if sheet.rows]
    marked = [sheet for sheet in sheets if splits.of(sheet.title)]
    if len(marked) > 1 and len(marked) == len([sheet for sheet in sheets if sheet.is_table]):
        found = _joined([(sheet, _table(sheet, header)) for sheet in marked], SPLIT)
        return replace(found, notes=(*found.notes, *_not_read(sheets, marked)))
    chosen = next((sheet for sheet in sheets if sheet.is_table), sheets[0] if sheets else _Sheet("", [], [], [], []))
    parts = [chosen] if marked else _with_its_header(sheets, chosen, header)
    tables = [(sheet, _table(sheet, header)) for sheet in parts]
    found = tables[0][1] if len(tables) == 1 else _joined(tables, SHEET)
    return replace(found, notes=(*found.notes, *_not_read(sheets, parts)))


def _with_its_header(sheets: Sequence[_Sheet], chosen: _Sheet, header: bool | None) -> list[_Sheet]:
    """The sheet, and all that anybody sees with the same names in their header: a sheet for each month, or class."""
    names = _head(chosen.rows, header)[0].names
    if names is None or chosen.is_hidden or SHEET in names:
        return [chosen]
    shown = [sheet for sheet in sheets if not sheet.is_hidden and len(sheet.rows) > 1]
    return [sheet for sheet in shown if sheet is chosen or _head(sheet.rows, header)[0].names == names] or [chosen]


def _not_read(sheets: Sequence[_Sheet], read: Sequence[_Sheet]) -> list[str]:
    others = [repr(sheet.title) for sheet in sheets if sheet not in read]
    notes = [f"The sheet {sheet.title!r} is a hidden one." for sheet in read if sheet.is_hidden]
    return [*notes, *([f"Sheets that were not read: {', '.join(others)}."] if others else [])]


def _sheets(path: Path) -> list[_Sheet]:
    import openpyxl

    with warnings.catch_warnings(action="ignore"), path.open("rb") as file:  # a path must have the right ending
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        try:
            if len(book.worksheets) > MOST_SHEETS:
                message = f"The workbook has {len(book.worksheets):,} sheets; at most {MOST_SHEETS} are read."
                raise LimitError(message, "Keep the one with the table.")
            sheets = [_read(path, sheet) for sheet in book.worksheets]
            return sorted(sheets, key=lambda sheet: sheet.is_hidden)  # what nobody sees is taken where nothing else is
        finally:
            book.close()


def _read(path: Path, sheet: Any) -> _Sheet:
    sheet.reset_dimensions()  # what a file says of its size need not be so
    numbers: list[int] = []
    rows: list[list[str]] = []
    notes: list[str] = []
    count, letters = 0, 0
    for number, values in enumerate(sheet.iter_rows(values_only=True), start=1):
        row = ["" if value in ERRORS else cell(value) for value in values]
        while row and not row[-1]:
            row.pop()
        if number - (numbers[-1] if numbers else 0) > BLANK_ROWS:
            notes.append(f"What stands below the {BLANK_ROWS:,} empty rows before row {number:,} is not read.")
            break
        if not any(map(str.strip, row)):
            continue
        count, letters = count + len(row), letters + sum(map(len, row))
        archives.require_proportion(path, letters)  # a text that comes again stands in the file once
        require_few(len(rows), len(row))
        if count > MAX_CELLS or max(map(len, row)) > MAX_CELL:
            raise LimitError(f"The sheet has more than is read, in row {number:,}.", "Save it as CSV, and split it.")
        numbers.append(number)
        rows.append(row)
    with sheet._get_source() as file:
        merged, without_value = sheet_files.marks(file)
    if without_value:
        notes.append(
            f"{without_value:,} formulas have no value in the file; their cells are empty. "
            "Open it in a spreadsheet program and save it there."
        )
    return _Sheet(str(sheet.title), numbers, rows, merged, notes, sheet.sheet_state != "visible")


def _table(sheet: _Sheet, header: bool | None) -> Found:
    """The rows below the header; a title above it and a header that comes again are left out, and told."""
    head, doubt = _head(sheet.rows, header)
    rows = list(zip(sheet.numbers, sheet.rows, strict=True))
    width = max(map(len, sheet.rows[head.above :]), default=0)
    totals = [number for number, row in rows[head.first :] if heads.is_total(row + [""] * (width - len(row)))]
    body = [
        (number, row)
        for number, row in rows[head.first :]
        if row != head.names and not heads.is_rule(row) and number not in totals
    ]
    if not body:
        raise DataError("The Excel file holds no rows below its header.", "Add rows.")
    names, notes = names_of(head.names or [], width)
    numbers = [number for number, _ in body]
    cells = [row + [""] * (width - len(row)) for _, row in body]
    filled = _fill(cells, numbers, sheet.merged)
    left_out = {
        heads.ABOVE: rows[: head.above],
        heads.SECOND: rows[head.above + (head.names is not None) : head.first],
        heads.AGAIN: [(number, row) for number, row in rows[head.first :] if row == head.names],
        heads.RULE: [(number, row) for number, row in rows[head.first :] if heads.is_rule(row)],
        heads.TOTAL: [(number, row) for number, row in rows[head.first :] if number in totals],
    }
    refused = tuple(
        Refused.of(reason, [number for number, _ in left], [as_line(row) for _, row in left])
        for reason, left in left_out.items()
        if left
    )
    note = f"The sheet {sheet.title!r} of an Excel file, {'without' if head.names is None else 'with'} a header."
    merged = [
        f"Merged cells in the column {names[column]!r}: {count:,} row{' has' if count == 1 else 's have'} the value "
        "of the first one."
        for column, count in filled.items()
    ]
    notes = [note, *doubt, *notes, *merged, *_second(body), *sheet.notes]
    return Found(pd.DataFrame(cells, columns=names, dtype=object), tuple(notes), tuple(numbers), refused)


def _head(rows: list[list[str]], header: bool | None) -> tuple[heads.Head, list[str]]:
    """The head of a sheet. Most have one: where nothing tells, the first row is taken for a header, as is told."""
    found = heads.find(rows, header) if rows else heads.Head(0, None, 0)
    if header is not None or found.names is not None or found.above or not rows or heads.is_like_rows(rows):
        return found, []
    names = ", ".join(repr(name[:40]) for name in rows[0][:5])
    return heads.Head(0, rows[0], 1), [
        f"The first row was taken for the header: {names}. If it is a row, say that there is no header."
    ]


def _fill(cells: list[list[str]], numbers: list[int], merged: Sequence[Merged]) -> Counter[int]:
    """Write the value of merged cells into each row of theirs; returns how many cells that were, by their columns."""
    filled: Counter[int] = Counter()
    for column, first, last in merged:
        rows = cells[bisect.bisect_left(numbers, first) : bisect.bisect_right(numbers, last)]
        if rows and column < len(rows[0]) and rows[0][column]:
            empty = [row for row in rows if not row[column]]
            for row in empty:
                row[column] = rows[0][column]
            filled[column] += len(empty)
    return +filled


def _second(body: Sequence[tuple[int, list[str]]]) -> list[str]:
    """A note where the row after a gap looks like the header of another table, and other rows do not."""
    gaps = [place for place in range(1, len(body)) if body[place][0] - body[place - 1][0] > 1]
    for place in gaps[:MOST_GAPS]:
        number, row = body[place]
        above = [each for _, each in body[max(0, place - 100) : place]]
        below = [each for _, each in body[place + 1 : place + 101]]
        is_header = len(row) > 1 and bool(below) and heads.looks_like_header([row, *above, *below])
        if is_header and not heads.looks_like_header([above[-1], *above[:-1], *below]):
            return [f"Row {number:,} looks like the header of a second table; its rows are read as rows of the first."]
    return []


def _joined(parts: Sequence[tuple[_Sheet, Found]], column: str) -> Found:
    """The sheets one below the other: in the column `split` each in the split that its name says, or in the column
    `sheet` with its name."""
    sheets = ", ".join(repr(sheet.title) for sheet, _ in parts)
    require_short_sources(sheet.title for sheet, _ in parts)
    if column == SPLIT:
        source = f"Splits from the sheets {sheets} of an Excel file."
        names = [splits.of(sheet.title) for sheet, _ in parts]
    else:
        source = f"One table from the sheets {sheets} of an Excel file; the column {column!r} says where a row is from."
        names = [sheet.title for sheet, _ in parts]
    tables = [found.table.assign(**{column: name}) for name, (_, found) in zip(names, parts, strict=True)]
    table = pd.concat(tables, ignore_index=True).astype(object).fillna("")
    notes = [note for _, found in parts for note in found.notes]
    return Found(table, (source, *notes), refused=tuple(each for _, found in parts for each in found.refused))
