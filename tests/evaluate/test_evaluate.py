import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import confusion_matrix, f1_score

from studio.evaluate import metrics as evaluate
from studio.events import Comparison, Evaluation


@pytest.mark.parametrize(("right", "n"), [(0, 20), (1, 7), (45, 50), (874, 1000), (30, 30)])
def test_the_interval_of_an_accuracy_is_wilsons_as_scipy_computes_it(right, n):
    expected = stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert evaluate.accuracy_interval(right, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_an_accuracy_over_no_rows_is_refused():
    with pytest.raises(ValueError, match="at least one row"):
        evaluate.accuracy_interval(0, 0)


@pytest.fixture
def predictions() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 5, 400)
    return labels, np.where(generator.random(400) < 0.7, labels, generator.integers(0, 5, 400))


def test_confusion_matrix_and_macro_f1_equal_scikit_learns(predictions):
    counts = evaluate.confusion_matrix(*predictions, classes=5)
    assert (counts == confusion_matrix(*predictions)).all()
    assert float(evaluate.f1_macro(counts)) == pytest.approx(f1_score(*predictions, average="macro"))


def test_the_interval_of_f1_holds_the_value_and_narrows_with_more_rows(predictions):
    counts = evaluate.confusion_matrix(*predictions, classes=5)
    low, high = evaluate.f1_interval(counts)
    more_low, more_high = evaluate.f1_interval(counts * 16)
    assert low < float(evaluate.f1_macro(counts)) < high
    assert (more_high - more_low) == pytest.approx((high - low) / 4, rel=0.2)


def test_the_paired_interval_holds_the_true_difference_about_nineteen_times_in_twenty():
    generator = np.random.default_rng(2)
    held = 0
    for _ in range(600):
        draw = generator.random(400)
        first, second = draw < 0.86, np.where(generator.random(400) < 0.9, draw < 0.82, draw > 0.18)
        found = evaluate.compare("student", "control", "test", first, second)
        held += found.low <= 0.04 <= found.high
    assert 0.92 < held / 600 < 0.98


def test_two_models_that_err_on_the_same_rows_do_not_differ():
    right = np.array([True, False, True, True])
    found = evaluate.compare("student", "control", "test", right, right)
    assert found.difference == 0
    assert found.p_value == 1
    assert found.low < 0 < found.high


def test_the_p_value_is_the_exact_mcnemar_test():
    first = np.array([True] * 9 + [False] * 2 + [True] * 20)
    second = np.array([False] * 9 + [True] * 2 + [True] * 20)
    expected = stats.binomtest(9, 11).pvalue
    assert evaluate.compare("student", "control", "test", first, second).p_value == pytest.approx(expected)


def measured(role: str, accuracy: float, size: int, latency: float) -> list[Evaluation]:
    values = {"accuracy": accuracy, "size_bytes": size, "latency_ms": latency}
    return [Evaluation(role=role, split="test", metric=name, value=value) for name, value in values.items()]


@pytest.mark.parametrize(
    ("low", "high", "outcome", "words"),
    [
        (0.01, 0.03, "better", "worth it"),
        (-0.03, -0.01, "worse", "harm"),
        (-0.01, 0.03, "no_difference", "not certain"),
    ],
)
def test_the_verdict_says_what_the_interval_allows_and_no_more(low, high, outcome, words):
    found = measured("teacher", 0.9, 10_000, 4.0) + measured("student", 0.88, 1_000, 2.0)
    comparison = Comparison(first="student", second="control", split="test", difference=(low + high) / 2, low=low,
                            high=high, p_value=0.1, n=500)  # fmt: skip
    verdict = evaluate.verdict(found, comparison)
    assert verdict.outcome == outcome
    assert words in verdict.sentence
    assert "10.0 times smaller and 2.0 times faster" in verdict.sentence


def test_without_a_control_the_verdict_claims_nothing_about_the_teacher():
    found = measured("teacher", 0.9, 10_000, 4.0) + measured("student", 0.88, 1_000, 2.0)
    assert evaluate.verdict(found, None).outcome == "no_control"
