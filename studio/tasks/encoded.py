"""The rows of a split as a model reads them: what every task's tensors have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor, device

    from studio.tasks.positions import Positions


class Encoded(Protocol):
    """The inputs of one split as a model reads them, kept as tensors.

    `labels` are those of all positions, as the task's targets make them. `lengths` (rows,) is what batches are grouped
    by; equal for all rows where it does not matter. `offsets` (rows + 1,) say which positions a row has, the same for
    every model: arange where a row is one position.
    """

    @property
    def labels(self) -> Tensor: ...

    @property
    def lengths(self) -> Tensor: ...

    @property
    def offsets(self) -> Tensor: ...

    def __len__(self) -> int: ...

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """The keyword arguments of a model's forward pass for these rows (a tensor of row numbers)."""
        ...

    def positions(self, logits: Tensor, rows: Tensor) -> Positions:
        """What losses compare: `logits` are the network's own for `batch(rows)`."""
        ...

    def told(self, positions: Positions) -> Tensor:
        """What is kept of the answers to whole splits for the measures: (p, c), the logits where that is all."""
        ...

    def to(self, device: device) -> Encoded: ...

    def join(self, other: Any) -> Encoded:
        """These rows, then those of `other`, which were read by the same model."""
        ...
