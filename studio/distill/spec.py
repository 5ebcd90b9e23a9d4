"""What decides a training stage, and the best weights that come out of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from studio.config.run import Optimizer
from studio.distill.objective import Objective
from studio.distill.transfer_set import View
from studio.events import Phase
from studio.models.model import Model
from studio.tasks import Encoded, Task

VALIDATIONS, MOST_VALIDATIONS = 10, 100
"""At least this many times a phase looks at the validation data; once an epoch where that is more, but not above the
second number: of few rows an epoch is a few steps."""


@dataclass(frozen=True)
class FitSpec:
    """Everything that decides what one model learns.

    `rows` (n,) are the numbers of the training rows; `view(epoch)` gives the rows as an epoch sees them, with the
    teachers' logits where there is a teacher; `live` is the teacher that answers while the student learns.
    `checkpoint` is the file in which the fit is kept. `rate_is_chosen`: nobody has set the learning rate, so that a
    model that stays at chance may begin again at a lower one. `recompute`: what layers computed on the way is computed
    again on the way back.
    """

    phase: Phase
    model: Model
    task: Task
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
    checkpoint: Path | None = None
    rate_is_chosen: bool = False
    recompute: bool = False
    optimizer: Optimizer = "adamw"

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.rows) / self.batch_size)

    @property
    def validate_every(self) -> int:
        """Steps between two looks at the validation data."""
        return max(min(self.steps_per_epoch, max(1, self.steps // self.validations)), self.steps // MOST_VALIDATIONS)


class BestWeights:
    """The state that does best on validation data. It may go through two fits.

    Of states that differ by no more than chance the latest is kept: among many looks at few rows the one with the most
    hits is mostly the luckiest, and a rate that falls to 0 makes later states better.
    """

    def __init__(self) -> None:
        self.value = -math.inf
        self.weights: dict[str, Tensor] | None = None
        self._scores: Tensor | None = None

    def offer(self, value: float, scores: Tensor, network: nn.Module) -> None:
        """`value` is the measure of the validation rows that have a label, `scores` (rows,) how good the answer to
        each of them is; higher is better."""
        if self._scores is None or not clearly_worse(scores, self._scores):
            self.weights = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
        if value >= self.value:
            self.value, self._scores = value, scores

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value, "weights": self.weights, "scores": self._scores}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.value, self.weights, self._scores = state["value"], state["weights"], state["scores"]

    def restore(self, network: nn.Module) -> None:
        if self.weights is not None:
            network.load_state_dict(self.weights)


def clearly_worse(scores: Tensor, best: Tensor) -> bool:
    """Whether the rows' scores are lower by more than one standard error of the sum of the paired differences, √Σd².

    Where a score says whether a row is right that is McNemar's: lost − gained > √(gained + lost).

    >>> import torch
    >>> best = torch.ones(100, dtype=torch.bool)
    >>> clearly_worse(torch.arange(100) > 0, best), clearly_worse(torch.arange(100) > 1, best)
    (False, True)
    >>> clearly_worse(torch.tensor([0.5, 0.1, 0.4]), torch.tensor([0.4, 0.2, 0.5]))
    False
    """
    difference = scores.double() - best.double()
    return float(difference.sum()) < -math.sqrt(float((difference**2).sum()))
