"""Parquet and Arrow: what they say of their size is looked at before their rows, and what comes is counted."""

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from studio.data import archives, image_tables
from studio.data.cells import MAX_CELL, Blocks, Found, as_text, clean_text, require_few
from studio.errors import DataError, LimitError

MAX_TABLE_BYTES = 2 * 1024**3
BATCH_ROWS = 1_024
BLOCK_ROWS, BLOCK_BYTES = 16_384, 64 * 1024**2
"""So many rows are handed on at a time."""

BETWEEN = 2
"""Bytes between the values of a list as it is written out; the values themselves may take none at all."""

LEAST_ROW = 32
"""Bytes that a row takes here at least, be there nothing in it, or the same in all."""

LONGER = 3
"""So many times as long as its bytes a list of numbers may be as it is written out."""

SHARED_ROWS, SHARED_BYTES = 64, 256 * 1024**2
"""So many rows, or as many as may take so many bytes, are read at a time where each may be larger than it looks."""


def parquet(path: Path) -> Blocks:
    with pq.ParquetFile(path) as file:
        about = file.metadata
        require_few(about.num_rows, about.num_columns)
        size = sum(about.row_group(place).total_byte_size for place in range(about.num_row_groups))
        _require_small(size)
        archives.require_proportion(path, max(size, LEAST_ROW * about.num_rows))
        size = max(size, _repeated(path, file))
        rows = max(1, min(BATCH_ROWS, BLOCK_BYTES * about.num_rows // max(1, size)))
        notes = yield from _arrow(path, file.iter_batches(min(rows, _few_rows(file))), file.schema_arrow)
    return ("Parquet.", *notes)


def _repeated(path: Path, file: pq.ParquetFile) -> int:
    """The bytes that values which the file holds once take in all the rows that have them, within lists and structures,
    too; 0 where its metadata show that they are few. Raises `LimitError` where they are far more than it is."""
    again = [chunk for chunk in _chunks(file) if chunk.has_dictionary_page and "BYTE_ARRAY" in chunk.physical_type]
    most = sum(chunk.num_values * chunk.total_uncompressed_size for chunk in again)
    if not archives.is_out_of_proportion(path.stat().st_size, min(most, MAX_TABLE_BYTES)):
        return 0
    lengths = {file.schema.column(place).path: file.schema.column(place).length for place in range(len(file.schema))}
    size = sum(chunk.num_values * max(0, lengths[chunk.path_in_schema] or 0) for chunk in again)
    archives.require_proportion(path, size)
    texts = sorted({chunk.path_in_schema for chunk in again if chunk.physical_type == "BYTE_ARRAY"})
    with pq.ParquetFile(path, read_dictionary=texts) as short:
        for batch in short.iter_batches(BATCH_ROWS, columns=texts):
            size += sum(map(_spread_out, batch.columns))
            archives.require_proportion(path, size)
            _require_small(size)
    return size


def _chunks(file: pq.ParquetFile) -> list[Any]:
    """What the metadata say of each column in each group of rows."""
    groups = [file.metadata.row_group(place) for place in range(file.metadata.num_row_groups)]
    return [group.column(place) for group in groups for place in range(group.num_columns)]


def _few_rows(file: pq.ParquetFile) -> int:
    """So many rows may be read at once where texts are kept by what they share with the one before: each may be as long
    as its whole column says it is."""
    sizes = [chunk.total_uncompressed_size for chunk in _chunks(file) if "DELTA_BYTE_ARRAY" in chunk.encodings]
    return max(SHARED_ROWS, SHARED_BYTES // max(sizes)) if sizes else BATCH_ROWS


def _taken(batch: Any) -> int:
    """The bytes that its rows take when they are written out, or at least so many."""
    return max(batch.nbytes, sum(map(_spread_out, batch.columns)), LEAST_ROW * batch.num_rows)


def _spread_out(column: pa.Array) -> int:
    """The bytes of all texts of a column, each as often as it stands there, whatever the file keeps once for many rows:
    counted, or at least so many."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(column.dictionary) if _is_text(kind.value_type) else None
        return _sum(lengths.take(column.indices)) if lengths else len(column) * _longest(column.dictionary)
    if pa.types.is_run_end_encoded(kind):
        return len(column) * _longest(column.values)
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):  # rows may share what they hold
        return _sum(pc.list_value_length(column)) * (BETWEEN + _longest(column.values))
    if pa.types.is_map(kind):
        within = slice(column.offsets[0].as_py(), column.offsets[-1].as_py())
        return _spread_out(column.keys[within]) + _spread_out(column.items[within])
    if pa.types.is_struct(kind):
        return sum(map(_spread_out, column.flatten()))
    if pa.types.is_nested(kind) and hasattr(column, "flatten"):
        inner = column.flatten()
        return BETWEEN * len(inner) + _spread_out(inner)
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        lengths = np.frombuffer(column.buffers()[1], np.int32)[4 * column.offset :: 4]
        return int(lengths[: len(column)].sum(dtype=np.int64))
    return _sum(pc.binary_length(column)) if _is_text(kind) else 0


def _sum(numbers: pa.Array) -> int:
    return pc.sum(numbers).as_py() or 0


def _longest(values: pa.Array) -> int:
    """The bytes of the longest text; of what is no text those of all."""
    return pc.max(pc.binary_length(values)).as_py() or 0 if _is_text(values.type) else values.nbytes


def _is_text(kind: pa.DataType) -> bool:
    """Whether cells are texts or bytes of any length."""
    known = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(is_one(kind) for is_one in known)


def _class_names(metadata: dict[bytes, bytes] | None) -> dict[str, list[str]]:
    """{column: names of the classes that stand there, one in a cell or a list of them}, as the `datasets` library
    writes them beside the numbers."""
    try:
        features = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        kinds = {str(name): _of_its_list(kind) for name, kind in features.items()}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return {}
    return {
        name: list(map(str, kind["names"]))
        for name, kind in kinds.items()
        if isinstance(kind, dict) and kind.get("_type") == "ClassLabel" and isinstance(kind.get("names"), list)
    }


def _of_its_list(kind: Any) -> Any:
    """What the cells of a column hold, or what the lists in them do; older versions write a list as one."""
    if isinstance(kind, list):
        return kind[0] if kind else None
    return kind.get("feature", kind) if isinstance(kind, dict) else None


def _named(table: pd.DataFrame, classes: dict[str, list[str]]) -> pd.DataFrame:
    """Numbers of classes by their names; -1, which says that there is none, is empty."""
    for column in (name for name in classes if name in table):
        known = {str(number): clean_text(name) for number, name in enumerate(classes[column])} | {"-1": ""}
        table[column] = [_by_name(cell, known) for cell in table[column]]
    return table


def _by_name(cell: str, known: dict[str, str]) -> str:
    if not cell.startswith("["):
        return known.get(cell, cell)
    names = [known.get(str(number), str(number)) for number in json.loads(cell)]
    return json.dumps([name for name in names if name], ensure_ascii=False)


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
        notes = yield from _arrow(path, batches, schema)
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


def _arrow(path: Path, batches: Iterable[Any], schema: pa.Schema) -> Blocks:
    """Batches one by one, as texts and images, as long as they stay below the limits."""
    classes, pictures = _class_names(schema.metadata), image_column(schema)
    label = image_tables.label_column(schema.names, list(classes)) if pictures is not None else None
    rows, size, read = 0, 0, 0
    waiting: list[Found] = []
    for batch in itertools.chain.from_iterable(_pieces(path, batch) for batch in batches):
        rows, taken = rows + batch.num_rows, _taken(batch)
        size += taken
        require_few(rows, batch.num_columns)
        _require_small(size)
        archives.require_proportion(path, size)
        table = pa.Table.from_batches([batch])
        images = table[pictures].to_pylist() if pictures is not None else []
        table = table.drop_columns([pictures]) if pictures is not None else table
        for _ in range(4):
            if not any(pa.types.is_struct(kind) for kind in table.schema.types):
                break
            table = table.flatten()
        require_few(rows, table.num_columns)
        part = as_text(table.to_pandas(types_mapper=None, integer_object_nulls=True, date_as_object=True))
        part = _named(part, classes)
        if taken > MAX_CELL // LONGER:
            _require_short_cells(part)
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


def _pieces(path: Path, batch: Any) -> Iterator[Any]:
    """A batch of rows that is sound, some at a time: a file may hold all of its rows in one."""
    archives.require_proportion(path, batch.nbytes)
    batch.validate(full=True)
    archives.require_proportion(path, _taken(batch))
    waiting = [batch.slice(start, BATCH_ROWS) for start in range(0, batch.num_rows, BATCH_ROWS)]
    while waiting:
        some = waiting.pop(0)
        if some.num_rows > 1 and sum(map(_spread_out, some.columns)) > BLOCK_BYTES:
            half = some.num_rows // 2
            waiting[:0] = [some.slice(0, half), some.slice(half)]
        else:
            yield some


def _one(parts: list[Found]) -> Found:
    table = pd.concat([part.table for part in parts], ignore_index=True)
    return Found(table, refused=tuple(each for part in parts for each in part.refused))


def _require_short_cells(table: pd.DataFrame) -> None:
    longest = max((len(cell) for _, column in table.items() for cell in column), default=0)
    if longest > MAX_CELL:
        raise LimitError(f"A cell has {longest:,} characters; at most {MAX_CELL:,} are read.", "Cut it.")


def _require_small(size: int) -> None:
    if size > MAX_TABLE_BYTES:
        raise LimitError(
            f"The rows take {size / 1024**3:.1f} GiB of memory; at most {MAX_TABLE_BYTES >> 30} GiB are read.",
            "Split it.",
        )
