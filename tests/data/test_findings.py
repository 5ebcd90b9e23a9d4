"""The data check finds what would make a result worthless."""

import json
from unittest.mock import Mock

import pandas as pd
import pytest

from studio.data import cleaning, findings
from studio.data.cleaning import Report, _counted, clean, inspect
from studio.data.columns import Columns, guess_columns
from studio.data.uploads import Upload
from tests.data.test_data import table

TEXTS = [f"a text with the number {number} in it" for number in range(300)]
AB = ["a", "b"] * 150


LANGUAGE = "language-model"


def kinds(upload, columns=None, test=None, task="text-classification"):
    rows = clean(upload, columns or Columns("text", "label"), task, test)
    return {finding.kind: finding for finding in inspect(rows).findings}


def test_of_one_row_the_findings_speak_as_of_one():
    of_one = Report(
        rows=9, labelled=8, classes={}, splits={}, warnings=[],
        leaked=1, conflicts=1, duplicates=1, empty=1, unlabelled=1,
    )  # fmt: skip
    of_two = of_one.model_copy(update=dict.fromkeys(("leaked", "conflicts", "duplicates", "empty", "unlabelled"), 2))
    assert all(each.message.startswith("One ") for each in _counted(of_one))
    assert all(each.message.startswith("2 ") for each in _counted(of_two))


def test_a_plain_balanced_set_has_few_findings():
    assert set(kinds(table(TEXTS * 4, AB * 4))) <= {"copies"}
    assert not kinds(table([f"{text} {part}" for part in "xyzv" for text in TEXTS], AB * 4))


def test_a_text_that_stands_in_many_rows_is_looked_through_once(monkeypatch):
    words, counted = Mock(wraps=findings._words), Mock(wraps=cleaning._count_words)
    monkeypatch.setattr(findings, "_words", words)
    monkeypatch.setattr(cleaning, "_count_words", counted)
    read = cleaning._text_key.cache_info().misses
    upload = table(["one text", "three words here"] * 150, AB)
    report = inspect(clean(upload, Columns("text", "label"), "text-classification"))
    assert report.words == {"shortest": 2, "median": 2, "95 % are shorter than": 3, "longest": 3}
    assert report.duplicates == 298
    assert (words.call_count, counted.call_count, cleaning._text_key.cache_info().misses - read) == (2, 2, 2)


def test_labels_that_only_test_rows_have_are_named():
    found = kinds(table(TEXTS, AB), test=table(["new one", "new two", "new three"], ["A", "b", "A"]))
    assert found["labels_in_test_only"].count == 2
    assert found["labels_in_test_only"].examples == ["A"]


def test_labels_that_differ_by_capitals_or_spaces_are_named():
    found = kinds(table(TEXTS, ["Good", "bad", "good ", "g ood"] * 75))
    assert sorted(found["label_spelling"].examples) == ["Good", "g ood", "good"]


def test_an_id_as_label_is_told_and_is_not_guessed():
    upload = table(TEXTS, [f"id-{number}" for number in range(300)])
    assert "id_as_label" in kinds(upload)
    numbered = table(TEXTS, AB).table.rename(columns={"label": "amount"}).assign(id=list(map(str, range(300))))
    assert guess_columns(type(upload)("table", numbered[["id", "amount", "text"]])).label == "amount"


def test_a_column_that_gives_the_label_away_is_named():
    upload = table(TEXTS, AB)
    upload.table["code"] = [{"a": "17", "b": "18"}[label] for label in AB]
    upload.table["noise"] = ["x", "x", "y"] * 100
    assert kinds(upload)["gives_away"].examples == ["code"]


def test_inputs_that_hold_their_label_are_told():
    labels = ["sports", "politics"] * 150
    found = kinds(table([f"{label}: {text}" for label, text in zip(labels, TEXTS, strict=True)], labels))
    assert "label_in_input" in found


def test_a_class_that_is_nearly_everything_is_told_with_its_share():
    found = kinds(table(TEXTS, ["yes"] * 295 + ["no"] * 5))
    assert "98% of the rows are 'yes'" in found["imbalance"].message
    assert found["rare"].examples == ["no"]


@pytest.mark.parametrize(("rows", "told"), [(300, True), (1200, False)])
def test_too_few_rows_for_a_verdict_are_told_before_saving(rows, told):
    upload = table([f"text {number}" for number in range(rows)], ["a", "b"] * (rows // 2))
    assert ("few_test_rows" in kinds(upload)) == told


def test_copies_near_copies_and_conflicts_are_counted_apart():
    found = kinds(table(["Same text", "same  text", "same text!", *TEXTS[:297]], ["a", "b", "a", *AB[:297]]))
    assert (found["copies"].count, found["near_copies"].count, found["conflicts"].count) == (1, 1, 1)


def test_numbers_of_tags_that_nobody_named_are_told_and_tags_are_not():
    words = [json.dumps(["Anna", "lives", "here"]), json.dumps(["Nobody", "does"])] * 20
    numbers = Upload("table", pd.DataFrame({"tokens": words, "ner_tags": ["[1, 0, 0]", "[0, 0]"] * 20}, dtype=object))
    assert "number for each word of 'tokens'" in kinds(numbers, guess_columns(numbers))["numbered_tags"].message
    several = Upload(
        "table", pd.DataFrame({"text": ["a b", "c d"] * 20, "label": ["[1, 0]", "[0, 2]"] * 20}, dtype=object)
    )
    assert "numbered_tags" not in kinds(several)


def test_a_text_that_is_a_number_in_every_row_is_told():
    assert "numbers, not texts" in kinds(table([str(number / 2) for number in range(300)], AB))["numbers"].message
    assert "numbers" not in kinds(table(["a few", *map(str, range(299))], AB))


def test_prompts_without_answers_are_told_with_the_way_to_have_some():
    prompts = [f"Tell me of number {number}." for number in range(20)]
    alone = Upload("table", pd.DataFrame({"prompt": prompts}, dtype=object))
    assert (
        "have a large model answer the prompts"
        in kinds(alone, Columns("prompt", None), task=LANGUAGE)["prompts_alone"].message
    )
    answered = Upload("table", pd.DataFrame({"prompt": prompts, "answer": prompts}, dtype=object))
    assert "prompts_alone" not in kinds(answered, Columns("prompt", None, pair="answer"), task=LANGUAGE)
    chats = [json.dumps([{"role": "user", "content": one}, {"role": "assistant", "content": one}]) for one in prompts]
    assert "prompts_alone" not in kinds(
        Upload("table", pd.DataFrame({"prompt": chats}, dtype=object)), Columns("prompt", None), task=LANGUAGE
    )
    texts = Upload("table", pd.DataFrame({"text": prompts}, dtype=object))
    assert "prompts_alone" not in kinds(texts, Columns("text", None), task=LANGUAGE)
