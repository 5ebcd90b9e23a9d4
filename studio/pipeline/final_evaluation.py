"""The final evaluation: all models on the test rows, which nothing has read before, and on the clock."""

import functools
import itertools
import tempfile
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from datasets import Dataset, concatenate_datasets

from studio.config.run import RunConfig
from studio.data import overlap
from studio.data.folder import drawn
from studio.distill import teacher_outputs, transfer_set
from studio.errors import ExportError, StudioError
from studio.events import (
    Comparison,
    Evaluation,
    Event,
    Log,
    NetworkRole,
    Progress,
    Role,
    TrainedRole,
    Verdict,
)
from studio.home import PASSING
from studio.machine.devices import Device
from studio.models.model import Model, Problem, parameters
from studio.models.saving import weights_bytes
from studio.tasks import Encoded
from studio.tasks.positions import PositionLogits

if TYPE_CHECKING:
    from studio.evaluate.measured import Facts, Imitated, Rare
    from studio.tasks.baseline import Baseline
    from studio.tasks.measures import Measure
    from studio.tasks.task import Task

Curve = Sequence[tuple[int, float]]
"""Validation values of a training, (step, value) each."""

Statistics = dict[Role, list[np.ndarray]]
"""What the measures read of each role's answers; of student and control for each seed."""

Timed = dict[TrainedRole, list[tuple[Model, Encoded]]]
"""The models of each role with the rows as each reads them."""

ROWS_IMITATED = 500
"""So many training rows, and test rows, tell why a student is far from its teacher: a share of them is known to about
4 points."""

LARGEST_FILE = 500e6
"""Larger models are not written as ONNX only to be timed: it takes their memory several times."""


Keep = Callable[[Role, str, PositionLogits, Encoded], Iterator[Event]]
"""Takes the answers of a role to the rows of a split, and tells of it."""


@dataclass(frozen=True)
class FinalEvaluation:
    """What is evaluated on: test rows by name, `test`, and where a student went on with new data `test of the old
    data`.

    `training` are the rows that were learned, `curves` what the `validation_rows` said of each role while it learned.
    `exported`: which of the students, one for each seed, is exported. `rates`: at which teacher and student began.
    `epochs`: for how many of them each learned.
    `keep`: what is done with the answers of a role to every row of a split; `validation` are rows on which nothing is
    measured, and whose answers are kept, too: what is chosen after the run is chosen on them. So is what was
    `recorded` of the teacher on training rows. `untouched` opens the student as it was before it learned, where that is
    measured; it raises a `StudioError` where it is no longer there.
    """

    config: RunConfig
    problem: Problem
    device: Device
    splits: dict[str, Dataset]
    training: tuple[Dataset, ...] = ()
    curves: Mapping[str, Curve] = field(default_factory=dict)
    validation_rows: int | None = None
    exported: int = 0
    rates: Mapping[str, float] = field(default_factory=dict)
    epochs: Mapping[str, float] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    keep: Keep | None = None
    validation: Dataset | None = None
    recorded: tuple[PositionLogits, Encoded] | None = None
    untouched: Callable[[], Model] | None = None

    def encode(self, model: Model, rows: Dataset) -> Encoded:
        """The rows as this model reads them, on the device."""
        config = model.network.config
        encoded = self.problem.task.encode(rows, model.processor, config, self.config.max_length)
        return encoded.to(self.device.torch_device)


def evaluate(tests: FinalEvaluation, trained: Mapping[TrainedRole, Sequence[Model]]) -> Generator[Event, None, None]:
    """Measure quality on every split, then sizes and latencies; ends with the verdict.

    Several teachers are one role: their answers are fused, their sizes and times added. Of student and control there is
    one for each seed: all are measured on the test rows, and the exported seed's on the clock.
    """
    if tests.config.evaluate_on == "validation":
        yield from _trial(tests, trained)
        return
    # the package opens scipy.stats: at the end, so that curves come sooner
    from studio.evaluate.measured import Measured
    from studio.evaluate.verdict import verdict

    found: list[Evaluation] = []
    comparisons: list[Comparison] = []
    statistics: dict[str, Statistics] = {}
    baseline = yield from _baseline(tests)
    untouched = yield from _untouched(tests)
    if tests.keep is not None and tests.recorded is not None:
        yield from tests.keep("teacher", "train", *tests.recorded)
    for split, rows in tests.splits.items():
        statistics[split] = yield from _statistics(tests, split, rows, (*trained.items(), *untouched.items()), baseline)
        for event in _quality(tests, split, statistics[split]):
            found += [event] if isinstance(event, Evaluation) else []
            comparisons += [event] if isinstance(event, Comparison) else []
            if not isinstance(event, Comparison):
                yield event
    alone = {role: members if role == "teacher" else (members[tests.exported],) for role, members in trained.items()}
    yield from _validation(tests, alone, baseline)
    for event in itertools.chain(_costs(tests, alone, baseline), _parameters(untouched)):
        found += [event] if isinstance(event, Evaluation) else []
        yield event
    yield from comparisons
    shown = [result for result in found if result.split in ("", "test")]
    pairs = [pair for pair in comparisons if pair.split == "test"]
    measures, facts = tests.problem.task.measures, _facts(tests, statistics["test"])
    if Measured.of_run(shown, pairs, measures, facts).is_far_from_teacher:
        facts = replace(facts, imitated=(yield from _imitated(tests, alone)))
    yield verdict(shown, pairs, measures, facts)


