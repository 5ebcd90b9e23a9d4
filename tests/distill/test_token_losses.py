"""Losses over a vocabulary: their definitions, in parts as in one, and with the likeliest tokens alone."""

import importlib
import importlib.util

import pytest
import torch
import torch.nn.functional as F

from studio import tasks
from studio.distill import losses, objective, top_answers
from studio.distill.objective import of_one_width
from studio.models.features import Outputs

generator = torch.Generator().manual_seed(1)
STUDENT, TEACHER = (scale * torch.randn(40, 30, generator=generator) for scale in (1, 2))
DEFINED = {
    "token_soft_target": lambda p, q: p * (p / q).log(),
    "reverse_kl": lambda p, q: q * (q / p).log(),
    "jensen_shannon": lambda p, q: (p * (2 * p / (p + q)).log() + q * (2 * q / (p + q)).log()) / 2,
    "skewed_kl": lambda p, q: p * (p / (0.1 * p + 0.9 * q)).log(),
    "total_variation": lambda p, q: (p - q).abs() / 2,
}


def softened(logits, temperature):
    return (logits.double() / temperature).softmax(-1)


@pytest.mark.parametrize("name", DEFINED)
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_each_is_its_definition(name, temperature):
    wanted = DEFINED[name](softened(TEACHER, temperature), softened(STUDENT, temperature)).sum(-1).mean()
    found = getattr(losses, f"{name}_loss")(STUDENT, TEACHER, temperature)
    assert found.item() == pytest.approx(float(wanted) * temperature**2, rel=1e-5)


@pytest.mark.parametrize("name", DEFINED)
def test_in_parts_values_and_gradients_are_the_same(name, monkeypatch):
    def of(size):
        monkeypatch.setattr(losses, "AT_ONCE", size)
        logits = STUDENT.clone().requires_grad_()
        value = getattr(losses, f"{name}_loss")(logits, TEACHER, torch.full((40, 1), 2.0))
        value.backward()
        return value.detach(), logits.grad

    whole, parts = of(10**6), of(7 * 30)
    torch.testing.assert_close(whole, parts)


def test_what_the_teacher_never_says_does_not_count_and_leaves_gradients_numbers():
    teacher = TEACHER.clone()
    teacher[:, :3] = -torch.inf
    student = STUDENT.clone().requires_grad_()
    losses.token_soft_target_loss(student, teacher, 1.0).backward()
    p, q = teacher.softmax(-1)[:, 3:], STUDENT.log_softmax(-1)[:, 3:]
    value = losses.token_soft_target_loss(STUDENT, teacher, 1.0)
    torch.testing.assert_close(value, (p * (p.log() - q)).sum(-1).mean())
    torch.testing.assert_close(student.grad, (STUDENT.softmax(-1) - teacher.softmax(-1)) / len(STUDENT))


def test_at_a_temperature_of_1_no_logits_are_copied():
    assert losses._softened(STUDENT, 1.0) is STUDENT
    torch.testing.assert_close(losses._softened(STUDENT, torch.ones(40, 1)), STUDENT)


def kept(logits, temperature, count):
    values, index, counts, tail = top_answers.keep(logits, temperature, count)
    ends = torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)])
    answers = top_answers.TopAnswers(values, index, tail, ends, torch.tensor([0, len(tail)]))
    return answers.of(torch.zeros(1, dtype=torch.long))


def top_k(student, answer, temperature=1.0):
    return losses.top_k_soft_target_loss(student, *answer, temperature)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_with_a_tail_it_is_the_kl_over_the_kept_tokens_and_one_for_all_others(temperature):
    answer = kept(TEACHER, temperature, 5)
    p, q = softened(TEACHER, temperature), softened(STUDENT, temperature)
    inside = torch.zeros_like(p, dtype=torch.bool).scatter(-1, p.topk(5).indices, True)
    rest_p, rest_q = ((values * ~inside).sum(-1) for values in (p, q))
    wanted = (p * (p / q).log() * inside).sum(-1) + rest_p * (rest_p / rest_q).log()
    assert top_k(STUDENT, answer, temperature).item() == pytest.approx(float(wanted.mean()) * temperature**2, rel=1e-4)


