"""The executors that there are: a way to carry out runs is one entry in `EXECUTORS`."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from studio.errors import ConfigError
from studio.executors import local, ray
from studio.executors.local import Execute
from studio.machine import gpus
from studio.machine.slots import Slots


@dataclass(frozen=True)
class Executor:
    """Where runs are carried out.

    `execute` makes what carries out runs that share these slots; it reads the executor's own settings and raises
    `ConfigError` where one is wrong. `slots`: how many runs train at once where nobody says so. `nodes` lists the
    machines, or raises `ConfigError` where they do not answer; None where it is this machine alone.
    """

    title: str
    execute: Callable[[Slots], Execute]
    slots: Callable[[], int]
    nodes: Callable[[], list[dict[str, Any]]] | None = None


EXECUTORS = {
    "local": Executor("This machine", local.in_slots, slots=lambda: max(1, len(gpus.names()))),
    "ray": Executor("Ray cluster", ray.on_the_cluster, slots=lambda: ray.SLOTS, nodes=ray.nodes),
}


def chosen() -> Executor:
    """The one that `STUDIO_EXECUTOR` names; raises `ConfigError` where there is none of that name."""
    asked = os.environ.get("STUDIO_EXECUTOR") or "local"
    if asked not in EXECUTORS:
        names = " or ".join(EXECUTORS)
        raise ConfigError(f"STUDIO_EXECUTOR must be {names}, got {asked!r}.", "Correct it or leave it out.")
    return EXECUTORS[asked]


def wanted_slots() -> int:
    """How many runs train at once: `STUDIO_SLOTS`, else as many as the executor takes.

    Raises `ConfigError` where the variable is no whole number from 1 on.
    """
    asked = os.environ.get("STUDIO_SLOTS", "")
    if asked and not (asked.isdecimal() and int(asked)):
        raise ConfigError(
            f"STUDIO_SLOTS must be a whole number from 1 on, got {asked!r}.", "Correct it or leave it out."
        )
    return int(asked) if asked else chosen().slots()


def one_run() -> Execute:
    """What carries out a run that has the executor to itself, as one of the command line."""
    return chosen().execute(Slots(1))
