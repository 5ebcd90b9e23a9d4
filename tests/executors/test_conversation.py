"""A process that is asked by several threads at once."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from studio.errors import WorkerError
from studio.executors.conversation import Conversation

ECHO = "import sys\nfor line in sys.stdin: print('said ' + line, end='', flush=True)"
MORTAL = """
import sys, time
for line in sys.stdin:
    if line == 'die\\n':
        time.sleep(0.5)
        raise SystemExit(3)
    print('said ' + line, end='', flush=True)
"""
AHEAD = """
import sys
first, second = sys.stdin.readline(), sys.stdin.readline()
print(f'{second.strip()} was here before {first.strip()} was answered', flush=True)
print('then ' + second, end='', flush=True)
"""


@pytest.fixture
def talk(tmp_path):
    """A conversation with this little program."""
    begun = []

    def with_program(code, seconds=20.0, idle=60.0):
        begun.append(Conversation((sys.executable, "-c", code), tmp_path / "log", "part", seconds, idle))
        return begun[-1]

    yield with_program
    for one in begun:
        one.close()


def nothing(part):
    raise AssertionError(part)


def test_everybody_hears_the_answer_to_his_own_question(talk):
    echo = talk(ECHO)
    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(lambda number: echo.ask(f"question {number}", nothing), range(200)))
    assert said == [f"said question {number}\n" for number in range(200)]


def test_the_next_question_is_in_the_pipe_before_the_one_before_is_answered(talk):
    ahead = talk(AHEAD)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(ahead.ask, "one", nothing)
        while ahead._process is None:
            pass
        second = threads.submit(ahead.ask, "two", nothing)
        assert "was here before" in first.result(20)
        assert second.result(20).startswith("then ")


def test_a_question_behind_one_that_ends_the_process_is_asked_again(talk):
    mortal = talk(MORTAL)
    with ThreadPoolExecutor(3) as threads:
        fatal = threads.submit(mortal.ask, "die", nothing)
        while mortal._process is None:
            pass
        others = [threads.submit(mortal.ask, f"live {number}", nothing) for number in range(2)]
        with pytest.raises(WorkerError, match="their process ended"):
            fatal.result(20)
        assert [one.result(20) for one in others] == ["said live 0\n", "said live 1\n"]


def test_who_stops_hearing_leaves_no_parts_to_the_next(talk):
    parts = talk("import sys\nfor line in sys.stdin: print('part of ' + line + 'whole ' + line, end='', flush=True)")

    def leave(part):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        parts.ask("mine", leave)
    heard = []
    assert parts.ask("yours", heard.append) == "whole yours\n"
    assert heard == ["part of yours\n"]


def test_the_process_ends_when_nobody_asks_and_begins_again(talk):
    idle = talk(ECHO, idle=0.1)
    assert idle.ask("one", nothing) == "said one\n"
    process = idle._process
    assert process is not None
    process.wait(60)
    assert idle.ask("two", nothing) == "said two\n"
