"""What the demos reach over several seeds. `python -m tests.bench.demos [SEEDS] [text] [images] [--home FOLDER]
[--json]`; prints, asserts nothing. With a folder it can be cut off: what is done there is not done again.
"""

import argparse
import contextlib
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from studio.config.reading import with_values
from studio.home import Home
from studio.service import samples
from studio.service.runs import carry
from studio.service.runtime import new_owner
from studio.store.store import Store


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("seeds", type=int, nargs="?", default=5)
    wanted.add_argument("demos", nargs="*", default=[])
    wanted.add_argument("--home", type=Path)
    wanted.add_argument("--json", action="store_true")
    options = wanted.parse_args()
    with contextlib.ExitStack() as stack:
        home = Home(options.home or Path(stack.enter_context(tempfile.TemporaryDirectory())))
        home.make()
        store = Store(home.database)
        demos = [demo for demo in samples.NAMES if demo in options.demos or not options.demos]
        told(found={demo: measure(home, store, demo, options.seeds) for demo in demos}, as_json=options.json)


def told(found: dict[str, dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for demo, one in found.items():
        shares = ", ".join(f"{role} {mean:.3f} ± {spread:.3f}" for role, (mean, spread) in one["shares"].items())
        print(
            f"{demo}: {shares}; {100 * one['kept']:.0f} % kept, {one['smaller']:.1f} times smaller, "
            f"{one['faster']:.1f} times faster; better in {one['better']} of {one['runs']}; "
            f"{one['seconds']:.0f} s a run"
        )


def measure(home: Home, store: Store, demo: samples.Demo, seeds: int) -> dict[str, Any]:
    """Means over the seeds; `better`: the runs whose verdict says that the teacher helped."""
    dataset = samples.add(store, home, demo)
    runs, outcomes, seconds = [], [], []
    for seed in range(seeds):
        config = with_values(samples.config(demo, dataset.name), seed=seed)
        run = store.submit(config, key=f"{demo}-{seed}", owner=new_owner())
        if run.status != "finished":
            list(carry(store, home, run))
        done = store.run(run.id)
        outcomes.append(done.outcome)
        seconds.append((done.finished_at or 0) - (done.started_at or 0))
        runs.append(
            {(one.role, one.metric): one.value for one in store.evaluations(run.id) if one.split in ("", "test")}
        )

    def mean(role: str, metric: str) -> float:
        return statistics.mean(run[role, metric] for run in runs)

    def ratio(metric: str) -> float:
        return statistics.mean(run["teacher", metric] / run["student", metric] for run in runs)

    shares = {role: [run[role, "accuracy"] for run in runs] for role in ("teacher", "student", "control", "baseline")}
    return {
        "kept": mean("student", "accuracy") / mean("teacher", "accuracy"),
        "smaller": ratio("size_bytes"),
        "faster": ratio("latency_ms"),
        "faster_in_onnx_runtime": ratio("onnx_latency_ms"),
        "better": outcomes.count("better"),
        "runs": seeds,
        "accuracy": mean("student", "accuracy"),
        "seconds": statistics.mean(seconds),
        "outcomes": outcomes,
        "shares": {
            role: (statistics.mean(values), statistics.stdev(values) if seeds > 1 else 0.0)
            for role, values in shares.items()
        },
    }


if __name__ == "__main__":
    main()
