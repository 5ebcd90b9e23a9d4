"""The whole way of a run, from config to verdict, as one generator of events.

It knows nothing of databases, threads or pages: whoever iterates it writes down what it says.
Closing it stops the run; what the student has learned so far is saved first.
"""

import contextlib
import copy
import functools
import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from studio import data, models, objective, tasks, training
from studio import device as devices
from studio import teacher as recording
from studio.config import UNLABELLED, ModelReference, RunConfig
from studio.device import Device
from studio.errors import ConfigError, DataError
from studio.events import Evaluation, Event, Log, Phase, PhaseFinished, PhaseStarted, Progress, Role
from studio.home import Home
from studio.models import Fit, Model
from studio.tasks import Encoded

Result = TypeVar("Result")
Steps = Generator[Event, None, Result]


@dataclass(frozen=True)
class Bench:
    """What every phase of one run works with."""

    config: RunConfig
    run_id: int
    home: Home
    dataset: data.DataSet
    fit: Fit
    device: Device

    def encode(self, split: str, model: Model) -> Encoded:
        """A split as this model reads it."""
        task = tasks.of(self.fit.task)
        rows = self.dataset.dict[split]
        return task.encode(rows, model.processor, model.network.config, self.config.max_length)


def distill(config: RunConfig, *, run_id: int, dataset: Path, home: Home) -> Iterator[Event]:
    """Carry out a run; yields events, the last one a `Verdict`.

    Saves the student, the control and a fine-tuned teacher as Hugging Face folders under `home.run(run_id)`.
    Raises a `StudioError` where it cannot go on.
    """
    models.quiet()
    bench, teacher, student = yield from _phase("prepare", _prepare(config, run_id, dataset, home))
    if not teacher.knows_labels:
        teacher = yield from _phase("teach", _teach(bench, teacher))
    if student is None:
        student = models.cut_layers(teacher, int(ModelReference.parse(config.student).name))
    inputs = bench.encode("train", student)
    targets = yield from _phase("record", _record(bench, teacher, inputs, same=student.processor is teacher.processor))
    if config.prune_ratio > 0:
        student = yield from _phase("prune", _prune(bench, student, inputs))
    control = replace(student, network=copy.deepcopy(student.network)) if config.control else None
    trained: dict[Role, Model] = {"teacher": teacher}
    trained["student"] = yield from _phase("distill", _train(bench, "student", student, inputs, targets))
    if control is not None:
        trained["control"] = yield from _phase("control", _train(bench, "control", control, inputs, None))
    yield from _phase("evaluate", _evaluate(bench, trained))


def _phase(name: Phase, body: Steps[Result]) -> Steps[Result]:
    """`body` between its start and its end; closing this closes the body."""
    yield PhaseStarted(phase=name)
    start, steps = time.perf_counter(), 0
    with contextlib.closing(body):
        while True:
            try:
                event = next(body)
            except StopIteration as stop:
                result: Result = stop.value
                break
            steps = event.step if isinstance(event, Progress) else steps
            yield event
    yield PhaseFinished(phase=name, seconds=time.perf_counter() - start, steps=steps)
    return result


def _prepare(config: RunConfig, run_id: int, folder: Path, home: Home) -> Steps[tuple[Bench, Model, Model | None]]:
    """Open the data set, the teacher and, unless it is cut from the teacher, the student."""
    device = devices.pick(config)
    yield Log(message=f"Training on {device.name} in {str(device.dtype).removeprefix('torch.')}.")
    dataset = data.load(folder)
    if config.task not in (None, dataset.task):
        raise ConfigError(f"task must be {dataset.task}, as the data set is, got {config.task}.", "")
    rows = dataset.dict["train"]
    if not any(label != UNLABELLED for label in rows["label"]):
        raise DataError("No training row has a label.", "Give at least some rows a label.")
    fit = Fit(dataset.task, dataset.labels, rows, config.max_length)
    bench = Bench(config, run_id, home, dataset, fit, device)
    sizes = ", ".join(f"{len(part):,} {name}" for name, part in dataset.dict.items())
    yield Log(message=f"Data set {dataset.name}: {sizes} rows, {len(dataset.labels)} labels.")
    devices.seed_everything(config.seed)
    teacher = yield from models.load(config.teacher, fit, home)
    yield from _introduce("Teacher", config.teacher, teacher)
    if ModelReference.parse(config.student).source == "teacher":
        return bench, teacher, None
    student = yield from models.load(config.student, fit, home)
    yield from _introduce("Student", config.student, student)
    return bench, teacher, student


def _introduce(role: str, reference: str, model: Model) -> Iterator[Log]:
    yield Log(message=f"{role} {reference}: {models.parameters(model.network):,} parameters.")
    for note in model.notes:
        yield Log(level="warning", message=note)


