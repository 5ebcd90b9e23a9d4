"""The losses against their definitions in plain Python, and against the traps that others fell into."""

import math

import pytest
import torch
import torch.nn.functional as F

from studio import tasks
from studio.config.reading import parse_config
from studio.config.run import UNLABELLED
from studio.distill import objective
from studio.distill.losses import soft_target_loss
from studio.models.features import Outputs
from studio.tasks.labels import label_loss


def softmax(values: list[float], temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in values]
    return [power / sum(powers) for power in powers]


def defined_soft_target_loss(student: list[list[float]], teacher: list[list[float]], temperature: float) -> float:
    """T² · mean over rows of sum over classes of p · log(p / q), written out."""
    total = 0.0
    for student_row, teacher_row in zip(student, teacher, strict=True):
        p, q = softmax(teacher_row, temperature), softmax(student_row, temperature)
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return temperature**2 * total / len(student)


def defined_label_loss(student: list[list[float]], labels: list[int]) -> float:
    rows = [
        -math.log(softmax(row, 1)[label]) for row, label in zip(student, labels, strict=True) if label != UNLABELLED
    ]
    return sum(rows) / len(rows)


def whole(temperature: float, alpha: float) -> objective.Distillation:
    """The objective of a run with soft targets alone."""
    names = {"dataset": "d", "teacher": "builtin/mlp-64", "student": "builtin/mlp-16"}
    config = parse_config(names | {"temperature": temperature, "alpha": alpha, "terms": "soft_target"})
    return objective.Distillation(config, tasks.get("text-classification"))


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(8, 10, generator=generator, dtype=torch.float64)
    return student, 3 * torch.randn(8, 10, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0, 20.0])
def test_the_soft_target_loss_equals_its_definition(logits, temperature):
    student, teacher = logits
    expected = defined_soft_target_loss(student.tolist(), teacher.tolist(), temperature)
    assert soft_target_loss(student, teacher, temperature).item() == pytest.approx(expected, abs=1e-9)


def test_in_single_precision_it_still_equals_the_definition_to_a_millionth(logits):
    student, teacher = (tensor.float() for tensor in logits)
    expected = defined_soft_target_loss(student.tolist(), teacher.tolist(), 4.0)
    assert soft_target_loss(student, teacher, 4.0).item() == pytest.approx(expected, rel=1e-6)


def test_the_whole_objective_equals_its_definition(logits):
    student, teacher = logits
    labels = torch.tensor([0, 1, 2, 3, 4, 5, UNLABELLED, 7])
    terms = whole(4.0, 0.3)(Outputs(student), Outputs(teacher), labels)
    soft = defined_soft_target_loss(student.tolist(), teacher.tolist(), 4.0)
    label = defined_label_loss(student.tolist(), labels.tolist())
    assert terms.total.item() == pytest.approx(0.3 * soft + 0.7 * label, abs=1e-9)


def test_the_gradient_is_the_one_that_finite_differences_give(logits):
    student, teacher = logits
    start = student.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: soft_target_loss(x, teacher, 4.0), (start,))


def test_a_student_that_agrees_with_its_teacher_has_no_loss(logits):
    _, teacher = logits
    assert soft_target_loss(teacher, teacher, 4.0).item() == pytest.approx(0, abs=1e-12)


def test_adding_a_constant_to_all_logits_of_a_row_changes_nothing(logits):
    student, teacher = logits
    shifted = soft_target_loss(student + 7, teacher - 3, 4.0)
    assert shifted.item() == pytest.approx(soft_target_loss(student, teacher, 4.0).item(), abs=1e-9)


def test_the_mean_is_over_rows_and_not_over_rows_and_classes(logits):
    student, teacher = logits
    trap = F.kl_div(F.log_softmax(student / 4, -1), F.softmax(teacher / 4, -1), reduction="mean") * 16
    assert soft_target_loss(student, teacher, 4.0).item() == pytest.approx(10 * trap.item())


def test_the_gradient_keeps_its_size_when_the_temperature_rises(logits):
    """Hinton, Vinyals & Dean (2015), section 2: without T² it would shrink as 1/T²."""
    sizes = []
    for temperature in (50.0, 100.0):
        student = logits[0].clone().requires_grad_()
        soft_target_loss(student, logits[1], temperature).backward()
        sizes.append(student.grad.norm().item())
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1)


def test_teacher_and_student_are_not_swapped(logits):
    student, teacher = logits
    swapped = soft_target_loss(teacher, student, 2.0)
    assert soft_target_loss(student, teacher, 2.0).item() != pytest.approx(swapped.item(), rel=1e-3)


def test_the_loss_is_never_negative(logits):
    student, teacher = logits
    for temperature in (0.5, 1.0, 5.0):
        assert soft_target_loss(student, teacher, temperature).item() > 0
    assert label_loss(student, torch.arange(8)).item() > 0


def test_rows_without_a_label_do_not_count_in_the_label_loss(logits):
    student, _ = logits
    labels = torch.tensor([1, UNLABELLED, 2, UNLABELLED, UNLABELLED, UNLABELLED, UNLABELLED, UNLABELLED])
    expected = F.cross_entropy(student[[0, 2]], torch.tensor([1, 2]))
    assert label_loss(student, labels).item() == pytest.approx(expected.item())


def test_a_batch_without_any_label_has_no_label_loss_and_no_nan(logits):
    assert label_loss(logits[0], torch.full((8,), UNLABELLED)).item() == 0.0


def test_at_alpha_one_only_the_teacher_counts_and_at_alpha_zero_only_the_labels(logits):
    student, teacher = logits
    labels = torch.arange(8)
    only_teacher = whole(4.0, 1.0)(Outputs(student), Outputs(teacher), labels)
    only_labels = whole(4.0, 0.0)(Outputs(student), Outputs(teacher), labels)
    assert only_teacher.total.item() == soft_target_loss(student, teacher, 4.0).item()
    assert only_labels.total.item() == F.cross_entropy(student, labels).item()


def test_distilling_without_the_teachers_logits_is_refused(logits):
    with pytest.raises(ValueError, match="teacher"):
        whole(4.0, 0.5)(Outputs(logits[0]), None, torch.arange(8))
