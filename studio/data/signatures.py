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

OTHERS = (
    (b"%PDF-", "a PDF"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
)
CURE = "Save the table in it as CSV, JSON lines, Parquet or Excel."

_PAGE = re.compile(rb"(?i)\s*(<!doctype html|<html)")
_WORKBOOK = b"xl/workbook.xml"


def ending(path: Path) -> str | None:
    """The ending that a file with the name of a text should have; None where it may be one.

    Raises `DataError` for what is no table in any format, such as the web page that stands where a file was sought.
    """
    with path.open("rb") as file:
        head = file.read(256)
    if _PAGE.match(head.removeprefix(b"\xef\xbb\xbf")):
        raise DataError("The file is a web page, not a table.", "Download the file itself; a login may be asked for.")
    other = next((name for sign, name in OTHERS if head.startswith(sign)), None)
    if other is not None:
        raise DataError(f"The file is {other}, whatever its name says.", CURE)
    found = next((suffix for sign, suffix in READ if head.startswith(sign)), None)
    return ".xlsx" if found == ".zip" and _is_workbook(path) else found


def _is_workbook(path: Path) -> bool:
    """Whether the list of names at the end of an archive has that of a workbook."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64 * 1024))
        return _WORKBOOK in file.read()
