"""The process in which one run happens: a job on standard input, events as JSON lines on standard output."""

import contextlib
import errno
import functools
import os
import sys
import threading
import time
import traceback
from collections.abc import Generator
from pathlib import Path

import psutil
import pynvml

from studio import events
from studio.errors import DeviceError, StudioError, WorkerError
from studio.executors import Job
from studio.home import Home
from studio.peers import Peers

USE_EVERY_SECONDS = 2.0
KILLED = 128 + 9
LEAVE_SECONDS = 10.0
"""When the studio has gone away: how long a phase that cannot be interrupted, such as loading a model, may go on."""


def main() -> int:
    """Carry out the job; the exit status is 0 also when it was asked to stop."""
    say = _Voice()
    job = Job.model_validate_json(sys.stdin.readline())
    stop = threading.Event()
    threading.Thread(target=_watch_input, args=(stop,), daemon=True).start()
    peers = Peers(job, functools.partial(_end_with_a_peer, say))
    try:
        with contextlib.closing(train(job, stop, peers)) as said:
            for event in said:
                say(event)
    except BrokenPipeError:
        traceback.print_exc()
        return 1  # the studio has gone away: nobody is left to tell, and the student so far is saved
    except Exception as error:  # noqa: BLE001  a bug or a library's own error: told in the page, with everything in the log
        if not isinstance(error, StudioError):
            traceback.print_exc()
            peers.let_them_tell_first()
        say(failure(error))
        return 1
    finally:
        peers.end()
    return 0


def failure(error: Exception) -> events.Failed:
    """What a run ended with, in words."""
    if isinstance(error, StudioError):
        return events.Failed(error=type(error).__name__, message=error.message, cure=error.cure)
    if memory := _memory_that_ran_out(error):
        return events.Failed(error=DeviceError.__name__, message=f"The {memory} ran out of memory.", cure=_LESS_MEMORY)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return events.Failed(error=DeviceError.__name__, message="The disk is full.", cure=_MORE_SPACE)
    message = f"Training ended with an error that the studio does not know: {type(error).__name__}: {error}."
    return events.Failed(error=WorkerError.__name__, message=message, cure="The log of the run has the details.")


_LESS_MEMORY = "Choose a smaller batch size, maximum length or model."
_MORE_SPACE = "Free some space, for example by deleting runs; then let this one go on from its last checkpoint."


def _memory_that_ran_out(error: Exception) -> str | None:
    """Whose memory the error tells of. Torch has a class of its own for a GPU's, and only words for the machine's."""
    if type(error).__name__ == "OutOfMemoryError":
        return "GPU"
    return "machine" if isinstance(error, MemoryError) or "can't allocate memory" in str(error) else None


class _Voice:
    """Says events on standard output, which is kept for them alone: what libraries print goes to the log."""

    def __init__(self) -> None:
        self._said = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._speaking = threading.Lock()

    def __call__(self, event: events.Event) -> None:
        with self._speaking:
            self._said.write(events.to_json(event) + "\n")
            self._said.flush()


def train(job: Job, stop: threading.Event, peers: Peers | None = None) -> Generator[events.Event, None, None]:
    """Every event of the run, and now and then what it uses of the machine.

    However it is left, closing the run saves the student so far.
    """
    from studio import trainer  # it opens torch: only now, so that input is watched from the start

    replay = None if job.replay is None else Path(job.replay)
    home = Home(Path(job.home))
    run = trainer.distill(job.config, run_id=job.run_id, dataset=Path(job.dataset), home=home, replay=replay)
    use = _Use([one.pid for one in peers.processes] if peers else [])
    with contextlib.closing(run):  # type: ignore[type-var]  # it is a generator
        for event in run:
            yield event
            if use.is_due():
                yield use.read()
            if stop.is_set():
                return


def _end_with_a_peer(say: _Voice, failed: events.Failed | None) -> None:
    """Without it nothing goes on here: tell its error; where it was killed, end as if this one had been."""
    if failed is None:
        os._exit(KILLED)
    say(failed)
    os._exit(1)


def _watch_input(stop: threading.Event) -> None:
    """A line, or the end of the pipe because the studio has gone away, is the sign to save and end."""
    sys.stdin.readline()
    stop.set()
    sys.stdin.read()  # until the studio has gone away
    time.sleep(LEAVE_SECONDS)
    os._exit(1)


class _Use:
    """Processor, memory and GPUs of this process and its peers, now and then."""

    def __init__(self, peers: list[int]) -> None:
        self._processes = [psutil.Process(), *map(psutil.Process, peers)]
        for one in self._processes:
            one.cpu_percent()
        self._tells_load = True
        self.start = self.last = time.monotonic()

    def is_due(self) -> bool:
        return time.monotonic() - self.last >= USE_EVERY_SECONDS

    def read(self) -> events.DeviceUse:
        self.last = time.monotonic()
        there = [one for one in self._processes if one.is_running()]
        values = {
            "cpu_percent": sum(one.cpu_percent() for one in there),
            "memory_bytes": float(sum(one.memory_info().rss for one in there)),
        }
        return events.DeviceUse(seconds=round(self.last - self.start), values=values | self._of_gpus())

    def _of_gpus(self) -> dict[str, float]:
        """The memory that the run's GPUs have in use, and how busy they are on average, where the driver tells."""
        import torch

        if not torch.cuda.is_initialized():
            return {}
        numbers = range(torch.cuda.current_device(), torch.cuda.current_device() + len(self._processes))
        used = {"gpu_memory_bytes": float(sum(torch.cuda.device_memory_used(one) for one in numbers))}
        if self._tells_load:
            try:
                return used | {"gpu_percent": sum(map(torch.cuda.utilization, numbers)) / len(numbers)}
            except pynvml.NVMLError:
                self._tells_load = False  # as with a GPU that is cut into parts
        return used


if __name__ == "__main__":
    sys.exit(main())
