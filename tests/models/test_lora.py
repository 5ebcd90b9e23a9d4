"""Adapters: nothing else learns, and what was merged answers as the adapted model did."""

import copy
from dataclasses import replace

import pytest
import torch

from studio import tasks
from studio.config.reading import parse_config
from studio.errors import ConfigError
from studio.models import lora
from studio.models.model import Problem, learning_rate, parameters
from studio.models.opening import build

TASK = tasks.get("language-model")
ROWS = TASK.unlabelled(["Once upon a time there was a cat. It was happy."] * 2)
NAMES = {"dataset": "d", "teacher": "folder:/large", "student": "folder:/small", "task": "language-model"}


@pytest.fixture
def model():
    return build("gpt-tiny", Problem(TASK.name, [], ROWS, 32))


def test_adapters_alone_learn_and_what_is_merged_answers_as_they_did(model):
    inputs = TASK.encode(ROWS, model.processor, model.network.config, 32).batch(torch.arange(2))
    before, whole = copy.deepcopy(model.network.state_dict()), parameters(model.network)
    with torch.no_grad():
        first = model.network.eval()(**inputs).logits
    adapted = lora.adapted(model, 2, seed=0)
    with torch.no_grad():
        assert torch.equal(adapted.network(**inputs).logits, first)
    learning = [weight for weight in adapted.network.parameters() if weight.requires_grad]
    assert 0 < sum(weight.numel() for weight in learning) < whole / 10
    optimizer = torch.optim.AdamW(learning, lr=0.05)
    for _ in range(3):
        adapted.network(**inputs, labels=inputs["input_ids"]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        learned = adapted.network.eval()(**inputs).logits
        merged = lora.merged(adapted).network
        torch.testing.assert_close(merged(**inputs).logits, learned, atol=1e-4, rtol=1e-4)
    assert (learned - first).abs().max() > 0.01
    assert merged.state_dict().keys() == before.keys()
    assert all(weight.requires_grad for weight in merged.parameters())
    assert torch.equal(merged.state_dict()["model.embed_tokens.weight"], before["model.embed_tokens.weight"])


def test_the_same_seed_gives_the_same_adapters_and_chance_goes_on_as_it_was(model):
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    states = [lora.adapted(replace(model, network=copy.deepcopy(model.network)), 2, seed).network.state_dict()
              for seed in (0, 0, 1)]  # fmt: skip
    assert torch.equal(torch.rand(2), wanted)
    name = next(name for name in states[0] if "lora_A" in name)
    assert torch.equal(states[0][name], states[1][name])
    assert not torch.equal(states[0][name], states[2][name])


def test_adapters_learn_faster_and_only_where_there_is_something_to_adapt(model):
    config = parse_config({**NAMES, "lora_rank": 4})
    known = replace(model, pretrained=True)
    assert learning_rate(config, known, "student") == 1e-3
    assert learning_rate(config, known, "teacher") == 2e-4  # it is narrow
    assert tasks.resolved(config, TASK, 0).lora_rank == 4
    for changed, said in ({"student": "builtin/gpt-tiny"}, "knows nothing"), ({"plan": [
        {"do": "distill"}, {"do": "quantize", "form": "weights_int8", "epochs": 1}]}, "rounded"):  # fmt: skip
        with pytest.raises(ConfigError, match=said):
            tasks.resolved(parse_config({**NAMES, "lora_rank": 4, **changed}), TASK, 0)
    with pytest.raises(ConfigError, match="models that write"):
        tasks.resolved(parse_config({**NAMES, "task": None, "lora_rank": 4}), tasks.get("text-classification"), 2)
