"""Statistics over seeds and rows: as their source defines them, and as wide as what they do not know."""

import numpy as np
import pytest
from scipy import stats

from studio import tasks
from studio.evaluate import over_seeds, repeated
from studio.evaluate.over_seeds import OF_A_DIFFERENCE, of_draws
from tests.bench.coverage import coverage_of_seeds

TASK = tasks.get("text-classification")


def test_the_interval_is_that_of_obuchowski_and_rockette_with_the_freedom_of_hillis():
    values, covariance = np.array([0.02, 0.05, 0.08]), 0.0001
    draws = np.random.default_rng(0).multivariate_normal(values, np.full((3, 3), covariance), size=200_000)
    found = of_draws(values, draws)
    of_seeds = values.var(ddof=1) / 3
    freedom = (of_seeds + covariance) ** 2 / (of_seeds**2 / 2)
    half = stats.t.ppf(0.975, freedom) * (of_seeds + covariance) ** 0.5
    assert (found.low, found.high) == (pytest.approx(0.05 - half, rel=0.01), pytest.approx(0.05 + half, rel=0.01))
    assert found.spread == pytest.approx(0.03)


def test_seeds_that_agree_by_chance_do_not_make_the_interval_narrower_than_rows_alone_would():
    differences = np.zeros((3, 400))
    for seed in range(3):
        differences[seed, 20 * seed : 20 * seed + 20] = 1  # as many rows each time, and never the same ones
    found = over_seeds.of_rows(differences, OF_A_DIFFERENCE)
    assert found.spread == pytest.approx(0)
    assert found.high - found.low > 2 * 1.96 * (0.05 * 0.95 / 400 / 3) ** 0.5


def test_rows_that_all_seeds_gain_alike_count_once():
    four = np.tile([1.0] * 4 + [0.0] * 8, (5, 1))
    assert over_seeds.swapped_shares(four.mean(0)) == pytest.approx(0.125, abs=0.02)


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro"])
def test_a_clear_difference_is_found_and_one_that_changes_with_the_seed_is_not(metric):
    random = np.random.default_rng(0)
    true = random.integers(0, 2, 300)

    def model(right: float) -> np.ndarray:
        return np.stack([true, np.where(random.random(300) < right, true, 1 - true)], axis=1)

    measure = next(one for one in TASK.measures if one.name == metric)

    def mean_of(*students: float):
        pairs = {seed: (model(right), model(0.8)) for seed, right in enumerate(students)}
        return list(repeated.compare(TASK, ("student", "control"), "test", pairs, measure))[-1]

    steady, shaky = mean_of(0.93, 0.92, 0.94), mean_of(0.99, 0.80, 0.83)
    assert steady.low > 0 and steady.p_value < 0.05
    assert shaky.low < 0 and shaky.p_value > 0.05


def test_the_interval_holds_in_a_world_whose_seeds_differ():
    assert 0.9 <= coverage_of_seeds(seeds=3, rows=200, spread=0.1, repeats=300)["difference"] <= 1
