"""Pruning, factorization and quantization, on small models of every architecture that they are made for."""

import tempfile

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from torch import nn
from transformers import (
    AlbertConfig,
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    BertConfig,
    ConvNextConfig,
    DistilBertConfig,
    ElectraConfig,
    MobileNetV1Config,
    MobileNetV2Config,
    ResNetConfig,
    RobertaConfig,
    ViTConfig,
)

from studio import compress, tasks
from studio.compress import structured
from studio.compress.low_rank import factorize
from studio.compress.quantized import nearest_of_few, quantize_weights, round_while_learning
from studio.compress.sample import Sample, draw
from studio.compress.sparse import sparsify
from studio.compress.structured import prune
from studio.config.plan import Factorize, Prune, Quantize, RoundWhileLearning, Sparsify
from studio.errors import ExportError, ModelError
from studio.models import compact, constraints, onnx
from studio.models.model import Model, parameters
from studio.models.saving import save, weights_bytes
from studio.tasks.architectures import FastTextConfig, MlpConfig
from studio.tasks.positions import OnePositionPerRow, PositionLogits

TEXT, IMAGES = AutoModelForSequenceClassification, AutoModelForImageClassification
BERT = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 100,
    "num_labels": 3,
}
ZOO = {
    "bert": (TEXT, BertConfig(**BERT), ("heads", "neurons", "layers")),
    "distilbert": (
        TEXT,
        DistilBertConfig(dim=32, n_layers=4, n_heads=4, hidden_dim=64, vocab_size=100, num_labels=3),
        ("heads", "neurons", "layers"),
    ),
    "roberta": (TEXT, RobertaConfig(**BERT), ("heads", "neurons", "layers")),
    "electra": (TEXT, ElectraConfig(embedding_size=16, **BERT), ("heads", "neurons", "layers")),
    "albert": (TEXT, AlbertConfig(embedding_size=16, **BERT), ("heads", "neurons", "layers")),
    "vit": (
        IMAGES,
        ViTConfig(
            hidden_size=32,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=64,
            image_size=16,
            patch_size=4,
            num_labels=3,
        ),
        ("heads", "neurons", "layers"),
    ),
    "resnet": (
        IMAGES,
        ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[2, 1], layer_type="basic", num_labels=3),
        ("channels",),
    ),
    "resnet-bottleneck": (
        IMAGES,
        ResNetConfig(embedding_size=16, hidden_sizes=[32, 64], depths=[2, 1], layer_type="bottleneck", num_labels=3),
        ("channels",),
    ),
    "mobilenet-v1": (IMAGES, MobileNetV1Config(depth_multiplier=0.25, image_size=32, num_labels=3), ("channels",)),
    "mobilenet-v2": (IMAGES, MobileNetV2Config(depth_multiplier=0.35, image_size=32, num_labels=3), ("channels",)),
    "convnext": (
        IMAGES,
        ConvNextConfig(hidden_sizes=[16, 32], depths=[2, 1], num_stages=2, num_labels=3),
        ("channels",),
    ),
    "mlp": (IMAGES, MlpConfig(hidden_sizes=[32, 16], num_channels=3, image_size=16, num_labels=3), ("channels",)),
    "fasttext": (TEXT, FastTextConfig(vocab_size=100, num_labels=3), ()),
}
PRUNABLE = [(name, unit) for name, (_, _, units) in ZOO.items() for unit in units]


CLASSES = tasks.get("text-classification")


class Rows(OnePositionPerRow):
    """Forty random texts or images as a task would read them."""

    def __init__(self, kind):
        torch.manual_seed(1)
        if kind is TEXT:
            self.inputs = {"input_ids": torch.randint(5, 99, (40, 12)), "attention_mask": torch.ones(40, 12).long()}
        else:
            self.inputs = {"pixel_values": torch.randn(40, 3, 32, 32)}
        self.labels = torch.randint(0, 3, (40,))
        self.lengths = torch.ones(40)

    def __len__(self):
        return 40

    def batch(self, rows):
        return {name: one[rows] for name, one in self.inputs.items()}


