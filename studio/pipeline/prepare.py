"""The first phase of a run: open the data and every model, and refuse what cannot work before anything is trained."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from datasets import Dataset, DatasetDict, concatenate_datasets

from studio import tasks
from studio.config import plan
from studio.config.references import ModelReference
from studio.config.run import RunConfig
from studio.data import folder as datasets_on_disk
from studio.data.folder import DataSet
from studio.distill import byte_spans, optimizers
from studio.distill.objective import Distillation, is_deep
from studio.distill.transfer_set import TransferSet, same_reading
from studio.errors import ConfigError, DataError, ModelError
from studio.events import OLD_TEST, Event, Log, result_of
from studio.home import Home
from studio.machine import devices, memory
from studio.machine.devices import Device
from studio.models import features, hub, precision, saving
from studio.models.features import Outputs
from studio.models.layers import cut_layers
from studio.models.model import Model, Problem, parameters
from studio.models.opening import in_full, load, open_folder, open_masked
from studio.pipeline.timetable import Counts
from studio.tasks import Encoded, augment
from studio.tasks.augment import NO_CHANGES, Changes
from studio.tasks.encoded_tokens import EncodedTokens

if TYPE_CHECKING:
    from studio.compress import Sample

REHEARSED_ROWS = 8
WEIGHED_ROWS = 64
COMPARED_ROWS = 8
LEAST_SHARED = 0.5
"""Of a student's tokens, how many must lie in spans that its teacher cuts alike."""


@dataclass(frozen=True)
class RunContext:
    """What every phase of one run works with. `old` is the data that a student knew before it goes on with new one."""

    config: RunConfig
    run_id: int
    home: Home
    dataset: DataSet
    old: DataSet | None
    problem: Problem
    device: Device
    masked: augment.Replace | None = None

    @property
    def parts(self) -> tuple[Dataset, ...]:
        """The training rows: the new ones, then the old ones."""
        return tuple(dataset.dict["train"] for dataset in (self.dataset, self.old) if dataset is not None)

    @property
    def splits(self) -> dict[str, Dataset]:
        """The test rows by name; old and new apart."""
        old = {} if self.old is None else {OLD_TEST: self.old.dict["test"]}
        return {"test": self.dataset.dict["test"]} | old

    def validation_rows(self, at_most: int | None = None) -> Dataset:
        """The validation rows, new and old; `at_most` so many of them, by chance."""
        rows = concatenate_datasets(
            [dataset.dict["validation"] for dataset in (self.dataset, self.old) if dataset is not None]
        )
        return rows if at_most is None else datasets_on_disk.drawn(rows, at_most)

    def validation(self, model: Model, at_most: int | None = None) -> Encoded:
        """The same as this model reads them."""
        rows = self.validation_rows(at_most)
        return self.problem.task.encode(rows, model.processor, model.network.config, self.config.max_length)

    def save(self, model: Model, role: str) -> Model:
        """Keep a model of this run; of several processes in one home the first one writes it."""
        folder = self.home.model(self.run_id, role)
        return saving.save(model, folder) if self.device.group.writes else replace(model, folder=folder)

    def transfer(self, changes: Changes, views: int) -> TransferSet:
        return TransferSet(self.problem.task, self.parts, self.config.max_length, self.config.seed, changes, views)

    def changes(self, names: tuple[str, ...], teacher: Model) -> Changes:
        """The changes of that name; words are replaced by those that this teacher takes for similar."""
        near = augment.neighbours(teacher.network, teacher.processor) if "word_replacement" in names else None
        return Changes(names, near, self.masked)


@dataclass(frozen=True)
class Models:
    """The models of a run. `line` holds the assistants and, last, the student; None is cut from a teacher later on."""

    teachers: tuple[Model, ...]
    line: tuple[Model | None, ...]


