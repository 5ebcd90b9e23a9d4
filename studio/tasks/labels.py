"""Functions of logits and labels that are classes: one a position, or any number of labels (multi-label data).

One class: (p,) class numbers, `UNLABELLED` where there is none. Any number: (p, labels) of 0 and 1, a row full of
`UNLABELLED` where nobody said.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.config.run import UNLABELLED


def label_loss(student_logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with the labels, in nats, mean over the rows that have one; 0 where none has.

    Shapes: student_logits (batch, classes), labels (batch,) with `UNLABELLED` for rows without -> scalar.
    """
    total = F.cross_entropy(student_logits, labels, ignore_index=UNLABELLED, reduction="sum")
    return total / (labels != UNLABELLED).sum().clamp(min=1)


def multi_label_loss(student_logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy summed over the labels, in nats, mean over the rows that have labels; 0 where none has.

    Shapes: student_logits (batch, labels); labels the same, of 0 and 1, or `UNLABELLED` throughout -> scalar.
    """
    known = (labels != UNLABELLED).to(student_logits.dtype)
    values = F.binary_cross_entropy_with_logits(
        student_logits, labels.clamp(min=0).to(student_logits), reduction="none"
    )
    return (values * known).sum() / known[:, 0].sum().clamp(min=1)


def losses(logits: Tensor, labels: Tensor) -> Tensor:
    """(p,): the cross-entropy of each position, in nats; NaN where there is no label."""
    found = F.cross_entropy(logits, labels, ignore_index=UNLABELLED, reduction="none")
    return found.masked_fill(labels == UNLABELLED, torch.nan)


def multi_label_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """(rows,): binary cross-entropy summed over the labels of each row, in nats; NaN where there are none."""
    found = F.binary_cross_entropy_with_logits(logits, labels.clamp(min=0).to(logits), reduction="none").sum(-1)
    return found.masked_fill(labels[:, 0] == UNLABELLED, torch.nan)


def as_tensor(values: Sequence[int] | Sequence[list[int]], classes: int) -> Tensor:
    """Class numbers as they are, lists of label numbers as a table; an empty list is a row that nobody labelled.

    >>> as_tensor([[0, 2], []], 3)
    tensor([[ 1,  0,  1],
            [-1, -1, -1]])
    """
    if not values or not isinstance(values[0], list):
        return torch.tensor(values, dtype=torch.long)
    table = torch.zeros(len(values), classes, dtype=torch.long)
    for row, numbers in enumerate(values):
        if isinstance(numbers, list) and numbers:
            table[row, numbers] = 1
        else:
            table[row] = UNLABELLED
    return table


def certainty(logits: Tensor) -> Tensor:
    """(p, 1): 1 - entropy over its greatest value: 0 for a model that cannot decide, 1 for one that is quite sure.

    >>> certainty(torch.tensor([[0.0, 0.0], [90.0, 0.0]])).flatten().tolist()
    [0.0, 1.0]
    """
    log_p = logits.log_softmax(-1)
    return 1 + (log_p.exp() * log_p).sum(-1, keepdim=True) / math.log(logits.shape[-1])


def multi_label_certainty(logits: Tensor) -> Tensor:
    """(p, 1): the same where every label is a yes or a no of its own, the mean over the labels."""
    return (1 - _binary_entropy(logits) / math.log(2)).mean(-1, keepdim=True)


def _binary_entropy(logits: Tensor) -> Tensor:
    p = logits.sigmoid()
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, p, reduction="none")
