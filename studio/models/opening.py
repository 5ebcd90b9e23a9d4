"""Load or build teachers and students, start a student from its teacher, save them all the same way."""

import contextlib
import copy
from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer

from studio.config.references import ModelReference
from studio.config.run import Precision
from studio.errors import ModelError, StudioError
from studio.events import Progress
from studio.home import Home
from studio.machine import memory
from studio.machine.bounds import bounded
from studio.models import compact, folders, hub, precision, templates
from studio.models.model import Model, Problem
from studio.models.saving import require_undamaged, weights_bytes, without_packing
from studio.tasks import Task, architectures  # noqa: F401  transformers then knows the built-in ones

SECONDS = 600.0
"""Nobody waits longer for a model to be opened."""

TIMES, SPARE_BYTES = 3, 4 * 1024**3
"""What opening may take: so many times the network, since its weights may come in another format, and so much for
tokenizers and what else libraries hold."""

ONE_CLASS = "single_label_classification"
"""What transformers calls the problem of a model whose config names none."""


def load(
    reference: str, problem: Problem, home: Home, held: Precision = precision.FULL
) -> Generator[Progress, None, Model]:
    """Open or build the model behind a reference; yields download progress, returns the model. `held`: the precision of
    its weights, where it knows its task and only answers.

    Raises `ModelError` where it cannot be found, is not safe to open, or is not made for the task.
    """
    wanted = ModelReference.parse(reference)
    if wanted.source == "builtin":
        return build(wanted.name, problem)
    if wanted.source == "hub":
        folder = yield from hub.download(wanted.name)
        return open_folder(folder, problem, held)
    if wanted.run is not None:
        folder = home.model(wanted.run, wanted.role)
        if not folder.is_dir():
            missing = f"Run {wanted.run} saved no {wanted.role}: it ended before that, or took one that was ready."
            raise ModelError(missing, "Name that model itself, or choose another one.")
        require_undamaged(folder)
        return open_folder(folder, problem, held)
    if wanted.source == "folder":
        return open_folder(wanted.path, problem, held)
    raise ModelError(f"{reference!r} is cut from the teacher; it cannot be opened on its own.", "")


def build(name: str, problem: Problem) -> Model:
    """A built-in architecture with random weights, and a processor fitted to the training rows."""
    task = problem.task
    if name not in task.builtins:
        raise ModelError(f"builtin/{name} is not made for {task.name}.", f"Choose one of {', '.join(task.builtins)}.")
    config, processor = task.builtin(name, problem.rows, problem.labels, problem.max_length)
    network = task.auto_model.from_config(config)
    task.targets.start_head(_last_layer(network), problem.rows["label"])
    return Model(network, processor)


def open_folder(folder: Path, problem: Problem, held: Precision = precision.FULL) -> Model:
    """A Hugging Face folder: safetensors only, no code from the folder, with a head for the labels of `problem`.

    A model that is still to learn them comes in float32, however it is to be `held`.
    """
    folders.check(folder)
    task = problem.task
    with _in_words(
        f"The model in {folder} cannot be opened for {task.name}",
        "Choose a Hugging Face folder with weights and a tokenizer or image processor of this kind.",
    ):
        with bounded(SPARE_BYTES, SECONDS):
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            if held != precision.FULL and compact.is_compact(folder):
                raise ValueError(f"it was compressed by a plan, and such a model is not held in {held}")
            knows, notes = _compare_labels(config, problem)
            held = held if knows else precision.FULL
            shapes = _shapes(config, task.auto_model)
            needed = _require_room(folder, shapes, held)
        labels = None if knows else problem.head.get("num_labels")
        with bounded(TIMES * needed + SPARE_BYTES, SECONDS):
            how = precision.arguments(held, shapes)
            network, loading = _open_network(folder, task.auto_model, labels, how)
            _require_weights(folder, network, loading["missing_keys"])
            network = precision.ready(network, held)
            processor = templates.bound(task.load_processor(str(folder)))
        fresh_head = bool(loading["missing_keys"]) or bool(loading["mismatched_keys"])
        if fresh_head and held != precision.FULL:
            return open_folder(folder, problem)
        knows = knows and not fresh_head
        if knows:
            _order_head(network, problem.labels)
        else:
            notes = ()
            task.targets.start_head(_last_layer(network), problem.rows["label"])
        for key, value in problem.head.items():
            setattr(network.config, key, value)
    return Model(network, processor, knows_labels=knows, pretrained=True, folder=folder, notes=notes, precision=held)


def open_processor(folder: Path, task: Task) -> Any:
    """The tokenizer or image processor of a model whose weights are opened otherwise. Raises `OSError`, `ValueError` or
    `MemoryError` where it takes too long or too much, or is damaged; `ModelError` where it leads out of the folder."""
    folders.check_processor(folder)
    with bounded(SPARE_BYTES, SECONDS):
        return templates.bound(task.load_processor(str(folder)))


