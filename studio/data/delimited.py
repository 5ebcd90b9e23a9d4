"""Tables as text: delimiter, header and quotation marks are found out, and no line disappears in silence."""

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from studio.data.cells import MAX_CELL, Blocks, Found, clean_text, gathered, names_of, require_few
from studio.data.refused import Refused, as_line
from studio.errors import DataError

SNIFF_LETTERS = 64 * 1024
SNIFF_ROWS = 50
DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "vertical bar"}
EVEN = 0.9
"""A delimiter that cuts so many lines alike is one."""

SWALLOWED = 3
"""A cell over so many lines, each of which is a whole row by itself, was opened by a stray quotation mark."""

MOST_TOLD = 10
"""So many lines with fewer columns are named."""

SHORT, MOST_KNOWN = 32, 100_000
"""Cells up to this length are looked up among those that were there, so many of them."""

_SAYS_DELIMITER = re.compile(r"\ufeff?\"?sep=([^\r\n\"])\"?(?:\r\n|\r|\n)", re.IGNORECASE)
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_FASTTEXT = re.compile(r"(?:__label__\S+\s+)+\S")
_HEADER_WORDS = {"text", "label", "labels", "sentence", "class", "category", "intent", "split", "title", "target",
                 "sentiment", "message", "review", "content", "question", "sentence1", "score"}  # fmt: skip
_Row = tuple[int, list[str]]
"""The number of its first line, and its cells."""


def read(text: str, encoding: str, header: bool | None = None, delimiter: str | None = None) -> Found:
    """The table in a text; `header` and `delimiter` are found out where they are not given.

    Raises `DataError` where it is none, or its quotation marks cannot be understood.
    """
    return gathered(blocks(iter([text]), encoding, header, delimiter))


def blocks(texts: Iterator[str], encoding: str, header: bool | None = None, delimiter: str | None = None) -> Blocks:
    """The same of a text that comes in blocks of whole lines; the first one tells what is found out."""
    first = next(texts, "")
    if "\x00" in first[:SNIFF_LETTERS]:
        raise DataError("The file holds binary data, not a table.", "Bring CSV, TSV, JSON lines, Parquet or Excel.")
    said = _SAYS_DELIMITER.match(first)
    if said:  # as Excel writes it, for itself
        first, delimiter = first[said.end() :], delimiter or said.group(1)
    cut = None if delimiter else _label_first(first)
    if cut is not None:
        yield from _labelled(itertools.chain([first], texts), cut)
        return (f"Encoding {encoding}, a label and then the text in every line.",)
    given = delimiter
    delimiter = _checked(delimiter) if delimiter else guess_delimiter(first)
    parts = _parts(first, texts, delimiter, 2 if said else 1)
    rows, notes = next(parts)
    if not rows:
        raise DataError("The file holds no rows.", "Choose another one.")
    cells = [row for _, row in rows]
    has_header = looks_like_header(cells) if header is None else header
    width = len(cells[0]) if has_header else Counter(map(len, cells)).most_common(1)[0][0]
    names, doubled = names_of(cells[0] if has_header else [], width)
    between = DELIMITERS.get(delimiter, repr(delimiter)) if width > 1 or given else "nothing"
    told = f"Encoding {encoding}, {between} between columns, {'with' if has_header else 'without'} a header."
    table = _Table(names, delimiter)
    del cells
    for body, more in itertools.chain([(rows[1:] if has_header else rows, [])], parts):
        notes += more
        if body:
            yield table.even(body)
    table.require_sound()
    return (told, *doubled, *notes, *table.notes())


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
    delimiter: str
    rows: int = 0
    short: list[int] = field(default_factory=list)
    short_count: int = 0
    long: list[_Row] = field(default_factory=list)
    long_count: int = 0

    def even(self, body: list[_Row]) -> Found:
        """Rows of the table's width: what is missing at the end is empty, a row with more cells is left out."""
        width = len(self.names)
        kept, long = [], []
        for line, row in body:
            if len(row) > width and not any(cell.strip() for cell in row[width:]):
                del row[width:]
            if len(row) > width:
                long.append((line, row))
                continue
            if len(row) < width:
                self._is_short(line)
                row += [""] * (width - len(row))
            kept.append((line, row))
        self.rows += len(body)
        self.long_count += len(long)
        self.long = self.long or long[:1]
        reason = f"more cells than the {width} columns"
        told = [Refused.of(reason, [line for line, _ in long], [as_line(row) for _, row in long])] if long else []
        return _found(kept, self.names, tuple(told))

    def _is_short(self, line: int) -> None:
        self.short_count += 1
        if len(self.short) < MOST_TOLD:
            self.short.append(line)

    def require_sound(self) -> None:
        """Raise `DataError` where most rows have more cells than the table has columns; or there is none."""
        if self.rows == 0:
            raise DataError("The file holds a header and no rows.", "Add rows, or say that it has no header.")
        if self.long_count > self.rows - self.long_count:
            between = DELIMITERS.get(self.delimiter, repr(self.delimiter))
            raise DataError(
                f"{self.long_count:,} of {self.rows:,} rows have more cells than the {len(self.names)} columns, the "
                f"first in line {self.long[0][0]:,}; {between} was taken to stand between columns.",
                "Name the right delimiter, or put cells that hold it into quotation marks.",
            )

    def notes(self) -> list[str]:
        if not self.short_count:
            return []
        lines = ", ".join(map(str, self.short)) + (" …" if self.short_count > len(self.short) else "")
        told = f"{self.short_count:,} of {self.rows:,} lines have fewer columns than the others; the missing cells are"
        return [f"{told} empty: line {lines}."]


