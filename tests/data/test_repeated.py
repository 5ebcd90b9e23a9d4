"""Files that hold once what stands in many rows: they are refused before all these rows are written out."""

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from studio.data import archives, cells, columnar, excel, uploads
from studio.errors import LimitError

TEXT, ROWS = "x" * 10_000, 300
LABELS = ["a", "b", "c"] * 100


def repeated():
    return pa.DictionaryArray.from_arrays(pa.array([0] * ROWS, pa.int32()), pa.array([TEXT]))


def list_view():
    views = pa.array([0] * ROWS, pa.int32()), pa.array([10] * ROWS, pa.int32())
    return pa.ListViewArray.from_arrays(*views, pa.array(["x" * 1_000] * 10))


def string_view():
    one = pa.array([TEXT]).cast(pa.string_view()).buffers()
    views = pa.py_buffer(one[1].to_pybytes()[:16] * ROWS)
    return pa.Array.from_buffers(pa.string_view(), ROWS, [None, views, *one[2:]])


IN_ARROW = {
    "dictionary": repeated,
    "dictionary of lists": lambda: pa.DictionaryArray.from_arrays(pa.array([0] * ROWS, pa.int32()), pa.array([[TEXT]])),
    "in a list": lambda: pa.ListArray.from_arrays(list(range(ROWS + 1)), repeated()),
    "in a structure": lambda: pa.StructArray.from_arrays([repeated()], ["inner"]),
    "in a map": lambda: pa.MapArray.from_arrays(list(range(ROWS + 1)), pa.array(["key"] * ROWS), repeated()),
    "runs": lambda: pa.RunEndEncodedArray.from_arrays(pa.array([ROWS], pa.int32()), pa.array([TEXT])),
    "views of a list": list_view,
    "lists of nothing": lambda: pa.FixedSizeListArray.from_arrays(pa.nulls(ROWS * 10_000), 10_000),
    "views of nothing": lambda: pa.ListViewArray.from_arrays(
        pa.array([0] * ROWS, pa.int32()), pa.array([10_000] * ROWS, pa.int32()), pa.nulls(10_000)
    ),
    "views of a text": string_view,
}


@pytest.fixture
def small_limit(monkeypatch):
    monkeypatch.setattr(archives, "TOTAL_RATIO_FROM_BYTES", 1_000_000)


@pytest.fixture
def nothing_written_out(monkeypatch):
    monkeypatch.setattr(columnar, "as_text", lambda table: pytest.fail("rows were written out"))


@pytest.mark.parametrize("kind", IN_ARROW)
def test_arrow_that_holds_once_what_many_rows_have_is_refused(tmp_path, small_limit, nothing_written_out, kind):
    table = pa.table({"text": IN_ARROW[kind](), "label": LABELS})
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(LimitError, match=r"rows of more than \d MB"):
        uploads.read(tmp_path / "a.arrow")


@pytest.mark.parametrize("kind", IN_ARROW)
def test_few_such_rows_are_read_and_measured_as_they_are(tmp_path, monkeypatch, kind):
    counted = []
    measured = columnar._spread_out
    monkeypatch.setattr(columnar, "_spread_out", lambda column: counted.append(measured(column)) or counted[-1])
    table = pa.table({"text": IN_ARROW[kind](), "label": LABELS})
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    upload = uploads.read(tmp_path / "a.arrow")
    assert len(upload.table) == ROWS
    assert max(counted) >= ROWS * len(TEXT)


def test_rows_of_nothing_are_refused_before_the_first_of_them_is_written_out(
    tmp_path, small_limit, nothing_written_out
):
    nothing = pa.nulls(columnar.BATCH_ROWS * 100)
    pq.write_table(pa.table({"text": nothing, "label": nothing}), tmp_path / "a.parquet")
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as file, pa.ipc.new_file(file, pa.schema({"a": pa.null()})) as to:
        to.write_table(pa.table({"a": nothing}))
    for name in ("a.parquet", "a.arrow"):
        with pytest.raises(LimitError, match=r"rows of more than \d MB"):
            uploads.read(tmp_path / name)


