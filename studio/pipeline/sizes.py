"""How large the built-in models are for a data set, in a process of its own: nothing is trained."""

import sys

from studio.data.folder import load
from studio.models import opening
from studio.models.model import Problem, parameters, quiet
from studio.pipeline.answers import Sizes
from studio.pipeline.job import Job, respond

SAMPLE_ROWS = 2_000
"""The same rows as the estimate's, from which tokenizers are learned."""


def measure(job: Job) -> Sizes:
    """Build every model that the task brings, and count."""
    quiet()
    dataset = load(job.dataset)
    rows = dataset.dict["train"]
    sample = rows.shuffle(seed=0).select(range(min(SAMPLE_ROWS, len(rows))))
    problem = Problem(dataset.task, dataset.labels, sample, job.config.max_length, dataset.multi_label)
    return Sizes(parameters={name: parameters(opening.build(name, problem).network) for name in problem.task.builtins})


if __name__ == "__main__":
    sys.exit(respond(measure))
