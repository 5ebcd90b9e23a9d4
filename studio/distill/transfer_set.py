"""The transfer set: the rows on which the student imitates its teachers, in one or more views, and what they answer.

View 0 is the data as it is. Every other view is a changed copy, made anew from the seed whenever it is asked for. What
a teacher answers is recorded under a fingerprint of the very inputs it read, so no view can take another one's answers.
"""

import functools
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import torch
from datasets import Dataset
from torch import Tensor

from studio.distill import byte_spans, teacher_outputs
from studio.distill.byte_spans import Likelihoods, SpanAnswers
from studio.distill.top_answers import How, TopAnswers
from studio.events import Event, Phase, Progress
from studio.home import Home
from studio.machine.devices import Device
from studio.models.model import Model
from studio.tasks import Encoded, Task
from studio.tasks.augment import NO_CHANGES, Changes
from studio.tasks.encoded_tokens import TOLD, EncodedTokens
from studio.tasks.positions import PositionLogits

KEPT_BYTES = 64e6
"""Changed views that are kept, together: an epoch of small data takes less time than to change it."""

_FROM_DISK = "The teacher's answers to this data{} are on disk already: they are read from there."


@dataclass(frozen=True)
class View:
    """One version of the training rows: as the student reads them, what the teachers answered, and as the teacher reads
    them where it answers live."""

    inputs: Encoded
    logits: PositionLogits | TopAnswers | SpanAnswers | None = None
    teacher_inputs: Encoded | None = None

    def to(self, device: torch.device) -> "View":
        return View(
            self.inputs.to(device),
            None if self.logits is None else self.logits.to(device),
            None if self.teacher_inputs is None else self.teacher_inputs.to(device),
        )


@dataclass(frozen=True)
class TransferSet:
    """Training rows in one part, or in two where a student goes on with new data: the new rows, then the old ones."""

    task: Task
    parts: tuple[Dataset, ...]
    max_length: int
    seed: int
    changes: Changes = NO_CHANGES
    views: int = 1
    _plain: dict[tuple[object, ...], Encoded] = field(default_factory=dict, repr=False, compare=False)
    _latest: dict[tuple[object, ...], tuple[int, Encoded]] = field(default_factory=dict, repr=False, compare=False)
    _kept: dict[tuple[object, ...], Encoded] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        """The rows of all parts."""
        return sum(map(len, self.parts))

    def part(self, model: Model, number: int, view: int, changes: Changes | None = None) -> Encoded:
        """One part as this model reads it; `changes` in place of the set's own.

        The data as it is stays in memory, and of its changed views the latest, and as many as are small.
        """
        changes = self.changes if changes is None else changes
        task, rows, reading = self.task, self.parts[number], (number, *_reading(model))
        if reading not in self._plain:
            self._plain[reading] = task.encode(rows, model.processor, model.network.config, self.max_length)
        plain = self._plain[reading]
        if view == 0 or not changes.names:
            return plain
        latest = (*reading, changes.names)
        if (*latest, view) in self._kept:
            return self._kept[*latest, view]
        if latest not in self._latest or self._latest[latest][0] != view:
            seed = (self.seed * 1_000_003 + view * 101 + number) % 2**31
            self._latest[latest] = view, task.changed(rows, plain, model, self.max_length, changes, seed)
            self._keep((*latest, view), self._latest[latest][1])
        return self._latest[latest][1]

    def _keep(self, key: tuple[object, ...], changed: Encoded) -> None:
        """In memory, where views come again, and as long as there is room."""
        held = sum(map(_bytes, self._kept.values()))
        if self.views > 1 and held + _bytes(changed) <= KEPT_BYTES:
            self._kept[key] = changed

    def whole(self, model: Model, view: int = 0, changes: Changes | None = None) -> Encoded:
        """All rows of a view, in the order of the parts."""
        first, *others = (self.part(model, number, view, changes) for number in range(len(self.parts)))
        for other in others:
            first = first.join(other)
        return first


def _bytes(encoded: Encoded) -> int:
    return sum(value.nbytes for value in vars(encoded).values() if isinstance(value, Tensor))


