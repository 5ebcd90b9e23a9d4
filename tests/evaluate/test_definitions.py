"""Figures against their definitions, at the places where a shortcut would go unnoticed."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from studio import tasks
from studio.evaluate import intervals, latency, metrics, multiple
from studio.events import Comparison, Evaluation
from studio.machine.devices import Device
from studio.models.model import Model
from studio.store.speeds import speed
from studio.tasks import scores
from tests.evaluate.test_evaluate import TEXT

CPU = Device(torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("astray", [0, 1], ids=["not predicted", "predicted once"])
def test_macro_f1_is_the_mean_over_the_classes_that_have_rows(astray):
    counts = np.array([[3, 1, astray], [1, 5, 0], [0, 0, 0]])
    assert float(scores.f1_macro(counts)) == pytest.approx((2 * 3 / (8 + astray) + 2 * 5 / 12) / 2)
    labels, predicted = np.array([[1, 0, 0], [1, 1, 0]]), np.array([[1, 0, 0], [0, 1, astray]])
    assert scores.f1_of_labels(labels, predicted) == pytest.approx((2 / 3 + 1) / 2)


def test_macro_f1_is_that_of_scikit_learn_over_the_classes_of_the_rows():
    from sklearn.metrics import f1_score

    random = np.random.default_rng(0)
    true, predicted = random.integers(0, 4, 60), random.integers(0, 6, 60)
    mine = float(scores.f1_macro(scores.confusion_matrix(true, predicted, 6)))
    assert mine == pytest.approx(f1_score(true, predicted, average="macro", labels=np.unique(true)))
    labels, found = random.integers(0, 2, (60, 4)), random.integers(0, 2, (60, 4))
    labels[:, 3] = 0
    assert scores.f1_of_labels(labels, found) == pytest.approx(
        f1_score(labels, found, average="macro", labels=[0, 1, 2])
    )


def test_a_class_without_rows_does_not_move_the_interval_of_macro_f1():
    counts = np.array([[40, 8], [6, 46]])
    wider = np.zeros((3, 3), dtype=int)
    wider[:2, :2] = counts
    assert intervals.f1_interval(wider) == pytest.approx(intervals.f1_interval(counts), abs=0.01)


def test_guesses_are_measured_on_the_classes_that_have_rows():
    true = np.array([0, 0, 1, 1])
    reference = TEXT.targets.reference(np.stack([true, true], axis=1), 3)
    assert reference.chance["f1_macro"] == pytest.approx(2 * 0.5 / (1 + 3 * 0.5))


def test_the_interval_of_f1_is_where_95_of_100_draws_of_the_rows_lie():
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 3, 300)
    predicted = np.where(generator.random(300) < 0.7, labels, generator.integers(0, 3, 300))
    drawn = [generator.integers(0, 300, 300) for _ in range(2000)]
    found = [float(scores.f1_macro(scores.confusion_matrix(labels[rows], predicted[rows], 3))) for rows in drawn]
    ends = intervals.f1_interval(scores.confusion_matrix(labels, predicted, 3))
    assert ends == pytest.approx(tuple(np.quantile(found, [0.025, 0.975])), abs=0.01)


def mean(statistics: np.ndarray) -> dict[str, float]:
    return {"mean": float(statistics[:, 0].mean())}


def test_a_bootstrap_interval_of_a_mean_is_as_wide_as_its_standard_error_says():
    values = np.random.default_rng(4).normal(loc=5.0, size=(400, 1))
    low, high = intervals.bootstrap(values, mean)["mean"]
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.02)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.12)


def test_a_paired_bootstrap_is_that_of_the_differences():
    generator = np.random.default_rng(5)
    first = generator.normal(scale=10.0, size=(400, 1))
    difference = generator.normal(size=(400, 1))
    difference += 0.07 - difference.mean()
    low, high = intervals.paired_bootstrap(first + difference, first, mean, "mean")
    error = difference.std() / 20
    assert (low, high) == pytest.approx((0.07 - 1.96 * error, 0.07 + 1.96 * error), abs=0.02)


def test_a_permutation_test_asks_how_often_swapped_answers_differ_as_much_to_either_side():
    generator = np.random.default_rng(5)
    first = generator.normal(scale=10.0, size=(400, 1))
    difference = generator.normal(size=(400, 1))
    difference += 0.07 - difference.mean()
    p_value = intervals.permutation_test(first + difference, first, mean, "mean")
    error = difference.std() / 20
    assert p_value == pytest.approx(2 * stats.norm.sf(0.07 / error), rel=0.25)


def compared(both: int, gained: int, lost: int, neither: int) -> Comparison:
    first = np.array([1] * (both + gained) + [0] * (lost + neither))
    second = np.array([1] * both + [0] * gained + [1] * lost + [0] * neither)
    rows = tuple(np.stack([np.ones_like(right), right], axis=1) for right in (first, second))
    return metrics.compare(TEXT, ("student", "control"), "test", rows)


def test_what_one_model_loses_more_is_tested_as_the_mean_of_a_difference_of_differences():
    rng = np.random.default_rng(0)
    rights = [rng.random(300) < share for share in (0.9, 0.7, 0.95, 0.85)]
    student, worse, teacher, poorer = (np.stack([np.zeros(300, int), (~right).astype(int)], 1) for right in rights)
    difference, p_value = metrics.lost_more(TEXT, (student, worse), (teacher, poorer))
    plain, changed, theirs, their_changed = (right.astype(float) for right in rights)
    apart = (plain - changed) - (theirs - their_changed)
    assert difference == pytest.approx(apart.mean())
    signs = stats.permutation_test((apart,), np.mean, permutation_type="samples", n_resamples=5_000, rng=0)
    assert 0.001 < p_value == pytest.approx(signs.pvalue, abs=0.02)


def test_of_equal_students_the_best_differs_by_more_than_chance_as_rarely_as_one_test_promises():
    scores = np.sort(np.random.default_rng(0).standard_normal((1_000, 10)))
    p_values = 2 * stats.norm.sf((scores[:, -1:] - scores[:, :-1]) / math.sqrt(2))
    found = [min(multiple.holm(row.tolist(), of=45)) < 0.05 for row in p_values]
    assert 0.02 < np.mean(found) < 0.06
    assert np.mean([min(multiple.holm(row.tolist())) < 0.05 for row in p_values]) > 0.08


def test_the_difference_is_the_share_of_all_rows_that_were_gained_less_those_that_were_lost():
    assert compared(20, 9, 3, 8).difference == pytest.approx(6 / 40)
    assert compared(20, 3, 9, 8).difference == pytest.approx(-6 / 40)


def test_the_paired_interval_is_that_of_agresti_and_min():
    """Wald's, after 0.5 was added to each of the four cells (2005)."""
    found = compared(20, 9, 3, 8)
    b, c, n = 9.5, 3.5, 42
    middle = (b - c) / n
    half = stats.norm.ppf(0.975) * math.sqrt(b + c - (b - c) ** 2 / n) / n
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half))


