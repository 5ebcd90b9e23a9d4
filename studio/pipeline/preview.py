"""What pruning alone would cost: a curve of accuracy against the ratio, without any learning, in a process of its
own."""

import sys
import time
from dataclasses import replace

import torch

from studio import compress
from studio.config.plan import Prune
from studio.data.folder import load
from studio.errors import ModelError
from studio.machine import devices
from studio.models.model import Model, Problem, quiet
from studio.pipeline import prepare, stage_results
from studio.pipeline.answers import Preview
from studio.pipeline.job import Job, respond
from studio.pipeline.prepare import RunContext

ROWS = 400
RATIOS = (0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9)
SECONDS = 20.0
"""No further ratio is tried after so long."""


def preview(job: Job) -> Preview:
    """Prune the student of the config by several ratios and read a few validation rows each time.

    Raises `ModelError` where the student does not know the labels yet: then there is nothing to lose.
    """
    quiet()
    context = _context(job)
    student = _student_that_knows(context)
    sample = prepare.sample(context, student, compress.ROWS)
    step = next((step for step in job.config.steps if isinstance(step, Prune)), Prune(ratio=0.5))
    held, task = context.validation(student, ROWS), context.problem.task
    ratios, accuracy, begun = [], [], time.monotonic()
    for ratio in RATIOS:
        try:
            smaller = compress.prune(student, step.model_copy(update={"ratio": ratio}), sample) if ratio else student
        except ModelError:
            continue  # this student has no such share: half a head
        found = stage_results.statistics(context, [smaller], [held], context.device)
        ratios.append(ratio)
        accuracy.append(task.targets.measure(found)[task.measures[0].name])
        if time.monotonic() - begun > SECONDS:
            break
    return Preview(ratios=ratios, accuracy=accuracy, rows=len(held), step=step)


def _context(job: Job) -> RunContext:
    """On the processor, in float32."""
    dataset = load(job.dataset)
    problem = Problem(dataset.task, dataset.labels, dataset.dict["train"], job.config.max_length, dataset.multi_label)
    device = replace(devices.pick(job.config), torch_device=torch.device("cpu"), dtype=torch.float32)
    return RunContext(job.config, job.run_id, job.home, dataset, None, problem, device)


def _student_that_knows(context: RunContext) -> Model:
    models = prepare.opened(context)
    own = models.line[-1]
    student = own or prepare.cut(context, context.config.student, models.teachers[0])
    if not (student.knows_labels and (own or models.teachers[0].knows_labels)):
        raise ModelError(
            "The curve needs a student that knows your labels already; this one has yet to learn them.",
            "Take one of an earlier run, or one cut from a teacher that has learned them.",
        )
    return student


if __name__ == "__main__":
    sys.exit(respond(preview))
