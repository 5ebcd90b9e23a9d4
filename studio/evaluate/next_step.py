"""The one thing to do after a verdict, with the settings of another run where that is what helps."""

import math
from collections.abc import Sequence
from typing import Any

from studio.config.references import ModelReference
from studio.evaluate.measured import Measured
from studio.events import NextStep, Outcome

MOST_EPOCHS = 1_000
LONGEST = 100.0
SLOWER = 0.3
USUAL_RATES = {"fasttext": 1e-2, "cnn": 5e-3, "mlp": 2e-3, "transformer": 5e-4}
"""About what a built-in model learns at where a run names no rate."""

PRETRAINED_RATE = 1e-4

TEACHER_LAYERS = 2

RARE_SHARE = 0.1
"""A class that has this share of an even part of the training rows is not rare any more."""


def next_step(found: Measured, outcome: Outcome, cautions: Sequence[str]) -> NextStep:
    """What helps most, the gravest first: data that mislead, then models that did not learn, then what is open."""
    if "leak" in cautions:
        return NextStep(code="remove_leaks", label="Save the data without test rows in the training data")
    if "test_only_labels" in cautions:
        return NextStep(code="mend_labels", label="Correct the labels that only test rows have")
    if outcome == "not_learned":
        return _longer(found) if "student" in found.facts.improving else _lower_rate(found, "")
    if outcome == "weak_teacher":
        return _longer_teacher(found) if "teacher" in found.facts.improving else _lower_rate(found, "teacher_")
    if found.unfinished:
        return _longer(found)
    return _after_learning(found, outcome, cautions)


def _after_learning(found: Measured, outcome: Outcome, cautions: Sequence[str]) -> NextStep:
    """All models learned what they could."""
    if "weak_teacher" in cautions:
        return _longer_teacher(found)
    if outcome == "no_control":
        return NextStep(code="add_control", label="Train again with a control", changes={"control": True})
    if "few_test_rows" in cautions:
        return NextStep(code="more_test_rows", label="Bring more test rows")
    if "imbalance" in cautions:
        return _label_more(found)
    if found.baseline_suffices:
        return NextStep(code="try_the_baseline", label="Compare with the linear baseline before you use a network")
    if outcome == "better":
        return NextStep(code="export", label="Export the student")
    return _other_way(found)


def _longer(found: Measured) -> NextStep:
    return NextStep(code="train_longer", label="Train twice as long", changes=_doubled(found, "epochs"))


def _longer_teacher(found: Measured) -> NextStep:
    changes = _doubled(found, "teacher_epochs")
    return NextStep(code="train_teacher_longer", label="Train the teacher twice as long", changes=changes)


def _doubled(found: Measured, name: str) -> dict[str, Any]:
    """Twice the epochs; where the run chose them, twice its length."""
    config = found.facts.config
    epochs = getattr(config, name)
    if epochs is None:
        return {"training_length": min(LONGEST, 2 * config.training_length)}
    return {name: min(MOST_EPOCHS, 2 * epochs)}


def _lower_rate(found: Measured, whose: str) -> NextStep:
    config, name = found.facts.config, f"{whose}learning_rate"
    kind = ModelReference.parse(config.teacher if whose else config.student).name.partition("-")[0]
    usual = USUAL_RATES.get(kind, PRETRAINED_RATE)
    rate = float(f"{SLOWER * (getattr(config, name) or usual):.2g}")
    who = "the teacher" if whose else "the student"
    return NextStep(code=f"lower_{name}", label=f"Train {who} at a lower learning rate", changes={name: rate})


def _label_more(found: Measured) -> NextStep:
    """As many rows as make the rarest class a tenth of an even share, at least 50."""
    rare = found.facts.rare
    if rare is None:
        return NextStep(code="label_more", label="Label more rows with the rare answers")
    missing = max(50, 10 * math.ceil((RARE_SHARE * rare.even_share - rare.training) / 10))
    return NextStep(code="label_more", label=f"Label {missing} more rows of {rare.label}")


def _other_way(found: Measured) -> NextStep:
    """The teacher brought nothing clear: give the student more of it."""
    config = found.facts.config
    student, teacher = ModelReference.parse(config.student), ModelReference.parse(config.teacher)
    if student.source == "builtin" and teacher.source in ("hub", "folder"):
        changes = {"student": str(ModelReference.cut(TEACHER_LAYERS))}
        return NextStep(code="use_teacher_layers", label="Use the teacher's layers", changes=changes)
    return NextStep(code="another_seed", label="Train again with another seed", changes={"seed": config.seed + 1})
