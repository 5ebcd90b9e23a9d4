"""The whole way of a run, from config to verdict, as one generator of events.

It knows nothing of databases, threads or pages: whoever iterates it writes down what it says.
Closing it stops the run; what the student has learned so far is saved first. Called again for the same run it goes the
same way, and lessons that are done, or half done, are taken up from their checkpoints: the result is that of an
unbroken run.
"""

import contextlib
import copy
import math
import shutil
import time
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from studio.config import plan
from studio.config.plan import Distill, Quantize, RoundWhileLearning
from studio.config.run import RunConfig
from studio.distill import objective, tuning
from studio.distill import transfer_set as transfer
from studio.distill.fit import fit
from studio.distill.spec import BestWeights, FitSpec
from studio.distill.transfer_set import TeacherOutputs, TransferSet, View
from studio.events import Event, Log, Phase, PhaseFinished, PhaseStarted, Progress, Role
from studio.home import Home
from studio.machine import devices
from studio.models import constraints
from studio.models.model import Model, learning_rate, parameters, quiet
from studio.pipeline import final_evaluation
from studio.pipeline import prepare as preparation
from studio.pipeline import stage_results as milestones
from studio.pipeline.final_evaluation import FinalEvaluation
from studio.pipeline.prepare import Models, RunContext

Result = TypeVar("Result")
Steps = Generator[Event, None, Result]


@dataclass(frozen=True)
class Course:
    """How the models of the line learn: from which rows, under whom, and with how many steps each."""

    context: RunContext
    rows: TransferSet
    guide: TeacherOutputs
    steps: int

    def for_epochs(self, epochs: int | None) -> "Course":
        """The same for so many epochs; None: as the run says."""
        own = self.context.config.epochs
        return replace(self, steps=round(self.steps / own * (own if epochs is None else epochs)))


def distill(
    config: RunConfig, *, run_id: int, dataset: Path, home: Home, replay: Path | None = None
) -> Iterator[Event]:
    """Carry out a run; yields events, the last one a `Verdict`.

    Saves the student, the control, assistants and fine-tuned teachers as Hugging Face folders under
    `home.run(run_id)`. `replay` is the folder of the data set that `config.replay` names.
    Raises a `StudioError` where it cannot go on.
    """
    quiet()
    context, models = yield from _phase("prepare", preparation.prepare(config, run_id, dataset, replay, home))
    teachers = yield from _teach_all(context, models)
    rows = context.transfer(context.changes(config.augment, teachers[0]), _views(config))
    guide = yield from _phase("record", _record(context, teachers, rows, "record"))
    steps = config.epochs * math.ceil(sum(map(len, rows.parts)) / config.batch_size)
    course, student, control = yield from _go_through_the_line(Course(context, rows, guide, steps), teachers, models)
    trained: dict[Role, tuple[Model, ...]] = {"teacher": teachers}
    trained["student"] = ((yield from _follow_the_plan(course, teachers, student)),)
    if control is not None:
        trained["control"] = ((yield from _follow_the_plan_alone(course, control)),)
    context.device.group.disband()
    if not context.device.group.is_first:
        return
    tests = FinalEvaluation(config, context.problem, devices.alone(context.device), context.splits)
    yield from _phase("evaluate", final_evaluation.evaluate(tests, trained))
    shutil.rmtree(context.home.checkpoints(run_id), ignore_errors=True)


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


def _counted(name: str, number: int) -> Phase:
    """`teach` for the first time, `teach-2` for the second."""
    return name if number == 1 else f"{name}-{number}"


def _views(config: RunConfig) -> int:
    return min(config.views, config.epochs) if config.augment else 1


def _teach_all(context: RunContext, models: Models) -> Steps[tuple[Model, ...]]:
    """Fine-tune every teacher whose head does not know the labels yet."""
    teachers = []
    for number, teacher in enumerate(models.teachers, start=1):
        name = _counted("teach", number)
        known = teacher.knows_labels
        teachers.append(teacher if known else (yield from _phase(name, _teach(context, teacher, number))))
    return tuple(teachers)


