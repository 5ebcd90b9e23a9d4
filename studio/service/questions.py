"""Questions about a run, asked of a process of its own: what it will cost, what pruning costs, ONNX."""

import contextlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from studio import files
from studio.config.run import RunConfig
from studio.errors import ExportError, WorkerError
from studio.executors import launch, local
from studio.home import Home
from studio.kept import examined
from studio.machine.slots import available_cores
from studio.pipeline.answers import (
    Conversion,
    Elsewhere,
    Estimate,
    Examined,
    KeptLater,
    Preview,
    Sizes,
    Written,
    read_conversion,
)
from studio.pipeline.job import Answer, Job, Result
from studio.service import patterns
from studio.service.runs import before, job_of, with_verdict
from studio.store.store import Store

ESTIMATE_SECONDS = 120.0
CONVERT_SECONDS = 600.0
KEEP_SECONDS = 1800.0

AT_ONCE = 4
"""So many processes answer at a time: each opens the libraries, and models."""

Found = TypeVar("Found", bound=Examined)

_turns = threading.BoundedSemaphore(AT_ONCE)

_examining = threading.Lock()
"""One examination at a time: who asks for the same one meanwhile reads what the first one found."""


def warm_up() -> None:
    """Open the libraries in the background, for who is about to ask or to start a run."""
    launch.warm_up(local.environment(available_cores()))


def estimate(home: Home, store: Store, config: RunConfig) -> Estimate:
    """Sizes, time and memory of a run before it starts, measured in a process of its own.

    Raises the `StudioError` that the run itself would meet while it prepares.
    """
    job = job_of(store, home, config, store.dataset(config.dataset).id)
    return _ask("estimate", Estimate, job, ESTIMATE_SECONDS, "The run can start without it.")


def sizes(home: Home, store: Store, config: RunConfig) -> Sizes:
    """How large the built-in models are for the data set of this config."""
    job = job_of(store, home, config, store.dataset(config.dataset).id)
    return _ask("sizes", Sizes, job, ESTIMATE_SECONDS, "The run can start without it.")


def convert(home: Home, store: Store, run_id: int) -> Conversion:
    """The student of a run as ONNX files, checked and timed in a process of its own; made once, and anew where
    they are damaged.

    Raises `ExportError` where it cannot be written as ONNX, and while the run goes on.
    """
    run = store.run(run_id)
    if not run.is_over:
        raise ExportError(f"Run {run_id} is {run.status}: its student is not ready.", "Wait for it, or stop it.")
    known = None if files.damage(home.onnx(run_id)) else read_conversion(home.onnx(run_id))
    if known is not None:
        return known
    job = job_of(store, home, run.config, run.dataset_id, run_id)
    with _not_deleted(home, store, run_id):
        return _ask("convert", Conversion, job, CONVERT_SECONDS, "The student can be exported without it.")


def keep(home: Home, store: Store, run_id: int) -> None:
    """Keep what the models of a finished run say of every row, where the run is from before that was kept: in a process
    of its own.

    Raises `StoreError` before the run has its verdict, `ModelError` where teacher or student cannot be opened.
    """
    run = with_verdict(store, run_id)
    job = job_of(store, home, run.config, run.dataset_id, run_id)
    with _not_deleted(home, store, run_id):
        found = _ask("keep", KeptLater, job, KEEP_SECONDS, "Start the run again: its answers are kept then.")
    store.record(run_id, found.told)


@contextlib.contextmanager
def _not_deleted(home: Home, store: Store, run_id: int) -> Iterator[None]:
    """For a process that writes into a run's folder: where the run is deleted meanwhile, no folder of it stays, and the
    block ends in the `StoreError` that says so."""
    try:
        yield
    finally:
        if run_id not in store.numbers("runs"):
            shutil.rmtree(home.run(run_id), ignore_errors=True)
            store.run(run_id)


def written(home: Home, store: Store, run_id: int, rule: str = "", most_tokens: int | None = None) -> Written:
    """What the language models of a finished run write, at most so many tokens, made once; with a `rule` answers are
    also compared by what that pattern finds in them. It is made again where another rule or limit was asked for before.
    Raises as `examine` does, and `ConfigError` where the rule is no pattern.
    """
    patterns.checked(rule)
    run = with_verdict(store, run_id)
    job = job_of(store, home, run.config, run.dataset_id, run_id).model_copy(
        update={"rule": rule, "most_tokens": most_tokens}
    )
    return _once(
        home, store, job, Written, lambda known: rule in ("", known.rule) and most_tokens in (None, known.most)
    )


def examine(home: Home, store: Store, run_id: int, kind: type[Found]) -> Found:
    """What an examination of a finished run finds, made once in a process of its own.

    Raises `StoreError` before the run has its verdict: until then its student may learn on. `ModelError` where a model
    of the run cannot be opened, and what the examination itself raises.
    """
    run = with_verdict(store, run_id)
    return _once(home, store, job_of(store, home, run.config, run.dataset_id, run_id), kind, lambda known: True)


def _once(home: Home, store: Store, job: Job, kind: type[Found], is_it: Callable[[Found], bool]) -> Found:
    """What is kept, where that is it; else what is found now."""
    with _examining:
        known = examined.read(home, job.run_id, kind)
        if known is None or not is_it(known):
            known = _ask(kind.program, kind, job, KEEP_SECONDS, "Try again, or look at the other tabs.")
            store.run(job.run_id)  # it may have been deleted meanwhile, and its folder stays so
            examined.write(home, job.run_id, known)
    return known


def elsewhere(home: Home, store: Store, run_id: int, dataset_id: int) -> Elsewhere:
    """How good the models of a finished run are on the test rows of another data set, made once.

    Raises `StoreError` before the run has its verdict, `DataError` where that data has other labels or nothing that is
    new to the models, `ModelError` where a model cannot be opened.
    """
    run = with_verdict(store, run_id)
    job = job_of(store, home, run.config, run.dataset_id, run_id)
    earlier = {home.dataset(previous.dataset_id) for previous in before(store, run)} - {job.dataset}
    job = job.model_copy(update={"other": home.dataset(dataset_id), "earlier": tuple(sorted(earlier))})
    with _examining:
        known = examined.read(home, run_id, Elsewhere, str(dataset_id))
        if known is None:
            known = _ask("elsewhere", Elsewhere, job, KEEP_SECONDS, "Try again, or choose other data.")
            store.run(run_id)
            examined.write(home, run_id, known, str(dataset_id))
    return known


def preview(home: Home, store: Store, config: RunConfig) -> Preview:
    """What pruning alone would cost this student: accuracy against the ratio, in seconds, in a process of its own.

    Raises `ModelError` where the student does not know the labels yet, or has nothing to prune.
    """
    job = job_of(store, home, config, store.dataset(config.dataset).id)
    return _ask("preview", Preview, job, ESTIMATE_SECONDS, "The run can start without it.")


def _ask(program: str, kind: type[Result], job: Job, seconds: float, cure: str) -> Result:
    """Ask `python -m studio.program` one thing. Raises what it met, or `WorkerError` where it gave no answer."""
    try:
        command = (sys.executable, "-m", f"studio.pipeline.{program}")
        with _turns:
            done = launch.ask(command, job.model_dump_json(), local.environment(available_cores()), seconds)
    except subprocess.TimeoutExpired as error:
        raise WorkerError(f"To {program} took longer than {seconds:g} s.", cure) from error
    if done.status != 0:
        last = (done.errors.strip().splitlines() or ["it said nothing"])[-1]
        raise WorkerError(f"To {program} did not work: {last}.", cure)
    return Answer[kind].model_validate_json(done.output).result_or_raise()  # type: ignore[valid-type]
