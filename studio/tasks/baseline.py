"""The baseline: a linear model on plain features, which takes seconds. It tells whether a network is needed at all.

What a task reads and how it answers is its own (`plain_features` of its inputs, `linear_model` of its targets). Here it
is fitted under caps on rows, features and work, all of them counted and none of them timed: the same data give the same
baseline on every machine.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import TfidfVectorizer

from studio.tasks.positions import PositionLogits
from studio.tasks.task import Features, Task

MOST_ROWS = 10_000
WORDS, LETTERS, HASHED = 15_000, 25_000, 2**16
WORK = 2e9
"""About so many multiplications one fit may take: a few seconds on one core."""

FEWEST_STEPS, MOST_STEPS = 20, 200
NEVER = -1e4
"""The logit of a class that no training row has."""


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline."""

    task: Task
    classes: int
    features: Features
    model: Any

    def logits(self, rows: Dataset) -> PositionLogits:
        """What it answers, in the shape of any other model's answers."""
        values, offsets = self.task.inputs.plain(rows)
        found = self.task.targets.linear_logits(self.model, self.features.transform(values), self.classes)
        return PositionLogits.arranged(torch.from_numpy(found).float(), torch.as_tensor(offsets))

    @property
    def parameters(self) -> int:
        """Weights and offsets of the linear model."""
        parts = getattr(self.model, "estimators_", [self.model])
        return sum(np.size(part.coef_) + np.size(part.intercept_) for part in parts if hasattr(part, "coef_"))

    @property
    def size_bytes(self) -> int:
        """The model as float32, and the words that its features know."""
        return 4 * self.parameters + self.features.size_bytes


def fit(task: Task, rows: Dataset, classes: int, seed: int) -> Baseline:
    """The baseline of these training rows; those without a label are left out.

    Raises `ValueError` where there is nothing to fit, as with a single class or texts without a letter.
    """
    labelled = [number for number, label in enumerate(rows["label"][:]) if task.targets.is_label(label)]
    drawn = np.random.default_rng(seed).permutation(labelled)[:MOST_ROWS]
    known = rows.select(np.sort(drawn))
    values, _ = task.inputs.plain(known)
    features = task.inputs.plain_features()
    features.fit(values)
    matrix = features.transform(values)
    model = task.targets.linear_model(steps(matrix, classes), seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it ends when its work is done
        model.fit(matrix, task.targets.linear_labels(known, classes))
    return Baseline(task, classes, features, model)


def steps(matrix: Any, classes: int) -> int:
    """How many steps of its solver a fit may take.

    >>> steps(np.ones((1000, 100)), 2), steps(np.ones((10000, 2000)), 10)
    (200, 20)
    """
    entries = matrix.nnz if sparse.issparse(matrix) else matrix.size
    return int(np.clip(WORK / (2 * entries * classes), FEWEST_STEPS, MOST_STEPS))


class TextFeatures:
    """TF-IDF of words, pairs of words, and runs of two to four letters. Of a pair of texts also what both have, and
    what only one has."""

    def __init__(self) -> None:
        usual: dict[str, Any] = {"sublinear_tf": True, "dtype": np.float32}
        self.parts = [
            TfidfVectorizer(token_pattern=r"(?u)\S+", ngram_range=(1, 2), max_features=WORDS, **usual),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), max_features=LETTERS, **usual),
        ]

    def fit(self, values: Sequence[tuple[str, ...]]) -> None:
        texts = [text for row in values for text in row]
        for part in self.parts:
            part.fit(texts)

    def transform(self, values: Sequence[tuple[str, ...]]) -> Any:
        columns = [self._one([row[place] for row in values]) for place in range(len(values[0]))]
        if len(columns) == 1:
            return columns[0]
        first, second = columns
        return sparse.hstack([first + second, abs(first - second), first.multiply(second)], format="csr")

    @property
    def size_bytes(self) -> int:
        """Each word or run of letters with its number and its weight."""
        return sum(len(term.encode()) + 8 for part in self.parts for term in part.vocabulary_)

    def _one(self, texts: list[str]) -> Any:
        return sparse.hstack([part.transform(texts) for part in self.parts], format="csr")


class PixelFeatures:
    """Pixels from 0 to 1; one channel where all images are grey."""

    def __init__(self) -> None:
        self.is_grey = False

    def fit(self, values: Any) -> None:
        self.is_grey = bool((values == values[..., :1]).all())

    def transform(self, values: Any) -> np.ndarray:
        kept = values[..., :1] if self.is_grey else values
        found: np.ndarray = kept.reshape(len(kept), -1).astype(np.float32) / 255
        return found

    @property
    def size_bytes(self) -> int:
        return 0


class WordFeatures:
    """Of each word: itself, its ends, its shape, and its neighbours; hashed."""

    def __init__(self) -> None:
        self.hasher = FeatureHasher(HASHED, input_type="string", dtype=np.float32)

    def fit(self, values: Sequence[list[str]]) -> None:
        """Nothing is learned."""

    def transform(self, values: Sequence[list[str]]) -> Any:
        return self.hasher.transform(values)

    @property
    def size_bytes(self) -> int:
        return 0


def of_word(words: Sequence[str], place: int) -> list[str]:
    """The features of a word.

    >>> of_word(["in", "New", "York"], 1)[:4]
    ['word New', 'lower new', 'shape Xxx', 'start N']
    """
    word = words[place]
    shape = "".join("X" if letter.isupper() else "0" if letter.isdigit() else "x" if letter.isalpha() else letter
                    for letter in word)  # fmt: skip
    found = [f"word {word}", f"lower {word.lower()}", f"shape {shape}"]
    found += [f"start {word[:size]}" for size in (1, 2, 3)] + [f"end {word[-size:]}" for size in (1, 2, 3)]
    for step in (-2, -1, 1, 2):
        near = words[place + step] if 0 <= place + step < len(words) else ""
        found.append(f"{step} {near}")
        if abs(step) == 1:
            found.append(f"{step} upper {near[:1].isupper()}")
    return found


def class_logits(model: Any, matrix: Any, classes: int) -> np.ndarray:
    """Logarithms of probabilities, (positions, classes); classes that were never seen are never chosen."""
    found = np.full((matrix.shape[0], classes), NEVER)
    if matrix.shape[0]:
        found[:, model.classes_] = np.maximum(model.predict_log_proba(matrix), NEVER / 2)
    return found
