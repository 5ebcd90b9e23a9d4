"""Losses on logits against their definitions in plain Python: loops and `math`, no tensors."""

import math

import pytest
import torch

from studio.config.run import UNLABELLED
from studio.distill import losses
from studio.distill.losses import dist_loss, dkd_loss, logit_mse_loss, soft_target_loss, standardized_soft_target_loss
from tests.distill.test_losses import softmax


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    student = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    return student, 2 * torch.randn(6, 5, generator=generator, dtype=torch.float64)


LABELS = torch.tensor([0, 1, UNLABELLED, 3, 4, 2])


def kl(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def pearson(first: list[float], second: list[float]) -> float:
    a, b = sum(first) / len(first), sum(second) / len(second)
    covariance = sum((x - a) * (y - b) for x, y in zip(first, second, strict=True))
    return covariance / math.sqrt(sum((x - a) ** 2 for x in first) * sum((y - b) ** 2 for y in second))


def defined_dkd(student, teacher, labels, temperature) -> float:
    total = 0.0
    for s, t, label in zip(student, teacher, labels, strict=True):
        right = t.index(max(t)) if label == UNLABELLED else label
        p, q = softmax(t, temperature), softmax(s, temperature)
        target = kl([p[right], 1 - p[right]], [q[right], 1 - q[right]])
        others = [[shares[c] / (1 - shares[right]) for c in range(len(p)) if c != right] for shares in (p, q)]
        total += target + 8 * kl(others[0], others[1])
    return temperature**2 * total / len(student)


def defined_dist(student, teacher, temperature) -> float:
    p = [softmax(row, temperature) for row in teacher]
    q = [softmax(row, temperature) for row in student]
    between = sum(1 - pearson(a, b) for a, b in zip(p, q, strict=True)) / len(p)
    columns = [list(map(list, zip(*rows, strict=True))) for rows in (p, q)]
    within = sum(1 - pearson(a, b) for a, b in zip(*columns, strict=True)) / len(columns[0])
    return temperature**2 * (between + within)


def standardized(row: list[float]) -> list[float]:
    mean = sum(row) / len(row)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in row) / (len(row) - 1))
    return [(value - mean) / (deviation + 1e-7) for value in row]


def test_the_squared_difference_of_logits_equals_its_definition(logits):
    student, teacher = (values.tolist() for values in logits)
    squares = [(s - t) ** 2 for a, b in zip(student, teacher, strict=True) for s, t in zip(a, b, strict=True)]
    assert logit_mse_loss(*logits).item() == pytest.approx(sum(squares) / len(squares))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_decoupled_distillation_equals_its_definition(logits, temperature):
    student, teacher = logits
    expected = defined_dkd(student.tolist(), teacher.tolist(), LABELS.tolist(), temperature)
    assert dkd_loss(student, teacher, LABELS, temperature).item() == pytest.approx(expected)


def test_with_weights_as_in_equation_5_the_two_parts_of_dkd_are_the_plain_kl(logits, monkeypatch):
    """Zhao et al. (2022): KL = TCKD + (1 - p_right) · NCKD; so with beta = 1 - p, equal for all rows, DKD is KD."""
    student, teacher = logits
    right = torch.full((1,), 2)
    p = teacher[:1].softmax(-1)[0, 2].item()
    monkeypatch.setattr(losses, "DKD_BETA", 1 - p)
    expected = soft_target_loss(student[:1], teacher[:1], 1.0)
    assert dkd_loss(student[:1], teacher[:1], right, 1.0).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_dist_equals_its_definition(logits, temperature):
    student, teacher = logits
    expected = defined_dist(student.tolist(), teacher.tolist(), temperature)
    assert dist_loss(student, teacher, temperature).item() == pytest.approx(expected)


