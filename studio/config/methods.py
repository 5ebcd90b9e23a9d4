"""The ways to distil, as data: which losses there are, what each is for, and which settings go by one name.

The functions behind the losses are in `studio.distill.losses`, under the same name with `_loss` at the end.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

Kind = Literal["response", "feature", "relation"]
TEXT, IMAGE = "text", "image"


@dataclass(frozen=True)
class Loss:
    """One distillation loss as a person chooses it.

    `weight` is its usual weight, `classes` the fewest classes with which it means anything, `warm_up` the share of the
    training over which its weight grows from 0. `kinds`: the labels that it can compare, see `Kind` in
    `studio.tasks.task`.
    `needs_all`: it cannot do with the likeliest classes of an answer alone.
    """

    title: str
    kind: Kind
    when: str
    paper: str
    weight: float = 1.0
    classes: int = 2
    warm_up: float = 0.0
    why_classes: str = ""
    kinds: tuple[str, ...] = ("class",)
    needs_all: bool = False


ANY = ("class", "multi_label", "number")
WHOLE = ("class", "token")
"""Where an answer is a choice of one class or token."""

LOSSES: dict[str, Loss] = {
    "soft_target": Loss(
        "Soft targets",
        "response",
        "The safe first choice: the student imitates how sure the teacher is of every class.",
        "Hinton, Vinyals & Dean, 2015",
        kinds=("class", "multi_label", "token"),
    ),
    "reverse_kl": Loss(
        "Reverse KL",
        "response",
        "For a student that writes: it keeps to what the teacher takes for likely, and says less that is odd.",
        "Gu et al., 2024 (MiniLLM)",
        kinds=WHOLE,
        needs_all=True,
    ),
    "jensen_shannon": Loss(
        "Jensen–Shannon",
        "response",
        "Between both directions of the KL, and bounded: for a teacher that is far ahead.",
        "Agarwal et al., 2024 (GKD)",
        kinds=WHOLE,
        needs_all=True,
    ),
    "skewed_kl": Loss(
        "Skewed KL",
        "response",
        "Soft targets whose gradients stay small where the student is far off.",
        "Ko et al., 2024 (DistiLLM)",
        kinds=WHOLE,
        needs_all=True,
    ),
    "total_variation": Loss(
        "Total variation",
        "response",
        "Counts how much probability stands in another place, and nothing more.",
        "Wen et al., 2023",
        kinds=WHOLE,
        needs_all=True,
    ),
    "renormalized_top_k": Loss(
        "Soft targets, the likeliest alone",
        "response",
        "To compare with other programs that leave out the rest of an answer: the student becomes too sure.",
        "Anshumann et al., 2025",
        kinds=("token",),
    ),
    "byte_spans": Loss(
        "Likelihood of byte spans",
        "response",
        "For a student that cuts texts into other tokens than its teacher: how likely both take each span that both "
        "cut alike.",
        "Minixhofer, Vulić & Ponti, 2025 (ALM)",
        kinds=("token",),
    ),
    "logit_mse": Loss(
        "Squared difference of logits",
        "response",
        "Try it when temperature is hard to choose: it needs none.",
        "Ba & Caruana, 2014",
        kinds=ANY,
    ),
    "dkd": Loss(
        "Decoupled (DKD)",
        "response",
        "For many classes and a teacher that is very sure of itself.",
        "Zhao et al., 2022",
        classes=3,
        kinds=("class",),
        warm_up=1 / 12,
        why_classes="with two classes nothing is left once the right one is set aside",
    ),
    "dist": Loss(
        "Correlation (DIST)",
        "response",
        "For a teacher that is much stronger than the student: only the order and the spacing of its answers count.",
        "Huang et al., 2022",
        kinds=("class",),
    ),
    "standardized_soft_target": Loss(
        "Standardized soft targets",
        "response",
        "For a teacher whose logits are much larger or smaller than the student's.",
        "Sun et al., 2024",
        classes=3,
        kinds=("class",),
        why_classes="standardized, two logits are always the same two numbers",
    ),
    "hint": Loss(
        "Hints (FitNets)",
        "feature",
        "For a student of the teacher's kind that is deep and thin: it also learns what the teacher's layers compute.",
        "Romero et al., 2015",
        kinds=(*ANY, "token"),
    ),
    "hidden_cosine": Loss(
        "Cosine of hidden states",
        "feature",
        "For a transformer with fewer layers than its teacher.",
        "Sanh et al., 2019 (DistilBERT)",
        kinds=(*ANY, "token"),
    ),
    "attention_transfer": Loss(
        "Attention transfer",
        "feature",
        "For convolutions: the student looks where the teacher looks.",
        "Zagoruyko & Komodakis, 2017",
        weight=50.0,
        kinds=ANY,
    ),
    "attention_distribution": Loss(
        "Attention matrices (MiniLM)",
        "feature",
        "For two transformers: words attend to the same words.",
        "Wang et al., 2020",
        kinds=ANY,
    ),
    "value_relation": Loss(
        "Value relations (MiniLM)",
        "feature",
        "For two transformers of different width; goes well with attention matrices.",
        "Wang et al., 2020",
        kinds=ANY,
    ),
    "rkd_distance": Loss(
        "Relations: distances (RKD)",
        "relation",
        "For models of different kinds: examples that are alike to the teacher become alike to the student.",
        "Park et al., 2019",
        weight=25.0,
        kinds=ANY,
    ),
    "rkd_angle": Loss(
        "Relations: angles (RKD)",
        "relation",
        "As distances, and finer; goes well with them.",
        "Park et al., 2019",
        weight=50.0,
        kinds=ANY,
    ),
    "similarity": Loss(
        "Relations: similarities",
        "relation",
        "For models of different kinds and large batches.",
        "Tung & Mori, 2019",
        weight=3000.0,
        kinds=ANY,
    ),
}


class Term(BaseModel):
    """One loss of the objective with its weight; without a weight it takes its usual one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loss: str
    weight: float | None = Field(None, gt=0, le=1e6)

    @field_validator("loss")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in LOSSES:
            raise ValueError(f"there is no loss {value!r}; there are {', '.join(LOSSES)}")
        return value

    @property
    def share(self) -> float:
        return LOSSES[self.loss].weight if self.weight is None else self.weight


