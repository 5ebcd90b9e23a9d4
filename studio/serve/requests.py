"""What programs send: how much of it, and in which form. Limits come before the work."""

import base64
import binascii
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from studio import tasks
from studio.errors import DataError, LimitError
from studio.pipeline.answers import AskedRole
from studio.service.predict import inputs

SHORT = 8 * 1024
"""Bytes of a request about texts that are read on the spot."""

MOST_ROWS, LONGEST_TEXT, MOST_WORDS = 1_000, 20_000, 5_000


class Inputs(BaseModel):
    """Inputs for one student that is served alone."""

    model_config = ConfigDict(extra="forbid")

    inputs: list[Any] = Field(
        min_length=1, max_length=MOST_ROWS,
        description="An input a row: a text; for pairs [text, text]; for names in texts a list of words; for images "
        "the file (PNG, JPEG, BMP, WebP) in base64.",
    )  # fmt: skip
    probabilities: bool = Field(
        False, description="Also say how likely each label is, the likeliest first; {} where an answer is no choice."
    )


Kind = TypeVar("Kind", bound=Inputs)


class Asking(Inputs):
    """Inputs for a model of a run."""

    model: AskedRole = Field(
        "student", description="One of those that the run says it has. Student and control are the models that the "
        "verdict measured: in int8 where the plan ends with that; int8 is the student as the file of its export, "
        "untouched the student before it learned, baseline a linear model."
    )  # fmt: skip


class Answers(BaseModel):
    """An answer for each input, in their order."""

    model: str
    answers: list[dict[str, Any]] = Field(
        description='{"label", "score"} where a row has one class; {"labels": [{"label", "score"}]} where it has '
        'several; {"score"} for a number; {"entities": [{"type", "start", "end", "score"}]} for names in texts; '
        '{"text", "cut"} where a language model writes, cut off by its limit or not.'
    )
    probabilities: list[dict[str, float]] | None = None


class RunAnswers(Answers):
    """The answers of a model of a run."""

    run: int


class Problem(BaseModel):
    """What is wrong, and what to do about it."""

    kind: str
    message: str
    cure: str


class Run(BaseModel):
    """A run in a line."""

    id: int
    status: Literal["queued", "running", "finished", "stopped", "failed"]
    dataset: str
    task: str
    teacher: str
    student: str
    outcome: str | None
    verdict: str | None
    models: list[AskedRole] = Field(description="Those that can be asked.")


class Runs(BaseModel):
    """Runs, the newest first; `next` is the `skip` of the runs that follow, null at the end."""

    runs: list[Run]
    next: int | None


class Result(BaseModel):
    """What was measured of a model, with its 95 % interval where there is one."""

    model: str
    split: str
    measure: str
    value: float
    low: float | None
    high: float | None
    rows: int | None


class WholeRun(Run):
    """A run with its labels, settings and results."""

    labels: list[str]
    config: dict[str, Any]
    cautions: list[str]
    results: list[Result]


async def read(kind: type[Kind], written: bytes, task: str) -> tuple[Kind, list[Any]]:
    """The request, and its inputs as the task reads them: in a thread where that takes longer than to ask one. Raises
    `DataError` or `LimitError`."""

    def whole() -> tuple[Kind, list[Any]]:
        asked = parsed(kind, written)
        return asked, values(asked, task)

    is_quick = len(written) <= SHORT and tasks.get(task).modality != "image"  # to look into one may open libraries
    return whole() if is_quick else await run_in_threadpool(whole)


def parsed(kind: type[Inputs], written: bytes) -> Any:
    """The request as `kind`; raises `DataError` that names what is wrong with it."""
    try:
        return kind.model_validate_json(written)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise DataError(f"{where}: {first['msg']}.", 'Send JSON such as {"inputs": ["a text"]}.') from error


def values(asked: Inputs, task: str) -> list[Any]:
    """The inputs as the task reads them; raises `DataError` or `LimitError` that says which one is wrong."""
    if tasks.get(task).modality == "image":
        return inputs([_image(value, number) for number, value in enumerate(asked.inputs)], task)
    for number, value in enumerate(asked.inputs):
        texts = value if isinstance(value, list) else [value]
        if len(texts) > MOST_WORDS or sum(len(text) for text in texts if isinstance(text, str)) > LONGEST_TEXT:
            raise LimitError(f"Input {number} is longer than {LONGEST_TEXT:,} characters.", "Cut it.")
    return inputs(asked.inputs, task)


def _image(value: Any, number: int) -> bytes:
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise DataError(f"Input {number} is no image in base64.", "Write the bytes of the file in base64.")


def wrong_number(name: str, written: str) -> DataError:
    return DataError(f"{name} must be a number from 1, got {written[:30]!r}.", "Correct it, or leave it out.")
