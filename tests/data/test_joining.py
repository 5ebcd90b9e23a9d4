"""Several columns that are read as one text."""

import pandas as pd
import pytest

from studio.data.cleaning import clean
from studio.data.columns import Columns, guess_columns, guess_task
from studio.data.uploads import Upload
from studio.errors import DataError
from studio.service import library


def films(rows=30):
    """A table whose text stands in two columns."""
    table = {
        "title": ["" if number == 2 else f"film {number}" for number in range(rows)],
        "body": [f"it was {('good', 'bad')[number % 2]}" for number in range(rows)],
        "mark": ["ab"[number % 2] for number in range(rows)],
    }
    return Upload("table", pd.DataFrame(table, dtype=object))


def test_columns_with_a_plus_between_them_are_one_text_without_the_empty_ones():
    rows = clean(films(), Columns("title + body", "mark"), "text-classification")
    assert rows.table["input"].tolist()[1:3] == ["film 1\nit was bad", "it was good"]


def test_a_column_whose_name_has_a_plus_in_it_is_taken_as_it_is():
    upload = films()
    upload.table["title + body"] = [f"itself {number}" for number in range(30)]
    rows = clean(upload, Columns("title + body", "mark"), "text-classification")
    assert rows.table["input"][0] == "itself 0"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (Columns("title + plot", "mark"), "no column 'title . plot'"),
        (Columns("title + mark", "mark"), "Input and label"),
        (Columns("title + body", "mark", pair="body"), "Both texts"),
    ],
)
def test_a_part_that_is_not_there_or_is_taken_already_is_an_error(columns, message):
    with pytest.raises(DataError, match=message):
        clean(films(), columns, "sentence-pair-classification" if columns.pair else "text-classification")


def test_columns_that_were_joined_are_not_called_unused_and_held_out_files_are_joined_alike():
    files = library.Files(films(), test=films(12))
    found = library.check(files, columns={"input": "title + body", "label": "mark"}, drop_leaked=False)
    assert found.unused == ()
    held = found.rows.table[found.rows.table["split"] == "test"]
    assert held["input"].tolist()[0] == "film 0\nit was good"


@pytest.mark.parametrize("names", [("title", "body"), ("Subject", "Description"), ("headline", "short_description")])
def test_the_parts_of_a_letter_are_one_text_and_no_pair(names):
    first, second = names
    texts = {first: [f"the film {n}" for n in range(40)], second: [f"was rather long, number {n}" for n in range(40)]}
    upload = Upload("table", pd.DataFrame({**texts, "label": ["a", "b"] * 20}, dtype=object))
    assert guess_task(upload) == "text-classification"
    assert guess_columns(upload) == Columns(f"{first} + {second}", "label")


def test_two_texts_that_are_no_parts_of_one_are_still_a_pair():
    texts = {"claim": [f"the film {n}" for n in range(40)], "proof": [f"it was long, number {n}" for n in range(40)]}
    upload = Upload("table", pd.DataFrame({**texts, "label": ["a", "b"] * 20}, dtype=object))
    assert guess_task(upload) == "sentence-pair-classification"


def test_what_was_asked_and_answered_is_for_a_language_model_whatever_its_category_and_context():
    rows = {
        "instruction": [f"Say {n}" for n in range(20)],
        "context": [""] * 20,
        "response": [f"It is {n}." for n in range(20)],
    }
    upload = Upload("table", pd.DataFrame({**rows, "category": ["open", "closed"] * 10}, dtype=object))
    assert guess_task(upload) == "language-model"
    assert guess_columns(upload) == Columns("instruction + context", None, pair="response")


def test_the_label_that_annotators_agreed_on_is_taken_before_what_each_said():
    texts = {
        "sentence1": [f"a man sleeps {n}" for n in range(40)],
        "sentence2": [f"he is awake {n}" for n in range(40)],
    }
    said = {"annotator_labels": ['["no", "no"]', '["yes"]'] * 20, "gold_label": ["no", "yes"] * 20}
    upload = Upload("table", pd.DataFrame({**said, **texts}, dtype=object))
    assert guess_columns(upload) == Columns("sentence1", "gold_label", pair="sentence2")
