"""Which losses a step adds up, with which weights, and the projectors that some of them learn."""

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.config.methods import LOSSES, Term
from studio.config.run import RunConfig, Schedule
from studio.distill import losses
from studio.errors import ModelError
from studio.models.features import Outputs, pooled
from studio.models.layers import evenly_spread
from studio.tasks import Task

RELATED = 128
"""How many examples of a batch are related to each other: triplets grow with the third power."""

_SHALLOW = {"student_logits", "teacher_logits", "teacher_index", "teacher_ends", "teacher_tail", "teacher_spans",
            "labels", "temperature"}  # fmt: skip


class Terms(NamedTuple):
    """The scalar to minimize, and its parts under the names that the curves show."""

    total: Tensor
    parts: dict[str, Tensor]


Objective = Callable[[Outputs, Outputs | None, Tensor, float], Terms]
"""(student, teacher or None, labels, share of the training that is done) -> Terms. Logits and labels are those of the
positions that the student saw; `teacher.seen` tells at which of them the teacher's logits are numbers."""


def function(name: str, kind: str = "class") -> Callable[..., Tensor]:
    """The loss of that name in `studio.distill.losses`; for labels of another kind its form for that, where there is
    one.

    >>> function("soft_target", "multi_label").__name__, function("logit_mse", "multi_label").__name__
    ('multi_label_soft_target_loss', 'logit_mse_loss')
    """
    plain: Callable[..., Tensor] = getattr(losses, f"{name}_loss")
    return getattr(losses, f"{kind}_{name}_loss", plain)


def reads(name: str) -> set[str]:
    """What a loss reads, by the names of its parameters."""
    return set(inspect.signature(function(name)).parameters)


def is_deep(terms: Iterable[Term]) -> bool:
    """Whether a loss among them reads more than logits, so that the teacher must answer live."""
    return any(not reads(term.loss) <= _SHALLOW for term in terms)


def labels_only(task: Task) -> Objective:
    """The loss with the labels alone: how a teacher is fine-tuned and a control is trained."""

    def loss(student: Outputs, teacher: Outputs | None, labels: Tensor, progress: float) -> Terms:
        label = task.label_loss(student.logits, labels)
        return Terms(label, {"label_loss": label})

    return loss


def hard_labels(task: Task) -> Objective:
    """The same loss with the teacher's own choice for the label, at positions with a label and without."""

    def loss(student: Outputs, teacher: Outputs | None, labels: Tensor, progress: float) -> Terms:
        if teacher is None:
            raise ValueError("hard labels need the teacher's logits")
        student, teacher, _ = seen_by_both(student, teacher, labels)
        if teacher.index is None or teacher.ends is None:
            chosen = task.choices(teacher.logits)
        else:
            chosen = teacher.index[teacher.ends[:-1]]  # of each position the likeliest is the first
        label = task.label_loss(student.logits, chosen)
        return Terms(label, {"label_loss": label})

    return loss


def seen_by_both(student: Outputs, teacher: Outputs, labels: Tensor) -> tuple[Outputs, Outputs, Tensor]:
    """What distillation losses compare: the positions that the teacher saw, too; all where it sees every one."""
    if teacher.seen is None:
        return student, teacher, labels
    kept = torch.nonzero(teacher.seen).flatten()
    return (
        replace(student, logits=student.logits[kept]),
        replace(teacher, logits=teacher.logits[kept], seen=None),
        labels[kept],
    )


def of_one_width(student: Outputs, teacher: Outputs) -> tuple[Outputs, Outputs]:
    """Both models' answers over the tokens that both have: vocabularies of one tokenizer are filled up to different
    sizes, and what fills them stands for nothing."""
    if teacher.spans is not None:  # how likely a span is has one width everywhere
        return student, teacher
    mine, theirs = student.logits.shape[-1], teacher.logits.shape[-1]
    if teacher.index is None and mine != theirs:
        width = min(mine, theirs)
        return replace(student, logits=student.logits[:, :width]), replace(teacher, logits=teacher.logits[:, :width])
    if teacher.index is not None and teacher.ends is not None and not bool((both := teacher.index < mine).all()):
        before = torch.cat([teacher.ends.new_zeros(1), both.cumsum(0)])
        kept = replace(teacher, logits=teacher.logits[both], index=teacher.index[both], ends=before[teacher.ends])
        return student, kept
    return student, teacher


