"""A process that answers lines with lines, in their order, for all threads that ask."""

import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from studio.errors import WorkerError
from studio.executors import launch, local
from studio.machine.slots import available_cores

Hear = Callable[[str], None]


@dataclass(frozen=True)
class _Turn:
    """A question on its way: the process that was asked, and whether it has answered the question before and this."""

    process: launch.Piped
    before: threading.Event
    over: threading.Event = field(default_factory=threading.Event)


class Conversation:
    """One process, started by the first question, ended when nobody asks for long.

    A question waits in the pipe of the process while it answers another one, so that it can go on at once. Lines that
    begin with `part` are no answer yet.
    """

    def __init__(self, command: Sequence[str], log: Path, part: str, seconds: float, idle_seconds: float) -> None:
        self._command, self._log, self._part = command, log, part
        self._seconds, self._idle_seconds = seconds, idle_seconds
        self._changing = threading.RLock()
        self._process: launch.Piped | None = None
        self._last = threading.Event()
        self._idle: threading.Timer | None = None

    def ask(self, line: str, hear: Hear) -> str:
        """The line that answers this one; `hear` gets the parts. Raises `WorkerError` where none came in time."""
        while (answer := self._heard(self._put(line), hear)) is None:
            pass  # an earlier question was the end of the process: this one is asked again
        return answer

    def close(self) -> None:
        """End the process; the next question starts another."""
        with self._changing:
            if self._process is not None:
                self._end(self._process)

    def _put(self, line: str) -> _Turn:
        with self._changing:
            if self._process is None or self._process.poll() is not None:
                self._start()
            assert self._process is not None
            turn = _Turn(self._process, self._last)
            self._last = turn.over
            try:
                turn.process.stdin.write(line.encode() + b"\n")
                turn.process.stdin.flush()
            except BrokenPipeError:
                pass  # nothing will be heard of it
            return turn

    def _start(self) -> None:
        with self._log.open("wb") as log:
            threads = max(1, available_cores() - 1)  # one is left to whoever asks and hears
            self._process = launch.Piped(self._command, local.environment(threads), log)
        self._last = threading.Event()
        self._last.set()

    def _heard(self, turn: _Turn, hear: Hear) -> str | None:
        """The answer; None where the process has ended before it could begin with this question."""
        late = threading.Timer(self._seconds, turn.process.signal_group, [signal.SIGKILL])
        answer = ""
        try:
            turn.before.wait()
            if turn.process is not self._process:
                return None
            late.start()
            while (answer := turn.process.stdout.readline().decode()).startswith(self._part):
                hear(answer)
        finally:
            late.cancel()
            if not answer or answer.startswith(self._part):
                self._end(turn.process)  # also where who asked went away meanwhile: the rest is for nobody else
            turn.over.set()
        if not answer:
            message = f"The models gave no answer within {self._seconds:g} s, or their process ended."
            raise WorkerError(message, f"Ask again; {self._log} has the details.")
        self._rest()
        return answer

    def _rest(self) -> None:
        with self._changing:
            if self._idle is not None:
                self._idle.cancel()
            self._idle = threading.Timer(self._idle_seconds, self._close_idle)
            self._idle.daemon = True
            self._idle.start()

    def _close_idle(self) -> None:
        with self._changing:
            if self._last.is_set():  # else a question is on its way, and its answer begins another rest
                self.close()

    def _end(self, process: launch.Piped) -> None:
        """The process ends by itself when nobody can ask it any more."""
        process.signal_group(signal.SIGKILL)  # first, so that nobody goes on writing to it
        with self._changing:
            if self._process is process:
                self._process = None
            process.wait()
            process.stdout.close()
            try:
                process.stdin.close()
            except BrokenPipeError:
                return  # what was not sent has nobody to read it
