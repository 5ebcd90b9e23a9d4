"""Tables as text: delimiter, header and quotation marks are found out, and no line disappears in silence."""

import csv
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from studio.data import dialects, heads
from studio.data.cells import (
    MAX_CELL,
    MAX_COLUMNS,
    MAX_READ_COLUMNS,
    Blocks,
    Found,
    clean_text,
    gathered,
    names_of,
    require_few,
)
from studio.data.dialects import Dialect
from studio.data.refused import Refused, as_line
from studio.errors import DataError

BINARY_SHARE = 0.05
"""With so many zeros among its first letters a file is no text."""

SWALLOWED = 3
"""A cell over so many lines, each of which is a whole row by itself, was opened by a stray quotation mark."""

MOST_TOLD = 10
"""So many lines with fewer columns are named."""

SHORT, MOST_KNOWN = 32, 100_000
"""Cells up to this length are looked up among those that were there, so many of them."""

_SAYS_DELIMITER = re.compile(r"\"?sep=([^\r\n\"])\"?(?:\r\n|\r|\n)", re.IGNORECASE)
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_BEFORE, _BEHIND = r"(?:[$€£¥₹]\s*)?[+-]?", r"(?:\s*[$€£¥₹%])?"
_DECIMAL_COMMA = re.compile(rf"{_BEFORE}(?:\d+|\d{{1,3}}(?:\.\d{{3}})+),\d+{_BEHIND}")
_WHOLE = re.compile(rf"{_BEFORE}(?:\d+|\d{{1,3}}(?:\.\d{{3}})+){_BEHIND}")
_THOUSANDS = re.compile(rf"{_BEFORE}[1-9]\d{{0,2}},\d{{3}}{_BEHIND}")
_TWO_SHORT = re.compile(r"\d{1,2},\d{1,2}")
_OF_LABELS = {"label", "labels", "class", "classes", "category", "categories", "tag", "tags", "topic", "topics",
              "intent", "intents"}  # fmt: skip
_FASTTEXT = re.compile(r"(?:__label__\S+\s+)+\S")
_Row = tuple[int, list[str]]
"""The number of its first line, and its cells."""
_NONE: Mapping[str, Sequence[_Row]] = {}


def read(text: str, encoding: str, header: bool | None = None, delimiter: str | None = None) -> Found:
    """The table in a text; `header` and `delimiter` are found out where they are not given.

    Raises `DataError` where it is none, or its quotation marks cannot be understood.
    """
    return gathered(blocks(iter([text]), encoding, header, delimiter))