def _trial(tests: FinalEvaluation, trained: Mapping[TrainedRole, Sequence[Model]]) -> Generator[Event, None, None]:
    """Quality on validation rows, sizes and latencies; the test rows are not read."""
    from studio.evaluate import metrics

    assert tests.validation is not None, "a data set has validation rows"
    task, rows = tests.problem.task, tests.validation
    statistics = yield from _statistics(tests, "validation", rows, trained.items(), None)
    found: list[Event] = []
    for role, models in statistics.items():
        found += metrics.quality(task, role, "validation", models[0], tests.problem.labels)
    alone = {role: members if role == "teacher" else (members[tests.exported],) for role, members in trained.items()}
    found += _costs(replace(tests, splits={"test": rows}), alone, None)
    yield from found
    measure = task.measures[0]
    value = next(event.value for event in found if isinstance(event, Evaluation) and event.role == "student"
                 and event.metric == measure.name)  # fmt: skip
    sentence = f"A trial: {measure.title} of the student is {measure.written(value)} on {len(rows):,} validation rows."
    unread = "The test rows were not read."
    yield Verdict(outcome="no_control", sentence=f"{sentence} {unread}")


def _baseline(tests: FinalEvaluation) -> Generator[Event, None, "Baseline | None"]:
    """A linear model of the training rows, where one can be fitted."""
    from studio.tasks import baseline  # scikit-learn takes a second to open

    if not tests.training:
        return None
    config, problem = tests.config, tests.problem
    try:
        return baseline.fit(problem.task, concatenate_datasets(tests.training), len(problem.labels), config.seed)
    except ValueError as error:
        yield Log(level="warning", message=f"There is no baseline: {error}")
        return None


def _untouched(tests: FinalEvaluation) -> Generator[Event, None, Mapping[NetworkRole, Sequence[Model]]]:
    """The student as it was before it learned, where that is measured."""
    if tests.untouched is None:
        return {}
    try:
        return {"untouched": (tests.untouched(),)}
    except StudioError as error:
        left_out = f"The student is not measured as it was before it learned. {error.message}"
        yield Log(level="warning", message=left_out)
        return {}


def _parameters(untouched: Mapping[NetworkRole, Sequence[Model]]) -> Iterator[Evaluation]:
    """How large the student was at first. It is not timed: it is the student's network, unless a plan changed that."""
    for role, (model,) in untouched.items():
        yield Evaluation(role=role, split="", metric="parameters", value=parameters(model.network))


def _statistics(
    tests: FinalEvaluation,
    split: str,
    rows: Dataset,
    models: Iterable[tuple[NetworkRole, Sequence[Model]]],
    baseline: "Baseline | None",
) -> Generator[Event, None, Statistics]:
    """What every role answers to the rows of a split, as its measures read it."""
    found: Statistics = {}
    task = tests.problem.task
    first: tuple[PositionLogits, Encoded] | None = None
    for role, members in models:
        found[role] = []
        groups = [members] if role == "teacher" else [(model,) for model in members]
        for number, together in enumerate(groups):
            logits, encoded = yield from _answers(tests, together, rows)
            if task.kind == "token" and first is None:  # no other measure compares a model with its teacher
                first = logits, encoded
            teacher = first[0] if first is not None and transfer_set.same_reading(first[1], encoded) else None
            found[role].append(task.statistics(logits, encoded, teacher))
            if tests.keep is not None and (len(groups) == 1 or number == tests.exported):
                yield from tests.keep(role, split, logits, encoded)
    if baseline is not None:  # labels and positions are the same for all
        logits = baseline.logits(rows)
        found["baseline"] = [task.statistics(logits, encoded)]
        if tests.keep is not None:
            yield from tests.keep("baseline", split, logits, encoded)
    return found


