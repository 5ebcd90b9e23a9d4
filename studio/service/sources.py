"""What a person has their data in, as an upload: files and folders, here or elsewhere, DataFrames, and what the
`datasets` library holds."""

import io
import re
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from datasets import ClassLabel, Dataset, DatasetDict, Image, List, load_from_disk
from PIL import Image as pillow

from studio.data import apart, boxes, cells, image_lists, splits, uploads, zipped
from studio.data.uploads import IMAGES, TABLES, Upload
from studio.errors import DataError
from studio.home import PASSING
from studio.service import hub_data, web

SEPARATOR = "|"
"""Put between the labels of a row where they come as a list."""

_IMAGE_ROLES = ("label", "split", "file")


def bring(
    reference: str,
    header: bool | None = None,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    tell: web.Tell = lambda done, total: None,
) -> Upload:
    """What `read` gives; the reference may also be the https address of a file, or `hub:ORG/NAME`, a data set of the
    Hugging Face Hub. `tell` hears how many bytes have come, and of how many."""
    if reference.startswith(web.HUB):
        return hub_data.read(reference.removeprefix(web.HUB), tell)
    if not web.is_remote(reference):
        if re.fullmatch(r"[\w.-]+/[\w.-]+", reference) and not Path(reference).exists():
            raise DataError(
                f"There is no file {reference}.",
                f"Check the path; a data set of the Hugging Face Hub is called {web.HUB}{reference}.",
            )
        return read(Path(reference).expanduser(), header, encoding=encoding, delimiter=delimiter)
    with tempfile.TemporaryDirectory(prefix=PASSING) as place:
        fetched = web.download(reference, Path(place), tell)
        return apart.read(fetched.path, name=fetched.name, header=header, encoding=encoding, delimiter=delimiter)


def read(
    source: Path, header: bool | None = None, *, encoding: str | None = None, delimiter: str | None = None
) -> Upload:
    """A file, or a folder: one that `save_to_disk` of the `datasets` library wrote, one with a table for each split
    (train.csv, test.csv …), or one of folders of images or texts. Raises `DataError` where it holds none of these.

    Files are read by a process of its own, with limits of memory and time.
    """
    how: dict[str, Any] = {"header": header, "encoding": encoding, "delimiter": delimiter}
    if not source.is_dir():
        return apart.read(source, **how)
    if any((source / name).is_file() for name in ("dataset_dict.json", "state.json")):
        return of_datasets(_opened(source))
    tables = [file for file in sorted(source.iterdir()) if file.suffix.lower().removeprefix(".") in TABLES]
    marked = [file for file in tables if file.is_file() and splits.of(file.stem)]
    if not marked:
        return _folders(source)
    joined = uploads.joined([(file.name, apart.read(file, **how)) for file in marked])
    left = [file.name for file in tables if file not in marked]
    notes = (f"Not read, for its name says no split: {', '.join(left)}.",) if left else ()
    return replace(joined, notes=(*joined.notes, *notes))


def of_frame(frame: pd.DataFrame) -> Upload:
    """A DataFrame; a column of images (bytes or Pillow's) makes it data of images. Raises `DataError` where it is
    empty."""
    if frame.empty:
        raise DataError("The table has no rows.", "Bring one that has.")
    frame = frame.rename(columns=str).reset_index(drop=True)
    image = next((name for name in frame.columns if _holds_images(frame[name])), None)
    if image is None:
        return uploads.limited(Upload("table", cells.as_text(frame)))
    pictures = [image_bytes(cell, f"Row {number}") for number, cell in enumerate(frame[image])]
    table = cells.as_text(frame.drop(columns=image)).assign(image=pd.Series(pictures, dtype=object))
    return uploads.limited(Upload("images", table.assign(**{name: "" for name in _IMAGE_ROLES if name not in table})))


