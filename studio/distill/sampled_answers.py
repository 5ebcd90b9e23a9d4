"""A teacher's answers as tokens drawn from them, with replacement: each share of such a sample is right on the average,
and so is the gradient of the soft-target loss, which the likeliest tokens alone bias (random sampling knowledge
distillation, Anshumann et al., 2025; tokens are drawn from the answer itself, at its temperature).

The number of a position decides, with a seed, what is drawn there: neither batches nor torch's generator do.
"""

from dataclasses import astuple, dataclass

import numpy as np
import torch
from torch import Tensor

DRAWN = 64
"""Tokens of each answer where nobody says how many."""

SURE = 6.0
"""Standard errors that chance may make."""

NEVER = -1e4
"""A log-probability whose exponential is 0."""

_BLOCK = 4
"""Numbers that the generator makes at a time."""


def draw(logits: Tensor, temperature: float, count: int, seed: int, first: int) -> tuple[Tensor, Tensor, Tensor]:
    """Draw `count` tokens from each row of logits (p, c) at this temperature: flat log-shares of the sample and token
    numbers, at each position the most frequent first, and how many different tokens each position has.

    `first` is the number of the first position.
    """
    logits = logits.cpu() if logits.device.type == "mps" else logits  # there float64 is missing
    below = (logits.double() / temperature).softmax(-1).cumsum(-1)
    places = uniform(seed, first, len(logits), count).to(below.device) * below[:, -1:]
    tokens = torch.searchsorted(below, places, right=True).sort(-1).values
    is_new = torch.ones_like(tokens, dtype=torch.bool)
    is_new[:, 1:] = tokens[:, 1:] != tokens[:, :-1]
    starts = torch.nonzero(is_new.flatten()).flatten()
    times = torch.cat([starts, starts.new_tensor([tokens.numel()])]).diff()
    order = (starts // count * (count + 1) - times).sort(stable=True).indices
    return (times[order].double() / count).log().float(), tokens[is_new][order], is_new.sum(-1)


def uniform(seed: int, first: int, positions: int, count: int) -> Tensor:
    """(positions, count): numbers from 0 to 1, those of the positions `first` and following of an endless stream.

    >>> torch.equal(uniform(7, 0, 5, 3)[2:], uniform(7, 2, 3, 3))
    True
    """
    blocks = -(-count // _BLOCK)
    bits = np.random.Philox(key=seed).advance(first * blocks)
    numbers = np.random.Generator(bits).random((positions, blocks * _BLOCK))
    return torch.from_numpy(numbers[:, :count].copy())


def times(values: Tensor, count: int) -> Tensor:
    """How often each token was drawn, from its log-share.

    >>> times(torch.tensor([0.75, 0.25]).log(), 4)
    tensor([3., 1.])
    """
    return (values.double().exp() * count).round().float()


@dataclass(frozen=True)
class Distance:
    """How far samples stand from answers p, as sums over positions, with the variances that they have where the tokens
    were drawn from these answers.

    `squared`: an unbiased estimate of Σ (q − p)², if they were drawn from q; its scale is `certainty`, Σ p².
    `likelier`: by how much log p is larger on the average of the draws than p lets expect; its scale is `spread`, the
    variance of log p.
    """

    squared: float = 0.0
    squared_variance: float = 0.0
    certainty: float = 0.0
    likelier: float = 0.0
    likelier_variance: float = 0.0
    spread: float = 0.0
    positions: int = 0

    def __add__(self, other: "Distance") -> "Distance":
        return Distance(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def furthest(self, rounding: float) -> tuple[float, float]:
        """(how far, the most that chance makes of it where rounding makes so much), of the two that which is further
        out: both in the measure of half the sum of |p − q|, as if two tokens traded places, or two that lie apart as
        far as log p usually does."""
        found = [(self._of_shares(self.squared), self._of_shares(self._usual_square(rounding))),
                 (self._of_likelihood(abs(self.likelier)),
                  rounding + self._of_likelihood(SURE * self.likelier_variance**0.5))]  # fmt: skip
        return max(found, key=lambda one: one[0] / one[1])

    def _usual_square(self, rounding: float) -> float:
        return (2 * rounding) ** 2 * self.certainty + SURE * self.squared_variance**0.5

    def _of_shares(self, squared: float) -> float:
        return (max(0.0, squared) / self.certainty) ** 0.5 / 2

    def _of_likelihood(self, likelier: float) -> float:
        scale = (self.spread * self.positions) ** 0.5
        return likelier / scale / 2 if scale else 0.0


def distance(values: Tensor, tokens: Tensor, ends: Tensor, count: int, log_p: Tensor) -> Distance:
    """How far samples stand from answers log p (positions, tokens): of `count` draws each, with these log-shares;
    position i has the entries ends[i] to ends[i + 1].

    The squared distance is that of pairs: how often two draws are the same token, less what the answer lets expect, a
    U-statistic (Hoeffding, 1948).
    """
    drawn = times(values, count)
    position = torch.repeat_interleave(ends.diff(), output_size=len(tokens))
    p, said = log_p.exp(), log_p[position, tokens]
    log_p = log_p.clamp(min=NEVER)  # times 0 it is to be 0
    squares, cubes, pairs = p.square().sum(-1), p.pow(3).sum(-1), count * (count - 1)
    usual = (p * log_p).sum(-1)
    spread = (p * log_p.square()).sum(-1) - usual.square()
    found = {
        "squared": (drawn * (drawn - 1)).sum() / pairs - 2 * (drawn * said.exp()).sum() / count + squares.sum(),
        "squared_variance": 2 / pairs * (squares - 2 * cubes + squares.square()).sum(),
        "certainty": squares.sum(),
        "likelier": (drawn * said).sum() / count - usual.sum(),
        "likelier_variance": spread.sum() / count,
        "spread": spread.sum(),
    }
    return Distance(**{name: float(value) for name, value in found.items()}, positions=len(log_p))
