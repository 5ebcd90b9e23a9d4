"""A teacher is asked: each prompt once, what it says is kept at once, within a budget.

What was said stands in a file of the home (`studio.service.answer_record`): a job that was stopped, or ran out of its
budget, goes on where it was, and the same question is never paid for twice.
"""

import hashlib
import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from studio.errors import DataError
from studio.home import Home
from studio.service.answer_record import Record, Teacher
from studio.service.endpoint import Endpoint, Said
from studio.service.here import ModelHere

LETTERS_A_TOKEN = 4
"""About so many letters a token has, for what is told before anything is asked."""

PATIENCE = 5.0
"""So many seconds who stops asking waits for what is under way."""

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
    """What the answers to all prompts may take together, those of before among them: tokens, read and written, and
    money; None where there is no limit."""

    tokens: int | None = None
    money: float | None = None

    def without(self, tokens: int, money: float) -> "Budget":
        """What is left of it.

        >>> Budget(tokens=100).without(30, 0.5)
        Budget(tokens=70, money=None)
        """
        return Budget(None if self.tokens is None else self.tokens - tokens,
                      None if self.money is None else self.money - money)  # fmt: skip

    def is_spent(self, tokens: int, money: float) -> bool:
        """Whether nothing more may be asked."""
        return (self.tokens is not None and tokens >= self.tokens) or (self.money is not None and money >= self.money)


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


More = Callable[[Answers], Sequence[Prompt]]
"""What else is to be asked, when all before is answered."""


def expected(prompts: Sequence[Prompt], teacher: Teacher) -> tuple[int, int]:
    """(tokens read, tokens written at most), told before anything is asked.

    >>> expected(["How are you today?"], Endpoint("https://h/v1", "m", most_tokens=100))
    (5, 100)
    """
    return sum(tokens_in(teacher.system + written(prompt)) for prompt in prompts), teacher.most_tokens * len(prompts)


def nothing_more(answers: Answers) -> Sequence[Prompt]:
    """All prompts were there from the beginning."""
    return ()


def ask_here(
    home: Home, prompts: Sequence[Prompt], teacher: ModelHere, answers: Answers, *, at_once: int = 16,
    price: Price | None = None, budget: Budget | None = None, seed: int = 0, stop: threading.Event | None = None,
    more: More = nothing_more,
) -> Generator[Asked]:  # fmt: skip
    """As `ask`, of a model of this machine: some prompts are answered together, and kept when all of them are.

    Raises `ModelError` where it cannot be opened, `DataError` where it is being asked the same by another one.
    """
    price, budget, stop = price or Price(), budget or Budget(), stop or threading.Event()
    line = _Line(home, prompts, teacher, answers, seed)
    try:
        yield line.state(price)
        with teacher.opened(home) as model:
            while not stop.is_set() and not budget.is_spent(*answers.taken(price)):
                if not line.waiting and not line.add(more(answers)):
                    break
                some = [line.waiting.popleft() for _ in range(min(at_once, len(line.waiting)))]
                if not some:
                    continue
                said = model.ask([line.prompts[number] for number in some], seed + some[0])
                for number, answer in zip(some, said, strict=True):
                    line.record.keep(line.keys[number], answer)
                    answers.add(number, answer)
                yield line.state(price)
    finally:
        line.record.close_after(())
    yield line.state(price, is_over=budget.is_spent(*answers.taken(price)))


