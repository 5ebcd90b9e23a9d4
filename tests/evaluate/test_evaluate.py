import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import confusion_matrix, f1_score

from studio import tasks
from studio.evaluate import intervals, metrics
from studio.events import Comparison, Evaluation
from studio.tasks import scores
from tests.bench import coverage

TEXT = tasks.get("text-classification")


@pytest.mark.parametrize(("right", "n"), [(0, 20), (1, 7), (45, 50), (874, 1000), (30, 30)])
def test_the_interval_of_an_accuracy_is_wilsons_as_scipy_computes_it(right, n):
    expected = stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert intervals.accuracy_interval(right, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_an_accuracy_over_no_rows_is_refused():
    with pytest.raises(ValueError, match="at least one row"):
        intervals.accuracy_interval(0, 0)


@pytest.fixture
def predictions() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 5, 400)
    return labels, np.where(generator.random(400) < 0.7, labels, generator.integers(0, 5, 400))


def test_confusion_matrix_and_macro_f1_equal_scikit_learns(predictions):
    counts = scores.confusion_matrix(*predictions, classes=5)
    assert (counts == confusion_matrix(*predictions)).all()
    assert float(scores.f1_macro(counts)) == pytest.approx(f1_score(*predictions, average="macro"))


def test_a_confusion_matrix_of_many_classes_is_counted_from_answers_of_few_bits():
    labels, predicted = np.array([0, 76, 76], dtype=np.int8), np.array([0, 76, 3], dtype=np.int8)
    counts = scores.confusion_matrix(labels, predicted, classes=77)
    assert (counts[0, 0], counts[76, 76], counts[76, 3], counts.sum()) == (1, 1, 1, 3)


def test_the_interval_of_f1_holds_the_value_and_narrows_with_more_rows(predictions):
    counts = scores.confusion_matrix(*predictions, classes=5)
    low, high = intervals.f1_interval(counts)
    more_low, more_high = intervals.f1_interval(counts * 16)
    assert low < float(scores.f1_macro(counts)) < high
    assert (more_high - more_low) == pytest.approx((high - low) / 4, rel=0.2)


def compared(first: np.ndarray, second: np.ndarray) -> Comparison:
    """Two models that are right on these rows."""
    rows = tuple(np.stack([np.ones(len(right), int), right.astype(int)], axis=1) for right in (first, second))
    return metrics.compare(TEXT, ("student", "control"), "test", rows)


def test_the_paired_interval_holds_the_true_difference_about_nineteen_times_in_twenty():
    generator = np.random.default_rng(2)
    held = 0
    for _ in range(600):
        draw = generator.random(400)
        first, second = draw < 0.86, np.where(generator.random(400) < 0.9, draw < 0.82, draw > 0.18)
        found = compared(first, second)
        held += found.low <= 0.04 <= found.high
    assert 0.92 < held / 600 < 0.98


def test_two_models_that_err_on_the_same_rows_do_not_differ():
    right = np.array([True, False, True, True])
    found = compared(right, right)
    assert found.difference == 0
    assert found.p_value == 1
    assert found.low < 0 < found.high


def test_the_p_value_is_the_exact_mcnemar_test():
    first = np.array([True] * 9 + [False] * 2 + [True] * 20)
    second = np.array([False] * 9 + [True] * 2 + [True] * 20)
    expected = stats.binomtest(9, 11).pvalue
    assert compared(first, second).p_value == pytest.approx(expected)


def test_a_measure_that_is_no_share_of_rows_gets_a_paired_bootstrap():
    generator = np.random.default_rng(3)
    truth = generator.normal(size=400)
    near, far = truth + generator.normal(scale=0.3, size=400), truth + generator.normal(scale=1.0, size=400)
    rows = tuple(np.stack([truth, answers], axis=1) for answers in (near, far))
    found = metrics.compare(tasks.get("regression"), ("student", "control"), "test", rows)
    assert found.metric == "spearman"
    assert 0 < found.low < found.difference < found.high
    assert found.p_value < 0.01
    assert metrics.compare(tasks.get("regression"), ("student", "control"), "test", (rows[0],) * 2).p_value == 1


def test_correlations_are_those_of_scipy():
    generator = np.random.default_rng(4)
    first = generator.integers(0, 9, 300).astype(float)
    second = first + generator.normal(size=300)
    assert scores.pearson(first, second) == pytest.approx(stats.pearsonr(first, second).statistic)
    assert scores.spearman(first, second) == pytest.approx(stats.spearmanr(first, second).statistic)
    assert (scores.ranks(first) == stats.rankdata(first)).all()


def test_a_bootstrap_interval_of_a_correlation_holds_the_true_one_about_nineteen_times_in_twenty():
    generator = np.random.default_rng(5)
    measure = tasks.get("regression").targets.measure
    held = 0
    for _ in range(60):
        first = generator.normal(size=150)
        second = 0.6 * first + 0.8 * generator.normal(size=150)
        low, high = intervals.bootstrap(np.stack([first, second], axis=1), measure)["pearson"]
        held += low <= 0.6 <= high
    assert held / 60 > 0.86


@pytest.mark.parametrize("world", ["two even classes, 97 %", "9:1", "five classes"])
def test_the_interval_of_macro_f1_holds_the_true_value_about_nineteen_times_in_twenty_on_few_rows(world, monkeypatch):
    monkeypatch.setattr(intervals, "BOOTSTRAP", 300)
    told, held = coverage.coverage(coverage.cells(*coverage.WORLDS[world]), 60, repeats=250)
    assert told > 100
    assert 0.9 < held < 0.995


def test_with_few_rows_of_a_class_macro_f1_has_no_interval_and_says_which_class_it_is():
    rows = np.array([[0, 0]] * 60 + [[1, 1]] * 4)
    found = {one.metric: one for one in metrics.quality(TEXT, "student", "test", rows, ["fine", "fraud"])
             if isinstance(one, Evaluation)}  # fmt: skip
    assert (found["f1_macro"].low, found["f1_macro"].high) == (None, None)
    assert found["f1_macro"].note == "4 test rows of 'fraud' are too few for an interval."
    assert found["accuracy"].low is not None
    assert found["accuracy"].note == ""


def test_a_label_that_few_rows_have_among_others_takes_the_interval_of_macro_f1_too():
    task = tasks.get("text-classification", multi_label=True)
    true = np.array([[1, 0]] * 40 + [[1, 1]] * 3)
    statistics = np.concatenate([true, true], axis=1)
    found = [
        one for one in metrics.quality(task, "student", "test", statistics, ["a", "b"]) if one.metric == "f1_macro"
    ]
    assert found[0].low is None
    assert "'b'" in found[0].note
