"""Tags of words, in whichever scheme a file writes them, as IOB2, and the entities that they mark."""

import re
from collections.abc import Iterator, Sequence

OUTSIDE = "O"
TAG = re.compile(r"O|[BIESLUM]-\S+")
STARTS, SINGLE, ENDS = "BSU", "SU", "EL"
"""Prefixes of the schemes IOB, BIOES and BILOU: what begins an entity, is a whole one, or ends one."""


def iob2(tags: Sequence[str]) -> list[str]:
    """IOB1, IOB2, BIOES and BILOU as IOB2: B- begins an entity, I- goes on with it.

    >>> iob2(["I-PER", "I-PER", "O", "I-LOC", "B-LOC"])  # IOB1
    ['B-PER', 'I-PER', 'O', 'B-LOC', 'B-LOC']
    >>> iob2(["B-PER", "E-PER", "S-LOC", "S-LOC"])  # BIOES
    ['B-PER', 'I-PER', 'B-LOC', 'B-LOC']
    """
    found, inside = [], ""
    for tag in tags:
        prefix, _, kind = tag.partition("-")
        if tag == OUTSIDE:
            found.append(OUTSIDE)
            inside = ""
            continue
        found.append(f"I-{kind}" if kind == inside and prefix not in STARTS else f"B-{kind}")
        inside = "" if prefix in SINGLE + ENDS else kind
    return found


def entities(tags: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """(type, first word, word after the last) of each entity.

    >>> list(entities(["B-PER", "I-PER", "O", "B-LOC"]))
    [('PER', 0, 2), ('LOC', 3, 4)]
    """
    start, kind = 0, ""
    for place, tag in enumerate([*iob2(tags), OUTSIDE]):
        if kind and not tag.startswith("I-"):
            yield kind, start, place
            kind = ""
        if tag.startswith("B-"):
            start, kind = place, tag[2:]
