"""Files as programs for annotating, forms and servers export them: what stands in them beside texts and labels."""

import json

import pandas as pd
import pytest

from studio.data import uploads
from studio.data.columns import Columns, fitting, guess_columns
from tests.data.test_known_forms import REPLIES, TEXTS, opened, packed, pictures, table


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_a_row_that_was_rejected_is_one_of_another_label_where_one_alone_was_proposed(tmp_path):
    said = ("accept", "reject", "ignore")
    rows = [{"text": text, "label": "RUDE", "answer": said[n % 3], "_view_id": "x"} for n, text in enumerate(TEXTS)]
    upload = opened(tmp_path, "a.jsonl", lines(rows))
    assert list(upload.table["label"][:2]) == ["RUDE", "not RUDE"]
    assert [(each.reason, each.count) for each in upload.refused] == [("ignored by the person who looked at it", 20)]
    assert list(upload.lines[:3]) == [1, 2, 4]


def test_a_row_that_was_rejected_is_left_out_where_several_labels_were_proposed(tmp_path):
    rows = [{"text": text, "label": "ab"[n % 2], "answer": ("accept", "reject")[n % 4 == 3]}
            for n, text in enumerate(TEXTS)]  # fmt: skip
    upload = opened(tmp_path, "a.jsonl", lines(rows))
    assert len(upload.table) == 45 and set(upload.table["label"]) == {"a", "b"}
    assert upload.refused[0].count == 15


def test_options_that_were_chosen_are_labels_by_their_texts(tmp_path):
    options = [{"id": "1", "text": "Sport"}, {"id": "2", "text": "News"}]
    rows = [{"text": text, "options": options, "accept": ["12"[n % 2]], "answer": "accept"}
            for n, text in enumerate(TEXTS)]  # fmt: skip
    assert list(opened(tmp_path, "a.jsonl", lines(rows)).table["label"][:2]) == ["Sport", "News"]
    rows[0]["accept"] = ["1", "2"]
    upload = opened(tmp_path, "b.jsonl", lines(rows))
    assert upload.table["label"][0] == '["Sport", "News"]'
    assert guess_columns(upload).separator == "|"


def test_answers_that_are_labels_stay(tmp_path):
    rows = [["text", "answer"], *[[text, ("accept", "reject")[n % 2]] for n, text in enumerate(TEXTS)]]
    assert guess_columns(opened(tmp_path, "a.csv", table(rows))).label == "answer"


@pytest.mark.parametrize(("tags", "said", "told"), [
    ([0, 1, 2, 0, 3, 0, 0, 0, 0], "O B-1 I-1 O B-2 O O O O", "1 and 2 as the beginning"),
    ([0, 2, 2, 0, 1, 0, 0, 0, 0], "O I-2 I-2 O I-1 O O O O", "every other number"),
    ([5, 2, 7, 5, 2, 7, 5, 2, 7], "B-5 B-2 B-7 B-5 B-2 B-7 B-5 B-2 B-7", "an entity of one word."),
])  # fmt: skip
def test_tags_that_are_numbers_without_names_are_read_as_tags(tmp_path, tags, said, told):
    words = [text.split()[:9] for text in TEXTS]
    pd.DataFrame({"tokens": words, "ner_tags": [tags] * 60}).to_parquet(tmp_path / "a.parquet")
    upload = uploads.read(tmp_path / "a.parquet")
    assert fitting(upload)[0] == "token-classification"
    assert set(upload.table["tags"]) == {said}
    assert told in upload.notes[-1]


def test_numbers_that_are_not_one_for_each_word_are_no_tags(tmp_path):
    frame = pd.DataFrame({"tokens": [text.split() for text in TEXTS], "labels": [[0, 1]] * 60})
    frame.to_parquet(tmp_path / "a.parquet")
    assert "tags" not in uploads.read(tmp_path / "a.parquet").table


def test_a_text_with_one_that_goes_with_it_and_one_that_does_not_makes_two_pairs(tmp_path):
    rows = [["anchor", "positive", "negative"], *zip(TEXTS, REPLIES, reversed(REPLIES), strict=True)]
    upload = opened(tmp_path, "a.csv", table(rows))
    assert guess_columns(upload) == Columns("sentence1", "label", pair="sentence2")
    assert [list(row) for row in upload.table[:2].to_numpy()] == [
        [TEXTS[0], REPLIES[0], "positive"], [TEXTS[0], REPLIES[59], "negative"]
    ]  # fmt: skip
    assert list(upload.lines[:3]) == [2, 2, 3] and upload.notes[-1].startswith("Triplets")


