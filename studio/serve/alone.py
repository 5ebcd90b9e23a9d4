"""One student served alone: its exported zip is all that it needs, no database and no other file of the studio."""

import os
import secrets
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from studio.config.reading import parse_yaml
from studio.config.run import RunConfig
from studio.errors import AccessError, ConfigError, ExportError
from studio.machine.few_lines import keep_short
from studio.machine.neighbours import is_of_another_user, is_passed_on
from studio.serve import requests
from studio.serve.answers import UnknownTokenError, application, told
from studio.serve.batching import Batcher
from studio.serve.bodies import Bodies
from studio.serve.openapi import Operation, document

if TYPE_CHECKING:
    from studio.pipeline.predict import Predictor

TOKEN = "STUDIO_SERVE_TOKEN"  # noqa: S105  the name of a variable
LEAST_TOKEN = 20
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST_FILES, MOST_BYTES = 200, 64 * 1024**3
FOLDERS = ("", "int8", "onnx")
PREDICT = Operation("POST", "/predict", "Ask the student.", requests.Answers, body=requests.Inputs, errors={
    401: "The token is missing or does not work.", 403: "A page of another site asks.",
    413: "Too much at once: the message names the limit.",
    422: "The request cannot be read.", 429: "Too much waits already.", 409: "The model cannot answer.",
})  # fmt: skip


def unpack(file: Path, folder: Path) -> None:
    """Write what an exported zip holds into a folder. Raises `ExportError` for a file that is none."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            _require_export(file, members)
            archive.extractall(folder, members)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ExportError(f"{file} cannot be opened: {error}.", "Name a zip that the studio has exported.") from error


def _require_export(file: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    strange = next((name for name in names if name.rpartition("/")[0] not in FOLDERS or "\\" in name), None)
    if strange is not None or not {"config.json", "config.yaml"} <= set(names):
        reason = f"it holds {strange!r}" if strange else "it has no config.json and config.yaml"
        raise ExportError(f"{file} is no exported student: {reason}.", "Name a zip that the studio has exported.")
    if len(members) > MOST_FILES or sum(member.file_size for member in members) > MOST_BYTES:
        raise ExportError(f"{file} is larger than any exported student.", "Name a zip that the studio has exported.")


class Student:
    """An exported student, opened: in int8 where its plan ended with that."""

    def __init__(self, folder: Path) -> None:
        from studio.pipeline import predict  # it opens torch

        self.config: RunConfig = parse_yaml((folder / "config.yaml").read_text(encoding="utf-8"))
        self.predictor: Predictor = predict.open_exported(folder, self.config)
        self._answering = threading.Lock()

    @property
    def task(self) -> str:
        return self.predictor.problem.name

    def answer(self, shares: Any, values: list[Any]) -> list[tuple[dict[str, Any], dict[str, float]]]:
        with self._answering:
            answers, found = self.predictor.batch(values, shares)
        return list(zip(answers, found or [{}] * len(values), strict=True))


def student_application(student: Student, address: str, token: str | None) -> Starlette:
    """The routes of one student. Raises `ConfigError` where others reach it and no token guards it."""
    if address not in LOOPBACK and token is None:
        raise ConfigError(
            f"The student would be open to a network at {address}.",
            f"Set {TOKEN} to a token of at least {LEAST_TOKEN} characters, or leave the address out.",
        )
    if token is not None and len(token) < LEAST_TOKEN:
        raise ConfigError(f"{TOKEN} has {len(token)} characters.", f"Use at least {LEAST_TOKEN}.")
    batcher, bodies = Batcher(student.answer), Bodies()

    async def predict(request: Request) -> Response:
        _require_program(request)
        _require_asker(request, token)
        async with bodies.read(request) as written:
            asked, values = await requests.read(requests.Inputs, written, student.task)
            found = await batcher.ask(asked.probabilities, values)
        return told(requests.Answers(
            model="student", answers=[answer for answer, _ in found],
            probabilities=[shares for _, shares in found] if asked.probabilities else None,
        ))  # fmt: skip

    async def openapi(_: Request) -> Response:
        return JSONResponse(document("A distilled student", [PREDICT], "/", token=token is not None))

    async def health(request: Request) -> Response:
        if not _may_ask(request, token):
            return JSONResponse({"status": "ok"})  # its labels may tell whose it is
        return JSONResponse({"status": "ok", "task": student.task, "labels": student.predictor.problem.labels})

    hosts = [Middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, "[::1]"])] if address in LOOPBACK else []
    return application(
        [Route("/predict", predict, methods=["POST"]), Route("/openapi.json", openapi), Route("/health", health)],
        middleware=hosts,
    )


def _require_program(request: Request) -> None:
    """Raise `AccessError` for a page of another site, which a browser lets ask whatever server it can reach."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise AccessError("A page of another site asks for this.", "Ask from a program.")


def _may_ask(request: Request, token: str | None) -> bool:
    """Whether the token comes along; where there is none, whether it is no other user of this machine, and no proxy."""
    if token is None and is_passed_on(request.headers):
        return False
    if token is None:
        client, server = request.scope.get("client"), request.scope.get("server")
        return not (client and server and is_of_another_user(tuple(client), tuple(server)))
    scheme, _, written = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and secrets.compare_digest(written.strip().encode(), token.encode())


def _require_asker(request: Request, token: str | None) -> None:
    """Raise `UnknownTokenError`, or `AccessError` where no token is set, for who may not ask."""
    if _may_ask(request, token):
        return
    if token is None:
        who = "A proxy" if is_passed_on(request.headers) else "Another user of this machine"
        raise AccessError(f"{who} asks for this.", f"Serve it with a token in {TOKEN}.")
    raise UnknownTokenError("The token is missing or does not work.", "Send Authorization: Bearer TOKEN.")


def serve(student: Student, port: int, address: str) -> None:
    """Serve the student until Ctrl-C."""
    import uvicorn

    app = student_application(student, address, os.environ.get(TOKEN) or None)
    keep_short("uvicorn.error")
    uvicorn.run(app, host=address, port=port, log_level="warning", proxy_headers=False)
