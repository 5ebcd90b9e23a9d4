"""The final exam: all models on the test set, which nothing has read before, and on the clock."""

import functools
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

from datasets import Dataset
from torch import Tensor

from studio import tasks
from studio.config.run import RunConfig
from studio.distill import teacher_outputs as recording
from studio.distill import transfer_set as transfer
from studio.events import Comparison, Evaluation, Event, Progress, Role
from studio.machine.devices import Device
from studio.models.model import Model, Problem
from studio.tasks import Encoded
from studio.tasks.labels import are_right, as_tensor, choices


@dataclass(frozen=True)
class Exam:
    """`splits` are test rows by name: `test`, and where a student went on with new data `test of the old data`."""

    config: RunConfig
    problem: Problem
    device: Device
    splits: dict[str, Dataset]


def examine(exam: Exam, trained: Mapping[Role, Sequence[Model]]) -> Generator[Event, None, None]:
    """Measure quality on every split, then sizes and latencies; ends with the verdict.

    Several teachers are one role: their answers are fused, their sizes and times added.
    """
    from studio.evaluate import (
        metrics as evaluate,  # it opens scipy.stats: at the end, so that the first point comes sooner
    )

    found: list[Evaluation] = []
    comparisons: list[Comparison] = []
    names = exam.problem.labels
    for split, rows in exam.splits.items():
        right: dict[Role, Tensor] = {}
        labels = as_tensor(rows["label"][:], len(names))
        measure = evaluate.quality_of_several if labels.ndim == 2 else evaluate.quality
        for role, members in trained.items():
            logits = yield from _answers(exam, members, rows)
            right[role] = are_right(logits, labels)
            predicted = choices(logits, multi_label=labels.ndim == 2)
            for event in measure(role, split, labels.numpy(), predicted.numpy(), names):
                found += [event] if isinstance(event, Evaluation) else []
                yield event
        comparisons += [
            evaluate.compare("student", other, split, right["student"].numpy(), right[other].numpy())
            for other in right
            if other != "student"
        ]
    for role, members in trained.items():
        sizes = evaluate.sizes(role, members)
        found += sizes
        yield from sizes
    rows = exam.splits["test"]
    latencies = evaluate.latencies(
        {role: [(one, _encode(exam, one, rows)) for one in members] for role, members in trained.items()}, exam.device
    )
    found += latencies
    yield from latencies
    yield from comparisons
    control = (one for one in comparisons if one.second == "control" and one.split == "test")
    yield evaluate.verdict([one for one in found if one.split in ("", "test")], next(control, None))


def _answers(exam: Exam, members: Sequence[Model], rows: Dataset) -> Generator[Progress, None, Tensor]:
    """The logits of a role (rows, classes)."""
    logits = []
    for model in members:
        model.network.to(exam.device.torch_device)
        tell = functools.partial(_read, len(rows))
        logits.append((yield from recording.logits(model, _encode(exam, model, rows), exam.device, tell)))
    return transfer.fuse(logits, exam.config.fusion, exam.problem.multi_label)


def _encode(exam: Exam, model: Model, rows: Dataset) -> Encoded:
    task = tasks.of(exam.problem.task)
    encoded = task.encode(rows, model.processor, model.network.config, exam.config.max_length)
    return encoded.to(exam.device.torch_device)


def _read(total: int, done: int) -> Progress:
    return Progress(phase="evaluate", step=done, total=total)
