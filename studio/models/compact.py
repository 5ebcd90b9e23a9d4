"""Models that are smaller than their architecture's config can say: fewer heads here and there, products of thin
matrices, weights of few bits. They are saved as safetensors beside an ordinary config, whose entry `compact` says
more.

This file stands alone (it needs torch, transformers and safetensors only), so that an export can carry it:

    model = compact.load("folder", AutoModelForSequenceClassification)
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig

GROUP = 32
"""So many weights in a row share one scale in 4 bits."""

CODEBOOK = 16
"""So many values a matrix may hold, where each is a number in a book."""


@dataclass(frozen=True)
class Compact:
    """The entry `compact` of a config: which layers are products of two thin ones, and which weights are saved in few
    bytes, by the form of each. An entry that names none still says that the weights give the shapes."""

    low_rank: tuple[str, ...] = ()
    packed: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Any) -> "Compact | None":
        """What a config says; None where it is an ordinary one."""
        entry = getattr(config, "compact", None)
        return cls(tuple(entry.get("low_rank", ())), dict(entry.get("packed", {}))) if entry else None

    def mark(self, config: Any) -> None:
        """Put the entry into a config."""
        config.compact = {"low_rank": list(self.low_rank), "packed": dict(self.packed)}


def is_compact(folder: str | Path) -> bool:
    """Whether the folder needs this file to be opened."""
    return bool(json.loads((Path(folder) / "config.json").read_text()).get("compact"))


def load(folder: str | Path, auto_model: Any) -> Any:
    """The model in `folder` with float32 weights; `auto_model` is the transformers Auto class of its task."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    network = auto_model.from_config(config)
    state: dict[str, Tensor] = {}
    for file in sorted(Path(folder).glob("*.safetensors")):
        state |= load_file(file)
    entry = Compact.of(config) or Compact()
    restore(network, _with_twins(unpacked(state, entry.packed), network, entry.low_rank), entry.low_rank)
    return network.eval()


def save(network: Any, folder: str | Path) -> None:
    """What `load` opens: the config and one safetensors file."""
    network.config.architectures = [type(network).__name__]
    network.config.save_pretrained(folder)
    entry = Compact.of(network.config) or Compact()
    state = packed(_without_twins(network.state_dict()), entry.packed)
    save_file(state, Path(folder) / "model.safetensors", metadata={"format": "pt"})


