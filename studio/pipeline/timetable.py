"""The stages of a run in their order, known before any of them begins: the generator in `distill` walks them, the
estimate sums them, pages and command line show how far a run is.

Nothing here opens a model or needs torch.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from studio import events, tasks
from studio.config import plan
from studio.config.plan import Distill, RoundWhileLearning
from studio.config.references import ModelReference
from studio.config.run import RunConfig
from studio.events import Phase, Planned, PlannedStage
from studio.pipeline import budget

WORDS: dict[str, tuple[str, str]] = {
    "prepare": ("Prepare", "opening the data and the models"),
    "teach": ("Train teacher", "the teacher learns your data"),
    "record": ("Record teacher", "the teacher answers every training row once"),
    "assist": ("Intermediate model", "a model between teacher and student learns"),
    "tune": ("Tune", "short trials with several temperatures and alphas"),
    "harden": ("Fine-tune on teacher answers", "the student learns the teacher's top answers"),
    "control": ("Train control", "the same student learns without the teacher"),
    "smooth": ("Train smoothed control", "the same student learns labels as soft as the teacher's answers"),
    "evaluate": ("Evaluate", "testing all models"),
} | {name: (kind.word, kind.help) for name, kind in plan.KINDS.items()}
"""The word for each stage of a run and what happens in it; compression steps bring their own."""

TUNING_SHARE = 1.0
"""What all trials of temperatures and alphas cost, as a share of the student's own training: nine pairs get an 18th of
its steps each, four finalists an eighth. A tenth for all of them was 11 steps of 2,000 for a pair: too few to learn."""

LEAST_SHARE = 0.03
"""A stage of which less is done says nothing yet of its pace."""

Kind = Literal["prepare", "teach", "record", "tune", "follow", "evaluate"]
"""What is done in a stage. In `follow` a model of the line, or the control, is made smaller, learns, or both."""

Rows = Literal["none", "labelled", "all", "recorded", "test"]
"""`recorded`: all training rows with what the teachers answered; `all`: the same rows while they answer."""

Objective = Literal["none", "labels", "distillation", "hard labels", "smoothed labels"]


@dataclass(frozen=True)
class Counts:
    """How many rows of a kind there are. `labelled` are training rows; replayed data counts, too."""

    training: int
    labelled: int
    validation: int
    test: int


@dataclass(frozen=True)
class Stage:
    """One stage: what becomes of whose model, on which rows, under which objective.

    `steps` are corrections of weights, or rows that are read. Epochs go through so many `views` of the rows in turn;
    None: each epoch sees another one. `compression` holds the steps of the plan that come before the learning; where
    there is a `title` the model is measured afterwards. `seed` is added to the seed of the run. A stage that `goes_on`
    keeps the best weights of the learning before it and of its own.
    """

    phase: Phase
    kind: Kind
    role: str = ""
    rows: Rows = "none"
    objective: Objective = "none"
    steps: int = 0
    epochs: int = 0
    views: int | None = 1
    compression: tuple[Any, ...] = ()
    title: str = ""
    seed: int = 0
    goes_on: bool = False


def timetable(config: RunConfig, rows: Counts, known: Sequence[bool]) -> list[Stage]:
    """All stages of a run. `known` says of each teacher whether it knows the labels already.

    The control goes the student's own way, as long and cut alike, with one difference: it learns from labels alone.
    Under several seeds both go their ways again; what a teacher answered, and what was tuned, is shared.

    >>> names = {"dataset": "d", "teacher": "builtin/cnn-large", "student": "builtin/cnn-tiny"}
    >>> config = RunConfig(**names, teacher_epochs=3, epochs=4, hard_epochs=1, plan="prune:0.5, distill, quantize")
    >>> for stage in timetable(config, Counts(training=100, labelled=40, validation=10, test=10), known=[False]):
    ...     print(stage.phase, stage.role, stage.steps, stage.rows, stage.objective, sep=" | ")
    prepare |  | 0 | none | none
    teach | teacher | 6 | labelled | labels
    record | teacher | 100 | all | none
    prune | student | 0 | recorded | none
    distill | student | 16 | recorded | distillation
    harden | student | 4 | recorded | hard labels
    quantize | student | 0 | recorded | none
    control | control | 16 | labelled | labels
    control-2 | control | 4 | labelled | labels
    control-3 | control | 0 | labelled | none
    evaluate |  | 60 | test | none
    """
    student = list(_student(config, rows))
    assistants = list(_assistants(config, rows))
    own = [stage for stage in assistants if config.chain == "shrinking"] + student
    control = list(_control(own)) if config.control and rows.labelled else []
    smoothed = [_smoothed(stage) for stage in control] if config.smoothed_control == "always" else []
    students = 1 + bool(control) + bool(smoothed)
    test_rows = rows.test if config.evaluate_on == "test" else 0
    measured = len(known) + config.seeds * students + int(has_untouched(config))
    tested = measured * test_rows + (len(known) + students) * rows.validation
    return [
        Stage("prepare", "prepare"),
        *_teachers(config, rows, known),
        _record(config, rows, "teacher", 1, len(known)),
        *assistants,
        *_under_seeds([*student, *control], config.seeds),
        *_under_seeds(smoothed, config.seeds),
        Stage("evaluate", "evaluate", rows="test", steps=tested),
    ]


def has_untouched(config: RunConfig) -> bool:
    """Whether the student is measured as it was before it learned, too: it is to write, and begins with weights that
    somebody trained, its own or some of its teacher's layers. `config` knows its task.

    >>> names = {"dataset": "d", "task": "language-model", "teacher": "hub:a/b"}
    >>> students = ("hub:a/c", "run:3/student", "teacher/2-layers", "builtin/gpt-tiny", "teacher/same")
    >>> [has_untouched(RunConfig(**names, student=student)) for student in students]
    [True, True, True, False, False]
    """
    student = ModelReference.parse(config.student)
    is_trained = student.source in ("hub", "folder", "run") or student.layers is not None
    return is_trained and config.task is not None and tasks.get(config.task).kind == "token"


def _under_seeds(stages: Sequence[Stage], seeds: int) -> Iterator[Stage]:
    """The ways of student and control, once for each seed; a stage that comes again is counted on."""
    seen = Counter[str]()
    for seed in range(seeds):
        for stage in stages:
            if seed and stage.kind == "tune":
                continue
            name = events.stage(stage.phase)
            seen[name] += 1
            measured = "" if seed else stage.title
            yield replace(stage, phase=counted(name, seen[name]), role=counted(stage.role, seed + 1), seed=seed,
                          title=measured)  # fmt: skip


def counted(name: str, number: int) -> str:
    """`teach` for the first time, `teach-2` for the second.

    >>> counted("teach", 1), counted("teach", 2)
    ('teach', 'teach-2')
    """
    return name if number == 1 else f"{name}-{number}"


def title(phase: str) -> str:
    """A stage as a person reads it, counted where it comes several times.

    >>> title("distill"), title("teach-2")
    ('Distil', 'Train teacher 2')
    """
    name, dash, number = phase.partition("-")
    word = WORDS[name][0] if name in WORDS else "Starting"
    return f"{word} {number}" if dash else word


def help_of(phase: str) -> str:
    """What happens in a stage.

    >>> help_of("teach-2"), help_of("")
    ('the teacher learns your data', 'opening libraries')
    """
    name = phase.partition("-")[0]
    return WORDS[name][1] if name in WORDS else "opening libraries"


def _teachers(config: RunConfig, rows: Counts, known: Sequence[bool]) -> Iterator[Stage]:
    """Every teacher whose head does not know the labels yet learns them first."""
    references = (config.teacher, *config.more_teachers)
    for number, (reference, knows) in enumerate(zip(references, known, strict=True), start=1):
        if not knows:
            steps, epochs = budget.length(config, config.teacher_epochs, rows.labelled, reference)
            role = counted("teacher", number)
            yield Stage(counted("teach", number), "teach", role, "labelled", "labels", steps, epochs, views=None)


def _record(config: RunConfig, rows: Counts, role: str, number: int, members: int) -> Stage:
    views = _views(config, rows)
    steps = views * members * rows.training
    return Stage(counted("record", number), "record", role, "all", steps=steps, epochs=views, views=views)


def _assistants(config: RunConfig, rows: Counts) -> Iterator[Stage]:
    """Each learns from its teacher. In a chain of assistants it then becomes the next one's teacher; in a shrinking
    chain the next model is cut from it, and the teacher teaches all."""
    for number in range(1, len(config.assistants) + 1):
        role = f"assistant-{number}"
        yield _learning(config, rows, counted("assist", number), role, config.epochs, config.assistants[number - 1])
        if config.chain == "assistants":
            yield _record(config, rows, role, number + 1, 1)


def _student(config: RunConfig, rows: Counts) -> Iterator[Stage]:
    """The steps of the plan; what it takes for granted comes along: trials before, hard labels after the learning."""
    steps = plan.single_steps(config.steps)
    last = max(number for number, step in enumerate(steps) if isinstance(step, Distill))
    seen = Counter[str]()
    rounding: tuple[Any, ...] = ()
    for number, step in enumerate(steps):
        if isinstance(step, RoundWhileLearning):
            rounding = (step,)
            continue
        seen[step.do] += 1
        phase, title = counted(step.do, seen[step.do]), plan.title(step) if len(steps) > 1 else ""
        if not isinstance(step, Distill):
            yield Stage(phase, "follow", "student", "recorded", compression=(step,), title=title)
            continue
        if config.auto and seen["distill"] == 1:
            yield _tuning(config, rows)
        stage = _learning(config, rows, phase, "student", step.epochs or config.epochs, config.student)
        stage, rounding = replace(stage, compression=rounding, title=title), ()
        if not (config.hard_epochs and number == last):
            yield stage
            continue
        yield replace(stage, title="")
        hard = _learning(config, rows, "harden", "student", config.hard_epochs, config.student)
        yield replace(hard, objective="hard labels", title=title, goes_on=True)


def _learning(config: RunConfig, rows: Counts, phase: Phase, role: str, asked: int | None, reference: str) -> Stage:
    """So many epochs under a teacher, on all training rows; None: as long as suits the model of that reference."""
    steps, epochs = budget.length(config, asked, rows.training, reference)
    return Stage(phase, "follow", role, "recorded", "distillation", steps, epochs, _views(config, rows))


def _tuning(config: RunConfig, rows: Counts) -> Stage:
    """Two rounds of short trials, each for half of the budget."""
    whole = _learning(config, rows, "tune", "student", config.epochs, config.student)
    return replace(whole, kind="tune", steps=2 * max(1, round(whole.steps * TUNING_SHARE / 2)))


def _control(own: Iterable[Stage]) -> Iterator[Stage]:
    """What the student's own weights went through, `own`, for a model that meets no teacher: the stages up to the end
    of each of the student's learnings as one, with as many steps, on the rows that have a label."""
    blocks: list[list[Stage]] = []
    for stage in own:
        if stage.kind == "tune":
            continue
        if not blocks or _has_learned(blocks[-1]):
            blocks.append([])
        blocks[-1].append(stage)
    for number, block in enumerate(blocks, start=1):
        steps = sum(stage.steps for stage in block)
        yield Stage(
            phase=counted("control", number),
            kind="follow",
            role="control",
            rows="labelled",
            objective="labels" if steps else "none",
            steps=steps,
            epochs=sum(stage.epochs for stage in block),
            views=block[-1].views,
            compression=tuple(step for stage in block for step in stage.compression),
            goes_on=block[-1].goes_on,
        )


