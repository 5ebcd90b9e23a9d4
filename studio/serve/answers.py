"""How the interface for programs answers: JSON, also where something went wrong."""

import logging
from typing import Any

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from studio import errors
from studio.errors import StudioError
from studio.serve.batching import BusyError

STATUSES: dict[type[StudioError], int] = {
    BusyError: 429, errors.AccessError: 403, errors.DiskError: 503, errors.StoreError: 404, errors.LimitError: 413,
    errors.DataError: 422, errors.ConfigError: 422, errors.ModelError: 409, errors.WorkerError: 503,
}  # fmt: skip
"""The first kind that an error is of decides; any other one is a 500."""

SIGN_IN = {"WWW-Authenticate": "Bearer"}
_log = logging.getLogger(__name__)


class UnknownTokenError(errors.AccessError):
    """Who asks is not known."""


def told(answer: BaseModel) -> Response:
    """An answer as JSON."""
    return Response(answer.model_dump_json(), media_type="application/json")


def refusal(error: StudioError) -> JSONResponse:
    """An error as JSON: what is wrong, and the cure."""
    status = 401 if isinstance(error, UnknownTokenError) else next(
        (status for kind, status in STATUSES.items() if isinstance(error, kind)), 500)  # fmt: skip
    headers = {401: SIGN_IN, 429: {"Retry-After": "1"}, 503: {"Retry-After": "5"}}.get(status)
    return problem(status, type(error).__name__, error.message, error.cure, headers)


def problem(status: int, kind: str, message: str, cure: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"kind": kind, "message": message, "cure": cure}, status, headers)


def _studio_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, StudioError)
    return refusal(error)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    cure = "openapi.json says what can be asked."
    if error.status_code == 405:
        return problem(
            405, "HTTPError", f"{request.method} cannot be asked of this address.", cure, dict(error.headers or {})
        )
    return problem(error.status_code, "HTTPError", "There is nothing at this address.", cure)


def _unexpected(request: Request, error: Exception) -> Response:
    _log.exception("%s %s", request.method, request.url.path, exc_info=error)
    return problem(500, type(error).__name__, "Something unexpected happened.", "The server's log has the details.")


def application(routes: list[Route], **more: Any) -> Starlette:
    """Routes whose every answer is JSON."""
    handlers: Any = {StudioError: _studio_error, HTTPException: _http_error, Exception: _unexpected}
    return Starlette(routes=routes, exception_handlers=handlers, **more)