class Processor:
    def save_pretrained(self, folder):
        """Nothing to save."""


def make(name):
    """(model, sample) of one architecture, with random weights."""
    kind, config, _ = ZOO[name]
    torch.manual_seed(0)
    network = kind.from_config(type(config).from_dict(config.to_dict())).eval()
    rows = Rows(kind)
    if name in ("vit", "mlp"):
        rows.inputs["pixel_values"] = rows.inputs["pixel_values"][:, :, :16, :16]
    return Model(network, Processor()), Sample(CLASSES, rows, torch.arange(40), rows.labels)


def logits(network, sample):
    with torch.no_grad():
        return network.eval()(**sample.example).logits


def opened_again(model, kind, folder):
    saved = save(model, folder)
    if compact.is_compact(saved.folder):
        return saved, compact.load(saved.folder, kind)
    return saved, kind.from_pretrained(saved.folder, use_safetensors=True)


# --- structured pruning


@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize(("name", "unit"), PRUNABLE)
def test_what_is_pruned_is_really_smaller_and_opens_again_with_the_same_answers(name, unit, scope, tmp_path):
    model, sample = make(name)
    smaller = prune(model, Prune(ratio=0.5, units=(unit,), scope=scope), sample)
    if (name, unit) != ("albert", "layers"):  # its layers share one set of weights
        assert parameters(smaller.network) < parameters(model.network)
    saved, again = opened_again(smaller, ZOO[name][0], tmp_path / "student")
    assert torch.allclose(logits(again, sample), logits(smaller.network, sample), atol=1e-6)
    assert weights_bytes(saved.folder) < 5 * parameters(smaller.network) + 20_000


@pytest.mark.parametrize(
    ("name", "unit"),
    [("bert", "neurons"), ("bert", "layers"), ("vit", "heads"), ("resnet", "channels"), ("convnext", "channels")],
)
def test_where_a_config_can_tell_the_sizes_no_loader_is_needed(name, unit, tmp_path):
    model, sample = make(name)
    saved = save(prune(model, Prune(ratio=0.5, units=(unit,)), sample), tmp_path / "student")
    assert not compact.is_compact(saved.folder)


@pytest.mark.parametrize("how", ["magnitude", "taylor", "activation"])
@pytest.mark.parametrize(
    ("name", "unit"), [("bert", "heads"), ("bert", "neurons"), ("vit", "heads"), ("mlp", "channels")]
)
def test_units_that_do_nothing_go_first_and_their_going_changes_no_answer(name, unit, how):
    model, sample = make(name)
    groups = structured.find(model.network, unit, sample)
    for number, group in enumerate(groups):  # half of the units of each group, at other places each time
        dead = torch.arange(group.units) % 2 == number % 2
        with torch.no_grad():
            for weight, dim in group.slices:
                weight.movedim(dim, 0).unflatten(0, (group.units, -1))[dead] = 0
    smaller = prune(model, Prune(ratio=0.5, units=(unit,), importance=how), sample)
    assert torch.allclose(logits(smaller.network, sample), logits(model.network, sample), atol=1e-5)


def test_magnitude_is_the_norm_of_all_weights_of_a_unit():
    model, sample = make("bert")
    group = structured.find(model.network, "heads", sample)[1]
    found = structured.importance(model.network, [group], "magnitude", sample)[0]
    attention = model.network.bert.encoder.layer[1].attention
    three = [attention.self.query, attention.self.key, attention.self.value]
    for head in range(4):
        rows = slice(8 * head, 8 * head + 8)
        squares = sum(float((one.weight[rows] ** 2).sum() + (one.bias[rows] ** 2).sum()) for one in three)
        squares += float((attention.output.dense.weight[:, rows] ** 2).sum())
        assert float(found[head]) == pytest.approx(squares**0.5, rel=1e-5)


