"""Positions: what a loss compares and a measure counts. Rows, words and the like all become (positions, classes)."""

from typing import NamedTuple

import torch
from torch import Tensor


class Positions(NamedTuple):
    """All positions of the rows of one batch, ordered by place in the batch, then by place in the row.

    `logits` (p, c), 0 where the model did not see the position. `labels` (p,) class numbers, `UNLABELLED` where there
    is none; (p, labels) of 0 and 1 for multi-label data; (p,) numbers, NaN where there is none. `row` (p,) is the place
    in the batch of the row that a position belongs to. `weight` (p,) is 1, or 0 where this model did not see the
    position; None where it sees every one, which a step learns without looking at numbers on a device.
    """

    logits: Tensor
    labels: Tensor
    row: Tensor
    weight: Tensor | None = None


class PositionLogits(NamedTuple):
    """The logits of a whole split: `values` (p, c) in float32, NaN where the model did not see the position; row r has
    the positions offsets[r] to offsets[r + 1] - 1.

    `one_per_row`: position r is row r, as `offsets` (rows + 1,) say, too; so that nobody has to look there.
    """

    values: Tensor
    offsets: Tensor
    one_per_row: bool = False

    @classmethod
    def per_row(cls, values: Tensor) -> "PositionLogits":
        """Of a task in which a row is one position.

        >>> PositionLogits.per_row(torch.zeros(3, 2)).offsets
        tensor([0, 1, 2, 3])
        """
        return cls(values, torch.arange(len(values) + 1), one_per_row=True)

    @classmethod
    def arranged(cls, values: Tensor, offsets: Tensor) -> "PositionLogits":
        """These values, looking once whether each row has one position."""
        return cls(values, offsets, is_one_per_row(offsets))

    def of(self, rows: Tensor) -> Tensor:
        """(p', c): the positions of these rows, in their order.

        >>> words = PositionLogits(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([0, 2, 2, 3]))
        >>> words.of(torch.tensor([2, 1, 0])).flatten()
        tensor([2., 0., 1.])
        """
        return self.values[rows] if self.one_per_row else self.values[places_of(rows, self.offsets)]

    def to(self, device: torch.device) -> "PositionLogits":
        return self._replace(values=self.values.to(device), offsets=self.offsets.to(device))

    def select(self, rows: Tensor) -> "PositionLogits":
        """These rows, in this order."""
        counts = self.offsets[rows + 1] - self.offsets[rows]
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return PositionLogits(self.of(rows), offsets, self.one_per_row)

    def join(self, other: "PositionLogits") -> "PositionLogits":
        """These rows, then those of `other`."""
        offsets = torch.cat([self.offsets, other.offsets[1:] + self.offsets[-1]])
        both = self.one_per_row and other.one_per_row
        return PositionLogits(torch.cat([self.values, other.values]), offsets, both)


class OnePositionPerRow:
    """For encoded rows that are one position each: the network's logits are those of the rows, to the bit."""

    labels: Tensor

    @property
    def offsets(self) -> Tensor:
        """(rows + 1,)"""
        return torch.arange(len(self.labels) + 1, device=self.labels.device)

    def positions(self, logits: Tensor, rows: Tensor) -> Positions:
        """`logits` are the network's for `batch(rows)`."""
        return Positions(logits, self.labels[rows], torch.arange(len(rows), device=rows.device))

    def told(self, positions: Positions) -> Tensor:
        """The logits themselves."""
        return positions.logits


def places_of(rows: Tensor, offsets: Tensor) -> Tensor:
    """The numbers of all positions of these rows, in their order.

    >>> places_of(torch.tensor([2, 0]), torch.tensor([0, 2, 2, 5]))
    tensor([2, 3, 4, 0, 1])
    """
    counts = offsets[rows + 1] - offsets[rows]
    before = counts.cumsum(0) - counts
    starts = torch.repeat_interleave(offsets[rows] - before, counts)
    return starts + torch.arange(len(starts), device=starts.device)


def sum_of_rows(values: Tensor, offsets: Tensor) -> Tensor:
    """(rows,): the sum of the values (p,) of each row.

    >>> sum_of_rows(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 2, 2, 3]))
    tensor([3., 0., 4.])
    """
    counts = offsets.diff()
    if values.device.type != "mps":  # added up in the same order each time
        return torch.segment_reduce(values, "sum", lengths=counts, unsafe=True)
    row = torch.repeat_interleave(counts, output_size=len(values))
    return values.new_zeros(len(counts)).index_add(0, row, values)


def mean_of_rows(values: Tensor, offsets: Tensor) -> Tensor:
    """(rows,): the mean of the values (p,) of each row that are numbers; NaN where none is.

    >>> mean_of_rows(torch.tensor([1.0, 3.0, torch.nan]), torch.tensor([0, 2, 3]))
    tensor([2., nan])
    """
    known = ~values.isnan()
    return sum_of_rows(values.nan_to_num(), offsets) / sum_of_rows(known.to(values.dtype), offsets)


def is_one_per_row(offsets: Tensor) -> bool:
    """Whether position r is row r.

    >>> is_one_per_row(torch.tensor([0, 1, 2])), is_one_per_row(torch.tensor([0, 0, 2]))
    (True, False)
    """
    return torch.equal(offsets, torch.arange(len(offsets), device=offsets.device))
