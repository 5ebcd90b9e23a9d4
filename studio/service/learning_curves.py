"""The learning curve of a run: the same student on parts of its training rows, as runs in the queue.

They learn without a control, under one seed, from the teachers that the run has, and are measured on validation rows: a
curve is a reason to bring more data, and the test rows are not read for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from studio.config.reading import with_values
from studio.config.run import RunConfig
from studio.home import Home
from studio.kept import answers
from studio.kept.answers import Kept
from studio.service import runs, sweeps
from studio.store.rows import RunRow
from studio.store.store import Store

SHARES = (0.125, 0.25, 0.5)
SPLIT = "validation"


@dataclass(frozen=True)
class Part:
    """One of the runs of a curve; None where it was deleted."""

    share: float
    run: RunRow | None

    @property
    def is_over(self) -> bool:
        return self.run is None or (self.run.is_over and not self.run.paused)


def tag(run: RunRow) -> str:
    """What the runs of a curve are found by."""
    return f"learning curve of run {run.id}"


def shares(run: RunRow) -> tuple[float, ...]:
    """What is learned from. The student of several seeds is the one that did best on the very rows on which the curve
    is measured: beside parts that are learned once, all rows are learned once, too."""
    return SHARES if run.config.seeds == 1 else (*SHARES, 1.0)


def can_begin(home: Home, run: RunRow) -> bool:
    """Whether it is kept what the student said of validation rows."""
    return answers.opened(home, run.id, "student", SPLIT) is not None


def begin(store: Store, home: Home, run: RunRow, made_by: str | None) -> list[RunRow]:
    """Queue the runs of a curve; asked again it queues none twice."""
    found = []
    for share in shares(run):
        key = f"learning-curve-{run.id}-{share}"
        known = store.run_of_key(key)
        if known is None:
            known = store.submit(config(home, run, share), key=key, made_by=made_by)
            known = store.describe_run(known.id, name=f"Run {run.id} on {share:.1%} of its rows", tags=[tag(run)])
        found.append(known)
    return found


def config(home: Home, run: RunRow, share: float) -> RunConfig:
    """The settings of a run on a part of the rows."""
    values = sweeps.TRIAL | runs.trained_teachers(home, run)
    return with_values(run.config, **values, training_share=share * run.config.training_share)


def parts(store: Store, run: RunRow) -> list[Part]:
    """The runs of a curve by their share; none where nobody has asked for it."""
    found = [(store.run_of_key(f"learning-curve-{run.id}-{share}"), share) for share in shares(run)]
    return [Part(share, row) for row, share in found if row is not None]


def kept(home: Home, run: RunRow, of: list[Part]) -> Mapping[float, Kept]:
    """What the students said of the validation rows, by share; of whole rows the run's own, where that has one seed.
    Those that are not over, or were tested on other rows, are left out."""
    whole = answers.opened(home, run.id, "student", SPLIT)
    if whole is None:
        return {}
    found = {1.0: whole} if run.config.seeds == 1 else {}
    for part in of:
        if part.run is None or part.run.verdict is None:
            continue
        mine = answers.opened(home, part.run.id, "student", SPLIT)
        if mine is not None and len(mine) == len(whole) and np.array_equal(mine.labelled, whole.labelled):
            found[part.share] = mine
    return found