def test_taylor_is_the_change_of_the_loss_to_first_order():
    model, sample = make("bert")
    network = model.network
    group = structured.find(network, "neurons", sample)[0]
    score = structured.importance(network, [group], "taylor", sample)[0]
    batch, labels = sample.inputs.batch(sample.rows), sample.labels
    step = 1e-3

    def loss():
        with torch.no_grad():
            return float(nn.functional.cross_entropy(network.double()(**batch).logits, labels))

    before = loss()
    for unit in (3, 40):
        with torch.no_grad():
            for weight, dim in group.slices:
                weight.select(dim, unit).mul_(1 - step)
        change = abs(loss() - before) / step
        with torch.no_grad():
            for weight, dim in group.slices:
                weight.select(dim, unit).div_(1 - step)
        assert float(score[unit]) == pytest.approx(change, rel=0.05, abs=1e-6)


def test_chance_is_the_same_for_the_same_seed_and_another_for_another():
    model, sample = make("bert")
    groups = structured.find(model.network, "neurons", sample)
    first = structured.importance(model.network, groups, "random", sample)
    again = structured.importance(model.network, groups, "random", sample)
    other = structured.importance(
        model.network, groups, "random", draw(CLASSES, sample.inputs, sample.rows, None, seed=5)
    )
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[0], first[1])


def test_globally_a_weak_layer_loses_more_and_still_keeps_one_unit():
    model, sample = make("bert")
    with torch.no_grad():
        for layer in model.network.bert.encoder.layer[:2]:
            layer.intermediate.dense.weight[1:] *= 1e-3
            layer.output.dense.weight[:, 1:] *= 1e-3
    smaller = prune(model, Prune(ratio=0.5, units=("neurons",), scope="global"), sample)
    left = [one.intermediate.dense.out_features for one in smaller.network.bert.encoder.layer]
    assert left[0] >= 1 and left[1] >= 1
    assert sum(left) == 2 * 64
    assert left[0] < 32 < left[2]


def test_heads_and_neurons_are_pruned_together(tmp_path):
    model, sample = make("roberta")
    smaller = prune(model, Prune(ratio=0.5, units=("heads", "neurons", "layers")), sample)
    layer = smaller.network.roberta.encoder.layer
    assert len(layer) == 2
    assert layer[0].attention.self.query.out_features == 16
    assert layer[0].intermediate.dense.out_features == 32


@pytest.mark.parametrize(
    ("name", "step", "said", "cure"),
    [
        ("bert", Prune(ratio=0.9, units=("heads",)), "would remove all 4 heads of a layer", "at most 0.75"),
        ("bert", Prune(ratio=0.3, units=("heads",)), "1.2 of 4 heads, not a whole number", r"0.25 \(1 of 4\) or 0.5"),
        ("bert", Prune(ratio=0.4, units=("layers",)), "1.6 of 4 layers", r"0.25 \(1 of 4\) or 0.5 \(2 of 4\)"),
        ("bert", Prune(ratio=0.5, units=("channels",)), "bert has no channels", "heads, neurons, layers"),
        ("resnet", Prune(ratio=0.5, units=("heads",)), "resnet has no heads", "It has channels"),
        ("resnet", Prune(ratio=0.5, units=("layers",)), "resnet has no layers", "other units"),
        ("fasttext", Prune(ratio=0.5), "studio-fasttext has no channels", "nothing that the studio knows"),
        ("resnet", Factorize(rank=0.5), "No layer becomes smaller", "Leave this step out"),
        ("bert", Factorize(rank=0.95), "No layer becomes smaller", "Take a rank below 0.76"),
        ("bert", Sparsify(threshold=9.0), "would set all weights", "Take a threshold below"),
        ("resnet", Quantize(form="int8"), "slow for convolutions", "int8_static"),
    ],
)
def test_what_cannot_work_is_refused_with_the_nearest_value_that_does(name, step, said, cure, tmp_path):
    model, sample = make(name)
    with pytest.raises(ModelError, match=said) as caught:
        compress.carry_out(step, model, sample, tmp_path / "int8")
    assert caught.match(cure)


