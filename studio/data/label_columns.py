"""Which column of a table may be that of the labels: by its name, else by what stands in it."""

import re
from collections.abc import Iterable, Sequence

import pandas as pd

from studio.data.heads import LABEL_NAMES, are_dates, label_name

SAMPLE = 2_000
ID_NAMES = ("id", "index", "idx", "uid", "uuid", "guid", "row", "number", "key")
LIKELY = {"type", "kind", "genre", "genres", "emotion", "polarity", "stars", "overall", "verdict", "department", "team",
          "queue", "section", "toxic", "spam"}  # fmt: skip
"""Words in names of columns that are rather labels than facts about a row, such as its language or its state."""

_WORDS = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])")
_NUMBERED = re.compile(r"[\W_]*(id|ids|idx|index|code|num|number|no)$")
_NAMED = r"[\W_]*(name|names|text|title|str|string|desc|description)?"
_WHOLE = re.compile(r"-?\d+(\.0)?")


def by_name(table: pd.DataFrame, names: Sequence[str]) -> str | None:
    """The column that is called as labels are, or whose name ends so, such as `airline_sentiment`, and in which values
    come again."""
    there = {name.strip().lower(): name for name in names}
    whole = next((there[name] for name in LABEL_NAMES if name in there), None)
    return whole or _ends_as_label(table, names)


def _ends_as_label(table: pd.DataFrame, names: Sequence[str]) -> str | None:
    known = {name: label_name(name) for name in names if is_few(table[name].head(SAMPLE))}
    return next((name for label in LABEL_NAMES for name, found in known.items() if found == label), None)


def by_values(table: pd.DataFrame, names: Sequence[str]) -> str | None:
    """The column with the fewest different values, if it has few, likely names first, and of several such ones that at
    the table's end; else the first one in which some come again. Dates are no labels."""
    sample = table.head(SAMPLE)
    names = [name for name in names if not are_dates(sample[name])]
    kinds = {name: values(sample[name]) for name in names}
    few = [name for name in names if is_few(sample[name])]
    others = [name for name in names if kinds[name] < len(sample) and name.strip().lower() not in ID_NAMES]
    last = str(table.columns[-1])
    best = min(few, key=lambda name: (not _is_likely(name), kinds[name], name != last), default=None)
    return best or (others[0] if others else None)


def spelled_out(table: pd.DataFrame, label: str) -> str:
    """The column that names what the label's column numbers, such as `label_text` beside `label`; else that one."""
    cells = table[label].head(SAMPLE).astype(str).str.strip()
    if not cells.map(lambda cell: cell == "" or _WHOLE.fullmatch(cell) is not None).all():
        return label
    begun = re.escape(_NUMBERED.sub("", label.strip().lower()))
    for name in map(str, table.columns):
        if name != label and re.fullmatch(begun + _NAMED, name.strip().lower()) and _go_together(table, label, name):
            return name
    return label


def others(table: pd.DataFrame, label: str, used: Iterable[str]) -> list[str]:
    """The columns that might as well be that of the labels. Beside one that is called as labels are these are others
    that are."""
    sample, taken = table.head(SAMPLE), {label, *used}
    is_named = label_name(label) is not None
    names = [str(name) for name in table.columns if str(name) not in taken]
    names = [name for name in names if label_name(name) or (not is_named and name.strip().lower() not in ID_NAMES)]
    few = [name for name in names if is_few(sample[name]) and not are_dates(sample[name])]
    return [name for name in few if not _go_together(sample, label, name)]


def is_few(cells: pd.Series) -> bool:
    """Whether values come again as those of a label do."""
    return 1 < values(cells) <= most_classes(len(cells))


def values(cells: Iterable[object]) -> int:
    """How many different ones there are; what is empty is none."""
    return len({cell for cell in cells if cell != ""})


def most_classes(rows: int) -> int:
    """So many different values in so many rows may be classes."""
    return max(2, min(200, rows // 2))


def _is_likely(name: str) -> bool:
    words = {word.lower() for word in _WORDS.split(name.strip())}
    return not words.isdisjoint(LIKELY) or not words.isdisjoint(LABEL_NAMES)


def _go_together(table: pd.DataFrame, first: str, second: str) -> bool:
    """Whether each value of one column stands beside one value of the other, and no other."""
    sample = table.head(SAMPLE)
    pairs = set(zip(sample[first], sample[second], strict=True))
    return len(pairs) == len({first for first, _ in pairs}) == len({other for _, other in pairs})
