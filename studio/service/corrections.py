"""A data set with the labels that people have corrected, as a new one: the old one stays as it is."""

from typing import Any

from datasets import Dataset, DatasetDict

from studio.data.folder import fingerprint, load, write
from studio.errors import DataError
from studio.home import Home
from studio.service.additions import recounted
from studio.service.library import checked_name
from studio.store.rows import DatasetRow
from studio.store.store import Store


def save(store: Store, home: Home, dataset_id: int, name: str, made_by: str | None = None) -> DatasetRow:
    """The rows of a data set in their splits and order, with the labels that were marked as the right ones.

    Raises `DataError` where nothing was marked, where the name is taken by other content, or is no name.
    """
    old, marks = store.dataset_by_id(dataset_id), store.marks(dataset_id)
    if not marks:
        raise DataError(f"No row of {old.name!r} was marked as mislabelled.", "Mark rows on the results of a run.")
    known = load(home.dataset(old.id))
    splits = DatasetDict(
        {
            split: _corrected(rows, {mark.row: mark.label for mark in marks if mark.split == split})
            for split, rows in known.dict.items()
        }
    )
    parts = {split: [rows] for split, rows in splits.items()}
    digest = fingerprint(parts, known.labels)
    row = store.add_dataset(
        name=checked_name(name),
        task=old.task,
        labels=old.labels,
        splits=old.splits,
        fingerprint=digest,
        columns=old.columns,
        report=recounted(old, parts),
        made_by=made_by,
    )
    folder = home.dataset(row.id)
    if not folder.exists():
        write(parts, folder, known, name=row.name, digest=digest)
        store.dataset_ready(row.id)
    return row


def name_for(store: Store, dataset: DatasetRow) -> str:
    """A free name like that of the data set."""
    taken = {row.name for row in store.datasets()}
    names = (f"{dataset.name[:60]}, corrected{'' if number == 1 else f' {number}'}" for number in range(1, 1000))
    return next(name for name in names if name not in taken)


def _corrected(rows: Dataset, labels: dict[int, Any]) -> Dataset:
    """The rows with other labels at these places."""
    if not labels:
        return rows
    column = rows["label"][:]
    for row, label in labels.items():
        column[row] = label
    feature = rows.features["label"]
    return rows.remove_columns("label").add_column("label", column, feature=feature)
