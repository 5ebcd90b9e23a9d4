"""Regression: a number for a text, or for two texts that are read together, such as how alike they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from studio.errors import DataError
from studio.tasks.measures import Measure, Reference
from studio.tasks.task import Column, Kind, Labels, Task
from studio.tasks.text import TextInputs

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from studio.tasks.encoded import Encoded
    from studio.tasks.positions import PositionLogits

SCORE = "score"
FEWEST_VALUES = 20
"""A column with fewer different numbers is rather taken for classes."""

_UNITS = re.compile(r"^([-+]?)\s*[$€£¥₹]\s*|[$€£¥₹%]$")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?")

RANGES = 10

NEAR = 0.5
"""An answer is near its label where the two are less than so many standard deviations of the labels apart."""

SPEARMAN = Measure(
    "spearman",
    "Spearman correlation",
    "How well the order of the answers matches that of the labels: 1 is perfect, 0 is chance.",
    unit="number",
    sentence="has a Spearman correlation of {}",
)
PEARSON = Measure(
    "pearson",
    "Pearson correlation",
    "How well the answers match the labels along a straight line: 1 is perfect, 0 is chance.",
    unit="number",
    sentence="has a Pearson correlation of {}",
)


class Numbers:
    """Each row has a number. Models are trained on squared differences, distilled or not."""

    kind: Kind = "number"
    terms = ("logit_mse",)
    measures = (SPEARMAN, PEARSON)
    column = Column("label", "Score", "The number of a row. Rows without one teach through the teacher alone.")
    problem_type = "regression"

    def fits(self, cells: Sequence[str]) -> bool:
        """Numbers, many different ones, not all of them whole, or with a sign of money or commas between thousands."""
        said = [cell for cell in map(self.read, cells) if cell]
        values = [value for value in map(_number, said) if value is not None]
        return (
            len(values) == len(said)
            and len(set(values)) > FEWEST_VALUES
            and (any(not value.is_integer() for value in values) or said != [cell.strip() for cell in cells if cell])
        )

    def read(self, cell: object) -> str:
        """The number alone, without a sign of money or per cent, and without commas between thousands.

        >>> Numbers().read(" -$1,234.50"), Numbers().read("-7 %"), Numbers().read("1,5")
        ('-1234.50', '-7', '1,5')
        """
        text = _UNITS.sub(r"\1", str(cell).strip()).rstrip()
        return text.replace(",", "") if _THOUSANDS.fullmatch(text) else text

    def names(self, cells: Sequence[str], column: str | None) -> Labels:
        """One, which stands for the number."""
        said = {cell for cell in cells if cell}
        wrong = next((cell for cell in sorted(said) if _number(cell) is None), None)
        if wrong is not None:
            raise DataError(
                f"Column {column!r} must hold numbers, got {wrong!r:.200}.", "Choose the column with the score."
            )
        if len({_number(cell) for cell in said}) < 2:
            found = f"only {next(iter(said))!r:.200}" if said else "none"
            raise DataError(
                f"Column {column!r} must hold at least two different numbers, got {found}.", "Choose another column."
            )
        return [SCORE]

    def counts(self, cells: Sequence[str], labels: Labels) -> dict[str, int]:
        """How many rows lie in each of ten ranges of equal width."""
        import numpy as np

        values = [value for cell in cells if (value := _number(cell)) is not None]
        found, edges = np.histogram(values, bins=RANGES)
        return {
            f"{low:.3g} to {high:.3g}": int(count) for count, low, high in zip(found, edges, edges[1:], strict=False)
        }

    def strata(self, cells: Sequence[str]) -> list[str]:
        """Tenths of the rows by size."""
        import numpy as np

        values = np.array([np.nan if (value := _number(cell)) is None else value for cell in cells])
        known = np.sort(values[~np.isnan(values)])
        tenth = np.searchsorted(known, values) * RANGES // max(1, len(known))
        return ["" if np.isnan(value) else str(number) for value, number in zip(values, tenth, strict=True)]

    def feature(self) -> Any:
        from datasets import Value

        return Value("float64")

    def numbers(self, cells: Sequence[str], labels: Labels) -> list[Any]:
        """NaN where there is no label."""
        return [float("nan") if (value := _number(cell)) is None else value for cell in cells]

    def is_label(self, value: Any) -> bool:
        return value is not None and value == value

    def tensor(self, values: Sequence[Any], classes: int) -> Tensor:
        import torch

        return torch.tensor([float("nan") if value is None else value for value in values], dtype=torch.float32)

    def head(self, labels: Labels) -> dict[str, Any]:
        return {"num_labels": 1, "id2label": {0: SCORE}, "label2id": {SCORE: 0}, "problem_type": self.problem_type}

    def start_head(self, head: Any, values: Sequence[Any]) -> None:
        """At the mean of the numbers, with answers as far apart as they are: small steps would take hundreds to get
        there."""
        import torch

        said = torch.tensor([value for value in values if self.is_label(value)])
        if len(said) > 1 and head.bias is not None:
            with torch.no_grad():
                head.weight.mul_(said.std())
                head.bias.fill_(said.mean())

    def label_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean squared difference over the rows that have a number. (p, 1), (p,) -> scalar."""
        known = self.known(labels)
        difference = (logits.squeeze(-1) - labels.nan_to_num()) ** 2
        return (difference * known).sum() / known.sum().clamp(min=1)

    def known(self, labels: Tensor) -> Tensor:
        return ~labels.isnan()

    def choices(self, logits: Tensor) -> Tensor:
        return logits.squeeze(-1)

    def agree(self, first: Tensor, second: Tensor) -> Tensor:
        """Closer than a tenth of the standard deviation of what the second one says."""
        return (first - second).abs().squeeze(-1) <= 0.1 * second.std()

    def certainty(self, logits: Tensor) -> Tensor:
        """A number does not tell how sure the model is of it: all count the same."""
        return logits.new_ones(*logits.shape[:-1], 1)

    def scores(self, logits: PositionLogits, encoded: Encoded) -> Tensor:
        """Minus the squared difference."""
        labels = encoded.labels.cpu()
        known = self.known(labels)
        return -((self.choices(logits.values)[known] - labels[known]) ** 2)

    def statistics(self, logits: PositionLogits, encoded: Encoded) -> np.ndarray:
        """(labelled rows, 2): the label, the answer."""
        import torch

        labels = encoded.labels.cpu()
        known = self.known(labels)
        return torch.stack([labels[known], self.choices(logits.values)[known]], dim=1).double().numpy()

    def measure(self, statistics: np.ndarray) -> dict[str, float]:
        from studio.tasks import scores

        return {"spearman": scores.spearman(*statistics.T), "pearson": scores.pearson(*statistics.T)}

    def right(self, statistics: np.ndarray) -> np.ndarray:
        raise NotImplementedError(f"{self.measures[0].name} is not the share of rows that are right")

    def solved(self, statistics: np.ndarray) -> np.ndarray:
        """Within half a standard deviation of the labels.

        >>> import numpy as np
        >>> Numbers().solved(np.array([[1.0, 1.4], [2.0, 2.0], [3.0, 0.0]])).tolist()
        [True, True, False]
        """
        label, answer = statistics.T
        found: np.ndarray = abs(answer - label) <= NEAR * label.std()
        return found

    def losses(self, logits: PositionLogits, encoded: Encoded) -> Tensor:
        """The squared difference; NaN where there is no label."""
        return (self.choices(logits.values) - encoded.labels.cpu()) ** 2

    def confidence(self, logits: PositionLogits) -> Tensor:
        """A number has no probability."""
        import torch

        return torch.full((len(logits.values),), torch.nan)

    def as_labels(self, logits: PositionLogits) -> Any:
        import pyarrow

        return pyarrow.array(self.choices(logits.values).double().numpy())

    def reference(self, statistics: np.ndarray, classes: int) -> Reference:
        """Numbers at random, or the mean every time, go along with nothing."""
        nothing = dict.fromkeys((measure.name for measure in self.measures), 0.0)
        return Reference(nothing, nothing)

    def rarest(self, statistics: np.ndarray, classes: int) -> tuple[int, int] | None:
        return None

    def confusion(self, statistics: np.ndarray, classes: int) -> np.ndarray | None:
        return None

    def linear_model(self, steps: int, seed: int) -> Any:
        from sklearn.linear_model import Ridge

        return Ridge(solver="sparse_cg", max_iter=steps, random_state=seed)

    def linear_labels(self, rows: Any, classes: int) -> Any:
        return rows["label"][:]

    def linear_logits(self, model: Any, matrix: Any, classes: int) -> np.ndarray:
        found: np.ndarray = model.predict(matrix)
        return found.reshape(-1, 1)

    def answers(self, logits: PositionLogits, labels: Labels) -> list[dict[str, Any]]:
        return [{"score": value} for value in self.choices(logits.values).tolist()]

    def shares(self, logits: PositionLogits, labels: Labels) -> list[dict[str, float]]:
        return [{} for _ in range(len(logits.offsets) - 1)]

    def usage(self, form: str) -> list[str]:
        return ["print(float(logits[0][0]))"]


def _number(cell: str) -> float | None:
    """The number in a cell, None where there is none that is finite."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


TASK = Task(
    name="regression",
    title="Regression",
    when="A number for each text or pair of texts, such as a rating or how alike two sentences are.",
    auto_model_name="AutoModelForSequenceClassification",
    pipeline_tag="text-classification",
    inputs=TextInputs(pairs="optional"),
    targets=Numbers(),
)
