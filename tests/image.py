"""Build the image of docs/deploy.md, start it, and see it answer; where Docker is not at hand, say so. `make image`."""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAME = "distillation-studio"
SECONDS = 120.0


def docker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False)


def is_at_hand() -> bool:
    try:
        return docker("info").returncode == 0
    except FileNotFoundError:
        return False


def answers(container: str) -> bool:
    """Whether the studio in the container says that it lives, before its time is over."""
    ask = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health').read().decode())"
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if docker("exec", container, "python", "-c", ask).stdout.strip() == "ok":
            return True
        time.sleep(1)
    return False


def main() -> None:
    if not is_at_hand():
        return print("Docker is not at hand: the image is neither built nor run.", file=sys.stderr)
    built = subprocess.run(["docker", "build", "--tag", NAME, str(ROOT)], check=False)
    if built.returncode:
        sys.exit("The image could not be built.")
    refused = docker("run", "--rm", NAME)
    if refused.returncode == 0 or "no login is set up" not in refused.stderr:
        sys.exit(f"Without a login the image must not start, and say why: {refused.stderr}")
    started = docker("run", "--detach", "--rm", "--env", "STUDIO_LOGIN=elsewhere", NAME)
    container = started.stdout.strip()
    try:
        if started.returncode or not answers(container):
            sys.exit(f"The image does not answer: {started.stderr}{docker('logs', container).stderr}")
    finally:
        docker("stop", container)
    print("The image was built, refused to start without a login, and answered with STUDIO_LOGIN=elsewhere.")


if __name__ == "__main__":
    main()