def _without_twins(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of tensors that are one and the same, such as a table of words that is read at both ends, the first."""
    first: dict[tuple[int, torch.Size], str] = {}
    for name, tensor in state.items():
        first.setdefault((tensor.data_ptr(), tensor.shape) if tensor.numel() else (id(tensor), tensor.shape), name)
    return {name: state[name] for name in first.values()}


def _with_twins(state: dict[str, Tensor], network: nn.Module, split: Sequence[str]) -> dict[str, Tensor]:
    """The same, with what `network` has twice under both names; what is a product of two there has no twin."""
    own = {name: tensor for name, tensor in network.state_dict().items() if name.rpartition(".")[0] not in split}
    known = {own[name].data_ptr(): state[name] for name in state if name in own and own[name].numel()}
    twins = {
        name: known[tensor.data_ptr()]
        for name, tensor in own.items()
        if name not in state and tensor.data_ptr() in known
    }
    return state | twins


def restore(network: nn.Module, state: dict[str, Tensor], low_rank: Sequence[str] = ()) -> None:
    """Give `network` the shapes and the numbers of `state`. Raises `RuntimeError` where the names do not fit."""
    for name in low_rank:
        split(network, name, rank=state[f"{name}.1.weight"].shape[1])
    for name, tensor in state.items():
        owner, _, attribute = name.rpartition(".")
        module = network.get_submodule(owner)
        old = getattr(module, attribute)
        if old.shape != tensor.shape:
            fresh = torch.empty_like(tensor)
            setattr(module, attribute, nn.Parameter(fresh) if isinstance(old, nn.Parameter) else fresh)
            describe(module)
    network.load_state_dict(state)


def describe(module: nn.Module) -> None:
    """Bring what a layer says of its size up to date with its weights."""
    weight: Any = getattr(module, "weight", None)
    if isinstance(module, nn.Linear):
        module.out_features, module.in_features = weight.shape
    elif isinstance(module, nn.Conv2d):
        if module.groups > 1:  # depthwise: so many groups as channels
            module.groups = weight.shape[0] * module.groups // module.out_channels
        module.out_channels, module.in_channels = weight.shape[0], weight.shape[1] * module.groups
    elif isinstance(module, nn.BatchNorm2d):
        module.num_features = len(weight)
    elif isinstance(module, nn.LayerNorm):
        module.normalized_shape = tuple(weight.shape)
    elif isinstance(module, nn.Embedding):
        module.num_embeddings, module.embedding_dim = weight.shape


def split(network: nn.Module, name: str, rank: int) -> nn.Sequential:
    """Put two thin layers in the place of a linear layer or an embedding; returns them, with weights yet to be set."""
    old: Any = network.get_submodule(name)
    if isinstance(old, nn.Embedding):
        thin = nn.Embedding(old.num_embeddings, rank, padding_idx=old.padding_idx)
        pair = nn.Sequential(thin, nn.Linear(rank, old.embedding_dim, bias=False))
    else:
        first = nn.Linear(old.in_features, rank, bias=False)
        pair = nn.Sequential(first, nn.Linear(rank, old.out_features, bias=old.bias is not None))
    owner, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(owner), attribute, pair)
    return pair


def packed(state: dict[str, Tensor], forms: Mapping[str, str]) -> dict[str, Tensor]:
    """The same numbers in fewer bytes: each tensor that `forms` names by the form it has been rounded to already."""
    small: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name not in forms:
            small[name] = tensor.contiguous()
            continue
        parts = FORMS[forms[name]].pack(tensor.detach().cpu()) | {"shape": torch.tensor(tensor.shape)}
        small |= {f"{name}.{part}": values.contiguous() for part, values in parts.items()}
    return small


def unpacked(state: dict[str, Tensor], forms: Mapping[str, str]) -> dict[str, Tensor]:
    """What `packed` was given, to the bit. A name in `forms` that has no parts is another one's twin."""
    whole: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        owner, _, part = name.rpartition(".")
        if owner in forms:
            parts.setdefault(owner, {})[part] = tensor
        else:
            whole[name] = tensor
    for name, own in parts.items():
        whole[name] = FORMS[forms[name]].unpack(own, tuple(own["shape"].tolist()))
    return whole


def rounded(weight: Tensor, form: str) -> Tensor:
    """The weight as its form gives it back, where that is one of evenly spaced numbers."""
    return EVEN[form].rounded(weight)


class Form(Protocol):
    """How a matrix is written in few bytes. A new one is a class and its entry below; the name of an entry stands in
    configs that were saved, and so do the names of its parts in their weights."""

    def pack(self, weight: Tensor) -> dict[str, Tensor]:
        """The parts that are saved of a weight that holds what this form can say; its shape is saved beside them."""
        ...

    def unpack(self, parts: Mapping[str, Tensor], shape: tuple[int, ...]) -> Tensor:
        """The weight of these parts, to the bit."""
        ...


class Even(Form, Protocol):
    """Symmetric whole numbers times a scale, which the weights of a group share."""

    largest: int

    def scaled(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The weights in groups (groups, size), and the scale of each (groups, 1)."""
        ...

    def codes(self, groups: Tensor, scales: Tensor) -> Tensor:
        return (groups / scales.float()).round().clamp(-self.largest, self.largest)

    def rounded(self, weight: Tensor) -> Tensor:
        """The weight as it comes back from its few bytes."""
        groups, scales = self.scaled(weight)
        codes = self.codes(groups, scales)
        return (codes * scales.float()).flatten()[: weight.numel()].view(weight.shape)


class EightBits(Even):
    """A scale for each output (row)."""

    largest = 127

    def scaled(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        groups = weight.reshape(len(weight), -1)
        return groups, (groups.abs().amax(1, keepdim=True) / self.largest).clamp(min=1e-12)

    def pack(self, weight: Tensor) -> dict[str, Tensor]:
        groups, scales = self.scaled(weight)
        return {"codes": self.codes(groups, scales).to(torch.int8), "scales": scales}

    def unpack(self, parts: Mapping[str, Tensor], shape: tuple[int, ...]) -> Tensor:
        return (parts["codes"].float() * parts["scales"].float()).view(shape)


class FourBits(Even):
    """A scale in float16 for every 32 weights."""

    largest = 7

    def scaled(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        flat = weight.flatten()
        groups = nn.functional.pad(flat, (0, -len(flat) % GROUP)).view(-1, GROUP)
        return groups, (groups.abs().amax(1, keepdim=True) / self.largest).clamp(min=1e-7).half()

    def pack(self, weight: Tensor) -> dict[str, Tensor]:
        groups, scales = self.scaled(weight)
        codes = self.codes(groups, scales)
        return {"codes": _nibbles(codes.flatten() + 8), "scales": scales}

    def unpack(self, parts: Mapping[str, Tensor], shape: tuple[int, ...]) -> Tensor:
        scales = parts["scales"].float()
        codes = _from_nibbles(parts["codes"])[: len(scales) * GROUP].view(len(scales), GROUP) - 8
        return (codes * scales).flatten()[: math.prod(shape)].view(shape)


class Codebook:
    """At most 16 values of any size, and for each weight which of them it is."""

    def pack(self, weight: Tensor) -> dict[str, Tensor]:
        book, codes = weight.unique(return_inverse=True)
        return {"codes": _nibbles(codes.flatten()), "book": book}

    def unpack(self, parts: Mapping[str, Tensor], shape: tuple[int, ...]) -> Tensor:
        return parts["book"][_from_nibbles(parts["codes"])[: math.prod(shape)]].view(shape)


class Sparse:
    """Where a weight is not zero, a bit for each, and the others whole."""

    def pack(self, weight: Tensor) -> dict[str, Tensor]:
        flat = weight.flatten()
        return {"mask": _bits(flat != 0), "values": flat[flat != 0]}

    def unpack(self, parts: Mapping[str, Tensor], shape: tuple[int, ...]) -> Tensor:
        whole = torch.zeros(math.prod(shape))
        whole[_from_bits(parts["mask"], len(whole))] = parts["values"]
        return whole.view(shape)


EVEN: dict[str, Even] = {"weights_int8": EightBits(), "weights_int4": FourBits()}
FORMS: dict[str, Form] = {**EVEN, "codebook": Codebook(), "sparse": Sparse()}


def _nibbles(codes: Tensor) -> Tensor:
    """Numbers below 16, two in a byte."""
    even = nn.functional.pad(codes.to(torch.uint8), (0, len(codes) % 2))
    return even[::2] | (even[1::2] << 4)


def _from_nibbles(packed: Tensor) -> Tensor:
    return torch.stack([packed & 15, packed >> 4], dim=1).flatten().long()


def _bits(mask: Tensor) -> Tensor:
    """Yes or no, eight in a byte."""
    eights = nn.functional.pad(mask.to(torch.uint8), (0, -len(mask) % 8)).view(-1, 8)
    return (eights << torch.arange(8, dtype=torch.uint8)).sum(1, dtype=torch.uint8)


def _from_bits(packed: Tensor, count: int) -> Tensor:
    return ((packed[:, None] >> torch.arange(8, dtype=torch.uint8)) & 1).flatten()[:count].bool()
