"""Read what a user brings into a table: text files of any encoding and delimiter, Parquet, Excel, ZIPs of images."""

import csv
import io
import json
import struct
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd
from charset_normalizer import from_bytes
from PIL import Image

from studio.data import archives, conll
from studio.errors import DataError, LimitError

MAX_BYTES = 2 * 1024**3
MAX_ROWS = 2_000_000
MAX_COLUMNS = 500
MAX_PIXELS = 50_000_000
MAX_CELL = 10 * 1024**2
SNIFF_BYTES = 64 * 1024
SNIFF_ROWS = 50

CONLL = (".conll", ".conll2003", ".conllu", ".bio", ".iob", ".iob2", ".annotated")
TABLES = ("csv", "tsv", "txt", "jsonl", "json", "parquet", "xlsx")
IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")
WESTERN = "cp1252"
"""What most files that are not UTF-8 are written in: taken when nothing else fits better."""

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".npy", ".npz", ".joblib", ".ckpt")
SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""What people call the parts of a data set, and what they are."""

_DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "vertical bar"}
Image.MAX_IMAGE_PIXELS = MAX_PIXELS


@dataclass(frozen=True)
class Upload:
    """A file as a table. In a table of images the columns are image (bytes), label, split and file; in one of words,
    words and tags.

    All cells of a text file are texts, as they stand in the file. `notes` tell what was found out on the way.
    """

    kind: str
    table: pd.DataFrame
    notes: tuple[str, ...] = ()


def read(path: Path, *, name: str = "", header: bool | None = None) -> Upload:
    """Read a file by its name's ending; `header` None means: find out.

    Raises `DataError` that says what is wrong with it, `LimitError` where it is too large.
    """
    name = name or path.name
    suffix = PurePosixPath(name.replace("\\", "/")).suffix.lower()
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
    readers = {".parquet": _parquet, ".xlsx": _excel, ".jsonl": _json_lines, ".ndjson": _json_lines, ".json": _json}
    if suffix == ".zip":
        return _images(path)
    if suffix in readers:
        return _limited(readers[suffix](path))
    if suffix in (".csv", ".tsv", ".txt", ".tab", "", *CONLL):
        return _limited(_text(path, header, suffix in CONLL))
    raise DataError(f"A {suffix} file cannot be read.", f"Bring one of {', '.join(TABLES)}, or a zip of image folders.")


def text_of(data: bytes) -> tuple[str, str]:
    """(text, encoding). UTF-8 and byte order marks first, then what the bytes look like."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding, errors="replace"), encoding
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        best = from_bytes(data[:SNIFF_BYTES]).best()
    if best is None:
        raise DataError("The file is not text in any encoding that the studio knows.", "Save it as UTF-8.")
    western = from_bytes(data[:SNIFF_BYTES], cp_isolation=[WESTERN]).best()
    if western is not None and western.chaos <= best.chaos:
        best = western
    return data.decode(best.encoding, errors="replace"), best.encoding


def _text(path: Path, header: bool | None, is_conll: bool) -> Upload:
    text, encoding = text_of(path.read_bytes())
    if is_conll or conll.looks_like(text):
        table = conll.table(text)
        return Upload("words", table, (f"Encoding {encoding}, {len(table):,} sentences with a tag for each word.",))
    return _delimited(text, encoding, header)


def _delimited(text: str, encoding: str, header: bool | None) -> Upload:
    if "\x00" in text[:SNIFF_BYTES]:
        raise DataError("The file holds binary data, not a table.", "Bring CSV, TSV, JSON lines, Parquet or Excel.")
    delimiter = _delimiter(text)
    csv.field_size_limit(MAX_CELL)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True) if any(row)]
    except csv.Error as error:
        rows = _without_quotes(text, delimiter, error)
    if not rows:
        raise DataError("The file holds no rows.", "Choose another one.")
    width = max(map(len, rows))
    uneven = sum(len(row) != width for row in rows)
    has_header = _looks_like_header(rows) if header is None else header
    names = _names(rows[0], width) if has_header else [str(index) for index in range(width)]
    body = rows[1:] if has_header else rows
    if not body:
        raise DataError("The file holds a header and no rows.", "Add rows, or say that it has no header.")
    table = pd.DataFrame([row + [""] * (width - len(row)) for row in body], columns=names, dtype=object)
    between = _DELIMITERS[delimiter] if width > 1 else "nothing"
    notes = [f"Encoding {encoding}, {between} between columns, {'with' if has_header else 'without'} a header."]
    if uneven:
        notes.append(
            f"{uneven:,} of {len(rows):,} lines have fewer columns than the others; the missing cells are empty."
        )
    return Upload("table", table, tuple(notes))


