"""What the stages of a run are, and what each asks of `fit`: who learns what, from which rows, under whom."""

import copy
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from studio import compress
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.distill import transfer_set
from studio.distill.learner import Learner
from studio.distill.spec import BestWeights, FitSpec
from studio.models.layers import cut_layers
from studio.pipeline import distill as pipeline
from studio.pipeline.timetable import Counts, Stage, timetable
from studio.service import library
from studio.store.rows import DatasetRow
from tests.conftest import TINY, reviews
from tests.distill.test_training import CPU
from tests.pipeline.test_timetable import ROUNDS, SHRINKING, of, said_by

ROWS = Counts(training=100, labelled=60, validation=10, test=10)


def stages(known: tuple[bool, ...] = (True,), **changes) -> list[Stage]:
    return timetable(parse_config({"dataset": "d", **TINY, **changes}), ROWS, known)


# --- the timetable


@pytest.mark.parametrize(
    ("changes", "roles"),
    [
        ({}, ("student",)),
        ({"plan": ROUNDS, "auto": True, "hard_epochs": 1}, ("student",)),
        ({"plan": "distill, sparsify:0.5, distill:1, quantize:int8"}, ("student",)),
        ({"assistants": "builtin/transformer-tiny"}, ("student",)),
        (SHRINKING | {"hard_epochs": 1}, ("student", "assistant-1", "assistant-2")),
    ],
)
def test_the_control_goes_through_all_that_the_students_own_weights_went_through(changes, roles):
    every = stages(**changes)
    own = [stage for stage in every if stage.role in roles and stage.kind == "follow"]
    control = [stage for stage in every if stage.role == "control"]
    for asked in ("steps", "epochs", "compression"):
        mine, theirs = ([getattr(stage, asked) for stage in part] for part in (control, own))
        assert sum(mine, start=type(mine[0])()) == sum(theirs, start=type(theirs[0])()), asked
    assert {(stage.rows, stage.objective) for stage in control} <= {("labelled", "labels"), ("labelled", "none")}


def test_recording_counts_every_teacher_and_every_view_that_an_epoch_will_see():
    (record,) = (stage for stage in stages((True, True), more_teachers=["builtin/fasttext-large"], epochs=2,
                                           augment="word_dropout", views=5) if stage.kind == "record")  # fmt: skip
    assert record.views == 2
    assert record.steps == 2 * 2 * 100


def test_hard_labels_come_after_the_last_distillation():
    plan = {"plan": "distill, sparsify:0.5, distill:1, quantize:int8", "hard_epochs": 1}
    found = [stage.phase for stage in stages(**plan) if stage.role == "student"]
    assert found == ["distill", "sparsify", "distill-2", "harden", "quantize"]


@pytest.mark.parametrize("epochs", [40, None])
def test_trials_of_temperature_and_alpha_take_as_many_steps_as_the_student_itself(epochs):
    found = {stage.phase: stage.steps for stage in stages(auto=True, epochs=epochs)}
    assert found["tune"] == pytest.approx(found["distill"], abs=1)


# --- what is asked of `fit`


class Asked(NamedTuple):
    """What a stage asked, and the weights that it began with."""

    spec: FitSpec
    best: BestWeights
    start: dict[str, Tensor]


@pytest.fixture
def asked(monkeypatch) -> dict[str, Asked]:
    """By phase. Learning adds 1 to every weight, but to the teacher's, and nothing is tested."""
    found = {}

    def fit(spec, device, best):
        network = spec.model.network
        found[spec.phase] = Asked(spec, best, copy.deepcopy(network.state_dict()))
        with torch.no_grad():
            for weight in () if spec.phase.startswith("teach") else network.parameters():
                weight += 1
        yield from ()

    monkeypatch.setattr(pipeline, "fit", fit)
    monkeypatch.setattr(pipeline.final_evaluation, "evaluate", lambda *_: iter(()))
    return found


@pytest.fixture
def partly(store, home) -> DatasetRow:
    """A data set of which a third of the rows has no label."""
    columns = Columns("text", "label")
    rows = clean(reviews(unlabelled=40), columns, "text-classification")
    return library.save(store, home, "partly", rows, columns)


def unlabelled_rows(spec: FitSpec) -> list[int]:
    inputs = spec.view(0).inputs
    every = set(range(len(inputs)))
    return sorted(every - set(transfer_set.labelled(inputs, spec.task).tolist()))


