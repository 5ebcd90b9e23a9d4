"""Teachers whose weights are held in fewer bits than they were learned in. They answer so; nothing is cut from them,
learns or is saved so.

8 bits are LLM.int8 (Dettmers et al., 2022), 4 bits NF4 (QLoRA, Dettmers et al., 2023), both of linear layers but the
last one and both by bitsandbytes; all else is bfloat16 then.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BitsAndBytesConfig
from transformers.pytorch_utils import Conv1D
from transformers.utils import is_bitsandbytes_available

from studio.config.run import Precision
from studio.errors import ModelError

FULL: Precision = "float32"

IN_FULL: Mapping[str, Any] = MappingProxyType({"dtype": torch.float32})

BYTES: dict[Precision, float] = {"float32": 4, "bfloat16": 2, "8bit": 1, "4bit": 0.5}
"""Of a weight of a linear layer; NF4 adds a number in float32 for 64 weights."""


def require(precision: Precision) -> None:
    """Raise `ModelError` where nothing is installed that holds weights so."""
    if precision in _QUANTIZED and not is_bitsandbytes_available():
        raise ModelError(
            f"A teacher in {precision} needs bitsandbytes, which is not installed.",
            "Install it with `pip install bitsandbytes`, or take teacher_precision bfloat16.",
        )


def arguments(precision: Precision, shapes: nn.Module) -> Mapping[str, Any]:
    """What `from_pretrained` is told of a network of these shapes. Weights are rounded on the processor; whoever has a
    GPU moves them there. Raises `ModelError` where nothing is installed that holds weights so."""
    require(precision)
    if precision not in _QUANTIZED:
        return {"dtype": getattr(torch, precision)}
    return {
        "dtype": torch.bfloat16,
        "device_map": {"": "cpu"},
        "quantization_config": BitsAndBytesConfig(
            **_QUANTIZED[precision], llm_int8_skip_modules=list(_linear(shapes))[-1:]
        ),
    }


def _linear(network: nn.Module) -> dict[str, nn.Linear | Conv1D]:
    """Linear layers by name; those of GPT-2 are stored the other way round."""
    return {name: module for name, module in network.named_modules() if isinstance(module, nn.Linear | Conv1D)}


_QUANTIZED: dict[Precision, dict[str, Any]] = {
    "8bit": {"load_in_8bit": True},
    "4bit": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": torch.bfloat16},
}


def ready(network: Any, precision: Precision) -> Any:
    """A network that was opened with `arguments(precision)`, ready to be asked. Raises `ModelError` where it has no
    layers that could be held so."""
    if precision == FULL:
        return network
    if precision in _QUANTIZED:
        _settle(network, precision)
    network.register_forward_pre_hook(_as_weights, with_kwargs=True)
    return network.eval()


def _settle(network: Any, precision: Precision) -> None:
    from bitsandbytes.nn import Linear4bit, Linear8bitLt

    layers = [module for module in network.modules() if isinstance(module, Linear4bit | Linear8bitLt)]
    if not layers:
        raise _without_layers(network, precision)
    for layer in layers:
        if isinstance(layer, Linear4bit):  # its way for AVX-512 repacks weights when first asked, and not of all widths
            layer.support_avx512bf16_for_cpu = False


def require_layers(network: Any, precision: Precision) -> None:
    """Raise `ModelError` where a network that is still to learn, and is held so afterwards, has nothing that can be."""
    if precision in _QUANTIZED and len(_linear(network)) < 2:
        raise _without_layers(network, precision)


def _without_layers(network: Any, precision: Precision) -> ModelError:
    return ModelError(
        f"A {network.config.model_type} has no linear layers, beside its last one, that could be held in {precision}.",
        "Take teacher_precision bfloat16.",
    )


def _as_weights(network: Any, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Numbers that a network reads, such as those of a picture, in the format of its weights."""

    def cast(value: Any) -> Any:
        return value.to(network.dtype) if isinstance(value, Tensor) and value.is_floating_point() else value

    return tuple(map(cast, given)), {name: cast(value) for name, value in named.items()}


def needed_bytes(shapes: nn.Module, precision: Precision) -> int:
    """About what the weights of a network of these shapes take in memory."""
    if precision not in _QUANTIZED:
        return int(BYTES[precision] * sum(weight.numel() for weight in shapes.parameters()))
    linear = {id(layer.weight) for layer in list(_linear(shapes).values())[:-1]}
    return int(sum(
        (BYTES[precision] if id(weight) in linear else BYTES["bfloat16"]) * weight.numel()
        for weight in shapes.parameters()
    ))  # fmt: skip
