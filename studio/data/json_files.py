"""JSON: a list of objects, one object a line, columns, or a dictionary of splits."""

import json
import re
from collections.abc import Iterator
from typing import Any

from studio.data import splits
from studio.data.cells import Blocks, Found, gathered, of_records
from studio.errors import DataError

SNIFF_LETTERS, SNIFF_LINES = 64 * 1024, 20
_BETWEEN = re.compile(r"[\s,]*")
CURE = 'Write [{"text": …, "label": …}, …], or one such object in every line.'


def read(text: str, encoding: str) -> Found:
    """A whole file; one that holds an object a line, or one after the other however they are set, is read so, too."""
    text = text.removeprefix("\ufeff")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if is_one_a_line(text) and "\n" in text.strip():
            return read_lines(text, encoding)
        several = _several(text) if text.lstrip().startswith("{") else []
        if len(several) > 1:
            return _noted(of_records(_records(several, "The file")), "JSON objects, one after the other.")
        raise DataError(f"The JSON cannot be read: {_place(error)}.", CURE) from error
    if isinstance(value, dict):
        return _object_of(value)
    if isinstance(value, list):
        return _noted(of_records(_records(value, "The list")), "A JSON list.")
    raise DataError(f"The JSON file holds {type(value).__name__}, not a list of objects.", CURE)


def read_lines(text: str, encoding: str) -> Found:
    """An object in every line. A line ends with a line feed: other signs that end lines may stand in a text."""
    return gathered(blocks(iter([text]), encoding))


def blocks(texts: Iterator[str], encoding: str) -> Blocks:
    """The same of a text that comes in blocks of whole lines."""
    line, rows = 0, 0
    for text in texts:
        records, numbers = [], []
        for number, written in enumerate(text.split("\n"), start=line + 1):
            if written.strip():
                records.append(_object_in(written, number))
                numbers.append(number)
        line, rows = line + text.count("\n"), rows + len(records)
        if records:
            yield of_records(records, numbers)
    if not rows:
        raise DataError("The file holds no rows.", "Choose another one.")
    return (f"JSON lines, encoding {encoding}.",)


def is_one_a_line(text: str) -> bool:
    """Whether the first line that holds something is an object or a row by itself: in a file of one value, set over
    many lines, it is not.

    >>> is_one_a_line('{"text": "a"}\\n{'), is_one_a_line('["a", "b"]\\n["c", "d"]')
    (True, True)
    >>> is_one_a_line('{\\n"text": "a"\\n}'), is_one_a_line('[{"text": "a"}]')
    (False, False)
    """
    first = next((line for line in text.split("\n") if line.strip()), "")
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return first.lstrip().startswith('{"') and first.rstrip().endswith("}")  # a broken line is told by its number
    return not isinstance(value, list) or not value or not isinstance(value[0], dict)


def _several(text: str) -> list[Any]:
    """The values that stand one after the other, with white space or commas between them. Raises `DataError` that
    names the line of the first one that is broken."""
    decoder, place = json.JSONDecoder(), 0
    found: list[Any] = []
    while True:
        place = _BETWEEN.match(text, place).end()  # type: ignore[union-attr]  # it matches nothing, too
        if place == len(text):
            return found
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            raise DataError(f"The JSON cannot be read: {_place(error)}.", CURE) from error
        found.append(value)


def looks_like_lines(text: str) -> bool:
    """Whether the first lines are objects, whatever the file is called.

    >>> looks_like_lines('{"text": "a"}\\n{"text": "b"}'), looks_like_lines('{"text": 1}, b\\n')
    (True, False)
    """
    some = [line for line in text[:SNIFF_LETTERS].split("\n")[:SNIFF_LINES] if line.strip()]
    return len(some) > 1 and all(_is_object(line) for line in some[:-1])


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _object_of(value: dict[str, Any]) -> Found:
    """An object: rows under a name such as data, a list for each split, or a list for each column."""
    names = value.get("columns")
    if isinstance(names, list) and isinstance(value.get("data"), list):
        rows = [dict(zip(map(str, names), row, strict=False)) for row in value["data"] if isinstance(row, list)]
        if len(rows) == len(value["data"]):
            return _noted(of_records(rows), "JSON, columns and then rows.")
    inner = next((value[name] for name in ("data", "rows", "examples") if isinstance(value.get(name), list)), None)
    if inner is not None:
        return _noted(of_records(_records(inner, "The list")), "A JSON list.")
    if value and all(isinstance(rows, list) for rows in value.values()):
        if any(splits.of(name) for name in value):
            splits.require_known(value, "A part of the file")
            rows = [
                row | {"split": splits.of(name)}
                for name, part in value.items()
                for row in _records(part, f"The list {name!r}")
            ]
            return _noted(of_records(rows), f"JSON with the splits {', '.join(map(repr, value))}.")
        return _noted(of_records(_turned(value)), "JSON, a list for each column.")
    if value and all(isinstance(cells, dict) for cells in value.values()):
        columns = {name: list(cells.values()) for name, cells in value.items()}
        return _noted(of_records(_turned(columns)), "JSON, an object for each column.")
    return _noted(of_records([value]), "One JSON object.")


def _turned(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) > 1:
        raise DataError(f"The lists of the JSON file have {min(lengths)} to {max(lengths)} entries.", CURE)
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _records(rows: list[Any], where: str) -> list[dict[str, Any]]:
    """Objects as they are; lists by the place of their values."""
    found = []
    for number, row in enumerate(rows, start=1):
        if isinstance(row, list):
            row = {str(place): value for place, value in enumerate(row)}
        if not isinstance(row, dict):
            raise DataError(f"{where} holds no object as entry {number:,}: {row!r:.60}.", CURE)
        found.append(row)
    return found


def _object_in(line: str, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"The JSON in line {number:,} is broken: {_place(error)}: {line.strip()[:60]!r}.",
            "Every line must be one object.",
        ) from error
    if isinstance(value, list):
        value = {str(place): each for place, each in enumerate(value)}
    if not isinstance(value, dict):
        raise DataError(
            f"The JSON in line {number:,} is not an object: {line.strip()[:60]!r}.",
            'Write {"text": …, "label": …} in every line.',
        )
    return value


def _place(error: Exception) -> str:
    return "it is nested too deep" if isinstance(error, RecursionError) else str(error)


def _noted(found: Found, note: str) -> Found:
    return Found(found.table, (note,), found.lines)
