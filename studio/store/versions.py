"""Versions of data sets: which one came out of which, and what was changed."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from studio.store.datasets import Datasets

_VERSIONS = """
    SELECT datasets.id AS dataset_id, coalesce(family, datasets.id) AS family, coalesce(number, 1) AS number,
    coalesce(change, '{}') AS change, parent
    FROM datasets LEFT JOIN versions ON dataset_id = datasets.id
"""


@dataclass(frozen=True)
class Version:
    """A data set as one of its family, which has the number of its first one. `change` counts rows against the `parent`
    that it was made of: `relabelled`, `added`, `removed`; empty for the first one. The parent is None for that, and
    where it was not written down."""

    dataset_id: int
    family: int
    number: int
    change: dict[str, int]
    parent: int | None = None


class Versions(Datasets):
    """The table of versions; a data set that nobody called a version of another one is the first of its own."""

    def version(self, dataset_id: int) -> Version:
        found = self._row(f"{_VERSIONS} WHERE datasets.id = ?", [dataset_id])
        return Version(dataset_id, dataset_id, 1, {}) if found is None else _version(found)

    def add_version(self, dataset_id: int, of: int, change: dict[str, int]) -> Version:
        """Call a data set the newest version, made of another one; one that is a version already stays what it is."""
        old = self.version(of)
        with self._db.atomic():
            self._db.execute("UPDATE datasets SET ready = ready WHERE id = ?", [dataset_id])  # the write lock first
            newest = max((known.number for known in self.versions(old.family)), default=1)
            if dataset_id != of:
                self._db.execute(
                    "INSERT INTO versions (dataset_id, family, number, change, parent) VALUES (?, ?, ?, ?, ?)"
                    " ON CONFLICT (dataset_id) DO NOTHING",
                    [dataset_id, old.family, newest + 1, json.dumps(change), of],
                )
        return self.version(dataset_id)

    def delete_dataset(self, dataset_id: int) -> None:
        """Forget a data set; versions made of it count their change against what it was made of."""
        with self._db.atomic():
            gone = self.version(dataset_id)
            made = self._rows("SELECT * FROM versions WHERE parent = ?", [dataset_id]) if gone.parent else []
            super().delete_dataset(dataset_id)
            for row in made:
                change = json.dumps(total(gone.change, json.loads(row["change"])))
                self._db.execute("UPDATE versions SET parent = ?, change = ? WHERE dataset_id = ?",
                                 [gone.parent, change, row["dataset_id"]])  # fmt: skip

    def versions(self, dataset_id: int) -> list[Version]:
        """All versions of a data set that there are, the first one first."""
        family = self.version(dataset_id).family
        sql = f"{_VERSIONS} WHERE ready AND (family = ? OR datasets.id = ?) ORDER BY coalesce(number, 1)"
        return [_version(row) for row in self._rows(sql, [family, family])]

    def all_versions(self) -> list[Version]:
        """Those of all data sets at once, the first one first."""
        return [_version(row) for row in self._rows(f"{_VERSIONS} WHERE ready ORDER BY coalesce(number, 1)", [])]

    def newer_version(self, dataset_id: int) -> Version | None:
        """The newest version, where this is an older one."""
        newest = self.versions(dataset_id)[-1:]
        return next((version for version in newest if version.number > self.version(dataset_id).number), None)


def way(versions: list[Version], dataset_id: int) -> list[Version]:
    """How a data set was made, from the first of its `versions` on; where a parent was not written down, it is taken to
    be the version before."""
    known = {version.dataset_id: version for version in versions}
    found: list[Version] = []
    here = known.get(dataset_id)
    while here is not None:
        found.insert(0, here)
        before = [version.dataset_id for version in versions if version.number < here.number]
        parent = here.parent or (before[-1] if before else None)
        here = known.get(parent) if parent in before else None
    return found


def total(*changes: dict[str, int]) -> dict[str, int]:
    """
    >>> total({"added": 500}, {"added": 1, "removed": 2})
    {'added': 501, 'removed': 2}
    """
    found: Counter[str] = Counter()
    for change in changes:
        found.update(change)
    return dict(found)


def _version(row: dict[str, Any]) -> Version:
    change = json.loads(row["change"])
    return Version(row["dataset_id"], row["family"], row["number"], change, row["parent"])
