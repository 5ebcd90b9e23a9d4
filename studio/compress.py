"""Structured pruning: whole neurons and channels go, and the matrices that remain are really smaller."""

import copy
import warnings
from typing import Any

import torch
import torch_pruning as tp
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from studio.errors import ModelError
from studio.models import Model

NEURON_WIDTHS = ("intermediate_size", "hidden_dim", "ffn_dim")
"""What configs call the width of a transformer's feed-forward layers."""


def prune(model: Model, ratio: float, example: dict[str, torch.Tensor]) -> Model:
    """Remove the share `ratio` of the least important neurons (transformers) or channels (convolutions).

    Importance is the L2 norm of the weights that go with a unit (Li et al., 2017; grouped as in Fang et al., 2023).
    Every layer loses the same share, so that the result is an ordinary model of its architecture with a smaller config.
    `example` is one batch. Raises `ModelError` where the architecture cannot be narrowed.
    """
    network: Any = copy.deepcopy(model.network).cpu().eval()
    example = {name: tensor.cpu() for name, tensor in example.items()}
    config = copy.deepcopy(network.config)
    width = next((name for name in NEURON_WIDTHS if isinstance(getattr(config, name, None), int)), None)
    if width is not None:
        kept = _kept(getattr(config, width), ratio)
        _prune_neurons(network, getattr(config, width), kept, example)
        setattr(config, width, kept)
    elif getattr(config, "hidden_sizes", None):
        _prune_channels(network, ratio, example)
        _narrow(config, network)
    else:
        raise ModelError(
            f"A {config.model_type} cannot be pruned: the studio knows no neurons or channels in it.",
            "Set prune_ratio to 0 or choose another student.",
        )
    return Model(_rebuilt(network, config), model.processor, model.knows_labels, model.pretrained)


def _kept(units: int, ratio: float) -> int:
    """How many of `units` stay; never none.

    >>> _kept(1536, 0.5), _kept(8, 0.9)
    (768, 1)
    """
    return max(1, units - round(units * ratio))


def _dependencies(network: nn.Module, example: dict[str, torch.Tensor]) -> Any:
    """Which layers must shrink together."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of parameters it leaves alone: position embeddings, scales
        return tp.DependencyGraph().build_dependency(
            network, example_inputs=example, forward_fn=_logits, output_transform=None
        )


def _logits(network: nn.Module, example: dict[str, torch.Tensor]) -> torch.Tensor:
    logits: torch.Tensor = network(**example).logits
    return logits


def _prune_neurons(network: nn.Module, units: int, kept: int, example: dict[str, torch.Tensor]) -> None:
    """Narrow every layer that widens to `units`, together with the layer that reads it."""
    graph = _dependencies(network, example)
    importance = tp.importance.GroupMagnitudeImportance(p=2)
    wide = [one for one in network.modules() if isinstance(one, nn.Linear) and one.out_features == units]
    for layer in wide:
        group = graph.get_pruning_group(layer, tp.prune_linear_out_channels, idxs=list(range(units)))
        weakest = importance(group).argsort()[: units - kept].tolist()
        graph.get_pruning_group(layer, tp.prune_linear_out_channels, idxs=weakest).prune()


def _prune_channels(network: nn.Module, ratio: float, example: dict[str, torch.Tensor]) -> None:
    """Narrow all convolutions or hidden layers by the same share; the last layer keeps its classes."""
    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tp.pruner.BasePruner(
            network,
            example_inputs=example,
            importance=tp.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=ratio,
            ignored_layers=[last],
            forward_fn=_logits,
        ).step()


def _narrow(config: PreTrainedConfig, network: Any) -> None:
    """Write the widths that are left into the config."""
    if config.model_type == "resnet":
        encoder = network.resnet
        config.embedding_size = encoder.embedder.embedder.convolution.out_channels
        config.hidden_sizes = [
            next(m for m in reversed(list(stage.modules())) if isinstance(m, nn.Conv2d)).out_channels
            for stage in encoder.encoder.stages
        ]
    elif config.model_type == "studio-mlp":
        config.hidden_sizes = [layer.out_features for layer in network.hidden]
    else:
        raise ModelError(
            f"A {config.model_type} cannot be pruned yet.", "Set prune_ratio to 0 or choose another student."
        )


def _rebuilt(network: PreTrainedModel, config: PreTrainedConfig) -> PreTrainedModel:
    """The pruned weights in a model made from the smaller config: proof that it saves and loads like any other."""
    fresh = type(network)(config)
    try:
        fresh.load_state_dict(network.state_dict())
    except RuntimeError as error:
        raise ModelError(
            f"A pruned {config.model_type} does not fit its own architecture any more.",
            "Set prune_ratio to 0 or choose another student.",
        ) from error
    return fresh
