"""Rows of a text, one that goes with it and one that does not, as they are made for embeddings: two labelled pairs."""

from collections.abc import Sequence

import pandas as pd

ANCHORS = ("anchor", "query", "question", "premise", "sentence")
POSITIVE, NEGATIVE = "positive", "negative"


class Triplets:
    """Changes the tables of a file, one block after the other; the first one tells whether it is such a file."""

    def __init__(self, table: pd.DataFrame) -> None:
        names = {str(name).strip().lower(): str(name) for name in table.columns}
        anchor = next((names[name] for name in ANCHORS if name in names), "")
        self.columns = (anchor, names.get(POSITIVE, ""), names.get(NEGATIVE, ""))
        self.is_one = all(self.columns) and "label" not in names

    def changed(self, table: pd.DataFrame, lines: Sequence[int]) -> tuple[pd.DataFrame, Sequence[int]]:
        """(a row for each pair, the lines that they stand in)."""
        if not self.is_one:
            return table, lines
        anchor, *answers = self.columns
        others = table.drop(columns=list(self.columns))
        parts = [
            others.assign(sentence1=table[anchor], sentence2=table[answer], label=label)
            for answer, label in zip(answers, (POSITIVE, NEGATIVE), strict=True)
        ]
        pairs = pd.concat(parts).sort_index(kind="stable").reset_index(drop=True)
        return pairs, [line for line in lines for _ in answers]

    @property
    def notes(self) -> tuple[str, ...]:
        if not self.is_one:
            return ()
        anchor, positive, negative = map(repr, self.columns)
        return (f"Triplets: each text in {anchor} makes a pair with the one in {positive}, another with that in "
                f"{negative}; the label says which of the two it is.",)  # fmt: skip
