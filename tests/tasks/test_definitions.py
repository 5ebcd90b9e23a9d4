"""What a model's answer is taken for, and what is measured of it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from studio import tasks
from studio.config.run import UNLABELLED
from studio.evaluate.measured import leading
from studio.tasks import Measure
from studio.tasks.classes import ACCURACY, Classes
from studio.tasks.positions import PositionLogits

LABELS = tasks.get("text-classification", multi_label=True)
TRUTH = torch.tensor([[1, 0, 1], [1, 0, 1], [1, 0, 1], [UNLABELLED] * 3])
LOGITS = torch.tensor([[1.0, -1.0, 1.0], [1.0, -1.0, -1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])


def test_of_several_labels_those_above_one_half_are_chosen():
    assert LABELS.choices(torch.tensor([[0.1, -0.1, 3.0]])).tolist() == [[1, 0, 1]]


def test_of_several_labels_all_must_be_right_and_none_too_many_in_rows_that_have_labels():
    rows, logits = SimpleNamespace(labels=TRUTH), PositionLogits.per_row(LOGITS)
    assert LABELS.targets.scores(logits, rows).tolist() == [True, False, False]
    statistics = LABELS.targets.statistics(logits, rows)
    assert LABELS.targets.right(statistics).tolist() == [True, False, False]
    assert LABELS.targets.measure(statistics)["accuracy"] == pytest.approx(1 / 3)


def test_two_models_agree_on_several_labels_where_all_choices_are_alike():
    assert LABELS.agree(LOGITS[:3], LOGITS[[0, 0, 2]]).tolist() == [True, False, True]


def test_of_a_single_label_the_first_choice_must_be_right():
    one = tasks.get("text-classification")
    rows = SimpleNamespace(labels=torch.tensor([1, UNLABELLED, 1]))
    logits = PositionLogits.per_row(torch.tensor([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0]]))
    assert one.targets.scores(logits, rows).tolist() == [True, False]
    assert one.validate(logits, rows)[0] == 0.5


def test_numbers_are_measured_by_the_correlations_of_scipy():
    generator = np.random.default_rng(0)
    truth = generator.exponential(size=200)
    answers = np.exp(truth) + generator.normal(size=200)
    found = tasks.get("regression").targets.measure(np.stack([truth, answers], axis=1))
    assert found["spearman"] == pytest.approx(stats.spearmanr(truth, answers).statistic)
    assert found["pearson"] == pytest.approx(stats.pearsonr(truth, answers).statistic)
    assert abs(found["spearman"] - found["pearson"]) > 0.05


def test_a_word_that_was_not_seen_is_outside_whatever_tag_comes_first():
    logits = PositionLogits(torch.tensor([[torch.nan, torch.nan], [2.0, 1.0]]), torch.tensor([0, 2]))
    (answer,) = tasks.get("token-classification").answers(logits, ["B-PER", "O"])
    assert answer["tags"] == ["O", "B-PER"]


OFF = Measure("off", "Off", "How far off an answer is.", unit="number", lower=True)


@pytest.mark.parametrize("measures", [(OFF,), (OFF, ACCURACY), (ACCURACY, OFF)], ids=["alone", "first", "second"])
def test_a_task_whose_classes_have_other_measures_is_told_by_its_first_one(measures):
    class Rated(Classes):
        def measure(self, statistics):
            true, predicted = statistics.T
            found = {"off": -float(abs(true - predicted).mean()), "accuracy": float((true == predicted).mean())}
            return {measure.name: found[measure.name] for measure in self.measures}

    Rated.measures = measures
    true = np.array([4] * 9 + [0])
    reference = Rated().reference(np.stack([true, true], axis=1), 5)
    assert leading(measures, reference) == measures[0]
    assert reference.floor(measures[0].name) == {"off": -0.4, "accuracy": 0.9}[measures[0].name]
