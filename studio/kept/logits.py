"""What kept logits say at a temperature: probabilities, how sure a whole row is, the loss with the labels.

Of every kind of label, in numpy alone. A position is a row, or a word and the like, as `Kept.offsets` says. A number
has no probability: `has_probabilities` says so, and nothing else here is asked then.
"""

from typing import Any

import numpy as np
from scipy import optimize, special

from studio.config.run import UNLABELLED
from studio.tasks.task import Kind

COLDEST, HOTTEST = 0.05, 20.0
"""Between these a temperature is looked for."""


def has_probabilities(kind: Kind) -> bool:
    """Whether an answer of this kind comes with a probability."""
    return kind not in ("number", "token")


def shares(logits: np.ndarray, kind: Kind, temperature: float = 1.0) -> np.ndarray:
    """(p, c): how likely each class is at each position, or each label for itself where a row can have several.

    >>> shares(np.array([[0.0, np.log(3)]]), "class").round(2).tolist()
    [[0.25, 0.75]]
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    return np.asarray(special.expit(scaled) if kind == "multi_label" else special.softmax(scaled, axis=-1))


def confidence(logits: np.ndarray, offsets: np.ndarray | None, kind: Kind, temperature: float = 1.0) -> np.ndarray:
    """(rows,): how likely the whole answer to a row is. Words that were not seen are left out.

    >>> words = np.array([[0.0, np.log(3)], [0.0, np.log(3)]])
    >>> confidence(words, np.array([0, 2]), "class").round(4).tolist()
    [0.5625]
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    if kind == "multi_label":
        sure = -np.logaddexp(0, -abs(scaled)).sum(-1)
    else:
        sure = scaled.max(-1) - special.logsumexp(scaled, axis=-1)
    return np.asarray(np.exp(sure if offsets is None else sum_of_rows(np.nan_to_num(sure), offsets)))


def sum_of_rows(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(rows,): the sum of the values (p,) of each row.

    >>> sum_of_rows(np.array([1.0, 2.0, 4.0]), np.array([0, 2, 2, 3])).tolist()
    [3.0, 0.0, 4.0]
    """
    before = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(before[offsets[1:]] - before[offsets[:-1]])


def targets(labels: list[Any], classes: int, kind: Kind) -> np.ndarray:
    """The column `label` of rows as the positions have it: (p,) class numbers, or (p, c) of 0 and 1.

    `UNLABELLED` where nobody said; a row of words without tags has no positions here.

    >>> targets([[0, 2], []], 3, "multi_label").tolist()
    [[1, 0, 1], [-1, -1, -1]]
    >>> targets([[0, 2], [1]], 3, "class").tolist(), targets([1, -1], 2, "class").tolist()
    ([0, 2, 1], [1, -1])
    """
    if kind == "multi_label":
        table = np.zeros((len(labels), classes), dtype=np.int64)
        for row, numbers in enumerate(labels):
            table[row, numbers] = 1
            if not numbers:
                table[row] = UNLABELLED
        return table
    if labels and isinstance(labels[0], list):
        return np.array([number for row in labels for number in row], dtype=np.int64)
    return np.array(labels, dtype=np.int64)


def loss(logits: np.ndarray, labels: np.ndarray, kind: Kind, temperature: float = 1.0) -> float:
    """Negative log-likelihood of the labels (`targets`), in nats, mean over the positions that have one and were
    seen."""
    known = (labels[:, 0] if labels.ndim == 2 else labels) != UNLABELLED
    known &= ~np.isnan(logits).any(-1)
    scaled, right = np.asarray(logits, dtype=np.float64)[known] / temperature, labels[known]
    if kind == "multi_label":
        return float((np.logaddexp(0, scaled) - right * scaled).sum(-1).mean())
    return float((special.logsumexp(scaled, axis=-1) - scaled[np.arange(len(right)), right]).mean())


def fitted_temperature(logits: np.ndarray, labels: np.ndarray, kind: Kind) -> float:
    """The temperature by which logits are divided so that their probabilities fit the labels best: the one of least
    negative log-likelihood (Guo et al., 2017). Fitted on rows that nothing is told of.

    The loss is convex in 1 / T, so there is one. Between `COLDEST` and `HOTTEST`.
    """
    found = optimize.minimize_scalar(
        lambda cold: loss(logits, labels, kind, 1 / cold), bounds=(1 / HOTTEST, 1 / COLDEST), method="bounded",
        options={"xatol": 1e-4},
    )  # fmt: skip
    return float(1 / found.x)


def divergence(teacher: np.ndarray, student: np.ndarray, kind: Kind) -> np.ndarray:
    """(p,): the Kullback-Leibler divergence of the student's distribution from the teacher's, in nats; of several
    labels the sum over them. NaN where one of the two did not see the position."""
    first, second = (np.asarray(logits, dtype=np.float64) for logits in (teacher, student))
    if kind == "multi_label":
        p = special.expit(first)
        return np.asarray(
            (p * (_log_expit(first) - _log_expit(second)) + (1 - p) * (_log_expit(-first) - _log_expit(-second))).sum(
                -1
            )
        )
    ours, theirs = special.log_softmax(first, axis=-1), special.log_softmax(second, axis=-1)
    return np.asarray((np.exp(ours) * (ours - theirs)).sum(-1))


def entropy(share: np.ndarray) -> float:
    """Of one distribution (c,), in bits: 0 where one answer is certain.

    >>> entropy(np.array([0.5, 0.5]))
    1.0
    """
    return float(special.entr(share).sum() / np.log(2))


def most_entropy(classes: int) -> float:
    """Of so many classes, in bits: where all are equally likely."""
    return float(np.log2(classes))


def _log_expit(values: np.ndarray) -> np.ndarray:
    return np.asarray(special.log_expit(values))
