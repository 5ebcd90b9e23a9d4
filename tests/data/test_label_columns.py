"""Which column is taken for the label where several could be it, and what is said of the others."""

import csv
import io
import json

import pytest

from studio.data import uploads
from studio.data.cleaning import clean
from studio.data.columns import Columns, fitting, guess_columns

TEXTS = [f"the parcel number {number} came late and nobody answered" for number in range(80)]


def opened(tmp_path, rows):
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    (tmp_path / "a.csv").write_text(file.getvalue(), encoding="utf-8")
    return uploads.read(tmp_path / "a.csv")


def flagged(names):
    """Rows of a text and columns of 0 and 1."""
    cells = {name: place for place, name in enumerate(name for name in names if name != "text")}
    return [names, *[[text if name == "text" else n // 2 ** cells[name] % 2 for name in names]
                     for n, text in enumerate(TEXTS)]]  # fmt: skip


def others(upload):
    found = clean(upload, guess_columns(upload), fitting(upload)[0]).report.findings
    return next((finding.examples for finding in found if finding.kind == "other_labels"), [])


TICKETS = [["Customer Name", "Product", "Ticket Type", "Description", "Day"]] + [
    [f"Ann B{n}", "xy"[n % 2], "abc"[n // 2 % 3], text, f"2024-01-{n // 30 + 1:02}"] for n, text in enumerate(TEXTS)
]


def test_a_column_with_a_likely_name_is_taken_before_one_with_fewer_values_and_the_others_are_told(tmp_path):
    upload = opened(tmp_path, TICKETS)
    assert guess_columns(upload) == Columns("Description", "Ticket Type")
    assert others(upload) == ["Product"]


def test_names_of_people_are_no_text_of_a_pair(tmp_path):
    assert fitting(opened(tmp_path, TICKETS))[0] == "text-classification"


@pytest.mark.parametrize(("names", "label"), [
    (["text", "has_link", "is_upper", "is_spam"], "is_spam"), (["is_spam", "is_upper", "has_link", "text"], "is_spam"),
    (["text", "shouts", "links"], "links"),
])  # fmt: skip
def test_of_facts_of_0_and_1_the_last_or_the_likeliest_is_the_label_and_the_others_are_told(tmp_path, names, label):
    upload = opened(tmp_path, flagged(names))
    assert guess_columns(upload).label == label
    assert set(others(upload)) == set(names) - {"text", label}


def test_a_few_columns_of_0_and_1_that_are_read_as_one_say_that_each_may_be_the_label(tmp_path):
    upload = opened(tmp_path, flagged(["text", "rude", "loud", "late"]))
    assert guess_columns(upload).label == "labels"
    assert upload.notes[-1] == "If one of them alone is the label, choose it."


@pytest.mark.parametrize("names", [("label", "label_text"), ("category_id", "category"), ("intent_num", "intent")])
def test_the_names_of_classes_are_taken_before_their_numbers(tmp_path, names):
    rows = [["text", *names], *[[text, n % 3, ("late", "lost", "torn")[n % 3]] for n, text in enumerate(TEXTS)]]
    assert guess_columns(opened(tmp_path, rows)).label == names[1]
    rows[1][-1] = "torn"  # they do not go together any more
    assert guess_columns(opened(tmp_path, rows)).label in names


def test_the_name_within_a_label_is_taken_before_its_number(tmp_path):
    rows = [{"text": text, "label": {"id": n % 2, "name": "ab"[n % 2]}} for n, text in enumerate(TEXTS)]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    assert guess_columns(uploads.read(tmp_path / "a.json")).label == "label.name"


def test_beside_a_column_called_label_only_others_that_are_called_so_are_told(tmp_path):
    rows = [["text", "label", "shop", "sentiment"]]
    rows += [[text, "ab"[n % 2], "xyz"[n % 3], n // 2 % 2] for n, text in enumerate(TEXTS)]
    assert others(opened(tmp_path, rows)) == ["sentiment"]


def test_dates_are_no_labels(tmp_path):
    rows = [["text", "day"], *[[text, f"2024-0{n % 4 + 1}-01"] for n, text in enumerate(TEXTS)]]
    upload = opened(tmp_path, rows)
    assert (fitting(upload)[0], guess_columns(upload).label) == ("language-model", None)


def test_questions_of_a_form_are_a_header_by_the_answers_below_them(tmp_path):
    rows = [["When did you come to us?", "What did you like about it?", "Would you come again?", "Are you a member?"]]
    rows += [[f"5/1/2024 10:{n % 60:02}", text, ["Yes", "No"][n % 2], "yn"[n // 2 % 2]] for n, text in enumerate(TEXTS)]
    assert list(opened(tmp_path, rows).table) == rows[0]
    cut = [row[1:] for row in rows]  # without the dates
    assert list(opened(tmp_path, cut).table) == rows[0][1:]
    assert len(opened(tmp_path, cut[1:]).table) == len(TEXTS)
