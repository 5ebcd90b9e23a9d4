"""Questions that take seconds, asked beside the page: it is there at once, and shows the answer when it comes."""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import streamlit as st

from pages._studio import get_home, get_store
from studio.config.run import RunConfig
from studio.errors import StoreError
from studio.pipeline.answers import Estimate, Sizes
from studio.service import questions
from studio.store.rows import DatasetRow

MOST_ANSWERS = 50


class Asked:
    """Answers by what was asked. One question of a kind waits at most: a newer one takes its place."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._answers: dict[tuple[str, str], Future[Any]] = {}
        self._asking = threading.Lock()

    def ask(self, kind: str, about: str, question: Callable[[], Any]) -> Future[Any]:
        """The answer, now or later."""
        with self._asking:
            known = self._answers.get((kind, about))
            if known is not None and not known.cancelled():
                return known
            for (other, _), waiting in self._answers.items():
                if other == kind:
                    waiting.cancel()
            self._answers = dict(list(self._answers.items())[-MOST_ANSWERS:])
            self._answers[kind, about] = self._executor.submit(question)
            return self._answers[kind, about]


@st.cache_resource(show_spinner=False)
def _asked() -> Asked:
    return Asked(ThreadPoolExecutor(2, thread_name_prefix="asked"))


def rows_of(config: RunConfig) -> str:
    """Which rows the name of the data stands for now: it can be given to other data; "" where it is no data's."""
    with contextlib.suppress(StoreError):  # it is told in answer to the question itself
        return get_store().dataset(config.dataset).fingerprint
    return ""


def estimate(config: RunConfig) -> Future[Estimate]:
    """What a run will cost."""
    home, store = get_home(), get_store()
    about = f"{home.root} {rows_of(config)} {config.model_dump_json()}"
    return _asked().ask("estimate", about, lambda: questions.estimate(home, store, config))


def sizes(dataset: DatasetRow, teacher: str) -> Future[Sizes]:
    """How large and how fast the built-in models are for this data, and this teacher with what can be cut from it."""
    home, store = get_home(), get_store()
    config = RunConfig(dataset=dataset.name, teacher=teacher, student=teacher)
    kind = "sizes" if config.teacher.startswith("builtin/") else "sizes of a teacher"
    about = f"{home.root} {dataset.fingerprint} {teacher if kind != 'sizes' else ''}"
    return _asked().ask(kind, about, lambda: questions.sizes(home, store, config))
