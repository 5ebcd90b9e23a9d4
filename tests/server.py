"""A studio of its own for a test or a benchmark: a free port, a temporary home, ended with all it started."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
READY = "[data-testid='stApp'][data-test-script-state='notRunning']"


@contextlib.contextmanager
def served(home: Path, *options: str, below: str = "", **environment: str) -> Iterator[str]:
    """The address of a running studio whose STUDIO_HOME is `home`, below a path where one is named."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    command += ["--server.baseUrlPath", below.strip("/"), *options]
    log = (home.parent / "server.log").open("wb")
    known = os.environ | {"STUDIO_HOME": str(home)} | environment
    server = subprocess.Popen(command, cwd=ROOT, env=known, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}{below}"
    try:
        _wait(address, server)
        yield address
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the studio did not start; exit status {server.poll()}")
