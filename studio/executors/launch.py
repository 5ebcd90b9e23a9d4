"""Starts the processes of this machine in which models are opened.

To open torch and transformers takes seconds of processor time. So they are forked from a server of this process that
has done it already. Where that cannot be, as beside GPUs, which a fork would lose, or outside Linux, each is started
anew.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from studio.executors import forkserver
from studio.executors.forkserver import NUMBER_BYTES
from studio.machine import gpus

SERVER = (sys.executable, "-m", forkserver.NAME)
OWN = (
    *("STUDIO_", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "TOKENIZERS_PARALLELISM", "PYTEST_CURRENT_TEST"),
    *("MASTER_", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK", "LOCAL_RANK", "GLOO_SOCKET_IFNAME", "KMP_"),
)
"""How the variables begin that a process may have otherwise than its server: the libraries do not read them when they
are opened, or set them (KMP_: scikit-learn, as the pages open it for a demo)."""

Environment = Mapping[str, str]
Streams = tuple[int, int, int]


class Process:
    """A command in a process that leads a group of its own; its streams are descriptors that stay the caller's."""

    def __init__(self, command: Sequence[str], environment: Environment, streams: Streams, niceness: int = 0) -> None:
        self._command, self._environment, self._niceness = command, environment, niceness
        self._streams = [os.dup(stream) for stream in streams]
        self._anew: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self._status: int | None = None
        self._changing, self._ended = threading.Lock(), threading.Event()
        pipe = _server.fork(command, environment, streams, niceness)
        if pipe is None:
            self._start_instead()
        else:
            threading.Thread(target=self._hear, args=(pipe,), daemon=True).start()

    @property
    def pid(self) -> int | None:
        """None until it has been started."""
        return self._pid if self._anew is None else self._anew.pid

    def poll(self) -> int | None:
        """Its exit status, once it has ended; negative where a signal ended it."""
        return self._status if self._anew is None else self._anew.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status. Raises `subprocess.TimeoutExpired`."""
        until = None if timeout is None else time.monotonic() + timeout
        if self._anew is None and not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(list(self._command), timeout or 0)
        if self._status is None and self._anew is not None:
            return self._anew.wait(None if until is None else max(0.0, until - time.monotonic()))
        assert self._status is not None
        return self._status

    def signal_group(self, sign: signal.Signals) -> None:
        """Send a signal to it and to everything it started; nobody may be left there. What has not been forked yet will
        end as soon as it is."""
        with self._changing:
            pid = self._anew.pid if self._anew is not None else self._pid
            if pid is not None:
                _signal(pid, sign)
            elif self._status is None:
                self._end(-sign)

    def _hear(self, pipe: int) -> None:
        """What the server tells: the process id first, then the exit status; nothing where the server is gone."""
        with os.fdopen(pipe, "rb") as server:
            pid = server.read(NUMBER_BYTES)
            with self._changing:
                if self._status is not None:
                    return _signal(_number(pid), signal.SIGKILL) if pid else None
                if not pid:
                    return self._start_instead()
                self._pid = _number(pid)
                self._release()
            status = server.read(NUMBER_BYTES)
        if not status:
            _signal(self._pid, signal.SIGKILL)  # how it ends could not be heard
        self._end(_number(status) if status else -signal.SIGKILL)

    def _start_instead(self) -> None:
        """Where the server does not fork it. What cannot be started ends at once, with the reason among its errors: the
        server may be gone at any moment, and whoever started it hears it in one way."""
        try:
            self._start_anew()
        except OSError as error:
            os.write(self._streams[-1], f"{error}\n".encode())
            self._end(os.EX_OSERR)

    def _start_anew(self) -> None:
        """In a group of its own, so that nothing it starts is left behind."""
        nice = ["nice", "-n", str(self._niceness)] if self._niceness and os.name == "posix" else []
        given, taken, errors = self._streams
        self._anew = subprocess.Popen(
            [*nice, *self._command], stdin=given, stdout=taken, stderr=errors, env=dict(self._environment),
            start_new_session=True,
        )  # fmt: skip
        self._release()
        self._ended.set()  # whoever waits goes on with this one

    def _end(self, status: int) -> None:
        self._status = status
        self._release()
        self._ended.set()

    def _release(self) -> None:
        for stream in self._streams:
            os.close(stream)
        self._streams = []


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


def _signal(group: int, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS raises the latter for an empty group
        os.killpg(group, sign)


class Piped(Process):
    """A process with a pipe to its standard input and one from its output."""

    def __init__(self, command: Sequence[str], environment: Environment, errors: IO[bytes], niceness: int = 0) -> None:
        given, stdin = os.pipe()
        stdout, taken = os.pipe()
        self.stdin: IO[bytes] = os.fdopen(stdin, "wb")
        self.stdout: IO[bytes] = os.fdopen(stdout, "rb")
        try:
            super().__init__(command, environment, (given, taken, errors.fileno()), niceness)
        finally:
            os.close(given)
            os.close(taken)


@dataclass(frozen=True)
class Done:
    """How a program has ended, and what it wrote to standard output and errors."""

    status: int
    output: str
    errors: str


def ask(command: Sequence[str], line: str, environment: Environment, seconds: float) -> Done:
    """Carry out a command that gets a text. Raises `subprocess.TimeoutExpired`; nothing of it is left then."""
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        asked.write(line.encode())
        asked.seek(0)
        process = Process(command, environment, (asked.fileno(), output.fileno(), errors.fileno()))
        try:
            status = process.wait(seconds)
        finally:
            process.signal_group(signal.SIGKILL)
        output.seek(0)
        errors.seek(0)
        return Done(status, output.read().decode(), errors.read().decode("utf-8", "replace"))


def warm_up(environment: Environment) -> None:
    """Open the libraries now, in the background, so that the next process starts at once."""
    _server.start(environment)


class _Server:
    """The server of this process: the one that has forked it, or one that is started by the first command that it can
    fork."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: socket.socket | None = forkserver.inherited
        self._environment = _fixed(os.environ)

    def fork(self, command: Sequence[str], environment: Environment, streams: Streams, niceness: int) -> int | None:
        """A pipe that tells the process id and the exit status of the command; None where it must be started anew."""
        program = _program(command)
        if program is None:
            return None
        read_end, telling = os.pipe()
        nicer = niceness + forkserver.niceness  # as nice as this process is, and more
        line = json.dumps({"program": program, "environment": dict(environment), "niceness": nicer}).encode()
        try:
            with self._starting:
                if not self._start(environment):
                    raise ConnectionRefusedError
                assert self._asked is not None
                socket.send_fds(self._asked, [line], [*streams, telling])
        except OSError:  # it has just ended, or the environment is longer than a message may be
            os.close(read_end)
            return None
        finally:
            os.close(telling)
        return read_end

    def start(self, environment: Environment) -> None:
        """Let it open the libraries, unless it has."""
        if _can_fork():
            with self._starting:
                self._start(environment)

    def _start(self, environment: Environment) -> bool:
        """Whether there is one that was started in such an environment."""
        wanted = _fixed(environment)
        if self._asked is not None and self._asked is forkserver.inherited:
            return wanted == self._environment
        if self._process is not None:
            status = self._process.poll()
            if status is not None and status > 0:
                return False  # it cannot, or cannot open the libraries: the processes tell why when they try
            if status is None and wanted == self._environment:
                return True
        if self._asked is not None:
            self._asked.close()  # it ends when the processes have that it has forked
        self._asked, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # a fork has none of the server's threads
            self._process = subprocess.Popen(
                [*SERVER, str(theirs.fileno())], pass_fds=[theirs.fileno()], env=dict(environment) | single,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        threading.Thread(target=self._process.wait, daemon=True).start()  # so that none is left as a zombie
        self._environment = wanted
        return True


def _fixed(environment: Environment) -> dict[str, str]:
    """What a process and its server have alike."""
    return {name: value for name, value in environment.items() if not name.startswith(OWN)}


def _program(command: Sequence[str]) -> str | None:
    """The module that the command runs, where a process may be forked that runs it."""
    match command:
        case (python, "-m", program) if python == sys.executable and _can_fork():
            return program
    return None


def _can_fork() -> bool:
    return sys.platform == "linux" and not gpus.names() and not Path("/dev/kfd").exists()


_server = _Server()
