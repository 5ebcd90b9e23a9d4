"""What a file is by its first bytes, whatever its name says."""

import re
from pathlib import Path

from studio.errors import DataError

READ = (
    (b"PK\x03\x04", ".zip"),
    (b"\x1f\x8b", ".gz"),
    (b"BZh", ".bz2"),
    (b"\xfd7zXZ\x00", ".xz"),
    (b"\x28\xb5\x2f\xfd", ".zst"),
    (b"PAR1", ".parquet"),
    (b"ARROW1", ".arrow"),
)
"""Formats that are read, with the ending that they should have."""

CURE = "Save the table in it as CSV, JSON lines, Parquet or Excel."
COPY = "Copy the table out of it into a spreadsheet and save that as CSV or Excel."
SORT = "Sort the images into a folder for each class, and bring the folders as one ZIP."
PACK = "Unpack it, and bring the table itself or a ZIP."
CHOOSE = "There is no table in it: choose another file."

OTHERS = (
    (b"%PDF-", "a PDF", COPY),
    (b"{\\rtf", "a text document (RTF)", COPY),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document", "Open it and save it as .xlsx or CSV."),
    (b"SQLite format 3\x00", "an SQLite database", "Export the table in it as CSV."),
    (b"\x89PNG", "an image", SORT),
    (b"\xff\xd8\xff", "an image", SORT),
    (b"GIF8", "an image", SORT),
    (b"II*\x00", "an image", SORT),
    (b"MM\x00*", "an image", SORT),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", PACK),
    (b"Rar!", "a RAR archive", PACK),
    (b"\x7fELF", "a program", CHOOSE),
    (b"MZ\x90\x00", "a program", CHOOSE),
    (b"\xcf\xfa\xed\xfe", "a program", CHOOSE),
    (b"ID3", "a sound file", CHOOSE),
    (b"OggS", "a sound file", CHOOSE),
    (b"\x89HDF", "an HDF5 file", CURE),
)
DOCUMENTS = (
    (b"word/document.xml", "a Word document"),
    (b"ppt/presentation.xml", "a PowerPoint presentation"),
    (b"opendocument.text", "an OpenDocument text"),
)
"""Archives by a name that is among their members."""

HEAD, TAIL = 4096, 64 * 1024
MOST_CONTROLS = 0.06
"""A text has hardly any control characters but tabs and ends of lines."""
_SPACES = b"\t\n\r\x0b\x0c\x1b"
_CONTROLS = bytes(set(range(32)) - set(_SPACES))

_PAGE = re.compile(rb"(?i)\s*(<!doctype html|<html)")
_WORKBOOK = b"xl/workbook.xml"
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
"""How a text with letters of two or four bytes begins."""


def ending(path: Path) -> str | None:
    """The ending that a file with the name of a text should have; None where it may be one.

    Raises `DataError` for what is no text, such as the web page that stands where a file was sought.
    """
    require_data(path)
    head = _head(path)
    found = next((suffix for sign, suffix in READ if head.startswith(sign)), None)
    if found is None and _is_binary(head):
        raise DataError("The file holds no text: too many of its bytes are no letters.", CURE)
    return ".xlsx" if found == ".zip" and _WORKBOOK in _tail(path) else found


def require_data(path: Path) -> None:
    """Raise `DataError` where a file is of a known kind that holds no table, whatever its name says."""
    head = _head(path)
    if _PAGE.match(head.removeprefix(b"\xef\xbb\xbf")):
        raise DataError("The file is a web page, not a table.", "Download the file itself; a login may be asked for.")
    for sign, name, cure in OTHERS:
        if head.startswith(sign):
            raise DataError(f"The file is {name}, whatever its name says.", cure)
    if head.startswith(b"PK\x03\x04"):
        ends = head + _tail(path)
        for sign, name in DOCUMENTS:
            if sign in ends:
                raise DataError(f"The file is {name}, whatever its name says.", COPY)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


def _tail(path: Path) -> bytes:
    """The end of an archive, where the names of its members are."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        return file.read()


def _is_binary(head: bytes) -> bool:
    """Whether these bytes are no text in any encoding: control characters wherever a letter of one, two or four bytes
    would have its own byte.

    >>> _is_binary("où, là".encode("utf-16-le")), _is_binary(bytes(range(256)))
    (False, True)
    """
    if head.startswith(_WIDE):
        return False
    places = [head[start::4] for start in range(4)]
    controls = [len(place) - len(place.translate(None, _CONTROLS)) for place in places]
    return all(number > MOST_CONTROLS * len(place) for number, place in zip(controls, places, strict=True))
