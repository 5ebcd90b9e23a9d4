"""A teacher answers prompts, and its answers become data: each is asked once, kept at once, and filtered by rules.

What was said stands in a file of the home (`studio.service.answer_record`): a job that was stopped, or ran out of its
budget, goes on where it was, and the same question is never paid for twice.
"""

import hashlib
import json
import re
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
from pandas.api.types import is_scalar

from studio import tasks
from studio.data.refused import Refused
from studio.data.uploads import Upload
from studio.errors import ConfigError, DataError
from studio.home import Home
from studio.service.answer_record import Record, Teacher
from studio.service.endpoint import Endpoint, Said
from studio.service.here import ModelHere
from studio.tasks import chats, language

LEARNED = next(name for name, task in tasks.TASKS.items() if task.kind == "token")
"""The task of the data: what was answered is learned to be written."""

LETTERS_A_TOKEN = 4
"""About so many letters a token has, for what is told before anything is asked."""

COPIED_WORDS = 8
"""A run of so many words that stands in the prompt, too, is copied."""

PATIENCE = 5.0
"""So many seconds who stops asking waits for what is under way."""

REFUSED_AT_FIRST = 3
"""Where so many are refused and none is answered, no other is asked."""

BY_SERVER, EMPTY, CUT_OFF = "refused by its server", "empty", "cut off by the limit of tokens"
COPIED, REPEATED, NO_PROMPT = "copied from its prompt", "the same prompt with the same answer", "no prompt"
REASONS = (BY_SERVER, EMPTY, CUT_OFF, COPIED, REPEATED, NO_PROMPT)
"""Why answers and prompts are left out where nobody set another rule."""

Prompt = str | list[dict[str, str]]


@dataclass(frozen=True)
class Prompts:
    """What is to be asked; of each prompt the split, where the table says it, and its line there. `blank`: the rows
    that have none."""

    asked: list[Prompt]
    splits: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    blank: Refused | None = None

    def times(self, samples: int) -> "Prompts":
        """Each so many times."""
        return replace(self, asked=self.asked * samples, splits=self.splits * samples, lines=self.lines * samples)


@dataclass(frozen=True)
class Price:
    """What a million tokens cost, in the currency of who asks; 0 where nothing is paid."""

    read: float = 0.0
    written: float = 0.0

    def of(self, read: int, written: int) -> float:
        """What so many tokens cost.

        >>> round(Price(0.5, 1.5).of(2_000_000, 100_000), 2)
        1.15
        """
        return (self.read * read + self.written * written) / 1e6


@dataclass(frozen=True)
class Budget:
    """What the answers to all prompts may take together, those of before among them: tokens, read and written, and
    money; None where there is no limit."""

    tokens: int | None = None
    money: float | None = None

    def is_spent(self, tokens: int, money: float) -> bool:
        """Whether nothing more may be asked."""
        return (self.tokens is not None and tokens >= self.tokens) or (self.money is not None and money >= self.money)


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
        if self.without and re.search(self.without, text):
            return f"matches {self.without!r}"
        if self.likely is not None and said.log_probability is not None and said.log_probability < self.likely:
            return f"less likely than {self.likely:g} a token, says the teacher"
        return COPIED if not self.copies and is_copied(prompt, text) else ""


@dataclass(frozen=True)
class Asked:
    """How far asking is: so many of all prompts are answered, of which `known` were before, and so many `refused` by
    the server; what that took now. `is_estimated`: the server counts no tokens."""

    done: int
    total: int
    known: int
    tokens: int = 0
    money: float = 0.0
    refused: int = 0
    is_estimated: bool = False
    is_over_budget: bool = False

    @property
    def share(self) -> float:
        """Of all prompts, from 0 to 1."""
        return (self.done + self.refused) / max(1, self.total)


