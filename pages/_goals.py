"""How small the student is to be, as choices whose numbers are counted and not promised."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pages._language import N_, _
from pages._scores import times
from pages._words import parsed
from studio import tasks
from studio.config.references import ModelReference

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
FAR = 1.15
"""A model that is less than so many times smaller than the teacher is no choice."""


@dataclass(frozen=True)
class Goal:
    """A student by what it would be: `words` say how small."""

    words: str
    student: str


def good_for(reference: str | None) -> str:
    """What a model is good for, by its family or its origin."""
    found = parsed(reference)
    if found is None:
        return ""
    return _(FAMILIES.get(found.name.partition("-")[0], "") if found.source == "builtin" else OTHERS[found.source])


def goals(teacher: str | None, task: tasks.Task, parameters: Mapping[str, int]) -> list[Goal]:
    """Students that are smaller than this teacher, the largest first; none where the teacher's size is not known.

    >>> task = tasks.get("text-classification")
    >>> found = goals("builtin/transformer-base", task, {"transformer-base": 900, "fasttext-tiny": 9, "other": 890})
    >>> [(goal.words, goal.student) for goal in found]
    [('100 times smaller', 'builtin/fasttext-tiny')]
    """
    found = parsed(teacher)
    if found is None:
        return []
    if found.source == "folder":
        layers = layers_of(found)
        kept = sorted({layers // 2, layers // 3, 1} - {0, layers}, reverse=True) if layers else []
        return [
            Goal(_("{few} of its {layers} layers", few=few, layers=layers), str(ModelReference.cut(few)))
            for few in kept
        ]
    whole = parameters.get(found.name, 0) if found.source == "builtin" else 0
    smaller = {name: count for name, count in parameters.items() if name in task.builtins and whole > FAR * count > 0}
    ordered = sorted(smaller, key=lambda name: -smaller[name])
    return [Goal(_("{ratio} times smaller", ratio=times(whole / smaller[name])), f"builtin/{name}") for name in ordered]


def layers_of(reference: ModelReference) -> int:
    """How many layers a model in a folder has, as its config says; 0 where it does not."""
    try:
        config = json.loads((reference.path / "config.json").read_text())
    except (OSError, ValueError):
        return 0
    layers = config.get("num_hidden_layers") if isinstance(config, dict) else None
    return layers if isinstance(layers, int) else 0
