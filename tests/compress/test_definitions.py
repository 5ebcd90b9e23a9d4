"""What each step takes away and what it keeps, in numbers, at shares where more and less are not the same."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from studio.compress import structured
from studio.compress.low_rank import factorize
from studio.compress.quantized import round_while_learning
from studio.compress.sample import Sample
from studio.compress.sparse import sparsify
from studio.compress.structured import prune
from studio.config.plan import Factorize, Prune, Sparsify
from studio.models import compact, constraints
from tests.compress.test_compress import logits, make


def with_random_biases(model):
    """Fresh models have biases of zero, and no bias can be told from another one."""
    torch.manual_seed(7)
    with torch.no_grad():
        for name, weight in model.network.named_parameters():
            if name.endswith("bias"):
                weight.normal_(std=0.1)
    return model


@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize(("name", "unit"), [("bert", "neurons"), ("bert", "heads"), ("mlp", "channels")])
def test_a_quarter_is_taken_away_and_three_quarters_stay(name, unit, scope):
    model, sample = make(name)
    smaller = prune(model, Prune(ratio=0.25, units=(unit,), scope=scope), sample)
    before, after = (
        sorted(group.units for group in structured.find(network, unit, sample))
        for network in (model.network, smaller.network)
    )
    assert sum(after) == 0.75 * sum(before)
    if scope == "local":
        assert after == [0.75 * units for units in before]


def test_a_quarter_of_the_layers_is_taken_away_and_three_quarters_stay():
    model, sample = make("bert")
    assert len(prune(model, Prune(ratio=0.25, units=("layers",)), sample).network.bert.encoder.layer) == 3


def test_the_weakest_units_go_from_each_layer():
    scores = [torch.tensor([4.0, 1.0, 3.0, 2.0]), torch.tensor([10.0, 20.0, 30.0, 5.0])]
    assert structured._weakest(scores, 0.25, "local") == [[1], [3]]
    assert structured._weakest(scores, 0.75, "local") == [[1, 3, 2], [3, 0, 1]]


def test_globally_a_layer_of_large_weights_is_judged_by_its_own_mean():
    small = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert structured._weakest([small, 100 * small], 0.5, "global") == [[0, 1], [0, 1]]


def test_globally_the_best_unit_of_each_layer_stays_however_weak_it_is():
    even, uneven = torch.tensor([1.0, 1.0]), torch.tensor([1.0, 1000.0])
    assert structured._weakest([even, uneven], 0.75, "global") == [[1], [0]]


def test_taylor_counts_what_helps_and_what_harms_alike():
    model, sample = make("bert")
    groups = structured.find(model.network, "neurons", sample)
    for score in structured.importance(model.network, groups, "taylor", sample):
        assert (score > 0).all()


def test_activation_is_what_a_unit_says_times_the_weights_that_read_it():
    model, whole = make("bert")
    sample = Sample(whole.task, whole.inputs, torch.arange(32), whole.labels[:32])
    group = structured.find(model.network, "neurons", sample)[1]
    said = []
    handle = group.heard.register_forward_hook(lambda _, inputs, __: said.append(inputs[0].detach()))
    with torch.no_grad():
        model.network(**sample.inputs.batch(sample.rows))
    handle.remove()
    strength = said[0].flatten(0, 1).pow(2).mean(0).sqrt()
    expected = strength * group.heard.weight.detach().norm(dim=0)
    found = structured.importance(model.network, [group], "activation", sample)[0]
    assert torch.allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize(("name", "unit"), [("bert", "heads"), ("bert", "neurons"), ("vit", "heads")])
def test_the_units_that_stay_keep_their_own_biases(name, unit):
    model, sample = make(name)
    with_random_biases(model)
    for number, group in enumerate(structured.find(model.network, unit, sample)):
        dead = torch.arange(group.units) % 2 == number % 2
        with torch.no_grad():
            for weight, dim in group.slices:
                weight.movedim(dim, 0).unflatten(0, (group.units, -1))[dead] = 0
    smaller = prune(model, Prune(ratio=0.5, units=(unit,)), sample)
    assert torch.allclose(logits(smaller.network, sample), logits(model.network, sample), atol=1e-5)


@pytest.mark.parametrize("how", ["activation", "taylor"])
def test_the_layer_that_does_nothing_goes_and_the_others_keep_their_order(how):
    model, sample = make("bert")
    layers = model.network.bert.encoder.layer
    with torch.no_grad():
        for part in (layers[1].attention.output.dense, layers[1].output.dense):
            part.weight.zero_()
            part.bias.zero_()
        for weight in layers[1].parameters() if how == "taylor" else ():
            weight.mul_(1e-4)
    kept = prune(model, Prune(ratio=0.25, units=("layers",), importance=how), sample).network.bert.encoder.layer
    for found, expected in zip(kept, (layers[0], layers[2], layers[3]), strict=True):
        assert torch.equal(found.attention.self.query.weight, expected.attention.self.query.weight)


def test_below_a_threshold_weights_become_zero_and_above_it_they_stay():
    model, _ = make("bert")
    sparse = constraints.without_rules(sparsify(model, Sparsify(threshold=0.02)).network)
    for name, layer in constraints.weighty(sparse).items():
        whole = model.network.get_submodule(name).weight
        assert torch.equal(layer.weight, whole * (whole.abs() >= 0.02))


def heard_by(layer: nn.Module, sample: Sample, network: nn.Module) -> torch.Tensor:
    """What a layer reads in one pass."""
    heard = []
    handle = layer.register_forward_hook(lambda _, inputs, __: heard.append(inputs[0].detach()))
    logits(network, sample)
    handle.remove()
    return heard[0]


def test_inputs_in_eight_bits_are_255_even_steps_from_the_least_to_the_greatest():
    layer = nn.Linear(500, 1, bias=False)
    constraints.round_inputs(layer)
    values = torch.linspace(-1.0, 3.0, 500)
    heard = []
    layer.register_forward_hook(lambda _, inputs, __: heard.append(inputs[0]))
    layer(values)
    step = 4.0 / 255
    assert len(heard[0].unique()) == 256
    assert (heard[0] - values).abs().max() <= step / 2 * 1.01


@pytest.mark.parametrize(("form", "is_rounded"), [("int8", True), ("int8_static", True), ("weights_int4", False)])
def test_only_for_int8_a_student_learns_with_rounded_inputs(form, is_rounded):
    model, sample = make("bert")
    network = round_while_learning(model, form).network
    heard = heard_by(network.bert.encoder.layer[0].intermediate.dense, sample, network)
    assert (len(heard.unique()) <= 256) == is_rounded


def test_a_factorized_layer_keeps_its_bias():
    model, sample = make("bert")
    with_random_biases(model)
    name = "bert.encoder.layer.0.intermediate.dense"
    pair = factorize(model, Factorize(rank=0.25), sample).network.get_submodule(name)
    assert torch.equal(pair[1].bias, model.network.get_submodule(name).bias)


def test_in_eight_bits_each_output_has_a_scale_of_its_own():
    torch.manual_seed(0)
    weight = torch.randn(4, 64) * torch.tensor([[1.0], [0.1], [0.01], [10.0]])
    error = (compact.rounded(weight, "weights_int8") - weight).abs().amax(1)
    assert (error <= weight.abs().amax(1) / 127 / 2 * 1.01).all()


def test_a_convolution_is_rounded_by_its_outputs_too():
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3)
    with torch.no_grad():
        layer.weight[0] *= 100
    rounded = compact.rounded(layer.weight, "weights_int8")
    said = functional.conv2d(torch.ones(1, 3, 5, 5), rounded - layer.weight)
    assert said[0, 1:].abs().max() < 0.05
