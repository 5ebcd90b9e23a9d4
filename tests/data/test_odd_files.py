"""Files as people have them, half broken or oddly written: each is read as it was meant, or told with a cure."""

import datetime
import gzip
import io
import json
import zipfile

import openpyxl
import pytest

from studio.data import excel, sheet_files, text_files, uploads
from studio.data.cleaning import clean
from studio.data.columns import guess_columns
from studio.errors import DataError
from studio.service import sources
from tests.data.test_uploads import png

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


# --- workbooks


def workbook(tmp_path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(tmp_path / "book.xlsx")
    return tmp_path / "book.xlsx"


def test_a_title_over_merged_cells_is_no_header(tmp_path):
    path = workbook(tmp_path, Reviews=[["Reviews of 2026"], [], *WANTED])
    upload = uploads.read(path)
    assert rows_of(upload) == WANTED
    assert [(each.reason, each.lines) for each in upload.refused] == [("above the table", (1,))]


def test_the_sheet_with_the_table_is_read_and_the_others_are_named(tmp_path):
    upload = uploads.read(
        workbook(tmp_path, About=[["This workbook holds"], ["reviews"]], Data=WANTED, More=WANTED[:3])
    )
    assert rows_of(upload) == WANTED
    assert any("'About', 'More'" in note for note in upload.notes)


def test_sheets_that_are_called_as_splits_are_joined(tmp_path):
    table = uploads.read(workbook(tmp_path, train=WANTED, Test=WANTED[:5])).table
    assert table["split"].value_counts().to_dict() == {"train": 12, "test": 4}
    upload = uploads.read(workbook(tmp_path, train=WANTED, Test=WANTED[:5], About=[["about"], ["it"]]))
    assert "Sheets that were not read: 'About'." in upload.notes


def test_a_sheet_without_a_header_keeps_its_first_row_and_a_doubt_is_told(tmp_path):
    assert rows_of(uploads.read(workbook(tmp_path, Data=TEXTS))) == [("0", "1"), *TEXTS]
    scored = [(text, number / 10) for number, (text, _) in enumerate(TEXTS, start=1)]
    assert len(uploads.read(workbook(tmp_path, Data=scored)).table) == 12
    upload = uploads.read(
        workbook(tmp_path, Data=[("A question of more than forty letters, is it not?", "Choice"), *TEXTS])
    )
    assert rows_of(upload)[1:] == TEXTS
    assert any("first row was taken for the header" in note for note in upload.notes)
    assert len(uploads.read(tmp_path / "book.xlsx", header=False).table) == 13
    numbers = [(str(number), str(number / 10)) for number in range(5, 30)]
    for header, rows in (("country", "2021"), scored), (("0", "1"), numbers), (("text", "b"), TEXTS):
        table = uploads.read(workbook(tmp_path, Data=[header, *rows])).table
        assert (list(table.columns), len(table)) == (list(header), len(rows))


def test_a_header_that_comes_again_in_a_sheet_is_no_row_and_a_second_table_is_told(tmp_path):
    upload = uploads.read(workbook(tmp_path, Data=[*WANTED, *WANTED]))
    assert rows_of(upload)[1:] == TEXTS * 2
    assert [(each.reason, each.lines) for each in upload.refused] == [("the header once more", (14,))]
    more = [["name", "amount"], *([f"p{number}", number] for number in range(4))]
    told = uploads.read(workbook(tmp_path, Data=[*WANTED, [], [], *more])).notes
    assert any(note.startswith("Row 16 looks like the header of a second table") for note in told)
    grouped = [row for place, row in enumerate(WANTED) for row in ([[], row] if place % 4 == 3 else [row])]
    upload = uploads.read(workbook(tmp_path, Data=grouped))
    assert rows_of(upload) == WANTED
    assert not any("second table" in note for note in upload.notes)


def test_each_row_of_merged_cells_has_their_value(tmp_path):
    rows = [[label if place % 6 == 0 else None, text] for place, (text, label) in enumerate(TEXTS)]
    path = workbook(tmp_path, Data=[["label", "text"], *rows])
    book = openpyxl.load_workbook(path)
    book.active.merge_cells("A2:A7")
    book.active.merge_cells("B8:C8")
    book.save(path)
    upload = uploads.read(path)
    assert upload.table["label"].tolist() == ["a"] * 7 + [""] * 5
    assert any("'label': 5 rows have the value of the first one" in note for note in upload.notes)


def test_marks_of_a_sheet_are_found_where_pieces_of_its_file_end():
    cell = (
        b'<c r="B2"><f>IF(1,"a","b")</f><v></v></c><c r="B3" t="str"><f>""</f><v></v></c><c r="B4"><f>1</f><v>1</v></c>'
    )
    content = b" " * (sheet_files.CHUNK - 20) + cell + b" " * (sheet_files.CHUNK - 5_000) + cell
    content += b'<mergeCell ref="AB2:AB9"/>' + b" " * sheet_files.CHUNK
    assert sheet_files.marks(io.BytesIO(content)) == ([(27, 2, 9)], 2)


def test_blank_rows_end_no_table_and_what_stands_below_too_many_of_them_is_told(tmp_path, monkeypatch):
    path = workbook(tmp_path, Data=[*WANTED[:6], *([[" ", ""]] * 90), *WANTED[6:]])
    assert rows_of(uploads.read(path)) == WANTED
    monkeypatch.setattr(excel, "BLANK_ROWS", 50)
    upload = uploads.read(path)
    assert len(upload.table) == 5
    assert any("below the 50 empty rows before row 57" in note for note in upload.notes)


def test_formulas_without_a_value_are_told(tmp_path):
    path = workbook(tmp_path, Data=[["text", "label"], *([text, '=IF(1,"a","b")'] for text, _ in TEXTS)])
    assert any(note.startswith("12 formulas have no value") for note in uploads.read(path).notes)


def test_errors_in_cells_are_empty_and_a_date_is_no_second_text(tmp_path):
    rows = [[text, "#N/A" if label == "a" else label, datetime.datetime(2026, 1, 2 + number)]
            for number, (text, label) in enumerate(TEXTS)]  # fmt: skip
    upload = uploads.read(workbook(tmp_path, Data=[["text", "label", "when"], *rows]))
    assert upload.table["label"].tolist() == ["", "b"] * 6
    assert guess_columns(upload).pair is None


# --- archives of images


def archive(tmp_path, *names, **files):
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for number, name in enumerate(names):
            packed.writestr(name, b"" if name.endswith("/") else png(number))
        for name, content in files.items():
            packed.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return path


def labels_of(upload):
    return dict(zip(upload.table["file"], upload.table["label"], strict=True))


def test_a_table_of_names_without_endings_gives_the_labels_and_what_it_lacks_is_told(tmp_path):
    table = "id,breed\n" + "".join(f"{number},{'ab'[number % 2]}\n" for number in (0, 1, 2, 9))
    upload = uploads.read(archive(tmp_path, *(f"pictures/{number}.png" for number in range(4)), labels_dot_csv=table))
    assert labels_of(upload) == {
        "pictures/0.png": "a", "pictures/1.png": "b", "pictures/2.png": "a", "pictures/3.png": ""
    }  # fmt: skip
    assert {"One row of the table names no image of the archive.",
            "One image stands in no row of the table: it has no label."} < set(upload.notes)  # fmt: skip


def test_metadata_in_each_folder_is_read_as_the_datasets_library_writes_it(tmp_path):
    lines = {split: "\n".join(json.dumps({"file_name": f"{number}.png", "label": f"{split}{number % 2}"})
                              for number in range(3)) for split in ("train", "test")}  # fmt: skip
    names = [f"{split}/{number}.png" for split in lines for number in range(3)]
    files = {f"{split}__metadata_dot_jsonl": content for split, content in lines.items()}
    upload = uploads.read(archive(tmp_path, *names, **files))
    assert labels_of(upload)["test/1.png"] == "test1"
    assert upload.table["split"].tolist() == ["train"] * 3 + ["test"] * 3


def test_a_table_that_names_no_image_leaves_the_folders_their_say(tmp_path):
    upload = uploads.read(archive(tmp_path, "cat/1.png", "dog/2.png", counts_dot_csv="class,label\ncat,1\ndog,1\n"))
    assert set(upload.table["label"]) == {"cat", "dog"}


def test_images_of_a_kind_that_is_not_read_are_counted_and_empty_folders_named(tmp_path):
    upload = uploads.read(archive(tmp_path, "cat/1.png", "dog/2.png", "cat/3.heic", "cat/4.heic", "bird/"))
    assert [(each.reason, each.count) for each in upload.refused] == [("an image of a kind that is not read", 2)]
    assert any("'bird'" in note for note in upload.notes)
    with pytest.raises(DataError, match="of a kind that is not read"):
        uploads.read(archive(tmp_path, "cat/1.heic", "dog/2.heic"))


def test_a_readme_beside_a_table_is_no_split(tmp_path):
    path = archive(
        tmp_path, data_dot_csv=csv_of(), README_dot_txt="Read me.", inner__LICENSE_dot_txt="Do what you like."
    )
    assert rows_of(uploads.read(path)) == WANTED


@pytest.mark.parametrize("mode", ["CMYK", "I;16", "RGBA", "LA", "P", "1", "F"])
def test_images_of_every_mode_are_taken(tmp_path, mode):
    from PIL import Image

    file = io.BytesIO()
    kind = {"CMYK": "JPEG", "F": "TIFF"}.get(mode, "PNG")
    Image.new(mode, (8, 8)).save(file, kind)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr(f"cat/1.{kind.lower()}", file.getvalue())
    assert len(uploads.read(tmp_path / "a.zip").table) == 1


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


def texts_of_classes(beside=()):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in beside:
            archive.writestr(name, text)
        for split in ("train", "test"):
            for label in ("neg", "pos"):
                for number in range(6):
                    archive.writestr(f"corpus/{split}/{label}/{number}.txt", f"Text {number},\n{split} and {label}\n")
    return file.getvalue()


def test_texts_in_folders_of_their_classes_are_rows_with_labels_and_splits(tmp_path):
    (tmp_path / "a.zip").write_bytes(texts_of_classes([("corpus/train/urls.txt", "https://example.org")]))
    upload = uploads.read(tmp_path / "a.zip")
    assert len(upload.table) == 24
    first = upload.table.iloc[0]
    assert (first["text"].strip(), first["label"], first["split"]) == ("Text 0,\ntrain and neg", "neg", "train")
    assert [(each.reason, each.rows) for each in upload.refused] == [
        ("in no folder of a class", ("corpus/train/urls.txt",))
    ]
    rows = clean(upload, guess_columns(upload), "text-classification")
    assert rows.report.splits == {"train": 12, "test": 12}
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path / "there")
    (tmp_path / "there" / "words.txt").write_text("of no class")
    folder = sources.read(tmp_path / "there")
    assert len(folder.table) == 24
    assert folder.refused[0].rows == ("corpus/train/urls.txt", "words.txt")


