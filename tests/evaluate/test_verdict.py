"""The verdict: what it says, what it refuses to say, the cautions beside it and the next step."""

import math
import re

import numpy as np
import pytest
from typer.main import get_command

from studio import tasks
from studio.cli import app
from studio.config.reading import parse_config, with_values
from studio.evaluate import intervals
from studio.evaluate.cautions import rows_needed
from studio.evaluate.convergence import still_improving
from studio.evaluate.measured import Facts, Imitated, Rare
from studio.evaluate.verdict import verdict
from studio.events import Comparison, Evaluation, Verdict
from studio.language.retold import retold
from studio.tasks import Reference

MEASURES = tasks.get("text-classification").measures
CONFIG = parse_config({"dataset": "d", "teacher": "builtin/transformer-base", "student": "builtin/transformer-tiny"})
RATES = {"teacher": 5e-4, "student": 5e-4}
EPOCHS = {"teacher": 6.0, "student": 4.5}
HALF = Reference({"accuracy": 0.5, "f1_macro": 0.5}, {"accuracy": 0.5, "f1_macro": 0.33})


def measured(role: str, value: float, rows: int = 1000, metric: str = "accuracy", **costs: float) -> list[Evaluation]:
    """A model's value with its interval, its size and its time."""
    low, high = intervals.accuracy_interval(round(value * rows), rows)
    quality = Evaluation(role=role, split="test", metric=metric, value=value, low=low, high=high, n=rows)
    values = {"size_bytes": 1_000.0, "latency_ms": 2.0, "parameters": 250.0} | costs
    return [quality, *(Evaluation(role=role, split="", metric=name, value=cost) for name, cost in values.items())]


def against(
    second: str, gained: int, lost: int, rows: int = 1000, metric: str = "accuracy", first: str = "student"
) -> Comparison:
    """The first, which alone is right on `gained` rows, and the other on `lost`."""
    low, high = intervals.paired_difference(rows, gained, lost)
    return Comparison(
        first=first, second=second, split="test", metric=metric, difference=(gained - lost) / rows, low=low,
        high=high, p_value=intervals.mcnemar(gained, lost), n=rows, gained=gained, lost=lost,
    )  # fmt: skip


def told(
    teacher: float = 0.9,
    student: float = 0.88,
    control: float | None = 0.85,
    pairs: tuple[Comparison, ...] = (against("control", 40, 10),),
    rows: int = 1000,
    baseline: float | None = None,
    config=CONFIG,
    reference: Reference = HALF,
    **facts,
) -> Verdict:
    """The verdict on a run that went well, but for what a test says."""
    found = measured("teacher", teacher, rows, size_bytes=10_000, latency_ms=4) + measured("student", student, rows)
    found += [] if control is None else measured("control", control, rows)
    found += [] if baseline is None else measured("baseline", baseline, rows)
    facts = {"rates": RATES, "epochs": EPOCHS} | facts
    return verdict(found, pairs, MEASURES, Facts(reference=reference, config=config, **facts))


def codes(said: Verdict) -> list[str]:
    return [caution.code for caution in said.cautions]


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


def test_where_the_benefit_is_clear_no_more_rows_are_asked_for_to_see_it():
    said = told(0.95, 0.9, 0.6, pairs=(against("control", 8, 1, 60),), rows=60)
    assert said.outcome == "better"
    (caution,) = (one for one in said.cautions if one.code == "few_test_rows")
    assert "would be needed" not in caution.sentence


def test_a_gain_that_only_many_times_the_rows_would_show_is_no_reason_to_bring_so_many():
    said = told(0.95, 0.9, 0.6, pairs=(against("control", 21, 20, 80),), rows=80)
    (caution,) = (one for one in said.cautions if one.code == "few_test_rows")
    assert caution.cure == "Bring at least 100 test rows."


def test_a_difference_that_rounds_to_nothing_has_no_direction():
    pair = against("control", 25, 20).model_copy(update={"difference": 0.0004})
    said = told(pairs=(pair,))
    assert "without a teacher the score is the same" in said.sentence
    assert "0.0 points" not in said.sentence


def test_the_cure_of_a_leak_names_a_flag_that_there_is():
    (caution,) = (one for one in told(leaked=7).cautions if one.code == "leak")
    (flag,) = re.findall("--[a-z-]+", caution.cure)
    assert flag == "--keep-leaked", "without it leaked rows are taken out"
    assert flag in [name for option in get_command(app).commands["data"].commands["add"].params
                    for name in (*option.opts, *option.secondary_opts)]  # fmt: skip


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
    assert "harm" not in said.sentence


