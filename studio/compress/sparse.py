"""Unstructured pruning: the smallest weights become zero and stay zero. Smaller on disk, not faster."""

import copy
from dataclasses import replace
from typing import Any

import torch

from studio.config.plan import Sparsify
from studio.errors import ModelError
from studio.models import constraints
from studio.models.model import Model
from studio.models.saving import mark_packed


def sparsify(model: Model, step: Sparsify) -> Model:
    """A copy without the smallest weights by absolute value: in each matrix the share `ratio`, or all below
    `threshold`.

    Biases and norms stay whole. Raises `ModelError` where a threshold would take all weights of a layer.
    """
    network: Any = copy.deepcopy(constraints.without_rules(model.network))
    layers = constraints.weighty(network)
    with torch.no_grad():
        for name, layer in layers.items():
            size = layer.weight.abs()
            if step.ratio is not None:
                gone = size.flatten().argsort(stable=True)[: round(size.numel() * step.ratio)]
                layer.weight.view(-1)[gone] = 0
            else:
                layer.weight[size < step.threshold] = 0
            if not layer.weight.any():
                raise ModelError(
                    f"Sparsify would set all weights of {name} to zero.",
                    f"Take a threshold below {float(size.max()):.3g}, or a lower ratio.",
                )
    mark_packed(network, {f"{name}.weight": "sparse" for name in layers})
    for name, layer in layers.items():
        constraints.constrain(network, name, constraints.ZerosStay(layer.weight))
    return replace(model, network=network, folder=None)
