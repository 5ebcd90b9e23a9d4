"""A large table comes in blocks, stays on disk, and is the same data set as one that was read whole."""

import io
import json
import tempfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from studio.data import apart, cells, delimited, text_files, uploads
from studio.data.columns import Columns
from studio.data.on_disk import OnDisk
from studio.errors import DataError
from studio.service import library
from tests.data.test_uploads import png

ROWS = 900


def table(rows: int = ROWS) -> str:
    """Rows of which some go over lines, some have cells too many or too few, and some come again."""
    lines = ["text,label,split"]
    for number in range(rows):
        text = f'"{number % 300} one,\ntwo"' if number % 7 == 0 else f"{number % 300} film"
        more = ",x" if number % 97 == 5 else ""
        lines.append(f"{text},{'ab'[number % 2]},{'test' if number % 9 == 0 else 'train'}{more}")
    return "\n".join(lines)


@pytest.fixture
def blocks(monkeypatch):
    """Files come in blocks of a few lines, and every table stays on disk."""
    monkeypatch.setattr(text_files, "BLOCK_BYTES", 1_000)
    monkeypatch.setattr(text_files, "LOOKED_AT", 700)
    monkeypatch.setattr(apart, "LARGE_ROWS", 10)


def brought(path):
    """What `apart.read` gives, by a reader in this process."""
    place = tempfile.TemporaryDirectory()
    folder = type(path)(place.name)
    writer = apart._Writer(folder)
    writer.finish(cells.each(uploads.blocks(path), writer.write))
    return apart._received(folder, place)


def test_a_table_in_blocks_is_the_one_that_was_read_whole(tmp_path, blocks, monkeypatch):
    path = tmp_path / "rows.csv"
    path.write_text(table())
    read = brought(path)
    assert all(isinstance(read.table[name].array, OnDisk) for name in read.table)
    monkeypatch.undo()
    whole = uploads.read(path)
    assert read.table.astype(object).equals(whole.table)
    assert list(read.lines) == list(whole.lines)
    assert (read.refused, read.notes) == (whole.refused, whole.notes)
    assert read.refused[0].count == 10


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_blocks_count_lines_whatever_ends_them(tmp_path, blocks, monkeypatch, end):
    path = tmp_path / "rows.csv"
    path.write_bytes(table().replace("\n", end).encode())
    read = brought(path)
    monkeypatch.undo()
    assert list(read.lines) == list(uploads.read(path).lines)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "gb18030"])
def test_a_large_file_in_another_encoding_is_read_as_a_small_one_is(tmp_path, blocks, encoding):
    word = "电影很好" if encoding == "gb18030" else "très agréable café"
    path = tmp_path / "rows.csv"
    path.write_bytes(("text,label\n" + f"{word} film,a\n{word} note,b\n" * 200).encode(encoding))
    read = brought(path)
    assert len(read.table) == 400
    assert set(read.table["text"]) == {f"{word} film", f"{word} note"}


def test_a_byte_that_does_not_fit_is_named_by_its_line_far_into_a_large_file(tmp_path, blocks):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"text,label\n" + "schön,a\n".encode() * 500 + b"sch\xf6n,b\n")
    with pytest.raises(DataError, match="Line 502 holds the byte 0xf6"):
        brought(path)


def test_bytes_that_are_replaced_in_a_large_file_are_counted(tmp_path, blocks):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"text,label\n" + b"fine,a\n" * 500 + b"sch\xf6n,b\n")
    found = list(uploads.blocks(path, encoding="utf-8"))
    assert sum(len(block.table) for block in found) == 501
    assert "1 line holds bytes that are not utf-8 and were replaced: 502." in uploads.read(path, encoding="utf-8").notes


def test_a_line_without_an_end_is_refused_before_it_fills_memory(tmp_path, blocks, monkeypatch):
    monkeypatch.setattr(text_files, "LONGEST_LINE", 2_000)
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "x" * 9_000)
    with pytest.raises(DataError, match="Line 2 has more than"):
        brought(path)


def test_a_quotation_mark_that_nobody_closes_is_told_with_its_line(tmp_path, blocks, monkeypatch):
    monkeypatch.setattr(delimited, "MAX_CELL", 3_000)
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "fine,a\n" * 500 + '"open,b\n' + "fine, very,a\n" * 900)
    with pytest.raises(DataError, match="from line 502 on"):
        brought(path)


