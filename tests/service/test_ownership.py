"""Who carries a run, and what becomes of it when that process is gone, or only seems to be."""

import subprocess
import sys

import pytest

from studio import events
from studio.config.reading import parse_config
from studio.errors import StoreError, WorkerDiedError
from studio.machine import identity
from studio.machine.identity import is_gone, new_owner
from studio.pipeline.job import Stopped
from studio.service import ownership, runtime
from studio.service.ownership import INTERRUPTED, Listener, take_back, take_back_lost
from studio.service.runs import carry
from studio.service.runtime import Runtime
from tests.conftest import TINY

ELSEWHERE = "00000000-another-boot-4026531836:77:12345:abcdef01"
OLD = "laptop.local:77:1763750000.25:abcdef01"


@pytest.fixture
def clock(monkeypatch):
    """This process's own clock, which the test moves."""
    now = [1000.0]
    monkeypatch.setattr(ownership.time, "monotonic", lambda: now[0])
    return now


def submit(store, owner, key="k"):
    return store.submit(parse_config({"dataset": "reviews", **TINY}), key=key, owner=owner)


def test_an_owner_is_gone_when_its_process_has_ended_or_is_another_one_by_now():
    kernel, pid, started, name = new_owner().rsplit(":", 3)
    assert not is_gone(f"{kernel}:{pid}:{started}:{name}")
    assert is_gone(f"{kernel}:{pid}:{int(started) + 1}:{name}"), "the number was given to another process"
    assert is_gone(None)
    ended = "from studio.machine.identity import new_owner; print(new_owner())"
    dead = subprocess.run([sys.executable, "-c", ended], capture_output=True, text=True, check=True).stdout.strip()
    assert identity.is_here(dead)
    assert is_gone(dead)


@pytest.mark.skipif(sys.platform != "linux", reason="start ticks are Linux's")
def test_an_owners_name_holds_neither_the_hosts_name_nor_the_time(monkeypatch):
    """So neither a renamed machine nor a clock that was set makes another process of it."""
    import socket
    import time

    def not_asked(*_):
        raise AssertionError("an owner does not depend on it")

    before = new_owner()
    monkeypatch.setattr(socket, "gethostname", not_asked)
    monkeypatch.setattr(time, "time", not_asked)
    monkeypatch.setattr(identity.psutil, "Process", not_asked)
    assert not is_gone(before)
    assert new_owner().rsplit(":", 1)[0] == before.rsplit(":", 1)[0]


def test_an_owner_that_is_dead_but_not_buried_is_gone():
    name = "from studio.machine.identity import new_owner; print(new_owner(), flush=True)"
    ended = subprocess.Popen([sys.executable, "-c", name], stdout=subprocess.PIPE, text=True)
    owner = ended.stdout.readline().strip()
    ended.stdout.read()  # until it has closed everything
    while identity._started(ended.pid) is not None:
        pass
    assert is_gone(owner), "nobody has waited for it yet"
    ended.wait()


def test_where_there_is_no_proc_the_process_is_asked_for_its_start(monkeypatch, tmp_path):
    monkeypatch.setattr(identity, "_PROC", tmp_path)
    mine = new_owner()
    assert mine.startswith("machine-")
    assert not is_gone(mine)
    kernel, pid, _, name = mine.rsplit(":", 3)
    assert is_gone(f"{kernel}:{pid}:1.0:{name}")
    assert is_gone(f"{kernel}:{2**22 + 1}:1.0:{name}")


@pytest.mark.parametrize("owner", [ELSEWHERE, OLD])
def test_a_process_that_cannot_be_seen_is_gone_when_its_heart_has_been_silent_and_not_before(
    store, saved, clock, owner
):
    run, listener = submit(store, owner), Listener()
    assert not is_gone(owner)
    assert store.take_back(is_gone, INTERRUPTED) == []
    for _ in range(3):  # it beats
        clock[0] += ownership.SILENT_SECONDS - 1
        assert take_back_lost(store, listener) == []
        assert store.beat(run.id, owner)
    assert take_back_lost(store, listener) == []
    clock[0] += ownership.SILENT_SECONDS + 1
    assert take_back_lost(store, listener) == [run.id]
    assert store.run(run.id).status == "queued"


def test_a_silent_process_that_is_seen_here_keeps_its_run(store, saved, clock):
    submit(store, new_owner())
    listener = Listener()
    take_back_lost(store, listener)
    clock[0] += 10 * ownership.SILENT_SECONDS
    assert take_back_lost(store, listener) == []


