"""How right answers are, in numpy alone: confusion, F1, correlations."""

import numpy as np


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts (classes, classes): row = true class, column = predicted class. Kept answers hold both in few bits."""
    labels, predicted = labels.astype(np.int64), predicted.astype(np.int64)
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def f1_macro(counts: np.ndarray) -> float | np.ndarray:
    """Mean over the classes that have rows of F1 = 2·TP / (2·TP + FP + FN), whatever was predicted: two models on the
    same rows are compared on the same classes. scikit-learn's `f1_score(true, predicted, average="macro",
    labels=np.unique(true))`; without `labels` it counts a class that was only predicted as 0.

    `counts` (..., classes, classes) -> (...).
    """
    hits, rows = np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1)
    score = np.divide(2 * hits, rows + counts.sum(-2), out=np.zeros(hits.shape), where=rows > 0)
    return score.sum(-1) / np.maximum((rows > 0).sum(-1), 1)


def f1_of_labels(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean over the labels that a row has of F1; see `f1_macro`.

    >>> f1_of_labels(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 1]]))
    0.8333333333333333
    """
    hits, rows = (labels & predicted).sum(0), labels.sum(0)
    score = np.divide(2 * hits, rows + predicted.sum(0), out=np.zeros(len(hits)), where=rows > 0)
    return float(score.sum() / max(1, (rows > 0).sum()))


def pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation; 0 where one of the two does not vary.

    >>> round(pearson(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 7.0])), 4)
    0.9934
    """
    first, second = first - first.mean(), second - second.mean()
    size = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / size if size > 0 else 0.0


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 on; equal values share the mean of theirs.

    >>> ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    return ((last - counts + 1 + last) / 2)[inverse]


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation: Pearson's between the ranks.

    >>> spearman(np.array([1.0, 2.0, 9.0]), np.array([0.1, 0.2, 0.3]))
    1.0
    """
    return pearson(ranks(first), ranks(second))
