"""Texts in files of their own: with annotations beside each, or a file for each class."""

import pytest

from studio.data.columns import Columns, fitting, guess_columns
from studio.errors import DataError
from tests.data.test_known_forms import REPLIES, TEXTS, opened, packed, table

NAMES = [f"{split}/{number}" for split in ("train", "dev", "test") for number in range(4)]
TEXT = "Ada met Bo\r\nin Rome .\n\nNobody said a word.\n"
SAID = "T1\tPER 0 3\tAda\nT2\tPER 8 10\tBo\nR1\tKnows Arg1:T1 Arg2:T2\nT3\tCITY 15 19\tRome\n#1\tAnnotatorNotes T1\tx\n"


def test_entities_in_a_file_beside_each_text_become_tags_line_by_line(tmp_path):
    files = {f"{name}.txt": TEXT for name in NAMES} | {f"{name}.ann": SAID for name in NAMES}
    upload = packed(tmp_path, files)
    assert fitting(upload)[0] == "token-classification"
    assert list(upload.table["tags"][:3]) == ["B-PER O B-PER", "O B-CITY O", "O O O O O"]
    assert upload.table["split"].value_counts().to_dict() == {"train": 12, "validation": 12, "test": 12}


def test_an_entity_in_several_pieces_is_one_from_its_first_word_to_its_last(tmp_path):
    files = {f"{n}.txt": "left and right lung" for n in range(12)}
    files |= {f"{n}.ann": "T1\tPART 0 4;15 19\tleft lung\n" for n in range(12)}
    assert packed(tmp_path, files).table["tags"][0] == "B-PART I-PART I-PART I-PART"


def test_a_file_of_texts_for_each_class_is_read_line_by_line(tmp_path):
    upload = packed(tmp_path, {"d/positive.txt": "\n".join(TEXTS), "d/negative.txt": "\n".join([*REPLIES, "", "more"])})
    assert guess_columns(upload) == Columns("text", "label")
    assert upload.table["label"].value_counts().to_dict() == {"positive": 60, "negative": 61}
    assert upload.notes[-1].endswith("the name of its file the label: 'd/positive.txt', 'd/negative.txt'.")


@pytest.mark.parametrize(
    "names", [("a1.txt", "a2.txt"), ("corpus.de.txt", "corpus.en.txt"), ("train.txt", "extra.txt")]
)
def test_names_that_may_be_no_classes_are_asked_for(tmp_path, names):
    with pytest.raises(DataError, match="is that for training"):
        packed(tmp_path, {name: "\n".join(TEXTS) for name in names})


@pytest.mark.parametrize(("written", "wanted"), [("{:,}", "1,000"), ("${:,}.50", "$1,000.50"), ("{} %", "1000 %")])
def test_sums_of_money_and_shares_are_numbers_to_learn(tmp_path, written, wanted):
    rows = [["offer", "price"], *[[text, written.format(n * 1733 + 1000)] for n, text in enumerate(TEXTS)]]
    upload = opened(tmp_path, "a.csv", table(rows))
    assert (fitting(upload)[0], guess_columns(upload).label) == ("regression", "price")
    assert upload.table["price"][0] == wanted


def test_decimal_commas_before_a_sign_of_money_are_read_as_points(tmp_path):
    rows = [["Anzeige", "Preis"], *[[text, f"{n + 1}.250,5{n % 10} €"] for n, text in enumerate(TEXTS)]]
    assert opened(tmp_path, "a.csv", table(rows, delimiter=";")).table["Preis"][0] == "1250.50 €"
    unsure = [["Anzeige", "Preis"], *[[text, f"{n + 1},250 €"] for n, text in enumerate(TEXTS)]]
    upload = opened(tmp_path, "b.csv", table(unsure, delimiter=";"))
    assert upload.table["Preis"][0] == "1,250 €" and "may stand before decimals" in upload.notes[-1]


def test_numbers_that_are_whole_and_all_different_are_rather_those_of_rows(tmp_path):
    rows = [["offer", "code"], *[[text, n * 1733 + 1000] for n, text in enumerate(TEXTS)]]
    assert fitting(opened(tmp_path, "a.csv", table(rows)))[0] != "regression"
