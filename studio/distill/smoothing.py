"""Labels that are as soft as a teacher's answers and know nothing of them: what tells knowledge from smoothing.

A teacher of this kind gives every row the mean probability that the real one gives to the right class, and shares the
rest evenly among the others: label smoothing as a teacher (Yuan et al., 2020), as strong as the real one is on average.
"""

import math

import torch
from torch import Tensor

from studio.tasks import Encoded, Task
from studio.tasks.positions import PositionLogits


def strength(logits: PositionLogits, encoded: Encoded, task: Task, temperature: float) -> float:
    """The mean probability that a teacher gives to the right class at this temperature, over all positions that have a
    label and that it saw.

    >>> from types import SimpleNamespace
    >>> from studio import tasks
    >>> sure = PositionLogits.per_row(torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]]))
    >>> round(strength(sure, SimpleNamespace(labels=torch.tensor([0, 0])), tasks.get("text-classification"), 1.0), 3)
    0.625
    """
    labels, values = encoded.labels.cpu(), logits.values.float()
    known = task.known(labels) & values.isfinite().all(-1)
    if not bool(known.any()):
        return 1 / values.shape[-1]
    softened = (values[known] / temperature).softmax(-1)
    return float(softened.gather(-1, labels[known].unsqueeze(-1)).mean())


def smoothed(encoded: Encoded, task: Task, classes: int, right: float, temperature: float) -> PositionLogits:
    """Logits that give the label the probability `right` at this temperature, and as much to each other class; never
    less than an even share, and to a position without a label just that.

    >>> from types import SimpleNamespace
    >>> from studio import tasks
    >>> rows = SimpleNamespace(labels=torch.tensor([1, -1]), offsets=torch.arange(3))
    >>> (smoothed(rows, tasks.get("text-classification"), 3, 0.6, 4.0).values / 4.0).softmax(-1)
    tensor([[0.2000, 0.6000, 0.2000],
            [0.3333, 0.3333, 0.3333]])
    """
    labels = encoded.labels.cpu()
    known = task.known(labels)
    right = min(max(right, 1 / classes), 1 - 1e-6)
    height = temperature * math.log(right * (classes - 1) / (1 - right)) if classes > 1 else 0.0
    values: Tensor = torch.zeros(len(labels), classes)
    values[known, labels[known]] = height
    return PositionLogits.arranged(values, encoded.offsets.cpu())
