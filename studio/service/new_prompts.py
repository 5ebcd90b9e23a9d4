"""A teacher writes new prompts after a few examples of a person, as Self-Instruct does (Wang et al., 2023): a request
shows some examples as a list, what comes is taken apart, and what is of no use is left out and counted.

Which examples a request shows hangs on the seed and on what came before alone, and every reply is kept at once: who
was stopped goes on where it was. Held-out prompts, given or new, are never shown, and a new prompt that is nearly
another one is left out: nothing of the test set comes into training.
"""

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from studio.data import splits
from studio.data.refused import Refused
from studio.errors import ConfigError, DataError
from studio.home import Home
from studio.service import asking, patterns
from studio.service.answer_record import Teacher
from studio.service.answering import Prompts
from studio.service.asking import Answers, Asked, Budget, Price, Prompt
from studio.service.endpoint import Said
from studio.service.here import ModelHere

FEWEST, MOST = 2, 10_000
"""Examples that are needed; new prompts that are written at most."""

A_REQUEST = 10
"""So many prompts are asked for at once; more are taken, too."""

EXAMPLES, OF_NEW = 6, 2
"""A request shows so many examples of the person, and so many new prompts beside them, more where there are few."""

MOST_SHOWN = 6_000
"""Letters of all examples of a request."""

ROUND = 8
"""So many requests are put together from the same prompts, and may be asked at once."""

MOST_TIMES, IN_VAIN = 5, 16
"""So many times the requests are sent that it takes at least; and so many in a row may bring nothing new."""

TEMPERATURE, FEWEST_TOKENS, MOST_TOKENS = 0.7, 512, 4_096
"""How a list is drawn, and how long it may be."""

NEAR = 0.7
"""Two prompts of which the ROUGE-L is as large are nearly the same."""

SHORTER, LONGER = 2, 2
"""A new prompt has at least the letters of the shortest example divided by this, at most those of the longest times
this."""

HELD_OUT = ("train", "test", "train", "validation", "train", "train", "test", "train", "train", "train")
"""The splits of new prompts, in turn."""

INSTRUCTION = (
    "Below are prompts that people write to an assistant. Write ten more of the same kind, in the same "
    "language and of about the same length, each about something else. Write nothing but the numbered list, one prompt "
    "a line:"
)
"""What a model that follows instructions is told before the list; any other one writes the list on."""

BY_SERVER, NO_LIST = "a request for new prompts that its server refused", "a reply without a list of prompts"
CUT_OFF, NO_WORDS = "a new prompt cut off by the limit of tokens", "a new prompt without a word"
NEAR_COPY, SURPLUS = "a new prompt nearly the same as another one", "more new prompts than were asked for"
REASONS = (BY_SERVER, NO_LIST, CUT_OFF, NO_WORDS, NEAR_COPY, SURPLUS)
"""Why what a teacher writes is left out where nobody set another rule."""

_ITEM = re.compile(r"^[ \t]*\**(?:\d{1,4}[.):：、．](?!\d)|[-•] )\**[ \t]*", re.MULTILINE)
_AROUND = '*"“”„« »`'


@dataclass(frozen=True)
class Growing:
    """How far it is: so many of the wanted new prompts are there after so many requests, so many more were left out;
    what that took now."""

    done: int
    wanted: int
    requests: int
    left_out: int
    tokens: int = 0
    money: float = 0.0

    @property
    def share(self) -> float:
        """Of all that are wanted, from 0 to 1."""
        return min(1.0, self.done / self.wanted)


