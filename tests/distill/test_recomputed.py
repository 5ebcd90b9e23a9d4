"""Layers that are computed again on the way back: the same weights, and nothing of it stays."""

import copy
from dataclasses import replace

import pytest
import torch

from studio import tasks
from studio.distill import objective
from studio.distill.fit import fit
from studio.distill.spec import BestWeights, FitSpec
from studio.distill.transfer_set import View
from studio.errors import ModelError
from studio.machine.devices import Device
from studio.models.model import Problem
from studio.models.opening import build

TASK = tasks.get("language-model")
CPU = Device(torch.device("cpu"), torch.float32)
TEXTS = ["Once upon a time there was a cat.", "The end of the story is near."] * 4


def spec(model, inputs, **changes):
    how = {
        "phase": "distill", "model": model, "task": TASK, "rows": torch.arange(len(inputs)),
        "view": lambda epoch: View(inputs), "validation": inputs, "objective": objective.labels_only(TASK), "steps": 3,
        "batch_size": 4, "learning_rate": 0.01, "weight_decay": 0.0, "seed": 0,
    }  # fmt: skip
    return FitSpec(**how | changes)


def test_weights_are_the_same_and_layers_are_computed_twice(monkeypatch):
    model = build("gpt-small", Problem(TASK.name, [], TASK.unlabelled(TEXTS), 32))
    inputs = TASK.encode(TASK.unlabelled(TEXTS), model.processor, model.network.config, 32)
    passes, states = [], []
    for recompute in (False, True):
        own = replace(model, network=copy.deepcopy(model.network))
        counted = [0]
        own.network.model.layers[0].mlp.register_forward_pre_hook(
            lambda module, given, counted=counted: counted.__setitem__(0, counted[0] + module.training)
        )
        list(fit(spec(own, inputs, recompute=recompute), CPU, BestWeights()))
        passes.append(counted[0])
        states.append(own.network.state_dict())
        assert not own.network.is_gradient_checkpointing
    assert passes == [3, 6]
    for name, weight in states[0].items():
        torch.testing.assert_close(states[1][name], weight, atol=1e-6, rtol=1e-5)


def test_a_model_without_such_layers_is_refused():
    images = tasks.get("text-classification")
    rows = images.unlabelled(["a b c", "d e f"] * 8)
    model = build("fasttext-tiny", Problem(images.name, ["x", "y"], rows.add_column("label", [0, 1] * 8)
                                            if "label" not in rows.column_names else rows, 16))  # fmt: skip
    inputs = images.encode(rows, model.processor, model.network.config, 16)
    with pytest.raises(ModelError, match="cannot compute its layers again"):
        list(fit(spec(model, inputs, recompute=True, task=images), CPU, BestWeights()))