def test_a_server_takes_back_what_a_machine_that_is_no_more_has_left(store, home, saved, clock):
    run = submit(store, ELSEWHERE)
    server = Runtime(home, lambda job, stop: iter(()))

    def turn():
        server._renewed = -1e9
        server._one_turn(store, server.owners[0], server_execute)

    def server_execute(job, stop):
        yield events.Verdict(outcome="better", sentence="Done.")

    turn()
    assert store.run(run.id).status == "running"
    clock[0] += ownership.SILENT_SECONDS + 1
    turn()
    assert store.run(run.id).verdict == "Done."


def test_a_lease_goes_to_another_server_when_its_holder_has_fallen_silent(store, home, clock):
    store.hold_lease(runtime.LEASE, ELSEWHERE)
    server = Runtime(home, lambda job, stop: iter(()))
    assert not server._keep_lease(store)
    clock[0] += runtime.LEASE_SECONDS / 2
    store.hold_lease(runtime.LEASE, ELSEWHERE)
    assert not server._keep_lease(store)
    clock[0] += runtime.LEASE_SECONDS + 1
    assert server._keep_lease(store)


def test_a_person_takes_a_run_back_at_once_but_not_from_a_process_that_is_alive_here(store, saved):
    lost, mine = submit(store, ELSEWHERE, "lost"), submit(store, new_owner(), "mine")
    assert take_back(store, lost.id).status == "queued"
    with pytest.raises(StoreError, match="alive on this machine"):
        take_back(store, mine.id)
    with pytest.raises(StoreError, match="is queued"):
        take_back(store, lost.id)


def test_of_two_that_take_a_run_back_one_does(store, saved):
    run = submit(store, ELSEWHERE)
    assert store.take_from(run.id, ELSEWHERE, INTERRUPTED)
    store.claim("the next one")
    assert not store.take_from(run.id, ELSEWHERE, INTERRUPTED)
    assert (store.run(run.id).status, store.run(run.id).owner) == ("running", "the next one")


def test_who_has_lost_its_run_stops_and_writes_nothing_more_about_it(store, home, saved, clock):
    run, asked = submit(store, ELSEWHERE), []

    def execute(job, stop):
        yield events.Log(message="mine")
        store.take_from(run.id, ELSEWHERE, INTERRUPTED)
        store.claim("another")
        clock[0] += ownership.BEAT_SECONDS
        asked.append(stop())
        yield events.Log(message="not mine any more")
        raise Stopped

    list(carry(store, home, run, execute))
    assert asked == [True]
    assert "not mine any more" not in [line.message for line in store.logs(run.id)]
    assert (store.run(run.id).status, store.run(run.id).owner) == ("running", "another")


@pytest.mark.parametrize("end", [events.Log(message="more"), None, Stopped(), WorkerDiedError("Killed.", "")])
def test_who_wakes_on_a_machine_that_slept_and_has_lost_its_run_writes_nothing_more(store, home, saved, clock, end):
    """The clock stood still meanwhile: by it the heart has only just beaten."""
    run = submit(store, ELSEWHERE)

    def execute(job, stop):
        assert not stop()
        store.take_from(run.id, ELSEWHERE, INTERRUPTED)
        store.claim("another")
        store.record(run.id, [events.Verdict(outcome="better", sentence="The other's.")])
        if isinstance(end, Exception):
            raise end
        if end is not None:
            yield end

    store.record(run.id, [events.PhaseStarted(phase="prepare")])
    before = len(store.logs(run.id))
    list(carry(store, home, run, execute))
    assert len(store.logs(run.id)) == before + 1, "that it was taken back, and nothing else"
    assert (store.run(run.id).status, store.run(run.id).owner) == ("running", "another")


def test_a_run_whose_settings_cannot_be_read_fails_with_the_reason_and_the_next_one_runs(store, home, saved):
    broken, sound = submit(store, None, "broken"), submit(store, None, "sound")
    store._db.execute('UPDATE runs SET config = \'{"epochs": "many"}\' WHERE id = ?', [broken.id])

    def execute(job, stop):
        yield events.Verdict(outcome="better", sentence="Done.")

    for _ in range(2):
        list(carry(store, home, store.claim(new_owner()), execute))
    assert store.run(sound.id).status == "finished"
    assert (store.run(broken.id).status, store.run(broken.id).error) == ("failed", "ConfigError")
    assert "epochs must be" in store.run(broken.id).message
