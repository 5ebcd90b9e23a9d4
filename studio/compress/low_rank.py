"""Low-rank factorization: one matrix becomes the product of two thin ones."""

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from studio.compress.sample import Sample
from studio.config.plan import Factorize
from studio.errors import ModelError
from studio.models import compact
from studio.models.compact import Compact
from studio.models.model import Model

SMALLEST = 16
"""Layers with fewer inputs or outputs stay as they are, the last one, which tells the classes apart, too."""


def factorize(model: Model, step: Factorize, sample: Sample) -> Model:
    """A copy whose linear layers and word embeddings are products, where that takes fewer numbers.

    Raises `ModelError` where no layer would become smaller.
    """
    network: Any = copy.deepcopy(model.network).cpu().eval()
    layers = _layers(network, step)
    moments = _second_moments(network, layers, sample) if step.weighted else {}
    done = {}
    for name, layer in layers.items():
        weight = layer.weight.detach()
        left, right, sizes = _directions(layer, moments.get(name))
        rank = _rank(sizes, step, min(weight.shape))
        if rank * sum(weight.shape) >= weight.numel():
            continue
        done[name] = rank
        _set(compact.split(network, name, rank), layer, left, right, rank)
    if not done:
        raise ModelError(
            "No layer becomes smaller: the two thin matrices would hold as many numbers as the one they replace.",
            f"Take a rank below {_largest_rank(layers):.2g}." if layers else "Leave this step out: it finds no layer.",
        )
    known = Compact.of(network.config) or Compact()
    replace(known, low_rank=(*known.low_rank, *done)).mark(network.config)
    return replace(model, network=network, folder=None)


def _layers(network: Any, step: Factorize) -> dict[str, Any]:
    linears = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    wide = [(name, layer) for name, layer in linears[:-1] if min(layer.weight.shape) >= SMALLEST]
    found = dict(wide) if step.layers else {}
    if step.embeddings:
        words = _words(network)
        found |= {name: module for name, module in network.named_modules() if module is words}
    return found


def _words(network: Any) -> nn.Module | None:
    """The word embeddings; models of images have none."""
    try:
        found = network.get_input_embeddings()
    except NotImplementedError:
        return None
    return found if isinstance(found, nn.Embedding) else None


def _second_moments(network: Any, layers: dict[str, Any], sample: Sample) -> dict[str, Tensor]:
    """Of linear layers the mean of x·xᵀ over what they hear (inputs, inputs); of embeddings how often each word
    comes."""
    moments: dict[str, Tensor] = {}
    handles = []
    for name, layer in layers.items():

        def hear(module: nn.Module, inputs: tuple[Tensor, ...], _: Any, name: str = name) -> None:
            if isinstance(module, nn.Embedding):
                new = torch.bincount(inputs[0].flatten(), minlength=module.num_embeddings).float()
            else:
                rows = inputs[0].detach().float().flatten(0, -2)
                new = rows.T @ rows
            moments[name] = moments.get(name, torch.zeros_like(new)) + new

        handles.append(layer.register_forward_hook(hear))
    try:
        with torch.no_grad():
            for batch in sample.batches():
                network(**batch)
    finally:
        for handle in handles:
            handle.remove()
    return moments


def _directions(layer: nn.Module, moment: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Directions, most important first, onto which a layer is projected: (outputs, k) for a linear layer, (width, k)
    for an embedding; what the layer is in them; and their singular values (k,).

    A linear layer W that hears x: the left singular vectors U of W·(mean of x·xᵀ)^½ give the W' = U·Uᵀ·W of that rank
    with the smallest error of its outputs (Chen et al., 2021, DRONE). Embeddings: words count by how often they come.
    """
    weight: Tensor = layer.weight.detach()  # type: ignore[operator]
    if isinstance(layer, nn.Embedding):
        often = torch.ones(len(weight)) if moment is None else moment + 1
        values, vectors = torch.linalg.eigh(weight.T @ (often[:, None] * weight))
    else:
        inner = weight @ weight.T if moment is None else weight @ moment @ weight.T
        values, vectors = torch.linalg.eigh(inner)
    vectors = vectors.flip(1)
    seen = weight @ vectors if isinstance(layer, nn.Embedding) else vectors.T @ weight
    return vectors, seen, values.flip(0).clamp(min=0).sqrt()


def _rank(sizes: Tensor, step: Factorize, full: int) -> int:
    """How many directions stay, at least one.

    >>> _rank(torch.tensor([3.0, 1.0, 0.0]), Factorize(energy=0.9), 3), _rank(torch.ones(8), Factorize(rank=0.25), 8)
    (1, 2)
    """
    if step.rank is not None:
        return max(1, round(step.rank * full))
    energy = sizes.double().pow(2).cumsum(0)
    return int((energy < (step.energy or 1.0) * energy[-1]).sum()) + 1


def _set(pair: nn.Sequential, layer: nn.Module, vectors: Tensor, seen: Tensor, rank: int) -> None:
    """Write the two thin matrices."""
    first: Any = pair[0]
    second: Any = pair[1]
    with torch.no_grad():
        if isinstance(layer, nn.Embedding):
            first.weight.copy_(seen[:, :rank])
        else:
            first.weight.copy_(seen[:rank])
            if layer.bias is not None:
                second.bias.copy_(layer.bias)
        second.weight.copy_(vectors[:, :rank])


def _largest_rank(layers: dict[str, Any]) -> float:
    """The share of the full rank below which some layer becomes smaller."""
    return max(layer.weight.numel() / sum(layer.weight.shape) / min(layer.weight.shape) for layer in layers.values())