def _without_quotes(text: str, delimiter: str, error: csv.Error) -> list[list[str]]:
    """A file whose quotes do not match, read with quotes as plain characters when that gives even lines."""
    plain = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=csv.QUOTE_NONE)
    rows = [row for row in plain if any(row)]
    if len({len(row) for row in rows}) == 1:
        return rows
    raise DataError(
        f"The table cannot be read: {error}.", "Check the quotation marks, or save it again as CSV."
    ) from error


def _delimiter(text: str) -> str:
    """The one that cuts the first lines into the same number of columns, more columns first."""

    def score(delimiter: str) -> tuple[float, int]:
        reader = csv.reader(io.StringIO(text[:SNIFF_BYTES], newline=""), delimiter=delimiter)
        widths = [len(row) for row, _ in zip(_until_error(reader), range(SNIFF_ROWS), strict=False) if row]
        if not widths or max(widths) == 1:
            return 0.0, 0
        common = max(set(widths), key=widths.count)
        return (widths.count(common) / len(widths), common) if common > 1 else (0.0, 0)

    best = max(_DELIMITERS, key=score)
    return best if score(best)[1] > 1 else ","


def _until_error(reader):  # type: ignore[no-untyped-def]
    try:
        yield from reader
    except csv.Error:
        return


def _looks_like_header(rows: list[list[str]]) -> bool:
    """A first line of short, different names whose words do not come up again in the same columns below."""
    first, below = rows[0], rows[1:201]
    names = [cell.strip() for cell in first]
    if not below or any(not name or len(name) > 40 for name in names) or len(set(names)) < len(names):
        return False
    if any(name.replace(".", "", 1).lstrip("-").isdigit() for name in names):
        return False
    for column, name in enumerate(names):
        cells = [row[column].strip() for row in below if column < len(row)]
        if name in cells:
            return False
        if cells and all(cell.isdigit() for cell in cells):
            return True
    return all(" " not in name or len(name) < 20 for name in names)


def _names(first: list[str], width: int) -> list[str]:
    """Column names, each one once; unnamed columns get their number."""
    names: list[str] = []
    for index in range(width):
        name = (first[index].strip() if index < len(first) else "") or str(index)
        while name in names:
            name += "_2"
        names.append(name)
    return names


def _json_lines(path: Path) -> Upload:
    text, encoding = text_of(path.read_bytes())
    records = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            records.append(_object(line, f"line {number}"))
    return _records(records, f"JSON lines, encoding {encoding}.")


def _json(path: Path) -> Upload:
    text, _ = text_of(path.read_bytes())
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return _json_lines(path)
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        value = value["data"]
    if not isinstance(value, list) or not all(isinstance(record, dict) for record in value):
        raise DataError("The JSON file is not a list of objects.", 'Write [{"text": …, "label": …}, …] or JSON lines.')
    return _records(value, "A JSON list.")


def _object(line: str, where: str) -> dict[str, object]:
    try:
        value = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"The JSON in {where} is broken: {error}.", "Every line must be one object.") from error
    if not isinstance(value, dict):
        raise DataError(f"The JSON in {where} is not an object.", 'Write {"text": …, "label": …} in every line.')
    return value


def _records(records: list[dict[str, object]], note: str) -> Upload:
    if not records:
        raise DataError("The file holds no rows.", "Choose another one.")
    table = pd.DataFrame.from_records(records)
    return Upload("table", _as_text(table), (note,))


