"""Files to which a line of JSON is added at a time; each is on the disk before anything else happens."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Add = Callable[[dict[str, Any]], None]


@contextmanager
def adding(file: Path) -> Iterator[Add]:
    """What adds a line, and returns when it is on the disk. A line that was half written, when a process ended or the
    disk was full, stays one of its own and spoils no other. Raises `OSError` where nothing can be written."""
    with file.open("a+b", buffering=0) as opened:  # a line is one write: those of two processes are never mixed
        if opened.tell():
            opened.seek(-1, os.SEEK_END)
            if opened.read() != b"\n":
                opened.write(b"\n")

        def add(entry: dict[str, Any]) -> None:
            line = memoryview(json.dumps(entry).encode("ascii") + b"\n")
            while line:
                line = line[opened.write(line) :]
            os.fsync(opened.fileno())

        yield add


def read(file: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file in their order; none where there is no file. What was half written is left out."""
    if not file.is_file():
        return
    with file.open(encoding="utf-8", errors="replace", newline="\n") as opened:
        for line in opened:
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                yield found
