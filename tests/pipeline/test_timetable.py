"""The timetable is what a run does: generator and estimate follow it, and the control meets no teacher in it."""

import math
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from studio import events
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.distill import transfer_set
from studio.pipeline import distill as pipeline
from studio.pipeline import estimate
from studio.pipeline.job import Job
from studio.pipeline.timetable import Counts, Seen, planned, progress, timetable
from studio.service import library
from tests.conftest import TINY, reviews

ROUNDS = [
    {"do": "prune", "ratio": 0.5, "rounds": 2},
    {"do": "distill"},
    {"do": "quantize", "form": "weights_int8", "epochs": 1},
]
SHRINKING = {
    "teacher": "builtin/transformer-base",
    "student": "teacher/1-layer",
    "assistants": "teacher/3-layers, teacher/2-layers",
    "chain": "shrinking",
}
WAYS = {
    "plain": ({}, "prepare teach record distill control evaluate"),
    "several teachers": (
        {"more_teachers": ["builtin/fasttext-large"]},
        "prepare teach teach-2 record distill control evaluate",
    ),
    "assistants": (
        {"assistants": ["builtin/transformer-tiny"], "augment": ["word_dropout"], "views": 2},
        "prepare teach record assist record-2 distill control evaluate",
    ),
    "shrinking": (
        SHRINKING | {"hard_epochs": 1},
        "prepare teach record assist assist-2 distill harden control control-2 evaluate",
    ),
    "rounds": (
        {"plan": ROUNDS, "auto": True, "hard_epochs": 1},
        "prepare teach record prune tune distill prune-2 distill-2 distill-3 harden quantize"
        " control control-2 control-3 control-4 control-5 evaluate",
    ),
    "smaller at the end": (
        {"plan": "distill, distill:1, sparsify:0.5"},
        "prepare teach record distill distill-2 sparsify control control-2 control-3 evaluate",
    ),
    "several seeds": (
        {"seeds": 2, "plan": "prune:0.5, distill", "auto": True},
        "prepare teach record prune tune distill control prune-2 distill-2 control-2 evaluate",
    ),
    "no control": ({"control": False}, "prepare teach record distill evaluate"),
}


def of(dataset, **changes):
    return parse_config({"dataset": dataset.name, **TINY, **changes})


def said_by(home, dataset, config, run_id=1):
    return list(pipeline.distill(Job(run_id=run_id, config=config, dataset=home.dataset(dataset.id), home=home)))


def stages_of(said) -> tuple[events.PlannedStage, ...]:
    (told,) = (event for event in said if isinstance(event, events.Planned))
    return told.stages


@pytest.mark.parametrize("way", WAYS)
def test_generator_and_estimate_know_the_same_stages(home, saved, way, monkeypatch):
    changes, expected = WAYS[way]
    config, summed = of(saved, **changes), []

    def overheard(*args):
        summed.append(timetable(*args))
        return summed[-1]

    paces = dict.fromkeys(("teacher", "student"), estimate.Pace(step=1.0, row=1.0))
    monkeypatch.setattr(estimate, "timetable", overheard)
    monkeypatch.setattr(estimate, "_paces", lambda *_: paces)
    estimate.measure(Job(run_id=1, config=config, dataset=home.dataset(saved.id), home=home))
    said = said_by(home, saved, config)
    carried_out = [event.phase for event in said if isinstance(event, events.PhaseStarted)]
    taken = {event.phase: event.steps for event in said if isinstance(event, events.PhaseFinished)}
    assert carried_out == expected.split()
    assert [stage.phase for stage in stages_of(said)] == carried_out
    assert [stage.phase for stage in summed[0]] == carried_out
    assert {stage.phase: stage.steps for stage in summed[0][1:]} == {phase: taken[phase] for phase in carried_out[1:]}


def test_a_teacher_that_knows_the_labels_is_not_taught_again():
    config = parse_config({"dataset": "d", **TINY, "more_teachers": ["builtin/fasttext-large"]})
    rows = Counts(training=100, labelled=100, validation=10, test=10)
    assert [stage.phase for stage in timetable(config, rows, [True, False])][:3] == ["prepare", "teach-2", "record"]


def test_where_no_row_has_a_label_there_is_no_control():
    config = parse_config({"dataset": "d", **TINY})
    rows = Counts(training=100, labelled=0, validation=10, test=10)
    assert "control" not in [stage.role for stage in timetable(config, rows, [True])]


# --- the control meets no teacher


@pytest.fixture
def specs(monkeypatch):
    """What a run asks of `fit`, by phase; nothing is learned and nothing tested."""
    asked = {}

    def overheard(spec, *_):
        asked[spec.phase] = spec
        yield from ()

    monkeypatch.setattr(pipeline, "fit", overheard)
    monkeypatch.setattr(pipeline.final_evaluation, "evaluate", lambda *_: iter(()))
    return asked


