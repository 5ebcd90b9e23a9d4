"""One run from its claim to its end."""

import contextlib
import math
import shutil
import time
from collections.abc import Callable, Iterator

from studio import events, files
from studio.config.references import ModelReference
from studio.config.run import RunConfig
from studio.errors import (
    ConfigError,
    DiskError,
    StoreError,
    StudioError,
    WorkerDiedError,
    WorkerError,
    WorkerOutOfMemoryError,
    WorkerStuckError,
)
from studio.executors import registry
from studio.executors.local import Execute
from studio.home import Home
from studio.pipeline.job import Job, Stopped
from studio.service.ownership import Heart
from studio.store.queue import GOES_ON, MOST_DEATHS
from studio.store.rows import RunRow
from studio.store.store import Store

FLUSH_SECONDS = 0.4
MOST_STUCK = 3
"""So often a worker may be stuck in one place: each time takes as long as its silence."""


def job_of(store: Store, home: Home, config: RunConfig, dataset_id: int, run_id: int = 0) -> Job:
    """What a worker needs to know: names of data sets become folders. Raises `StoreError` where one is not there."""
    replay = None if config.replay is None else home.dataset(store.dataset(config.replay).id)
    return Job(run_id=run_id, config=config, dataset=home.dataset(dataset_id), replay=replay, home=home)


def carry(
    store: Store, home: Home, run: RunRow, execute: Execute | None = None, leave: Callable[[], bool] = lambda: False
) -> Iterator[events.Event]:
    """Carry one claimed run to its end, whatever that end is; yields every event once it is in the store.

    `execute` is what carries it out; without one, what `STUDIO_EXECUTOR` names. When its process is killed the run goes
    on in another one, from its last checkpoint.
    It ends without a word about the run where another process has taken it.
    `leave()` is asked now and then: true means that the studio is closing; the run goes back into the queue.
    """
    heart = Heart(store, run)

    def stop() -> bool:
        return not heart.beats() or leave() or store.stop_requested(run.id)

    try:
        if run.unreadable:
            raise ConfigError(run.unreadable, "Start it again with settings that this version knows.")
        job = job_of(store, home, run.config, run.dataset_id, run.id).model_copy(update={"parts": run.parts})
        if home.onnx(run.id).is_dir():  # of the student as it was when the run was stopped
            shutil.rmtree(home.onnx(run.id))
        execute = execute or registry.one_run()
        while True:
            try:
                before = {"heard": store.last_steps(run.id), "seconds": store.seconds_used(run.id)}
                job = job.model_copy(update=before)
                with contextlib.closing(execute(job, stop)) as run_events:
                    for batch in _batches(run_events):
                        if not heart.asks():
                            raise Stopped
                        store.record(run.id, batch)
                        yield from batch
                _require_whole(store, run.id)
                break
            except WorkerDiedError as error:
                if not heart.asks():
                    raise Stopped from error
                job = _after_death(store, job, error)
        if heart.asks():
            store.finish(run.id)
    except Stopped:
        if not heart.asks():
            return  # whoever has taken the run writes about it from now on
        if leave() and not store.stop_requested(run.id):
            store.put_back(run.id)
        else:
            store.stopped(run.id)
    except DiskError:
        raise  # nothing can be written now: the run is taken back and goes on when it can
    except StudioError as error:
        if heart.asks():
            store.fail(run.id, error)
    except Exception as error:
        if heart.asks():
            store.fail(run.id, WorkerError(f"The run was cut off: {type(error).__name__}: {error}.", "Start it again."))
        raise
    except BaseException:  # Ctrl-C, or the reader had enough: the worker has saved its student and ended
        if heart.asks():
            store.stopped(run.id)
        raise


def _require_whole(store: Store, run_id: int) -> None:
    """Raise `WorkerDiedError` where a run has ended without an error before its last stage did: whoever carried it out
    took something for the sign to stop. It goes on."""
    planned = store.timetable(run_id)
    if planned and planned[-1].phase not in {phase.name for phase in store.phases(run_id) if phase.seconds is not None}:
        raise WorkerDiedError(
            "The run ended before its last stage, and nobody had stopped it.",
            "Resume it; the log tells how far it was.",
        )


