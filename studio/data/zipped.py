"""What is in a ZIP: class folders of images, images with a table of file and label, or tables."""

import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from studio import pictures
from studio.data import archives, delimited, splits, text_files
from studio.data.cells import Blocks, Found
from studio.data.refused import Refused
from studio.errors import DataError, LimitError

IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")
LABEL_TABLES = (".csv", ".tsv")
ARCHIVES = (".zip", ".gz", ".tar", ".7z", ".rar", ".zst", ".bz2", ".xz", ".tgz")
BLOCK_BYTES = 64 * 1024**2
"""Images go to disk whenever there are so many bytes of them."""

MAX_IMAGES_BYTES = 2 * 1024**3
"""Of all images together, as they are kept."""

MOST_NAMED = 3


def images(path: Path) -> Blocks:
    """Images with label, split and file, some at a time. What cannot be decoded is left out and counted."""
    with archives.open_zip(path) as archive:
        files = archives.members(archive)
        members = [member for member in files if _suffix(member) in IMAGES]
        if not members:
            raise DataError("The archive holds no images.", f"Put files ending in {', '.join(IMAGES)} into it.")
        tables = [member for member in files if _suffix(member) in LABEL_TABLES]
        labels = _label_table(archive, tables[0]) if len(tables) == 1 else {}
        _check_split_folders([member.filename for member in members], labels)
        rows: list[tuple[bytes, str, str, str]] = []
        broken: list[str] = []
        classes: set[str] = set()
        count, size, held = 0, 0, 0
        for member in members:
            data = _readable(archive, member)
            if data is None:
                broken.append(member.filename)
                continue
            size, held, count = size + len(data), held + len(data), count + 1
            if size > MAX_IMAGES_BYTES:
                raise LimitError(f"The images take more than {MAX_IMAGES_BYTES >> 30} GiB.", "Make them smaller.")
            split, label = _place(member.filename, labels)
            classes.add(label)
            rows.append((data, label, split, member.filename))
            if held > BLOCK_BYTES:
                yield Found(_table(rows))
                rows, held = [], 0
        others = len(files) - len(members) - (1 if labels else 0)
    if not count:
        raise DataError(f"None of the {len(members):,} images in the archive can be read.", "Save them as PNG or JPEG.")
    notes = [f"{count:,} images in {len(classes):,} classes."]
    if broken:
        named = ", ".join(map(repr, broken[:MOST_NAMED])) + (" …" if len(broken) > MOST_NAMED else "")
        notes.append(f"{len(broken):,} files could not be read as images and were left out: {named}.")
    if others:
        notes.append(f"{others:,} files in the archive are no images.")
    refused = (Refused.of("not an image that can be read", [0] * len(broken), broken),) if broken else ()
    if rows or refused:
        yield Found(_table(rows), refused=refused)
    return tuple(notes)


def _table(rows: list[tuple[bytes, str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["image", "label", "split", "file"], dtype=object)


def tables(path: Path, endings: Sequence[str]) -> list[zipfile.ZipInfo]:
    """The tables in an archive without images; none where it holds images.

    Raises `DataError` where it holds neither.
    """
    with archives.open_zip(path) as archive:
        files = archives.members(archive)
        if any(_suffix(member) in IMAGES for member in files):
            return []
        found = [member for member in files if _suffix(member).removeprefix(".") in endings]
        if not found:
            inner = next((member.filename for member in files if _suffix(member) in ARCHIVES), None)
            if inner is not None:
                raise DataError(f"The archive holds another archive, {inner!r}.", "Unpack it, and bring what is in it.")
            listed = ", ".join(repr(member.filename) for member in files[:MOST_NAMED]) or "nothing"
            raise DataError(
                f"The archive holds no images and no table that can be read: {listed}.",
                f"Put images ({', '.join(IMAGES)}) or tables ({', '.join(endings)}) into it.",
            )
        return found


def unpack(path: Path, member: zipfile.ZipInfo, to: Path) -> None:
    """Write what is in a member to the file `to`; raises what `archives.read` does."""
    with archives.open_zip(path) as archive, to.open("wb") as file:
        for chunk in archives.chunks(archive, member):
            file.write(chunk)


def _readable(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes | None:
    """The image in a member; None where it is damaged. A member that is longer than it says is no accident."""
    try:
        data = archives.read(archive, member)
    except LimitError:
        raise
    except DataError:
        return None
    return data if pictures.is_image(data) else None


def _suffix(member: zipfile.ZipInfo) -> str:
    return PurePosixPath(member.filename.replace("\\", "/")).suffix.lower()


def _folders(name: str) -> list[str]:
    return list(PurePosixPath(name.replace("\\", "/")).parts[:-1])


def _place(name: str, labels: dict[str, tuple[str, str]]) -> tuple[str, str]:
    """(split, label) of an image from the folders it lies in, or from the table."""
    for key in (name, PurePosixPath(name.replace("\\", "/")).name):
        if key in labels:
            return labels[key]
    folders = _folders(name)
    split = next((found for folder in folders if (found := splits.exactly(folder))), "")
    named = [folder for folder in folders if splits.exactly(folder) is None]
    return split, named[-1] if named else ""


def _check_split_folders(names: Sequence[str], labels: dict[str, tuple[str, str]]) -> None:
    """A folder beside train and test that is neither is asked for, never trained on in silence."""
    if labels:
        return
    paths = [_folders(name) for name in names]
    depths = [next((place for place, folder in enumerate(path) if splits.exactly(folder)), None) for path in paths]
    for depth in {depth for depth in depths if depth is not None}:
        beside = {path[depth] for path in paths if len(path) > depth + 1 and splits.exactly(path[depth]) is None}
        splits.require_known(beside, "A folder beside those of the splits")


def _label_table(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> dict[str, tuple[str, str]]:
    """{file: (split, label)} from the one table in the archive."""
    found = text_files.read(archives.read(archive, member))
    table = delimited.read(found.text, found.encoding, header=True).table
    names = {str(name).strip().lower(): name for name in table.columns}
    wanted = ("file", "filename", "file_name", "image", "path"), ("label", "class", "category", "target")
    known = [next((names[name] for name in group if name in names), None) for group in wanted]
    left = [name for name in table.columns if name not in known]
    if sum(name is None for name in known) > len(left):
        raise DataError(
            f"The table {member.filename!r} in the archive has {len(table.columns)} columns; it needs file and label.",
            "Write the columns file, label and, if you like, split.",
        )
    file, label = (name if name is not None else left.pop(0) for name in known)
    split = names.get("split")
    if split is not None:
        splits.require_known({cell for cell in table[split] if cell.strip()}, "A split of the table")
    marked = [splits.of(cell) or "" for cell in table[split]] if split is not None else [""] * len(table)
    cells = zip(table[file], marked, table[label], strict=True)
    return {name.strip(): (where, label.strip()) for name, where, label in cells}
