"""Read what a user brings into a table. Whatever is wrong with a file is told as a `DataError`."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from studio.data import columnar, compressed, conll, delimited, documents, json_files, splits, text_files, zipped
from studio.data.cells import Found, require_few
from studio.data.refused import Refused
from studio.data.zipped import IMAGES, is_image
from studio.errors import DataError, LimitError, StudioError

MAX_BYTES = 2 * 1024**3
CONLL = (".conll", ".conll2003", ".conllu", ".bio", ".iob", ".iob2", ".annotated")
TABLES = ("csv", "tsv", "txt", "jsonl", "json", "parquet", "xlsx", "arrow", "feather")
PLAIN = (".csv", ".tsv", ".txt", ".tab", "")
PROSE = (".txt", "")
LINES = (".jsonl", ".ndjson")
ARROW = (".arrow", ".feather", ".ipc")
ENDINGS = (*filter(None, PLAIN), *LINES, ".json", ".parquet", ".xlsx", *ARROW, *CONLL, *compressed.OPENERS, ".zip")
"""All that can be read, as their names end."""
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".npy", ".npz", ".joblib", ".ckpt")

__all__ = ["ENDINGS", "IMAGES", "TABLES", "Upload", "is_image", "limited", "read"]


@dataclass(frozen=True)
class Upload:
    """A file as a table. In a table of images the columns are image (bytes), label, split and file; in one of words,
    words and tags; in one of documents, text and split.

    All cells of a text file are texts, as they stand in the file. `notes` tell what was found out on the way; `lines`
    are the numbers of the rows' lines, where there are any; `refused` says which rows were not taken.
    """

    kind: str
    table: pd.DataFrame
    notes: tuple[str, ...] = ()
    lines: Sequence[int] = ()
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True)
class _How:
    header: bool | None
    encoding: str | None
    delimiter: str | None


def read(
    path: Path,
    *,
    name: str = "",
    header: bool | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Upload:
    """Read a file by its name's ending; what is None is found out.

    Raises `DataError` that says what is wrong with it, `LimitError` where it is too large.
    """
    name = name or path.name
    try:
        return _read(path, name, _How(header, encoding, delimiter))
    except StudioError:
        raise
    except MemoryError as error:
        raise LimitError("The file takes more memory to read than it may.", "Split it.") from error
    except RecursionError as error:
        raise DataError("The file is nested too deep to be read.", "Write a plain table.") from error
    except Exception as error:
        told = (str(error).strip().splitlines() or [""])[0][:200]
        suffix = _suffix(name) or "text"
        raise DataError(
            f"The file cannot be read as {suffix}: {type(error).__name__}: {told}.",
            "Save it again, or in another format.",
        ) from error


def limited(upload: Upload) -> Upload:
    require_few(*upload.table.shape)
    return upload


def _suffix(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).suffix.lower()


def _read(path: Path, name: str, how: _How) -> Upload:
    suffix = _suffix(name)
    if suffix in PICKLES:
        raise DataError(
            f"A {suffix} file is not opened: it can run code when it is.",
            "Save the data as CSV, Parquet or a ZIP of images.",
        )
    if not path.is_file():
        raise DataError(f"There is no file {path}.", "Check the path.")
    if path.stat().st_size > MAX_BYTES:
        raise LimitError(f"The file has more than {MAX_BYTES // 1024**3} GiB.", "Split it.")
    if path.stat().st_size == 0:
        raise DataError("The file is empty.", "Choose another one.")
    if suffix == ".zip":
        return _zip(path, how)
    if suffix in compressed.OPENERS:
        return _unpacked(path, name, suffix, how)
    return limited(_table(path, name, suffix, how))


def _table(path: Path, name: str, suffix: str, how: _How) -> Upload:
    if suffix == ".parquet":
        return _as_table(columnar.parquet(path))
    if suffix in ARROW:
        return _as_table(columnar.arrow(path))
    if suffix == ".xlsx":
        return _as_table(columnar.excel(path, how.header))
    if suffix not in (*LINES, ".json", *PLAIN, *CONLL):
        known = ", ".join(TABLES)
        raise DataError(f"A {suffix} file cannot be read.", f"Bring one of {known}, or a zip of image folders.")
    found = text_files.read(path.read_bytes(), how.encoding)
    if suffix in LINES:
        upload = _as_table(json_files.read_lines(found.text, found.encoding))
    elif suffix == ".json":
        upload = _as_table(json_files.read(found.text, found.encoding))
    elif suffix in CONLL or (how.delimiter is None and conll.looks_like(found.text)):
        table = conll.table(found.text)
        note = f"Encoding {found.encoding}, {len(table):,} sentences with a tag for each word."
        upload = Upload("words", table, (note,))
    elif suffix in PROSE and how.delimiter is None and how.header is None and documents.looks_like(found.text):
        table, note = documents.table(found.text)
        upload = Upload("documents", table, (f"Encoding {found.encoding}. {note}",))
    else:
        upload = _as_table(delimited.read(found.text, found.encoding, how.header, how.delimiter))
    return Upload(upload.kind, upload.table, (*upload.notes, *found.notes), upload.lines, upload.refused)


def _as_table(found: Found) -> Upload:
    return Upload("table", found.table, found.notes, found.lines, found.refused)


def _unpacked(path: Path, name: str, suffix: str, how: _How) -> Upload:
    inner = PurePosixPath(name.replace("\\", "/")).name[: -len(suffix)]
    if _suffix(inner) in (".tar", ".zip", *compressed.OPENERS):
        raise DataError(f"{name!r} is an archive within an archive.", "Unpack it, and bring what is in it.")
    with tempfile.TemporaryDirectory(prefix="unpacked-") as place:
        file = Path(place) / "file"
        compressed.unpack(path, suffix, file)
        return _read(file, inner, how)


def _zip(path: Path, how: _How) -> Upload:
    """Images, one table, or a table for each split."""
    tables = zipped.tables(path, TABLES)
    if not tables:
        found = zipped.images(path)
        return Upload("images", found.table, found.notes, refused=found.refused)
    parts = []
    with tempfile.TemporaryDirectory(prefix="unpacked-") as place:
        for name, content in tables:
            file = Path(place) / "file"
            file.write_bytes(content)
            parts.append((name, _read(file, name, how)))
    return parts[0][1] if len(parts) == 1 else joined(parts)


def joined(parts: list[tuple[str, Upload]]) -> Upload:
    """Tables of the splits that their files' names say, as one. Raises `DataError` where a name does not say one."""
    splits.require_known([PurePosixPath(name).stem for name, _ in parts], "A file beside those of the splits")
    tables = [part.table.assign(split=splits.of(PurePosixPath(name).stem)) for name, part in parts]
    table = pd.concat(tables, ignore_index=True).astype(object).fillna("")
    notes = [f"Splits from {', '.join(name for name, _ in parts)}."]
    notes += [f"{name}: {note}" for name, part in parts for note in part.notes]
    refused = tuple(refused for _, part in parts for refused in part.refused)
    return limited(Upload(parts[0][1].kind, table, tuple(notes), refused=refused))
