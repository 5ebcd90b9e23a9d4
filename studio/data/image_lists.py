"""Tables beside images, in the same archive, that say of each file which class it is of, and of which split."""

import json
import tempfile
import zipfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pandas as pd

from studio.data import archives, boxes, delimited, excel, json_files, one_hot, splits, text_files
from studio.data.heads import LABEL_NAMES
from studio.errors import DataError, LimitError
from studio.home import PASSING

TABLES, LISTS = (".csv", ".tsv", ".jsonl", ".xlsx"), (".txt", ".json")
"""What holds a table; what may hold one, or anything else."""

BESIDE, SHORT = (".cls", ".txt"), 100
"""What a file with the class of one image ends in, and how long it is at most."""

METADATA = "metadata"
"""What the table in each folder of images is called where there are several, as the `datasets` library has them."""

FILES = ("file", "filename", "file_name", "image", "image_id", "path", "id")
LABELS = ("label", "class", "category", "target")
ROWS_A_CLASS = 4
CURE = "Write the columns file, label and, if you like, split."
Labels = dict[str, tuple[str, str]]
"""{file: (split, label)}"""


class Listed(NamedTuple):
    """What the tables say; the tables themselves, and notes on what they leave out."""

    labels: Labels
    tables: tuple[str, ...] = ()
    notes: list[str] = []


def keys(name: str) -> list[str]:
    """Under which names a table may list a file: its path, the end of it, and that without its ending.

    >>> keys("all/cat.png")
    ['all/cat.png', 'cat.png', 'cat']
    """
    path = PurePosixPath(name.replace("\\", "/"))
    return [str(path), path.name, path.stem]


def labels(archive: zipfile.ZipFile, files: Sequence[zipfile.ZipInfo], images: Sequence[str]) -> Listed:
    """What the one table says of the images, or the one in each folder or for each split; nothing where it names none
    of them."""
    known: dict[str, list[str]] = {}
    for name in images:
        for key in dict.fromkeys(keys(name)):
            known.setdefault(key, []).append(name)
    tables = [member for member in files if _suffix(member) in TABLES]
    of_splits = [member for member in tables if splits.of(_stem(member))]
    is_metadata = all(_stem(member).lower() == METADATA for member in tables)
    if len(tables) > 1 and not is_metadata:
        tables = of_splits
    found: Labels = {}
    unread: list[str] = []
    for member in tables or [member for member in files if _suffix(member) in LISTS]:
        try:
            said = _of_table(archive, member, known) if tables else _of_list(archive, member, known)
        except DataError as error:
            if len(tables) < 2 or isinstance(error, LimitError):
                raise
            unread.append(f"{member.filename}: {error.message}")
            continue
        if is_metadata and tables:
            folder = PurePosixPath(member.filename.replace("\\", "/")).parent
            said = {str(folder / name): row for name, row in said.items()}
        split = splits.of(_stem(member)) or ""
        said = _told_apart(said, known, split)
        found |= {name: (where or (split if len(tables) > 1 else ""), label) for name, (where, label) in said.items()}
    named = [next((key for key in keys(name) if key in found), None) for name in images]
    if not any(named):
        beside = _of_files_beside(archive, files, images)
        if beside:
            return Listed(beside, tuple(member.filename for member in files if _suffix(member) in BESIDE), unread)
        marked = boxes.read(archive, files, images)
        said = {str(PurePosixPath(name.replace("\\", "/"))): ("", label) for name, label in marked.labels.items()}
        read = tuple(member.filename for member in files if _suffix(member) in TABLES)
        return Listed(said, (*read, *marked.files), [*unread, *marked.notes])
    left_out = len(found) - len({key for key in named if key})
    return Listed(found, tuple(member.filename for member in files if _suffix(member) in (*TABLES, *LISTS)),
                  [*_notes(left_out, named.count(None)), *unread])  # fmt: skip