def in_full(model: Model, problem: Problem) -> Model:
    """The model with its weights in float32: opened once more where it holds them in fewer bits."""
    if model.precision == precision.FULL:
        return model
    assert model.folder is not None, "a model in fewer bits was opened from a folder"
    return replace(open_folder(model.folder, problem), processor=model.processor)


@contextlib.contextmanager
def _in_words(sentence: str, cure: str) -> Iterator[None]:
    """What libraries raise over a folder that is damaged, or made to do harm, is of any kind: a `ModelError` here."""
    try:
        yield
    except StudioError:
        raise
    except Exception as error:
        raise ModelError(f"{sentence}: {_first_line(error)}.", cure) from error


def _shapes(config: Any, auto_model: Any) -> nn.Module:
    """A network of the sizes that the config names, without numbers."""
    with torch.device("meta"):
        found: nn.Module = auto_model.from_config(copy.deepcopy(config))
    return found


def _require_room(folder: Path, shapes: nn.Module, held: Precision = precision.FULL) -> int:
    """The bytes of a network of these sizes, whatever the files hold; raises `DeviceError` where there is no memory for
    it."""
    needed = precision.needed_bytes(shapes, held)
    if held == precision.FULL:
        needed = max(weights_bytes(folder), needed)
    memory.require(needed, torch.device("cpu"), f"The model in {folder}")
    return needed


def _require_weights(folder: Path, network: nn.Module, missing: Collection[str]) -> None:
    """Raise `ModelError` where most weights are not in the folder: what was opened knows nothing. A last layer that is
    missing is a few."""
    wanted = len(network.state_dict())
    if len(missing) * 2 > wanted:
        raise ModelError(
            f"{len(missing):,} of {wanted:,} weights of the model in {folder} are not in its files, such as "
            f"{min(missing)!r}.",
            "Save it again with `save_pretrained`, as the model that its config names.",
        )


def _open_network(
    folder: Path, auto_model: Any, labels: int | None, how: Mapping[str, Any] = precision.IN_FULL
) -> tuple[Any, dict[str, Any]]:
    """The network, and which of its weights are missing in the folder; with a fresh head for so many `labels`."""
    if compact.is_compact(folder):
        network = without_packing(compact.load(folder, auto_model))
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
        **how,
        **({"num_labels": labels} if labels is not None else {}),
    )
    return network, loading


def open_masked(folder: Path) -> tuple[Any, Any]:
    """A masked language model and its tokenizer from a Hugging Face folder: safetensors only, no code from it."""
    folders.check(folder)
    safe = {"local_files_only": True, "trust_remote_code": False}
    with _in_words(
        f"The model in {folder} cannot be opened as a masked language model",
        "Choose one such as google-bert/bert-base-uncased.",
    ):
        with bounded(SPARE_BYTES, SECONDS):
            shapes = _shapes(AutoConfig.from_pretrained(folder, **safe), AutoModelForMaskedLM)
            needed = _require_room(folder, shapes)
        with bounded(TIMES * needed + SPARE_BYTES, SECONDS):
            network, loading = AutoModelForMaskedLM.from_pretrained(
                folder, use_safetensors=True, output_loading_info=True, dtype=torch.float32, **safe
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, **safe)
    if loading["missing_keys"] or tokenizer.mask_token is None:
        raise ModelError(
            f"The model in {folder} was not trained to fill in masked words.",
            "Choose one that was, such as google-bert/bert-base-uncased.",
        )
    return network, tokenizer


def _first_line(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "it takes more memory than a model of its sizes does"
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__


def _compare_labels(config: Any, problem: Problem) -> tuple[bool, tuple[str, ...]]:
    """Whether a folder's config names the same labels, in any order; unnamed ones count when as many.

    Where a row can have several labels, or its label is a number, the head must have learned just that.
    """
    wanted = problem.head
    if not wanted:
        return True, ()  # what it says is of the model itself, as the tokens of its vocabulary are
    said = config.problem_type or ONE_CLASS
    if said != wanted.get("problem_type", ONE_CLASS) or config.num_labels != wanted["num_labels"]:
        return False, ()
    named, labels = [str(name) for name in config.id2label.values()], list(wanted["id2label"].values())
    if problem.task.kind == "number" or sorted(named) == sorted(labels):
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
    head = _last_layer(network)
    if head.out_features != len(labels) or not head.weight.is_floating_point():
        raise ModelError("The model's last layer is not the one that tells the classes apart.", "Use another model.")
    with torch.no_grad():
        head.weight.copy_(head.weight[order])
        if head.bias is not None:
            head.bias.copy_(head.bias[order])


def _last_layer(network: Any) -> nn.Linear:
    """The one that says the answer."""
    return [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
