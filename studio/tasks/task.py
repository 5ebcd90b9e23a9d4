"""What a task is: how its rows are read and what a label is. Light: torch comes when it is asked for.

A task puts two things together: `Inputs`, what a model reads, and `Targets`, what it is to say about it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from studio.tasks.measures import Measure, Reference

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import Tensor

    from studio.tasks.augment import Changes
    from studio.tasks.encoded import Encoded
    from studio.tasks.positions import PositionLogits

Kind = Literal["class", "multi_label", "number", "token"]
Modality = Literal["text", "image"]
Labels = list[str]


@dataclass(frozen=True)
class Column:
    """A column that a person maps: its role in a row, and what to call it."""

    role: str
    title: str
    help: str = ""
    required: bool = True


ONNX_FILES = {"int8": ("int8/model.onnx", "int8"), "onnx": ("onnx/model.onnx", ".")}
"""Of the forms of an export that ONNX Runtime opens: the file, and the folder with what reads a row."""


class Features(Protocol):
    """Turns what `Inputs.plain` gives into a matrix for a linear model, a row for each position."""

    def fit(self, values: Sequence[Any]) -> None: ...

    def transform(self, values: Sequence[Any]) -> Any: ...

    @property
    def size_bytes(self) -> int:
        """What it takes to keep what was learned."""
        ...


class Inputs(Protocol):
    """What a model reads of a row.

    `builtins` are architectures that can be trained from scratch, the largest first; `units` what pruning can take
    from them, `quantized_form` how they are quantized; `changes` the augmentations there are, with a sentence each.
    """

    @property
    def modality(self) -> Modality: ...

    @property
    def columns(self) -> tuple[Column, ...]: ...

    @property
    def builtins(self) -> tuple[str, ...]: ...

    @property
    def units(self) -> tuple[str, ...]: ...

    @property
    def quantized_form(self) -> str: ...

    @property
    def changes(self) -> Mapping[str, str]: ...

    def guess(self, kind: str, table: pd.DataFrame) -> dict[str, str] | None:
        """{role: column} of an upload of this kind, or None where it holds nothing that this can read."""
        ...

    def unusable(self, table: pd.DataFrame) -> Mapping[str, Sequence[bool]]:
        """For each reason why rows of a cleaned table cannot be used, such as parts that do not match, which ones."""
        ...

    def related(self, table: pd.DataFrame) -> pd.DataFrame:
        """The columns input and pair as they tell which rows belong together: those that are equal go to one split."""
        ...

    def features(self) -> dict[str, Any]:
        """The Arrow features of the input columns."""
        ...

    def arrow(self, part: pd.DataFrame) -> dict[str, list[Any]]:
        """The input columns of a cleaned table."""
        ...

    def from_python(self, values: Sequence[Any]) -> dict[str, list[Any]]:
        """The same of plain Python values; raises `DataError` for one that is no input."""
        ...

    def load_processor(self, folder: str) -> Any:
        """The tokenizer or image processor that a model was saved with."""
        ...

    def builtin(self, name: str, rows: Any, head: dict[str, Any], max_length: int) -> tuple[Any, Any]:
        """(model config, processor) of a built-in architecture, fitted to the training rows."""
        ...

    def encode(self, rows: Any, processor: Any, model_config: Any, max_length: int, labels: Tensor) -> Encoded:
        """The rows of a split as tensors."""
        ...

    def changed(self, rows: Any, plain: Any, model: Any, max_length: int, changes: Changes, seed: int) -> Encoded:
        """The same rows after `changes`; `plain` is what `encode` gave. A row that was mixed with another one has no
        label any more. The same seed gives the same rows."""
        ...

    def plain(self, rows: Any) -> tuple[Any, Any]:
        """(what a linear model reads of each position, the offsets of the rows' positions); for the baseline."""
        ...

    def plain_features(self) -> Features:
        """What makes a matrix of that."""
        ...

    def usage(self, form: str, auto_model: str, limit: int) -> list[str]:
        """Lines of Python that open a model and leave `logits`, for an export's README; texts are cut to `limit` tokens
        as they were in the run."""
        ...


class Targets(Protocol):
    """What a model says about a row, position by position.

    `terms` are the distillation losses that a run takes when it names none; `measures` how good a model is, the first
    one decides.
    """

    @property
    def kind(self) -> Kind: ...

    @property
    def terms(self) -> tuple[str, ...]: ...

    @property
    def measures(self) -> tuple[Measure, ...]: ...

    @property
    def column(self) -> Column | None:
        """Where the labels stand; None where a row is its own label."""
        ...

    @property
    def problem_type(self) -> str: ...

    def fits(self, cells: Sequence[str]) -> bool:
        """Whether the cells of a column look like such labels, rather than like those of another task."""
        ...

    def read(self, cell: object) -> str:
        """A cell in its one written form; "" where there is no label."""
        ...

    def names(self, cells: Sequence[str], column: str | None) -> Labels:
        """The labels that there are, in their order; raises `DataError` where there is nothing to learn."""
        ...

    def counts(self, cells: Sequence[str], labels: Labels) -> dict[str, int]:
        """How often each of them comes, or each range of numbers."""
        ...

    def strata(self, cells: Sequence[str]) -> list[str]:
        """What rows must be alike in for a split to be fair; rows of one stratum are spread over the splits."""
        ...

    def feature(self) -> Any:
        """The Arrow feature of the column `label`."""
        ...

    def numbers(self, cells: Sequence[str], labels: Labels) -> list[Any]:
        """The cells as that feature."""
        ...

    def is_label(self, value: Any) -> bool:
        """Whether a value of the column `label` is one, rather than the sign that there is none."""
        ...

    def tensor(self, values: Sequence[Any], classes: int) -> Tensor:
        """The column `label` as the tensor that batches are cut from."""
        ...

    def head(self, labels: Labels) -> dict[str, Any]:
        """The part of a model's config that names the labels."""
        ...

    def start_head(self, head: Any, values: Sequence[Any]) -> None:
        """Set a last layer with random weights to where these values of the column `label` suggest to start."""
        ...

    def label_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss with the labels, mean over the positions that have one; 0 where none has."""
        ...

    def known(self, labels: Tensor) -> Tensor:
        """(p,): whether somebody said what the position is."""
        ...

    def choices(self, logits: Tensor) -> Tensor:
        """What logits (p, c) say, in the shape of labels."""
        ...

    def agree(self, first: Tensor, second: Tensor) -> Tensor:
        """(p,): whether two models' logits (p, c) say the same."""
        ...

    def certainty(self, logits: Tensor) -> Tensor:
        """(p, 1): from 0 for a model that cannot decide to 1 for one that is quite sure."""
        ...

    def scores(self, logits: PositionLogits, encoded: Encoded) -> Tensor:
        """(labelled rows,): how good the answer to each row is; higher is better. For classes: whether it is right."""
        ...

    def statistics(self, logits: PositionLogits, encoded: Encoded) -> np.ndarray:
        """(labelled rows, s): what `measure` needs to know of each row."""
        ...

    def measure(self, statistics: np.ndarray) -> dict[str, float]:
        """The value of each measure over any rows, so that every measure gets a bootstrap interval."""
        ...

    def right(self, statistics: np.ndarray) -> np.ndarray:
        """(rows,): which rows are right; asked where the first measure is their share."""
        ...

    def solved(self, statistics: np.ndarray) -> np.ndarray:
        """(rows,): which rows are right, or near enough, where rows are looked at one by one."""
        ...

    def losses(self, logits: PositionLogits, encoded: Encoded) -> Tensor:
        """(rows,): the loss with the label of each row, in the unit of `label_loss`, mean over its positions that have
        a label and were seen; NaN where there is none."""
        ...

    def confidence(self, logits: PositionLogits) -> Tensor:
        """(rows,): how likely the whole answer to a row is, as the model says; NaN where an answer has no
        probability."""
        ...

    def as_labels(self, logits: PositionLogits) -> Any:
        """(rows,) of Arrow: what is said of each row, in the form of the column `label`."""
        ...

    def reference(self, statistics: np.ndarray, classes: int) -> Reference:
        """What models that learned nothing get on these rows; of `statistics` only what is true is read."""
        ...

    def rarest(self, statistics: np.ndarray, classes: int) -> tuple[int, int] | None:
        """(number, rows) of the class or label that the fewest of these rows have, of those that any has; None where
        no measure is a mean over classes."""
        ...

    def confusion(self, statistics: np.ndarray, classes: int) -> np.ndarray | None:
        """Counts [true, predicted], where a row has one class."""
        ...

    def linear_model(self, steps: int, seed: int) -> Any:
        """A linear model of scikit-learn for such labels, whose solver takes at most so many steps; for the
        baseline."""
        ...

    def linear_labels(self, rows: Any, classes: int) -> Any:
        """The labels of these rows as that model learns them."""
        ...

    def linear_logits(self, model: Any, matrix: Any, classes: int) -> np.ndarray:
        """(positions, classes): what it answers."""
        ...

    def answers(self, logits: PositionLogits, labels: Labels) -> list[dict[str, Any]]:
        """What each row gets for an answer, as plain values."""
        ...

    def shares(self, logits: PositionLogits, labels: Labels) -> list[dict[str, float]]:
        """How likely each label is for each row, the likeliest first; {} where an answer is no choice of labels."""
        ...

    def usage(self, form: str) -> list[str]:
        """Lines of Python that print the answer from `logits`, `model` (torch) or `config` (ONNX)."""
        ...


@dataclass(frozen=True)
class Task:
    """One thing that models can learn. `auto_model_name` is the transformers Auto class with its head; `usual` are
    settings that suit the task where nobody chose others."""

    name: str
    title: str
    when: str
    auto_model_name: str
    pipeline_tag: str
    inputs: Inputs
    targets: Targets
    multi_label_targets: Targets | None = field(default=None, repr=False)
    usual: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def auto_model(self) -> Any:
        import transformers

        from studio.tasks import architectures  # noqa: F401  it registers those that transformers does not have

        return getattr(transformers, self.auto_model_name)

    @property
    def columns(self) -> tuple[Column, ...]:
        """What a person maps: the inputs, the label, the split."""
        split = Column("split", "Split", "A column that says train, validation or test.", required=False)
        label = () if self.targets.column is None else (self.targets.column,)
        return (*self.inputs.columns, *label, split)

    @property
    def modality(self) -> Modality:
        return self.inputs.modality

    @property
    def kind(self) -> Kind:
        return self.targets.kind

    @property
    def can_be_multi_label(self) -> bool:
        """Whether a row of this task may have several labels."""
        return self.multi_label_targets is not None

    @property
    def measures(self) -> tuple[Measure, ...]:
        return self.targets.measures

    @property
    def terms(self) -> tuple[str, ...]:
        return self.targets.terms

    @property
    def builtins(self) -> tuple[str, ...]:
        return self.inputs.builtins

    @property
    def units(self) -> tuple[str, ...]:
        return self.inputs.units

    @property
    def quantized_form(self) -> str:
        return self.inputs.quantized_form

    @property
    def changes(self) -> Mapping[str, str]:
        return self.inputs.changes

    def encode(self, rows: Any, processor: Any, model_config: Any, max_length: int) -> Encoded:
        """The rows of a split as tensors."""
        labels = self.targets.tensor(rows["label"][:], model_config.num_labels)
        return self.inputs.encode(rows, processor, model_config, max_length, labels)

    def changed(self, rows: Any, plain: Any, model: Any, max_length: int, changes: Changes, seed: int) -> Encoded:
        return self.inputs.changed(rows, plain, model, max_length, changes, seed)

    def load_processor(self, folder: str) -> Any:
        return self.inputs.load_processor(folder)

    def builtin(self, name: str, rows: Any, labels: Labels, max_length: int) -> tuple[Any, Any]:
        return self.inputs.builtin(name, rows, self.targets.head(labels), max_length)

    def label_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.targets.label_loss(logits, labels)

    def known(self, labels: Tensor) -> Tensor:
        return self.targets.known(labels)

    def statistics(self, logits: PositionLogits, encoded: Encoded, teacher: PositionLogits | None = None) -> np.ndarray:
        """(labelled rows, s): what `measure` needs to know of each row; where measures compare a model with its
        teacher, of the teacher's answers, too."""
        against = {} if teacher is None or self.kind != "token" else {"teacher": teacher}
        return self.targets.statistics(logits, encoded, **against)

    def choices(self, logits: Tensor) -> Tensor:
        return self.targets.choices(logits)

    def agree(self, first: Tensor, second: Tensor) -> Tensor:
        return self.targets.agree(first, second)

    def certainty(self, logits: Tensor) -> Tensor:
        return self.targets.certainty(logits)

    def validate(self, logits: PositionLogits, encoded: Encoded) -> tuple[float, Tensor]:
        """The value of the first measure over the labelled rows, and the score of each of them."""
        measured = self.targets.measure(self.targets.statistics(logits, encoded))
        return measured[self.measures[0].name], self.targets.scores(logits, encoded)

    def rows(self, part: pd.DataFrame, labels: Labels) -> Any:
        """A cleaned table as a data set of Arrow."""
        return self._data_set(self.inputs.arrow(part) | {"label": self.targets.numbers(list(part["label"]), labels)})

    def has_labels(self, rows: Any) -> bool:
        """Whether somebody labelled at least one of these rows of a data set."""
        return any(self.targets.is_label(label) for label in rows["label"])

    def unlabelled(self, values: Sequence[Any]) -> Any:
        """Python values as rows without a label; raises `DataError` for one that is no input of this task."""
        return self._data_set(self.inputs.from_python(values) | {"label": self.targets.numbers([""] * len(values), [])})

    def _data_set(self, columns: dict[str, Any]) -> Any:
        import pyarrow as pa
        from datasets import Dataset, DatasetInfo, Features

        features = Features(self.inputs.features() | {"label": self.targets.feature()})
        table = pa.Table.from_pydict(columns, schema=features.arrow_schema)
        # to find a fingerprint takes longer than all else here, and nobody looks these rows up
        return Dataset(table, info=DatasetInfo(features=features), fingerprint=uuid.uuid4().hex)

    def answers(self, logits: PositionLogits, labels: Labels) -> list[dict[str, Any]]:
        return self.targets.answers(logits, labels)

    def shares(self, logits: PositionLogits, labels: Labels) -> list[dict[str, float]]:
        return self.targets.shares(logits, labels)

    def usage(self, form: str, limit: int) -> list[str]:
        """Lines of Python for an export's README; `form` is torch or one of `ONNX_FILES`."""
        return [*self.inputs.usage(form, self.auto_model_name, limit), *self.targets.usage(form)]
