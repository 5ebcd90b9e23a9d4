"""The final evaluation: all models on the test rows, which nothing has read before, and on the clock."""

import functools
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from datasets import Dataset

from studio.config.run import RunConfig
from studio.distill import teacher_outputs, transfer_set
from studio.events import Comparison, Evaluation, Event, Progress, Role
from studio.machine.devices import Device
from studio.models.model import Model, Problem
from studio.tasks import Encoded
from studio.tasks.positions import PositionLogits


@dataclass(frozen=True)
class FinalEvaluation:
    """What is evaluated on: test rows by name, `test`, and where a student went on with new data `test of the old
    data`."""

    config: RunConfig
    problem: Problem
    device: Device
    splits: dict[str, Dataset]

    def encode(self, model: Model, rows: Dataset) -> Encoded:
        """The rows as this model reads them, on the device."""
        config = model.network.config
        encoded = self.problem.task.encode(rows, model.processor, config, self.config.max_length)
        return encoded.to(self.device.torch_device)


def evaluate(tests: FinalEvaluation, trained: Mapping[Role, Sequence[Model]]) -> Generator[Event, None, None]:
    """Measure quality on every split, then sizes and latencies; ends with the verdict.

    Several teachers are one role: their answers are fused, their sizes and times added.
    """
    from studio.evaluate.verdict import verdict  # the package opens scipy.stats: at the end, so that curves come sooner

    found: list[Evaluation] = []
    comparisons: list[Comparison] = []
    for split, rows in tests.splits.items():
        for event in _quality(tests, split, rows, trained):
            found += [event] if isinstance(event, Evaluation) else []
            comparisons += [event] if isinstance(event, Comparison) else []
            if not isinstance(event, Comparison):
                yield event
    for event in _costs(tests, trained):
        found.append(event)
        yield event
    yield from comparisons
    control = (pair for pair in comparisons if pair.second == "control" and pair.split == "test")
    shown = [result for result in found if result.split in ("", "test")]
    yield verdict(shown, next(control, None), tests.problem.task.measures[0])


def _quality(
    tests: FinalEvaluation, split: str, rows: Dataset, trained: Mapping[Role, Sequence[Model]]
) -> Generator[Event, None, None]:
    """Every role on one split, then the student against each other one."""
    from studio.evaluate import metrics

    task, statistics = tests.problem.task, dict[Role, np.ndarray]()
    for role, members in trained.items():
        logits, encoded = yield from _answers(tests, members, rows)
        statistics[role] = task.targets.statistics(logits, encoded)
        yield from metrics.quality(task, role, split, statistics[role], tests.problem.labels)
    for role in statistics:
        if role != "student":
            pair = statistics["student"], statistics[role]
            yield metrics.compare(task, ("student", role), split, pair)


def _costs(tests: FinalEvaluation, trained: Mapping[Role, Sequence[Model]]) -> Generator[Evaluation, None, None]:
    """Sizes, and the latencies of all roles in turn."""
    from studio.evaluate import latency, metrics

    for role, members in trained.items():
        yield from metrics.sizes(role, members)
    rows = tests.splits["test"]
    encoded = {role: [(model, tests.encode(model, rows)) for model in members] for role, members in trained.items()}
    yield from latency.latencies(encoded, tests.device)


def _answers(
    tests: FinalEvaluation, members: Sequence[Model], rows: Dataset
) -> Generator[Progress, None, tuple[PositionLogits, Encoded]]:
    """The logits of a role on every position, and the rows as its first model reads them."""
    logits, encoded = [], []
    for model in members:
        model.network.to(tests.device.torch_device)
        encoded.append(tests.encode(model, rows))
        tell = functools.partial(_progress, len(rows))
        logits.append((yield from teacher_outputs.logits(model, encoded[-1], tests.device, tell)))
    fused = transfer_set.fuse(logits, tests.config.fusion, tests.problem.task)
    return fused, encoded[0]


def _progress(total: int, done: int) -> Progress:
    return Progress(phase="evaluate", step=done, total=total)
