"""What annotation programs write beside a text, in one column of JSON: entities by their places, which become words and
tags, or choices, which become labels.

A place is the number of a letter, the end is not included: `[[0, 4, "PER"]]` of Doccano and spaCy, `{"start": 0,
"end": 4, "label": "PER"}` of Prodigy and many others, the results of Label Studio, `{"PER": {"Ada": [[0, 2]]}}` of
CLUENER.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from studio.tasks.tokens import words_in

LOOKED_AT = 200
WORDS, TAGS, LABEL = "words", "tags", "label"
_STARTS, _ENDS = ("start", "start_offset", "begin"), ("end", "end_offset", "stop")
_LABELS = ("label", "labels", "type", "entity", "entity_type", "entity_group", "tag")


class Span(NamedTuple):
    """An entity from the letter `start` to before the letter `end`; its words, where the program writes them, too."""

    start: int
    end: int
    label: str
    words: str = ""


@dataclass(frozen=True)
class Annotated:
    """What was said of one text."""

    spans: tuple[Span, ...] = ()
    choices: tuple[str, ...] = ()


class Annotations:
    """Changes the tables of a file, one block after the other; the first one tells whether there is anything to change.
    `notes` say what became of it."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.text, self.column = _columns(table)
        some = [annotated(cell) for cell in table[self.column].head(LOOKED_AT)] if self.column else []
        self.has_spans = any(annotation and annotation.spans for annotation in some)
        self.has_several = any(annotation and len(annotation.choices) > 1 for annotation in some)
        self.left_out: Counter[str] = Counter()

    def changed(self, table: pd.DataFrame) -> pd.DataFrame:
        if not self.column:
            return table
        said = [annotated(cell) or Annotated() for cell in table[self.column]]
        if not self.has_spans:
            labels = [self._label(annotation.choices) for annotation in said]
            return table.drop(columns=self.column).assign(**{LABEL: labels})
        rows = [self._tagged(text, annotation.spans) for text, annotation in zip(table[self.text], said, strict=True)]
        words, tags = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [])
        return table.drop(columns=[self.column, self.text]).assign(**{WORDS: words, TAGS: tags})

    @property
    def notes(self) -> tuple[str, ...]:
        if not self.column:
            return ()
        if not self.has_spans:
            return (f"The choices in {self.column!r} are the labels.",)
        notes = [f"The entities in {self.column!r} became a tag for each word of {self.text!r}."]
        if self.left_out:
            reasons = ", ".join(f"{count:,} that {why}" for why, count in sorted(self.left_out.items()))
            notes.append(f"Entities left out: {reasons}.")
        return tuple(notes)

    def _label(self, choices: Sequence[str]) -> str:
        if self.has_several:
            return json.dumps(list(choices), ensure_ascii=False)
        return choices[0] if choices else ""

    def _tagged(self, text: str, spans: Iterable[Span]) -> tuple[str, str]:
        """The words of a text and their tags, as cells."""
        kept: list[Span] = []
        for span in sorted(_by_letters(text, spans), key=lambda entity: (entity.start, -entity.end)):
            if not 0 <= span.start < span.end <= len(text):
                self.left_out["are not within their text"] += 1
            elif kept and span.start < kept[-1].end:
                self.left_out["overlap another one"] += 1
            else:
                kept.append(span)
        words, tags = [], []
        for start, end, label in _pieces(text, kept):
            found = words_in(text[start:end])
            words += found
            tags += [f"{'I' if place else 'B'}-{label}" if label else "O" for place in range(len(found))]
        said = " ".join(words)  # one that begins as a list does is written as one
        return json.dumps(words, ensure_ascii=False) if said.startswith("[") else said, " ".join(tags)


def annotated(cell: str) -> Annotated | None:
    """What a cell says of its text; None where it is no list of annotations.

    >>> annotated('[[0, 4, "PER"]]')
    Annotated(spans=(Span(start=0, end=4, label='PER', words=''),), choices=())
    >>> annotated('[{"result": [{"value": {"choices": ["good"]}}]}]').choices, annotated("[1, 2]"), annotated("good")
    (('good',), None, None)
    >>> annotated('{"person": {"Ada": [[0, 2]]}}').spans
    (Span(start=0, end=3, label='person', words='Ada'),)
    """
    if not cell.startswith(("[", "{")):
        return None
    try:
        parts = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    parts = _by_type(parts) if isinstance(parts, dict) else _results(parts)
    spans, choices = [_span(part) for part in parts], [_choices(part) for part in parts]
    if any(span is None and chosen is None for span, chosen in zip(spans, choices, strict=True)):
        return None
    return Annotated(tuple(filter(None, spans)), tuple(choice for chosen in choices for choice in chosen or ()))


