"""What is known of data sets."""

import json
import time
from typing import Any, Literal

from studio.errors import DataError, StoreError
from studio.store.database import OpenDatabase
from studio.store.rows import DatasetRow


class Datasets(OpenDatabase):
    """The table of data sets."""

    def add_dataset(
        self,
        *,
        name: str,
        task: str,
        labels: list[str],
        splits: dict[str, int],
        fingerprint: str,
        columns: dict[str, str],
        report: dict[str, Any],
        made_by: str | None = None,
    ) -> DatasetRow:
        """Take a name and an id for a data set whose files are about to be written; see `dataset_ready`.

        The same name with the same content gives the data set that is there. Raises `DataError` for other content.
        """
        values = {
            "name": name,
            "task": task,
            "labels": json.dumps(labels),
            "splits": json.dumps(splits),
            "fingerprint": fingerprint,
            "columns": json.dumps(columns),
            "report": json.dumps(report),
            "created_at": time.time(),
            "made_by": made_by,
        }
        with self._db.atomic():
            self._db.execute("DELETE FROM datasets WHERE name = ? AND NOT ready", [name])  # takes the write lock first
            existing = self._row("SELECT * FROM datasets WHERE name = ?", [name])
            new_id = existing["id"] if existing else self._db.table("datasets").insert(values).last_pk
        if existing and (existing["fingerprint"], existing["task"]) != (fingerprint, task):
            raise DataError(f"There is a data set named {name!r} already, with other content.", "Choose another name.")
        return _dataset(existing or {**values, "id": new_id})

    def dataset_ready(self, dataset_id: int) -> None:
        """The files are in place: from now on the data set is listed.

        Raises `DataError` where someone else took the name while the files were written.
        """
        if self._db.execute("UPDATE datasets SET ready = 1 WHERE id = ?", [dataset_id]).rowcount == 0:
            raise DataError("A data set of the same name was saved at the same time.", "Choose another name.")

    def datasets(self) -> list[DatasetRow]:
        """All data sets, the newest first."""
        return [_dataset(row) for row in self._rows("SELECT * FROM datasets WHERE ready ORDER BY id DESC")]

    def numbers(self, of: Literal["datasets", "runs"]) -> set[int]:
        """The numbers of all that there are."""
        return {row["id"] for row in self._rows(f"SELECT id FROM {of}")}

    def last_number(self, of: Literal["datasets", "runs"]) -> int:
        """The highest number that was ever given, 0 where none was; none is given again."""
        row = self._row("SELECT seq FROM sqlite_sequence WHERE name = ?", [of])
        return 0 if row is None else int(row["seq"])

    def dataset(self, reference: str | int) -> DatasetRow:
        """The data set of that name, else of that id; raises `StoreError` that names what there is."""
        found = self._row("SELECT * FROM datasets WHERE name = ? AND ready", [str(reference)])
        if found is None and str(reference).isdecimal():
            found = self._row("SELECT * FROM datasets WHERE id = ? AND ready", [int(reference)])
        if found is None:
            names = ", ".join(repr(row.name) for row in self.datasets()) or "none yet"
            raise StoreError(f"There is no data set {str(reference)!r}.", f"Saved data sets: {names}.")
        return _dataset(found)

    def rename_dataset(self, dataset_id: int, name: str) -> DatasetRow:
        """Give a data set another name; the runs that name it go on naming it. Raises `DataError` where it is taken."""
        old = self.dataset_by_id(dataset_id)
        with self._db.atomic():
            self._db.execute("DELETE FROM datasets WHERE name = ? AND NOT ready", [name])  # takes the write lock first
            if self._row("SELECT id FROM datasets WHERE name = ? AND id != ?", [name, old.id]):
                raise DataError(f"There is a data set named {name!r} already.", "Choose another name.")
            self._db.execute("UPDATE datasets SET name = ? WHERE id = ?", [name, old.id])
            for setting, whose in (("dataset", "dataset_id = :id AND"), ("replay", "")):
                self._db.execute(
                    f"UPDATE runs SET config = json_set(config, '$.{setting}', :name)"
                    f" WHERE {whose} json_valid(config) AND json_extract(config, '$.{setting}') = :old",
                    {"name": name, "id": old.id, "old": old.name},
                )
        return self.dataset_by_id(old.id)

    def delete_dataset(self, dataset_id: int) -> None:
        """Forget a data set; its files are `service.library.delete`'s. Raises `StoreError` where a run uses it."""
        dataset = self.dataset_by_id(dataset_id)
        with self._db.atomic():
            self._db.execute("UPDATE datasets SET ready = ready WHERE id = ?", [dataset.id])  # the write lock first
            users = self.users_of_dataset(dataset)
            if users:
                names = ", ".join(map(str, users[:10])) + (f" and {len(users) - 10:,} more" if len(users) > 10 else "")
                raise StoreError(
                    f"Data set {dataset.name!r} is used by run {names}.", "Delete those runs first, or keep it."
                )
            self._db.execute("DELETE FROM datasets WHERE id = ?", [dataset.id])

    def users_of_dataset(self, dataset: DatasetRow) -> list[int]:
        """The runs that learn from it, or repeat it beside new data."""
        sql = "SELECT id FROM runs WHERE dataset_id = ? OR json_valid(config) AND json_extract(config, '$.replay')"
        sql += " IN (?, ?) ORDER BY id"
        return [row["id"] for row in self._rows(sql, [dataset.id, dataset.name, str(dataset.id)])]

    def dataset_by_id(self, dataset_id: int) -> DatasetRow:
        """The data set of that id; raises `StoreError` where there is none."""
        found = self._row("SELECT * FROM datasets WHERE id = ? AND ready", [dataset_id])
        if found is None:
            raise StoreError(f"There is no data set {dataset_id}.", "`python -m studio data list` lists them.")
        return _dataset(found)


def _dataset(row: dict[str, Any]) -> DatasetRow:
    plain = {name: row[name] for name in ("id", "name", "task", "fingerprint", "created_at", "made_by")}
    return DatasetRow(**plain, **{name: json.loads(row[name]) for name in ("labels", "splits", "columns", "report")})
