"""What in an input speaks for an answer: integrated gradients (Sundararajan, Taly & Yan, 2017)."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

STEPS = 32

Score = Callable[[Tensor], Tensor]
"""Points (n, …) -> what is explained of each (n,)."""


def integrated_gradients(score: Score, point: Tensor, start: Tensor, steps: int = STEPS) -> Tensor:
    """The share of each number of `point` in score(point) − score(start), of the same shape: the gradients on the
    straight way from `start` to `point`, times the way. Their sum is that difference, but for the error of the
    quadrature.

    The mean over the way is Gauss-Legendre's of so many steps, all of them one batch, in float32.
    """
    places, weights = np.polynomial.legendre.leggauss(steps)
    shape = (steps, *[1] * point.ndim)
    along = torch.tensor((places + 1) / 2, dtype=point.dtype, device=point.device).view(shape)
    share = torch.tensor(weights / 2, dtype=point.dtype, device=point.device).view(shape)
    on_the_way = (start + along * (point - start)).detach().requires_grad_()
    (gradients,) = torch.autograd.grad(score(on_the_way).sum(), on_the_way)
    return ((point - start) * (share * gradients).sum(0)).detach()


def log_odds(logits: Tensor, label: int) -> Tensor:
    """(n,): the log of how likely a class is against all others, of (n, classes). What all logits have in common does
    not move it, so it can be compared between models."""
    others = torch.cat([logits[:, :label], logits[:, label + 1 :]], dim=1)
    return logits[:, label] - others.logsumexp(1) if others.shape[1] else logits[:, label]
