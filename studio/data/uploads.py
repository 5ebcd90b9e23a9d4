"""Read what a user brings into a table. Whatever is wrong with a file is told as a `DataError`."""

import functools
import itertools
import re
import tempfile
import zipfile
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pandas as pd

from studio.data import (
    annotations,
    cells,
    columnar,
    compressed,
    conll,
    delimited,
    documents,
    excel,
    json_files,
    literals,
    numbered_tags,
    one_hot,
    passages,
    points,
    signatures,
    splits,
    standoff,
    tars,
    text_files,
    triplets,
    verdicts,
    word_rows,
    zipped,
)
from studio.data.cells import Found, require_few, require_short, require_short_sources
from studio.data.refused import Refused
from studio.data.zipped import IMAGES
from studio.errors import DataError, LimitError, StudioError, of_system
from studio.home import PASSING
from studio.tasks.image_files import is_image

MAX_BYTES = 2 * 1024**3
CONLL = (".conll", ".conll2003", ".conllu", ".bio", ".iob", ".iob2", ".annotated")
TABLES = ("csv", "tsv", "txt", "jsonl", "json", "parquet", "xlsx", "arrow", "feather")
PLAIN = (".csv", ".tsv", ".txt", ".tab", ".data", ".dat", ".psv", ".label", ".text", "")
WORKBOOKS = (".xlsx", ".xlsm", ".xls")
PROSE = (".txt", ".text", "")
LINES = (".jsonl", ".ndjson")
ARROW = (".arrow", ".feather", ".ipc")
PACKED = (*compressed.OPENERS, ".zip", ".tar", *tars.PACKED)
ENDINGS = (*filter(None, PLAIN), *LINES, ".json", ".parquet", ".xlsx", *ARROW, *CONLL, *PACKED)
"""All that can be read, as their names end."""
FILE, MOST_NAMED = "file", 5
"""The column that says of rows from several files where they are from; so many files are named."""

_DIGITS = re.compile(r"\d+")
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


Blocks = Generator[Upload, None, tuple[str, ...]]
"""An upload in blocks of rows; what is returned at the end are the notes of all of it."""


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
    parts: list[Upload] = []
    notes = cells.each(blocks(path, name=name, header=header, encoding=encoding, delimiter=delimiter), parts.append)
    if len(parts) == 1:
        return replace(parts[0], notes=notes)
    table = pd.concat([part.table for part in parts], ignore_index=True).astype(object).fillna("")
    lines = [line for part in parts for line in part.lines]
    refused = [refused for part in parts for refused in part.refused]
    return Upload(parts[0].kind, table, notes, lines if len(lines) == len(table) else (), merged(refused))


