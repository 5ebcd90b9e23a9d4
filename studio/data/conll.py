"""CoNLL files: a word a line with its tag in the last column, and a blank line after each sentence."""

import itertools
import re
from collections.abc import Iterator

import pandas as pd

from studio.errors import DataError

LONG_LINE = 1_000
LOOKED_AT = 2_000
"""So many lines tell whether a text is of this kind."""

_TAG = re.compile(r"O|[BIESLUM]-\S+")
_DOCUMENT = "-DOCSTART-"


def looks_like(text: str) -> bool:
    """Whether nearly every line is a word and a tag, with blank lines in between.

    >>> looks_like("New B-LOC\\nYork I-LOC\\n\\nshe O\\n"), looks_like("text label\\nfine O\\n")
    (True, False)
    """
    lines = text[: LOOKED_AT * LONG_LINE].splitlines()[:LOOKED_AT]
    said = [line.split() for line in lines if line.strip() and not line.startswith(_DOCUMENT)]
    tagged = [cells for cells in said if len(cells) > 1 and _TAG.fullmatch(cells[-1])]
    return (
        len(said) > 0
        and len(tagged) >= 0.95 * len(said)
        and any(cells[-1] != "O" for cells in tagged)
        and (len(said) < len(lines) or not any("," in cells[0] for cells in said))
    )


def table(text: str) -> pd.DataFrame:
    """One row a sentence: words and tags, with spaces between them. Raises `DataError` that names a broken line."""
    rows = [
        (" ".join(word for word, _ in sentence), " ".join(tag for _, tag in sentence)) for sentence in _sentences(text)
    ]
    if not rows:
        raise DataError("The file holds no sentence.", "Choose another one.")
    return pd.DataFrame(rows, columns=["words", "tags"], dtype=object)


def _sentences(text: str) -> Iterator[list[tuple[str, str]]]:
    lines = ((number, line.split()) for number, line in enumerate(text.split("\n"), start=1))
    for is_said, group in itertools.groupby(lines, key=lambda numbered: bool(numbered[1])):
        if not is_said:
            continue
        pairs = [_pair(number, cells) for number, cells in group if cells[0] != _DOCUMENT]
        if pairs:
            yield pairs


def _pair(number: int, cells: list[str]) -> tuple[str, str]:
    """The word and the tag of a line."""
    if len(cells) < 2:
        raise DataError(
            f"In line {number} stands {cells[0]!r} and no tag.",
            "Write a word and its tag in every line, and a blank line after each sentence.",
        )
    return cells[0], cells[-1]
