"""One lesson: a model learns from rows, and the state that does best on validation data is kept."""

import math
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from studio.distill import checkpoints
from studio.distill import teacher_outputs as passes
from studio.distill.objective import Terms
from studio.distill.spec import BestWeights, FitSpec
from studio.distill.transfer_set import View
from studio.errors import DivergedError
from studio.events import Event, Log, Metrics, Progress
from studio.machine import devices
from studio.machine.devices import Device
from studio.models import features
from studio.models.features import Outputs
from studio.tasks.labels import are_known, are_right

CURVE_POINTS = 400
"""About how many points a phase puts on its curve."""

PROGRESS_SECONDS = 0.3
WARM_UP_SHARE = 0.06
CLIP_NORM = 1.0
SLOWER = 0.1
"""What a learning rate at which training diverged is multiplied with."""

POOL = 50
"""Batches that are sorted by length together: little padding, yet a random order."""


def fit(spec: FitSpec, device: Device, best: BestWeights) -> Generator[Event, None, None]:
    """Train `lesson.model` in place; afterwards it holds the best weights. `best` outlives a stop.

    With a `checkpoint` the lesson is saved now and then and when it is closed; the next time it goes on from there, as
    if nothing had happened, and one that was finished is not repeated. Raises `DivergedError` where the loss is not a
    number any more.
    """
    devices.seed_everything(spec.seed)
    spec = replace(spec, validation=spec.validation.to(device.torch_device))
    state = FitState(spec, device, best)
    known = checkpoints.read(spec.checkpoint)
    if known is not None:
        state.take_up(known)
        yield from state.history  # what was said shortly before the end may not have been heard
        yield Progress(phase=spec.phase, step=state.step, total=spec.steps)
    while not state.is_done:
        try:
            yield from _go_on(state)
        except GeneratorExit:
            state.put_down()
            raise
        except DivergedError as error:
            yield state.slow_down(error)
            continue
        state.is_done = True
        state.put_down()
    best.restore(state.network)
    state.network.eval()


class FitState:
    """All that changes while a lesson goes on.

    `is_open`: the weights have been corrected at `step`, and the look at the validation data that belongs to it is
    still to be taken.
    """

    def __init__(self, spec: FitSpec, device: Device, best: BestWeights) -> None:
        self.spec, self.device, self.best = spec, device, best
        self.network = spec.model.network.to(device.torch_device)
        if spec.live is not None:
            spec.live.network.to(device.torch_device).eval()
        if isinstance(spec.objective, nn.Module):
            spec.objective.to(device.torch_device)
        device.group.start_alike(self.learners)
        self.slowed_at: int | None = None
        self.parts = 1
        self.optimizer, self.schedule = _optimizer(spec)
        self.scaler = torch.amp.GradScaler(device.torch_device.type, enabled=device.dtype is torch.float16)
        self.curve = LossMeter(spec)
        self.step, self.is_open, self.is_done = 0, True, False
        self.random: list[Tensor] = []
        self.history: list[Metrics] = []
        self._saved = time.monotonic()
        self._wait = checkpoints.LEAST_SECONDS

    @property
    def learners(self) -> list[nn.Module]:
        """The model, and the projectors that some losses learn beside it."""
        return _learners(self.spec)

    @property
    def is_due(self) -> bool:
        """Whether it is time to save, so that saving costs a small share of the time."""
        return self._file is not None and time.monotonic() - self._saved > self._wait

    @property
    def _file(self) -> Path | None:
        """Where this process keeps the lesson: of several the first one does."""
        return self.spec.checkpoint if self.device.group.is_first else None

    def slow_down(self, error: DivergedError) -> Log:
        """Back to the last weights that did well, once, with a lower learning rate from here on."""
        if self.slowed_at is not None:
            raise error
        self.slowed_at = self.step
        self.best.restore(self.network)
        self.optimizer, self.schedule = _optimizer(self.spec, self.slowed_at)
        self.curve, self.is_open = LossMeter(self.spec), False
        rate = self.spec.learning_rate * SLOWER
        return Log(
            level="warning", message=f"{error.message} It goes on from the last good weights at a rate of {rate:g}."
        )

    def tell(self, values: dict[str, float]) -> Metrics:
        """A point of the curves at this step; it is also kept."""
        self.history.append(Metrics(phase=self.spec.phase, step=self.step, values=values))
        return self.history[-1]

    def put_down(self) -> None:
        """Save everything, or, of a lesson that is done, its result alone."""
        if self._file is None:
            return
        begun = time.monotonic()
        history = [(point.step, point.values) for point in self.history]
        slowed_at = self.slowed_at
        state = {
            "step": self.step,
            "is_open": self.is_open,
            "is_done": self.is_done,
            "told": history,
            "slowed_at": slowed_at,
        }
        state["best"] = self.best.state()
        if not self.is_done:
            objective = self.spec.objective
            state |= {
                "network": self.network.state_dict(),
                "objective": objective.state_dict() if isinstance(objective, nn.Module) else {},
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "scaler": self.scaler.state_dict(),
                "curve": (self.curve.sums, self.curve.count),
                "random": _random_state(self.device),
                "parts": self.parts,
            }
        checkpoints.write(self._file, state)
        self._saved = time.monotonic()
        self._wait = max(checkpoints.LEAST_SECONDS, (self._saved - begun) / checkpoints.SHARE)

    def take_up(self, state: dict[str, Any]) -> None:
        """The state that `put_down` saved."""
        self.step, self.is_open, self.is_done = state["step"], state["is_open"], state["is_done"]
        self.best.take_up(state["best"])
        self.history = [Metrics(phase=self.spec.phase, step=step, values=values) for step, values in state["told"]]
        if self.is_done:
            return
        self.slowed_at = state["slowed_at"]
        if self.slowed_at is not None:
            self.optimizer, self.schedule = _optimizer(self.spec, self.slowed_at)
        self.network.load_state_dict(state["network"])
        if isinstance(self.spec.objective, nn.Module):
            self.spec.objective.load_state_dict(state["objective"])
        for name in ("optimizer", "schedule", "scaler"):
            getattr(self, name).load_state_dict(state[name])
        sums, self.curve.count = state["curve"]
        self.curve.sums = {name: one.to(self.device.torch_device) for name, one in sums.items()}
        self.random, self.parts = state["random"], state["parts"]


