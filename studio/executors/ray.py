"""A worker on a Ray cluster: one remote task a run, whose events come back as a stream.

Nothing needs to be shared between the machines: the data set, the models of earlier runs and the checkpoints travel
with the task, and what the run saves travels back beside its events. So a run whose node is lost goes on from there on
another one.
"""

import contextlib
import io
import logging
import os
import socket
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio import errors, events
from studio.config import RunConfig
from studio.errors import ConfigError, WorkerDiedError
from studio.executors import Job, Stopped
from studio.home import Home

PROJECT = Path(__file__).parents[2]
POLL_SECONDS = 0.5
SHIP_SECONDS = 5.0
"""How often files that are new on the node travel back."""

KNOCK_SECONDS = 5.0
GRACE_SECONDS = 5.0
"""How long a task may take to save and end after it was asked to."""


@dataclass(frozen=True)
class Parcel:
    """What a task needs, or what it made: files under the home, as a tar archive."""

    files: bytes


def execute(job: Job, stop: Callable[[], bool], gpus: float = 0, cores: int = 1) -> Generator[events.Event, None, None]:
    """Run a job somewhere on the cluster at `RAY_ADDRESS` and yield what it says; see `local.execute`.

    Raises `WorkerDiedError` where the node or its process was lost: the run can go on elsewhere.
    """
    ray = connected()
    home = Home(Path(job.home))
    switch = ray.remote(num_cpus=0)(Switch).remote()
    task = ray.remote(carry_out).options(num_cpus=cores, num_gpus=gpus, max_retries=0, num_returns="streaming")
    items = task.remote(job.model_dump_json(), pack(home.root, needed(job, home)), switch)
    asked: float | None = None
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
            if item is _END:
                break
            if isinstance(item, Parcel):
                unpack(item, home.root)
                continue
            event = events.from_json(item)
            if isinstance(event, events.Failed):
                raise errors.by_name(event.error)(event.message, event.cure)
            yield event
        if asked is not None:
            raise Stopped
    finally:
        with contextlib.suppress(ray.exceptions.RayError):
            ray.cancel(items, force=True)
        ray.kill(switch)


_END = object()


def _next(ray: Any, items: Any) -> Any:
    """The next item, None when none comes for a moment, `_END` after the last one."""
    ready, _ = ray.wait([items], timeout=POLL_SECONDS, fetch_local=False)
    if not ready:
        return None
    try:
        return ray.get(next(items))
    except StopIteration:
        return _END
    except ray.exceptions.RayError as error:
        raise WorkerDiedError(
            f"The run was lost on the cluster ({type(error).__name__}), again and again.",
            "Look at the cluster's log; with another node the run can go on.",
        ) from error


class Switch:
    """Tells a task from afar that it should save and end."""

    def __init__(self) -> None:
        self.off = False

    def turn_off(self) -> None:
        self.off = True

    def is_off(self) -> bool:
        return self.off


def carry_out(job_json: str, parcel: Parcel, switch: Any) -> Iterator[str | Parcel]:
    """On the node: unpack, train in a home of its own, and say events and new files."""
    import ray

    from studio.executors import local

    with tempfile.TemporaryDirectory(prefix="studio-") as folder:
        unpack(parcel, Path(folder))
        job = _moved(Job.model_validate_json(job_json), Path(folder))
        sent: dict[Path, float] = {path: path.stat().st_mtime for path in _files(Path(folder))}
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
                    yield from _new(Path(folder), sent)
        except Stopped:
            pass
        except errors.StudioError as error:
            yield from _new(Path(folder), sent)
            yield events.to_json(events.Failed(error=type(error).__name__, message=error.message, cure=error.cure))
            return
        yield from _new(Path(folder), sent)


def _new(folder: Path, sent: dict[Path, float]) -> Iterator[Parcel]:
    """The run's files that came or changed since they were sent; what is half written stays."""
    fresh = [path for path in _files(folder / "runs") if path.suffix != ".part" and ".part" not in str(path.parent)]
    changed = [path for path in fresh if sent.get(path) != path.stat().st_mtime]
    sent |= {path: path.stat().st_mtime for path in changed}
    if changed:
        yield pack(folder, changed)


def needed(job: Job, home: Home) -> list[Path]:
    """The data, what the run has saved so far, and the models of earlier runs that it names."""
    folders = [Path(job.dataset), home.run(job.run_id), *([Path(job.replay)] if job.replay else [])]
    config: RunConfig = job.config
    for reference in (config.teacher, config.student, *config.more_teachers, *config.assistants):
        if reference.startswith("run:"):
            number, role = reference.removeprefix("run:").split("/")
            folders.append(home.model(int(number), role))
    return [file for folder in folders for file in _files(folder)]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def pack(root: Path, files: list[Path]) -> Parcel:
    """The files by their place under `root`."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for file in files:
            archive.add(file, str(file.relative_to(root)), recursive=False)
    return Parcel(held.getvalue())


def unpack(parcel: Parcel, root: Path) -> None:
    """Put the files into their places, each in one move; places outside of `root` are refused."""
    with (
        tarfile.open(fileobj=io.BytesIO(parcel.files)) as archive,
        tempfile.TemporaryDirectory(dir=_made(root)) as part,
    ):
        archive.extractall(part, filter="data")
        for file in _files(Path(part)):
            place = root / file.relative_to(part)
            _made(place.parent)
            file.replace(place)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _moved(job: Job, root: Path) -> Job:
    """The same job with its folders under another home."""
    here = {"dataset": str(root / Path(job.dataset).relative_to(job.home)), "home": str(root)}
    replay = {} if job.replay is None else {"replay": str(root / Path(job.replay).relative_to(job.home))}
    return job.model_copy(update=here | replay)


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
                    "excludes": [".git", ".venv", ".compare", "assets", "tests", "*.db"],
                    "env_vars": {"PYTHONPATH": "."},
                },
                _node_ip_address=own,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"The Ray cluster at {address} does not answer: {error}.", "Check RAY_ADDRESS."
            ) from error
    return ray


def _knock(address: str) -> None:
    """Raise `ConfigError` at once where nothing listens: Ray itself would wait for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and port.isdecimal()):
        return
    try:
        socket.create_connection((host, int(port)), KNOCK_SECONDS).close()
    except OSError as error:
        told = f"The Ray cluster at {address} does not answer: {error.strerror or error}."
        raise ConfigError(told, "Start it, or correct RAY_ADDRESS.") from error


def nodes() -> list[dict[str, Any]]:
    """The machines of the cluster: address, whether alive, cores, GPUs."""
    found = connected().nodes()
    return [
        {
            "Node": one["NodeManagerAddress"],
            "Alive": one["Alive"],
            "Cores": one["Resources"].get("CPU", 0),
            "GPUs": one["Resources"].get("GPU", 0),
        }
        for one in found
    ]


if __name__ == "__main__":
    sys.stdout.write(repr(nodes()))