def _smoothed(stage: Stage) -> Stage:
    """What the control does, for a model whose labels are as soft as the teacher's answers. It comes last: it may be
    known only once the teacher has answered."""
    number = int(stage.phase.partition("-")[2] or 1)
    objective: Objective = "smoothed labels" if stage.steps else "none"
    return replace(stage, phase=counted("smooth", number), role="smoothed", objective=objective)


def _has_learned(block: Sequence[Stage]) -> bool:
    return any(stage.role == "student" and stage.objective != "none" for stage in block)


def _views(config: RunConfig, rows: Counts) -> int:
    _, epochs = budget.length(config, config.epochs, rows.training, config.student)
    return min(config.views, epochs) if config.augment else 1


def epochs_learned(stages: Sequence[Stage], config: RunConfig, rows: Counts) -> dict[str, float]:
    """For how many epochs teacher and student learn, a part of one where their steps end there.

    >>> names = {"dataset": "d", "teacher": "builtin/cnn-large", "student": "builtin/cnn-tiny"}
    >>> config, rows = RunConfig(**names, teacher_epochs=3), Counts(training=100, labelled=40, validation=10, test=10)
    >>> epochs_learned(timetable(config, rows, known=[False]), config, rows)
    {'teacher': 3.0, 'student': 100.0}
    """
    read = {"teach": rows.labelled, "distill": rows.training}
    learnings = (stage for stage in stages if stage.steps and read.get(stage.phase))
    return {stage.role: stage.steps / math.ceil(read[stage.phase] / config.batch_size) for stage in learnings}


