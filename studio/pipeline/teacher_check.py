"""Whether a teacher has anything to teach: asked on validation rows, before a student learns from it."""

from collections.abc import Generator, Sequence
from typing import NamedTuple

import numpy as np
from datasets import concatenate_datasets

from studio.errors import ModelError
from studio.events import Log, Metrics
from studio.models.model import Model
from studio.pipeline import stage_results
from studio.pipeline.answers import Checked
from studio.pipeline.prepare import RunContext
from studio.tasks import Encoded

ROWS = 2_000
"""At most so many validation rows are read."""

LEAST_GAIN = 0.01
"""A teacher that is better by less than this than one answer for all rows has learned nothing: in every measure, or in
the one that decides where that is no share of rows."""

CURE = (
    "Take a pretrained teacher, add more rows, or train it longer (teacher_epochs, training_length). "
    "With allow_weak_teacher the run goes on all the same."
)


def check(context: RunContext, teachers: Sequence[Model]) -> Generator[Log | Metrics, None, bool]:
    """Tell how good the teachers together are. Raise `ModelError` where they are no better than the same answer for
    every row, or clearly below the linear baseline; where the run asks to go on, or somebody has learned from them
    before it was stopped, say so. Returns whether they are no better than the same answer.
    """
    answered = _answered(context, teachers, ROWS)
    if answered is None:
        return False
    task, first = context.problem.task, context.problem.task.measures[0]
    yield Metrics(phase="record", step=0, values={first.name: task.targets.measure(answered.statistics)[first.name]})
    found = _beside_the_baseline(context, answered, ROWS)
    if not (found.is_weak or found.is_below_baseline):
        return False
    value, name, rows, alone = first.written(found.value), first.title, found.rows, len(teachers) == 1
    of_tokens = first.lower
    if found.is_weak or found.baseline is None:
        message = (
            f"The {'teacher gets' if alone else 'teachers together get'} {value} ({name}, {rows:,} validation rows); "
            f"{'each token as often as it comes' if of_tokens else 'the same answer for every row'} gets "
            f"{first.written(found.constant)}: "
            "there is nothing to learn from it yet."
        )
    else:
        message = (
            f"The {'teacher gets' if alone else 'teachers together get'} {value} ({name}, {rows:,} validation rows); "
            f"a linear model that takes seconds gets {first.written(found.baseline)}: "
            "use that one, or a better teacher."
        )
    if context.config.allow_weak_teacher:
        yield Log(level="warning", message=f"{message} The run goes on, as allow_weak_teacher asks.")
    elif _has_taught(context):
        yield Log(level="warning", message=f"{message} The run goes on, as a student has begun to learn from it.")
    else:
        raise ModelError(message, CURE)
    return found.is_weak


def _has_taught(context: RunContext) -> bool:
    """Whether a checkpoint of a later stage is there, as of a run that an earlier version let go on."""
    states = context.home.checkpoints(context.run_id).glob("*.pt")
    return any(not state.name.startswith("teach") for state in states)


class _Answered(NamedTuple):
    """Validation rows, and what the teachers together answer to them."""

    inputs: Encoded
    statistics: np.ndarray


def compared(context: RunContext, teachers: Sequence[Model], most: int) -> Checked | None:
    """The teachers together beside the same answer for every row and the linear baseline, on at most so many validation
    rows; None where those have no labels."""
    answered = _answered(context, teachers, most)
    return None if answered is None else _beside_the_baseline(context, answered, most)


def _answered(context: RunContext, teachers: Sequence[Model], most: int) -> _Answered | None:
    inputs = [context.validation(teacher, most) for teacher in teachers]
    if not bool(context.problem.task.known(inputs[0].labels).any()):
        return None
    moved = [rows.to(context.device.torch_device) for rows in inputs]
    return _Answered(inputs[0], stage_results.statistics(context, teachers, moved, context.device))


def _beside_the_baseline(context: RunContext, answered: _Answered, most: int) -> Checked:
    inputs, statistics = answered
    task = context.problem.task
    found = task.targets.measure(statistics)
    constant = task.targets.reference(statistics, len(context.problem.labels)).majority
    first = task.measures[0].name
    deciding = [first] if task.measures[0].lower else list(found)
    linear = _of_the_baseline(context, inputs, most)
    return Checked(
        value=found[first],
        constant=constant[first],
        baseline=None if linear is None else task.targets.measure(linear)[first],
        rows=len(inputs),
        is_weak=all(found[name] - constant[name] < LEAST_GAIN for name in deciding),
        is_below_baseline=linear is not None and _is_below(context, statistics, linear),
    )


def _is_below(context: RunContext, teacher: np.ndarray, linear: np.ndarray) -> bool:
    """Whether the teacher is clearly worse than the baseline on the same rows."""
    from studio.evaluate import metrics  # it opens scipy.stats: only for runs that come so far
    from studio.evaluate.measured import is_clear

    pair = metrics.compare(context.problem.task, ("teacher", "baseline"), "validation", (teacher, linear))
    return is_clear(pair, -1)


def _of_the_baseline(context: RunContext, inputs: Encoded, most: int) -> np.ndarray | None:
    """(labelled rows, s): what the linear baseline answers to the same rows; None where none can be fitted."""
    from studio.tasks import baseline  # scikit-learn takes a second to open

    problem, training = context.problem, concatenate_datasets(list(context.parts))
    try:
        fitted = baseline.fit(problem.task, training, len(problem.labels), context.config.seed)
    except ValueError:
        return None  # said at the end, where the baseline would be
    return problem.task.targets.statistics(fitted.logits(context.validation_rows(most)), inputs)