def _random_state(device: Device) -> list[Tensor]:
    """Where the generators stand that dropout draws from."""
    gpu = [torch.cuda.get_rng_state(device.torch_device)] if device.torch_device.type == "cuda" else []
    return [torch.get_rng_state(), *gpu]


def _set_random_state(states: list[Tensor], device: Device) -> None:
    torch.set_rng_state(states[0])
    for state in states[1:]:
        torch.cuda.set_rng_state(state, device.torch_device)


def _go_on(state: FitState) -> Generator[Event, None, None]:
    """The steps that are left, from wherever the lesson stands."""
    spec, device, curve = state.spec, state.device, state.curve
    history, begun = time.monotonic(), state.step
    validate_every = min(spec.steps_per_epoch, max(1, spec.steps // spec.validations))
    if state.is_open:
        yield from _validate(state)
    state.network.train()
    if state.random:
        _set_random_state(state.random, device)
        state.random = []
    for step, (view, rows) in enumerate(_batches(spec, device, skip=begun), start=begun + 1):
        device.group.seed(spec.seed, step)
        terms = yield from _gradients(state, view, rows.to(device.torch_device), (step - 1) / spec.steps)
        rate = _correct(state, terms)
        state.step = step
        state.is_open = step % validate_every == 0 or step == spec.steps
        if curve.is_due(step):
            values = curve.read(step) | {"learning_rate": rate}
            yield state.tell(values)
        if state.is_open:
            yield from _validate(state)
        if state.is_due:
            state.put_down()
        if time.monotonic() - history > PROGRESS_SECONDS or step == spec.steps:
            history = time.monotonic()
            yield Progress(phase=spec.phase, step=step, total=spec.steps)


def _gradients(state: FitState, view: View, rows: Tensor, progress: float) -> Generator[Event, None, Terms]:
    """Forward and backward of one batch, in as many parts as memory asks for; returns the means of the losses.

    Where memory runs out the parts are halved for the rest of the lesson: the batch that a correction is made from
    stays. (Losses that compare examples with each other then compare fewer at a time.)
    """
    while True:
        try:
            return _in_parts(state, view, rows, progress)
        except (torch.OutOfMemoryError, MemoryError):
            if 2 * state.parts > len(rows):
                raise
        state.parts *= 2
        state.optimizer.zero_grad(set_to_none=True)
        if state.device.torch_device.type == "cuda":
            torch.cuda.empty_cache()
        size = math.ceil(state.spec.batch_size / state.parts)
        yield Log(level="warning", message=f"Memory ran out: {size} examples at a time from now on; corrections are "
                  f"still made from {state.spec.batch_size}.")  # fmt: skip


def _in_parts(state: FitState, view: View, rows: Tensor, progress: float) -> Terms:
    parts = []
    mine, all_of_mine = state.device.group.share(rows)
    for some in mine.tensor_split(min(state.parts, len(mine))):
        terms = _forward(state.spec, view, some, state.device, progress)
        share = all_of_mine * len(some) / len(mine)
        state.scaler.scale(terms.total * share).backward()
        parts.append((share, terms))
    total = torch.stack([share * terms.total.detach() for share, terms in parts]).sum()
    names = parts[0][1].parts
    return Terms(total, {name: sum(share * one.parts[name].detach() for share, one in parts) for name in names})  # type: ignore[misc]


def _correct(state: FitState, terms: Terms) -> float:
    """One correction of the weights; returns the learning rate that it was made with."""
    _exchange(state, terms)
    state.scaler.unscale_(state.optimizer)
    nn.utils.clip_grad_norm_(state.network.parameters(), CLIP_NORM)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.optimizer.zero_grad(set_to_none=True)
    state.curve.add(terms)
    rate: float = state.schedule.get_last_lr()[0]
    state.schedule.step()
    return rate


def _exchange(state: FitState, terms: Terms) -> None:
    """Add up the gradients and losses of all processes, and average what batch norms have counted: all stay alike."""
    group = state.device.group
    if group.size == 1:
        return
    gradients = [one.grad for learner in state.learners for one in learner.parameters() if one.grad is not None]
    counted = [one for name, one in state.network.named_buffers() if name.endswith(("running_mean", "running_var"))]
    for one in counted:
        one.div_(group.size)
    group.add_up([*gradients, *counted, terms.total, *terms.parts.values()])


def _forward(spec: FitSpec, view: View, rows: Tensor, device: Device, progress: float) -> Terms:
    deep = spec.live is not None
    with device.autocast():
        student = features.read(spec.model.network, view.inputs.batch(rows), deep)
    return spec.objective(student, _taught(spec, view, rows, device), view.inputs.labels[rows], progress)


def _taught(spec: FitSpec, view: View, rows: Tensor, device: Device) -> Outputs | None:
    """What the teachers answer to these rows: recorded logits, and what lies deeper from the live teacher."""
    if view.logits is None:
        return None
    recorded = Outputs(view.logits[rows])
    if spec.live is None or view.teacher_inputs is None:
        return recorded
    with torch.no_grad(), device.autocast():
        answers = features.read(spec.live.network, view.teacher_inputs.batch(rows), deep=True)
    return replace(answers, logits=recorded.logits)


def _validate(state: FitState) -> Iterator[Event]:
    """One look at the validation data; it may stop anywhere, and leaves the network in the mode that it came in."""
    spec = state.spec
    here = Progress(phase=spec.phase, step=state.step, total=spec.steps)
    found = yield from passes.logits(spec.model, spec.validation, state.device, lambda _: here)
    logits = found.values
    if not logits.isfinite().all():
        raise diverged("an answer to the validation data is not a number", spec, state.step)
    labels = spec.validation.labels.cpu()
    known = are_known(labels)
    right = are_right(logits[known], labels[known])
    state.best.offer(right, spec.model.network)
    state.is_open = False
    yield state.tell({"accuracy": float(right.float().mean())})


def _batches(spec: FitSpec, device: Device, skip: int = 0) -> Iterator[tuple[View, Tensor]]:
    """`steps` batches of row numbers but the first `skip`: every epoch in a new order, rows of like length together."""
    generator = torch.Generator().manual_seed(spec.seed)
    left, epoch = spec.steps, 0
    shown: tuple[View, View] | None = None
    while left:
        order = spec.rows[torch.randperm(len(spec.rows), generator=generator)]
        pools = order.split(spec.batch_size * POOL)
        count = sum(math.ceil(len(pool) / spec.batch_size) for pool in pools)
        numbers = torch.randperm(count, generator=generator)[:left].tolist()
        left -= len(numbers)
        epoch += 1
        if skip >= len(numbers):
            skip -= len(numbers)
            continue
        view = spec.view(epoch - 1)
        if shown is None or shown[0].inputs is not view.inputs:
            shown = view, view.to(device.torch_device)
        lengths = view.inputs.lengths.cpu()
        sorted_pools = [pool[torch.argsort(lengths[pool], stable=True)] for pool in pools]
        batches = [batch for pool in sorted_pools for batch in pool.split(spec.batch_size)]
        for number in numbers[skip:]:
            yield shown[1], batches[number]
        skip = 0


def _optimizer(spec: FitSpec, slowed_at: int | None = None) -> tuple[torch.optim.Optimizer, Any]:
    """AdamW without decay on biases and norms; the rate warms up, then falls linearly to 0. `slowed_at`: the step at
    which it begins anew at a lower rate."""
    done, rate = (0, spec.learning_rate) if slowed_at is None else (slowed_at, spec.learning_rate * SLOWER)
    weights = [one for learner in _learners(spec) for one in learner.parameters() if one.requires_grad]
    groups = [
        {"params": [one for one in weights if one.ndim >= 2], "weight_decay": spec.weight_decay},
        {"params": [one for one in weights if one.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate, fused=True)
    warm_up = max(1, round(spec.steps * WARM_UP_SHARE))

    def share(step: int) -> float:
        step += done
        return min((step + 1) / warm_up, max(0.0, (spec.steps - step) / max(1, spec.steps - warm_up)))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share)


def _learners(spec: FitSpec) -> list[nn.Module]:
    return [spec.model.network, *([spec.objective] if isinstance(spec.objective, nn.Module) else [])]


def diverged(what: str, spec: FitSpec, step: int) -> DivergedError:
    return DivergedError(
        f"At step {step} of {spec.phase} {what}: training diverged.",
        "Start again with a lower learning rate, or with precision float32.",
    )


class LossMeter:
    """Sums the loss terms on the device, and reads their means only when a point is due."""

    def __init__(self, spec: FitSpec) -> None:
        self.spec, self.steps = spec, spec.steps
        self.every = max(1, spec.steps // CURVE_POINTS)
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
            raise diverged(f"the loss is {means['loss']}", self.spec, step)
        return means
