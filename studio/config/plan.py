"""The steps that make a student small, as data: which there are, what each takes, and in which order they make
sense."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Unit = Literal["heads", "neurons", "layers", "channels"]
Importance = Literal["magnitude", "taylor", "activation", "random"]
Form = Literal["int8", "int8_static", "weights_int8", "weights_int4", "codebook"]

UNITS: dict[str, str] = {
    "heads": "Attention heads",
    "neurons": "Feed-forward neurons",
    "layers": "Whole layers",
    "channels": "Convolution channels",
}
USUAL_UNITS: tuple[Unit, ...] = ("channels", "neurons")
"""The first of them that a model has is pruned where nothing else is asked for."""
IMPORTANCES: dict[str, str] = {
    "magnitude": "Magnitude: the size of its weights; the usual choice",
    "taylor": "Taylor: how much the loss changes without it; finer, needs labels or a teacher",
    "activation": "Activation: how strongly it responds to your data",
    "random": "Random: a baseline that any other choice must beat",
}
FORMS: dict[str, str] = {
    "int8": "int8, activation ranges measured on each input: smaller, often faster",
    "int8_static": "int8, activation ranges measured on your data beforehand: best for convolutions",
    "weights_int8": "8-bit weights: four times smaller, not faster",
    "weights_int4": "4-bit weights: seven times smaller, not faster",
    "codebook": "16 weight values found by k-means: nearly eight times smaller, not faster",
}
ONNX_FORMS: tuple[Form, ...] = ("int8", "int8_static")
"""Forms that are ONNX files; the others are safetensors, opened as floats."""


class _Step(BaseModel):
    """What a step says of itself; pages, messages and the phases of a run take it from here.

    A field with a title is a setting of the wizard, `options` in its extra the words for its values; one marked
    `expert` is folded away there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    word: ClassVar[str]
    """Its name, as a heading."""
    help: ClassVar[str]
    """What happens while it is carried out, in half a sentence."""
    note: ClassVar[str] = ""
    """What a person should know before taking it."""
    main: ClassVar[str]
    """The field that stands behind the colon in its short form, as in `prune:0.5`."""
    first: ClassVar[dict[str, Any]] = {}
    """What it says when it is added to a plan."""
    either: ClassVar[tuple[str, ...]] = ()
    """Fields of which exactly one is given."""
    any_of: ClassVar[tuple[str, ...]] = ()
    """Switches of which at least one is on."""
    not_after: ClassVar[dict[str, str]] = {}
    """Earlier steps that it cannot follow: why not, and the cure."""
    is_last: ClassVar[bool] = False

    do: str

    @property
    def title(self) -> str:
        """The step with its main setting, in a few words."""
        return self.word

    @model_validator(mode="after")
    def _some_are_given(self) -> Self:
        given = [f"{value}" for name in self.either if (value := getattr(self, name)) is not None]
        if self.either and len(given) != 1:
            raise ValueError(
                f"{self.do} takes either {_a(self.either)}, got {' and '.join(given) or 'neither'}",
            )
        if self.any_of and not any(getattr(self, name) for name in self.any_of):
            raise ValueError(f"{self.do} needs {' or '.join(self.any_of)} to work on, got neither")
        return self


class Prune(_Step):
    """Remove units, so that what remains is really smaller (Li et al., 2017; Michel et al., 2019).

    Without `units`: feed-forward neurons of a transformer, channels of convolutions. In `rounds` it removes a part at
    a time, and the student learns for `epochs` after each but the last one.
    """

    word = "Prune"
    help = "removing the units that matter least"
    main = "ratio"
    first = {"ratio": 0.5}
    not_after = {
        "sparsify": "prune first: zeros that are cut away bring nothing",
        "factorize": "prune first: the units of a product of two matrices cannot be taken apart",
    }

    do: Literal["prune"] = "prune"
    ratio: float | None = Field(None, gt=0, le=0.95, title="Share to remove")
    units: tuple[Unit, ...] = Field(
        (),
        title="Units",
        description="None: the neurons of a transformer, the channels of convolutions.",
        json_schema_extra={"options": {**UNITS}},
    )
    importance: Importance = Field(
        "magnitude", title="Importance", json_schema_extra={"options": {**IMPORTANCES}, "expert": True}
    )
    scope: Literal["local", "global"] = Field(
        "local",
        title="Compared within",
        json_schema_extra={"options": {"local": "each layer", "global": "the whole model"}, "expert": True},
    )
    rounds: int = Field(
        1,
        ge=1,
        le=20,
        title="Rounds",
        description="The student learns for an epoch after each round but the last.",
        json_schema_extra={"expert": True},
    )
    epochs: int = Field(1, ge=1, le=1000)

    @property
    def title(self) -> str:
        units = " and ".join(self.units) or "neurons or channels"
        return f"Prune {units}" if self.ratio is None else f"Prune {_percent(self.ratio)} of {units}"


