"""Tables with a word in each row, its tag beside it and the number of its sentence: a row becomes a sentence."""

import pandas as pd

from studio.data import splits
from studio.tasks.entities import OUTSIDE, TAG

LOOKED_AT = 2_000
WORDS, TAGS = "words", "tags"
_SENTENCES = ("sentence #", "sentence", "sentence_id", "sentence_idx", "sent_id", "sent", "sentence id")
_WORD = ("word", "token", "words", "tokens", "form")
_TAG = ("tag", "tags", "ner", "ner_tag", "ner_tags", "label", "labels", "entity", "iob")


class WordRows:
    """Puts the words of a file together, one block after the other; the first one tells whether it is such a file. The
    last sentence of a block waits for the next one."""

    def __init__(self, table: pd.DataFrame) -> None:
        names = {str(name).strip().lower(): str(name) for name in table.columns}
        found = [next((names[name] for name in known if name in names), "") for known in (_SENTENCES, _WORD, _TAG)]
        self.sentence, self.word, self.tag = found
        self.is_one = all(found) and _are_tags(table[self.tag].head(LOOKED_AT))
        self.split = next((names[name] for name in splits.COLUMNS if name in names), None)
        self._waiting = table.head(0)

    def changed(self, table: pd.DataFrame) -> pd.DataFrame:
        """The sentences that are complete."""
        whole = pd.concat([self._waiting, table], ignore_index=True)
        numbers = whole[self.sentence].astype(str).str.strip()
        whole[self.sentence] = numbers.where(numbers != "").ffill().fillna("")
        last = int(_begins(whole[self.sentence]).to_numpy().nonzero()[0][-1])
        self._waiting = whole.iloc[last:]
        return self._sentences(whole.iloc[:last])

    def rest(self) -> pd.DataFrame:
        """The sentence that still waits."""
        return self._sentences(self._waiting)

    @property
    def notes(self) -> tuple[str, ...]:
        return (f"A word in each row: those of one {self.sentence!r} are read as one text.",)

    def _sentences(self, rows: pd.DataFrame) -> pd.DataFrame:
        number = _begins(rows[self.sentence]).cumsum()
        said = rows[rows[self.word].astype(str).str.strip() != ""]
        words = said.assign(**{self.word: said[self.word].map(_one_word)}).groupby(number, sort=False)
        columns = {WORDS: words[self.word].agg(" ".join), TAGS: words[self.tag].agg(" ".join)}
        if self.split is not None:
            columns[self.split] = words[self.split].first()
        return pd.DataFrame(columns, dtype=object).reset_index(drop=True)


def _begins(numbers: pd.Series) -> pd.Series:
    """Whether a row has another number than the one before it."""
    return numbers != numbers.shift()


def _are_tags(cells: pd.Series) -> bool:
    said = [str(cell).strip() for cell in cells]
    return all(map(TAG.fullmatch, said)) and any(tag != OUTSIDE for tag in said)


def _one_word(cell: object) -> str:
    """A word has no space in it."""
    return "_".join(str(cell).split())
