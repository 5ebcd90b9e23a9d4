"""`make mutants`: put the faults of the list into a copy of the code, one at a time, and see that tests notice.

python -m tests.mutants                 all of them; ends with 1 where a fault survives or does not fit any more
python -m tests.mutants --only PART     those whose name, file or tests hold PART
python -m tests.mutants --list
python -m tests.mutants --json          one line of JSON a fault
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from tests.mutants.faults import PROJECT, Fault, StaleFaultError, read

AT_ONCE = 2
SECONDS = 300.0
"""Tests that take longer have noticed that something is wrong."""

LIBRARIES = (
    "torch", "transformers", "datasets", "pandas", "scipy.stats", "sklearn.cluster", "sklearn.metrics", "onnx",
    "onnxruntime.quantization", "torch_pruning", "safetensors.torch", "pydantic", "psutil",
    "torch.nn.utils.parametrize", "transformers.models.auto.modeling_auto", "transformers.models.bert.modeling_bert",
    "transformers.models.vit.modeling_vit", "transformers.models.resnet.modeling_resnet",
)  # fmt: skip
"""What the tests of nearly all faults open, and what takes long to open."""

LEFT_OUT = ("__pycache__", "*.pyc", "node_modules", "*.egg-info")
SERVER_SETTINGS = ".streamlit"
"""Without it pages take themselves to be open to a network, and show nothing before a login."""

KILLED, SURVIVED, STALE, UNFIT = "killed", "survived", "stale", "unfit"


class Outcome(NamedTuple):
    """`stale`: the line is not in the code any more. `unfit`: its tests do not run, with the fault or without."""

    fault: Fault
    result: str
    seconds: float = 0.0
    detail: str = ""


class Copy:
    """A copy of the code in which faults are made, and the process that runs tests there."""

    def __init__(self, project: Path, folder: Path, libraries: Sequence[str] = LIBRARIES) -> None:
        hidden = {path.name for path in project.iterdir() if path.name.startswith(".")} - {SERVER_SETTINGS}
        shutil.copytree(project, folder, ignore=shutil.ignore_patterns(*LEFT_OUT, *hidden), symlinks=True)
        self.folder, self.log = folder, folder.with_suffix(".log")
        settings = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONDONTWRITEBYTECODE": "1"}
        temporary = folder.with_suffix(".tmp")
        temporary.mkdir()
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.server", *libraries],
            cwd=folder, env=os.environ | settings | {"TMPDIR": str(temporary)}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def run(self, words: Sequence[str], seconds: float = SECONDS) -> int | None:
        """What pytest, called with these words, ends with: 0 where all tests pass, 1 where one fails."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        request = {"words": list(words), "log": str(self.log), "seconds": seconds}
        print(json.dumps(request), file=self._server.stdin, flush=True)
        code: int | None = json.loads(self._server.stdout.readline())["code"]
        return code

    def tried(self, fault: Fault) -> Outcome:
        """Make the fault, run its tests, undo it."""
        file, begun = self.folder / fault.file, time.monotonic()
        try:
            source = file.read_text()
            broken = fault.applied(source)
            compile(broken, fault.file, "exec")
        except (StaleFaultError, OSError, SyntaxError) as error:
            return Outcome(fault, STALE, detail=str(error))
        try:
            file.write_text(broken)
            code = self.run(["-x", *fault.tests])
        finally:
            file.write_text(source)
        result = {0: SURVIVED, 1: KILLED, None: KILLED}.get(code, UNFIT)
        said = "" if result != UNFIT else self.said()
        return Outcome(fault, result, time.monotonic() - begun, said)

    def said(self) -> str:
        """The end of what the tests printed last."""
        return self.log.read_text(errors="replace")[-3000:].strip() if self.log.exists() else ""

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()


@contextlib.contextmanager
def copies(project: Path, libraries: Sequence[str] = LIBRARIES, count: int = AT_ONCE) -> Iterator[list[Copy]]:
    """So many copies, each with its process; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, contextlib.ExitStack() as opened:
        made = [Copy(project, Path(folder) / str(number), libraries) for number in range(count)]
        for copy in made:
            opened.callback(copy.close)
        yield made


def spread(workers: Sequence[Copy], faults: Iterable[Fault]) -> Iterator[Outcome]:
    """Every fault in one of the copies, as they come free."""
    free: SimpleQueue[Copy] = SimpleQueue()
    for copy in workers:
        free.put(copy)

    def attempt(fault: Fault) -> Outcome:
        copy = free.get()
        try:
            return copy.tried(fault)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(workers)) as pool:
        for done in as_completed([pool.submit(attempt, fault) for fault in faults]):
            yield done.result()


def failing_as_it_is(workers: Sequence[Copy], faults: Iterable[Fault]) -> str:
    """What the tests say that fail without any fault, "" where all pass: else all faults would seem to be killed."""
    wanted = sorted({test for fault in faults for test in fault.tests})
    parts = [wanted[number :: len(workers)] for number in range(len(workers))]
    said: list[str] = []

    def check(copy: Copy, part: list[str]) -> None:
        if part and copy.run(part, 10 * SECONDS) != 0:
            said.append(copy.said())

    threads = [threading.Thread(target=check, args=pair) for pair in zip(workers, parts, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "\n".join(said)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="Faults on purpose, and who notices.")
    parser.add_argument("--only", default="", metavar="PART", help="those whose name, file or tests hold PART")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("--json", action="store_true", help="one line of JSON a fault")
    wanted = parser.parse_args(words)
    faults = [fault for fault in read() if wanted.only in " ".join((fault.name, fault.file, *fault.tests))]
    if wanted.list or not faults:
        print("\n".join(fault.name for fault in faults) or f"No fault holds {wanted.only!r}.")
        return 0 if faults else 2
    begun = time.monotonic()
    found: list[Outcome] = []
    with copies(PROJECT) as workers:
        broken = failing_as_it_is(workers, faults)
        if broken:
            print(f"Tests fail without any fault; mend them first.\n{broken}", file=sys.stderr)
            return 2
        for outcome in spread(workers, faults):
            found.append(outcome)
            tell(outcome, wanted.json)
    return concluded(found, time.monotonic() - begun, quiet=wanted.json)


def tell(outcome: Outcome, as_json: bool) -> None:
    fault = outcome.fault
    if as_json:
        print(json.dumps({"name": fault.name, "file": fault.file, "result": outcome.result,
                          "seconds": round(outcome.seconds, 1), "detail": outcome.detail}), flush=True)  # fmt: skip
    else:
        print(f"{outcome.result:9}{outcome.seconds:5.0f} s  {fault.name}", flush=True)


def concluded(found: Sequence[Outcome], seconds: float, quiet: bool = False) -> int:
    """Name the faults that are not killed; 1 where there are any."""
    left = [outcome for outcome in found if outcome.result != KILLED]
    if not quiet:
        counts = Counter(outcome.result for outcome in found)
        shown = ", ".join(f"{counts[result]} {result}" for result in (KILLED, SURVIVED, STALE, UNFIT))
        print(f"\n{len(found)} faults in {seconds / 60:.1f} minutes: {shown}.")
        for outcome in left:
            fault = outcome.fault
            print(f"\n{outcome.result}: {fault.name}\n  {fault.file}: {fault.line.strip()} -> {fault.becomes.strip()}")
            print(f"  {' '.join(fault.tests)}" + (f"\n  {outcome.detail}" if outcome.detail else ""))
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
