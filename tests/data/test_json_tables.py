"""Every way in which pandas and people write a table into one JSON object."""

import json

import pandas as pd
import pytest

from studio.data import passages, text_files, uploads
from studio.errors import DataError

RECORDS = [{"text": f"a text, number {number}", "label": "ab"[number % 2]} for number in range(12)]
TABLE = pd.DataFrame(RECORDS)
ODD = TABLE.rename(columns={"text": "utterance", "label": "mood"})


@pytest.fixture
def read(tmp_path):
    def of(value):
        path = tmp_path / "data.json"
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return uploads.read(path)

    return of


def records_of(upload):
    return upload.table.to_dict("records")


@pytest.mark.parametrize("orient", ["columns", "index", "records", "split", "table"])
@pytest.mark.parametrize("rows", [2, 3, 12])
def test_what_pandas_writes_is_read_back_whatever_its_shape_and_size(read, orient, rows):
    for table in (TABLE.head(rows), ODD.head(rows)):
        found = read(table.to_json(orient=orient))
        assert found.table[list(table.columns)].equals(table.astype(object))
        assert set(found.table.columns) <= {*table.columns, "index"}


def test_records_by_their_ids_are_rows_that_keep_the_ids(read):
    by_id = {f"id{number}": RECORDS[number % 12] for number in range(600)}
    found = read(by_id)
    assert found.table.shape == (600, 3)
    assert records_of(found)[3] == {"id": "id3", **RECORDS[3]}
    assert any("their names are the column 'id'" in note for note in found.notes)
    assert read({"a": {"id": "1", "text": "b"}}).table.columns.tolist() == ["name of the object", "id", "text"]
    assert len(read({f"id{number}": {"utterance": "a", "mood": "b"} for number in range(3)}).table) == 3


def test_columns_by_the_ids_of_their_rows_are_columns(read):
    by_name = TABLE.set_index(pd.Index([f"id{number}" for number in range(12)])).to_json()
    assert records_of(read(by_name)) == RECORDS


def test_where_nothing_says_what_is_a_row_the_file_is_refused(read):
    with pytest.raises(DataError, match="whether they are rows or columns cannot be told"):
        read({"x": {"c": 1, "d": 2}, "y": {"c": 3, "d": 4}})


def test_cells_of_columns_belong_to_rows_by_their_names(read):
    found = read({"text": {"0": "zero", "1": "one"}, "label": {"1": "b", "0": "a", "2": "c"}})
    assert records_of(found) == [
        {"text": "zero", "label": "a"}, {"text": "one", "label": "b"}, {"text": "", "label": "c"}
    ]  # fmt: skip
    assert "1 of 3 rows lacks a cell in some column; it is empty." in found.notes


@pytest.mark.parametrize("orient", ["list", "dict", "split", "index"])
def test_a_table_for_each_split_is_read_in_every_shape(read, orient):
    found = read({"train": TABLE.to_dict(orient), "test": TABLE.head(3).to_dict(orient), "version": 2})
    assert records_of(found)[11:13] == [{**RECORDS[11], "split": "train"}, {**RECORDS[0], "split": "test"}]
    with pytest.raises(DataError, match="called 'more'"):
        read({"train": TABLE.to_dict(orient), "more": TABLE.to_dict(orient)})


def test_ids_that_begin_like_splits_are_no_splits(read):
    tagged = {"words": ["one", "two"], "tags": ["A", "B"]}
    assert len(read({f"train-{number}": tagged for number in range(9)}).table) == 9


def test_no_cell_of_rows_below_names_is_dropped_and_no_column_hidden(read):
    with pytest.raises(DataError, match="Row 2 of the JSON file has 3 cells for 2 columns"):
        read({"columns": ["text", "label"], "data": [["a", "b"], ["a", "b", "c"]]})
    found = read({"columns": ["text", "text"], "data": [["a", "b"]]})
    assert records_of(found) == [{"text": "a", "text_2": "b"}]
    assert any("Two columns are called 'text'" in note for note in found.notes)


