"""Weights of few bits: rounded after training, or already while the student learns."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn

from studio.config.plan import ONNX_FORMS, Form
from studio.models import compact, constraints
from studio.models.model import Model
from studio.models.saving import mark_packed

KMEANS_VALUES = 50_000
"""So many weights of a layer, drawn at random, decide its 16 values."""


def quantize_weights(model: Model, form: Form) -> Model:
    """A copy whose matrices hold rounded weights; biases and norms stay whole. It is saved in few bits.

    `weights_int8`, `weights_int4`: symmetric, evenly spaced (see `compact.rounded`). `codebook`: 16 values a matrix,
    found by k-means (Han, Mao & Dally, 2016).
    """
    network: Any = copy.deepcopy(constraints.without_rules(model.network))
    layers = constraints.weighty(network)
    with torch.no_grad():
        for layer in layers.values():
            weight = layer.weight
            weight.copy_(nearest_of_few(weight) if form == "codebook" else compact.rounded(weight, form))
    mark_packed(network, {f"{name}.weight": form for name in layers})
    return replace(model, network=network, folder=None)


def nearest_of_few(weight: Tensor, seed: int = 0) -> Tensor:
    """Every weight becomes the nearest of 16 values, which k-means finds."""
    values = weight.detach().flatten().double().numpy()
    drawn = np.random.default_rng(seed).choice(values, min(KMEANS_VALUES, len(values)), replace=False)
    count = min(compact.CODEBOOK, len(np.unique(drawn)))
    start = np.quantile(drawn, (np.arange(count) + 0.5) / count)[:, None]
    found = KMeans(count, init=start, n_init=1, max_iter=50).fit(drawn[:, None])
    book = torch.from_numpy(np.sort(found.cluster_centers_.ravel())).to(weight.dtype)
    return book[torch.bucketize(weight.detach(), (book[1:] + book[:-1]) / 2)]


def round_while_learning(model: Model, form: Form) -> Model:
    """A copy that learns with rounded weights, and, for int8, rounded inputs of its layers (Jacob et al., 2018).

    A codebook is rounded to 4 bits meanwhile: its own values are found at the end.
    """
    network: Any = copy.deepcopy(constraints.without_rules(model.network))
    bits = "weights_int8" if form in ONNX_FORMS or form == "weights_int8" else "weights_int4"
    for name, layer in constraints.weighty(network).items():
        constraints.constrain(network, name, constraints.Rounded(bits))
        if form in ONNX_FORMS and not isinstance(layer, nn.Embedding):
            constraints.round_inputs(network.get_submodule(name))
    return replace(model, network=network, folder=None)
