"""The whole way of a run, from config to verdict, as one generator of events: a walk through its timetable.

It knows nothing of databases, threads or pages: whoever iterates it writes down what it says.
Closing it stops the run; what the student has learned so far is saved first. Called again for the same run it goes the
same way, and stages that are done, or half done, are taken up from their checkpoints: the result is that of an
unbroken run.
"""

import collections
import contextlib
import copy
import functools
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch

from studio.config import plan
from studio.config.plan import Quantize, RoundWhileLearning
from studio.config.run import RunConfig
from studio.distill import objective, transfer_set, tuning
from studio.distill.fit import fit
from studio.distill.objective import Objective
from studio.distill.spec import BestWeights, FitSpec
from studio.distill.transfer_set import TeacherOutputs
from studio.events import Event, Log, Metrics, PhaseFinished, PhaseStarted, Progress, TrainedRole
from studio.machine import devices
from studio.models import constraints, onnx
from studio.models.model import Model, learning_rate, parameters, quiet
from studio.pipeline import (
    final_evaluation,
    fitting,
    keeping,
    origins,
    prepare,
    recorded,
    seeds,
    stage_results,
    teacher_check,
    untouched,
)
from studio.pipeline.final_evaluation import FinalEvaluation
from studio.pipeline.job import Job
from studio.pipeline.prepare import Models, RunContext
from studio.pipeline.run_state import RunState, whole
from studio.pipeline.timetable import Kind, Stage, epochs_learned, planned, timetable
from studio.tasks import Encoded
from studio.tasks.positions import PositionLogits

Result = TypeVar("Result")
Steps = Generator[Event, None, Result]


def distill(job: Job) -> Iterator[Event]:
    """Carry out a run; yields events, the last one a `Verdict`.

    Saves the student, the control, assistants and fine-tuned teachers as Hugging Face folders under
    `job.home.run(job.run_id)`. Raises a `StudioError` where it cannot go on.
    """
    quiet()
    onnx.keep_graphs(job.home.graphs)
    opening = prepare.prepare(job.config, job.run_id, job.dataset, job.replay, job.home, job.parts)
    context, opened = yield from _phase("prepare", opening)
    known, checkpoints = job.home.checksums, job.home.checkpoints(job.run_id)
    origins.require_unchanged(job.config, opened, checkpoints, known, context.device.group.writes)
    config, rows = context.config, prepare.counts(context, opened.teachers[0])
    know_labels = [teacher.knows_labels for teacher in opened.teachers]

    def way(now: RunConfig) -> list[Stage]:
        return timetable(now, rows, know_labels)

    yield planned(way(config), config, rows)
    curves = ValidationCurves(context.problem.task.measures[0].name)
    state = yield from curves.heard(_walk(way, context, opened))
    stages, last = way(state.context.config)[:-1], way(state.context.config)[-1]
    context.device.group.disband()
    if not context.device.group.is_first:
        return
    found = curves.by_role(stages)
    exported = yield from seeds.export_the_best(context, found)
    changed = origins.changed(config, opened, checkpoints, known)
    tests = FinalEvaluation(
        config=config,
        problem=context.problem,
        device=devices.alone(context.device),
        splits=context.splits,
        training=context.parts,
        curves=seeds.means(found),
        validation_rows=rows.validation,
        exported=exported,
        rates=_rates(config, opened, state),
        epochs=epochs_learned(stages, config, rows),
        changed=changed,
        keep=keeping.Keeping(context.home, context.run_id, context.problem.task, config, exported),
        validation=context.dataset.dict["validation"],
        recorded=_recorded(state),
        untouched=_untouched(config, state, changed),
    )
    yield from _phase(last.phase, _added_up(final_evaluation.evaluate(tests, _trained(state)), last.steps))
    shutil.rmtree(context.home.checkpoints(job.run_id), ignore_errors=True)


def _recorded(state: RunState) -> tuple[PositionLogits, Encoded] | None:
    """What teachers said of the new training rows as they are, where it was recorded."""
    if state.transfer is None or state.outputs is None or len(state.teachers) != 1:
        return None
    if state.context.problem.task.kind == "token":  # answers over a vocabulary are on disk already, as they were kept
        return None
    rows, answers = state.transfer.part(state.teachers[0], 0, 0), whole(state.outputs.logits[0])
    offsets = rows.offsets.cpu()
    return PositionLogits.arranged(answers.values[: int(offsets[-1])], offsets), rows


