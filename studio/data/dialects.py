"""How a table is written as text: what stands between its cells, around them, and before a quotation mark in one."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

SNIFF_LETTERS, SNIFF_ROWS = 64 * 1024, 50
DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "vertical bar"}
SELDOM = {"@": "at sign", "^": "caret", "~": "tilde", "\x01": "control character 1", "\x1f": "control character 31"}
"""Taken where they cut every line alike, and none of the usual ones does."""

LONG = ("_!_", ":::", "|||", "@@@", "::", "||")
"""Delimiters of several letters that collections are written with; what stands for one while a table is read."""
STANDS_FOR = "\x1f"

EVEN = 0.9
"""A delimiter that cuts so many lines alike is one."""

_LOOKED_AT = 2_000
_SPACED = re.compile(r'[,;|] +"')
_QUOTED = {
    quote: re.compile(rf"(?:^|[,;\t|]) ?{quote}(?:[^{quote}\\]|{quote}{quote}|\\.)*{quote} ?(?=[,;\t|]|$)")
    for quote in "\"'"
}


@dataclass(frozen=True)
class Dialect:
    delimiter: str
    quote: str = '"'
    escape: str | None = None
    skips_spaces: bool = False

    def rows(self, lines: Iterable[str], *, strict: bool = False) -> "csv.Reader":  # type: ignore[name-defined]
        """A reader of the rows; where it is `strict` it raises `csv.Error` over quotation marks that do not match."""
        return csv.reader(
            lines, delimiter=self.delimiter, quotechar=self.quote, escapechar=self.escape,
            skipinitialspace=self.skips_spaces, strict=strict,
        )  # fmt: skip

    def plain(self, lines: Iterable[str]) -> "csv.Reader":  # type: ignore[name-defined]
        """The same with quotation marks as letters like others."""
        return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)

    @property
    def between(self) -> str:
        """What stands between columns, in a word."""
        return (DELIMITERS | SELDOM).get(self.delimiter, repr(self.delimiter))

    @property
    def notes(self) -> list[str]:
        """What it has that few files have, in sentences."""
        notes = ["Cells stand in single quotation marks."] if self.quote == "'" else []
        return notes + (["A backslash stands before quotation marks within a cell."] if self.escape else [])


def guess(text: str, delimiter: str | None = None) -> Dialect:
    """How the first lines are written; a `delimiter` that is known is taken."""
    lines = [line[:_LOOKED_AT] for line in text[:SNIFF_LETTERS].splitlines() if line.strip()]
    ended = [line + '"' if len(line) == _LOOKED_AT else line for line in lines]  # a quotation that was cut is one, too
    is_single = _share(_QUOTED["'"], lines) >= 0.5 and _share(_QUOTED['"'], ended) < 1 - EVEN
    quote = "'" if is_single else '"'
    found = Dialect(delimiter or guess_delimiter(text, quote), quote, None, _share(_SPACED, lines) >= 0.5)
    if f"\\{quote}" in text[:SNIFF_LETTERS] and not _reads(found, text):
        escaped = replace(found, escape="\\")
        escaped = escaped if delimiter else replace(escaped, delimiter=_best(text, Dialect(",", quote, "\\"))[0])
        return escaped if _reads(escaped, text) else found
    return found


def guess_delimiter(text: str, quote: str = '"') -> str:
    """The one that cuts the first lines into the same number of columns, more columns first; a comma where none does.

    >>> guess_delimiter("a;b\\nc, d;e"), guess_delimiter("one\\ntwo"), guess_delimiter("a^b\\nc^d")
    (';', ',', '^')
    """
    return _best(text, Dialect(",", quote))[0]


def long_delimiter(text: str) -> str | None:
    """The delimiter of several letters that all of the first lines have, each as often.

    >>> long_delimiter("1_!_news_!_a, b\\n2_!_news_!_c\\n"), long_delimiter("a::b\\nc, d\\n")
    ('_!_', None)
    """
    lines = [line for line in text[:SNIFF_LETTERS].splitlines()[:SNIFF_ROWS] if line.strip()]
    for delimiter in LONG:
        counts = {line[:_LOOKED_AT].count(delimiter) for line in lines}
        if len(lines) > 1 and len(counts) == 1 and counts != {0}:
            return delimiter
    return None


def cuts_evenly(text: str) -> bool:
    """Whether some delimiter cuts the first lines into several columns, nearly all of them alike."""
    _, share, width = _best(text, Dialect(","))
    return share >= EVEN and width > 1


def _share(pattern: re.Pattern[str], lines: list[str]) -> float:
    return sum(pattern.search(line) is not None for line in lines) / max(1, len(lines))


def _best(text: str, like: Dialect) -> tuple[str, float, int]:
    """A delimiter, the share of the first lines that it cuts alike, and into how many columns."""
    dialects = {delimiter: replace(like, delimiter=delimiter) for delimiter in DELIMITERS}
    scores = {delimiter: _score(text, dialect) for delimiter, dialect in dialects.items()}
    best = [delimiter for delimiter, score in scores.items() if score == max(scores.values())]
    usual = next((delimiter for delimiter in best if len(best) > 1 and _matches(dialects[delimiter], text)), best[0])
    share, width = _score(text, replace(like, delimiter=usual))
    if share < 1:
        for seldom in SELDOM:
            found = _score(text, replace(like, delimiter=seldom))
            if found[0] == 1 and found[1] > 1:
                return (seldom, *found)
    return (usual, share, width) if width > 1 else (",", share, width)


def _score(text: str, dialect: Dialect) -> tuple[float, int]:
    """The share of the first rows that have the most common width, and that width; nothing for one column."""
    widths = [len(row) for row, _ in zip(_until_error(dialect, text), range(SNIFF_ROWS), strict=False) if row]
    if not widths or max(widths) == 1:
        return 0.0, 0
    common = max(set(widths), key=widths.count)
    return (widths.count(common) / len(widths), common) if common > 1 else (0.0, 0)


def _until_error(dialect: Dialect, text: str) -> Iterator[list[str]]:
    try:
        yield from dialect.rows(io.StringIO(text[:SNIFF_LETTERS], newline=""))
    except csv.Error:
        return


def _reads(dialect: Dialect, text: str) -> bool:
    """Whether the quotation marks of the first lines match, and the rows are even."""
    return _matches(dialect, text) and _score(text, dialect)[0] >= EVEN


def _matches(dialect: Dialect, text: str) -> bool:
    """Whether the quotation marks of the first lines match."""
    try:
        for _ in dialect.rows(io.StringIO(text[:SNIFF_LETTERS], newline=""), strict=True):
            pass
    except csv.Error as error:
        return is_cut(error)
    return True


def is_cut(error: csv.Error) -> bool:
    """Whether the text ended within quotation marks."""
    return "unexpected end of data" in str(error)
