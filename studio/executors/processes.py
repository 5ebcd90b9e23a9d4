"""The other processes of a run on several devices of this machine: its worker starts them, and they end with it.

`python -m studio.executors.processes` is one of them: a job on standard input, and nothing on standard output
but the error it met.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable

from studio import events
from studio.errors import StudioError, WorkerError
from studio.executors import launch, work
from studio.home import SHARED_HOME
from studio.machine import gpus
from studio.machine.slots import available_cores
from studio.pipeline.job import Job

GRACE_SECONDS = 2.0
HERE = "127.0.0.1"
LOOPBACK = {"linux": "lo", "darwin": "lo0"}


class Processes:
    """`config.devices` - 1 processes; this one becomes the first of the group.

    `failed` is called, from a thread, with what one of them met: an error, or None where it was killed.
    """

    def __init__(self, job: Job, failed: Callable[[events.Failed | None], None]) -> None:
        self.processes: list[launch.Piped] = []
        self._failed = failed
        self._is_ending = self._has_failed = False
        size = job.config.devices
        most = max(available_cores(), len(gpus.names()))
        if size == 1 or size > most or "WORLD_SIZE" in os.environ:
            return  # too many are refused when the device is picked
        os.environ |= _meeting_place(size)
        self.processes = [_start(job, rank) for rank in range(1, size)]
        for process in self.processes:
            threading.Thread(target=self._watch, args=(process,), daemon=True).start()

    def pids(self) -> list[int]:
        """Of those that have been started."""
        return [process.pid for process in self.processes if process.pid is not None]

    def _watch(self, process: launch.Piped) -> None:
        lines = process.stdout.read().splitlines()
        status = process.wait()
        if self._is_ending or status == 0:
            return
        self._has_failed = True
        last = events.from_json(lines[-1]) if lines else None
        if status > 0 and not isinstance(last, events.Failed):
            sentence = "One of the processes of this run ended with an error that the studio does not know."
            last = events.Failed.of(WorkerError(sentence, "The log of the run has it."))
        self._failed(last if isinstance(last, events.Failed) else None)

    def let_them_report_first(self) -> None:
        """Where this process met an error because another is gone, the other's reason counts, not what followed."""
        until = time.monotonic() + GRACE_SECONDS
        while self.processes and not self._has_failed and time.monotonic() < until:
            time.sleep(0.05)
        if self._has_failed:
            time.sleep(GRACE_SECONDS)  # `failed` ends this process meanwhile

    def end(self) -> None:
        """They save nothing: they end at once."""
        self._is_ending = True
        for process in self.processes:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        for process in self.processes:
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.signal_group(signal.SIGKILL)


def _meeting_place(size: int) -> dict[str, str]:
    """The environment that `torchrun` would set for the first of `size` processes on this machine, and the socket at
    which it awaits the others: torch's own would be open to the network."""
    listening = socket.create_server((HERE, 0))
    port = listening.getsockname()[1]
    return {
        "MASTER_ADDR": HERE,
        "MASTER_PORT": str(port),
        "STUDIO_MEETING": str(listening.detach()),  # as machine.processes reads it, which opens torch
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "RANK": "0",
        "LOCAL_RANK": "0",
        SHARED_HOME: "1",
    } | ({"GLOO_SOCKET_IFNAME": LOOPBACK[sys.platform]} if sys.platform in LOOPBACK else {})


def _start(job: Job, rank: int) -> launch.Piped:
    environment = os.environ | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    process = launch.Piped([sys.executable, "-m", "studio.executors.processes"], environment, sys.stderr.buffer)
    process.stdin.write(job.model_dump_json().encode() + b"\n")
    process.stdin.flush()
    return process


def main() -> int:
    """Train along until the run is done, or until the worker is gone."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes to the log
    job = Job.model_validate_json(sys.stdin.readline())
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    try:
        work.train_along(job)
    except StudioError as error:
        traceback.print_exc()
        print(events.to_json(work.failure(error)), file=output, flush=True)
        return 1
    return 0


def _end_with_the_worker() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