def test_a_teacher_that_is_no_better_than_at_its_start_is_too_weak():
    said = told(teacher_start=(0.7, 0.7))
    assert (said.outcome, said.next_step.code) == ("weak_teacher", "lower_teacher_learning_rate")
    assert told(teacher_start=(0.5, 0.9)).outcome == "better"


def test_where_accuracy_misleads_a_teacher_whose_accuracy_stays_may_have_learned():
    found = [one for metric in ("accuracy", "f1_macro") for role in ("teacher", "student")
             for one in measured(role, 0.95, metric=metric)]  # fmt: skip
    facts = Facts(reference=majority(0.9, misleads=True), config=CONFIG, teacher_start=(0.9, 0.9))
    assert verdict(found, (), MEASURES, facts).outcome == "no_control"


BELOW = (against("control", 40, 10), against("baseline", 10, 200, first="teacher"))
"""A student that is better than its control, under a teacher that is clearly worse than the baseline."""


def test_a_weak_teacher_that_the_run_did_not_train_is_not_to_be_trained_longer():
    chance = Reference({"accuracy": 0.5}, {"accuracy": 0.5})
    assert told(0.5, reference=chance).next_step.code == "stronger_teacher"
    assert told(0.7, baseline=0.9, pairs=BELOW).next_step.code == "stronger_teacher"
    stopped = told(0.7, baseline=0.9, pairs=BELOW, teacher_start=(0.5, 0.7))
    assert stopped.next_step.code == "stronger_teacher"
    assert not any("longer" in one.cure for one in stopped.cautions if one.code == "weak_teacher")
    rising = told(0.7, baseline=0.9, pairs=BELOW, teacher_start=(0.5, 0.7), improving=("teacher",))
    assert rising.next_step.code == "train_teacher_longer"
    assert any("longer" in one.cure for one in rising.cautions if one.code == "weak_teacher")


@pytest.mark.parametrize(("gained", "lost", "is_weak"), [(0, 1, False), (0, 19, True), (14, 33, True), (33, 14, False)])
def test_teacher_and_baseline_are_compared_on_the_same_rows(gained, lost, is_weak):
    pairs = (against("control", 4, 3), against("baseline", gained, lost, first="teacher"))
    value = 0.9 + (lost - gained) / 1000
    assert ("weak_teacher" in codes(told(0.9, pairs=pairs, baseline=value))) is is_weak


def test_how_the_student_does_against_the_baseline_says_nothing_of_the_teacher():
    said = told(0.95, baseline=0.9, pairs=(against("control", 40, 10), against("baseline", 10, 30)))
    assert "weak_teacher" not in codes(said)


def test_to_train_one_model_longer_changes_how_long_that_one_learns_and_nothing_else():
    """Also where the run itself chose the epochs: twice what it chose."""
    taught = told(0.7, baseline=0.9, pairs=BELOW, teacher_start=(0.5, 0.7), improving=("teacher",))
    assert (taught.next_step.label, taught.next_step.changes) == (
        "Train the teacher twice as long", {"teacher_epochs": 12}
    )  # fmt: skip
    student = told(improving=("student",))
    assert (student.next_step.label, student.next_step.changes) == ("Train the student twice as long", {"epochs": 9})
    written = CONFIG.model_copy(update={"epochs": 3, "teacher_epochs": 2})
    assert told(improving=("control",), config=written).next_step.changes == {"epochs": 6}


def test_where_the_plan_says_for_how_long_the_student_learns_the_plan_is_what_changes():
    steps = ["prune:0.5", "distill:4", "quantize:int8"]
    named = parse_config(CONFIG.model_dump() | {"plan": steps})
    changes = told(improving=("student",), config=named).next_step.changes
    assert set(changes) == {"plan"}
    longer = with_values(named, **changes)
    assert longer == parse_config(CONFIG.model_dump() | {"plan": ["prune:0.5", "distill:8", "quantize:int8"]})
    some = parse_config(CONFIG.model_dump() | {"plan": ["prune:0.5", "distill", "sparsify:0.5", "distill:1"]})
    changes = told(improving=("student",), config=some).next_step.changes
    assert (changes["epochs"], [step.get("epochs") for step in changes["plan"]]) == (9, [None, None, None, 2])
    most = parse_config(CONFIG.model_dump() | {"plan": ["distill:1000"]})
    assert told(improving=("student",), config=most).next_step.code == "larger_student"


