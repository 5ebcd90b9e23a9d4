"""Dynamic batching: what programs ask while a model works is put together into its next batch."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool

from studio.errors import DataError, StudioError

Answer = Callable[[Any, list[Any]], Sequence[Any]]
"""(whom, values) -> an answer for each value; called in a thread."""

MOST_ROWS = 64
"""Rows of a batch. More waits for the next one, so that nobody waits for somebody's thousand rows."""

AT_ONCE = 2
"""While a model answers one batch, the next one is made ready, and waits at its door."""

NEARLY = 0.8
"""It is sent there when this share is over of the time that the batch before took: until then, more comes into it."""


class BusyError(StudioError):
    """More is asked at once than can wait."""


@dataclass(frozen=True)
class _Waiting:
    whom: Hashable
    values: list[Any]
    answers: "asyncio.Future[list[Any]]"


class Batcher:
    """Puts together values for the same model, oldest first; at most `most_waiting` rows wait."""

    def __init__(self, answer: Answer, most_rows: int = MOST_ROWS, most_waiting: int = 4096) -> None:
        self.answer, self.most_rows, self.most_waiting = answer, most_rows, most_waiting
        self._waiting: deque[_Waiting] = deque()
        self._working: set[asyncio.Task[None]] = set()
        self._answering = 0
        self._begun, self._took = 0.0, 0.0
        self._changed = asyncio.Event()

    async def ask(self, whom: Hashable, values: list[Any]) -> list[Any]:
        """The answers to the values in their order. Raises `BusyError`, and what `answer` raises."""
        if sum(len(request.values) for request in self._waiting) + len(values) > self.most_waiting:
            raise BusyError(f"More than {self.most_waiting:,} rows wait already.", "Ask again in a second.")
        parts = [values[start : start + self.most_rows] for start in range(0, len(values), self.most_rows)]
        asked = [_Waiting(whom, part, asyncio.get_running_loop().create_future()) for part in parts]
        self._waiting.extend(asked)
        self._changed.set()
        if len(self._working) < AT_ONCE:
            task = asyncio.create_task(self._work())
            self._working.add(task)
            task.add_done_callback(self._working.discard)
        answers = await asyncio.gather(*(request.answers for request in asked))
        return [answer for some in answers for answer in some]

    async def _work(self) -> None:
        await self._gather()
        while batch := self._next():
            await self._answer(batch)
            await self._gather()

    async def _gather(self) -> None:
        """Wait while the model is busy and the batch can grow."""
        while self._answering and sum(len(request.values) for request in self._waiting) < self.most_rows:
            left = self._begun + NEARLY * self._took - time.monotonic()
            if left <= 0:
                return
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        """A model begins with a batch when it has answered the one before."""
        if not self._answering:
            self._begun = time.monotonic()
        self._answering += 1
        try:
            yield
        finally:
            now = time.monotonic()
            self._begun, self._took = now, now - self._begun
            self._answering -= 1
            self._changed.set()

    def _next(self) -> list[_Waiting]:
        """What is asked of the model that somebody has waited for longest, as much as one batch holds."""
        # whoever has gone wants nothing
        self._waiting = deque(request for request in self._waiting if not request.answers.done())
        batch: list[_Waiting] = []
        rows = 0
        for request in self._waiting:
            if batch and (request.whom != batch[0].whom or rows + len(request.values) > self.most_rows):
                continue
            batch.append(request)
            rows += len(request.values)
        chosen = set(map(id, batch))
        self._waiting = deque(request for request in self._waiting if id(request) not in chosen)
        return batch

    async def _answer(self, batch: list[_Waiting]) -> None:
        try:
            with self._timed():
                answers = await run_in_threadpool(
                    self.answer, batch[0].whom, [v for request in batch for v in request.values]
                )
        except DataError as error:
            await self._one_by_one(batch, error)
        except Exception as error:  # noqa: BLE001  whatever it is, those who wait must hear of it
            _fail(batch, error)
        else:
            place = 0
            for request in batch:
                _settle(request, list(answers[place : place + len(request.values)]))
                place += len(request.values)

    async def _one_by_one(self, batch: list[_Waiting], error: DataError) -> None:
        """An input that cannot be read is the fault of one of those who ask, not of all."""
        if len(batch) == 1:
            return _fail(batch, error)
        for request in batch:
            await self._answer([request])


def _settle(request: _Waiting, answers: list[Any]) -> None:
    if not request.answers.done():
        request.answers.set_result(answers)


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for request in batch:
        if not request.answers.done():
            request.answers.set_exception(error)
