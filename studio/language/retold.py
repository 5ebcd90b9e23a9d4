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
MOST_SENTENCES = 12
"""A text of more sentences is not taken apart: none of the engine is as long."""


class Form(NamedTuple):
    """What sentences of a form look like, the longest of its fixed parts, and the form of the other language."""

    looks: re.Pattern[str]
    fixed: str
    told: str


@functools.cache
def forms(language: str) -> tuple[list[Form], dict[str, str]]:
    """The forms with places, those that fix most first; and whole sentences."""
    with_places, whole = [], {}
    for text, told in messages(language, CONTEXT).items():
        parts = _PLACE.split(text)
        if len(parts) == 1:
            whole[text] = told
            continue
        pattern = "".join(f"(?P<{part}>.*?)" if number % 2 else re.escape(part) for number, part in enumerate(parts))
        fixed = parts[::2]
        with_places.append((sum(map(len, fixed)), Form(re.compile(pattern, re.DOTALL), max(fixed, key=len), told)))
    return [form for _, form in sorted(with_places, key=lambda found: -found[0])], whole


@functools.lru_cache(maxsize=4096)
def retold(language: str, text: str) -> str:
    """A text of the engine in a language: its sentences one by one, and the words in their places likewise."""
    if language == SOURCE or not text.strip():
        return text
    starts = [0, *(gap.end() for gap in _BETWEEN_SENTENCES.finditer(text)), len(text) + 1]
    if len(starts) > MOST_SENTENCES:
        starts = [0, len(text) + 1]
    told, start, whole = [], 0, forms(language)[1]
    while start < len(starts) - 1:
        known = (end for end in range(len(starts) - 1, start + 1, -1) if text[starts[start] : starts[end] - 1] in whole)
        for end in (*known, *range(start + 1, len(starts))):
            found = _sentence(language, text[starts[start] : starts[end] - 1])
            if found is not None:
                break
        else:  # no form: this sentence stays as it is
            end = start + 1
            found = text[starts[start] : starts[end] - 1]
        told.append(found)
        start = end
    return functools.reduce(lambda one, other: translated(language, "{first} {second}", first=one, second=other), told)


def _sentence(language: str, text: str) -> str | None:
    """A sentence or a phrase that is known, or has a known form."""
    with_places, whole = forms(language)
    known = whole.get(text) or translated(language, text)
    if known != text:
        return known
    for looks, fixed, told in with_places:
        found = looks.fullmatch(text) if fixed in text else None
        if found is not None:
            return told.format(**{name: _value(language, value) for name, value in found.groupdict().items()})
    return None


_AND_MORE = re.compile(r"(?P<named>.+) and (?P<number>[\d,]+) more", re.DOTALL)
"""A list of which not all is named."""


def _value(language: str, text: str) -> str:
    """What stands in a place: words of the engine are told, too, and those of a user stay."""
    some = _AND_MORE.fullmatch(text)
    if some is not None:
        return translated(language, "{named} and {number} more", **some.groupdict())
    parts = text.split(" and ")
    if len(parts) == 2 and all(_sentence(language, part) is not None for part in parts):
        first, second = (retold(language, part) for part in parts)
        return translated(language, "{others} and {last}", others=first, last=second)
    return retold(language, text)