def test_a_difference_that_is_no_share_is_that_of_the_first_model_to_the_second():
    truth = np.arange(50.0)
    good, bad = np.stack([truth, truth], axis=1), np.stack([truth, -truth], axis=1)
    found = metrics.compare(tasks.get("regression"), ("student", "control"), "test", (good, bad))
    assert found.difference == pytest.approx(2.0)


def saves(bytes_: int, name: str) -> SimpleNamespace:
    """A config or a tokenizer that takes so much."""
    return SimpleNamespace(save_pretrained=lambda place: (Path(place) / name).write_bytes(bytes(bytes_)))


def test_the_size_of_a_role_is_what_all_its_models_need_to_answer_and_nothing_else_in_their_folders(tmp_path):
    models = []
    for width in (2, 3):
        folder = tmp_path / str(width)
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(bytes(100 * width))
        (folder / "pytorch_model.bin").write_bytes(bytes(5_000))
        network = nn.Linear(width, 1, bias=False)
        network.config = saves(7, "config.json")
        models.append(Model(network, saves(20, "tokenizer.json"), folder=folder))
    value = {found.metric: found.value for found in metrics.sizes("teacher", models)}
    assert value == {"parameters": 5, "size_bytes": 500 + 2 * 27}


def test_latencies_are_medians_and_95th_percentiles_in_milliseconds_after_some_passes_that_do_not_count(monkeypatch):
    """Two roles in turn; the teacher is two models. The first five passes take a minute each."""
    turns: dict[tuple[str, int], int] = {}
    order = []

    def one_pass(model, inputs, rows, device):
        turn = turns[model, len(rows)] = turns.get((model, len(rows)), -1) + 1
        order.append(model)
        return 60.0 if turn < latency.WARM_UP else turn * (0.001 if model == "student" else 0.002)

    monkeypatch.setattr(latency, "_one_pass", one_pass)
    monkeypatch.setattr(latency, "PASSES", 45)
    monkeypatch.setattr(latency, "runtime", lambda model: "PyTorch")
    inputs = range(7)
    roles = {"teacher": [("first", inputs), ("second", inputs)], "student": [("student", inputs)]}
    found = {(passes.role, passes.metric): passes for passes in latency.latencies(roles, CPU)}
    kept = np.arange(latency.WARM_UP, latency.PASSES)
    for rows in ("latency", "latency_32"):
        assert found["student", f"{rows}_ms"].value == pytest.approx(np.median(kept))
        assert found["student", f"{rows}_p95_ms"].value == pytest.approx(np.quantile(kept, 0.95))
        assert found["teacher", f"{rows}_ms"].value == pytest.approx(4 * np.median(kept))
        assert found["student", f"{rows}_ms"].n == len(kept)
    assert order[:6] == ["first", "second", "student"] * 2