def test_what_is_as_long_as_can_be_is_not_proposed_again():
    config = CONFIG.model_copy(update={"epochs": 1000, "teacher_epochs": 1000})
    assert told(improving=("student",), config=config).next_step.code == "larger_student"
    taught = told(0.7, baseline=0.9, pairs=BELOW, teacher_start=(0.5, 0.7), improving=("teacher",), config=config)
    assert taught.next_step.code == "stronger_teacher"
    assert not taught.next_step.changes


def test_where_nothing_is_clear_more_seeds_are_proposed_as_long_as_there_are_more():
    built = CONFIG.model_copy(update={"teacher": "builtin/transformer-base"})
    seeds = [told(pairs=(against("control", 20, 20),), config=built.model_copy(update={"seeds": count})).next_step
             for count in (1, 3, 10)]  # fmt: skip
    assert [step.changes for step in seeds] == [{"seeds": 3}, {"seeds": 6}, {}]


def test_a_difference_that_is_no_number_asks_for_no_rows():
    pair = against("control", 20, 20).model_copy(update={"difference": math.nan, "gained": None, "lost": None})
    assert rows_needed(pair) == 0
    assert told(pairs=(pair,)).outcome == "no_difference"


def majority(share: float, misleads: bool) -> Reference:
    return Reference({"accuracy": 0.5, "f1_macro": 0.4}, {"accuracy": share, "f1_macro": share / (1 + share)}, misleads)


@pytest.mark.parametrize(("student", "floor"), [(0.683, 0.683), (0.188, 0.276), (0.014, 0.013), (0.0, 0.25)])
def test_a_student_at_or_below_the_majority_class_did_not_learn(student, floor):
    reference = Reference({"accuracy": 0.01}, {"accuracy": floor})
    said = told(0.9, student, student, pairs=(against("control", 0, 0),), reference=reference)
    assert said.outcome == "not_learned"
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


def test_a_teacher_that_still_improved_is_told_and_does_not_take_the_praise():
    said = told(improving=("teacher",))
    assert said.outcome == "better"
    assert "the teacher was still improving" in said.cautions[0].sentence


FAR = (against("control", 40, 10), against("teacher", 5, 85))
"""A student that has clearly lost much of what its teacher has."""


@pytest.mark.parametrize(
    ("training", "test", "plan", "code", "words"),
    [
        (0.99, 0.88, (), "more_training_rows", "there are too few rows to learn from"),
        (0.85, 0.83, (), "larger_student", "more rows would hardly help, it may be too small"),
        (0.85, 0.83, ["prune:0.5", "distill"], "compress_less", "more rows would hardly help, it may be too small"),
    ],
)
def test_a_student_that_keeps_little_of_its_teacher_is_told_why_and_what_would_help(training, test, plan, code, words):
    config = parse_config(CONFIG.model_dump() | {"plan": plan})
    said = told(0.9, 0.82, pairs=FAR, config=config, imitated=Imitated(training, test))
    (caution,) = (one for one in said.cautions if one.code == "far_from_teacher")
    shares = f"{training:.0%} of the training rows and {test:.0%} of the test rows".replace("%", " %")
    assert f"only 91 % of what its teacher has. It agrees with the teacher on {shares}: {words}." in caution.sentence
    assert said.next_step.code == code
    assert not re.search("[A-Za-z]{3}", retold("zh", f"{caution.sentence} {caution.cure}"))


def test_a_student_whose_loss_may_be_chance_asks_for_test_rows_and_not_for_another_student():
    said = told(0.9, 0.85, 0.84, (against("control", 1, 0, 60), against("teacher", 2, 5, 60)), 60)
    (caution,) = (one for one in said.cautions if one.code == "far_from_teacher")
    assert "keeps only 94 % of what its teacher has, and on 60 test rows that may be chance." in caution.sentence
    assert caution.cure == "Bring more test rows."


@pytest.mark.parametrize(
    ("student", "facts"),
    [(0.86, {}), (0.82, {"improving": ("student",)}), (0.51, {}), (0.82, {"teacher_start": (0.9, 0.9)})],
)
def test_a_student_that_kept_enough_or_that_another_caution_explains_is_not_called_far(student, facts):
    assert "far_from_teacher" not in codes(told(0.9, student, pairs=FAR, **facts))


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


