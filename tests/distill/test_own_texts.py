"""On-policy: a share of every round is the student's own, answered by the teacher, and no label."""

from dataclasses import replace

import pytest
import torch

from studio import tasks
from studio.config.run import UNLABELLED
from studio.distill import own_texts, top_answers
from studio.distill.own_texts import OwnTexts
from studio.distill.top_answers import How, TopAnswers
from studio.distill.transfer_set import View
from studio.machine.devices import Device
from studio.models.model import Problem
from studio.models.opening import build
from studio.tasks.positions import PositionLogits

TASK = tasks.get("language-model")
CPU = Device(torch.device("cpu"), torch.float32)
TEXTS = ["Once upon a time there was a cat.", ("2+2=", "It is 4."), "The end of the story is near."]


@pytest.fixture(scope="module")
def models():
    rows = TASK.unlabelled(TEXTS)
    teacher, student = (build("gpt-tiny", Problem(TASK.name, [], rows, 24)) for _ in range(2))
    return teacher, replace(student, processor=teacher.processor)


def own(models, how=None, folder=None, share=0.5):
    teacher, student = models
    inputs = TASK.encode(TASK.unlabelled(TEXTS), student.processor, student.network.config, 24)
    with torch.no_grad():
        every = torch.arange(len(inputs))
        logits = inputs.positions(teacher.network(**inputs.batch(every)).logits, every).logits
    answers = PositionLogits(logits, inputs.offsets)
    if how is not None:
        answers = top_answers.of_parts([top_answers.keep(logits, *how)], inputs.offsets)
    return OwnTexts(View(inputs, answers), student, teacher, share, 6, 0, CPU, how, folder)


def test_half_of_a_round_is_written_by_the_student_and_is_no_label(models):
    view = own(models).view(0)
    assert len(view.inputs) == 6
    rows = torch.arange(6)
    counts = view.inputs.offsets[1:] - view.inputs.offsets[:-1]
    row = torch.repeat_interleave(rows, counts)
    assert (view.inputs.labels[row < 3] == UNLABELLED).all()
    assert (view.inputs.labels[row >= 3] >= 0).all()


def test_every_answer_is_what_the_teacher_says_of_that_very_text(models):
    for how in (None, How(1.0, 40)):
        view = own(models, how).view(1)
        rows = torch.arange(6)
        with torch.no_grad():
            logits = view.inputs.positions(models[0].network(**view.inputs.batch(rows)).logits, rows).logits
        if how is None:
            torch.testing.assert_close(view.logits.of(rows), logits, atol=1e-4, rtol=1e-4)
        else:
            assert isinstance(view.logits, TopAnswers)
            wanted = top_answers.of_parts([top_answers.keep(logits, *how)], view.inputs.offsets)
            assert top_answers.mean_difference(view.logits.of(rows), wanted.of(rows)) < 1e-3


def test_rounds_differ_and_the_same_round_is_the_same(models):
    first, again, next_one = own(models).view(0), own(models).view(0), own(models).view(1)
    assert torch.equal(first.inputs.tokens, again.inputs.tokens)
    assert not torch.equal(first.inputs.tokens, next_one.inputs.tokens)


def test_what_was_written_is_taken_up_though_the_student_has_changed(models, tmp_path):
    written = own(models, folder=tmp_path).view(3)
    other = build("gpt-tiny", Problem(TASK.name, [], TASK.unlabelled(TEXTS), 24))
    with torch.no_grad():
        other.network.get_output_embeddings().weight.normal_()  # as sure as if it had learned something
    changed = (models[0], replace(other, processor=models[0].processor))
    assert torch.equal(own(changed, folder=tmp_path).view(3).inputs.tokens, written.inputs.tokens)
    assert not torch.equal(own(changed).view(3).inputs.tokens, written.inputs.tokens)


def test_drawing_texts_leaves_the_generator_of_training_as_it_was(models):
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    own(models).view(0)
    assert torch.equal(torch.rand(3), wanted)


def test_a_prompt_is_given_whole_and_a_text_by_its_opening(models):
    inputs = own(models).plain.inputs
    start = len("<2+2=\n")
    assert [own_texts._given(inputs, row) for row in range(len(inputs))].count(start) == 1
    assert own_texts._given(inputs, 0) == own_texts.OPENING
