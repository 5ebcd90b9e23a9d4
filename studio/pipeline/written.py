"""What the language models of a run write after the same openings, in a process of its own: it opens torch."""

import math
import sys
import time
from typing import TYPE_CHECKING

from studio.errors import DataError
from studio.events import TrainedRole
from studio.pipeline.answers import Written, WrittenBy
from studio.pipeline.job import Job, respond

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset

    from studio.pipeline.predict import Predictor, Writing

MOST_ROWS = 100
KEPT = 12
"""Texts that are kept to be read."""


def examine(job: Job) -> Written:
    """Every saved model of the run goes on from the same test rows, with drawn tokens, which the teacher reads; and
    where the data has answers, with the likeliest tokens, which are compared with them.

    Nothing is chosen by it. Raises `ModelError` where a model cannot be opened, `DataError` where the models of the
    task do not write.
    """
    from studio import tasks
    from studio.data.folder import drawn, load
    from studio.evaluate import written
    from studio.pipeline import predict
    from studio.tasks import language

    dataset = load(job.dataset)
    task = tasks.get(dataset.task, dataset.multi_label)
    if task.kind != "token":
        raise DataError(f"Models for {task.title.lower()} do not write.", "Look at the other tabs.")
    rows = drawn(dataset.dict["test"], MOST_ROWS, job.config.seed)
    given = [language.asked(row) for row in rows]
    opened = task.unlabelled([value for value, _, _ in given])
    expected = [answer if form != "text" else None for (_, _, answer), form in zip(given, rows["form"], strict=True)]
    models = dict(predict.open_roles(job, dataset))
    found: dict[TrainedRole, np.ndarray] = {}
    by = []
    for role, model in models.items():
        found[role], told = _written(role, model, models["teacher"], opened, expected)
        by.append(told)
    return Written(
        rows=len(rows), most=predict.WRITTEN, given=[shown for _, shown, _ in given][:KEPT],
        expected=[there for _, _, there in given][:KEPT], by=by,
        against=[one for role in found if role != "student"
                 for one in written.compare(("student", role), found["student"], found[role])],
    )  # fmt: skip


def _written(
    role: TrainedRole, model: "Predictor", teacher: "Predictor", rows: "Dataset", expected: list[str | None]
) -> "tuple[np.ndarray, WrittenBy]":
    """(`studio.evaluate.written.measure`'s statistics of each text, what is told of them)."""
    import numpy as np

    from studio.evaluate import written

    begun = time.perf_counter()
    drawn = model.writings(rows)
    seconds = time.perf_counter() - begun
    likeliest = model.writings(rows, temperature=0.0) if any(answer is not None for answer in expected) else drawn
    statistics = np.array([
        (*_against(greedy.text, answer), *_for_the_teacher(teacher, one, rows[number]), written.distinct_2(one.text))
        for number, (one, greedy, answer) in enumerate(zip(drawn, likeliest, expected, strict=True))
    ])  # fmt: skip
    told = WrittenBy(
        role=role, values=written.with_intervals(statistics), texts=[one.text for one in likeliest[:KEPT]],
        tokens_per_second=sum(len(one.tokens) for one in drawn) / seconds,
    )  # fmt: skip
    return statistics, told


def _against(text: str, answer: str | None) -> tuple[float, float]:
    """Whether it is the answer in the data, and its ROUGE-L."""
    from studio.evaluate import written

    return (math.nan, math.nan) if answer is None else (float(written.is_exact(text, answer)),
                                                        written.rouge_l(text, answer))  # fmt: skip


def _for_the_teacher(teacher: "Predictor", writing: "Writing", row: dict[str, str]) -> tuple[float, float]:
    """(nats that the teacher needs for it, its bytes)."""
    return -sum(teacher.likelihoods(teacher.reads(writing, row))), float(len(writing.text.encode()))


if __name__ == "__main__":
    sys.exit(respond(examine))