def _after_death(store: Store, job: Job, error: WorkerDiedError) -> Job:
    """The job as it goes on; raises the error again where its process has died too often in one place.

    When memory has run out for the second time in one place, batches are cut into twice as many parts.
    """
    run, deaths, whole = job.run_id, store.died(job.run_id), job.config.batch_size
    if deaths >= (MOST_STUCK if isinstance(error, WorkerStuckError) else MOST_DEATHS):
        again = f" It happened {deaths} times at {store.place(run)}."
        raise type(error)(error.message + again, error.cure) from error
    often = "" if deaths == 1 else f" This was number {deaths} in this place."
    store.tell(run, f"At {store.place(run)}: {error.message}{often} {GOES_ON}")
    store.go_on(run)
    if not isinstance(error, WorkerOutOfMemoryError) or deaths == 1 or job.parts >= whole:
        return job
    parts = store.halve(run)
    few = math.ceil(whole / parts)
    store.tell(run, f"{few} examples at a time from now on; corrections are still made from {whole}.")
    return job.model_copy(update={"parts": parts})


def _can_wait(event: events.Event) -> bool:
    """Points of curves wait for those after them; not the first one of a curve, which somebody looks for."""
    return isinstance(event, events.Progress) or (isinstance(event, events.Metrics) and event.step > 0)


def _batches(run_events: Iterator[events.Event]) -> Iterator[list[events.Event]]:
    """The events, in batches a fraction of a second long; the last one also when the end is an error."""
    batch: list[events.Event] = []
    flushed = 0.0
    try:
        for event in run_events:
            batch.append(event)
            if time.monotonic() - flushed > FLUSH_SECONDS or not _can_wait(event):
                yield batch
                batch, flushed = [], time.monotonic()
    except (StudioError, Stopped):
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def with_verdict(store: Store, run_id: int) -> RunRow:
    """A run that is done: what is made of its student is made of the last one. Raises `StoreError` before that."""
    run = store.run(run_id)
    if run.verdict is None:
        raise StoreError(f"Run {run_id} is {run.status} and has no verdict.", "Ask about it when it has finished.")
    return run


def references(config: RunConfig) -> list[ModelReference]:
    """Every model that a config names, wherever it names one."""
    values: list[object] = []
    for value in config.model_dump(mode="json").values():
        values += value if isinstance(value, list) else [value]
    found = (ModelReference.find(text) for text in values if isinstance(text, str))
    return [reference for reference in found if reference is not None]


def before(store: Store, run: RunRow) -> list[RunRow]:
    """The runs that made models with which this one began, and those before them."""
    found, waiting = dict[int, RunRow](), [run]
    while waiting:
        named = {reference.run for reference in references(waiting.pop().config) if reference.run is not None}
        for number in named - {run.id, *found}:
            found[number] = store.run(number)
            waiting.append(found[number])
    return list(found.values())


def _teachers(run: RunRow) -> dict[str, str]:
    """What a run names as its teachers, by role."""
    named = (run.config.teacher, *run.config.more_teachers)
    roles = ("teacher", *(f"teacher-{number}" for number in range(2, len(named) + 1)))
    return dict(zip(roles, named, strict=True))


def trained_teachers(home: Home, run: RunRow) -> dict[str, str | tuple[str, ...]]:
    """The teachers of a run as settings of another one: those that it has trained, the others as they were named."""
    first, *more = (
        f"run:{run.id}/{role}" if home.model(run.id, role).is_dir() else name for role, name in _teachers(run).items()
    )
    return {"teacher": first, "more_teachers": tuple(more)}


def where_they_lie(home: Home, store: Store, config: RunConfig) -> RunConfig:
    """The same config, in which a teacher that an earlier run took as it was, and so did not save, is named as that run
    named it. Raises `StoreError` for a run that nobody knows."""

    def found(name: str) -> str:
        wanted = ModelReference.parse(name)
        if wanted.run is None or home.model(wanted.run, wanted.role).is_dir():
            return name
        named = _teachers(store.run(wanted.run)).get(wanted.role, name)
        return named if ModelReference.parse(named).source in ("folder", "hub") else name

    more = tuple(map(found, config.more_teachers))
    return config.model_copy(
        update={"teacher": found(config.teacher), "student": found(config.student), "more_teachers": more}
    )


def disk_bytes(home: Home, run_id: int) -> int:
    """What the models, checkpoints and logs of a run take on disk."""
    return files.size(home.run(run_id))


def delete(home: Home, store: Store, run_id: int) -> int:
    """Delete a run that is over, with all its files; returns the bytes that are free again.

    Raises `StoreError` where it goes on, or where another run uses a model of it.
    """
    freed = disk_bytes(home, run_id)
    store.delete(run_id)
    if home.run(run_id).is_dir():
        shutil.rmtree(home.run(run_id))
    return freed
