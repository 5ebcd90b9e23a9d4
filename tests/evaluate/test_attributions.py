"""Integrated gradients against cases worked out by hand."""

import importlib
import importlib.util
import sys
import types
from pathlib import Path

import pytest
import torch
from scipy import special
from torch import nn

from studio.evaluate.attributions import integrated_gradients, log_odds


def test_a_linear_score_gives_each_number_its_weight_times_its_way():
    weights, point, start = torch.tensor([2.0, -3.0]), torch.tensor([1.0, 4.0]), torch.tensor([0.5, 1.0])
    found = integrated_gradients(lambda points: points @ weights, point, start)
    assert found.tolist() == pytest.approx([2 * 0.5, -3 * 3.0])


def test_a_product_is_shared_evenly_and_a_power_goes_to_its_own():
    point, start = torch.tensor([3.0, 5.0, 2.0]), torch.zeros(3)
    found = integrated_gradients(lambda one: one[:, 0] * one[:, 1] + one[:, 2] ** 3, point, start)
    assert found.tolist() == pytest.approx([7.5, 7.5, 8.0], rel=1e-5)


def test_the_shares_of_a_network_add_up_to_the_whole_difference():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    point, start = torch.randn(6), torch.randn(6)

    def score(points):
        return log_odds(network(points), 1)

    found = integrated_gradients(score, point, start)
    with torch.no_grad():
        whole = score(point[None]) - score(start[None])
    assert found.sum().item() == pytest.approx(whole.item(), rel=1e-4)


def test_the_shares_are_those_of_a_fine_sum_along_the_way():
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2))
    point, start = torch.randn(4), torch.zeros(4)
    places = ((torch.arange(4000) + 0.5) / 4000).view(-1, 1)
    way = (start + places * (point - start)).requires_grad_()
    (gradients,) = torch.autograd.grad(network(way)[:, 0].sum(), way)
    fine = (point - start) * gradients.mean(0)
    found = integrated_gradients(lambda points: network(points)[:, 0], point, start)
    assert found.tolist() == pytest.approx(fine.tolist(), abs=1e-5)


@pytest.fixture
def captum(monkeypatch):
    """Its integrated gradients alone: the package itself opens what draws pictures."""
    found = importlib.util.find_spec("captum")
    if found is None or found.submodule_search_locations is None:
        pytest.skip("a comparison for developers: make compare")
    for name in ("captum", "captum.attr"):
        package = types.ModuleType(name)
        package.__path__ = [str(Path(found.submodule_search_locations[0], *name.split(".")[1:]))]
        monkeypatch.setitem(sys.modules, name, package)
    return importlib.import_module("captum.attr._core.integrated_gradients").IntegratedGradients


@pytest.mark.parametrize("steps", [8, 32])
def test_they_are_those_of_captum(captum, steps):
    torch.manual_seed(2)
    network = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    point, start = torch.randn(6), torch.randn(6)
    theirs = captum(network).attribute(point[None], start[None], target=2, n_steps=steps, method="gausslegendre")
    ours = integrated_gradients(lambda points: network(points)[:, 2], point, start, steps)
    torch.testing.assert_close(ours, theirs[0].to(ours.dtype), rtol=1e-4, atol=1e-5)


def test_log_odds_are_those_of_the_softmax_and_not_moved_by_what_all_logits_share():
    logits = torch.tensor([[1.0, 2.5, -0.5]], dtype=torch.float64)
    share = special.softmax(logits.numpy())[0]
    for label in range(3):
        expected = special.logit(share[label])
        assert log_odds(logits, label).item() == pytest.approx(expected)
        assert log_odds(logits + 7, label).item() == pytest.approx(expected)
