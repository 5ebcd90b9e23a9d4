"""Which class still gains from more rows: against numbers worked out by hand."""

import numpy as np
import pytest

from studio.evaluate.intervals import paired_difference
from studio.evaluate.learning_curve import of_classes


def test_a_class_that_gains_for_certain_comes_first_with_its_paired_interval():
    classes = np.repeat([0, 1], 40)
    half, whole = np.ones(80, bool), np.ones(80, bool)
    half[40:60] = False  # of class 1: 20 wrong after half of the rows
    whole[40:44] = False
    whole[79] = False
    first, second = of_classes(classes, {1.0: whole, 0.5: half, 0.25: np.zeros(80, bool)})
    assert (first.number, first.shares, first.values) == (1, (0.25, 0.5, 1.0), (0.0, 0.5, 35 / 40))
    assert first.gain == pytest.approx((16 - 1) / 40)
    assert (first.low, first.high) == paired_difference(40, 16, 1)
    assert first.is_clear
    assert (second.number, second.gain, second.is_clear) == (0, 0.0, False)


def test_of_many_classes_none_is_clear_for_what_chance_brings_to_one_of_them():
    half = np.array([False] * 8 + [True] * 32)  # 8 of 40 rows: p = 0.008 alone, 0.16 beside 19 other classes
    whole = np.ones(40, bool)
    (alone,) = of_classes(np.zeros(40, int), {0.5: half, 1.0: whole})
    assert alone.is_clear
    both = {0.5: np.concatenate([half, np.tile(whole, 19)]), 1.0: np.tile(whole, 20)}
    found = of_classes(np.repeat(np.arange(20), 40), both)
    assert found[0].low > 0 and not any(one.is_clear for one in found)


def test_of_several_labels_each_is_found_by_itself():
    has = np.array([[1, 0], [1, 1], [0, 1], [1, 0]])
    found = {one.number: one for one in of_classes(has, {0.5: np.zeros_like(has), 1.0: has})}
    assert found[0].rows == 3 and found[1].rows == 2
    assert found[0].values == (0.0, 1.0)


def test_one_share_is_no_curve():
    with pytest.raises(ValueError, match="two shares"):
        of_classes(np.zeros(3, int), {1.0: np.ones(3, bool)})