def prepare(
    config: RunConfig, run_id: int, folder: Path, old: Path | None, home: Home, parts: int = 1
) -> Generator[Event, None, tuple[RunContext, Models]]:
    """Open the data sets and the models; those that are cut from the teacher come later. `parts`: into how many a batch
    is cut from the start."""
    device = replace(devices.pick(config), parts=parts)
    yield Log(message=f"Training on {device.name} in {str(device.dtype).removeprefix('torch.')}.")
    dataset = _share_of(datasets_on_disk.load(folder), config)
    if config.task not in (None, dataset.task):
        raise ConfigError(f"task must be {dataset.task}, as the data set is, got {config.task}.", "")
    config = tasks.resolved(config, tasks.get(dataset.task, dataset.multi_label), len(dataset.labels))
    known = None if old is None else _same_labels(datasets_on_disk.load(old), dataset)
    problem = Problem(dataset.task, dataset.labels, dataset.dict["train"], config.max_length, dataset.multi_label)
    context = RunContext(config, run_id, home, dataset, known, problem, device)
    for shown in (dataset, known):
        if shown is not None:
            sizes = ", ".join(f"{len(part):,} {name}" for name, part in shown.dict.items())
            labels = f", {len(shown.labels)} labels" if len(shown.labels) > 1 else ""
            yield Log(message=f"Data set {shown.name}: {sizes} rows{labels}.")
    if config.masked_model is not None:
        context = replace(context, masked=(yield from _open_masked(config.masked_model, device)))
    devices.seed_everything(config.seed)
    models = yield from open_models(context)
    check(context, models)
    return context, models


def _share_of(dataset: DataSet, config: RunConfig) -> DataSet:
    """The data set with as many of its training rows as the config asks for, one at least."""
    if config.training_share == 1:
        return dataset
    rows = dataset.dict["train"]
    fewer = datasets_on_disk.drawn(rows, max(1, round(config.training_share * len(rows))), config.seed)
    return replace(dataset, dict=DatasetDict({**dataset.dict, "train": fewer}))


def counts(context: RunContext, reader: Model) -> Counts:
    """How many rows the stages of this run have; where a model cuts texts into blocks, how many blocks `reader` has."""
    data = [known for known in (context.dataset, context.old) if known is not None]
    targets = context.problem.task.targets
    if context.problem.task.kind == "token":
        return _blocks(context, reader)
    return Counts(
        training=sum(map(len, context.parts)),
        labelled=sum(targets.is_label(label) for rows in context.parts for label in rows["label"][:]),
        validation=sum(len(known.dict["validation"]) for known in data),
        test=sum(map(len, context.splits.values())),
    )


def _blocks(context: RunContext, reader: Model) -> Counts:
    def read(rows: Dataset) -> int:
        config = reader.network.config
        return len(context.problem.task.encode(rows, reader.processor, config, context.config.max_length))

    training = sum(map(read, context.parts))
    return Counts(
        training=training,
        labelled=training,
        validation=len(context.validation(reader)),
        test=sum(map(read, context.splits.values())),
    )


def check(context: RunContext, models: Models) -> None:
    """Raise a `StudioError` where the models, the data and the losses do not go together."""
    _check_labels(context, models)
    _check_reading(context, models)
    _check_memory(context, models)
    _check_objective(context, models)
    if context.config.smoothed_control == "always" and not can_smooth(context):
        raise ConfigError(
            "smoothed_control: always needs labels that are one of several classes, and losses that read the teacher's "
            f"answers alone; here the task is {context.problem.task.name}, the losses are "
            f"{', '.join(term.loss for term in context.config.terms)}.",
            "Leave smoothed_control out.",
        )
    rehearse(context, models)


def can_smooth(context: RunContext) -> bool:
    """Whether there are labels as soft as the teacher's answers: of one class each, where losses read answers alone."""
    return context.problem.task.kind == "class" and not is_deep(context.config.terms)


def rehearse(context: RunContext, models: Models) -> Model:
    """The student as it will be after all steps of its plan, with the weights that it has now."""
    student = models.line[-1] or cut(context, context.config.student, models.teachers[0])
    steps = plan.single_steps(context.config.steps)
    if len(steps) == 1:
        return student
    from studio import compress  # torch-pruning takes a second to open: only for runs that need it

    return compress.rehearse(steps, student, sample(context, student, REHEARSED_ROWS))


def sample(context: RunContext, model: Model, count: int) -> "Sample":
    """Some training rows on which a compression step looks at a model, apart from a run."""
    from studio import compress

    rows = datasets_on_disk.drawn(context.parts[0], count, context.config.seed)
    few = replace(context.transfer(NO_CHANGES, 1), parts=(rows,))
    inputs = few.whole(model)
    return compress.draw(context.problem.task, inputs, torch.arange(len(inputs)), None, context.config.seed)


def opened(context: RunContext) -> Models:
    """`open_models` without telling how far it is."""
    return result_of(open_models(context))


