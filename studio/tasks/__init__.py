"""What a model can learn: one module a task, each with the same few functions.

A task turns the rows of a data set into tensors once, and gives batches of them after that.
"""

from types import ModuleType
from typing import Any, Protocol

from torch import Tensor, device

from studio.config.run import TaskName
from studio.tasks.augment import Changes


class Encoded(Protocol):
    """The inputs of one split as a model reads them, kept as tensors.

    `labels` are as `studio.tasks.labels` says.
    `lengths` (rows,) is what batches are grouped by; equal for all rows where it does not matter.
    """

    labels: Tensor
    lengths: Tensor

    def __len__(self) -> int: ...

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """The keyword arguments of a model's forward pass for these rows (a tensor of row numbers)."""
        ...

    def to(self, device: device) -> "Encoded": ...

    def join(self, other: Any) -> "Encoded":
        """These rows, then those of `other`, which were read by the same model."""
        ...


class Task(Protocol):
    """The functions of a task module."""

    auto_model: Any
    """The transformers Auto class with this task's head."""

    def load_processor(self, folder: str) -> Any:
        """The tokenizer or image processor that a model was saved with."""
        ...

    def builtin(self, name: str, rows: Any, model_options: dict[str, Any], max_length: int) -> tuple[Any, Any]:
        """(model config, processor) of a built-in architecture, fitted to the training rows."""
        ...

    def encode(self, rows: Any, processor: Any, model_config: Any, max_length: int) -> Encoded:
        """The rows of a split as tensors."""
        ...

    def changed(self, rows: Any, plain: Any, model: Any, max_length: int, changes: Changes, seed: int) -> Encoded:
        """The same rows after `changes`; `plain` is what `encode` gave. A row that was mixed with another one has no
        label any more. The same seed gives the same rows."""
        ...


def of(name: TaskName) -> Task:
    """The module of a task."""
    from studio.tasks import images as image_classification
    from studio.tasks import text as text_classification

    modules: dict[str, ModuleType] = {
        "text-classification": text_classification,
        "image-classification": image_classification,
    }
    return modules[name]