# --- zeros


def test_the_share_of_smallest_weights_becomes_zero_in_every_matrix():
    model, _ = make("bert")
    sparse = constraints.without_rules(sparsify(model, Sparsify(ratio=0.75)).network)
    for name, layer in constraints.weighty(sparse).items():
        whole = model.network.get_submodule(name).weight
        gone = layer.weight == 0
        assert float(gone.float().mean()) == pytest.approx(0.75, abs=0.02)
        assert whole[gone].abs().max() <= whole[~gone].abs().min() + 1e-9


def test_zeros_stay_zero_while_the_rest_learns():
    model, sample = make("bert")
    network = sparsify(model, Sparsify(ratio=0.9)).network
    before = constraints.without_rules(network).state_dict()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(3):
        nn.functional.cross_entropy(network(**sample.example).logits, sample.labels[:2]).backward()
        optimizer.step()
    after = constraints.without_rules(network).state_dict()
    name = "bert.encoder.layer.0.output.dense.weight"
    assert torch.equal(before[name] == 0, after[name] == 0)
    assert not torch.equal(before[name], after[name])


def test_a_sparse_student_is_smaller_on_disk_and_no_faster(tmp_path):
    model, sample = make("bert")
    sparse = sparsify(model, Sparsify(ratio=0.9))
    dense, small = save(model, tmp_path / "dense"), save(sparse, tmp_path / "sparse")
    assert weights_bytes(small.folder) < 0.4 * weights_bytes(dense.folder)
    again = compact.load(small.folder, TEXT)
    assert [one.shape for one in again.parameters()] == [one.shape for one in model.network.parameters()]
    assert torch.equal(logits(again, sample), logits(constraints.without_rules(sparse.network), sample))


# --- low rank


def test_a_factorized_layer_has_the_smallest_error_on_the_data_that_its_rank_allows():
    model, sample = make("bert")
    name = "bert.encoder.layer.0.intermediate.dense"
    heard = []
    handle = model.network.get_submodule(name).register_forward_hook(lambda _, inputs, __: heard.append(inputs[0]))
    logits_of = [model.network(**batch) for batch in sample.batches()]
    handle.remove()
    x = torch.cat([one.flatten(0, 1) for one in heard]).detach().double().numpy()
    assert logits_of
    whole = model.network.get_submodule(name).weight.detach().double().numpy()
    pair = factorize(model, Factorize(rank=0.25), sample).network.get_submodule(name)
    found = (pair[1].weight.double() @ pair[0].weight.double()).detach().numpy()
    # the best there is: whiten the data, cut the singular values, undo the whitening (Wang et al., 2024, SVD-LLM)
    root = np.linalg.cholesky(x.T @ x + 1e-9 * np.eye(x.shape[1]))
    u, s, v = np.linalg.svd(whole @ root)
    best = (u[:, :8] * s[:8]) @ v[:8] @ np.linalg.inv(root)
    error, least = (np.linalg.norm(x @ (whole - one).T) for one in (found, best))
    plain = np.linalg.svd(whole)
    unweighted = (plain[0][:, :8] * plain[1][:8]) @ plain[2][:8]
    assert error == pytest.approx(least, rel=1e-3)
    assert error < np.linalg.norm(x @ (whole - unweighted).T)


def test_without_weights_of_the_data_it_is_the_truncated_singular_value_decomposition():
    model, sample = make("bert")
    name = "bert.encoder.layer.0.intermediate.dense"
    whole = model.network.get_submodule(name).weight.detach().numpy()
    pair = factorize(model, Factorize(rank=0.25, weighted=False), sample).network.get_submodule(name)
    u, s, v = np.linalg.svd(whole)
    assert np.allclose((pair[1].weight @ pair[0].weight).detach().numpy(), (u[:, :8] * s[:8]) @ v[:8], atol=1e-5)


