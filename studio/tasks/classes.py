"""Labels that are classes: one a row, or any number of them (multi-label)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from studio.config.run import UNLABELLED
from studio.errors import DataError
from studio.tasks.measures import MISLEADING, Measure, Reference
from studio.tasks.task import ONNX_FILES, Column, Kind, Labels

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from studio.tasks.encoded import Encoded
    from studio.tasks.positions import PositionLogits

BETWEEN = "\x1f"
"""Stands between the labels of one cell."""

MAX_LABELS, MAX_LABEL = 1_000, 1_000
"""So many labels are learned, of so many letters: every page about the data names them."""

CJK = "\u2e80"
"""Where the letters of Chinese, Japanese and Korean begin, whose words stand without blanks."""

SENTENCE, FEW, LETTERS = 12, 10, 1_000
"""Letters that a cell has where a column holds sentences; in fewer rows classes may hardly come again;
so much is looked at of each."""

LINEAR_C = 3.0
"""How freely the baseline fits: the inverse of its regularization."""

ACCURACY = Measure(
    "accuracy", "Accuracy", "The share of rows whose answer is right.", interval="share", sentence="is {} accurate"
)
F1_MACRO = Measure(
    "f1_macro",
    "Macro F1",
    "F1 of each class that has rows, averaged: all classes count the same.",
    interval="confusion",
)
EXACT_MATCH = Measure(
    "accuracy",
    "Exact match",
    "The share of rows with all labels right and none too many.",
    interval="share",
    sentence="gets all labels right in {} of the rows",
)
F1_OF_LABELS = Measure("f1_macro", "Macro F1", "F1 of each label that a row has, averaged: all labels count the same.")


def are_sentences(cells: Sequence[str]) -> bool:
    """Whether most cells have more letters than a name, and hardly one comes again.

    >>> are_sentences(["What a long day it was.", "We shall meet again."]), are_sentences(["glad", "sad"])
    (True, False)
    >>> are_sentences([f"{number}" * LETTERS + "What a long day it was." for number in range(9)])
    False
    """
    if len(cells) >= 2 * len(set(cells)):
        return False
    said = "".join(cell[:LETTERS] for cell in cells)
    letters = sum(map(str.isalpha, said)) + sum(letter >= CJK for letter in said)  # one of those is as good as two
    return letters >= SENTENCE * len(cells)


def label_order(label: str) -> tuple[int, float, str]:
    """Numbers by size, before everything else by letters; "nan" has no size."""
    try:
        number = float(label)
    except ValueError:
        return (1, 0.0, label)
    return (1, 0.0, label) if math.isnan(number) else (0, number, label)


def require_names(labels: Labels, column: str | None) -> None:
    """Raise `DataError` where there are more labels than are learned, or longer ones."""
    cure = "Choose the column with the classes."
    if len(labels) > MAX_LABELS:
        message = f"Column {column!r} holds {len(labels):,} different labels; at most {MAX_LABELS:,} are learned."
        raise DataError(message, cure)
    longest = max(map(len, labels))
    if longest > MAX_LABEL:
        message = f"Column {column!r} holds a label of {longest:,} letters; at most {MAX_LABEL:,} are read."
        raise DataError(message, cure)


class Classes:
    """Each row has one class of several."""

    kind: Kind = "class"
    terms = ("soft_target",)
    measures = (ACCURACY, F1_MACRO)
    column = Column("label", "Label", "The class of a row. Rows without one teach through the teacher alone.")
    problem_type = "single_label_classification"

    def fits(self, cells: Sequence[str]) -> bool:
        return len(cells) < FEW or not are_sentences(cells)

    def read(self, cell: object) -> str:
        return str(cell).strip()

    def names(self, cells: Sequence[str], column: str | None) -> Labels:
        labels = sorted({label for cell in set(cells) for label in cell.split(BETWEEN)} - {""}, key=label_order)
        if column is None and not labels:
            raise DataError(
                "No column of labels was found, in which a few values come again and again.",
                "Name it, add one, or name the delimiter where the columns were not told apart. Texts alone are for a "
                "language model: choose that task.",
            )
        if not labels:
            raise DataError(
                f"Column {column!r} must hold at least two different labels, got none.",
                "Choose another column. Images of a class lie in a folder of its name, or are listed in a table.",
            )
        if len(labels) < 2:
            raise DataError(
                f"Column {column!r} must hold at least two different labels, got only {labels[0]!r:.200}.",
                "Choose another column.",
            )
        require_names(labels, column)
        return labels

    def counts(self, cells: Sequence[str], labels: Labels) -> dict[str, int]:
        found = Counter(label for cell in cells for label in cell.split(BETWEEN))
        return {label: found[label] for label in labels}

    def strata(self, cells: Sequence[str]) -> list[str]:
        return list(cells)

    def feature(self) -> Any:
        from datasets import Value

        return Value("int64")

    def numbers(self, cells: Sequence[str], labels: Labels) -> list[Any]:
        known = {label: number for number, label in enumerate(labels)} | {"": UNLABELLED}
        return [known[cell] for cell in cells]

    def is_label(self, value: Any) -> bool:
        return value not in ([], UNLABELLED)

    def tensor(self, values: Sequence[Any], classes: int) -> Tensor:
        import torch

        return torch.tensor(values, dtype=torch.long)

    def head(self, labels: Labels) -> dict[str, Any]:
        return {
            "num_labels": len(labels),
            "id2label": dict(enumerate(labels)),
            "label2id": {label: number for number, label in enumerate(labels)},
            "problem_type": self.problem_type,
        }

    def start_head(self, head: Any, values: Sequence[Any]) -> None:
        """Random weights are a good start."""

    def label_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        from studio.tasks import labels as functions

        return functions.label_loss(logits, labels)

    def known(self, labels: Tensor) -> Tensor:
        return labels != UNLABELLED

    def choices(self, logits: Tensor) -> Tensor:
        return logits.argmax(-1)

    def agree(self, first: Tensor, second: Tensor) -> Tensor:
        return self.choices(first) == self.choices(second)

    def certainty(self, logits: Tensor) -> Tensor:
        from studio.tasks import labels as functions

        return functions.certainty(logits)

    def scores(self, logits: PositionLogits, encoded: Encoded) -> Tensor:
        labels = encoded.labels.cpu()
        known = self.known(labels)
        return self.choices(logits.values[known]) == labels[known]

    def statistics(self, logits: PositionLogits, encoded: Encoded) -> np.ndarray:
        """(labelled rows, 2): true class, predicted class."""
        import torch

        labels = encoded.labels.cpu()
        known = self.known(labels)
        return torch.stack([labels[known], self.choices(logits.values[known])], dim=1).numpy()

    def measure(self, statistics: np.ndarray) -> dict[str, float]:
        from studio.tasks import scores

        true, predicted = statistics.T
        counts = scores.confusion_matrix(true, predicted, int(statistics.max()) + 1)
        return {"accuracy": int(self.right(statistics).sum()) / len(true), "f1_macro": float(scores.f1_macro(counts))}

    def right(self, statistics: np.ndarray) -> np.ndarray:
        true, predicted = statistics.T
        found: np.ndarray = true == predicted
        return found

    def solved(self, statistics: np.ndarray) -> np.ndarray:
        return self.right(statistics)

    def losses(self, logits: PositionLogits, encoded: Encoded) -> Tensor:
        """Cross-entropy with the label, in nats."""
        from studio.tasks import labels as functions

        return functions.losses(logits.values, encoded.labels.cpu())

    def confidence(self, logits: PositionLogits) -> Tensor:
        return logits.values.softmax(-1).amax(-1)

    def as_labels(self, logits: PositionLogits) -> Any:
        import pyarrow

        return pyarrow.array(self.choices(logits.values).numpy().astype("int32"))

    def reference(self, statistics: np.ndarray, classes: int) -> Reference:
        """A class that is guessed with 1 / classes has the F1 2p / (1 + classes · p), p being its share of the rows."""
        import numpy as np

        true = statistics[:, 0]
        shares = np.bincount(true, minlength=classes) / len(true)
        majority = self.measure(np.stack([true, np.full_like(true, shares.argmax())], axis=1))
        there = shares[shares > 0]
        f1 = float((2 * there / (1 + classes * there)).mean())
        return Reference({"accuracy": 1 / classes, "f1_macro": f1}, majority, _misleads(self.measures, majority))

    def rarest(self, statistics: np.ndarray, classes: int) -> tuple[int, int] | None:
        import numpy as np

        return _fewest(np.bincount(statistics[:, 0], minlength=classes))

    def confusion(self, statistics: np.ndarray, classes: int) -> np.ndarray | None:
        from studio.tasks import scores

        true, predicted = statistics.T
        return scores.confusion_matrix(true, predicted, classes)

    def linear_model(self, steps: int, seed: int) -> Any:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=LINEAR_C, max_iter=steps, random_state=seed)

    def linear_labels(self, rows: Any, classes: int) -> Any:
        return rows["label"][:]

    def linear_logits(self, model: Any, matrix: Any, classes: int) -> np.ndarray:
        from studio.tasks import baseline

        return baseline.class_logits(model, matrix, classes)

    def answers(self, logits: PositionLogits, labels: Labels) -> list[dict[str, Any]]:
        best = logits.values.softmax(-1).max(-1)
        return [
            {"label": labels[number], "score": score}
            for number, score in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    def shares(self, logits: PositionLogits, labels: Labels) -> list[dict[str, float]]:
        return _ranked(logits.values.softmax(-1), labels)

    def usage(self, form: str) -> list[str]:
        if form in ONNX_FILES:
            return ['print(config["id2label"][str(logits[0].argmax())])']
        return [
            "scores = logits.softmax(-1)[0]",
            "print(model.config.id2label[int(scores.argmax())], float(scores.max()))",
        ]


class MultiLabel(Classes):
    """Each row has any number of labels; they stand in one cell, with `BETWEEN` between them."""

    kind: Kind = "multi_label"
    measures = (EXACT_MATCH, F1_OF_LABELS)
    problem_type = "multi_label_classification"

    def feature(self) -> Any:
        from datasets import Sequence as ArrowSequence
        from datasets import Value

        return ArrowSequence(Value("int64"))

    def numbers(self, cells: Sequence[str], labels: Labels) -> list[Any]:
        known = {label: number for number, label in enumerate(labels)}
        return [[known[label] for label in cell.split(BETWEEN)] if cell else [] for cell in cells]

    def tensor(self, values: Sequence[Any], classes: int) -> Tensor:
        """(rows, labels) of 0 and 1; a row full of `UNLABELLED` where nobody said."""
        from studio.tasks import labels as functions

        return functions.as_tensor(values, classes)

    def label_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        from studio.tasks import labels as functions

        return functions.multi_label_loss(logits, labels)

    def known(self, labels: Tensor) -> Tensor:
        return labels[:, 0] != UNLABELLED

    def choices(self, logits: Tensor) -> Tensor:
        """All above 0, that is above 50 %."""
        return (logits > 0).long()

    def agree(self, first: Tensor, second: Tensor) -> Tensor:
        return super().agree(first, second).all(-1)

    def certainty(self, logits: Tensor) -> Tensor:
        from studio.tasks import labels as functions

        return functions.multi_label_certainty(logits)

    def scores(self, logits: PositionLogits, encoded: Encoded) -> Tensor:
        return super().scores(logits, encoded).all(-1)

    def statistics(self, logits: PositionLogits, encoded: Encoded) -> np.ndarray:
        """(labelled rows, 2 · labels): the true ones, then the predicted ones, 0 or 1 each."""
        import torch

        labels = encoded.labels.cpu()
        known = self.known(labels)
        return torch.cat([labels[known], self.choices(logits.values[known])], dim=1).numpy()

    def measure(self, statistics: np.ndarray) -> dict[str, float]:
        from studio.tasks import scores

        true, predicted = _halves(statistics)
        right = int(self.right(statistics).sum())
        return {"accuracy": right / len(true), "f1_macro": scores.f1_of_labels(true, predicted)}

    def right(self, statistics: np.ndarray) -> np.ndarray:
        true, predicted = _halves(statistics)
        found: np.ndarray = (true == predicted).all(1)
        return found

    def losses(self, logits: PositionLogits, encoded: Encoded) -> Tensor:
        """Binary cross-entropy summed over the labels, in nats."""
        from studio.tasks import labels as functions

        return functions.multi_label_losses(logits.values, encoded.labels.cpu())

    def confidence(self, logits: PositionLogits) -> Tensor:
        """Every label as it is told, each for itself."""
        return logits.values.sigmoid().sub(0.5).abs().add(0.5).prod(-1)

    def as_labels(self, logits: PositionLogits) -> Any:
        import numpy as np
        import pyarrow

        chosen = self.choices(logits.values).numpy().astype(bool)
        offsets = np.concatenate([[0], chosen.sum(1).cumsum()]).astype("int32")
        return pyarrow.ListArray.from_arrays(offsets, chosen.nonzero()[1].astype("int32"))

    def reference(self, statistics: np.ndarray, classes: int) -> Reference:
        """Guessed by a coin, a label that a share p of the rows has gets the F1 p / (p + 1/2)."""
        import numpy as np

        true, _ = _halves(statistics)
        answers, counts = np.unique(true, axis=0, return_counts=True)
        majority = self.measure(np.concatenate([true, np.tile(answers[counts.argmax()], (len(true), 1))], axis=1))
        shares = true.mean(0)[true.any(0)]
        chance = {"accuracy": 0.5**classes, "f1_macro": float((shares / (shares + 0.5)).mean()) if len(shares) else 0.0}
        return Reference(chance, majority, _misleads(self.measures, majority))

    def rarest(self, statistics: np.ndarray, classes: int) -> tuple[int, int] | None:
        return _fewest(_halves(statistics)[0].sum(0))

    def confusion(self, statistics: np.ndarray, classes: int) -> np.ndarray | None:
        return None

    def linear_model(self, steps: int, seed: int) -> Any:
        from sklearn.multiclass import OneVsRestClassifier

        return OneVsRestClassifier(super().linear_model(steps, seed))

    def linear_labels(self, rows: Any, classes: int) -> Any:
        return self.tensor(rows["label"][:], classes).numpy()

    def linear_logits(self, model: Any, matrix: Any, classes: int) -> np.ndarray:
        found: np.ndarray = model.decision_function(matrix)
        return found.reshape(matrix.shape[0], -1)

    def answers(self, logits: PositionLogits, labels: Labels) -> list[dict[str, Any]]:
        chosen = logits.values > 0
        return [
            {"labels": [{"label": labels[n], "score": share[n]} for n, is_on in enumerate(row) if is_on]}
            for row, share in zip(chosen.tolist(), logits.values.sigmoid().tolist(), strict=True)
        ]

    def shares(self, logits: PositionLogits, labels: Labels) -> list[dict[str, float]]:
        return _ranked(logits.values.sigmoid(), labels)

    def usage(self, form: str) -> list[str]:
        if form in ONNX_FILES:
            return ['print([config["id2label"][str(n)] for n, logit in enumerate(logits[0]) if logit > 0])']
        return [
            "scores = logits.sigmoid()[0]",
            "print([(model.config.id2label[n], float(s)) for n, s in enumerate(scores) if s > 0.5])",
        ]


def _ranked(shares: Tensor, labels: Labels) -> list[dict[str, float]]:
    """(r, c) as the labels of each row by their share, the largest first."""
    ranked = shares.sort(-1, descending=True)
    return [
        {labels[number]: share for number, share in zip(numbers, values, strict=True)}
        for numbers, values in zip(ranked.indices.tolist(), ranked.values.tolist(), strict=True)
    ]


def _halves(statistics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is true, and what was predicted."""
    labels = statistics.shape[1] // 2
    return statistics[:, :labels], statistics[:, labels:]


def _misleads(measures: Sequence[Measure], majority: dict[str, float]) -> bool:
    """Whether the share of right rows decides, one answer makes it large, and a mean over the labels stands behind it.

    >>> _misleads((ACCURACY, F1_MACRO), {"accuracy": 0.9}), _misleads((F1_MACRO, ACCURACY), {"accuracy": 0.9})
    (True, False)
    """
    names = [measure.name for measure in measures[:2]]
    return names == ["accuracy", "f1_macro"] and majority["accuracy"] >= MISLEADING


def _fewest(rows: np.ndarray) -> tuple[int, int] | None:
    """Where there is the least but 0, and how much.

    >>> import numpy as np
    >>> _fewest(np.array([7, 0, 3]))
    (2, 3)
    """
    there = rows.nonzero()[0]
    if not len(there):
        return None
    number = there[rows[there].argmin()]
    return int(number), int(rows[number])
