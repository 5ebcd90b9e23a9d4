"""The runner: who carries which run, and what becomes of it."""

import asyncio
import functools
import itertools
import os
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from studio import events
from studio.config.reading import parse_config
from studio.errors import (
    ConfigError,
    DiskError,
    ModelError,
    WorkerDiedError,
    WorkerOutOfMemoryError,
    WorkerStuckError,
)
from studio.executors import local, registry, work
from studio.executors.registry import EXECUTORS, Executor, wanted_slots
from studio.machine.identity import is_gone, new_owner
from studio.pipeline.job import Job
from studio.service import runtime as the_runtime
from studio.service.ownership import INTERRUPTED
from studio.service.questions import estimate
from studio.service.runs import MOST_STUCK, carry
from studio.service.runtime import LEASE, Runtime
from studio.store.queue import MOST_DEATHS
from studio.store.store import Store
from tests.conftest import TINY, fake, here


def execute_fake(manner):
    return functools.partial(local.execute, command=fake(manner))


@pytest.fixture
def run(store, saved):
    return store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner=new_owner())


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


def workers() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [process for process in children if "fake_worker" in " ".join(process.cmdline())]


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


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def test_the_training_thread_takes_queued_runs_one_after_the_other(store, home, saved):
    runs = [store.submit(parse_config({"dataset": "reviews", **TINY}), key=str(number)) for number in range(3)]
    runtime = Runtime(home, execute_fake("finish"))
    runtime.start()
    try:
        wait_for(lambda: all(store.run(run.id).status == "finished" for run in runs))
    finally:
        runtime.stop()
    times = [(store.run(run.id).started_at, store.run(run.id).finished_at) for run in runs]
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(times))


def test_a_second_server_on_the_same_home_does_not_train(store, home, saved):
    first, second = Runtime(home, execute_fake("finish")), Runtime(home, execute_fake("finish"))
    first.start()
    wait_for(lambda: first.trains)
    second.start()
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k")
    try:
        wait_for(lambda: store.run(run.id).status == "finished")
        assert first.trains
        assert not second.trains
    finally:
        second.stop()
        first.stop()


def submit(store, key="k", **values):
    return store.submit(parse_config({"dataset": "reviews", **TINY}), key=key, **values)


def test_a_second_server_trains_when_the_first_has_closed(store, home, saved, monkeypatch):
    monkeypatch.setattr(the_runtime, "LEASE_SECONDS", 0.3)
    first, second = Runtime(home, execute_fake("finish")), Runtime(home, execute_fake("finish"))
    first.start()
    wait_for(lambda: first.trains)
    second.start()
    first.stop()
    run = submit(store)
    wait_for(lambda: store.run(run.id).status == "finished")
    second.stop()


def test_a_server_that_closes_ends_its_worker_and_the_run_waits_for_the_next_one(store, home, saved):
    run = submit(store)
    runtime = Runtime(home, execute_fake("obey"))
    runtime.start()
    wait_for(lambda: store.logs(run.id))
    runtime.stop()
    assert store.run(run.id).status == "queued"
    assert workers() == []
    assert store.lease(LEASE) is None


def test_a_run_that_this_server_could_not_end_is_carried_at_its_next_turn(store, home, saved):
    runtime = Runtime(home, execute_fake("finish"))
    left, queued = submit(store, "left", owner=runtime.owners[0]), submit(store, "queued")
    runtime.start()
    wait_for(lambda: store.run(queued.id).status == "finished")
    runtime.stop()
    assert store.run(left.id).status == "finished"


def test_the_thread_goes_on_after_an_error_that_nobody_foresaw(store, home, saved):
    calls = itertools.count()

    def execute(job, stop):
        if next(calls) == 0:
            raise ValueError("nobody foresaw this")
        return execute_fake("finish")(job, stop)

    first, second = submit(store, "first"), submit(store, "second")
    runtime = Runtime(home, execute)
    runtime.start()
    wait_for(lambda: store.run(second.id).status == "finished")
    runtime.stop()
    assert "nobody foresaw this" in store.run(first.id).message