def _validation(
    tests: FinalEvaluation, trained: Mapping[TrainedRole, Sequence[Model]], baseline: "Baseline | None"
) -> Generator[Event, None, None]:
    """Keep what every role answers to the validation rows."""
    if tests.keep is None or tests.validation is None:
        return
    for role, members in trained.items():
        logits, encoded = yield from _answers(tests, members, tests.validation)
        yield from tests.keep(role, "validation", logits, encoded)
    if baseline is not None:
        yield from tests.keep("baseline", "validation", baseline.logits(tests.validation), encoded)


def _quality(tests: FinalEvaluation, split: str, statistics: Statistics) -> Generator[Event, None, None]:
    """Every role on one split, then the student against each other one, and the teacher against the baseline: in the
    measure that decides, and in the one that is told first where that is another; models that write in all measures,
    of which none tells the whole."""
    from studio.evaluate import measured, metrics, repeated

    task, labels = tests.problem.task, tests.problem.labels
    students, seeds = statistics["student"], range(tests.config.seed, tests.config.seed + tests.config.seeds)
    for role, models in statistics.items():
        if len(models) == 1:
            yield from metrics.quality(task, role, split, models[0], labels)
        else:
            yield from repeated.quality(
                task, role, split, dict(zip(seeds, models, strict=True)), labels, tests.exported
            )
    reference = task.targets.reference(students[0], len(labels))
    usual = (task.measures[0], measured.leading(task.measures, reference))
    for first, second in _pairs(statistics):
        mine, theirs = statistics[first], statistics[second]
        for measure in dict.fromkeys((*usual, *_further(task, mine[0], theirs[0]))):
            if len(mine) == 1:
                yield metrics.compare(task, (first, second), split, (mine[0], theirs[0]), measure)
            else:
                pairs = dict(zip(seeds, zip(mine, itertools.cycle(theirs)), strict=True))
                yield from repeated.compare(task, (first, second), split, pairs, measure)


def _further(task: "Task", mine: np.ndarray, theirs: np.ndarray) -> list["Measure"]:
    """In what else two models that write are compared: all measures, where both cut texts into the same tokens."""
    if task.kind != "token":
        return []
    known, others = (set(task.targets.measure(model)) for model in (mine, theirs))
    return [measure for measure in task.measures if measure.name in known] if known == others else []


def _pairs(roles: Collection[Role]) -> Iterator[tuple[Role, Role]]:
    """Who is compared with whom.

    >>> list(_pairs(["teacher", "student", "baseline"]))
    [('student', 'teacher'), ('student', 'baseline'), ('teacher', 'baseline')]
    """
    for role in roles:
        if role != "student":
            yield "student", role
    if {"teacher", "baseline"} <= set(roles):
        yield "teacher", "baseline"


def _facts(tests: FinalEvaluation, statistics: Statistics) -> "Facts":
    """What the verdict has to know besides the measured numbers."""
    from studio.evaluate import convergence
    from studio.evaluate.measured import Facts

    labels, test, taught = tests.problem.labels, tests.splits["test"], tests.curves.get("teacher", ())
    rows = tests.validation_rows
    return Facts(
        reference=tests.problem.task.targets.reference(statistics["student"][0], len(labels)),
        config=tests.config,
        improving=tuple(role for role, curve in tests.curves.items() if convergence.still_improving(curve, rows)),
        teacher_start=(taught[0][1], max(value for _, value in taught)) if taught else None,
        leaked=overlap.leaked(tests.training, test),
        unseen=overlap.unseen_labels(tests.training, test, labels),
        changed=tests.changed,
        rare=_rare(tests, statistics),
        rates=tests.rates,
        epochs=tests.epochs,
    )


def _rare(tests: FinalEvaluation, statistics: Statistics) -> "Rare | None":
    """The class with the fewest test rows, where a row has one class; over several seeds the mean of what is found."""
    from studio.evaluate.measured import Rare

    labels = tests.problem.labels
    targets, student = tests.problem.task.targets, statistics["student"][0]
    rarest = targets.rarest(student, len(labels))
    if rarest is None or targets.confusion(student, len(labels)) is None:
        return None
    number, rows = rarest

    def found(model: np.ndarray) -> int:
        matrix = targets.confusion(model, len(labels))
        assert matrix is not None
        return int(matrix[number, number])

    training = [label for part in tests.training for label in part["label"][:]]
    return Rare(
        label=labels[number],
        rows=rows,
        found={role: round(np.mean([found(model) for model in models])) for role, models in statistics.items()},
        training=training.count(number),
        even_share=len(training) // len(labels),
    )


