"""JSON: a list of objects, one object a line, or one object that holds a table."""

import json
import re
from collections.abc import Iterator
from typing import Any

from studio.data import json_tables
from studio.data.cells import Blocks, Found, gathered, of_records
from studio.errors import DataError

SNIFF_LETTERS, SNIFF_LINES = 64 * 1024, 20
_BETWEEN = re.compile(r"[\s,]*")


def read(text: str, encoding: str) -> Found:
    """A whole file; one that holds an object a line, or one after the other however they are set, is read so, too."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if is_one_a_line(text) and "\n" in text.strip():
            return read_lines(text, encoding)
        several = _several(text) if text.lstrip().startswith("{") else []
        if len(several) > 1:
            found = of_records(json_tables.records(several, "The file"))
            return Found(found.table, ("JSON objects, one after the other.",))
        raise DataError(f"The JSON cannot be read: {_place(error)}.", json_tables.CURE) from error
    if isinstance(value, dict):
        return json_tables.found(value)
    if isinstance(value, list):
        return json_tables.of_list(value)
    raise DataError(f"The JSON file holds {type(value).__name__}, not a list of objects.", json_tables.CURE)


def read_lines(text: str, encoding: str) -> Found:
    """An object in every line. A line ends with a line feed: other signs that end lines may stand in a text."""
    return gathered(blocks(iter([text]), encoding))


def blocks(texts: Iterator[str], encoding: str) -> Blocks:
    """The same of a text that comes in blocks of whole lines."""
    line, rows = 0, 0
    names: list[str] | None = None
    for text in texts:
        values, numbers = [], []
        for number, written in enumerate(text.split("\n"), start=line + 1):
            if written.strip():
                values.append(_value_in(written, number))
                numbers.append(number)
        if not rows and (names := json_tables.first_names(values)) is not None:
            values, numbers = values[1:], numbers[1:]
        line, rows = line + text.count("\n"), rows + len(values)
        if values:
            yield of_records([_object(value, names or []) for value in values], numbers)
    if not rows:
        raise DataError("The file holds no rows.", "Choose another one.")
    if names:
        return (f"JSON lines, encoding {encoding}; the first line names the columns.",)
    return (f"JSON lines, encoding {encoding}.",)


def _object(value: dict[str, Any] | list[Any], names: list[str]) -> dict[str, Any]:
    """A row by the names of its columns, or their places where they have none."""
    if isinstance(value, dict):
        return value
    return {names[place] if place < len(names) else str(place): cell for place, cell in enumerate(value)}


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
            raise DataError(f"The JSON cannot be read: {_place(error)}.", json_tables.CURE) from error
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


def _value_in(line: str, number: int) -> dict[str, Any] | list[Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"The JSON in line {number:,} is broken: {_place(error)}: {line.strip()[:60]!r}.",
            "Every line must be one object.",
        ) from error
    if not isinstance(value, dict | list):
        raise DataError(
            f"The JSON in line {number:,} is not an object: {line.strip()[:60]!r}.",
            'Write {"text": …, "label": …} in every line.',
        )
    return value


def _place(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return str(error) if isinstance(error, json.JSONDecodeError) else "a number has too many digits"
