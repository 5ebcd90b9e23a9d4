"""How soon a run stops, in every phase, and what its checkpoints cost: `python -m tests.bench.stops [--json]`.

A run of a plan with every kind of phase is begun anew for each phase and asked to stop when that phase begins; `start`
is before the first word of the worker. Then one is left alone, and the time it spends on checkpoints is counted. It
prints and asserts nothing.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.distill import checkpoints
from studio.events import PhaseStarted
from studio.executors import local
from studio.home import Home
from studio.pipeline import distill as trainer
from studio.pipeline.job import Job
from studio.service import library
from studio.service.runs import carry
from studio.service.runtime import new_owner
from studio.store.store import Store
from tests.conftest import reviews

SETTINGS = {
    "teacher": "builtin/transformer-base",
    "student": "builtin/transformer-small",
    "plan": "prune:0.5, distill, quantize:int8",
    "epochs": 8,
    "teacher_epochs": 4,
    "allow_weak_teacher": True,
    "hard_epochs": 2,
    "auto": True,
    "max_length": 32,
}


def main(as_json: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        store = Store(home.database)
        columns = Columns("text", "label")
        library.save(store, home, "reviews", clean(reviews(2_000), columns, "text-classification"), columns)
        phases, share = checkpoint_share(home)
        found: dict[str, Any] = {"seconds_to_stop": {one: seconds_to_stop(store, home, one) for one in phases}}
        found |= {"longest": max(found["seconds_to_stop"].values()), "checkpoint_share": share}
    print(json.dumps(found, indent=2) if as_json else "\n".join(f"{name}: {one}" for name, one in found.items()))


def checkpoint_share(home: Home) -> tuple[list[str], float]:
    """The phases of the run, and what share of the time of its lessons went into checkpoints."""
    spent, write = 0.0, checkpoints.write

    def timed(*words: Any) -> None:
        nonlocal spent
        begun = time.monotonic()
        write(*words)
        spent += time.monotonic() - begun

    checkpoints.write = timed
    phases, begun = ["start"], time.monotonic()
    config = parse_config({"dataset": "reviews", **SETTINGS})
    for event in trainer.distill(Job(run_id=99, config=config, dataset=home.dataset(1), home=home)):
        phases += [event.phase] if isinstance(event, PhaseStarted) else []
    checkpoints.write = write
    return phases, round(spent / (time.monotonic() - begun), 4)


def seconds_to_stop(store: Store, home: Home, phase: str) -> float:
    """From the request, made when the phase begins, to the end of every process of the run."""
    config = parse_config({"dataset": "reviews", **SETTINGS})
    run = store.submit(config, key=phase, owner=new_owner())
    asked = time.monotonic()
    if phase == "start":
        store.request_stop(run.id)
    for event in carry(store, home, run, local.execute):
        if isinstance(event, PhaseStarted) and event.phase == phase:
            store.request_stop(run.id)
            asked = time.monotonic()
    assert store.run(run.id).status == "stopped", store.run(run.id)
    return round(time.monotonic() - asked, 1)


if __name__ == "__main__":
    main("--json" in sys.argv)
