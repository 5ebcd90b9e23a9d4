"""Processes that are forked from a server, and those that are started anew."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading

import pytest

from studio.executors import forkserver, launch, local

TELLS = (sys.executable, "-m", "tests.executors.fake_program")
FORKS = pytest.mark.skipif(not launch._can_fork(), reason="processes are forked on Linux without a GPU only")


@pytest.fixture(params=[pytest.param(True, marks=FORKS, id="forked"), pytest.param(False, id="anew")])
def either_way(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(launch, "_can_fork", lambda: False)


@pytest.fixture
def server(monkeypatch):
    """One of its own, which opens no library."""
    monkeypatch.setattr(launch, "SERVER", (sys.executable, "-m", "tests.executors.fake_server"))
    monkeypatch.setattr(launch, "_server", server := launch._Server())
    yield server
    if server._asked is not None:
        server._asked.close()
        assert server._process.wait(60) is not None, "a server ends when nobody can ask it any more"


@pytest.fixture
def errors():
    with tempfile.TemporaryFile() as file:
        yield file


def assert_nobody_writes_any_more(process):
    """Although its input is still open: who waits there would go on for ever."""
    reading = threading.Thread(target=process.stdout.read, daemon=True)
    reading.start()
    reading.join(20)
    is_left = reading.is_alive()
    process.stdin.close()  # ends it in any case
    reading.join(20)
    process.stdout.close()
    assert not is_left


@FORKS
def test_who_asks_comes_before_what_other_programs_need(monkeypatch):
    mine, asking = socket.socketpair(socket.AF_UNIX)
    opened = []

    def opens(name):
        opened.append(name)
        if name == "second":
            asking.close()  # now there is something to hear

    monkeypatch.setattr(forkserver, "_open", opens)
    monkeypatch.setattr(forkserver, "LATER", ("first", "second", "third"))
    assert forkserver._serve(mine) is None
    assert opened == ["first", "second"]


@pytest.mark.usefixtures("either_way")
def test_a_process_has_its_own_name_group_threads_environment_and_niceness(errors, monkeypatch):
    monkeypatch.setenv("STUDIO_TOLD", "this one")
    process = launch.Piped(TELLS, local.environment(2), errors, niceness=3)
    process.stdin.write(b"tell\n")
    process.stdin.close()
    with process.stdout:
        told = process.stdout.read().decode().splitlines()
    assert process.wait(60) == 0
    assert told == ["ready", " ".join(TELLS), f"{min(19, os.nice(0) + 3)} True 2 {{2}} this one []"]


@pytest.mark.usefixtures("either_way", "server")
@pytest.mark.parametrize(("said", "status", "errors"), [("", 0, ""), ("fail", 1, "It cannot."), ("raise", 1, "a bug")])
def test_what_a_program_ends_with_is_told(said, status, errors):
    done = launch.ask(TELLS, said + "\n", local.environment(1), 60)
    assert (done.status, done.output) == (status, "ready\n")
    assert errors in done.errors


@pytest.mark.usefixtures("either_way", "server")
def test_a_process_that_takes_too_long_is_ended(errors):
    process = launch.Piped(TELLS, local.environment(1), errors)
    process.stdin.write(b"wait\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"ready\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    assert process.poll() is None
    process.signal_group(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    process.signal_group(signal.SIGKILL)  # nobody is there any more
    process.stdin.close()
    process.stdout.close()


@FORKS
@pytest.mark.usefixtures("server")
def test_what_a_forked_process_asks_for_is_forked_by_the_same_server_and_is_as_nice(errors):
    process = launch.Piped(TELLS, local.environment(1), errors, niceness=3)
    process.stdin.write(b"another\n")
    process.stdin.close()
    with process.stdout:
        first, second = process.stdout.read().decode().split("ready")[1:]
    assert process.wait(60) == 0
    assert first.split() == second.split() == [str(launch._server._process.pid), str(min(19, os.nice(0) + 3))]


@FORKS
def test_a_process_whose_server_is_killed_is_ended_too_and_the_next_one_gets_another(server, errors):
    process = launch.Piped(TELLS, local.environment(1), errors)
    assert process.stdout.readline() == b"ready\n"
    server._process.kill()
    assert process.wait(60) == -signal.SIGKILL
    assert_nobody_writes_any_more(process)
    assert launch.ask(TELLS, "fail\n", local.environment(1), 60).status == 1


@FORKS
@pytest.mark.parametrize("status", [0, 1, os.EX_UNAVAILABLE])
def test_where_the_server_ends_before_it_forks_the_process_is_started_anew(monkeypatch, status):
    monkeypatch.setattr(launch, "_server", server := launch._Server())
    monkeypatch.setattr(launch, "SERVER", (sys.executable, "-c", f"import sys; sys.exit({status})"))
    assert launch.ask(TELLS, "fail\n", local.environment(1), 60).status == 1
    server._process.wait()
    first = server._process
    assert launch.ask(TELLS, "fail\n", local.environment(1), 60).status == 1
    assert (server._process is first) == (status > 0), "one that cannot fork is not asked again"
    server._asked.close()


@FORKS
def test_where_no_more_processes_can_be_forked_those_that_run_go_on(server, errors, monkeypatch):
    process = launch.Piped(TELLS, local.environment(1) | {"STUDIO_TEST_FORKS": "1"}, errors)
    assert process.stdout.readline() == b"ready\n"
    done = launch.ask(TELLS, "fail\n", local.environment(1), 60)
    assert done.status == 1 and "It cannot." in done.errors
    assert process.poll() is None
    process.stdin.close()
    with process.stdout:
        assert process.wait(60) == 0


@FORKS
@pytest.mark.parametrize("command", [TELLS, [sys.executable, "-c", "it is not forked"]])
def test_what_cannot_be_started_at_all_ends_with_the_reason(monkeypatch, errors, command):
    monkeypatch.setattr(launch, "_server", launch._Server())
    monkeypatch.setattr(launch, "SERVER", (sys.executable, "-c", "import sys; sys.stdin.read()"))
    started = launch.subprocess.Popen
    full = OSError(11, "Resource temporarily unavailable")

    def refuse(asked, **options):
        if asked[-1] == command[-1]:
            raise full
        return started(asked, **options)

    monkeypatch.setattr(launch.subprocess, "Popen", refuse)
    process = launch.Piped(command, local.environment(1), errors)
    assert process.wait(60) == os.EX_OSERR
    errors.seek(0)
    assert b"Resource temporarily unavailable" in errors.read()
    process.stdin.close()
    process.stdout.close()


@FORKS
def test_a_process_that_is_given_up_before_it_is_forked_ends_at_once(server, errors):
    server.start(local.environment(1))
    server._process.send_signal(signal.SIGSTOP)
    process = launch.Piped(TELLS, local.environment(1), errors)
    process.signal_group(signal.SIGTERM)
    assert process.wait(0) == -signal.SIGTERM
    server._process.send_signal(signal.SIGCONT)
    assert_nobody_writes_any_more(process)


@FORKS
def test_another_environment_gets_another_server_except_for_what_is_the_studios(server):
    server.start(local.environment(1) | {"STUDIO_HOME": "a", "HF_HOME": "b"})
    first = server._process
    server.start(local.environment(2) | {"STUDIO_HOME": "c", "HF_HOME": "b"})
    assert server._process is first
    server.start(local.environment(2) | {"STUDIO_HOME": "c", "HF_HOME": "d"})
    assert server._process is not first
    assert first.wait(60) == 0


OPENED = """
from studio.executors import launch, local
from studio.service import samples
before = launch._fixed(local.environment(1))
samples.rows_of("text", 60)
after = launch._fixed(local.environment(1))
print(sorted(name for name in before | after if before.get(name) != after.get(name)))
"""


def test_what_the_pages_open_for_a_demo_makes_the_warm_server_no_other_one():
    done = subprocess.run([sys.executable, "-c", OPENED], capture_output=True, text=True, check=True, cwd=local.PROJECT)
    assert done.stdout.strip() == "[]"
