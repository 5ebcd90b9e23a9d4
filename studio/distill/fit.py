"""A model learns from rows, and the state that does best on validation data is kept."""

import math
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from studio.distill import checkpoints, teacher_outputs
from studio.distill.chance import ChanceMeter
from studio.distill.checkpoints import Checkpoint
from studio.distill.learner import AT_CHANCE, SLOWER, Learner
from studio.distill.objective import Terms
from studio.distill.spec import BestWeights, FitSpec
from studio.distill.transfer_set import View
from studio.errors import DivergedError
from studio.events import Event, Log, Metrics, Progress
from studio.machine import devices
from studio.machine.devices import Device

CURVE_POINTS = 400
"""About how many points a phase puts on its curve."""

PROGRESS_SECONDS = 0.3

POOL = 50
"""Batches that are sorted by length together: little padding, yet a random order."""


def fit(spec: FitSpec, device: Device, best: BestWeights) -> Generator[Event, None, None]:
    """Train `spec.model` in place; afterwards it holds the best weights. `best` outlives a stop.

    With a `checkpoint` the fit is saved now and then and when it is closed; the next time it goes on from there, as
    if nothing had happened, and one that was finished is not repeated. Raises `DivergedError` where the loss is not a
    number any more.
    """
    devices.seed_everything(spec.seed)
    spec = replace(spec, validation=spec.validation.to(device.torch_device))
    state = FitState(spec, device, best)
    kept = Checkpoint(spec.checkpoint if device.group.is_first else None)
    saved = checkpoints.read(spec.checkpoint)
    for sentence in saved.damaged:
        yield Log(level="warning", message=sentence)
    if saved.state is not None and saved.state["step"] > spec.steps:
        sentence = f"{saved.state['step']} steps were saved, where there are {spec.steps} now: this part begins anew."
        yield Log(level="warning", message=sentence)
    elif saved.state is not None:
        state.load_state_dict(saved.state)
        yield from state.points()  # what was said shortly before the end may not have been heard
        yield state.progress
    while not state.is_done:
        try:
            yield from state.go_on(kept)
        except GeneratorExit:
            kept.save(state.state_dict())
            raise
        except DivergedError as error:
            yield state.slow_down(error)
            continue
        state.is_done = True
        kept.save(state.state_dict())
    best.restore(state.learner.network)
    state.learner.network.eval()
    if spec.recompute:
        state.learner.network.activation_checkpointing_disable()


class FitState:
    """All that changes while a model learns.

    `validation_due`: the weights have been corrected at `step`, and the look at the validation data that belongs to it
    is still to be taken. `slowed_at`: the step at which training diverged, or was found at chance, and went on with a
    learning rate that is `slower` by this factor. `history` are the points of the curves so far, (step, values) each.
    """

    RESULT = ("step", "validation_due", "is_done", "slowed_at", "slower", "history", "best")
    """What a checkpoint holds of a fit that is done."""

    LEARNING = ("learner", "meter", "chance", "random")
    """What it holds besides while the fit goes on."""

    def __init__(self, spec: FitSpec, device: Device, best: BestWeights) -> None:
        self.spec, self.device, self.best = spec, device, best
        self.step, self.validation_due, self.is_done = 0, True, False
        self.slowed_at: int | None = None
        self.slower = SLOWER
        self.history: list[tuple[int, dict[str, float]]] = []
        self.learner = Learner(spec, device)
        self.meter = LossMeter(spec.steps, device.torch_device)
        self.chance = ChanceMeter(spec)
        self.start = _weights(self.learner.network) if spec.rate_is_chosen and self.chance.due else None
        self.random = RandomState(device.torch_device)

    def state_dict(self) -> dict[str, Any]:
        held = {name: getattr(self, name) for name in self.RESULT + (() if self.is_done else self.LEARNING)}
        return {name: value.state_dict() if _is_stateful(value) else value for name, value in held.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["slowed_at"] is not None and not state["is_done"]:
            self.learner.slow_down(state["slowed_at"], state.get("slower", SLOWER))
        for name, value in state.items():
            if _is_stateful(getattr(self, name)):
                getattr(self, name).load_state_dict(value)
            else:
                setattr(self, name, value)

    @property
    def progress(self) -> Progress:
        return Progress(phase=self.spec.phase, step=self.step, total=self.spec.steps)

    def points(self) -> Iterator[Metrics]:
        """Everything that the curves show so far."""
        return (Metrics(phase=self.spec.phase, step=step, values=values) for step, values in self.history)

    def go_on(self, kept: Checkpoint) -> Generator[Event, None, None]:
        """The steps that are left, from wherever the fit stands."""
        reported = time.monotonic()
        if self.validation_due:
            yield from self._validate()
        self.learner.network.train()
        self.random.set()
        for view, rows in batches(self.spec, self.device, skip=self.step):
            yield from self._step(view, rows)
            if self.validation_due:
                yield from self._validate()
            if kept.is_due:
                kept.save(self.state_dict())
            if time.monotonic() - reported > PROGRESS_SECONDS or self.step == self.spec.steps:
                reported = time.monotonic()
                yield self.progress

    def slow_down(self, error: DivergedError) -> Log:
        """Back to the last weights that did well, once, with a lower learning rate from here on."""
        if self.slowed_at is not None:
            raise error
        self.slowed_at, self.slower = self.step, SLOWER
        self.best.restore(self.learner.network)
        self.learner.slow_down(self.step)
        self.meter, self.validation_due = LossMeter(self.spec.steps, self.device.torch_device), False
        rate = self.spec.learning_rate * SLOWER
        return Log(
            level="warning", message=f"{error.message} It goes on from the last good weights at a rate of {rate:g}."
        )

    def _begin_again(self) -> Log:
        """From the first weights at a lower rate, once, with the steps that are left; at a rate that was set it goes on
        as it is."""
        found, constant = self.chance.loss, self.chance.constant
        said = (
            f"After {self.step:,} steps of {self.spec.phase} the loss with the labels is {found:.2f}; an answer that "
            f"is always the same gets {constant:.2f}: nothing has been learned yet."
        )
        if self.start is None or self.slowed_at is not None:
            return Log(level="warning", message=f"{said} It goes on; a lower learning rate may help.")
        self.slowed_at, self.slower = self.step, AT_CHANCE
        self.learner.network.load_state_dict(self.start)
        self.learner.slow_down(self.step, AT_CHANCE)
        self.meter = LossMeter(self.spec.steps, self.device.torch_device)
        rate = self.spec.learning_rate * AT_CHANCE
        return Log(level="warning", message=f"{said} It begins again from its first weights at a rate of {rate:.2g}.")

    def _step(self, view: View, rows: Tensor) -> Generator[Event, None, None]:
        spec, step = self.spec, self.step + 1
        self.device.group.seed(spec.seed, step)
        terms, rate = yield from self.learner.step(view, rows.to(self.device.torch_device), self.step / spec.steps)
        self.meter.add(terms)
        self.chance.add(step, terms)
        self.step, self.validation_due = step, step % spec.validate_every == 0 or step == spec.steps
        point: list[Event] = []
        if self.meter.is_due(step):
            means = self.meter.read()
            if not math.isfinite(means["loss"]):
                raise self._diverged(f"the loss is {means['loss']}")
            point = [self._point(means | {"learning_rate": rate})]
        if self.chance.is_at_chance(step):
            yield self._begin_again()
        yield from point  # last: a fit that is closed here has done all of this step, and tells the point again

    def _validate(self) -> Generator[Event, None, None]:
        """One look at the validation data; it may stop anywhere, and leaves the network in the mode that it came in."""
        spec = self.spec
        logits = yield from teacher_outputs.logits(spec.model, spec.validation, self.device, lambda _: self.progress)
        if not teacher_outputs.are_numbers(logits):
            raise self._diverged("an answer to the validation data is not a number")
        value, scores = spec.task.validate(logits, spec.validation)
        self.best.offer(value, scores, self.learner.network)
        self.validation_due = False
        yield self._point({spec.task.measures[0].name: value})

    def _point(self, values: dict[str, float]) -> Metrics:
        """A point of the curves at this step; it is also kept."""
        self.history.append((self.step, values))
        return Metrics(phase=self.spec.phase, step=self.step, values=values)

    def _diverged(self, what: str) -> DivergedError:
        return DivergedError(
            f"At step {self.step} of {self.spec.phase} {what}: training diverged.",
            "Start again with a lower learning rate, or with precision float32.",
        )


def _weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}


