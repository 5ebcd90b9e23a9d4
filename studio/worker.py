"""The process in which one run happens: a job on standard input, events as JSON lines on standard output."""

import contextlib
import errno
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import IO

import psutil

from studio import events
from studio.errors import DeviceError, StudioError
from studio.executors import Job
from studio.home import Home

USE_EVERY_SECONDS = 2.0
LEAVE_SECONDS = 10.0
"""When the studio has gone away: how long a phase that cannot be interrupted, such as loading a model, may go on."""


def main() -> int:
    """Carry out the job; the exit status is 0 also when it was asked to stop."""
    said = _own_standard_output()
    job = Job.model_validate_json(sys.stdin.readline())
    stop = threading.Event()
    threading.Thread(target=_watch_input, args=(stop,), daemon=True).start()
    try:
        _carry_out(job, said, stop)
    except StudioError as error:
        return _fail(said, type(error).__name__, error.message, error.cure)
    except BrokenPipeError:
        traceback.print_exc()
        return 1  # the studio has gone away: nobody is left to tell, and the student so far is saved
    except Exception as error:  # noqa: BLE001  a bug or a library's own error: told in the page, with everything in the log
        traceback.print_exc()
        if memory := _memory_that_ran_out(error):
            return _fail(said, DeviceError.__name__, f"The {memory} ran out of memory.", _LESS_MEMORY)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return _fail(said, DeviceError.__name__, "The disk is full.", _MORE_SPACE)
        message = f"Training ended with an error that the studio does not know: {type(error).__name__}: {error}."
        return _fail(said, "WorkerError", message, "The log of the run has the details.")
    return 0


_LESS_MEMORY = "Choose a smaller batch size, maximum length or model."
_MORE_SPACE = "Free some space, for example by deleting runs; then let this one go on from its last checkpoint."


def _memory_that_ran_out(error: Exception) -> str | None:
    """Whose memory the error tells of. Torch has a class of its own for a GPU's, and only words for the machine's."""
    if type(error).__name__ == "OutOfMemoryError":
        return "GPU"
    return "machine" if isinstance(error, MemoryError) or "can't allocate memory" in str(error) else None


def _own_standard_output() -> IO[str]:
    """Keep standard output for events alone: what libraries print goes to the log."""
    said = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return said


def _carry_out(job: Job, said: IO[str], stop: threading.Event) -> None:
    """Say every event of the run. However it is left, closing the run saves the student so far."""
    from studio import trainer  # it opens torch: only now, so that input is watched from the start

    replay = None if job.replay is None else Path(job.replay)
    home = Home(Path(job.home))
    run = trainer.distill(job.config, run_id=job.run_id, dataset=Path(job.dataset), home=home, replay=replay)
    use = _Use()
    with contextlib.closing(run):  # type: ignore[type-var]  # it is a generator
        for event in run:
            _write(said, event)
            if use.is_due():
                _write(said, use.read())
            if stop.is_set():
                return


def _watch_input(stop: threading.Event) -> None:
    """A line, or the end of the pipe because the studio has gone away, is the sign to save and end."""
    sys.stdin.readline()
    stop.set()
    sys.stdin.read()  # until the studio has gone away
    time.sleep(LEAVE_SECONDS)
    os._exit(1)


def _write(said: IO[str], event: events.Event) -> None:
    said.write(events.to_json(event) + "\n")
    said.flush()


def _fail(said: IO[str], error: str, message: str, cure: str) -> int:
    _write(said, events.Failed(error=error, message=message, cure=cure))
    return 1


class _Use:
    """Processor and memory of this process, now and then."""

    def __init__(self) -> None:
        self.process = psutil.Process()
        self.process.cpu_percent()
        self.start = self.last = time.monotonic()

    def is_due(self) -> bool:
        return time.monotonic() - self.last >= USE_EVERY_SECONDS

    def read(self) -> events.DeviceUse:
        import torch

        self.last = time.monotonic()
        values = {"cpu_percent": self.process.cpu_percent(), "memory_bytes": float(self.process.memory_info().rss)}
        if torch.cuda.is_available():
            values["gpu_memory_bytes"] = float(torch.cuda.memory_reserved())
        return events.DeviceUse(seconds=round(self.last - self.start), values=values)


if __name__ == "__main__":
    sys.exit(main())