def test_the_one_list_of_rows_is_read_whatever_it_is_called_and_what_is_not_read_is_told(read):
    found = read({"version": 1, "items": RECORDS, "info": {"by": "me"}})
    assert records_of(found) == RECORDS
    assert "Parts of the file that were not read: 'info'." in found.notes
    assert "Parts of the file that were not read: 'more'." in read({"data": RECORDS, "more": RECORDS}).notes
    assert records_of(read({"data": ["one", "two"], "target": [0, 1]}))[1] == {"data": "two", "target": "1"}


def test_a_list_of_lists_takes_its_names_from_the_first_one_where_it_holds_names(read):
    lists = [list(row.values()) for row in RECORDS]
    assert records_of(read([["text", "label"], *lists])) == RECORDS
    assert read(lists).table.columns.tolist() == ["0", "1"]


def test_lists_a_line_take_their_names_from_the_first_one(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "BLOCK_BYTES", 100)
    monkeypatch.setattr(text_files, "LOOKED_AT", 70)
    path = tmp_path / "data.jsonl"
    lists = [list(row.values()) for row in RECORDS]
    path.write_text("\n".join(map(json.dumps, [["text", "label"], *lists])))
    assert records_of(uploads.read(path)) == RECORDS
    path.write_text("\n".join(map(json.dumps, lists)))
    assert uploads.read(path).table.shape == (12, 2)


def test_a_table_within_one_name_is_that_table(read):
    found = read({"data": TABLE.to_dict("list"), "info": {"by": "me"}})
    assert records_of(found) == RECORDS
    assert "Parts of the file that were not read: 'info'." in found.notes


def test_one_object_is_one_row(read):
    assert records_of(read({"text": "a", "label": "b", "meta": {"by": 1}})) == [
        {"text": "a", "label": "b", "meta.by": "1"}
    ]


def test_questions_about_passages_are_prompts_with_their_first_answer(read):
    asked = [
        {"question": "Who?", "id": "1", "answers": [{"text": "Anna", "answer_start": 0}, {"text": "she"}]},
        {"question": "When?", "id": "2", "answers": [], "is_impossible": True},
    ]
    found = read({"version": "2.0", "data": [{"title": "A", "paragraphs": [{"context": "Anna came.", "qas": asked}]}]})
    assert records_of(found) == [
        {"id": "1", "prompt": "Anna came.\n\nWho?", "answer": "Anna"},
        {"id": "2", "prompt": "Anna came.\n\nWhen?", "answer": ""},
    ]
    assert found.notes == (passages.NOTE,)


GROUPS = [{"tag": "greet", "patterns": ["Hi", "Hello"], "responses": ["Hi."]}, {"tag": "bye", "patterns": ["Bye"]}]
TEXTS = [{"text": "Hi", "label": "greet"}, {"text": "Hello", "label": "greet"}, {"text": "Bye", "label": "bye"}]


@pytest.mark.parametrize("value", [{"intents": GROUPS}, GROUPS])
def test_the_texts_that_a_label_holds_in_a_list_are_rows(read, value):
    found = read(value)
    assert records_of(found) == TEXTS
    assert found.notes == ("Each text in 'patterns' is a row, with 'tag' as its label.",)


def test_a_table_within_one_object_within_another_is_read(read):
    within = {"common_examples": TEXTS, "regex_features": [], "entity_synonyms": []}
    assert records_of(read({"rasa_nlu_data": within})) == TEXTS


def test_of_several_lists_the_one_that_is_far_longer_holds_the_rows(read):
    said = {"version": "7", "intents": [{"name": "a"}, {"name": "b"}], "utterances": RECORDS * 40}
    found = read(said)
    assert len(found.table) == 40 * len(RECORDS)
    assert "Parts of the file that were not read: 'intents'." in found.notes
