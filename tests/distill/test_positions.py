"""Rows of several positions through recording, objective and fit: words, of which a model may not have seen some."""

import math
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from studio import events, tasks
from studio.config.reading import parse_config
from studio.config.run import UNLABELLED
from studio.distill import objective, teacher_outputs, transfer_set
from studio.distill.fit import fit
from studio.distill.learner import Learner, seen
from studio.distill.losses import soft_target_loss
from studio.distill.objective import Distillation
from studio.distill.spec import BestWeights
from studio.errors import DivergedError
from studio.events import result_of
from studio.models.features import Outputs
from studio.models.model import Model
from studio.tasks import Measure
from studio.tasks.positions import PositionLogits, Positions, is_one_per_row, places_of
from tests.distill.test_training import CPU, spec

ROWS, CLASSES = 6, 3


@dataclass(frozen=True)
class Words:
    """Two words a row, but row 4, which has none; a reader sees the second word of a row only where `cut` is false."""

    values: Tensor
    cut: Tensor
    labels: Tensor
    offsets: Tensor

    def __len__(self) -> int:
        return len(self.cut)

    @property
    def lengths(self) -> Tensor:
        return torch.ones(len(self), dtype=torch.long)

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        return {"values": self.values[rows]}

    def told(self, positions: Positions) -> Tensor:
        return positions.logits

    def positions(self, logits: Tensor, rows: Tensor) -> Positions:
        words = places_of(rows, self.offsets)
        counts = self.offsets[rows + 1] - self.offsets[rows]
        row = torch.repeat_interleave(torch.arange(len(rows)), counts)
        second = words - self.offsets[rows][row]
        weight = 1 - (self.cut[rows][row] & (second == 1)).float()
        return Positions(logits[row, second] * weight.unsqueeze(-1), self.labels[words], row, weight)

    def to(self, device: torch.device) -> "Words":
        return self

    def join(self, other: "Words") -> "Words":
        offsets = torch.cat([self.offsets, other.offsets[1:] + self.offsets[-1]])
        names = ("values", "cut", "labels")
        joined = {name: torch.cat([getattr(self, name), getattr(other, name)]) for name in names}
        return Words(**joined, offsets=offsets)


