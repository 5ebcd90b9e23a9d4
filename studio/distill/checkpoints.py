"""The state of a lesson on disk: whole or not there, whatever kills the process or the machine."""

import os
from pathlib import Path
from typing import Any

import torch

SHARE = 0.02
"""How much of the training time saving may cost."""

LEAST_SECONDS = 10.0
"""Between two states of one lesson."""


def write(file: Path, state: dict[str, Any]) -> None:
    """In one move, and on the disk before the call returns: a power cut leaves the old state or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    with part.open("wb") as opened:
        torch.save(state, opened)
        opened.flush()
        os.fsync(opened.fileno())
    part.replace(file)
    if os.name == "posix":
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the new name, too
        finally:
            os.close(folder)


def read(file: Path | None) -> dict[str, Any] | None:
    """The state, or None where there is none. It is the studio's own file; no code in it would be run either."""
    if file is None or not file.is_file():
        return None
    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return state