def test_positions_of_which_more_or_fewer_tokens_were_kept_count_alike():
    answer = kept(TEACHER * 2, 1.0, None)
    counts = answer.ends.diff().tolist()
    assert len(set(counts)) > 5
    student = STUDENT.clone().requires_grad_()
    value = top_k(student, answer)
    alone = [top_k(STUDENT[place : place + 1], kept(TEACHER[place : place + 1] * 2, 1.0, counts[place])).item()
             for place in range(len(counts))]  # fmt: skip
    assert value.item() == pytest.approx(sum(alone) / len(alone), rel=1e-4)
    value.backward()
    p, q = softened(TEACHER * 2, 1.0), softened(STUDENT, 1.0)
    inside = torch.arange(30) < torch.tensor(counts).unsqueeze(1)
    inside = torch.zeros_like(inside).scatter(-1, TEACHER.argsort(-1, descending=True), inside)
    torch.testing.assert_close(student.grad[inside], ((q - p) / 40)[inside].float(), atol=1e-4, rtol=1e-2)


def test_the_teachers_choice_is_the_likeliest_token_of_each_position():
    answer = kept(TEACHER * 2, 1.0, None)
    teacher = Outputs(answer.values, index=answer.tokens, ends=answer.ends, tail=answer.tail)
    task = tasks.get("language-model")
    labels = torch.zeros(len(TEACHER), dtype=torch.long)
    found = objective.hard_labels(task)(Outputs(STUDENT), teacher, labels, 0.0)
    assert found.total.item() == pytest.approx(F.cross_entropy(STUDENT, TEACHER.argmax(-1)).item())


def test_with_a_tail_it_is_0_for_equal_answers_and_never_above_the_whole_kl():
    assert top_k(TEACHER, kept(TEACHER, 1.0, 5)).item() == pytest.approx(0, abs=1e-5)
    whole = losses.token_soft_target_loss(STUDENT, TEACHER, 1.0).item()
    assert 0 < top_k(STUDENT, kept(TEACHER, 1.0, 5)).item() < whole
    assert top_k(STUDENT, kept(TEACHER, 1.0, 29)).item() == pytest.approx(whole, rel=1e-4)


def test_with_every_token_kept_value_and_gradient_are_those_of_the_whole_kl():
    def gradient(loss):
        logits = STUDENT.clone().requires_grad_()
        loss(logits).backward()
        return logits.grad

    ours = gradient(lambda logits: top_k(logits, kept(TEACHER, 1.0, 30)))
    torch.testing.assert_close(
        ours, gradient(lambda logits: losses.token_soft_target_loss(logits, TEACHER, 1.0)), atol=1e-5, rtol=1e-3
    )


@pytest.mark.parametrize("name", ["top_k_soft_target", "top_k_renormalized_top_k"])
def test_of_many_logits_value_and_gradient_of_the_kept_ones_are_the_same(name, monkeypatch):
    values, index, ends, tail = kept(TEACHER, 1.0, None)
    assert len(set(ends.diff().tolist())) > 1

    def of(size):
        monkeypatch.setattr(losses, "AT_ONCE", size)
        logits = STUDENT.clone().requires_grad_()
        rest = {"teacher_tail": tail} if name == "top_k_soft_target" else {}
        value = getattr(losses, f"{name}_loss")(logits, values, index, ends, temperature=1.0, **rest)
        value.backward()
        return value.detach(), logits.grad

    torch.testing.assert_close(of(10**6), of(0))