def _teach(context: RunContext, teacher: Model, number: int) -> Steps[Model]:
    yield Log(message="The teacher does not know these labels yet: it is trained on them first.")
    config, phase, role = context.config, _counted("teach", number), _counted("teacher", number)
    rows = context.transfer(context.changes(config.teacher_augment, teacher).without_mixing(), 1)
    labelled = transfer.labelled(rows.whole(teacher), rows.task)
    spec = FitSpec(
        phase=phase,
        model=teacher,
        task=rows.task,
        rows=labelled,
        view=lambda epoch: View(rows.whole(teacher, view=epoch + 1)),
        validation=context.validation(teacher),
        objective=objective.labels_only(rows.task),
        steps=config.teacher_epochs * math.ceil(len(labelled) / config.batch_size),
        batch_size=config.batch_size,
        learning_rate=learning_rate(config, teacher, "teacher"),
        weight_decay=config.weight_decay,
        seed=config.seed + number - 1,
        checkpoint=context.home.checkpoints(context.run_id) / f"{phase}.pt",
    )
    yield from fit(spec, context.device, BestWeights())
    taught = replace(teacher, knows_labels=True, pretrained=True)
    return context.save(taught, role)


def _record(context: RunContext, teachers: tuple[Model, ...], rows: TransferSet, phase: Phase) -> Steps[TeacherOutputs]:
    """The teachers' answers to every view of the training rows, with a label or without."""
    logits = yield from transfer.record(teachers, rows, context.device, context.home, context.config.fusion, phase)
    live = teachers[0] if objective.is_deep(context.config.terms) else None
    return TeacherOutputs(logits, live)


def _go_through_the_line(
    course: Course, teachers: tuple[Model, ...], models: Models
) -> Steps[tuple[Course, Model, Model | None]]:
    """Train the assistants in their order; returns the course of the student, the student, and its control.

    In a chain of assistants each one becomes the teacher of the next. In a shrinking chain each next model is cut from
    the one before it, and the control gets all their steps, since all were the student's own.
    """
    context = course.context
    config, origin = context.config, teachers[0]
    references = (*config.assistants, config.student)
    for number, model in enumerate(models.line[:-1], start=1):
        model = model or preparation.cut(references[number - 1], origin)
        phase = _counted("assist", number)
        learned = yield from _phase(phase, _distill(course, model, BestWeights(), phase, f"assistant-{number}"))
        if config.chain == "shrinking":
            origin = learned
        else:
            name = _counted("record", number + 1)
            guide = yield from _phase(name, _record(context, (learned,), course.rows, name))
            course = replace(course, guide=guide)
    student = models.line[-1] or preparation.cut(config.student, origin)
    if not config.control or not len(transfer.labelled(course.rows.whole(student), course.rows.task)):
        return course, student, None
    start = student if models.line[-1] else preparation.cut(config.student, teachers[0])
    return course, student, replace(start, network=copy.deepcopy(start.network))


def _follow_the_plan(course: Course, teachers: tuple[Model, ...], student: Model) -> Steps[Model]:
    """Carry out the steps of the plan on the student, and measure after each where there is more than one."""
    context, config, steps = course.context, course.context.config, plan.single_steps(course.context.config.steps)
    told, seen = len(steps) > 1, Counter[str]()
    if told:
        student = student if student.folder else context.save(student, "student")
        yield from milestones.measure(context, "Teacher", teachers)
        yield from milestones.measure(context, "Student at first", (student,))
    for number, step in enumerate(steps):
        seen[step.do] += 1
        phase = _counted(step.do, seen[step.do])
        if isinstance(step, RoundWhileLearning):
            student = yield from _compress(course, student, step, "student")
        elif not isinstance(step, Distill):
            student = yield from _phase(phase, _compress(course, student, step, "student"))
            yield from milestones.measure(context, plan.title(step), (student,))
        else:
            if config.auto and seen["distill"] == 1:
                course = yield from _phase("tune", _tune(course, student))
            best = BestWeights()
            student = yield from _phase(phase, _distill(course.for_epochs(step.epochs), student, best, phase))
            if config.hard_epochs and not any(isinstance(later, Distill) for later in steps[number + 1 :]):
                student = yield from _phase("harden", _harden(course, student, best))
            if told:
                yield from milestones.measure(context, plan.title(step), (student,))
    return replace(student, network=constraints.without_rules(student.network))


def _follow_the_plan_alone(course: Course, control: Model) -> Steps[Model]:
    """The same steps for the control, which learns from the labels wherever the student learns from the teacher."""
    config, steps = course.context.config, plan.single_steps(course.context.config.steps)
    lessons = [step for step in steps if isinstance(step, Distill)]
    extra = config.epochs * len(config.assistants) if config.chain == "shrinking" else 0
    number, waiting = 0, list[Any]()
    for step in steps:
        waiting.append(step)
        if not isinstance(step, Distill) and step is not steps[-1]:
            continue
        number += 1
        epochs = 0
        if isinstance(step, Distill):
            epochs = (step.epochs or config.epochs) + (extra if number == 1 else 0)
            epochs += config.hard_epochs if number == len(lessons) else 0
        phase = _counted("control", number)
        control = yield from _phase(phase, _teach_control(course.for_epochs(epochs), control, waiting, phase))
        waiting = []
    return replace(control, network=constraints.without_rules(control.network))


