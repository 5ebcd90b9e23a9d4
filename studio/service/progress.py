"""How far a run is as a whole, from what is stored of it."""

import time
from collections.abc import Iterator

from studio.pipeline.timetable import Seen, Whole, progress
from studio.store.rows import PhaseRow, RunRow
from studio.store.store import Store


def whole(store: Store, run: RunRow) -> Whole:
    """The share of the run that is done, and the time that is left, where the run has told its timetable.

    Without one, before models are open and for runs of earlier versions, nothing is known: 0, and no time.
    """
    return progress(store.timetable(run.id), _seen(run, store.phases(run.id)))


def _seen(run: RunRow, phases: list[PhaseRow]) -> Iterator[Seen]:
    for phase in phases:
        if phase.seconds is not None:
            begun = min(1.0, (phase.first_step or 0) / phase.steps) if phase.steps else 0.0
            yield Seen(phase.name, phase.seconds, begun=begun)
        elif phase.name == run.phase and run.phase_started_at is not None:
            here, begun = (
                min(1.0, step / run.total) if run.total else 0.0 for step in (run.step, phase.first_step or 0)
            )
            yield Seen(phase.name, time.time() - run.phase_started_at, here, min(begun, here))
