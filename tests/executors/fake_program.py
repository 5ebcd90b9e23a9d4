"""A program for the tests of `launch`: tells what it finds, or behaves as the text that it gets says."""

import os
import sys
import time


def tell():
    import psutil
    import torch
    from threadpoolctl import threadpool_info

    torch.randn(64, 64).mm(torch.randn(64, 64))
    blas = {pool["num_threads"] for pool in threadpool_info()}
    leads = os.getpgid(0) == os.getpid()
    print(" ".join(psutil.Process().cmdline()).strip())
    print(os.nice(0), leads, torch.get_num_threads(), blas, os.environ.get("STUDIO_TOLD"), sys.argv[1:])


if __name__ == "__main__":
    print("ready", flush=True)
    said = sys.stdin.readline().strip()
    if said == "tell":
        tell()
    if said == "fail":
        sys.exit("It cannot.")
    if said == "raise":
        raise ValueError("a bug")
    if said in ("parent", "another"):
        print(os.getppid(), os.nice(0), flush=True)
    if said == "another":
        from studio.executors import launch

        command = (sys.executable, "-m", "tests.executors.fake_program")
        print(launch.ask(command, "parent\n", os.environ, 60).output)
    if said == "wait":
        time.sleep(600)
