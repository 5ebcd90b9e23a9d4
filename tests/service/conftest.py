"""Runs whose workers are played, and what is asked about them."""

import functools
import time

import psutil
import pytest

from studio.config.reading import parse_config
from studio.executors import local
from studio.machine.identity import new_owner
from tests.conftest import TINY, fake


def execute_fake(manner):
    return functools.partial(local.execute, command=fake(manner))


@pytest.fixture
def run(store, saved):
    return store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner=new_owner())


def workers() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [process for process in children if "fake_worker" in " ".join(process.cmdline())]


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def submit(store, key="k", **values):
    return store.submit(parse_config({"dataset": "reviews", **TINY}), key=key, **values)
