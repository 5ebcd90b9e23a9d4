"""Prompts of a table go to a teacher (`studio.service.asking`), and its answers become data but for those that rules
leave out."""

import re
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
from pandas.api.types import is_scalar

from studio import tasks
from studio.data.refused import Refused
from studio.data.uploads import Upload
from studio.errors import DataError
from studio.service import patterns
from studio.service.asking import Answers, Prompt, written
from studio.service.endpoint import Said
from studio.tasks import chats, language

LEARNED = next(name for name, task in tasks.TASKS.items() if task.kind == "token")
"""The task of the data: what was answered is learned to be written."""

COPIED_WORDS = 8
"""A run of so many words that stands in the prompt, too, is copied."""

BY_SERVER, EMPTY, CUT_OFF = "refused by its server", "empty", "cut off by the limit of tokens"
COPIED, REPEATED, NO_PROMPT = "copied from its prompt", "the same prompt with the same answer", "no prompt"
REASONS = (BY_SERVER, EMPTY, CUT_OFF, COPIED, REPEATED, NO_PROMPT)
"""Why answers and prompts are left out where nobody set another rule."""


@dataclass(frozen=True)
class Prompts:
    """What is to be asked; of each prompt the split, where the table says it, and its line there, 0 where it has none.
    `blank`: the rows that have none. `notes`: where they come from."""

    asked: list[Prompt]
    splits: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    blank: Refused | None = None
    notes: tuple[str, ...] = ()

    def times(self, samples: int) -> "Prompts":
        """Each so many times."""
        return replace(self, asked=self.asked * samples, splits=self.splits * samples, lines=self.lines * samples)


@dataclass(frozen=True)
class Rules:
    """Which answers become data. Lengths are in letters; `without` is a pattern that none may hold; `likely`: the least
    mean log-probability that the teacher gave its own tokens, where it tells it."""

    shortest: int = 1
    longest: int | None = None
    without: str = ""
    likely: float | None = None
    copies: bool = False
    cut: bool = False

    def why_not(self, prompt: str, said: Said) -> str:
        """Why an answer is left out; "" where it is taken.

        >>> Rules(longest=3).why_not("2 + 2?", Said("four", 3, 1)), Rules().why_not("2 + 2?", Said("4", 3, 1))
        ('longer than 3 letters', '')
        """
        text = said.text.strip()
        if said.trouble:
            return BY_SERVER
        if len(text) < self.shortest:
            return EMPTY if not text else f"shorter than {self.shortest} letters"
        if self.longest is not None and len(text) > self.longest:
            return f"longer than {self.longest} letters"
        if said.is_cut and not self.cut:
            return CUT_OFF
        if self.without and patterns.is_in(self.without, text):
            return f"matches {self.without!r}"
        if self.likely is not None and said.log_probability is not None and said.log_probability < self.likely:
            return f"less likely than {self.likely:g} a token, says the teacher"
        return COPIED if not self.copies and is_copied(prompt, text) else ""


def table(prompts: Prompts, answers: Answers, rules: Rules) -> tuple[Upload, tuple[Refused, ...]]:
    """(the answers that are taken, as a data set is read; those that are not, by reason). Raises `DataError` where none
    is left."""
    rows: list[dict[str, Any]] = []
    left: dict[str, list[int]] = {}
    seen: set[tuple[str, str]] = set()
    for number, said in sorted(answers.said.items()):
        asked, text = written(prompts.asked[number]), said.text.strip()
        why = rules.why_not(asked, said)
        if not why and (asked, text) in seen:
            why = REPEATED
        if why:
            left.setdefault(why, []).append(number)
            continue
        seen.add((asked, text))
        rows.append({"prompt": asked, "answer": text, **({"split": prompts.splits[number]} if prompts.splits else {})})
    if not rows:
        reasons = ", ".join(f"{len(numbers)} {why}" for why, numbers in left.items()) or "none was given"
        raise DataError(f"No answer is left: {reasons}.", "Change the rules, or the limit of tokens.")
    refused = tuple(
        Refused.of(
            why,
            [prompts.lines[number] if prompts.lines else number + 1 for number in numbers],
            [answers.said[number].trouble or answers.said[number].text for number in numbers],
        )
        for why, numbers in left.items()
    )
    out = refused if prompts.blank is None else (*refused, prompts.blank)
    notes = (*prompts.notes, *_notes(answers, len(rows)))
    return Upload("table", pd.DataFrame(rows, dtype=object), notes), out


def _notes(answers: Answers, taken: int) -> tuple[str, ...]:
    answered = len(answers.said) - answers.refused
    note = f"{answered:,} prompts were answered by a teacher."
    return (note, f"The rules left {answered - taken:,} of the answers out.") if taken < answered else (note,)


def prompts_of(upload: Upload, column: str | None = None) -> Prompts:
    """The prompts of a table, and which split each is in, where it says; chats up to the last thing that was asked.
    Raises `DataError` where no column holds prompts."""
    names = {str(name).strip().lower(): str(name) for name in upload.table.columns}
    usual = ("prompt", "instruction", "question", "input", "text", *language.CHATS)
    found = column or next((names[name] for name in usual if name in names), None)
    if found is None or found not in upload.table.columns:
        raise DataError(f"There is no column of prompts; there are {', '.join(names.values())}.", "Name one.")
    asked = [_asked(cell) for cell in upload.table[found]]
    there = [number for number, prompt in enumerate(asked) if prompt]
    if not there:
        raise DataError(f"No row has a prompt in {found!r}.", "Name another column.")
    lines = list(upload.lines) if len(upload.lines) == len(asked) else range(1, len(asked) + 1)
    blank = [lines[number] for number, prompt in enumerate(asked) if not prompt]
    splits = [_cell(cell) for cell in upload.table[names["split"]]] if "split" in names else []
    return Prompts(
        [asked[number] for number in there], [splits[number] for number in there] if splits else [],
        [lines[number] for number in there], Refused.of(NO_PROMPT, blank, [""] * len(blank)) if blank else None,
    )  # fmt: skip


def _asked(cell: Any) -> Prompt:
    """What a cell asks; empty where that is nothing."""
    chat = chats.messages(cell)
    if chat is None:
        return _cell(cell)
    last = max((place for place, message in enumerate(chat) if message["role"] == "user"), default=-1)
    chat = chats.as_texts(chat)
    return chat[: last + 1] if last >= 0 and chat[last]["content"].strip() else []


def _cell(cell: Any) -> str:
    """A cell as a text; "" for one that is blank, as which also counts what a table has for nothing."""
    is_nothing = cell is None or (is_scalar(cell) and pd.isna(cell))
    return "" if is_nothing or not str(cell).strip() else str(cell)


def is_copied(prompt: str, text: str) -> bool:
    """Whether an answer says again what it was asked, or a long part of it.

    >>> is_copied("Tell me of a cat.", "tell me of a cat"), is_copied("Tell me of a cat.", "It sat on a mat.")
    (True, False)
    """
    asked, answered = (re.findall(r"\w+", passage.lower()) for passage in (prompt, text))
    if asked == answered:
        return True
    runs = {tuple(asked[place : place + COPIED_WORDS]) for place in range(len(asked) - COPIED_WORDS + 1)}
    return any(
        tuple(answered[place : place + COPIED_WORDS]) in runs for place in range(len(answered) - COPIED_WORDS + 1)
    )
