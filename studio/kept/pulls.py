"""How hard teacher and label pull at a student's answer: the gradients of the two losses with respect to its logits."""

from typing import NamedTuple

import numpy as np
from scipy import special


class Pulls(NamedTuple):
    """The shares of teacher and label in both gradients' sizes, and the cosine between the two: 1 the same way, -1 the
    opposite one."""

    teacher: float
    label: float
    agreement: float


def of_row(student: np.ndarray, teacher: np.ndarray, label: int, temperature: float, alpha: float) -> Pulls:
    """Of one row with one class: logits (c,) of both, and the number of its class.

    The loss is alpha · T² · KL(teacher ‖ student at T) + (1 − alpha) · cross-entropy (Hinton, Vinyals & Dean, 2015);
    its gradients are alpha · T · (softmax(s/T) − softmax(t/T)) and (1 − alpha) · (softmax(s) − label).

    >>> of_row(np.zeros(2), np.array([9.0, 0.0]), 0, 1.0, 0.5)
    Pulls(teacher=0.5, label=0.5, agreement=1.0)
    """
    student, teacher = np.asarray(student, dtype=np.float64), np.asarray(teacher, dtype=np.float64)
    soft = temperature * (special.softmax(student / temperature) - special.softmax(teacher / temperature))
    hard = special.softmax(student) - np.eye(len(student))[label]
    sizes = float(alpha * np.linalg.norm(soft)), float((1 - alpha) * np.linalg.norm(hard))
    whole = sum(sizes)
    product = float(np.linalg.norm(soft) * np.linalg.norm(hard))
    agreement = float(soft @ hard) / product if product else 0.0
    if not whole:
        return Pulls(0.5, 0.5, agreement)
    return Pulls(round(sizes[0] / whole, 3), round(sizes[1] / whole, 3), round(agreement, 3))