@pytest.mark.parametrize("stopped", [False, True])
def test_a_run_waits_for_room_on_a_full_disk_however_long_and_its_log_says_so(store, home, saved, monkeypatch, stopped):
    monkeypatch.setattr(the_runtime, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(the_runtime, "WAKE_SECONDS", 0.01)
    record, tries = Store.record, itertools.count()

    def full(self, run_id, said):
        if said[0].message != "Done." or next(tries) > MOST_DEATHS:
            return record(self, run_id, said)
        if stopped:
            self.request_stop(run_id)
        raise DiskError("The disk is full.", "Free some space.")

    monkeypatch.setattr(Store, "record", full)
    run = submit(store)
    runtime = Runtime(home, lambda job, stop: (events.Log(message=said) for said in ["Done."]))
    runtime.start()
    wait_for(lambda: store.run(run.id).is_over)
    runtime.stop()
    assert store.run(run.id).status == ("stopped" if stopped else "finished")
    told = [line.message for line in store.logs(run.id)]
    assert told[0] == "The disk is full. The run goes on from its last checkpoint."
    assert told[1:] == ([] if stopped else ["Done."])


def test_a_server_that_has_nothing_to_do_cleans_up(store, home):
    old = home.uploads / "old"
    old.mkdir(parents=True)
    os.utime(old, (0, 0))
    runtime = Runtime(home, execute_fake("finish"))
    runtime.start()
    wait_for(lambda: not old.exists())
    runtime.stop()


def test_a_server_starts_with_a_damaged_database_and_trains_once_it_is_mended(home, tmp_path, monkeypatch):
    monkeypatch.setattr(the_runtime, "RETRY_SECONDS", 0.05)
    home.root.mkdir(parents=True)
    home.database.write_bytes(b"my thesis, not a database" * 100)
    runtime = Runtime(home, execute_fake("finish"))
    runtime.start()
    home.database.rename(tmp_path / "aside")
    wait_for(lambda: runtime.trains)
    runtime.stop()
    assert (tmp_path / "aside").read_bytes() == b"my thesis, not a database" * 100


def test_the_server_owns_the_runtime_starts_it_and_ends_it_with_itself(home, monkeypatch):
    import app

    started = []
    monkeypatch.setattr(Runtime, "start", lambda runtime: started.append(runtime))
    monkeypatch.setattr(Runtime, "stop", lambda runtime: started.remove(runtime))

    async def serve():
        async with app.lifespan(None) as state:
            assert started == [state["runtime"]]
            assert state["runtime"].home == home

    with ThreadPoolExecutor(1) as threads:  # a browser test before this one leaves a running loop here
        threads.submit(asyncio.run, serve()).result()
    assert started == []


@pytest.fixture
def dead_owner() -> str:
    """The name of a process that has ended."""
    script = "from studio.service.runtime import new_owner; print(new_owner())"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


def test_a_run_whose_server_died_goes_back_into_the_queue(store, home, saved, dead_owner):
    run, mine = submit(store, "theirs", owner=dead_owner), submit(store, "mine", owner=new_owner())
    assert store.take_back(is_gone, INTERRUPTED) == [run.id]
    assert store.run(run.id).status == "queued"
    assert store.run(mine.id).status == "running"


def test_a_run_that_was_asked_to_stop_when_its_server_died_is_stopped(store, home, saved, dead_owner):
    run = submit(store, "theirs", owner=dead_owner)
    store.request_stop(run.id)
    store.take_back(is_gone, INTERRUPTED)
    assert store.run(run.id).status == "stopped"


def test_a_run_whose_servers_die_again_and_again_at_one_place_fails_in_the_end(store, home, saved, dead_owner):
    run = submit(store, "theirs", owner=dead_owner)
    for _ in range(MOST_DEATHS - 1):
        store.take_back(is_gone, INTERRUPTED)
        assert store.run(run.id).status == "queued"
        store.claim(dead_owner)
    store.take_back(is_gone, INTERRUPTED)
    assert "several times" in store.run(run.id).message


def test_a_run_that_gets_further_between_deaths_never_fails_of_them(store, home, saved):
    run = submit(store, "mine", owner=new_owner())
    for step in range(3 * MOST_DEATHS):
        assert store.may_go_on(run.id)
        store.record(run.id, [events.Metrics(phase="distill", step=step, values={"loss": 1.0})])


def test_a_server_does_not_wait_for_the_lease_of_a_dead_one(store, home, saved, dead_owner):
    store.hold_lease(LEASE, dead_owner)
    lost, queued = submit(store, "lost", owner=dead_owner), submit(store, "queued")
    runtime = Runtime(home, execute_fake("finish"))
    runtime.start()
    wait_for(lambda: store.run(queued.id).status == "finished")
    runtime.stop()
    assert store.run(lost.id).status == "finished"


def test_an_estimate_gives_the_sizes_that_the_run_then_has(store, home, saved):
    config = parse_config({"dataset": "reviews", **TINY, "prune_ratio": 0.5})
    found = estimate(home, store, config)
    list(carry(store, home, store.submit(config, key="k", owner=new_owner()), here))
    sizes = {one.role: one.value for one in store.evaluations(1) if one.metric == "parameters"}
    assert found.student_parameters == sizes["student"]
    assert found.teacher_parameters == sizes["teacher"]
    assert found.seconds > 0
    assert found.teacher_is_taught


def test_an_estimate_of_a_run_that_cannot_work_raises_what_the_run_would(store, home, saved):
    config = parse_config({"dataset": "reviews", **TINY, "student": "teacher/9-layers"})
    with pytest.raises(ModelError, match="can keep 1 to 1, got 9"):
        estimate(home, store, config)


def test_the_pages_process_never_opens_torch():
    script = (
        "import sys, studio.service.runtime, studio.service.samples, pages._charts; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, env=os.environ).returncode == 0


def test_two_slots_train_two_runs_at_once(store, home, saved, monkeypatch):
    runs = [submit(store, str(number)) for number in range(4)]
    runtime = Runtime(home, execute_fake("obey"), slots=2)
    runtime.start()
    try:
        wait_for(lambda: [store.run(run.id).status for run in runs] == ["running", "running", "queued", "queued"])
        assert not store.take_back(is_gone, INTERRUPTED), "neither thread takes the other's run for one left behind"
        assert [store.run(run.id).status for run in runs] == ["running", "running", "queued", "queued"]
        store.request_stop(runs[0].id)
        wait_for(lambda: store.run(runs[2].id).status == "running")
        assert store.run(runs[1].id).status == "running"
    finally:
        runtime.stop()
    assert [store.run(run.id).status for run in runs] == ["stopped", "queued", "queued", "queued"]
    assert workers() == []


def test_a_number_of_slots_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("STUDIO_SLOTS", "many")
    with pytest.raises(ConfigError, match="from 1 on, got 'many'"):
        wanted_slots()
    monkeypatch.setenv("STUDIO_SLOTS", "3")
    assert wanted_slots() == 3


def test_a_cluster_takes_more_runs_at_once_than_this_machine_has_devices(monkeypatch):
    monkeypatch.setenv("STUDIO_EXECUTOR", "ray")
    assert wanted_slots() == EXECUTORS["ray"].slots() > EXECUTORS["local"].slots()
    assert EXECUTORS["local"].nodes is None


def test_an_executor_that_there_is_not_is_refused(monkeypatch):
    monkeypatch.setenv("STUDIO_EXECUTOR", "cloud")
    with pytest.raises(ConfigError, match="local or ray, got 'cloud'"):
        registry.chosen()


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
        use = work._Use([], job.seconds)
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
