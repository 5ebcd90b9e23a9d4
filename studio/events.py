"""What a run says while it runs: small frozen records that travel as JSON lines.

The trainer yields them, the training thread writes them to the store, the pages read the rows.
"""

from collections.abc import Generator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from studio import errors
from studio.errors import StudioError

Result = TypeVar("Result")

Phase = Annotated[str, Field(pattern=r"^[a-z]+(_[a-z]+)*(-[1-9]\d*)?$")]
"""A stage of a run; the steps of a plan bring their own names. One that comes several times is counted: teach, teach-2,
teach-3."""

OLD_TEST = "test of the old data"
"""The split of an evaluation on data that a student knew before it went on with new data, whose split is `test`."""

TrainedRole = Literal["teacher", "student", "control", "smoothed"]
"""`smoothed`: a control whose labels are smoothed as much as the teacher's answers."""
NetworkRole = Literal[TrainedRole, "untouched"]
"""`untouched`: the student as it was before it learned anything, with the weights that it began with; it is there where
somebody had trained these, and the models write."""
Role = Literal[NetworkRole, "baseline"]
"""`baseline`: a linear model on plain features, which costs seconds; it is measured beside the others."""

Outcome = Literal["better", "no_difference", "worse", "not_learned", "weak_teacher", "no_control"]
"""What the comparison of student and control allows to say, or why it allows nothing."""

CautionCode = Literal[
    "worse_than_untouched",
    "no_better_than_untouched",
    "not_learned",
    "undertrained",
    "weak_teacher",
    "few_test_rows",
    "imbalance",
    "far_from_teacher",
    "leak",
    "test_only_labels",
    "changed_inputs",
    "one_seed",
    "noisy_timing",
    "fewer_bits",
]


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")  # a number that is none must not end a run


class PlannedStage(BaseModel):
    """A stage of a run before it begins. `role`: whose model it changes, "" for a stage of the whole run.

    `seconds` is a first guess that weighs the stages against each other. Stages of one `pace` are off by the same
    factor; one without a pace takes about as long as the guess, on every machine.
    """

    model_config = ConfigDict(frozen=True)

    phase: Phase
    role: str = ""
    steps: int = 0
    seconds: float
    pace: str = ""


class Planned(_Event):
    """All stages of the run in their order, told once they are known: when data and models are open."""

    kind: Literal["planned"] = "planned"
    stages: tuple[PlannedStage, ...]


class PhaseStarted(_Event):
    """`total` is the number of steps, or None where it is not known beforehand."""

    kind: Literal["phase_started"] = "phase_started"
    phase: Phase
    total: int | None = None


class Progress(_Event):
    """How far the phase is. For `prepare` the steps are bytes or rows; `detail` says of what."""

    kind: Literal["progress"] = "progress"
    phase: Phase
    step: int
    total: int | None = None
    detail: str = ""


class Metrics(_Event):
    """Points of the curves at one step of a phase.

    Names: `loss` (total), `label_loss` and each distillation loss, such as `soft_target_loss`; the measure of the task,
    such as `accuracy` (on validation data). The role is the phase's: teach = teacher, distill and harden = student,
    control = control.
    """

    kind: Literal["metrics"] = "metrics"
    phase: Phase
    step: int
    values: dict[str, float]


class DeviceUse(_Event):
    """What the run's process uses: cpu_percent (100 = one core), memory_bytes, gpu_memory_bytes on CUDA."""

    kind: Literal["device_use"] = "device_use"
    seconds: int
    values: dict[str, float]


class Log(_Event):
    kind: Literal["log"] = "log"
    message: str
    level: Literal["info", "warning"] = "info"


class PhaseFinished(_Event):
    kind: Literal["phase_finished"] = "phase_finished"
    phase: Phase
    seconds: float
    steps: int


EDITION = 1
"""Counted up when a number of the same name is measured otherwise. 1: the macro F1 is the mean over the classes that
have test rows, the size of a model counts its config and what reads a row; before, a class that was only predicted
counted, too, and the size was that of the weights."""


class Evaluation(_Event):
    """One measured number. `low` and `high` are the ends of its 95 % interval where it has one; `note` says why it has
    none; `runtime`, `threads` and `device` are what a model ran in and on where it was timed.

    Metrics: the measures of the task, such as accuracy and f1_macro (shares of 1); parameters; size_bytes, on disk, of
    all that answering needs: weights, config, tokenizer or image processor (of earlier runs the weights alone); and
    milliseconds of a forward pass: latency_ms and latency_p95_ms (one row: median, 95th percentile), latency_32_ms and
    latency_32_p95_ms (32 rows); latency_ratio and latency_32_ratio: how many times as long as the student it takes in
    the same runtime. With `one_thread_` before it: the same on one thread of the processor; with `onnx_` before it: the
    same of the model as an ONNX file in float32, where it was timed in torch, too.

    Where student and control were trained under several seeds, a number of one of these models names its `seed`; one
    without is the mean over the seeds, and `spread` the standard deviation.
    """

    kind: Literal["evaluation"] = "evaluation"
    role: Role
    split: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    note: str = ""
    runtime: str = ""
    threads: int | None = None
    device: str = ""
    seed: int | None = None
    spread: float | None = None


