"""More training rows as a new version of a data set; what is tested stays."""

import json

import numpy as np
import pandas as pd
import pytest

from studio.data import uploads
from studio.data.cleaning import clean
from studio.data.columns import Columns, guess_columns
from studio.data.folder import load
from studio.data.uploads import Upload
from studio.errors import AccessError, DataError
from studio.service import additions, corrections, library
from studio.service.acts import Acts
from studio.service.people import Person, local
from tests.conftest import reviews


def more(texts, labels) -> Upload:
    return Upload("table", pd.DataFrame({"text": texts, "label": labels}, dtype=object))


def new_ones(count: int = 12) -> Upload:
    return more([f"a new one, number {n}" for n in range(count)], ["good", "bad"] * (count // 2))


def test_new_rows_are_learned_and_the_rows_that_are_tested_stay(store, home, saved):
    acts = Acts(local(), home, store)
    before = load(home.dataset(saved.id)).dict
    upload = new_ones()
    tested = [before["test"]["text"][0].upper(), f"  {before['test']['text'][1]}\n"]
    both = [*tested, *upload.table["text"], upload.table["text"][0]]
    upload = more(both, ["good"] * len(both))
    grown = acts.add_rows(saved.id, upload, "more reviews")
    after = load(home.dataset(grown.row.id)).dict
    assert (grown.added, grown.known) == (12, 3)
    assert after["train"]["text"][:] == [*before["train"]["text"], *upload.table["text"][2:14]]
    for split in ("validation", "test"):
        assert after[split]["text"][:] == before[split]["text"][:]
    version = store.version(grown.row.id)
    assert (version.number, version.change) == (2, {"added": 12})
    assert grown.row.splits["train"] == saved.splits["train"] + 12
    assert grown.row.report["classes"]["good"] == saved.report["classes"]["good"] + 12
    assert grown.row.report["rows"] == saved.report["rows"] + 12


def test_labels_that_the_data_does_not_know_are_named_and_nothing_is_saved(store, home, saved):
    upload = more([f"text {n}" for n in range(12)], ["good", "odd"] * 6)
    with pytest.raises(DataError, match="does not know: odd"):
        additions.add_rows(store, home, saved.id, upload, "odd ones")
    with pytest.raises(DataError, match="in 'reviews' already"):
        additions.add_rows(store, home, saved.id, reviews(), "the same")
    assert len(store.datasets()) == 1


def test_a_viewer_adds_nothing(store, home, saved):
    with pytest.raises(AccessError):
        Acts(Person("v", "viewer", "v@example.org"), home, store).add_rows(saved.id, new_ones(), "x")


def test_a_corrected_data_set_counts_its_classes_anew(store, home, saved):
    rows = load(home.dataset(saved.id)).dict["test"]
    wrong = int(np.flatnonzero(np.array(rows["label"][:]) == 0)[0])
    store.mark(saved.id, "test", wrong, 1, None)
    row = corrections.save(store, home, saved.id, "corrected")
    was, now = saved.report["classes"], row.report["classes"]
    assert (now["good"], now["bad"]) == (was["good"] + 1, was["bad"] - 1)
    assert row.report["rows"] == saved.report["rows"]


def test_the_next_version_has_a_free_name(store, home, saved):
    assert additions.name_for(store, saved) == "reviews, version 2"
    additions.add_rows(store, home, saved.id, new_ones(), "reviews, version 2")
    assert additions.name_for(store, saved) == "reviews, version 3"


def test_one_row_of_one_class_is_enough(store, home, saved):
    assert additions.add_rows(store, home, saved.id, more(["a single new one"], ["good"]), "one more").added == 1


def test_columns_of_other_names_are_guessed(store, home, saved):
    upload = new_ones()
    upload.table.columns = ["review", "sentiment"]
    assert additions.add_rows(store, home, saved.id, upload, "other names").added == 12


def language(store, home, table):
    """A saved data set of texts that are written on, or of prompts with answers."""
    columns = Columns("text", None) if "text" in table else Columns("prompt", None, pair="answer")
    rows = clean(Upload("table", pd.DataFrame(table, dtype=object)), columns, "language-model")
    return library.save(store, home, "stories", rows, columns)


def test_texts_that_are_written_on_grow_like_any_other_data(store, home):
    saved = language(store, home, {"text": [f"Once there were {n} cats." for n in range(20)]})
    upload = Upload("table", pd.DataFrame({"text": ["A new story.", "ONCE there were 3  cats."]}, dtype=object))
    assert additions.add_rows(store, home, saved.id, upload, "more stories").added == 1


def test_another_answer_to_a_prompt_is_learned_only_where_that_prompt_is_not_tested(store, home):
    prompts = [f"What is {n} plus one?" for n in range(20)]
    saved = language(store, home, {"prompt": prompts, "answer": [f"{n + 1}" for n in range(20)]})
    before = load(home.dataset(saved.id)).dict
    table = pd.DataFrame({"prompt": prompts, "answer": ["another answer"] * 20}, dtype=object)
    grown = additions.add_rows(store, home, saved.id, Upload("table", table), "more answers")
    after = load(home.dataset(grown.row.id)).dict
    assert grown.added == len(before["train"])
    for split in ("validation", "test"):
        assert not set(after["train"]["prompt"]) & set(after[split]["prompt"])


def test_tags_that_are_numbers_are_not_added_for_each_file_numbers_its_own(store, home, tmp_path):
    rows = [{"tokens": ["Ada", "Lovelace", "once", f"said{n}"], "ner_tags": [1, 2, 0, 0]} for n in range(20)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    upload = uploads.read(tmp_path / "a.jsonl")
    saved = library.save(
        store, home, "names", clean(upload, guess_columns(upload), "token-classification"), guess_columns(upload)
    )
    odd = [{"tokens": ["Rome", "fell", f"then{n}"], "ner_tags": [2, 0, 0]} for n in range(20)]
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, odd)))
    with pytest.raises(DataError, match="may stand for other entities than in 'names'") as caught:
        additions.add_rows(store, home, saved.id, uploads.read(tmp_path / "b.jsonl"), "more names")
    assert "O, B-1, I-1" in caught.value.cure