def test_the_rank_follows_the_energy():
    model, sample = make("bert")
    name = "bert.encoder.layer.0.intermediate.dense"
    whole = model.network.get_submodule(name).weight.detach().numpy()
    energy = np.cumsum(np.linalg.svd(whole)[1] ** 2)
    rank = int(np.searchsorted(energy, 0.6 * energy[-1])) + 1
    step = Factorize(energy=0.6, weighted=False, embeddings=False)
    pair = factorize(model, step, sample).network.get_submodule(name)
    assert pair[0].weight.shape == (rank, 32)


def test_embeddings_keep_frequent_words_best():
    model, sample = make("bert")
    sample.inputs.inputs["input_ids"][:] = torch.randint(5, 9, (40, 12))
    network = factorize(model, Factorize(rank=0.25, layers=False), sample).network
    pair = network.bert.embeddings.word_embeddings
    whole = model.network.bert.embeddings.word_embeddings.weight
    error = (pair(torch.arange(100)) - whole).norm(dim=1) / whole.norm(dim=1).clamp(min=1e-9)
    assert error[5:9].mean() < 0.1 < error[9:].mean()


@pytest.mark.parametrize("name", ["bert", "vit", "convnext", "mlp", "fasttext"])
def test_a_factorized_student_opens_again_with_the_same_answers(name, tmp_path):
    model, sample = make(name)
    smaller = factorize(model, Factorize(rank=0.3), sample)
    assert parameters(smaller.network) < parameters(model.network)
    _, again = opened_again(smaller, ZOO[name][0], tmp_path / "student")
    assert torch.allclose(logits(again, sample), logits(smaller.network, sample), atol=1e-6)


# --- few bits


@pytest.mark.parametrize(("form", "share"), [("weights_int8", 0.33), ("weights_int4", 0.22), ("codebook", 0.2)])
@pytest.mark.parametrize("name", ["bert", "mobilenet-v2"])
def test_few_bits_are_fewer_bytes_and_come_back_to_the_bit(name, form, share, tmp_path):
    model, _ = make(name)
    rounded = quantize_weights(model, form)
    whole, small = save(model, tmp_path / "whole"), save(rounded, tmp_path / "small")
    assert weights_bytes(small.folder) < (share + 0.15) * weights_bytes(whole.folder)
    again = compact.load(small.folder, ZOO[name][0]).state_dict()
    for key, tensor in rounded.network.state_dict().items():
        assert torch.allclose(again[key], tensor, atol=1e-7), key


def test_eight_bits_are_whole_numbers_times_a_scale_for_every_output():
    weight = torch.tensor([[1.27, -0.5, 0.004], [0.0, 0.0, 0.0]])
    assert torch.allclose(compact.rounded(weight, "weights_int8"), torch.tensor([[1.27, -0.5, 0.0], [0.0, 0.0, 0.0]]))


def test_four_bits_are_whole_numbers_from_minus_7_to_7_times_a_scale_for_32_weights():
    weight = torch.randn(3, 50)
    rounded = compact.rounded(weight, "weights_int4").flatten()
    for start in range(0, 150, 32):
        group, original = rounded[start : start + 32], weight.flatten()[start : start + 32]
        scale = (original.abs().max() / 7).half().float()
        codes = group / scale
        assert torch.allclose(codes, codes.round(), atol=1e-4) and codes.abs().max() <= 7.001
        assert (group - original).abs().max() <= scale / 2 * 1.01
    assert torch.allclose(compact.rounded(rounded.view(3, 50), "weights_int4"), rounded.view(3, 50), atol=1e-7)


