"""Low-rank adapters: a model learns through thin matrices beside its own, which stay as they are (LoRA, Hu et al.,
2022).

They are added before a fit and merged into the weights after it, so that nothing else knows of them: what is saved,
measured and exported is an ordinary model.
"""

from dataclasses import replace
from typing import Any

import torch

from studio.models.model import Model

SCALE = 2.0
"""What the adapters say counts so much, whatever their rank (alpha = 2 · rank)."""


def adapted(model: Model, rank: int, seed: int) -> Model:
    """The model with an adapter of this rank at every linear layer but the last, in place; nothing else learns. At
    first it answers as before."""
    import peft  # it takes a second to open: only for runs that need it

    config = peft.LoraConfig(r=rank, lora_alpha=round(SCALE * rank), target_modules="all-linear", lora_dropout=0.0)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network: Any = peft.inject_adapter_in_model(config, model.network)
    for name, weight in network.named_parameters():
        weight.requires_grad_("lora_" in name)
    return replace(model, network=network, folder=None)


def merged(model: Model) -> Model:
    """The adapters added to the weights that they stand beside, in place; as it is where there are none."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    network = model.network
    layers = [(name, module) for name, module in network.named_modules() if isinstance(module, BaseTunerLayer)]
    for name, layer in layers:
        layer.merge(safe_merge=True)
        network.set_submodule(name, layer.get_base_layer())
    if hasattr(network, "peft_config"):
        del network.peft_config
    network.requires_grad_(True)
    return model
