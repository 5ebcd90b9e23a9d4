"""Runs the tests of one fault after the other, each in a process of its own that is forked from this one.

Libraries that take seconds to open are opened here, once; the studio itself is opened by each child anew, with its
fault in it. One line of JSON a request, one line of JSON an answer.
"""

import contextlib
import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path

PYTEST = ["-q", "-o", "addopts=", "--doctest-modules", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=line"]


def main(libraries: list[str]) -> None:
    for name in ("pytest", *libraries):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(answer(request["words"], Path(request["log"]), request["seconds"])), flush=True)


def answer(words: list[str], log: Path, seconds: float) -> dict[str, int | None]:
    """What pytest, called with these words, ends with; None where it took too long."""
    child = os.fork()
    if child == 0:
        _run(words, log)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return {"code": os.waitstatus_to_exitcode(status)}
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return {"code": None}


def _run(words: list[str], log: Path) -> None:
    """In the child: pytest, and nothing after it."""
    code = 3
    try:
        os.setsid()
        with log.open("wb") as opened:
            os.dup2(opened.fileno(), 1)
            os.dup2(opened.fileno(), 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        import pytest

        code = int(pytest.main([*PYTEST, *words]))
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
