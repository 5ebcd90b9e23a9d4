"""A worker on this machine: a child process that writes its events as JSON lines.

The child is asked to stop by a line on its standard input, or by that pipe being closed when the studio goes away.
"""

import contextlib
import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from studio import events
from studio.errors import WorkerDiedError, WorkerError, WorkerOutOfMemoryError, WorkerStuckError
from studio.executors import launch
from studio.machine import cgroups
from studio.machine import gpus as machine_gpus
from studio.machine.slots import Slots, available_cores
from studio.pipeline.job import Job, Stopped

WORKER = (sys.executable, "-m", "studio.executors.worker")
PROJECT = Path(__file__).parents[2]
POLL_SECONDS = 0.2
GRACE_SECONDS = 4.0
"""How long a worker may take to save and end after it was asked to stop; then it is made to end."""

LAST_SECONDS = 0.5
"""How long it may take after SIGTERM, which it gets then; then it is killed."""

NICENESS = 10
SPINS = 2_000
"""How often a waiting thread looks again before it sleeps. None at all costs small models two thirds of their speed;
the default of millions starves whatever runs beside them."""

SILENT_SECONDS = 900.0
"""A worker that sends nothing for so long is stuck: even a large data set is read faster."""

LOG_LINES = 5
SILENCE, END = b"", b"\0"


Execute = Callable[[Job, Callable[[], bool]], Generator[events.Event, None, None]]
"""Carries out a job and yields its events, until the question whether to stop is answered with yes."""


def in_slots(slots: Slots) -> Execute:
    """Runs that share this machine: each slot has a share of the cores, and a GPU where there are some; small runs can
    share one. A run on several devices waits for as many slots."""
    there = len(machine_gpus.names())

    def execute_in_slots(job: Job, stop: Callable[[], bool]) -> Generator[events.Event, None, None]:
        wanted = job.config.devices
        if slots.would_wait(wanted):
            yield events.Log(message="It waits until the devices that it needs are free.")
        with slots.take(wanted, give_up=stop) as mine:
            share = max(1, available_cores() * max(1, len(mine)) // slots.count)
            yield from execute(job, stop, threads=share, gpus=_gpus(mine, wanted, there))

    return execute_in_slots


def _gpus(slots: Sequence[int], wanted: int, there: int) -> list[int]:
    """So many different GPUs of those that are there, first those of the slots."""
    if not there:
        return []
    return list(dict.fromkeys([*(slot % there for slot in slots), *range(there)]))[: min(wanted, there)]


def environment(threads: int, gpus: Sequence[int] = ()) -> dict[str, str]:
    """A worker's environment: its share of the cores, its GPUs, and threads that sleep while they wait.

    OpenMP threads that spin without end make everything beside them ten times slower, the pages too.
    """
    share = str(threads)
    own = bool(gpus) and "CUDA_VISIBLE_DEVICES" not in os.environ
    shown = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus))} if own else {}
    return (
        os.environ
        | shown
        | {
            "OMP_NUM_THREADS": share,
            "MKL_NUM_THREADS": share,
            "OMP_WAIT_POLICY": "PASSIVE",
            "GOMP_SPINCOUNT": str(SPINS),
            "TOKENIZERS_PARALLELISM": "false" if threads == 1 else "true",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")])),
        }
    )


