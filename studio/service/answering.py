"""A teacher answers prompts, and its answers become data: each is asked once, kept at once, and filtered by rules.

What was said stands in a file of the home, a line each, under a fingerprint of who was asked what and how: a job that
was stopped, or ran out of its budget, goes on where it was, and the same question is never paid for twice.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from studio import tasks
from studio.data.refused import Refused
from studio.data.uploads import Upload
from studio.errors import ConfigError, DataError
from studio.home import Home
from studio.service.endpoint import Endpoint, Said

LEARNED = next(name for name, task in tasks.TASKS.items() if task.kind == "token")
"""The task of the data: what was answered is learned to be written."""

LETTERS_A_TOKEN = 4
"""About so many letters a token has, for what is told before anything is asked."""

COPIED_WORDS = 8
"""A run of so many words that stands in the prompt, too, is copied."""

REFUSED_AT_FIRST = 3
"""Where so many are refused and none is answered, no other is asked."""

Prompt = str | list[dict[str, str]]


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
    """What asking may take together: tokens, read and written, and money; None where there is no limit."""

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
            return "refused by its server"
        if len(text) < self.shortest:
            return "empty" if not text else f"shorter than {self.shortest} letters"
        if self.longest is not None and len(text) > self.longest:
            return f"longer than {self.longest} letters"
        if said.is_cut and not self.cut:
            return "cut off by the limit of tokens"
        if self.without and re.search(self.without, text):
            return f"matches {self.without!r}"
        if self.likely is not None and said.log_probability is not None and said.log_probability < self.likely:
            return f"less likely than {self.likely:g} a token, says the teacher"
        return "copied from its prompt" if not self.copies and is_copied(prompt, text) else ""


@dataclass(frozen=True)
class Asked:
    """How far asking is: so many of all prompts are answered, of which `known` were before; what that took now."""

    done: int
    total: int
    known: int
    tokens: int = 0
    money: float = 0.0
    is_over_budget: bool = False


@dataclass
class Answers:
    """All that was said so far, by the number of the prompt."""

    said: dict[int, Said] = field(default_factory=dict)
    known: int = 0
    read: int = 0
    written: int = 0


def expected(prompts: Sequence[Prompt], teacher: Endpoint) -> tuple[int, int]:
    """(tokens read, tokens written at most), told before anything is asked.

    >>> expected(["How are you today?"], Endpoint("https://h/v1", "m", most_tokens=100))
    (4, 100)
    """
    letters = sum(len(written(prompt)) + len(teacher.system) for prompt in prompts)
    return letters // LETTERS_A_TOKEN, teacher.most_tokens * len(prompts)


def ask(
    home: Home, prompts: Sequence[Prompt], teacher: Endpoint, answers: Answers, *, at_once: int = 4,
    price: Price | None = None, budget: Budget | None = None, seed: int = 0,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Asked]:  # fmt: skip
    """Ask for every prompt that nobody has asked for; `answers` fills. Ends where all are answered, or the budget is
    spent: what is under way then is waited for. Closed, or at an error, it keeps what was said.

    Raises `DataError` where the teacher may not be asked, or does not answer.
    """
    price, budget = price or Price(), budget or Budget()
    teacher.check()
    file = kept_in(home, teacher, seed)
    known = read(file)
    keys = [key(prompt, copy) for prompt, copy in _counted(prompts)]
    answers.said = {number: known[one] for number, one in enumerate(keys) if one in known}
    answers.known = len(answers.said)
    waiting = iter([number for number in range(len(prompts)) if number not in answers.said])

    def state(spent: bool = False) -> Asked:
        tokens = answers.read + answers.written
        money = price.of(answers.read, answers.written)
        return Asked(len(answers.said), len(prompts), answers.known, tokens, money, spent)

    yield state()
    file.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=at_once) as pool, file.open("a", encoding="utf-8") as kept:
        if kept.tell() and not _ends_with_a_line(file):
            kept.write("\n")  # what was half written when a process ended stays a line of its own
        running: dict[Future[Said], int] = {}
        try:
            while True:
                spent = budget.is_spent(state().tokens, state().money)
                while not spent and len(running) < at_once and (number := next(waiting, None)) is not None:
                    running[pool.submit(teacher.ask, prompts[number], seed + number, sleep)] = number
                if not running:
                    break
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for one in sorted(done, key=running.__getitem__):
                    number, said = running.pop(one), one.result()
                    answers.said[number] = said
                    if said.trouble:
                        _require_some(answers)
                        continue
                    kept.write(json.dumps({"key": keys[number], **asdict(said)}, ensure_ascii=False) + "\n")
                    kept.flush()
                    os.fsync(kept.fileno())
                    answers.read, answers.written = answers.read + said.read, answers.written + said.written
                    yield state()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    if len(answers.said) < len(prompts):
        yield state(spent=True)


def _require_some(answers: Answers) -> None:
    """Raise `DataError` where the first prompts are all refused: it is not the prompts then."""
    if len(answers.said) >= REFUSED_AT_FIRST and all(said.trouble for said in answers.said.values()):
        raise DataError(f"The first {len(answers.said)} prompts were refused: {answers.said.popitem()[1].trouble}.",
                        "Check address, model and the limit of tokens.")  # fmt: skip


def table(
    prompts: Sequence[Prompt], answers: Answers, rules: Rules, splits: Sequence[str] = ()
) -> tuple[Upload, tuple[Refused, ...]]:
    """(the answers that are taken, as a data set is read; those that are not, by reason). Raises `DataError` where none
    is left."""
    rows: list[dict[str, Any]] = []
    left: dict[str, list[int]] = {}
    seen: set[tuple[str, str]] = set()
    for number, said in sorted(answers.said.items()):
        asked = written(prompts[number])
        why = rules.why_not(asked, said)
        if not why and (asked, said.text.strip()) in seen:
            why = "the same prompt with the same answer"
        if why:
            left.setdefault(why, []).append(number)
            continue
        seen.add((asked, said.text.strip()))
        rows.append({"prompt": asked, "answer": said.text.strip(), **({"split": splits[number]} if splits else {})})
    if not rows:
        reasons = ", ".join(f"{len(numbers)} {why}" for why, numbers in left.items()) or "none was given"
        raise DataError(f"No answer is left: {reasons}.", "Change the rules, or the limit of tokens.")
    refused = tuple(
        Refused.of(
            why,
            [number + 1 for number in numbers],
            [answers.said[number].trouble or answers.said[number].text for number in numbers],
        )
        for why, numbers in left.items()
    )
    return Upload("table", pd.DataFrame(rows, dtype=object), (_note(answers, refused),)), refused


def _note(answers: Answers, refused: Sequence[Refused]) -> str:
    left = f", {sum(one.count for one in refused):,} of them left out by the rules" if refused else ""
    return f"{len(answers.said):,} prompts were answered by a teacher{left}."


def prompts_of(upload: Upload, column: str | None) -> tuple[list[Prompt], list[str]]:
    """The prompts of a table, and which split each is in, where it says; chats up to the last thing that was asked.
    Raises `DataError` where no column holds prompts."""
    from studio.tasks import language

    names = {str(name).strip().lower(): str(name) for name in upload.table.columns}
    usual = ("prompt", "instruction", "question", "input", "text", *language.CHATS)
    found = column or next((names[name] for name in usual if name in names), None)
    if found is None or found not in upload.table.columns:
        raise DataError(f"There is no column of prompts; there are {', '.join(names.values())}.", "Name one.")
    prompts: list[Prompt] = []
    for cell in upload.table[found]:
        chat = language.messages(cell)
        last = max((place for place, one in enumerate(chat or ()) if one["role"] == "user"), default=None)
        prompts.append(str(cell) if chat is None or last is None else chat[: last + 1])
    splits = [str(cell) for cell in upload.table[names["split"]]] if "split" in names else []
    return prompts, splits


def written(prompt: Prompt) -> str:
    """A prompt as one text.

    >>> written([{"role": "user", "content": "Hi"}])
    'Hi'
    """
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1:
        return prompt[0]["content"]
    return "\n".join(f"{one['role'].capitalize()}: {one['content']}" for one in prompt)


def is_copied(prompt: str, text: str) -> bool:
    """Whether an answer says again what it was asked, or a long part of it.

    >>> is_copied("Tell me of a cat.", "tell me of a cat"), is_copied("Tell me of a cat.", "It sat on a mat.")
    (True, False)
    """
    asked, answered = (re.findall(r"\w+", one.lower()) for one in (prompt, text))
    if asked == answered:
        return True
    runs = {tuple(asked[place : place + COPIED_WORDS]) for place in range(len(asked) - COPIED_WORDS + 1)}
    return any(
        tuple(answered[place : place + COPIED_WORDS]) in runs for place in range(len(answered) - COPIED_WORDS + 1)
    )


# --- what is kept


def kept_in(home: Home, teacher: Endpoint, seed: int) -> Path:
    """The file of a teacher's answers: by what decides them, which the key is not."""
    told = {name: value for name, value in asdict(teacher).items() if name != "key"} | {"seed": seed}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]
    return home.asked / f"{digest}.jsonl"


