"""What models can learn: one module a task, one line here. Light: torch is opened when a task is used.

`get` gives a task by its name; nothing else in the house asks for a task's name.
"""

from dataclasses import replace
from typing import TypeVar

from studio.errors import ConfigError
from studio.events import Comparison, Evaluation, SeedResult, StageResult
from studio.tasks import images, language, pairs, regression, text, tokens
from studio.tasks.encoded import Encoded
from studio.tasks.measures import Measure, Reference
from studio.tasks.resolving import resolved
from studio.tasks.task import Column, Task

__all__ = ["TASKS", "Column", "Encoded", "Measure", "Reference", "Result", "Task", "get", "known_as", "reported",
           "resolved"]  # fmt: skip

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        text.TASK,
        images.TASK,
        pairs.TASK,
        regression.TASK,
        tokens.TASK,
        language.TASK,
    )
}
"""Every task; where an upload fits several, the last one that it looks like is proposed."""


def known_as(metric: str, value: float) -> float:
    """A measured number as people know it: of measures that are better the lower they are without its minus.

    >>> known_as("bits_per_byte", -1.5), known_as("accuracy", 0.5)
    (1.5, 0.5)
    """
    measures = (measure for task in TASKS.values() for measure in task.measures if measure.name == metric)
    return next((measure.shown(value) for measure in measures), value)


Result = TypeVar("Result", Evaluation, Comparison, StageResult, SeedResult)


def reported(result: Result) -> Result:
    """A result with its numbers as people know them, for whoever reads them outside: of a measure that is better the
    lower it is without a minus, and of an interval the smaller end first. Any other is left as it is.

    >>> found = Evaluation(role="student", split="test", metric="perplexity", value=-4.0, low=-5.0, high=-3.5)
    >>> reported(found).value, reported(found).low, reported(found).high
    (4.0, 3.5, 5.0)
    """
    if known_as(result.metric, 1.0) > 0:
        return result
    values = {"low": "high", "high": "low"} | {name: name for name in ("value", "difference", "student", "control")}
    known = {name: getattr(result, source, None) for name, source in values.items()}
    return result.model_copy(update={name: -value for name, value in known.items() if value is not None})


def get(name: str, multi_label: bool = False) -> Task:
    """The task of that name; `multi_label`: a row can have any number of labels.

    Raises `ConfigError` where there is none.
    """
    if name not in TASKS:
        raise ConfigError(f"There is no task {name!r}; there are {', '.join(TASKS)}.", "Choose one of them.")
    task = TASKS[name]
    if not multi_label:
        return task
    if task.multi_label_targets is None:
        raise ConfigError(f"{task.title} has one label a row, got several.", "Leave the separator out.")
    return replace(task, targets=task.multi_label_targets)
