"""A network with what belongs to it, and what it is to learn."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from datasets import Dataset
from torch import nn

from studio import tasks
from studio.config.run import Precision, RunConfig
from studio.tasks import Task


@dataclass(frozen=True)
class Model:
    """A network with the tokenizer or image processor that belongs to it.

    `knows_labels`: its head already tells the labels of the data set apart, so it needs no fine-tuning.
    `pretrained`: it starts from learned weights rather than from random ones.
    `folder` is where it was opened from or saved to; `notes` are for the log. `precision` is the one that its weights
    are held in: in another one than float32 it only answers.
    """

    network: Any  # a PreTrainedModel; its own annotations reject `.to(device)`
    processor: Any
    knows_labels: bool = False
    pretrained: bool = False
    folder: Path | None = None
    notes: tuple[str, ...] = ()
    precision: Precision = "float32"


@dataclass(frozen=True)
class Problem:
    """What a model is to be fitted to: the task by its name, the names of its labels, the training rows, and whether a
    row can have several labels."""

    name: str
    labels: list[str]
    rows: Dataset
    max_length: int
    multi_label: bool = False

    @property
    def task(self) -> Task:
        return tasks.get(self.name, self.multi_label)

    @property
    def head(self) -> dict[str, Any]:
        """The part of a model's config that names the labels."""
        return self.task.targets.head(self.labels)


def parameters(network: nn.Module) -> int:
    """How many numbers the model holds; a shared one counts once, and two of 4 bits that share a byte twice."""
    return sum(math.prod(_shape(weight)) for weight in network.parameters())


def _shape(weight: Any) -> torch.Size:
    """Of weights in 4 bits as it was before they were packed."""
    state = getattr(weight, "quant_state", None)
    return weight.shape if state is None else state.shape


def quiet() -> None:
    """Keep transformers' own progress bars out of the log, and what bitsandbytes says of every layer."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


SCALES = {"llama": 0.012, "studio-fasttext": 0.08, "studio-mlp": 0.03, "resnet": 0.04}
"""Learning rate times √width at which an untrained model of a kind learns well; wide models need smaller steps."""

TRANSFORMER_SCALE = 0.006
USUAL_WIDTH, MOST_HIGHER = 768, 4.0
"""The width for which the rates of pretrained models are; by how much those of narrower ones are higher at most."""


def learning_rate(config: RunConfig, model: Model, role: str) -> float:
    """What the config says, else a rate that suits weights that are learned already, or random ones of this kind."""
    asked = config.teacher_learning_rate if role == "teacher" else config.learning_rate
    if asked is not None:
        return asked
    if model.pretrained and role != "teacher" and config.lora_rank is not None:
        return 1e-3  # adapters learn well at about ten times the rate of all weights (Schulman et al., 2025)
    shape = model.network.config
    width = max(getattr(shape, "hidden_sizes", None) or [getattr(shape, "hidden_size", USUAL_WIDTH)])
    if model.pretrained:  # narrow ones learn well at higher rates (Turc et al., 2019)
        return (5e-5 if role == "teacher" else 1e-4) * min(MOST_HIGHER, max(1.0, USUAL_WIDTH / width))
    rate = SCALES.get(shape.model_type, TRANSFORMER_SCALE) / math.sqrt(width)
    return float(f"{rate:.1e}")
