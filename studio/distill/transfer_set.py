"""The transfer set: the rows on which the student imitates its teachers, in several views, and what they answer.

View 0 is the data as it is. Every other view is a changed copy, made anew from the seed whenever it is asked for. What
a teacher answers is recorded under a fingerprint of the very inputs it read, so no view can take another one's answers.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import torch
from datasets import Dataset
from torch import Tensor

from studio.distill import teacher_outputs as recording
from studio.events import Event, Log, Phase, Progress
from studio.home import Home
from studio.machine.devices import Device
from studio.models.model import Model
from studio.tasks import Encoded, Task
from studio.tasks.augment import NO_CHANGES, Changes
from studio.tasks.labels import are_known, certainty

_FROM_DISK = "The teacher's answers to this data{} are on disk from an earlier run: they are read from there."


@dataclass(frozen=True)
class View:
    """One version of the training rows: as the student reads them, what the teachers answered (rows, classes), and as
    the teacher reads them where it answers live."""

    inputs: Encoded
    logits: Tensor | None = None
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

    def part(self, model: Model, number: int, view: int, changes: Changes | None = None) -> Encoded:
        """One part as this model reads it; `changes` in place of the set's own.

        The data as it is stays in memory, and of its changed views the latest.
        """
        changes = self.changes if changes is None else changes
        task, rows, reading = self.task, self.parts[number], (number, *_reading(model))
        if reading not in self._plain:
            self._plain[reading] = task.encode(rows, model.processor, model.network.config, self.max_length)
        plain = self._plain[reading]
        if view == 0 or not changes.names:
            return plain
        latest = (*reading, changes.names)
        if latest not in self._latest or self._latest[latest][0] != view:
            seed = (self.seed * 1_000_003 + view * 101 + number) % 2**31
            self._latest[latest] = view, task.changed(rows, plain, model, self.max_length, changes, seed)
        return self._latest[latest][1]

    def whole(self, model: Model, view: int = 0, changes: Changes | None = None) -> Encoded:
        """All rows of a view, in the order of the parts."""
        first, *others = (self.part(model, number, view, changes) for number in range(len(self.parts)))
        for other in others:
            first = first.join(other)
        return first


@dataclass(frozen=True)
class TeacherOutputs:
    """What a student follows: the teachers' logits for every view, and, where a loss asks for more than logits, the
    first teacher itself."""

    logits: tuple[Tensor, ...]
    live: Model | None = None

    def view(self, transfer: TransferSet, student: Model, number: int) -> View:
        """The view of that number, as an epoch of the student needs it."""
        live = None if self.live is None else transfer.whole(self.live, number)
        return View(transfer.whole(student, number), self.logits[number], live)


def record(
    teachers: Sequence[Model], transfer: TransferSet, device: Device, home: Home, fusion: str, phase: Phase
) -> Generator[Event, None, tuple[Tensor, ...]]:
    """The teachers' answers to every view, those that are on disk from earlier read from there.

    Returns one tensor a view: (rows, classes) logits, fused where there are several teachers.
    """
    total = transfer.views * len(teachers) * sum(len(part) for part in transfer.parts)
    done, views = 0, []
    for view in range(transfer.views):
        answers = []
        for teacher in teachers:
            teacher.network.to(device.torch_device)
            parts = []
            for number in range(len(transfer.parts)):
                yield Progress(phase=phase, step=done, total=total, detail=_note(transfer, view))
                inputs = transfer.part(teacher, number, view)
                folder = home.teacher_outputs / recording.fingerprint(teacher, inputs, device.dtype)
                if folder.exists():
                    yield Log(message=_FROM_DISK.format(f" (view {view + 1})" if transfer.views > 1 else ""))
                before = done

                def tell(rows: int, before: int = before, view: int = view) -> Progress:
                    return Progress(phase=phase, step=before + rows, total=total, detail=_note(transfer, view))

                parts.append((yield from recording.record(teacher, inputs, device, folder, tell)))
                done += len(inputs)
            answers.append(parts[0] if len(parts) == 1 else torch.cat(parts))
        views.append(fuse(answers, fusion, multi_label=inputs.labels.ndim == 2))
    return tuple(views)


def _note(transfer: TransferSet, view: int) -> str:
    return f"view {view + 1} of {transfer.views}" if transfer.views > 1 else ""


def fuse(logits: Sequence[Tensor], fusion: str, multi_label: bool = False) -> Tensor:
    """One set of logits for several teachers: their mean, that is the geometric mean of their distributions at every
    temperature (Hinton, Vinyals & Dean, 2015, section 2).

    With `confidence` a teacher's weight in a row is its certainty, 1 - entropy / log(classes), over the sum of all;
    `multi_label`: every label is a distribution of its own (multi-label data).
    Shapes: each (rows, classes) -> (rows, classes). One teacher's logits come back as they are.

    >>> fuse([torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]])], "average")
    tensor([[1.0000, 0.5000]])
    """
    if len(logits) == 1:
        return logits[0]
    stacked = torch.stack([one.float() for one in logits])
    if fusion == "average":
        return stacked.mean(0)
    weights = certainty(stacked, multi_label).clamp(min=1e-6)
    return (stacked * weights / weights.sum(0)).sum(0)


def labelled(inputs: Encoded) -> Tensor:
    """The numbers of the rows that have a label."""
    return torch.nonzero(are_known(inputs.labels.cpu())).flatten()


def same_reading(first: Encoded, second: Encoded) -> bool:
    """Whether two models read the same numbers in the same places."""
    if first is second:
        return True
    mine, theirs = (
        {name: value for name, value in vars(one).items() if isinstance(value, Tensor) and name != "labels"}
        for one in (first, second)
    )
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def _reading(model: Model) -> tuple[object, ...]:
    """What decides how a model reads a row."""
    config = model.network.config
    return id(model.processor), getattr(config, "num_channels", None), getattr(config, "max_position_embeddings", None)
