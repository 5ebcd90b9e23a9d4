"""One lesson: a model learns from rows, and the state that does best on validation data is kept."""

import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from studio import device as devices
from studio import features
from studio import teacher as passes
from studio.device import Device
from studio.errors import DivergedError
from studio.events import Event, Metrics, Phase, Progress
from studio.features import Answers
from studio.labels import are_known, are_right
from studio.models import Model
from studio.objective import Objective, Terms
from studio.tasks import Encoded
from studio.transfer import View

CURVE_POINTS = 400
"""About how many points a phase puts on its curve."""

VALIDATIONS = 10
"""At least this many times a phase looks at the validation data; at least once an epoch."""

PROGRESS_SECONDS = 0.3
WARM_UP_SHARE = 0.06
CLIP_NORM = 1.0
POOL = 50
"""Batches that are sorted by length together: little padding, yet a random order."""


@dataclass(frozen=True)
class Lesson:
    """Everything that decides what one model learns.

    `rows` (n,) are the numbers of the training rows; `view(epoch)` gives the rows as an epoch sees them, with the
    teachers' logits where there is a teacher; `live` is the teacher that answers while the student learns.
    """

    phase: Phase
    model: Model
    rows: Tensor
    view: Callable[[int], View]
    validation: Encoded
    objective: Objective
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int
    live: Model | None = None
    validations: int = VALIDATIONS

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.rows) / self.batch_size)


class Best:
    """The state that does best on validation data. It may go through two lessons.

    Of states that differ by no more than chance the latest is kept: among many looks at few rows the one with the most
    hits is mostly the luckiest, and a rate that falls to 0 makes later states better.
    """

    def __init__(self) -> None:
        self.accuracy = -1.0
        self.weights: dict[str, Tensor] | None = None
        self._right: Tensor | None = None

    def offer(self, right: Tensor, network: nn.Module) -> None:
        """`right` (rows,) tells which validation rows the network got right."""
        if self._right is None or not clearly_worse(right, self._right):
            self.weights = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
        accuracy = float(right.float().mean())
        if accuracy >= self.accuracy:
            self.accuracy, self._right = accuracy, right

    def restore(self, network: nn.Module) -> None:
        if self.weights is not None:
            network.load_state_dict(self.weights)


def clearly_worse(right: Tensor, best: Tensor) -> bool:
    """Whether fewer rows are right by more than one standard error of the paired difference, √(gained + lost).

    >>> best = torch.ones(100, dtype=torch.bool)
    >>> clearly_worse(torch.arange(100) > 0, best), clearly_worse(torch.arange(100) > 1, best)
    (False, True)
    """
    gained, lost = int((right & ~best).sum()), int((~right & best).sum())
    return lost - gained > math.sqrt(gained + lost)


