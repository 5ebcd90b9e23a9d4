"""What is asked of a run before it starts."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from studio.config.reading import parse_config
from studio.errors import ModelError, WorkerError
from studio.executors.launch import Done
from studio.machine.identity import new_owner
from studio.service import questions
from studio.service.questions import estimate
from studio.service.runs import carry
from tests.conftest import TINY, here


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


def test_who_asks_while_enough_processes_answer_waits_for_a_turn(store, home, saved, monkeypatch):
    begun = threading.Event()

    def answered(command, line, environment, seconds):
        begun.set()
        return Done(1, "", "no answer")

    monkeypatch.setattr(questions.launch, "ask", answered)
    config = parse_config({"dataset": "reviews", **TINY})
    with ThreadPoolExecutor(1) as other, contextlib.ExitStack() as turns:
        for _ in range(questions.AT_ONCE):
            turns.enter_context(questions._turns)
        waiting = other.submit(estimate, home, store, config)
        assert not begun.wait(0.5)
        turns.close()
        with pytest.raises(WorkerError, match="no answer"):
            waiting.result()
    assert begun.is_set()