def _imitated(
    tests: FinalEvaluation, trained: Mapping[TrainedRole, Sequence[Model]]
) -> Generator[Event, None, "Imitated | None"]:
    """How often the student says what the teacher says, on some of the training rows and of the test rows."""
    from studio.evaluate.measured import Imitated

    if not tests.training:
        return None
    shares = []
    for rows in (concatenate_datasets(tests.training), tests.splits["test"]):
        some = drawn(rows, ROWS_IMITATED, tests.config.seed)
        said = []
        for role in ("student", "teacher"):
            logits, _ = yield from _answers(tests, trained[role], some)
            said.append(logits.values)
        shares.append(float(tests.problem.task.agree(said[0], said[1]).float().mean()))
    return Imitated(training=shares[0], test=shares[1])


def _costs(
    tests: FinalEvaluation, trained: Mapping[TrainedRole, Sequence[Model]], baseline: "Baseline | None"
) -> Generator[Evaluation | Log, None, None]:
    """Sizes, and the latencies of all roles in turn; the baseline for itself, from the text or image to the answer."""
    from studio.evaluate import latency, metrics

    for role, members in trained.items():
        yield from metrics.sizes(role, members)
    rows = tests.splits["test"]
    encoded = {role: [(model, tests.encode(model, rows)) for model in members] for role, members in trained.items()}
    yield from _times(tests, encoded)
    if baseline is not None:
        yield Evaluation(role="baseline", split="", metric="parameters", value=baseline.parameters)
        yield Evaluation(role="baseline", split="", metric="size_bytes", value=baseline.size_bytes)

        def answer(numbers: Sequence[int]) -> object:
            return baseline.logits(rows.select(numbers))

        yield from latency.of_calls("baseline", answer, len(rows))
        if latency.has_more_threads(tests.device):
            with latency.one_thread():
                yield from map(latency.on_one_thread, latency.of_calls("baseline", answer, len(rows)))


def _times(tests: FinalEvaluation, encoded: Timed) -> Generator[Evaluation | Log, None, None]:
    """All models as they are, then as ONNX files in float32: two models are compared in one runtime alone, for another
    one makes the same model faster. Where the plan of a run ends with such a file, all are timed as files only."""
    from studio.evaluate import latency

    members = [model for pairs in encoded.values() for model, _ in pairs]
    in_torch = all(latency.runtime(model).startswith(latency.TORCH) for model in members)
    if in_torch:
        yield from latency.latencies(encoded, tests.device)
        if not tests.config.onnx_times:
            return
    with tempfile.TemporaryDirectory(prefix=PASSING) as folder:
        try:
            if in_torch:
                _require_worth(tests.device, members)
            alike = _as_files(encoded, Path(folder))
        except ExportError as error:
            yield from () if in_torch else latency.latencies(encoded, tests.device)
            yield Log(message=f"The models are not timed in ONNX Runtime. {error.message}")
            return
        found = latency.latencies(alike, tests.device)
        yield from map(latency.in_onnx_runtime, found) if in_torch else found


def _require_worth(device: Device, models: Sequence[Model]) -> None:
    """Raise `ExportError` where ONNX files would be written only to be timed, and that is not worth it."""
    if device.torch_device.type != "cpu":
        raise ExportError("They ran on another device than the processor.", "")
    if max((weights_bytes(model.folder) for model in models if model.folder), default=0) > LARGEST_FILE:
        raise ExportError(f"One is larger than {LARGEST_FILE / 1e6:.0f} MB.", "")


def _as_files(roles: Timed, folder: Path) -> Timed:
    """Every model as an ONNX file. Raises `ExportError` where one cannot be written."""
    from studio.models import onnx

    alike: Timed = {role: [] for role in roles}
    for role, members in roles.items():
        for number, (model, inputs) in enumerate(members):
            place = folder / f"{role}-{number}"
            place.mkdir()
            alike[role].append((onnx.in_onnx_runtime(model, inputs.to(torch.device("cpu")), place), inputs))
    return alike


def _answers(
    tests: FinalEvaluation, members: Sequence[Model], rows: Dataset
) -> Generator[Progress, None, tuple[PositionLogits, Encoded]]:
    """The logits of a role on every position, and the rows as its first model reads them."""
    logits, encoded = [], []
    for model in members:
        model.network.to(tests.device.torch_device)
        encoded.append(tests.encode(model, rows))
        tell = functools.partial(_progress, len(rows))
        logits.append((yield from teacher_outputs.logits(model, encoded[-1], tests.device, tell)))
    fused = transfer_set.fuse(logits, tests.config.fusion, tests.problem.task)
    return fused, encoded[0]


def _progress(total: int, done: int) -> Progress:
    return Progress(phase="evaluate", step=done, total=total)
