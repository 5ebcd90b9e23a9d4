"""Load or build teachers and students, start a student from its teacher, save them all the same way."""

import copy
import json
import shutil
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from datasets import Dataset
from torch import nn
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer

from studio import compact, constraints, hub, memory, tasks
from studio.config import RunConfig, TaskName
from studio.errors import ModelError
from studio.events import Progress
from studio.home import Home
from studio.references import BUILTIN_IMAGE, BUILTIN_TEXT, ModelReference


@dataclass(frozen=True)
class Model:
    """A network with the tokenizer or image processor that belongs to it.

    `knows_labels`: its head already tells the labels of the data set apart, so it needs no fine-tuning.
    `pretrained`: it starts from learned weights rather than from random ones.
    `folder` is where it was opened from or saved to; `notes` are for the log.
    """

    network: Any  # a PreTrainedModel; its own annotations reject `.to(device)`
    processor: Any
    knows_labels: bool = False
    pretrained: bool = False
    folder: Path | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fit:
    """What a model is to be fitted to: the task, the names of its labels, the training rows, and whether a row can have
    several labels."""

    task: TaskName
    labels: list[str]
    rows: Dataset
    max_length: int
    several: bool = False

    @property
    def head(self) -> dict[str, Any]:
        """The part of a model's config that names the labels."""
        return {
            "num_labels": len(self.labels),
            "id2label": dict(enumerate(self.labels)),
            "label2id": {label: number for number, label in enumerate(self.labels)},
            "problem_type": "multi_label_classification" if self.several else "single_label_classification",
        }


def load(reference: str, fit: Fit, home: Home) -> Generator[Progress, None, Model]:
    """Open or build the model behind a reference; yields download progress, returns the model.

    Raises `ModelError` where it cannot be found, is not safe to open, or is not made for the task.
    """
    wanted = ModelReference.parse(reference)
    if wanted.source == "builtin":
        return build(wanted.name, fit)
    if wanted.source == "hub":
        folder = yield from hub.download(wanted.name)
        return open_folder(folder, fit)
    if wanted.source == "run":
        number, role = wanted.name.split("/")
        folder = home.model(int(number), role)
        if not folder.is_dir():
            raise ModelError(f"Run {number} has no saved {role}.", "Choose a run that finished, or another model.")
        return open_folder(folder, fit)
    if wanted.source == "folder":
        return open_folder(Path(wanted.name).expanduser(), fit)
    raise ModelError(f"{reference!r} is cut from the teacher; it cannot be opened on its own.", "")


def build(name: str, fit: Fit) -> Model:
    """A built-in architecture with random weights, and a processor fitted to the training rows."""
    names = BUILTIN_TEXT if fit.task == "text-classification" else BUILTIN_IMAGE
    if name not in names:
        raise ModelError(f"builtin/{name} is not made for {fit.task}.", f"Choose one of {', '.join(names)}.")
    task = tasks.of(fit.task)
    config, processor = task.builtin(name, fit.rows, fit.head, fit.max_length)
    return Model(task.auto_model.from_config(config), processor)


def open_folder(folder: Path, fit: Fit) -> Model:
    """A Hugging Face folder: safetensors only, no code from the folder, with a head for the labels of `fit`."""
    check_folder(folder)
    memory.require(weights_bytes(folder), torch.device("cpu"), f"The model in {folder}")
    task = tasks.of(fit.task)
    knows, notes = _compare_labels(folder, fit.labels, fit.several)
    try:
        network, loading = _open_network(folder, task.auto_model, None if knows else len(fit.labels))
        processor = task.load_processor(str(folder))
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ModelError(
            f"The model in {folder} cannot be opened for {fit.task}: {_first_line(error)}.",
            "Choose a Hugging Face folder with weights and a tokenizer or image processor of this kind.",
        ) from error
    fresh_head = bool(loading["missing_keys"]) or bool(loading["mismatched_keys"])
    knows = knows and not fresh_head
    if knows:
        _order_head(network, fit.labels)
    else:
        notes = ()
    for key, value in fit.head.items():
        setattr(network.config, key, value)
    return Model(network, processor, knows_labels=knows, pretrained=True, folder=folder, notes=notes)


def _open_network(folder: Path, auto_model: Any, labels: int | None) -> tuple[Any, dict[str, Any]]:
    """The network, and which of its weights are missing in the folder; with a fresh head for so many `labels`."""
    if compact.is_compact(folder):
        network = compact.load(folder, auto_model)
        _unmark_packed(network)
        if labels is not None:
            raise ValueError("it was compressed for other labels, and its last layer cannot be changed any more")
        return network, {"missing_keys": [], "mismatched_keys": []}
    network, loading = auto_model.from_pretrained(
        folder,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        dtype=torch.float32,
        **({"num_labels": labels} if labels is not None else {}),
    )
    return network, loading


def open_masked(folder: Path) -> tuple[Any, Any]:
    """A masked language model and its tokenizer from a Hugging Face folder: safetensors only, no code from it."""
    check_folder(folder)
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        network, loading = AutoModelForMaskedLM.from_pretrained(
            folder, use_safetensors=True, output_loading_info=True, dtype=torch.float32, **safe
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, **safe)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ModelError(
            f"The model in {folder} cannot be opened as a masked language model: {_first_line(error)}.",
            "Choose one such as google-bert/bert-base-uncased.",
        ) from error
    if loading["missing_keys"] or tokenizer.mask_token is None:
        raise ModelError(
            f"The model in {folder} was not trained to fill in masked words.",
            "Choose one that was, such as google-bert/bert-base-uncased.",
        )
    return network, tokenizer


