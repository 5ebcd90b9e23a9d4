"""A run is carried out: what it says is written down, whatever becomes of its worker."""

import itertools
import sqlite3
import sys

import pytest

from studio import events
from studio.errors import (
    WorkerDiedError,
    WorkerOutOfMemoryError,
    WorkerStuckError,
)
from studio.executors import local, work
from studio.executors.registry import EXECUTORS, Executor, wanted_slots
from studio.machine.identity import new_owner
from studio.pipeline.job import Job
from studio.service.runs import MOST_STUCK, carry
from studio.service.runtime import Runtime
from tests.service.conftest import execute_fake, workers


def test_carrying_a_run_records_what_it_says_and_finishes_it(store, home, run):
    said = list(carry(store, home, run, execute_fake("finish")))
    assert len([one for one in said if isinstance(one, events.Metrics)]) == len(store.curve(run.id)) == 20
    assert store.run(run.id).status == "finished"
    assert store.run(run.id).verdict == "Done."


@pytest.mark.parametrize(
    ("manner", "words"), [("fail", "It is broken."), ("crash", "ended unexpectedly"), ("killed", "memory")]
)
def test_a_run_that_fails_says_why_and_keeps_what_it_recorded(store, home, run, manner, words):
    list(carry(store, home, run, execute_fake(manner)))
    failed = store.run(run.id)
    assert failed.status == "failed"
    assert words in failed.message
    assert store.logs(run.id)[0].message == f"run {run.id}"


def test_a_run_that_is_stopped_is_stopped_and_not_failed(store, home, run):
    for _ in carry(store, home, run, execute_fake("obey")):
        store.request_stop(run.id)
    assert store.run(run.id).status == "stopped"


def test_a_run_that_is_left_by_ctrl_c_is_stopped_when_its_worker_has_ended(store, home, run):
    said = carry(store, home, run, execute_fake("obey"))
    next(said)
    with pytest.raises(KeyboardInterrupt):
        said.throw(KeyboardInterrupt)
    assert store.run(run.id).status == "stopped"
    assert workers() == []


def test_a_run_that_ends_early_and_without_a_word_goes_on_and_is_not_called_finished(store, home, run):
    planned = events.Planned(stages=(events.PlannedStage(phase="evaluate", seconds=1),))
    begun = [planned, events.PhaseStarted(phase="evaluate")]
    ways = iter([begun, [*begun, events.PhaseFinished(phase="evaluate", seconds=1, steps=0)]])
    list(carry(store, home, run, lambda job, stop: (event for event in next(ways))))
    assert store.run(run.id).status == "finished"
    assert [line.message for line in store.logs(run.id) if "ended before its last stage" in line.message]
    assert next(ways, None) is None


def test_an_error_of_the_store_ends_the_run_and_is_not_hidden(store, home, run, monkeypatch):
    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(store, "record", full)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        list(carry(store, home, run, execute_fake("obey")))
    assert "disk is full" in store.run(run.id).message
    assert workers() == []


def test_a_run_that_the_closing_studio_interrupts_waits_in_the_queue(store, home, run):
    list(carry(store, home, run, execute_fake("obey"), leave=lambda: True))
    assert store.run(run.id).status == "queued"
    assert not store.run(run.id).stop_requested


def test_a_run_for_a_cluster_on_a_machine_without_ray_says_what_to_install(store, home, run, monkeypatch):
    monkeypatch.setenv("STUDIO_EXECUTOR", "ray")
    monkeypatch.setitem(sys.modules, "ray", None)
    list(carry(store, home, run))
    failed = store.run(run.id)
    assert (failed.status, failed.message) == ("failed", "STUDIO_EXECUTOR=ray needs the package ray.")
    assert "pip install" in failed.cure


def test_a_run_of_the_command_line_goes_where_the_environment_says(store, home, run, monkeypatch):
    seen = []

    def carried_elsewhere(slots):
        seen.append(slots.count)
        return execute_fake("finish")

    monkeypatch.setitem(EXECUTORS, "elsewhere", Executor("Elsewhere", carried_elsewhere, slots=lambda: 5))
    monkeypatch.setenv("STUDIO_EXECUTOR", "elsewhere")
    list(carry(store, home, run))
    assert seen == [1]
    assert store.run(run.id).verdict == "Done."
    assert wanted_slots() == 5
    assert len(Runtime(home).owners) == 5
    assert seen == [1, 5]