def _untouched(config: RunConfig, state: RunState, changed: Sequence[str]) -> Callable[[], Model] | None:
    """Opens the student as it was before it learned; None where that says nothing."""
    if not untouched.is_measured(config, state.opened.line[-1]):
        return None
    return functools.partial(untouched.of_run, state, changed)


def _rates(config: RunConfig, opened: Models, state: RunState) -> dict[str, float]:
    """The learning rates that teacher and student begin with; a student that is cut from its teacher is pretrained."""
    first = {"teacher": opened.teachers[0], "student": opened.line[-1] or state.teachers[0]}
    return {role: learning_rate(config, model, role) for role, model in first.items()}


def _phase(name: str, body: Steps[Result]) -> Steps[Result]:
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


def _added_up(body: Iterator[Event], total: int) -> Steps[None]:
    """Several passes, each of which counts its rows from 0, as one that counts them all."""
    before = latest = 0
    for event in body:
        if isinstance(event, Progress):
            before += latest if event.step <= latest else 0
            latest = event.step
            event = event.model_copy(update={"step": min(total, before + latest), "total": total})
        yield event


class ValidationCurves:
    """Listens to what stages say of validation rows. A run that goes on says again what its stages said before."""

    def __init__(self, measure: str) -> None:
        self.measure = measure
        self.points: dict[str, dict[int, float]] = {}

    def heard(self, body: Steps[Result]) -> Steps[Result]:
        """`body`, unchanged; closing this closes it."""
        with contextlib.closing(body):
            while True:
                try:
                    event = next(body)
                except StopIteration as stop:
                    result: Result = stop.value
                    return result
                if isinstance(event, Metrics) and self.measure in event.values:
                    self.points.setdefault(event.phase, {})[event.step] = event.values[self.measure]
                yield event

    def by_role(self, stages: Sequence[Stage]) -> dict[str, list[tuple[int, float]]]:
        """The curve of each role's last training; a value of a teacher that only answers is no training."""
        trained = [stage for stage in stages if stage.kind in ("teach", "follow")]
        learned = {stage.role: stage.phase for stage in trained if stage.phase in self.points}
        return {role: sorted(self.points[phase].items()) for role, phase in learned.items()}


# --- the walk


def _walk(way: Callable[[RunConfig], list[Stage]], context: RunContext, opened: Models) -> Steps[RunState]:
    """All stages between preparing and the final evaluation. What the teacher turns out to be may add some."""
    teachers = {f"teacher-{number}": model for number, model in enumerate(opened.teachers, start=1)}
    teachers = {role.removesuffix("-1"): model for role, model in teachers.items()}
    state = RunState(context, opened, opened.teachers[0], teachers)
    stages = way(context.config)
    is_measured = any(stage.title for stage in stages)
    waiting = collections.deque(stages[1:-1])
    while waiting:
        stage = waiting.popleft()
        if stage.role not in state.models:
            state = yield from _begin(state, stage, is_measured)
        state = yield from _phase(stage.phase, _STAGES[stage.kind](state, stage))
        if stage.title:
            yield from stage_results.measure(context, stage.title, (state.models[stage.role],))
        longer = way(state.context.config)
        if len(longer) > len(stages):
            yield planned(longer, state.context.config, prepare.counts(context, opened.teachers[0]))
            waiting.extend(longer[len(stages) - 1 : -1])
            stages = longer
    return state


def _begin(state: RunState, stage: Stage, is_measured: bool) -> Steps[RunState]:
    """The model of a role as it is before its first stage; where a plan is measured, student and teachers first."""
    role = stage.role
    needed = {name: model for name, model in state.models.items() if not name.startswith("assistant")}
    state = replace(state, models=needed | {role: _at_first(state, stage)})
    if role == "student" and is_measured:
        student = state.models[role]
        state = state.having(role, student if student.folder else state.context.save(student, role))
        yield from stage_results.measure(state.context, "Teacher", state.teachers)
        yield from stage_results.measure(state.context, "Student at first", (state.models[role],))
    return state


