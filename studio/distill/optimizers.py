"""What corrects weights by their gradients: AdamW (Loshchilov & Hutter, 2019), its moments in 32 or in 8 bits (Dettmers
et al., 2022)."""

from collections.abc import Iterable
from typing import Any

import torch
from transformers.utils import is_bitsandbytes_available

from studio.config.run import Optimizer
from studio.errors import ModelError


def require(name: Optimizer) -> None:
    """Raise `ModelError` where nothing is installed that has such an optimizer."""
    if name == "adamw_8bit" and not is_bitsandbytes_available():
        raise ModelError(
            "The optimizer adamw_8bit needs bitsandbytes, which is not installed.",
            "Install it with `pip install bitsandbytes`, or take adamw.",
        )


def optimizer(name: Optimizer, weights: Iterable[Any], rate: float) -> torch.optim.Optimizer:
    """For these weights or groups of them."""
    if name == "adamw":
        return torch.optim.AdamW(weights, lr=rate, fused=True)
    from bitsandbytes.optim import AdamW8bit

    found: torch.optim.Optimizer = AdamW8bit(weights, lr=rate)
    return found
