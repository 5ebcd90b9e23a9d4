"""Which losses a step adds up: terms as data, schedules, projectors, and what is refused."""

import math

import pytest
import torch
from torch import nn
from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification, BertConfig, ResNetConfig

from studio import tasks
from studio.config.methods import LOSSES, METHODS
from studio.config.reading import parse_config
from studio.distill import objective
from studio.distill.losses import logit_mse_loss, soft_target_loss
from studio.distill.objective import Distillation
from studio.errors import ModelError
from studio.models import features
from studio.models.features import Outputs
from studio.tasks.labels import label_loss

LABELS = torch.arange(8)
READ_OF_EACH = {"student_logits", "teacher_logits", "labels", "temperature"}
OF_EACH_POSITION = [
    name
    for name in LOSSES
    if "temperature" in objective.reads(name) and objective.reads(name) <= READ_OF_EACH and name != "dist"
]
"""Losses on logits at a temperature that are the mean over the positions; `dist` compares positions, too."""


def config(**values):
    names = {"dataset": "d", "teacher": "builtin/mlp-64", "student": "builtin/mlp-16", "terms": "soft_target"}
    return parse_config({**names, **values})


TASK, TAGGING = tasks.get("text-classification"), tasks.get("text-classification", multi_label=True)


def distillation(example=None, aligned=True, task=TASK, **values) -> Distillation:
    return Distillation(config(**values), task, example, aligned)


@pytest.fixture
def answers() -> tuple[Outputs, Outputs]:
    generator = torch.Generator().manual_seed(0)
    return Outputs(torch.randn(8, 10, generator=generator)), Outputs(3 * torch.randn(8, 10, generator=generator))


def bert(layers: int = 2, width: int = 32, heads: int = 4) -> nn.Module:
    torch.manual_seed(layers + width)
    sizes = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": 64}
    return AutoModelForSequenceClassification.from_config(BertConfig(vocab_size=50, **sizes)).eval()


def resnet(sizes: tuple[int, ...]) -> nn.Module:
    torch.manual_seed(sum(sizes))
    made = ResNetConfig(
        num_channels=1, embedding_size=8, hidden_sizes=sizes, depths=[1] * len(sizes), layer_type="basic"
    )
    return AutoModelForImageClassification.from_config(made).eval()


IDS = torch.randint(5, 50, (4, 6), generator=torch.Generator().manual_seed(0))
TEXTS = {"input_ids": IDS, "attention_mask": torch.tensor([[1] * 6, [1] * 4 + [0] * 2, [1] * 6, [1, 1] + [0] * 4])}
IMAGES = {"pixel_values": torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))}


def read(network: nn.Module, batch: dict[str, torch.Tensor]) -> Outputs:
    with torch.no_grad():
        return features.read(network, batch, deep=True)


@pytest.mark.parametrize("name", LOSSES)
def test_every_entry_has_its_function_and_tells_when_to_take_it(name):
    assert callable(objective.function(name))
    assert LOSSES[name].when.endswith(".")
    assert LOSSES[name].paper


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_a_valid_config(name):
    config(**METHODS[name].values)


def test_the_total_is_alpha_times_the_weighted_terms_plus_the_labels_share(answers):
    student, teacher = answers
    terms = distillation(alpha=0.3, terms="soft_target:2, logit_mse:0.5")(student, teacher, LABELS)
    soft = soft_target_loss(student.logits, teacher.logits, 4.0)
    mse = logit_mse_loss(student.logits, teacher.logits)
    label = label_loss(student.logits, LABELS)
    assert terms.total.item() == pytest.approx((0.3 * (2 * soft + 0.5 * mse) + 0.7 * label).item())
    assert set(terms.parts) == {"soft_target_loss", "logit_mse_loss", "label_loss"}


@pytest.mark.parametrize(("alpha", "corrects"), [(1.0, False), (0.9, True)])
def test_labels_that_weigh_nothing_are_told_and_cost_no_way_back(answers, alpha, corrects):
    student, teacher = answers
    student.logits.requires_grad_()
    terms = distillation(alpha=alpha)(student, teacher, LABELS)
    assert terms.parts["label_loss"].requires_grad == corrects
    assert terms.parts["label_loss"].item() == pytest.approx(label_loss(student.logits, LABELS).item())
    (found,) = torch.autograd.grad(terms.total, student.logits)
    wanted = alpha * soft_target_loss(student.logits, teacher.logits, 4.0)
    wanted = wanted + (1 - alpha) * label_loss(student.logits, LABELS)
    torch.testing.assert_close(found, *torch.autograd.grad(wanted, student.logits))


def test_t_squared_does_not_vanish_when_alpha_is_zero_from_the_part_that_the_curve_shows(answers):
    student, teacher = answers
    shown = distillation(alpha=0.0, temperature=4.0)(student, teacher, LABELS).parts["soft_target_loss"]
    assert shown.item() == pytest.approx(soft_target_loss(student.logits, teacher.logits, 4.0).item())


def test_dkd_grows_to_its_weight_over_the_first_twelfth_of_the_training(answers):
    student, teacher = answers
    term = distillation(alpha=1.0, terms="dkd")
    totals = [term(student, teacher, LABELS, progress).total.item() for progress in (0.0, 1 / 24, 1 / 12, 1.0)]
    assert totals == pytest.approx([0.0, totals[3] / 2, totals[3], totals[3]])


def test_alpha_and_temperature_move_on_their_schedules(answers):
    student, teacher = answers
    moving = distillation(
        alpha=0.9,
        alpha_schedule="linear",
        alpha_end=0.1,
        temperature=8,
        temperature_schedule="cosine",
        temperature_end=2,
    )
    found = moving(student, teacher, LABELS, 0.25)
    temperature = 2 + 6 * (1 + math.cos(math.pi / 4)) / 2
    soft = soft_target_loss(student.logits, teacher.logits, temperature)
    label = label_loss(student.logits, LABELS)
    assert found.total.item() == pytest.approx((0.7 * soft + 0.3 * label).item(), rel=1e-5)


