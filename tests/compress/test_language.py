"""Models that write are made smaller: gates lose both halves of a neuron, a shared table of tokens stays one."""

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from studio import compress, tasks
from studio.compress import structured
from studio.config.plan import Factorize, Prune, Quantize
from studio.models import saving
from studio.models.model import Problem, parameters
from studio.models.opening import build, open_folder

TASK = tasks.get("language-model")
ROWS = TASK.unlabelled(["Once upon a time there was a cat. It was happy."] * 4)
PROBLEM = Problem(TASK.name, [], ROWS, 64)


@pytest.fixture(scope="module")
def model():
    return build("gpt-tiny", PROBLEM)


def inputs_of(model):
    return TASK.encode(ROWS, model.processor, model.network.config, 64)


def smaller(model, step):
    sample = compress.draw(TASK, inputs_of(model), torch.arange(4), None, 0)
    return compress.carry_out(step, model, sample, None)


def logits(network, model):
    with torch.no_grad():
        return network.eval()(**inputs_of(model).batch(torch.arange(2))).logits


def test_a_neuron_that_says_nothing_goes_from_both_halves_of_its_gate(model):
    feed = model.network.model.layers[0].mlp
    silent = torch.arange(feed.down_proj.in_features) % 2 == 1
    with torch.no_grad():
        for layer in model.network.model.layers:
            for writer in (layer.mlp.gate_proj, layer.mlp.up_proj):
                writer.weight[silent] *= 1e-3
            layer.mlp.down_proj.weight[:, silent] = 0
    found = smaller(model, Prune(ratio=0.5))
    left = found.network.model.layers[0].mlp
    assert left.gate_proj.out_features == left.up_proj.out_features == left.down_proj.in_features == len(silent) // 2
    torch.testing.assert_close(logits(found.network, model), logits(model.network, model), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "step",
    [Prune(ratio=0.5, units=("heads",)), Prune(ratio=0.5, units=("layers",)),
     Prune(ratio=0.25, importance="activation", scope="global"), Factorize(rank=0.5),
     Quantize(form="weights_int8"), Quantize(form="weights_int4")],
    ids=lambda step: step.title,
)  # fmt: skip
def test_what_was_made_smaller_is_smaller_on_disk_opens_again_and_writes(model, tmp_path, step):
    small = saving.save(smaller(model, step), tmp_path / "small")
    saving.save(model, tmp_path / "model")
    assert saving.weights_bytes(tmp_path / "small") < saving.weights_bytes(tmp_path / "model")
    again = open_folder(tmp_path / "small", PROBLEM)
    assert parameters(again.network) == parameters(small.network)
    assert torch.equal(logits(again.network, model), logits(small.network, model))
    start = inputs_of(model).batch(torch.arange(1))["input_ids"][:, :4]
    assert again.network.generate(input_ids=start, max_new_tokens=3, do_sample=False, pad_token_id=0).shape[1] > 4


def test_a_table_of_tokens_that_is_read_at_both_ends_is_saved_once(model, tmp_path):
    saving.save(smaller(model, Quantize(form="weights_int8")), tmp_path / "small")
    again = open_folder(tmp_path / "small", PROBLEM).network
    assert again.lm_head.weight is again.model.embed_tokens.weight
    assert saving.weights_bytes(tmp_path / "small") < 1.3 * parameters(again)


def test_keys_and_values_that_heads_share_are_no_neurons():
    """Qwen3's keys and values are as wide as its input where four heads share two of each."""
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4}
    network = Qwen3ForCausalLM(Qwen3Config(vocab_size=20, num_key_value_heads=2, head_dim=32, **sizes))
    (group,) = structured.find(network, "neurons", None)
    assert (group.units, group.heard) == (96, network.model.layers[0].mlp.down_proj)
