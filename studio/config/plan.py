"""The steps that make a student small, as data: which there are, what each takes, and in which order they make
sense."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Unit = Literal["heads", "neurons", "layers", "channels"]
Importance = Literal["magnitude", "taylor", "activation", "random"]
Form = Literal["int8", "int8_static", "weights_int8", "weights_int4", "codebook"]

UNITS: dict[Unit, str] = {
    "heads": "Attention heads",
    "neurons": "Feed-forward neurons",
    "layers": "Whole layers",
    "channels": "Channels of convolutions",
}
IMPORTANCES: dict[Importance, str] = {
    "magnitude": "Size of its weights: the usual choice",
    "taylor": "How much the loss changes without it: finer, needs labels or a teacher",
    "activation": "How strongly it answers to your data",
    "random": "By chance: what any other choice must beat",
}
FORMS: dict[Form, str] = {
    "int8": "Whole numbers (int8), activations as they come: smaller and faster",
    "int8_static": "Whole numbers (int8), activations with ranges from your data: best for convolutions",
    "weights_int8": "Weights in 8 bits: four times smaller, not faster",
    "weights_int4": "Weights in 4 bits: seven times smaller, not faster",
    "codebook": "Weights from 16 values found by k-means: nearly eight times smaller, not faster",
}
ONNX_FORMS: tuple[Form, ...] = ("int8", "int8_static")
"""Forms that are ONNX files; the others are safetensors, opened as floats."""


class _Step(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    do: str


class Prune(_Step):
    """Remove units, so that what remains is really smaller (Li et al., 2017; Michel et al., 2019).

    Without `units`: feed-forward neurons of a transformer, channels of convolutions. In `rounds` it removes a part at
    a time, and the student learns for `epochs` after each but the last one.
    """

    do: Literal["prune"] = "prune"
    ratio: float | None = Field(None, gt=0, le=0.95)
    units: tuple[Unit, ...] = ()
    importance: Importance = "magnitude"
    scope: Literal["local", "global"] = "local"
    rounds: int = Field(1, ge=1, le=20)
    epochs: int = Field(1, ge=1, le=1000)


class Sparsify(_Step):
    """Set the smallest weights to zero: the share `ratio` of them, or all below `threshold` (Han et al., 2015)."""

    do: Literal["sparsify"] = "sparsify"
    ratio: float | None = Field(None, gt=0, lt=1)
    threshold: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _one_of_two(self) -> "Sparsify":
        if (self.ratio is None) == (self.threshold is None):
            raise ValueError("sparsify takes either a ratio or a threshold, got " + _both(self.ratio, self.threshold))
        return self


class Factorize(_Step):
    """Write matrices as products of two thin ones by a singular value decomposition (Hsu et al., 2022).

    The rank is the share `rank` of the full one, or as much as keeps the share `energy` of the squared singular values.
    `weighted`: directions in which the data is large count more.
    """

    do: Literal["factorize"] = "factorize"
    rank: float | None = Field(None, gt=0, lt=1)
    energy: float | None = Field(None, gt=0, lt=1)
    weighted: bool = True
    embeddings: bool = True
    layers: bool = True

    @model_validator(mode="after")
    def _one_of_two(self) -> "Factorize":
        if (self.rank is None) == (self.energy is None):
            raise ValueError("factorize takes either a rank or an energy, got " + _both(self.rank, self.energy))
        if not (self.embeddings or self.layers):
            raise ValueError("factorize needs embeddings or layers to work on, got neither")
        return self


class Distill(_Step):
    """Learn from the teacher, for `epochs` or as long as the run says."""

    do: Literal["distill"] = "distill"
    epochs: int | None = Field(None, ge=1, le=1000)


class Quantize(_Step):
    """Write weights, and in int8 activations too, with few bits (Jacob et al., 2018).

    With `epochs` the student first learns from the teacher with weights that are rounded all the time
    (quantization-aware distillation).
    """

    do: Literal["quantize"] = "quantize"
    form: Form = "int8"
    epochs: int = Field(0, ge=0, le=1000)


class RoundWhileLearning(_Step):
    """From now on the student learns with rounded weights. A part of a quantize step with epochs."""

    do: Literal["round"] = "round"
    form: Form


Step = Annotated[Prune | Sparsify | Factorize | Distill | Quantize, Field(discriminator="do")]
KINDS: dict[str, type[_Step]] = {
    "prune": Prune,
    "sparsify": Sparsify,
    "factorize": Factorize,
    "distill": Distill,
    "quantize": Quantize,
}
_MAIN = {"prune": "ratio", "sparsify": "ratio", "factorize": "rank", "distill": "epochs", "quantize": "form"}
"""What stands behind the colon in a step's short form."""

_NOT_AFTER: dict[tuple[str, str], str] = {
    ("sparsify", "prune"): "prune first: zeros that are cut away bring nothing",
    ("factorize", "prune"): "prune first: the units of a product of two matrices cannot be taken apart",
    ("sparsify", "factorize"): "factorize first: products of matrices fill the zeros again",
    ("factorize", "factorize"): "one such step with a lower rank does the same",
}
"""(earlier step, later step): why not, and the cure."""