def ask(
    home: Home, prompts: Sequence[Prompt], teacher: Endpoint, answers: Answers, *, at_once: int = 4,
    price: Price | None = None, budget: Budget | None = None, seed: int = 0, stop: threading.Event | None = None,
    more: More = nothing_more,
) -> Generator[Asked]:  # fmt: skip
    """Ask for every prompt that nobody has asked for; `answers` fills. When all are answered, `more` says what else is
    to be asked. Ends where that is nothing, the budget is spent or `stop` is set: what is under way then is waited for.
    Closed, or at an error, nothing is asked again and it waits `PATIENCE` seconds at most; what comes later is kept all
    the same.

    Raises `DataError` where the teacher may not be asked, does not answer, or is being asked the same by another one.
    """
    price, budget, stop = price or Price(), budget or Budget(), stop or threading.Event()
    teacher.check()
    line = _Line(home, prompts, teacher, answers, seed)
    not_taken: set[str] = set()

    def ask_teacher(number: int) -> Said | None:
        """In a thread of its own: what comes is kept even where nobody waits for it any more."""
        said = teacher.ask(line.prompts[number], seed + number, stop, not_taken)
        if said is None or said.trouble:
            return said
        said = _counted_tokens(said, teacher, line.prompts[number])
        line.record.keep(line.keys[number], said)
        return said

    running: dict[Future[Said | None], int] = {}
    pool = ThreadPoolExecutor(max_workers=at_once)
    try:
        yield line.state(price)
        while not (over := stop.is_set() or budget.is_spent(*answers.taken(price))) or running:
            if not (over or line.waiting or running) and not line.add(more(answers)):
                break
            while line.waiting and not over and len(running) < at_once:
                number = line.waiting.popleft()
                running[pool.submit(ask_teacher, number)] = number
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for came in sorted(done, key=running.__getitem__):
                number, said = running.pop(came), came.result()
                if said is not None:
                    answers.add(number, said)
                    _require_some(answers)
                    yield line.state(price)
    finally:
        stop.set()
        pool.shutdown(wait=False)
        wait(running, timeout=PATIENCE)
        line.record.close_after(running)
    yield line.state(price, is_over=budget.is_spent(*answers.taken(price)))


class _Line:
    """Prompts in their order with their keys, and those of them that wait: what is known is an answer at once. Raises
    `DataError` where one of the first ones is being asked by somebody else."""

    def __init__(self, home: Home, prompts: Sequence[Prompt], teacher: Teacher, answers: Answers, seed: int) -> None:
        self.prompts: list[Prompt] = []
        self.keys: list[str] = []
        self.waiting: deque[int] = deque()
        self._seen: Counter[str] = Counter()
        self._teacher, self._answers = teacher, answers
        keys = self._keyed(prompts)
        self.record = Record(home, teacher, seed, keys)
        self._put(prompts, keys)

    def add(self, prompts: Sequence[Prompt]) -> bool:
        """Whether there are more."""
        self._put(prompts, self._keyed(prompts))
        return bool(prompts)

    def state(self, price: Price, is_over: bool = False) -> Asked:
        """How far asking is."""
        return self._answers.state(len(self.prompts), price, is_over)

    def _keyed(self, prompts: Sequence[Prompt]) -> list[str]:
        found = []
        for prompt in prompts:
            same = json.dumps(prompt, sort_keys=True)
            found.append(key(prompt, self._seen[same]))
            self._seen[same] += 1
        return found

    def _put(self, prompts: Sequence[Prompt], keys: Sequence[str]) -> None:
        for prompt, prompt_key in zip(prompts, keys, strict=True):
            number, known = len(self.prompts), self.record.known.get(prompt_key)
            self.prompts.append(prompt)
            self.keys.append(prompt_key)
            if known is None:
                self.waiting.append(number)
            else:
                self._answers.add(number, _counted_tokens(known, self._teacher, prompt), is_known=True)


def tokens_in(text: str) -> int:
    """About so many tokens a text has."""
    return -(-len(text) // LETTERS_A_TOKEN)


def _counted_tokens(said: Said, teacher: Teacher, prompt: Prompt) -> Said:
    """The same with tokens counted by letters, where the server tells none."""
    read, wrote = said.read or tokens_in(teacher.system + written(prompt)), said.written or tokens_in(said.text)
    is_told = (read, wrote) == (said.read, said.written)
    return said if is_told else replace(said, read=read, written=wrote, is_estimated=True)


def _require_some(answers: Answers) -> None:
    """Raise `DataError` where the first prompts are all refused: it is not the prompts then."""
    if answers.refused >= REFUSED_AT_FIRST and answers.refused == len(answers.said):
        raise DataError(f"The first {len(answers.said)} prompts were refused: {answers.said.popitem()[1].trouble}.",
                        "Check address, model and the limit of tokens.")  # fmt: skip


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


def key(prompt: Prompt, copy: int) -> str:
    """A prompt by what it says, and the how manieth time it is asked."""
    return hashlib.sha256(json.dumps([prompt, copy], sort_keys=True).encode()).hexdigest()[:32]
