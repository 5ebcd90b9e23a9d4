"""How one JSON object may hold a table: rows, columns, records by their names, or a table for each split."""

import re
from typing import Any, NamedTuple

from studio.data import grouped, heads, passages, splits
from studio.data.cells import Found, names_of, of_records
from studio.errors import DataError

CURE = 'Write [{"text": …, "label": …}, …], or one such object in every line.'
ROWS = ("data", "rows", "examples")
"""What the list of rows is called where an object holds other things, too."""

FEWEST_PAIRS = 10
"""So many names with a value each are rather rows than the columns of one."""

FAR_LONGER = 10
"""A list so many times as long as any other holds the rows, and the others say something about them."""

_NUMBER = re.compile(r"-?\d+(\.\d+)?")


class Shape(NamedTuple):
    records: list[dict[str, Any]]
    notes: tuple[str, ...]


def found(value: dict[str, Any]) -> Found:
    """The table in an object. Raises `DataError` where it cannot be told what are rows and what are columns, or where
    it lists images that lie elsewhere."""
    if lists_images(value):
        raise DataError(
            f"The file says what is in {len(value['images']):,} images, and holds none of them.",
            "Bring a ZIP of the images with this file beside them.",
        )
    records, notes = _splits(value) if _has_splits(value) else _of(value)
    return Found(of_records(records).table, notes)


def lists_images(value: Any) -> bool:
    """Whether an object lists images and what is marked in them, as COCO has it, each by its number."""
    if not isinstance(value, dict) or not objects(value, "images") or "annotations" not in value:
        return False
    return all(isinstance(image.get("file_name"), str) for image in objects(value, "images"))


