"""The verdict: what it says, and what it refuses to say."""

import numpy as np
import pytest

from studio import tasks
from studio.evaluate.measured import Facts, Rare
from studio.evaluate.verdict import verdict
from studio.events import Comparison, Evaluation
from studio.tasks import Reference
from tests.evaluate.conftest import CONFIG, HALF, MEASURES, RATES, against, codes, majority, measured, told


@pytest.mark.parametrize(
    ("gained", "lost", "outcome", "words"),
    [
        (40, 10, "better", "was worth it: 3.0 points better than without a teacher"),
        (10, 40, "worse", "did harm: 3.0 points worse than without a teacher"),
        (25, 20, "no_difference", "No clear benefit from the teacher: 0.5 points better"),
        (20, 25, "no_difference", "No clear benefit from the teacher: 0.5 points worse"),
        (20, 20, "no_difference", "without a teacher the score is the same"),
    ],
)
def test_the_verdict_says_what_interval_and_exact_test_allow_and_no_more(gained, lost, outcome, words):
    said = told(pairs=(against("control", gained, lost),))
    assert said.outcome == outcome
    assert words in said.sentence
    assert "is 88.0 % accurate (teacher 90.0 %): 98 % kept" in said.sentence
    assert "10.0 times smaller and 2.0 times faster" in said.sentence
    assert "exactly as well" not in said.sentence


def test_better_and_worse_are_told_of_this_run_and_beside_the_caution_that_it_is_one_seed():
    said = told()
    assert "In this run" in said.sentence
    (caution,) = (one for one in said.cautions if one.code == "one_seed")
    assert caution.next_step.changes == {"seeds": 3}


def test_praise_for_a_student_that_was_tuned_says_that_the_control_was_not():
    words = (
        "chosen in trials on validation rows that took as many steps again; the control, which has neither, had none"
    )
    tuned = CONFIG.model_copy(update={"auto": True})
    assert words in told(config=tuned).sentence
    assert words not in told().sentence
    assert words not in told(config=tuned, pairs=(against("control", 20, 25),)).sentence


SEVERAL = CONFIG.model_copy(update={"seeds": 3})


def of_seeds(values: tuple[float, ...]) -> list[Evaluation]:
    """A student's accuracy under each seed, and the mean."""
    alone = [measured("student", value)[0].model_copy(update={"seed": seed}) for seed, value in enumerate(values)]
    mean = alone[0].model_copy(update={"seed": None, "value": float(np.mean(values)), "spread": 0.01})
    return [mean, *alone, *measured("student", 0.88)[1:]]


def test_over_several_seeds_mean_and_spread_are_told_and_the_run_is_not():
    pair = against("control", 40, 10).model_copy(update={"spread": 0.006, "gained": None, "lost": None})
    found = measured("teacher", 0.9, size_bytes=10_000) + measured("control", 0.85) + of_seeds((0.87, 0.88, 0.89))
    said = verdict(found, [pair], MEASURES, Facts(reference=HALF, config=SEVERAL))
    assert "is 88.0 % accurate (teacher 90.0 %; mean of 3 seeds, ± 1.0 points)" in said.sentence
    assert "Over 3 seeds learning from the teacher was worth it: 3.0 points better" in said.sentence
    assert "± 0.6 points over 3 seeds, 95 % interval" in said.sentence
    assert "one_seed" not in codes(said)


def test_what_one_seed_says_of_its_own_pair_decides_nothing():
    pairs = [against("control", 90, 10).model_copy(update={"seed": 1}), against("control", 20, 20)]
    found = measured("teacher", 0.9, size_bytes=10_000) + measured("control", 0.85) + of_seeds((0.87, 0.88, 0.89))
    assert verdict(found, pairs, MEASURES, Facts(reference=HALF, config=SEVERAL)).outcome == "no_difference"
    assert verdict(found, pairs[::-1], MEASURES, Facts(reference=HALF, config=SEVERAL)).outcome == "no_difference"


def test_a_seed_whose_student_learned_nothing_is_named_beside_the_mean():
    found = measured("teacher", 0.9, size_bytes=10_000) + measured("control", 0.85) + of_seeds((0.88, 0.5, 0.89))
    said = verdict(found, [against("control", 40, 10)], MEASURES, Facts(reference=HALF, config=SEVERAL))
    (caution,) = (one for one in said.cautions if one.code == "not_learned")
    assert "1 of 3 students learned nothing that shows (seed 1)" in caution.sentence


def test_four_rows_gained_of_twelve_are_no_clear_benefit_though_their_interval_is_above_0():
    said = told(0.95, 0.9, 0.6, pairs=(against("control", 4, 0, 12),), rows=12)
    assert against("control", 4, 0, 12).low > 0
    assert said.outcome == "no_difference"
    (caution,) = (one for one in said.cautions if one.code == "few_test_rows")
    assert "only 12 test rows" in caution.sentence
    assert "22 would be needed" in caution.sentence
    assert said.next_step.code == "more_test_rows"


