"""The studio's interface for programs, below /api: runs, and answers of their models."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from studio import tasks
from studio.errors import AccessError, StoreError
from studio.home import Home
from studio.serve import requests
from studio.serve.answers import UnknownTokenError, application, told
from studio.serve.batching import Batcher
from studio.serve.bodies import Bodies
from studio.serve.openapi import Operation, document
from studio.service import playground, tokens
from studio.service.people import Person
from studio.store.rows import RunRow
from studio.store.run_list import Wanted
from studio.store.store import Store

MOST_LISTED = 100
LARGEST_ID = 2**63 - 1
SCHEME = "bearer "
_REFUSED = {401: "The token is missing or does not work.", 403: "The token's role does not allow it."}
OPERATIONS = (
    Operation("GET", "/runs", "List runs.", requests.Runs, _REFUSED,
              query=(("limit", f"At most so many, up to {MOST_LISTED}."), ("skip", "Without the first so many."))),
    Operation("GET", "/runs/{run}", "Show a run.", requests.WholeRun, _REFUSED | {404: "There is no such run."}),
    Operation("POST", "/runs/{run}/predict", "Ask a model of a run.", requests.RunAnswers, body=requests.Asking,
              errors=_REFUSED | {
                  404: "There is no such run.", 409: "The run has no such model yet.",
                  413: "Too much at once: the message names the limit.", 422: "The request cannot be read.",
                  429: "Too much waits already.", 503: "The models gave no answer.",
              }),
)  # fmt: skip

Who = Callable[[Request], Person | None]
"""Who sends a request without a token; None for a stranger."""


class Interface:
    """One server's interface: its home, and who may ask without a token."""

    def __init__(self, home: Home, who: Who) -> None:
        self.home, self.who = home, who
        self.store = Store(home.database)
        self.batcher, self.bodies = Batcher(self._answer), Bodies()
        self._tasks: dict[int, str] = {}

    async def runs(self, request: Request) -> Response:
        await self._person(request)
        limit = min(_number(request, "limit") or MOST_LISTED, MOST_LISTED)
        skip = _number(request, "skip") or 0
        found = await run_in_threadpool(self._runs_after, skip, limit + 1)
        more = skip + limit if len(found) > limit else None
        return told(requests.Runs(runs=found[:limit], next=more))

    async def run(self, request: Request) -> Response:
        await self._person(request)
        return told(await run_in_threadpool(self._whole, _run_id(request)))

    async def predict(self, request: Request) -> Response:
        person, run_id = await self._person(request), _run_id(request)
        task = self._tasks[run_id] if run_id in self._tasks else await run_in_threadpool(self._task, run_id)
        if tasks.get(task).modality == "image" and not person.has("member"):
            raise AccessError("A viewer brings no images.", "Use a token of a member.")
        async with self.bodies.read(request) as written:
            asked, values = await requests.read(requests.Asking, written, task)
            found = await self.batcher.ask((run_id, asked.model, asked.probabilities), values)
        return told(requests.RunAnswers(
            run=run_id, model=asked.model, answers=[answer for answer, _ in found],
            probabilities=[shares for _, shares in found] if asked.probabilities else None,
        ))  # fmt: skip

    async def _person(self, request: Request) -> Person:
        """Who asks; raises `UnknownTokenError` for a stranger."""
        written = request.headers.get("authorization")
        if written is None:
            person = self.who(request)
            if person is None:
                raise UnknownTokenError(
                    "This needs a token.", "Make one on Settings, and send it: Authorization: Bearer TOKEN."
                )
            return person
        if not written.lower().startswith(SCHEME):
            raise UnknownTokenError("Only bearer tokens are known.", "Send Authorization: Bearer TOKEN.")
        try:
            return await run_in_threadpool(tokens.person, self.store, written[len(SCHEME) :].strip())
        except AccessError as error:
            raise UnknownTokenError(error.message, error.cure) from error

    def _answer(self, whom: Any, values: list[Any]) -> list[Any]:
        run_id, role, shares = whom
        found = playground.shared(self.home.root).batch(self.store, run_id, role, values, shares)
        return list(zip(found.answers, found.shares if shares else [{}] * len(values), strict=True))

    def _task(self, run_id: int) -> str:
        """It never changes, and is looked up once."""
        if run_id not in self._tasks:
            self._tasks[run_id] = self.store.dataset_by_id(self.store.run(run_id).dataset_id).task
        return self._tasks[run_id]

    def _runs_after(self, skip: int, limit: int) -> list[requests.Run]:
        found = self.store.find_runs(Wanted(archived=True), limit, skip)
        return [requests.Run(**self._facts(listed.run)) for listed in found]

    def _facts(self, run: RunRow) -> dict[str, Any]:
        config = run.config
        return {
            "id": run.id, "status": run.status, "dataset": config.dataset, "task": self._task(run.id),
            "teacher": config.teacher, "student": config.student, "outcome": run.outcome, "verdict": run.verdict,
            "models": playground.asked_roles(self.home, self.store, run.id) if self._can_answer(run) else [],
        }  # fmt: skip

    def _can_answer(self, run: RunRow) -> bool:
        return self.home.model(run.id, "student").is_dir()

    def _whole(self, run_id: int) -> requests.WholeRun:
        run = self.store.run(run_id)
        results = [
            requests.Result(model=evaluation.role, split=evaluation.split, measure=evaluation.metric,
                            value=evaluation.value, low=evaluation.low, high=evaluation.high, rows=evaluation.n)
            for evaluation in map(tasks.reported, self.store.evaluations(run_id))
        ]  # fmt: skip
        return requests.WholeRun(
            **self._facts(run), labels=self.store.dataset_by_id(run.dataset_id).labels,
            config=run.config.model_dump(mode="json"), cautions=[caution.sentence for caution in run.cautions],
            results=results,
        )  # fmt: skip


def _run_id(request: Request) -> int:
    written = str(request.path_params["run"])
    number = _counted(written)
    if number is None:
        raise StoreError(f"There is no run {written[:30]!r}.", "GET /api/runs lists them.")
    return number


def _number(request: Request, name: str) -> int | None:
    written = request.query_params.get(name)
    number = None if written is None else _counted(written)
    if written is not None and number is None:
        raise requests.wrong_number(name, written)
    return number


def _counted(written: str) -> int | None:
    """The number; None where it is none from 1 to `LARGEST_ID`.

    >>> _counted("7"), _counted("0"), _counted("-1"), _counted("9" * 19), _counted("0" * 12 + "9" * 19)
    (7, None, None, None, None)
    """
    number = int(written) if written.isdecimal() and len(written) <= len(str(LARGEST_ID)) else 0
    return number if 0 < number <= LARGEST_ID else None


def interface(home: Home, who: Who, at: str = "/api") -> Starlette:
    """The application to mount at this path. It opens the store with the first request."""
    opened = functools.cache(lambda: Interface(home, who))

    def handler(name: str) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            answer: Response = await getattr(opened(), name)(request)
            return answer

        return handle

    async def openapi(_: Request) -> Response:
        return JSONResponse(document("Distillation Studio", OPERATIONS, at, token=True))

    methods = ("runs", "run", "predict")
    return application([
        *(Route(operation.path, handler(name), methods=[operation.method])
          for operation, name in zip(OPERATIONS, methods, strict=True)),
        Route("/openapi.json", openapi),
    ])  # fmt: skip
