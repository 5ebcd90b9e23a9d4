"""CoNLL files: a word a line with its tag in the last column that holds tags, and a blank line after each sentence.
Where the first column counts the words of a sentence, as CoNLL-U has it, they stand in the second."""

import itertools
import re
from collections.abc import Iterator

import pandas as pd

from studio.errors import DataError

LONG_LINE = 1_000
LOOKED_AT = 2_000
"""So many lines tell whether a text is of this kind."""

_TAG = re.compile(r"O|[BIESLUM]-\S+")
_DOCUMENT, _COMMENT = "-DOCSTART-", "#"
_NO_WORD = re.compile(r"\d+[-.]\d+")
"""The number of what CoNLL-U has beside its words: several of them as they are written, and words left out."""

_Line = tuple[int, list[str]]
"""Its number, and its cells."""


def looks_like(text: str) -> bool:
    """Whether nearly every line is a word and a tag, with blank lines in between.

    >>> looks_like("New B-LOC\\nYork I-LOC\\n\\nshe O\\n"), looks_like("text label\\nfine O\\n")
    (True, False)
    """
    lines = text[: LOOKED_AT * LONG_LINE].splitlines()[:LOOKED_AT]
    said = [line.split() for line in lines if line.strip() and not line.startswith((_DOCUMENT, f"{_COMMENT} "))]
    tagged = [cells for cells in said if len(cells) > 1 and _TAG.fullmatch(cells[-1])]
    return (
        len(said) > 0
        and len(tagged) >= 0.95 * len(said)
        and any(cells[-1] != "O" for cells in tagged)
        and (len(said) < len(lines) or not any("," in cells[0] for cells in said))
    )


def table(text: str) -> pd.DataFrame:
    """One row a sentence: words and tags, with spaces between them. Raises `DataError` that names a broken line."""
    sentences = list(_sentences(text))
    if not sentences:
        raise DataError("The file holds no sentence.", "Choose another one.")
    is_counted = all(_counts_words(sentence) for sentence in sentences)
    if is_counted:
        kept = [[line for line in sentence if not _NO_WORD.fullmatch(line[1][0])] for sentence in sentences]
        sentences = [sentence for sentence in kept if sentence]
    tag = _place_of_tags(sentences)
    pairs = [[_pair(*line, word=int(is_counted), tag=tag) for line in sentence] for sentence in sentences]
    rows = [(" ".join(word for word, _ in said), " ".join(tag for _, tag in said)) for said in pairs]
    return pd.DataFrame(rows, columns=["words", "tags"], dtype=object)


def _sentences(text: str) -> Iterator[list[_Line]]:
    """The lines of each sentence, without comments before it and marks of documents."""
    lines = ((number, line.split()) for number, line in enumerate(text.split("\n"), start=1))
    for is_said, group in itertools.groupby(lines, key=lambda numbered: bool(numbered[1])):
        if is_said:
            said = [line for line in group if line[1][0] != _DOCUMENT]
            while said and _is_comment(said[0][1], len(said[-1][1])):
                del said[0]
            if said:
                yield said


def _is_comment(cells: list[str], width: int) -> bool:
    """Whether a line before those of `width` cells begins with # and is no word with a tag."""
    return cells[0].startswith(_COMMENT) and (len(cells) != width or not _TAG.fullmatch(cells[-1]))


def _counts_words(sentence: list[_Line]) -> bool:
    numbers = [cells[0] for _, cells in sentence if not _NO_WORD.fullmatch(cells[0])]
    return len(sentence[0][1]) > 2 and numbers == [str(number) for number in range(1, len(numbers) + 1)]


def _place_of_tags(sentences: list[list[_Line]]) -> int:
    """The last column that holds tags alone; the last one where none does. Raises `DataError` where that has no tag."""
    some = [cells for sentence in sentences[:LOOKED_AT] for _, cells in sentence]
    width = min(map(len, some))
    places = [place for place in range(width) if all(_TAG.fullmatch(cells[place]) for cells in some)]
    wrong = some[0][-1]
    if not places and width > 1 and not any(_TAG.fullmatch(cells[-1]) for cells in some):
        raise DataError(
            f"No column of the file holds tags such as B-PER, I-PER and O; the last one begins with {wrong!r:.200}.",
            "Write one tag for each word in the last column; parts of speech as entities of one word, such as B-NOUN.",
        )
    return places[-1] if places and len({len(cells) for cells in some}) == 1 else -1


def _pair(number: int, cells: list[str], word: int, tag: int) -> tuple[str, str]:
    """The word and the tag of a line."""
    if len(cells) < 2:
        raise DataError(
            f"In line {number} stands {cells[0]!r:.200} and no tag.",
            "Write a word and its tag in every line, and a blank line after each sentence.",
        )
    return cells[word], cells[tag]
