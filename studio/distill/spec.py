"""What decides a training stage, and the best weights that come out of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from studio.distill.objective import Objective
from studio.distill.transfer_set import View
from studio.events import Phase
from studio.models.model import Model
from studio.tasks import Encoded

VALIDATIONS = 10
"""At least this many times a phase looks at the validation data; at least once an epoch."""


@dataclass(frozen=True)
class FitSpec:
    """Everything that decides what one model learns.

    `rows` (n,) are the numbers of the training rows; `view(epoch)` gives the rows as an epoch sees them, with the
    teachers' logits where there is a teacher; `live` is the teacher that answers while the student learns.
    `checkpoint` is the file in which the lesson is kept.
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
    checkpoint: Path | None = None

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.rows) / self.batch_size)


class BestWeights:
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

    def state(self) -> dict[str, Any]:
        """What `take_up` reads."""
        return {"accuracy": self.accuracy, "weights": self.weights, "right": self._right}

    def take_up(self, state: dict[str, Any]) -> None:
        self.accuracy, self.weights, self._right = state["accuracy"], state["weights"], state["right"]

    def restore(self, network: nn.Module) -> None:
        if self.weights is not None:
            network.load_state_dict(self.weights)


def clearly_worse(right: Tensor, best: Tensor) -> bool:
    """Whether fewer rows are right by more than one standard error of the paired difference, √(gained + lost).

    >>> import torch
    >>> best = torch.ones(100, dtype=torch.bool)
    >>> clearly_worse(torch.arange(100) > 0, best), clearly_worse(torch.arange(100) > 1, best)
    (False, True)
    """
    gained, lost = int((right & ~best).sum()), int((~right & best).sum())
    return lost - gained > math.sqrt(gained + lost)
