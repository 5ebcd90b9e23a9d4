"""Models as Hugging Face folders, written whole or not at all."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from studio import files
from studio.errors import ModelError
from studio.home import PASSING
from studio.models import compact, constraints, folders
from studio.models.compact import Compact
from studio.models.model import Model


def rebuilt(network: Any) -> Any:
    """A network whose layers were changed, made anew from its config where that can tell their sizes: then it opens
    like any other. Else its config says `compact`, and `studio.models.compact` opens it."""
    if Compact.of(network.config) is None:
        try:
            fresh = type(network)(network.config)
            fresh.load_state_dict(network.state_dict())
            return fresh
        except (RuntimeError, ValueError):
            Compact().mark(network.config)
    return network


def mark_packed(network: Any, forms: dict[str, str]) -> None:
    """From now on these weights are saved in the few bytes of that form; they must have its values already."""
    known = Compact.of(network.config) or Compact()
    replace(known, packed=forms).mark(network.config)


def without_packing(network: Any) -> Any:
    """A model that was opened holds plain floats: what it learns from now on must not be rounded when it is saved."""
    known = Compact.of(network.config) or Compact()
    if known.packed and not known.low_rank:
        network.config.compact = None
        return rebuilt(network).eval()
    Compact(known.low_rank).mark(network.config)
    return network


def save(model: Model, folder: Path) -> Model:
    """Write a Hugging Face folder with the checksums of its weights, whole or not at all. What can be written by hand,
    such as the names of its labels, may be changed later. Weights that are held in fewer bits are never written."""
    assert model.precision == "float32", f"a model in {model.precision} answers, and is not saved"
    network = constraints.without_rules(model.network)
    with files.sealed(folder, ".safetensors") as part:
        if Compact.of(network.config) is None:
            network.save_pretrained(part)
        else:
            compact.save(network, part)
        model.processor.save_pretrained(part)
    return replace(model, folder=folder)


def require_undamaged(folder: Path) -> None:
    """Raise `ModelError` where weights that were saved are not as they were."""
    damage = files.damage(folder, ".safetensors", ".onnx")
    if damage is not None:
        raise ModelError(
            f"The model in {folder} is damaged: {damage}.",
            f"Restore it from a backup, or train it again. Where you changed it yourself, delete {files.SUMS}.",
        )


def bytes_to_answer(model: Model, folder: Path) -> int:
    """Bytes on disk of all that a model in this folder needs to answer: the weights that are opened, and its config and
    what reads a row as they are saved here. What else lies in the folder is not counted."""
    with tempfile.TemporaryDirectory(prefix=PASSING) as place:
        model.network.config.save_pretrained(place)
        model.processor.save_pretrained(place)
        beside = sum(file.stat().st_size for file in files.inside(Path(place)))
    return weights_bytes(folder) + beside


def weights_bytes(folder: Path) -> int:
    """Bytes on disk of the weights that are opened: safetensors, or an ONNX file where there is nothing else."""
    if not any(folder.glob("*.safetensors")):
        return (folder / "model.onnx").stat().st_size
    opened = folders.weight_files(folder, compact.is_compact(folder))
    return sum(file.stat().st_size for file in opened)