def _at_first(state: RunState, stage: Stage) -> Model:
    """A model of the line. The control begins as the student of its seed does; where that is cut from a model that the
    teacher has taught on the way, the control is cut from the teacher itself, or from what that was before it learned.
    """
    config, role = state.context.config, stage.role
    references = (*config.assistants, config.student)
    place = int(role.removeprefix("assistant-")) - 1 if role.startswith("assistant") else len(config.assistants)
    model = state.opened.line[place]
    if model is None:
        return prepare.cut(state.context, references[place], _cut_from(state, role))
    if stage.seed:
        return prepare.open_again(state.context, references[place], model, config.seed + stage.seed)
    # the student learns in a copy, so that the control finds it as it was
    return replace(model, network=copy.deepcopy(model.network)) if role == "student" else model


def _cut_from(state: RunState, role: str) -> Model:
    """The model whose layers a model of the line, or a control of it, begins with."""
    config = state.context.config
    if role.startswith("control") and config.control_start == "pretrained":
        return prepare.open_again(state.context, config.teacher, state.opened.teachers[0], config.seed)
    return state.teachers[0] if role.startswith(("control", "smoothed")) else state.origin


def _teach(state: RunState, stage: Stage) -> Steps[RunState]:
    """Fine-tune a teacher whose head does not know the labels yet."""
    if state.context.problem.labels:
        yield Log(message="The teacher does not know these labels yet: it is trained on them first.")
    else:
        yield Log(message="The teacher has learned nothing yet: it is trained on this data first.")
    spec = fitting.spec(state, stage)
    yield from fit(spec, state.context.device, BestWeights())
    taught = state.context.save(replace(spec.model, knows_labels=True, pretrained=True), stage.role)
    taught = prepare.as_it_answers(state.context, taught)
    state = state.having(stage.role, taught)
    return replace(state, origin=taught) if stage.role == "teacher" else state


def _record(state: RunState, stage: Stage) -> Steps[RunState]:
    """The answers to every view of the training rows, with a label or without: of all teachers, or of an assistant that
    the next model learns from."""
    context, config = state.context, state.context.config
    models = state.teachers if stage.role == "teacher" else (state.models[stage.role],)
    is_weak = stage.role == "teacher" and (yield from teacher_check.check(context, models))
    if is_weak and config.smoothed_control == "auto" and prepare.can_smooth(context):
        config = config.model_copy(update={"smoothed_control": "always"})
        state = replace(state, context=replace(context, config=config))
    rows = state.transfer or context.transfer(context.changes(config.augment, models[0]), stage.views or 1)
    if context.problem.task.kind == "token":
        yield from recorded.describe(rows.whole(models[0]), config.max_length)
    if recorded.by_spans(config):
        said = yield from transfer_set.record_likelihoods(models[0], rows, context.device, context.home, stage.phase)
        outputs = TeacherOutputs(said)
        yield from recorded.shared(outputs, rows, models[0], _follower(state, stage))
        _put_aside(models, context.device.torch_device)
        return replace(state, transfer=rows, outputs=outputs)
    if context.problem.task.kind == "token" and prepare.learns_texts_alone(config):
        follower = _follower(state, stage)
        if not transfer_set.same_reading(rows.whole(models[0]), rows.whole(follower)):
            yield Log(
                message="Teacher and student cut texts into different tokens: the student learns the texts alone."
            )
            return replace(state, transfer=rows, outputs=TeacherOutputs(()))
    how = recorded.how(config, context.problem.task)
    if context.problem.task.kind == "token":
        yield from recorded.compared(config, models[0], state.opened.line[-1] or models[0])
    logits = yield from transfer_set.record(models, rows, context.device, context.home, config.fusion, stage.phase, how)
    if how is not None:
        yield from recorded.check(context, models[0], rows.whole(models[0]), logits[0], how)
    live = models[0] if objective.is_deep(config.terms) else None
    if live is None and not config.own_texts:
        _put_aside(models, context.device.torch_device)
    return replace(state, transfer=rows, outputs=TeacherOutputs(logits, live))


def _follower(state: RunState, stage: Stage) -> Model:
    """Who learns next from these answers; one that is cut from its teacher reads as that does."""
    number = 0 if stage.role == "teacher" else int(stage.role.removeprefix("assistant-"))
    return state.opened.line[number] or state.origin


