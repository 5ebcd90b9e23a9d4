"""The worker: around a fake trainer where that is enough, around the real one where it counts."""

import itertools
import signal
import subprocess
import sys
import time

import psutil
import pytest

from studio import events
from studio.config.reading import with_values
from studio.errors import DeviceError, ModelError, WorkerError
from studio.executors import local
from studio.pipeline.job import Stopped
from tests.conftest import fake, never


def listen(job, manner, stop=never):
    return list(local.execute(job, stop, command=command(manner)))


def command(manner):
    return fake(manner, "trainer")


def soon(reads=5):
    """A question that is answered with yes after a few times."""
    count = itertools.count()
    return lambda: next(count) >= reads


def test_what_libraries_print_goes_to_the_log_and_not_between_the_events(job, home):
    said = listen(job, "print")
    assert [event.kind for event in said] == ["log", "metrics", "metrics", "metrics"]
    log = home.log(1).read_text()
    assert "a library says hello" in log
    assert "C says hello" in log
    assert "a program says hello" in log


def test_the_job_reaches_the_trainer(job, saved):
    assert listen(job, "go")[0].message == f"run 1 on {saved.id}"


def test_a_number_that_is_none_travels_and_ends_nothing(job):
    assert listen(job, "go")[-1].values["loss"] == 1.0


def test_an_error_of_the_studio_arrives_as_what_it_was(job):
    with pytest.raises(ModelError, match=r"It is broken\. Mend it\."):
        listen(job, "fail")


def test_a_bug_is_named_in_one_sentence_and_told_in_full_in_the_log(job, home):
    with pytest.raises(WorkerError, match=r"KeyError: 'missing'\. The log") as caught:
        listen(job, "bug")
    assert "Traceback" not in str(caught.value)
    assert "Traceback" in home.log(1).read_text()


@pytest.mark.parametrize("manner", ["memory", "tensor memory"])
def test_memory_that_ran_out_is_told_with_the_cure(job, manner):
    with pytest.raises(DeviceError, match=r"machine ran out of memory\. Choose a smaller batch size"):
        listen(job, manner)


def test_a_full_disk_is_told_with_the_cure(job):
    with pytest.raises(DeviceError, match=r"The disk is full\. Free some space"):
        listen(job, "full disk")


def test_a_worker_that_is_asked_to_stop_closes_its_trainer(job, home):
    with pytest.raises(Stopped):
        listen(job, "go on", stop=soon())
    assert (home.root / "saved").exists()


def test_a_trainer_that_says_nothing_is_ended_when_its_patience_is_over(job, home, monkeypatch):
    monkeypatch.setattr(local, "GRACE_SECONDS", 0.3)
    with pytest.raises(Stopped):
        listen(job, "silent", stop=(home.root / "worker.pid").exists)
    assert not lives(home)


@pytest.mark.parametrize("stops", [False, True], ids=["while it trains", "while it stops"])
@pytest.mark.parametrize("manner", ["go on", "silent"])
def test_a_worker_whose_studio_is_killed_does_not_live_on(job, home, manner, stops):
    studio_that_dies(job, manner, stops)
    wait_until(lambda: not lives(home))


def test_a_worker_whose_studio_is_killed_saves_its_student(job, home):
    studio_that_dies(job, "go on", stops=False)
    wait_until(lambda: (home.root / "saved").exists())


def studio_that_dies(job, manner, stops):
    """Another process that runs the job, asks to stop or not when it has heard an event, and is killed soon after."""
    script = (
        "import os, signal, sys, threading; from studio.executors import local; from studio.pipeline.job import Job\n"
        "job, heard = Job.model_validate_json(sys.argv[1]), []\n"
        "die = threading.Timer(0.6, os.kill, (os.getpid(), signal.SIGKILL))\n"
        f"for event in local.execute(job, lambda: {stops} and heard, command=sys.argv[2:]):\n"
        "    heard or die.start(); heard.append(event)\n"
    )
    died = subprocess.run([sys.executable, "-c", script, job.model_dump_json(), *command(manner)], check=False)
    assert died.returncode in (-signal.SIGKILL, 1), "it was killed, or the run had been stopped before"


def lives(home) -> bool:
    """Whether the worker of this test still runs; it wrote its number down."""
    number = int((home.root / "worker.pid").read_text())
    return psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_the_real_worker_carries_a_whole_run_and_keeps_its_stream_clean(job, home, monkeypatch):
    said = list(local.execute(job, never))
    assert isinstance([one for one in said if one.kind != "device_use"][-2], events.Verdict)
    assert home.model(1, "student").is_dir()


def test_the_real_worker_stops_in_the_middle_and_saves_its_student(job, home):
    job = job.model_copy(update={"config": with_values(job.config, epochs=500)})
    said = []
    with pytest.raises(Stopped):
        for event in local.execute(job, lambda: any(one.kind == "metrics" and one.phase == "distill" for one in said)):
            said.append(event)
    assert (home.model(1, "student") / "model.safetensors").is_file()


def test_the_real_worker_tells_a_persons_error_in_words(job, home):
    job = job.model_copy(update={"config": with_values(job.config, teacher="folder:/nowhere")})
    with pytest.raises(ModelError, match="no folder /nowhere"):
        list(local.execute(job, never))


def test_a_worker_listens_before_it_opens_torch():
    script = "import sys; import studio.executors.worker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_what_a_run_does_opens_neither_scikit_learn_nor_scipy_stats():
    script = "import sys, studio.pipeline.distill; print({'sklearn', 'scipy.stats'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n", "both take seconds, and a person waits for the first point"