def _found(rows: list[_Row], names: list[str], refused: tuple[Refused, ...] = ()) -> Found:
    require_few(len(rows), len(names))
    known: dict[str, str] = {}
    cells = {
        name: np.array([_one_of(known, clean_text(row[place])) for _, row in rows], dtype=object)
        for place, name in enumerate(names)
    }
    table = pd.DataFrame(cells, dtype=object, copy=False)
    return Found(table, lines=_numbers([line for line, _ in rows]), refused=refused)


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
    if some and sum(bool(_FASTTEXT.match(line)) for line in some) > EVEN * len(some):
        return _fasttext
    pairs = [line.split(None, 1) for line in some]
    if len(some) < 10 or any(len(pair) < 2 for pair in pairs) or any("\t" in line for line in some):
        return None
    labels = Counter(label for label, _ in pairs)
    few = len(labels) <= max(2, len(some) // 10) and min(labels.values()) > 1
    plain = all(re.fullmatch(r"[\w:+-]+", label) for label in labels)
    _, share, width = _best_delimiter(text)
    if not few or not plain or len(labels) < 2 or (share >= EVEN and width > 1):
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


def guess_delimiter(text: str) -> str:
    """The one that cuts the first lines into the same number of columns, more columns first; a comma where none does.

    >>> guess_delimiter("a;b\\nc, d;e"), guess_delimiter("one\\ntwo")
    (';', ',')
    """
    best, _, width = _best_delimiter(text)
    return best if width > 1 else ","


def _best_delimiter(text: str) -> tuple[str, float, int]:
    """A delimiter, the share of the first lines that it cuts alike, and into how many columns."""

    def score(delimiter: str) -> tuple[float, int]:
        reader = csv.reader(io.StringIO(text[:SNIFF_LETTERS], newline=""), delimiter=delimiter)
        widths = [len(row) for row, _ in zip(_until_error(reader), range(SNIFF_ROWS), strict=False) if row]
        if not widths or max(widths) == 1:
            return 0.0, 0
        common = max(set(widths), key=widths.count)
        return (widths.count(common) / len(widths), common) if common > 1 else (0.0, 0)

    best = max(DELIMITERS, key=score)
    return (best, *score(best))


def _until_error(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error:
        return


def _parts(first: str, texts: Iterator[str], delimiter: str, line: int) -> Iterator[tuple[list[_Row], list[str]]]:
    """The rows of each block by the numbers of their first lines, from `line` on; a row that a block cuts comes with
    the next one."""
    text = first
    while True:
        after = next(texts, None)
        rows, notes, read = _rows(text, delimiter, line, is_last=after is None)
        yield rows, notes
        if after is None:
            return
        line += sum(1 for _ in _lines(text[:read])) if "\r" in text else text.count("\n", 0, read)
        text = text[read:] + after


def _rows(text: str, delimiter: str, first: int = 1, is_last: bool = True) -> tuple[list[_Row], list[str], int]:
    """All rows that hold something; rows that a stray quotation mark swallowed are set free, and that is told. The last
    number says how many letters were read: a row that goes on in the next block is left for it."""
    csv.field_size_limit(MAX_CELL)
    read = 0

    def counted() -> Iterator[str]:
        nonlocal read
        for line in _lines(text):
            read += len(line)
            yield line

    reader = csv.reader(counted(), delimiter=delimiter, strict=True)
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
        if not is_last and _is_cut(error):
            rows, notes = _freed(text, delimiter, rows, long, first) if long else (rows, [])
            return rows, notes, begun
        return _without_quotes(text, delimiter, error, before + 1, first), [], len(text)
    rows, notes = _freed(text, delimiter, rows, long, first) if long else (rows, [])
    return rows, notes, len(text)


def _is_cut(error: csv.Error) -> bool:
    """Whether the text ended within quotation marks."""
    return "unexpected end of data" in str(error)


def _freed(
    text: str, delimiter: str, rows: list[_Row], long: dict[int, int], start: int
) -> tuple[list[_Row], list[str]]:
    """`long` says where rows end that go over many lines, by where they begin; `start` is the text's first line."""
    physical = list(_lines(text))
    width = Counter(len(row) for _, row in rows).most_common(1)[0][0]
    freed: list[_Row] = []
    stray = []
    for first, row in rows:
        last = long.get(first, first)
        plain = _plain(physical[first - start : last - start + 1], delimiter) if first in long and width > 1 else []
        if plain and all(len(cells) == width for cells in plain):
            freed += [(first + place, cells) for place, cells in enumerate(plain)]
            stray.append(f"{first} to {last}")
        else:
            freed.append((first, row))
    notes = (
        [f"Quotation marks in lines {', '.join(stray[:5])} do not match and are read as they stand."] if stray else []
    )
    return freed, notes


def _plain(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    return list(csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE))


def _without_quotes(text: str, delimiter: str, error: csv.Error, line: int, first: int) -> list[_Row]:
    """A file whose quotes do not match, read with quotes as plain characters when that gives even lines."""
    plain = csv.reader(_lines(text), delimiter=delimiter, quoting=csv.QUOTE_NONE)
    rows = []
    try:
        rows = [(first + plain.line_num - 1, row) for row in plain if any(row)]
    except csv.Error as too_long:
        error = too_long
    if rows and len({len(row) for _, row in rows}) == 1:
        return rows
    near = itertools.islice(_lines(text), line - 1, line)
    raise DataError(
        f"The table cannot be read from line {first + line - 1:,} on: {error}: {''.join(near).strip()[:80]!r}.",
        "Check the quotation marks there, or save it again as CSV.",
    ) from error


def looks_like_header(rows: list[list[str]]) -> bool:
    """A first line of short, different names whose words do not come up again in the same columns below."""
    first, below = rows[0], rows[1:201]
    names = [cell.strip() for cell in first]
    if not below or any(len(name) > 40 for name in names) or sum(map(bool, names)) * 2 < len(names):
        return False
    if any(name.replace(".", "", 1).lstrip("-").isdigit() for name in names):
        return False
    columns = [[row[place].strip() for row in below if place < len(row)] for place in range(len(names))]
    if any(name and name in cells for name, cells in zip(names, columns, strict=True)):
        return False
    if {name.lower() for name in names} & _HEADER_WORDS:
        return True
    if not all(names) or len(set(names)) < len(names):
        return False
    if any(cells and all(cell.isdigit() for cell in cells) for cells in columns):
        return True
    return all(" " not in name or len(name) < 20 for name in names)
