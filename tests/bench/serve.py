"""What serving costs beside bare inference: `python -m tests.bench.serve [--seconds 5] [--clients 32] [--rows 1]
[--json]`.

So many clients ask `POST /api/runs/1/predict` about so many rows at a time, each its next ones as soon as it has its
answer, and the server puts them together into batches. Beside it a process without server asks the same model about the
same rows, 32 at a time, on as many threads as the server's: all cores but one, which is for the server and, here, the
clients. Both are measured in turn, several rounds; `rate_ratio` is the median of served to bare rows a second, `p95_ms`
what 95 % of the answers took at most, `errors` answers that were none. It prints and asserts nothing.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from studio.config.reading import with_values
from studio.executors import local
from studio.home import Home
from studio.machine.slots import available_cores
from studio.pipeline.distill import distill
from studio.service import library, samples
from studio.service.runs import carry
from studio.store.store import Store
from tests.server import ROOT, served

ROUNDS, WARM_SECONDS = 3, 2.0
MODELS = {"transformer-base": "builtin/transformer-base", "fasttext-tiny": "builtin/fasttext-tiny"}
BARE = """
import json, sys, time
from studio.home import Home
from studio.service.predict import open_model
from studio.store.store import Store
run, seconds, texts = json.loads(sys.stdin.read())
home = Home.from_environment()
model = open_model(Store(home.database), home, run, "student")
batches = [texts[start : start + 32] for start in range(0, len(texts) - 31, 32)]
for batch in batches[:4]: model.predict(batch)
rows, begun = 0, time.perf_counter()
while time.perf_counter() - begun < seconds:
    rows += len(model.predict(batches[rows // 32 % len(batches)]))
print(rows / (time.perf_counter() - begun))
"""


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--json", action="store_true")
    wanted.add_argument("--seconds", type=float, default=5)
    wanted.add_argument("--clients", type=int, default=32)
    wanted.add_argument("--rows", type=int, default=1)
    options = wanted.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        texts = train(home)
        with served(home.root, OMP_WAIT_POLICY="PASSIVE") as address:
            runs = [measure(home, run, address, texts, options) for run in (1, 2)]
    found = {**runs[0], "clients": options.clients, "rows_a_request": options.rows, "cores": available_cores()}
    found["models"] = dict(zip(MODELS, runs, strict=True))
    print(json.dumps(found, indent=2) if options.json else "\n".join(f"{name}: {one}" for name, one in found.items()))


def train(home: Home) -> list[str]:
    """A short run for each of the models; returns the texts of the test rows."""
    store = Store(home.database)
    data = samples.add(store, home, "text")
    for number, student in enumerate(MODELS.values()):
        config = with_values(samples.config("text", data.name), student=student, control=False, epochs=1)
        run = store.submit(config, key=f"bench-{number}", owner="bench")
        for _ in carry(store, home, run, lambda job, stop: distill(job)):
            pass
    return list(library.head(home, data, 1_000, "test")["text"])


def measure(home: Home, run: int, address: str, texts: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Served and bare in turn."""
    clients, seconds, rows = options.clients, options.seconds, options.rows
    host, port = address.removeprefix("http://").split(":")
    questions = [_request(host, run, texts[start : start + rows]) for start in range(0, len(texts) - rows + 1, rows)]
    asyncio.run(load(host, int(port), questions, clients, WARM_SECONDS))  # the model opens
    rounds, bare = [], []
    for _ in range(ROUNDS):
        bare.append(alone(home, run, texts, seconds))
        rounds.append(asyncio.run(load(host, int(port), questions, clients, seconds)))
    times = sorted(one for taken, _, _ in rounds for one in taken)
    rates = [rows * len(taken) / wall for taken, _, wall in rounds]
    return {
        "rate_ratio": round(statistics.median(rate / other for rate, other in zip(rates, bare, strict=True)), 3),
        "p95_ms": round(1000 * times[int(0.95 * len(times))], 1),
        "errors": sum(errors for _, errors, _ in rounds),
        "rows_per_second": round(statistics.median(rates)),
        "bare_rows_per_second": round(statistics.median(bare)),
    }


def alone(home: Home, run: int, texts: list[str], seconds: float) -> float:
    """Rows a second of the model without a server, in a process as the server's worker is."""
    known = local.environment(max(1, available_cores() - 1)) | {"STUDIO_HOME": str(home.root)}
    done = subprocess.run([sys.executable, "-c", BARE], input=json.dumps([run, seconds, texts]), text=True, cwd=ROOT,
                          env=known, check=True, stdout=subprocess.PIPE)  # fmt: skip
    return float(done.stdout)


async def load(
    host: str, port: int, questions: list[bytes], clients: int, seconds: float
) -> tuple[list[float], int, float]:
    """(seconds of each answer, answers that were none, seconds in all)."""
    times: list[float] = []
    errors = 0
    begun = time.perf_counter()

    async def client(number: int) -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection(host, port)
        while (now := time.perf_counter()) - begun < seconds:
            writer.write(questions[(number + len(times)) % len(questions)])
            if await _status(reader) == 200:
                times.append(time.perf_counter() - now)
            else:
                errors += 1
        writer.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    return times, errors, time.perf_counter() - begun


async def _status(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = next(line for line in head.lower().splitlines() if line.startswith("content-length:")).split(":")[1]
    await reader.readexactly(int(length))
    return int(head.split()[1])


def _request(host: str, run: int, texts: list[str]) -> bytes:
    body = json.dumps({"inputs": texts}).encode()
    head = f"POST /api/runs/{run}/predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
