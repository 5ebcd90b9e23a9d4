"""Parquet and Arrow: what they say of their size is looked at before their rows, and what comes is counted."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from studio.data import archives, image_tables
from studio.data.cells import Blocks, Found, as_text, clean_text, require_few
from studio.errors import DataError, LimitError

MAX_TABLE_BYTES = 2 * 1024**3
BATCH_ROWS = 1_024
BLOCK_ROWS, BLOCK_BYTES = 16_384, 64 * 1024**2
"""So many rows are handed on at a time."""


def parquet(path: Path) -> Blocks:
    with pq.ParquetFile(path) as file:
        about = file.metadata
        require_few(about.num_rows, about.num_columns)
        size = sum(about.row_group(place).total_byte_size for place in range(about.num_row_groups))
        _require_small(size)
        _require_proportion(path, size)
        _require_few_repeats(path, file)
        rows = max(1, min(BATCH_ROWS, BLOCK_BYTES * about.num_rows // max(1, size)))
        notes = yield from _arrow(file.iter_batches(rows), file.schema_arrow)
    return ("Parquet.", *notes)


def _require_few_repeats(path: Path, file: pq.ParquetFile) -> None:
    """Raise `LimitError` where texts that the file holds once take far more in all the rows that have them. They are
    measured only where its metadata leave that open."""
    texts = [field.name for field in file.schema_arrow if _is_text(field.type)]
    groups = [file.metadata.row_group(place) for place in range(file.metadata.num_row_groups)]
    chunks = [group.column(place) for group in groups for place in range(group.num_columns)]
    again = [chunk for chunk in chunks if chunk.has_dictionary_page and chunk.path_in_schema in texts]
    most = sum(chunk.num_values * chunk.total_uncompressed_size for chunk in again)
    if not archives.is_out_of_proportion(path.stat().st_size, min(most, MAX_TABLE_BYTES)):
        return
    size = 0
    with pq.ParquetFile(path, read_dictionary=texts) as short:
        for batch in short.iter_batches(BLOCK_ROWS, columns=texts):
            for column in batch.columns:
                size += pc.sum(pc.binary_length(column.dictionary).take(column.indices)).as_py() or 0
            _require_proportion(path, size)


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(is_one(kind) for is_one in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary))


def _require_proportion(path: Path, size: int) -> None:
    packed = path.stat().st_size
    if archives.is_out_of_proportion(packed, size):
        raise LimitError(
            f"The file of {packed / 1e6:.1f} MB holds rows of more than {size / 1e6:,.0f} MB, as files made to do harm "
            "do.",
            "Leave out what is the same in all rows, or save the table as CSV.",
        )


def _class_names(metadata: dict[bytes, bytes] | None) -> dict[str, list[str]]:
    """{column: names of its classes}, as the `datasets` library writes them beside the numbers."""
    try:
        features = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        kinds = {str(name): kind for name, kind in features.items() if isinstance(kind, dict)}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return {}
    return {
        name: list(map(str, kind["names"]))
        for name, kind in kinds.items()
        if kind.get("_type") == "ClassLabel" and isinstance(kind.get("names"), list)
    }


def _named(table: pd.DataFrame, classes: dict[str, list[str]]) -> pd.DataFrame:
    """Numbers of classes by their names; -1, which says that there is none, is empty."""
    for column in (name for name in classes if name in table):
        known = {str(number): clean_text(name) for number, name in enumerate(classes[column])} | {"-1": ""}
        table[column] = [known.get(cell, cell) for cell in table[column]]
    return table


def arrow(path: Path) -> Blocks:
    """What `datasets` and pandas (Feather) write; as a file or as a stream."""
    with pa.memory_map(str(path)) as source:
        try:
            file = pa.ipc.open_file(source)
            batches: Iterable[Any] = (file.get_batch(place) for place in range(file.num_record_batches))
            schema = file.schema
        except pa.ArrowInvalid:
            source.seek(0)
            stream = pa.ipc.open_stream(source)
            batches, schema = stream, stream.schema
        require_few(0, len(schema))
        notes = yield from _arrow(batches, schema)
    return ("Arrow.", *notes)


def holds_images(path: Path, suffix: str) -> bool:
    """Whether one of the columns is one of image files, as the `datasets` library writes them."""
    if suffix == ".parquet":
        return image_column(pq.read_schema(path)) is not None
    with pa.memory_map(str(path)) as source:
        try:
            return image_column(pa.ipc.open_file(source).schema) is not None
        except pa.ArrowInvalid:
            source.seek(0)
            return image_column(pa.ipc.open_stream(source).schema) is not None


def image_column(schema: pa.Schema) -> str | None:
    """The first column whose cells are files by their bytes and their name."""
    return next((field.name for field in schema if _is_file(field.type)), None)


def _is_file(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind) or {field.name for field in kind} != {"bytes", "path"}:
        return False
    data = kind.field("bytes").type
    return pa.types.is_binary(data) or pa.types.is_large_binary(data)


def _arrow(batches: Iterable[Any], schema: pa.Schema) -> Blocks:
    """Batches one by one, as texts and images, as long as they stay below the limits."""
    classes, pictures = _class_names(schema.metadata), image_column(schema)
    label = image_tables.label_column(schema.names, list(classes)) if pictures is not None else None
    rows, size, read = 0, 0, 0
    waiting: list[Found] = []
    for batch in batches:
        batch.validate(full=True)
        table = pa.Table.from_batches([batch])
        images = table[pictures].to_pylist() if pictures is not None else []
        table = table.drop_columns([pictures]) if pictures is not None else table
        for _ in range(4):
            if not any(pa.types.is_struct(kind) for kind in table.schema.types):
                break
            table = table.flatten()
        rows, size = rows + batch.num_rows, size + batch.nbytes
        require_few(rows, table.num_columns)
        _require_small(size)
        part = as_text(table.to_pandas(types_mapper=None, integer_object_nulls=True, date_as_object=True))
        _require_small(size := size + sum(int(part[name].str.len().sum()) for name in part))
        part = _named(part, classes)
        if batch.num_rows:
            before = rows - batch.num_rows
            waiting.append(Found(part) if pictures is None else image_tables.of_cells(images, part, label, before))
        if sum(len(each.table) for each in waiting) >= BLOCK_ROWS or size - read > BLOCK_BYTES:
            yield _one(waiting)
            waiting, read = [], size
    if not rows:
        raise DataError("The file holds no rows.", "Choose another one.")
    if waiting:
        yield _one(waiting)
    return () if pictures is None else (image_tables.note(pictures, label),)


def _one(parts: list[Found]) -> Found:
    table = pd.concat([part.table for part in parts], ignore_index=True)
    return Found(table, refused=tuple(each for part in parts for each in part.refused))


def _require_small(size: int) -> None:
    if size > MAX_TABLE_BYTES:
        raise LimitError(
            f"The rows take {size / 1024**3:.1f} GiB of memory; at most {MAX_TABLE_BYTES >> 30} GiB are read.",
            "Split it.",
        )