@dataclass(frozen=True)
class TeacherOutputs:
    """What a student follows: the teachers' logits for every view, and, where a loss asks for more than logits, the
    first teacher itself."""

    logits: tuple[PositionLogits | TopAnswers | Likelihoods, ...]
    live: Model | None = None
    _spans: dict[tuple[object, ...], SpanAnswers] = field(default_factory=dict, repr=False, compare=False)

    def view(self, transfer: TransferSet, student: Model, number: int) -> View:
        """The view of that number, as an epoch of the student needs it."""
        live = None if self.live is None else transfer.whole(self.live, number)
        found = self.logits[number]
        return View(
            transfer.whole(student, number),
            self.spans(found, transfer, student, number) if isinstance(found, Likelihoods) else found,
            live,
        )

    def spans(self, said: Likelihoods, transfer: TransferSet, student: Model, number: int) -> SpanAnswers:
        """What was said of a view's tokens, over the spans that the student cuts alike; found once."""
        key = (number, *_reading(student))
        if key not in self._spans:
            theirs, mine = transfer.whole(said.teacher, number), transfer.whole(student, number)
            assert isinstance(theirs, EncodedTokens)
            assert isinstance(mine, EncodedTokens)
            self._spans[key] = byte_spans.answers(said, theirs, mine, student)
        return self._spans[key]


def record(
    teachers: Sequence[Model],
    transfer: TransferSet,
    device: Device,
    home: Home,
    fusion: str,
    phase: Phase,
    how: How | None = None,
) -> Generator[Event, None, tuple[PositionLogits | TopAnswers, ...]]:
    """The teachers' answers to every view, those that are on disk from earlier read from there.

    Returns the logits of each view, fused where there is more than one teacher; `how` says where of each answer of one
    teacher some tokens alone are kept.
    """
    parts = range(len(transfer.parts))
    total = transfer.views * sum(len(transfer.part(teacher, number, 0)) for teacher in teachers for number in parts)
    recorder = _Recorder(transfer, device, home, phase, total)
    views: list[PositionLogits | TopAnswers] = []
    if how is not None:
        for view in range(transfer.views):
            views.append((yield from recorder.top_answers(teachers[0], view, how)))
        return tuple(views)
    for view in range(transfer.views):
        answers = []
        for teacher in teachers:
            answers.append((yield from recorder.answers(teacher, view)))
        views.append(fuse(answers, fusion, transfer.task))
    return tuple(views)


def record_likelihoods(
    teacher: Model, transfer: TransferSet, device: Device, home: Home, phase: Phase
) -> Generator[Event, None, tuple[Likelihoods, ...]]:
    """How likely the teacher takes the tokens of every view, those that are on disk from earlier read from there."""
    total = transfer.views * len(transfer.whole(teacher))
    recorder = _Recorder(transfer, device, home, phase, total)
    found = []
    for view in range(transfer.views):
        found.append((yield from recorder.likelihoods(teacher, view)))
    return tuple(found)


