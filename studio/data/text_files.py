"""The text in a file: its encoding is found out, or given. A large file comes in blocks of whole lines."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from charset_normalizer import from_bytes

from studio.errors import DataError, LimitError

BLOCK_BYTES = 8 * 1024**2
"""A file that is larger than this comes in blocks of about so much."""

LONGEST_LINE = 64 * 1024**2
SNIFF_BYTES = 64 * 1024
LOOKED_AT = 4 * 1024**2
SURE = 20
"""So many whole characters of UTF-8 are no chance: in no other encoding are they as many as the broken ones."""

LEAST_MIXED = 2
"""So many lines in another encoding are told; one may be chance."""

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

_SIGNS = "’‘“”„–—…«»€£°§"
_USUAL = {
    WESTERN: "äöüßéèêëàâçùûîïôœæøåñáíóúãõìòÄÖÜÉÈÀÇØÅÆÑÁÍÓÚ¿¡" + _SIGNS,
    "cp1250": "ąćęłńóśźżčďěňřšťůžáéíýúőűäöüßţşăâîđĄĆĘŁŃÓŚŹŻČĎĚŇŘŠŤŮŽÁÉÍÝÚŐŰÄÖÜ" + _SIGNS,
    "cp1254": "çğıöşüâîÇĞİÖŞÜ" + _SIGNS,
}
_USUAL |= {"mac_roman": _USUAL[WESTERN], "cp850": _USUAL[WESTERN]}
"""The letters beyond ASCII that people write in the languages of an encoding; on a tie the first one is taken."""

_EAST_ASIAN = ("gb18030", "big5hkscs", "cp932", "euc_jp", "cp949")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MARK = re.compile(r"^\ufeff+", re.MULTILINE)
_NO_FILE = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"}
HEBREW, FEWEST_LETTERS = "cp1255", 100
_ALEF, _TAV = 0xE0, 0xFA
_KANA = "\u3041", "\u30fe"
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]+[=_]?")
_HALVES = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
"""Half a character, as programs write it that know letters of 16 bits alone."""

_LETTERS_OF_UTF8 = re.compile(rb"[\xc3-\xcb][\x80-\xbf](?![\x80-\xbf])|[\xe2\xef][\x80-\xbf]{2}(?![\x80-\xbf])")
"""Latin letters and signs in UTF-8, which read as another encoding are two or three that nobody writes together."""

_RARE = {"cp1006", "ptcp154", "kz1048", "hp_roman8", "cp720", "cp864"}
"""Encodings that any bytes can be read in, and next to no file is."""

READ_ON = "Mend it, or read on by naming the encoding: what does not fit becomes \N{REPLACEMENT CHARACTER} then."


@dataclass(frozen=True)
class Text:
    """The text of a file, and what a person should know of how it was read."""

    text: str
    encoding: str
    notes: tuple[str, ...] = ()


@dataclass
class Blocks:
    """The text of a file in blocks, each of whole lines; `notes` are complete when all blocks have come."""

    encoding: str
    texts: Iterator[str]
    notes: list[str] = field(default_factory=list)


def blocks(path: Path, encoding: str | None = None) -> Blocks:
    """What `read` gives, block by block: memory is taken for one block at a time."""
    if path.stat().st_size <= BLOCK_BYTES:
        found = read(path.read_bytes(), encoding)
        return Blocks(found.encoding, iter([_unmarked(found.text)]), list(found.notes))
    if encoding is None:
        name, notes = _encoding_of(path)
        return Blocks(name, _decoded(path, name, "strict", []), notes)
    name = _known(encoding)
    notes = []
    return Blocks(name, _decoded(path, name, "replace", notes), notes)


def _encoding_of(path: Path) -> tuple[str, list[str]]:
    """The encoding of a large file, and what is told of it: by its beginning, and whether all of it can be read so."""
    with path.open("rb") as file:
        head = file.read(LOOKED_AT)
    marked = _marked(head)
    if marked is not None:
        return marked, []
    if _is_all(path, "utf-8"):
        return "utf-8", list(_looks_like_utf7(head))
    whole = head[: head.rfind(b"\n") + 1] or head
    if _mostly_utf8(whole) and not whole.isascii():
        return "utf-8", []  # the line that is not is told when it comes
    name = next((name for name in _candidates(whole) if _is_all(path, name)), "utf-8")
    return name, list(_mixed(head, name))


def _is_all(path: Path, encoding: str) -> bool:
    try:
        for _ in _pieces(path, encoding, "strict"):
            pass
    except UnicodeDecodeError:
        return False
    return True


def _pieces(path: Path, encoding: str, errors: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    with path.open("rb") as file:
        while data := file.read(LOOKED_AT):
            yield decoder.decode(data)
        yield decoder.decode(b"", final=True)


def _decoded(path: Path, encoding: str, errors: str, notes: list[str]) -> Iterator[str]:
    """Blocks of whole lines; what was replaced is counted in `notes`. Raises `DataError` that names a broken line."""
    text, line = "", 1
    replaced: list[int] = []
    pieces = _pieces(path, encoding, errors)
    while True:
        try:
            piece = next(pieces, None)
        except UnicodeDecodeError as error:
            raise _bad_byte(error.object, error, encoding, line + text.count("\n")) from error
        text += piece or ""
        end = len(text) if piece is None else _last_end(text)
        if piece is not None and (end == 0 or len(text) < BLOCK_BYTES):
            if len(text) > LONGEST_LINE:
                raise LimitError(f"Line {line:,} has more than {LONGEST_LINE >> 20} MiB.", "Write a line for each row.")
            continue
        block, text = text[:end], text[end:]
        if errors == "replace":
            lines = enumerate(block.split("\n"), start=line)
            replaced += [number for number, each in lines if "\N{REPLACEMENT CHARACTER}" in each]
        line += block.count("\n")
        if block:
            yield _unmarked(block)
        if piece is None:
            notes += _replaced(replaced, encoding)
            return


def _unmarked(text: str) -> str:
    """The text without marks of its encoding before lines, as files that were put one after the other have them."""
    return _MARK.sub("", text) if "\ufeff" in text else text


def _last_end(text: str) -> int:
    """Where the last whole line ends; 0 where none does."""
    return text.rfind("\n") + 1 or (text.rfind("\r", 0, -1) + 1)


def read(data: bytes, encoding: str | None = None) -> Text:
    """The text in `data`. A given encoding is taken as it is, and what does not fit into it is replaced and counted.

    Raises `DataError` that names the line where there is no encoding in which the whole file can be read.
    """
    if encoding is not None:
        return _in(data, encoding)
    marked = _marked(data)
    if marked is not None:
        return Text(_strict(data, marked), marked)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if _mostly_utf8(data):
            raise _bad_byte(data, error, "UTF-8") from error
        return _sniffed(data)
    return Text(text, "utf-8", _looks_like_utf7(data))


def _marked(data: bytes) -> str | None:
    """The encoding that the first bytes say."""
    return next((name for mark, name in _MARKS if data.startswith(mark)), None) or _wide(data)


def _known(encoding: str) -> str:
    """The name of an encoding of files; raises `DataError` where there is none."""
    try:
        found = codecs.lookup(encoding)
    except (LookupError, ValueError) as error:
        raise DataError(f"There is no encoding {encoding!r}.", "Name one such as utf-8, gb18030 or cp1252.") from error
    if not found._is_text_encoding or found.name.replace("-", "_") in _NO_FILE:
        raise DataError(f"{encoding!r} is no encoding of files.", "Name one such as utf-8, gb18030 or cp1252.")
    return found.name


def _in(data: bytes, encoding: str) -> Text:
    name = _known(encoding)
    try:
        return Text(data.decode(encoding), name)
    except UnicodeError:
        text = data.decode(encoding, "replace")
    lines = [number for number, line in enumerate(text.split("\n"), start=1) if "\N{REPLACEMENT CHARACTER}" in line]
    return Text(text, name, _replaced(lines, name))


def _replaced(lines: list[int], encoding: str) -> tuple[str, ...]:
    """What is told of lines in which something was replaced."""
    if not lines:
        return ()
    numbers = ", ".join(map(str, lines[:10])) + (" …" if len(lines) > 10 else "")
    hold = "line holds" if len(lines) == 1 else "lines hold"
    return (f"{len(lines):,} {hold} bytes that are not {encoding} and were replaced: {numbers}.",)


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
    """Whether characters of several bytes are whole more often than they are broken, far more where there are
    few. Halves of characters are."""
    halves = len(_HALVES.findall(data))
    text = data.decode("utf-8", "replace")
    replaced = text.count("\N{REPLACEMENT CHARACTER}")
    whole = sum(not letter.isascii() for letter in text) - replaced + halves
    return whole >= (replaced - 3 * halves) * (1 if whole >= SURE else 5)


def _bad_byte(data: bytes, error: UnicodeDecodeError, encoding: str, first: int = 1) -> DataError:
    """`first` is the number of the line with which `data` begins."""
    line = data.count(b"\n", 0, error.start) + first
    start = data.rfind(b"\n", 0, error.start) + 1
    near = data[max(start, error.start - 30) : error.start + 10].decode(error.encoding, "replace")
    return DataError(
        f"Line {line:,} holds the byte 0x{data[error.start]:02x}, which is not {encoding}: {near.strip()!r}.", READ_ON
    )


def _sniffed(data: bytes) -> Text:
    """In the encoding that the bytes look like; of those for Latin letters, the one whose usual letters come up."""
    names = _candidates(data)
    for name in names:
        try:
            return Text(data.decode(name), name, _mixed(data, name))
        except UnicodeDecodeError:
            continue
    if set(names) <= set(_EAST_ASIAN):
        raise DataError("The file is not text in any encoding that the studio knows.", "Save it as UTF-8.")
    return Text(_strict(data, names[0]), names[0])


def _candidates(data: bytes) -> list[str]:
    """Encodings that the bytes may be in, the likeliest first."""
    sample = _sample(data)
    found = from_bytes(sample)
    names = [match.encoding for match in found if match.encoding not in _RARE and not match.encoding.startswith("utf")]
    names.sort(key=lambda name: _is_unusual(sample.decode(name, "replace")))
    if _stand_alone(sample):
        names = [*(_latin(sample) or [WESTERN]), *names]
    elif not names or _is_latin(sample.decode(names[0], "replace")):
        names = [*_latin(sample), *names]
    if _is_hebrew(sample) and not _stand_alone(sample):
        names = [HEBREW, *names]
    japanese = [name for name in ("euc_jp", "cp932") if _holds_kana(sample, name)]
    return list(dict.fromkeys(WIDER.get(name, name) for name in [*japanese, *names, *_EAST_ASIAN]))


def _holds_kana(sample: bytes, encoding: str) -> bool:
    """Whether many letters beyond ASCII are Japanese syllables, which other bytes seldom make."""
    try:
        letters = [letter for letter in sample.decode(encoding) if not letter.isascii()]
    except UnicodeDecodeError:
        return False
    return sum(_KANA[0] <= letter <= _KANA[1] for letter in letters) > 0.3 * len(letters)


def _stand_alone(sample: bytes) -> bool:
    """Whether nearly all bytes beyond ASCII have no other one beside them, as letters with signs do in words of Latin
    ones: in most other scripts whole words are of such bytes."""
    runs = [len(run) for run in _BEYOND_ASCII.findall(sample)]
    return runs.count(1) > 0.8 * sum(runs)


def _is_hebrew(sample: bytes) -> bool:
    """Whether nearly all bytes beyond ASCII are those of Hebrew letters, which are lower case ones in Cyrillic, and
    none is one of those behind them, which texts in Cyrillic and Greek have in each line."""
    beyond = b"".join(_BEYOND_ASCII.findall(sample))
    letters = sum(_ALEF <= byte <= _TAV for byte in beyond)
    return len(beyond) > FEWEST_LETTERS and letters > 0.98 * len(beyond) and not any(byte > _TAV for byte in beyond)


def _is_unusual(text: str) -> bool:
    """Whether most letters beyond ASCII are capitals, as KOI8 and Windows make each other's Russian, or the narrow
    Japanese ones that any bytes above 0xa0 are in Shift-JIS."""
    letters = [letter for letter in text[:SNIFF_BYTES] if letter.isalpha() and not letter.isascii()]
    return sum(letter.isupper() or "\uff61" <= letter <= "\uff9f" for letter in letters) * 2 > len(letters)


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


def _mixed(data: bytes, encoding: str) -> tuple[str, ...]:
    """A note where a file in an encoding of Latin letters has lines in UTF-8, as files have that several programs wrote
    to."""
    if encoding not in _USUAL:
        return ()
    lines = [number for number, line in enumerate(data.split(b"\n"), start=1) if _LETTERS_OF_UTF8.search(line)]
    if len(lines) < LEAST_MIXED:
        return ()
    return (f"{len(lines):,} lines look like UTF-8, the first is line {lines[0]:,}; all are read as {encoding}.",)


def _looks_like_utf7(data: bytes) -> tuple[str, ...]:
    if data.isascii() and sum(map(_is_utf7, _BASE64.findall(data[:LOOKED_AT]))) > 2:
        return ("Some words look like UTF-7; if they are, name the encoding utf-7.",)
    return ()


def _is_utf7(word: bytes) -> bool:
    """Whether what stands behind a plus is whole characters beyond ASCII: telephone numbers and sums are none.

    >>> _is_utf7(b"Caf+AOk"), _is_utf7(b"+4930123456"), _is_utf7(b"+12025550123"), _is_utf7(b"a+size")
    (True, False, False, False)
    >>> _is_utf7(b"+AOk="), _is_utf7(b"AOk")
    (False, False)
    """
    letters = word.partition(b"+")[2]
    if len(letters) < 3 or letters.isdigit() or letters.endswith((b"=", b"_")):
        return False
    try:
        text = (b"+" + letters + b"-").decode("utf-7")
    except UnicodeDecodeError:
        return False
    return not any(map(str.isascii, text)) and text.isprintable()
