"""The state of a fit on disk: whole or not there, whatever kills the process or the machine, and the one before it."""

import pickle
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from studio import files
from studio.machine import memory

SHARE = 0.02
"""How much of the training time saving may cost."""

LEAST_SECONDS = 10.0
"""Between two states of one fit."""


class Checkpoint:
    """Where one fit is kept, and when it is time to save it, so that saving costs a small share of the time.

    Without a file nothing is kept.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self._saved = time.monotonic()
        self._wait = LEAST_SECONDS

    @property
    def is_due(self) -> bool:
        return self.file is not None and time.monotonic() - self._saved > self._wait

    def save(self, state: dict[str, Any]) -> None:
        if self.file is None:
            return
        begun = time.monotonic()
        write(self.file, state)
        self._saved = time.monotonic()
        self._wait = max(LEAST_SECONDS, (self._saved - begun) / SHARE)


def write(file: Path, state: dict[str, Any]) -> None:
    """In one move, and on the disk before the call returns: a power cut leaves the old state or the new one. The old
    one stays beside it, for a disk that loses the new one later."""
    with files.whole_file(file) as part:
        with part.open("wb") as opened:
            torch.save(state, opened)
        if file.exists():
            file.replace(_before(file))


@dataclass(frozen=True)
class Saved:
    """What is on disk of a fit: its latest state that is whole, None where there is none, and what had to be put away
    to find it, in sentences."""

    state: dict[str, Any] | None
    damaged: tuple[str, ...] = ()


def read(file: Path | None) -> Saved:
    """The latest state that is whole; a damaged one is deleted. They are the studio's own files; no code in them would
    be run either."""
    damaged: list[str] = []
    for place in () if file is None else (file, _before(file)):
        if not place.is_file():
            continue
        try:
            return Saved(_in_todays_names(_whole_state(place)), tuple(damaged))
        except _DAMAGED as error:
            if isinstance(error, PermissionError) or memory.ran_out(error):
                raise  # this says nothing about the file, which holds all that was learned
            damaged.append(f"The checkpoint {place.name} is damaged ({error}): an earlier state is taken.")
            place.unlink(missing_ok=True)
    return Saved(None, tuple(damaged))


_DAMAGED = (zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError)
"""What zipfile and torch raise for files that are cut off or changed. (A letter that is none is a ValueError.)"""


def _whole_state(file: Path) -> dict[str, Any]:
    """Torch writes a checksum beside each part, and does not look at it when it reads."""
    with zipfile.ZipFile(file) as archive:
        wrong = archive.testzip()
    if wrong is not None:
        raise zipfile.BadZipFile(f"the checksum of {wrong} is another")
    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return state


def _before(file: Path) -> Path:
    return file.with_name(f"{file.name}.before")


_LEARNER = ("parts", "network", "objective", "optimizer", "schedule", "scaler")
"""What stood beside the rest in a state of the first layout."""


def _in_todays_names(state: dict[str, Any]) -> dict[str, Any]:
    """A state of the first layout, with what it held under today's names; any other one as it is.

    >>> old = {"step": 3, "is_open": True, "is_done": True, "told": [], "slowed_at": None, "best": {"right": 1}}
    >>> _in_todays_names(old)
    {'step': 3, 'validation_due': True, 'is_done': True, 'slowed_at': None, 'history': [], 'best': {'scores': 1}}
    """
    if "told" not in state:
        return state
    best = {{"accuracy": "value", "right": "scores"}.get(name, name): value for name, value in state["best"].items()}
    result = {"step": state["step"], "validation_due": state["is_open"], "is_done": state["is_done"]}
    result |= {"slowed_at": state["slowed_at"], "history": state["told"], "best": best}
    if state["is_done"]:
        return result
    learner = {name: state[name] for name in _LEARNER}
    return result | {"learner": learner, "meter": state["curve"], "random": state["random"]}
