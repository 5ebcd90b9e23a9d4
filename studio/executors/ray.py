"""A worker on a Ray cluster: one remote task a run, whose events come back as a stream.

Nothing needs to be shared between the machines: the data set, the models of earlier runs and the checkpoints travel
with the task, and what the run saves travels back beside its events. So a run whose node is lost goes on from there on
another one.
"""

import contextlib
import functools
import json
import logging
import math
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

from studio import errors, events, files
from studio.errors import ConfigError, WorkerDiedError
from studio.executors import local, ray_train
from studio.executors.bundles import Bundle, moved, needed, new_files, pack, unpack
from studio.executors.ray_train import POLL_SECONDS, SHIP_SECONDS
from studio.machine.slots import Slots
from studio.pipeline.job import Job, Stopped

PROJECT = Path(__file__).parents[2]
KNOCK_SECONDS = 5.0
NODES_ENVIRONMENT = {
    "PYTHONPATH": ".",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": str(local.SPINS),
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
PASSED_ON = ("STUDIO_TRACKERS", "WANDB_", "MLFLOW_", "TRACKIO_", "HF_")
_SECRET = re.compile(r"TOKEN|KEY|SECRET|PASS|CREDENTIAL|AUTH")
SLOTS = 8
"""So many runs wait on a cluster at once, which decides where and when each begins."""

Number = TypeVar("Number", int, float)
GRACE_SECONDS = 5.0
"""How long a task may take to save and end after it was asked to."""


def on_the_cluster(_: Slots) -> local.Execute:
    """Runs go to the cluster, which decides where each begins; `STUDIO_RAY_GPUS` and `STUDIO_RAY_CORES` are what each
    asks for. Raises `ConfigError` where one of them is no number."""
    gpus = _asked("STUDIO_RAY_GPUS", float, 0.0, "a number from 0 on, such as 0.5")
    cores = _asked("STUDIO_RAY_CORES", int, 1, "a whole number from 1 on")
    return functools.partial(execute, gpus=gpus, cores=cores)


def _asked(name: str, kind: Callable[[str], Number], least: Number, what: str) -> Number:
    """The number that a variable of the environment holds; `least` where it is not set."""
    text = os.environ.get(name, "")
    try:
        found = kind(text) if text else least
    except ValueError:
        found = least - 1
    if not least <= found < math.inf:
        raise ConfigError(f"{name} must be {what}, got {text!r}.", "Correct it or leave it out.")
    return found


def execute(job: Job, stop: Callable[[], bool], gpus: float = 0, cores: int = 1) -> Generator[events.Event, None, None]:
    """Run a job somewhere on the cluster at `RAY_ADDRESS` and yield its events; see `local.execute`.

    Raises `WorkerDiedError` where the node or its process was lost: the run can go on elsewhere.
    """
    ray = connected()
    home = job.home
    switch = ray.remote(Switch).options(**ray_train.beside_this()).remote()
    sent = (job.model_dump_json(), pack(home.root, needed(job)), json.dumps(passed_on(secret=True)), switch)
    if job.config.devices == 1:
        task = ray.remote(carry_out).options(num_cpus=cores, num_gpus=gpus, max_retries=0, num_returns="streaming")
        items = task.remote(*sent)
    else:
        beside = ray_train.beside_this()
        task = ray.remote(ray_train.carry_out).options(max_retries=0, num_returns="streaming", **beside)
        items = task.remote(*sent, gpus > 0, cores)
    asked: float | None = None
    is_over = False
    try:
        while True:
            if asked is None and stop():
                switch.turn_off.remote()
                asked = time.monotonic()
            if asked is not None and time.monotonic() - asked > GRACE_SECONDS:
                raise Stopped
            item = _next(ray, items)
            if item is None:
                continue
            if item == ray_train.END:
                is_over = True
                break
            if isinstance(item, bytes):
                unpack(item, home.root)
                continue
            event = events.from_json(item)
            if isinstance(event, events.Failed):
                is_over = True
                raise event.as_error()
            yield event
        if asked is not None:
            raise Stopped
    finally:
        if not is_over:
            with contextlib.suppress(ray.exceptions.RayError):
                ray.cancel(items, force=True)
        ray.kill(switch)


def _next(ray: Any, items: Any) -> Any:
    """The next item, None when none comes for a moment, `ray_train.END` after the last one."""
    ready, _ = ray.wait([items], timeout=POLL_SECONDS, fetch_local=False)
    if not ready:
        return None
    try:
        return ray.get(next(items))
    except StopIteration:
        return ray_train.END
    except ray.exceptions.RayError as error:
        raise WorkerDiedError(
            f"The run was lost on the cluster ({type(error).__name__}), again and again.",
            "Look at the cluster's log; the run can be resumed on another node.",
        ) from error


class Switch:
    """Tells a task from afar that it should save and end."""

    def __init__(self) -> None:
        self.off = False

    def turn_off(self) -> None:
        self.off = True

    def is_off(self) -> bool:
        return self.off


def carry_out(job_json: str, bundle: Bundle, passed_on: str, switch: Any) -> Iterator[str | Bundle]:
    """On the node: unpack, train in a home of its own, and yield events and new files."""
    import ray

    with ray_train.knowing(passed_on), tempfile.TemporaryDirectory(prefix="studio-") as folder:
        unpack(bundle, Path(folder))
        job = moved(Job.model_validate_json(job_json), Path(folder))
        sent: dict[Path, float] = {path: path.stat().st_mtime for path in files.inside(Path(folder))}
        asked_at, shipped, off = 0.0, time.monotonic(), False

        def stop() -> bool:
            nonlocal asked_at, off
            if not off and time.monotonic() - asked_at > POLL_SECONDS:
                asked_at, off = time.monotonic(), ray.get(switch.is_off.remote())
            return off

        try:
            for event in local.execute(job, stop):
                yield events.to_json(event)
                if time.monotonic() - shipped > SHIP_SECONDS:
                    shipped = time.monotonic()
                    yield from new_files(Path(folder), sent)
        except Stopped:
            pass
        except errors.StudioError as error:
            yield from new_files(Path(folder), sent)
            yield events.to_json(events.Failed.of(error))
            return
        yield from new_files(Path(folder), sent)


def connected() -> Any:
    """The module ray, connected to the cluster at `RAY_ADDRESS`; nodes get this project's code.

    Raises `ConfigError` where ray is not installed, or the cluster does not answer.
    """
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            "STUDIO_EXECUTOR=ray needs the package ray.", 'Install it: pip install "ray[default]".'
        ) from error
    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS", "auto")
        _knock(address)
        own = os.environ.get("STUDIO_RAY_NODE_IP")  # where this machine has several addresses
        try:
            ray.init(
                address=address,
                logging_level=logging.WARNING,
                runtime_env={
                    "working_dir": str(PROJECT),
                    "excludes": [".git", ".venv", ".compare", "__pycache__", "assets", "tests", "*.db"],
                    "env_vars": NODES_ENVIRONMENT | passed_on(secret=False),
                },
                _node_ip_address=own,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"The Ray cluster at {address} does not answer: {error}.", "Check RAY_ADDRESS."
            ) from error
    return ray


def passed_on(secret: bool) -> dict[str, str]:
    """What a run needs to know of this environment: the hub, and the programs that get the curves. What is secret of it
    goes to the run's task alone, for Ray shows the environment of a job to whoever asks."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(PASSED_ON) and secret == bool(_SECRET.search(name) or "@" in value)
    }


def _knock(address: str) -> None:
    """Raise `ConfigError` at once where nothing listens: Ray itself would wait for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and port.isdecimal()):
        return
    try:
        socket.create_connection((host, int(port)), KNOCK_SECONDS).close()
    except OSError as error:
        message = f"The Ray cluster at {address} does not answer: {error.strerror or error}."
        raise ConfigError(message, "Start it, or correct RAY_ADDRESS.") from error


def nodes() -> list[dict[str, Any]]:
    """The machines of the cluster: address, whether alive, cores, GPUs."""
    found = connected().nodes()
    return [
        {
            "Node": node["NodeManagerAddress"],
            "Alive": node["Alive"],
            "Cores": node["Resources"].get("CPU", 0),
            "GPUs": node["Resources"].get("GPU", 0),
        }
        for node in found
    ]


if __name__ == "__main__":
    sys.stdout.write(repr(nodes()))
