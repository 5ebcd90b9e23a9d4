"""A teacher that has learned nothing is told before a student learns from it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict

from studio import events, tasks
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.errors import ModelError
from studio.pipeline import distill as pipeline
from studio.pipeline import stage_results, teacher_check
from studio.pipeline.job import Job
from studio.pipeline.prepare import RunContext
from studio.service import library
from tests.conftest import reviews
from tests.pipeline.test_timetable import of, said_by

WEAK = {"teacher": "builtin/fasttext-small", "student": "builtin/fasttext-tiny", "allow_weak_teacher": False}
TAUGHT = WEAK | {"teacher_epochs": 20, "teacher_learning_rate": 0.05}


@pytest.fixture
def unlearned(monkeypatch):
    """Whoever learns ends with weights of nothing, and gives every row one answer."""
    learned = []

    def fit(spec, device, best):
        learned.append(spec.phase)
        with torch.no_grad():
            for weight in spec.model.network.parameters():
                weight.zero_()
        yield from ()

    monkeypatch.setattr(pipeline, "fit", fit)
    return learned


@pytest.mark.parametrize("data", ["saved", "saved_digits"])
def test_a_run_stops_before_the_student_learns_from_a_teacher_at_the_majority_class(home, request, unlearned, data):
    dataset = request.getfixturevalue(data)
    models = {"teacher": "builtin/mlp-64", "student": "builtin/mlp-16"} if data == "saved_digits" else {}
    with pytest.raises(ModelError, match="the same answer for every row gets") as told:
        said_by(home, dataset, of(dataset, **WEAK | models))
    assert "allow_weak_teacher" in told.value.cure
    assert unlearned == ["teach"]


def test_it_goes_on_when_it_is_asked_to_and_says_what_it_found(home, saved, unlearned):
    said = said_by(home, saved, of(saved, **WEAK | {"allow_weak_teacher": True}))
    (told,) = [event.message for event in said if isinstance(event, events.Log) and event.level == "warning"]
    assert told.startswith("The teacher gets ")
    assert told.endswith("The run goes on, as allow_weak_teacher asks.")
    assert unlearned == ["teach", "distill", "control"]


def test_a_teacher_that_has_learned_something_passes_without_a_word(home, saved):
    said = said_by(home, saved, of(saved, **TAUGHT))
    assert not [event for event in said if isinstance(event, events.Log) and event.level == "warning"]
    assert any(isinstance(event, events.Verdict) for event in said)


def test_how_good_the_teacher_is_is_told_before_the_baseline_is_fitted(home, saved, monkeypatch):
    fitted = []
    plain = teacher_check._of_the_baseline
    monkeypatch.setattr(teacher_check, "_of_the_baseline", lambda *of_run: fitted.append(1) or plain(*of_run))
    config = of(saved, **TAUGHT | {"allow_weak_teacher": True})
    for event in pipeline.distill(Job(run_id=1, config=config, dataset=home.dataset(saved.id), home=home)):
        if isinstance(event, events.Metrics) and event.phase == "record":
            assert event.values["accuracy"] > 0.5 and not fitted
        elif isinstance(event, events.PhaseStarted) and event.phase == "distill":
            break
    assert fitted == [1]


@pytest.fixture
def many(store, home):
    """Enough reviews that ten wrong answers of a hundred are no chance."""
    columns = Columns("text", "label")
    return library.save(store, home, "many", clean(reviews(1_000), columns, "text-classification"), columns)


def right_in(share, monkeypatch):
    """Whatever a teacher says, it is right in so many of the rows."""

    def statistics(context, teachers, inputs, device):
        labels = inputs[0].labels.cpu().numpy()
        wrong = np.arange(len(labels)) >= round(share * len(labels))
        return np.stack([labels, np.where(wrong, 1 - labels, labels)], axis=1)

    monkeypatch.setattr(stage_results, "statistics", statistics)


def test_a_run_stops_before_the_student_learns_from_a_teacher_that_is_clearly_below_a_linear_model(
    home, many, unlearned, monkeypatch
):
    right_in(0.8, monkeypatch)
    home.checkpoints(1).mkdir(parents=True)
    (home.checkpoints(1) / "teach.pt").touch()  # what only the teacher has learned binds nobody
    with pytest.raises(ModelError, match=r"80.0 % .* a linear model that takes seconds gets 100.0 %") as told:
        said_by(home, many, of(many, **WEAK))
    assert "allow_weak_teacher" in told.value.cure
    assert unlearned == ["teach"]


def test_a_run_of_which_a_student_had_begun_to_learn_goes_on_whatever_is_asked_of_teachers_now(
    home, many, unlearned, monkeypatch
):
    right_in(0.8, monkeypatch)
    for name in ("teach.pt", "distill.pt"):
        home.checkpoints(1).mkdir(parents=True, exist_ok=True)
        (home.checkpoints(1) / name).touch()
    said = said_by(home, many, of(many, **WEAK))
    (told,) = [event.message for event in said if isinstance(event, events.Log) and event.level == "warning"]
    assert told.endswith("The run goes on, as a student has begun to learn from it.")
    assert unlearned == ["teach", "distill", "control"]


def test_a_teacher_that_may_be_as_good_as_a_linear_model_passes(home, many, unlearned, monkeypatch):
    right_in(0.98, monkeypatch)
    said_by(home, many, of(many, **WEAK))
    assert unlearned == ["teach", "distill", "control"]


@pytest.mark.parametrize(("nats", "is_weak"), [(40.0, False), (120.0, True)])
def test_a_language_model_teaches_where_its_bits_are_better_than_those_of_token_frequencies(monkeypatch, nats, is_weak):
    """Half of its first choices are right in both cases: it is the bits that decide there."""
    monkeypatch.setattr(teacher_check, "_of_the_baseline", lambda *of_run: None)
    problem = SimpleNamespace(task=tasks.get("language-model"), labels=[])
    sums = [nats, 30, 100, 15, 15, 30, 80.0]
    answered = teacher_check._Answered(range(10), np.tile(np.array(sums), (10, 1)))
    assert teacher_check._beside_the_baseline(SimpleNamespace(problem=problem), answered, 10).is_weak is is_weak


def test_where_a_part_of_the_validation_rows_is_looked_at_it_is_drawn_from_all_classes():
    rows = Dataset.from_dict({"label": [0] * 500 + [1] * 500})
    context = SimpleNamespace(
        dataset=SimpleNamespace(dict=DatasetDict(validation=rows)),
        old=None,
        problem=SimpleNamespace(task=SimpleNamespace(encode=lambda found, *_: found)),
        config=SimpleNamespace(max_length=16),
    )
    model = SimpleNamespace(processor=None, network=SimpleNamespace(config=None))
    context.validation_rows = lambda most: RunContext.validation_rows(context, most)
    some = RunContext.validation(context, model, 100)["label"][:]
    assert len(some) == 100
    assert 30 < sum(some) < 70
