"""`python -m studio.executors.forkserver`: opens the libraries once, and forks a process for each program asked for.

`launch` starts it and asks through a socket: a JSON object {program, environment, niceness} with four descriptors, the
new process's standard input, output and errors, and a pipe which hears its process id and, at its end, its exit status.
A forked process can ask for further ones through a socket of its own, `inherited`.
"""

import atexit
import collections
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import setproctitle

NAME = "studio.executors.forkserver"
NUMBER_BYTES = 8
"""Of a process id, or of an exit status."""

MOST_BYTES, DESCRIPTORS = 1 << 20, 4
LATER = ("playground", "estimate", "keep", "convert", "sizes", "preview")
"""Programs of the pipeline that are opened after that of runs, which somebody may be waiting for."""

IDLE_SECONDS = 600.0
"""A server that nobody asks for so long ends and gives its memory back."""


inherited: socket.socket | None = None
"""In a forked process: where it asks the server that forked it."""

niceness = 0
"""How much less urgent this process is than that server."""


@dataclass(frozen=True)
class Program:
    """A module that becomes the main one of a process, the process's standard input, output and errors, and where it
    asks for others."""

    program: str
    environment: dict[str, str]
    niceness: int
    streams: tuple[int, int, int]
    asks: socket.socket


def main() -> int:
    """Fork until nobody is left who would ask; in a forked process, go on as the program."""
    if not _open_libraries():
        return os.EX_UNAVAILABLE
    mine = _serve(socket.socket(fileno=int(sys.argv[1])))
    if mine is not None:
        _become(mine)
        os._exit(_run(mine.program))
    return 0


def _open_libraries() -> bool:
    """Whether processes that are forked afterwards may use this build of torch: AMD's and Intel's GPUs may have been
    touched by then, and a GPU that was is lost to them."""
    import torch

    if torch.version.hip is not None or getattr(torch.version, "xpu", None) is not None:
        return False
    _open("distill")
    return True


def _open(name: str) -> None:
    """What is opened is shared with the processes forked afterwards as long as nobody writes there."""
    importlib.import_module(f"studio.pipeline.{name}")
    gc.freeze()


def _serve(asked: socket.socket) -> Program | None:
    """Answer until every socket is closed and no process is left, or until nothing was asked for long: None then, and
    in each forked process what it was asked for. While nobody asks, what other programs need is opened."""
    pipes: dict[int, int] = {}
    unopened = collections.deque(LATER)
    asking = [asked]
    with _closed_at_the_end(asking), _ends_of_processes() as ended:
        while asking or pipes:
            wait = 0.0 if unopened else None if pipes else IDLE_SECONDS
            wanted: list[Any] = [ended, *asking]
            ready, _, _ = select.select(wanted, [], [], wait)
            if not ready and unopened:
                with contextlib.suppress(Exception):  # the program that needs it says what is wrong
                    _open(unopened.popleft())
                continue
            if ended in ready:
                os.read(ended, MOST_BYTES)
                _report(pipes)
            for connection in ready:
                if connection != ended and (mine := _answer(connection, asking, pipes)):
                    return mine
            if not ready:
                break
    return None


@contextlib.contextmanager
def _closed_at_the_end(sockets: list[socket.socket]) -> Iterator[None]:
    try:
        yield
    finally:
        for connection in sockets:
            connection.close()


def _answer(asked: socket.socket, asking: list[socket.socket], pipes: dict[int, int]) -> Program | None:
    """Fork what is asked for; the new process, too, can ask from then on. Nobody asks through a closed socket again."""
    message, descriptors, _, _ = socket.recv_fds(asked, MOST_BYTES, DESCRIPTORS)
    if not message:
        asking.remove(asked)
        asked.close()
        return None
    try:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except OSError:  # too many open files
        for descriptor in descriptors:
            os.close(descriptor)
        return None
    asking.append(ours)
    mine = _fork(json.loads(message) | {"asks": theirs}, descriptors, pipes)
    if mine is None:
        theirs.close()
    return mine


@contextlib.contextmanager
def _ends_of_processes() -> Iterator[int]:
    """A descriptor that can be read when a forked process has ended."""
    heard, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(write_end)
    try:
        yield heard
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, before)
        os.close(heard)
        os.close(write_end)


def _report(pipes: dict[int, int]) -> None:
    """Tell the exit status of those that have ended: negative where a signal ended it."""
    while pipes:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        _tell(pipes[pid], os.waitstatus_to_exitcode(status))
        os.close(pipes.pop(pid))


def _tell(pipe: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody is left to hear it
        os.write(pipe, number.to_bytes(NUMBER_BYTES, "little", signed=True))


def _fork(asked: dict[str, Any], descriptors: list[int], pipes: dict[int, int]) -> Program | None:
    """A process for a program; in that process, what it is to do. Where there can be none, nothing is told of it, and
    the others go on."""
    *streams, pipe = descriptors
    try:
        pid = os.fork()
    except OSError:  # too many processes, or too little memory
        for descriptor in descriptors:
            os.close(descriptor)
        return None
    with contextlib.suppress(ProcessLookupError):  # it may have ended already
        os.setpgid(pid, pid)  # by whichever of the two comes first
    if pid == 0:
        for other in (pipe, *pipes.values()):
            os.close(other)
        return Program(**asked, streams=(streams[0], streams[1], streams[2]))
    for stream in streams:
        os.close(stream)
    pipes[pid] = pipe
    _tell(pipe, pid)
    return None


def _become(mine: Program) -> None:
    """Make this process what a new one would be: its streams, environment, urgency and threads."""
    os.nice(mine.niceness)
    setproctitle.setproctitle(f"{sys.executable} -m {mine.program}")
    for number, stream in enumerate(mine.streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(mine.environment)
    sys.argv = [mine.program]
    here = vars(importlib.import_module(NAME))  # this module runs as the main one, too
    here["inherited"], here["niceness"] = mine.asks, mine.niceness
    _fit_libraries(int(mine.environment["OMP_NUM_THREADS"]))


def _fit_libraries(threads: int) -> None:
    """Threads as the environment says, and chance that no other process has."""
    import numpy as np
    import threadpoolctl
    import torch

    torch.set_num_threads(threads)
    threadpoolctl.threadpool_limits(threads)
    np.random.seed()


def _run(program: str) -> int:
    """Its exit status. What Python does at its end is done here: native libraries would wait there for threads that are
    the server's."""
    status: object = None
    try:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        status = ended.code
        if isinstance(status, str):
            print(status, file=sys.stderr)
    except BaseException:  # noqa: BLE001  as Python does
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for the threads that are not daemons
    atexit._run_exitfuncs()
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    return status if isinstance(status, int) else int(status is not None)


if __name__ == "__main__":
    sys.exit(main())