def of_datasets(data: Dataset | DatasetDict) -> Upload:
    """What the `datasets` library holds, classes by their names; the splits of a dictionary stay.

    Raises `DataError` for a split whose name says neither train nor validation nor test.
    """
    if isinstance(data, Dataset):
        return of_frame(_frame(data))
    parts = []
    for name, rows in data.items():
        without_labels = name.lower() in splits.UNLABELLED
        split = "train" if without_labels else splits.of(name)
        if split is None:
            raise DataError(
                f"The split {name!r} is neither for training nor for validation nor for test.",
                "Rename it to train, validation or test, or leave it out.",
            )
        parts.append((split, _frame(rows, without_labels)))
    return of_frame(_joined(parts))


def image_bytes(cell: Any, where: str) -> bytes:
    """An image as the bytes of its file; raises `DataError` for what is none."""
    if isinstance(cell, dict) and "bytes" in cell:
        cell = cell["bytes"] if cell["bytes"] is not None else Path(str(cell.get("path")))
    if isinstance(cell, Path):
        if not cell.is_file():
            raise DataError(f"{where} names the file {cell}, which is not there.", "Check the path.")
        cell = cell.read_bytes()
    if isinstance(cell, pillow.Image):
        file = io.BytesIO()
        cell.save(file, "PNG")
        return file.getvalue()
    if not isinstance(cell, bytes) or not uploads.is_image(cell):
        raise DataError(f"{where} holds no image that can be read, got {type(cell).__name__}.", "Leave it out.")
    return cell


def _opened(folder: Path) -> Dataset | DatasetDict:
    try:
        return load_from_disk(folder)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"The data set in {folder} cannot be opened: {error}.", "Save it again.") from error


def _frame(rows: Dataset, without_labels: bool = False) -> pd.DataFrame:
    """The rows as a table: classes by their names, several of a row with `SEPARATOR` between them, images as bytes.

    Beside a column of words they are the words' tags, and stay a list.
    """
    columns: dict[str, list[Any]] = {}
    words = any(
        isinstance(kind, List) and getattr(kind.feature, "dtype", "") == "string" for kind in rows.features.values()
    )
    for name, feature in rows.features.items():
        if isinstance(feature, Image):
            rows = rows.cast_column(name, Image(decode=False))
        values = rows[name][:]
        kind = feature.feature if isinstance(feature, List) else feature
        if isinstance(kind, ClassLabel):
            values = [[] if without_labels else _class_names(value, kind.names) for value in values]
            values = values if words and isinstance(feature, List) else [SEPARATOR.join(names) for names in values]
        columns[name] = values
    return pd.DataFrame(columns, dtype=object)


def _class_names(value: Any, names: list[str]) -> list[str]:
    """The names of a class number, or of several; none for none, which the library writes as -1."""
    numbers = value if isinstance(value, list) else [value]
    return [names[number] for number in numbers if number is not None and number >= 0]


def _joined(parts: Iterable[tuple[str, pd.DataFrame]]) -> pd.DataFrame:
    """One table with a column that says where each row is from."""
    marked = [table.assign(split=split) for split, table in parts]
    return pd.concat(marked, ignore_index=True).astype(object).fillna("")


def _holds_images(cells: pd.Series) -> bool:
    first = cells.iloc[0]
    return isinstance(first, bytes | pillow.Image) or (isinstance(first, dict) and {"bytes", "path"} <= set(first))


def _folders(folder: Path) -> Upload:
    """Folders of images, or of texts, read as the ZIP of them is: the same names, the same limits."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not file.is_symlink()]
    beside = (*image_lists.TABLES, *image_lists.LISTS, *boxes.ENDINGS)
    wanted = [file for file in files if file.suffix.lower() in (*IMAGES, *beside)]
    images = any(file.suffix.lower() in IMAGES for file in wanted)
    if not images:
        wanted = [file for file in files if zipped.is_plain(file.name)]
    if not images and all(file.parent == folder for file in wanted):
        raise DataError(
            f"The folder {folder} holds no data that the studio knows.",
            "It should hold train.csv and test.csv, a folder of images or texts for each class, or what `save_to_disk` "
            "wrote.",
        )
    with tempfile.TemporaryDirectory(prefix=PASSING) as place:
        packed = Path(place) / "images.zip"
        with zipfile.ZipFile(packed, "w") as archive:
            for file in wanted:
                archive.write(file, file.relative_to(folder))
        return apart.read(packed)
