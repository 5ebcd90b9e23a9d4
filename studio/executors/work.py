"""A run inside the process that carries it out: its events, what it uses of the machine, and its end in words."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence

import psutil
import pynvml

from studio import events
from studio.errors import DeviceError, StudioError, WorkerError, of_system
from studio.executors.trackers import Trackers
from studio.pipeline.job import Job

USE_EVERY_SECONDS = 2.0
_NOT_KNOWN = (pynvml.NVMLError, RuntimeError, ModuleNotFoundError)
"""What torch raises where a driver does not report, as of a GPU that is cut into parts: no reason to end a run."""


def train(
    job: Job, stop: threading.Event, others: Callable[[], Sequence[int]] = tuple
) -> Generator[events.Event, None, None]:
    """Every event of the run, and now and then what it uses of the machine; `others` tells the
    process ids of those that train along in this machine.

    However it is left, closing the run saves the student so far.
    """
    run = _run(job)
    use = _Use(others, job.seconds)
    trackers = Trackers(job.home, job.run_id, job.config, job.heard)
    with contextlib.closing(run), contextlib.closing(trackers):  # type: ignore[type-var]  # it is a generator
        for event in run:
            for new in [event, use.read()] if use.is_due() else [event]:
                yield new
                yield from trackers.take(new)
            if stop.is_set():
                return


def train_along(job: Job) -> None:
    """Go the same way beside the process that reports it."""
    for _ in _run(job):
        pass


def _run(job: Job) -> Iterator[events.Event]:
    from studio.pipeline import distill as trainer  # it opens torch: only now, so that a worker listens from the start

    return trainer.distill(job)


def failure(error: Exception) -> events.Failed:
    """What a run ended with, in words."""
    if isinstance(error, StudioError):
        return events.Failed.of(error)
    return events.Failed.of(_in_words(error))


def _in_words(error: Exception) -> StudioError:
    """What a library or a bug raised, as an error that a person can understand."""
    if memory := _memory_that_ran_out(error):
        return DeviceError(f"The {memory} ran out of memory.", _LESS_MEMORY)
    if isinstance(error, OSError) and (system_error := of_system(error)) is not None:
        return system_error
    message = f"Training ended with an error that the studio does not know: {type(error).__name__}: {error}."
    return WorkerError(message, "The log of the run has the details.")


_LESS_MEMORY = "Choose a smaller batch size, maximum length or model."


def _memory_that_ran_out(error: Exception) -> str | None:
    """Whose memory ran out. Torch has a class of its own for a GPU's, and only words for the machine's."""
    if type(error).__name__ == "OutOfMemoryError":
        return "GPU"
    return "machine" if isinstance(error, MemoryError) or "can't allocate memory" in str(error) else None


class _Use:
    """Processor, memory and GPUs of this process and the others, now and then."""

    def __init__(self, others: Callable[[], Sequence[int]], seconds: int) -> None:
        self._others = others
        self._processes: dict[int, psutil.Process] = {}
        self._find()
        self.last = time.monotonic()
        self._start = self.last - seconds

    def is_due(self) -> bool:
        return time.monotonic() - self.last >= USE_EVERY_SECONDS

    def read(self) -> events.DeviceUse:
        self.last = time.monotonic()
        self._find()
        values = {"cpu_percent": 0.0, "memory_bytes": 0.0}
        for process in self._processes.values():
            with contextlib.suppress(psutil.NoSuchProcess):  # the others have done their part before the evaluation
                values["cpu_percent"] += process.cpu_percent()
                values["memory_bytes"] += process.memory_info().rss
        return events.DeviceUse(seconds=round(self.last - self._start), values=values | self._of_gpus())

    def _find(self) -> None:
        """Those that have been started by now; how busy each is, is counted from here on."""
        for pid in {os.getpid(), *self._others()} - self._processes.keys():
            with contextlib.suppress(psutil.NoSuchProcess):
                self._processes[pid] = psutil.Process(pid)
                self._processes[pid].cpu_percent()

    def _of_gpus(self) -> dict[str, float]:
        """The memory that the run's GPUs have in use, and how busy they are on average, where the driver reports it."""
        import torch

        if not torch.cuda.is_initialized():
            return {}
        numbers = range(torch.cuda.current_device(), torch.cuda.current_device() + len(self._processes))
        values = {}
        with contextlib.suppress(*_NOT_KNOWN):
            values["gpu_memory_bytes"] = float(sum(torch.cuda.device_memory_used(number) for number in numbers))
        with contextlib.suppress(*_NOT_KNOWN):
            values["gpu_percent"] = sum(map(torch.cuda.utilization, numbers)) / len(numbers)
        return values
