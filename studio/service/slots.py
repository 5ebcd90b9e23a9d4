"""How many runs train at once, and where."""

import functools
import os
from collections.abc import Callable, Generator, Sequence
from typing import Any

from studio import events
from studio.errors import ConfigError
from studio.executors import local
from studio.machine import gpus
from studio.machine.slots import Slots, available_cores
from studio.pipeline.job import Job
from studio.service.runs import Execute

CLUSTER_SLOTS = 8
"""So many runs wait on a cluster at once, which decides where and when each begins."""


def wanted_slots() -> int:
    """How many runs train at once: `STUDIO_SLOTS`, else one on each GPU, else one on the processor.

    Raises `ConfigError` where the variable is no whole number from 1 on.
    """
    asked = os.environ.get("STUDIO_SLOTS", "")
    if asked and not (asked.isdecimal() and int(asked)):
        raise ConfigError(
            f"STUDIO_SLOTS must be a whole number from 1 on, got {asked!r}.", "Correct it or leave it out."
        )
    return int(asked) if asked else CLUSTER_SLOTS if on_a_cluster() else max(1, len(gpus.names()))


def on_a_cluster() -> bool:
    """Whether runs go to the Ray cluster at `RAY_ADDRESS`. Raises `ConfigError` for an executor that there is not."""
    asked = os.environ.get("STUDIO_EXECUTOR", "local")
    if asked not in ("local", "ray"):
        raise ConfigError(f"STUDIO_EXECUTOR must be local or ray, got {asked!r}.", "Correct it or leave it out.")
    return asked == "ray"


def on_this_machine(places: Slots) -> Execute:
    """Runs at places of this machine: a share of the cores each, and a GPU where there are some; small runs can share
    one. A run on several devices waits for as many places."""
    there = len(gpus.names())

    def execute(job: Job, stop: Callable[[], bool]) -> Generator[events.Event, None, None]:
        wanted = job.config.devices
        if places.would_wait(wanted):
            yield events.Log(message="It waits until the devices that it needs are free.")
        with places.take(wanted, give_up=stop) as mine:
            share = max(1, available_cores() * max(1, len(mine)) // places.count)
            yield from local.execute(job, stop, threads=share, gpus=_gpus(mine, wanted, there))

    return execute


def _gpus(places: Sequence[int], wanted: int, there: int) -> list[int]:
    """So many different GPUs of those that are there, first those of the places."""
    if not there:
        return []
    return list(dict.fromkeys([*(one % there for one in places), *range(there)]))[: min(wanted, there)]


def cluster_nodes() -> list[dict[str, Any]]:
    """The machines of the cluster; raises `ConfigError` where it does not answer."""
    from studio.executors import ray

    return ray.nodes()


def on_the_cluster() -> Execute:
    """Runs go to the cluster; `STUDIO_RAY_GPUS` and `STUDIO_RAY_CORES` are what each asks for."""
    from studio.executors import ray

    asked = {name: os.environ.get(f"STUDIO_RAY_{name.upper()}", "") for name in ("gpus", "cores")}
    return functools.partial(ray.execute, gpus=float(asked["gpus"] or 0), cores=int(asked["cores"] or 1))