def _ends_of_lines(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def blocks(texts: Iterator[str], encoding: str, header: bool | None = None, delimiter: str | None = None) -> Blocks:
    """The same of a text that comes in blocks of whole lines; the first one tells what is found out."""
    zeros = _Zeros(texts)
    texts = iter(zeros)
    first = next(texts, "")
    while _ends_of_lines(first) < 2 and (longer := next(texts, "")):
        first += longer  # lines may be long, and one line does not tell a header from a row
    said = _SAYS_DELIMITER.match(first)
    if said:  # as Excel writes it, for itself
        first, delimiter = first[said.end() :], delimiter or said.group(1)
    long = None if delimiter else dialects.long_delimiter(first)
    if long is not None:
        return (yield from _cut_at(long, first, texts, encoding, header))
    cut = None if delimiter else _label_first(first)
    if cut is not None:
        yield from _labelled(itertools.chain([first], texts), cut)
        return (f"Encoding {encoding}, a label and then the text in every line.", *zeros.notes())
    dialect = dialects.guess(first, _checked(delimiter) if delimiter else None)
    parts = _parts(first, texts, dialect, 2 if said else 1)
    rows, notes = next(parts)
    if not rows:
        raise DataError("The file holds no rows.", "Choose another one.")
    if len(rows) == 1 and header is None and len(rows[0][1]) > 1 and heads.has_usual_name(rows[0][1]):
        raise DataError("The file holds a header and no rows.", "Add rows, or say that it has no header.")
    head = heads.find([row for _, row in rows], header)
    table, doubled = _table_of(head, rows, dialect)
    between = dialect.between if len(table.names) > 1 or delimiter else "nothing"
    note = f"Encoding {encoding}, {between} between columns, {'without' if head.names is None else 'with'} a header."
    named = head.above + (head.names is not None)
    yield table.even(rows[head.first :], {heads.ABOVE: rows[: head.above], heads.SECOND: rows[named : head.first]})
    del rows
    for body, more in parts:
        notes += more
        if body:
            yield table.even(body)
    table.require_sound()
    return (note, *doubled, *dict.fromkeys(notes), *table.notes(), *zeros.notes())


def _cut_at(long: str, first: str, texts: Iterable[str], encoding: str, header: bool | None) -> Blocks:
    """The table between whose columns stand several letters: read as if they were one that no text has."""
    stand_in = dialects.STANDS_FOR
    whole = (text.replace(stand_in, " ").replace(long, stand_in) for text in itertools.chain([first], texts))
    note, *notes = yield from blocks(whole, encoding, header, stand_in)
    return (note.replace(Dialect(stand_in).between, long), *notes)


class _Zeros:
    """The blocks of a text without the zeros in it, which some programs leave behind; they are counted."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts, self.count = texts, 0

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            some = text[: dialects.SNIFF_LETTERS]
            if some.count("\x00") > BINARY_SHARE * len(some):
                raise DataError(
                    "The file holds binary data, not a table.", "Bring CSV, TSV, JSON lines, Parquet or Excel."
                )
            self.count += text.count("\x00")
            yield text.replace("\x00", "")

    def notes(self) -> list[str]:
        return [f"{self.count:,} zero characters were taken out."] if self.count else []


def _table_of(head: heads.Head, rows: list[_Row], dialect: Dialect) -> tuple["_Table", list[str]]:
    """The table that begins so, and notes on its names and numbers."""
    cells = [row for _, row in rows[head.first :]]
    if head.names is None:
        names, notes = names_of([], Counter(map(len, cells)).most_common(1)[0][0] if cells else 0)
    elif _has_index([row for row in cells if row != head.names], len(head.names)):
        names, notes = names_of(["", *head.names], len(head.names) + 1)
        notes.append(
            f"Every row begins with a number that has no name; it is read as an index, the column {names[0]!r}. "
            f"If it is none, put cells that hold a {dialect.between} into quotation marks."
        )
    else:
        names, notes = names_of(head.names, len(head.names))
    decimals, unsure = _decimal_commas(cells, names) if dialect.delimiter in ";\t" else (frozenset(), [])
    return _Table(names, dialect, head.names, decimals), [*notes, *unsure]


def _has_index(rows: list[list[str]], width: int) -> bool:
    """Whether every row has one cell more than a header of `width` names, as R writes it: before the others, a whole
    number that no other row has. Where it is the last cell that is empty in all of them, a delimiter ends each row."""
    numbers = {row[0] for row in rows if row[0].isdecimal() and len(row) == width + 1}
    return width > 1 and len(numbers) == len(rows) > 1 and any(row[-1].strip() for row in rows)


def _decimal_commas(rows: list[list[str]], names: list[str]) -> tuple[frozenset[int], list[str]]:
    """The columns that hold numbers alone, most of them with a comma before the decimals; and notes on those whose
    commas may mean something else."""
    found, unsure = set(), []
    for place, name in enumerate(names):
        cells = [row[place].strip() for row in rows if place < len(row) and row[place].strip()]
        with_comma = [cell for cell in cells if _DECIMAL_COMMA.fullmatch(cell)]
        if len(with_comma) * 2 <= len(cells) or not all(
            _DECIMAL_COMMA.fullmatch(cell) or _WHOLE.fullmatch(cell) for cell in cells
        ):  # fmt: skip
            continue
        if all(map(_THOUSANDS.fullmatch, with_comma)) or _may_be_labels(name, with_comma):
            unsure.append(
                f"Commas in the column {name!r} may stand before decimals, between thousands or between labels; its "
                "cells are read as they stand. In numbers, write a point before decimals and nothing between thousands."
            )
        else:
            found.add(place)
    return frozenset(found), unsure


def _may_be_labels(name: str, cells: list[str]) -> bool:
    """Whether the cells of a column of labels may be two short numbers of labels each."""
    is_label = name.strip().lower() in _OF_LABELS
    return is_label and all(map(_TWO_SHORT.fullmatch, cells)) and any(len(cell) == 3 for cell in cells)


def _labelled(texts: Iterable[str], cut: Callable[[str], list[str]]) -> Iterator[Found]:
    """Lines of a label and a text, taken apart by `cut`."""
    line = 0
    for text in texts:
        yield _found([(line + number, cut(written)) for number, written in _written(text)], ["label", "text"])
        line += text.count("\n")


@dataclass
class _Table:
    """The columns of a table, and what was found of its rows so far."""

    names: list[str]
    dialect: Dialect
    header: list[str] | None
    decimals: frozenset[int] = frozenset()
    rows: int = 0
    short: list[int] = field(default_factory=list)
    short_count: int = 0
    long: list[_Row] = field(default_factory=list)
    long_count: int = 0

    def even(self, body: list[_Row], head: Mapping[str, Sequence[_Row]] = _NONE) -> Found:
        """Rows of the table's width: what is missing at the end is empty, a row with more cells is left out; so are
        those of the table's `head`, a header that comes once more, rules, comments and totals."""
        width = len(self.names)
        kept, long, again, rules, comments, totals = [], [], [], [], [], []
        for line, row in body:
            if row == self.header:
                again.append((line, row))
                continue
            if width > 1 and heads.is_rule(row):
                rules.append((line, row))
                continue
            if width > 1 and heads.is_comment(row):
                comments.append((line, row))
                continue
            if heads.is_total(row):
                totals.append((line, row))
                continue
            if len(row) > width and not any(cell.strip() for cell in row[width:]):
                del row[width:]
            if len(row) > width:
                long.append((line, row))
                continue
            if len(row) < width:
                self._is_short(line)
                row += [""] * (width - len(row))
            for place in self.decimals:
                if _DECIMAL_COMMA.fullmatch(row[place].strip()) or _WHOLE.fullmatch(row[place].strip()):
                    row[place] = row[place].replace(".", "").replace(",", ".")
            kept.append((line, row))
        self.rows += len(body)
        self.long_count += len(long)
        self.long = self.long or long[:1]
        known = {heads.AGAIN: again, heads.RULE: rules, heads.AMONG: comments, heads.TOTAL: totals}
        reasons = {**head, **known, f"more cells than the {width} columns": long}
        refused = tuple(
            Refused.of(reason, [line for line, _ in rows], [as_line(row) for _, row in rows])
            for reason, rows in reasons.items()
            if rows
        )
        return _found(kept, self.names, refused)

    def _is_short(self, line: int) -> None:
        self.short_count += 1
        if len(self.short) < MOST_TOLD:
            self.short.append(line)

    def require_sound(self) -> None:
        """Raise `DataError` where most rows have more cells than the table has columns; or there is none."""
        if self.rows == 0:
            raise DataError("The file holds a header and no rows.", "Add rows, or say that it has no header.")
        if self.long_count > self.rows - self.long_count:
            raise DataError(
                f"{self.long_count:,} of {self.rows:,} rows have more cells than the {len(self.names)} columns, the "
                f"first in line {self.long[0][0]:,}; {self.dialect.between} was taken to stand between columns.",
                "Name the right delimiter, put cells that hold it into quotation marks, or give each column a name.",
            )

    def notes(self) -> list[str]:
        notes = []
        for place in sorted(self.decimals):
            notes.append(f"Decimal commas in the column {self.names[place]!r} are read as points.")
        if self.short_count:
            lines = ", ".join(map(str, self.short)) + (" …" if self.short_count > len(self.short) else "")
            notes.append(
                f"{self.short_count:,} of {self.rows:,} lines have fewer columns than the others; the missing cells "
                f"are empty: line {lines}."
            )
        return notes


def _found(rows: list[_Row], names: list[str], refused: tuple[Refused, ...] = ()) -> Found:
    require_few(len(rows), len(names), MAX_READ_COLUMNS)
    table = _wide(rows, names) if len(names) > MAX_COLUMNS else _table(rows, names)
    return Found(table, lines=_numbers([line for line, _ in rows]), refused=refused)


def _table(rows: list[_Row], names: list[str]) -> pd.DataFrame:
    known: dict[str, str] = {}
    cells = {
        name: np.array([_one_of(known, clean_text(row[place])) for _, row in rows], dtype=object)
        for place, name in enumerate(names)
    }
    return pd.DataFrame(cells, dtype=object, copy=False)


def _wide(rows: list[_Row], names: list[str]) -> pd.DataFrame:
    """Of so many columns cells are not looked at one by one: they are points of images, which become one cell soon."""
    cells = np.empty((len(rows), len(names)), dtype=object)
    for place, (_, row) in enumerate(rows):
        cells[place] = row if "".join(row).isascii() else list(map(clean_text, row))
    return pd.DataFrame(cells, columns=names, copy=False)


def _numbers(lines: list[int]) -> Sequence[int]:
    """The same numbers, where one follows the other as a range."""
    whole = range(lines[0], lines[-1] + 1) if lines else range(0)
    return whole if len(whole) == len(lines) else tuple(lines)


def _one_of(known: dict[str, str], cell: str) -> str:
    """The cell; short ones that come again are one object, which takes little memory."""
    if len(cell) > SHORT or (len(known) > MOST_KNOWN and cell not in known):
        return cell
    return known.setdefault(cell, cell)


def _checked(delimiter: str) -> str:
    delimiter = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}.get(delimiter.lower(), delimiter)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise DataError(f"A delimiter is one character, got {delimiter!r}.", "Name one such as , or ; or tab.")
    return delimiter


