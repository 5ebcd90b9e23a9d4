"""Whether probabilities can be trusted: held against scikit-learn, statsmodels' and hand-computed cases."""

import numpy as np
import pytest
from scipy import optimize, special, stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from studio.evaluate import calibration, cascade, changes
from studio.evaluate.cascade import Answered
from studio.kept import logits


def answers(rows: int, gap: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A model that is surer than it is right by `gap`."""
    generator = np.random.default_rng(seed)
    confidence = generator.beta(5, 1.2, rows)
    return confidence, generator.random(rows) < np.clip(confidence - gap, 0, 1)


def test_the_ranges_are_those_of_scikit_learn():
    confidence, right = answers(500, 0.05, 1)
    share, mean = calibration_curve(right, confidence, n_bins=10, strategy="uniform")
    found = calibration.bins(confidence, right)
    assert [one.right for one in found] == pytest.approx(share)
    assert [one.confidence for one in found] == pytest.approx(mean)
    assert sum(one.rows for one in found) == 500


def test_the_expected_error_is_that_of_a_case_by_hand():
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.65, 0.65])
    right = np.array([True, True, True, False, True, True])
    found = calibration.expected_error(confidence, right)
    assert found.value == pytest.approx((4 * abs(0.95 - 0.75) + 2 * abs(0.65 - 1.0)) / 6)
    assert found.low <= found.value <= found.high


def test_a_confidence_of_one_is_in_the_last_range_and_of_nought_in_the_first():
    found = calibration.bins(np.array([0.0, 1.0]), np.array([False, True]))
    assert [(one.low, one.high) for one in found] == [(0.0, 0.1), (0.9, 1.0)]


def test_the_brier_score_is_that_of_scikit_learn_and_its_interval_is_students():
    confidence, right = answers(300, 0.05, 2)
    found = calibration.brier(confidence, right)
    assert found.value == pytest.approx(brier_score_loss(right, confidence))
    wanted = stats.ttest_1samp((confidence - right) ** 2, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(wanted))


def test_the_interval_of_the_expected_error_holds_as_often_as_it_says(monkeypatch):
    monkeypatch.setattr(calibration, "DRAWS", 150)
    gap = 0.05
    confidence = np.random.default_rng(9).beta(5, 1.2, 400_000)
    numbers = np.minimum((confidence * 10).astype(int), 9)
    true = abs(np.bincount(numbers, confidence - np.clip(confidence - gap, 0, 1))).sum() / len(confidence)
    held = 0
    for seed in range(60):
        found = calibration.expected_error(*answers(200, gap, seed), seed=seed)
        held += found.low <= true <= found.high
    assert held >= 52  # of 60: fewer come once in 500 times where 57 are expected


def test_a_temperature_that_was_put_on_is_found_again_and_is_where_scipy_finds_it():
    generator = np.random.default_rng(3)
    clean = generator.normal(size=(20_000, 4)) * 2
    labels = np.array([generator.choice(4, p=row) for row in special.softmax(clean, axis=1)])
    found = logits.fitted_temperature(clean * 3, labels, "class")
    assert found == pytest.approx(3, rel=0.05)
    few, known = clean[:300] * 3, labels[:300]
    wanted = optimize.minimize(lambda t: log_loss(known, special.softmax(few / np.exp(t), axis=1)), [0.0])
    assert logits.fitted_temperature(few, known, "class") == pytest.approx(float(np.exp(wanted.x[0])), rel=1e-2)


def test_the_loss_is_the_log_loss_of_scikit_learn_and_unlabelled_and_unseen_rows_are_left_out():
    values = np.random.default_rng(4).normal(size=(6, 3))
    labels = np.array([0, 1, 2, 0, -1, 1])
    values[5] = np.nan
    wanted = log_loss(labels[:4], special.softmax(values[:4] / 2, axis=1), labels=[0, 1, 2])
    assert logits.loss(values, labels, "class", 2.0) == pytest.approx(wanted)
    several = np.array([[1, 0, 1], [-1, -1, -1]])
    wanted = -np.log(special.expit(values[0] * np.array([1, -1, 1]))).sum()
    assert logits.loss(values[:2], several, "multi_label") == pytest.approx(wanted)


def test_the_divergence_is_that_of_scipy():
    teacher, student = np.random.default_rng(5).normal(size=(2, 7, 4))
    wanted = stats.entropy(special.softmax(teacher, axis=1), special.softmax(student, axis=1), axis=1)
    assert logits.divergence(teacher, student, "class") == pytest.approx(wanted)
    p, q = special.expit(teacher), special.expit(student)
    both = stats.entropy(np.stack([p, 1 - p]), np.stack([q, 1 - q]), axis=0)
    assert logits.divergence(teacher, student, "multi_label") == pytest.approx(both.sum(1))


def test_how_sure_a_row_is_falls_with_the_temperature_and_is_as_the_run_kept_it():
    values = np.array([[2.0, 0.0], [0.0, 1.0]])
    assert logits.confidence(values, None, "class") == pytest.approx(special.softmax(values, axis=1).max(1))
    assert (logits.confidence(values, None, "class", 3.0) < logits.confidence(values, None, "class")).all()
    both = special.expit(2.0) * special.expit(1.0) * 0.25
    assert logits.confidence(values, None, "multi_label").prod() == pytest.approx(both)


def share(statistics: np.ndarray) -> dict[str, float]:
    return {"accuracy": float(statistics[:, 0].mean())}


def test_a_cascade_asks_the_teacher_where_the_student_is_less_sure():
    rows = Answered(np.array([0.9, 0.6, 0.8, 0.5]), np.array([[1], [0], [1], [0]]), np.array([[0], [1], [1], [1]]))
    found = rows.at(0.7, share, "accuracy")
    assert (found.asked, found.value) == (0.5, 1.0)
    assert found.milliseconds(1.0, 10.0) == 6.0
    points = cascade.curve(rows, share, "accuracy")
    assert [(point.asked, point.value) for point in points] == [(0, 0.5), (0.25, 0.75), (0.5, 1), (0.75, 1), (1, 0.75)]
    assert cascade.chosen(points, 0.75).asked == 0.25
    assert cascade.chosen(points, 1.1).asked == 0.5


def test_what_classes_gained_and_lost_is_counted_row_by_row():
    classes = np.array([0, 0, 0, 0, 1, 1])
    first = np.array([1, 1, 1, 0, 0, 1], dtype=bool)
    second = np.array([1, 0, 0, 0, 1, 1], dtype=bool)
    lost, gained = changes.of_classes(classes, first, second)
    assert (lost.number, lost.rows, lost.gained, lost.lost) == (0, 4, 0, 2)
    assert (lost.first, lost.second, lost.difference) == (0.75, 0.25, -0.5)
    assert (gained.number, gained.gained, gained.lost) == (1, 1, 0)
    assert (lost.low, lost.high) == (None, None) and not lost.is_clear, "four rows are too few for an interval"
    (many,) = changes.of_classes(*(np.tile(values[:4], 5) for values in (classes, first, second)))
    assert many.rows == 20 and many.low < -0.5 < many.high and many.is_clear


def test_of_many_classes_none_is_clear_for_what_chance_brings_to_one_of_them():
    lost = np.array([False] * 8 + [True] * 32)  # 8 of 40 rows: p = 0.008 alone, 0.16 beside 19 other classes
    right = np.ones(40, dtype=bool)
    (alone,) = changes.of_classes(np.zeros(40, int), right, lost)
    assert alone.is_clear
    classes = np.repeat(np.arange(20), 40)
    found = changes.of_classes(classes, np.tile(right, 20), np.concatenate([lost, np.tile(right, 19)]))
    assert found[0].high < 0 and not any(one.is_clear for one in found)


def test_of_several_labels_each_has_its_own_rows():
    has = np.array([[1, 1], [1, 0], [0, 1]])
    found = {one.number: one for one in changes.of_classes(has, has, np.array([[0, 1], [1, 0], [1, 1]]))}
    assert (found[0].rows, found[0].lost, found[0].gained) == (2, 1, 0)
    assert (found[1].rows, found[1].lost, found[1].gained) == (2, 0, 0)


def test_the_interval_of_a_class_holds_as_often_as_it_says_also_of_rare_classes():
    generator = np.random.default_rng(0)
    for rows in (20, 200):
        held = 0
        for _ in range(500):
            first, second = generator.random((2, rows)) < np.array([[0.8], [0.6]])
            (found,) = changes.of_classes(np.zeros(rows, dtype=int), first, second)
            held += found.low <= -0.2 <= found.high
        assert 0.92 <= held / 500 <= 0.98


def test_a_mean_over_few_rows_has_no_interval():
    found = calibration.overconfidence(*answers(99, 0.0, 1))
    assert np.isnan([found.low, found.high]).all()
    assert np.isfinite(found.value)