def test_where_the_interval_is_without_0_and_the_test_is_not_sure_both_are_said():
    said = told(0.95, 0.9, 0.6, pairs=(against("control", 4, 0, 12),), rows=12)
    assert "but p = 0.12 in the paired test" in said.sentence
    assert "paired test" not in told(0.95, 0.9, 0.6, pairs=(against("control", 40, 10),)).sentence


def test_an_interval_that_holds_0_is_no_clear_benefit_though_the_test_finds_one():
    for sign in (1, -1):
        unsure = against("control", 40, 10).model_copy(
            update={"difference": sign * 0.03, "low": -0.01 if sign > 0 else -0.07, "high": 0.07 if sign > 0 else 0.01}
        )
        assert unsure.p_value < 0.05
        assert told(0.95, 0.9, 0.87, pairs=(unsure,)).outcome == "no_difference"


def test_a_difference_that_rounds_to_nothing_has_no_direction():
    pair = against("control", 25, 20).model_copy(update={"difference": 0.0004})
    said = told(pairs=(pair,))
    assert "without a teacher the score is the same" in said.sentence
    assert "0.0 points" not in said.sentence


def test_a_teacher_at_chance_earns_no_praise_however_much_better_than_the_control_the_student_is():
    """150 classes: teacher 0.7 %, student 75.1 %, control 61.2 %."""
    chance = {"accuracy": 1 / 150, "f1_macro": 1 / 150}
    said = told(0.0069, 0.751, 0.612, pairs=(against("control", 900, 275, 4500),), rows=4500,
                reference=Reference(chance, chance), improving=("control",), teacher_start=(0.005, 0.007))  # fmt: skip
    assert said.outcome == "weak_teacher"
    assert "worth it" not in said.sentence
    assert {"weak_teacher", "undertrained"} <= set(codes(said))
    assert said.next_step.code == "lower_teacher_learning_rate"
    assert said.next_step.changes == {"teacher_learning_rate": 0.00015}


def test_a_teacher_at_the_majority_class_does_no_harm_either():
    """Teacher 86.8 %, which is the majority class; student above it, control 98.7 %."""
    said = told(0.868, 0.93, 0.987, pairs=(against("control", 5, 62),), reference=majority(0.868, misleads=False))
    assert said.outcome == "weak_teacher"
    assert "harm" not in said.sentence and "kept" not in said.sentence


@pytest.mark.parametrize(("student", "floor"), [(0.683, 0.683), (0.188, 0.276), (0.014, 0.013), (0.0, 0.25)])
def test_a_student_at_or_below_the_majority_class_did_not_learn(student, floor):
    reference = Reference({"accuracy": 0.01}, {"accuracy": floor})
    said = told(0.9, student, student, pairs=(against("control", 0, 0),), reference=reference)
    assert said.outcome == "not_learned"
    assert "kept" not in said.sentence
    assert "not_learned" in codes(said)
    assert said.next_step.changes == {"learning_rate": 0.00015}


@pytest.mark.parametrize("who", ["student", "control"])
def test_a_student_or_a_control_that_still_improves_is_no_yardstick(who):
    said = told(improving=(who,))
    assert said.outcome == "no_difference"
    assert f"the {who} would have gone on improving" in said.sentence
    assert "worth it" not in said.sentence
    assert said.next_step.changes == {"epochs": 9}


def test_who_writes_is_never_done_learning_and_is_compared_at_the_same_number_of_steps():
    task = tasks.get("language-model")
    found = [
        Evaluation(role=role, split="test", metric=metric, value=value, low=value - 0.01, high=value + 0.01, n=50)
        for role, bits in (("teacher", -2.2), ("student", -2.3), ("control", -2.4))
        for metric, value in (
            ("bits_per_byte", bits),
            ("perplexity", 2 * bits),
            ("size_bytes", 9.0),
            ("latency_ms", 1.0),
        )
    ]
    pair = Comparison(first="student", second="control", split="test", metric="bits_per_byte", difference=0.1, low=0.08,
                      high=0.12, p_value=0.001, n=50)  # fmt: skip
    reference = Reference({"bits_per_byte": -4.8}, {"bits_per_byte": -4.8})
    said = verdict(found, (pair,), task.measures, Facts(reference=reference, config=CONFIG, rates=RATES,
                                                         improving=("student", "control")))  # fmt: skip
    assert said.outcome == "better"
    assert "In this run, with as many steps for both, learning from the teacher was worth it" in said.sentence
    assert "0.100 better than without a teacher (2.300 against 2.400, 95 % interval −0.120 to −0.080)" in said.sentence
    assert "undertrained" in codes(said)


def test_without_a_control_the_verdict_claims_nothing_about_the_teacher():
    said = told(control=None, pairs=())
    assert said.outcome == "no_control"
    assert "one_seed" not in codes(said)
    assert said.next_step.changes == {"control": True}