@dataclass
class Growth:
    """Examples and the new prompts that were written after them. Raises `DataError` where too few examples may be
    shown."""

    examples: Prompts
    wanted: int
    without: str = ""
    seed: int = 0
    new: list[str] = field(default_factory=list)
    answers: Answers = field(default_factory=Answers)
    _left_out: dict[str, list[str]] = field(default_factory=dict)
    _requests: list[str] = field(default_factory=list)
    _read: int = 0
    _in_vain: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.wanted <= MOST:
            raise ConfigError(f"{self.wanted:,} new prompts cannot be written.", f"Ask for 1 to {MOST:,}.")
        texts = [_text(prompt) for prompt in self.examples.asked]
        given = self.examples.splits or [""] * len(texts)
        splits.require_known({split for split in given if split}, "A split of the examples")
        sides = [splits.of(split) or splits.TRAIN for split in given]
        self._are_held_out = any(side != splits.TRAIN for side in sides)
        self._shown = list(
            dict.fromkeys(text for text, side in zip(texts, sides, strict=True) if text and side == splits.TRAIN)
        )
        if len(self._shown) < FEWEST:
            raise DataError(
                f"New prompts are written after {FEWEST} different examples or more that are for training, "
                f"and there {'is' if len(self._shown) == 1 else 'are'} {len(self._shown)}.",
                "Add examples; five to twenty are good.",
            )
        self._sides = sides
        self._known = [_words(text) for text in dict.fromkeys(texts)]
        lengths = [len(text) for text in self._shown]
        self._shortest, self._longest = -(-min(lengths) // SHORTER), max(lengths) * LONGER

    # --- requests

    def first(self) -> list[str]:
        """The first lists to be written on."""
        return self._more_requests()

    def more(self, answers: Answers) -> list[str]:
        """Further ones, when the ones before have been; none where that was enough, or leads nowhere."""
        self.read(answers)
        is_over = len(self.new) >= self.wanted or self._in_vain >= IN_VAIN or len(self._requests) >= self.most_requests
        return [] if is_over else self._more_requests()

    @property
    def requests(self) -> int:
        """So many were answered."""
        return self._read

    @property
    def fewest_requests(self) -> int:
        """So many it takes where everything is of use."""
        return -(-self.wanted // A_REQUEST)

    @property
    def most_requests(self) -> int:
        """More are not sent."""
        return MOST_TIMES * self.fewest_requests + ROUND

    @property
    def tokens_of_a_list(self) -> int:
        """So many a reply may have: those of the examples as often as prompts are asked for, and as many again."""
        mean = sum(len(text.encode()) for text in self._shown) / len(self._shown) / asking.LETTERS_A_TOKEN
        return min(MOST_TOKENS, max(FEWEST_TOKENS, round(2 * A_REQUEST * mean)))

    def _more_requests(self) -> list[str]:
        missing = -(-(self.wanted - len(self.new)) // A_REQUEST)
        numbers = range(len(self._requests), min(len(self._requests) + min(ROUND, missing), self.most_requests))
        found = [self._request(number) for number in numbers]
        self._requests += found
        return found

    def _request(self, number: int) -> str:
        """A list of examples, drawn by chance."""
        drawn = Random(f"{self.seed} {number}")  # noqa: S311  it chooses examples, it keeps no secret
        own = drawn.sample(self._shown, min(EXAMPLES, len(self._shown)))
        new = [text for place, text in enumerate(self.new) if self._side(place) == splits.TRAIN]
        some = own + drawn.sample(new, min(EXAMPLES + OF_NEW - len(own), len(new)))
        drawn.shuffle(some)
        lines, left = list[str](), MOST_SHOWN
        for text in some:
            left -= len(text)
            if left >= 0 or len(lines) < FEWEST:
                lines.append(f"{len(lines) + 1}. {' '.join(text.split())[:MOST_SHOWN]}\n")
        return "".join(lines)

    # --- replies

    def read(self, answers: Answers) -> None:
        """Take what the replies bring that were not read yet, in the order of their requests."""
        self.answers = answers
        while self._read < len(self._requests) and self._read in answers.said:
            before = len(self.new)
            self._take(answers.said[self._read])
            self._in_vain = 0 if len(self.new) > before else self._in_vain + 1
            self._read += 1

    def _take(self, said: Said) -> None:
        found = list(listed(said.text))
        if said.trouble or not found:
            self._leave_out(BY_SERVER if said.trouble else NO_LIST, said.trouble or said.text)
        for place, text in enumerate(found, start=1):
            words = _words(text)
            why = CUT_OFF if said.is_cut and place == len(found) else self._why_not(text, words)
            if why:
                self._leave_out(why, text)
            else:
                self.new.append(text)
                self._known.append(words)

    def _why_not(self, text: str, words: list[str]) -> str:
        """Why a new prompt is left out; "" where it is taken."""
        if not words:
            return NO_WORDS
        if len(text) < self._shortest:
            return f"a new prompt shorter than {self._shortest} letters"
        if len(text) > self._longest:
            return f"a new prompt longer than {self._longest} letters"
        if self.without and patterns.is_in(self.without, text):
            return f"a new prompt that matches {self.without!r}"
        if len(self.new) >= self.wanted:
            return SURPLUS
        return NEAR_COPY if any(are_near(words, other) for other in self._known) else ""

    def _leave_out(self, why: str, text: str) -> None:
        self._left_out.setdefault(why, []).append(text)

    # --- what there is

    def state(self, asked: Asked) -> Growing:
        """How far it is."""
        left_out = sum(map(len, self._left_out.values()))
        return Growing(len(self.new), self.wanted, self._read, left_out, asked.tokens, asked.money)

    @property
    def left_out(self) -> tuple[Refused, ...]:
        """What was left out, by reason; it stands in no line of a file."""
        return tuple(Refused.of(why, [0] * len(found), found) for why, found in self._left_out.items())

    @property
    def note(self) -> str:
        """What came of it."""
        note = f"{len(self.new):,} of the prompts were written by the teacher after {len(self._shown):,} examples."
        return note if len(self.new) >= self.wanted else f"{note} {self._ended}"

    @property
    def _ended(self) -> str:
        return f"{self.wanted:,} were wanted: after {self._read:,} requests too little new came."

    @property
    def _most_often(self) -> str:
        most = max(self.left_out, key=lambda refused: refused.count, default=None)
        return "none was answered" if most is None else f"{most.count:,} times {most.reason}"

    def prompts(self) -> Prompts:
        """The examples and the new prompts, with the split of each. Raises `DataError` where no new one is there."""
        if not self.new:
            raise DataError(
                f"The teacher wrote no prompt of use in {self._read:,} requests: {self._most_often}.",
                "Bring clearer examples, or ask a larger model.",
            )
        new = [self._as_asked(text) for text in self.new]
        sides = [self._side(number) for number in range(len(new))]
        lines = (self.examples.lines or list(range(1, len(self.examples.asked) + 1))) + [0] * len(new)
        return replace(self.examples, asked=[*self.examples.asked, *new], splits=[*self._sides, *sides], lines=lines,
                       notes=(*self.examples.notes, self.note))  # fmt: skip

    def _side(self, number: int) -> str:
        """The split of a new prompt: the person's own rows are held out where there are such."""
        return splits.TRAIN if self._are_held_out else HELD_OUT[number % len(HELD_OUT)]

    def _as_asked(self, text: str) -> Prompt:
        """A new prompt as the first example is asked: of a chat after what its system was told."""
        first = self.examples.asked[0]
        if isinstance(first, str):
            return text
        return [*(message for message in first[:1] if message["role"] == "system"), {"role": "user", "content": text}]


def write(
    home: Home, teacher: Teacher, growth: Growth, *, price: Price | None = None, budget: Budget | None = None,
    **how: Any,
) -> Generator[Growing]:  # fmt: skip
    """Have a teacher write new prompts; `growth` fills. Raises what `asking.ask` does, and `DataError` where the budget
    is spent before they are there, or none is of use."""
    price, budget = price or Price(), budget or Budget()
    writer = who_writes(teacher, growth)
    how |= {"price": price, "budget": budget, "seed": growth.seed}
    if isinstance(writer, ModelHere):
        progress = asking.ask_here(home, growth.first(), writer, growth.answers, more=growth.more, **how)
    else:
        progress = asking.ask(
            home,
            _as_prompts(growth.first()),
            writer,
            growth.answers,
            more=lambda answers: _as_prompts(growth.more(answers)),
            **how,
        )
    for asked in progress:
        yield growth.state(asked)
    growth.read(growth.answers)
    if len(growth.new) < growth.wanted and budget.is_spent(*growth.answers.taken(price)):
        raise DataError(
            f"The budget is spent: {len(growth.new):,} of {growth.wanted:,} new prompts are there, none is answered.",
            "With a larger one it goes on where it was.",
        )
    growth.prompts()


def who_writes(teacher: Teacher, growth: Growth) -> Teacher:
    """The teacher as it writes lists."""
    writer = replace(teacher, system="", temperature=TEMPERATURE, most_tokens=growth.tokens_of_a_list)
    return replace(writer, instruction=INSTRUCTION) if isinstance(writer, ModelHere) else writer


def expected(growth: Growth, teacher: Teacher, samples: int = 1) -> tuple[int, int]:
    """(tokens read, tokens written), at most, told before anything is asked: of the lists, and of so many answers to
    each example and each new prompt."""
    lists, prompts = growth.most_requests, samples * (growth.wanted + len(growth.examples.asked))
    read, _ = asking.expected(growth.examples.asked, teacher)
    mean = read / len(growth.examples.asked)
    of_a_list = asking.tokens_in(INSTRUCTION) + round(mean * (EXAMPLES + OF_NEW))
    return lists * of_a_list + round(prompts * mean), lists * growth.tokens_of_a_list + prompts * teacher.most_tokens


def listed(text: str) -> Iterator[str]:
    """The prompts of a list, without their numbers and what stands around them: each up to the next, or a blank line.

    >>> list(listed('Sure!\\n1. "Why is it so?"\\n2) Write a poem\\n   of two lines.\\n\\nHave fun!'))
    ['Why is it so?', 'Write a poem of two lines.']
    """
    for item in _ITEM.split(text)[1:]:
        words = " ".join(item.partition("\n\n")[0].split())
        bare = words.strip(_AROUND)
        if bare:
            yield bare if words[0] in _AROUND and words[-1] in _AROUND else words


def are_near(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether two prompts are nearly the same: by the words that both have in the same order.

    >>> are_near("write a poem about a cat".split(), "write a poem about the cat".split())
    True
    """
    from studio.evaluate.written import longest_common

    needed = NEAR * (len(first) + len(second)) / 2
    if min(len(first), len(second)) < needed:
        return False
    return longest_common(first, second) >= needed


def _words(text: str) -> list[str]:
    from studio.evaluate.written import words

    return words(text)


def _text(prompt: Prompt) -> str:
    """What a person asks: of a chat its first question."""
    if isinstance(prompt, str):
        return prompt
    return next((message["content"] for message in prompt if message["role"] == "user"), "")


def _as_prompts(lists: Sequence[str]) -> list[Prompt]:
    return [f"{INSTRUCTION}\n\n{examples}" for examples in lists]
