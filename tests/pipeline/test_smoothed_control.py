"""The control with labels as soft as the teacher's answers: it comes where the teacher is weak, and meets none."""

import pytest
import torch

from studio import events, tasks
from studio.config.reading import parse_config
from studio.distill import smoothing
from studio.errors import ConfigError
from studio.evaluate.measured import Facts
from studio.evaluate.verdict import verdict
from studio.pipeline import distill as pipeline
from studio.pipeline.timetable import Counts, timetable
from studio.tasks.positions import PositionLogits
from tests.conftest import TINY
from tests.evaluate.conftest import CONFIG, HALF, MEASURES, against, measured

ROWS = Counts(training=100, labelled=80, validation=10, test=10)
TASK = tasks.get("text-classification")


def test_it_does_what_the_control_does_and_comes_last():
    config = parse_config(
        {"dataset": "d", **TINY, "smoothed_control": "always", "plan": "prune:0.5, distill", "seeds": 2}
    )
    stages = timetable(config, ROWS, [True])
    assert [stage.phase for stage in stages][-3:] == ["smooth", "smooth-2", "evaluate"]
    (control,) = (stage for stage in stages if stage.phase == "control")
    (smooth,) = (stage for stage in stages if stage.phase == "smooth")
    assert (smooth.rows, smooth.steps, smooth.compression) == (control.rows, control.steps, control.compression)
    kept = 1 + 3  # the answers to validation rows, of one seed
    assert stages[-1].steps == (1 + 2 * 3) * ROWS.test + kept * ROWS.validation


@pytest.mark.parametrize("is_weak", [True, False])
def test_it_comes_by_itself_where_the_teacher_is_weak(job, monkeypatch, is_weak):
    asked = {}

    def overheard(spec, *_):
        asked[spec.phase] = spec
        yield from ()

    def check(*_):
        yield from ()
        return is_weak

    monkeypatch.setattr(pipeline, "fit", overheard)
    monkeypatch.setattr(pipeline.teacher_check, "check", check)
    monkeypatch.setattr(pipeline.final_evaluation, "evaluate", lambda *_: iter(()))
    auto = parse_config(job.config.model_dump() | {"smoothed_control": "auto"})
    said = list(pipeline.distill(job.model_copy(update={"config": auto})))
    told = [event for event in said if isinstance(event, events.Planned)]
    assert [stage.phase for stage in told[-1].stages] == [
        event.phase for event in said if isinstance(event, events.PhaseStarted)
    ]
    assert ("smooth" in asked) is is_weak
    if is_weak:
        view = asked["smooth"].view(0)
        assert asked["smooth"].live is None
        assert len(view.logits.values.max(-1).values.unique()) == 1  # one number is all it knows of the teacher
        start = [asked[phase].model.network.state_dict() for phase in ("smooth", "control")]
        assert all(torch.equal(start[0][name], start[1][name]) for name in start[0])


def test_the_label_is_the_likelier_the_surer_the_teacher_is(job):
    inputs = type("Rows", (), {"labels": torch.tensor([0, 1]), "offsets": torch.arange(3)})()
    made = smoothing.smoothed(inputs, TASK, 2, 0.9, 4.0).values
    assert made.argmax(-1).tolist() == [0, 1]


def test_its_labels_are_as_soft_as_the_answers_are_on_average(job):
    labels = torch.tensor([0, 1, 1, -1])
    inputs = type("Rows", (), {"labels": labels, "offsets": torch.arange(5)})()
    answers = PositionLogits.per_row(torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0], [9.0, -9.0]]))
    right = smoothing.strength(answers, inputs, TASK, temperature=2.0)
    given = (smoothing.smoothed(inputs, TASK, 2, right, 2.0).values / 2.0).softmax(-1)
    wanted = (answers.values / 2.0).softmax(-1)
    assert given[0, 0].item() == pytest.approx((wanted[0, 0] + wanted[1, 1] + wanted[2, 1]).item() / 3)
    assert given[3].tolist() == [0.5, 0.5]


def test_losses_that_read_more_than_answers_have_no_such_control(job):
    config = parse_config(job.config.model_dump() | {"terms": "hint", "smoothed_control": "always"})
    with pytest.raises(ConfigError, match="smoothed_control: always needs labels"):
        list(pipeline.distill(job.model_copy(update={"config": config})))


@pytest.mark.parametrize(
    ("gained", "lost", "words"),
    [(60, 10, "is clearly worse (84.0 %)"), (10, 60, "is clearly better (84.0 %)"), (20, 20, "smoothing rather than")],
)
def test_the_verdict_tells_knowledge_from_smoothing(gained, lost, words):
    found = measured("teacher", 0.9) + measured("student", 0.88) + measured("smoothed", 0.84) + measured("control", 0.8)
    pairs = [against("control", 60, 10), against("smoothed", gained, lost)]
    said = verdict(found, pairs, MEASURES, Facts(reference=HALF, config=CONFIG))
    assert words in said.sentence