# --- how far a run is

_A_ROW = 2e-4
"""A first guess of the seconds that the student takes to read a row."""

_SIZES = {"teacher": 3.0, "assistant": 2.0}
"""How much longer larger models take, before anything is measured."""

_READING = "reading"
_LOOKS, _MOST_LOOKS = 10, 100
"""At least and at most so often a stage looks at the validation rows."""


class Seen(NamedTuple):
    """A stage that began: `seconds` brought it from the share `begun`, where a run that goes on took it up, to
    `share`."""

    phase: str
    seconds: float
    share: float = 1.0
    begun: float = 0.0


class Whole(NamedTuple):
    """How much of a run is done, 0 to 1, and how long the rest takes, as far as that can be told."""

    share: float
    seconds_left: float | None


def planned(stages: Sequence[Stage], config: RunConfig, rows: Counts) -> Planned:
    """What is told of the timetable: each stage with a first guess of its time."""
    guessed = [
        PlannedStage(
            phase=stage.phase,
            role=stage.role,
            steps=stage.steps,
            seconds=_first_guess(stage, config, rows),
            pace=_pace(stage),
        )
        for stage in stages
    ]
    return Planned(stages=tuple(guessed))


def _first_guess(stage: Stage, config: RunConfig, rows: Counts) -> float:
    row = _A_ROW * _SIZES.get(stage.role.partition("-")[0], 1.0)
    looks = min(max(_LOOKS, stage.epochs), _MOST_LOOKS) * rows.validation
    match stage.kind:
        case "prepare" | "evaluate":
            return 3.0 + row * stage.steps
        case "record":
            return row * stage.steps
    return row * (3 * stage.steps * config.batch_size + (looks if stage.steps else 0)) + 0.5 * len(stage.compression)