def read_plan(value: object) -> object:
    """Steps as a person may write them.

    >>> read_plan("prune:0.5, distill, quantize:int8")
    [{'do': 'prune', 'ratio': '0.5'}, {'do': 'distill'}, {'do': 'quantize', 'form': 'int8'}]
    """
    parts = [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    return [_step(part) for part in parts] if isinstance(parts, list | tuple) else value


def _step(part: object) -> object:
    if not isinstance(part, str):
        return part
    name, colon, value = (one.strip() for one in part.partition(":"))
    if name not in KINDS:
        raise ValueError(f"there is no step {name!r}; there are {', '.join(KINDS)}")
    return {"do": name} | ({_MAIN[name]: value} if colon else {})


def check_order(steps: Sequence[Any]) -> None:
    """Raise `ValueError` where a step cannot follow an earlier one; says why and what to do."""
    names = [step.do for step in steps]
    if steps and "distill" not in names:
        raise ValueError(f"a plan needs a step `distill`, in which the student learns, got {', '.join(names)}")
    for number, later in enumerate(names):
        if "quantize" in names[:number]:
            raise ValueError(
                f"{later} cannot follow quantize, which must be the last step: rounded numbers stay as they are"
            )
        for earlier in names[:number]:
            if (earlier, later) in _NOT_AFTER:
                raise ValueError(f"{later} cannot follow {earlier}; {_NOT_AFTER[earlier, later]}")


def single_steps(steps: Sequence[Any]) -> list[_Step]:
    """The plan as it is carried out: rounds one by one, quantization-aware distillation before its quantize.

    >>> [one.do for one in single_steps([Prune(ratio=0.5, rounds=2), Distill(), Quantize(epochs=1)])]
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
    return sum(one.epochs or epochs for one in single_steps(steps) if isinstance(one, Distill))


def rounds(step: Prune) -> list[_Step]:
    """A step in rounds as single ones, with distillation between them; each share is of what is left by then.

    >>> [one.ratio if isinstance(one, Prune) else one.do for one in rounds(Prune(ratio=0.5, rounds=2))]
    [0.25, 'distill', 0.33333333333333337]
    """
    assert step.ratio is not None
    left = [1 - step.ratio * number / step.rounds for number in range(step.rounds + 1)]
    steps: list[_Step] = []
    for number in range(step.rounds):
        steps += [Distill(epochs=step.epochs)] if number else []
        steps.append(step.model_copy(update={"ratio": 1 - left[number + 1] / left[number], "rounds": 1}))
    return steps


def title(step: Any) -> str:
    """A step in a few words.

    >>> title(Prune(ratio=0.5, units=("heads", "neurons"))), title(Quantize())
    ('Prune 50 % of heads and neurons', 'Quantize to int8')
    """
    match step:
        case Prune():
            share = "" if step.ratio is None else f" {_percent(step.ratio)} of"
            return f"Prune{share} {' and '.join(step.units) or 'neurons or channels'}"
        case Sparsify():
            return (
                f"Zero {_percent(step.ratio)} of the weights"
                if step.ratio
                else f"Zero weights below {step.threshold:g}"
            )
        case Factorize():
            size = f"{_percent(step.rank)} of the rank" if step.rank else f"{_percent(step.energy or 0)} of the energy"
            return f"Low rank, {size}"
        case Distill():
            return "Distil" if step.epochs is None else f"Distil, {step.epochs} epoch{'s' if step.epochs > 1 else ''}"
        case Quantize():
            return f"Quantize to {step.form.replace('_', ' ')}"
    raise ValueError(f"no step: {step!r}")


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _both(first: object, second: object) -> str:
    return "neither" if first is None and second is None else f"{first} and {second}"


@dataclass(frozen=True)
class Recipe:
    """A plan that goes by a name, and when to take it. `tasks`: the kinds of data that it is made for."""

    title: str
    when: str
    steps: tuple[dict[str, Any], ...]
    tasks: tuple[str, ...] = ("text-classification", "image-classification")
    needs_ratio: bool = False

    def plan(self, task: str, prune_ratio: float) -> list[dict[str, Any]]:
        """The steps for this kind of data; the prune ratio, where there is one, comes first."""
        steps = [dict(one) for one in self.steps]
        for step in steps:
            if step.get("form") == "int8" and task == "image-classification":
                step["form"] = "int8_static"
        pruned = [] if not steps or not prune_ratio or steps[0]["do"] == "prune" else [{"do": "prune"}]
        return pruned + steps


RECIPES: dict[str, Recipe] = {
    "ratio": Recipe("Prune by the ratio, then distil", "With a ratio of 0 the student keeps its size.", ()),
    "int8": Recipe(
        "Distil, then int8",
        "Whole numbers in place of fractions: about four times smaller and faster on a CPU, mostly at no cost.",
        ({"do": "distill"}, {"do": "quantize", "form": "int8"}),
    ),
    "int8_aware": Recipe(
        "Distil, also with rounded numbers, then int8",
        "Where plain int8 costs accuracy: the student gets used to it for an epoch.",
        ({"do": "distill"}, {"do": "quantize", "form": "int8", "epochs": 1}),
    ),
    "word_table": Recipe(
        "Small word table, distil, then int8",
        "For transformers with a large vocabulary, whose word table is half of the model.",
        (
            {"do": "factorize", "rank": 0.33, "layers": False},
            {"do": "distill"},
            {"do": "quantize", "form": "int8"},
        ),
        tasks=("text-classification",),
    ),
    "rounds": Recipe(
        "Prune in three rounds",
        "Where much is pruned: what remains can recover in between. Needs a prune ratio.",
        ({"do": "prune", "rounds": 3}, {"do": "distill"}),
        needs_ratio=True,
    ),
    "four_bits": Recipe(
        "Distil, then weights in 4 bits",
        "The smallest file; not faster, since weights become fractions again when it is opened.",
        ({"do": "distill"}, {"do": "quantize", "form": "weights_int4", "epochs": 1}),
    ),
}
