"""How good the models stay on inputs that are made worse, in a process of its own: it opens torch."""

import sys
from typing import TYPE_CHECKING

from studio.errors import DataError
from studio.events import TrainedRole
from studio.pipeline.answers import Curve, Robustness
from studio.pipeline.job import Job, respond

if TYPE_CHECKING:
    from datasets import Dataset

    from studio.pipeline.predict import Predictor

MOST_ROWS = 400


def examine(job: Job) -> Robustness:
    """Every saved model of the run on the same test rows, as they are and made worse.

    Nothing is chosen by it. Raises `ModelError` where teacher or student cannot be opened, `DataError` where inputs of
    the task cannot be made worse.
    """
    from studio import tasks
    from studio.data.folder import drawn, load
    from studio.evaluate import corruptions
    from studio.pipeline import predict

    dataset = load(job.dataset)
    task = tasks.get(dataset.task, dataset.multi_label)
    kinds = corruptions.of_task(task)
    if not kinds:
        raise DataError(f"Inputs for {task.title.lower()} cannot be made worse here.", "Look at the other tabs.")
    plain = drawn(dataset.dict["test"], MOST_ROWS, job.config.seed)
    models = dict(predict.open_roles(job, dataset))
    found: dict[tuple[str, TrainedRole], list[tuple[float, float, float]]] = {}
    for name, kind in kinds.items():
        for level in kind.levels:
            rows = corruptions.corrupted(plain, name, level, job.config.seed)
            for role, predictor in models.items():
                found.setdefault((name, role), []).append(quality(predictor, rows, job.config.max_length))
    curves = [
        Curve(corruption=name, role=role, levels=list(kinds[name].levels), values=[one[0] for one in points],
              low=[one[1] for one in points], high=[one[2] for one in points])
        for (name, role), points in found.items()
    ]  # fmt: skip
    return Robustness(curves=curves, rows=len(plain))


def quality(predictor: "Predictor", rows: "Dataset", max_length: int) -> tuple[float, float, float]:
    """(value, low, high) of the deciding measure on these rows."""
    from studio.evaluate import metrics

    task, model = predictor.problem.task, predictor.models[0]
    encoded = task.encode(rows, model.processor, model.network.config, max_length)
    return metrics.first_measure(task, task.statistics(predictor.logits(rows), encoded))


if __name__ == "__main__":
    sys.exit(respond(examine))
