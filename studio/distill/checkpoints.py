"""The state of a fit on disk: whole or not there, whatever kills the process or the machine."""

import time
from pathlib import Path
from typing import Any

import torch

from studio import files

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
    """In one move, and on the disk before the call returns: a power cut leaves the old state or the new one."""
    with files.whole_file(file) as part, part.open("wb") as opened:
        torch.save(state, opened)


def read(file: Path | None) -> dict[str, Any] | None:
    """The state, or None where there is none. It is the studio's own file; no code in it would be run either."""
    if file is None or not file.is_file():
        return None
    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return _in_todays_names(state)


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
