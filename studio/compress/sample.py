"""The rows on which a compression step looks at what a model computes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from studio.models import features
from studio.tasks import Encoded, Task
from studio.tasks.positions import PositionLogits, places_of

ROWS = 256
BATCH = 32


@dataclass(frozen=True)
class Sample:
    """Rows of the training data by their numbers. `labels` are those of all their positions, in order: each its own, or
    the teacher's choice in its place."""

    task: Task
    inputs: Encoded
    rows: Tensor
    labels: Tensor
    seed: int = 0

    def batches(self) -> Iterator[dict[str, Tensor]]:
        """Batches for a model, a few rows at a time."""
        for rows in self.rows.split(BATCH):
            yield self.inputs.batch(rows)

    def losses(self, network: Any) -> Iterator[Tensor]:
        """The loss with the labels, a few rows at a time, weighted so that all add up to their mean."""
        start = 0
        for rows in self.rows.split(BATCH):
            positions = self.inputs.positions(network(**features.asked(network, self.inputs, rows)).logits, rows)
            labels = self.labels[start : start + len(positions.logits)]
            start += len(labels)
            logits, share = positions.logits, len(labels) / len(self.labels)
            if positions.weight is not None:
                logits, labels = logits[positions.weight > 0], labels[positions.weight > 0]
            yield self.task.label_loss(logits, labels) * share

    @property
    def example(self) -> dict[str, Tensor]:
        """A batch of two rows."""
        return self.inputs.batch(self.rows[:2])


def draw(
    task: Task, inputs: Encoded, rows: Tensor, teacher: PositionLogits | None, seed: int, count: int = ROWS
) -> Sample:
    """Up to `count` of these rows, by chance. Positions without a label get the teacher's choice, or, without a
    teacher, the first class."""
    generator = torch.Generator().manual_seed(seed)
    drawn = rows[torch.randperm(len(rows), generator=generator)[:count]]
    labels = inputs.labels[places_of(drawn, inputs.offsets)].cpu()
    known = task.known(labels)
    chosen = torch.zeros_like(labels) if teacher is None else task.choices(teacher.of(drawn).cpu()).to(labels.dtype)
    return Sample(task, inputs, drawn, torch.where(known if labels.ndim == 1 else known[:, None], labels, chosen), seed)
