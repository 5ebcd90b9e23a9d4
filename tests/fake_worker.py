"""A worker for the tests of the executor: behaves as the first word of its arguments says."""

import os
import signal
import subprocess
import sys
import time

from studio import events
from studio.pipeline.job import Job


def say(event):
    print(events.to_json(event), flush=True)


def main(manner: str) -> int:
    job = Job.model_validate_json(sys.stdin.readline())
    say(events.PhaseStarted(phase="distill"))
    say(events.Log(message=f"run {job.run_id}"))
    if manner == "fail":
        say(events.Failed(error="ModelError", message="It is broken.", cure="Mend it."))
        return 1
    if manner == "crash":
        print("last words", file=sys.stderr, flush=True)
        return 7
    if manner == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if manner == "die in the middle of a line":
        os.write(1, b'{"kind": "log", "mess')
        os.kill(os.getpid(), signal.SIGKILL)
    if manner == "leave a child":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
        say(events.Log(message=f"child {child.pid}"))
        os.kill(os.getpid(), signal.SIGKILL)
    if manner == "tell":
        say(events.Log(message=f"{os.nice(0)} {os.getpgid(0) == os.getpid()}"))
        return 0
    if manner == "obey":
        sys.stdin.readline()
        say(events.Log(message="saved"))
        return 0
    if manner == "ignore":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        say(events.Log(message=f"child {child.pid}"))
        time.sleep(60)
    for step in range(20):
        say(events.Metrics(phase="distill", step=step, values={"loss": 1.0 / (step + 1)}))
    say(events.PhaseFinished(phase="distill", seconds=0.1, steps=20))
    say(events.Verdict(outcome="better", sentence="Done."))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
