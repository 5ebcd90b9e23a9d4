"""Ask a run's models about inputs that nobody labelled."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_args

import torch
from datasets import Dataset
from transformers import AutoConfig

from studio import tasks
from studio.config.references import ModelReference
from studio.config.run import RunConfig
from studio.data.folder import DataSet, load
from studio.distill import teacher_outputs
from studio.distill.transfer_set import fuse
from studio.errors import ModelError
from studio.events import NetworkRole, Progress, TrainedRole, result_of
from studio.home import Home
from studio.machine import devices
from studio.machine.devices import Device
from studio.models import opening, saving
from studio.models.model import Model, Problem, quiet
from studio.models.onnx import OnnxNetwork
from studio.models.writing import write
from studio.pipeline import untouched
from studio.pipeline.answers import read_conversion
from studio.pipeline.job import Job
from studio.pipeline.timetable import has_untouched
from studio.tasks import encoded_tokens
from studio.tasks.positions import PositionLogits

if TYPE_CHECKING:
    from studio.tasks.baseline import Baseline

WRITTEN, TEMPERATURE, SEED = 120, 0.8, 0
"""Tokens that a language model writes where nobody says how many, and how they are drawn."""

WRITTEN_AT_ONCE = 16
"""Texts that are written together."""

AT_ONCE = 1_000
"""So many inputs are held as tensors at a time."""


@dataclass(frozen=True)
class _Answering:
    """Answers by what `_logits` gives for rows."""

    config: RunConfig
    problem: Problem
    device: Device

    def stream(self, values: Sequence[Any]) -> Iterator[list[dict[str, Any]]]:
        """The answers to all values in their order, some at a time.

        Raises `DataError` for a value that is no input of the task.
        """
        for start in range(0, len(values), AT_ONCE):
            yield self.batch(values[start : start + AT_ONCE], with_shares=False)[0]

    def predict(self, values: Sequence[Any]) -> list[dict[str, Any]]:
        """An answer for each value, as the task gives it: `{"label": …, "score": …}` where a row has one class."""
        return [answer for answers in self.stream(values) for answer in answers]

    def batch(self, values: Sequence[Any], with_shares: bool) -> tuple[list[dict[str, Any]], list[dict[str, float]]]:
        """The answers to values that fit into memory together, and for each how likely each label is; no such shares
        where nobody wants them."""
        task, labels = self.problem.task, self.problem.labels
        logits = self._logits(task.unlabelled(values))
        return task.answers(logits, labels), task.shares(logits, labels) if with_shares else []

    def one(self, value: Any) -> tuple[dict[str, Any], dict[str, float]]:
        """The answer to one value, and how likely each label is for it."""
        answers, shares = self.batch([value], with_shares=True)
        return answers[0], shares[0]

    def logits(self, rows: Dataset) -> PositionLogits:
        """The logits of all positions of these rows."""
        return self._logits(rows)

    @property
    def weights_bytes(self) -> int:
        """What the weights take in memory."""
        raise NotImplementedError

    def _logits(self, rows: Dataset) -> PositionLogits:
        raise NotImplementedError


@dataclass(frozen=True)
class Writing:
    """What a model was given and what it wrote, as tokens."""

    given: list[int]
    tokens: list[int]
    processor: Any

    @property
    def is_cut(self) -> bool:
        """Whether the limit of tokens ended it, not the model."""
        return self.processor.eos_token_id not in self.tokens[-1:]

    @property
    def text(self) -> str:
        return str(self.processor.decode(self.tokens, skip_special_tokens=True))

    def pieces(self) -> list[str]:
        """What each token adds to the text; together they are the text. A letter of several tokens comes with the last
        of them, a sign adds nothing."""
        found, before = [], ""
        for count in range(1, len(self.tokens) + 1):
            now = str(self.processor.decode(self.tokens[:count], skip_special_tokens=True))
            is_whole = not now.endswith("\ufffd") or count == len(self.tokens)
            found.append(now[len(before) :] if is_whole else "")
            before = now if is_whole else before
        return found


def _as_text(processor: Any, tell: Callable[[str], None]) -> Callable[[int], None]:
    tokens: list[int] = []

    def heard(token: int) -> None:
        tokens.append(token)
        tell(str(processor.decode(tokens, skip_special_tokens=True)).rstrip("\ufffd"))

    return heard


@dataclass(frozen=True)
class Predictor(_Answering):
    """The models of one role of a run, opened; several teachers answer together. `most_tokens`: so many a language
    model writes at most, `WRITTEN` where nobody says how many; what it can read bounds them."""

    models: tuple[Model, ...]
    most_tokens: int | None = None

    @property
    def weights_bytes(self) -> int:
        return sum(map(_weights_bytes, self.models))

    def batch(self, values: Sequence[Any], with_shares: bool) -> tuple[list[dict[str, Any]], list[dict[str, float]]]:
        task = self.problem.task
        if task.kind != "token":
            return super().batch(values, with_shares)
        found = self._writings(task.unlabelled(values))
        answers = [{"text": writing.text, "cut": writing.is_cut} for writing in found]
        return answers, [{}] * len(values) if with_shares else []

    def _writings(self, rows: Dataset, tell: Callable[[str], None] | None = None) -> Iterator["Writing"]:
        """How each text goes on, each prompt is answered: drawn under one seed, so that models can be compared."""
        most = self.most_tokens or WRITTEN
        model, longest = self.models[0], self.longest
        processor = model.processor
        for row in rows:
            given = self._given(row)
            start = torch.tensor([given], device=self.device.torch_device)
            found = write(
                model.network, start, min(most, max(1, longest - len(given))), seed=SEED, temperature=TEMPERATURE,
                end=processor.eos_token_id, tell=None if tell is None else _as_text(processor, tell),
            )  # fmt: skip
            yield Writing(given, found[0, len(given) :].tolist(), processor)

    @property
    def longest(self) -> int:
        """Tokens that the model can read at once."""
        config = self.models[0].network.config
        return getattr(config, "max_position_embeddings", None) or self.config.max_length

    def _given(self, row: Any, most: int | None = None) -> list[int]:
        """The tokens after which the model is to write: the last ones, where all would leave no room. A limit above the
        usual one leaves them half of what the model can read."""
        most = most or self.most_tokens or WRITTEN
        room = most if most <= WRITTEN else max(WRITTEN, min(most, self.longest // 2))
        given = encoded_tokens.opening(row["prompt"], row["text"], row["form"], self.models[0].processor)
        return given[-max(1, self.longest - room) :]

    def writings(
        self, rows: Dataset, temperature: float = TEMPERATURE, most: int | None = None, seed: int = SEED
    ) -> list["Writing"]:
        """How each text goes on, each prompt is answered, several at a time: drawn under one seed, or the likeliest
        tokens at temperature 0. `most` tokens are written, `most_tokens` where nobody says how many."""
        found: dict[int, Writing] = {}
        for part in self.batches(rows, temperature, most, seed):
            found |= part
        return [found[number] for number in range(len(rows))]

    def batches(
        self, rows: Dataset, temperature: float = TEMPERATURE, most: int | None = None, seed: int = SEED
    ) -> Iterator[dict[int, "Writing"]]:
        """The same by the number of the row, as soon as some are written: rows of like length together."""
        given = [self._given(row, most) for row in rows]
        by_length = sorted(range(len(given)), key=lambda number: len(given[number]))
        limit = most or self.most_tokens or WRITTEN
        for begin in range(0, len(given), WRITTEN_AT_ONCE):
            part = by_length[begin : begin + WRITTEN_AT_ONCE]
            texts = self._together([given[number] for number in part], temperature, limit, seed)
            yield dict(zip(part, texts, strict=True))

    def _together(self, given: Sequence[list[int]], temperature: float, limit: int, seed: int) -> Iterator["Writing"]:
        model, width = self.models[0], max(map(len, given))
        processor, device = model.processor, self.device.torch_device
        end = processor.eos_token_id
        start = torch.tensor(
            [[processor.pad_token_id or 0] * (width - len(prompt)) + prompt for prompt in given], device=device
        )
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in given], device=device)
        most = min(limit, max(1, self.longest - width))
        written = write(model.network, start, most, seed=seed, temperature=temperature, end=end, mask=mask)
        for prompt, tokens in zip(given, written[:, width:].tolist(), strict=True):
            yield Writing(prompt, tokens[: tokens.index(end) + 1] if end in tokens else tokens, processor)

    def reads(self, writing: "Writing", row: Any) -> "Writing":
        """What another model wrote after this row, in the tokens of this one."""
        processor = self.models[0].processor
        if processor.get_vocab() == writing.processor.get_vocab():
            return writing
        tokens = processor(writing.text, add_special_tokens=False, verbose=False)["input_ids"]
        return Writing(self._given(row), tokens, processor)

    def writes(self, value: Any, tell: Callable[[str], None]) -> "Writing":
        """How one text goes on; `tell` hears the text so far after each token."""
        return next(self._writings(self.problem.task.unlabelled([value]), tell))

    def read(self, rows: Dataset) -> Any:
        """Rows of a saved data set as the first model reads them, on its device."""
        model = self.models[0]
        found = self.problem.task.encode(rows, model.processor, model.network.config, self.config.max_length)
        return found.to(self.device.torch_device)

    def likelihoods(self, writing: "Writing") -> list[float]:
        """The log-probability of each written token, whoever wrote it, in nats."""
        whole = torch.tensor([[*writing.given, *writing.tokens]], device=self.device.torch_device)
        with torch.inference_mode():
            logits = self.models[0].network(input_ids=whole).logits[0, len(writing.given) - 1 : -1]
        log_p = logits.float().log_softmax(-1)
        found: list[float] = log_p.gather(-1, whole[0, len(writing.given) :].unsqueeze(-1)).squeeze(-1).tolist()
        return found

    def _logits(self, rows: Dataset) -> PositionLogits:
        found = []
        for model in self.models:
            config = model.network.config
            encoded = self.problem.task.encode(rows, model.processor, config, self.config.max_length)
            steps = teacher_outputs.logits(model, encoded.to(self.device.torch_device), self.device, _silent)
            found.append(result_of(steps))
        return fuse(found, self.config.fusion, self.problem.task)


@dataclass(frozen=True)
class LinearPredictor(_Answering):
    """The baseline of a run, fitted anew."""

    baseline: "Baseline"

    @property
    def weights_bytes(self) -> int:
        return self.baseline.size_bytes

    def _logits(self, rows: Dataset) -> PositionLogits:
        return self.baseline.logits(rows)


def _weights_bytes(model: Model) -> int:
    """Of ONNX files what they take on disk."""
    network = model.network
    if isinstance(network, OnnxNetwork):
        return sum(file.stat().st_size for file in model.folder.iterdir()) if model.folder else 0
    return sum(weights.numel() * weights.element_size() for weights in network.parameters())


def open_baseline(config: RunConfig, dataset: Path, labels: list[str], multi_label: bool) -> LinearPredictor:
    """The baseline of a run, fitted as its verdict fitted it: on the training rows, with the run's seed.

    Raises `ModelError` where there is nothing to fit.
    """
    from studio.tasks import baseline  # scikit-learn takes a second to open

    problem = _problem(config, labels, multi_label)
    try:
        fitted = baseline.fit(problem.task, load(dataset).dict["train"], len(labels), config.seed)
    except ValueError as error:
        raise ModelError(f"There is no baseline: {error}", "Ask the other models.") from error
    return LinearPredictor(config, problem, Device(torch.device("cpu"), torch.float32), fitted)


def open_int8(config: RunConfig, run_id: int, home: Home, labels: list[str], multi_label: bool) -> Predictor:
    """The student as the int8 file of its export. Raises `ModelError` where there is none."""
    quiet()
    problem = _problem(config, labels, multi_label)
    known = read_conversion(home.onnx(run_id))
    name = next((form.file for form in known.forms if form.name == "int8"), "") if known else ""
    if not name:
        raise ModelError(f"The student of run {run_id} is not there in int8.", "Quantize it first, or export it.")
    model = _onnx_model(home.onnx(run_id) / name, home.model(run_id, "student"), problem)
    return Predictor(config, problem, Device(torch.device("cpu"), torch.float32), (model,))


def _problem(config: RunConfig, labels: list[str], multi_label: bool) -> Problem:
    assert config.task is not None
    nothing = tasks.get(config.task, multi_label).unlabelled([])
    return Problem(config.task, labels, nothing, config.max_length, multi_label)


def open_role(
    config: RunConfig, run_id: int, role: NetworkRole, home: Home, labels: list[str], multi_label: bool
) -> Predictor:
    """The models of a role as the verdict measured them: in int8 where the plan ends with that.

    Raises `ModelError` where the run has no such model, or it has not learned the labels.
    """
    quiet()
    device = Device(torch.device(devices.available()[0]), torch.float32)
    problem = _problem(config, labels, multi_label)
    models = tuple(_open(config, run_id, role, home, problem))
    for model in models:
        if isinstance(model.network, torch.nn.Module):
            model.network.to(device.torch_device).eval()
    return Predictor(config, problem, device, models)


def open_roles(job: Job, dataset: DataSet) -> Iterator[tuple[TrainedRole, Predictor]]:
    """The models of each role that the run has, opened one role after the other.

    Raises `ModelError` where one cannot be opened, or teacher or student is missing.
    """
    for role in get_args(TrainedRole):
        there = any(
            folder.is_dir() for folder in (job.home.model(job.run_id, role), job.home.quantized(job.run_id, role))
        )
        if there or role in ("teacher", "student"):
            yield role, open_role(job.config, job.run_id, role, job.home, dataset.labels, dataset.multi_label)


def open_untouched(job: Job, dataset: DataSet) -> dict[NetworkRole, Predictor]:
    """The student of the run as it was before it learned, where that says something.

    Raises a `StudioError` where it is no longer on this machine.
    """
    if not has_untouched(job.config):
        return {}
    return {"untouched": open_role(job.config, job.run_id, "untouched", job.home, dataset.labels, dataset.multi_label)}


def open_exported(folder: Path, config: RunConfig) -> Predictor:
    """The student of an unpacked export, by what stands in it alone: in int8 where its plan ended with that.

    Raises `ModelError` where it cannot be opened.
    """
    quiet()
    try:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        assert config.task is not None
        has_labels = tasks.get(config.task).targets.column is not None
        listed = settings["id2label"] if has_labels else {}
        named = [str(name) for _, name in sorted(listed.items(), key=lambda pair: int(pair[0]))]
    except (OSError, ValueError, KeyError, AttributeError, AssertionError) as error:
        raise ModelError(f"The export in {folder} does not say what it is: {error!r}.", "Export it again.") from error
    multi_label = settings.get("problem_type") == "multi_label_classification"
    task = tasks.get(config.task, multi_label)
    labels = [] if task.kind == "number" else named
    problem = Problem(config.task, labels, task.unlabelled([]), config.max_length, multi_label)
    device = Device(torch.device(devices.available()[0]), torch.float32)
    int8 = folder / "int8"
    model = _open_onnx(int8, problem) if int8.is_dir() else _trained(opening.open_folder(folder, problem), "student")
    if isinstance(model.network, torch.nn.Module):
        model.network.to(device.torch_device).eval()
    return Predictor(config, problem, device, (model,))


def _open(config: RunConfig, run_id: int, role: NetworkRole, home: Home, problem: Problem) -> Iterator[Model]:
    if role == "untouched":
        yield untouched.of_finished(config, run_id, home, problem)
        return
    quantized = home.quantized(run_id, role)
    if role == "teacher":
        for number, reference in enumerate((config.teacher, *config.more_teachers), start=1):
            saved = home.model(run_id, "teacher" if number == 1 else f"teacher-{number}")
            if not saved.is_dir() and ModelReference.parse(reference).source == "builtin":
                raise ModelError(
                    f"Run {run_id} has no trained teacher yet.", "Let it go on until it has, or choose another run."
                )
            saving.require_undamaged(saved)
            source = f"folder:{saved}" if saved.is_dir() else reference
            yield _trained(result_of(opening.load(source, problem, home, config.teacher_precision)), role)
    elif quantized.is_dir():
        yield _open_onnx(quantized, problem)
    elif home.model(run_id, role).is_dir():
        saving.require_undamaged(home.model(run_id, role))
        yield _trained(opening.open_folder(home.model(run_id, role), problem), role)
    else:
        raise ModelError(f"Run {run_id} has no {role} yet.", "Let it go on until it has, or choose another run.")


def _open_onnx(folder: Path, problem: Problem) -> Model:
    """The int8 file that a plan ends with."""
    saving.require_undamaged(folder)
    return _onnx_model(folder / "model.onnx", folder, problem)


def _onnx_model(file: Path, folder: Path, problem: Problem) -> Model:
    """An ONNX file as a model; its config and its tokenizer or image processor are in the folder."""
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        network = OnnxNetwork(file, SimpleNamespace(config=config))
        processor = opening.open_processor(folder, problem.task)
    except (OSError, ValueError, KeyError, RuntimeError, MemoryError) as error:
        raise ModelError(f"The int8 model in {file.parent} cannot be opened: {error}.", "Train it again.") from error
    return Model(network, processor, knows_labels=True, pretrained=True, folder=file.parent)


def _trained(model: Model, role: TrainedRole) -> Model:
    if not model.knows_labels:
        raise ModelError(f"The {role} has not learned the labels yet.", "Let the run go on until it has.")
    return model


def _silent(done: int) -> Progress:
    return Progress(phase="evaluate", step=done)
