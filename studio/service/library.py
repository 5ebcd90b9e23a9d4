"""The saved data sets: read one in, save, rename, delete it; its row in the store and its files, both or neither."""

import itertools
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from studio import tasks
from studio.data import joining
from studio.data.cleaning import Report, Rows, as_refused, clean, leaks
from studio.data.columns import Columns, fitting, guess_columns
from studio.data.folder import TEST_SHARE, VALIDATION_SHARE, divide, drawn, fingerprint, load, write
from studio.data.refused import Refused, as_csv
from studio.data.uploads import Upload
from studio.errors import DataError, ExportError
from studio.files import whole_file
from studio.home import Home
from studio.store.rows import DatasetRow
from studio.store.store import Store

MAX_NAME = 80
FREE_NAMES = 10_000
LEAKED = "for training, and among the given validation or test rows, too"


@dataclass(frozen=True)
class Files:
    """What a data set is read from: the rows, and other files of the same columns.

    `test` and `validation` become those splits; `unlabelled` rows are for training, whatever label they have.
    """

    rows: Upload
    test: Upload | None = None
    validation: Upload | None = None
    unlabelled: Upload | None = None


@dataclass(frozen=True)
class Split:
    """How the splits that are missing are cut, and whether training rows go that a held-out split has, too."""

    validation_share: float = VALIDATION_SHARE
    test_share: float = TEST_SHARE
    drop_leaked: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Checked:
    """What would be saved, and what was found in it before leaks were removed: `removed` so many training rows that a
    held-out split had, too.

    `guessed` are the roles that nobody named a column for; `unused` the columns that no role took.
    """

    rows: Rows
    report: Report
    columns: Columns
    notes: tuple[str, ...]
    guessed: tuple[str, ...]
    unused: tuple[str, ...]
    removed: int

    @property
    def facts(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {"task": self.rows.task, "columns": self.columns.as_dict(), "guessed": self.guessed,
                "unused": self.unused, "removed": self.removed, "notes": self.notes,
                "report": self.report.model_dump()}  # fmt: skip


@dataclass(frozen=True)
class Added:
    """A data set that was read in: its row, and what a person should know of how it was read.

    `guessed` are the roles that nobody named a column for; `unused` the columns that no role took; `removed` so many
    training rows that a held-out split had, too. Not `is_new`: the content was there already. `refused` are the rows of
    the files that are not in it.
    """

    row: DatasetRow
    notes: tuple[str, ...]
    guessed: tuple[str, ...]
    unused: tuple[str, ...]
    removed: int
    is_new: bool
    refused: tuple[Refused, ...]


def add(
    store: Store,
    home: Home,
    files: Files,
    *,
    name: str | None,
    like: str = "data",
    task: str | None = None,
    columns: Mapping[str, str] | None = None,
    split: Split | None = None,
    made_by: str | None = None,
) -> Added:
    """Check, split and save what was read. `columns` by their role win over those that are guessed.

    Without a `name` the content decides: a data set that has it already is taken as it is; else it is saved under
    `like`, with a number behind it where that is taken.
    Raises `DataError` where the data cannot be used, or the name is taken by other content.
    """
    split = split or Split()
    found = check(files, task=task, columns=columns, drop_leaked=split.drop_leaked)
    before = {row.id for row in store.datasets()}
    row = save(
        store, home, name, found.rows, found.columns,
        like=like, validation_share=split.validation_share, test_share=split.test_share, seed=split.seed,
        made_by=made_by,
    )  # fmt: skip
    return Added(row, found.notes, found.guessed, found.unused, found.removed, row.id not in before, found.rows.refused)


def check(
    files: Files, *, task: str | None = None, columns: Mapping[str, str] | None = None, drop_leaked: bool = True
) -> Checked:
    """What was read, cleaned and looked at; nothing is saved. A role whose column is "" has none.

    Raises `DataError` where the data cannot be used.
    """
    wanted = {role: column or None for role, column in (columns or {}).items()}
    possible = fitting(files.rows)
    kind = task or _likeliest(possible, wanted, files.rows)
    if kind not in possible:
        raise DataError(f"The file does not hold data for {kind}.", f"It fits {', '.join(possible)}.")
    chosen = replace(guess_columns(files.rows, kind), **wanted)  # type: ignore[arg-type]
    if "pair" not in wanted and chosen.pair in joining.parts(chosen.input, files.rows.table.columns):
        chosen = replace(chosen, pair=None)
    rows = clean(files.rows, chosen, kind, files.test, files.unlabelled, files.validation)
    kept = without_leaks(rows) if drop_leaked else rows
    taken = chosen.as_dict()
    there = list(map(str, files.rows.table.columns))
    hidden = chosen.taken(there) | ({"image", "file"} if files.rows.kind == "images" else set())
    return Checked(
        rows=kept,
        report=rows.report,
        columns=chosen,
        notes=files.rows.notes,
        guessed=tuple(role for role in taken if role not in wanted),
        unused=tuple(column for column in there if column not in hidden),
        removed=len(rows.table) - len(kept.table),
    )


def save(
    store: Store,
    home: Home,
    name: str | None,
    rows: Rows,
    columns: Columns,
    *,
    like: str = "data",
    validation_share: float = VALIDATION_SHARE,
    test_share: float = TEST_SHARE,
    drop_leaked: bool = False,
    seed: int = 0,
    made_by: str | None = None,
) -> DatasetRow:
    """Split, write and list a data set. The same content under the same name gives the one that is there; so does the
    same content without a name.

    Raises `DataError` where the name is taken by other content or is not a name.
    """
    name = None if name is None else checked_name(name)
    rows = without_leaks(rows) if drop_leaked else rows
    divided = divide(rows, validation_share=validation_share, test_share=test_share, seed=seed)
    digest = fingerprint(divided.parts, rows.labels)
    known = None if name else _same_content(store, home, digest, rows.task)
    if known is not None:
        return known
    values: dict[str, Any] = {
        "task": rows.task,
        "labels": rows.labels,
        "splits": {split: len(part) for split, part in divided.parts.items()},
        "fingerprint": digest,
        "columns": columns.as_dict(),
        "report": rows.report.model_dump(),
        "made_by": made_by,
    }
    row = store.add_dataset(name=name, **values) if name else _add_under_a_free_name(store, like, values)
    folder = home.dataset(row.id)
    if not folder.exists():
        write(divided.parts, folder, rows, name=row.name, digest=digest)
        store.dataset_ready(row.id)
    return row


def _likeliest(possible: Sequence[str], wanted: Mapping[str, str | None], upload: Upload) -> str:
    """The task that the file looks like; who reads several columns as one text, and names no other, means no pair."""
    joined = len(joining.parts(wanted.get("input") or "", upload.table.columns)) > 1 and not wanted.get("pair")
    pairs = [
        name for name in possible if any(each.role == "pair" and each.required for each in tasks.get(name).columns)
    ]
    return next((name for name in possible if not joined or name not in pairs), possible[0])


def write_refused(refused: Sequence[Refused], to: Path) -> int:
    """Write the rows that were not taken as CSV: line, reason, row; returns how many there are.

    Raises `ExportError` where the file is there already or cannot be written.
    """
    try:
        with to.open("x", encoding="utf-8", newline="") as file:
            file.write(as_csv(refused))
    except FileExistsError as error:
        raise ExportError(f"{to} is there already.", "Choose another name: nothing is overwritten.") from error
    except OSError as error:
        raise ExportError(f"{to} cannot be written: {error.strerror}.", "Choose another place.") from error
    return sum(each.count for each in refused)


def rename(store: Store, home: Home, reference: str | int, name: str) -> DatasetRow:
    """Give a data set another name; runs that name it go on naming it. Raises `DataError` where it is taken."""
    row = store.rename_dataset(store.dataset(reference).id, checked_name(name))
    about = home.dataset(row.id) / "dataset.json"
    if about.is_file():
        with whole_file(about) as part:
            part.write_text(json.dumps(json.loads(about.read_text()) | {"name": row.name}, ensure_ascii=False))
    return row


def delete(store: Store, home: Home, reference: str | int) -> int:
    """Delete a data set with its files; returns the bytes that are free again.

    Raises `StoreError`, which names the runs, where some use it.
    """
    row = store.dataset(reference)
    folder = home.dataset(row.id)
    freed = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    store.delete_dataset(row.id)
    if folder.is_dir():
        shutil.rmtree(folder)
    return freed


def head(home: Home, row: DatasetRow, count: int = 5, split: str = "train") -> pd.DataFrame:
    """Some rows of a split, drawn by chance, as they were saved, labels by their names; images as bytes."""
    splits = load(home.dataset(row.id)).dict
    if split not in splits:
        raise DataError(f"There is no split {split!r}.", f"Choose one of {', '.join(splits)}.")
    some = drawn(splits[split], count)
    if "image" in some.column_names:
        from datasets import Image

        some = some.cast_column("image", Image(decode=False))
    table = pd.DataFrame(some[:])
    if "image" in table:
        table["image"] = [cell["bytes"] for cell in table["image"]]
    return table.assign(label=[_named(value, row.labels) for value in table["label"]])


def checked_name(name: str) -> str:
    """The name without white space around it; raises `DataError` where it is none."""
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise DataError(
            f"A data set's name has 1 to {MAX_NAME} printable characters, got {name!r}.", "Choose another name."
        )
    if name.isdecimal():
        raise DataError(f"A data set's name cannot be a number, got {name!r}.", "Numbers are ids. Choose another name.")
    return name


def name_like(file: str) -> str:
    """A name after that of a file.

    >>> name_like("uploads/reviews_2024 (1).csv"), name_like("2024.csv")
    ('reviews_2024 1', 'data 2024')
    """
    stem = PurePosixPath(file.replace("\\", "/")).stem
    words = " ".join(re.sub(r"[^\w -]+", " ", stem).split())[:60] or "data"
    return f"data {words}" if words.isdecimal() else words


def without_leaks(rows: Rows) -> Rows:
    """The rows without those for training whose input a given validation or test split has, too; these are refused."""
    leaked = leaks(rows.table, rows.groups)
    if not leaked.any():
        return rows
    refused = (*rows.refused, as_refused(LEAKED, rows.table[leaked]))
    return replace(rows, table=rows.table[~leaked].reset_index(drop=True), refused=refused)


def _same_content(store: Store, home: Home, digest: str, task: str) -> DatasetRow | None:
    """The oldest data set with this content, whatever it is called."""
    same = [row for row in store.datasets() if (row.fingerprint, row.task) == (digest, task)]
    return next((row for row in reversed(same) if home.dataset(row.id).is_dir()), None)


def _add_under_a_free_name(store: Store, like: str, values: Mapping[str, Any]) -> DatasetRow:
    """`like`, `like 2`, `like 3` …: the first that no other content has."""
    for number in itertools.count(1):
        try:
            return store.add_dataset(name=checked_name(like if number == 1 else f"{like} {number}"), **values)
        except DataError:
            if number == FREE_NAMES:
                raise
    raise AssertionError


def _named(value: object, labels: list[str]) -> object:
    """A stored label by its name; several as a list, none as ""."""
    if isinstance(value, list):
        return [labels[number] for number in value]
    if isinstance(value, int):
        return labels[value] if 0 <= value < len(labels) else ""
    return "" if value is None or value != value else value  # a number stands for itself
