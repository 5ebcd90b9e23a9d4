"""Whether a model leaves chance: early in a fit its loss must be below that of an answer that is always the same."""

import math

import torch
from torch import Tensor

from studio.distill.objective import Terms
from studio.distill.spec import FitSpec
from studio.tasks.positions import places_of

SHARE = 0.2
"""After this share of the steps a model must have left chance."""

LEAST_STEPS = 200
"""So long no model is judged; a fit that is not twice as long never is."""

WINDOW = 50
"""The loss is the mean of so many steps."""

BELOW = 0.98
"""The share of the loss of a constant answer above which nothing has been learned."""


class ChanceMeter:
    """Sums the loss with the labels over the last steps before it is asked, where a label is one of several classes.

    `due` is the step after which it can tell; None where it never can.
    """

    def __init__(self, spec: FitSpec) -> None:
        known = spec.task.kind == "class" and spec.steps >= 2 * LEAST_STEPS
        known = known and getattr(spec.objective, "teaches_answers", True)
        self.due = max(LEAST_STEPS, round(spec.steps * SHARE)) if known else None
        self.constant = _of_a_constant_answer(spec) if known else 0.0
        self.total, self.count = torch.zeros(()), 0

    def add(self, step: int, terms: Terms) -> None:
        """The losses of a step; nothing is read from the device."""
        if self.due is not None and self.due - WINDOW < step <= self.due and "label_loss" in terms.parts:
            self.total = self.total.to(terms.total.device) + terms.parts["label_loss"].detach().float()
            self.count += 1

    def is_at_chance(self, step: int) -> bool:
        """Asked after every step; true at most once."""
        return step == self.due and self.count > 0 and self.loss >= BELOW * self.constant

    @property
    def loss(self) -> float:
        return float(self.total) / max(1, self.count)

    def state_dict(self) -> tuple[Tensor, int]:
        return self.total, self.count

    def load_state_dict(self, state: tuple[Tensor, int]) -> None:
        self.total, self.count = state


def _of_a_constant_answer(spec: FitSpec) -> float:
    """The least cross entropy of an answer that is the same for all positions: the entropy of the labels."""
    inputs = spec.view(0).inputs
    labels = inputs.labels.cpu()[places_of(spec.rows.cpu(), inputs.offsets.cpu())]
    labels = labels[spec.task.known(labels)]
    shares = torch.bincount(labels).double() / max(1, len(labels))
    return float(-(shares[shares > 0].log() * shares[shares > 0]).sum()) if len(labels) else math.inf