def check_folder(folder: Path) -> None:
    """Raise `ModelError` unless the folder holds a config and safetensors weights."""
    if not folder.is_dir():
        raise ModelError(
            f"There is no folder {folder}.", "Check the path; it is read on the machine that serves the studio."
        )
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} holds no config.json.", "Choose a folder in Hugging Face format.")
    if not any(folder.glob("*.safetensors")):
        pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt"))
        reason = " It has pickled weights (.bin, .pt), which can run code when opened." if pickled else ""
        raise ModelError(
            f"{folder} holds no .safetensors weights.{reason}",
            "Save the model again with `save_pretrained`, which writes safetensors.",
        )


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
    if getattr(config, "compact", None):
        old = {f"{name}.0.weight": torch.empty(0) for name in config.compact["low_rank"]}
        new = old if stack is None else _renumbered(old, stack, kept)
        config.compact = config.compact | {"low_rank": [name.removesuffix(".0.weight") for name in new]}
    smaller = type(model.network)(config)
    compact.restore(smaller, state, (getattr(config, "compact", None) or {"low_rank": []})["low_rank"])
    return replace(model, network=smaller, folder=None)


def rebuilt(network: Any) -> Any:
    """A network whose layers were changed, made anew from its config where that can tell their sizes: then it opens
    like any other. Else its config says `compact`, and `studio.compact` opens it."""
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


def evenly_spread(keep: int, total: int) -> list[int]:
    """Which layers to keep: evenly spread, the last one always among them.

    >>> evenly_spread(2, 6), evenly_spread(3, 12)
    ([2, 5], [3, 7, 11])
    """
    return [(index + 1) * total // keep - 1 for index in range(keep)]


def save(model: Model, folder: Path) -> Model:
    """Write a Hugging Face folder in one move: readers see the old one or the new one, never half of it."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    network = constraints.settled(model.network)
    if getattr(network.config, "compact", None):
        compact.save(network, part)
    else:
        network.save_pretrained(part)
    model.processor.save_pretrained(part)
    old = folder.with_name(folder.name + ".old")
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return replace(model, folder=folder)


def weights_bytes(folder: Path) -> int:
    """Bytes on disk of the weights that are opened: safetensors, or an ONNX file where there is nothing else."""
    if not any(folder.glob("*.safetensors")):
        return (folder / "model.onnx").stat().st_size
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return (folder / "model.safetensors").stat().st_size
    files = set(json.loads(index.read_text())["weight_map"].values())
    return sum((folder / Path(name).name).stat().st_size for name in files)


def parameters(network: nn.Module) -> int:
    """How many numbers the model holds; a shared one counts once."""
    return sum(parameter.numel() for parameter in network.parameters())


def quiet() -> None:
    """Keep transformers' own progress bars out of the log."""
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def learning_rate(config: RunConfig, model: Model, role: str) -> float:
    """What the config says, else a rate that suits weights that are learned already, or random ones."""
    asked = config.teacher_learning_rate if role == "teacher" else config.learning_rate
    if asked is not None:
        return asked
    if model.pretrained:
        return 5e-5 if role == "teacher" else 1e-4
    return 1e-3


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _compare_labels(folder: Path, labels: list[str], several: bool) -> tuple[bool, tuple[str, ...]]:
    """Whether the folder's config names the same labels, in any order; unnamed ones count when as many.

    `several`: its head must have learned to say yes or no to each of them.
    """
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
        raise ModelError(
            f"The config of {folder} cannot be read: {_first_line(error)}.", "Choose a model that transformers knows."
        ) from error
    if (config.problem_type == "multi_label_classification") != several:
        return False, ()
    named = [str(name) for name in config.id2label.values()]
    if sorted(named) == sorted(labels):
        return True, ()
    if named == [f"LABEL_{index}" for index in range(len(labels))]:
        note = f"The model does not name its classes; they are taken in this order: {', '.join(labels)}."
        return True, (note,)
    return False, ()


def _order_head(network: Any, labels: list[str]) -> None:
    """Put the rows of the last layer into the order of the data set's labels."""
    named = [str(network.config.id2label[index]) for index in range(len(labels))]
    if named == labels or sorted(named) != sorted(labels):
        return
    order = torch.tensor([named.index(label) for label in labels])
    head = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    if head.out_features != len(labels):
        raise ModelError("The model's last layer is not the one that tells the classes apart.", "Use another model.")
    with torch.no_grad():
        head.weight.copy_(head.weight[order])
        if head.bias is not None:
            head.bias.copy_(head.bias[order])


def layer_stack(network: nn.Module, total: int | None) -> str | None:
    """The name of the module list that holds the layers."""
    stacks = [
        (parameters(module), name)
        for name, module in network.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == total
    ]
    return max(stacks)[1] if stacks else None


def _renumbered(state: dict[str, torch.Tensor], stack: str, kept: list[int]) -> dict[str, torch.Tensor]:
    """The weights of the kept layers under their new numbers, and all weights outside the stack."""
    numbers = {old: new for new, old in enumerate(kept)}
    smaller = {}
    for name, tensor in state.items():
        if not name.startswith(stack + "."):
            smaller[name] = tensor
            continue
        number, _, rest = name.removeprefix(stack + ".").partition(".")
        if int(number) in numbers:
            smaller[f"{stack}.{numbers[int(number)]}.{rest}"] = tensor
    return smaller
