"""What a run will cost, measured before it starts: a few steps on a few rows, in a process of its own."""

import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from studio.config import plan
from studio.config.references import ModelReference
from studio.pipeline.answers import Estimate
from studio.pipeline.job import Job, respond

SAMPLE_ROWS = 2_000
TIMED_STEPS = 3
START_SECONDS = 6.0
"""About what every run spends on starting its process and opening libraries."""


def measure(job: Job) -> Estimate:
    """Open or build the models, time a few steps on rows of the data set, and add up."""
    from studio.data.folder import load
    from studio.home import Home
    from studio.machine import devices, memory
    from studio.models import constraints
    from studio.models.model import Problem, parameters, quiet
    from studio.pipeline import prepare as preparation

    quiet()
    config = job.config
    dataset = load(Path(job.dataset))
    rows = dataset.dict["train"]
    old = 0 if job.replay is None else len(load(Path(job.replay)).dict["train"])
    sample = rows.shuffle(seed=0).select(range(min(SAMPLE_ROWS, len(rows))))
    device = devices.pick(config)
    missing = [
        one for one in (config.teacher, *config.more_teachers, *config.assistants, config.student) if _not_here(one)
    ]
    if missing:
        names = " and ".join(missing)
        return Estimate(
            device=device.name, notes=[f"{names} will be downloaded first; sizes and time are known after that."]
        )
    problem = Problem(dataset.task, dataset.labels, sample, config.max_length, dataset.multi_label)
    context = preparation.RunContext(config, job.run_id, Home(Path(job.home)), dataset, None, problem, device)
    models = preparation.opened(context)
    preparation.check(context, models)
    student = preparation.rehearse(context, models)
    network = getattr(student.network, "source", student.network)  # of a student in ONNX: what it is made from
    learner = replace(student, network=constraints.without_rules(network))
    seconds = _seconds(config, models, learner, _encode(learner, problem), problem, device, len(rows) + old)
    needed = memory.peak_bytes() + preparation.data_bytes(context, learner)
    if device.torch_device.type == "cpu":
        memory.require(needed, device.torch_device, "This run", held=memory.held_bytes())
    return Estimate(
        teacher_parameters=sum(parameters(one.network) for one in models.teachers),
        student_parameters=parameters(student.network),
        teacher_is_taught=not all(one.knows_labels for one in models.teachers),
        seconds=seconds,
        memory_bytes=needed,
        notes=[] if config.devices == 1 else [f"Measured on one of the {config.devices} devices."],
        device=device.name,
    )


def _seconds(config: Any, models: Any, student: Any, inputs: Any, problem: Any, device: Any, rows: int) -> float:
    """The time of all phases; what they do apart from training and reading is in `START_SECONDS`."""
    from studio.distill import objective
    from studio.pipeline import prepare as preparation

    epoch = math.ceil(rows / config.batch_size)
    views = min(config.views, config.epochs) if config.augment else 1
    seconds = START_SECONDS
    reading = 0.0
    for teacher in models.teachers:
        read = _encode(teacher, problem)
        reading += _seconds_to_read(teacher, read, device)
        if not teacher.knows_labels:
            seconds += config.teacher_epochs * epoch * _seconds_a_step(teacher, read, device, config.batch_size)
    seconds += views * rows * reading
    live = rows * reading / epoch if objective.is_deep(config.terms) else 0.0
    lives = len(config.assistants) + 1 if config.chain == "shrinking" else 1
    step = _seconds_a_step(student, inputs, device, config.batch_size)
    share = 1.1 if config.auto else 1.0
    epochs = plan.learning_epochs(config.steps, config.epochs)
    seconds += epoch * (epochs * share * (step + live) + config.hard_epochs * step)
    if config.control:
        seconds += epoch * step * (epochs + config.epochs * (lives - 1) + config.hard_epochs)
    for reference, model in zip(config.assistants, models.line, strict=False):
        assistant = model or preparation.cut(reference, models.teachers[0])
        own = _seconds_a_step(assistant, _encode(assistant, problem), device, config.batch_size)
        seconds += epoch * config.epochs * (own + live)
    return seconds


def _encode(model: Any, problem: Any) -> Any:

    few = problem.rows.select(range(min(len(problem.rows), 512)))
    return problem.task.encode(few, model.processor, model.network.config, problem.max_length)


def _seconds_a_step(model: Any, inputs: Any, device: Any, batch_size: int) -> float:
    """Forward, backward and update of one batch; the first step warms up and does not count."""
    import torch

    network = model.network.to(device.torch_device).train()
    inputs = inputs.to(device.torch_device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.0, fused=True)
    order = torch.argsort(inputs.lengths.cpu(), stable=True)
    middle = order[max(0, len(order) // 2 - batch_size // 2) :][:batch_size].to(device.torch_device)
    start = 0.0
    for step in range(TIMED_STEPS + 1):
        start = time.perf_counter() if step == 1 else start
        with device.autocast():
            loss = network(**inputs.batch(middle)).logits.float().logsumexp(-1).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
    return (time.perf_counter() - start) / TIMED_STEPS


def _seconds_to_read(model: Any, inputs: Any, device: Any) -> float:
    """A row's share of a forward pass without gradients."""
    from studio.distill import teacher_outputs as teacher

    model.network.to(device.torch_device)
    start = time.perf_counter()
    for _ in teacher.logits(model, inputs.to(device.torch_device), device, lambda done: None):  # type: ignore[arg-type,return-value]
        pass
    return (time.perf_counter() - start) / len(inputs)


def _not_here(reference: str) -> bool:
    """Whether a hub model would have to be downloaded."""
    from studio.models import hub

    wanted = ModelReference.parse(reference)
    return wanted.source == "hub" and not hub.is_here(wanted.name)


if __name__ == "__main__":
    sys.exit(respond(measure))
