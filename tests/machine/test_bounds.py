"""What is bounded ends with an error, and the process goes on without the bound."""

import resource
import signal
import sys
import threading
import time

import pytest

from studio.machine import bounds
from studio.machine.bounds import bounded

GIB = 1024**3


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux alone")
def test_whoever_takes_more_memory_gets_an_error_and_the_process_has_all_of_it_afterwards():
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(MemoryError), bounded(GIB // 4, 60):
        bytearray(GIB)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    with bounded(2 * GIB, 60):
        assert len(bytearray(GIB)) == GIB


def test_whoever_takes_longer_gets_an_error_and_no_clock_goes_on():
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TimeoutError, match=r"longer than 0\.05 seconds"), bounded(GIB, 0.05):
        while True:
            time.sleep(0.01)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_a_bound_within_another_one_ends_at_the_sooner_of_both_and_the_outer_one_goes_on():
    with pytest.raises(TimeoutError, match=r"longer than 0\.05 seconds"), bounded(GIB, 0.05), bounded(GIB, 60):
        while True:
            time.sleep(0.01)
    with bounded(GIB, 60):
        with pytest.raises(TimeoutError, match=r"longer than 0\.05 seconds"), bounded(GIB, 0.05):
            while True:
                time.sleep(0.01)
        assert 50 < signal.getitimer(signal.ITIMER_REAL)[0] < 60
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux alone")
def test_a_larger_bound_of_memory_within_a_smaller_one_gives_no_more():
    with bounded(GIB // 4, 60), pytest.raises(MemoryError), bounded(4 * GIB, 60):
        bytearray(GIB)


def test_in_another_thread_only_memory_is_bounded():
    ended = []

    def work():
        with bounded(GIB, 0.01):
            time.sleep(0.05)
        ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended


def test_where_more_open_files_are_forbidden_the_server_starts_with_what_it_has(monkeypatch):
    def refuse(*_):
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    bounds.allow_many_files()


def test_a_server_may_open_as_many_files_as_its_user_may_and_no_fewer_than_before(monkeypatch):
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(most, bounds.MANY_FILES) if most != resource.RLIM_INFINITY else bounds.MANY_FILES
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, most), most))
        bounds.allow_many_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (wanted, most)
        monkeypatch.setattr(bounds, "MANY_FILES", 300)
        bounds.allow_many_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (wanted, most)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))
