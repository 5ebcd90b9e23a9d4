"""How good the models stay on inputs that are made worse, in a process of its own: it opens torch."""

import sys
from typing import TYPE_CHECKING

from studio.errors import DataError
from studio.events import TrainedRole
from studio.pipeline.answers import Curve, Gap, Robustness
from studio.pipeline.job import Job, respond

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset

    from studio.pipeline.predict import Predictor
    from studio.tasks import Task

MOST_ROWS = 400

Answered = dict[tuple[str, TrainedRole], "dict[float, np.ndarray]"]
"""The statistics of each corruption and role, at each level."""


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
    found: Answered = {}
    for name, kind in kinds.items():
        for level in kind.levels:
            rows = corruptions.corrupted(plain, name, level, job.config.seed)
            for role, predictor in models.items():
                found.setdefault((name, role), {})[level] = _statistics(predictor, rows, job.config.max_length)
    curves = [_curve(task, name, role, points) for (name, role), points in found.items()]
    unchanged = {name: kind.unchanged for name, kind in kinds.items()}
    return Robustness(curves=curves, rows=len(plain), gaps=_gaps(task, found, unchanged))


def _curve(task: "Task", corruption: str, role: TrainedRole, points: "dict[float, np.ndarray]") -> Curve:
    from studio.evaluate import metrics

    values, low, high = zip(*(metrics.first_measure(task, statistics) for statistics in points.values()), strict=True)
    return Curve(corruption=corruption, role=role, levels=list(points), values=values, low=low, high=high)


def _gaps(task: "Task", found: "Answered", unchanged: dict[str, float]) -> list[Gap]:
    """What the student loses more than its teacher at each level, tested on the same rows, all tests together."""
    from studio.evaluate import metrics, multiple

    places = [(name, level) for name, plain in unchanged.items() for level in found[name, "student"] if level != plain]
    tested = []
    for name, level in places:
        student, teacher = ((found[name, role][unchanged[name]], found[name, role][level])
                            for role in ("student", "teacher"))  # fmt: skip
        tested.append(metrics.lost_more(task, student, teacher))
    p_values = multiple.holm([p_value for _difference, p_value in tested])
    return [
        Gap(corruption=name, level=level, difference=difference, p_value=p_value)
        for (name, level), (difference, _alone), p_value in zip(places, tested, p_values, strict=True)
    ]


def quality(predictor: "Predictor", rows: "Dataset", max_length: int) -> tuple[float, float, float]:
    """(value, low, high) of the deciding measure on these rows."""
    from studio.evaluate import metrics

    return metrics.first_measure(predictor.problem.task, _statistics(predictor, rows, max_length))


def _statistics(predictor: "Predictor", rows: "Dataset", max_length: int) -> "np.ndarray":
    """(rows, s) of a model's answers to these rows."""
    task, model = predictor.problem.task, predictor.models[0]
    encoded = task.encode(rows, model.processor, model.network.config, max_length)
    return task.statistics(predictor.logits(rows), encoded)


if __name__ == "__main__":
    sys.exit(respond(examine))
