"""Students cut from their teachers' layers."""

import copy
from dataclasses import replace
from typing import TypeVar

from torch import nn

from studio.errors import ModelError
from studio.models import compact
from studio.models.compact import Compact
from studio.models.model import Model, parameters

Value = TypeVar("Value")


def cut_layers(teacher: Model, keep: int) -> Model:
    """A student of `keep` of the teacher's layers, evenly spread and with their weights (as DistilBERT starts)."""
    config = teacher.network.config
    total = getattr(config, "num_hidden_layers", None)
    stack = layer_stack(teacher.network, total)
    if total is None or stack is None:
        raise ModelError(
            f"A {config.model_type} is not a stack of equal layers that could be cut.",
            "Choose a built-in student or one from the hub.",
        )
    if not 1 <= keep < total:
        raise ModelError(f"The teacher has {total} layers, so a student can keep 1 to {total - 1}, got {keep}.", "")
    return replace(keep_layers(teacher, evenly_spread(keep, total)), knows_labels=True, pretrained=True, folder=None)


def keep_layers(model: Model, kept: list[int]) -> Model:
    """The same model with these of its layers. Where all layers share one set of weights (ALBERT) they run less
    often."""
    config = copy.deepcopy(model.network.config)
    stack = layer_stack(model.network, config.num_hidden_layers)
    config.num_hidden_layers = len(kept)
    state = model.network.state_dict()
    if stack is not None:
        state = _renumbered(state, stack, kept)
    entry = Compact.of(config)
    low_rank = () if entry is None else entry.low_rank
    if entry is not None and stack is not None:
        low_rank = tuple(_renumbered(dict.fromkeys(low_rank), stack, kept))
        replace(entry, low_rank=low_rank).mark(config)
    smaller = type(model.network)(config)
    compact.restore(smaller, state, low_rank)
    return replace(model, network=smaller, folder=None)


def evenly_spread(keep: int, total: int) -> list[int]:
    """Which layers to keep: evenly spread, the last one always among them.

    >>> evenly_spread(2, 6), evenly_spread(3, 12)
    ([2, 5], [3, 7, 11])
    """
    return [(index + 1) * total // keep - 1 for index in range(keep)]


def layer_stack(network: nn.Module, total: int | None) -> str | None:
    """The name of the module list that holds the layers."""
    stacks = [
        (parameters(module), name)
        for name, module in network.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == total
    ]
    return max(stacks)[1] if stacks else None


def _renumbered(state: dict[str, Value], stack: str, kept: list[int]) -> dict[str, Value]:
    """What belongs to the kept layers under their new numbers, and all that lies outside the stack."""
    numbers = {old: new for new, old in enumerate(kept)}
    smaller = {}
    for name, value in state.items():
        if not name.startswith(stack + "."):
            smaller[name] = value
            continue
        number, _, rest = name.removeprefix(stack + ".").partition(".")
        if int(number) in numbers:
            smaller[f"{stack}.{numbers[int(number)]}.{rest}"] = value
    return smaller