class Distillation(nn.Module):
    """alpha · sum of weight · loss(student, teacher) + (1 - alpha) · the task's loss with the labels.

    Losses on features need `example`, the outputs of student and teacher for one batch: layers are paired, evenly
    spread over both, and where widths differ a projector is learned. `aligned`: both read the same tokens.
    Raises `ModelError` where the two models do not have what a loss compares.
    """

    def __init__(
        self, config: RunConfig, task: Task, example: tuple[Outputs, Outputs] | None = None, aligned: bool = True
    ) -> None:
        super().__init__()
        self.config = config
        self.task = task
        self.terms = config.terms
        self.aligned = aligned
        self.pairs: list[tuple[int, int]] = []
        self.projectors = nn.ModuleList()
        if is_deep(self.terms):
            if example is None:
                raise ValueError("losses on features need an example of both models' outputs")
            self._fit(*example)

    @property
    def teaches_answers(self) -> bool:
        """Whether anything corrects the logits; hidden layers alone do not."""
        alphas = (self.config.alpha, self.config.alpha_end if self.config.alpha_schedule != "constant" else 1.0)
        return min(alphas) < 1 or any("student_logits" in reads(term.loss) for term in self.terms)

    def forward(self, student: Outputs, teacher: Outputs | None, labels: Tensor, progress: float = 0.0) -> Terms:
        if teacher is None:
            raise ValueError("distillation needs the teacher's logits")
        config = self.config
        alpha = scheduled(config.alpha_schedule, config.alpha, config.alpha_end, progress)
        parts: dict[str, Tensor] = {}
        total = student.logits.new_zeros(())
        compared = seen_by_both(*of_one_width(student, teacher), labels)
        for term in self.terms:
            value = self._value(term.loss, *compared, progress)
            parts[f"{term.loss}_loss"] = value
            total = total + term.share * warmed_up(LOSSES[term.loss].warm_up, progress) * value
        with torch.set_grad_enabled(torch.is_grad_enabled() and alpha < 1):  # else it is told, and corrects nothing
            label = self.task.label_loss(student.logits, labels)
        return Terms(alpha * total + (1 - alpha) * label, parts | {"label_loss": label})

    def _value(self, name: str, student: Outputs, teacher: Outputs, labels: Tensor, progress: float) -> Tensor:
        form = function(name, self.task.kind if teacher.index is None else "top_k")
        wanted = set(inspect.signature(form).parameters)
        if "student_logits" in wanted and not len(student.logits):
            return (
                student.logits.sum()
            )  # no position was seen by both: nothing to learn, and the mean of nothing is NaN
        if not any(value.endswith("features") for value in wanted):
            brought = {value: self._bring(value, student, teacher, labels, progress) for value in wanted}
            return form(**brought)
        values = []
        for number, pair in enumerate(self.pairs):
            mine, theirs, mask = self._features(student, teacher, pair)
            known = {"student_features": mine, "teacher_features": theirs, "mask": mask}
            if "projected_features" in wanted:
                known["projected_features"] = self.projectors[number](mine)
            values.append(function(name)(**{value: known[value] for value in wanted}))
        return torch.stack(values).mean()

    def _bring(self, name: str, student: Outputs, teacher: Outputs, labels: Tensor, progress: float) -> Tensor | float:
        heads = math.gcd(student.heads, teacher.heads)
        match name:
            case "student_logits":
                return student.logits
            case "teacher_logits":
                return teacher.logits
            case "teacher_index":
                assert teacher.index is not None
                return teacher.index
            case "teacher_ends":
                assert teacher.ends is not None
                return teacher.ends
            case "teacher_tail":
                assert teacher.tail is not None
                return teacher.tail
            case "teacher_spans":
                assert teacher.spans is not None
                return teacher.spans
            case "labels":
                return labels
            case "temperature":
                return self._temperature(teacher.logits, progress)
            case "student_embedding":
                return student.embedding[:RELATED]
            case "teacher_embedding":
                return teacher.embedding[:RELATED]
            case "student_attention":
                return student.attention
            case "teacher_attention":
                return teacher.attention
            case "student_values":
                return student.values(heads)
            case "teacher_values":
                return teacher.values(heads)
            case "mask":
                return _mask(student)
        raise ValueError(f"no loss can read {name!r}; see the head of studio.distill.losses")

    def _temperature(self, teacher_logits: Tensor, progress: float) -> Tensor | float:
        config = self.config
        temperature = scheduled(config.temperature_schedule, config.temperature, config.temperature_end, progress)
        if not config.temperature_per_sample:
            return temperature
        return 1 + (temperature - 1) * self.task.certainty(teacher_logits)

    def _fit(self, student: Outputs, teacher: Outputs) -> None:
        """Pair the layers, make the projectors, and refuse what cannot be compared."""
        for term in self.terms:
            self._require(term.loss, student, teacher)
        count = min(len(student.hidden), len(teacher.hidden))
        self.pairs = list(
            zip(evenly_spread(count, len(student.hidden)), evenly_spread(count, len(teacher.hidden)), strict=True)
        )
        if any("projected_features" in reads(term.loss) for term in self.terms):
            for pair in self.pairs:
                mine, theirs, _ = self._features(student, teacher, pair)
                self.projectors.append(_projector(mine, theirs))

    def _require(self, name: str, student: Outputs, teacher: Outputs) -> None:
        wanted = reads(name)
        title = LOSSES[name].title
        if wanted & {"student_attention", "student_values"}:
            for role, outputs in (("student", student), ("teacher", teacher)):
                if outputs.projections is None:
                    raise ModelError(
                        f"{name} ({title}) compares attention, and the {role} has none that the studio can read.",
                        "Choose soft_target, or two transformers.",
                    )
            if not self.aligned:
                raise ModelError(
                    f"{name} ({title}) compares words one by one, and teacher and student cut texts differently.",
                    "Choose soft_target, or a student with the teacher's tokenizer.",
                )
        if not wanted & {"student_features", "projected_features", "student_embedding"}:
            return
        for role, outputs in (("student", student), ("teacher", teacher)):
            if not outputs.hidden:
                raise ModelError(
                    f"{name} ({title}) reads hidden layers, and the {role} shows none.", "Choose soft_target."
                )
        if "student_features" in wanted:
            mine, theirs = student.hidden[-1], teacher.hidden[-1]
            if mine.ndim != theirs.ndim or mine.ndim == 2 or (mine.ndim == 3 and not self.aligned):
                raise ModelError(
                    f"{name} ({title}) compares where two models look, and these two have no places in common.",
                    "Choose soft_target, or two models of one kind.",
                )

    def _features(self, student: Outputs, teacher: Outputs, pair: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """One pair of layers in a common shape but for the width, and the mask of its tokens."""
        mine, theirs = student.hidden[pair[0]], teacher.hidden[pair[1]]
        if mine.ndim == theirs.ndim == 4:
            size = tuple(min(sides) for sides in zip(mine.shape[2:], theirs.shape[2:], strict=True))
            mine, theirs = (F.adaptive_avg_pool2d(maps, cast(tuple[int, int], size)) for maps in (mine, theirs))
        elif not (mine.ndim == theirs.ndim == 3 and self.aligned):
            mine, theirs = pooled(mine, student.mask), pooled(theirs, teacher.mask)
        if mine.ndim == 3:
            return mine, theirs, _mask(student, mine)
        return mine, theirs, mine.new_ones(len(mine), 1)


def scheduled(shape: Schedule, start: float, end: float, progress: float) -> float:
    """The value after a share `progress` of the training.

    >>> [scheduled(shape, 8.0, 2.0, 0.5) for shape in ("constant", "linear", "cosine")]
    [8.0, 5.0, 5.0]
    """
    if shape == "constant":
        return start
    if shape == "linear":
        return start + (end - start) * progress
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def warmed_up(share: float, progress: float) -> float:
    """The part of its weight that a loss has after a share `progress` of the training.

    >>> warmed_up(0.0, 0.0), warmed_up(0.1, 0.05), warmed_up(0.1, 0.7)
    (1.0, 0.5, 1.0)
    """
    return min(1.0, progress / share) if share else 1.0


def _mask(outputs: Outputs, hidden: Tensor | None = None) -> Tensor:
    """(batch, length): 1 where there is a token; all ones for models that have no mask."""
    if outputs.mask is not None and (hidden is None or outputs.mask.shape == hidden.shape[:2]):
        return outputs.mask
    hidden = outputs.hidden[-1] if hidden is None else hidden
    return hidden.new_ones(hidden.shape[:2])


def _projector(mine: Tensor, theirs: Tensor) -> nn.Module:
    """From the student's width to the teacher's; nothing to learn where they are the same."""
    narrow, wide = mine.shape[1 if mine.ndim == 4 else -1], theirs.shape[1 if theirs.ndim == 4 else -1]
    if narrow == wide:
        return nn.Identity()
    return nn.Conv2d(narrow, wide, 1) if mine.ndim == 4 else nn.Linear(narrow, wide)
