"""How often 95 % intervals hold the true value: of the macro F1 for few rows, rare classes, few errors; over seeds of a
mean and a difference; of the calibration error and the Brier score; of what a class gained or lost.

python -m tests.bench.coverage [--only f1_over_seeds] [--repeats 100] --json
"""

import argparse
import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import stats

from studio import tasks
from studio.evaluate import calibration, changes, intervals, over_seeds
from studio.tasks import scores

WORLDS: dict[str, tuple[Sequence[float], Sequence[float]]] = {
    "two even classes, 85 %": ([0.5, 0.5], [0.85, 0.85]),
    "two even classes, 97 %": ([0.5, 0.5], [0.97, 0.97]),
    "9:1": ([0.9, 0.1], [0.97, 0.6]),
    "99:1": ([0.99, 0.01], [0.995, 0.6]),
    "five classes": ([0.2] * 5, [0.8] * 5),
    "five skewed classes": ([0.5, 0.2, 0.15, 0.1, 0.05], [0.9, 0.8, 0.7, 0.6, 0.5]),
    "twenty classes": ([0.05] * 20, [0.8] * 20),
    "a third class that no row has": ([0.5, 0.5, 0.0], [0.85, 0.85, 0.0]),
}
"""The share of each class, and the share of its rows that a model finds."""

OF_SEEDS = ("two even classes, 97 %", "9:1", "five skewed classes")
"""The worlds of which several seeds are simulated, too."""

ROWS = (50, 200, 1000)

SEEDS, SPREADS = (2, 3, 5, 10), (0.0, 0.05, 0.2)
"""How many seeds, and how far they are apart; what sets the rows apart is 1."""

STUDENT, CONTROL, ROW_SHARE = 0.9, 0.87, 0.7
"""True accuracies, and how much of what decides whether a row is right lies in the row."""


SURER, CALIBRATED_ROWS = (0.0, 0.05, 0.15), (100, 300, 1000)
"""By how much a model is surer than it is right, on so many rows."""

CLASS_ROWS, CHANGES = (20, 50, 100, 500), ((0.6, 0.6), (0.65, 0.55), (0.75, 0.5))
"""How many rows a class has, and at which level of a row's difficulty each of two models fails."""


def cells(shares: Sequence[float], found: Sequence[float]) -> np.ndarray:
    """The probability of each pair of true and predicted class; errors go evenly to the other classes."""
    count = len(shares)
    world = np.empty((count, count))
    for number, (share, right) in enumerate(zip(shares, found, strict=True)):
        world[number] = share * (1 - right) / (count - 1)
        world[number, number] = share * right
    return world


def coverage(world: np.ndarray, rows: int, repeats: int, seed: int = 0) -> tuple[int, float | None]:
    """How many of so many test sets get an interval, and the share of those that hold the true macro F1."""
    truth = float(scores.f1_macro(world))
    drawn = np.random.default_rng(seed).multinomial(rows, world.ravel(), size=repeats).reshape(repeats, *world.shape)
    classes = world.sum(1) > 0
    told = [counts for counts in drawn if counts[classes].sum(1).min() >= intervals.FEWEST_OF_A_CLASS]
    held = [low <= truth <= high for low, high in map(intervals.f1_interval, told)]
    return len(told), float(np.mean(held)) if held else None


def coverage_of_seeds(seeds: int, rows: int, spread: float, repeats: int, seed: int = 0) -> dict[str, float]:
    """The share of runs whose interval of the student's mean, and of the difference from the control, holds the truth.

    A row is right where accuracy + seed + row + chance is above 0; seeds, rows and chance are normal.
    """
    random, found = np.random.default_rng(seed), {"mean": 0, "difference": 0}
    for _ in range(repeats):
        row = random.normal(size=rows) * ROW_SHARE**0.5
        right = []
        for accuracy in (STUDENT, CONTROL):
            level = stats.norm.ppf(accuracy) * (1 + spread**2) ** 0.5
            chance = random.normal(size=(seeds, rows)) * (1 - ROW_SHARE) ** 0.5
            right.append((level + random.normal(size=(seeds, 1)) * spread + row + chance > 0).astype(float))
        mean = over_seeds.of_rows(right[0], over_seeds.OF_A_SHARE)
        difference = over_seeds.of_rows(right[0] - right[1], over_seeds.OF_A_DIFFERENCE)
        found["mean"] += mean.low <= STUDENT <= mean.high
        found["difference"] += difference.low <= STUDENT - CONTROL <= difference.high
    return {name: held / repeats for name, held in found.items()}


def coverage_of_f1(world: str, seeds: int, rows: int, spread: float, repeats: int, seed: int = 0) -> dict[str, Any]:
    """How many of so many test sets get an interval, and the share of those whose interval of the macro F1's mean over
    seeds holds the true mean.

    A row is right as in `coverage_of_seeds`; wrong answers go evenly to the other classes.
    """
    shares, found = map(np.array, WORLDS[world])
    random, classes, held = np.random.default_rng(seed), len(shares), []
    levels = stats.norm.ppf(found) * (1 + spread**2) ** 0.5
    truth = _mean_f1(shares, levels, spread)
    measure = tasks.get("text-classification").targets.measure
    for _ in range(repeats):
        true = random.choice(classes, rows, p=shares)
        right = levels[true] + random.normal(size=rows) * ROW_SHARE**0.5 > -(
            random.normal(size=(seeds, 1)) * spread + random.normal(size=(seeds, rows)) * (1 - ROW_SHARE) ** 0.5
        )
        answers = np.where(right, true, (true + random.integers(1, classes, (seeds, rows))) % classes)
        if np.bincount(true, minlength=classes).min() >= intervals.FEWEST_OF_A_CLASS:
            models = [np.stack([true, one], axis=1) for one in answers]
            values = [measure(one)["f1_macro"] for one in models]
            mean = over_seeds.of_draws(values, over_seeds.drawn(models, measure, "f1_macro"))
            held.append(mean.low <= truth <= mean.high)
    return {"with_interval": len(held), "held": float(np.mean(held)) if held else None}


