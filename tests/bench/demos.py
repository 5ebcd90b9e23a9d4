"""What the demos reach over several seeds. `python -m tests.bench.demos [SEEDS] [--json]`; prints, asserts nothing."""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from studio.home import Home
from studio.service import samples
from studio.service.runs import carry
from studio.service.runtime import new_owner
from studio.store.store import Store


def main(seeds: int, as_json: bool) -> None:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        store = Store(home.database)
        for demo in ("text", "images"):
            found[demo] = measure(home, store, demo, seeds)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for demo, one in found.items():
        shares = ", ".join(
            f"{role} {one[role][0]:.3f} ± {one[role][1]:.3f}" for role in ("teacher", "student", "control")
        )
        print(f"{demo}: {shares}; {one['seconds']:.0f} s a run; verdicts {', '.join(one['outcomes'])}")


def measure(home: Home, store: Store, demo: str, seeds: int) -> dict:
    dataset = samples.add(store, home, demo)
    shares: dict[str, list[float]] = {"teacher": [], "student": [], "control": []}
    outcomes, start = [], time.monotonic()
    for seed in range(seeds):
        config = samples.config(demo, dataset.name).with_values(seed=seed)
        run = store.submit(config, key=f"{demo}-{seed}", owner=new_owner())
        list(carry(store, home, run))
        outcomes.append(store.run(run.id).outcome)
        for one in store.evaluations(run.id):
            if one.metric == "accuracy":
                shares[one.role].append(one.value)
    spread = {role: (statistics.mean(values), statistics.stdev(values)) for role, values in shares.items()}
    return {**spread, "seconds": (time.monotonic() - start) / seeds, "outcomes": outcomes}


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdecimal()]
    main(numbers[0] if numbers else 5, "--json" in sys.argv)
