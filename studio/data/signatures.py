"""What a file is by its first bytes, whatever its name says."""

import re
from pathlib import Path

from studio.errors import DataError

READ = (
    (rb"PK\x03\x04", ".zip"),
    (rb"\x1f\x8b", ".gz"),
    (rb"BZh[1-9](1AY&SY|\x17rE8P)", ".bz2"),
    (rb"\xfd7zXZ\x00", ".xz"),
    (rb"\x28\xb5\x2f\xfd", ".zst"),
    (rb"PAR1\x15", ".parquet"),
    (rb"ARROW1\x00\x00", ".arrow"),
)
"""Formats that are read, by patterns of their first bytes, with the ending that they should have. No pattern is a word
alone: a header could begin with it."""

CURE = "Save the table in it as CSV, JSON lines, Parquet or Excel."
COPY = "Copy the table out of it into a spreadsheet and save that as CSV or Excel."
SORT = "Sort the images into a folder for each class, and bring the folders as one ZIP."
PACK = "Unpack it, and bring the table itself or a ZIP."
CHOOSE = "There is no table in it: choose another file."

OTHERS = (
    (rb"%PDF-", "a PDF", COPY),
    (rb"\{\\rtf", "a text document (RTF)", COPY),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document", "Open it and save it as .xlsx or CSV."),
    (rb"SQLite format 3\x00", "an SQLite database", "Export the table in it as CSV."),
    (rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|II\*\x00|MM\x00\*", "an image", SORT),
    (rb"RIFF.{4}WEBP|BM.{4}\x00{4}|\x00\x00.{2}ftyp(hei|avi|mif1)", "an image", SORT),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive", PACK),
    (rb"Rar!\x1a\x07", "a RAR archive", PACK),
    (rb"\x7fELF|MZ\x90\x00|\xcf\xfa\xed\xfe", "a program", CHOOSE),
    (rb"ID3[\x02-\x04]|OggS\x00|RIFF.{4}WAVE", "a sound file", CHOOSE),
    (rb"\x00\x00.{2}ftyp|RIFF.{4}AVI ", "a video", CHOOSE),
    (rb"\x89HDF", "an HDF5 file", CURE),
)
"""Kinds of files that hold no table, each by a pattern of their first bytes, with what to do."""

DOCUMENTS = (
    (b"word/document.xml", "a Word document"),
    (b"ppt/presentation.xml", "a PowerPoint presentation"),
    (b"application/vnd.oasis.opendocument.text", "an OpenDocument text"),
)
"""Archives by a name that is among their members."""

HEAD, TAIL = 4096, 64 * 1024
MOST_CONTROLS = 0.06
"""A text has hardly any control characters but tabs and ends of lines."""
_SPACES = b"\t\n\r\x0b\x0c\x1b"
_CONTROLS = bytes(set(range(32)) - set(_SPACES))

_PAGE = re.compile(rb"(?i)\s*(<!--(?:(?!-->).)*-->\s*)*(<!doctype html|<html|<head|<body|<table)", re.DOTALL)
_MARKUP = re.compile(rb"\s*(<\?xml|<svg[\s>]|<!doctype)", re.IGNORECASE)
_ROOT = re.compile(rb"\s*<([A-Za-z][\w.:-]*)[^<>]*>\s*<")
_WORKBOOK = b"xl/workbook.xml"
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
"""How a text with letters of two or four bytes begins."""


def ending(path: Path) -> str | None:
    """The ending that a file with the name of a text should have; None where it may be one.

    Raises `DataError` for what is no text, such as the web page that stands where a file was sought.
    """
    require_data(path)
    head = _head(path)
    found = next((suffix for sign, suffix in READ if _begins(head, sign)), None)
    if found is None and _is_binary(head):
        raise DataError("The file holds no text: too many of its bytes are no letters.", CURE)
    return ".xlsx" if found == ".zip" and _WORKBOOK in _tail(path) else found


def require_data(path: Path) -> None:
    """Raise `DataError` where a file is of a known kind that holds no table, whatever its name says."""
    head = _head(path)
    text = head.removeprefix(b"\xef\xbb\xbf")
    if _PAGE.match(text):
        raise DataError(
            "The file is a web page, not a table.",
            "Download the file itself; a login may be asked for. A table in it can be copied into a spreadsheet.",
        )
    if _MARKUP.match(text) or _is_one_element(text, path):
        raise DataError("The file is XML, not a table.", CURE)
    for sign, name, cure in OTHERS:
        if _begins(head, sign):
            raise DataError(f"The file is {name}, whatever its name says.", cure)
    if head.startswith(b"PK\x03\x04"):
        ends = head + _tail(path)
        for sign, name in DOCUMENTS:
            if sign in ends:
                raise DataError(f"The file is {name}, whatever its name says.", COPY)


def _is_one_element(head: bytes, path: Path) -> bool:
    """Whether all of the file stands within one element, which comes once: a text with tags in its lines is none."""
    root = _ROOT.match(head)
    if root is None or len(re.findall(rb"<%s[\s>]" % re.escape(root[1]), head)) > 1:
        return False
    return _tail(path).rstrip().endswith(b"</%s>" % root[1])


def _begins(head: bytes, sign: bytes) -> bool:
    return re.match(sign, head, re.DOTALL) is not None


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
