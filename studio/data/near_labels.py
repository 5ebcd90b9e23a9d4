"""Labels that may be one label written twice: apart by punctuation, such as a full stop, or by one letter of a long
word, where few rows have the one and many the other.

They are a question for a person and are never joined by themselves: a plural, or a word that happens to be near, is a
label of its own. Signs that say something are not asked about: `>50K` is no other spelling of `<=50K`. Nor are words
with another first letter, where hardly anybody slips: `amoral` is no other spelling of `moral`.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

MOST_LABELS, MOST_PAIRS, LONGEST, MOST_ALIKE = 2_000, 10, 60, 5
"""The bounds of the search: labels, pairs, letters of a label, labels that a new one is held against for each form."""

LEAST_LETTERS, LEAST_KEY = 5, 3
"""Shorter words are often apart by one letter and mean something else."""

RARER = 4
"""So many times fewer rows than the other label has one that is a slip of a letter, at least."""

_WORD = re.compile(r"[^\W_]+")
_IDLE = r"""\s_.,:;'"‘’“”()\[\]{}/\\|、。，：；（）-"""
_MEANT = re.compile(rf"[^\W_]+|[^\w{_IDLE}]|(?<!\S)-(?=\w)|(?<=\w)-(?!\S)|(?<=\d)[^\w\s](?=\d)")
"""What a label says: its words, and signs but for punctuation; a minus before or behind a word and a point between
digits say something, too."""


class Near(NamedTuple):
    """The label that fewer rows have, the one that it may be, and whether only punctuation sets them apart."""

    rare: str
    usual: str
    is_by_signs: bool


def near_labels(counts: Mapping[str, int]) -> list[Near]:
    """Pairs of labels that are near, each label in one pair at most; `counts`: labelled rows by label.

    >>> found = near_labels({"refund": 90, "refund.": 4, "delivery": 50, "delievery": 2, "1-star": 9, "2-star": 9})
    >>> [(pair.rare, pair.usual, pair.is_by_signs) for pair in found]
    [('refund.', 'refund', True), ('delievery', 'delivery', False)]
    """
    if len(counts) > MOST_LABELS:
        return []
    taken: set[str] = set()
    found: list[Near] = []
    ordered = sorted((label for label in counts if len(label) <= LONGEST), key=lambda label: -counts[label])
    for usual, rare, is_by_signs in (*_by_signs(ordered), *_by_a_letter(ordered)):
        is_slip = is_by_signs or RARER * counts[rare] <= counts[usual]
        is_the_same = spelling(rare) == spelling(usual)  # that is another finding
        if not is_slip or is_the_same:
            continue
        if rare not in taken and usual not in taken - {pair.usual for pair in found}:
            taken |= {rare, usual}
            found.append(Near(rare, usual, is_by_signs))
    return found[:MOST_PAIRS]


def spelling(label: str) -> str:
    """What is the same for labels that differ by capitals, spaces, marks that are not drawn (of direction, of a file's
    beginning) and by how an accent is stored.

    >>> len({spelling(label) for label in ("Caf\u00e9", "cafe\u0301", "\ufeffcaf\u00e9", "ca\u200bf\u00e9\u200f")})
    1
    """
    letters = unicodedata.normalize("NFC", label.casefold())
    return "".join(letter for letter in letters if not letter.isspace() and unicodedata.category(letter) != "Cf")


def _words(label: str) -> list[str]:
    return _WORD.findall(label.casefold())


def _by_signs(ordered: list[str]) -> Iterator[tuple[str, str, bool]]:
    """Those that say the same."""
    first: dict[str, str] = {}
    for label in ordered:
        words = " ".join(_MEANT.findall(label.casefold()))
        is_name = len(words) >= LEAST_KEY and any(map(str.isalpha, words))
        usual = first.setdefault(words, label) if is_name else label
        if usual != label:
            yield usual, label, True


def _by_a_letter(ordered: list[str]) -> Iterator[tuple[str, str, bool]]:
    """Those that are the same but for one letter of one word; who shares a form with a letter left out may be."""
    near: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for label in ordered:
        words = _words(label)
        forms = {form: None for place in range(len(words)) for form in _forms(words, place)}
        seen = dict.fromkeys(other for form in forms for other in near[form])
        for usual in seen:
            if is_one_letter_apart(_words(usual), words):
                yield usual, label, False
        for form in forms:
            if len(near[form]) < MOST_ALIKE:
                near[form].append(label)


def _forms(words: list[str], place: int) -> Iterator[tuple[str, ...]]:
    word = words[place]
    if is_long(word):
        for cut in (word, *(word[:gap] + word[gap + 1 :] for gap in range(len(word)))):
            yield (*words[:place], cut, *words[place + 1 :])


def is_long(word: str) -> bool:
    """Whether a word is of letters alone, and long enough for one of them to be a slip; Chinese and Japanese signs are
    words by themselves.

    >>> is_long("delivery"), is_long("star2"), is_long("cat"), is_long("退款申请表")
    (True, False, False, False)
    """
    return len(word) >= LEAST_LETTERS and word.isalpha() and max(word) < "\u2e80"


def is_one_letter_apart(first: list[str], second: list[str]) -> bool:
    """Whether one word of these has a letter more, less, otherwise or changed with its neighbour, but for its first.

    >>> [is_one_letter_apart(["delivery"], [word]) for word in ("delievery", "deliverz", "delivrey", "deliver it")]
    [True, True, True, False]
    """
    apart = [pair for pair in zip(first, second, strict=False) if pair[0] != pair[1]]
    if len(first) != len(second) or len(apart) != 1 or not all(map(is_long, apart[0])):
        return False
    word, other = apart[0]
    if word[0] != other[0]:
        return False
    start = next((place for place, pair in enumerate(zip(word, other, strict=False)) if pair[0] != pair[1]),
                 min(len(word), len(other)))  # fmt: skip
    word, other = word[start:], other[start:]
    swapped = len(word) > 1 and len(other) > 1 and (word[1] + word[0] + word[2:] == other)
    return swapped or word[1:] == other or word == other[1:] or word[1:] == other[1:]
