"""Files are read as they were meant, and what is wrong with one is told by its line."""

import gzip
import io
import json
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.data import apart, delimited, splits, text_files, uploads
from studio.data.cleaning import clean, inspect
from studio.data.columns import Columns, guess_columns
from studio.errors import DataError, LimitError
from studio.service import sources
from studio.tasks.chats import messages
from studio.tasks.tokens import words_of
from tests.conftest import reviews

CHINESE = "这部电影非常好看，演员的表演也很自然，我们全家都很喜欢。"
TRADITIONAL = "這部電影非常好看，演員的表演也很自然，我們全家都很喜歡。"
JAPANESE = "この映画はとても面白かったです。俳優の演技も自然でした。"
KOREAN = "이 영화는 정말 재미있었습니다. 배우들의 연기도 자연스러웠습니다."
CYRILLIC = "Этот фильм был очень хорошим, и вся семья осталась довольна."


def written(tmp_path, content: bytes | str, name: str = "rows.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CHINESE, "gb18030"), (CHINESE, "gbk"), (TRADITIONAL, "big5"), (JAPANESE, "shift_jis"), (JAPANESE, "euc_jp"),
        (KOREAN, "euc_kr"), (CYRILLIC, "cp1251"), (CHINESE, "utf-16"), (CHINESE, "utf-32"), ("plain", "utf-16-le"),
        ("plain", "utf-16-be"), ("plain", "utf-32-le"), (CHINESE, "utf-8-sig"), ("déjà vu, naïve café", "latin-1"),
        ("zażółć gęślą jaźń, proszę", "cp1250"), ("Příliš žluťoučký kůň", "cp1250"), ("Türkçe öğrenci", "cp1254"),
        ("größer über Straße", "latin-1"),
    ],
)  # fmt: skip
def test_a_file_in_an_encoding_of_its_own_is_read_as_it_was_written(tmp_path, text, encoding):
    rows = "text;label\n" + "".join(f"{text} {number};{'ab'[number % 2]}\n" for number in range(40))
    table = uploads.read(written(tmp_path, rows.encode(encoding))).table
    assert table["text"].tolist() == [f"{text} {number}" for number in range(40)]


@pytest.mark.parametrize("encoding", ["shift_jis", "euc_jp"])
def test_japanese_of_few_words_is_no_korean_or_chinese(tmp_path, encoding):
    words = ["この映画は", "とても", "面白い", "film", "です"]
    texts = [f"{words[number % 5]} {words[number % 3]} {words[number % 4]}" for number in range(60)]
    content = "".join(f"{text}\t{number % 2}\n" for number, text in enumerate(texts)).encode(encoding)
    assert uploads.read(written(tmp_path, content), header=False).table["0"].tolist() == texts


@pytest.mark.parametrize(
    ("word", "encoding"),
    [("it’s", "cp1252"), ("café", "cp1252"), ("5 €", "cp1252"), ("ÿ", "cp1252"), ("książka", "cp1250")],
)
@pytest.mark.parametrize("rows", [2, 2_000])
def test_single_letters_beyond_ascii_are_latin_ones(tmp_path, word, encoding, rows):
    lines = "".join(f"text {number},a\n" for number in range(rows))
    content = f"text,label\n{lines}a {word} here,b\n".encode(encoding)
    assert uploads.read(written(tmp_path, content)).table["text"].tolist()[-1] == f"a {word} here"


def test_a_word_beyond_ascii_never_makes_the_rest_of_a_file_another_script(tmp_path):
    table = uploads.read(written(tmp_path, "text,label\n很好 不行 很好,b\nfine,a\n".encode("gb18030"))).table
    assert (list(table.columns), table["label"].tolist()) == (["text", "label"], ["b", "a"])


@pytest.mark.parametrize("length", range(2700, 2706))
def test_characters_at_the_end_of_what_is_looked_at_are_not_cut(tmp_path, length):
    lines = "".join(f"{CHINESE}{number:0{length % 7 + 1}};a\n" for number in range(length))
    content = f"text;label\n{lines}".encode("gb18030")
    assert len(content) > 65_536
    assert uploads.read(written(tmp_path, content)).table["text"][0].startswith(CHINESE)


