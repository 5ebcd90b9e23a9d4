"""Plain text for language models: documents between signs that end them, or one text, cut into passages."""

import re

import pandas as pd

from studio.data.cells import MAX_CELL
from studio.errors import DataError

SEPARATOR = "<|endoftext|>"
"""What stands between the documents of public text files."""

PASSAGE = 2_000
"""Characters from which on a passage may end, at the next blank line."""

LEAST_LETTERS, LEAST_PARAGRAPHS = 2_000, 10
LOOKED_AT = 256 * 1024
TABLE_LINES = 0.05
"""With so many lines that hold a tab a file is rather a table."""

HELD_OUT = 0.1
"""The share of one long text, from its end, for testing; as much before it is for validation."""

_BLANK = re.compile(r"\n[ \t]*\n+")


def looks_like(text: str) -> bool:
    r"""Whether a file is prose in paragraphs, rather than a table.

    >>> looks_like("a\tb\n" * 900), looks_like("She went home.\nIt rained.\n\n" * 90)
    (False, True)
    """
    some = text[:LOOKED_AT].replace("\r\n", "\n")
    if SEPARATOR in some:
        return True
    lines = some.split("\n")
    tabs = sum("\t" in line for line in lines)
    paragraphs = len(_BLANK.findall(some.strip())) + 1
    return len(some) >= LEAST_LETTERS and paragraphs >= LEAST_PARAGRAPHS and tabs < TABLE_LINES * len(lines)


def table(text: str) -> tuple[pd.DataFrame, str]:
    """(text, split) of each document or passage, and a note on how they were found.

    One long text keeps its order: its end is held out, for passages beside each other tell much of one another.
    """
    text = text.replace("\r\n", "\n")
    if SEPARATOR in text:
        parts = [part.strip() for part in text.split(SEPARATOR)]
        parts = [part for part in parts if part]
        note = f"{len(parts):,} documents between {SEPARATOR}."
        return _checked(parts, [""] * len(parts)), note
    parts = passages(text)
    held = max(1, round(HELD_OUT * len(parts)))
    splits = ["train"] * (len(parts) - 2 * held) + ["validation"] * held + ["test"] * held
    share = f"{100 * HELD_OUT:g} %"
    note = f"One text in {len(parts):,} passages; its last {share} are for testing, as much before for validation."
    return _checked(parts, splits), note


def passages(text: str) -> list[str]:
    """A text cut at blank lines, each part at least `PASSAGE` characters long but for the last one; together they are
    the text.

    >>> [len(part) for part in passages("word\\n\\n" * 1000)]
    [2004, 2004, 1992]
    """
    found, begin = [], 0
    for blank in _BLANK.finditer(text):
        if blank.end() - begin >= PASSAGE:
            found.append(text[begin : blank.end()])
            begin = blank.end()
    return [*found, text[begin:]] if text[begin:].strip() else found


def _checked(parts: list[str], splits: list[str]) -> pd.DataFrame:
    if not parts:
        raise DataError("The file holds no text.", "Choose another one.")
    longest = max(map(len, parts))
    if longest > MAX_CELL:
        raise DataError(
            f"A document has {longest:,} characters; at most {MAX_CELL:,} are read.",
            f"Put {SEPARATOR} between documents, or blank lines between paragraphs.",
        )
    return pd.DataFrame({"text": parts, "split": splits}, dtype=object)