def open_again(context: RunContext, reference: str, model: Model, seed: int) -> Model:
    """The same model with what chance gives it under another seed: all weights where it is untrained, else a new head.
    It reads rows as the first one does."""
    devices.seed_everything(seed)
    source = context.config.teacher if ModelReference.parse(reference).is_same else reference
    again = result_of(load(source, context.problem, context.home))
    return replace(again, processor=model.processor)


def cut(context: RunContext, reference: str, teacher: Model) -> Model:
    """The student `teacher/K-layers`, cut from this teacher's weights in full, whatever it holds while it answers."""
    layers = ModelReference.parse(reference).layers
    assert layers is not None, reference
    return cut_layers(in_full(teacher, context.problem), layers)


def as_it_answers(context: RunContext, taught: Model) -> Model:
    """A teacher that has learned and was saved, with its weights in the precision that it answers in."""
    held = context.config.teacher_precision
    if held == precision.FULL:
        return taught
    assert taught.folder is not None, "it was saved"
    context.device.group.wait()  # until the process that writes has written
    return replace(open_folder(taught.folder, context.problem, held), processor=taught.processor)


def distillation(config: RunConfig, student: Model, teacher: Model | None, transfer: TransferSet) -> Distillation:
    """The objective of a student under its teacher; `teacher` is needed where a loss reads more than logits."""
    if teacher is None:
        return Distillation(config, transfer.task)
    devices.seed_everything(config.seed)
    mine, theirs = transfer.whole(student), transfer.whole(teacher)
    rows = torch.arange(min(2, len(mine)))
    answers = tuple(_look(model, inputs, rows) for model, inputs in ((student, mine), (teacher, theirs)))
    return Distillation(config, transfer.task, (answers[0], answers[1]), aligned=same_reading(mine, theirs))


def _look(model: Model, inputs: Encoded, rows: torch.Tensor) -> Outputs:
    network = model.network.cpu().eval()
    with torch.no_grad():
        return features.read(network, inputs.batch(rows), deep=True)


def open_models(context: RunContext) -> Generator[Event, None, Models]:
    """Every model of the run that is not cut from a teacher."""
    config, teachers = context.config, []
    precision.require(config.teacher_precision)
    optimizers.require(config.optimizer)
    if config.teacher_precision != precision.FULL:
        yield Log(message=f"The teacher holds its weights in {config.teacher_precision} while it answers.")
    for number, reference in enumerate((config.teacher, *config.more_teachers), start=1):
        teacher = yield from load(reference, context.problem, context.home, config.teacher_precision)
        precision.require_layers(teacher.network, config.teacher_precision)
        yield from _introduce(f"Teacher {number}" if config.more_teachers else "Teacher", reference, teacher)
        teachers.append(teacher)
    line: list[Model | None] = []
    for reference in (*config.assistants, config.student):
        wanted = ModelReference.parse(reference)
        if wanted.layers is not None:
            line.append(None)
            continue
        role = "Student" if len(line) == len(config.assistants) else f"Assistant {len(line) + 1}"
        source = config.teacher if wanted.is_same else reference
        model = yield from load(source, context.problem, context.home)
        yield from _introduce(role, reference, model)
        line.append(model)
    return Models(tuple(teachers), tuple(line))


def _introduce(role: str, reference: str, model: Model) -> Generator[Event, None, None]:
    yield Log(message=f"{role} {reference}: {parameters(model.network):,} parameters.")
    for note in model.notes:
        yield Log(level="warning", message=note)


def _open_masked(reference: str, device: Device) -> Generator[Event, None, augment.Replace]:
    """The masked language model that fills in words."""
    wanted = ModelReference.parse(reference)
    folder = (yield from hub.download(wanted.name)) if wanted.source == "hub" else wanted.path
    network, tokenizer = open_masked(folder)
    yield Log(message=f"Masked words are filled in by {reference}.")
    return augment.masked(network.to(device.torch_device), tokenizer)


def _same_labels(old: DataSet, new: DataSet) -> DataSet:
    if (old.task, old.labels, old.multi_label) == (new.task, new.labels, new.multi_label):
        return old
    raise DataError(
        f"The data sets {old.name!r} and {new.name!r} do not have the same labels: "
        f"{', '.join(old.labels[:5])} and {', '.join(new.labels[:5])}.",
        "A student goes on with data that has the labels it knows.",
    )


