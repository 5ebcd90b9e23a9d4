"""A run's settings brought together with its task: what is left open is filled in, what means nothing is refused."""

from studio.config.methods import LOSSES, Term
from studio.config.plan import ONNX_FORMS, Prune, Quantize
from studio.config.references import ModelReference
from studio.config.run import RunConfig
from studio.errors import ConfigError
from studio.tasks.task import Task


def resolved(config: RunConfig, task: Task, classes: int) -> RunConfig:
    """The config with its task and its losses named. Raises `ConfigError` where a setting means nothing for them."""
    terms = config.terms or tuple(Term(loss=name) for name in task.terms)
    usual = {name: value for name, value in task.usual.items() if name not in config.model_fields_set}
    full = config.model_copy(update=usual | {"task": task.name, "terms": terms})
    _check_losses(full, task, classes)
    _check_builtins(full, task)
    _check_steps(full, task)
    _check_pruning(full)
    _check_own_texts(full, task)
    _check_spans(full)
    _check_samples(full, task)
    _check_adapters(full, task)
    wrong = [name for name in full.augment + full.teacher_augment if name not in task.changes]
    if wrong:
        there = f"Choose among {', '.join(task.changes)}." if task.changes else "Leave it out."
        raise ConfigError(f"{wrong[0]} does not change data for {task.name}.", there)
    return full


def _check_losses(config: RunConfig, task: Task, classes: int) -> None:
    suitable = f"Use {task.terms[0]} instead."
    for term in config.terms:
        loss = LOSSES[term.loss]
        if task.kind not in loss.kinds:
            raise ConfigError(f"{term.loss} {_WHY[task.kind]}", suitable)
        if task.kind == "class" and classes < loss.classes:
            raise ConfigError(
                f"{term.loss} needs at least {loss.classes} classes, the data has {classes}: {loss.why_classes}.",
                suitable,
            )


def _check_steps(config: RunConfig, task: Task) -> None:
    """An ONNX file answers, but cannot go on from what it has read: a model that writes stays in torch."""
    wrong = next((step for step in config.steps if isinstance(step, Quantize) and step.form in ONNX_FORMS), None)
    if task.kind == "token" and wrong is not None:
        raise ConfigError(
            f"A language model cannot be quantized to {wrong.form} in a plan.",
            f"Take {task.quantized_form} or weights_int4; an export has the ONNX files, and GGUF in 8 bits.",
        )


PRUNED = {
    "fasttext": (),
    "mlp": ("channels",),
    "cnn": ("channels",),
    "transformer": ("heads", "neurons", "layers"),
    "gpt": ("heads", "neurons", "layers"),
}
"""What pruning can take from built-in models, by the first word of their names: known before one is built."""


def _check_pruning(config: RunConfig) -> None:
    """What a built-in student has nothing of cannot be taken from it; of other students their first cut tells."""
    reference = ModelReference.parse(config.student)
    reference = ModelReference.parse(config.teacher) if reference.is_same else reference
    if reference.source != "builtin":
        return
    there = PRUNED[reference.name.partition("-")[0]]
    units = [unit for step in config.steps if isinstance(step, Prune) for unit in step.units or there[:1] or ("units",)]
    wrong = next((unit for unit in units if unit not in there), None)
    if wrong is not None:
        cure = f"It has {', '.join(there)}." if there else "Leave prune out; factorize and quantize make it smaller."
        raise ConfigError(f"builtin/{reference.name} has no {wrong} to prune.", cure)


def _check_own_texts(config: RunConfig, task: Task) -> None:
    if not config.own_texts:
        return
    if task.kind != "token":
        raise ConfigError(f"own_texts is for models that write, and the task is {task.name}.", "Leave it out.")
    if config.auto or config.devices > 1:
        other = "auto" if config.auto else "devices"
        raise ConfigError(
            f"own_texts does not go together with {other} yet.", f"Leave out one of own_texts and {other}."
        )


def _check_spans(config: RunConfig) -> None:
    """Likelihoods of spans are all that is kept of the teacher then."""
    if not any(term.loss == "byte_spans" for term in config.terms):
        return
    others = [term.loss for term in config.terms if term.loss != "byte_spans"]
    named = ("own_texts", "hard_epochs", "auto", "kept_answers", "temperature_per_sample")
    others += [name for name in named if getattr(config, name)]
    if others:
        raise ConfigError(f"byte_spans does not go together with {others[0]}.", "Leave out one of the two.")


DRAWN_TOKENS = 2, 65_535
"""Of one token nobody can tell how far it is from an answer; of more the counts take more than two bytes."""


def _check_samples(config: RunConfig, task: Task) -> None:
    """Drawn tokens tell what is linear in the teacher's shares, at the temperature at which they were drawn."""
    if config.kept_as != "samples":
        return
    if task.kind != "token":
        raise ConfigError(f"kept_as is for models that write, and the task is {task.name}.", "Leave it out.")
    whole = [term.loss for term in config.terms if LOSSES[term.loss].kind == "response" and term.loss != "soft_target"]
    if whole:
        raise ConfigError(
            f"{whole[0]} reads more of an answer than samples tell.", "Leave kept_as out, or take soft_target."
        )
    other = [name for name in ("temperature_per_sample", "auto") if getattr(config, name)]
    other += ["temperature_schedule"] if config.temperature_schedule != "constant" else []
    if other:
        raise ConfigError(
            f"{other[0]} does not go together with samples, which are drawn at one temperature.",
            f"Leave out one of kept_as and {other[0]}.",
        )
    if config.hard_epochs:
        raise ConfigError(
            "hard_epochs does not go together with samples, which do not tell the likeliest token.",
            "Leave out one of kept_as and hard_epochs.",
        )
    least, most = DRAWN_TOKENS
    if config.kept_answers is not None and not least <= config.kept_answers <= most:
        raise ConfigError(
            f"kept_answers must be from {least} to {most:,} where samples are kept, got {config.kept_answers:,}.",
            "Leave it out to draw 64.",
        )


def _check_adapters(config: RunConfig, task: Task) -> None:
    if config.lora_rank is None:
        return
    if task.kind != "token":
        raise ConfigError(f"lora_rank is for models that write, and the task is {task.name}.", "Leave it out.")
    if ModelReference.parse(config.student).source == "builtin":
        raise ConfigError(
            f"Adapters change what a model knows, and {config.student} knows nothing yet.",
            "Leave lora_rank out, or take a student that has learned something.",
        )
    if any(isinstance(step, Quantize) and step.epochs for step in config.steps):
        raise ConfigError("lora_rank does not go together with weights that are rounded while they learn.",
                          "Leave out lora_rank, or the epochs of the step quantize.")  # fmt: skip


_WHY = {
    "token": "does not compare the tokens of a vocabulary.",
    "class": "does not compare classes.",
    "multi_label": "compares classes of which exactly one is right; in this data several can be.",
    "number": "compares classes; in this data a label is a number.",
}


def _check_builtins(config: RunConfig, task: Task) -> None:
    for text in (config.teacher, *config.more_teachers, *config.assistants, config.student):
        reference = ModelReference.parse(text)
        if reference.source == "builtin" and reference.name not in task.builtins:
            raise ConfigError(f"{text} is not made for {task.name}.", f"Choose one of {', '.join(task.builtins)}.")
