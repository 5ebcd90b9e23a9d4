"""What a run tells its verdict besides the measured numbers."""

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset, concatenate_datasets

from studio import events
from studio.config.reading import parse_config
from studio.evaluate.measured import Measured
from studio.events import Metrics
from studio.models.model import Problem
from studio.pipeline import final_evaluation
from studio.pipeline.distill import ValidationCurves, distill
from studio.pipeline.final_evaluation import FinalEvaluation, _facts, _imitated
from studio.pipeline.timetable import Stage
from tests.conftest import TINY


def test_the_curve_of_a_role_is_that_of_its_last_training_and_losses_are_none():
    stages = [
        Stage("teach", "teach", "teacher"),
        Stage("distill", "follow", "student"),
        Stage("harden", "follow", "student"),
        Stage("control", "follow", "control"),
        Stage("quantize", "follow", "student"),
    ]
    said = [
        Metrics(phase=phase, step=step, values={"accuracy": step / 10, "loss": 1.0})
        for phase in ("distill", "harden", "control")
        for step in (2, 1)
    ] + [Metrics(phase="teach", step=1, values={"loss": 2.0})]
    curves = ValidationCurves("accuracy")

    def body() -> Iterator[events.Event]:
        yield from said
        return "done"

    steps = curves.heard(body())
    assert list(steps) == said
    curves.points["harden"] = {4: 0.4}
    assert curves.by_role(stages) == {"student": [(4, 0.4)], "control": [(1, 0.1), (2, 0.2)]}


def test_what_a_ready_teacher_reaches_while_it_answers_is_no_training_of_it():
    """Else it would be told that it did not get better by being trained."""
    curves = ValidationCurves("accuracy")
    curves.points = {"record": {0: 0.9}, "distill": {0: 0.9}}
    stages = [Stage("record", "record", "teacher"), Stage("distill", "follow", "student")]
    assert curves.by_role(stages) == {"student": [(0, 0.9)]}


def test_closing_what_listens_closes_what_is_listened_to():
    closed = []

    def body() -> Iterator[events.Event]:
        try:
            yield events.Log(message="one")
        finally:
            closed.append(True)

    steps = ValidationCurves("accuracy").heard(body())
    next(steps)
    steps.close()
    assert closed == [True]


def test_the_verdict_is_told_what_rows_and_curves_of_its_own_run_say():
    labels = ["bad", "good", "rare"]
    train = Dataset.from_dict({"text": ["a", "b", "c", "d"], "label": [0, 1, 0, 1]})
    test = Dataset.from_dict({"text": ["A", "x", "y", "z", "w"], "label": [0, 1, 0, 1, 2]})
    flat, rising = [(step, 0.5) for step in range(12)], [(step, 0.5 + 0.02 * step) for step in range(12)]
    tests = FinalEvaluation(
        config=parse_config({"dataset": "d", **TINY}),
        problem=Problem("text-classification", labels, train, 16),
        device=None,
        splits={"test": test},
        training=(train,),
        curves={"teacher": flat, "student": rising, "control": flat},
        changed=("folder:/teacher",),
        rates={"student": 1e-3},
    )
    answers = np.array([[0, 0], [1, 1], [0, 0], [1, 0], [2, 2]])
    facts = _facts(tests, {"student": [answers]})
    assert facts.leaked == 1
    assert facts.unseen == ("rare",)
    assert facts.improving == ("student",)
    assert facts.teacher_start == (0.5, 0.5)
    assert facts.changed == ("folder:/teacher",)
    assert (facts.rare.label, facts.rare.rows, facts.rare.found, facts.rare.training) == ("rare", 1, {"student": 1}, 0)


def test_a_student_that_is_far_from_its_teacher_is_asked_on_training_and_on_test_rows(job, monkeypatch):
    monkeypatch.setattr(Measured, "is_far_from_teacher", True)
    asked = []

    def imitated(tests, trained):
        found = yield from _imitated(tests, trained)
        asked.append((found, tests, trained))
        return found

    monkeypatch.setattr(final_evaluation, "_imitated", imitated)
    (verdict,) = (event for event in distill(job) if isinstance(event, events.Verdict))
    ((found, tests, trained),) = asked
    assert "far_from_teacher" in [one.code for one in verdict.cautions]
    rows = {"training": concatenate_datasets(tests.training), "test": tests.splits["test"]}
    for name, some in rows.items():
        student, teacher = (choices(tests, trained[role][0], some) for role in ("student", "teacher"))
        assert getattr(found, name) == pytest.approx(float((student == teacher).float().mean()))


def choices(tests, model, rows):
    """The class that a model says of every row."""
    with torch.inference_mode():
        batch = tests.encode(model, rows).batch(torch.arange(len(rows)))
        return model.network.eval()(**batch).logits.argmax(-1)


@pytest.mark.parametrize(("kind", "compared"), [("class", [None, None]), ("token", ["teacher", "teacher"])])
def test_what_a_teacher_read_is_held_for_models_that_write_alone(monkeypatch, kind, compared):
    """Of images it would be the test rows once more on the device."""
    given, looked_at = [], []

    def answers(tests, members, rows):
        yield from ()
        return members[0], f"rows of {members[0]}"

    def same(first, second):
        looked_at.append(first)
        return True

    monkeypatch.setattr(final_evaluation, "_answers", answers)
    monkeypatch.setattr(final_evaluation.transfer_set, "same_reading", same)
    task = SimpleNamespace(kind=kind, statistics=lambda logits, encoded, teacher: given.append(teacher))
    tests = SimpleNamespace(problem=SimpleNamespace(task=task), keep=None)
    models = {"teacher": ["teacher"], "student": ["student"]}
    list(final_evaluation._statistics(tests, "test", None, models.items(), None))
    assert given == compared
    assert looked_at == [f"rows of {name}" for name in compared if name]