def _compress(course: Course, model: Model, step: Any, role: str) -> Steps[Model]:
    """One step that makes the model smaller; the result is saved."""
    from studio import compress  # torch-pruning takes a second to open: only for runs that need it

    context, inputs = course.context, course.rows.whole(model)
    if isinstance(step, Quantize) and not context.device.group.is_first:
        return model  # it comes last: the other processes have nothing to learn any more
    logits = course.guide.logits[0] if role == "student" else None
    task = course.rows.task
    rows = torch.arange(len(inputs)) if role == "student" else transfer.labelled(inputs, task)
    sample = compress.draw(task, inputs, rows, logits, context.config.seed)
    smaller = compress.carry_out(step, model, sample, context.home.quantized(context.run_id, role))
    if isinstance(step, RoundWhileLearning):
        return smaller
    before, after = parameters(model.network), parameters(smaller.network)
    yield Log(message=f"{plan.title(step)}, {role}: {before:,} parameters became {after:,}.")
    return smaller if smaller.folder else context.save(smaller, role)


def _tune(course: Course, student: Model) -> Steps[Course]:
    """Choose temperature and alpha by short trials on the recorded answers."""
    spec = _lesson(course, "tune", student)
    live = course.guide.live
    chosen = yield from tuning.choose(
        course.context.config,
        spec,
        lambda config: preparation.distillation(config, student, live, course.rows),
        course.context.device,
    )
    return replace(course, context=replace(course.context, config=chosen))


def _distill(
    course: Course, model: Model, best: BestWeights, phase: Phase = "distill", role: str = "student"
) -> Steps[Model]:
    """Train a student or an assistant under its teacher."""
    return (yield from _learn_and_save(course, _lesson(course, phase, model), best, role))


def _harden(course: Course, student: Model, best: BestWeights) -> Steps[Model]:
    """A second stage on the teacher's hard labels; the best weights of both stages are kept."""
    context = course.context
    course = course.for_epochs(context.config.hard_epochs)
    spec = replace(_lesson(course, "harden", student), objective=objective.hard_labels(course.rows.task), live=None)
    return (yield from _learn_and_save(course, spec, best, "student"))


def _teach_control(course: Course, control: Model, steps: list[Any], phase: Phase) -> Steps[Model]:
    """Make the control as small as the student, then train it with as many steps on the same rows that have a label."""
    for step in steps:
        if not isinstance(step, Distill):
            control = yield from _compress(course, control, step, "control")
    if not isinstance(steps[-1], Distill):
        return control
    rows, changes = course.rows, course.rows.changes.without_mixing()
    spec = replace(
        _lesson(course, phase, control),
        rows=transfer.labelled(rows.whole(control), rows.task),
        view=lambda epoch: View(rows.whole(control, epoch % rows.views, changes)),
        objective=objective.labels_only(rows.task),
        live=None,
    )
    return (yield from _learn_and_save(course, spec, BestWeights(), "control"))


def _learn_and_save(course: Course, spec: FitSpec, best: BestWeights, role: str) -> Steps[Model]:
    """Closed in the middle, it saves the best weights so far before it goes."""
    context, model = course.context, spec.model
    try:
        yield from fit(spec, context.device, best)
    except GeneratorExit:
        best.restore(model.network)
        context.save(model, role)
        raise
    return context.save(replace(model, knows_labels=True, pretrained=True), role)


def _lesson(course: Course, phase: Phase, model: Model) -> FitSpec:
    context, rows, guide = course.context, course.rows, course.guide
    config = context.config
    return FitSpec(
        phase=phase,
        model=model,
        task=rows.task,
        rows=torch.arange(sum(map(len, rows.parts))),
        view=lambda epoch: guide.view(rows, model, epoch % rows.views),
        validation=context.validation(model),
        objective=preparation.distillation(config, model, guide.live, rows),
        steps=course.steps,
        batch_size=config.batch_size,
        learning_rate=learning_rate(config, model, "student"),
        weight_decay=config.weight_decay,
        seed=config.seed,
        live=guide.live,
        checkpoint=None if phase == "tune" else context.home.checkpoints(context.run_id) / f"{phase}.pt",
    )
