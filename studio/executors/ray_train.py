"""A run on several devices of a Ray cluster, on whatever nodes they are: Ray Train starts a process for each.

The first of these processes yields what a worker on one machine would yield; a mailbox brings it to the task whose
stream the studio reads.
"""

import contextlib
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from studio import errors, events, files
from studio.executors import work
from studio.executors.bundles import Bundle, moved, new_files, unpack
from studio.pipeline.job import Job, Stopped

POLL_SECONDS = 0.5
SHIP_SECONDS = 5.0
"""How often files that are new on a node travel back."""

PATIENCE_SECONDS = 3600
END = "end"


class Mailbox:
    """Events and files of the first process that nobody has fetched yet."""

    def __init__(self) -> None:
        self.items: list[str | Bundle] = []

    def put(self, items: list[str | Bundle]) -> None:
        self.items += items

    def take(self) -> list[str | Bundle]:
        taken, self.items = self.items, []
        return taken


def beside_this() -> dict[str, Any]:
    """Where what looks after a run belongs: on the node that asks for it, which is not lost with a worker's."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = ray.get_runtime_context().get_node_id()
    return {"num_cpus": 0, "scheduling_strategy": NodeAffinitySchedulingStrategy(here, soft=False)}


@contextlib.contextmanager
def knowing(passed_on: str) -> Iterator[None]:
    """With what the studio passes on of its environment, as JSON, in that of this process."""
    before = dict(os.environ)
    os.environ.update(json.loads(passed_on))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def carry_out(
    job_json: str, bundle: Bundle, passed_on: str, switch: Any, gpu: bool, cores: int
) -> Iterator[str | Bundle]:
    """On the studio's node: look after the processes and pass on what the first one yields; `END` where it was stopped.

    Raises Ray's own error where one of them was lost.
    """
    import ray

    mailbox: Any = ray.remote(Mailbox).options(**beside_this()).remote()
    shared = {"job": job_json, "bundle": ray.put(bundle), "environment": ray.put(passed_on), "switch": switch,
              "mailbox": mailbox}  # fmt: skip
    training = ray.remote(train).options(max_retries=0, **beside_this()).remote(shared, gpu, cores)
    try:
        ended: list[Any] = []
        while not ended:
            ended, _ = ray.wait([training], timeout=POLL_SECONDS)
            for item in ray.get(mailbox.take.remote()):
                yield item
                if item == END:
                    ray.wait([training])
                    return
        ray.get(training)
    finally:
        ray.cancel(training, force=True)  # the processes go with it
        ray.kill(mailbox)


def train(shared: dict[str, Any], gpu: bool, cores: int) -> None:
    """Start the processes, all at once, and wait for their end."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    job = Job.model_validate_json(shared["job"])
    with tempfile.TemporaryDirectory(prefix="studio-") as storage:
        TorchTrainer(
            one_process,
            train_loop_config=shared,
            torch_config=TorchConfig(backend="nccl" if gpu else "gloo", timeout_s=PATIENCE_SECONDS),
            scaling_config=ScalingConfig(
                num_workers=job.config.devices,
                use_gpu=gpu,
                resources_per_worker={"CPU": cores} | ({"GPU": 1} if gpu else {}),
            ),
            run_config=RunConfig(storage_path=storage, failure_config=FailureConfig(max_failures=0)),
        ).fit()


def one_process(shared: dict[str, Any]) -> None:
    """One of the processes, in a home of its own."""
    import ray
    import ray.train

    logging.getLogger("ray.train").setLevel(logging.WARNING)
    first, stop = ray.train.get_context().get_world_rank() == 0, threading.Event()
    passed_on = ray.get(shared["environment"])
    with knowing(passed_on), tempfile.TemporaryDirectory(prefix="studio-") as folder:
        unpack(ray.get(shared["bundle"]), Path(folder))
        job = moved(Job.model_validate_json(shared["job"]), Path(folder))
        try:
            if first:
                threading.Thread(target=_watch, args=(shared["switch"], stop), daemon=True).start()
                _send(work.train(job, stop), Path(folder), shared["mailbox"])
            else:
                work.train_along(job)
        except errors.StudioError as error:
            ray.get(shared["mailbox"].put.remote([events.to_json(work.failure(error))]))
            raise
        if stop.is_set():
            ray.get(shared["mailbox"].put.remote([END]))
            raise Stopped  # so that Ray Train ends the others, which wait for this one


def _send(run: Iterator[events.Event], folder: Path, mailbox: Any) -> None:
    """Put events, and files as they come, into the mailbox."""
    import ray

    sent = {path: path.stat().st_mtime for path in files.inside(folder)}
    shipped = time.monotonic()
    try:
        for event in run:
            mailbox.put.remote([events.to_json(event)])
            if time.monotonic() - shipped > SHIP_SECONDS:
                shipped = time.monotonic()
                mailbox.put.remote(list(new_files(folder, sent)))
    finally:
        ray.get(mailbox.put.remote(list(new_files(folder, sent))))


def _watch(switch: Any, stop: threading.Event) -> None:
    """Until it is turned off, or gone with the studio."""
    import ray

    with contextlib.suppress(ray.exceptions.RayError):
        while not ray.get(switch.is_off.remote()):
            time.sleep(POLL_SECONDS)
    stop.set()