@pytest.mark.parametrize(("name", "value"), [("CORES", "abc"), ("CORES", "0"), ("GPUS", "-1"), ("GPUS", "nan")])
def test_a_wish_of_the_cluster_that_is_no_number_fails_the_run_and_is_named(store, home, run, monkeypatch, name, value):
    monkeypatch.setenv("STUDIO_EXECUTOR", "ray")
    monkeypatch.setenv(f"STUDIO_RAY_{name}", value)
    list(carry(store, home, run))
    assert (store.run(run.id).status, store.run(run.id).error) == ("failed", "ConfigError")
    assert f"STUDIO_RAY_{name} must be" in store.run(run.id).message
    assert repr(value) in store.run(run.id).message


def test_what_a_run_uses_of_the_machine_goes_on_where_it_was_when_the_run_does(store, home, run):
    def execute(job, stop):
        use = work._Use(tuple, job.seconds)
        use._start -= 2
        yield use.read()

    store.record(run.id, [events.DeviceUse(seconds=10, values={"cpu_percent": 50.0})])
    list(carry(store, home, run, execute))
    assert {point.step for point in store.device_use(run.id)} == {10, 12}


def dying(*deaths):
    """Carries out a run whose process ends with each of these, one after the other, and then does not."""
    left, jobs = list(deaths), []

    def execute(job, stop):
        jobs.append(job)
        yield events.PhaseStarted(phase="distill")
        yield events.Progress(phase="distill", step=7, total=20)
        if left:
            raise left.pop(0)
        yield events.Verdict(outcome="better", sentence="Done.")

    return execute, jobs


def test_every_death_is_told_with_its_place_also_the_same_one_again(store, home, run):
    died = WorkerDiedError("It was killed.")
    execute, jobs = dying(died, died, died)
    list(carry(store, home, run, execute))
    told = [line.message for line in store.logs(run.id)]
    assert len(told) == 3
    assert all(line.startswith("At step 7 of distill: It was killed.") for line in told)
    assert "number 3 in this place. The run goes on from its last checkpoint." in told[2]
    assert store.run(run.id).status == "finished"
    assert [job.parts for job in jobs] == [1, 1, 1, 1], "nobody knows that memory was the reason"


def test_a_second_kill_for_memory_in_one_place_halves_the_batch_and_says_so(store, home, run):
    memory = WorkerOutOfMemoryError("Memory ran out.")
    execute, jobs = dying(memory, memory, memory)
    list(carry(store, home, run, execute))
    assert [job.parts for job in jobs] == [1, 1, 2, 4]
    told = [line.message for line in store.logs(run.id)]
    assert "8 examples at a time from now on; corrections are still made from 16." in told
    assert store.run(run.id).parts == 4
    execute, jobs = dying()
    store._db.execute("UPDATE runs SET status = 'stopped' WHERE id = ?", [run.id])
    list(carry(store, home, store.resume(run.id, owner=new_owner()), execute))
    assert [job.parts for job in jobs] == [4], "it is known the next time, too"


def test_a_stuck_worker_is_started_again_but_not_for_ever(store, home, run):
    stuck = WorkerStuckError("It was stuck.")
    execute, jobs = dying(stuck, stuck, stuck, stuck)
    list(carry(store, home, run, execute))
    assert len(jobs) == MOST_STUCK
    assert store.run(run.id).message == "It was stuck. It happened 3 times at step 7 of distill."


def test_a_worker_that_says_nothing_is_ended_and_the_run_goes_on(store, home, run, monkeypatch):
    monkeypatch.setattr(local, "GRACE_SECONDS", 0.1)
    tries = itertools.count()

    def execute(job, stop):
        is_first = next(tries) == 0
        monkeypatch.setattr(local, "SILENT_SECONDS", 0.3 if is_first else 900.0)
        return execute_fake("obey" if is_first else "finish")(job, stop)

    list(carry(store, home, run, execute))
    assert store.run(run.id).status == "finished"
    assert any("it was stuck and was ended" in line.message for line in store.logs(run.id))
    assert workers() == []


@pytest.mark.parametrize(
    ("counts", "kind", "words"),
    [
        ((3, 4), WorkerOutOfMemoryError, "because the machine ran out"),
        ((3, 3), WorkerDiedError, "from outside"),
        ((None, None), WorkerDiedError, "most likely"),
    ],
)
def test_a_kill_is_one_for_memory_where_the_kernel_counts_it(home, run, monkeypatch, counts, kind, words):
    told = iter(counts)
    monkeypatch.setattr(local.cgroups, "oom_kills", lambda: next(told))
    job = Job(run_id=1, config=run.config, dataset=home.dataset(1), home=home)
    with pytest.raises(WorkerDiedError, match=words) as met:
        list(execute_fake("killed")(job, lambda: False))
    assert type(met.value) is kind
