"""What the demos reach over several seeds. `python -m tests.bench.demos [SEEDS] [text] [images] [--json]`; prints,
asserts nothing."""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from studio.config.reading import with_values
from studio.home import Home
from studio.service import samples
from studio.service.runs import carry
from studio.service.runtime import new_owner
from studio.store.store import Store


def main(seeds: int, demos: list[samples.Demo], as_json: bool) -> None:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        store = Store(home.database)
        for demo in demos:
            found[demo] = measure(home, store, demo, seeds)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for demo, one in found.items():
        told = ", ".join(f"{role} {mean:.3f} ± {spread:.3f}" for role, (mean, spread) in one["shares"].items())
        print(
            f"{demo}: {told}; {100 * one['kept']:.0f} % kept, {one['smaller']:.1f} times smaller, {one['faster']:.1f} "
            f"times faster; better in {one['better']} of {one['runs']}; {one['seconds']:.0f} s a run"
        )


def measure(home: Home, store: Store, demo: samples.Demo, seeds: int) -> dict[str, Any]:
    """Means over the seeds; `better`: the runs whose verdict says that the teacher helped."""
    dataset = samples.add(store, home, demo)
    runs, outcomes, start = [], [], time.monotonic()
    for seed in range(seeds):
        config = with_values(samples.config(demo, dataset.name), seed=seed)
        run = store.submit(config, key=f"{demo}-{seed}", owner=new_owner())
        list(carry(store, home, run))
        outcomes.append(store.run(run.id).outcome)
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
        "seconds": (time.monotonic() - start) / seeds,
        "outcomes": outcomes,
        "shares": {
            role: (statistics.mean(values), statistics.stdev(values) if seeds > 1 else 0.0)
            for role, values in shares.items()
        },
    }


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdecimal()]
    main(numbers[0] if numbers else 5, [demo for demo in samples.NAMES if demo in sys.argv] or list(samples.NAMES),
         "--json" in sys.argv)  # fmt: skip
