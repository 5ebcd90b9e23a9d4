"""Models that are smaller than their architecture's config can say: fewer heads here and there, products of thin
matrices, weights of few bits. They are saved as safetensors beside an ordinary config, whose entry `compact` says
more.

This file stands alone (it needs torch, transformers and safetensors only), so that an export can carry it:

    model = compact.load("folder", AutoModelForSequenceClassification)
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig

GROUP = 32
"""So many weights in a row share one scale in 4 bits."""

LARGEST = {"weights_int8": 127, "weights_int4": 7}
CODEBOOK = 16


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
    own = {name: one for name, one in network.state_dict().items() if name.rpartition(".")[0] not in split}
    known = {own[name].data_ptr(): state[name] for name in state if name in own and own[name].numel()}
    twins = {name: known[one.data_ptr()] for name, one in own.items() if name not in state and one.data_ptr() in known}
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


def packed(state: dict[str, Tensor], forms: dict[str, str]) -> dict[str, Tensor]:
    """The same numbers in fewer bytes: each tensor that `forms` names by the form it has been rounded to already."""
    small: dict[str, Tensor] = {}
    for name, tensor in state.items():
        parts = {"": tensor} if name not in forms else _pack(tensor.detach().cpu(), forms[name])
        small |= {f"{name}.{part}" if part else name: values.contiguous() for part, values in parts.items()}
    return small


def unpacked(state: dict[str, Tensor], forms: dict[str, str]) -> dict[str, Tensor]:
    """What `packed` was given, to the bit."""
    whole = {name: tensor for name, tensor in state.items() if name.rpartition(".")[0] not in forms}
    for name, form in forms.items():
        if f"{name}.shape" not in state:
            continue  # it is another one's twin
        whole[name] = _unpack({part: state[f"{name}.{part}"] for part in _PARTS[form]}, form)
    return whole


_PARTS = {
    "weights_int8": ("codes", "scales", "shape"),
    "weights_int4": ("codes", "scales", "shape"),
    "codebook": ("codes", "book", "shape"),
    "sparse": ("mask", "values", "shape"),
}


def _pack(weight: Tensor, form: str) -> dict[str, Tensor]:
    shape = torch.tensor(weight.shape)
    if form == "sparse":
        flat = weight.flatten()
        return {"mask": _bits(flat != 0), "values": flat[flat != 0], "shape": shape}
    if form == "codebook":
        book, codes = weight.unique(return_inverse=True)
        return {"codes": _nibbles(codes.flatten()), "book": book, "shape": shape}
    groups, scales = _scaled(weight, form)
    codes = (groups / scales.float()).round().to(torch.int8)
    if form == "weights_int4":
        return {"codes": _nibbles(codes.flatten() + 8), "scales": scales, "shape": shape}
    return {"codes": codes, "scales": scales, "shape": shape}


def _unpack(parts: dict[str, Tensor], form: str) -> Tensor:
    shape = tuple(parts["shape"].tolist())
    count = math.prod(shape)
    if form == "sparse":
        whole = torch.zeros(count)
        whole[_from_bits(parts["mask"], count)] = parts["values"]
        return whole.view(shape)
    if form == "codebook":
        return parts["book"][_from_nibbles(parts["codes"])[:count]].view(shape)
    scales = parts["scales"].float()
    if form == "weights_int8":
        return (parts["codes"].float() * scales).view(shape)
    codes = _from_nibbles(parts["codes"])[: len(scales) * GROUP].view(len(scales), GROUP) - 8
    return (codes * scales).flatten()[:count].view(shape)


def rounded(weight: Tensor, form: str) -> Tensor:
    """The weight as its packed form gives it back: symmetric whole numbers times a scale.

    8 bits: a scale for each output (row). 4 bits: a scale in float16 for every 32 weights.
    """
    groups, scales = _scaled(weight, form)
    codes = (groups / scales.float()).round().clamp(-LARGEST[form], LARGEST[form])
    return (codes * scales.float()).flatten()[: weight.numel()].view(weight.shape)


def _scaled(weight: Tensor, form: str) -> tuple[Tensor, Tensor]:
    """The weights in groups (groups, size), and the scale of each (groups, 1)."""
    if form == "weights_int8":
        groups = weight.reshape(len(weight), -1)
        return groups, (groups.abs().amax(1, keepdim=True) / 127).clamp(min=1e-12)
    flat = weight.flatten()
    groups = nn.functional.pad(flat, (0, -len(flat) % GROUP)).view(-1, GROUP)
    return groups, (groups.abs().amax(1, keepdim=True) / 7).clamp(min=1e-7).half()


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
