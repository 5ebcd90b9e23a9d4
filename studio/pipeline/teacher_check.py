"""Whether a teacher has anything to teach: asked on validation rows, before a student learns from it."""

from collections.abc import Generator, Sequence

from studio.errors import ModelError
from studio.events import Log, Metrics
from studio.models.model import Model
from studio.pipeline import stage_results
from studio.pipeline.answers import Checked
from studio.pipeline.prepare import RunContext

ROWS = 2_000
"""At most so many validation rows are read."""

LEAST_GAIN = 0.01
"""A teacher that is better by less than this, in every measure, than one answer for all rows has learned nothing."""

CURE = (
    "Take a pretrained teacher, label more rows, or train it longer (teacher_epochs, training_length). "
    "allow_weak_teacher: true goes on all the same."
)


def check(context: RunContext, teachers: Sequence[Model]) -> Generator[Log | Metrics, None, bool]:
    """Tell how good the teachers together are. Raise `ModelError` where they are no better than the same answer for
    every row; where the run asks to go on, say so. Returns whether they are so weak.
    """
    found = compared(context, teachers, ROWS)
    if found is None:
        return False
    first = context.problem.task.measures[0]
    yield Metrics(phase="record", step=0, values={first.name: found.value})
    if not found.is_weak:
        return False
    whose = "The teacher gets" if len(teachers) == 1 else "The teachers together get"
    message = (
        f"{whose} {first.written(found.value)} ({first.title.lower()}, {found.rows:,} validation rows); the "
        f"same answer for every row gets {first.written(found.constant)}: there is nothing to learn from it yet."
    )
    if not context.config.allow_weak_teacher:
        raise ModelError(message, CURE)
    yield Log(level="warning", message=f"{message} The run goes on, as allow_weak_teacher asks.")
    return True


def compared(context: RunContext, teachers: Sequence[Model], most: int) -> Checked | None:
    """The teachers together beside the same answer for every row, on at most so many validation rows; None where those
    have no labels."""
    task = context.problem.task
    inputs = [context.validation(teacher, most) for teacher in teachers]
    if not bool(task.known(inputs[0].labels).any()):
        return None
    moved = [rows.to(context.device.torch_device) for rows in inputs]
    statistics = stage_results.statistics(context, teachers, moved, context.device)
    found = task.targets.measure(statistics)
    constant = task.targets.reference(statistics, len(context.problem.labels)).majority
    first = task.measures[0].name
    return Checked(
        value=found[first],
        constant=constant[first],
        rows=len(inputs[0]),
        is_weak=all(found[name] - constant[name] < LEAST_GAIN for name in found),
    )
