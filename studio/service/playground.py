"""Try the models of a run: one input, asked of teacher, student and control in a process that keeps them open."""

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from studio import tasks
from studio.errors import LimitError
from studio.events import TrainedRole
from studio.executors.conversation import Conversation
from studio.home import Home
from studio.pipeline.answers import (
    AskedRole,
    Attributions,
    Batch,
    Batched,
    Partial,
    Question,
    Replies,
    Why,
    read_conversion,
)
from studio.pipeline.job import Answer
from studio.service.predict import inputs
from studio.store.store import Store

PROGRAM = (sys.executable, "-m", "studio.pipeline.playground")
MOST_ROWS, MOST_LETTERS = 64, 1_000_000
"""Rows of a file, and letters (of images bytes) in them, that are asked at a time, so that others ask in between."""

LONGEST_TEXT, LARGEST_IMAGE = 200_000, 64 * 1024**2
"""Letters of one text, and bytes of one image: all who ask wait while it is read."""

Tell = Callable[[Partial], None]
_PARTIAL = '{"kind":"partial"'
"""How lines begin that are no answer yet."""

ANSWER_SECONDS = 120.0
IDLE_SECONDS = 600.0
"""A process that nobody asks for so long ends and gives its memory back."""


def roles(home: Home, run_id: int, has_control: bool) -> list[TrainedRole]:
    """The models of a run that can be asked: the teacher, and what the run has saved."""
    wanted: list[TrainedRole] = ["student", "control"] if has_control else ["student"]
    there = [role for role in wanted if home.model(run_id, role).is_dir() or home.quantized(run_id, role).is_dir()]
    return ["teacher", *there]


@functools.cache
def shared(root: Path) -> "Playground":
    """The one of this process for a home: pages and programs ask the same models."""
    return Playground(Home(root))


def asked_roles(home: Home, store: Store, run_id: int) -> list[AskedRole]:
    """All whom one can ask about an input: the models of the run, its student in int8 where that was made and as it was
    before it learned, and its baseline."""
    found: list[AskedRole] = [*roles(home, run_id, store.run(run_id).config.control)]
    known = read_conversion(home.onnx(run_id))
    writes = (
        tasks.get(store.dataset_by_id(store.run(run_id).dataset_id).task).kind == "token"
    )  # an ONNX file cannot go on with a text
    if "student" in found and not writes and known and any(form.name == "int8" and form.file for form in known.forms):
        found.insert(found.index("student") + 1, "int8")
    measured = {evaluation.role for evaluation in store.evaluations(run_id)}
    others: tuple[AskedRole, ...] = ("untouched", "baseline")
    return found + [role for role in others if role in measured]


class Playground:
    """One process for all who ask, started by the first question."""

    def __init__(self, home: Home, seconds: float = ANSWER_SECONDS, idle_seconds: float = IDLE_SECONDS) -> None:
        self.home = home
        self._process = Conversation(PROGRAM, home.root / "playground.log", _PARTIAL, seconds, idle_seconds)

    def ask(self, store: Store, run_id: int, value: Any, tell: Tell = lambda part: None) -> Replies:
        """What the models of a run say of a value; bytes are an image's file. `tell` hears what models that write have
        written so far.

        Raises what the process met: `ModelError`, `DataError`; or `WorkerError` where it gave no answer.
        """
        run = store.run(run_id)
        row = store.dataset_by_id(run.dataset_id)
        (value,) = inputs([value], row.task)  # what is no input is told before a model is asked
        _require_short([value])
        is_image = isinstance(value, bytes)
        question = Question(
            home=self.home, run_id=run_id, config=run.config, labels=row.labels, multi_label=row.multi_label,
            roles=asked_roles(self.home, store, run_id), dataset=self.home.dataset(row.id),
            value=None if is_image else value, image=value if is_image else None,
        )  # fmt: skip
        line = self._exchange(question.model_dump_json(), tell)
        return Answer[Replies].model_validate_json(line).result_or_raise()

    def why(self, store: Store, run_id: int, value: Any, label: str = "") -> Attributions:
        """What in a value speaks for a label, in the eyes of teacher and student; for the teacher's answer where none
        is named. Raises as `ask` does."""
        run = store.run(run_id)
        row = store.dataset_by_id(run.dataset_id)
        (value,) = inputs([value], row.task)
        _require_short([value])
        is_image = isinstance(value, bytes)
        why = Why(
            home=self.home, run_id=run_id, config=run.config, labels=row.labels, multi_label=row.multi_label,
            label=label, value=None if is_image else value, image=value if is_image else None,
        )  # fmt: skip
        line = self._exchange(why.model_dump_json())
        return Answer[Attributions].model_validate_json(line).result_or_raise()

    def batch(self, store: Store, run_id: int, role: AskedRole, values: Sequence[Any], shares: bool = False) -> Batched:
        """What one model of a run says of many values, as `predict.inputs` gives them; raises as `ask` does."""
        run = store.run(run_id)
        row = store.dataset_by_id(run.dataset_id)
        _require_short(values)
        are_images = tasks.get(row.task).modality == "image"
        batch = Batch(
            home=self.home, run_id=run_id, config=run.config, labels=row.labels, multi_label=row.multi_label, role=role,
            dataset=self.home.dataset(row.id),
            values=[] if are_images else list(values), images=list(values) if are_images else [], shares=shares,
        )  # fmt: skip
        line = self._exchange(batch.model_dump_json())
        return Answer[Batched].model_validate_json(line).result_or_raise()

    def stream(
        self, store: Store, run_id: int, role: AskedRole, values: Sequence[Any]
    ) -> Iterator[list[dict[str, Any]]]:
        """The answers to any number of values in their order, some at a time."""
        for some in _some(values):
            yield self.batch(store, run_id, role, some).answers

    def close(self) -> None:
        """End the process; the next question starts another."""
        self._process.close()

    def _exchange(self, line: str, tell: Tell = lambda part: None) -> str:
        return self._process.ask(line, lambda part: tell(Partial.model_validate_json(part)))


def _some(values: Sequence[Any]) -> Iterator[list[Any]]:
    """The values in their order, at most `MOST_ROWS` and, where it is more than one, `MOST_LETTERS` at a time."""
    some: list[Any] = []
    letters = 0
    for value in values:
        if some and (len(some) == MOST_ROWS or letters + _letters(value) > MOST_LETTERS):
            yield some
            some, letters = [], 0
        some.append(value)
        letters += _letters(value)
    if some:
        yield some


def _letters(value: Any) -> int:
    """Those of a text, of a pair or of words; the bytes of an image."""
    return len(value) if isinstance(value, str | bytes) else sum(len(part) for part in value)


def _require_short(values: Sequence[Any]) -> None:
    largest = max((len(value) for value in values if isinstance(value, bytes)), default=0)
    if largest > LARGEST_IMAGE:
        raise LimitError(f"An image has {largest / 1e6:,.0f} MB; at most {LARGEST_IMAGE / 1e6:.0f} MB are asked.",
                         "Make it smaller.")  # fmt: skip
    longest = max((_letters(value) for value in values if not isinstance(value, bytes)), default=0)
    if longest > LONGEST_TEXT:
        raise LimitError(f"A text has {longest:,} characters; at most {LONGEST_TEXT:,} are asked.", "Cut it.")
