"""CKA against its definition, and what it must not be moved by."""

import itertools

import numpy as np
import pytest

from studio.evaluate import similarity


def of_all_fours(first: np.ndarray, second: np.ndarray) -> float:
    """HSIC as the mean over all ordered fours of rows that differ (Song et al., 2012, eq. 4)."""
    fours = list(itertools.permutations(range(len(first)), 4))
    pairs = sum(
        first[a, b] * second[a, b] + first[a, b] * second[c, d] - 2 * first[a, b] * second[a, c] for a, b, c, d in fours
    )
    return float(pairs / len(fours))


def test_hsic_is_the_mean_over_all_fours_of_rows():
    draws = np.random.default_rng(0)
    first, second = draws.normal(size=(6, 3)), draws.normal(size=(6, 2))
    kernels = first @ first.T, second @ second.T
    assert similarity.hsic(*kernels) == pytest.approx(of_all_fours(*kernels), abs=1e-12)


def test_a_layer_that_is_turned_moved_and_scaled_is_the_same_one():
    draws = np.random.default_rng(1)
    rows = draws.normal(size=(40, 5))
    turned = rows @ np.linalg.qr(draws.normal(size=(5, 5)))[0]
    assert similarity.cka(rows, 3 * turned + 1000) == pytest.approx(1, abs=1e-6)


def test_layers_with_nothing_in_common_are_not_called_alike_however_wide_they_are():
    draws = np.random.default_rng(2)
    found = [similarity.cka(draws.normal(size=(60, 200)), draws.normal(size=(60, 200))) for _ in range(20)]
    assert abs(np.mean(found)) < 0.03


def test_what_is_shared_by_half_lies_between():
    draws = np.random.default_rng(3)
    shared = draws.normal(size=(400, 4))
    first, second = (np.hstack([shared, draws.normal(size=(400, 4))]) for _ in range(2))
    assert similarity.cka(first, second) == pytest.approx(0.5, abs=0.06)


def test_a_layer_that_says_the_same_of_every_row_is_like_none():
    assert np.isnan(similarity.cka(np.ones((9, 3)), np.random.default_rng(0).normal(size=(9, 3))))
    with pytest.raises(ValueError, match="at least 4"):
        similarity.cka(np.ones((3, 3)), np.ones((3, 3)))