class Sparsify(_Step):
    """Set the smallest weights to zero: the share `ratio` of them, or all below `threshold` (Han et al., 2015)."""

    word = "Sparsify"
    help = "setting the smallest weights to zero"
    note = "Smaller when compressed, not faster: the matrices keep their size when the student works."
    main = "ratio"
    first = {"ratio": 0.8}
    either = ("ratio", "threshold")

    do: Literal["sparsify"] = "sparsify"
    ratio: float | None = Field(None, gt=0, lt=1, title="Share of the weights")
    threshold: float | None = Field(None, gt=0, title="Threshold")

    @property
    def title(self) -> str:
        if self.ratio is None:
            return f"Zero weights below {self.threshold:g}"
        return f"Zero {_percent(self.ratio)} of the weights"


class Factorize(_Step):
    """Write matrices as products of two thin ones by a singular value decomposition (Hsu et al., 2022).

    The rank is the share `rank` of the full one, or as much as keeps the share `energy` of the squared singular values.
    `weighted`: directions in which the data is large count more.
    """

    word = "Low rank"
    help = "replacing matrices by products of thin ones"
    main = "rank"
    first = {"rank": 0.33}
    either = ("rank", "energy")
    any_of = ("embeddings", "layers")
    not_after = {
        "sparsify": "factorize first: products of matrices fill the zeros again",
        "factorize": "one such step with a lower rank does the same",
    }

    do: Literal["factorize"] = "factorize"
    rank: float | None = Field(None, gt=0, lt=1, title="Share of the rank")
    energy: float | None = Field(None, gt=0, lt=1, title="Share of the energy to keep")
    weighted: bool = True
    embeddings: bool = Field(True, title="Word embeddings")
    layers: bool = Field(True, title="Linear layers")

    @property
    def title(self) -> str:
        if self.rank is None:
            return f"Low rank, {_percent(self.energy or 0)} of the energy"
        return f"Low rank, {_percent(self.rank)} of the rank"


class Distill(_Step):
    """Learn from the teacher, for `epochs` or as long as the run says."""

    word = "Distil"
    help = "the student learns from the teacher"
    main = "epochs"

    do: Literal["distill"] = "distill"
    epochs: int | None = Field(
        None,
        ge=1,
        le=1000,
        title="Epochs",
        description="Empty: as many as in the settings above.",
        json_schema_extra={"empty": "as set above"},
    )

    @property
    def title(self) -> str:
        return "Distil" if self.epochs is None else f"Distil, {self.epochs} epoch{'s' if self.epochs > 1 else ''}"


class Quantize(_Step):
    """Write weights, and in int8 activations too, with few bits (Jacob et al., 2018).

    With `epochs` the student first learns from the teacher with weights that are rounded all the time
    (quantization-aware distillation).
    """

    word = "Quantize"
    help = "storing numbers with fewer bits"
    main = "form"
    first = {"form": "int8"}
    is_last = True

    do: Literal["quantize"] = "quantize"
    form: Form = Field("int8", title="Format", json_schema_extra={"options": {**FORMS}})
    epochs: int = Field(
        0,
        ge=0,
        le=1000,
        title="Epochs of fine-tuning before",
        description="With weights that are rounded all the time (quantization-aware distillation).",
    )

    @property
    def title(self) -> str:
        return f"Quantize to {self.form.replace('_', ' ')}"


class RoundWhileLearning(_Step):
    """From now on the student learns with rounded weights. A part of a quantize step with epochs."""

    word = "Round"
    help = "the student learns with rounded weights"

    do: Literal["round"] = "round"
    form: Form


Step = Annotated[Prune | Sparsify | Factorize | Distill | Quantize, Field(discriminator="do")]
"""The steps that a plan can hold: a new one is a class and its name here."""

KINDS: dict[str, type[_Step]] = {kind.model_fields["do"].default: kind for kind in get_args(get_args(Step)[0])}


def read_plan(value: object) -> object:
    """Steps as a person may write them.

    >>> read_plan("prune:0.5, distill, quantize:int8")
    [{'do': 'prune', 'ratio': '0.5'}, {'do': 'distill'}, {'do': 'quantize', 'form': 'int8'}]
    """
    parts = [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    return [_step(part) for part in parts] if isinstance(parts, list | tuple) else value


def _step(part: object) -> object:
    if isinstance(part, _Step):
        return part
    if isinstance(part, str):
        name, colon, value = (piece.strip() for piece in part.partition(":"))
        return {"do": _known(name)} | ({KINDS[name].main: value} if colon else {})
    if not isinstance(part, dict):
        raise ValueError(f"a step is written as in `prune:0.5` or `{{do: prune, ratio: 0.5}}`, got {part!r}")
    if "do" not in part:
        raise ValueError(f"each step says what to `do`: {', '.join(KINDS)}, got {part!r}")
    there = KINDS[_known(part["do"])].model_fields
    for name in part:
        if name not in there:
            settings = ", ".join(known for known in there if known != "do")
            raise ValueError(f"the step {part['do']} has no setting {name!r}; it has {settings}")
    return part


def _known(name: Any) -> str:
    """The name of a step. Raises `ValueError` where there is none of that name."""
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"there is no step {name!r}; there are {', '.join(KINDS)}")
    return name