@dataclass
class Answers:
    """All that was said so far, by the number of the prompt; the tokens that it took now, and, of what was `known`,
    before."""

    said: dict[int, Said] = field(default_factory=dict)
    known: int = 0
    refused: int = 0
    read: int = 0
    written: int = 0
    read_before: int = 0
    written_before: int = 0
    is_estimated: bool = False

    def add(self, number: int, said: Said, is_known: bool = False) -> None:
        """One more."""
        self.said[number] = said
        self.refused += bool(said.trouble)
        if is_known:
            self.known += 1
            self.read_before, self.written_before = self.read_before + said.read, self.written_before + said.written
        else:
            self.read, self.written = self.read + said.read, self.written + said.written
            self.is_estimated |= said.is_estimated

    def taken(self, price: Price) -> tuple[int, float]:
        """(tokens, money) that all of it took, now and before."""
        read, wrote = self.read + self.read_before, self.written + self.written_before
        return read + wrote, price.of(read, wrote)

    def state(self, total: int, price: Price, is_over: bool = False) -> Asked:
        """How far asking is."""
        done, money = len(self.said) - self.refused, price.of(self.read, self.written)
        return Asked(done, total, self.known, self.read + self.written, money, self.refused, self.is_estimated,
                     is_over_budget=is_over and len(self.said) < total)  # fmt: skip


def expected(prompts: Sequence[Prompt], teacher: Teacher) -> tuple[int, int]:
    """(tokens read, tokens written at most), told before anything is asked.

    >>> expected(["How are you today?"], Endpoint("https://h/v1", "m", most_tokens=100))
    (5, 100)
    """
    return sum(_tokens(teacher.system + written(prompt)) for prompt in prompts), teacher.most_tokens * len(prompts)


def ask_here(
    home: Home, prompts: Sequence[Prompt], teacher: ModelHere, answers: Answers, *, at_once: int = 16,
    price: Price | None = None, budget: Budget | None = None, seed: int = 0, stop: threading.Event | None = None,
) -> Generator[Asked]:  # fmt: skip
    """As `ask`, of a model of this machine: some prompts are answered together, and kept when all of them are.

    Raises `ModelError` where it cannot be opened, `DataError` where it is being asked the same by another one.
    """
    price, budget, stop = price or Price(), budget or Budget(), stop or threading.Event()
    keys = [key(prompt, copy) for prompt, copy in _counted(prompts)]
    record = Record(home, teacher, seed, keys)
    for place in (place for place, asked in enumerate(keys) if asked in record.known):
        answers.add(place, record.known[keys[place]], is_known=True)
    waiting = [place for place in range(len(prompts)) if place not in answers.said]
    try:
        yield answers.state(len(prompts), price)
        with teacher.opened(home) as model:
            while waiting and not stop.is_set() and not budget.is_spent(*answers.taken(price)):
                some, waiting = waiting[:at_once], waiting[at_once:]
                for place, said in zip(
                    some, model.ask([prompts[number] for number in some], seed + some[0]), strict=True
                ):
                    record.keep(keys[place], said)
                    answers.add(place, said)
                yield answers.state(len(prompts), price)
    finally:
        record.close_after(())
    yield answers.state(len(prompts), price, is_over=budget.is_spent(*answers.taken(price)))