def read_terms(value: object) -> object:
    """Terms as a person may write them: `dkd`, `soft_target, hint:0.5`, or a list of those.

    >>> read_terms("soft_target, hint:0.5")
    [{'loss': 'soft_target'}, {'loss': 'hint', 'weight': '0.5'}]
    """
    parts = value.split(",") if isinstance(value, str) else value
    return [_term(part) for part in parts] if isinstance(parts, list | tuple) else value


def _term(part: object) -> object:
    if isinstance(part, Term):
        return part
    if isinstance(part, dict) and "loss" in part and set(part) <= set(Term.model_fields):
        return part
    if not isinstance(part, str):
        raise ValueError(f"a term is written as in `hint:0.5` or `{{loss: hint, weight: 0.5}}`, got {part!r}")
    name, colon, weight = part.partition(":")
    return {"loss": name.strip()} | ({"weight": weight.strip()} if colon else {})


@dataclass(frozen=True)
class Method:
    """Settings that go by one name, and when to take them.

    The points that it brought against the same student alone, measured by `tests.bench.methods`, are in `GAINS`.
    """

    title: str
    when: str
    values: dict[str, Any] = field(default_factory=dict)
    modality: tuple[str, ...] = (TEXT, IMAGE)


def _terms(*names: str) -> dict[str, Any]:
    return {"terms": [{"loss": name, "weight": None} for name in names]}


METHODS: dict[str, Method] = {
    "soft": Method("Soft targets", LOSSES["soft_target"].when, _terms("soft_target")),
    "mse": Method("Squared logits", LOSSES["logit_mse"].when, _terms("logit_mse")),
    "dkd": Method("DKD", LOSSES["dkd"].when, _terms("dkd")),
    "dist": Method("DIST", LOSSES["dist"].when, _terms("dist")),
    "standardized": Method(
        "Standardized logits", LOSSES["standardized_soft_target"].when, _terms("standardized_soft_target")
    ),
    "hints": Method("Soft targets and hints", LOSSES["hint"].when, _terms("soft_target", "hint")),
    "cosine": Method("Soft targets and hidden states", LOSSES["hidden_cosine"].when,
                     _terms("soft_target", "hidden_cosine")),
    "attention": Method("Soft targets and attention transfer", LOSSES["attention_transfer"].when,
                        _terms("soft_target", "attention_transfer"), (IMAGE,)),
    "minilm": Method("Soft targets and MiniLM", "For two transformers of different width or depth.",
                     _terms("soft_target", "attention_distribution", "value_relation"), (TEXT,)),
    "rkd": Method("Soft targets and relations (RKD)", LOSSES["rkd_distance"].when,
                  _terms("soft_target", "rkd_distance", "rkd_angle")),
    "similarity": Method("Soft targets and similarities", LOSSES["similarity"].when,
                         _terms("soft_target", "similarity")),
}  # fmt: skip

MEASURED_ON = {
    TEXT: "questions to a bank, all with labels, 2 of 6 layers",
    IMAGE: "digits, 500 labels and 10,000 images without",
}


class Gain(NamedTuple):
    """Points of test accuracy against the same student alone; `spread` is the standard deviation over the seeds of the
    difference between both models of a seed."""

    points: float
    spread: float


GAINS: dict[str, dict[str, Gain]] = {
    TEXT: {
        "soft": Gain(-0.6, 0.3),
        "mse": Gain(0.0, 0.2),
        "dkd": Gain(-0.5, 0.3),
        "dist": Gain(-0.7, 0.6),
        "standardized": Gain(0.1, 0.1),
        "hints": Gain(-0.1, 0.5),
        "cosine": Gain(-0.1, 0.3),
        "minilm": Gain(0.0, 0.2),
        "rkd": Gain(0.0, 0.3),
        "similarity": Gain(0.0, 0.3),
    },
    IMAGE: {
        "soft": Gain(4.1, 0.9),
        "mse": Gain(3.9, 1.1),
        "dkd": Gain(3.6, 1.0),
        "dist": Gain(4.6, 1.1),
        "standardized": Gain(3.9, 1.0),
        "hints": Gain(4.2, 0.9),
        "cosine": Gain(4.2, 0.8),
        "attention": Gain(4.2, 1.2),
        "rkd": Gain(4.3, 1.3),
        "similarity": Gain(4.2, 1.1),
    },
}
"""As in the tables of docs/measured.md, "against alone" and "difference": `python -m tests.bench.methods`."""