def coverage_of_calibration(surer: float, rows: int, repeats: int, seed: int = 0) -> dict[str, float]:
    """The share of test sets whose interval of the expected calibration error, of the overconfidence and of the Brier
    score holds the truth, for a model that is `surer` than it is right."""
    random = np.random.default_rng(seed)
    many = random.beta(5, 1.2, 1_000_000)
    rates = np.clip(many - surer, 0, 1)
    numbers = np.minimum((many * calibration.BINS).astype(int), calibration.BINS - 1)
    truth = {
        "error": abs(np.bincount(numbers, many - rates)).sum() / len(many),
        "overconfidence": float((many - rates).mean()),
        "brier": float((rates * (1 - many) ** 2 + (1 - rates) * many**2).mean()),
    }
    held = dict.fromkeys(truth, 0)
    for _ in range(repeats):
        confidence = random.beta(5, 1.2, rows)
        right = random.random(rows) < np.clip(confidence - surer, 0, 1)
        told = {
            "error": calibration.expected_error(confidence, right, seed=int(random.integers(1 << 30))),
            "overconfidence": calibration.overconfidence(confidence, right),
            "brier": calibration.brier(confidence, right),
        }
        for name, one in told.items():
            held[name] += one.low <= truth[name] <= one.high
    return {name: count / repeats for name, count in held.items()}


def coverage_of_classes(rows: int, first: float, second: float, repeats: int, seed: int = 0) -> float:
    """The share of test sets whose interval of what a class with so many rows lost holds the truth."""
    random, held = np.random.default_rng(seed), 0
    for _ in range(repeats):
        easy = random.random(rows)
        models = [(easy + random.random(rows)) / 2 < share for share in (first, second)]
        (found,) = changes.of_classes(np.zeros(rows, dtype=np.int64), *models)
        held += found.low <= _below(second) - _below(first) <= found.high
    return held / repeats


def _below(share: float) -> float:
    """How often the mean of two even numbers is below that."""
    return 2 * share**2 if share < 0.5 else 1 - 2 * (1 - share) ** 2


def _mean_f1(shares: np.ndarray, levels: np.ndarray, spread: float) -> float:
    """The true macro F1, averaged over seeds (Gauss and Hermite's quadrature)."""
    places, weights = np.polynomial.hermite_e.hermegauss(31)
    values = [float(scores.f1_macro(cells(shares, stats.norm.cdf(levels + spread * place)))) for place in places]
    return float(np.average(values, weights=weights))


def of_single_models(repeats: int) -> Iterator[dict[str, Any]]:
    for name, world in WORLDS.items():
        for rows in ROWS:
            told, held = coverage(cells(*world), rows, repeats)
            yield {"world": name, "rows": rows, "test_sets": repeats, "with_interval": told, "held": held}


def of_several_seeds(repeats: int) -> Iterator[dict[str, Any]]:
    for seeds, rows, spread in itertools.product(SEEDS, ROWS, SPREADS):
        told = coverage_of_seeds(seeds, rows, spread, repeats)
        yield {"seeds": seeds, "rows": rows, "spread": spread, "test_sets": repeats, **told}


def of_f1_over_seeds(repeats: int) -> Iterator[dict[str, Any]]:
    for world, seeds, spread in itertools.product(OF_SEEDS, (3, 5), (0.0, 0.1)):
        told = coverage_of_f1(world, seeds, 200, spread, repeats)
        yield {"world": world, "seeds": seeds, "rows": 200, "spread": spread, "test_sets": repeats, **told}


def of_calibration(repeats: int) -> Iterator[dict[str, Any]]:
    for surer, rows in itertools.product(SURER, CALIBRATED_ROWS):
        told = coverage_of_calibration(surer, rows, repeats)
        yield {"surer": surer, "rows": rows, "test_sets": repeats, **told}


def of_class_changes(repeats: int) -> Iterator[dict[str, Any]]:
    for rows, (first, second) in itertools.product(CLASS_ROWS, CHANGES):
        held = coverage_of_classes(rows, first, second, repeats)
        yield {"class_rows": rows, "levels": [first, second], "test_sets": repeats, "held": held}


PARTS = {"f1": of_single_models, "seeds": of_several_seeds, "f1_over_seeds": of_f1_over_seeds,
         "calibration": of_calibration, "classes": of_class_changes}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--only", choices=PARTS, help="one part of it")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = []
    for part in [asked.only] if asked.only else PARTS:
        for one in PARTS[part](asked.repeats):
            found.append(one)
            if not asked.json:
                print(", ".join(f"{name} {value}" for name, value in one.items()), flush=True)
    if asked.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
