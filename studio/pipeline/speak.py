"""A model of this machine answers prompts before any run: a process that opens it once, reads some prompts a line, and
writes a line with their answers."""

import os
import sys
from typing import Any

from jinja2 import TemplateError

from studio import tasks
from studio.config.references import ModelReference
from studio.errors import DataError, ModelError, StudioError
from studio.events import Failed, result_of
from studio.machine import devices
from studio.models import opening
from studio.models.model import Problem, quiet
from studio.pipeline.answers import AllSpoken, Prompts, Spoken
from studio.pipeline.job import Answer
from studio.pipeline.predict import Predictor, Writing

LONGEST = 1_024
"""Tokens that are read of a prompt where a model does not say how many it can read."""


def opened(asked: Prompts) -> Predictor:
    """The config's teacher, ready to answer. Raises `ModelError` where it cannot be opened or has learned nothing."""
    if ModelReference.parse(asked.config.teacher).source == "builtin":
        raise ModelError(f"{asked.config.teacher} has learned nothing yet.", "Name a model that can write.")
    config = asked.config.model_copy(update={"max_length": LONGEST + asked.most_tokens})
    task = tasks.get(config.task or "")
    problem = Problem(task.name, [], task.unlabelled([]), config.max_length)
    model = result_of(opening.load(config.teacher, problem, asked.home, config.teacher_precision))
    device = devices.pick(config)
    model.network.to(device.torch_device).eval()
    return Predictor(config, problem, device, (model,))


def answers(asked: Prompts, teacher: Predictor) -> AllSpoken:
    """What the teacher answers. Raises `DataError` where its chat template refuses a prompt."""
    values = [_value(prompt, asked.instruction, teacher.models[0].processor) for prompt in asked.prompts]
    rows = teacher.problem.task.unlabelled(values)
    try:
        said = teacher.writings(rows, asked.temperature, asked.most_tokens, asked.seed)
    except TemplateError as error:
        raise DataError(
            f"The model's chat template refuses a prompt: {error}.", "Leave the system text out."
        ) from error
    return AllSpoken(said=[_spoken(teacher, writing) for writing in said])


def _value(prompt: str | list[dict[str, str]], instruction: str, processor: Any) -> Any:
    """A prompt as an input of the task: to be answered, or to be written on."""
    if instruction and not isinstance(prompt, str):
        raise ValueError(f"what is written on is a text, got {prompt!r:.80}")
    if instruction and not getattr(processor, "chat_template", None):
        return prompt
    return (f"{instruction}\n\n{prompt}" if instruction else prompt, "") if isinstance(prompt, str) else prompt


def _spoken(teacher: Predictor, writing: Writing) -> Spoken:
    likely = teacher.likelihoods(writing)
    return Spoken(
        text=writing.text, read=len(writing.given), written=len(writing.tokens), is_cut=writing.is_cut,
        log_probability=sum(likely) / len(likely) if likely else None,
    )  # fmt: skip


def main() -> None:
    """Until standard input is closed."""
    quiet()
    answered = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    teacher: Predictor | None = None
    for line in sys.stdin:
        asked = Prompts.model_validate_json(line)
        try:
            teacher = teacher or opened(asked)
            answer = Answer[AllSpoken](result=answers(asked, teacher))
        except StudioError as error:
            answer = Answer[AllSpoken](failed=Failed.of(error))
        print(answer.model_dump_json(), file=answered, flush=True)


if __name__ == "__main__":
    main()