def _is_stateful(value: object) -> bool:
    return hasattr(value, "load_state_dict")


def batches(spec: FitSpec, device: Device, skip: int = 0) -> Iterator[tuple[View, Tensor]]:
    """`steps` batches of row numbers but the first `skip`: every epoch in a new order, rows of like length together."""
    if not len(spec.rows):
        raise ValueError("no rows to learn")
    generator = torch.Generator().manual_seed(spec.seed)
    left, epoch = spec.steps, 0
    moved: tuple[View, View] | None = None
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
        if moved is None or moved[0].inputs is not view.inputs:
            moved = view, view.to(device.torch_device)
        lengths = view.inputs.lengths.cpu()
        sorted_pools = [pool[torch.argsort(lengths[pool], stable=True)] for pool in pools]
        by_length = [batch for pool in sorted_pools for batch in pool.split(spec.batch_size)]
        for number in numbers[skip:]:
            yield moved[1], by_length[number]
        skip = 0


class RandomState:
    """Where the generators stand that dropout draws from. What was loaded is set once, when steps begin."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._loaded: list[Tensor] = []

    def state_dict(self) -> list[Tensor]:
        if self._loaded:
            return self._loaded
        gpu = [torch.cuda.get_rng_state(self.device)] if self.device.type == "cuda" else []
        return [torch.get_rng_state(), *gpu]

    def load_state_dict(self, states: list[Tensor]) -> None:
        self._loaded = states

    def set(self) -> None:
        states, self._loaded = self._loaded, []
        if states:
            torch.set_rng_state(states[0])
        for state in states[1:]:
            torch.cuda.set_rng_state(state, self.device)


class LossMeter:
    """Sums the loss terms on the device, and reads their means only when a point is due."""

    def __init__(self, steps: int, device: torch.device) -> None:
        self.steps, self.device = steps, device
        self.every = max(1, steps // CURVE_POINTS)
        self.sums: dict[str, Tensor] = {}
        self.count = 0

    def add(self, terms: Terms) -> None:
        for name, value in ({"loss": terms.total} | terms.parts).items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value.detach()
        self.count += 1

    def is_due(self, step: int) -> bool:
        return step == 1 or step % self.every == 0 or step == self.steps

    def read(self) -> dict[str, float]:
        """The means since the last time."""
        means = {name: float(total) / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        return means

    def state_dict(self) -> tuple[dict[str, Tensor], int]:
        return self.sums, self.count

    def load_state_dict(self, state: tuple[dict[str, Tensor], int]) -> None:
        sums, self.count = state
        self.sums = {name: total.to(self.device) for name, total in sums.items()}