def test_the_standardized_soft_target_loss_equals_its_definition(logits):
    student, teacher = ([standardized(row) for row in values.tolist()] for values in logits)
    rows = [kl(softmax(t, 2.0), softmax(s, 2.0)) for s, t in zip(student, teacher, strict=True)]
    expected = 4 * sum(rows) / len(rows)
    assert standardized_soft_target_loss(*logits, 2.0).item() == pytest.approx(expected)


def test_scale_and_shift_of_a_row_make_no_difference_to_standardized_logits(logits):
    student, teacher = logits
    before = standardized_soft_target_loss(student, teacher, 3.0)
    after = standardized_soft_target_loss(5 * student - 2, 0.1 * teacher + 9, 3.0)
    assert after.item() == pytest.approx(before.item(), rel=1e-5)


def test_a_shift_of_a_row_makes_no_difference_to_dkd_and_dist(logits):
    student, teacher = logits
    for loss in (lambda s, t: dkd_loss(s, t, LABELS, 2.0), lambda s, t: dist_loss(s, t, 2.0)):
        assert loss(student + 3, teacher - 4).item() == pytest.approx(loss(student, teacher).item())


RESPONSE = {
    "soft_target": lambda s, t: soft_target_loss(s, t, 3.0),
    "logit_mse": logit_mse_loss,
    "dkd": lambda s, t: dkd_loss(s, t, LABELS, 3.0),
    "dist": lambda s, t: dist_loss(s, t, 3.0),
    "standardized_soft_target": lambda s, t: standardized_soft_target_loss(s, t, 3.0),
}


@pytest.mark.parametrize("name", RESPONSE)
def test_the_gradient_is_the_one_that_finite_differences_give(name, logits):
    student, teacher = logits
    start = student.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: RESPONSE[name](x, teacher), (start,))


@pytest.mark.parametrize("name", RESPONSE)
def test_a_student_that_agrees_with_its_teacher_has_no_loss(name, logits):
    assert RESPONSE[name](logits[1], logits[1]).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", RESPONSE)
def test_a_step_against_the_gradient_brings_the_student_nearer(name, logits):
    student, teacher = logits
    start = student.clone().requires_grad_()
    first = RESPONSE[name](start, teacher)
    first.backward()
    assert start.grad is not None
    assert RESPONSE[name](start.detach() - 1e-3 * start.grad / start.grad.norm(), teacher) < first


@pytest.mark.parametrize("name", ["soft_target", "dkd", "dist"])
def test_a_temperature_for_every_row_that_is_the_same_for_all_is_that_temperature(name, logits):
    student, teacher = logits
    function = getattr(losses, f"{name}_loss")
    labels = (LABELS,) if name == "dkd" else ()
    whole, each = function(student, teacher, *labels, 3.0), function(student, teacher, *labels, torch.full((6, 1), 3.0))
    assert whole.item() == pytest.approx(each.item())


def test_with_temperatures_of_their_own_rows_add_up_to_the_mean_of_their_losses(logits):
    student, teacher = logits
    temperatures = torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]], dtype=torch.float64)
    each = [soft_target_loss(student[[n]], teacher[[n]], float(temperatures[n])) for n in range(6)]
    whole = soft_target_loss(student, teacher, temperatures)
    assert whole.item() == pytest.approx(sum(part.item() for part in each) / 6)


def test_probabilities_in_the_place_of_logits_give_another_number(logits):
    """The trap: a softmax too many. At a temperature of 1 the loss would nearly vanish."""
    student, teacher = logits
    trap = soft_target_loss(student.softmax(-1), teacher.softmax(-1), 1.0)
    assert soft_target_loss(student, teacher, 1.0).item() > 5 * trap.item()


def test_probabilities_in_the_place_of_log_probabilities_would_be_negative_and_are_not_what_is_computed(logits):
    student, teacher = logits
    p, q = (teacher / 4).softmax(-1), (student / 4).softmax(-1)
    trap = torch.nn.functional.kl_div(q, p, reduction="batchmean") * 16
    assert trap < 0 < soft_target_loss(student, teacher, 4.0)