def objects(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects in the list of that name; none where there is no such list."""
    found = value.get(name)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def of_list(rows: list[Any]) -> Found:
    """The table in a list of objects, or of lists, whose first one may name the columns."""
    names = first_names(rows)
    if names is None:
        objects = records(rows, "The list")
        groups = grouped.rows(objects) or (objects, "A JSON list.")
        return Found(of_records(groups[0]).table, (groups[1],))
    shape = _below_names(names, rows[1:])
    note = "A JSON list of lists; the first one names the columns."
    return Found(of_records(shape.records).table, (note, *shape.notes[1:]))


def first_names(rows: list[Any]) -> list[str] | None:
    """The names of columns that the first of several lists holds; None where it is a row like the others."""
    if not rows or not all(isinstance(row, list) for row in rows) or not all(isinstance(name, str) for name in rows[0]):
        return None
    table = [[str(cell) for cell in row] for row in rows[:201]]
    return rows[0] if heads.has_usual_name(rows[0]) and heads.looks_like_header(table) else None


def records(rows: list[Any], where: str) -> list[dict[str, Any]]:
    """Objects as they are; lists by the place of their values."""
    found = []
    for number, row in enumerate(rows, start=1):
        if isinstance(row, list):
            row = {str(place): value for place, value in enumerate(row)}
        if not isinstance(row, dict):
            raise DataError(f"{where} holds no object as entry {number:,}: {row!r:.60}.", CURE)
        found.append(row)
    return found


def _has_splits(value: dict[str, Any]) -> bool:
    """Whether its parts are called as splits are: lists, or tables in one of the other shapes."""
    lists = all(isinstance(part, list) for part in value.values()) and any(map(splits.of, value))
    return lists or any(_is_table(part) and splits.exactly(name) for name, part in value.items())


def _is_table(part: Any) -> bool:
    if isinstance(part, list):
        return bool(part) and all(isinstance(row, list | dict) for row in part)
    return isinstance(part, dict) and bool(part) and len({type(cells) for cells in part.values()} - {list, dict}) == 0


def _splits(value: dict[str, Any]) -> Shape:
    parts = {name: part for name, part in value.items() if isinstance(part, list | dict)}
    splits.require_known(parts, "A part of the file")
    found, notes = [], [f"JSON with the splits {', '.join(map(repr, parts))}."]
    for name, part in parts.items():
        shape = Shape(records(part, f"The list {name!r}"), ()) if isinstance(part, list) else _of(part)
        found += [row | {"split": splits.of(name)} for row in shape.records]
        notes += shape.notes
    return Shape(found, (*dict.fromkeys(notes), *_beside(value, parts)))


def _of(value: dict[str, Any]) -> Shape:
    served = _served(value)
    if served is not None:
        return served
    if _are_pairs(value):
        rows = [{"key": key, "value": cell} for key, cell in value.items()]
        return Shape(rows, ("A JSON object of texts by their names; they are the columns 'key' and 'value'.",))
    names, inner = value.get("columns"), value.get("data")
    if isinstance(names, list) and isinstance(inner, list) and all(isinstance(row, list) for row in inner):
        return _below_names(names, inner)
    named = next((name for name in ROWS if isinstance(value.get(name), list) and _is_table(value[name])), None)
    if named is None and value and all(isinstance(cells, list) for cells in value.values()) and not _one_list(value):
        return _columns(value)
    within = next((value[name] for name in ROWS if isinstance(value.get(name), dict)), None)
    inner = next(iter(value.values()), None)
    if within is None and len(value) == 1 and isinstance(inner, dict) and _one_list(inner):
        return _of(inner)
    if within is not None and _is_table(within):
        shape = _of(within)
        return Shape(shape.records, (*shape.notes, *_beside(value, ROWS)))
    if value and all(isinstance(cells, dict) and cells for cells in value.values()):
        return _objects(value)
    named = named or _one_list(value)
    if named is not None:
        if passages.are_articles(value[named]):
            return Shape(list(passages.rows(value[named])), (passages.NOTE,))
        rows = records(value[named], f"The list {named!r}")
        groups = grouped.rows(rows)
        if groups is not None:
            return Shape(groups[0], (groups[1],))
        return Shape(rows, (f"A JSON list, {named!r}.", *_beside(value, (named, "schema"))))
    return Shape([value], ("One JSON object.",))


def _served(value: dict[str, Any]) -> Shape | None:
    """What the server of the Hugging Face Hub answers: rows with a number each, and what is in their columns."""
    about, rows = objects(value, "features"), objects(value, "rows")
    if not about or not rows or not all(isinstance(row.get("row"), dict) for row in rows):
        return None
    kinds = {str(column.get("name")): column["type"] for column in about if isinstance(column.get("type"), dict)}
    names = {name: kind["names"] for name, kind in kinds.items() if isinstance(kind.get("names"), list)}
    found = [{name: _class(cell, names.get(name, [])) for name, cell in row["row"].items()} for row in rows]
    total = value.get("num_rows_total")
    left = total - len(rows) if type(total) is int else 0
    more = (f"{left:,} more rows of the data set are not in the file.",) if left > 0 else ()
    return Shape(found, ("JSON, rows that the Hugging Face Hub serves.", *more))


def _class(cell: Any, names: list[Any]) -> Any:
    """The name of the class of that number, where it is one."""
    return names[cell] if type(cell) is int and 0 <= cell < len(names) else cell


def _are_pairs(value: dict[str, Any]) -> bool:
    """Whether an object holds a text or a number by each of many names, rather than the cells of one row."""
    cells = list(value.values())
    return (
        len(cells) >= FEWEST_PAIRS
        and all(isinstance(cell, str | int | float) for cell in cells)
        and not (heads.has_usual_name(value))
    )


def _one_list(value: dict[str, Any]) -> str | None:
    """The list of objects in it, whatever it is called; of several one that is far longer than each other."""
    lists = sorted((name for name, part in value.items() if isinstance(part, list) and part),
                   key=lambda name: -len(value[name]))  # fmt: skip
    if not lists or not all(isinstance(row, dict) for row in value[lists[0]]):
        return None
    is_alone = len(lists) == 1 or len(value[lists[0]]) >= FAR_LONGER * len(value[lists[1]])
    return lists[0] if is_alone else None


def _beside(value: dict[str, Any], taken: Any) -> tuple[str, ...]:
    others = [name for name, part in value.items() if name not in taken and isinstance(part, list | dict) and part]
    return (f"Parts of the file that were not read: {', '.join(map(repr, others))}.",) if others else ()


def _below_names(names: list[Any], rows: list[list[Any]]) -> Shape:
    """Rows of cells for columns that are named once, as pandas writes it with `orient="split"`."""
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise DataError(
                f"Row {number:,} of the JSON file has {len(row):,} cells for {len(names):,} columns: {row!r:.60}.",
                "Give each row as many cells as there are columns.",
            )
    unique, notes = names_of([str(name) for name in names], len(names))
    return Shape([dict(zip(unique, row, strict=True)) for row in rows], ("JSON, columns and then rows.", *notes))


def _columns(columns: dict[str, list[Any]]) -> Shape:
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) > 1 and all(isinstance(cell, str) for cells in columns.values() for cell in cells):
        rows = [{"text": cell, "label": name} for name, cells in columns.items() for cell in cells]
        return Shape(rows, ("JSON, a list of texts for each label.",))
    if len(lengths) > 1:
        raise DataError(f"The lists of the JSON file have {min(lengths)} to {max(lengths)} entries.", CURE)
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    return Shape(rows, ("JSON, a list for each column.",))


def _objects(value: dict[str, dict[str, Any]]) -> Shape:
    """An object for each row, by its number or its name, or one for each column with the cells by their rows."""
    inner = dict.fromkeys(name for cells in value.values() for name in cells)
    if _are_rows(value, inner):
        if all(map(_NUMBER.fullmatch, value)):
            return Shape(list(value.values()), ("JSON, an object for each row.",))
        name = "id" if "id" not in inner else "name of the object"
        rows = [{name: key} | row for key, row in value.items()]
        return Shape(rows, (f"JSON, an object for each row; their names are the column {name!r}.",))
    rows = [{name: cells.get(row) for name, cells in value.items()} for row in inner]
    short = sum(any(row not in cells for cells in value.values()) for row in inner)
    lacking = (
        (f"{short:,} of {len(rows):,} rows lack{'s' if short == 1 else ''} a cell in some column; it is empty.",)
        if short
        else ()
    )
    return Shape(rows, ("JSON, an object for each column.", *lacking))


def _are_rows(outer: dict[str, Any], inner: dict[str, Any]) -> bool:
    """Whether the outer names are those of rows and the inner ones those of columns. Numbers are names of rows, usual
    words those of columns; a table has more rows than columns. Raises `DataError` where none of that tells."""
    for says_rows in (lambda names: all(map(_NUMBER.fullmatch, names)), lambda names: not heads.has_usual_name(names)):
        of_outer, of_inner = says_rows(outer), says_rows(inner)
        if of_outer != of_inner:
            return bool(of_outer)
    if len(outer) == len(inner):
        raise DataError(
            f"The JSON file holds {len(outer):,} objects with {len(inner):,} fields each; whether they are rows or "
            "columns cannot be told.",
            CURE,
        )
    return len(outer) > len(inner)
