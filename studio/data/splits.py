"""What people call the parts of a data set, and what they are."""

import re
from collections.abc import Iterable, Sequence

from studio.errors import DataError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
UNLABELLED = ("unsup", "unsupervised", "unlabelled", "unlabeled")
"""What people call rows for training that have no label."""

COLUMNS = ("split", "subset", "partition", "fold", "set")
"""What people call the column that says it."""

NAMES = {
    "train": TRAIN,
    "training": TRAIN,
    "trainset": TRAIN,
    "tr": TRAIN,
    "validation": VALIDATION,
    "valid": VALIDATION,
    "val": VALIDATION,
    "dev": VALIDATION,
    "devel": VALIDATION,
    "development": VALIDATION,
    "eval": VALIDATION,
    "evaluation": VALIDATION,
    "validate": VALIDATION,
    "test": TEST,
    "testing": TEST,
    "testset": TEST,
    "tst": TEST,
    "holdout": TEST,
    "heldout": TEST,
}


def exactly(name: str) -> str | None:
    """The split that is called so and nothing more: what a folder beside classes may be named."""
    return NAMES.get(re.sub(r"[\s_-]+", "", name.strip().lower()))


def of(name: str) -> str | None:
    """The split that a name means; None where it does not say, or says two.

    >>> of("Dev"), of("oos_test"), of("validation-matched"), of("hold-out"), of("test2"), of("extra"), of("train/test")
    ('validation', 'test', 'validation', 'test', 'test', None, None)
    """
    whole = exactly(name)
    if whole is not None:
        return whole
    meant = {NAMES[word] for word in re.findall(r"[^\W\d_]+", name.lower()) if word in NAMES}
    return meant.pop() if len(meant) == 1 else None


def require_known(names: Iterable[str], where: str) -> None:
    """Raise `DataError`, which asks, where one of the names says neither train nor validation nor test."""
    unknown = sorted({name for name in names if of(name) is None})
    if unknown:
        listed = ", ".join(f"{name!r:.200}" for name in unknown[:5]) + (
            f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        )
        raise DataError(
            f"{where} is called {listed}: is that for training, for validation or for testing?",
            "Rename it to train, validation or test, or leave it out.",
        )


def folders(paths: Iterable[Sequence[str]]) -> dict[str, str]:
    """{folder: split} of those in the paths of files that are splits: called so and nothing more, or all beside each
    other, each with a split in its name.

    >>> folders([["news-train", "sport"], ["news-test", "sport"]])
    {'news-train': 'train', 'news-test': 'test'}
    >>> folders([["train", "cat"], ["brain test", "dog"], ["trains", "dog"]])
    {'train': 'train'}
    """
    beside: dict[int, dict[str, None]] = {}
    for path in set(map(tuple, paths)):
        for depth, folder in enumerate(path):
            beside.setdefault(depth, {})[folder] = None
    found: dict[str, str] = {}
    for names in beside.values():
        said = {name: of(name) for name in sorted(names, reverse=True)}
        are_splits = len(set(said.values())) > 1 and None not in said.values()
        found |= {name: split for name, split in said.items() if split and (are_splits or exactly(name))}
    return found