def test_where_the_rare_class_is_learned_the_next_step_is_to_label_more_of_it():
    reference = Reference({"accuracy": 0.5, "f1_macro": 0.343}, {"accuracy": 0.991, "f1_macro": 0.4977}, misleads=True)
    found = [one for role in ("teacher", "student", "control") for one in measured(role, 0.8, 1000, "f1_macro")]
    rare = Rare("fraud", rows=9, found={"teacher": 6, "student": 6}, training=36, even_share=2000)
    pair = against("control", 30, 5, metric="f1_macro")
    said = verdict(found, (against("control", 5, 30), pair), MEASURES,
                   Facts(reference=reference, config=CONFIG, rare=rare, rates=RATES))  # fmt: skip
    assert said.outcome == "better", "the comparison in the measure that leads counts"
    assert said.next_step.label == "Label 170 more rows of fraud"


@pytest.mark.parametrize(
    ("facts", "code", "words"),
    [
        ({"leaked": 7}, "leak", "7 of 1,000 test rows"),
        ({"unseen": ("neg", "pos")}, "test_only_labels", "'neg', 'pos'"),
    ],
)
def test_data_and_models_that_mislead_are_cautions_and_come_first(facts, code, words):
    said = told(**facts)
    assert codes(said)[0] == code
    assert words in said.cautions[0].sentence
    assert said.cautions[0].cure
    assert said.next_step.code in ("remove_leaks", "mend_labels")


def test_times_of_one_network_that_differ_are_noise():
    found = measured("teacher", 0.9) + measured("student", 0.88) + measured("control", 0.85, latency_ms=2.8)
    said = verdict(found, (against("control", 40, 10),), MEASURES, Facts(reference=HALF, config=CONFIG))
    assert "noisy_timing" in codes(said)
    assert "a factor of 1.40" in next(one.sentence for one in said.cautions if one.code == "noisy_timing")
    assert "noisy_timing" not in codes(told())


def test_a_model_whose_files_changed_during_the_run_is_named_and_the_verdict_stays():
    said = told(changed=("folder:/models/minilm",))
    caution = next(one for one in said.cautions if one.code == "changed_inputs")
    assert "'folder:/models/minilm' changed while this run went on" in caution.sentence
    assert said.outcome == "better"
    assert "changed_inputs" not in codes(told())


@pytest.mark.parametrize("threads", ["", "one_thread_", "onnx_", "onnx_one_thread_"])
@pytest.mark.parametrize(("low", "high", "is_noisy"), [(0.97, 1.04, False), (0.95, 1.2, True), (0.8, 1.02, True)])
def test_the_interval_of_the_ratio_of_the_control_is_the_gauge_of_all_times(threads, low, high, is_noisy):
    found = measured("teacher", 0.9) + measured("student", 0.88) + measured("control", 0.85)
    found.append(Evaluation(role="control", split="", metric=f"{threads}latency_ratio", value=1.0, low=low, high=high))
    said = verdict(found, [against("control", 40, 10)], MEASURES, Facts(reference=HALF, config=CONFIG))
    assert ("noisy_timing" in codes(said)) is is_noisy


def test_a_teacher_below_the_baseline_is_told_without_taking_the_praise():
    pairs = (against("control", 40, 10), against("baseline", 10, 30), against("baseline", 5, 55, first="teacher"))
    said = told(baseline=0.95, pairs=pairs)
    assert said.outcome == "better"
    assert "below the linear baseline (95.0 %)" in next(o.sentence for o in said.cautions if o.code == "weak_teacher")
    assert "A linear baseline is better (95.0 %)" in said.sentence


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


def test_a_student_built_from_nothing_may_take_layers_of_a_teacher_that_came_with_some():
    config = CONFIG.model_copy(update={"teacher": "folder:/models/m"})
    said = told(config=config, pairs=(against("control", 20, 20),))
    assert said.next_step.changes == {"student": "teacher/2-layers"}
    assert parse_config(CONFIG.model_dump() | said.next_step.changes).student == "teacher/2-layers"


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


def test_with_as_many_rows_as_are_needed_four_tests_in_five_see_the_gain():
    pair = against("control", 120, 80)
    needed = rows_needed(pair)
    generator = np.random.default_rng(0)
    gained, lost, _ = generator.multinomial(needed, [0.12, 0.08, 0.8], size=2000).T
    seen = [intervals.mcnemar(int(up), int(down)) < 0.05 for up, down in zip(gained[:400], lost[:400], strict=True)]
    assert 0.7 < np.mean(seen) < 0.87


def test_a_curve_rises_at_its_end_only_by_more_than_its_scatter():
    generator = np.random.default_rng(1)
    flat = [(step, 0.8 + generator.normal(scale=0.02)) for step in range(40)]
    assert not still_improving(flat)
    rising = [(step, value + 0.01 * step) for step, value in flat]
    assert still_improving(rising)
    assert not still_improving([(0, math.nan)])


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
