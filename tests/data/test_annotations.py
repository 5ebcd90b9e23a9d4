"""Annotations in other forms than a column of tags or labels: places in a text, choices, a word a row, 0 and 1."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from studio.data.cleaning import clean
from studio.data.columns import guess_columns, guess_task
from studio.data.uploads import Upload, read
from studio.data.word_rows import WordRows

TEXT = "Anna lives in New York."
NAME, PLACE = (0, 4, "PER"), (14, 22, "LOC")
TAGS = "B-PER O O B-LOC I-LOC O"


def saved(folder: Path, rows: list, name: str = "data.jsonl") -> Upload:
    path = folder / name
    path.write_text("\n".join(json.dumps(row) for row in rows) if name.endswith("l") else json.dumps(rows))
    return read(path)


def by_name(start: int, end: int, label: str) -> dict:
    return {"start": start, "end": end, "label": label}


@pytest.mark.parametrize(
    "row",
    [
        {"text": TEXT, "label": [NAME, PLACE]},  # Doccano
        {"text": TEXT, "entities": [{"start_offset": 0, "end_offset": 4, "label": "PER"},
                                    {"start_offset": 14, "end_offset": 22, "label": "LOC"}]},
        [TEXT, {"entities": [NAME, PLACE]}],  # spaCy
        {"text": TEXT, "tokens": [{"text": "Anna", "start": 0, "end": 4}], "spans": [by_name(*NAME), by_name(*PLACE)]},
        {"text": TEXT, "label": [{"start": s, "end": e, "labels": [t]} for s, e, t in (NAME, PLACE)]},  # Label Studio
        {"data": {"text": TEXT}, "annotations": [{"result": [
            {"type": "labels", "value": {"start": s, "end": e, "labels": [t]}} for s, e, t in (NAME, PLACE)]}]},
    ],
)  # fmt: skip
def test_entities_by_their_places_become_a_tag_for_each_word(tmp_path, row):
    upload = saved(tmp_path, [row] * 3)
    assert guess_task(upload) == "token-classification"
    assert list(upload.table["tags"]) == [TAGS] * 3
    assert list(upload.table["words"]) == ["Anna lives in New York ."] * 3
    assert "became a tag for each word" in upload.notes[-1]


def test_entities_that_overlap_or_are_not_within_their_text_are_counted(tmp_path):
    rows = [{"text": TEXT, "label": [NAME, [2, 10, "X"], [20, 99, "Y"]]}, {"text": "Nobody.", "label": []}]
    upload = saved(tmp_path, rows)
    assert list(upload.table["tags"]) == ["B-PER O O O O O", "O O"]
    assert upload.notes[-1] == "Entities left out: 1 that are not within their text, 1 that overlap another one."


def test_a_text_that_begins_with_a_bracket_keeps_its_words(tmp_path):
    others = [{"text": f"{TEXT} {number}", "label": [NAME]} for number in range(11)]
    upload = saved(tmp_path, [{"text": '["Anna"] slept', "label": [[2, 6, "PER"]]}, *others])
    rows = clean(upload, guess_columns(upload), guess_task(upload))
    assert (len(rows.table), rows.table["label"][0]) == (12, "O O B-PER O O O")


def test_letters_of_a_script_without_spaces_are_words(tmp_path):
    upload = saved(tmp_path, [{"text": "王小明在北京", "label": [[0, 3, "PER"], [4, 6, "a place"]]}])
    assert list(upload.table["tags"]) == ["B-PER I-PER I-PER O B-a_place I-a_place"]


@pytest.mark.parametrize(("choices", "cell"), [(["good"], "good"), (["good", "new"], '["good", "new"]')])
def test_choices_become_labels(tmp_path, choices, cell):
    result = [{"type": "choices", "value": {"choices": choices}}]
    rows = [{"data": {"text": f"{TEXT} {number}"}, "annotations": [{"result": result}]} for number in range(3)]
    upload = saved(tmp_path, rows, "data.json")
    assert list(upload.table["label"]) == [cell] * 3
    assert guess_columns(upload).label == "label"


def test_lists_of_numbers_and_messages_are_no_annotations(tmp_path):
    upload = saved(tmp_path, [{"text": TEXT, "boxes": [[1, 2, 3]], "said": [{"role": "user", "content": "a"}]}])
    assert list(upload.table.columns) == ["text", "boxes", "said"]


def test_words_in_rows_become_sentences_also_where_only_the_first_row_names_it(tmp_path):
    path = tmp_path / "ner.csv"
    lines = ["Sentence #,Word,POS,Tag", "Sentence: 1,Anna,NN,B-PER", ",slept,VB,O", "Sentence: 2,Rome,NN,B-LOC"]
    path.write_text("\n".join(lines))
    upload = read(path)
    assert upload.table.to_dict("list") == {"words": ["Anna slept", "Rome"], "tags": ["B-PER O", "B-LOC"]}
    assert guess_task(upload) == "token-classification"


def test_a_sentence_that_goes_on_in_the_next_block_stays_whole():
    first, second = words([(1, "Anna", "B-PER"), (2, "New", "B-LOC")]), words([(2, "York", "I-LOC"), (3, "is", "O")])
    rows = WordRows(first)
    found = [*rows.changed(first)["words"], *rows.changed(second)["words"], *rows.rest()["words"]]
    assert found == ["Anna", "New York", "is"]


def words(rows):
    return pd.DataFrame(rows, columns=["sentence_id", "word", "tag"]).astype(str)


def test_columns_of_0_and_1_become_the_labels_of_a_row(tmp_path):
    path = tmp_path / "toxic.csv"
    marks = ("1,0,0", "0,0,0", "1,0,1", "0,1,0")
    path.write_text("id,comment,rude,spam,threat\n" + "\n".join(f"{n},text {n},{marks[n % 4]}" for n in range(40)))
    upload = read(path)
    assert list(upload.table["labels"][:4]) == ['["rude"]', '["none"]', '["rude", "threat"]', '["spam"]']
    rows = clean(upload, guess_columns(upload), guess_task(upload))
    assert (rows.multi_label, rows.labels) == (True, ["none", "rude", "spam", "threat"])


def test_where_each_row_has_just_one_of_them_it_is_its_class(tmp_path):
    path = tmp_path / "kinds.csv"
    marks = ("yes,no,no", "no,yes,no", "no,no,yes")
    path.write_text("text,a,b,c\n" + "\n".join(f"text {n},{marks[n % 3]}" for n in range(30)))
    upload = read(path)
    assert list(upload.table["label"][:3]) == ["a", "b", "c"]


@pytest.mark.parametrize("header", ["text,a,b,c,label", "text,a,b,c,feeling"])
def test_facts_beside_a_label_are_left_as_they_are(tmp_path, header):
    path = tmp_path / "facts.csv"
    rows = (f"text {n},{n % 2},{(n + 1) % 2},{n // 2 % 2},{'xyz'[n % 3]}" for n in range(30))
    path.write_text("\n".join([header, *rows]))
    assert list(read(path).table.columns) == header.split(",")


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ({"text": TEXT}, ("text", None)),
        ({"text": TEXT, "url": "http://x"}, ("text", None)),
        ({"prompt": "Say it", "chosen": TEXT, "rejected": "No"}, ("prompt", "chosen")),
        ({"prompt": "Say it", "chosen": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
         ("chosen", None)),
        ({"input": "Say it", "output": TEXT}, ("input", "output")),
    ],
)  # fmt: skip
def test_texts_without_labels_and_answers_that_were_preferred_are_for_language_models(tmp_path, row, columns):
    rows = [{name: f"{cell} {n}" if isinstance(cell, str) else cell for name, cell in row.items()} for n in range(30)]
    upload = saved(tmp_path, rows)
    assert guess_task(upload) == "language-model"
    found = guess_columns(upload)
    assert (found.input, found.pair) == columns


def test_prices_that_never_come_again_are_numbers_to_learn(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text("text,price\n" + "\n".join(f'text {n},"${n + 1},0{n:02}.50"' for n in range(40)))
    upload = read(path)
    assert guess_task(upload) == "regression"
    assert guess_columns(upload).label == "price"
    assert set(clean(upload, guess_columns(upload), "regression").table["label"]) >= {"1000.50", "40039.50"}


def test_several_labels_in_one_cell_that_are_read_as_one_are_told(tmp_path):
    path = tmp_path / "genres.csv"
    kinds = ("a", "b", "c", "a;b", "b;c", "a;c")
    rows = (f"text {n},{kinds[n % 6]},{n % 6}" for n in range(60))
    path.write_text("\n".join(["text,genres,number of the genre", *rows]))
    upload = read(path)
    columns = replace(guess_columns(upload), label="genres")
    found = clean(upload, columns, "text-classification").report.findings
    assert {"several_labels", "gives_away"} <= {one.kind for one in found}
    assert "with ';' between them" in next(one.message for one in found if one.kind == "several_labels")


def test_places_that_are_written_as_texts_are_places(tmp_path):
    upload = saved(tmp_path, [{"text": TEXT, "label": [["0", "4", "PER"], ["14", "22", "LOC"]]}] * 3)
    assert list(upload.table["tags"]) == [TAGS] * 3


@pytest.mark.parametrize("counted", [len, lambda text: len(text.encode("utf-16-le")) // 2])
def test_an_entity_behind_an_emoji_is_where_its_words_are_however_the_program_counts(tmp_path, counted):
    text = "🎉🎉 Anna is in Rome 🎉"
    spans = [(counted(text[: text.index(word)]), word, label) for word, label in (("Anna", "PER"), ("Rome", "LOC"))]
    result = [{"value": {"start": at, "end": at + 4, "text": word, "labels": [label]}} for at, word, label in spans]
    upload = saved(tmp_path, [{"data": {"text": text}, "annotations": [{"result": result}]}] * 3)
    assert list(upload.table["tags"]) == ["O O B-PER O O B-LOC O"] * 3
