"""Workbooks as people have them: merged cells, several tables, several sheets, other names."""

import datetime
import gzip
import io
import zipfile

import openpyxl
import pytest

from studio.data import excel, sheet_files, uploads
from studio.data.columns import guess_columns
from studio.errors import LimitError
from tests.data.test_odd_files import TEXTS, WANTED, rows_of


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
        workbook(tmp_path, About=[["This workbook holds"], ["reviews"]], Data=WANTED, More=[("a", "b"), *WANTED[1:3]])
    )
    assert rows_of(upload) == WANTED
    assert any("'About', 'More'" in note for note in upload.notes)


def test_sheets_that_are_called_as_splits_are_joined(tmp_path):
    table = uploads.read(workbook(tmp_path, train=WANTED, Test=WANTED[:5])).table
    assert table["split"].value_counts().to_dict() == {"train": 12, "test": 4}
    upload = uploads.read(workbook(tmp_path, train=WANTED, Test=WANTED[:5], About=[["about"], ["it"]]))
    assert "Sheets that were not read: 'About'." in upload.notes


def test_sheets_with_the_same_header_are_one_table_that_says_where_a_row_is_from(tmp_path):
    months = {
        month: [WANTED[0], *((f"{month} {text}", label) for text, label in WANTED[1:])] for month in ("May", "June")
    }
    upload = uploads.read(workbook(tmp_path, About=[["about"], ["it"]], **months))
    assert upload.table["sheet"].value_counts().to_dict() == {"May": 12, "June": 12}
    assert upload.notes[0].startswith("One table from the sheets 'May', 'June' of an Excel file")
    assert guess_columns(upload).label == WANTED[0][1]


@pytest.mark.filterwarnings("ignore:Title is more than 31")
def test_the_name_of_a_sheet_that_stands_beside_each_row_is_no_longer_than_those_of_files(tmp_path):
    path = workbook(tmp_path, **{kind * 300: [("text",), *TEXTS] for kind in "ab"})
    with pytest.raises(LimitError, match="A file or sheet has a name of 300 letters"):
        uploads.read(path)


def test_sheets_that_are_called_as_classes_give_the_labels(tmp_path):
    sheets = {kind: [("text",), *((f"{kind} and {text}",) for text, _ in TEXTS)] for kind in ("cats", "dogs")}
    upload = uploads.read(workbook(tmp_path, **sheets))
    assert guess_columns(upload).label == "sheet"


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


def changed(path, member, change):
    """The workbook with what `change` makes of one of its files."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(name, change(content) if name == member else content)
    return path


def test_a_workbook_that_names_its_sheet_again_and_again_is_refused(tmp_path, monkeypatch):
    again = b'<sheet name="a" sheetId="1" r:id="rId1"/>' * (excel.MOST_SHEETS + 1)
    path = changed(workbook(tmp_path, Data=WANTED), "xl/workbook.xml",
                   lambda content: content.replace(b"</sheets>", again + b"</sheets>"))  # fmt: skip
    monkeypatch.setattr(excel, "_read", lambda *_: pytest.fail("a sheet was read"))
    with pytest.raises(LimitError, match="The workbook has 202 sheets; at most 200 are read"):
        uploads.read(path)