def test_schedules_begin_and_end_where_they_should():
    for shape in ("linear", "cosine"):
        assert objective.scheduled(shape, 8.0, 2.0, 0.0) == 8.0
        assert objective.scheduled(shape, 8.0, 2.0, 1.0) == pytest.approx(2.0)


def test_a_temperature_per_example_is_one_for_a_teacher_that_cannot_decide_and_full_for_one_that_is_sure():
    classes, labels = [[0.0, 0.0, 0.0], [100.0, 0.0, 0.0]], [[0.0, 0.0, 0.0], [100.0, -100.0, -100.0]]
    for logits, task in ((classes, TASK), (labels, TAGGING)):
        term = distillation(task=task, temperature=6.0, temperature_per_sample=True)
        assert term._temperature(torch.tensor(logits), 0.0).flatten().tolist() == pytest.approx([1.0, 6.0])


@pytest.mark.parametrize("name", OF_EACH_POSITION)
def test_a_temperature_of_its_own_counts_for_its_position_alone(name, answers):
    student, teacher = (answer.logits for answer in answers)
    temperature = torch.linspace(1.0, 8.0, len(LABELS))[:, None]
    loss = objective.function(name)

    def found(rows: torch.Tensor) -> torch.Tensor:
        given = {"student_logits": student, "teacher_logits": teacher, "labels": LABELS, "temperature": temperature}
        return loss(**{value: given[value][rows] for value in objective.reads(name)})

    alone = torch.stack([found(row) for row in torch.arange(len(LABELS)).split(1)])
    assert found(torch.arange(len(LABELS))).item() == pytest.approx(alone.mean().item(), rel=1e-4)


def test_hard_labels_are_the_teachers_first_choices_for_labelled_and_unlabelled_rows_alike(answers):
    student, teacher = answers
    found = objective.hard_labels(TASK)(student, teacher, torch.full((8,), -1), 0.0).total
    expected = nn.functional.cross_entropy(student.logits, teacher.logits.argmax(-1))
    assert found.item() == pytest.approx(expected.item())


@pytest.mark.parametrize("terms", ["hint", "hidden_cosine", "attention_distribution, value_relation", "rkd_angle"])
def test_a_narrow_shallow_transformer_learns_from_a_wide_deep_one(terms):
    student, teacher = bert(2, 16, 2), bert(4, 32, 4)
    example = (read(student, TEXTS), read(teacher, TEXTS))
    term = distillation(example, terms=terms, alpha=1.0)
    found = term(features.read(student, TEXTS, deep=True), example[1], torch.zeros(4, dtype=torch.long))
    found.total.backward()
    assert found.total.item() > 0
    assert any(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in student.bert.encoder.parameters())


@pytest.mark.parametrize("terms", ["hint", "hidden_cosine", "attention_transfer", "rkd_distance", "similarity"])
def test_a_small_convolution_learns_from_a_large_one(terms):
    student, teacher = resnet((8, 16)), resnet((16, 32, 64))
    example = (read(student, IMAGES), read(teacher, IMAGES))
    term = distillation(example, terms=terms, alpha=1.0)
    found = term(features.read(student, IMAGES, deep=True), example[1], torch.zeros(4, dtype=torch.long))
    found.total.backward()
    assert found.total.item() > 0
    assert any(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in student.resnet.parameters())


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.kind != "response"])
def test_a_student_that_is_its_teacher_has_nothing_to_learn_from_features(name):
    answered = read(bert(), TEXTS)
    term = distillation((answered, answered), terms=name, alpha=1.0)
    assert term(answered, answered, torch.zeros(4, dtype=torch.long)).total.item() == pytest.approx(0, abs=1e-3)


def test_projectors_are_learned_only_where_widths_differ():
    narrow, wide = read(bert(2, 16, 2), TEXTS), read(bert(2, 32, 4), TEXTS)
    assert list(distillation((narrow, wide), terms="hint").parameters())
    assert not list(distillation((wide, wide), terms="hint").parameters())
    assert not list(distillation().parameters())


def test_layers_are_paired_evenly_and_the_last_with_the_last():
    shallow, deep = read(bert(2), TEXTS), read(bert(6), TEXTS)
    assert distillation((shallow, deep), terms="hint").pairs == [(0, 2), (1, 5)]
    assert distillation((deep, shallow), terms="hint").pairs == [(2, 0), (5, 1)]


def test_the_attention_that_is_compared_is_the_one_that_the_layer_computes():
    network = bert()
    network.set_attn_implementation("eager")
    theirs = network(**TEXTS, output_attentions=True).attentions[-1]
    assert torch.allclose(read(network, TEXTS).attention, theirs, atol=1e-6)


def test_texts_that_are_cut_differently_are_compared_as_wholes_and_words_are_refused():
    student, teacher = read(bert(2, 16, 2), TEXTS), read(bert(), {key: value[:, :5] for key, value in TEXTS.items()})
    found = distillation((student, teacher), False, terms="hint, rkd_angle")
    assert found(student, teacher, torch.zeros(4, dtype=torch.long)).total.item() > 0
    with pytest.raises(ModelError, match="cut texts differently"):
        distillation((student, teacher), False, terms="value_relation")


def test_attention_of_a_convolution_is_refused_with_the_reason():
    answered = read(resnet((8, 16)), IMAGES)
    with pytest.raises(ModelError, match="the student has none"):
        distillation((answered, answered), terms="attention_distribution")


def test_losses_on_features_without_an_example_are_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="example"):
        distillation(terms="hint")