def execute(
    job: Job,
    stop: Callable[[], bool],
    threads: int | None = None,
    command: Sequence[str] = WORKER,
    gpus: Sequence[int] = (),
) -> Generator[events.Event, None, None]:
    """Run a job in a worker of its own and yield its events; it sees these GPUs, or all.

    Raises `Stopped` when it ended because `stop()` became true, the worker's own `StudioError` when it failed, and
    `WorkerError` when it died without an error of its own. Closing the generator stops the worker too.
    """
    log = job.home.log(job.run_id)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors_to:
        chosen = () if job.config.device.startswith("cuda:") else gpus  # a run that names its GPU sees all of them
        each = max(1, (threads or available_cores()) // job.config.devices)
        worker = launch.Piped(command, environment(each, chosen), errors_to, NICENESS)
    try:
        _send(worker, job.model_dump_json())
        yield from _listen(worker, stop, log)
    finally:
        _end(worker)


def _send(worker: launch.Piped, line: str) -> None:
    try:
        worker.stdin.write(line.encode() + b"\n")
        worker.stdin.flush()
    except BrokenPipeError:
        return  # it has ended already; _listen finds out how


def _listen(worker: launch.Piped, stop: Callable[[], bool], log: Path) -> Generator[events.Event, None, None]:
    lines: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_read, args=(worker, lines), daemon=True).start()
    asked: float | None = None
    failure: events.Failed | None = None
    looked, heard = -math.inf, time.monotonic()
    killed_before = cgroups.oom_kills()
    while (line := _next(worker, lines)) != END:
        now = time.monotonic()
        if asked is None and now - looked >= POLL_SECONDS:
            looked = now
            if stop():
                _send(worker, "stop")
                asked = now
        if asked is not None and now - asked > GRACE_SECONDS:
            _force(worker)
            raise Stopped
        if line:
            heard = now
        elif now - heard > SILENT_SECONDS:
            _force(worker)
            raise WorkerStuckError(
                f"The training process said nothing for {SILENT_SECONDS / 60:.0f} minutes: it was stuck and was ended.",
                "Look into the log of the run, then resume it from its last checkpoint.",
            )
        if not line.endswith(b"\n"):
            continue  # silence, or a line that the worker's death cut off
        event = events.from_json(line)
        if isinstance(event, events.Failed):
            failure = event
        else:
            yield event
    status = worker.wait()
    if failure is not None:
        raise failure.as_error()
    if asked is not None:
        raise Stopped
    if status != 0:
        raise _death(status, log, killed_before)


def _next(worker: launch.Piped, lines: queue.Queue[bytes]) -> bytes:
    """The next line, SILENCE when none comes for a moment, END when no more will come."""
    try:
        return lines.get(timeout=POLL_SECONDS)
    except queue.Empty:
        if worker.poll() is not None:
            worker.signal_group(signal.SIGKILL)  # what the worker started would keep the pipe open for ever
        return SILENCE


def _read(worker: launch.Piped, lines: queue.Queue[bytes]) -> None:
    """Hand over line after line, then END."""
    with worker.stdout:
        for line in worker.stdout:
            lines.put(line)
    lines.put(END)


def _death(status: int, log: Path, killed_before: int | None) -> WorkerError:
    """Why a worker ended without an error of its own, as far as its exit status, the end of its log and what the kernel
    counts show."""
    last = " / ".join(log.read_text(errors="replace").strip().splitlines()[-LOG_LINES:])
    if status in (-signal.SIGKILL, 128 + signal.SIGKILL):
        killed = cgroups.oom_kills()
        if killed is None:
            return WorkerDiedError(f"{_KILLED}, most likely because the machine ran out of memory.", _LESS_MEMORY)
        if killed == killed_before:
            return WorkerDiedError(
                f"{_KILLED} from outside; the machine had not run out of memory.",
                "Find out what ends processes on this machine, then resume the run.",
            )
        return WorkerOutOfMemoryError(f"{_KILLED} because the machine ran out of memory.", _LESS_MEMORY)
    how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    kind = WorkerDiedError if status < 0 else WorkerError
    return kind(f"The training process ended unexpectedly ({how}).", f"The end of its log: {last or 'empty'}")


_KILLED = "The training process was killed"
_LESS_MEMORY = "Choose a smaller model, batch size or maximum length."


def _end(worker: launch.Piped) -> None:
    """Let the worker save and end, and make sure that it and everything it started is gone."""
    with contextlib.suppress(BrokenPipeError):
        worker.stdin.close()  # the sign to save and end
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.wait(GRACE_SECONDS)
    _force(worker)


def _force(worker: launch.Piped) -> None:
    """End the worker and what is in its group, now; other processes of its run end when they hear that it is gone."""
    worker.signal_group(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.wait(LAST_SECONDS)
    worker.signal_group(signal.SIGKILL)
    worker.wait()