def test_rows_without_a_label_teach_the_student(home, partly, asked):
    said_by(home, partly, of(partly, control=False))
    spec = asked["distill"].spec
    without = unlabelled_rows(spec)
    assert len(without) == 40
    assert set(without) < set(spec.rows.tolist())
    learner = Learner(spec, CPU)
    learner._in_parts(spec.view(0), torch.tensor(without[:4]), 0.0)
    assert sum(weight.grad.abs().sum() for weight in learner.network.parameters()) > 0


def test_rows_without_a_label_do_not_teach_the_control(home, partly, asked):
    said_by(home, partly, of(partly))
    spec = asked["control"].spec
    assert not set(unlabelled_rows(spec)) & set(spec.rows.tolist())
    assert len(spec.rows) + 40 == len(spec.view(0).inputs)
    assert spec.steps == asked["distill"].spec.steps


def test_no_epoch_of_the_control_meets_a_teacher_and_each_of_the_students_does(home, partly, asked):
    said_by(home, partly, of(partly, terms="soft_target, hint", augment="word_dropout", views=2))
    control, student = asked["control"].spec, asked["distill"].spec
    assert control.live is None
    for epoch in range(4):
        view = control.view(epoch)
        assert view.logits is None
        assert view.teacher_inputs is None
    assert student.live is not None
    first, second, third = (student.view(epoch).logits.values for epoch in range(3))
    assert torch.equal(first, third)
    assert not torch.equal(first, second)


def test_hard_labels_go_on_with_the_best_weights_of_the_distillation_and_the_control_has_its_own(home, saved, asked):
    said_by(home, saved, of(saved, hard_epochs=1))
    assert asked["harden"].best is asked["distill"].best
    assert asked["control"].best is not asked["distill"].best


def test_the_control_learns_in_as_many_schedules_as_the_student_and_goes_on_with_its_own_best_weights(
    home, saved, asked
):
    said_by(home, saved, of(saved, hard_epochs=1))
    for student, control in (("distill", "control"), ("harden", "control-2")):
        assert asked[control].spec.steps == asked[student].spec.steps
    assert asked["control-2"].best is asked["control"].best
    name = next(iter(asked["control"].start))
    assert torch.allclose(asked["control-2"].start[name], asked["control"].start[name] + 1)


def test_the_control_begins_where_the_student_began(home, saved, asked):
    said_by(home, saved, of(saved))
    student, control = asked["distill"].start, asked["control"].start
    assert all(torch.equal(student[name], control[name]) for name in student)


def test_the_control_is_cut_from_the_teacher_and_not_from_what_the_teacher_taught_on_the_way(home, saved, asked):
    said_by(home, saved, of(saved, **SHRINKING))
    name = "bert.encoder.layer.0.attention.self.query.weight"
    teacher = asked["teach"].spec.model
    expected = cut_layers(teacher, 1).network.state_dict()[name]
    assert torch.equal(asked["control"].start[name], expected)
    assert torch.allclose(asked["distill"].start[name], expected + 2)  # both assistants have learned


def test_the_teachers_choices_help_to_prune_the_student_and_not_the_control(home, partly, asked, monkeypatch):
    drawn, draw = [], compress.draw

    def overheard(task, inputs, rows, teacher, *rest):
        drawn.append((len(rows), teacher is not None))
        return draw(task, inputs, rows, teacher, *rest)

    monkeypatch.setattr(compress, "draw", overheard)
    plan = [{"do": "prune", "ratio": 0.5, "importance": "taylor"}, "distill"]
    said_by(home, partly, of(partly, plan=plan))
    every = len(asked["control"].spec.view(0).inputs)
    assert drawn[-2:] == [(every, True), (every - 40, False)]


@pytest.mark.parametrize(
    ("start", "role", "expected"),
    [("teacher", "control", "taught"), ("pretrained", "control", "as it came"), ("pretrained", "smoothed", "taught"),
     ("pretrained", "control-2", "as it came"), ("pretrained", "student", "student's")],
)  # fmt: skip
def test_a_control_is_cut_from_the_teacher_as_it_came_where_that_is_asked_for(monkeypatch, start, role, expected):
    from types import SimpleNamespace

    monkeypatch.setattr(pipeline.prepare, "open_again", lambda context, reference, model, seed: "as it came")
    context = SimpleNamespace(config=SimpleNamespace(control_start=start, teacher="folder:/m", seed=0))
    state = SimpleNamespace(
        context=context, opened=SimpleNamespace(teachers=("opened",)), teachers=("taught",), origin="student's"
    )
    assert pipeline._cut_from(state, role) == expected
