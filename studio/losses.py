"""Distillation losses: tensors in, one scalar out."""

import torch.nn.functional as F
from torch import Tensor

from studio.config import UNLABELLED


def soft_target_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """KL(teacher || student) on softened logits, times T² (Hinton, Vinyals & Dean, 2015).

    Shapes: student_logits and teacher_logits (batch, classes) -> scalar, in nats, mean over the batch.
    T² keeps the gradient's size when the temperature changes.

    >>> import torch
    >>> logits = torch.tensor([[1.0, 2.0, 3.0]])
    >>> soft_target_loss(logits, logits + 5, temperature=4.0).item()  # equal up to a shift: nothing to learn
    0.0
    """
    log_student = F.log_softmax(student_logits / temperature, dim=-1)
    log_teacher = F.log_softmax(teacher_logits / temperature, dim=-1)
    return F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True) * temperature**2


def label_loss(student_logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with the labels, in nats, mean over the rows that have one; 0 where none has.

    Shapes: student_logits (batch, classes), labels (batch,) with `UNLABELLED` for rows without -> scalar.
    """
    total = F.cross_entropy(student_logits, labels, ignore_index=UNLABELLED, reduction="sum")
    return total / (labels != UNLABELLED).sum().clamp(min=1)