def test_ninety_nine_to_one_is_told_by_macro_f1_and_by_the_rows_of_the_rare_class_that_are_found():
    """99.0 % right, 0 of 9 frauds found."""
    reference = Reference({"accuracy": 0.5, "f1_macro": 0.343}, {"accuracy": 0.991, "f1_macro": 0.4977}, misleads=True)
    found = [
        *measured("teacher", 0.995, 1000),
        *measured("teacher", 0.8, 1000, "f1_macro"),
        *measured("student", 0.991, 1000),
        *measured("student", 0.4977, 1000, "f1_macro"),
    ]
    rare = Rare("fraud", rows=9, found={"teacher": 6, "student": 0}, training=36, even_share=2000)
    said = verdict(found, (), MEASURES, Facts(reference=reference, config=CONFIG, rare=rare, rates=RATES))
    assert said.outcome == "not_learned"
    assert said.sentence.startswith("The student has a macro F1 of 49.8 % (teacher 80.0 %)")
    assert "It finds 0 of 9 rows of 'fraud' (teacher 6)." in said.sentence
    assert "accurate" not in said.sentence
    assert "imbalance" in codes(said)


@pytest.mark.parametrize(("gained", "lost", "is_said"), [(80, 20, False), (30, 28, True), (20, 80, True)])
def test_a_baseline_that_is_as_good_as_the_student_says_that_a_network_may_not_be_needed(gained, lost, is_said):
    said = told(baseline=0.8, pairs=(against("control", 40, 10), against("baseline", gained, lost)))
    assert ("may not need a network" in said.sentence) is is_said
    assert (said.next_step.code == "try_the_baseline") is is_said


def test_where_nothing_learned_neither_a_baseline_nor_smoothing_is_praised_for_being_as_good():
    pairs = tuple(against(role, 0, 0) for role in ("control", "baseline", "smoothed"))
    facts = Facts(reference=HALF, config=CONFIG, rates=RATES)
    found = [one for role in ("teacher", "student", "control", "baseline", "smoothed") for one in measured(role, 0.0)]
    said = verdict(found, pairs, MEASURES, facts)
    assert said.outcome == "not_learned"
    assert "baseline" not in said.sentence and "smoothing" not in said.sentence
    assert (
        "may not need a network"
        in told(baseline=0.87, pairs=(against("control", 40, 10), against("baseline", 20, 18))).sentence
    )


def test_a_student_cut_from_its_teacher_is_compared_with_the_same_layers_and_not_with_no_teacher():
    config = CONFIG.model_copy(update={"student": "teacher/2-layers"})
    said = told(config=config)
    assert "than with the same layers of the teacher and labels alone" in said.sentence
    assert "without a teacher" not in said.sentence


def test_a_control_from_the_teacher_as_it_came_is_told_as_such_where_this_run_trained_the_teacher():
    config = CONFIG.model_copy(update={"student": "teacher/2-layers", "control_start": "pretrained"})
    words = "than with the layers that the teacher had before it was trained, and labels alone"
    assert words in told(config=config, teacher_start=(0.5, 0.9)).sentence
    assert words not in told(config=config).sentence


def test_a_student_that_is_larger_and_slower_is_called_so():
    found = measured("teacher", 0.9) + measured("student", 0.75, size_bytes=3_000, latency_ms=5)
    said = verdict(found, (), MEASURES, Facts(reference=HALF, config=CONFIG)).sentence
    assert "3.0 times larger and 2.5 times slower" in said
    assert "83 % kept" in said


SPEEDS = {
    (2.0, 1.9, 2.1): "It is 10.0 times smaller and 2.0 times faster (1.9 to 2.1; PyTorch, one row at a time).",
    (0.5, 0.4, 0.625): "It is 10.0 times smaller and 2.0 times slower (1.6 to 2.5; PyTorch, one row at a time).",
    (1.2, 0.9, 1.4): "It is 10.0 times smaller, and not clearly faster or slower (0.9 to 1.4 times).",
}


@pytest.mark.parametrize("ratio", SPEEDS)
def test_a_speed_is_told_with_its_interval_and_its_runtime(ratio):
    value, low, high = ratio
    found = measured("teacher", 0.9, size_bytes=10_000, latency_ms=value) + measured("student", 0.75, latency_ms=1)
    found.append(Evaluation(role="teacher", split="", metric="latency_ratio", value=value, low=low, high=high,
                            runtime="PyTorch"))  # fmt: skip
    assert SPEEDS[ratio] in verdict(found, (), MEASURES, Facts(reference=HALF, config=CONFIG)).sentence


def test_of_two_models_in_different_runtimes_none_is_called_faster():
    found = measured("teacher", 0.9, size_bytes=10_000, latency_ms=9) + measured("student", 0.75)
    found = [one.model_copy(update={"runtime": "PyTorch"}) if one.role == "teacher" else one for one in found]
    said = verdict(found, (), MEASURES, Facts(reference=HALF, config=CONFIG)).sentence
    assert "It is 10.0 times smaller. " in said
    assert "faster" not in said


def test_a_correlation_is_called_by_the_name_of_the_person():
    nothing = {"spearman": 0.0}
    found = [one for role in ("teacher", "student") for one in measured(role, 0.7, metric="spearman")]
    facts = Facts(reference=Reference(nothing, nothing), config=CONFIG)
    said = verdict(found, (), tasks.get("regression").measures, facts).sentence
    assert said.startswith("The student has a Spearman correlation of 0.700 (teacher 0.700): 100 % kept.")