def test_fields_that_come_late_in_json_lines_are_columns_of_all_rows(tmp_path, blocks):
    path = tmp_path / "rows.jsonl"
    rows = [{"text": f"text {n}", "label": "ab"[n % 2]} | ({"source": "web"} if n > 300 else {}) for n in range(400)]
    path.write_text("\n".join(map(json.dumps, rows)))
    read = brought(path)
    assert list(read.table.columns) == ["text", "label", "source"]
    assert read.table["source"].tolist() == [""] * 301 + ["web"] * 99
    assert list(read.lines) == list(range(1, 401))


@pytest.mark.parametrize("columns", [Columns("text", "label", "split"), Columns("text + split", "label")])
def test_a_table_on_disk_gives_the_data_set_that_one_in_memory_gives(
    tmp_path, store, home, blocks, monkeypatch, columns
):
    path = tmp_path / "rows.csv"
    path.write_text(table())
    large = brought(path)
    monkeypatch.undo()
    small = uploads.read(path)
    first, second = (library.check(library.Files(upload), columns=columns.as_dict()) for upload in (large, small))
    assert first.report == second.report
    assert first.rows.refused == second.rows.refused
    assert isinstance(first.rows.table["input"].array, OnDisk)
    row = library.save(store, home, "large", first.rows, columns)
    assert library.save(store, home, None, second.rows, columns).id == row.id
    assert not library.head(home, row).empty


def test_a_small_test_file_beside_a_large_one_is_part_of_the_data_set(tmp_path, blocks):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "".join(f"film {n},{'ab'[n % 2]}\n" for n in range(300)))
    given = uploads.Upload("table", pd.DataFrame({"text": ["film 3", "new"], "label": ["b", "a"]}, dtype=object))
    checked = library.check(library.Files(brought(path), test=given))
    assert checked.report.splits == {"not said": 300, "test": 2}
    assert (checked.report.leaked, checked.removed, len(checked.rows.table)) == (1, 1, 301)
    assert checked.rows.table["input"].iloc[-1] == "new"


def images(rows: int) -> pa.Table:
    """As `datasets` writes them, the last of which is none."""
    files = [{"bytes": png(number), "path": f"{number}.png"} for number in range(rows - 1)]
    features = {"digit": {"_type": "ClassLabel", "names": ["zero", "one"]}, "image": {"_type": "Image"}}
    table = pa.table({"image": [*files, {"bytes": b"none", "path": "bad.png"}], "digit": [n % 2 for n in range(rows)]})
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_images_in_a_table_of_the_hub_are_images(tmp_path, ending):
    path, file = tmp_path / f"train.{ending}", io.BytesIO()
    if ending == "parquet":
        pq.write_table(images(21), file)
    else:
        with pa.ipc.new_stream(file, images(21).schema) as writer:
            writer.write_table(images(21))
    path.write_bytes(file.getvalue())
    read = uploads.read(path)
    assert read.kind == "images"
    assert read.table["image"].tolist() == [png(number) for number in range(20)]
    assert read.table["label"].tolist() == ["zero", "one"] * 10
    assert [(each.count, each.lines, each.rows) for each in read.refused] == [(1, (21,), ("bad.png",))]
    assert "The images are those of the column 'image', the labels those of 'digit'." in read.notes
    assert library.check(library.Files(read)).rows.task == "image-classification"


def test_what_a_large_table_was_read_into_goes_when_nobody_holds_it(tmp_path, blocks):
    path = tmp_path / "rows.csv"
    path.write_text(table())
    read = brought(path)
    folder = read.table["text"].array.chunks[0].file.path.parent
    assert folder.is_dir()
    del read
    assert not folder.exists()


def of_records(*records) -> str:
    """JSON lines that go through the records again and again, with a number in each."""
    return "\n".join(json.dumps(records[n % len(records)]).replace("NO", str(n)) for n in range(60))


def rows(header, row) -> str:
    return "\n".join([*filter(None, [header]), *map(row, range(60))])


