"""What the questions about a run answer, as plain records: pages read them without torch."""

import json
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from studio.config.plan import Prune
from studio.config.run import RunConfig
from studio.events import Comparison, KeptAnswers, NetworkRole, TrainedRole
from studio.home import Home


class Checked(BaseModel):
    """How good a teacher is on so many validation rows, by the deciding measure, beside what the same answer for every
    row gets and, where one can be fitted, the linear baseline; `is_weak` where it is no better than the first,
    `is_below_baseline` where it is clearly worse than the second."""

    model_config = ConfigDict(frozen=True)

    value: float
    constant: float
    baseline: float | None = None
    rows: int
    is_weak: bool
    is_below_baseline: bool = False


class Estimate(BaseModel):
    """Sizes are exact; time and memory are extrapolated from a few timed steps. `teacher`: how good it is already,
    where it knows the labels. `whole_length`: the max_length with which 19 of 20 rows are read whole, where they are
    cut now."""

    model_config = ConfigDict(frozen=True)

    teacher_parameters: int | None = None
    student_parameters: int | None = None
    teacher_is_taught: bool = False
    teacher: Checked | None = None
    seconds: float | None = None
    memory_bytes: int | None = None
    device: str = ""
    whole_length: int | None = None
    notes: list[str] = []


class Sizes(BaseModel):
    """Parameters of the built-in models as they are for a data set, since its classes and its words decide with, and of
    the asked teacher and some students that can be cut from it; `milliseconds` that one row takes on this machine.
    Built-in models go by their name, others by their reference."""

    model_config = ConfigDict(frozen=True)

    parameters: dict[str, int]
    milliseconds: dict[str, float] = {}


class Preview(BaseModel):
    """`ratios` that this student allows, and the share of `rows` validation rows that is right at each; 0 is
    unpruned."""

    model_config = ConfigDict(frozen=True)

    ratios: list[float]
    accuracy: list[float]
    rows: int
    step: Prune


class Form(BaseModel):
    """One form of the student. `same` is the share of checked rows with the same choice as in torch, `largest` the
    largest difference of a logit, `latency_ms` the median of one row at a time; None where other programs carry it
    out. Of one that could not be written at all no `rows` were checked."""

    model_config = ConfigDict(frozen=True)

    name: str
    file: str = ""
    size_bytes: int
    rows: int
    same: float
    largest: float
    latency_ms: float | None = None
    left_out: str = ""


class Conversion(BaseModel):
    """All forms, torch first, timed in turns in one session on this device with so many threads."""

    model_config = ConfigDict(frozen=True)

    forms: list[Form]
    threads: int
    device: str = ""


def read_conversion(folder: Path) -> Conversion | None:
    """What an earlier conversion left in the folder."""
    file = folder / "forms.json"
    return Conversion.model_validate(json.loads(file.read_text())) if file.is_file() else None


class Examined(BaseModel):
    """What an examination of a finished run found. `program`: the module of `studio.pipeline` that makes it."""

    model_config = ConfigDict(frozen=True)

    program: ClassVar[str]


class Layers(Examined):
    """How alike the layers of teacher and student see `rows` validation rows: `alike` (teacher's layers, student's
    layers), each a CKA, None where a layer says the same of every row. Names in the order of the layers."""

    program = "layers"

    teacher: list[str]
    student: list[str]
    alike: list[list[float | None]]
    rows: int


class Curve(BaseModel):
    """How good a model is on inputs that are made worse: the deciding measure at each level, with its 95 % interval."""

    model_config = ConfigDict(frozen=True)

    corruption: str
    role: TrainedRole
    levels: list[float]
    values: list[float]
    low: list[float]
    high: list[float]


class Gap(BaseModel):
    """How much more of the deciding measure the student loses at a level than its teacher does, on the same rows.
    `p_value` holds for all levels of all corruptions together (Holm, 1979)."""

    model_config = ConfigDict(frozen=True)

    corruption: str
    level: float
    difference: float
    p_value: float


class Robustness(Examined):
    """The curves of all models and corruptions on the same `rows` test rows, and what the student loses more than its
    teacher; `gaps` is None in what was examined before they were tested."""

    program = "robustness"

    curves: list[Curve]
    rows: int
    gaps: list[Gap] | None = None


class WrittenBy(BaseModel):
    """What one model wrote: (value, low, high) of each measure of `studio.evaluate.written`, some of its texts, whether
    the limit of tokens `cut` each of these off, the share of all that it cut off, and how many tokens a second it
    wrote, several texts at a time. Of what was written before that was told, `cut` is empty and its share None."""

    model_config = ConfigDict(frozen=True)

    role: NetworkRole
    values: dict[str, tuple[float, float, float]]
    texts: list[str]
    cut: list[bool] = []
    cut_share: float | None = None
    tokens_per_second: float


class Written(Examined):
    """What the models wrote after the same `rows` openings, at most `most` tokens each; how the student differs from
    the others; and some of what they were `given`, with what the data says there. `rule`: the pattern by which answers
    were compared, too. `left_out`: why the student as it was before it learned, which was measured, did not write."""

    program = "written"

    rows: int
    most: int
    given: list[str]
    expected: list[str]
    by: list[WrittenBy]
    against: list[Comparison]
    rule: str = ""
    left_out: str = ""