def _pace(stage: Stage) -> str:
    """Student and control are one model, under every seed: what is learned of the one holds for the others."""
    if stage.kind == "record":
        return _READING
    return like(stage.role) if stage.steps else ""


def like(role: str) -> str:
    """Whose network it is: the control is as the student is.

    >>> like("control-2"), like("student"), like("teacher-2")
    ('student', 'student', 'teacher-2')
    """
    return "student" if role.partition("-")[0] in ("student", "control", "smoothed") else role


def progress(stages: Sequence[PlannedStage], seen: Iterable[Seen]) -> Whole:
    """How far a run is, after the stages that were `seen`.

    Stages are weighed by their time: by the first guesses, mended by what stages of the same pace, else all others,
    took. The share never falls: what is learned on the way decides how the share that is left is divided.

    >>> stages = [PlannedStage(phase=name, seconds=10, pace="student") for name in ("distill", "control")]
    >>> progress(stages, [])
    Whole(share=0.0, seconds_left=None)
    >>> progress(stages, [Seen("distill", seconds=30, share=0.5)])
    Whole(share=0.25, seconds_left=90.0)
    >>> progress(stages, [Seen("distill", seconds=60), Seen("control", seconds=10, share=0.25)])
    Whole(share=0.625, seconds_left=30.0)
    """
    known = {stage.phase: stage for stage in seen}
    paces, share, left = _Paces(), 0.0, 0.0
    for number, stage in enumerate(stages):
        if stage.phase in known:
            rest = [paces.expected(later) for later in stages[number:]]
            share += (1 - share) * rest[0] / (sum(rest) or 1.0) * known[stage.phase].share
            paces.learn(stage, known[stage.phase])
    for stage in stages:
        here = known.get(stage.phase)
        left += paces.expected(stage) if here is None else paces.left(stage, here)
    return Whole(share, left if paces.is_known else None)


class _Paces:
    """How many times longer than guessed stages take, by their pace."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, float]] = {}

    @property
    def is_known(self) -> bool:
        return bool(self._known)

    def learn(self, stage: PlannedStage, seen: Seen) -> None:
        """Take a stage into account, unless answers may have come from the disk, which says nothing of others."""
        if stage.pace in ("", _READING) or seen.share - seen.begun < LEAST_SHARE:
            return
        took, guessed = self._known.get(stage.pace, (0.0, 0.0))
        self._known[stage.pace] = took + seen.seconds, guessed + stage.seconds * (seen.share - seen.begun)

    def expected(self, stage: PlannedStage) -> float:
        """Seconds of a whole stage."""
        if not stage.pace or not self._known:
            return stage.seconds
        took, guessed = self._known.get(stage.pace) or tuple(map(sum, zip(*self._known.values(), strict=True)))
        return stage.seconds * took / guessed

    def left(self, stage: PlannedStage, seen: Seen) -> float:
        done = seen.share - seen.begun
        pace = seen.seconds / done if done >= LEAST_SHARE else self.expected(stage)
        return pace * (1 - seen.share)