class Reader(nn.Module):
    """A linear answer to each of two words."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.head = nn.Linear(4, CLASSES)
        self.config = SimpleNamespace(to_dict=lambda: {"hidden": 4}, num_labels=99)

    def forward(self, values: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.head(values))


class WordTask:
    """A class a word; what counts is the share of words that are right."""

    kind = "class"
    measures = (Measure("accuracy", "Accuracy", ""),)
    row_task = tasks.get("text-classification")

    def label_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.row_task.label_loss(logits, labels)

    def known(self, labels: Tensor) -> Tensor:
        return labels != UNLABELLED

    def choices(self, logits: Tensor) -> Tensor:
        return logits.argmax(-1)

    def certainty(self, logits: Tensor) -> Tensor:
        return self.row_task.certainty(logits)

    def validate(self, logits: PositionLogits, encoded: Words) -> tuple[float, Tensor]:
        right = (logits.values.nan_to_num().argmax(-1) == encoded.labels)[self.known(encoded.labels)]
        return float(right.double().mean()), right


TASK = WordTask()
COUNTS = torch.tensor([2, 2, 2, 2, 0, 2])
OFFSETS = torch.cat([torch.zeros(1, dtype=torch.long), COUNTS.cumsum(0)])
LABELS = torch.tensor([0, 1, 2, 1, 1, 1, UNLABELLED, 2, 2, 0])
STUDENT_CUTS = torch.tensor([False, True, False, False, False, False])
TEACHER_CUTS = torch.tensor([False, False, True, False, False, True])


def words(cut: Tensor) -> Words:
    values = torch.randn(ROWS, 2, 4, generator=torch.Generator().manual_seed(0))
    return Words(values, cut, LABELS, OFFSETS)


@pytest.fixture
def student() -> Model:
    return Model(Reader(1), None)


@pytest.fixture
def teacher() -> Model:
    return Model(Reader(2), None)


@pytest.fixture
def recorded(teacher) -> PositionLogits:
    return result_of(teacher_outputs.logits(teacher, words(TEACHER_CUTS), CPU, lambda done: None))


def config(**values):
    names = {"dataset": "d", "teacher": "builtin/mlp-64", "student": "builtin/mlp-16", "terms": "soft_target"}
    return parse_config(names | {"alpha": 0.7, "temperature": 3.0} | values)


def of_words(student: Model, recorded: PositionLogits | None, **changes):
    """A fit on the words."""
    view = transfer_set.View(words(STUDENT_CUTS), recorded)
    values = {"task": TASK, "view": lambda epoch: view, "batch_size": ROWS, "steps": 1}
    values["objective"] = Distillation(config(), TASK)
    return spec(student, words(STUDENT_CUTS), **(values | changes))


def gradients(spec_of_words) -> tuple[objective.Terms, list[Tensor]]:
    """The terms and the gradients of one batch of all rows, in an order of their own."""
    learner = Learner(spec_of_words, CPU)
    terms = learner._in_parts(spec_of_words.view(0), torch.tensor([3, 1, 4, 5, 0, 2]), 0.0)
    return terms, [weight.grad.clone() for weight in learner.network.parameters()]


def by_hand(student: Model, teacher: Model) -> Tensor:
    """0.7 · T² · KL, mean over the words that both saw, + 0.3 · cross-entropy, mean over those with a label that the
    student saw; word by word."""
    values, distances, label_losses = words(STUDENT_CUTS).values, [], []
    for row, count in enumerate(COUNTS.tolist()):
        for place in range(count):
            if place == 1 and STUDENT_CUTS[row]:
                continue
            log_student = student.network.head(values[row, place])
            label = int(LABELS[OFFSETS[row] + place])
            if label != UNLABELLED:
                label_losses.append(-log_student.log_softmax(-1)[label])
            if not (place == 1 and TEACHER_CUTS[row]):
                p = (teacher.network.head(values[row, place]).detach() / 3.0).softmax(-1)
                distances.append((p * (p.log() - (log_student / 3.0).log_softmax(-1))).sum() * 9.0)
    assert (len(distances), len(label_losses)) == (7, 8)
    return 0.7 * torch.stack(distances).mean() + 0.3 * torch.stack(label_losses).mean()


def test_what_words_teach_equals_a_calculation_by_hand_to_the_gradient(student, teacher, recorded):
    terms, found = gradients(of_words(student, recorded))
    student.network.zero_grad()
    expected = by_hand(student, teacher)
    expected.backward()
    assert terms.total.item() == pytest.approx(expected.item(), rel=1e-5)
    for gradient, weight in zip(found, student.network.parameters(), strict=True):
        assert torch.allclose(gradient, weight.grad, atol=1e-6)


def test_words_that_the_teacher_did_not_see_count_in_the_label_loss_alone(student, recorded):
    terms, _ = gradients(of_words(student, recorded))
    alone, _ = gradients(of_words(student, None, objective=objective.labels_only(TASK)))
    assert terms.parts["label_loss"].item() == pytest.approx(alone.total.item())
    nothing = recorded._replace(values=torch.full_like(recorded.values, math.nan))
    unseen, found = gradients(of_words(student, nothing))
    assert unseen.parts["soft_target_loss"].item() == 0
    assert unseen.total.item() == pytest.approx(0.3 * alone.total.item())
    assert all(gradient.isfinite().all() for gradient in found)


def test_hard_labels_leave_out_what_the_teacher_did_not_see(student, teacher, recorded):
    terms, _ = gradients(of_words(student, recorded, objective=objective.hard_labels(TASK)))
    inputs = words(STUDENT_CUTS)
    positions = inputs.positions(student.network(inputs.values).logits, torch.arange(ROWS))
    both = (positions.weight > 0) & recorded.values.isfinite().all(-1)
    expected = nn.functional.cross_entropy(positions.logits[both], recorded.values[both].argmax(-1))
    assert terms.total.item() == pytest.approx(expected.item(), rel=1e-5)


def test_what_is_recorded_of_words_is_nan_exactly_where_the_teacher_did_not_see_one(teacher, recorded, tmp_path):
    assert recorded.values.shape == (10, CLASSES)  # the network's width, whatever its config says
    unseen = recorded.values.isnan().any(-1)
    assert unseen.nonzero().flatten().tolist() == [5, 9]
    first = teacher.network.head(words(TEACHER_CUTS).values[0, 0])
    assert torch.allclose(recorded.of(torch.tensor([0]))[0], first)
    folder, inputs = tmp_path / "outputs", words(TEACHER_CUTS)
    for _ in range(2):  # computed, then read
        kept = result_of(teacher_outputs.record(teacher, inputs, CPU, folder, lambda done: None, "found"))
        assert torch.equal(kept.values.nan_to_num(nan=7.0), recorded.values.nan_to_num(nan=7.0))
        assert torch.equal(kept.offsets, OFFSETS)
    assert np.load(folder / "offsets.npy").tolist() == OFFSETS.tolist()


def test_words_in_another_number_a_row_have_another_fingerprint(teacher):
    inputs = words(TEACHER_CUTS)
    first = teacher_outputs.fingerprint(teacher, inputs)
    assert first == teacher_outputs.fingerprint(teacher, replace(inputs, labels=LABELS.flip(0)))
    assert first != teacher_outputs.fingerprint(
        teacher, replace(inputs, offsets=OFFSETS.clone().index_fill(0, torch.tensor(1), 1))
    )


def test_the_fingerprint_covers_rows_that_are_made_of_others(teacher):
    @dataclass(frozen=True)
    class Wrapped:
        text: Words

    inputs = words(TEACHER_CUTS)
    first = teacher_outputs.fingerprint(teacher, Wrapped(inputs))
    assert first != teacher_outputs.fingerprint(teacher, Wrapped(replace(inputs, values=inputs.values + 1)))
    assert not transfer_set.same_reading(Wrapped(inputs), Wrapped(replace(inputs, values=inputs.values + 1)))


def test_a_whole_fit_on_words_learns_and_keeps_its_best_weights(student, teacher, recorded):
    best = BestWeights()
    said = list(fit(of_words(student, recorded, steps=60, batch_size=2, learning_rate=0.1), CPU, best))
    reached = [
        event.values["accuracy"] for event in said if isinstance(event, events.Metrics) and "accuracy" in event.values
    ]
    assert best.value == max(reached) > reached[0]
    assert all(weight.isfinite().all() for weight in student.network.parameters())


def test_an_answer_to_words_that_is_no_number_is_told_from_a_word_that_was_not_seen(student, recorded):
    def spoil(student_outputs, teacher_outputs, labels, progress):
        with torch.no_grad():
            student.network.head.bias.fill_(math.nan)
        return objective.Terms(student_outputs.logits.sum() * 0, {})

    with pytest.raises(DivergedError, match="not a number"):
        list(fit(of_words(student, recorded, objective=spoil, steps=12), CPU, BestWeights()))


def test_words_are_fused_from_the_teachers_that_saw_them(teacher, recorded):
    other = result_of(teacher_outputs.logits(Model(Reader(3), None), words(STUDENT_CUTS), CPU, lambda done: None))
    for fusion in ("average", "confidence"):
        fused = transfer_set.fuse([recorded, other], fusion, TASK).values
        assert torch.allclose(fused[5], other.values[5])  # the first teacher did not see it
        assert torch.allclose(fused[3], recorded.values[3])  # the second one did not
        assert fused.isfinite().all()
    mean = transfer_set.fuse([recorded, other], "average", TASK).values
    assert torch.allclose(mean[0], (recorded.values[0] + other.values[0]) / 2)
    assert transfer_set.fuse([recorded, recorded], "average", TASK).values[5].isnan().all()


def test_a_row_is_labelled_where_one_of_its_words_is():
    labels = torch.tensor([0, 1, UNLABELLED, UNLABELLED, UNLABELLED, 1, 0, 2, 2, 0])
    assert transfer_set.labelled(replace(words(STUDENT_CUTS), labels=labels), TASK).tolist() == [0, 2, 3, 5]


def test_positions_that_nobody_can_miss_are_handed_on_as_they_are():
    logits, labels = torch.randn(4, CLASSES), torch.arange(4)
    outputs, answers = Outputs(logits), Outputs(torch.randn(4, CLASSES))
    student, teacher, kept = seen(outputs, answers, Positions(logits, labels, torch.arange(4)))
    assert student is outputs
    assert teacher is answers
    assert kept is labels
    assert objective.seen_by_both(student, teacher, labels) == (outputs, answers, labels)


def test_positions_are_in_the_order_of_the_rows_that_are_asked_for():
    logits = PositionLogits.arranged(torch.arange(10.0).unsqueeze(1), OFFSETS)
    assert logits.of(torch.tensor([5, 4, 1])).flatten().tolist() == [8.0, 9.0, 2.0, 3.0]
    twice = logits.join(logits)
    assert twice.of(torch.tensor([6, 0])).flatten().tolist() == [0.0, 1.0, 0.0, 1.0]
    assert not is_one_per_row(torch.tensor([0, 2, 2]))  # as many positions as rows


def test_a_row_task_learns_from_positions_what_it_learned_from_rows():
    logits = torch.randn(5, CLASSES)
    row_logits = PositionLogits.per_row(logits)
    rows = torch.tensor([4, 0, 2])
    assert row_logits.one_per_row
    assert torch.equal(row_logits.of(rows), logits[rows])
    found = soft_target_loss(row_logits.of(rows), logits[rows], 2.0)
    assert found.item() == 0
