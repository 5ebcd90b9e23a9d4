"""What models say of one input, as words and as bars."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pages._language import N_, _
from pages._markup import Html, element, joined
from pages._scores import milliseconds
from pages._words import percent
from studio.pipeline.answers import Said

MOST_LABELS = 5
NAMES = {"teacher": N_("Teacher"), "student": N_("Student"), "control": N_("Without teacher")}
NOTHING = N_("nothing")


def spoken(answer: Mapping[str, Any], words: Sequence[str] = ()) -> str:
    """An answer in a few words; `words` are those that tags belong to.

    >>> spoken({"label": "good", "score": 0.98}), spoken({"labels": []}), spoken({"score": 3.14159})
    ('good', 'nothing', '3.14')
    >>> spoken({"entities": [{"type": "place", "start": 2, "end": 4}]}, ["I", "like", "New", "York"])
    'New York (place)'
    """
    if "text" in answer:
        return str(answer["text"]).strip() or _(NOTHING)
    if "label" in answer:
        return str(answer["label"])
    if "labels" in answer:
        return ", ".join(part["label"] for part in answer["labels"]) or _(NOTHING)
    if "entities" in answer:
        found = (f"{' '.join(words[one['start'] : one['end']])} ({one['type']})" for one in answer["entities"])
        return ", ".join(found) or _(NOTHING)
    return f"{answer['score']:.3g}"


def meant(label: Any, words: Sequence[str] = ()) -> str:
    """What a person said of a row; of tags only those of words that are something.

    >>> meant("good"), meant(2.5), meant(["O", "B-place"], ["in", "Bonn"]), meant(["O"], ["in"])
    ('good', '2.5', 'Bonn (B-place)', 'nothing')
    """
    if not isinstance(label, list):
        return f"{label:g}" if isinstance(label, float) else str(label)
    if len(label) != len(words):
        return ", ".join(map(str, label)) or _(NOTHING)
    return ", ".join(f"{word} ({tag})" for word, tag in zip(words, label, strict=True) if tag != "O") or _(NOTHING)


def agreement(said: Sequence[Said], words: Sequence[str] = ()) -> str:
    """Whether the models say the same, in a sentence.

    >>> one = lambda role, label: Said(role=role, answer={"label": label}, shares={}, milliseconds=1)
    >>> agreement([one("teacher", "good"), one("student", "good")])
    'All say the same: good.'
    >>> agreement([one("teacher", "good"), one("student", "bad")])
    'They differ. Teacher: good. Student: bad.'
    """
    answers = {_(NAMES[one.role]): spoken(one.answer, words) for one in said}
    if len(set(answers.values())) == 1 and len(answers) > 1:
        return _("All say the same: {answer}.", answer=next(iter(answers.values())))
    each = " ".join(_("{name}: {answer}.", name=name, answer=answer) for name, answer in answers.items())
    return _("They differ. {each}", each=each) if len(answers) > 1 else each


def softened(shares: Mapping[str, float], temperature: float) -> dict[str, float]:
    """The same shares at a temperature: softmax(log(share) / T).

    >>> softened({"a": 0.8, "b": 0.2}, 1.0)
    {'a': 0.8, 'b': 0.2}
    >>> softened({"a": 0.8, "b": 0.2}, 2.0)["b"]
    0.3333...
    """
    powers = {label: max(share, 1e-30) ** (1 / temperature) for label, share in shares.items()}
    whole = sum(powers.values())
    return {label: power / whole for label, power in powers.items()}


def entropy(shares: Mapping[str, float]) -> float:
    """In bits: 0 where one answer is certain.

    >>> entropy({"a": 0.5, "b": 0.5})
    1.0
    """
    return -sum(share * math.log2(share) for share in shares.values() if share > 0)


def card(said: Said, words: Sequence[str] = ()) -> Html:
    """One model: what it says, how sure it is of each label, how long it took."""
    return element(
        "div", element("small", _(NAMES[said.role])), element("p", spoken(said.answer, words), kind="ds-lead"),
        bars(said.shares), element("p", _("{time} for this one", time=milliseconds(said.milliseconds)), kind="ds-sub"),
        kind=f"ds-model {said.role}",
    )  # fmt: skip


def bars(shares: Mapping[str, float]) -> Html:
    """The likeliest labels, a bar each; what the others have together in one line."""
    if not shares:
        return joined()
    shown = dict(list(shares.items())[:MOST_LABELS])
    lines = [
        part
        for label, share in shown.items()
        for part in (
            element("span", label, kind="label", title=label),
            element("span", element("i", style=f"width:{100 * share:.1f}%"), kind="bar"),
            element("span", percent(share), kind="value"),
        )
    ]
    return element("div", *lines, kind="ds-rows own")