def test_one_bad_byte_is_named_by_its_line_and_a_named_encoding_reads_on(tmp_path):
    good = "".join(f"größer {number},{'ab'[number % 2]}\n" for number in range(50)).encode()
    path = written(tmp_path, b"text,label\n" + good + b"bad \xff byte,a\n" + good)
    with pytest.raises(DataError, match=r"Line 52 holds the byte 0xff.*naming the encoding"):
        uploads.read(path)
    upload = uploads.read(path, encoding="utf-8")
    assert len(upload.table) == 101
    assert any("1 line holds bytes" in note and "52" in note for note in upload.notes)


@pytest.mark.parametrize("encoding", ["rot13", "idna", "no-such", "unicode_escape"])
def test_what_is_no_encoding_of_files_is_refused(tmp_path, encoding):
    with pytest.raises(DataError, match="encoding"):
        uploads.read(written(tmp_path, "text,label\na,b\n"), encoding=encoding)


def test_signs_that_end_lines_may_stand_in_json_lines(tmp_path):
    lines = "\n".join(json.dumps({"text": f"a\u2028b\x85{n}", "label": "x"}, ensure_ascii=False) for n in range(3))
    upload = uploads.read(written(tmp_path, lines, "rows.jsonl"))
    assert upload.table["text"].tolist() == [f"a\u2028b\x85{number}" for number in range(3)]
    assert upload.lines == (1, 2, 3)


def test_two_stray_quotation_marks_swallow_no_rows(tmp_path):
    lines = [f"a film number {number}\t{'ab'[number % 2]}" for number in range(60)]
    lines[10], lines[50] = '"great film number 10\ta', 'b film"\tb'
    lines[50] = 'the end"\tb'
    upload = uploads.read(written(tmp_path, "\n".join(["text\tlabel", *lines]), "rows.tsv"))
    assert len(upload.table) == 60
    assert any("12 to 52" in note for note in upload.notes)


def test_a_quoted_text_over_several_lines_stays_one(tmp_path):
    upload = uploads.read(written(tmp_path, 'text,label\n"one\ntwo\nthree\nfour",a\nplain,b\n'))
    assert upload.table["text"].tolist() == ["one\ntwo\nthree\nfour", "plain"]
    assert upload.lines == (2, 6)


def test_rows_with_too_many_cells_are_left_out_with_their_lines_and_short_ones_are_told(tmp_path):
    upload = uploads.read(written(tmp_path, "text,label\none,a\ntwo, or more,b\nthree\nfour,b,,\nfive,a\n"))
    assert upload.table["text"].tolist() == ["one", "three", "four", "five"]
    assert [(each.count, each.lines) for each in upload.refused] == [(1, (3,))]
    assert any("line 4" in note for note in upload.notes)


def test_a_wrong_delimiter_is_told_and_another_can_be_named(tmp_path):
    path = written(tmp_path, "".join(f"text {number}:{'ab'[number % 2]}\n" for number in range(20)))
    table = uploads.read(path, delimiter=":", header=False).table
    assert table.iloc[1].tolist() == ["text 1", "b"]
    with pytest.raises(DataError, match="one character"):
        uploads.read(path, delimiter="::")


def test_blank_and_doubled_names_are_numbered_and_told(tmp_path):
    upload = uploads.read(written(tmp_path, ",text,text,label\n0,a fine one,other,x\n1,a dull one,other,y\n"))
    assert upload.table.columns.tolist() == ["0", "text", "text_2", "label"]
    assert any("'text_2'" in note for note in upload.notes)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_all_ends_of_lines_are_read(tmp_path, end):
    content = end.join(["text,label", "one,a", "two,b", ""])
    assert uploads.read(written(tmp_path, content)).table["text"].tolist() == ["one", "two"]


