"""Executor, worker and runner, with real processes."""

import functools
import itertools
import os
import subprocess
import sys
import time

import psutil
import pytest

from studio import events, runner
from studio.config import parse_config
from studio.errors import ModelError, WorkerError
from studio.executors import Job, Stopped, local
from tests.conftest import TINY


def fake(manner: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.fake_worker", manner)


@pytest.fixture
def job(home, saved):
    config = parse_config({"dataset": "reviews", **TINY})
    return Job(run_id=1, config=config, dataset=str(home.dataset(saved.id)), home=str(home.root))


def never() -> bool:
    return False


def children() -> list[psutil.Process]:
    return [one for one in psutil.Process().children(recursive=True) if "fake_worker" in " ".join(one.cmdline())]


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


def test_a_killed_worker_is_taken_for_one_that_ran_out_of_memory(job):
    with pytest.raises(WorkerError, match="ran out of memory"):
        list(local.execute(job, never, command=fake("killed")))


def test_a_worker_that_is_asked_to_stop_says_its_last_words_first(job):
    said = []
    with pytest.raises(Stopped):
        for event in local.execute(job, lambda: len(said) >= 2, command=fake("obey")):
            said.append(event)
    assert said[-1].message == "saved"
    assert children() == []


def test_a_worker_that_ignores_everything_is_ended_with_all_it_started(job, monkeypatch):
    monkeypatch.setattr(local, "GRACE_SECONDS", 0.5)
    said = []
    with pytest.raises(Stopped):
        for event in local.execute(job, lambda: len(said) >= 3, command=fake("ignore")):
            said.append(event)
    child = int(said[2].message.split()[1])
    time.sleep(0.5)
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_a_worker_whose_studio_dies_ends_on_its_own(job, tmp_path):
    script = (
        "import sys, os, signal; from studio.executors import Job, local\n"
        "job = Job.model_validate_json(sys.argv[1])\n"
        "for event in local.execute(job, lambda: False, command=(sys.executable, '-m', 'tests.fake_worker', 'obey')):\n"
        "    if event.kind == 'log': os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, job.model_dump_json()], check=False)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _obeying():
        time.sleep(0.1)
    assert not _obeying()


def _obeying() -> list[int]:
    return [
        one.pid
        for one in psutil.process_iter(["cmdline"])
        if (one.info["cmdline"] or [])[-2:] == ["tests.fake_worker", "obey"]
    ]


def execute_fake(manner):
    return functools.partial(local.execute, command=fake(manner))


@pytest.fixture
def run(store, saved):
    return store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner=runner.new_owner())


def test_carrying_a_run_records_what_it_says_and_finishes_it(store, home, run):
    said = list(runner.carry(store, home, run, execute_fake("finish")))
    assert len([one for one in said if isinstance(one, events.Metrics)]) == len(store.curve(run.id)) == 20
    assert store.run(run.id).status == "finished"
    assert store.run(run.id).verdict == "Done."


@pytest.mark.parametrize(
    ("manner", "words"), [("fail", "It is broken."), ("crash", "ended unexpectedly"), ("killed", "memory")]
)
def test_a_run_that_fails_says_why_and_keeps_what_it_recorded(store, home, run, manner, words):
    list(runner.carry(store, home, run, execute_fake(manner)))
    failed = store.run(run.id)
    assert failed.status == "failed"
    assert words in failed.message
    assert store.logs(run.id)[0].message == f"run {run.id}"


def test_a_run_that_is_stopped_is_stopped_and_not_failed(store, home, run):
    for _ in runner.carry(store, home, run, execute_fake("obey")):
        store.request_stop(run.id)
    assert store.run(run.id).status == "stopped"


def test_a_run_that_the_closing_studio_interrupts_says_so(store, home, run):
    list(runner.carry(store, home, run, execute_fake("obey"), leave=lambda: True))
    assert store.run(run.id).status == "failed"
    assert "studio was closed" in store.run(run.id).message


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def test_the_training_thread_takes_queued_runs_one_after_the_other(store, home, saved):
    runs = [store.submit(parse_config({"dataset": "reviews", **TINY}), key=str(number)) for number in range(3)]
    runtime = runner.Runtime(home, execute_fake("finish"))
    runtime.start()
    try:
        wait_for(lambda: all(store.run(run.id).status == "finished" for run in runs))
    finally:
        runtime.stop()
    times = [(store.run(run.id).started_at, store.run(run.id).finished_at) for run in runs]
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(times))


def test_a_second_server_on_the_same_home_does_not_train(store, home, saved):
    first, second = runner.Runtime(home, execute_fake("finish")), runner.Runtime(home, execute_fake("finish"))
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


def test_a_run_whose_server_died_is_found_and_says_so(store, home, saved):
    dead = subprocess.run(
        [sys.executable, "-c", "from studio import runner; print(runner.new_owner())"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner=dead)
    mine = store.submit(parse_config({"dataset": "reviews", **TINY}), key="l", owner=runner.new_owner())
    store.fail_lost(runner.is_gone, runner.INTERRUPTED)
    assert store.run(run.id).status == "failed"
    assert store.run(mine.id).status == "running"


def test_a_worker_gets_its_share_of_the_cores_and_threads_that_sleep_while_they_wait():
    environment = local.environment(threads=3)
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert int(environment["GOMP_SPINCOUNT"]) < 100_000


def test_the_real_worker_carries_a_whole_run_and_keeps_its_stream_clean(job, home, monkeypatch):
    said = list(local.execute(job, never))
    assert isinstance([one for one in said if one.kind != "device_use"][-2], events.Verdict)
    assert home.model(1, "student").is_dir()


def test_the_real_worker_stops_in_the_middle_and_saves_its_student(job, home):
    job = job.model_copy(update={"config": job.config.with_values(epochs=500)})
    said = []
    with pytest.raises(Stopped):
        for event in local.execute(job, lambda: any(one.kind == "metrics" and one.phase == "distill" for one in said)):
            said.append(event)
    assert (home.model(1, "student") / "model.safetensors").is_file()


def test_the_real_worker_tells_a_persons_error_in_words(job, home):
    job = job.model_copy(update={"config": job.config.with_values(teacher="folder:/nowhere")})
    with pytest.raises(ModelError, match="no folder /nowhere"):
        list(local.execute(job, never))


def test_an_estimate_gives_the_sizes_that_the_run_then_has(store, home, saved):
    config = parse_config({"dataset": "reviews", **TINY, "prune_ratio": 0.5})
    found = runner.estimate(home, store, config)
    list(runner.carry(store, home, store.submit(config, key="k", owner=runner.new_owner())))
    sizes = {one.role: one.value for one in store.evaluations(1) if one.metric == "parameters"}
    assert found.student_parameters == sizes["student"]
    assert found.teacher_parameters == sizes["teacher"]
    assert found.seconds > 0
    assert found.teacher_is_taught


def test_an_estimate_of_a_run_that_cannot_work_raises_what_the_run_would(store, home, saved):
    config = parse_config({"dataset": "reviews", **TINY, "student": "teacher/9-layers"})
    with pytest.raises(ModelError, match="can keep 1 to 1, got 9"):
        runner.estimate(home, store, config)


def test_the_pages_process_never_opens_torch():
    script = "import sys; import studio.runner, studio.samples, studio.charts; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False, env=os.environ).returncode == 0
