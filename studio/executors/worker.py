"""The process in which one run happens: a job on standard input, events as JSON lines on standard output."""

import contextlib
import functools
import os
import sys
import threading
import time
import traceback

from studio import events
from studio.errors import StudioError
from studio.executors import work
from studio.executors.processes import Processes
from studio.pipeline.job import Job

KILLED = 128 + 9
LEAVE_SECONDS = 10.0
"""When the studio has gone away: how long a phase that cannot be interrupted, such as loading a model, may go on."""


def main() -> int:
    """Carry out the job; the exit status is 0 also when it was asked to stop."""
    write = _EventWriter()
    job = Job.model_validate_json(sys.stdin.readline())
    stop = threading.Event()
    threading.Thread(target=_watch_input, args=(stop,), daemon=True).start()
    processes = Processes(job, functools.partial(_end_with_another, write))
    try:
        with contextlib.closing(work.train(job, stop, processes.pids)) as run:
            for event in run:
                write(event)
    except BrokenPipeError:
        traceback.print_exc()
        return 1  # the studio has gone away: nobody is left to report to, and the student so far is saved
    except Exception as error:  # noqa: BLE001  a bug or a library's own error: shown in the page, with everything in the log
        if not isinstance(error, StudioError):
            traceback.print_exc()
            processes.let_them_report_first()
        write(work.failure(error))
        return 1
    finally:
        processes.end()
    return 0


class _EventWriter:
    """Writes events to standard output, which is kept for them alone: what libraries print goes to the log."""

    def __init__(self) -> None:
        self._output = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._writing = threading.Lock()

    def __call__(self, event: events.Event) -> None:
        with self._writing:
            self._output.write(events.to_json(event) + "\n")
            self._output.flush()


def _end_with_another(write: _EventWriter, failed: events.Failed | None) -> None:
    """Without that process nothing goes on here: report its error; where it was killed, end as if this one had been."""
    if failed is None:
        os._exit(KILLED)
    write(failed)
    os._exit(1)


def _watch_input(stop: threading.Event) -> None:
    """A line, or the end of the pipe because the studio has gone away, is the sign to save and end."""
    sys.stdin.readline()
    stop.set()
    sys.stdin.read()  # until the studio has gone away
    time.sleep(LEAVE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