def key(prompt: Prompt, copy: int) -> str:
    """A prompt by what it says, and the how manieth time it is asked."""
    return hashlib.sha256(json.dumps([prompt, copy], sort_keys=True).encode()).hexdigest()[:32]


def _counted(prompts: Sequence[Prompt]) -> Iterator[tuple[Prompt, int]]:
    seen: dict[str, int] = {}
    for prompt in prompts:
        same = json.dumps(prompt, sort_keys=True)
        seen[same] = seen.get(same, -1) + 1
        yield prompt, seen[same]


def _ends_with_a_line(file: Path) -> bool:
    with file.open("rb") as opened:
        opened.seek(-1, os.SEEK_END)
        return opened.read() == b"\n"


def read(file: Path) -> dict[str, Said]:
    """What was said, by key; a last line that was cut off while it was written is asked for again."""
    found = {}
    for line in file.read_text(encoding="utf-8", errors="replace").split("\n") if file.is_file() else ():
        try:
            one = json.loads(line)
        except ValueError:
            continue
        name = str(one.pop("key"))
        found[name] = Said(**one)
    return found


def checked_pattern(pattern: str) -> str:
    """The same. Raises `ConfigError` where it is no pattern."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"{pattern!r} is no pattern: {error}.", "Write a regular expression.") from error
    return pattern