def learn(lesson: Lesson, device: Device, best: Best) -> Generator[Event, None, None]:
    """Train `lesson.model` in place; afterwards it holds the best weights. `best` outlives a stop.

    Raises `DivergedError` where the loss is not a number any more.
    """
    devices.seed_everything(lesson.seed)
    network = lesson.model.network.to(device.torch_device)
    if lesson.live is not None:
        lesson.live.network.to(device.torch_device).eval()
    if isinstance(lesson.objective, nn.Module):
        lesson.objective.to(device.torch_device)
    lesson = replace(lesson, validation=lesson.validation.to(device.torch_device))
    optimizer, schedule = _optimizer(lesson)
    scaler = torch.amp.GradScaler(device.torch_device.type, enabled=device.dtype is torch.float16)
    curve, told = _Window(lesson), time.monotonic()
    validate_every = min(lesson.steps_per_epoch, max(1, lesson.steps // lesson.validations))
    yield from _validate(lesson, 0, device, best)
    network.train()
    for step, (view, rows) in enumerate(_batches(lesson, device), start=1):
        terms = _forward(lesson, view, rows.to(device.torch_device), device, (step - 1) / lesson.steps)
        scaler.scale(terms.total).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        curve.add(terms)
        rate = schedule.get_last_lr()[0]
        schedule.step()
        if curve.is_due(step):
            yield Metrics(phase=lesson.phase, step=step, values=curve.read(step) | {"learning_rate": rate})
        if step % validate_every == 0 or step == lesson.steps:
            yield from _validate(lesson, step, device, best)
        if time.monotonic() - told > PROGRESS_SECONDS or step == lesson.steps:
            told = time.monotonic()
            yield Progress(phase=lesson.phase, step=step, total=lesson.steps)
    best.restore(network)
    network.eval()


def _forward(lesson: Lesson, view: View, rows: Tensor, device: Device, progress: float) -> Terms:
    deep = lesson.live is not None
    with device.autocast():
        student = features.read(lesson.model.network, view.inputs.batch(rows), deep)
    return lesson.objective(student, _taught(lesson, view, rows, device), view.inputs.labels[rows], progress)


def _taught(lesson: Lesson, view: View, rows: Tensor, device: Device) -> Answers | None:
    """What the teachers answer to these rows: recorded logits, and what lies deeper from the live teacher."""
    if view.logits is None:
        return None
    recorded = Answers(view.logits[rows])
    if lesson.live is None or view.teacher_inputs is None:
        return recorded
    with torch.no_grad(), device.autocast():
        answers = features.read(lesson.live.network, view.teacher_inputs.batch(rows), deep=True)
    return replace(answers, logits=recorded.logits)


def _validate(lesson: Lesson, step: int, device: Device, best: Best) -> Iterator[Event]:
    """One look at the validation data; it may stop anywhere, and leaves the network in the mode that it came in."""
    here = Progress(phase=lesson.phase, step=step, total=lesson.steps)
    logits = yield from passes.logits(lesson.model, lesson.validation, device, lambda _: here)
    labels = lesson.validation.labels.cpu()
    known = are_known(labels)
    right = are_right(logits[known], labels[known])
    best.offer(right, lesson.model.network)
    yield Metrics(phase=lesson.phase, step=step, values={"accuracy": float(right.float().mean())})


def _batches(lesson: Lesson, device: Device) -> Iterator[tuple[View, Tensor]]:
    """`steps` batches of row numbers: every epoch in a new order, rows of like length together."""
    generator = torch.Generator().manual_seed(lesson.seed)
    left, epoch = lesson.steps, 0
    shown: tuple[View, View] | None = None
    while left:
        view = lesson.view(epoch)
        if shown is None or shown[0].inputs is not view.inputs:
            shown = view, view.to(device.torch_device)
        epoch += 1
        lengths = view.inputs.lengths.cpu()
        order = lesson.rows[torch.randperm(len(lesson.rows), generator=generator)]
        pools = [pool[torch.argsort(lengths[pool], stable=True)] for pool in order.split(lesson.batch_size * POOL)]
        batches = [batch for pool in pools for batch in pool.split(lesson.batch_size)]
        for number in torch.randperm(len(batches), generator=generator)[:left].tolist():
            yield shown[1], batches[number]
        left -= min(left, len(batches))


def _optimizer(lesson: Lesson) -> tuple[torch.optim.Optimizer, Any]:
    """AdamW without decay on biases and norms; the rate warms up, then falls linearly to 0."""
    learners = [lesson.model.network, *([lesson.objective] if isinstance(lesson.objective, nn.Module) else [])]
    weights = [one for learner in learners for one in learner.parameters() if one.requires_grad]
    groups = [
        {"params": [one for one in weights if one.ndim >= 2], "weight_decay": lesson.weight_decay},
        {"params": [one for one in weights if one.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=lesson.learning_rate, fused=True)
    warm_up = max(1, round(lesson.steps * WARM_UP_SHARE))

    def share(step: int) -> float:
        return min((step + 1) / warm_up, max(0.0, (lesson.steps - step) / max(1, lesson.steps - warm_up)))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share)


class _Window:
    """Sums the loss terms on the device, and reads their means only when a point is due."""

    def __init__(self, lesson: Lesson) -> None:
        self.phase, self.steps = lesson.phase, lesson.steps
        self.every = max(1, lesson.steps // CURVE_POINTS)
        self.sums: dict[str, Tensor] = {}
        self.count = 0

    def add(self, terms: Terms) -> None:
        for name, value in ({"loss": terms.total} | terms.parts).items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value.detach()
        self.count += 1

    def is_due(self, step: int) -> bool:
        return step == 1 or step % self.every == 0 or step == self.steps

    def read(self, step: int) -> dict[str, float]:
        means = {name: float(total) / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        if not math.isfinite(means["loss"]):
            raise DivergedError(
                f"The loss is {means['loss']} at step {step} of {self.phase}: training diverged.",
                "Start again with a lower learning rate, or with precision float32.",
            )
        return means
