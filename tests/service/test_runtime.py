"""The server's training thread: which runs it takes, and what becomes of those whose server is gone."""

import asyncio
import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from studio import events
from studio.config.reading import parse_config
from studio.errors import (
    DiskError,
)
from studio.machine.identity import is_gone, new_owner
from studio.service import runtime as the_runtime
from studio.service.ownership import INTERRUPTED
from studio.service.runtime import LEASE, Runtime
from studio.store.queue import MOST_DEATHS
from studio.store.store import Store
from tests.conftest import TINY
from tests.service.conftest import execute_fake, submit, wait_for, workers


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
        store.record(run.id, [events.PhaseStarted(phase="prepare")])
        store.take_back(is_gone, INTERRUPTED)
        assert store.run(run.id).status == "queued"
        store.claim(dead_owner)
    store.record(run.id, [events.PhaseStarted(phase="prepare")])
    store.take_back(is_gone, INTERRUPTED)
    assert "several times" in store.run(run.id).message


def test_a_server_that_dies_before_a_runs_worker_has_begun_is_no_death_of_the_run(store, home, saved, dead_owner):
    run = submit(store, "theirs", owner=dead_owner)
    for _ in range(2 * MOST_DEATHS):
        store.take_back(is_gone, INTERRUPTED)
        store.claim(dead_owner)
    assert store.run(run.id).status == "running"
    assert store.died(run.id) == 1
    assert store.logs(run.id) == []


def test_a_worker_that_is_started_anew_has_not_begun_as_the_one_before_it_had(store, home, saved, dead_owner):
    run = submit(store, "theirs", owner=dead_owner)
    store.record(run.id, [events.PhaseStarted(phase="prepare")])
    store.go_on(run.id)
    store.take_back(is_gone, INTERRUPTED)
    assert store.died(run.id) == 1


def test_a_run_that_gets_further_between_deaths_never_fails_of_them(store, home, saved):
    run = submit(store, "mine", owner=new_owner())
    for step in range(3 * MOST_DEATHS):
        assert store.may_go_on(run.id)
        store.record(run.id, [events.Metrics(phase="distill", step=step, values={"loss": 1.0})])


def test_a_server_tidies_up_also_while_runs_wait(store, home, saved, monkeypatch):
    asked = []
    monkeypatch.setattr("studio.service.housekeeping.tidy", lambda store, home: asked.append(len(store.queue())) or 0)
    for key in "abc":
        submit(store, key)
    server = Runtime(home, execute_fake("finish"))
    server._one_turn(store, server.owners[0], execute_fake("finish"))
    assert asked == [3]


def test_a_server_does_not_wait_for_the_lease_of_a_dead_one(store, home, saved, dead_owner):
    store.hold_lease(LEASE, dead_owner)
    lost, queued = submit(store, "lost", owner=dead_owner), submit(store, "queued")
    runtime = Runtime(home, execute_fake("finish"))
    runtime.start()
    wait_for(lambda: store.run(queued.id).status == "finished")
    runtime.stop()
    assert store.run(lost.id).status == "finished"


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
