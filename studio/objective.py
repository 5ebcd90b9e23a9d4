"""Which losses a step adds up, and with which weights."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from studio import losses


class Terms(NamedTuple):
    """The scalar to minimize, and its parts under the names that the curves show."""

    total: Tensor
    parts: dict[str, Tensor]


Objective = Callable[[Tensor, Tensor | None, Tensor], Terms]
"""(student_logits, teacher_logits or None, labels) -> Terms"""


def distillation(temperature: float, alpha: float) -> Objective:
    """alpha · T² · KL(teacher || student) + (1 - alpha) · cross-entropy."""

    def objective(student_logits: Tensor, teacher_logits: Tensor | None, labels: Tensor) -> Terms:
        if teacher_logits is None:
            raise ValueError("distillation needs the teacher's logits")
        soft = losses.soft_target_loss(student_logits, teacher_logits, temperature)
        label = losses.label_loss(student_logits, labels)
        return Terms(alpha * soft + (1 - alpha) * label, {"soft_target_loss": soft, "label_loss": label})

    return objective


def labels_only(student_logits: Tensor, teacher_logits: Tensor | None, labels: Tensor) -> Terms:
    """Plain cross-entropy: how a teacher is fine-tuned and a control is trained."""
    label = losses.label_loss(student_logits, labels)
    return Terms(label, {"label_loss": label})