def _told_apart(said: Labels, known: Mapping[str, list[str]], split: str) -> Labels:
    """The same, where several images have one name by their whole paths: a table for one split speaks of those in its
    folder, and of no others."""
    found: Labels = {}
    for name, row in said.items():
        images = known.get(name, [])
        if len(images) < 2:
            found[name] = row
            continue
        parts = {image: PurePosixPath(image.replace("\\", "/")).parts[:-1] for image in images}
        found |= {keys(image)[0]: row for image in images if split and split in map(splits.of, parts[image])}
    return found


def _notes(unknown: int, without: int) -> list[str]:
    notes = []
    if unknown:
        one = "One row of the table names no image of the archive."
        notes.append(one if unknown == 1 else f"{unknown:,} rows of the table name no image of the archive.")
    if without:
        one = "One image stands in no row of the table: it has no label."
        many = f"{without:,} images stand in no row of the table: they have no label."
        notes.append(one if without == 1 else many)
    return notes


def _of_table(archive: zipfile.ZipFile, member: zipfile.ZipInfo, known: Collection[str]) -> Labels:
    data = archives.read(archive, member)
    if _suffix(member) == ".xlsx":
        return of_rows(member.filename, one_hot.OneHot(table := _of_workbook(data)).changed(table), known)
    found = text_files.read(data)
    if _suffix(member) == ".jsonl":
        table = json_files.read_lines(found.text, found.encoding).table
    else:
        table = delimited.read(found.text, found.encoding, header=True).table
    return of_rows(member.filename, one_hot.OneHot(table).changed(table), known)


def _of_workbook(data: bytes) -> pd.DataFrame:
    with tempfile.TemporaryDirectory(prefix=PASSING) as place:
        file = Path(place) / "table.xlsx"
        file.write_bytes(data)
        return excel.read(file, header=True).table


def of_splits(archive: zipfile.ZipFile, files: Sequence[zipfile.ZipInfo], images: Sequence[str]) -> dict[str, str]:
    """{image: split} by lists of files that are called as splits are, such as `train.txt`, with nothing but a file in
    each line; its folders and its ending may be left out."""
    ends: dict[str, str] = {}
    for name in images:
        parts = PurePosixPath(name.replace("\\", "/")).with_suffix("").parts
        ends |= {"/".join(parts[place:]): name for place in range(len(parts))}
    found: dict[str, str] = {}
    for member in (member for member in files if _suffix(member) == ".txt" and splits.of(_stem(member))):
        try:
            lines = text_files.read(archives.read(archive, member)).text.split()
        except LimitError:
            raise
        except DataError:  # it lies beside the images for another reason
            continue
        named = [ends.get(str(PurePosixPath(line.replace("\\", "/")).with_suffix(""))) for line in lines]
        if 2 * len(list(filter(None, named))) > len(lines):
            found |= {name: splits.of(_stem(member)) or "" for name in named if name}
    return found


def _of_files_beside(archive: zipfile.ZipFile, files: Sequence[zipfile.ZipInfo], images: Collection[str]) -> Labels:
    """The classes of images that stand in a file of its own beside each, as WebDataset has it; nothing where most have
    none, or hardly one comes again."""
    paths = {str(PurePosixPath(name.replace("\\", "/")).with_suffix("")): keys(name)[0] for name in images}
    found: Labels = {}
    for member in files:
        image = paths.get(str(PurePosixPath(member.filename.replace("\\", "/")).with_suffix("")))
        if image is not None and _suffix(member) in BESIDE and member.file_size <= SHORT:
            label = text_files.read(archives.read(archive, member)).text.strip()
            found |= {image: ("", label)} if label and "\n" not in label else {}
    kinds = len({label for _, label in found.values()})
    return found if 2 * len(found) > len(images) and kinds * ROWS_A_CLASS <= len(found) else {}


def _of_list(archive: zipfile.ZipFile, member: zipfile.ZipInfo, known: Collection[str]) -> Labels:
    """What a file says that may be no table: {"file": "label", …} or objects in JSON, a file and its label in each
    line; nothing where most of it names no image."""
    try:
        text = text_files.read(archives.read(archive, member)).text
    except LimitError:
        raise
    except DataError:  # it lies beside the images for another reason
        return {}
    rows = _in_json(text) if _suffix(member) == ".json" else [line.rsplit(None, 1) for line in text.splitlines()]
    pairs = [(str(row[0]), str(row[1])) for row in rows if len(row) == 2]
    there = sum(name.strip() in known for name, _ in pairs)
    return {name.strip(): ("", label.strip()) for name, label in pairs} if 2 * there > len(rows) else {}


