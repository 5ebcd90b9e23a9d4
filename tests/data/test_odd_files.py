"""Files as people have them, half broken or oddly written: each is read as it was meant, or told with a cure."""

import json

import pytest

from studio.data import text_files, uploads
from studio.errors import DataError

TEXTS = [(f"a text, number {number}, about it", "ab"[number % 2]) for number in range(12)]
WANTED = [("text", "label"), *TEXTS]


def written(tmp_path, content, name="rows.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def csv_of(quote='"', between=",", header=True, escape=None):
    inner = {"": "{}", '"': '"{}"', "'": "'{}'"}[quote]
    rows = (WANTED if header else TEXTS)[:]
    return "\n".join(between.join(inner.format(cell) for cell in row) for row in rows) + "\n"


def rows_of(upload):
    return [tuple(upload.table.columns), *(tuple(row) for row in upload.table.itertuples(index=False))]


def test_marks_of_files_that_were_put_one_after_the_other_are_no_part_of_a_row(tmp_path, monkeypatch):
    both = ("\ufeff" + csv_of()) * 2
    lines = "".join("\ufeff" + json.dumps({"text": text, "label": label}) + "\n" for text, label in TEXTS)
    for block in (text_files.BLOCK_BYTES, 100):
        monkeypatch.setattr(text_files, "BLOCK_BYTES", block)
        assert rows_of(uploads.read(written(tmp_path, both))) == [*WANTED, *TEXTS]
        assert rows_of(uploads.read(written(tmp_path, "\ufeff" + lines, "a.jsonl"))) == WANTED


@pytest.mark.parametrize("word", ["ID3", "GIF8", "OggS", "Rar!", "PAR1", "ARROW1", "BZh", "BMI", "RIFF", "sftyp"])
def test_a_header_that_begins_as_files_of_another_kind_do_is_a_header(tmp_path, word):
    rows = f"{word},text,label\n" + "".join(f"1,{text.replace(',', '')},{label}\n" for text, label in TEXTS)
    assert list(uploads.read(written(tmp_path, rows)).table.columns) == [word, "text", "label"]


@pytest.mark.parametrize(
    ("head", "name"),
    [(b"RIFF\x24\0\0\0WEBPVP8 ", "an image"), (b"\0\0\0\x18ftypheic", "an image"), (b"BM6\0\x0c\0\0\0\0\0", "an image"),
     (b"\0\0\0\x18ftypmp42", "a video"), (b"RIFF\x24\0\0\0WAVEfmt ", "a sound file"), (b"ID3\x04\0", "a sound file")],
)  # fmt: skip
def test_images_films_and_sounds_are_called_what_they_are(tmp_path, head, name):
    with pytest.raises(DataError, match=f"The file is {name}"):
        uploads.read(written(tmp_path, head + bytes(range(256)), "table.csv"))


def test_a_pound_sign_makes_a_file_no_polish_one(tmp_path):
    rows = "text,label\n" + "".join(f"for £{number} a week,{label}\n" for number, (_, label) in enumerate(TEXTS))
    assert "£7" in uploads.read(written(tmp_path, rows.encode("cp1252"))).table["text"][7]


@pytest.mark.parametrize(
    "content",
    [
        "# exported by a tool\n# version 3, of today\n" + csv_of(),
        "# a note, with three, commas\n\n" + csv_of(),
        "Reviews of 2026\n\n" + csv_of(),
        "Reviews of 2026,\nmade by me,\n" + csv_of(),
        "# " + csv_of(),
        csv_of("'"),
        csv_of() + "\x1a",
        csv_of() + "\x00\x00\x00",
        csv_of().replace("number 7", "number\x00 7"),
        csv_of().replace(',"', ', "'),
        csv_of(between="^", quote=""),
        csv_of(between="\x01", quote=""),
        csv_of().replace("\n", "\n\n"),
        csv_of() + '"text","label"\n',
        csv_of() .replace("\n", "\r\r\n"),
        "\n".join(json.dumps({"text": text, "label": label}, indent=2) for text, label in TEXTS),
        ",\n".join(json.dumps({"text": text, "label": label}) for text, label in TEXTS),
    ],
    ids=["comments", "comment as wide as none", "title", "title in columns", "header as comment", "single quotes",
         "end of DOS", "zeros at the end", "zero in a cell", "space before quotes", "carets", "control characters",
         "blank lines", "header twice", "three ends of lines", "JSON over lines", "JSON with commas"],
)  # fmt: skip
def test_the_rows_are_read_as_they_were_meant(tmp_path, content):
    name = "rows.jsonl" if content.startswith("{") else "rows.csv"
    assert rows_of(uploads.read(written(tmp_path, content, name))) == WANTED


def test_a_first_line_that_begins_like_a_comment_and_is_none_stays_a_row(tmp_path):
    content = "#love this film,good\nnot so much,bad\n" + "".join(
        f"film {n},{['good', 'bad'][n % 2]}\n" for n in range(9)
    )
    assert len(uploads.read(written(tmp_path, content)).table) == 11


def test_what_stands_above_a_table_and_headers_that_come_again_are_counted_by_their_lines(tmp_path):
    upload = uploads.read(written(tmp_path, "# a tool\n" + csv_of() + '"text","label"\n'))
    assert [(each.reason, each.lines) for each in upload.refused] == [
        ("above the table", (1,)), ("the header once more", (15,))
    ]  # fmt: skip


@pytest.mark.parametrize(("quote", "before"), [('"', '\\"'), ("'", "\\'")])
def test_a_backslash_before_quotation_marks_is_understood_and_told(tmp_path, quote, before):
    lines = [f"{quote}she said {before}no, {number}{before} once{quote},{'ab'[number % 2]}" for number in range(9)]
    upload = uploads.read(written(tmp_path, "\n".join(["text,label", *lines])))
    assert upload.table["text"][3] == f"she said {quote}no, 3{quote} once"
    assert any("backslash" in note for note in upload.notes)


@pytest.mark.parametrize("between", ["\t", ";", "|"])
def test_decimal_commas_in_quotation_marks_are_no_delimiters(tmp_path, between):
    content = "".join(f'"text {number}"{between}"{number},5"\n' for number in range(9))
    assert uploads.read(written(tmp_path, content)).table["0"].tolist() == [f"text {number}" for number in range(9)]


def test_a_sign_that_begins_a_header_stays_the_name_of_its_column(tmp_path):
    content = "#,utterance,emotion\n" + "".join(f"{number},text {number},{'ab'[number % 2]}\n" for number in range(9))
    assert uploads.read(written(tmp_path, content)).table.columns.tolist() == ["#", "utterance", "emotion"]


@pytest.mark.parametrize("quote", ['"', "'"])
def test_quotation_marks_that_do_not_match_are_told_and_none_stays_around_a_label(tmp_path, quote):
    lines = [
        f"{quote}she said {quote}no{quote} {number}{quote},{quote}{'ab'[number % 2]}{quote}" for number in range(9)
    ]
    for header in ("text,label", f"{quote}text{quote},{quote}label{quote}"):
        upload = uploads.read(written(tmp_path, "\n".join([header, *lines])))
        assert rows_of(upload)[:2] == [("text", "label"), (f"she said {quote}no{quote} 0", "a")]
        assert any("do not match, first in line 2" in note for note in upload.notes)
        assert "Cells stand in single quotation marks." not in upload.notes


def test_quotation_marks_around_some_cells_alone_stay_where_they_do_not_match(tmp_path):
    lines = [f'"so" he said {number} "yes",a' if number % 2 else f"no {number},b" for number in range(9)]
    upload = uploads.read(written(tmp_path, "\n".join(["text,label", *lines])))
    assert upload.table["text"][1] == '"so" he said 1 "yes"'


def test_single_quotation_marks_around_few_cells_are_letters_and_around_most_are_told(tmp_path):
    lines = [f"'rock',{number % 3}" if number % 5 == 0 else f"plain text {number},{number % 3}" for number in range(20)]
    upload = uploads.read(written(tmp_path, "\n".join(["text,label", *lines])))
    assert upload.table["text"][0] == "'rock'"
    assert "Cells stand in single quotation marks." not in upload.notes
    assert "Cells stand in single quotation marks." in uploads.read(written(tmp_path, csv_of("'"))).notes


def test_an_index_without_a_name_is_a_column_as_r_writes_it(tmp_path):
    lines = [f'"{number}","{text}","{label}"' for number, (text, label) in enumerate(TEXTS, start=1)]
    upload = uploads.read(written(tmp_path, "\n".join(['"text","label"', *lines])))
    assert rows_of(upload)[:2] == [("0", "text", "label"), ("1", *TEXTS[0])]
    assert any("read as an index, the column '0'" in note for note in upload.notes)


def test_commas_within_texts_are_no_index(tmp_path):
    with_comma = [f"Nice film {number}, thanks,pos" for number in range(24)]
    for lines in (with_comma, [*with_comma, *(f"Great film {number},neg" for number in range(16))]):
        with pytest.raises(DataError, match=r"24 of \d+ rows have more cells than the 2 columns"):
            uploads.read(written(tmp_path, "\n".join(["text,label", *lines])))
    numbered = [f"{number},a text {number},{'ab'[number % 2]}" for number in range(24)]
    with pytest.raises(DataError, match="more cells"):
        uploads.read(written(tmp_path, "\n".join(["text,label", *numbered, "24,b"])))
    years = [f"{1980 + number % 20},a text {number},{'ab'[number % 2]}" for number in range(24)]
    with pytest.raises(DataError, match="more cells"):
        uploads.read(written(tmp_path, "\n".join(["text,label", *years])))


def test_a_delimiter_at_the_end_of_every_row_is_no_index_and_a_missing_label_hides_none(tmp_path):
    upload = uploads.read(written(tmp_path, "text,label\n" + "".join(f"{n},{'ab'[n % 2]},\n" for n in range(9))))
    assert rows_of(upload)[:2] == [("text", "label"), ("0", "a")]
    lines = [f"{number},a text {number},{'ab'[number % 2]}" for number in range(9)]
    upload = uploads.read(written(tmp_path, "\n".join(["text,label", *lines, "9,a text 9,"])))
    assert rows_of(upload)[-1] == ("9", "a text 9", "")


def test_decimal_commas_between_semicolons_are_numbers(tmp_path):
    lines = [f"text {number};1.{number:03},5{number};{number},1;{number},2,3" for number in range(12)]
    upload = uploads.read(written(tmp_path, "\n".join(["text;price;score;tags", *lines])))
    assert upload.table.iloc[3].tolist() == ["text 3", "1003.53", "3.1", "3,2,3"]
    assert sum("Decimal commas" in note for note in upload.notes) == 2


@pytest.mark.parametrize(
    ("name", "cells"),
    [("price", ["1,234", "12,000", "567"]), ("labels", ["1,2", "3,4", "5"]), ("Label", ["1,2", "1,12", "3,4"])],
)
def test_commas_that_may_be_of_thousands_or_between_labels_stay_and_that_is_told(tmp_path, name, cells):
    lines = [f"text {number}\t{cells[number % 3]}" for number in range(12)]
    upload = uploads.read(written(tmp_path, "\n".join([f"text\t{name}", *lines]), "rows.tsv"))
    assert upload.table[name].tolist() == cells * 4
    assert any(f"Commas in the column {name!r} may stand before decimals" in note for note in upload.notes)


@pytest.mark.parametrize(
    ("name", "cells"),
    [("price", ["0,125", "1,250", "2,375"]), ("price", ["1,234", "12,5", "567"]), ("score", ["4,5", "3,5", "2,0"]),
     ("label", ["0,85", "0,25", "0,55"]), ("price", ["1.234,125", "1,250", "1,375"])],
)  # fmt: skip
def test_commas_that_can_only_stand_before_decimals_are_points(tmp_path, name, cells):
    lines = [f"text {number};{cells[number % 3]}" for number in range(12)]
    upload = uploads.read(written(tmp_path, "\n".join([f"text;{name}", *lines])))
    assert upload.table[name].tolist()[:3] == [cell.replace(".", "").replace(",", ".") for cell in cells]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("one.json", "".join(json.dumps({"text": text, "label": label}) for text, label in TEXTS)),
        ("list.jsonl", json.dumps([{"text": text, "label": label} for text, label in TEXTS], indent=1)),
        ("mark.json", b"\xef\xbb\xbf" + json.dumps([{"text": text, "label": label} for text, label in TEXTS]).encode()),
        ("table.xls", csv_of()),
        ("table.xlsx", csv_of()),
    ],
)
def test_a_file_whose_name_says_another_kind_is_read_by_what_is_in_it(tmp_path, name, content):
    assert rows_of(uploads.read(written(tmp_path, content, name))) == WANTED


