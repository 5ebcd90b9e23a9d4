"""What the test rows of a saved data set share with its training rows, and what they alone have."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from datasets import Dataset, Image

from studio.config.run import UNLABELLED
from studio.data.cleaning import keys


def leaked(training: Sequence[Dataset], test: Dataset) -> int:
    """How many test rows have an input that a training row has, too."""
    known = {key for rows in training for key in _keys(rows)}
    return sum(key in known for key in _keys(test))


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


def _keys(rows: Dataset) -> list[int]:
    """As an upload's rows are told apart: equal bytes, or equal texts but for case and white space."""
    names = [name for name in rows.column_names if name != "label"]
    columns = [[_plain(value) for value in _undecoded(rows, name)[name][:]] for name in names]
    first, second = (*columns, [""] * len(rows))[:2]
    return list(keys(pd.DataFrame({"input": first, "pair": second}, dtype=object)))


def _undecoded(rows: Dataset, name: str) -> Dataset:
    return rows.cast_column(name, Image(decode=False)) if isinstance(rows.features[name], Image) else rows


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return value["bytes"]
    return " ".join(value) if isinstance(value, list) else value