def test_renormalized_the_student_is_taught_that_the_others_never_come():
    answer = kept(TEACHER, 1.0, 5)
    logits = TEACHER.clone().requires_grad_()
    losses.top_k_renormalized_top_k_loss(logits, answer.values, answer.tokens, answer.ends, 1.0).backward()
    inside = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, answer.tokens.view(40, 5), True)
    assert (logits.grad[~inside] > 0).all()  # the teacher's own logits would be changed, although they are right
    whole = losses.renormalized_top_k_loss(STUDENT, TEACHER, 2.0)
    assert torch.equal(whole, losses.soft_target_loss(STUDENT, TEACHER, 2.0))


def test_as_many_tokens_are_kept_as_hold_nearly_all():
    sure, unsure = torch.tensor([9.0, 1, 0, 0, -3, -3]), torch.zeros(6)
    answer = kept(torch.stack([sure, unsure]), 1.0, None)
    assert answer.ends.diff().tolist() == [1, 6]
    assert answer.values[0].exp() + answer.tail[0].exp() == pytest.approx(1)


def test_a_vocabulary_that_is_filled_up_is_cut_to_the_shorter():
    filled = torch.cat([TEACHER, torch.full((40, 6), -20.0)], dim=1)
    student, teacher = of_one_width(Outputs(STUDENT), Outputs(filled))
    assert torch.equal(teacher.logits, TEACHER)
    student, teacher = of_one_width(Outputs(torch.cat([STUDENT, STUDENT], 1)), Outputs(TEACHER))
    assert torch.equal(student.logits, STUDENT)
    answer = kept(filled.flip(-1), 1.0, 36)
    outputs = Outputs(answer.values, index=answer.tokens, ends=answer.ends, tail=answer.tail)
    _, cut = of_one_width(Outputs(STUDENT), outputs)
    assert int(cut.index.max()) < 30
    assert (cut.ends.diff() == 30).all()
    assert torch.equal(cut.logits, answer.values[answer.tokens < 30])


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_with_a_tail_it_is_that_of_distillkit_which_spreads_what_is_missing_evenly_in_both(temperature):
    """`sparse_kl_div` with SYMMETRIC_UNIFORM, times T² a position; recomputed, since it needs a GPU's libraries."""
    answer = kept(TEACHER, temperature, 5)
    p, q = softened(TEACHER, temperature), softened(STUDENT, temperature)
    inside = torch.zeros_like(p, dtype=torch.bool).scatter(-1, answer.tokens.view(40, 5), True)
    even_p, even_q = (torch.where(inside, one, (one * ~inside).sum(-1, keepdim=True) / 25) for one in (p, q))
    wanted = (even_p * (even_p / even_q).log()).sum(-1).mean() * temperature**2
    assert top_k(STUDENT, answer, temperature).item() == pytest.approx(float(wanted), rel=1e-4)


def trl(module):
    if importlib.util.find_spec("trl") is None:
        pytest.skip("a comparison for developers: make compare")
    return importlib.import_module(f"trl.experimental.{module}")


def test_with_a_tail_it_is_that_of_trl():
    theirs = trl("sdpo.loss_utils")
    answer = kept(TEACHER, 1.0, 5)
    mine, its = (one.log_softmax(-1).gather(-1, answer.tokens.view(40, 5)) for one in (STUDENT, TEACHER))
    found = theirs.compute_divergence(theirs.add_tail_bucket(mine), theirs.add_tail_bucket(its), 0.0).mean()
    assert top_k(STUDENT, answer).item() == pytest.approx(float(found), rel=1e-4)


def test_they_are_those_of_trl():
    theirs = trl("gkd").GKDTrainer.generalized_jsd_loss
    for beta, name in ((0.0, "token_soft_target"), (0.5, "jensen_shannon"), (1.0, "reverse_kl")):
        found = theirs(STUDENT.unsqueeze(0), TEACHER.unsqueeze(0), beta=beta, reduction="none").sum(-1).mean()
        assert getattr(losses, f"{name}_loss")(STUDENT, TEACHER, 1.0).item() == pytest.approx(float(found), rel=1e-5)
