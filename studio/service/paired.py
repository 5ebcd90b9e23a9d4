"""Whether the students of two runs differ by more than chance: a paired test on the test rows that both answered."""

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from studio import tasks
from studio.errors import DataError
from studio.evaluate import metrics, multiple
from studio.events import Comparison, Role
from studio.home import Home
from studio.kept import answers
from studio.service import comparison
from studio.service.comparison import Side
from studio.store.store import Store

CHANCE = 0.05
"""A p-value below it is more than chance."""

Reason = Literal["", "data", "rows", "answers"]
"""Why there is no test: the test rows of their data differ, they answered other ones, or answers were not kept."""


@dataclass(frozen=True)
class Paired:
    """The first student minus the second; `comparison` is None where there is a `reason`. `p_value` counts how many
    pairs there are of all runs that were tested together."""

    first: int
    second: int
    comparison: Comparison | None
    reason: Reason = ""
    p_value: float = 1.0


def against(home: Home, reference: Side, others: Sequence[Side]) -> list[Paired]:
    """The reference's student against each other one. The p-values hold for every pair of these students together
    (Holm, 1979): who looks at the best one has compared it with all, and all others with each other, to find it."""
    found = [_pair(home, reference, other) for other in others]
    tested = [place for place, pair in enumerate(found) if pair.comparison]
    pairs = len(tested) * (len(tested) + 1) // 2
    raised = multiple.holm([pair.comparison.p_value for pair in found if pair.comparison], of=pairs)
    for place, p_value in zip(tested, raised, strict=True):
        found[place] = replace(found[place], p_value=p_value)
    return found


def _pair(home: Home, first: Side, second: Side) -> Paired:
    ids = first.run.id, second.run.id
    if not _same_test_rows(home, first, second):
        return Paired(*ids, None, "data")
    stamps = tuple(_stamp(home, run_id) for run_id in ids)
    reason, found = _compared(home, ids, stamps, first.task.name, first.task.kind == "multi_label")
    return Paired(*ids, found, reason)


def _stamp(home: Home, run_id: int) -> int:
    """When the answers of a run's student were written; 0 where there are none."""
    try:
        return answers.place(home, run_id, "student", "test").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


@functools.lru_cache(maxsize=512)
def _compared(
    home: Home, ids: tuple[int, int], stamps: tuple[int, ...], task: str, multi_label: bool
) -> tuple[Reason, Comparison | None]:
    """The test of two students, made once for the same answers: of some measures rows are drawn anew thousands of
    times."""
    try:
        mine, theirs = (answers.opened(home, run_id, "student", "test") for run_id in ids)
    except DataError:  # a damaged file: they can be computed anew
        return "answers", None
    if mine is None or theirs is None:
        return "answers", None
    if len(mine) != len(theirs) or not np.array_equal(mine.labelled, theirs.labelled):
        return "rows", None
    roles: tuple[Role, Role] = ("student", "student")
    learned = tasks.get(task, multi_label)
    return "", metrics.compare(learned, roles, "test", (mine.statistics, theirs.statistics))


def _same_test_rows(home: Home, first: Side, second: Side) -> bool:
    """Whether the data of both has the same test rows with the same labels, whatever their training rows are: so it is
    of versions to which rows were added."""
    if first.data is None or second.data is None:
        return first.run.dataset_id == second.run.dataset_id
    if (first.data.task, first.data.multi_label) != (second.data.task, second.data.multi_label):
        return False
    if first.data.fingerprint == second.data.fingerprint:
        return True
    mine, theirs = (_of_test_rows(home, side.data.id, side.data.fingerprint) for side in (first, second) if side.data)
    return mine is not None and mine == theirs


@functools.lru_cache(maxsize=512)
def _of_test_rows(home: Home, dataset_id: int, fingerprint: str) -> str | None:
    """A hash of the test rows of a data set, read once for the same content; None where its files are gone."""
    from studio.data import folder

    try:
        data = folder.load(home.dataset(dataset_id))
    except DataError:
        return None
    return folder.fingerprint({"test": [data.dict["test"]]}, data.labels) if "test" in data.dict else None


def facts(home: Home, store: Store, compared: Sequence[Side]) -> dict[str, Any]:
    """A comparison as plain values, with the first student tested against each other one."""
    found = against(home, compared[0], compared[1:])
    shown = [pair.comparison and tasks.reported(pair.comparison).model_dump(exclude={"kind"}) for pair in found]
    tests = [dataclasses.asdict(pair) | {"comparison": known} for pair, known in zip(found, shown, strict=True)]
    return comparison.facts(store, compared) | {"tests": tests}