def check_order(steps: Sequence[Any]) -> None:
    """Raise `ValueError` where a step cannot follow an earlier one; says why and what to do."""
    names = [step.do for step in steps]
    if steps and "distill" not in names:
        raise ValueError(f"a plan needs a step `distill`, in which the student learns, got {', '.join(names)}")
    for number, later in enumerate(names):
        for earlier in names[:number]:
            if KINDS[earlier].is_last:
                raise ValueError(
                    f"{later} cannot follow {earlier}, which must be the last step: rounded numbers stay as they are"
                )
            if earlier in KINDS[later].not_after:
                raise ValueError(f"{later} cannot follow {earlier}; {KINDS[later].not_after[earlier]}")


def single_steps(steps: Sequence[Any]) -> list[_Step]:
    """The plan as it is carried out: rounds one by one, quantization-aware distillation before its quantize.

    >>> [step.do for step in single_steps([Prune(ratio=0.5, rounds=2), Distill(), Quantize(epochs=1)])]
    ['prune', 'distill', 'prune', 'distill', 'round', 'distill', 'quantize']
    """
    singles: list[_Step] = []
    for step in steps:
        if isinstance(step, Prune):
            singles += rounds(step)
        elif isinstance(step, Quantize) and step.epochs:
            singles += [RoundWhileLearning(form=step.form), Distill(epochs=step.epochs), step]
        else:
            singles.append(step)
    return singles


def learning_epochs(steps: Sequence[Any], epochs: int) -> int:
    """How many epochs the student learns in all its steps."""
    return sum(step.epochs or epochs for step in single_steps(steps) if isinstance(step, Distill))


def rounds(step: Prune) -> list[_Step]:
    """A step in rounds as single ones, with distillation between them; each share is of what is left by then.

    >>> [step.ratio if isinstance(step, Prune) else step.do for step in rounds(Prune(ratio=0.5, rounds=2))]
    [0.25, 'distill', 0.33333333333333337]
    """
    assert step.ratio is not None
    left = [1 - step.ratio * number / step.rounds for number in range(step.rounds + 1)]
    steps: list[_Step] = []
    for number in range(step.rounds):
        steps += [Distill(epochs=step.epochs)] if number else []
        steps.append(step.model_copy(update={"ratio": 1 - left[number + 1] / left[number], "rounds": 1}))
    return steps


def title(step: _Step) -> str:
    """A step in a few words.

    >>> title(Prune(ratio=0.5, units=("heads", "neurons"))), title(Quantize())
    ('Prune 50 % of heads and neurons', 'Quantize to int8')
    """
    return step.title


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _a(names: Sequence[str]) -> str:
    """`a ratio or a threshold`."""
    return " or ".join(f"{'an' if name[0] in 'aeiou' else 'a'} {name}" for name in names)


@dataclass(frozen=True)
class Recipe:
    """A plan that goes by a name, and when to take it. `modality`: the kinds of data that it is made for."""

    title: str
    when: str
    steps: tuple[dict[str, Any], ...]
    modality: tuple[str, ...] = ("text", "image")
    needs_ratio: bool = False

    def plan(self, quantized_form: str, prune_ratio: float) -> list[dict[str, Any]]:
        """The steps, with the form of int8 that suits the task; the prune ratio, where there is one, comes first."""
        steps = [dict(step) for step in self.steps]
        for step in steps:
            if step.get("form") == "int8":
                step["form"] = quantized_form
        pruned = [] if not steps or not prune_ratio or steps[0]["do"] == "prune" else [{"do": "prune"}]
        return pruned + steps


RECIPES: dict[str, Recipe] = {
    "ratio": Recipe("Prune by the ratio, then distil", "With a ratio of 0 the student keeps its size.", ()),
    "int8": Recipe(
        "Distil, then int8",
        "Whole numbers instead of fractions: about four times smaller, mostly at no cost; on a CPU often faster for "
        "texts, and not always for images.",
        ({"do": "distill"}, {"do": "quantize", "form": "int8"}),
    ),
    "int8_aware": Recipe(
        "Distil, then int8 with fine-tuning",
        "Where plain int8 costs accuracy: the student gets an epoch to adapt to rounded weights.",
        ({"do": "distill"}, {"do": "quantize", "form": "int8", "epochs": 1}),
    ),
    "word_table": Recipe(
        "Compressed vocabulary, distil, then int8",
        "For transformers with a large vocabulary, whose word embeddings take up half of the model.",
        (
            {"do": "factorize", "rank": 0.33, "layers": False},
            {"do": "distill"},
            {"do": "quantize", "form": "int8"},
        ),
        modality=("text",),
    ),
    "rounds": Recipe(
        "Prune in three rounds",
        "Where much is pruned: the student recovers between rounds. Needs a prune ratio.",
        ({"do": "prune", "rounds": 3}, {"do": "distill"}),
        needs_ratio=True,
    ),
    "four_bits": Recipe(
        "Distil, then weights in 4 bits",
        "The smallest file; not faster, because the weights are expanded again when the model is opened.",
        ({"do": "distill"}, {"do": "quantize", "form": "weights_int4", "epochs": 1}),
    ),
}