@dataclass
class _Recorder:
    """Records one teacher and view after the other; `done` of `total` rows are recorded."""

    transfer: TransferSet
    device: Device
    home: Home
    phase: Phase
    total: int
    done: int = 0

    def answers(self, teacher: Model, view: int) -> Generator[Event, None, PositionLogits]:
        """One teacher's logits of all rows of a view."""
        teacher.network.to(self.device.torch_device)
        answers = yield from self._part(teacher, 0, view)
        for number in range(1, len(self.transfer.parts)):
            answers = answers.join((yield from self._part(teacher, number, view)))
        return answers

    def top_answers(self, teacher: Model, view: int, how: How) -> Generator[Event, None, TopAnswers]:
        """Some tokens of the answers to all rows of a view."""
        teacher.network.to(self.device.torch_device)
        parts = []
        for number in range(len(self.transfer.parts)):
            yield self._progress(view, 0)
            inputs = self.transfer.part(teacher, number, view)
            own = how.part(view, number)
            folder = self.home.teacher_outputs / f"{self._name(teacher, inputs)}-{own.key}"
            tell = functools.partial(self._progress, view)
            found = self._found(view)
            parts.append(
                (yield from teacher_outputs.record_top(teacher, inputs, self.device, folder, own, tell, found))
            )
            self.done += len(inputs)
        return functools.reduce(TopAnswers.join, parts)

    def likelihoods(self, teacher: Model, view: int) -> Generator[Event, None, Likelihoods]:
        """The log-probabilities of the tokens of all rows of a view."""
        teacher.network.to(self.device.torch_device)
        parts = []
        for number in range(len(self.transfer.parts)):
            yield self._progress(view, 0)
            inputs = self.transfer.part(teacher, number, view)
            folder = self.home.teacher_outputs / f"{self._name(teacher, inputs)}-tokens"
            tell, found = functools.partial(self._progress, view), self._found(view)
            recorded = yield from teacher_outputs.record_told(
                teacher, inputs, self.device, folder, tell, found, len(TOLD)
            )
            parts.append(recorded.values[:, TOLD.index("log_probability")])
            self.done += len(inputs)
        return Likelihoods(torch.cat(parts), teacher)

    def _name(self, teacher: Model, inputs: Encoded) -> str:
        return teacher_outputs.fingerprint(teacher, inputs, self.device.dtype)

    def _found(self, view: int) -> str:
        return _FROM_DISK.format(f" (view {view + 1})" if self.transfer.views > 1 else "")

    def _part(self, teacher: Model, number: int, view: int) -> Generator[Event, None, PositionLogits]:
        yield self._progress(view, 0)
        inputs = self.transfer.part(teacher, number, view)
        folder = self.home.teacher_outputs / self._name(teacher, inputs)
        tell = functools.partial(self._progress, view)
        logits = yield from teacher_outputs.record(teacher, inputs, self.device, folder, tell, self._found(view))
        self.done += len(inputs)
        return logits

    def _progress(self, view: int, rows: int) -> Progress:
        """After so many rows of the part that is being recorded."""
        views = self.transfer.views
        detail = f"view {view + 1} of {views}" if views > 1 else ""
        return Progress(phase=self.phase, step=self.done + rows, total=self.total, detail=detail)


def fuse(logits: Sequence[PositionLogits], fusion: str, task: Task) -> PositionLogits:
    """One set of logits for several teachers: their mean, that is the geometric mean of their distributions at every
    temperature (Hinton, Vinyals & Dean, 2015, section 2).

    With `confidence` a teacher's weight at a position is its certainty, as the task says, over the sum of all. A
    position is fused from the teachers that saw it. One teacher's logits come back as they are.

    >>> from studio import tasks
    >>> two = [PositionLogits.per_row(torch.tensor([values])) for values in ([2.0, 0.0], [0.0, 1.0])]
    >>> fuse(two, "average", tasks.get("text-classification")).values
    tensor([[1.0000, 0.5000]])
    """
    if len(logits) == 1:
        return logits[0]
    stacked = torch.stack([teacher.values.float() for teacher in logits])
    unseen = None if logits[0].one_per_row else stacked.isnan().any(-1, keepdim=True)
    if fusion == "average" and unseen is None:
        return logits[0]._replace(values=stacked.mean(0))
    weights = torch.ones_like(stacked[..., :1]) if fusion == "average" else task.certainty(stacked).clamp(min=1e-6)
    if unseen is not None:
        weights, stacked = weights.masked_fill(unseen, 0.0), stacked.masked_fill(unseen, 0.0)
    return logits[0]._replace(values=(stacked * weights / weights.sum(0)).sum(0))  # 0 / 0: NaN where nobody saw it


def labelled(inputs: Encoded, task: Task) -> Tensor:
    """The numbers of the rows that have a label at one position or more."""
    known, offsets = task.known(inputs.labels.cpu()), inputs.offsets.cpu()
    before = torch.cat([torch.zeros(1, dtype=torch.long), known.long().cumsum(0)])
    return torch.nonzero(before[offsets[1:]] > before[offsets[:-1]]).flatten()


def same_reading(first: Encoded, second: Encoded) -> bool:
    """Whether two models read the same numbers in the same places."""
    if first is second:
        return True
    mine, theirs = teacher_outputs.read_tensors(first), teacher_outputs.read_tensors(second)
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def _reading(model: Model) -> tuple[object, ...]:
    """What decides how a model reads a row."""
    config = model.network.config
    return id(model.processor), getattr(config, "num_channels", None), getattr(config, "max_position_embeddings", None)
