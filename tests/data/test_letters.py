"""Letters that were lost, that nobody sees, or that are stored in two ways: none changes a data set in silence."""

import json

import openpyxl
import pytest

from studio.data import text_files, uploads
from studio.data.columns import guess_columns, guess_task
from studio.data.mending import mended
from studio.errors import DataError
from studio.service import library
from studio.tasks.classes import label_order

TEXTS = [f"a text of its own, number {number}" for number in range(40)]


def written(tmp_path, content, name="rows.csv"):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path / name


def table(labels, texts=TEXTS):
    lines = (f'"{text}",{labels[place % len(labels)]}' for place, text in enumerate(texts))
    return "text,label\n" + "\n".join(lines) + "\n"


def findings(path):
    return {each.kind: each for each in library.check(library.Files(uploads.read(path))).report.findings}


def test_halves_of_letters_and_bytes_that_did_not_fit_are_counted_as_lost(tmp_path):
    halves = ["\ud83d" if place < 3 else "" for place in range(len(TEXTS))]
    lines = [{"text": text + halves[place], "label": "ab"[place % 2]} for place, text in enumerate(TEXTS)]
    path = written(tmp_path, "\n".join(map(json.dumps, lines)), "rows.jsonl")
    found = findings(path)["lost_letters"]
    assert found.count == 3
    assert found.message.startswith("3 texts or labels hold \N{REPLACEMENT CHARACTER}")
    assert "lost_letters" not in findings(written(tmp_path, table("ab")))
    assert findings(written(tmp_path, table(["a", "b\N{REPLACEMENT CHARACTER}"])))["lost_letters"].count == 20


def test_labels_that_look_alike_are_told_and_can_be_written_alike(tmp_path):
    for alike in (["caf\u00e9", "cafe\u0301"], ["good", "go\u200bod"], ["good", "\u200fgood"], ["good", "\ufeffgood"]):
        upload = uploads.read(written(tmp_path, table([*alike, "tea"])))
        checked = library.check(library.Files(upload))
        kinds = {each.kind for each in checked.report.findings}
        assert "label_spelling" in kinds, alike
        assert "label_near" not in kinds, "one finding is enough"
        assert len(mended(checked.rows, ["label_spelling"]).labels) == 2
    assert "label_spelling" not in findings(written(tmp_path, table(["x²", "x2", "tea"])))


def test_lines_in_utf8_among_latin_ones_are_told_and_as_many_as_those_refuse_the_file(tmp_path):
    some, others = (table("ab", [f"caf\u00e9 {text}" for text in part]) for part in (TEXTS[:8], TEXTS))
    mixed = others.encode("cp1252") + some.partition("\n")[2].encode()
    notes = uploads.read(written(tmp_path, mixed)).notes
    assert "8 lines look like UTF-8, the first is line 42; all are read as cp1252." in notes
    plain = uploads.read(written(tmp_path, others.encode("cp1252"))).notes
    assert not any("look like" in note for note in plain)
    half = others.encode() + others.partition("\n")[2].encode("cp1252")
    with pytest.raises(DataError, match="Line 42 holds the byte 0xe9, which is not UTF-8"):
        uploads.read(written(tmp_path, half))


def test_halves_of_letters_in_bytes_are_no_other_encoding(tmp_path):
    halves = "\ud83d\ude00".encode("utf-8", "surrogatepass")
    lines = b"".join(f"number {place} ".encode() + halves + b",a\n" for place in range(40))
    with pytest.raises(DataError, match="Line 2 holds the byte 0xed, which is not UTF-8"):
        uploads.read(written(tmp_path, b"text,label\n" + lines))
    assert uploads.read(written(tmp_path, b"text,label\n" + lines), encoding="utf-8").table.shape == (40, 2)


def test_utf7_at_the_end_of_a_line_is_told_and_telephone_numbers_are_none(tmp_path):
    told = "Some words look like UTF-7; if they are, name the encoding utf-7."
    path = written(tmp_path, table(["caf\u00e9", "th\u00e9"]).encode("utf-7"))
    assert b"+AOk\n" in path.read_bytes()
    assert told in uploads.read(path).notes
    assert set(uploads.read(path, encoding="utf-7").table["label"]) == {"caf\u00e9", "th\u00e9"}
    plain = table("ab", [f"call +49301234567{place} or +1-202-555-0123 for C+Plus 1+100" for place in range(40)])
    assert told not in uploads.read(written(tmp_path, plain)).notes


def test_lists_of_labels_are_several_labels(tmp_path):
    rows = [{"text": text, "labels": [["good", "late"], ["late"], []][place % 3]} for place, text in enumerate(TEXTS)]
    upload = uploads.read(written(tmp_path, json.dumps(rows), "rows.json"))
    assert guess_columns(upload, guess_task(upload)).separator is not None
    checked = library.check(library.Files(upload))
    assert checked.rows.multi_label
    assert checked.rows.labels == ["good", "late"]
    assert checked.report.classes == {"good": 14, "late": 27}
    assert checked.report.unlabelled == 13


def test_a_sheet_that_nobody_sees_is_read_only_where_there_is_no_other(tmp_path):
    book = openpyxl.Workbook()
    book.active.title, book.active.sheet_state = "Old", "hidden"
    shown = book.create_sheet("New")
    for sheet, word in ((book.active, "old"), (shown, "new")):
        sheet.append(["text", "label"])
        for place, text in enumerate(TEXTS):
            sheet.append([f"{word} {text}", "ab"[place % 2]])
    book.active = 1
    book.save(tmp_path / "two.xlsx")
    both = uploads.read(tmp_path / "two.xlsx")
    assert both.table["text"][0].startswith("new")
    assert "Sheets that were not read: 'Old'." in both.notes
    shown.sheet_state, book["Old"].sheet_state = "hidden", "visible"
    book.save(tmp_path / "other.xlsx")
    assert uploads.read(tmp_path / "other.xlsx").table["text"][0].startswith("old")


def test_a_header_alone_is_called_one(tmp_path):
    with pytest.raises(DataError, match="a header and no rows"):
        uploads.read(written(tmp_path, "text,label\n"))
    assert uploads.read(written(tmp_path, "text,label\n"), header=False).table.shape == (1, 2)


def test_a_label_that_is_no_number_has_one_place_among_numbers():
    labels = ["nan", "2", "NaN", "10", "a"]
    assert {tuple(sorted(order, key=label_order)) for order in (labels, labels[::-1], sorted(labels))} == {
        ("2", "10", "NaN", "a", "nan")
    }
    assert text_files.LEAST_MIXED == 2


HEBREW = "המוצר טוב מאוד אבל הגיע מאוחר"
CYRILLIC = ("Продукт дуже гарний, але прийшов пізно", "Продуктът е много добър, но дойде късно",
            "Производ је добар, али касни", "Все хорошо, но поздно")  # fmt: skip


def test_hebrew_is_told_from_cyrillic(tmp_path):
    rows = "".join(f"{HEBREW} {number},{('חיובי', 'שלילי')[number % 2]}\n" for number in range(60))
    table = uploads.read(written(tmp_path, f"טקסט,תווית\n{rows}".encode("cp1255"))).table
    assert (list(table), table.iloc[0, 0]) == (["טקסט", "תווית"], f"{HEBREW} 0")
    for text in CYRILLIC:
        rows = "text,label\n" + "".join(f'"{text} {number}",{"ab"[number % 2]}\n' for number in range(20))
        assert uploads.read(written(tmp_path, rows.encode("cp1251"))).table["text"][0] == f"{text} 0"