KINDS = {
    "instructions.jsonl": of_records(
        {"instruction": "say NO", "input": "", "output": "NO it is"},
        {"instruction": "add NO", "input": "one more", "output": "NO and one"},
    ),
    "chats.jsonl": of_records(
        {"messages": [{"role": "user", "content": "NO?"}, {"role": "assistant", "content": "NO."}]}
    ),
    "labels.jsonl": of_records(
        {"text": "glad NO times", "labels": ["joy", "hope"]}, {"text": "sad NO", "labels": ["grief"]}
    ),
    "spans.jsonl": of_records({"text": "Ada saw NO of them", "label": [[0, 3, "PER"]]}),
    "pairs.tsv": rows("sentence1\tsentence2\tscore", lambda n: f"a film {n}\tthe film {n}\t{n % 50 / 10}"),
    "points.csv": rows("", lambda n: ",".join(str(n * place % 17) for place in range(64)) + f",{n % 10}"),
    "parts.csv": rows("title,body,label", lambda n: f"News {n},It is {n} o'clock now,{'ab'[n % 2]}"),
    "classes.csv": rows("comment,toxic,rude", lambda n: f"you are {n} of them,{n % 2},{n % 3 // 2}"),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_large_file_is_taken_for_what_a_small_one_is(tmp_path, blocks, monkeypatch, name):
    path = tmp_path / name
    path.write_text(KINDS[name])
    large = brought(path)
    monkeypatch.undo()
    first, second = (library.check(library.Files(upload)) for upload in (large, uploads.read(path)))
    assert (first.columns, first.rows.task) == (second.columns, second.rows.task)
    assert first.report == second.report


def test_what_is_made_of_a_column_on_disk_is_an_ordinary_column(tmp_path, blocks):
    path = tmp_path / "rows.csv"
    path.write_text(table())
    column = brought(path).table["text"]
    assert str(column.dtype) == "on disk"
    made = column.map(str.upper)
    assert made.str.contains("FILM").any()


SAID = [f"the film number {number} was long and nobody laughed" for number in range(120)]
WAYS = {
    "verdicts.jsonl": [{"text": text, "label": "RUDE", "answer": ("accept", "reject", "ignore")[n % 3]}
                       for n, text in enumerate(SAID)],
    "passages.jsonl": [{"context": text, "question": f"When was {n}?", "answers": {"text": [f"in {n}"]}}
                       for n, text in enumerate(SAID)],
    "tags.jsonl": [{"tokens": text.split(), "tags": [n % 3 and k % 3 for k in range(9)]}
                   for n, text in enumerate(SAID)],
    "triplets.jsonl": [{"anchor": text, "positive": f"{text}, yes", "negative": f"not so, {n}"}
                       for n, text in enumerate(SAID)],
    "names.jsonl": [{"text": text, "kind_id": n % 3, "kind_name": "abc"[n % 3], "shop": "xy"[n % 2]}
                    for n, text in enumerate(SAID)],
}  # fmt: skip


@pytest.mark.parametrize("name", WAYS)
def test_other_forms_of_labels_are_read_in_blocks_as_they_are_whole(tmp_path, blocks, monkeypatch, name):
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in WAYS[name]))
    read = brought(path)
    assert all(isinstance(read.table[column].array, OnDisk) for column in read.table)
    checked = library.check(library.Files(read))
    monkeypatch.undo()
    whole = uploads.read(path)
    assert read.table.astype(object).equals(whole.table.astype(object))
    assert (list(read.lines), read.refused, read.notes) == (list(whole.lines), whole.refused, whole.notes)
    again = library.check(library.Files(whole))
    assert (checked.columns, checked.report) == (again.columns, again.report)


def test_totals_and_comments_are_left_out_of_every_block(tmp_path, blocks):
    rows = "".join(f"{text},{'ab'[n % 2]},{n}\n" + "# a part\nTotal,,7\n" * (n % 9 == 0) for n, text in enumerate(SAID))
    (tmp_path / "rows.csv").write_text(f"text,label,n\n{rows}")
    read = brought(tmp_path / "rows.csv")
    assert len(read.table) == 120 and {each.reason: each.count for each in read.refused} == {
        "a comment": 14, "totals of the rows": 14
    }  # fmt: skip
