"""What guesses, and one answer for every row, get in the measures of a task."""

import numpy as np
import pytest

from studio import tasks

REFERENCES = {
    "text-classification": (np.array([[0, 1]] * 6 + [[1, 1]] * 3 + [[2, 0]]), 3, 1 / 3, 0.6),
    "regression": (np.array([[0.1, 3.0], [0.5, 2.0], [0.9, 1.0]]), 1, 0.0, 0.0),
    "token-classification": (np.array([[1, 2, 2], [0, 0, 1]]), 3, 0.0, 0.0),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_task_knows_what_guessing_and_one_answer_for_every_row_get(name):
    statistics, classes, chance, most_common = REFERENCES[name]
    task = tasks.get(name)
    reference = task.targets.reference(statistics, classes)
    measure = task.measures[0].name
    assert reference.chance[measure] == pytest.approx(chance)
    assert reference.majority[measure] == pytest.approx(most_common)
    assert not reference.misleads


def test_of_several_labels_the_most_common_set_is_the_one_answer_and_a_coin_the_guess():
    targets = tasks.get("text-classification", multi_label=True).targets
    true = np.array([[1, 0]] * 5 + [[1, 1]] * 3)
    reference = targets.reference(np.concatenate([true, 1 - true], axis=1), 2)
    assert (reference.chance["accuracy"], reference.majority["accuracy"]) == (0.25, 5 / 8)
    assert reference.majority["f1_macro"] == pytest.approx((1 + 0) / 2)


def test_accuracy_misleads_where_one_class_has_four_rows_of_five():
    targets = tasks.get("text-classification").targets
    true = np.array([0] * 99 + [1])
    assert targets.reference(np.stack([true, true], axis=1), 2).misleads
    assert not targets.reference(np.stack([np.arange(100) % 2] * 2, axis=1), 2).misleads


def test_guessing_gets_the_macro_f1_that_the_reference_says():
    generator = np.random.default_rng(2)
    true = generator.choice(3, 30_000, p=[0.7, 0.2, 0.1])
    targets = tasks.get("text-classification").targets
    guessed = np.stack([true, generator.integers(0, 3, len(true))], axis=1)
    reference = targets.reference(guessed, 3)
    assert reference.chance == pytest.approx(targets.measure(guessed), abs=0.01)