def blocks(
    path: Path,
    *,
    name: str = "",
    header: bool | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Blocks:
    """What `read` gives, block by block, so that a large file takes little memory."""
    name = name or path.name
    rows = 0

    def counted(block: Upload) -> Upload:
        nonlocal rows
        rows += len(block.table)
        require_few(rows, len(block.table.columns))
        require_short(block.table.columns)
        return block

    try:
        return (yield from cells.changed(_blocks(path, name, _How(header, encoding, delimiter)), counted))
    except StudioError:
        raise
    except MemoryError as error:
        raise LimitError("The file takes more memory to read than it may.", "Split it.") from error
    except OSError as error:
        system_error = of_system(error)
        raise system_error or _unreadable(name, error) from error
    except RecursionError as error:
        raise DataError("The file is nested too deep to be read.", "Write a plain table.") from error
    except Exception as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> DataError:
    reason = (str(error).strip().splitlines() or [""])[0][:200].rstrip(".")
    suffix = _suffix(name) or "text"
    return DataError(
        f"The file cannot be read as {suffix}: {type(error).__name__}: {reason}.",
        "Save it again, or in another format.",
    )


def limited(upload: Upload) -> Upload:
    require_few(len(upload.table), len(upload.table.columns))
    return upload


def _suffix(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).suffix.lower()


def _blocks(path: Path, name: str, how: _How) -> Blocks:
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
    signatures.require_data(path)
    if suffix in (*PLAIN, *LINES, ".json"):
        suffix = signatures.ending(path) or suffix
    if suffix in WORKBOOKS:
        suffix = signatures.ending(path) or ".csv"  # many programs call a table of text so
    if suffix == ".zip":
        return (yield from _zip(path, how))
    if suffix == ".tar":
        return (yield from _tar(path, how))
    if suffix in tars.PACKED:
        name, suffix = f"{name}.tar{tars.PACKED[suffix]}", tars.PACKED[suffix]
    if suffix in compressed.OPENERS:
        return (yield from _unpacked(path, name, suffix, how))
    return (yield from _table(path, suffix, how))


def _table(path: Path, suffix: str, how: _How) -> Blocks:
    return (yield from _tagged(_as_written(path, suffix, how)))


def _tagged(given: Blocks) -> Blocks:
    """The same, and where entities or choices are told otherwise than by a column of tags or labels, those."""
    first = next(given, None)
    if first is None:
        return ()
    blocks = cells.preceded(first, given)
    if first.kind != "table":
        return (yield from blocks)
    drawn = points.Points(first.table)
    if drawn.found is not None:
        notes = yield from cells.changed(blocks, lambda block: _drawn(drawn, block))
        return (*notes, *drawn.notes)
    require_few(0, len(first.table.columns))  # so many are looked at one by one below
    rows = word_rows.WordRows(first.table)
    if rows.is_one:
        notes = yield from cells.changed(blocks, lambda block: Upload("words", rows.changed(block.table)))
        yield Upload("words", rows.rest())
        return (*notes, *rows.notes)
    steps = [made(first.table) for made in _STEPS]
    answered, pairs = verdicts.Verdicts(first.table), triplets.Triplets(first.table)

    def changed(block: Upload) -> Upload:
        table, lines, refused = answered.changed(block.table, block.lines)
        for step in steps:
            table = step.changed(table)
        table, lines = pairs.changed(table, lines)
        return Upload(block.kind, table, block.notes, lines, (*block.refused, *refused))

    notes = yield from cells.changed(blocks, changed)
    return (*notes, *answered.notes, *(note for step in steps for note in step.notes), *pairs.notes)


_STEPS = (literals.Literals, passages.Flat, numbered_tags.NumberedTags, annotations.Annotations, one_hot.OneHot)
"""What else than a column of labels may tell them; each looks at the first rows of a file."""


def _drawn(drawn: points.Points, block: Upload) -> Upload:
    table, lines, refused = drawn.changed(block.table, block.lines)
    return Upload("images", table, block.notes, lines if block.lines else (), (*block.refused, *refused))


def _as_written(path: Path, suffix: str, how: _How) -> Blocks:
    if suffix == ".parquet" or suffix in ARROW:
        kind = "images" if columnar.holds_images(path, suffix) else "table"
        return (yield from _as(kind, columnar.parquet(path) if suffix == ".parquet" else columnar.arrow(path)))
    if suffix == ".xlsx":
        return (yield from _as("table", _single(excel.read(path, how.header))))
    if suffix not in (*LINES, ".json", *PLAIN, *CONLL):
        known = ", ".join(TABLES)
        raise DataError(f"A {suffix} file cannot be read.", f"Bring one of {known}, or a zip of image folders.")
    found = text_files.blocks(path, how.encoding)
    notes = yield from _text(found, suffix, how)
    return (*notes, *found.notes)


def _text(found: text_files.Blocks, suffix: str, how: _How) -> Blocks:
    if suffix == ".json":
        return (yield from _as("table", _single(json_files.read("".join(found.texts), found.encoding))))
    first = next(found.texts, "")
    if suffix in LINES and not json_files.is_one_a_line(first):
        return (yield from _as("table", _single(json_files.read("".join([first, *found.texts]), found.encoding))))
    if suffix in LINES or (suffix in PLAIN and how.delimiter is None and json_files.looks_like_lines(first)):
        texts = itertools.chain([first], found.texts)
        return (yield from _as("table", json_files.blocks(texts, found.encoding)))
    if suffix in CONLL or (how.delimiter is None and conll.looks_like(first)):
        table = conll.table("".join([first, *found.texts]))
        yield Upload("words", table)
        return (f"Encoding {found.encoding}, {len(table):,} sentences with a tag for each word.",)
    if suffix in PROSE and how.delimiter is None and how.header is None and documents.looks_like(first):
        table, note = documents.table("".join([first, *found.texts]))
        yield Upload("documents", table)
        return (f"Encoding {found.encoding}. {note}",)
    texts = itertools.chain([first], found.texts)
    return (yield from _as("table", delimited.blocks(texts, found.encoding, how.header, how.delimiter)))


def _as(kind: str, found: cells.Blocks) -> Blocks:
    return cells.changed(found, lambda block: Upload(kind, block.table, block.notes, block.lines, block.refused))


def _single(found: Found) -> cells.Blocks:
    yield replace(found, notes=())
    return found.notes


def _unpacked(path: Path, name: str, suffix: str, how: _How) -> Blocks:
    inner = PurePosixPath(name.replace("\\", "/")).name.removesuffix(suffix)
    if _suffix(inner) in (".zip", *compressed.OPENERS):
        raise _nested(name)
    with tempfile.TemporaryDirectory(prefix=PASSING) as place:
        file = Path(place) / "file"
        compressed.unpack(path, suffix, file)
        if _suffix(inner) != ".tar":
            _require_plain(file, name)
        return (yield from _blocks(file, inner, how))


def _zip(path: Path, how: _How) -> Blocks:
    """Images, texts in folders of classes or in a file for each, annotated texts, one table, one for each split, or
    several with the same columns."""
    tables = zipped.tables(path, TABLES)
    if not tables:
        return (yield from _as("images", zipped.images(path)))
    annotated = standoff.pairs(path)
    if annotated:
        return (yield from _tagged(_as("table", standoff.blocks(path, annotated))))
    if zipped.are_texts(tables):
        return (yield from _as("table", zipped.texts(path, tables)))
    if zipped.are_lines(tables):
        return (yield from _as("table", zipped.lines(path, tables)))
    names = [PurePosixPath(member.filename).name for member in tables]
    if len(tables) > 1 and not any(_suffix(name) in PROSE or splits.of(PurePosixPath(name).stem) for name in names):
        return (yield from _parts(path, tables, how))
    if len(tables) > 1:
        require_splits(names)
    all_notes: list[str] = [f"Splits from {', '.join(names)}."] if len(tables) > 1 else []
    with tempfile.TemporaryDirectory(prefix=PASSING) as place:
        file = Path(place) / "file"
        for name, member in zip(names, tables, strict=True):
            zipped.unpack(path, member, file)
            _require_plain(file, name)
            if len(tables) == 1:
                return (yield from _blocks(file, name, how))
            notes = yield from _marked(_blocks(file, name, how), name)
            all_notes += [f"{name}: {note}" for note in notes]
    return tuple(all_notes)


def _parts(path: Path, tables: Sequence[zipfile.ZipInfo], how: _How) -> Blocks:
    """Tables with the same columns, one after the other, and where names are more than numbers, in the column `file`
    which one a row is from: a file for each class, or for each month. Raises `DataError` for other columns."""
    names = [PurePosixPath(member.filename.replace("\\", "/")).name for member in tables]
    stems = [PurePosixPath(name).stem for name in names]
    require_short_sources(names)
    are_numbered = len({_DIGITS.sub("", stem) for stem in stems}) == 1
    columns: list[str] = []
    listed = ", ".join(map(repr, names[:MOST_NAMED])) + (" …" if len(names) > MOST_NAMED else "")
    all_notes = [f"One table from {len(names):,} files: {listed}."]

    def part(block: Upload, stem: str) -> Upload:
        there = list(map(str, block.table.columns))
        if sorted(columns or there) != sorted(there):
            splits.require_known(stems, "A table with other columns than those beside it")
        columns[:] = columns or there
        table = block.table[columns]
        table = table if are_numbered or FILE in there else table.assign(**{FILE: stem})
        return replace(block, table=table, lines=())

    with tempfile.TemporaryDirectory(prefix=PASSING) as place:
        file = Path(place) / "file"
        for name, stem, member in zip(names, stems, tables, strict=True):
            zipped.unpack(path, member, file)
            _require_plain(file, name)
            notes = yield from cells.changed(_blocks(file, name, how), functools.partial(part, stem=stem))
            all_notes += notes
    return tuple(dict.fromkeys(all_notes))


def _tar(path: Path, how: _How) -> Blocks:
    with tempfile.TemporaryDirectory(prefix=PASSING) as place:
        archive = Path(place) / "archive.zip"
        tars.as_zip(path, archive)
        return (yield from _zip(archive, how))


def _require_plain(file: Path, name: str) -> None:
    """Raise `DataError` where what was unpacked is packed again, whatever it is called: it might go on without end."""
    if signatures.ending(file) in (".zip", *compressed.OPENERS):
        raise _nested(name)


def _nested(name: str) -> DataError:
    return DataError(f"{name!r} is an archive within an archive.", "Unpack it, and bring what is in it.")


def _marked(blocks: Blocks, name: str) -> Blocks:
    """The rows of the split that the file's name says."""
    split = splits.of(PurePosixPath(name).stem)
    return cells.changed(blocks, lambda block: replace(block, table=block.table.assign(split=split), lines=()))


def require_splits(names: Sequence[str]) -> None:
    splits.require_known([PurePosixPath(name).stem for name in names], "A file beside those of the splits")


def merged(refused: Iterable[Refused]) -> tuple[Refused, ...]:
    """One for each reason."""
    found: dict[str, Refused] = {}
    for each in refused:
        before = found.get(each.reason)
        found[each.reason] = each if before is None else before.and_also(each)
    return tuple(found.values())


def joined(parts: list[tuple[str, Upload]]) -> Upload:
    """Tables of the splits that their files' names say, as one. Raises `DataError` where a name does not say one."""
    require_splits([name for name, _ in parts])
    tables = [part.table.assign(split=splits.of(PurePosixPath(name).stem)) for name, part in parts]
    table = _stacked(tables)
    notes = [f"Splits from {', '.join(name for name, _ in parts)}."]
    notes += [f"{name}: {note}" for name, part in parts for note in part.notes]
    refused = tuple(refused for _, part in parts for refused in part.refused)
    return limited(Upload(parts[0][1].kind, table, tuple(notes), refused=refused))


def _stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables one below the other; a column that one of them lacks is empty there."""
    names = dict.fromkeys(name for table in tables for name in table.columns)
    whole = [table.assign(**{name: "" for name in names if name not in table})[list(names)] for table in tables]
    return pd.concat(whole, ignore_index=True)
