"""A process that keeps models open and answers one input at a time: questions come as lines on standard input, answers
go as lines to standard output."""

import math
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, TypeAdapter

from studio.errors import ModelError, StudioError
from studio.events import Failed, TrainedRole
from studio.pipeline.answers import (
    AskedRole,
    Attributions,
    Batch,
    Batched,
    Partial,
    Question,
    Replies,
    Said,
    Token,
    Why,
)
from studio.pipeline.job import Answer
from studio.pipeline.predict import LinearPredictor, Predictor, Writing, open_baseline, open_int8, open_role

MOST_BYTES = 2 * 1024**3
"""Models that take more together are not kept open; the one that was not asked for longest goes first."""

TIMED = 5
"""So often a question is answered again to be timed; the fastest time is the one that others disturbed least."""

Asked = Question | Batch | Why
_ASKED: TypeAdapter[Asked] = TypeAdapter(Annotated[Asked, Field(discriminator="kind")])

EXPLAINED: tuple[TrainedRole, ...] = ("teacher", "student")


class Opened:
    """The models that were asked last."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self.known: OrderedDict[tuple[str, int, AskedRole], Predictor | LinearPredictor] = OrderedDict()
        self._student: dict[tuple[str, int], Stamp] = {}

    def of(self, asked: Asked, role: AskedRole) -> Predictor | LinearPredictor:
        """The models of this role, opened now or before."""
        key = (str(asked.home.root), asked.run_id, role)
        self._forget_older(asked, key[:2])
        if key not in self.known:
            self.known[key] = _open(asked, role)
        self.known.move_to_end(key)
        while (
            len(self.known) > 1 and sum(predictor.weights_bytes for predictor in self.known.values()) > self.most_bytes
        ):
            self.known.popitem(last=False)
        return self.known[key]

    def _forget_older(self, asked: Asked, run: tuple[str, int]) -> None:
        """The models of a run that has learned on since they were opened."""
        now = _stamp(asked.home.model(asked.run_id, "student"))
        if self._student.setdefault(run, now) != now:
            self._student[run] = now
            for key in [key for key in self.known if key[:2] == run]:
                del self.known[key]


Stamp = tuple[int, int] | None
"""Which folder it is, and when it was written."""


def _stamp(folder: Path) -> Stamp:
    try:
        about = folder.stat()
    except FileNotFoundError:
        return None
    return about.st_ino, about.st_mtime_ns


def _open(asked: Asked, role: AskedRole) -> Predictor | LinearPredictor:
    config, labels, multi_label = asked.config, asked.labels, asked.multi_label
    if role == "int8":
        return open_int8(config, asked.run_id, asked.home, labels, multi_label)
    if role != "baseline":
        return open_role(config, asked.run_id, role, asked.home, labels, multi_label)
    if asked.dataset is None:
        raise ModelError("There is no baseline without the run's data.", "Ask the other models.")
    return open_baseline(config, asked.dataset, labels, multi_label)


Tell = Callable[[Partial], None]
"""Hears what models that write have written so far."""


def reply(question: Question, opened: Opened, tell: Tell = lambda part: None) -> Replies:
    """What each of the models says. Raises `ModelError` where none can be opened, `DataError` for no input."""
    value = question.value if question.image is None else question.image
    device, said, missing = "", list[Said](), dict[AskedRole, str]()
    written: dict[AskedRole, tuple[Predictor, Writing]] = {}
    for role in question.roles:
        try:
            predictor = opened.of(question, role)
        except ModelError as error:
            if role == question.roles[-1] and not said:
                raise
            missing[role] = str(error)
            continue
        device = str(predictor.device.torch_device)
        if isinstance(predictor, Predictor) and predictor.problem.task.kind == "token":
            begun = time.perf_counter()
            found = predictor.writes(value, lambda text, role=role: tell(Partial(role=role, text=text)))  # type: ignore[misc]
            taken = 1000 * (time.perf_counter() - begun)  # it is long enough to be timed once
            said.append(
                Said(role=role, answer={"text": found.text, "cut": found.is_cut}, shares={}, milliseconds=taken)
            )
            written[role] = predictor, found
            continue
        answer, shares = predictor.one(value)
        milliseconds = 1000 * min(_seconds(predictor, value))
        said.append(Said(role=role, answer=answer, shares=shares, milliseconds=milliseconds))
    said = [response.model_copy(update={"tokens": _tokens(response.role, written)}) for response in said]
    return Replies(said=said, missing=missing, device=device)


def _tokens(role: AskedRole, written: Mapping[AskedRole, tuple[Predictor, Writing]]) -> list[Token]:
    """What a model wrote, with how likely it and another one take each token; nothing where there is no other."""
    other: AskedRole = "student" if role == "teacher" else "teacher"
    if role not in written or other not in written:
        return []
    (own, writing), (reader, others) = written[role], written[other]
    if writing.processor.get_vocab() != others.processor.get_vocab():
        return []  # its tokens are none of the other's
    likely = zip(writing.pieces(), own.likelihoods(writing), reader.likelihoods(writing), strict=True)
    return [Token(text=text, own=math.exp(mine), other=math.exp(theirs)) for text, mine, theirs in likely]


def _seconds(predictor: Predictor | LinearPredictor, value: object) -> Iterator[float]:
    for _ in range(TIMED):
        begun = time.perf_counter()
        predictor.one(value)
        yield time.perf_counter() - begun


def batched(batch: Batch, opened: Opened) -> Batched:
    """What one model says of many inputs. Raises `ModelError` where it cannot be opened."""
    answers, shares = opened.of(batch, batch.role).batch(batch.images or batch.values, batch.shares)
    return Batched(answers=answers, shares=shares)


def attributed(why: Why, opened: Opened) -> Attributions:
    """What in an input speaks for a label, in the eyes of teacher and student. Raises `ModelError` where neither can
    tell."""
    from studio.pipeline.why import explained

    value = why.value if why.image is None else why.image
    label, found, missing = why.label, [], dict[AskedRole, str]()
    for role in EXPLAINED:
        try:
            predictor = opened.of(why, role)
            assert isinstance(predictor, Predictor), "a teacher is no baseline"
            label = label or next(iter(predictor.one(value)[1]), "")  # of a number there is nothing to choose
            number = why.labels.index(label) if label in why.labels else 0
            found.append(explained(predictor, role, value, number))
        except ModelError as error:
            if role == EXPLAINED[-1] and not found:
                raise
            missing[role] = str(error)
    return Attributions(label=label, said=found, missing=missing)


def answered(
    line: str, opened: Opened, tell: Tell = lambda part: None
) -> Answer[Replies] | Answer[Batched] | Answer[Attributions]:
    """The answer to a question, to a batch, or to why, as a line of JSON."""
    try:
        asked = _ASKED.validate_json(line)
        if isinstance(asked, Batch):
            return Answer[Batched](result=batched(asked, opened))
        if isinstance(asked, Why):
            return Answer[Attributions](result=attributed(asked, opened))
        return Answer[Replies](result=reply(asked, opened, tell))
    except StudioError as error:
        return Answer[Replies](failed=Failed.of(error))


def main() -> None:
    """Until standard input is closed."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    opened = Opened()

    def say(said: BaseModel) -> None:
        print(said.model_dump_json(), file=answers, flush=True)

    for line in sys.stdin:
        say(answered(line, opened, say))


if __name__ == "__main__":
    main()