@pytest.mark.parametrize("before", ["", "__label__"])
def test_lines_of_a_label_and_a_text_are_two_columns(tmp_path, before):
    lines = [f"{before}{'pos' if number % 2 else 'neg'} this film, {'so, ' * (number % 3)}long" for number in range(30)]
    table = uploads.read(written(tmp_path, "\n".join(lines), "train.txt")).table
    assert table.columns.tolist() == ["label", "text"]
    assert table.iloc[1].tolist() == ["pos", "this film, so, long"]


def test_texts_without_labels_stay_one_column(tmp_path):
    lines = [f"{word} this is prose" for word in ("some", "more", "other", "such") for _ in range(2)]
    lines += [f"word{number} begins a line" for number in range(30)]
    assert uploads.read(written(tmp_path, "\n".join(lines), "a.txt"), header=False).table.shape[1] == 1


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zst"])
def test_compressed_tables_are_read(tmp_path, suffix):
    import bz2
    import lzma

    packers = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
               "zst": lambda data: pa.compress(data, codec="zstd", asbytes=True)}  # fmt: skip
    path = written(tmp_path, packers[suffix](b"text,label\none,a\ntwo,b\n"), f"rows.csv.{suffix}")
    if suffix == "zst":
        with pa.CompressedOutputStream(str(path), "zstd") as file:
            file.write(b"text,label\none,a\ntwo,b\n")
    assert uploads.read(path).table["label"].tolist() == ["a", "b"]


def packed(tmp_path, files: dict[str, str]):
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_zipped_tables_are_read_and_joined_by_the_splits_that_their_names_say(tmp_path):
    one = packed(tmp_path, {"inner/rows.csv": "text,label\none,a\n"})
    assert uploads.read(one).table["text"].tolist() == ["one"]
    both = packed(tmp_path, {"train.csv": "text,label\none,a\n", "oos_test.csv": "text,label\ntwo,b\n"})
    assert uploads.read(both).table["split"].tolist() == ["train", "test"]
    with pytest.raises(DataError, match="called 'extra'"):
        uploads.read(packed(tmp_path, {"train.csv": "text,label\none,a\n", "extra.csv": "text,label\ntwo,b\n"}))


def test_splits_in_json_are_known_and_an_unknown_one_is_asked_for(tmp_path):
    rows = [["hello", "greet"], ["bye", "leave"]]
    path = written(tmp_path, json.dumps({"train": rows, "val": rows, "oos_test": rows}), "data.json")
    assert uploads.read(path).table["split"].tolist() == ["train"] * 2 + ["validation"] * 2 + ["test"] * 2
    with pytest.raises(DataError, match=r"called 'more'.*for training, for validation or for testing"):
        uploads.read(written(tmp_path, json.dumps({"train": rows, "more": rows}), "data.json"))


def test_nested_fields_are_columns_by_their_path(tmp_path):
    path = written(tmp_path, json.dumps([{"text": "a", "meta": {"label": "x", "by": {"id": 3}}}]), "data.json")
    assert uploads.read(path).table.to_dict("records") == [{"text": "a", "meta.label": "x", "meta.by.id": "3"}]


def test_columns_in_json_are_turned_into_rows(tmp_path):
    path = written(tmp_path, json.dumps({"text": ["a", "b"], "label": ["x", "y"]}), "data.json")
    assert uploads.read(path).table["label"].tolist() == ["x", "y"]


