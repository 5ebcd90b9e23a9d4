"""A network that learns: one step is forward, backward in as many parts as memory asks for, and one correction."""

import math
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from studio.distill import optimizers
from studio.distill.byte_spans import OfRows
from studio.distill.objective import Terms
from studio.distill.spec import FitSpec
from studio.distill.top_answers import Kept
from studio.distill.transfer_set import View
from studio.errors import ModelError
from studio.events import Event, Log
from studio.machine import memory
from studio.machine.devices import Device
from studio.models import features
from studio.models.features import Outputs
from studio.tasks.positions import Positions

WARM_UP_SHARE = 0.06
CLIP_NORM = 1.0
SLOWER = 0.1
"""What a learning rate at which training diverged is multiplied with."""

AT_CHANCE = 0.2
"""What one at which a model did not leave chance is multiplied with."""


class Learner:
    """The network with what corrects its weights; `objective` are the projectors that some losses learn beside it.

    `parts`: into how many parts a batch is cut, so that it fits into memory.
    """

    HELD = ("network", "objective", "optimizer", "schedule", "scaler")

    def __init__(self, spec: FitSpec, device: Device) -> None:
        self.spec, self.device, self.parts = spec, device, device.parts
        self.network = spec.model.network.to(device.torch_device)
        self.objective = _projectors(spec).to(device.torch_device)
        if spec.recompute:
            _recompute(self.network)
        if spec.live is not None:
            spec.live.network.to(device.torch_device).eval()
        device.group.start_alike(self._modules)
        self.optimizer, self.schedule = self._optimizer()
        self.scaler = torch.amp.GradScaler(device.torch_device.type, enabled=device.dtype is torch.float16)

    def state_dict(self) -> dict[str, Any]:
        return {"parts": self.parts} | {name: getattr(self, name).state_dict() for name in self.HELD}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Of a learner that has been slowed down call `slow_down` first."""
        self.parts = max(state["parts"], self.device.parts)
        for name in self.HELD:
            getattr(self, name).load_state_dict(state[name])

    def slow_down(self, step: int, slower: float = SLOWER) -> None:
        """From this step on a lower learning rate; the optimizer begins anew."""
        self.optimizer, self.schedule = self._optimizer(step, slower)

    def step(self, view: View, rows: Tensor, progress: float) -> Generator[Event, None, tuple[Terms, float]]:
        """One step on these rows; returns the means of the losses, and the learning rate that it was made with."""
        terms = yield from self._gradients(view, rows, progress)
        return terms, self._correct(terms)

    @property
    def _modules(self) -> list[nn.Module]:
        return [self.network, self.objective]

    def _gradients(self, view: View, rows: Tensor, progress: float) -> Generator[Event, None, Terms]:
        """Forward and backward of one batch, in as many parts as memory asks for; returns the means of the losses.

        Where memory runs out the parts are halved for the rest of the fit: the batch that a correction is made from
        stays. (Losses that compare examples with each other then compare fewer at a time.)
        """
        while True:
            try:
                return self._in_parts(view, rows, progress)
            except (RuntimeError, MemoryError) as error:
                if not memory.ran_out(error) or 2 * self.parts > len(rows):
                    raise
            self.parts *= 2
            self.optimizer.zero_grad(set_to_none=True)
            if self.device.torch_device.type == "cuda":
                torch.cuda.empty_cache()
            whole = self.spec.batch_size
            yield Log(
                level="warning",
                message=f"Memory ran out: {math.ceil(whole / self.parts)} examples at a time from now on; corrections "
                f"are still made from {whole}.",
            )

    def _in_parts(self, view: View, rows: Tensor, progress: float) -> Terms:
        """A part's mean counts by its rows. So it does where some rows have more positions than others, or no label:
        to weigh those, too, each loss would have to tell how many it counted."""
        done: list[tuple[float, Terms]] = []
        mine, share_of_mine = self.device.group.share(rows)
        for part in mine.tensor_split(min(self.parts, len(mine))):
            terms = self._forward(view, part, progress)
            share = share_of_mine * len(part) / len(mine)
            self.scaler.scale(terms.total * share).backward()
            done.append((share, terms))
        total = torch.stack([share * terms.total.detach() for share, terms in done]).sum()
        return Terms(total, {name: _sum(done, name) for name in done[0][1].parts})

    def _forward(self, view: View, rows: Tensor, progress: float) -> Terms:
        deep = self.spec.live is not None
        with self.device.autocast():
            student = features.read(self.network, features.asked(self.network, view.inputs, rows), deep)
        positions = view.inputs.positions(student.logits, rows)
        student = replace(student, logits=positions.logits)
        return self.spec.objective(*seen(student, self._teacher(view, rows), positions), progress)

    def _teacher(self, view: View, rows: Tensor) -> Outputs | None:
        """What the teachers answer to these rows: recorded logits, and what lies deeper from the live teacher."""
        if view.logits is None:
            return None
        found = view.logits.of(rows)
        if isinstance(found, OfRows):
            return Outputs(found.log_p, spans=found.span)
        if isinstance(found, Kept):
            recorded = Outputs(found.values, index=found.tokens, ends=found.ends, tail=found.tail)
        else:
            recorded = Outputs(found)
        if self.spec.live is None or view.teacher_inputs is None:
            return recorded
        network = self.spec.live.network
        with torch.no_grad(), self.device.autocast():
            answers = features.read(network, features.asked(network, view.teacher_inputs, rows), deep=True)
        return replace(answers, logits=recorded.logits, index=recorded.index, ends=recorded.ends, tail=recorded.tail)

    def _correct(self, terms: Terms) -> float:
        """One correction of the weights; returns the learning rate that it was made with."""
        self._exchange(terms)
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP_NORM)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        rate: float = self.schedule.get_last_lr()[0]
        self.schedule.step()
        return rate

    def _exchange(self, terms: Terms) -> None:
        """Add up the gradients and losses of all processes, and average what batch norms have counted: all stay
        alike."""
        group = self.device.group
        if group.size == 1:
            return
        weights = [weight for module in self._modules for weight in module.parameters()]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        counted = [
            buffer for name, buffer in self.network.named_buffers() if name.endswith(("running_mean", "running_var"))
        ]
        for buffer in counted:
            buffer.div_(group.size)
        group.add_up([*gradients, *counted, terms.total, *terms.parts.values()])

    def _optimizer(self, begun: int = 0, slower: float = 1.0) -> tuple[torch.optim.Optimizer, Any]:
        """AdamW without decay on biases and norms; the rate warms up, then falls linearly to 0. `begun`: the step at
        which it begins anew at a lower rate."""
        spec = self.spec
        weights = [weight for module in self._modules for weight in module.parameters() if weight.requires_grad]
        groups = [
            {"params": [weight for weight in weights if weight.ndim >= 2], "weight_decay": spec.weight_decay},
            {"params": [weight for weight in weights if weight.ndim < 2], "weight_decay": 0.0},
        ]
        optimizer = optimizers.optimizer(spec.optimizer, groups, spec.learning_rate * slower)
        warm_up = max(1, round(spec.steps * WARM_UP_SHARE))

        def share(step: int) -> float:
            step += begun
            return min((step + 1) / warm_up, max(0.0, (spec.steps - step) / max(1, spec.steps - warm_up)))

        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share)


def seen(student: Outputs, teacher: Outputs | None, positions: Positions) -> tuple[Outputs, Outputs | None, Tensor]:
    """The positions that the student saw: its outputs, the teacher's, and the labels, with `teacher.seen` telling which
    of them the teacher saw, too.

    Where every position is seen all stay as they are, and nothing waits for the device; else the step waits to learn
    how many there are.
    """
    if positions.weight is None:
        return student, teacher, positions.labels
    kept = torch.nonzero(positions.weight).flatten()
    student = replace(student, logits=positions.logits[kept])
    if teacher is not None:
        logits = teacher.logits[kept]
        teacher = replace(teacher, logits=logits, seen=~logits.isnan().any(-1))
    return student, teacher, positions.labels[kept]


def _sum(done: list[tuple[float, Terms]], name: str) -> Tensor:
    """One loss over all parts of a batch."""
    values: list[Tensor] = [share * terms.parts[name].detach() for share, terms in done]
    return sum(values[1:], start=values[0])


def _projectors(spec: FitSpec) -> nn.Module:
    return spec.objective if isinstance(spec.objective, nn.Module) else nn.Module()


def _recompute(network: Any) -> None:
    """Gradient checkpointing (Chen et al., 2016). Raises `ModelError` where a network has no layers to do it by."""
    try:
        network.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    except (AttributeError, ValueError) as error:
        kind = network.config.model_type
        raise ModelError(f"A {kind} cannot compute its layers again.", "Leave recompute_layers out.") from error
