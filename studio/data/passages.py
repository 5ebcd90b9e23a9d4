"""Questions about passages, an article with its paragraphs in each entry, as SQuAD has them (Rajpurkar et al., 2016):
a prompt and an answer for each question."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

NOTE = "Questions about passages: the passage and the question are the prompt, the first answer is the answer."


def are_articles(entries: Sequence[Any]) -> bool:
    """Whether each entry holds paragraphs, and those that have any questions hold the passage, too."""
    paragraphs = [paragraph for entry in entries for paragraph in _list(entry, "paragraphs")]
    return any(_list(paragraph, "qas") for paragraph in paragraphs) and all(
        isinstance(entry, dict) and isinstance(entry.get("paragraphs"), list) for entry in entries
    )


def rows(articles: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """The questions in their order; those that cannot be answered have an empty answer."""
    for article in articles:
        for paragraph in _list(article, "paragraphs"):
            for asked in _list(paragraph, "qas"):
                passage, question = (
                    str(part.get(name, "")) for part, name in ((paragraph, "context"), (asked, "question"))
                )
                answer = next((str(span.get("text", "")) for span in _list(asked, "answers")), "")
                yield {"id": asked.get("id"), "prompt": f"{passage}\n\n{question}".strip(), "answer": answer}


class Flat:
    """The same as a table with a question in each row, as the Hugging Face Hub has them; one block after the other."""

    COLUMNS = ("context", "question", "answers.text")

    def __init__(self, table: pd.DataFrame) -> None:
        self.is_one = set(self.COLUMNS) <= set(table.columns)

    def changed(self, table: pd.DataFrame) -> pd.DataFrame:
        if not self.is_one:
            return table
        passage, question, answers = (table[name] for name in self.COLUMNS)
        prompts = [f"{first}\n\n{second}".strip() for first, second in zip(passage, question, strict=True)]
        others = table.drop(columns=[name for name in table if name in self.COLUMNS or name.startswith("answers.")])
        return others.assign(prompt=prompts, answer=[_first(cell) for cell in answers])

    @property
    def notes(self) -> tuple[str, ...]:
        return (NOTE,) if self.is_one else ()


def _first(cell: str) -> str:
    """The first text in a list; none where it is empty, the cell where it is no list.

    >>> _first('["in May", "May"]'), _first("[]"), _first("May")
    ('in May', '', 'May')
    """
    try:
        found = json.loads(cell) if cell.startswith("[") else [cell]
    except (ValueError, RecursionError):
        found = [cell]
    return str(found[0]) if isinstance(found, list) and found else ""


def _list(part: Any, name: str) -> list[dict[str, Any]]:
    """What stands under a name, where it is a list of objects."""
    found = part.get(name) if isinstance(part, dict) else None
    return found if isinstance(found, list) and all(isinstance(entry, dict) for entry in found) else []