@pytest.mark.parametrize("suffix", ["arrow", "feather"])
def test_arrow_files_are_read(tmp_path, suffix):
    path = tmp_path / f"rows.{suffix}"
    table = pa.table({"text": ["one", "two"], "label": [1, None]})
    opener = pa.ipc.new_stream if suffix == "arrow" else pa.ipc.new_file
    with opener(str(path), table.schema) as writer:
        writer.write_table(table)
    assert uploads.read(path).table.to_numpy().tolist() == [["one", "1"], ["two", ""]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.zip", b"PK\x03\x04 no archive"),
        ("a.xlsx", b"PK\x05\x06" + bytes(18)),
        ("a.gz", gzip.compress(b"text,label\n" * 100, mtime=0)[:-20]),
        ("a.xz", b"\xfd7zXZ\x00broken"),
        ("a.json", b"[{},{}]"),
        ("a.json", b"[" * 100_000),
        ("a.jsonl", b'{"text": ' + b"1" * 5_000 + b"}"),
        ("a.parquet", b"PAR1" + bytes(40) + b"PAR1"),
        ("a.arrow", b"ARROW1" + bytes(40)),
        ("a.csv", b"text,label\n\"open,a\nb,c,d\n"),
        ("a.csv", b"text,label\n" + b"x" * (11 * 1024**2) + b",a\n"),
        ("a.conll", b"word"),
        ("a.tar.gz", gzip.compress(b"no matter", mtime=0)),
    ],
)  # fmt: skip
def test_what_a_reader_stumbles_over_is_told_as_a_data_error(tmp_path, name, content):
    with pytest.raises(DataError) as told:
        uploads.read(written(tmp_path, content, name))
    assert told.value.message


def test_an_error_that_no_reader_foresees_is_told_as_a_data_error(tmp_path, monkeypatch):
    def fail(*_):
        raise IndexError("list index out of range")

    monkeypatch.setattr(delimited, "blocks", fail)
    with pytest.raises(DataError, match="IndexError"):
        uploads.read(written(tmp_path, "text,label\n"))


def test_halves_of_characters_can_be_saved(tmp_path):
    table = uploads.read(written(tmp_path, '{"text": "half \\ud800", "label": "a"}', "a.jsonl")).table
    assert table["text"][0] == "half \N{REPLACEMENT CHARACTER}"


def test_a_table_of_too_many_columns_is_refused_before_it_is_built(tmp_path):
    wide = json.dumps([{f"c{number}": 1 for number in range(600)}])
    with pytest.raises(LimitError, match="600 columns"):
        uploads.read(written(tmp_path, wide, "a.json"))


@pytest.mark.parametrize("name", ["split", "subset"])
def test_a_split_that_is_unknown_is_asked_for_and_never_trained_on(name):
    upload = reviews(60)
    upload.table[name] = ["train"] * 40 + ["dev"] * 10 + ["oos"] * 10
    columns = guess_columns(upload)
    assert columns.split == name
    with pytest.raises(DataError, match="'oos'"):
        clean(upload, columns, "text-classification")
    upload.table[name] = ["train"] * 40 + ["eval"] * 10 + ["hold-out"] * 10
    counts = clean(upload, columns, "text-classification").table["split"].value_counts().to_dict()
    assert counts == {"train": 40, "validation": 10, "test": 10}


def test_a_column_called_subset_that_names_no_split_is_none():
    upload = reviews(60)
    upload.table["subset"] = ["north", "south"] * 30
    assert guess_columns(upload).split is None


@given(st.text(st.sampled_from('ab,"\r\n\u2028 '), max_size=40))
@settings(max_examples=200, deadline=None, database=None, derandomize=True)
def test_lines_end_where_python_ends_them_in_a_file_of_csv(text):
    assert list(delimited._lines(text)) == io.StringIO(text, newline="").readlines()


def test_the_only_column_is_the_input_though_it_is_called_split(tmp_path):
    table = pd.DataFrame({"split": [f"train {number}" for number in range(20)]}, dtype=object)
    columns = guess_columns(uploads.Upload("table", table), "text-classification")
    assert (columns.input, columns.split) == ("split", None)


@pytest.mark.parametrize("name", ["", "both train and test", "contest", "latest", "extra"])
def test_names_that_say_no_split_or_two_are_not_guessed(name):
    assert splits.of(name) is None


