"""Ask a run's models about inputs that nobody labelled."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import torch
from datasets import Dataset, Features, Image, Value
from torch import Tensor
from transformers import AutoConfig

from studio import tasks
from studio.config.run import UNLABELLED, RunConfig, TaskName
from studio.distill import teacher_outputs
from studio.distill.transfer_set import fuse
from studio.errors import ModelError
from studio.events import Progress, Role
from studio.home import Home
from studio.machine import devices
from studio.machine.devices import Device
from studio.models import opening
from studio.models.model import Model, Problem, quiet
from studio.models.onnx import OnnxNetwork
from studio.tasks.labels import choices

AT_ONCE = 1_000
"""So many inputs are held as tensors at a time."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Predictor:
    """The models of one role of a run, opened; several teachers answer together."""

    models: tuple[Model, ...]
    config: RunConfig
    task: TaskName
    labels: list[str]
    multi_label: bool
    device: Device

    def stream(self, values: Sequence[Any]) -> Iterator[list[dict[str, Any]]]:
        """The answers to all values in their order, some at a time.

        Raises `DataError` for a value that is no input of the task.
        """
        for start in range(0, len(values), AT_ONCE):
            rows = _unlabelled(self.task, values[start : start + AT_ONCE], self.multi_label)
            yield _answers(self._logits(rows), self.labels, self.multi_label)

    def predict(self, values: Sequence[Any]) -> list[dict[str, Any]]:
        """An answer for each value: `{"label": …, "score": …}` where a row has one class."""
        return [answer for answers in self.stream(values) for answer in answers]

    def _logits(self, rows: Dataset) -> Tensor:
        found = []
        for model in self.models:
            encoded = tasks.of(self.task).encode(rows, model.processor, model.network.config, self.config.max_length)
            told = teacher_outputs.logits(model, encoded.to(self.device.torch_device), self.device, _silent)
            found.append(_result(told))
        return fuse(found, self.config.fusion, self.multi_label)


def open_role(
    config: RunConfig, run_id: int, role: Role, home: Home, labels: list[str], multi_label: bool
) -> Predictor:
    """The models of a role as the verdict measured them: in int8 where the plan ends with that.

    Raises `ModelError` where the run has no such model, or it has not learned the labels.
    """
    quiet()
    assert config.task is not None
    device = Device(torch.device(devices.available()[0]), torch.float32)
    problem = Problem(config.task, labels, _unlabelled(config.task, [], multi_label), config.max_length, multi_label)
    models = tuple(_open(config, run_id, role, home, problem))
    for model in models:
        if isinstance(model.network, torch.nn.Module):
            model.network.to(device.torch_device).eval()
    return Predictor(models, config, config.task, labels, multi_label, device)


def _open(config: RunConfig, run_id: int, role: Role, home: Home, problem: Problem) -> Iterator[Model]:
    quantized = home.quantized(run_id, role)
    if role == "teacher":
        for number, reference in enumerate((config.teacher, *config.more_teachers), start=1):
            saved = home.model(run_id, "teacher" if number == 1 else f"teacher-{number}")
            yield _trained(
                _result(opening.load(f"folder:{saved}" if saved.is_dir() else reference, problem, home)), role
            )
    elif quantized.is_dir():
        yield _open_onnx(quantized, problem)
    elif home.model(run_id, role).is_dir():
        yield _trained(opening.open_folder(home.model(run_id, role), problem), role)
    else:
        raise ModelError(f"Run {run_id} has no {role}.", "Let it finish first, or choose another run.")


def _open_onnx(folder: Path, problem: Problem) -> Model:
    """The int8 file that a plan ends with."""
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        network = OnnxNetwork(folder / "model.onnx", SimpleNamespace(config=config))
        processor = tasks.of(problem.task).load_processor(str(folder))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"The int8 model in {folder} cannot be opened: {error}.", "Train it again.") from error
    return Model(network, processor, knows_labels=True, pretrained=True, folder=folder)


def _trained(model: Model, role: Role) -> Model:
    if not model.knows_labels:
        raise ModelError(f"The {role} has not learned the labels yet.", "Let the run go on until it has.")
    return model


def _unlabelled(task: TaskName, values: Sequence[Any], multi_label: bool) -> Dataset:
    """Python values as rows without a label."""
    labels = [[] if multi_label else UNLABELLED for _ in values]
    if task == "image-classification":
        images = [{"bytes": value, "path": None} for value in values]
        return Dataset.from_dict(
            {"image": images, "label": labels}, features=Features(image=Image(), label=Value("int64"))
        )
    return Dataset.from_dict({"text": list(values), "label": labels})


def _answers(logits: Tensor, labels: list[str], multi_label: bool) -> list[dict[str, Any]]:
    if multi_label:
        return [
            {"labels": [{"label": labels[n], "score": share[n]} for n, is_on in enumerate(row) if is_on]}
            for row, share in zip(choices(logits, True).tolist(), logits.sigmoid().tolist(), strict=True)
        ]
    best = logits.softmax(-1).max(-1)
    return [
        {"label": labels[number], "score": score}
        for number, score in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def _silent(done: int) -> Progress:
    return Progress(phase="evaluate", step=done)


def _result(steps: Generator[Any, None, Result]) -> Result:
    """What a generator returns, whatever it says on the way."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            found: Result = stop.value
            return found
