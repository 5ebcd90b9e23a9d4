"""Classes that stand in the names of files, where no folder tells them: `cat.0.jpg`, `american_bulldog_12.jpg`."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from string import digits

from studio.data import splits

NAMED, MOST = 0.9, 200
"""So large a share of the files has such a name; of so many classes at most."""

FEWEST = 2
"""Files that a class has on the average, else each name is rather one of its own."""

_Labels = dict[str, tuple[str, str]]


def labels(placed: Mapping[str, tuple[str, str]]) -> tuple[_Labels, list[str]]:
    """({file: (split, class)}, notes) by the beginnings of the files' names; nothing where the names tell none, or the
    folders two. `placed` is {file: (split, class)} by the folders. Files for testing need no such names beside others.

    >>> names = ["cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg"]
    >>> labels(dict.fromkeys(names, ("", "pets")))[0]["dog.1.jpg"]
    ('', 'dog')
    """
    if len({label for _, label in placed.values() if label}) > 1:
        return {}, []
    begun = {name: begins(name) for name in placed}
    taught = {name: label for name, label in begun.items() if placed[name][0] != splits.TEST} or begun
    classes = {label for label in taught.values() if label and splits.exactly(label) is None}
    share = sum(label in classes for label in taught.values()) / len(taught)
    if not 1 < len(classes) <= min(MOST, len(placed) // FEWEST) or share < NAMED:
        return {}, []
    found = {_path(name): (placed[name][0], label if label in classes else "") for name, label in begun.items()}
    return found, [f"The {len(classes):,} classes are the beginnings of the files' names."]


def begins(name: str) -> str:
    """What stands before the number of a file.

    >>> begins("images/american_bulldog_12.jpg"), begins("cat (3).png"), begins("0001.png"), begins("mask.png")
    ('american_bulldog', 'cat', '', '')
    """
    stem = PurePosixPath(_path(name)).stem.removesuffix(")")
    before = stem.rstrip(digits)
    begun = before.rstrip("( ._-")
    return begun if before != stem and begun[:1].isalpha() else ""


def _path(name: str) -> str:
    return str(PurePosixPath(name.replace("\\", "/")))