def test_rows_in_are_rows_kept_and_rows_refused_with_reasons_and_lines(tmp_path):
    lines = ["text,label,split", *(f"a text number {number},{'ab'[number % 2]},train" for number in range(30))]
    lines += [" ,a,train", "unlabelled test,,test", "labelled test,a,test", "one, too many,a,train"]
    upload = uploads.read(written(tmp_path, "\n".join(lines)))
    report = inspect(clean(upload, Columns("text", "label", "split"), "text-classification"))
    refused = {each.reason: (each.count, each.lines) for each in report.refused}
    assert refused == {
        "no input": (1, (32,)), "for testing, without a label": (1, (33,)), "more cells than the 3 columns": (1, (35,))
    }  # fmt: skip
    assert report.read == report.rows + 3 == 34
    assert any("line 33" in warning for warning in report.warnings)


def test_a_folder_of_tables_says_which_of_them_it_did_not_read(tmp_path):
    for name in ("train", "heldout", "notes"):
        written(tmp_path, "text,label\none,a\n", f"{name}.csv")
    upload = sources.read(tmp_path)
    assert sorted(upload.table["split"]) == ["test", "train"]
    assert any("notes.csv" in note for note in upload.notes)


def test_numbers_and_lists_of_parquet_are_written_as_a_person_would_and_whole(tmp_path):
    short = [pa.array([0.1, None, 3], kind) for kind in (pa.float64(), pa.float32())]
    half = pa.array([np.float16(0.1), None, np.float16(65504)])
    words = [["one", "two"], list(map(str, range(2_000))), None]
    said = [[{"role": "user", "content": "Hi"}], None, []]
    columns = {"double": short[0], "single": short[1], "half": half, "words": words, "said": said}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    table = uploads.read(tmp_path / "rows.parquet").table
    assert table["double"].tolist() == table["single"].tolist() == ["0.1", "", "3"]
    assert table["half"].tolist() == ["0.1", "", "65504"]
    assert [words_of(cell) for cell in table["words"]] == [words[0], words[1], []]
    assert messages(table["said"][0]) == said[0]


def test_parquet_that_says_it_is_too_large_is_refused_before_its_rows_are_read(tmp_path, monkeypatch):
    from studio.data import columnar

    path = tmp_path / "a.parquet"
    pd.DataFrame({"text": ["x" * 1000] * 5000, "label": ["a"] * 5000}).to_parquet(path)
    monkeypatch.setattr(columnar, "MAX_TABLE_BYTES", 1_000)
    monkeypatch.setattr(columnar.pq.ParquetFile, "iter_batches", lambda *_: pytest.fail("rows were read"))
    with pytest.raises(LimitError, match="of memory"):
        uploads.read(path)


@pytest.mark.parametrize("is_dictionary", [True, False])
def test_parquet_that_repeats_a_text_without_end_is_refused_before_it_is_spread_out(
    tmp_path, monkeypatch, is_dictionary
):
    from studio.data import columnar

    monkeypatch.setattr(columnar.archives, "TOTAL_RATIO_FROM_BYTES", 1_000_000)
    texts = pa.array(["x" * 10_000] * 300)
    table = pa.table({"text": texts.dictionary_encode() if is_dictionary else texts, "label": ["a", "b", None] * 100})
    pq.write_table(table, tmp_path / "a.parquet")
    monkeypatch.setattr(columnar, "_arrow", lambda *_: pytest.fail("rows were spread out"))
    with pytest.raises(LimitError, match="rows of more than 3 MB"):
        uploads.read(tmp_path / "a.parquet")


def test_parquet_whose_rows_are_larger_than_it_says_is_stopped_on_the_way(tmp_path, monkeypatch):
    from studio.data import columnar

    path = tmp_path / "a.parquet"
    pd.DataFrame({"text": [["x" * 100_000]] * 5000}).to_parquet(path)
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(columnar, "MAX_TABLE_BYTES", 200 * 1024**2)
    with pytest.raises(LimitError, match="of memory"):
        uploads.read(path)


def test_apart_is_what_readers_of_other_files_call():
    assert apart.read is uploads.read, "tests read here"


def rows_of(upload):
    return [tuple(row) for row in upload.table.itertuples(index=False)]


