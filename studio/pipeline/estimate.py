"""What a run will cost, measured before it starts: a few steps on a few rows, in a process of its own."""

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from studio import tasks
from studio.config.references import ModelReference
from studio.config.run import RunConfig
from studio.data.folder import drawn, load
from studio.distill import objective, optimizers, own_texts, teacher_outputs
from studio.events import Progress, result_of
from studio.machine import devices, memory
from studio.models import constraints, features, hub, onnx
from studio.models.model import Model, Problem, parameters, quiet
from studio.pipeline import prepare, recorded, teacher_check, writing_cost
from studio.pipeline.answers import Estimate
from studio.pipeline.job import Job, respond
from studio.pipeline.prepare import Models, RunContext
from studio.pipeline.timetable import Stage, counted, like, timetable
from studio.pipeline.writing_cost import Round
from studio.tasks import Encoded
from studio.tasks.encoded_tokens import EncodedTokens

SAMPLE_ROWS = 2_000
TIMED_ROWS = 512
TIMED_STEPS = 3
CHECKED_ROWS = 500
"""At most so many validation rows tell how good a teacher is before anything starts."""
START_SECONDS = 6.0
"""About what every run spends on starting its process, opening libraries, and on the final evaluation."""


@dataclass(frozen=True)
class Pace:
    """Of one model: seconds for a correction of its weights, and to read a row; what a round takes where it writes its
    own texts. 0 where the run has it do no such thing."""

    step: float = 0.0
    row: float = 0.0
    round: Round = Round()  # noqa: RUF009


def measure(job: Job) -> Estimate:
    """Open or build the models, time a few steps on rows of the data set, and add up."""
    quiet()
    onnx.keep_graphs(job.home.graphs)
    config = job.config
    device = devices.pick(config)
    missing = [reference for reference in config.references if _is_to_download(reference)]
    if missing:
        names = " and ".join(map(str, missing))
        note = f"{names} will be downloaded first; sizes and time are known after that."
        return Estimate(device=device.name, notes=[note])
    dataset = load(job.dataset)
    config = tasks.resolved(config, tasks.get(dataset.task, dataset.multi_label), len(dataset.labels))
    old = None if job.replay is None else load(job.replay)
    rows = dataset.dict["train"]
    sample = drawn(rows, SAMPLE_ROWS)
    problem = Problem(dataset.task, dataset.labels, sample, config.max_length, dataset.multi_label)
    context = RunContext(config, job.run_id, job.home, dataset, old, problem, device)
    models = prepare.opened(context)
    prepare.check(context, models)
    student = prepare.rehearse(context, models)
    network = getattr(student.network, "source", student.network)  # of a student in ONNX: what it is made from
    learner = replace(student, network=constraints.without_rules(network))
    counts = prepare.counts(context, models.teachers[0])
    stages = timetable(config, counts, [teacher.knows_labels for teacher in models.teachers])
    is_taught = not all(teacher.knows_labels for teacher in models.teachers)
    paces = _paces(context, models, learner, stages)
    seconds = _seconds(stages, config, paces)
    whole = _whole_answers(context, models.teachers[0], counts.training)
    needed = _bytes(context, learner, paces, whole) + prepare.data_bytes(context, learner)
    if device.torch_device.type == "cpu":
        memory.require(needed, device.torch_device, "This run", held=memory.held_bytes())
    on_one = [f"Measured on one of the {config.devices} devices."] if config.devices > 1 else []
    notes, whole_length = _of_length(context, models.teachers[0])
    return Estimate(
        teacher_parameters=sum(parameters(teacher.network) for teacher in models.teachers),
        student_parameters=parameters(student.network),
        teacher_is_taught=is_taught,
        teacher=None if is_taught else teacher_check.compared(context, models.teachers, CHECKED_ROWS),
        seconds=seconds,
        memory_bytes=needed,
        notes=[*notes, *on_one],
        whole_length=whole_length,
        device=device.name,
    )


def _of_length(context: RunContext, teacher: Model) -> tuple[list[str], int | None]:
    """Of a language model: whether its rows are read whole, in sentences; the max_length that would do that."""
    if context.problem.task.kind != "token":
        return [], None
    problem, limit = context.problem, context.config.max_length
    sample = problem.task.encode(problem.rows, teacher.processor, teacher.network.config, limit)
    assert isinstance(sample, EncodedTokens)
    return list(recorded.shortened(sample, limit)), recorded.whole_length(sample, limit)


