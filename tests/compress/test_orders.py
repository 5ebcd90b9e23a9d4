"""Steps of every kind in every order that a plan allows: what is saved in the end is what was learned."""

import itertools

import pytest
import torch
from torch import nn

from studio import compress
from studio.config import plan
from studio.models import constraints
from studio.models.model import Model
from tests.compress.test_compress import TEXT, logits, make, opened_again

SMALLER = [name for name, kind in plan.KINDS.items() if name != "distill" and not kind.is_last]


def first(name):
    """The step as it is added to a plan."""
    return plan.KINDS[name](**plan.KINDS[name].first)


def is_allowed(names) -> bool:
    try:
        plan.check_order([first(name) for name in (*names, "distill")])
    except ValueError:
        return False
    return True


ORDERS = [names for count in (1, 2) for names in itertools.product(SMALLER, repeat=count) if is_allowed(names)]


def learn(model: Model, sample: compress.Sample) -> None:
    """One large step, so that no weight stays what the steps made of it."""
    network = model.network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    nn.functional.cross_entropy(network(**sample.example).logits, sample.labels[:2]).backward()
    optimizer.step()


@pytest.mark.parametrize("names", ORDERS, ids="-".join)
def test_a_student_that_learned_after_its_steps_is_saved_as_it_is(names, tmp_path):
    model, sample = make("bert")
    for name in names:
        model = compress.carry_out(first(name), model, sample, tmp_path / "onnx")
    learn(model, sample)
    _, again = opened_again(model, TEXT, tmp_path / "student")
    learned = logits(constraints.without_rules(model.network), sample)
    assert torch.allclose(logits(again, sample), learned, atol=1e-6)
