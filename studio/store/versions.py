"""Versions of data sets: which one came out of which, and what was changed."""

import json
from dataclasses import dataclass

from studio.store.datasets import Datasets


@dataclass(frozen=True)
class Version:
    """A data set as one of its family, which has the number of its first one. `change` counts rows against the version
    before: `relabelled`, `added`, `removed`; empty for the first one."""

    dataset_id: int
    family: int
    number: int
    change: dict[str, int]


class Versions(Datasets):
    """The table of versions; a data set that nobody called a version of another one is the first of its own."""

    def version(self, dataset_id: int) -> Version:
        found = self._row("SELECT * FROM versions WHERE dataset_id = ?", [dataset_id])
        if found is None:
            return Version(dataset_id, dataset_id, 1, {})
        return Version(dataset_id, found["family"], found["number"], json.loads(found["change"]))

    def add_version(self, dataset_id: int, of: int, change: dict[str, int]) -> Version:
        """Call a data set the newest version of another one; one that is a version already stays what it is."""
        old = self.version(of)
        with self._db.atomic():
            self._db.execute("UPDATE datasets SET ready = ready WHERE id = ?", [dataset_id])  # the write lock first
            newest = max((known.number for known in self.versions(old.family)), default=1)
            if dataset_id != of:
                self._db.execute(
                    "INSERT INTO versions (dataset_id, family, number, change) VALUES (?, ?, ?, ?)"
                    " ON CONFLICT (dataset_id) DO NOTHING",
                    [dataset_id, old.family, newest + 1, json.dumps(change)],
                )
        return self.version(dataset_id)

    def versions(self, dataset_id: int) -> list[Version]:
        """All versions of a data set that there are, the first one first."""
        family = self.version(dataset_id).family
        sql = "SELECT id FROM datasets LEFT JOIN versions ON dataset_id = datasets.id"
        sql += " WHERE ready AND (family = ? OR datasets.id = ?) ORDER BY coalesce(number, 1)"
        return [self.version(row["id"]) for row in self._rows(sql, [family, family])]

    def newer_version(self, dataset_id: int) -> Version | None:
        """The newest version, where this is an older one."""
        newest = self.versions(dataset_id)[-1:]
        return next((one for one in newest if one.number > self.version(dataset_id).number), None)
