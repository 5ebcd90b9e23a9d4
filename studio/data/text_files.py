"""The text in a file: its encoding is found out, or given."""

import codecs
import re
from dataclasses import dataclass

from charset_normalizer import from_bytes

from studio.errors import DataError

SNIFF_BYTES = 64 * 1024
LOOKED_AT = 4 * 1024**2
WESTERN = "cp1252"
"""What most files that are not UTF-8 are written in: taken when nothing else fits better."""

WIDER = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "hz": "gb18030",
    "big5": "big5hkscs",
    "cp950": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "ascii": WESTERN,
    "latin_1": WESTERN,
    "iso8859_1": WESTERN,
    "iso8859_9": "cp1254",
}
"""What holds all characters of an encoding, and more: files that say the one often mean the other."""

_SIGNS = "’‘“”„–—…«»€°§"
_USUAL = {
    WESTERN: "äöüßéèêëàâçùûîïôœæøåñáíóúãõìòÄÖÜÉÈÀÇØÅÆÑÁÍÓÚ¿¡" + _SIGNS,
    "cp1250": "ąćęłńóśźżčďěňřšťůžáéíýúőűäöüßţşăâîđĄĆĘŁŃÓŚŹŻČĎĚŇŘŠŤŮŽÁÉÍÝÚŐŰÄÖÜ" + _SIGNS,
    "cp1254": "çğıöşüâîÇĞİÖŞÜ" + _SIGNS,
}
"""The letters beyond ASCII that people write in the languages of an encoding; on a tie the first one is taken."""

_EAST_ASIAN = ("gb18030", "big5hkscs", "cp932", "euc_jp", "cp949")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_FILE = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"}
_UTF7 = re.compile(rb"\+[A-Za-z0-9/]{3,}-")
READ_ON = "Mend it, or read on by naming the encoding: what does not fit becomes \N{REPLACEMENT CHARACTER} then."


@dataclass(frozen=True)
class Text:
    """The text of a file, and what a person should know of how it was read."""

    text: str
    encoding: str
    notes: tuple[str, ...] = ()


def read(data: bytes, encoding: str | None = None) -> Text:
    """The text in `data`. A given encoding is taken as it is, and what does not fit into it is replaced and counted.

    Raises `DataError` that names the line where there is no encoding in which the whole file can be read.
    """
    if encoding is not None:
        return _in(data, encoding)
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None) or _wide(data)
    if marked is not None:
        return Text(_strict(data, marked), marked)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if _mostly_utf8(data):
            raise _bad_byte(data, error, "UTF-8") from error
        return _sniffed(data)
    return Text(text, "utf-8", _looks_like_utf7(data))


def _in(data: bytes, encoding: str) -> Text:
    try:
        found = codecs.lookup(encoding)
    except (LookupError, ValueError) as error:
        raise DataError(f"There is no encoding {encoding!r}.", "Name one such as utf-8, gb18030 or cp1252.") from error
    if not found._is_text_encoding or found.name.replace("-", "_") in _NO_FILE:
        raise DataError(f"{encoding!r} is no encoding of files.", "Name one such as utf-8, gb18030 or cp1252.")
    try:
        return Text(data.decode(encoding), found.name)
    except UnicodeError:
        text = data.decode(encoding, "replace")
    lines = [number for number, line in enumerate(text.split("\n"), start=1) if "\N{REPLACEMENT CHARACTER}" in line]
    told = ", ".join(map(str, lines[:10])) + (" …" if len(lines) > 10 else "")
    note = f"{len(lines):,} lines hold bytes that are not {found.name} and were replaced: {told}."
    return Text(text, found.name, (note,))


def _wide(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark, by where its zeros are."""
    some = data[:4096]
    if some.count(0) < len(some) / 5:
        return None
    zeros = [some[place::4].count(0) / max(1, len(some[place::4])) for place in range(4)]
    for name, high, low in (("utf-32-le", (1, 2, 3), (0,)), ("utf-32-be", (0, 1, 2), (3,)),
                            ("utf-16-le", (1, 3), (0, 2)), ("utf-16-be", (0, 2), (1, 3))):  # fmt: skip
        if min(zeros[place] for place in high) > 0.4 and max(zeros[place] for place in low) < 0.1:
            return name
    return None


def _strict(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise _bad_byte(data, error, encoding) from error


def _mostly_utf8(data: bytes) -> bool:
    """Whether characters of several bytes are whole far more often than they are broken."""
    text = data.decode("utf-8", "replace")
    broken = text.count("\N{REPLACEMENT CHARACTER}")
    whole = sum(not letter.isascii() for letter in text) - broken
    return whole >= 5 * broken


def _bad_byte(data: bytes, error: UnicodeDecodeError, encoding: str) -> DataError:
    line = data.count(b"\n", 0, error.start) + 1
    start = data.rfind(b"\n", 0, error.start) + 1
    near = data[max(start, error.start - 30) : error.start + 10].decode(error.encoding, "replace")
    return DataError(
        f"Line {line:,} holds the byte 0x{data[error.start]:02x}, which is not {encoding}: {near.strip()!r}.", READ_ON
    )


def _sniffed(data: bytes) -> Text:
    """In the encoding that the bytes look like; of those for Latin letters, the one whose usual letters come up."""
    sample = _sample(data)
    found = from_bytes(sample)
    best = found.best()
    names = [match.encoding for match in found]
    if best is None or _is_latin(str(best)):
        names = [*_latin(sample), *names]
    for name in dict.fromkeys(WIDER.get(name, name) for name in [*names, *_EAST_ASIAN]):
        try:
            return Text(data.decode(name), name)
        except UnicodeDecodeError:
            continue
    if best is None:
        raise DataError("The file is not text in any encoding that the studio knows.", "Save it as UTF-8.")
    return Text(_strict(data, WIDER.get(best.encoding, best.encoding)), best.encoding)


def _is_latin(text: str) -> bool:
    """Whether most letters beyond ASCII are Latin ones with a sign."""
    letters = [letter for letter in text[:SNIFF_BYTES] if letter.isalpha() and not letter.isascii()]
    return sum(letter < "\u0250" for letter in letters) * 2 > len(letters)


def _latin(sample: bytes) -> list[str]:
    """Encodings of Latin letters, the likeliest first; none where none of their usual letters come up."""
    shares = {}
    for name, usual in _USUAL.items():
        special = [letter for letter in sample.decode(name, "replace") if not letter.isascii()]
        shares[name] = sum(letter in usual for letter in special) / max(1, len(special))
    return [name for name in sorted(shares, key=lambda name: -shares[name]) if shares[name] > 0.5]


def _sample(data: bytes) -> bytes:
    """Whole lines that hold more than ASCII: they alone tell encodings apart, and no character is cut."""
    lines, size = [], 0
    for line in data[:LOOKED_AT].split(b"\n")[: -1 if len(data) > LOOKED_AT else None]:
        if not line.isascii():
            lines.append(line)
            size += len(line) + 1
        if size > SNIFF_BYTES:
            break
    return b"\n".join(lines) if lines and len(lines[0]) < LOOKED_AT else data[:SNIFF_BYTES]


def _looks_like_utf7(data: bytes) -> tuple[str, ...]:
    if data.isascii() and len(_UTF7.findall(data[:LOOKED_AT])) > 2:
        return ("Some words look like UTF-7; if they are, name the encoding utf-7.",)
    return ()
