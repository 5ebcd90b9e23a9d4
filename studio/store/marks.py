"""Rows of data sets that somebody holds for mislabelled, with the label that they should have."""

import json
import time
from dataclasses import dataclass
from typing import Any

from studio.store.database import OpenDatabase


@dataclass(frozen=True)
class Mark:
    """A row of a split of a data set, and the right label in the form of the column `label`. `made_by` is the address
    of who said so, None where nobody had signed in."""

    split: str
    row: int
    label: Any
    made_by: str | None


class Marks(OpenDatabase):
    """The table of marked rows."""

    def mark(self, dataset_id: int, split: str, row: int, label: Any, made_by: str | None = None) -> None:
        """Say what a row is; what was said of it before is replaced."""
        self._db.execute(
            "INSERT OR REPLACE INTO marks (dataset_id, split, row, label, made_by, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [dataset_id, split, row, json.dumps(label), made_by, time.time()],
        )

    def unmark(self, dataset_id: int, split: str, row: int) -> None:
        """Take back what was said of a row."""
        self._db.execute("DELETE FROM marks WHERE dataset_id = ? AND split = ? AND row = ?", [dataset_id, split, row])

    def marks(self, dataset_id: int) -> list[Mark]:
        """All marked rows of a data set, in their order."""
        sql = "SELECT split, row, label, made_by FROM marks WHERE dataset_id = ? ORDER BY split, row"
        return [Mark(**row | {"label": json.loads(row["label"])}) for row in self._rows(sql, [dataset_id])]
