"""AdamW with moments in 8 bits: it learns nearly the same in less memory, and goes on as if nothing had happened."""

import pytest
import torch
from torch import nn

from studio.distill import optimizers
from studio.distill.learner import Learner
from studio.distill.objective import Terms
from studio.distill.spec import FitSpec
from studio.errors import ModelError
from studio.machine import memory
from studio.machine.devices import Device
from studio.models.model import Model

CPU = Device(torch.device("cpu"), torch.float32)
INPUTS = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))


def learner(name="adamw_8bit"):
    pytest.importorskip("bitsandbytes")
    torch.manual_seed(0)
    spec = FitSpec(phase="distill", model=Model(nn.Linear(64, 128), None), task=None, rows=torch.arange(64), view=None,
                   validation=None, objective=lambda *_: None, steps=50, batch_size=64, learning_rate=0.01,
                   weight_decay=0.0, seed=0, optimizer=name)  # fmt: skip
    return Learner(spec, CPU)


def step(one):
    loss = (one.network(INPUTS) - INPUTS.repeat(1, 2)).square().mean()
    loss.backward()
    one._correct(Terms(loss, {}))
    return float(loss)


def test_with_moments_in_8_bits_a_model_learns_as_well_in_less_memory():
    both = {name: learner(name) for name in ("adamw", "adamw_8bit")}
    losses = {name: [step(one) for _ in range(40)] for name, one in both.items()}
    assert losses["adamw_8bit"][-1] == pytest.approx(losses["adamw"][-1], rel=0.1)
    assert losses["adamw_8bit"][-1] < losses["adamw_8bit"][0] / 4
    assert losses["adamw_8bit"] != losses["adamw"]

    def held(one):
        states = one.optimizer.state_dict()["state"].values()
        return sum(value.nbytes for state in states for value in state.values() if isinstance(value, torch.Tensor))

    assert held(both["adamw_8bit"]) < held(both["adamw"]) / 2
    assert memory.of_learning(100, "adamw_8bit") == memory.of_learning(100) - 100 * 2 * 3


def test_a_learner_with_moments_in_8_bits_goes_on_to_the_bit(tmp_path):
    one = learner()
    for _ in range(3):
        step(one)
    torch.save(one.state_dict(), tmp_path / "state.pt")
    wanted = [step(one) for _ in range(3)]
    again = learner()
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert [step(again) for _ in range(3)] == wanted


def test_without_bitsandbytes_a_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(optimizers, "is_bitsandbytes_available", lambda: False)
    with pytest.raises(ModelError, match=r"adamw_8bit needs bitsandbytes.*pip install bitsandbytes"):
        optimizers.require("adamw_8bit")
    optimizers.require("adamw")