def test_the_control_is_the_same_however_the_teacher_learned_and_teaches(home, saved):
    """Other weights of the teacher, other losses, which read hidden layers, too, more of its word: the same control."""
    other = {"teacher_epochs": 1, "terms": "soft_target, hint", "temperature": 2.0, "alpha": 0.9}
    weights, curves = [], []
    for run_id, changes in ((1, {"alpha": 0.7}), (2, other)):
        said = said_by(home, saved, of(saved, **changes), run_id)
        curves.append([event for event in said if isinstance(event, events.Metrics) and event.phase == "control"])
        weights.append(load_file(home.model(run_id, "control") / "model.safetensors"))
    assert curves[0] == curves[1]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert {name for point in curves[0] for name in point.values} == {"loss", "label_loss", "learning_rate", "accuracy"}


def test_the_control_learns_from_rows_with_a_label_and_from_no_recorded_answer(home, store, specs):
    columns = Columns("text", "label")
    half = clean(reviews(unlabelled=40), columns, "text-classification")
    dataset = library.save(store, home, "half", half, columns)
    said_by(home, dataset, of(dataset, terms="soft_target, hint", augment=["word_dropout"], views=2, hard_epochs=1))
    control, student = specs["control"], specs["distill"]
    views = [control.view(epoch) for epoch in range(4)]
    assert control.live is None
    assert all(view.logits is None and view.teacher_inputs is None for view in views)
    labelled = transfer_set.labelled(views[0].inputs, control.task)
    assert control.rows.tolist() == labelled.tolist() != student.rows.tolist()
    assert (control.steps, specs["control-2"].steps) == (student.steps, specs["harden"].steps)
    assert student.view(0).logits is not None and student.live is not None


def test_the_control_sees_no_mixed_images(home, saved_digits, specs):
    images = {"teacher": "builtin/cnn-tiny", "student": "builtin/cnn-tiny", "epochs": 2, "teacher_epochs": 1}
    shown = []
    for run_id, names in ((1, "flip"), (2, "flip, mixup, cutmix")):
        said_by(home, saved_digits, of(saved_digits, **images, augment=names, views=2), run_id)
        shown.append([specs[phase].view(1).inputs.pixels for phase in ("control", "distill")])
    (plain, student_plain), (control, student_mixed) = shown
    assert torch.equal(plain, control)
    assert not torch.equal(student_plain, student_mixed)


# --- how far a run is


LONG = parse_config(
    {"dataset": "d", **TINY, "epochs": 20, "hard_epochs": 5, "auto": True, "plan": "prune:0.5, distill"}
)
MANY = Counts(training=5_000, labelled=5_000, validation=500, test=500)


def told_of_a_long_run() -> tuple[events.PlannedStage, ...]:
    return planned(timetable(LONG, MANY, [False]), LONG, MANY).stages


@pytest.mark.parametrize("seed", range(20))
def test_the_total_never_goes_back_and_ends_at_1_however_wrong_the_first_guesses_were(seed):
    draw, stages = random.Random(seed), told_of_a_long_run()
    seen, shares = [], []
    for stage in stages:
        seconds = stage.seconds * 10 ** draw.uniform(-3, 3)
        shares += [
            progress(stages, [*seen, Seen(stage.phase, seconds * part / 20, part / 20)]).share for part in range(20)
        ]
        seen.append(Seen(stage.phase, seconds))
        shares.append(progress(stages, seen).share)
    assert shares == sorted(shares)
    assert shares[0] == 0 and math.isclose(shares[-1], 1)


def test_the_time_left_is_that_of_the_whole_run_at_the_pace_of_what_is_done():
    """Everything takes 7 times as long as guessed; a stage without a pace takes what was guessed."""
    stages = told_of_a_long_run()
    factor = {stage.phase: 7.0 if stage.pace else 1.0 for stage in stages}
    seen = [Seen(stage.phase, stage.seconds * factor[stage.phase]) for stage in stages[:5]]
    left = sum(stage.seconds * factor[stage.phase] for stage in stages[5:])
    assert progress(stages, seen).seconds_left == pytest.approx(left)
    assert progress(stages, seen[:1]).seconds_left is None  # nothing has learned yet: nobody knows


def test_answers_that_were_on_disk_do_not_make_training_look_short():
    stages = told_of_a_long_run()
    seen = [Seen("prepare", 1.0), Seen("teach", 2 * stages[1].seconds)]
    before = progress(stages, [*seen, Seen("record", 0.0, share=0.0)]).seconds_left
    after = progress(stages, [*seen, Seen("record", 0.001)]).seconds_left
    assert after == pytest.approx(before - 2 * stages[2].seconds)


def test_a_stage_that_was_taken_up_half_way_counts_only_what_was_done_since():
    stages = told_of_a_long_run()
    number = next(number for number, stage in enumerate(stages) if stage.phase == "distill")
    seen = [Seen(stage.phase, stage.seconds) for stage in stages[:number]]
    fresh = progress(stages, [*seen, Seen("distill", stages[number].seconds * 0.6, share=0.6)])
    taken_up = progress(stages, [*seen, Seen("distill", stages[number].seconds * 0.1, share=0.6, begun=0.5)])
    assert taken_up.share == fresh.share
    assert taken_up.seconds_left == pytest.approx(fresh.seconds_left)


def test_the_timetable_is_known_without_torch():
    source = Path(pipeline.__file__).with_name("timetable.py").read_text()
    assert "torch" not in [
        word for line in source.splitlines() if line.startswith(("import", "from")) for word in line.split()
    ]