def ask(
    home: Home, prompts: Sequence[Prompt], teacher: Endpoint, answers: Answers, *, at_once: int = 4,
    price: Price | None = None, budget: Budget | None = None, seed: int = 0, stop: threading.Event | None = None,
) -> Generator[Asked]:  # fmt: skip
    """Ask for every prompt that nobody has asked for; `answers` fills. Ends where all are answered, the budget is spent
    or `stop` is set: what is under way then is waited for. Closed, or at an error, nothing is asked again and it waits
    `PATIENCE` seconds at most; what comes later is kept all the same.

    Raises `DataError` where the teacher may not be asked, does not answer, or is being asked the same by another one.
    """
    price, budget, stop = price or Price(), budget or Budget(), stop or threading.Event()
    teacher.check()
    keys = [key(prompt, copy) for prompt, copy in _counted(prompts)]
    record = Record(home, teacher, seed, keys)
    for place in (place for place, asked_key in enumerate(keys) if asked_key in record.known):
        answers.add(place, _counted_tokens(record.known[keys[place]], teacher, prompts[place]), is_known=True)
    not_taken: set[str] = set()
    waiting = [place for place in reversed(range(len(prompts))) if place not in answers.said]

    def ask_teacher(number: int) -> Said | None:
        """In a thread of its own: what comes is kept even where nobody waits for it any more."""
        said = teacher.ask(prompts[number], seed + number, stop, not_taken)
        if said is None or said.trouble:
            return said
        said = _counted_tokens(said, teacher, prompts[number])
        record.keep(keys[number], said)
        return said

    running: dict[Future[Said | None], int] = {}
    pool = ThreadPoolExecutor(max_workers=at_once)
    try:
        yield answers.state(len(prompts), price)
        while True:
            over = stop.is_set() or budget.is_spent(*answers.taken(price))
            while waiting and not over and len(running) < at_once:
                number = waiting.pop()
                running[pool.submit(ask_teacher, number)] = number
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for came in sorted(done, key=running.__getitem__):
                number, said = running.pop(came), came.result()
                if said is not None:
                    answers.add(number, said)
                    _require_some(answers)
                    yield answers.state(len(prompts), price)
    finally:
        stop.set()
        pool.shutdown(wait=False)
        wait(running, timeout=PATIENCE)
        record.close_after(running)
    yield answers.state(len(prompts), price, is_over=budget.is_spent(*answers.taken(price)))


def _tokens(text: str) -> int:
    """About so many tokens a text has."""
    return -(-len(text) // LETTERS_A_TOKEN)


def _counted_tokens(said: Said, teacher: Endpoint, prompt: Prompt) -> Said:
    """The same with tokens counted by letters, where the server tells none."""
    read, wrote = said.read or _tokens(teacher.system + written(prompt)), said.written or _tokens(said.text)
    is_told = (read, wrote) == (said.read, said.written)
    return said if is_told else replace(said, read=read, written=wrote, is_estimated=True)


def _require_some(answers: Answers) -> None:
    """Raise `DataError` where the first prompts are all refused: it is not the prompts then."""
    if answers.refused >= REFUSED_AT_FIRST and answers.refused == len(answers.said):
        raise DataError(f"The first {len(answers.said)} prompts were refused: {answers.said.popitem()[1].trouble}.",
                        "Check address, model and the limit of tokens.")  # fmt: skip


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
    return Upload("table", pd.DataFrame(rows, dtype=object), _notes(answers, len(rows))), out


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
    return chat[: last + 1] if last >= 0 and chat[last]["content"].strip() else []


def _cell(cell: Any) -> str:
    """A cell as a text; "" for one that is blank, as which also counts what a table has for nothing."""
    is_nothing = cell is None or (is_scalar(cell) and pd.isna(cell))
    return "" if is_nothing or not str(cell).strip() else str(cell)


def written(prompt: Prompt) -> str:
    """A prompt as one text.

    >>> written([{"role": "user", "content": "Hi"}])
    'Hi'
    """
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1:
        return prompt[0]["content"]
    return "\n".join(f"{message['role'].capitalize()}: {message['content']}" for message in prompt)


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


def key(prompt: Prompt, copy: int) -> str:
    """A prompt by what it says, and the how manieth time it is asked."""
    return hashlib.sha256(json.dumps([prompt, copy], sort_keys=True).encode()).hexdigest()[:32]


def _counted(prompts: Sequence[Prompt]) -> Iterator[tuple[Prompt, int]]:
    seen: dict[str, int] = {}
    for prompt in prompts:
        same = json.dumps(prompt, sort_keys=True)
        seen[same] = seen.get(same, -1) + 1
        yield prompt, seen[same]


def checked_pattern(pattern: str) -> str:
    """The same. Raises `ConfigError` where it is no pattern."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"{pattern!r} is no pattern: {error}.", "Write a regular expression.") from error
    return pattern
