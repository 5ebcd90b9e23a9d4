"""The transfer set: views and what the teachers answered to them."""

import math

import pytest
import torch

from studio import tasks
from studio.data.folder import load
from studio.distill import transfer_set
from studio.distill.transfer_set import TeacherOutputs, TransferSet
from studio.events import Log, result_of
from studio.models.model import Problem
from studio.models.opening import build
from studio.tasks.augment import Changes
from studio.tasks.positions import PositionLogits
from tests.distill.test_training import CPU

TASK = tasks.get("text-classification")


@pytest.fixture
def rows(home, saved):
    return load(home.dataset(saved.id)).dict["train"]


@pytest.fixture
def teacher(rows):
    torch.manual_seed(0)
    return build("transformer-tiny", Problem("text-classification", ["bad", "good"], rows, 16))


def changed(rows, views: int = 3) -> TransferSet:
    return TransferSet(TASK, (rows,), 16, 0, Changes(("word_dropout",)), views)


def record(teachers, rows, home, fusion="average"):
    return transfer_set.record(teachers, rows, CPU, home, fusion, "record")


def test_view_0_is_the_data_as_it_is_and_the_others_are_changed(rows, teacher):
    views = [changed(rows).whole(teacher, number) for number in range(3)]
    plain = TASK.encode(rows, teacher.processor, teacher.network.config, 16)
    assert torch.equal(views[0].tokens, plain.tokens)
    assert len({tuple(view.tokens.tolist()) for view in views}) == 3
    assert all(torch.equal(view.labels, plain.labels) for view in views)


def test_a_view_is_the_same_whenever_it_is_asked_for(rows, teacher):
    first, again = changed(rows), changed(rows)
    for number in (2, 1, 0, 2):
        assert torch.equal(first.whole(teacher, number).tokens, again.whole(teacher, number).tokens)


@pytest.mark.parametrize(("room", "made"), [(1e9, [1, 2]), (0, [1, 2, 1, 2])])
def test_a_changed_view_is_made_once_where_there_is_room_for_it(rows, teacher, monkeypatch, room, made):
    monkeypatch.setattr(transfer_set, "KEPT_BYTES", room)
    seeds = []
    monkeypatch.setattr(type(TASK), "changed", lambda _, rows, plain, *rest: seeds.append(rest[-1]) or plain)
    views = changed(rows)
    for number in (1, 1, 2, 1, 2):
        views.whole(teacher, number)
    assert seeds == [number * 101 for number in made]


def test_every_view_has_answers_of_its_own_that_are_those_of_the_teacher_to_that_view(rows, teacher, home):
    views = changed(rows)
    recorded = result_of(record([teacher], views, home))
    assert len(recorded) == len(list(home.teacher_outputs.glob("*/logits.npy"))) == 3
    for number, logits in enumerate(recorded):
        inputs = views.whole(teacher, number)
        with torch.no_grad():
            row_by_row = torch.cat(
                [teacher.network.eval()(**inputs.batch(torch.tensor([row]))).logits for row in range(len(inputs))]
            )
        assert torch.allclose(logits.values, row_by_row, atol=1e-5)


def test_answers_on_disk_are_used_again_for_the_same_view_and_for_no_other(rows, teacher, home):
    list(record([teacher], changed(rows, views=2), home))
    said = [event.message for event in record([teacher], changed(rows, views=3), home) if isinstance(event, Log)]
    assert [("view 1" in message, "view 2" in message) for message in said] == [(True, False), (False, True)]


def test_a_student_sees_with_each_view_the_answers_to_that_view(rows, teacher, home):
    views = changed(rows)
    recorded = result_of(record([teacher], views, home))
    outputs = TeacherOutputs(recorded)
    for number in range(3):
        view = outputs.view(views, teacher, number)
        assert torch.equal(view.logits.values, recorded[number].values)
        assert torch.equal(view.inputs.tokens, views.whole(teacher, number).tokens)


def test_new_rows_come_before_old_ones_and_old_answers_are_replayed_from_disk(rows, teacher, home):
    new, old = rows.select(range(30)), rows.select(range(30, len(rows)))
    result_of(record([teacher], TransferSet(TASK, (old,), 16, 0), home))
    both = TransferSet(TASK, (new, old), 16, 0)
    said = list(record([teacher], both, home))
    assert sum(isinstance(event, Log) and "on disk" in event.message for event in said) == 1
    (logits,) = result_of(record([teacher], both, home))
    (whole,) = result_of(record([teacher], TransferSet(TASK, (rows,), 16, 0), home))
    assert torch.allclose(logits.values, whole.values, atol=1e-5)
    assert torch.equal(logits.offsets, whole.offsets)
    assert logits.one_per_row
    plain = TASK.encode(rows, teacher.processor, teacher.network.config, 16)
    joined = both.whole(teacher)
    order = torch.randperm(len(rows))
    for name, value in plain.batch(order).items():
        assert torch.equal(joined.batch(order)[name], value)


def fused_of(logits: list[torch.Tensor], fusion: str) -> torch.Tensor:
    return transfer_set.fuse([PositionLogits.per_row(values) for values in logits], fusion, TASK).values


def test_averaged_teachers_are_the_geometric_mean_of_their_distributions_at_every_temperature():
    first, second = torch.randn(2, 4, 3, dtype=torch.float64).float()
    fused = fused_of([first, second], "average")
    for temperature in (1.0, 5.0):
        product = (first / temperature).softmax(-1) * (second / temperature).softmax(-1)
        expected = product.sqrt() / product.sqrt().sum(-1, keepdim=True)
        assert torch.allclose((fused / temperature).softmax(-1), expected, atol=1e-6)


def test_by_confidence_the_surer_teacher_counts_more_as_defined():
    sure, unsure = torch.tensor([[4.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.5, 0.0]])

    def certainty(logits: torch.Tensor) -> float:
        p = logits.softmax(-1)[0].tolist()
        return 1 + sum(value * math.log(value) for value in p) / math.log(3)

    weight = certainty(sure) / (certainty(sure) + certainty(unsure))
    expected = weight * sure + (1 - weight) * unsure
    fused = fused_of([sure, unsure], "confidence")
    assert torch.allclose(fused, expected, atol=1e-5)
    assert (fused - sure).norm() < (fused_of([sure, unsure], "average") - sure).norm()


def test_models_with_equal_inputs_are_known_to_read_alike(rows, teacher):
    problem = Problem("text-classification", ["bad", "good"], rows, 16)
    twin = build("transformer-small", problem)
    encoded = [TASK.encode(rows, model.processor, model.network.config, 16) for model in (teacher, twin)]
    encoded.append(TASK.encode(rows, teacher.processor, teacher.network.config, 5))
    assert transfer_set.same_reading(encoded[0], encoded[1])
    assert not transfer_set.same_reading(encoded[0], encoded[2])