def timed(monkeypatch, runtimes):
    """The latencies of two roles, of which the teacher takes two to four times as long, in these runtimes."""
    seconds = {"teacher": [0.02, 0.03, 0.04] * 10, "student": [0.01] * 30}
    monkeypatch.setattr(latency, "_in_turns", lambda roles, rows, device: seconds)
    monkeypatch.setattr(latency, "runtime", runtimes.get)
    found = latency.latencies({role: [(role, None)] for role in seconds}, CPU)
    return {(one.role, one.metric): one for one in found}


def test_the_ratio_of_two_latencies_is_that_of_their_medians_with_an_interval_over_turns(monkeypatch):
    found = timed(monkeypatch, {"teacher": "PyTorch", "student": "PyTorch"})
    ratio = found["teacher", "latency_ratio"]
    assert (ratio.value, ratio.n, ratio.runtime) == (pytest.approx(3), 30, "PyTorch")
    assert 2 <= ratio.low < 3 < ratio.high <= 4
    assert ("student", "latency_ratio") not in found


def test_models_in_two_runtimes_have_no_ratio(monkeypatch):
    found = timed(monkeypatch, {"teacher": "PyTorch", "student": "ONNX Runtime"})
    assert ("teacher", "latency_ratio") not in found
    assert found["student", "latency_ms"].runtime == "ONNX Runtime"


def test_on_several_cores_all_is_timed_once_more_on_one_thread_and_then_as_before(monkeypatch):
    """Torch and sessions of ONNX Runtime alike."""
    threads = torch.get_num_threads()
    network = SimpleNamespace(set_threads=lambda count: asked.append(count))
    asked: list[int] = []
    result = Evaluation(role="student", split="", metric="latency_ms", value=1.0)
    monkeypatch.setattr(
        latency, "_all_rows", lambda *_: [result.model_copy(update={"threads": torch.get_num_threads()})]
    )
    try:
        torch.set_num_threads(2)
        found = latency.latencies({"student": [(SimpleNamespace(network=network), None)]}, CPU)
        assert [(one.metric, one.threads) for one in found] == [("latency_ms", 2), ("one_thread_latency_ms", 1)]
        assert asked == [1, 2]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_a_speed_is_told_with_threads_and_runtime_for_all_cores_and_one_thread():
    def timed(role, metric, value, threads, **more):
        return Evaluation(role=role, split="", metric=metric, value=value, threads=threads, runtime="PyTorch", **more)

    several = [timed("student", "latency_ms", 1.0, 4), timed("teacher", "latency_ms", 2.0, 4),
               timed("teacher", "latency_ratio", 2.0, 4, low=1.9, high=2.1),
               timed("student", "one_thread_latency_ms", 3.0, 1)]  # fmt: skip
    told = speed(several)
    assert (told["all_cores"]["teacher"]["threads"], told["one_thread"]["student"]["latency_ms"]) == (4, 3.0)
    assert told["all_cores"]["teacher"]["times_the_student"] == {"value": 2.0, "low": 1.9, "high": 2.1}
    alone = speed([timed("student", "latency_ms", 1.0, 1), timed("student", "onnx_latency_ms", 0.5, 1)])
    assert alone["one_thread"] == alone["all_cores"]
    assert alone["one_thread_in_onnx_runtime"]["student"]["latency_ms"] == 0.5