def test_the_delimiter_that_excel_writes_into_the_first_line_is_no_row(tmp_path):
    read = uploads.read(written(tmp_path, "sep=|\r\ntext|label\r\na, b; c|x\r\nd|y\r\n"))
    assert rows_of(read) == [("a, b; c", "x"), ("d", "y")]
    assert list(read.lines) == [3, 4]


@pytest.mark.parametrize("name", ["rows.csv", "rows.txt", "rows.jsonl"])
def test_json_lines_and_packed_files_are_known_by_what_is_in_them(tmp_path, name):
    lines = '{"text": "a, b", "label": "x"}\n{"text": "c", "label": "y"}\n{"text": "d", "label": "y"}\n'
    assert rows_of(uploads.read(written(tmp_path, lines, name)))[0] == ("a, b", "x")
    packed = gzip.compress(lines.encode())
    assert rows_of(uploads.read(written(tmp_path, packed, name)))[0] == ("a, b", "x")


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"%PDF-1.7 ...", "is a PDF"), (b"<!DOCTYPE html><html>sign in", "is a web page"),
     (b"SQLite format 3\x00....", "an SQLite database"), (b"\x89PNG....", "is an image"),
     (b"<!-- saved -->\n<table><tr><td>a", "is a web page"), (b'<?xml version="1.0"?>\n<a>x, y</a>', "is XML"),
     (b'<svg xmlns="a">\n<rect x="1"/>\n</svg>\n', "is XML"),
     (b"<all>\n<one>a</one>\n<one>b</one>\n</all>\n", "is XML")],
)  # fmt: skip
def test_what_is_no_table_is_called_what_it_is(tmp_path, content, told):
    with pytest.raises(DataError, match=told):
        uploads.read(written(tmp_path, content, "rows.csv"))


def test_texts_with_tags_are_texts(tmp_path):
    tagged = "".join(f"<p>text <b>{row}</b></p>\n" for row in range(12)).encode()
    assert len(uploads.read(written(tmp_path, tagged, "rows.csv")).table) == 12


def test_a_text_that_begins_with_many_remarks_is_looked_through_once(tmp_path):
    """Each of them in two ways would be more ways than there is time for."""
    lines = [*(f"<!-- remark {row} -->" for row in range(60)), *(f"a text {row}" for row in range(12))]
    assert len(uploads.read(written(tmp_path, "\n".join(lines).encode(), "rows.txt")).table) >= 71


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_row_that_is_longer_than_a_block_is_read_below_its_header(tmp_path, end):
    rows = [f"{'word ' * (text_files.BLOCK_BYTES // 5 + 9)},a", *(f"text {row},b" for row in range(12))]
    found = uploads.read(written(tmp_path, end.join(["text,label", *rows]).encode(), "rows.csv")).table
    assert (len(found), list(found)) == (13, ["text", "label"])


def test_json_with_columns_and_then_rows_keeps_the_names(tmp_path):
    content = '{"columns": ["text", "label"], "index": [0, 1], "data": [["a", "x"], ["b", "y"]]}'
    read = uploads.read(written(tmp_path, content, "rows.json"))
    assert list(read.table.columns) == ["text", "label"]
    assert rows_of(read) == [("a", "x"), ("b", "y")]


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz"])
def test_what_is_packed_twice_is_refused_whatever_it_is_called(tmp_path, name):
    twice = gzip.compress(gzip.compress(b"text,label\na,b\n"))
    with pytest.raises(DataError, match="archive within an archive"):
        uploads.read(written(tmp_path, twice, name))


@pytest.mark.parametrize("words", [20, 3_000])
def test_lists_as_pandas_writes_them_are_read_however_long_they_are(tmp_path, words):
    tokens = [[f"w{number}" for number in range(words)] for _ in range(30)]
    tags = [["B-PER", *["O"] * (words - 1)] for _ in range(30)]
    table = pd.DataFrame({"tokens": map(str, tokens), "tags": map(str, tags)})
    upload = uploads.read(written(tmp_path, table.to_csv(index=False), "a.csv"))
    assert list(upload.table.columns) == ["tokens", "tags"]
    assert len(upload.table) == 30 and not upload.refused
