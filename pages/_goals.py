"""What the small model should be, as goals whose numbers are counted and timed, not promised."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pages._language import N_, _
from pages._words import parsed
from studio import tasks

FAMILIES = {
    "transformer": N_("Reads words in their order: for texts whose meaning lies in the whole sentence."),
    "fasttext": N_("Counts pieces of words: very small and fast, where single words tell the class."),
    "cnn": N_("Sees shapes wherever they are in the picture."),
    "mlp": N_("Compares pixels place by place: for small, centred pictures such as digits."),
}
OTHERS = {
    "hub": N_("Has read a lot before it sees your data: usually the best teacher."),
    "folder": N_("A model that you have on this machine."),
    "run": N_("Was trained here before."),
    "teacher": N_("Starts with weights of the teacher, and so learns quickly."),
}
GOALS = {
    "accurate": N_("As accurate as possible"),
    "tenth": N_("A tenth of the size"),
    "fast": N_("Fast enough"),
    "smallest": N_("As small as possible"),
    "own": N_("I choose"),
}
USUAL, OWN = "tenth", "own"
MOST_MILLISECONDS, TENTH = 5.0, 10.0
ABOUT = 1.5
"""A student of so many times the size that it should have, or of so much less, is still what was asked for."""
FAR = 1.15
"""A model that is less than so many times smaller than the teacher is no choice."""


@dataclass(frozen=True)
class Sized:
    """A model with what was counted and timed of it; `milliseconds` for one row on this machine."""

    reference: str
    parameters: int
    milliseconds: float | None = None


def good_for(reference: str | None) -> str:
    """What a model is good for, by its family or its origin."""
    found = parsed(reference)
    if found is None:
        return ""
    return _(FAMILIES.get(found.name.partition("-")[0], "") if found.source == "builtin" else OTHERS[found.source])


def students(teacher: str | None, known: Mapping[str, Sized]) -> list[Sized]:
    """The models that are smaller than this teacher, the largest first; none where the teacher's size is not known.

    A teacher that has read a lot is cut rather than replaced: its own layers come alone where it can be cut.

    >>> known = {name: Sized(name, size) for name, size in (("builtin/a", 900), ("builtin/b", 9), ("builtin/c", 890))}
    >>> [model.reference for model in students("builtin/a", known)]
    ['builtin/b']
    """
    whole = known.get(teacher or "")
    if whole is None:
        return []
    smaller = [model for model in known.values() if whole.parameters > FAR * model.parameters > 0]
    cut = [model for model in smaller if model.reference.startswith("teacher/")]
    return sorted(cut or smaller, key=lambda model: -model.parameters)


def student_for(
    goal: str, teacher: str, smaller: Sequence[Sized], whole: Sized, limit: float = MOST_MILLISECONDS
) -> Sized | None:
    """The student that comes nearest to a goal; None where none is known to reach it. `limit`: milliseconds for one
    row.

    >>> whole, *smaller = [Sized("builtin/cnn-large", 900, 9.0), Sized("builtin/mlp-800", 300, 0.1),
    ...                    Sized("builtin/cnn-small", 200, 6.0), Sized("builtin/cnn-tiny", 80, 2.0)]
    >>> [student_for(goal, "builtin/cnn-large", smaller, whole).reference for goal in ("accurate", "tenth", "fast")]
    ['builtin/cnn-small', 'builtin/cnn-tiny', 'builtin/cnn-tiny']
    >>> student_for("fast", "builtin/cnn-large", smaller, whole, limit=1.0).reference
    'builtin/mlp-800'
    """
    alike = [model for model in smaller if family(model.reference) == family(teacher)]
    liked = [*alike, *(model for model in smaller if model not in alike)]
    match goal:
        case "accurate":
            return next(iter(liked), None)
        case "tenth":
            apart = {model: from_a_tenth(whole.parameters / model.parameters) for model in smaller}
            return min(apart, key=lambda model: apart[model], default=None)
        case "fast":
            quick = (model for model in liked if model.milliseconds is not None and model.milliseconds < limit)
            return next(quick, None)
        case "smallest":
            return smaller[-1] if smaller else None
    return None


def from_a_tenth(ratio: float) -> float:
    """How far a student is from a tenth of its teacher; twice as large is as far as half as large."""
    return abs(math.log(ratio / TENTH))


def is_about_a_tenth(student: Sized, whole: Sized) -> bool:
    """Whether it is what a person would call a tenth.

    >>> [is_about_a_tenth(Sized("builtin/b", size), Sized("builtin/a", 1000)) for size in (190, 140, 75, 40)]
    [False, True, True, False]
    """
    return from_a_tenth(whole.parameters / student.parameters) < math.log(ABOUT)


def family(reference: str) -> str:
    """What kind of network a built-in model is, by its name; of any other one where it comes from."""
    found = parsed(reference)
    return "" if found is None else found.name.partition("-")[0] if found.source == "builtin" else found.source


def sizes_in(task: tasks.Task, parameters: Mapping[str, int], milliseconds: Mapping[str, float]) -> dict[str, Sized]:
    """What was counted and timed, by reference; built-in models were named without their origin."""
    names = {name: f"builtin/{name}" if name in task.builtins else name for name in parameters}
    return {full: Sized(full, parameters[name], milliseconds.get(name)) for name, full in names.items()}
