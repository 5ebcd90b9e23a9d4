"""The cautions beside a verdict, and the next step."""

import math
import re

import numpy as np
import pytest
from typer.main import get_command

from studio.cli import app
from studio.config.reading import parse_config, with_values
from studio.evaluate import intervals
from studio.evaluate.cautions import rows_needed
from studio.evaluate.convergence import still_improving
from studio.evaluate.measured import Facts, Imitated, Rare
from studio.evaluate.verdict import verdict
from studio.events import Evaluation
from studio.language.retold import retold
from studio.tasks import Reference
from tests.evaluate.conftest import CONFIG, HALF, MEASURES, RATES, against, codes, majority, measured, told


def test_where_the_benefit_is_clear_no_more_rows_are_asked_for_to_see_it():
    said = told(0.95, 0.9, 0.6, pairs=(against("control", 8, 1, 60),), rows=60)
    assert said.outcome == "better"
    (caution,) = (one for one in said.cautions if one.code == "few_test_rows")
    assert "would be needed" not in caution.sentence


def test_a_gain_that_only_many_times_the_rows_would_show_is_no_reason_to_bring_so_many():
    said = told(0.95, 0.9, 0.6, pairs=(against("control", 21, 20, 80),), rows=80)
    (caution,) = (one for one in said.cautions if one.code == "few_test_rows")
    assert caution.cure == "Bring at least 100 test rows."


def test_the_cure_of_a_leak_names_a_flag_that_there_is():
    (caution,) = (one for one in told(leaked=7).cautions if one.code == "leak")
    (flag,) = re.findall("--[a-z-]+", caution.cure)
    assert flag == "--keep-leaked", "without it leaked rows are taken out"
    assert flag in [name for option in get_command(app).commands["data"].commands["add"].params
                    for name in (*option.opts, *option.secondary_opts)]  # fmt: skip


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


def test_a_student_built_from_nothing_may_take_layers_of_a_teacher_that_came_with_some():
    config = CONFIG.model_copy(update={"teacher": "folder:/models/m"})
    said = told(config=config, pairs=(against("control", 20, 20),))
    assert said.next_step.changes == {"student": "teacher/2-layers"}
    assert parse_config(CONFIG.model_dump() | said.next_step.changes).student == "teacher/2-layers"


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


def looked_back(gained: int, lost: int, config=CONFIG, **more):
    """A student that is better than its control, beside itself before it learned."""
    before = 0.88 - (gained - lost) / 1000
    pairs = (against("control", 40, 10), against("untouched", gained, lost))
    return told(pairs=pairs, config=config, untouched=before, **more)


def test_a_student_that_training_made_worse_is_told_so_first_of_all_with_a_run_that_may_cure_it():
    said = looked_back(10, 40)
    assert codes(said)[0] == "worse_than_untouched"
    caution = said.cautions[0]
    assert "88.0 % against 91.0 % (Accuracy)" in caution.sentence
    assert caution.next_step.changes == said.next_step.changes == {"learning_rate": 1.5e-4}
    first, second = said.sentence.index("Training made the student"), said.sentence.index("learning from the teacher")
    assert first < second
    assert "3.0 points worse than it was before it learned anything (95 % interval" in said.sentence
    assert said.outcome == "better", "the teacher helped all the same"


def test_a_student_that_is_no_better_than_it_was_is_not_to_be_exported_unseen():
    said = looked_back(21, 20)
    assert codes(said)[0] == "no_better_than_untouched"
    assert said.next_step.code == "use_untouched"
    assert "No clear benefit from training: 0.1 points better than before the student learned anything" in said.sentence


def test_training_that_changed_nothing_is_neither_better_nor_worse():
    said = looked_back(0, 0)
    assert "from training: the score is as it was before the student learned anything (95 %" in said.sentence
    assert "0.0 points" not in said.sentence
    assert codes(looked_back(21, 20, improving=("student",)))[:2] == ["no_better_than_untouched", "undertrained"]


def test_training_that_was_worth_it_is_told_and_is_no_reason_for_caution():
    said = looked_back(90, 10)
    assert not {"worse_than_untouched", "no_better_than_untouched"} & set(codes(said))
    assert said.next_step.code == "export"
    assert said.sentence.endswith(
        "Training made the student 8.0 points better than it was before it learned anything "
        "(95 % interval +6.1 to +9.9)."
    )


@pytest.mark.parametrize(("gained", "lost"), [(10, 40), (21, 20)])
def test_what_a_student_lost_by_being_made_smaller_is_not_laid_to_its_training(gained, lost):
    said = looked_back(gained, lost, config=with_values(CONFIG, plan="prune:0.5, distill"))
    assert not {"worse_than_untouched", "no_better_than_untouched"} & set(codes(said))
    assert "After all steps of its plan the student is" in said.sentence
    assert "Training made" not in said.sentence


@pytest.mark.parametrize(("gained", "lost"), [(10, 40), (21, 20), (90, 10)])
def test_what_training_was_worth_is_told_in_every_language(gained, lost):
    said = looked_back(gained, lost)
    for text in (said.sentence, *(f"{one.sentence} {one.cure}" for one in said.cautions), said.next_step.label):
        assert not re.search("[a-z]{4}", retold("zh", text).replace("accuracy", "")), retold("zh", text)
