"""What a step of the plan cost and brought: the student measured on validation rows, the test rows being for the
end."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import Tensor

from studio.distill import teacher_outputs as passes
from studio.distill import transfer_set as transfer
from studio.events import Progress, StageResult
from studio.machine import devices
from studio.machine.devices import Device
from studio.models import constraints
from studio.models.model import Model, parameters
from studio.models.saving import weights_bytes
from studio.pipeline.prepare import RunContext
from studio.tasks import Encoded
from studio.tasks.labels import are_known, are_right

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
    from studio.evaluate import metrics as evaluate  # it opens scipy.stats: only for plans of several steps

    exact = devices.alone(context.device)
    plain = [replace(one, network=constraints.without_rules(one.network).to(exact.torch_device)) for one in members]
    inputs = [context.validation(one, ROWS).to(exact.torch_device) for one in plain]
    right = hits(plain, inputs, context.config.fusion, exact)
    low, high = evaluate.accuracy_interval(int(right.sum()), len(right))
    return StageResult(
        title=title,
        right=int(right.sum()),
        n=len(right),
        low=low,
        high=high,
        parameters=sum(parameters(one.network) for one in plain),
        size_bytes=sum(weights_bytes(one.folder) for one in members if one.folder is not None),
        latency_ms=evaluate.latency(list(zip(plain, inputs, strict=True)), exact),
    )


def hits(members: Sequence[Model], inputs: Sequence[Encoded], fusion: str, device: Device) -> Tensor:
    """(rows with a label,): which of them the models of a role get right together."""
    logits = [_read(model, read, device) for model, read in zip(members, inputs, strict=True)]
    labels = inputs[0].labels.cpu()
    known = are_known(labels)
    return are_right(transfer.fuse(logits, fusion, labels.ndim == 2)[known], labels[known])


def _read(model: Model, inputs: Encoded, device: Device) -> Tensor:
    """All logits, without telling how far it is."""
    reading = passes.logits(model, inputs, device, lambda done: Progress(phase="evaluate", step=done))
    while True:
        try:
            next(reading)
        except StopIteration as stop:
            logits: Tensor = stop.value
            return logits