def test_texts_in_a_folder_of_texts_without_labels_have_none(tmp_path):
    (tmp_path / "a.zip").write_bytes(texts_of_classes([("corpus/train/unsup/0.txt", "Who knows?")]))
    table = uploads.read(tmp_path / "a.zip").table
    assert table.loc[table["text"].str.startswith("Who"), "label"].tolist() == [""]
    assert set(table["label"]) == {"", "neg", "pos"}


def test_a_text_that_cannot_be_read_is_named_by_its_file(tmp_path):
    good = " ".join(["Gr\u00fc\u00dfe"] * 40).encode()
    (tmp_path / "a.zip").write_bytes(texts_of_classes([("corpus/train/neg/broken.txt", good + b"\xff")]))
    with pytest.raises(DataError, match=r"corpus/train/neg/broken\.txt: Line 1 holds the byte 0xff"):
        uploads.read(tmp_path / "a.zip")


@pytest.mark.parametrize("name", ["a.xls", "a.csv", "a.xlsx.gz", "a.zip"])
def test_a_workbook_is_read_whatever_it_is_called_and_packed_too(tmp_path, name):
    book, file = openpyxl.Workbook(), tmp_path / name
    for row in [("text", "label"), *((f"text {number}", "ab"[number % 2]) for number in range(12))]:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    data = (tmp_path / "a.xlsx").read_bytes()
    if name == "a.zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("inner/table.xlsx", data)
    else:
        file.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert len(uploads.read(file).table) == 12