def _parquet(path: Path) -> Upload:
    try:
        return Upload("table", _as_text(pd.read_parquet(path)), ("Parquet.",))
    except (OSError, ValueError) as error:
        raise DataError(f"The Parquet file cannot be read: {error}.", "Write it again.") from error


def _excel(path: Path) -> Upload:
    try:
        table = pd.read_excel(path, dtype=object)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"The Excel file cannot be read: {error}.", "Save it again as .xlsx or CSV.") from error
    return Upload("table", _as_text(table), ("The first sheet of an Excel file.",))


def _as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Every cell as a person would write it; a missing one is empty, a whole number has no point."""
    table = table.rename(columns=str)
    return pd.DataFrame({name: [_cell(value) for value in table[name]] for name in table.columns}, dtype=object)


def _cell(value: object) -> str:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _limited(upload: Upload) -> Upload:
    rows, columns = upload.table.shape
    if rows > MAX_ROWS:
        raise LimitError(f"The table has {rows:,} rows; at most {MAX_ROWS:,} are read.", "Split it.")
    if columns > MAX_COLUMNS:
        raise LimitError(
            f"The table has {columns:,} columns; at most {MAX_COLUMNS:,} are read.", "Keep the ones you need."
        )
    return upload


def _images(path: Path) -> Upload:
    """Class folders, with or without folders for the splits, or images with a table of file and label."""
    with archives.open_zip(path) as archive:
        files = archives.members(archive)
        pictures = [member for member in files if PurePosixPath(member.filename).suffix.lower() in IMAGES]
        if not pictures:
            raise DataError("The archive holds no images.", f"Put files ending in {', '.join(IMAGES)} into it.")
        tables = [member for member in files if PurePosixPath(member.filename).suffix.lower() in (".csv", ".tsv")]
        labels = _label_table(archive, tables[0]) if len(tables) == 1 else {}
        rows, broken = [], 0
        for member in pictures:
            data = archive.read(member)
            if not is_image(data):
                broken += 1
                continue
            split, label = _place(member.filename, labels)
            rows.append((data, label, split, member.filename))
    if not rows:
        raise DataError(
            f"None of the {len(pictures):,} images in the archive can be read.", "Save them as PNG or JPEG."
        )
    table = pd.DataFrame(rows, columns=["image", "label", "split", "file"], dtype=object)
    notes = [f"{len(rows):,} images in {table['label'].nunique():,} classes."]
    if broken:
        notes.append(f"{broken:,} files could not be read as images and were left out.")
    return Upload("images", table, tuple(notes))


def is_image(data: bytes) -> bool:
    """Whether the bytes are an image that can be decoded, of a size that is read; the size is checked first."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as image:
            if not 0 < image.width * image.height <= MAX_PIXELS:
                return False
            image.draft("RGB", (64, 64))  # a JPEG is decoded small: enough to know that it can be
            image.load()
            return True
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
        EOFError,
        OverflowError,
        MemoryError,
        struct.error,
        IndexError,
    ):
        return False


def _place(name: str, labels: dict[str, tuple[str, str]]) -> tuple[str, str]:
    """(split, label) of an image from the folders it lies in, or from the table."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    for key in (name, parts[-1]):
        if key in labels:
            return labels[key]
    folders = list(parts[:-1])
    split = next((SPLITS[part.lower()] for part in folders if part.lower() in SPLITS), "")
    named = [part for part in folders if part.lower() not in SPLITS]
    return split, named[-1] if named else ""


def _label_table(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> dict[str, tuple[str, str]]:
    """{file: (split, label)} from the one table in the archive."""
    text, _ = text_of(archive.read(member))
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text)) if any(row)]
    head = [cell.strip().lower() for cell in rows[0]]
    column = {name: head.index(name) for name in ("file", "label", "split") if name in head}
    file = next((head.index(name) for name in ("file", "filename", "file_name", "image", "path") if name in head), 0)
    label = next((head.index(name) for name in ("label", "class", "category", "target") if name in head), 1)
    split = column.get("split")
    return {
        row[file].strip(): (SPLITS.get(row[split].strip().lower(), "") if split is not None else "", row[label].strip())
        for row in rows[1:]
        if len(row) > max(file, label, split or 0)
    }