class Comparison(_Event):
    """`first` minus `second` in `metric` on the same rows, with the 95 % interval of the paired difference.

    `gained` and `lost`: rows that the first alone, and the second alone, got right, where the metric counts rows.
    `seed` and `spread` are as those of an `Evaluation`.
    """

    kind: Literal["comparison"] = "comparison"
    first: Role
    second: Role
    split: str
    metric: str = "accuracy"
    difference: float
    low: float
    high: float
    p_value: float
    n: int
    gained: int | None = None
    lost: int | None = None
    seed: int | None = None
    spread: float | None = None


class Confusion(_Event):
    """`counts[true][predicted]` over the rows of a split."""

    kind: Literal["confusion"] = "confusion"
    role: Role
    split: str
    labels: list[str]
    counts: list[list[int]]


class KeptAnswers(_Event):
    """The answers of a role to every row of a split are on disk; see `studio.kept.answers`. `seed`: of which of
    several."""

    kind: Literal["kept"] = "kept"
    role: Role
    split: str
    rows: int
    bytes: int
    seed: int | None = None


class SeedResult(_Event):
    """One seed of a run that has several: the best `metric` that student and control reached on validation rows. The
    student that did best there is the one that is exported."""

    kind: Literal["seed"] = "seed"
    seed: int
    metric: str
    student: float | None
    control: float | None = None
    exported: bool = False


class Choice(_Event):
    """Temperature and alpha that the run chose by itself; `tried` holds temperature, alpha and accuracy of each."""

    kind: Literal["choice"] = "choice"
    temperature: float
    alpha: float
    reason: str
    tried: list[tuple[float, float, float]]


class StageResult(_Event):
    """The student after a step of its plan, or the teacher, before the first one: `metric` on `n` validation rows with
    its 95 % interval, and what it takes on disk and of time (one row, median)."""

    kind: Literal["milestone"] = "milestone"
    title: str
    metric: str = "accuracy"
    value: float
    n: int
    low: float
    high: float
    parameters: int
    size_bytes: int
    latency_ms: float

    @model_validator(mode="before")
    @classmethod
    def _right_of_n(cls, values: Any) -> Any:
        """Until version 0.1 it said how many rows were right."""
        if isinstance(values, dict) and "right" in values:
            values = dict(values)
            values["value"] = values.pop("right") / values["n"]
        return values


class NextStep(BaseModel):
    """What to do after a verdict. `changes` are fields of a `RunConfig`, where another run is what helps."""

    model_config = ConfigDict(frozen=True)

    code: str
    label: str
    changes: dict[str, Any] = {}


class Caution(BaseModel):
    """Why a number of the verdict may say less than it seems to, and what to do about it: `next_step`, where that is
    another run."""

    model_config = ConfigDict(frozen=True)

    code: CautionCode
    sentence: str
    cure: str
    next_step: NextStep | None = None


class Verdict(_Event):
    """The one-sentence result. `outcome` compares the student with the control, or says why that means nothing."""

    kind: Literal["verdict"] = "verdict"
    outcome: Outcome
    sentence: str
    cautions: tuple[Caution, ...] = ()
    next_step: NextStep | None = None


class Failed(_Event):
    """The run cannot go on. `error` is the class name of the `StudioError`."""

    kind: Literal["failed"] = "failed"
    error: str
    message: str
    cure: str = ""

    @classmethod
    def of(cls, error: StudioError) -> "Failed":
        """An error on its way to another process."""
        return cls(error=type(error).__name__, message=error.message, cure=error.cure)

    def as_error(self) -> StudioError:
        """The error as it was where it was met.

        >>> Failed.of(errors.ModelError("It is broken.", "Mend it.")).as_error()
        ModelError('It is broken.', 'Mend it.')
        """
        return errors.by_name(self.error)(self.message, self.cure)


Event = Annotated[
    Planned
    | PhaseStarted
    | Progress
    | Metrics
    | DeviceUse
    | Log
    | PhaseFinished
    | Evaluation
    | Comparison
    | Confusion
    | KeptAnswers
    | SeedResult
    | Choice
    | StageResult
    | Verdict
    | Failed,
    Field(discriminator="kind"),
]


def stage(phase: str) -> str:
    """What kind of phase it is, whichever time it comes.

    >>> stage("teach-2"), stage("distill")
    ('teach', 'distill')
    """
    return phase.partition("-")[0]


def result_of(steps: Generator[object, None, Result]) -> Result:
    """What a generator returns at its end; what it tells on the way is not heard.

    >>> def count():
    ...     yield Log(message="half way")
    ...     return 2
    >>> result_of(count())
    2
    """
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result


_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def from_json(line: str | bytes) -> Event:
    """The event in one JSON line.

    >>> from_json('{"kind": "log", "message": "hello"}')
    Log(kind='log', message='hello', level='info')
    """
    return _EVENT.validate_json(line)


def to_json(event: Event) -> str:
    """One line of JSON, without a line break."""
    return event.model_dump_json()
