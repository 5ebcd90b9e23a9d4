"""Tables with a column of 0 and 1 for each label, as Kaggle's are: their names become one column."""

import json
import re
from collections.abc import Sequence

import pandas as pd

from studio.data.heads import LABEL_NAMES, label_name

LOOKED_AT = 2_000
FEWEST = 3
"""Two columns of yes and no are rather two facts than the labels of a row."""

FEW_SHARE = 5
"""A column with less than one different value in so many rows may be a label by itself."""

NONE = "none"
"""The label of a row that has none of them: it was looked at, and is no row without a label."""

SURE = 5
"""So many of them side by side are labels, though other columns have few values, too."""

FACTS = {"has", "have", "contains", "includes", "with"}
"""Words with which the names of facts about a text begin; of labels either all do so, or none."""

_WORDS = re.compile(r"[\W_]+")
_PAIRS = (("0", "1"), ("false", "true"), ("no", "yes"), ("0.0", "1.0"))
_YES, _NO = {"1", "true", "yes", "1.0"}, {"0", "false", "no", "0.0"}


class OneHot:
    """Adds a column to the tables of a file, one block after the other; the first one tells whether there are such
    columns, and whether a row has one label or several."""

    def __init__(self, table: pd.DataFrame) -> None:
        some = table.head(LOOKED_AT)
        self.columns: Sequence[str] = _side_by_side(some) or _anywhere(some)
        self.is_one = bool(self.columns) and all(len(found) == 1 for found in self._found(some))
        self.name = "label" if self.is_one else "labels"

    def changed(self, table: pd.DataFrame) -> pd.DataFrame:
        if not self.columns:
            return table
        found = self._found(table)
        if self.is_one:
            return table.assign(**{self.name: [", ".join(names) for names in found]})
        return table.assign(**{self.name: [json.dumps(names or [NONE], ensure_ascii=False) for names in found]})

    @property
    def notes(self) -> tuple[str, ...]:
        if not self.columns:
            return ()
        names = ", ".join(map(repr, self.columns))
        notes = [f"The columns {names} are read as one, {self.name!r}."]
        if not self.is_one:
            notes.append(f"A row that has none of them has the label {NONE!r}.")
            if len(self.columns) < SURE:
                notes.append("If one of them alone is the label, choose it.")
        return tuple(notes)

    def _found(self, table: pd.DataFrame) -> list[list[str]]:
        """The labels of each row."""
        has = [[_said(cell) in _YES for cell in table[name]] for name in self.columns]
        return [[name for name, yes in zip(self.columns, row, strict=True) if yes] for row in zip(*has, strict=True)]


def _side_by_side(some: pd.DataFrame) -> list[str]:
    """Many such columns in a row, written alike, whatever else the table tells; none where another one is named as a
    label is."""
    runs: list[list[str]] = [[]]
    before = None
    for name in some.columns:
        written = _pair(some[name])
        runs = [*runs, []] if written != before else runs
        runs[-1] += [str(name)] if written else []
        before = written
    best = _without_facts(max(runs, key=len))
    others = (str(name) for name in some.columns if str(name) not in best)
    return best if len(best) >= SURE and not any(label_name(name) for name in others) else []


def _pair(cells: pd.Series) -> tuple[str, str] | None:
    """How a column writes no and yes; None where it says anything else."""
    said = {_said(cell) for cell in cells}
    return next((pair for pair in _PAIRS if said <= set(pair)), None)


def _anywhere(some: pd.DataFrame) -> list[str]:
    """All such columns, where no other one could be a label."""
    names = [str(name) for name in some.columns]
    binary = [name for name in names if _is_binary(some[name])]
    others, binary = [name for name in names if name not in binary], _without_facts(binary)
    has_label = any(name.strip().lower() in LABEL_NAMES or _has_few(some[name]) for name in others)
    return [] if has_label or not FEWEST <= len(binary) < len(names) else binary


def _without_facts(names: list[str]) -> list[str]:
    """Those that may be labels: `has_link` is none beside `toxic`.

    >>> _without_facts(["has_link", "toxic"]), _without_facts(["has_cat", "has_dog"])
    (['toxic'], ['has_cat', 'has_dog'])
    """
    return [name for name in names if _WORDS.split(name.strip().lower())[0] not in FACTS] or names


def _is_binary(cells: pd.Series) -> bool:
    """Whether a column says yes and no, and nothing else."""
    said = {_said(cell) for cell in cells}
    return said <= _YES | _NO and not said.isdisjoint(_YES) and not said.isdisjoint(_NO)


def _has_few(cells: pd.Series) -> bool:
    """Whether its values come again and again, as those of a label do."""
    return bool(1 < cells.nunique() <= len(cells) / FEW_SHARE)


def _said(cell: object) -> str:
    return str(cell).strip().lower()
