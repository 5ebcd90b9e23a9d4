"""Objects that hold all texts of a label in one list, as the intents of chatbots are written: a row for each text."""

from collections.abc import Sequence
from typing import Any

TEXTS = ("patterns", "examples", "utterances", "phrases", "training_phrases", "sentences", "texts", "samples")
LABELS = ("tag", "intent", "label", "class", "category", "name")


def rows(groups: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], str] | None:
    """(the texts with their labels, what became of them); None where the objects are rows.

    >>> rows([{"tag": "greet", "patterns": ["Hi", "Hello"], "responses": ["Hi."]}])[0]
    [{'text': 'Hi', 'label': 'greet'}, {'text': 'Hello', 'label': 'greet'}]
    >>> rows([{"tag": "greet", "patterns": "Hi"}])
    """
    texts = next((name for name in TEXTS if all(_are_texts(group.get(name)) for group in groups)), None)
    label = next((name for name in LABELS if all(isinstance(group.get(name), str) for group in groups)), None)
    if not groups or texts is None or label is None:
        return None
    found = [{"text": _said(text), "label": group[label]} for group in groups for text in group[texts]]
    return found, f"Each text in {texts!r} is a row, with {label!r} as its label."


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(_said(text), str) for text in value)


def _said(text: Any) -> Any:
    """A text, by itself or in an object that holds nothing else.

    >>> _said("Hi"), _said({"text": "Hi"}), _said({"text": "Hi", "label": "a"})
    ('Hi', 'Hi', {'text': 'Hi', 'label': 'a'})
    """
    return text["text"] if isinstance(text, dict) and set(text) == {"text"} else text
