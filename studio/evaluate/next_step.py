"""The one thing to do after a verdict, with the settings of another run where that is what helps."""

import math
from collections.abc import Sequence
from typing import Any

from studio.config.plan import Distill, Step
from studio.config.references import ModelReference
from studio.config.run import RunConfig
from studio.evaluate.measured import Measured, is_clear
from studio.events import NextStep, Outcome

MOST_EPOCHS = 1_000
MOST_SEEDS = 10
SLOWER = 0.3
TEACHER_LAYERS = 2

SEEDS = 3
"""So many show how much a result owes to chance."""

RARE_SHARE = 0.1
"""A class that has this share of an even part of the training rows is not rare any more."""


def next_step(found: Measured, outcome: Outcome, cautions: Sequence[str]) -> NextStep:
    """What helps most, the gravest first: data that mislead, then models that did not learn, then what is open."""
    if "leak" in cautions:
        return NextStep(code="remove_leaks", label="Save the data without test rows in the training data")
    if "test_only_labels" in cautions:
        return NextStep(code="mend_labels", label="Correct the labels that only test rows have")
    if "worse_than_untouched" in cautions:
        return lower_rate(found, "student")
    if outcome == "not_learned":
        return _longer(found) if "student" in found.facts.improving else lower_rate(found, "student")
    if outcome == "weak_teacher":
        return _better_teacher(found)
    if found.unfinished:
        return _longer(found)
    return _after_learning(found, outcome, cautions)


def _after_learning(found: Measured, outcome: Outcome, cautions: Sequence[str]) -> NextStep:
    """All models learned what they could."""
    if "weak_teacher" in cautions:
        return _longer_teacher(found) if "teacher" in found.facts.improving else _stronger_teacher()
    if outcome == "no_control":
        return NextStep(code="add_control", label="Train again with a control", changes={"control": True})
    if "few_test_rows" in cautions:
        return NextStep(code="more_test_rows", label="Bring more test rows")
    if "imbalance" in cautions:
        return _label_more(found)
    if found.baseline_suffices:
        return NextStep(code="try_the_baseline", label="Compare with the linear baseline before you use a network")
    if "far_from_teacher" in cautions:
        return closer_to_teacher(found)
    if "no_better_than_untouched" in cautions:
        return NextStep(code="use_untouched", label="Compare with the small model as it was before you use the student")
    if outcome == "better":
        return NextStep(code="export", label="Export the student")
    return _other_way(found)


def _longer(found: Measured) -> NextStep:
    learning = [step.epochs for step in found.facts.config.steps if isinstance(step, Distill)]
    changes = _doubled(found, "student", "epochs") if None in learning else {}
    changes |= _doubled_in_plan(found.facts.config)
    if not changes:
        return NextStep(code="larger_student", label="Choose a larger student: this one cannot be trained longer")
    return NextStep(code="train_longer", label="Train the student twice as long", changes=changes)


def _better_teacher(found: Measured) -> NextStep:
    """Of one that is too weak: a teacher that this run did not train cannot be trained longer, or otherwise, by it."""
    if not found.teacher_is_taught:
        return _stronger_teacher()
    return _longer_teacher(found) if "teacher" in found.facts.improving else lower_rate(found, "teacher")


def _longer_teacher(found: Measured) -> NextStep:
    changes = _doubled(found, "teacher", "teacher_epochs")
    if not changes:
        return _stronger_teacher()
    return NextStep(code="train_teacher_longer", label="Train the teacher twice as long", changes=changes)


def _stronger_teacher() -> NextStep:
    return NextStep(code="stronger_teacher", label="Choose a stronger teacher")


def _doubled(found: Measured, role: str, name: str) -> dict[str, Any]:
    """Twice the epochs for which a model learned, and of no other one. Nothing where it cannot be more."""
    epochs = getattr(found.facts.config, name) or found.facts.epochs.get(role, MOST_EPOCHS)
    return {name: min(MOST_EPOCHS, max(1, round(2 * epochs)))} if epochs < MOST_EPOCHS else {}


def _doubled_in_plan(config: RunConfig) -> dict[str, Any]:
    """A plan says for itself how long a step of learning is, whatever the epochs of the run are."""

    def longer(step: Step) -> Step:
        if not isinstance(step, Distill) or step.epochs is None:
            return step
        return step.model_copy(update={"epochs": min(MOST_EPOCHS, 2 * step.epochs)})

    steps = tuple(map(longer, config.plan))
    return (
        {} if steps == config.plan else {"plan": [step.model_dump(mode="json", exclude_unset=True) for step in steps]}
    )


def lower_rate(found: Measured, role: str) -> NextStep:
    name = "teacher_learning_rate" if role == "teacher" else "learning_rate"
    rate = float(f"{SLOWER * found.facts.rates[role]:.2g}")
    return NextStep(code=f"lower_{name}", label=f"Train the {role} at a lower learning rate", changes={name: rate})


def closer_to_teacher(found: Measured) -> NextStep:
    """What a student needs that learned to its end and lost much."""
    against, imitated = found.comparisons.get(("student", "teacher")), found.facts.imitated
    if against is not None and not is_clear(against, -1):
        return NextStep(code="more_test_rows", label="Bring more test rows")
    if imitated is not None and imitated.is_memorized:
        label = "Bring more training rows: those that the teacher answers need no label"
        return NextStep(code="more_training_rows", label=label)
    if found.is_made_smaller:
        return NextStep(code="compress_less", label="Compress the student less, or choose a larger one")
    return NextStep(code="larger_student", label="Choose a larger student")


def _label_more(found: Measured) -> NextStep:
    """As many rows as make the rarest class a tenth of an even share, at least 50."""
    rare = found.facts.rare
    if rare is None:
        return NextStep(code="label_more", label="Label more rows with the rare answers")
    missing = max(50, 10 * math.ceil((RARE_SHARE * rare.even_share - rare.training) / 10))
    return NextStep(code="label_more", label=f"Label {missing} more rows of {rare.label}")


def _other_way(found: Measured) -> NextStep:
    """The teacher brought nothing clear: give the student more of it, or look whether it stays so."""
    config = found.facts.config
    student, teacher = ModelReference.parse(config.student), ModelReference.parse(config.teacher)
    if student.source == "builtin" and teacher.source in ("hub", "folder"):
        changes = {"student": str(ModelReference.cut(TEACHER_LAYERS))}
        return NextStep(code="use_teacher_layers", label="Use the teacher's layers", changes=changes)
    return more_seeds(config)


def more_seeds(config: RunConfig) -> NextStep:
    """What tells chance from the method."""
    if config.chain == "shrinking":
        return NextStep(code="more_seeds", label="Train again with another seed", changes={"seed": config.seed + 1})
    if config.seeds >= MOST_SEEDS:
        return NextStep(code="export", label="Export the student")
    seeds = SEEDS if config.seeds < SEEDS else min(MOST_SEEDS, 2 * config.seeds)
    return NextStep(code="more_seeds", label=f"Train with {seeds} seeds", changes={"seeds": seeds})
