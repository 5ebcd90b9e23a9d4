"""How good, how large and how fast a model is, with intervals, and what that means in one sentence."""

import math
import time
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from scipy import stats

from studio.events import Comparison, Confusion, Evaluation, Role, Verdict
from studio.machine.devices import Device
from studio.models.model import Model, parameters
from studio.models.saving import weights_bytes
from studio.tasks import Encoded

CONFIDENCE = 0.95
Z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))
BOOTSTRAP = 2_000
WARM_UP, PASSES, FEWEST_PASSES = 5, 45, 5
TIMING_SECONDS = 4.0
"""How long the clock runs for one batch size, all models together."""


def accuracy_interval(correct: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (Wilson, 1927).

    >>> low, high = accuracy_interval(90, 100)
    >>> round(low, 4), round(high, 4)
    (0.8256, 0.9448)
    """
    if n == 0:
        raise ValueError("an accuracy needs at least one row")
    share = correct / n
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts (classes, classes): row = true class, column = predicted class."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def f1_macro(counts: np.ndarray) -> float | np.ndarray:
    """Mean over the classes of F1 = 2·TP / (2·TP + FP + FN); a class with no row and no prediction is left out.

    `counts` (..., classes, classes) -> (...).
    """
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    support = counts.sum(-1) + counts.sum(-2)
    score = np.divide(2 * hits, support, out=np.zeros(hits.shape), where=support > 0)
    return score.sum(-1) / np.maximum((support > 0).sum(-1), 1)


def f1_interval(counts: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap 95 % interval of the macro F1: rows drawn anew with replacement."""
    n = int(counts.sum())
    draws = np.random.default_rng(seed).multinomial(n, counts.ravel() / n, size=BOOTSTRAP)
    scores = f1_macro(draws.reshape(BOOTSTRAP, *counts.shape))
    low, high = np.quantile(scores, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return float(low), float(high)


def quality(
    role: Role, split: str, labels: np.ndarray, predicted: np.ndarray, names: list[str]
) -> list[Evaluation | Confusion]:
    """Accuracy, macro F1 and the confusion matrix of one model on one split."""
    counts = confusion_matrix(labels, predicted, len(names))
    n, correct = len(labels), int(np.trace(counts))
    low, high = accuracy_interval(correct, n)
    f1_low, f1_high = f1_interval(counts)
    f1 = float(f1_macro(counts))
    return [
        Evaluation(role=role, split=split, metric="accuracy", value=correct / n, low=low, high=high, n=n),
        Evaluation(role=role, split=split, metric="f1_macro", value=f1, low=f1_low, high=f1_high, n=n),
        Confusion(role=role, split=split, labels=names, counts=counts.tolist()),
    ]


def quality_of_several(
    role: Role, split: str, labels: np.ndarray, predicted: np.ndarray, names: list[str]
) -> list[Evaluation | Confusion]:
    """Multi-label data: the share of rows with all labels right (exact match), and the macro F1 over the labels, with
    its percentile bootstrap interval. `labels` and `predicted` (rows, labels) of 0 and 1.
    """
    n, correct = len(labels), int((labels == predicted).all(1).sum())
    low, high = accuracy_interval(correct, n)
    drawn = np.random.default_rng(0).integers(0, n, (BOOTSTRAP // 4, n))
    scores = [f1_of_labels(labels[rows], predicted[rows]) for rows in drawn]
    f1_low, f1_high = np.quantile(scores, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return [
        Evaluation(role=role, split=split, metric="accuracy", value=correct / n, low=low, high=high, n=n),
        Evaluation(
            role=role,
            split=split,
            metric="f1_macro",
            value=f1_of_labels(labels, predicted),
            low=float(f1_low),
            high=float(f1_high),
            n=n,
        ),
    ]


def f1_of_labels(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean over the labels of F1; a label that nobody has and nobody predicts is left out.

    >>> f1_of_labels(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 1]]))
    0.8333333333333333
    """
    hits = (labels & predicted).sum(0)
    support = labels.sum(0) + predicted.sum(0)
    score = np.divide(2 * hits, support, out=np.zeros(len(hits)), where=support > 0)
    return float(score.sum() / max(1, (support > 0).sum()))


def compare(first: Role, second: Role, split: str, first_right: np.ndarray, second_right: np.ndarray) -> Comparison:
    """The paired difference in accuracy on the same rows.

    Interval: Wald with 0.5 added to each of the four cells (Agresti & Min, 2005). p: exact McNemar test.
    `first_right` and `second_right` (rows,) are booleans.
    """
    n = len(first_right)
    gained = int((first_right & ~second_right).sum())
    lost = int((~first_right & second_right).sum())
    b, c, m = gained + 0.5, lost + 0.5, n + 2
    difference = (b - c) / m
    half = Z * math.sqrt((b + c) / m - difference**2) / math.sqrt(m)
    p_value = float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    return Comparison(
        first=first,
        second=second,
        split=split,
        difference=(gained - lost) / n,
        low=difference - half,
        high=difference + half,
        p_value=p_value,
        n=n,
    )


def sizes(role: Role, members: Sequence[Model]) -> list[Evaluation]:
    """Parameters, and bytes of the weights on disk, of all models of a role; they must have been saved or opened."""
    folders = [model.folder for model in members if model.folder is not None]
    if len(folders) < len(members):
        raise ValueError(f"the {role} was never saved, so its size on disk is not known")
    return [
        Evaluation(role=role, split="", metric="parameters", value=sum(parameters(model.network) for model in members)),
        Evaluation(role=role, split="", metric="size_bytes", value=sum(map(weights_bytes, folders))),
    ]


def latencies(roles: dict[Role, list[tuple[Model, Encoded]]], device: Device) -> list[Evaluation]:
    """Milliseconds of a forward pass through all models of a role: median and 95th percentile, one row at a time
    (`latency_ms`, `latency_p95_ms`) and 32 together (`latency_32_ms`, `latency_32_p95_ms`).

    The roles take turns, so that all see the same machine; the first passes do not count. What is slow is timed less
    often, at least 5 times.
    """
    found = []
    for rows, name in ((1, "latency"), (32, "latency_32")):
        for role, seconds in _in_turns(roles, rows, device).items():
            for metric, quantile in ((f"{name}_ms", 0.5), (f"{name}_p95_ms", 0.95)):
                value = 1000 * float(np.quantile(seconds, quantile))
                found.append(Evaluation(role=role, split="", metric=metric, value=value, n=len(seconds)))
    return found


def latency(members: Sequence[tuple[Model, Encoded]], device: Device) -> float:
    """Milliseconds of one row through all models: the median of some passes. For numbers that are compared closely take
    `latencies`, which measures in turns."""
    return 1000 * float(np.median(_in_turns({"student": list(members)}, 1, device)["student"]))


def _in_turns(roles: dict[Role, list[tuple[Model, Encoded]]], rows: int, device: Device) -> dict[Role, list[float]]:
    """The seconds of each pass with so many rows."""
    seconds: dict[Role, list[float]] = {role: [] for role in roles}
    begun = time.perf_counter()
    for turn in range(PASSES):
        for role, members in roles.items():
            numbers = torch.arange(turn * rows, (turn + 1) * rows, device=device.torch_device) % len(members[0][1])
            seconds[role].append(sum(_one_pass(model, inputs, numbers, device) for model, inputs in members))
        if turn >= FEWEST_PASSES and time.perf_counter() - begun > TIMING_SECONDS:
            break
    return {role: _warm(taken) for role, taken in seconds.items()}


def _warm(seconds: list[float]) -> list[float]:
    """The passes after the first ones, which also fill caches and choose kernels."""
    return seconds[min(WARM_UP, len(seconds) - FEWEST_PASSES) :]


def _one_pass(model: Model, inputs: Encoded, rows: torch.Tensor, device: Device) -> float:
    batch = inputs.batch(rows)
    model.network.eval()
    with torch.inference_mode(), device.autocast():
        start = time.perf_counter()
        model.network(**batch)
        if device.torch_device.type == "cuda":
            torch.cuda.synchronize(device.torch_device)
        return time.perf_counter() - start


def verdict(evaluations: list[Evaluation], comparison: Comparison | None) -> Verdict:
    """The result in one plain sentence: how much was kept, how much smaller and faster, what the teacher brought."""
    found = {(one.role, one.metric): one.value for one in evaluations}
    teacher, student = found["teacher", "accuracy"], found["student", "accuracy"]
    kept = f"The student gets {student:.1%} right where the teacher gets {teacher:.1%}"
    smaller = _times(found["teacher", "size_bytes"], found["student", "size_bytes"], "smaller", "larger")
    faster = _times(found["teacher", "latency_ms"], found["student", "latency_ms"], "faster", "slower")
    outcome, effect = _effect(comparison)
    return Verdict(outcome=outcome, sentence=f"{kept}; it is {smaller} and {faster}. {effect}".replace("%", " %"))


def _times(teacher: float, student: float, better: str, worse: str) -> str:
    ratio = teacher / student
    if 0.95 < ratio < 1.05:
        return f"no {better}"
    return f"{ratio:.1f} times {better}" if ratio > 1 else f"{1 / ratio:.1f} times {worse}"


Outcome = Literal["better", "no_difference", "worse", "no_control"]


def _effect(comparison: Comparison | None) -> tuple[Outcome, str]:
    if comparison is None:
        return "no_control", "Without a control nobody can tell what the teacher brought."
    points = f"{100 * abs(comparison.difference):.1f} points"
    interval = f"95% interval {100 * comparison.low:+.1f} to {100 * comparison.high:+.1f}"
    if comparison.low > 0:
        return (
            "better",
            f"Learning from the teacher was worth it: {points} more than the same student alone ({interval}).",
        )
    if comparison.high < 0:
        return "worse", f"Learning from the teacher did harm: {points} less than the same student alone ({interval})."
    if comparison.difference == 0:
        return "no_difference", f"The same student without the teacher does exactly as well ({interval})."
    direction = "more" if comparison.difference > 0 else "less"
    sentence = (
        f"Whether the teacher helped is not certain: {points} {direction} than the same student alone ({interval})."
    )
    return "no_difference", sentence
