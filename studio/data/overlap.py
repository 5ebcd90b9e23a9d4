"""What the test rows of a saved data set share with its training rows, and what they alone have."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from datasets import Dataset, Image

from studio.config.run import UNLABELLED
from studio.data.cleaning import keys

if TYPE_CHECKING:
    from studio.tasks.task import Task

ROWS_AT_ONCE = 1_000


def leaked(training: Sequence[Dataset], test: Dataset) -> int:
    """How many test rows have an input that a training row has, too."""
    known = {key for rows in training for key in row_keys(rows)}
    return sum(key in known for key in row_keys(test))


def unseen_labels(training: Sequence[Dataset], test: Dataset, labels: Sequence[str]) -> tuple[str, ...]:
    """The classes of test rows that no training row has; none where a label is a number."""
    only = _classes(test) - {label for rows in training for label in _classes(rows)}
    return tuple(labels[number] for number in sorted(only))


def _classes(rows: Dataset) -> set[int]:
    found: set[int] = set()
    for label in rows["label"][:]:
        said = label if isinstance(label, list) else [label]
        found.update(value for value in said if isinstance(value, int))
    return found - {UNLABELLED}


def row_keys(rows: Dataset, task: "Task | None" = None) -> Iterator[int]:
    """As an upload's rows are told apart: equal bytes, or equal texts but for case and white space. With a `task`: by
    what belongs together in it, as rows of one prompt do, whatever is answered."""
    names = [name for name in rows.column_names if name != "label"]
    plain = rows.select_columns(names)
    for name in names:
        plain = _undecoded(plain, name)
    for batch in plain.iter(ROWS_AT_ONCE):
        cells = (tuple(map(_plain, row)) for row in zip(*batch.values(), strict=True))
        table = pd.DataFrame([_two(row) for row in cells], columns=["input", "pair"], dtype=object)
        yield from keys(table if task is None else task.inputs.related(table)).tolist()


def _two(cells: tuple[Any, ...]) -> tuple[Any, Any]:
    """Input and pair of a row; of a text that answers no prompt the prompt is empty."""
    first, second = (*cells, "")[:2]
    return (first, second) if first or not second else (second, "")


def _undecoded(rows: Dataset, name: str) -> Dataset:
    return rows.cast_column(name, Image(decode=False)) if isinstance(rows.features[name], Image) else rows


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return value["bytes"]
    return " ".join(value) if isinstance(value, list) else value
