"""Models as Hugging Face folders, written whole or not at all."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from studio import files
from studio.models import compact, constraints
from studio.models.model import Model


def rebuilt(network: Any) -> Any:
    """A network whose layers were changed, made anew from its config where that can tell their sizes: then it opens
    like any other. Else its config says `compact`, and `studio.models.compact` opens it."""
    config = network.config
    if not getattr(config, "compact", None):
        try:
            fresh = type(network)(config)
            fresh.load_state_dict(network.state_dict())
            return fresh
        except (RuntimeError, ValueError):
            config.compact = {"low_rank": [], "packed": {}}
    return network


def mark_packed(network: Any, forms: dict[str, str]) -> None:
    """From now on these weights are saved in the few bytes of that form; they must have its values already."""
    known = getattr(network.config, "compact", None) or {"low_rank": []}
    network.config.compact = known | {"packed": forms}


def _unmark_packed(network: Any) -> None:
    """A model that was opened holds plain floats: what it learns from now on must not be rounded when it is saved."""
    if network.config.compact["low_rank"] or not network.config.compact["packed"]:
        network.config.compact = network.config.compact | {"packed": {}}
    else:
        network.config.compact = None


def save(model: Model, folder: Path) -> Model:
    """Write a Hugging Face folder, whole or not at all."""
    network = constraints.without_rules(model.network)
    with files.whole(folder) as part:
        if getattr(network.config, "compact", None):
            compact.save(network, part)
        else:
            network.save_pretrained(part)
        model.processor.save_pretrained(part)
    return replace(model, folder=folder)


def weights_bytes(folder: Path) -> int:
    """Bytes on disk of the weights that are opened: safetensors, or an ONNX file where there is nothing else."""
    if not any(folder.glob("*.safetensors")):
        return (folder / "model.onnx").stat().st_size
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return (folder / "model.safetensors").stat().st_size
    names = set(json.loads(index.read_text())["weight_map"].values())
    return sum((folder / Path(name).name).stat().st_size for name in names)
