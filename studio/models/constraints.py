"""What weights must keep to while they learn: zeros that stay zero, numbers that a few bits can hold."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from studio.models import compact

WEIGHTY = (nn.Linear, nn.Conv2d, nn.Embedding)


class ZerosStay(nn.Module):
    """The weight, but zero wherever it was zero."""

    mask: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", weight != 0)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.mask


class Rounded(nn.Module):
    """The weight as few bits give it back; gradients pass as if it were not rounded (Bengio et al., 2013)."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form

    def forward(self, weight: Tensor) -> Tensor:
        with torch.no_grad():
            error = compact.rounded(weight, self.form) - weight
        return weight + error


def constrain(network: nn.Module, name: str, rule: nn.Module) -> None:
    """From now on the weight of this layer keeps to the rule."""
    parametrize.register_parametrization(network.get_submodule(name), "weight", rule)


def round_inputs(layer: nn.Module) -> None:
    """From now on the layer hears its inputs in 8 bits, with the range of each batch."""
    layer.register_forward_pre_hook(_in_eight_bits)


def _in_eight_bits(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    heard = inputs[0].float()
    low, high = heard.detach().amin().clamp(max=0), heard.detach().amax().clamp(min=0)
    scale = ((high - low) / 255).clamp(min=1e-8)
    zero = (-low / scale).round().clamp(0, 255).int()
    return (torch.fake_quantize_per_tensor_affine(heard, scale, zero, 0, 255).to(inputs[0].dtype), *inputs[1:])


def weighty(network: nn.Module) -> dict[str, Any]:
    """The layers that hold nearly all numbers, by name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, WEIGHTY)}


def _let_go(layer: Any) -> None:
    """The layer as it was before it kept to a rule. (torch's own way would change its copies, too.)"""
    weight = layer.weight.detach().clone()
    layer.__class__ = parametrize.type_before_parametrizations(layer)
    del layer.parametrizations
    layer.register_parameter("weight", nn.Parameter(weight))


def without_rules(network: Any) -> Any:
    """A copy that no rule holds any more: its weights are what the rules made of them. One without rules is not
    copied."""
    held = [name for name, module in network.named_modules() if parametrize.is_parametrized(module)]
    hooked = [name for name, module in network.named_modules() if _in_eight_bits in module._forward_pre_hooks.values()]
    if not held and not hooked:
        return network
    free = copy.deepcopy(network)
    for name in held:
        _let_go(free.get_submodule(name))
    for name in hooked:
        hooks = free.get_submodule(name)._forward_pre_hooks
        for key in [key for key, hook in hooks.items() if hook is _in_eight_bits]:
            del hooks[key]
    return free