def _seconds(stages: Sequence[Stage], config: RunConfig, paces: dict[str, Pace]) -> float:
    """The time of all stages; what they do apart from training and recording is in `START_SECONDS`.

    >>> from studio.pipeline.timetable import Counts
    >>> names = {"dataset": "d", "teacher": "builtin/cnn-large", "student": "builtin/cnn-tiny"}
    >>> config = RunConfig(**names, teacher_epochs=1, epochs=2, batch_size=10)
    >>> stages = timetable(config, Counts(training=100, labelled=100, validation=10, test=10), known=[False])
    >>> paces = {"teacher": Pace(step=1.0, row=0.1), "student": Pace(step=0.5, row=0.0)}
    >>> _seconds(stages, config, paces) - START_SECONDS  # 10 steps, 100 rows, 20 steps, 20 steps
    40.0
    """
    teachers = [pace for role, pace in paces.items() if role.startswith("teacher")]
    seconds, live, is_deep = START_SECONDS, 0.0, objective.is_deep(config.terms)
    for stage in stages:
        pace = paces.get(like(stage.role), Pace())
        if stage.kind == "record":
            readers = teachers if stage.role == "teacher" else [pace]
            seconds += stage.steps * sum(reader.row for reader in readers) / len(readers)
            live = readers[0].row * config.batch_size if is_deep else 0.0
        elif stage.objective == "distillation":
            seconds += stage.steps * (pace.step + live)
            seconds += math.ceil(stage.steps / own_texts.BATCHES) * pace.round.seconds
        else:
            seconds += stage.steps * pace.step
    return seconds


def _paces(context: RunContext, models: Models, student: Model, stages: Sequence[Stage]) -> dict[str, Pace]:
    """Measured for every model of the run, by role; the student as small as its plan leaves it."""
    members = {counted("teacher", number): teacher for number, teacher in enumerate(models.teachers, start=1)}
    for number, reference in enumerate(context.config.assistants, start=1):
        members[f"assistant-{number}"] = models.line[number - 1] or prepare.cut(context, reference, models.teachers[0])
    members["student"] = student
    learning = {like(stage.role) for stage in stages if stage.steps and stage.kind != "record"}
    reading = {stage.role for stage in stages if stage.kind == "record"}
    taught = {like(stage.role) for stage in stages if stage.steps and stage.objective == "distillation"}
    writing = taught if context.config.own_texts else set()
    paces = {}
    for role, model in members.items():
        inputs = _few_rows(context, model)
        reads = role in reading or role.startswith("teacher")
        paces[role] = Pace(
            step=_seconds_a_step(model, inputs, context) if role in learning else 0.0,
            row=_seconds_a_row(model, inputs, context) if reads else 0.0,
            round=_round(context, models, model) if role in writing else Round(),
        )
    return paces


def _round(context: RunContext, models: Models, model: Model) -> Round:
    inputs = _few_rows(context, model).to(torch.device("cpu"))
    assert isinstance(inputs, EncodedTokens)
    task = context.problem.task
    return writing_cost.measured(context.config, task, model, models.teachers[0], inputs, context.device)


def _whole_answers(context: RunContext, teacher: Model, rows: int) -> int:
    """Bytes of all that a language model says of so many rows, where whole answers are kept: all are in memory once,
    before they are on disk."""
    config, task = context.config, context.problem.task
    is_less = recorded.how(config, task) is not None or recorded.by_spans(config)
    if task.kind != "token" or is_less or prepare.learns_texts_alone(config):
        return 0
    few = _few_rows(context, teacher)
    return int(few.offsets[-1]) * rows // len(few) * teacher.network.config.vocab_size * memory.BYTES


def _bytes(context: RunContext, learner: Model, paces: dict[str, Pace], answers: int) -> int:
    """The most that is held at once: while a batch is learned, of which a few were, while a round is written, beside
    all that a model holds which learns, or while so many bytes of answers are recorded."""
    held = memory.held_bytes()
    rounds = [pace.round for pace in paces.values()]
    learning = memory.peak_bytes() + max(one.learning for one in rounds)
    making = max(one.making for one in rounds)
    beside = memory.of_learning(parameters(learner.network), context.config.optimizer) if making else 0
    return max(learning, held + beside + making, held + answers)


def _few_rows(context: RunContext, model: Model) -> Encoded:
    problem = context.problem
    few = drawn(problem.rows, TIMED_ROWS)
    inputs = problem.task.encode(few, model.processor, model.network.config, problem.max_length)
    return inputs.to(context.device.torch_device)


def _seconds_a_step(model: Model, inputs: Encoded, context: RunContext) -> float:
    """Forward, backward and update of one batch; the first step warms up and does not count."""
    device, batch_size = context.device, context.config.batch_size
    network = model.network.to(device.torch_device).train()
    optimizer = optimizers.optimizer(context.config.optimizer, network.parameters(), rate=0.0)
    order = torch.argsort(inputs.lengths.cpu(), stable=True)
    middle = order[max(0, len(order) // 2 - batch_size // 2) :][:batch_size].to(device.torch_device)
    start = 0.0
    for step in range(TIMED_STEPS + 1):
        start = time.perf_counter() if step == 1 else start
        with device.autocast():
            loss = network(**features.asked(network, inputs, middle)).logits.float().logsumexp(-1).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
    return (time.perf_counter() - start) / TIMED_STEPS


def _seconds_a_row(model: Model, inputs: Encoded, context: RunContext) -> float:
    """A row's share of a forward pass without gradients."""
    model.network.to(context.device.torch_device)
    start = time.perf_counter()
    reading = teacher_outputs.logits(model, inputs, context.device, lambda done: Progress(phase="record", step=done))
    result_of(reading)
    return (time.perf_counter() - start) / len(inputs)


def _is_to_download(wanted: ModelReference) -> bool:
    return wanted.source == "hub" and not hub.is_here(wanted.name)


if __name__ == "__main__":
    sys.exit(respond(measure))
