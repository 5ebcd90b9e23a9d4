"""Where a table begins: its header, and what stands above it, such as a title or comments."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SNIFF_ROWS = 50
MOST_ABOVE = 20
"""So many rows may stand above a table."""

COMMENT, QUOTES = "#", "\"'"
ABOVE, AGAIN = "above the table", "the header once more"
"""Why such rows are not taken."""

_HEADER_WORDS = {"text", "label", "labels", "sentence", "class", "category", "intent", "split", "title", "target",
                 "sentiment", "message", "review", "content", "question", "sentence1", "score"}  # fmt: skip
Rows = Sequence[list[str]]


@dataclass(frozen=True)
class Head:
    """`above` rows stand before the table; its `names` are None where it has no header; its rows begin at `first`."""

    above: int
    names: list[str] | None
    first: int


def find(rows: Rows, header: bool | None) -> Head:
    """The head of a table; whether it has a `header` is found out where that is None."""
    if header is not False:
        above = _above(rows)
        rest = rows[above:]
        if above and looks_like_header(rest):
            return Head(above, rest[0], above + 1)
        said = [rows[above - 1][0].lstrip(f"{COMMENT} ").strip(QUOTES), *rows[above - 1][1:]] if above else []
        if above and len(said) == len(rest[0]) and looks_like_header([said, *rest]):
            return Head(above - 1, said, above)  # the header is a comment, too
        if above and all(_is_comment(row) and len(row) != len(rest[0]) for row in rows[:above]):
            return Head(above, None, above)
    if header or (header is None and looks_like_header(rows)):
        return Head(0, rows[0], 1)
    return Head(0, None, 0)


def _above(rows: Rows) -> int:
    """How many of the first rows may be a title or comments: none where the table has one column. Where a title has
    cells that stand empty, the row after it must begin a table beyond doubt."""
    width = Counter(map(len, rows[:SNIFF_ROWS])).most_common(1)[0][0]
    is_sure = True
    for place, row in enumerate(rows[: min(MOST_ABOVE + 1, len(rows) - 1)] if width > 1 else ()):
        if not _is_comment(row) and sum(bool(cell.strip()) for cell in row) != 1:
            is_sure = is_sure or has_usual_name(row)
            return place if is_sure else 0
        is_sure = is_sure and (_is_comment(row) or len(row) == 1)
    return 0


def _is_comment(row: Sequence[str]) -> bool:
    return row[0].lstrip("\ufeff ").startswith(COMMENT)


def has_usual_name(names: Iterable[str]) -> bool:
    """Whether one of them is what columns are mostly called."""
    return not _HEADER_WORDS.isdisjoint(name.strip().lower() for name in names)


def looks_like_header(rows: Rows) -> bool:
    """A first line of short, different names whose words do not come up again in the same columns below; the whole
    line may."""
    first, below = rows[0], [row for row in rows[1:201] if row != rows[0]]
    names = [cell.strip() for cell in first]
    if not below or any(len(name) > 40 for name in names) or sum(map(bool, names)) * 2 < len(names):
        return False
    if any(name.replace(".", "", 1).lstrip("-").isdigit() for name in names):
        return False
    columns = [[row[place].strip() for row in below if place < len(row)] for place in range(len(names))]
    if any(name and name in cells for name, cells in zip(names, columns, strict=True)):
        return False
    if has_usual_name(names):
        return True
    if not all(names) or len(set(names)) < len(names):
        return False
    if any(cells and all(cell.isdigit() for cell in cells) for cells in columns):
        return True
    return all(" " not in name or len(name) < 20 for name in names)