class Prompts(BaseModel):
    """What a model of this machine is asked: texts, or messages of chats. `config`: the run whose teacher it would be,
    resolved; the tokens of an answer, at most, and how they are drawn. `instruction`: the prompts are texts to be
    written on, and a model that has a chat template is told so before each of them."""

    model_config = ConfigDict(frozen=True)

    config: RunConfig
    home: Home
    prompts: list[str | list[dict[str, str]]]
    most_tokens: int
    temperature: float
    seed: int
    instruction: str = ""


class Spoken(BaseModel):
    """An answer, the tokens of question and answer, the mean log-probability of the latter as it was drawn at
    temperature 1, and whether the limit cut it off."""

    model_config = ConfigDict(frozen=True)

    text: str
    read: int
    written: int
    log_probability: float | None
    is_cut: bool


class AllSpoken(BaseModel):
    """The answers to all prompts, in their order."""

    said: list[Spoken]


class Elsewhere(BaseModel):
    """How good each model is on `rows` test rows of another data set, by the deciding measure: (value, low, high).
    `known` test rows more are left out: the models learned from them, or were chosen by them."""

    model_config = ConfigDict(frozen=True)

    dataset: str
    rows: int
    known: int
    values: dict[TrainedRole, tuple[float, float, float]]


class Embedded(Examined):
    """Of how many training and test rows the teacher's embeddings are kept, and how wide they are."""

    program = "embeddings"

    training: int
    test: int
    width: int


AskedRole = Literal[NetworkRole, "int8", "baseline"]
"""Whom one can ask: `int8` is the student as the int8 file of its export, `untouched` the student as it was before it
learned, `baseline` the linear model, which is fitted anew from the training rows."""


class _Asked(BaseModel):
    """Whose models are asked; bytes travel in base64. `dataset`: the folder of the run's data, for the baseline."""

    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")

    home: Home
    run_id: int
    config: RunConfig
    labels: list[str]
    multi_label: bool = False
    dataset: Path | None = None


class Question(_Asked):
    """One input, asked of some models of a run. Of an image `image` holds its file, of all else `value` what it is."""

    kind: Literal["question"] = "question"
    roles: list[AskedRole]
    value: Any = None
    image: bytes | None = None


class Why(_Asked):
    """One input of which is asked what in it speaks for a label, the teacher's answer where that is "". As in
    `Question`, an image is in `image`."""

    kind: Literal["why"] = "why"
    label: str = ""
    value: Any = None
    image: bytes | None = None


class Part(BaseModel):
    """A part of a text, `text` of the first or second one, and how much it speaks for the label (below 0: against
    it)."""

    model_config = ConfigDict(frozen=True)

    text: str
    of: int
    value: float


class Attributed(BaseModel):
    """What speaks for the label in the eyes of one model: `parts` of a text in their order, or `heat` (height, width)
    of a picture, coarser than it is, with its grey levels from 0 to 1 in `picture`. `score` is the log of the label's
    odds, `start` that of an empty text or a plain picture; the values add up to their difference."""

    model_config = ConfigDict(frozen=True)

    role: AskedRole
    parts: list[Part] = []
    heat: list[list[float]] = []
    picture: list[list[float]] = []
    score: float
    start: float


class Attributions(BaseModel):
    """The same of teacher and student, about one label; `missing`: why one of them cannot tell."""

    model_config = ConfigDict(frozen=True)

    label: str
    said: list[Attributed]
    missing: dict[AskedRole, str] = {}


class Batch(_Asked):
    """Inputs that one model of a run answers together: `images`, or `values` where they are none. Where `shares` is
    set, it also says how likely each label is."""

    kind: Literal["batch"] = "batch"
    role: AskedRole
    values: list[Any] = []
    images: list[bytes] = []
    shares: bool = False


class Batched(BaseModel):
    """The answers to a batch in its order, and `shares` where they were asked for."""

    model_config = ConfigDict(frozen=True)

    answers: list[dict[str, Any]]
    shares: list[dict[str, float]] = []


class Token(BaseModel):
    """A written token: what it adds to the text, how likely the model that wrote it takes it, and how likely another
    one does: of the teacher's text the student, of every other text the teacher."""

    model_config = ConfigDict(frozen=True)

    text: str
    own: float
    other: float


class Partial(BaseModel):
    """What a model has written so far."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["partial"] = "partial"
    role: AskedRole
    text: str


class Said(BaseModel):
    """What a model answers, as `predict` gives it; `shares`: how likely each label is, the likeliest first, empty where
    the answer is no choice of labels. `milliseconds`: the least time of this one row. `tokens`: of one that writes,
    what it wrote piece by piece, where there is another model to compare with."""

    model_config = ConfigDict(frozen=True)

    role: AskedRole
    answer: dict[str, Any]
    shares: dict[str, float]
    milliseconds: float
    tokens: list[Token] = []


class Replies(BaseModel):
    """What each model that was asked says, on this device; `missing`: why others cannot be asked."""

    model_config = ConfigDict(frozen=True)

    said: list[Said]
    missing: dict[AskedRole, str] = {}
    device: str


class KeptLater(BaseModel):
    """Whose answers to which rows were kept after the run."""

    model_config = ConfigDict(frozen=True)

    told: list[KeptAnswers]