def test_a_codebook_has_16_values_and_is_as_good_as_k_means():
    weight = torch.randn(60, 50, generator=torch.Generator().manual_seed(0))
    found = nearest_of_few(weight)
    assert len(found.unique()) <= 16
    values = weight.flatten().double().numpy()[:, None]
    reference = KMeans(16, n_init=5, random_state=0).fit(values).inertia_
    assert float((found - weight).double().pow(2).sum()) < 1.1 * reference
    even = compact.rounded(weight, "weights_int4")
    assert (found - weight).pow(2).sum() < 1.5 * (even - weight).pow(2).sum()


@pytest.mark.parametrize("form", ["int8", "weights_int4"])
def test_a_student_that_learns_with_rounded_weights_hears_the_gradient_of_the_rounded_model(form):
    model, sample = make("bert")
    network = round_while_learning(model, form).network
    layer = network.bert.encoder.layer[0].output.dense
    bits = "weights_int8" if form == "int8" else form
    assert torch.equal(layer.weight, compact.rounded(layer.parametrizations.weight.original, bits))
    nn.functional.cross_entropy(network(**sample.example).logits, sample.labels[:2]).backward()
    assert layer.parametrizations.weight.original.grad.abs().sum() > 0
    plain = constraints.without_rules(network)
    assert type(plain.bert.encoder.layer[0].output.dense) is nn.Linear
    assert torch.equal(plain.bert.encoder.layer[0].output.dense.weight, layer.weight)
    assert not plain.bert.encoder.layer[0].output.dense._forward_pre_hooks
    assert layer.weight is not None  # the original still keeps to its rule


@pytest.mark.parametrize(
    ("name", "form"), [("bert", "int8"), ("bert", "int8_static"), ("resnet", "int8_static"), ("mlp", "int8")]
)
def test_an_int8_file_answers_nearly_as_the_student_and_is_smaller(name, form, tmp_path):
    model, sample = make(name)
    small = onnx.quantized(model, form, sample.inputs, tmp_path / "int8")
    ours, theirs = logits(small.network, sample), logits(model.network, sample)
    assert (ours - theirs).abs().max() < 0.1 * theirs.abs().max() + 0.05
    assert small.network.config is model.network.config or small.network.config.num_labels == 3
    assert parameters(small.network) == parameters(model.network)
    assert weights_bytes(small.folder) == (tmp_path / "int8" / "model.onnx").stat().st_size


def test_a_rehearsal_goes_through_all_steps_without_leaving_anything(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    model, sample = make("bert")
    steps = [Prune(ratio=0.5), RoundWhileLearning(form="int8"), Quantize(form="int8")]
    smaller = compress.rehearse(steps, model, sample)
    assert parameters(smaller.network) < parameters(model.network)
    assert list(tmp_path.iterdir()) == []


def test_an_operator_that_onnx_lacks_is_told_in_the_rehearsal_with_a_way_out():
    model, sample = make("mlp")
    plain = model.network.forward

    def forward(pixel_values, **_):
        answer = plain(pixel_values=pixel_values)
        answer.logits = answer.logits + torch.special.bessel_j0(answer.logits)
        return answer

    model.network.forward = forward
    with pytest.raises(ExportError, match="A studio-mlp cannot be written as ONNX") as caught:
        compress.rehearse([Quantize(form="int8_static")], model, sample)
    assert caught.match("Take the form weights_int8")


def test_rows_without_a_label_are_judged_by_the_teachers_choice():
    rows = Rows(TEXT)
    rows.labels[:20] = -1
    teacher_logits = nn.functional.one_hot(torch.full((40,), 2), 3).float()
    drawn = draw(CLASSES, rows, torch.arange(40), PositionLogits.per_row(teacher_logits), seed=0)
    unknown = drawn.rows < 20
    assert (drawn.labels[unknown] == 2).all()
    assert torch.equal(drawn.labels[~unknown], rows.labels[drawn.rows[~unknown]])
