"""A data set with more training rows, as a new version of it: its validation and test rows stay, so that runs on both
can be compared."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datasets import Dataset, DatasetDict

from studio import tasks
from studio.data import joining, numbered_tags, overlap
from studio.data.cleaning import more
from studio.data.columns import Columns, guess_columns
from studio.data.folder import fingerprint, load, write
from studio.data.refused import Refused
from studio.errors import DataError
from studio.home import Home
from studio.kept.rows import named
from studio.service.library import checked_name
from studio.store.rows import DatasetRow
from studio.store.store import Store
from studio.tasks.classes import BETWEEN

if TYPE_CHECKING:
    from studio.data.uploads import Upload
    from studio.tasks.task import Task


@dataclass(frozen=True)
class Grown:
    """The new version: how many rows were added, how many were `known`, there already or of a prompt that is tested,
    and those that could not be used."""

    row: DatasetRow
    added: int
    known: int
    refused: tuple[Refused, ...]


def add_rows(
    store: Store, home: Home, dataset_id: int, upload: "Upload", name: str, made_by: str | None = None
) -> Grown:
    """Save a data set anew with the rows of an upload among its training rows; returns the new one.

    Rows that are in any split already are left out, told apart as an upload's are; and those that belong together with
    a validation or test row, such as another answer to its prompt: none may be both learned and tested. Columns are
    those that the data set had, else guessed. Raises `DataError` where the upload has other labels, or numbers in place
    of tags, brings nothing new or cannot be read, and where the name is taken by other content or is no name.
    """
    old = store.dataset_by_id(dataset_id)
    known, learns = load(home.dataset(old.id)), tasks.get(old.task, old.multi_label)
    if numbered_tags.are_unnamed(upload.notes):
        raise DataError(
            f"The tags of the file are numbers, and alone they may stand for other entities than in {old.name!r}.",
            f"Write the tags by their names: {', '.join(old.labels[:3])}, and so on.",
        )
    columns = _columns(old, upload)
    table, refused = more(upload, columns, old.task)
    try:
        brought = learns.rows(table, old.labels).cast(known.dict["train"].features)
    except KeyError as error:
        raise DataError(
            f"The rows have a label that {old.name!r} does not know: {error.args[0]}.",
            "Correct it, or save the file as a data set of its own.",
        ) from error
    new = brought.select(list(_new(brought, known.dict, learns)))
    if not len(new):
        raise DataError(
            f"All {len(brought):,} rows are in {old.name!r} already, or belong to rows that are tested there.",
            "Bring rows that it does not have.",
        )
    parts: dict[str, list[Dataset]] = {split: [part] for split, part in known.dict.items()}
    parts["train"].append(new)
    splits = old.splits | {"train": len(known.dict["train"]) + len(new)}
    digest = fingerprint(parts, known.labels)
    row = store.add_dataset(
        name=checked_name(name), task=old.task, labels=old.labels, splits=splits, fingerprint=digest,
        columns=old.columns, report=recounted(old, parts), made_by=made_by,
    )  # fmt: skip
    folder = home.dataset(row.id)
    if not folder.exists():
        write(parts, folder, known, name=row.name, digest=digest)
        store.dataset_ready(row.id)
    return Grown(row, len(new), len(brought) - len(new), refused)


def _columns(old: DatasetRow, upload: "Upload") -> Columns:
    """The columns that the data set had; those that the upload does not have are guessed, as of any other upload."""
    there = [str(name) for name in upload.table.columns]
    guessed = guess_columns(upload, old.task).as_dict()
    found: dict[str, Any] = {"label": None}
    for role, column in old.columns.items():
        is_there = role == "separator" or joining.parts(column, there)
        found |= {role: column if is_there else guessed.get(role, column)} if role != "split" else {}
    return Columns(**found)


def recounted(old: DatasetRow, parts: "dict[str, list[Dataset]] | DatasetDict") -> dict[str, Any]:
    """The report of a data set as it is after its rows or labels were changed: what is counted of rows and labels; what
    was found out by looking at inputs stays."""
    learns = tasks.get(old.task, old.multi_label)
    lists = {split: part if isinstance(part, list) else [part] for split, part in parts.items()}
    labels = [label for part in lists.values() for rows in part for label in rows["label"][:]]
    known = [label for label in labels if learns.targets.is_label(label)]
    counts = {"rows": len(labels), "labelled": len(known), "unlabelled": len(labels) - len(known),
              "splits": {split: sum(map(len, part)) for split, part in lists.items()}}  # fmt: skip
    if learns.kind == "multi_label" or (
        learns.kind == "class" and not any(isinstance(label, list) for label in known[:1])
    ):
        cells = [named(label, old.labels) for label in known]
        texts = [BETWEEN.join(cell) if isinstance(cell, list) else str(cell) for cell in cells]
        counts["classes"] = learns.targets.counts(texts, old.labels)
    return old.report | counts


def name_for(store: Store, dataset: DatasetRow) -> str:
    """A free name like that of the data set."""
    taken = {row.name for row in store.datasets()}
    names = (f"{dataset.name[:60]}, version {number}" for number in range(2, 1000))
    return next(name for name in names if name not in taken)


def _new(rows: Dataset, known: DatasetDict, task: "Task") -> Iterator[int]:
    """The numbers of the rows that stand nowhere before, and belong together with no row that is kept for testing."""
    seen = {key for split in known.values() for key in overlap.row_keys(split)}
    tested = {key for name, split in known.items() if name != "train" for key in overlap.row_keys(split, task)}
    for number, (key, related) in enumerate(zip(overlap.row_keys(rows), overlap.row_keys(rows, task), strict=True)):
        if key not in seen and related not in tested:
            seen.add(key)
            yield number