def test_rows_as_lists_a_line_are_numbered_columns(tmp_path):
    content = "\n".join(map(json.dumps, TEXTS))
    assert rows_of(uploads.read(written(tmp_path, content, "rows.jsonl"))) == [("0", "1"), *TEXTS]


def test_broken_json_over_lines_is_told_by_its_line(tmp_path):
    content = '{\n "text": "a"\n}\n{\n "text": b\n}\n'
    with pytest.raises(DataError, match="line 5 column"):
        uploads.read(written(tmp_path, content, "rows.jsonl"))


@pytest.mark.parametrize("encoding", ["mac_roman", "cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1255", "cp874"])
def test_encodings_of_the_world_are_found_out(encoding):
    words = {"cp1251": "это отзыв про кошек", "koi8_r": "это отзыв про кошек", "cp1253": "αυτή είναι κριτική",
             "cp1255": "זו ביקורת על כלבים", "cp874": "นี่คือรีวิวเกี่ยวกับแมว", "cp1250": "książka o żółwiach"}  # fmt: skip
    text = "".join(f"{words.get(encoding, 'café déjà vu à l’été')} {number},a\n" for number in range(60))
    assert text_files.read(text.encode(encoding)).text == text


@pytest.mark.parametrize("name", ["table.csv", "table.xlsx", "table.parquet", "table.zip", "table.json"])
@pytest.mark.parametrize(
    ("first", "told", "cure"),
    [
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "is a PDF", "into a spreadsheet"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "is an image", "a folder for each class"),
        (b"SQLite format 3\x00" + bytes(80), "is an SQLite database", "Export the table"),
        (b"\x7fELF\x02\x01" + bytes(range(200)), "is a program", "choose another file"),
        (b"PK\x03\x04" + bytes(40) + b"word/document.xml" + bytes(40), "is a Word document", "into a spreadsheet"),
    ],
)
def test_a_file_that_holds_no_table_is_called_what_it_is_whatever_its_name_says(tmp_path, name, first, told, cure):
    file = tmp_path / name
    file.write_bytes(first)
    with pytest.raises(DataError, match=told) as refused:
        uploads.read(file)
    assert cure in refused.value.cure


def test_bytes_of_no_kind_are_not_read_as_a_text_and_wide_letters_are(tmp_path):
    file = tmp_path / "table.csv"
    file.write_bytes(bytes(range(256)) * 8)
    with pytest.raises(DataError, match="holds no text"):
        uploads.read(file)
    file.write_bytes("text,label\nwo bist du,frage\nich gehe,satz\n".encode("utf-16-le"))
    assert list(uploads.read(file).table.columns) == ["text", "label"]