def _pieces(text: str, spans: Sequence[Span]) -> Iterable[tuple[int, int, str]]:
    """The whole text in parts, those of entities with their label; a label has no spaces in a tag."""
    done = 0
    for span in spans:
        yield done, span.start, ""
        yield span.start, span.end, "_".join(span.label.split())
        done = span.end
    yield done, len(text), ""


def _by_letters(text: str, spans: Iterable[Span]) -> list[Span]:
    """Programs in a browser count an emoji as two letters: where only so each entity is where its words are, places are
    counted as we do.

    >>> _by_letters("🎉 Ada", [Span(3, 6, "PER", "Ada")])
    [Span(start=2, end=5, label='PER', words='Ada')]
    """
    given = list(spans)
    if not text.isascii() and not _are_there(text, given):
        halves = text.encode("utf-16-le", "surrogatepass")
        before = [[halves[: 2 * place] for place in (span.start, span.end)] for span in given]
        places = [[len(part.decode("utf-16-le", "ignore")) for part in parts] for parts in before]
        moved = [span._replace(start=start, end=end) for span, (start, end) in zip(given, places, strict=True)]
        return moved if _are_there(text, moved) else given
    return given


def _are_there(text: str, spans: Iterable[Span]) -> bool:
    return all(span.words in ("", text[span.start : span.end]) for span in spans)


def _columns(table: pd.DataFrame) -> tuple[str, str]:
    """The columns of the texts and of what is said of them; ("", "") where there are none."""
    some = table.head(LOOKED_AT)
    for column in some.columns:
        said = [annotated(str(cell)) for cell in some[column] if str(cell).strip()]
        if None in said or not any(annotation and (annotation.spans or annotation.choices) for annotation in said):
            continue
        others = [str(name) for name in some.columns if name != column and not _is_json(some[name])]
        if others:
            return max(others, key=lambda name: some[name].astype(str).str.len().mean()), str(column)
    return "", ""


def _is_json(column: pd.Series) -> bool:
    said = [str(cell).lstrip() for cell in column if str(cell).strip()]
    return bool(said) and all(cell.startswith(("[", "{")) for cell in said)


def _results(parts: Any) -> list[Any]:
    """The annotations in a list; of several people, as Label Studio has them, the first ones."""
    if not isinstance(parts, list):
        return [None]
    of_people = [part["result"] for part in parts if isinstance(part, dict) and isinstance(part.get("result"), list)]
    if of_people and len(of_people) == len(parts):
        parts = next(filter(None, of_people), [])
    return [part["value"] if isinstance(part, dict) and isinstance(part.get("value"), dict) else part for part in parts]


def _by_type(said: dict[str, Any]) -> list[Any]:
    """The annotations in a dictionary of types, of words, of places, as CLUENER has them: its places hold their end, so
    that the words alone tell it."""
    return [
        {"start": place[0], "end": place[0] + len(words), "label": label, "text": words}
        if isinstance(place, list) and len(place) == 2 and type(place[0]) is int
        else None
        for label, each in said.items()
        for words, places in (each.items() if isinstance(each, dict) else [("", [None])])
        for place in (places if isinstance(places, list) else [None])
    ]


def _span(part: Any) -> Span | None:
    words: Any = ""
    if isinstance(part, list) and len(part) == 3:
        start, end, label = part
    elif isinstance(part, dict):
        start, end, label = (_first(part, names) for names in (_STARTS, _ENDS, _LABELS))
        label = label[0] if isinstance(label, list) and label else label
        words = part.get("text", "")
    else:
        return None
    first, after = _place(start), _place(end)
    if first is None or after is None or not isinstance(label, str) or not label.strip():
        return None
    return Span(first, after, label, words if isinstance(words, str) else "")


def _place(said: Any) -> int | None:
    """The number of a letter, whether it is written as a number or as a text."""
    if isinstance(said, str) and said.isascii() and said.isdigit() and len(said) < 10:
        return int(said)
    return said if type(said) is int else None


def _choices(part: Any) -> list[str] | None:
    found = part.get("choices") if isinstance(part, dict) else None
    return found if isinstance(found, list) and all(isinstance(choice, str) for choice in found) else None


def _first(part: dict[str, Any], names: Sequence[str]) -> Any:
    return next((part[name] for name in names if name in part), None)
