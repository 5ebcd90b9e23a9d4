"""The real worker around a trainer that behaves as the first word of its arguments says."""

import errno
import os
import subprocess
import sys
import time
import types

from studio import events
from studio.errors import ModelError
from studio.executors import worker


def distill(job):
    """Writes a file named `saved` into the home when it is closed, as the real one saves its student, and
    `worker.pid` when it begins."""
    manner = sys.argv[1]
    (job.home.root / "worker.pid").write_text(str(os.getpid()))
    try:
        yield events.Log(message=f"run {job.run_id} on {job.dataset.name}")
        yield from _teach(manner)
    except GeneratorExit:
        (job.home.root / "saved").touch()
        raise


def _teach(manner):
    if manner == "print":
        print("a library says hello")
        os.write(1, b"C says hello\n")
        subprocess.run(["echo", "a program says hello"], check=True)
    if manner == "fail":
        raise ModelError("It is broken.", "Mend it.")
    if manner == "bug":
        raise KeyError("missing")
    if manner == "full disk":
        raise OSError(errno.ENOSPC, "No space left on device")
    if manner == "memory":
        raise MemoryError
    if manner == "tensor memory":
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")
    if manner == "silent":
        time.sleep(60)
    for step in range(5_000 if manner == "go on" else 3):
        yield events.Metrics(phase="distill", step=step, values={"loss": 1.0, "label_loss": float("nan")})
        time.sleep(0.01)


if __name__ == "__main__":
    sys.modules["studio.pipeline.distill"] = types.ModuleType("studio.pipeline.distill")
    sys.modules["studio.pipeline.distill"].distill = distill
    worker.LEAVE_SECONDS = 0.5
    sys.exit(worker.main())
