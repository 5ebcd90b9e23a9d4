"""What people said of labels that a program proposed, as Prodigy writes it: a row was accepted, rejected or ignored.
And the options that they chose among, by their texts."""

import json
from collections.abc import Sequence

import pandas as pd

from studio.data.refused import Refused, as_line

LOOKED_AT = 2_000
ACCEPT, REJECT, IGNORE = "accept", "reject", "ignore"
REJECTED, IGNORED = "rejected by the person who looked at it", "ignored by the person who looked at it"
_ANSWER, _LABEL, _OPTIONS = "answer", "label", "options"
_PROPOSED = {_LABEL, "spans", ACCEPT, _OPTIONS}


class Verdicts:
    """Changes the tables of a file, one block after the other; the first one tells whether it is such a file. Where one
    label alone was proposed, a rejected row is one of another label; else nobody knows what it is, and it is left out.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        some = table.head(LOOKED_AT)
        said = {str(cell) for cell in some[_ANSWER]} if _ANSWER in some else set()
        self.is_one = ACCEPT in said and said <= {ACCEPT, REJECT, IGNORE, ""} and not _PROPOSED.isdisjoint(some)
        labels = {str(cell) for cell in some[_LABEL]} if self.is_one and _LABEL in some else set()
        self.only = labels.pop() if len(labels) == 1 else ""
        self.has_options = {ACCEPT, _OPTIONS} <= set(some)
        self.has_several = self.has_options and any(len(_chosen(*pair)) > 1 for pair in _pairs(some))

    def changed(self, table: pd.DataFrame, lines: Sequence[int]) -> tuple[pd.DataFrame, Sequence[int], list[Refused]]:
        """(the rows with a label, the lines that they stand in, those that are left out)."""
        if self.has_options:
            chosen = [_chosen(*pair) for pair in _pairs(table)]
            cells = [
                json.dumps(answer, ensure_ascii=False) if self.has_several else "".join(answer[:1]) for answer in chosen
            ]
            table = table.drop(columns=[ACCEPT, _OPTIONS]).assign(**{_LABEL: cells})
        if not self.is_one or _ANSWER not in table:
            return table, lines, []
        rejected, ignored = (table[_ANSWER] == said for said in (REJECT, IGNORE))
        if self.only:
            is_other = rejected & (table[_LABEL] == self.only)
            table = table.assign(**{_LABEL: table[_LABEL].where(~is_other, f"not {self.only}")})
            rejected &= ~is_other
        numbers = list(lines) if len(lines) == len(table) else [0] * len(table)
        refused = []
        for reason, left in ((REJECTED, rejected), (IGNORED, ignored)):
            rows = [(number, as_line(row)) for number, row, out in zip(numbers, table.to_numpy(), left, strict=True)
                    if out]  # fmt: skip
            refused += [Refused.of(reason, *zip(*rows, strict=True))] if rows else []
        kept = ~(rejected | ignored)
        where = [number for number, keep in zip(numbers, kept, strict=True) if keep]
        return table[kept].drop(columns=_ANSWER).reset_index(drop=True), where if len(lines) else (), refused

    @property
    def notes(self) -> tuple[str, ...]:
        notes = ["The texts of the options that were chosen are the labels."] if self.has_options else []
        if self.only:
            notes.append(f"A row that was rejected has the label {f'not {self.only}'!r}.")
        return tuple(notes)


def _pairs(table: pd.DataFrame) -> "zip[tuple[str, str]]":
    return zip(table[ACCEPT], table[_OPTIONS], strict=True)


def _chosen(chosen: str, options: str) -> list[str]:
    """The texts of the options that were chosen, or their ids where they have none.

    >>> _chosen('["a"]', '[{"id": "a", "text": "Sport"}, {"id": "b", "text": "News"}]'), _chosen('["a"]', "")
    (['Sport'], ['a'])
    """
    found, there = _list(chosen), _list(options)
    texts = {
        str(option.get("id")): str(option.get("text") or option.get("id"))
        for option in there
        if isinstance(option, dict)
    }
    return [texts.get(str(answer), str(answer)) for answer in found]


def _list(cell: str) -> list[object]:
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []
