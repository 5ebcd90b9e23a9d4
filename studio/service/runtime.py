"""The queue and the training threads: who carries which run, and what becomes of it."""

import contextlib
import functools
import logging
import math
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import psutil

from studio import events, gpus, notify
from studio.config import RunConfig
from studio.convert import Conversion, made
from studio.errors import ConfigError, StudioError, WorkerDiedError, WorkerError
from studio.estimate import Estimate
from studio.executors import Answer, Job, Result, Stopped, local
from studio.home import Home
from studio.places import Places, available_cores
from studio.preview import Preview
from studio.rows import RunRow
from studio.store import Store

Execute = Callable[[Job, Callable[[], bool]], Generator[events.Event, None, None]]

FLUSH_SECONDS = 0.4
WAKE_SECONDS = 0.3
ESTIMATE_SECONDS = 120.0
CONVERT_SECONDS = 600.0
CLUSTER_SLOTS = 8
"""So many runs wait on a cluster at once, which decides where and when each begins."""

LEASE = "trainer"
LEASE_SECONDS = 15.0
RETRY_SECONDS = 5.0
SAME_START_SECONDS = 5.0
"""How far apart two readings of one process's start may be: the machine's clock is set now and then."""

_RUNTIME = "studio.runner.the_runtime"
_log = logging.getLogger(__name__)

INTERRUPTED = WorkerError(
    "The studio was closed several times while this run was at the same place.",
    "Look into the log of the run, then let it go on.",
)
DIED = "The training process was killed; the run goes on from its last checkpoint."


def new_owner() -> str:
    """A name for this process that another one can check: machine, process id, its start time."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time()}:{uuid.uuid4().hex[:8]}"


def is_gone(owner: str | None) -> bool:
    """Whether the process behind an owner's name has ended. One on another machine counts as alive."""
    if not owner:
        return True
    host, pid, started, _ = owner.rsplit(":", 3)
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(pid))
        another = abs(process.create_time() - float(started)) > SAME_START_SECONDS
        return another or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wanted_slots() -> int:
    """How many runs train at once: `STUDIO_SLOTS`, else one on each GPU, else one on the processor.

    Raises `ConfigError` where the variable is no whole number from 1 on.
    """
    asked = os.environ.get("STUDIO_SLOTS", "")
    if asked and not (asked.isdecimal() and int(asked)):
        raise ConfigError(
            f"STUDIO_SLOTS must be a whole number from 1 on, got {asked!r}.", "Correct it or leave it out."
        )
    return int(asked) if asked else CLUSTER_SLOTS if on_a_cluster() else max(1, len(gpus.names()))


def on_a_cluster() -> bool:
    """Whether runs go to the Ray cluster at `RAY_ADDRESS`. Raises `ConfigError` for an executor that there is not."""
    asked = os.environ.get("STUDIO_EXECUTOR", "local")
    if asked not in ("local", "ray"):
        raise ConfigError(f"STUDIO_EXECUTOR must be local or ray, got {asked!r}.", "Correct it or leave it out.")
    return asked == "ray"


def on_this_machine(places: Places) -> Execute:
    """Runs at places of this machine: a share of the cores each, and a GPU where there are some; small runs can share
    one. A run on several devices waits for as many places."""
    there = len(gpus.names())

    def execute(job: Job, stop: Callable[[], bool]) -> Generator[events.Event, None, None]:
        wanted = job.config.devices
        if places.would_wait(wanted):
            yield events.Log(message="It waits until the devices that it needs are free.")
        with places.take(wanted, give_up=stop) as mine:
            share = max(1, available_cores() * max(1, len(mine)) // places.count)
            yield from local.execute(job, stop, threads=share, gpus=_gpus(mine, wanted, there))

    return execute


def _gpus(places: Sequence[int], wanted: int, there: int) -> list[int]:
    """So many different GPUs of those that are there, first those of the places."""
    if not there:
        return []
    return list(dict.fromkeys([*(one % there for one in places), *range(there)]))[: min(wanted, there)]


def cluster_nodes() -> list[dict[str, Any]]:
    """The machines of the cluster; raises `ConfigError` where it does not answer."""
    from studio.executors import ray

    return ray.nodes()


def on_the_cluster() -> Execute:
    """Runs go to the cluster; `STUDIO_RAY_GPUS` and `STUDIO_RAY_CORES` are what each asks for."""
    from studio.executors import ray

    asked = {name: os.environ.get(f"STUDIO_RAY_{name.upper()}", "") for name in ("gpus", "cores")}
    return functools.partial(ray.execute, gpus=float(asked["gpus"] or 0), cores=int(asked["cores"] or 1))


def job_of(store: Store, home: Home, config: RunConfig, dataset_id: int, run_id: int = 0) -> Job:
    """What a worker is told: names of data sets become folders. Raises `StoreError` where one is not there."""
    replay = None if config.replay is None else str(home.dataset(store.dataset(config.replay).id))
    return Job(run_id=run_id, config=config, dataset=str(home.dataset(dataset_id)), replay=replay, home=str(home.root))


def carry(
    store: Store, home: Home, run: RunRow, execute: Execute = local.execute, leave: Callable[[], bool] = lambda: False
) -> Iterator[events.Event]:
    """Carry one claimed run to its end, whatever that end is; yields every event once it is in the store.

    When its process is killed the run goes on in another one, from its last checkpoint.
    `leave()` is asked now and then: true means that the studio is closing; the run goes back into the queue.
    """
    job = job_of(store, home, run.config, run.dataset_id, run.id)
    try:
        while True:
            try:
                before = {"heard": store.last_steps(run.id), "seconds": store.seconds_used(run.id)}
                job = job.model_copy(update=before)
                with contextlib.closing(execute(job, lambda: leave() or store.stop_requested(run.id))) as said:
                    for batch in _batches(said):
                        store.record(run.id, batch)
                        yield from batch
                break
            except WorkerDiedError:
                if not store.may_go_on(run.id):
                    raise
                store.go_on(run.id)
                store.record(run.id, [events.Log(level="warning", message=DIED)])
        store.finish(run.id)
    except Stopped:
        if leave() and not store.stop_requested(run.id):
            store.put_back(run.id)
        else:
            store.stopped(run.id)
    except StudioError as error:
        store.fail(run.id, error)
    except Exception as error:
        store.fail(run.id, WorkerError(f"The run was cut off: {type(error).__name__}: {error}.", "Start it again."))
        raise
    except BaseException:  # Ctrl-C, or the reader had enough: the worker has saved its student and ended
        store.stopped(run.id)
        raise


def _batches(said: Iterator[events.Event]) -> Iterator[list[events.Event]]:
    """What was said, in batches a fraction of a second long; the last one also when the end is an error."""
    batch: list[events.Event] = []
    flushed = 0.0
    try:
        for event in said:
            batch.append(event)
            if time.monotonic() - flushed > FLUSH_SECONDS or not isinstance(event, events.Metrics | events.Progress):
                yield batch
                batch, flushed = [], time.monotonic()
    except (StudioError, Stopped):
        if batch:
            yield batch
        raise
    if batch:
        yield batch


class Runtime:
    """The training threads of one server, one a slot: each GPU, or a share of the processor's cores."""

    def __init__(self, home: Home, execute: Execute | None = None, slots: int | None = None) -> None:
        self.home = home
        self.owner = new_owner()
        self.trains = False
        """Whether this server holds the lease; a second one on the same folder serves pages only."""
        self._closing = threading.Event()
        self._renewed = -math.inf
        self._renewing = threading.Lock()
        count = slots or wanted_slots()
        self.owners = [new_owner() for _ in range(count)]
        """Each thread by its name in the store."""
        carry_out = execute or (on_the_cluster() if on_a_cluster() else on_this_machine(Places(count)))
        self._threads = [
            threading.Thread(target=self._work, args=(owner, carry_out), name=f"training {number}", daemon=True)
            for number, owner in enumerate(self.owners)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Put the run in progress back into the queue, and end the thread."""
        self._closing.set()
        for thread in self._threads:
            thread.join(timeout=3 * local.GRACE_SECONDS)

    def _work(self, owner: str, execute: Execute) -> None:
        store = self._open()
        if store is None:
            return
        while not self._closing.is_set():
            try:
                self._one_turn(store, owner, execute)
            except StudioError as error:
                _log.error("%s", error)
            except Exception:  # noqa: BLE001  the thread must outlive a full disk or a locked database, and say so
                _log.exception("The training thread met an error and goes on.")
            self._closing.wait(WAKE_SECONDS)
        store.release_lease(LEASE, self.owner)

    def _open(self) -> Store | None:
        """The store, as soon as it can be opened: until then the pages tell why it cannot."""
        while not self._closing.is_set():
            try:
                return Store(self.home.database)
            except StudioError as error:
                _log.error("%s", error)
                self._closing.wait(RETRY_SECONDS)
        return None

    def _one_turn(self, store: Store, owner: str, execute: Execute) -> None:
        """Take back what was left behind, by a dead server or by an error of this thread, and carry the next run."""
        if not self._keep_lease(store):
            return
        store.take_back(lambda other: other == owner or is_gone(other), INTERRUPTED)
        run = store.claim(owner)
        if run is None:
            return

        def leave() -> bool:
            self._keep_lease(store)
            return self._closing.is_set()

        for _ in carry(store, self.home, run, execute, leave):
            pass
        done = store.run(run.id)
        if done.is_over:
            notify.run_is_over(done)

    def _keep_lease(self, store: Store) -> bool:
        """Take or renew the lease when it is time to, at once where its owner is dead; whether it is held."""
        with self._renewing:
            if time.monotonic() - self._renewed > LEASE_SECONDS / 3:
                holder = store.lease_owner(LEASE)
                if holder is not None and is_gone(holder):
                    store.release_lease(LEASE, holder)
                self.trains = store.hold_lease(LEASE, self.owner, LEASE_SECONDS)
                self._renewed = time.monotonic()
            return self.trains


def start_runtime(home: Home) -> Runtime:
    """The one runtime of this process. It lives where a hot reload of the modules cannot reach it."""
    runtime: Runtime | None = sys.modules.get(_RUNTIME)  # type: ignore[assignment]
    if runtime is None:
        runtime = Runtime(home)
        sys.modules[_RUNTIME] = runtime  # type: ignore[assignment]
        runtime.start()
    return runtime


def stop_runtime() -> None:
    runtime = sys.modules.pop(_RUNTIME, None)
    if runtime is not None:
        runtime.stop()


def disk_bytes(home: Home, run_id: int) -> int:
    """What the models, checkpoints and logs of a run take on disk."""
    return sum(file.stat().st_size for file in home.run(run_id).rglob("*") if file.is_file())


def delete(home: Home, store: Store, run_id: int) -> int:
    """Delete a run that is over, with all its files; returns the bytes that are free again.

    Raises `StoreError` where it goes on, or where another run uses a model of it.
    """
    freed = disk_bytes(home, run_id)
    store.delete(run_id)
    if home.run(run_id).is_dir():
        shutil.rmtree(home.run(run_id))
    return freed


def estimate(home: Home, store: Store, config: RunConfig) -> Estimate:
    """Sizes, time and memory of a run before it starts, measured in a process of its own.

    Raises the `StudioError` that the run itself would meet while it prepares.
    """
    job = job_of(store, home, config, store.dataset(config.dataset).id)
    return _ask("estimate", Estimate, job, ESTIMATE_SECONDS, "The run can start without it.")


def convert(home: Home, store: Store, run_id: int) -> Conversion:
    """The student of a run as ONNX files, checked and timed in a process of its own; made once.

    Raises `ExportError` where it cannot be written as ONNX.
    """
    known = made(home.onnx(run_id))
    if known is not None:
        return known
    run = store.run(run_id)
    job = job_of(store, home, run.config, run.dataset_id, run_id)
    return _ask("convert", Conversion, job, CONVERT_SECONDS, "The student can be exported without it.")


def preview(home: Home, store: Store, config: RunConfig) -> Preview:
    """What pruning alone would cost this student: accuracy against the ratio, in seconds, in a process of its own.

    Raises `ModelError` where the student does not know the labels yet, or has nothing to prune.
    """
    job = job_of(store, home, config, store.dataset(config.dataset).id)
    return _ask("preview", Preview, job, ESTIMATE_SECONDS, "The run can start without it.")


def _ask(program: str, kind: type[Result], job: Job, seconds: float, cure: str) -> Result:
    """Ask `python -m studio.program` one thing. Raises what it met, or `WorkerError` where it gave no answer."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", f"studio.{program}"],
            input=job.model_dump_json(),
            capture_output=True,
            text=True,
            env=local.environment(available_cores()),
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise WorkerError(f"To {program} took longer than {seconds:g} s.", cure) from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise WorkerError(f"To {program} did not work: {last}.", cure)
    return Answer[kind].model_validate_json(done.stdout).result_or_raise()  # type: ignore[valid-type]
