"""RunConfig: every parameter of a run, once, with its range, default, unit and help text.

The wizard's widgets, the CLI, the YAML, the store and the messages all come from here.
"""

from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from studio.config.methods import Term, read_terms
from studio.config.plan import Distill, Prune, Step, check_order, read_plan
from studio.config.references import MODEL_HELP, ModelReference

Schedule = Literal["constant", "linear", "cosine"]
Precision = Literal["float32", "bfloat16", "8bit", "4bit"]
Optimizer = Literal["adamw", "adamw_8bit"]

UNLABELLED = -1
"""The label of a row that has none; such rows teach through the teacher alone."""

MOST_TOKENS = 4096
"""Of a row that are read, whatever a model can read."""


class RunConfig(BaseModel):
    """Everything that decides the result of a run. Frozen: a change makes a new one.

    >>> RunConfig(dataset="sst2", teacher="folder:/m", student="teacher/2-layers").alpha
    0.7
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    dataset: str = Field(title="Data set", min_length=1, description="Name or id of a saved data set.")
    task: str | None = Field(
        None, title="Task", description="What the models learn. Taken from the data set when left out."
    )
    teacher: str = Field(title="Teacher", description=f"The large model to imitate: {MODEL_HELP}.")
    student: str = Field(
        title="Student",
        description=f"The small model to train: {MODEL_HELP}; or `teacher/K-layers`, cut from the teacher; or "
        "`teacher/same`, as large as the teacher (born again).",
    )
    terms: tuple[Term, ...] = Field(
        (),
        title="Distillation losses",
        description="What the student imitates, with weights. Together they count alpha, the labels 1 − alpha. Empty: "
        "what suits the task.",
    )
    temperature: float = Field(
        4.0,
        ge=0.1,
        le=100,
        title="Temperature",
        description="How much the teacher's answers are softened: higher shows the student more of what the teacher "
        "thinks of the wrong classes.",
        json_schema_extra={"step": 0.5, "slider_min": 1.0, "slider_max": 20.0},
    )
    alpha: float = Field(
        0.7,
        ge=0,
        le=1,
        title="Alpha",
        description="How much the student listens to the teacher (1) rather than to the labels (0). "
        "Some texts define it the other way round.",
        json_schema_extra={"step": 0.05},
    )
    prune_ratio: float = Field(
        0.0,
        ge=0,
        le=0.9,
        title="Prune ratio",
        description="Share of the student's feed-forward neurons or channels that are removed before it learns.",
        json_schema_extra={"step": 0.05},
    )
    plan: tuple[Step, ...] = Field(
        (),
        max_length=20,
        title="Plan",
        description="Steps that make the student small, in order, such as prune:0.5, distill, quantize:int8. "
        "Empty: prune by the prune ratio, then distil.",
    )
    epochs: int | None = Field(
        None,
        ge=1,
        le=1000,
        title="Epochs",
        description="How many times the student sees all the data. Empty: as often as suits the number of rows and the "
        "model; the control learns for as many steps.",
        json_schema_extra={"unit": "epochs", "slider_max": 50},
    )
    teacher_epochs: int | None = Field(
        None,
        ge=1,
        le=1000,
        title="Teacher epochs",
        description="How many times the teacher sees the data, if it has to learn your labels first. Empty: as often "
        "as suits the number of labelled rows and the model.",
        json_schema_extra={"unit": "epochs", "slider_max": 50},
    )
    training_length: float = Field(
        1.0,
        ge=0.01,
        le=100,
        title="Training length",
        description="Where epochs are empty: how long all models learn, as a multiple of what suits them.",
        json_schema_extra={"step": 0.5, "expert": True},
    )
    batch_size: int = Field(
        32,
        ge=1,
        le=4096,
        title="Batch size",
        description="How many examples the model sees before each update of its weights.",
        json_schema_extra={"unit": "examples", "slider_max": 256},
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=1,
        title="Learning rate",
        description="How large each update of the student's weights is. Empty: 1e-4 for pretrained weights, "
        "more for those narrower than 768, for an untrained model what suits its kind and width.",
        json_schema_extra={"expert": True},
    )
    teacher_learning_rate: float | None = Field(
        None,
        gt=0,
        le=1,
        title="Teacher learning rate",
        description="The same for the teacher. Empty: 5e-5 for pretrained weights, more for those narrower than 768, "
        "for an untrained model what suits its kind and width.",
        json_schema_extra={"expert": True},
    )
    max_length: int = Field(
        128,
        ge=4,
        le=MOST_TOKENS,
        title="Maximum length",
        description="Longer texts are cut off after this many tokens.",
        json_schema_extra={"unit": "tokens", "expert": True},
    )
    kept_answers: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        title="Kept answers",
        description="Language models: how many of the teacher's likeliest tokens are kept at each position, all others "
        "as one. Empty: as many as hold 99.9 % of its answer; as many as the vocabulary has: all. Of samples: how many "
        "tokens are drawn, empty: 64.",
        json_schema_extra={"unit": "tokens", "expert": True},
    )
    kept_as: Literal["likeliest", "samples"] = Field(
        "likeliest",
        title="Answers kept as",
        description="Language models: what is kept of each of the teacher's answers. `likeliest`: its likeliest "
        "tokens. `samples`: tokens that are drawn from it by chance, far fewer bytes; the student learns the same on "
        "average, a little less evenly.",
        json_schema_extra={"expert": True},
    )
    own_texts: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Share of own texts",
        description="Language models: how much of what the student learns from it writes itself, answered by its "
        "teacher as it goes (on-policy). It then meets its own mistakes, and takes several times as long.",
        json_schema_extra={"step": 0.1, "expert": True},
    )
    lora_rank: int | None = Field(
        None,
        ge=1,
        le=1024,
        title="Rank of adapters",
        description="Language models: the student learns through low-rank adapters of this rank (LoRA), which are "
        "merged into it at the end. Takes less memory for large students; empty: all weights learn.",
        json_schema_extra={"expert": True},
    )
    recompute_layers: bool = Field(
        False,
        title="Recompute layers",
        description="Transformers: what layers computed on the way is computed again on the way back (gradient "
        "checkpointing). Takes about a third longer, and far less memory for long texts and many layers.",
        json_schema_extra={"expert": True},
    )
    optimizer: Optimizer = Field(
        "adamw",
        title="Optimizer",
        description="What corrects the weights. `adamw_8bit` keeps its two moments in 8 bits, so that a model takes "
        "about a third less memory while it learns; it needs bitsandbytes, and the result is a little another one.",
        json_schema_extra={"expert": True},
    )
    weight_decay: float = Field(
        0.01,
        ge=0,
        le=1,
        title="Weight decay",
        description="Pulls weights gently towards zero, which reduces overfitting.",
        json_schema_extra={"expert": True},
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        title="Seed",
        description="The same seed gives the same run again.",
        json_schema_extra={"expert": True},
    )
    seeds: int = Field(
        1,
        ge=1,
        le=10,
        title="Seeds",
        description="Under how many seeds student and control are trained; teacher and its answers are shared. With "
        "three or more the verdict is about the method rather than about one run.",
        json_schema_extra={"slider_max": 5},
    )
    device: str = Field(
        "auto",
        title="Device",
        description="Where to train: `auto` (the best available), `cpu`, `cuda`, `cuda:1`, `mps`.",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        json_schema_extra={"expert": True},
    )
    devices: int = Field(
        1,
        ge=1,
        le=64,
        title="Devices for this run",
        description="How many GPUs, or processes on the processor, share every batch. The batch size is the total "
        "over all of them.",
        json_schema_extra={"unit": "devices", "expert": True},
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        title="Numeric precision",
        description="Number format while training. `auto` takes bfloat16 where the device is faster with it.",
        json_schema_extra={"expert": True},
    )
    teacher_precision: Precision = Field(
        "float32",
        title="Precision of the teacher",
        description="In how many bits the teacher's weights are held while it answers: `bfloat16` takes half the "
        "memory, `8bit` about a quarter, `4bit` about an eighth; the last two need bitsandbytes. What it says changes "
        "a little. Students are cut from the weights in full.",
        json_schema_extra={"expert": True},
    )
    auto: bool = Field(
        False,
        title="Tune automatically",
        description="Tries several pairs of temperature and alpha and takes the one that does best on validation data; "
        "keeps yours unless another is clearly better. Takes as many steps as the student itself.",
    )
    alpha_schedule: Schedule = Field(
        "constant",
        title="Alpha over time",
        description="How alpha moves to its end value.",
        json_schema_extra={"expert": True},
    )
    alpha_end: float = Field(
        0.5,
        ge=0,
        le=1,
        title="Alpha at the end",
        description="Where a linear or cosine alpha ends.",
        json_schema_extra={"expert": True},
    )
    temperature_schedule: Schedule = Field(
        "constant",
        title="Temperature over time",
        description="How the temperature moves to its end value.",
        json_schema_extra={"expert": True},
    )
    temperature_end: float = Field(
        1.0,
        ge=0.1,
        le=100,
        title="Temperature at the end",
        description="Where a linear or cosine temperature ends.",
        json_schema_extra={"expert": True},
    )
    temperature_per_sample: bool = Field(
        False,
        title="Temperature per example",
        description="The more certain the teacher is of an example, the more its answer is softened: from 1 up to the "
        "temperature above.",
        json_schema_extra={"expert": True},
    )
    hard_epochs: int = Field(
        0,
        ge=0,
        le=1000,
        title="Hard-label epochs",
        description="A second stage after distilling: the student learns the teacher's top answer for every "
        "training row as if it were the label. Helps where few rows have one.",
        json_schema_extra={"unit": "epochs", "expert": True},
    )
    more_teachers: tuple[str, ...] = Field(
        (),
        max_length=7,
        title="Extra teachers",
        description="Models that teach together with the teacher. Helps where each is good at something else.",
    )
    fusion: Literal["average", "confidence"] = Field(
        "average",
        title="How teachers are combined",
        description="`average`: all count the same. `confidence`: for each example, more certain teachers count more.",
    )
    assistants: tuple[str, ...] = Field(
        (),
        max_length=7,
        title="Intermediate models",
        description="Models between teacher and student in size, the largest first; each learns before the next "
        "one. Helps where the student is much smaller than the teacher.",
    )
    chain: Literal["assistants", "shrinking"] = Field(
        "assistants",
        title="Kind of chain",
        description="`assistants`: each model teaches the next one. `shrinking`: each model is cut from the one before "
        "it, and the teacher teaches all.",
    )
    augment: tuple[str, ...] = Field(
        (),
        title="Augmentation for the student",
        description="Changed copies of the training rows, each answered by the teacher. Helps where data is scarce.",
    )
    teacher_augment: tuple[str, ...] = Field(
        (),
        title="Augmentation for the teacher",
        description="Changed copies of the training rows, used while the teacher itself learns your labels.",
    )
    views: int = Field(
        4,
        ge=2,
        le=1000,
        title="Views",
        description="How many versions of the data the teacher answers, the original included. "
        "Epochs cycle through them.",
    )
    masked_model: str | None = Field(
        None,
        title="Masked language model",
        description="Which model fills in masked words: `hub:ORG/NAME` or `folder:PATH`.",
    )
    replay: str | None = Field(
        None,
        title="Data it already knows",
        description="When a student continues with new data: the data set it learned before. It is repeated "
        "alongside the new one so that it is not forgotten.",
    )
    allow_weak_teacher: bool = Field(
        False,
        title="Allow a weak teacher",
        description="Go on where the teacher is no better than the same answer for every row, or clearly worse than a "
        "linear model. Otherwise the run stops before the student learns and says what to do.",
        json_schema_extra={"expert": True},
    )
    control: bool = Field(
        True,
        title="Train a control",
        description="Train the same student a second time without the teacher, to see what the teacher contributed.",
    )
    control_start: Literal["teacher", "pretrained"] = Field(
        "teacher",
        title="Control begins from",
        description="Where the student is cut from the teacher. `teacher`: the control has the same layers, so only "
        "the teacher's answers set the two apart. `pretrained`: it has the layers as they were before this run trained "
        "the teacher, so all that the teacher learned sets them apart.",
        json_schema_extra={"expert": True},
    )
    smoothed_control: Literal["auto", "always", "never"] = Field(
        "auto",
        title="Control with smoothed labels",
        description="Train the student once more on labels that are smoothed as much as the teacher's answers: tells "
        "what the teacher knows from what smoothing does. `auto`: where a weak teacher is allowed.",
        json_schema_extra={"expert": True},
    )
    onnx_times: bool = Field(
        True,
        title="Time in ONNX Runtime",
        description="At the end all models are timed as ONNX files, too, where they can be written: what another "
        "runtime makes faster it makes faster for all. Takes some seconds.",
        json_schema_extra={"expert": True},
    )
    evaluate_on: Literal["test", "validation"] = Field(
        "test",
        title="Evaluate on",
        description="`validation`: the test rows are not read, as in the trials of a search for settings.",
        json_schema_extra={"expert": True},
    )
    training_share: float = Field(
        1.0,
        gt=0,
        le=1,
        title="Share of the training rows",
        description="Fewer training rows, drawn by chance, show what more of them would bring: a learning curve. A "
        "smaller share is a part of a larger one under the same seed.",
        json_schema_extra={"expert": True},
    )

    @field_validator("terms", mode="before")
    @classmethod
    def _terms_as_written(cls, value: object) -> object:
        return read_terms(value)

    @field_validator("plan", mode="before")
    @classmethod
    def _plan_as_written(cls, value: object) -> object:
        return read_plan(value)

    @field_validator("more_teachers", "assistants", "augment", "teacher_augment", mode="before")
    @classmethod
    def _list_as_written(cls, value: object) -> object:
        """`a, b` is a list of two."""
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("dataset", "replay", mode="before")
    @classmethod
    def _id_as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("teacher", "student")
    @classmethod
    def _known_reference(cls, value: str) -> str:
        ModelReference.parse(value)
        return value

    @field_validator("more_teachers", "assistants")
    @classmethod
    def _known_references(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for reference in value:
            ModelReference.parse(reference)
        return value

    @model_validator(mode="after")
    def _parts_fit(self) -> "RunConfig":
        for teacher in (self.teacher, *self.more_teachers):
            if ModelReference.parse(teacher).source == "teacher":
                raise ValueError(f"teacher cannot be cut from itself, got {teacher!r}; `teacher/…` is for the student")
        if self.devices > 1 and self.device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"device must be auto, cpu or cuda where devices is {self.devices}, got {self.device}")
        if self.devices > self.batch_size:
            raise ValueError(f"devices must be at most the batch size, {self.batch_size}, got {self.devices}")
        names = [term.loss for term in self.terms]
        if len(set(names)) < len(names):
            raise ValueError(f"terms must name each loss once, got {', '.join(names)}")
        if self.chain == "shrinking":
            self._check_shrinking()
        if self.chain == "shrinking" and self.seeds > 1:
            raise ValueError(f"seeds must be 1 for a shrinking chain, which is cut step by step, got {self.seeds}")
        check_order(self.plan)
        if self.plan and self.prune_ratio and any(isinstance(step, Prune) and step.ratio for step in self.plan):
            raise ValueError("prune_ratio and the ratio of a step `prune` say the same; leave one of them out")
        if any(isinstance(step, Prune) and step.ratio is None for step in self.plan) and not self.prune_ratio:
            raise ValueError("a step `prune` needs a ratio, as in `prune:0.5`, or prune_ratio, got neither")
        if "masked_word" in self.augment + self.teacher_augment and self.masked_model is None:
            raise ValueError("masked_word needs masked_model, the model that fills in the words, got none")
        if self.masked_model is not None and ModelReference.parse(self.masked_model).source not in ("hub", "folder"):
            raise ValueError(f"masked_model must be hub:ORG/NAME or folder:PATH, got {self.masked_model!r}")
        return self

    @property
    def references(self) -> tuple[ModelReference, ...]:
        """Every model that the run opens: the teachers, the assistants, the student."""
        names = (self.teacher, *self.more_teachers, *self.assistants, self.student)
        return tuple(ModelReference.parse(name) for name in names)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The plan; without one: prune, if there is a prune ratio, then distil."""
        if not self.plan:
            pruned = (Prune(ratio=self.prune_ratio),) if self.prune_ratio else ()
            return (*pruned, Distill())
        return tuple(
            step.model_copy(update={"ratio": self.prune_ratio}) if isinstance(step, Prune) and not step.ratio else step
            for step in self.plan
        )

    def _check_shrinking(self) -> None:
        sizes = []
        for reference in (*self.assistants, self.student):
            parsed = ModelReference.parse(reference)
            if parsed.layers is None:
                raise ValueError(
                    "a shrinking chain cuts every model from the one before it: "
                    f"write `teacher/K-layers`, got {reference!r}"
                )
            sizes.append(parsed.layers)
        if not self.assistants or sorted(set(sizes), reverse=True) != sizes:
            raise ValueError(
                f"a shrinking chain needs steps with fewer and fewer layers, got {', '.join(map(str, sizes))}"
            )

    def to_yaml(self) -> str:
        """The YAML that `parse_yaml` reads back into an equal config."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
