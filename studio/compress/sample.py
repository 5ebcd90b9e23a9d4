"""The rows on which a compression step looks at what a model computes."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from studio.tasks import Encoded
from studio.tasks.labels import are_known, choices

ROWS = 256
BATCH = 32


@dataclass(frozen=True)
class Sample:
    """Rows of the training data by their numbers, each with a label: its own, or the teacher's choice in its place."""

    inputs: Encoded
    rows: Tensor
    labels: Tensor
    seed: int = 0

    def batches(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        """(a batch for the model, its labels), a few rows at a time."""
        for places in torch.arange(len(self.rows)).split(BATCH):
            yield self.inputs.batch(self.rows[places]), self.labels[places]

    @property
    def example(self) -> dict[str, Tensor]:
        """A batch of two rows."""
        return self.inputs.batch(self.rows[:2])


def draw(inputs: Encoded, rows: Tensor, teacher_logits: Tensor | None, seed: int, count: int = ROWS) -> Sample:
    """Up to `count` of these rows, by chance. Rows without a label get the teacher's choice, or, without a teacher, the
    first class."""
    generator = torch.Generator().manual_seed(seed)
    drawn = rows[torch.randperm(len(rows), generator=generator)[:count]]
    labels = inputs.labels[drawn].cpu()
    if teacher_logits is not None:
        known = are_known(labels)
        chosen = choices(teacher_logits[drawn].cpu(), multi_label=labels.ndim == 2).to(labels.dtype)
        labels = torch.where(known if labels.ndim == 1 else known[:, None], labels, chosen)
    return Sample(inputs, drawn, labels.clamp(min=0), seed)
