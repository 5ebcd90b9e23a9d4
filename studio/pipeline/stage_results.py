"""What a step of the plan cost and brought: the student measured on validation rows, the test rows being for the
end."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from studio.distill import teacher_outputs, transfer_set
from studio.events import Progress, StageResult, result_of
from studio.machine import devices
from studio.machine.devices import Device
from studio.models import constraints
from studio.models.model import Model, parameters
from studio.models.saving import bytes_to_answer
from studio.pipeline.prepare import RunContext
from studio.tasks import Encoded
from studio.tasks.positions import PositionLogits

ROWS = 2_000
"""At most so many validation rows are read after each step."""


def measure(context: RunContext, title: str, members: Sequence[Model]) -> Iterator[StageResult]:
    """How good, how large and how fast the models of a role are together, in float32, as they are saved.

    Of several processes the first one measures, and the others wait: they would slow it down.
    """
    group = context.device.group
    group.wait()
    if group.is_first:
        yield _measured(context, title, members)
    group.wait()


def _measured(context: RunContext, title: str, members: Sequence[Model]) -> StageResult:
    from studio.evaluate import latency, metrics  # they open scipy.stats: only for plans of several steps

    exact, task = devices.alone(context.device), context.problem.task
    plain = [
        replace(model, network=constraints.without_rules(model.network).to(exact.torch_device)) for model in members
    ]
    inputs = [context.validation(model, ROWS).to(exact.torch_device) for model in plain]
    found = statistics(context, plain, inputs, exact)
    value, low, high = metrics.first_measure(task, found)
    return StageResult(
        title=title,
        metric=task.measures[0].name,
        value=value,
        n=len(found),
        low=low,
        high=high,
        parameters=sum(parameters(model.network) for model in plain),
        size_bytes=sum(bytes_to_answer(model, model.folder) for model in members if model.folder is not None),
        latency_ms=latency.latency(list(zip(plain, inputs, strict=True)), exact),
    )


def statistics(context: RunContext, members: Sequence[Model], inputs: Sequence[Encoded], device: Device) -> np.ndarray:
    """(labelled rows, s): what the task's measures need to know of the answers of the models of a role together."""
    logits = [_read(model, rows, device) for model, rows in zip(members, inputs, strict=True)]
    fused = transfer_set.fuse(logits, context.config.fusion, context.problem.task)
    return context.problem.task.targets.statistics(fused, inputs[0])


def _read(model: Model, inputs: Encoded, device: Device) -> PositionLogits:
    """All logits, without telling how far it is."""
    return result_of(teacher_outputs.logits(model, inputs, device, lambda done: Progress(phase="evaluate", step=done)))