def _put_aside(models: Sequence[Model], device: torch.device) -> None:
    """Off the GPU, until somebody asks them again: whoever learns from recorded answers has its memory alone."""
    if device.type == "cpu":
        return
    for model in models:
        model.network.cpu()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _tune(state: RunState, stage: Stage) -> Steps[RunState]:
    """Choose temperature and alpha by short trials on the recorded answers."""
    context, student = state.context, state.models[stage.role]

    def distillation(config: RunConfig) -> Objective:
        return prepare.distillation(config, student, state.answers.live, state.answered)

    classes = len(context.problem.labels)
    chosen = yield from tuning.choose(context.config, fitting.spec(state, stage), distillation, context.device, classes)
    return replace(state, context=replace(context, config=chosen))


def _follow(state: RunState, stage: Stage) -> Steps[RunState]:
    """Make a model smaller, then let it learn. It is the only such function: what sets student and control apart is in
    their stages."""
    for step in stage.compression:
        smaller = yield from _compress(state, stage, step)
        state = state.having(stage.role, smaller)
    if not stage.steps:
        return state
    best = state.best if stage.goes_on else BestWeights()
    spec = fitting.spec(state, stage)
    learned = yield from _learn_and_save(state.context, spec, best, stage.role)
    state = replace(state.having(stage.role, learned), best=best)
    is_cut_on = stage.role.startswith("assistant") and state.context.config.chain == "shrinking"
    return replace(state, origin=learned) if is_cut_on else state


_STAGES: dict[Kind, Callable[[RunState, Stage], Steps[RunState]]] = {
    "teach": _teach,
    "record": _record,
    "tune": _tune,
    "follow": _follow,
}


def _compress(state: RunState, stage: Stage, step: Any) -> Steps[Model]:
    """One step that makes the model smaller; the result is saved."""
    from studio import compress  # torch-pruning takes a second to open: only for runs that need it

    context, model = state.context, state.models[stage.role]
    if isinstance(step, Quantize) and not context.device.group.is_first:
        return model  # it comes last: the other processes have nothing to learn any more
    inputs = state.answered.whole(model)
    has_answers = stage.rows == "recorded" and bool(state.answers.logits)
    rows = torch.arange(len(inputs)) if has_answers else transfer_set.labelled(inputs, context.problem.task)
    answers = state.answers.logits[0] if has_answers else None
    logits = answers if isinstance(answers, PositionLogits) else None  # of tokens each has its own label
    sample = compress.draw(context.problem.task, inputs, rows, logits, context.config.seed + stage.seed)
    smaller = compress.carry_out(step, model, sample, context.home.quantized(context.run_id, stage.role))
    if isinstance(step, RoundWhileLearning):
        return smaller
    before, after = parameters(model.network), parameters(smaller.network)
    if after != before:
        yield Log(message=f"{plan.title(step)}, {stage.role}: {before:,} parameters became {after:,}.")
    else:
        yield Log(message=f"{plan.title(step)}, {stage.role}: {after:,} parameters, as many as before.")
    return smaller if smaller.folder else context.save(smaller, stage.role)


def _learn_and_save(context: RunContext, spec: FitSpec, best: BestWeights, role: str) -> Steps[Model]:
    """Closed in the middle, it saves the best weights so far before it goes."""
    model = spec.model
    try:
        yield from fit(spec, context.device, best)
    except GeneratorExit:
        best.restore(model.network)
        context.save(_merged(context.config, model), role)
        raise
    return context.save(replace(_merged(context.config, model), knows_labels=True, pretrained=True), role)


def _merged(config: RunConfig, model: Model) -> Model:
    if config.lora_rank is None:
        return model
    from studio.models import lora

    return lora.merged(model)


def _trained(state: RunState) -> dict[TrainedRole, tuple[Model, ...]]:
    """What is tested: teachers, students and, where there are some, controls; of both one for each seed."""
    trained: dict[TrainedRole, tuple[Model, ...]] = {"teacher": state.teachers}
    roles: tuple[TrainedRole, ...] = ("student", "control", "smoothed")
    for role in roles:
        models = [model for name, model in state.models.items() if name.partition("-")[0] == role]
        if models:
            trained[role] = tuple(replace(model, network=constraints.without_rules(model.network)) for model in models)
    return trained