def _check_labels(context: RunContext, models: Models) -> None:
    """Raise `DataError` where no training row has a label and some model needs one."""
    if any(context.problem.task.has_labels(part) for part in context.parts):
        return
    if not all(teacher.knows_labels for teacher in models.teachers):
        raise DataError(
            "No training row has a label.", "Give some rows a label, or take a teacher that knows the labels."
        )


def _check_reading(context: RunContext, models: Models) -> None:
    """Raise `ModelError` where models say the next token and do not cut a text into the same tokens."""
    if context.problem.task.kind != "token":
        return
    if len(models.teachers) > 1:
        raise ModelError(
            f"A language model learns from one teacher, got {len(models.teachers)}.", "Leave more_teachers out."
        )
    few = replace(context.transfer(NO_CHANGES, 1), parts=(datasets_on_disk.drawn(context.parts[0], COMPARED_ROWS),))
    teacher = models.teachers[0]
    for model in filter(None, models.line):
        theirs, mine = few.whole(teacher), few.whole(model)
        if any(term.loss == "byte_spans" for term in context.config.terms):
            _check_spans(theirs, mine, teacher, model)
        elif not same_reading(theirs, mine) and not learns_texts_alone(context.config):
            raise ModelError(
                "Teacher and student cut texts into different tokens, so what the one says of the next token cannot be "
                "compared with what the other says.",
                "Take `terms: byte_spans`, which compares spans that both cut alike; or a student with the teacher's "
                "tokenizer, such as `teacher/2-layers`; or let the teacher answer prompts, and have the student learn "
                "its texts: `data answer`, then `alpha: 0`.",
            )


def learns_texts_alone(config: RunConfig) -> bool:
    """Whether a language model learns what its data says, and nothing of its teacher, which may cut texts otherwise."""
    is_off = config.alpha == 0 and config.alpha_schedule == "constant" and not config.auto
    return is_off and not config.own_texts and not config.hard_epochs and not is_deep(config.terms)


def _check_spans(theirs: Encoded, mine: Encoded, teacher: Model, student: Model) -> None:
    """Raise `ModelError` where hardly anything of a text is cut alike, or read as the same bytes."""
    assert isinstance(theirs, EncodedTokens)
    assert isinstance(mine, EncodedTokens)
    _, spans, _ = byte_spans.aligned(theirs, mine, teacher.processor, student.processor)
    share = float((spans != byte_spans.NONE).float().mean())
    if share < LEAST_SHARED:
        raise ModelError(
            f"Of the student's tokens {100 * share:.0f} % lie in spans of bytes that the teacher cuts alike: their "
            "tokenizers do not read the same text.",
            "Take a student with the teacher's tokenizer, or have it learn the teacher's texts: `data answer`, then "
            "`alpha: 0`.",
        )


def _check_memory(context: RunContext, models: Models) -> None:
    """Raise `DeviceError` where what is sure to be needed at once is more than there is."""
    student = models.line[-1] or cut(context, context.config.student, models.teachers[0])
    learners = [student, *(model for model in models.teachers if not model.knows_labels), *filter(None, models.line)]
    largest = max(parameters(model.network) for model in learners)
    needed = memory.of_learning(largest, context.config.optimizer)
    if context.device.torch_device.type == "cpu":
        readers = {id(model.processor): model for model in (student, *models.teachers)}
        needed += sum(data_bytes(context, model) for model in readers.values())
    memory.require(needed, context.device.torch_device, "This run")


def data_bytes(context: RunContext, model: Model) -> int:
    """About what the training rows take as this model reads them, from some of them."""
    rows = datasets_on_disk.drawn(context.parts[0], WEIGHED_ROWS)
    read = context.problem.task.encode(rows, model.processor, model.network.config, context.config.max_length)
    held = sum(tensor.nbytes for tensor in vars(read).values() if isinstance(tensor, torch.Tensor))
    return held * sum(map(len, context.parts)) // len(rows)


def _check_objective(context: RunContext, models: Models) -> None:
    """Try the losses on two rows, so that what cannot be compared is told before anything is trained."""
    if not is_deep(context.config.terms):
        return
    transfer, teacher = context.transfer(NO_CHANGES, 1), models.teachers[0]
    student = models.line[-1] or cut(context, context.config.student, teacher)
    two = replace(transfer, parts=(transfer.parts[0].select(range(2)),))
    distillation(context.config, student, teacher, two)