def test_a_question_about_a_passage_in_each_row_is_a_prompt_with_its_first_answer(tmp_path):
    rows = [{"title": "x", "context": text, "question": "When?", "answers": {"text": ["in May", "May"] * (n % 2),
             "answer_start": [3] * 2 * (n % 2)}} for n, text in enumerate(TEXTS)]  # fmt: skip
    upload = opened(tmp_path, "a.jsonl", lines(rows))
    assert guess_columns(upload) == Columns("prompt", None, pair="answer")
    assert list(upload.table["prompt"][:1]) == [f"{TEXTS[0]}\n\nWhen?"]
    assert list(upload.table["answer"][:2]) == ["", "in May"]


def test_rows_that_the_hub_serves_are_read_with_the_names_of_their_classes(tmp_path):
    about = [{"name": "text", "type": {"dtype": "string"}}, {"name": "label", "type": {"names": ["bad", "good"]}}]
    rows = [{"row_idx": n, "row": {"text": text, "label": n % 2}} for n, text in enumerate(TEXTS)]
    upload = opened(tmp_path, "a.json", json.dumps({"features": about, "rows": rows, "num_rows_total": 100}))
    assert list(upload.table) == ["text", "label"] and list(upload.table["label"][:2]) == ["bad", "good"]
    assert upload.notes[-1] == "40 more rows of the data set are not in the file."


def test_an_object_of_texts_and_their_labels_is_a_table(tmp_path):
    upload = opened(tmp_path, "a.json", json.dumps({text: "ab"[n % 2] for n, text in enumerate(TEXTS)}))
    assert guess_columns(upload) == Columns("key", "value")
    texts = opened(tmp_path, "b.json", json.dumps({"a": TEXTS[:40], "b": TEXTS[40:]}))
    assert texts.table["label"].value_counts().to_dict() == {"a": 40, "b": 20}


@pytest.mark.parametrize("name", ["a.csv", "a.xlsx"])
def test_totals_below_a_table_and_comments_in_it_are_left_out_and_counted(tmp_path, name):
    rows = [["text", "team", "hours"], *[[text, "ab"[n % 2], n] for n, text in enumerate(TEXTS)], ["Total:", "", 1770]]
    if name == "a.xlsx":
        pd.DataFrame(rows[1:], columns=rows[0]).replace("", None).to_excel(tmp_path / name, index=False)
        upload = uploads.read(tmp_path / name)
    else:
        upload = opened(tmp_path, name, table([*rows[:9], ["# the second part"], *rows[9:]]))
    told = {each.reason: each.count for each in upload.refused}
    assert told == {"totals of the rows": 1} | ({"a comment": 1} if name == "a.csv" else {})
    assert len(upload.table) == 60


def test_a_text_that_begins_with_a_hash_or_is_a_total_with_a_label_stays(tmp_path):
    rows = [["text", "label", "n"], ["#happy", "a", ""], ["total", "b", ""], ["# 1", "b", "2"]]
    rows += [[text, "ab"[n % 2], n] for n, text in enumerate(TEXTS)]
    assert len(opened(tmp_path, "a.csv", table(rows)).table) == 63


def test_images_for_testing_need_no_class_in_their_names(tmp_path):
    files = pictures(
        [f"train/{['cat', 'dog'][n % 2]}.{n}.png" for n in range(20)] + [f"test1/{n}.png" for n in range(9)]
    )
    given = packed(tmp_path, files).table
    assert set(given[given["split"] == "train"]["label"]) == {"cat", "dog"}
    assert list(given[given["split"] == "test"]["label"]) == [""] * 9


def test_the_texts_of_an_intent_may_be_objects(tmp_path):
    said = {"intents": [{"intent": "ab"[n], "examples": [{"text": text} for text in TEXTS[n::2]]} for n in range(2)]}
    upload = opened(tmp_path, "a.json", json.dumps(said))
    assert list(upload.table.iloc[0]) == [TEXTS[0], "a"] and len(upload.table) == 60


def test_bytes_as_python_writes_them_are_read_as_their_text(tmp_path):
    said = [repr(f"{text} caf\u00e9 it's {n}".encode()) for n, text in enumerate(TEXTS)]
    rows = [["text", "label", "part"], *[[cell, "ab"[n % 2], "b'x'" if n else "y"] for n, cell in enumerate(said)]]
    upload = opened(tmp_path, "a.csv", table(rows))
    assert upload.table["text"][0] == f"{TEXTS[0]} caf\u00e9 it's 0" and upload.table["part"][1] == "b'x'"
    assert upload.notes[-1] == "The cells of 'text' are bytes as Python writes them; the text in them is read."
