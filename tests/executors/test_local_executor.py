"""The local executor, with real processes."""

import os
import time

import psutil
import pytest

from studio import events
from studio.errors import ModelError, WorkerError
from studio.executors import local
from studio.pipeline.job import Stopped
from tests.conftest import fake, never


def children() -> list[psutil.Process]:
    return [one for one in psutil.Process().children(recursive=True) if "fake_worker" in " ".join(one.cmdline())]


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(pid)


def test_a_workers_events_arrive_in_their_order(job):
    said = list(local.execute(job, never, command=fake("finish")))
    assert [one.step for one in said if isinstance(one, events.Metrics)] == list(range(20))
    assert isinstance(said[-1], events.Verdict)


def test_a_workers_own_error_arrives_as_what_it_was(job):
    with pytest.raises(ModelError, match=r"It is broken\. Mend it\."):
        list(local.execute(job, never, command=fake("fail")))


def test_a_worker_that_ends_without_a_word_is_reported_with_the_end_of_its_log(job):
    with pytest.raises(WorkerError, match=r"exit status 7.*last words"):
        list(local.execute(job, never, command=fake("crash")))


@pytest.mark.parametrize(
    ("kills", "reason"),
    [
        ([3, 4], "killed because the machine ran out of memory"),
        ([3, 3], "killed from outside; the machine had not run out of memory"),
        ([None, None], "most likely because the machine ran out of memory"),
    ],
)
def test_a_killed_worker_ran_out_of_memory_where_the_machine_counted_that(job, monkeypatch, kills, reason):
    monkeypatch.setattr(local.cgroups, "oom_kills", iter(kills).__next__)
    with pytest.raises(WorkerError, match=reason):
        list(local.execute(job, never, command=fake("killed")))


def test_a_line_that_the_workers_death_cut_off_is_no_event(job):
    said = []
    with pytest.raises(WorkerError, match="was killed"):
        said.extend(local.execute(job, never, command=fake("die in the middle of a line")))


def test_what_a_dead_worker_started_is_ended_and_does_not_keep_the_run_open(job):
    said = []
    with pytest.raises(WorkerError, match="was killed"):
        for event in local.execute(job, never, command=fake("leave a child")):
            said.append(event)
    wait_until_gone(int(said[-1].message.split()[1]))


def test_a_worker_is_less_urgent_than_the_pages_and_leads_a_group_of_its_own(job):
    said = list(local.execute(job, never, command=fake("tell")))
    niceness = min(19, os.nice(0) + local.NICENESS)
    assert said[-1].message == f"{niceness} True"


def test_a_worker_that_is_asked_to_stop_says_its_last_words_first(job):
    said = []
    with pytest.raises(Stopped):
        for event in local.execute(job, lambda: len(said) >= 2, command=fake("obey")):
            said.append(event)
    assert said[-1].message == "saved"
    assert children() == []


def test_a_worker_that_ignores_everything_is_ended_with_all_it_started(job, monkeypatch):
    monkeypatch.setattr(local, "GRACE_SECONDS", 0.3)
    said = []
    with pytest.raises(Stopped):
        for event in local.execute(job, lambda: len(said) >= 3, command=fake("ignore")):
            said.append(event)
    assert children() == []
    wait_until_gone(int(said[2].message.split()[1]))


def test_the_patience_with_a_worker_that_ignores_everything_ends_within_five_seconds():
    assert local.POLL_SECONDS + local.GRACE_SECONDS + local.LAST_SECONDS < 5


def test_whoever_stops_listening_stops_the_worker(job):
    said = local.execute(job, never, command=fake("obey"))
    next(said)
    assert len(children()) == 1
    said.close()
    assert children() == []


def test_a_worker_gets_its_share_of_the_cores_and_threads_that_sleep_while_they_wait():
    environment = local.environment(threads=3)
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert int(environment["GOMP_SPINCOUNT"]) < 100_000


def test_a_worker_that_says_nothing_for_too_long_is_ended_and_reported_as_stuck(job, monkeypatch):
    monkeypatch.setattr(local, "SILENT_SECONDS", 1.0)
    with pytest.raises(WorkerError, match="it was stuck and was ended"):
        list(local.execute(job, never, command=fake("ignore")))
    assert children() == []


def test_a_slot_shows_its_worker_one_gpu_unless_the_run_names_another(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert local.environment(2, gpus=[1])["CUDA_VISIBLE_DEVICES"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in local.environment(2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert local.environment(2, gpus=[1])["CUDA_VISIBLE_DEVICES"] == "3"