def _label_first(text: str) -> Callable[[str], list[str]] | None:
    """What takes a line apart into label and text where the lines are a label, white space and a text, as fastText and
    many collections have them; None for other files."""
    some = [line for _, line in itertools.islice(_written(text), 2_000)]
    if some and sum(bool(_FASTTEXT.match(line)) for line in some) > dialects.EVEN * len(some):
        return _fasttext
    pairs = [line.split(None, 1) for line in some]
    if len(some) < 10 or any(len(pair) < 2 for pair in pairs) or any("\t" in line for line in some):
        return None
    labels = Counter(label for label, _ in pairs)
    few = len(labels) <= max(2, len(some) // 10) and min(labels.values()) > 1
    plain = all(re.fullmatch(r"[\w:+-]+", label) for label in labels)
    if not few or not plain or len(labels) < 2 or dialects.cuts_evenly(text):
        return None
    return lambda line: [*line.split(None, 1), ""][:2]


def _written(text: str) -> Iterator[tuple[int, str]]:
    """The lines that hold something, by their numbers."""
    lines = ((number, line.strip()) for number, line in enumerate(_lines(text), start=1))
    return ((number, line) for number, line in lines if line)


def _lines(text: str) -> Iterator[str]:
    """One line after the other with its end, whichever of the three that is: the text is not held twice.

    >>> list(_lines("a\\r\\nb\\rc\\n\\nd"))
    ['a\\r\\n', 'b\\r', 'c\\n', '\\n', 'd']
    """
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        line = text[start:end]
        if "\r" in line:
            yield from (found.group() for found in _LINE.finditer(line))
        else:
            yield line
        start = end


def _fasttext(line: str) -> list[str]:
    words = line.split()
    labels = [word.removeprefix("__label__") for word in words if word.startswith("__label__")]
    return ["|".join(labels), " ".join(word for word in words if not word.startswith("__label__"))]


def _parts(first: str, texts: Iterator[str], dialect: Dialect, line: int) -> Iterator[tuple[list[_Row], list[str]]]:
    """The rows of each block by the numbers of their first lines, from `line` on; a row that a block cuts comes with
    the next one."""
    text = first
    while True:
        after = next(texts, None)
        text = text.rstrip("\x1a") if after is None else text  # an end of the file, as DOS wrote it
        rows, notes, read = _rows(text, dialect, line, is_last=after is None)
        yield rows, notes
        if after is None:
            return
        line += sum(1 for _ in _lines(text[:read])) if "\r" in text else text.count("\n", 0, read)
        text = text[read:] + after


def _rows(text: str, dialect: Dialect, first: int = 1, is_last: bool = True) -> tuple[list[_Row], list[str], int]:
    """All rows that hold something; rows that a stray quotation mark swallowed are set free, and that is told. The last
    number says how many letters were read: a row that goes on in the next block is left for it."""
    csv.field_size_limit(MAX_CELL)
    read = 0

    def counted() -> Iterator[str]:
        nonlocal read
        for line in _lines(text):
            read += len(line)
            yield line

    reader = dialect.rows(counted(), strict=True)
    rows: list[_Row] = []
    long: dict[int, int] = {}
    before, begun = 0, 0
    try:
        for row in reader:
            if any(row):
                rows.append((first + before, row))
                require_few(len(rows), 0)
                if reader.line_num - before >= SWALLOWED:
                    long[first + before] = first + reader.line_num - 1
            before, begun = reader.line_num, read
    except csv.Error as error:
        if not is_last and dialects.is_cut(error):
            read = begun
        else:
            return *_without_quotes(text, dialect, error, before + 1, first), len(text)
    rows, notes = _freed(text, dialect, rows, long, first) if long else (rows, [])
    return rows, [*dialect.notes, *notes], read


def _freed(
    text: str, dialect: Dialect, rows: list[_Row], long: dict[int, int], start: int
) -> tuple[list[_Row], list[str]]:
    """`long` says where rows end that go over many lines, by where they begin; `start` is the text's first line."""
    physical = list(_lines(text))
    width = Counter(len(row) for _, row in rows).most_common(1)[0][0]
    freed: list[_Row] = []
    stray = []
    for first, row in rows:
        last = long.get(first, first)
        plain = list(dialect.plain(physical[first - start : last - start + 1])) if first in long and width > 1 else []
        if plain and all(len(cells) == width for cells in plain):
            freed += [(first + place, cells) for place, cells in enumerate(plain)]
            stray.append(f"{first} to {last}")
        else:
            freed.append((first, row))
    notes = (
        [f"Quotation marks in lines {', '.join(stray[:5])} do not match and are read as they stand."] if stray else []
    )
    return freed, notes


def _without_quotes(
    text: str, dialect: Dialect, error: csv.Error, line: int, first: int
) -> tuple[list[_Row], list[str]]:
    """A file whose quotes do not match, read with quotes as plain characters when that gives even lines, and a note on
    them. Those around all cells of a column are taken off."""
    plain = dialect.plain(_lines(text))
    rows = []
    try:
        rows = [(first + plain.line_num - 1, row) for row in plain if any(row)]
    except csv.Error as too_long:
        error = too_long
    if rows and len({len(row) for _, row in rows}) == 1:
        for place in range(len(rows[0][1])):
            _take_off(dialect.quote, [row for _, row in rows], place)
        return rows, [f"Quotation marks do not match, first in line {first + line - 1:,}: they are read as they stand."]
    near = itertools.islice(_lines(text), line - 1, line)
    raise DataError(
        f"The table cannot be read from line {first + line - 1:,} on: {error}: {''.join(near).strip()[:80]!r}.",
        "Check the quotation marks there, or save it again as CSV.",
    ) from error


def _take_off(quote: str, rows: list[list[str]], place: int) -> None:
    """Take off the marks around the cells of a column, where all but its name have them."""
    quoted = [len(row[place]) > 1 and row[place][0] == row[place][-1] == quote for row in rows]
    if all(quoted[1:]) and len(quoted) > 1:
        for row, has_marks in zip(rows, quoted, strict=True):
            row[place] = row[place][1:-1] if has_marks else row[place]