def _in_json(text: str) -> list[tuple[Any, ...]]:
    """(file, label) of each entry."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if isinstance(said, dict):
        return [(name, label) for name, label in said.items() if isinstance(label, str | int)]
    objects = [entry for entry in said if isinstance(entry, dict)] if isinstance(said, list) else []
    return [
        tuple(next((entry[name] for name in names if name in entry), "") for names in (FILES, LABELS))
        for entry in objects
    ]


def of_rows(name: str, table: pd.DataFrame, known: Collection[str]) -> Labels:
    """{file: (split, label)}. `known` are the names under which a table may list the images: the column that holds most
    of them is that of the files, the first one whose values come again and again that of the labels, where no name
    tells.

    Raises `DataError` where there are too few columns.
    """
    named = {str(column).strip().lower(): str(column) for column in table.columns}
    split, label = named.get("split"), _first(named, (*LABELS, *LABEL_NAMES))
    file = _first(named, FILES) or _of_files(
        table, [column for column in named.values() if column not in (split, label)], known
    )
    left = [column for column in named.values() if column not in (file, split)]
    if file is None or not left:
        raise DataError(
            f"The table {name!r} in the archive has {len(table.columns)} columns; it needs file and label.", CURE
        )
    label = label or next((column for column in left if _are_classes(table[column])), left[0])
    if split is not None:
        splits.require_known({cell for cell in table[split] if cell.strip()}, "A split of the table")
    marked = [splits.of(cell) or "" for cell in table[split]] if split is not None else [""] * len(table)
    cells = zip(table[file], marked, table[label], strict=True)
    return together((path.strip(), where, said.strip()) for path, where, said in cells)


def together(rows: Iterable[tuple[str, str, str]]) -> Labels:
    """{file: (split, label)} of rows of a file, a split and a label; where one stands in several rows with several
    labels, the labels are lists in JSON.

    >>> together([("1.png", "", "cat"), ("1.png", "", "cat"), ("2.png", "", "dog")])
    {'1.png': ('', 'cat'), '2.png': ('', 'dog')}
    >>> together([("1.png", "", "cat"), ("1.png", "", "dog"), ("2.png", "", "dog")])
    {'1.png': ('', '["cat", "dog"]'), '2.png': ('', '["dog"]')}
    """
    found: dict[str, tuple[str, dict[str, None]]] = {}
    for file, split, label in rows:
        found.setdefault(file, (split, {}))[1][label] = None
    if all(len(said) == 1 for _, said in found.values()):
        return {file: (split, next(iter(said))) for file, (split, said) in found.items()}
    return {file: (split, json.dumps(list(filter(None, said)), ensure_ascii=False))
            for file, (split, said) in found.items()}  # fmt: skip


def classes(label: str) -> list[str]:
    """The classes that a label names: itself, or those in a list."""
    if not label.startswith('["'):
        return [label] if label else []
    try:
        return list(map(str, json.loads(label)))
    except (ValueError, RecursionError):
        return [label]


def _first(named: Mapping[str, str], wanted: Sequence[str]) -> str | None:
    return next((named[name] for name in wanted if name in named), None)


def _of_files(table: pd.DataFrame, names: list[str], known: Collection[str]) -> str | None:
    """The column whose cells are names of images; the first one where none has any."""
    return max(names, key=lambda column: sum(cell.strip() in known for cell in table[column]), default=None)


def _are_classes(cells: pd.Series) -> bool:
    return 1 < cells.nunique() <= max(2, len(cells) // ROWS_A_CLASS)


def _suffix(member: zipfile.ZipInfo) -> str:
    return PurePosixPath(member.filename.replace("\\", "/")).suffix.lower()


def _stem(member: zipfile.ZipInfo) -> str:
    return PurePosixPath(member.filename.replace("\\", "/")).stem
