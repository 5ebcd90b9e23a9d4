"""How alike teacher and student see the same rows, layer by layer, in a process of its own: it opens torch."""

import sys
from collections.abc import Iterator

import numpy as np
import torch

from studio.errors import ModelError
from studio.models import features
from studio.models.model import Model
from studio.pipeline.answers import Layers
from studio.pipeline.job import Job, respond
from studio.pipeline.predict import Predictor
from studio.tasks import Encoded

MOST_ROWS, BATCH = 500, 32


def examine(job: Job) -> Layers:
    """CKA of every layer of the first teacher with every one of the student, on validation rows.

    Raises `ModelError` where one of them cannot be opened, or is a file whose layers nobody sees.
    """
    from studio import tasks
    from studio.data.folder import drawn, load
    from studio.evaluate.similarity import FEWEST_ROWS, cka
    from studio.pipeline import predict

    dataset = load(job.dataset)
    task = tasks.get(dataset.task, dataset.multi_label)
    rows = drawn(dataset.dict["validation"], MOST_ROWS, job.config.seed)
    found = []
    for role in ("teacher", "student"):
        models = predict.open_role(job.config, job.run_id, role, job.home, dataset.labels, dataset.multi_label)
        model = models.models[0]
        encoded = task.encode(rows, model.processor, model.network.config, job.config.max_length)
        if len(encoded) < FEWEST_ROWS:
            raise ModelError(f"{len(encoded)} validation rows are too few to compare layers.", "Add rows.")
        found.append(said(models, model, encoded))
    teacher, student = found
    alike = [[_number(cka(first, second)) for second in student] for first in teacher]
    return Layers(
        teacher=[str(number + 1) for number in range(len(teacher))],
        student=[str(number + 1) for number in range(len(student))],
        alike=alike,
        rows=len(teacher[0]),
    )


def said(models: Predictor, model: Model, encoded: Encoded) -> list[np.ndarray]:
    """What each layer says of each row (rows, width): the mean over its words or places."""
    parts = list(read(models, model, encoded))
    return [np.concatenate([part[layer] for part in parts]) for layer in range(len(parts[0]))]


def read(models: Predictor, model: Model, encoded: Encoded) -> Iterator[list[np.ndarray]]:
    """The same, some rows at a time."""
    if not isinstance(model.network, torch.nn.Module):
        raise ModelError("The layers of an int8 file cannot be seen.", "Choose a run whose plan does not quantize.")
    device = models.device.torch_device
    moved = encoded.to(device)
    with torch.inference_mode():
        for start in range(0, len(moved), BATCH):
            numbers = torch.arange(start, min(start + BATCH, len(moved)), device=device)
            outputs = features.read(model.network, moved.batch(numbers), deep=True)
            yield [features.pooled(layer, outputs.mask).cpu().numpy() for layer in outputs.hidden]


def _number(value: float) -> float | None:
    return round(value, 4) if value == value else None


if __name__ == "__main__":
    sys.exit(respond(examine))
