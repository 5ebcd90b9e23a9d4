"""What the engine wrote in English, told in another language.

A worker stores its verdict, its cautions and its errors as English sentences, whoever will read them. Such a sentence
is recognized by its form: the catalog holds the forms of all of them (under the context `engine`, with places where the
code puts values in), and a sentence of a form is told by the other language's form, with the same values. What has no
form stays English.
"""

import functools
import re
from typing import NamedTuple

from studio.language.catalog import messages, translated
from studio.language.languages import SOURCE

CONTEXT = "engine"
"""The context of the catalog's entries that are forms."""

_PLACE = re.compile(r"\{(\w+)\}")
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?…]) (?=\S)")
MOST_SENTENCES, MOST_LETTERS = 12, 5_000
"""A text of more sentences is not taken apart, one of more letters not looked at: none of the engine is as long."""
MOST_DEEP = 5
"""Nor does the engine put sentences deeper into one another."""


class Form(NamedTuple):
    """What sentences of a form look like: fixed parts with places between them; and the form of the other language."""

    parts: tuple[str, ...]
    places: tuple[str, ...]
    told: str

    def values(self, text: str) -> dict[str, str] | None:
        """What stands in the places, each as short as can be; None for a text of another form. It is one way through
        the text: what a user brings may hold the fixed parts a thousand times.

        >>> form = Form(("It has ", " of ", "."), ("few", "all"), "")
        >>> form.values("It has 3 of 4 of 5."), form.values("It has 3."), form.values("It has  of")
        ({'few': '3', 'all': '4 of 5'}, None, None)
        """
        first, *between, last = self.parts
        start, end = len(first), len(text) - len(last)
        if start > end or not text.startswith(first) or not text.endswith(last):
            return None
        found = {}
        for place, part in zip(self.places, between, strict=False):
            at = text.find(part, start, end)
            if at < 0:
                return None
            found[place], start = text[start:at], at + len(part)
        return found | {self.places[-1]: text[start:end]}


@functools.cache
def forms(language: str) -> tuple[list[Form], dict[str, str]]:
    """The forms with places, those that fix most first; and whole sentences."""
    with_places, whole = [], {}
    for text, translation in messages(language, CONTEXT).items():
        parts = _PLACE.split(text)
        if len(parts) == 1:
            whole[text] = translation
        else:
            with_places.append(Form(tuple(parts[::2]), tuple(parts[1::2]), translation))
    return sorted(with_places, key=lambda form: -sum(map(len, form.parts))), whole


@functools.lru_cache(maxsize=4096)
def retold(language: str, text: str, deep: int = 0) -> str:
    """A text of the engine in a language: its sentences one by one, and the words in their places likewise. It stands
    so `deep` in the places of others."""
    if language == SOURCE or not text.strip() or len(text) > MOST_LETTERS or deep > MOST_DEEP:
        return text
    starts = [0, *(gap.end() for gap in _BETWEEN_SENTENCES.finditer(text)), len(text) + 1]
    if len(starts) > MOST_SENTENCES:
        starts = [0, len(text) + 1]
    sentences, start, whole = [], 0, forms(language)[1]
    while start < len(starts) - 1:
        known = (end for end in range(len(starts) - 1, start + 1, -1) if text[starts[start] : starts[end] - 1] in whole)
        for end in (*known, *range(start + 1, len(starts))):
            found = _sentence(language, text[starts[start] : starts[end] - 1], deep)
            if found is not None:
                break
        else:  # no form: this sentence stays as it is
            end = start + 1
            found = text[starts[start] : starts[end] - 1]
        sentences.append(found)
        start = end
    return functools.reduce(
        lambda joined, other: translated(language, "{first} {second}", first=joined, second=other), sentences
    )


def _sentence(language: str, text: str, deep: int) -> str | None:
    """A sentence or a phrase that is known, or has a known form."""
    with_places, whole = forms(language)
    known = whole.get(text) or translated(language, text)
    if known != text:
        return known
    for form in with_places:
        found = form.values(text)
        if found is not None:
            return form.told.format(**{name: _value(language, value, deep + 1) for name, value in found.items()})
    return None


_AND_MORE = re.compile(r"(?P<named>.+) and (?P<number>[\d,]+) more", re.DOTALL)
"""A list of which not all is named."""


def _value(language: str, text: str, deep: int) -> str:
    """What stands in a place: words of the engine are told, too, and those of a user stay."""
    some = _AND_MORE.fullmatch(text)
    if some is not None:
        return translated(language, "{named} and {number} more", **some.groupdict())
    parts = text.split(" and ")
    if len(parts) == 2 and all(_sentence(language, part, deep) is not None for part in parts):
        first, second = (retold(language, part, deep) for part in parts)
        return translated(language, "{others} and {last}", others=first, last=second)
    return retold(language, text, deep)