@pytest.mark.parametrize("values", [["x" * 3_100, "b"], [[None] * 1_000, None], [[0.123456789] * 300, None]])
def test_a_cell_is_no_longer_than_in_a_text_file(tmp_path, monkeypatch, values):
    monkeypatch.setattr(columnar, "MAX_CELL", 3_000)
    pq.write_table(pa.table({"text": values, "label": ["a", "b"]}), tmp_path / "a.parquet")
    with pytest.raises(LimitError, match=r"A cell has \d,\d+ characters; at most 3,000 are read"):
        uploads.read(tmp_path / "a.parquet")


def in_parquet(kind):
    texts = pa.array([TEXT] * ROWS)
    return {
        "in a list": (pa.array([[TEXT]] * ROWS), {}),
        "in a structure": (pa.StructArray.from_arrays([texts], ["inner"]), {}),
        "of one length": (pa.array([TEXT.encode()] * ROWS, pa.binary(len(TEXT))), {}),
        "what the next one shares": (texts, {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}}),
    }[kind]


@pytest.mark.parametrize("kind", ["in a list", "in a structure", "of one length", "what the next one shares"])
def test_parquet_that_holds_once_what_many_rows_have_is_refused(tmp_path, small_limit, nothing_written_out, kind):
    texts, how = in_parquet(kind)
    pq.write_table(pa.table({"text": texts, "label": LABELS}), tmp_path / "a.parquet", **how)
    with pytest.raises(LimitError, match=r"rows of more than \d MB"):
        uploads.read(tmp_path / "a.parquet")


def test_texts_that_may_be_longer_than_they_look_are_read_few_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(columnar, "SHARED_BYTES", 1)
    texts, how = in_parquet("what the next one shares")
    pq.write_table(pa.table({"text": texts, "label": LABELS}), tmp_path / "a.parquet", **how)
    seen = []
    pieces = columnar._pieces
    monkeypatch.setattr(columnar, "_pieces", lambda path, batch: seen.append(batch.num_rows) or pieces(path, batch))
    assert len(uploads.read(tmp_path / "a.parquet").table) == ROWS
    assert max(seen) == columnar.SHARED_ROWS


def test_rows_of_one_large_batch_are_taken_some_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(columnar, "BLOCK_BYTES", 100_000)
    table = pa.table({"text": [f"{number} {TEXT}" for number in range(100)], "label": LABELS[:100]})
    (tmp_path / "a").write_bytes(b"x" * 10_000)
    found = list(columnar._pieces(tmp_path / "a", table.to_batches()[0]))
    assert pa.Table.from_batches(found) == table
    assert max(batch.num_rows for batch in found) < 11


def test_slices_are_measured_by_their_own_rows():
    words = pa.array(["a", "bb", "ccc", "dddd"] * 5)
    kinds = (words, words.cast(pa.string_view()), words.dictionary_encode())
    assert {columnar._spread_out(column.slice(2, 2)) for column in kinds} == {7}
    lists = pa.array([["a"], ["bb", "ccc"], []])
    assert columnar._spread_out(lists.slice(1)) == 5 + 2 * columnar.BETWEEN
    maps = pa.array([[("k", "a")], [("k", "ccc")]], pa.map_(pa.string(), pa.string()))
    assert columnar._spread_out(maps.slice(1)) == 4
    assert columnar._spread_out(pc.run_end_encode(pa.array(["aa", "aa", "b"]))) == 6
    assert columnar._spread_out(pa.array(np.arange(5))) == 0


def test_a_workbook_whose_text_comes_again_in_each_row_is_refused(tmp_path, small_limit, monkeypatch):
    book = openpyxl.Workbook()
    book.active.append(["text", "label"])
    for label in LABELS:
        book.active.append([TEXT, label])
    book.save(tmp_path / "a.xlsx")
    monkeypatch.setattr(archives, "members", lambda archive: [])  # what it unpacks to is another matter
    monkeypatch.setattr(excel, "_table", lambda *_: pytest.fail("rows were written out"))
    with pytest.raises(LimitError, match="rows of more than 1 MB"):
        uploads.read(tmp_path / "a.xlsx")
    assert len(TEXT) < cells.MAX_CELL