def _teach(bench: Bench, teacher: Model) -> Steps[Model]:
    """Fine-tune a teacher whose head does not know the labels yet."""
    yield Log(message="The teacher does not know these labels yet: it is trained on them first.")
    inputs = bench.encode("train", teacher)
    rows = _labelled(inputs)
    steps = bench.config.teacher_epochs * math.ceil(len(rows) / bench.config.batch_size)
    lesson = _lesson(bench, "teach", teacher, inputs, rows, steps)
    best = training.Best()
    yield from training.learn(lesson, bench.device, best)
    taught = replace(teacher, knows_labels=True, pretrained=True)
    return models.save(taught, bench.home.model(bench.run_id, "teacher"))


def _record(bench: Bench, teacher: Model, inputs: Encoded, same: bool) -> Steps[Tensor]:
    """The teacher's logits over all training rows, with a label or without."""
    teacher.network.to(bench.device.torch_device)
    read = inputs if same else bench.encode("train", teacher)
    folder = bench.home.teacher_outputs / recording.fingerprint(teacher, read)
    if folder.exists():
        yield Log(
            message="The teacher's answers to this data are on disk from an earlier run: they are read from there."
        )
    return (yield from recording.record(teacher, read.to(bench.device.torch_device), bench.device, folder))


def _prune(bench: Bench, student: Model, inputs: Encoded) -> Steps[Model]:
    from studio import compress  # torch-pruning takes a second to open: only for runs that prune

    before = models.parameters(student.network)
    example = inputs.batch(torch.arange(min(2, len(inputs))))
    smaller = compress.prune(student, bench.config.prune_ratio, example)
    after = models.parameters(smaller.network)
    yield Log(message=f"Pruned {bench.config.prune_ratio:.0%} of the units: {before:,} parameters became {after:,}.")
    yield Progress(phase="prune", step=1, total=1)
    return smaller


def _train(bench: Bench, role: Role, model: Model, inputs: Encoded, targets: Tensor | None) -> Steps[Model]:
    """Train the student under the teacher, or the control with the same number of steps on the labels alone.

    Closed in the middle, it saves the best weights so far before it goes.
    """
    budget = bench.config.epochs * math.ceil(len(inputs) / bench.config.batch_size)
    phase: Phase = "distill" if role == "student" else "control"
    rows = torch.arange(len(inputs)) if role == "student" else _labelled(inputs)
    lesson = _lesson(bench, phase, model, inputs, rows, budget, targets)
    best = training.Best()
    lessons = training.learn(lesson, bench.device, best)
    try:
        yield from lessons
    except GeneratorExit:
        best.restore(model.network)
        models.save(model, bench.home.model(bench.run_id, role))
        raise
    return models.save(model, bench.home.model(bench.run_id, role))


def _lesson(
    bench: Bench, phase: Phase, model: Model, inputs: Encoded, rows: Tensor, steps: int, targets: Tensor | None = None
) -> training.Lesson:
    config = bench.config
    return training.Lesson(
        phase=phase,
        model=model,
        inputs=inputs,
        rows=rows,
        teacher_logits=targets,
        validation=bench.encode("validation", model),
        objective=objective.labels_only
        if targets is None
        else objective.distillation(config.temperature, config.alpha),
        steps=steps,
        batch_size=config.batch_size,
        learning_rate=models.learning_rate(config, model, "teacher" if phase == "teach" else "student"),
        weight_decay=config.weight_decay,
        seed=config.seed,
    )


def _labelled(inputs: Encoded) -> Tensor:
    return torch.nonzero(inputs.labels != UNLABELLED).flatten()


def _evaluate(bench: Bench, trained: dict[Role, Model]) -> Steps[None]:
    """Measure all models on the test set, which nothing has read before, and on the clock."""
    from studio import evaluate  # it opens scipy.stats: at the end, so that the first point comes sooner

    found: list[Evaluation] = []
    right: dict[Role, Tensor] = {}
    inputs: dict[Role, Encoded] = {}
    for role, model in trained.items():
        model.network.to(bench.device.torch_device)
        inputs[role] = bench.encode("test", model).to(bench.device.torch_device)
        tell = functools.partial(_read, len(inputs[role]))
        logits = yield from recording.logits(model, inputs[role], bench.device, tell)
        predicted = logits.argmax(-1)
        labels = inputs[role].labels.cpu()
        right[role] = predicted == labels
        for event in evaluate.quality(role, "test", labels.numpy(), predicted.numpy(), bench.dataset.labels):
            found += [event] if isinstance(event, Evaluation) else []
            yield event
    for role, model in trained.items():
        sizes = evaluate.sizes(role, model)
        found += sizes
        yield from sizes
    latencies = evaluate.latencies({role: (trained[role], inputs[role]) for role in trained}, bench.device)
    found += latencies
    yield from latencies
    comparisons = [
        evaluate.compare("student", other, "test", right["student"].numpy(), right[other].numpy())
        for other in right
        if other != "student"
    ]
    yield from comparisons
    yield evaluate.verdict(found, next((one for one in comparisons if one.second == "control"), None))


def _read(total: int, done: int) -> Progress:
    return Progress(phase="evaluate", step=done, total=total)
