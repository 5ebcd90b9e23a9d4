"""What can be asked over HTTP, told in the form that programs read (OpenAPI 3.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from studio import __version__
from studio.serve.requests import Problem


@dataclass(frozen=True)
class Operation:
    """One thing that can be asked. `errors`: the statuses it may answer with, and when."""

    method: str
    path: str
    summary: str
    answer: type[BaseModel]
    errors: Mapping[int, str]
    body: type[BaseModel] | None = None
    query: Sequence[tuple[str, str]] = ()


def document(title: str, operations: Sequence[Operation], server: str, token: bool) -> dict[str, Any]:
    """The whole document; `token`: whether a token may or must be sent."""
    models: set[type[BaseModel]] = {
        Problem,
        *(operation.answer for operation in operations),
        *(operation.body for operation in operations if operation.body),
    }
    ordered = sorted(models, key=lambda model: model.__name__)
    # requests and answers are one form: what has a default may be left out of either
    _, schemas = models_json_schema([(model, "validation") for model in ordered],
                                    ref_template="#/components/schemas/{model}")  # fmt: skip
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    components: dict[str, Any] = {"schemas": schemas["$defs"]}
    if token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": __version__},
        "servers": [{"url": server}],
        "paths": paths,
        "components": components,
        **({"security": [{"token": []}, {}]} if token else {}),
    }


def _operation(operation: Operation) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": operation.summary.rstrip(".").replace(" ", "_").lower(),
    }
    named = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    parameters = [_parameter(name, "path", "The number of a run.") for name in named]
    parameters += [_parameter(name, "query", about) for name, about in operation.query]
    if parameters:
        spec["parameters"] = parameters
    if operation.body is not None:
        spec["requestBody"] = {"required": True, "content": _json(operation.body)}
    spec["responses"] = {"200": {"description": "The answer.", "content": _json(operation.answer)}} | {
        str(status): {"description": when, "content": _json(Problem)}
        for status, when in sorted(operation.errors.items())
    }
    return spec


def _parameter(name: str, place: str, about: str) -> dict[str, Any]:
    return {"name": name, "in": place, "description": about, "required": place == "path",
            "schema": {"type": "integer", "minimum": 1}}  # fmt: skip


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}
