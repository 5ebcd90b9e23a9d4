"""Where work on a run happens apart from the pages: what is asked of a process, and how it answers."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from studio.config.run import RunConfig
from studio.errors import StudioError
from studio.events import Failed
from studio.home import Home

Result = TypeVar("Result", bound=BaseModel)


class Job(BaseModel):
    """What a worker needs to know: the config, and where things are on disk.

    `other`: other data, on which the models of a finished run are examined; `earlier`: what those from which they were
    made had learned from; `rule`: a pattern that finds in an answer what is compared; `most_tokens`: so many are
    written at most.
    Of a run that goes on also which points of its curves were heard already, {phase/name: step}, for how many
    seconds it has been watched, and into how many parts its batches are cut since memory ran out.
    """

    model_config = ConfigDict(frozen=True)

    run_id: int
    config: RunConfig
    dataset: Path
    replay: Path | None = None
    other: Path | None = None
    earlier: tuple[Path, ...] = ()
    rule: str = ""
    most_tokens: int | None = None
    home: Home
    heard: dict[str, int] = {}
    seconds: int = 0
    parts: int = 1


class Stopped(Exception):
    """The worker ended because it was asked to; what the student learned so far is saved."""


class Answer(BaseModel, Generic[Result]):
    """How a process that was asked one thing answers: with a result, or with the error that it met."""

    result: Result | None = None
    failed: Failed | None = None

    def result_or_raise(self) -> Result:
        if self.failed is not None:
            raise self.failed.as_error()
        assert self.result is not None, "an answer is a result or an error"
        return self.result


def respond(work: Callable[[Job], Result]) -> int:
    """Read a job from standard input, do the work, print the answer as JSON; the exit status of the process."""
    job = Job.model_validate_json(sys.stdin.read())
    try:
        answer: Answer[Result] = Answer(result=work(job))
    except StudioError as error:
        answer = Answer(failed=Failed.of(error))
    print(answer.model_dump_json())
    return 0
