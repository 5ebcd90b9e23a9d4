"""Rows of a saved data set, read from its files as they lie there."""

import pandas as pd
import pytest

from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.folder import load
from studio.data.uploads import Upload
from studio.errors import DataError
from studio.kept import rows
from studio.service import library


def split(count: int) -> list[str]:
    return ["train" if number < count // 2 else "test" if number % 2 else "validation" for number in range(count)]


def save(store, home, task: str, columns: Columns, **cells: list[str]):
    table = pd.DataFrame({**cells, "split": split(40)}, dtype=object)
    return library.save(store, home, task, clean(Upload("table", table), columns, task), columns)


def test_texts_are_read_searched_and_measured(home, saved):
    found = rows.opened(home.dataset(saved.id), "test")
    wanted = load(home.dataset(saved.id)).dict["test"]
    assert len(found) == len(wanted)
    assert [found.value(row) for row in range(len(found))] == wanted["text"][:]
    assert found.labels([0, 3]) == [wanted["label"][0], wanted["label"][3]]
    assert found.contain("LOVELY").tolist() == ["lovely" in text for text in wanted["text"]]
    assert found.contain("[").sum() == 0
    assert found.lengths.tolist() == [len(text) for text in wanted["text"]]
    assert found.having(1).tolist() == [label == 1 for label in wanted["label"]]


def test_pairs_words_and_images_come_as_the_playground_takes_them(store, home, saved_digits):
    first, second = ([f"{word} {n}" for n in range(40)] for word in ("one", "two"))
    columns = Columns("a", "label", "split", pair="b")
    row = save(store, home, "sentence-pair-classification", columns, a=first, b=second, label=["x", "y"] * 20)
    found = rows.opened(home.dataset(row.id), "test")
    assert found.value(0) == ["one 21", "two 21"]
    assert found.contain("TWO 21").tolist()[:2] == [True, False]
    words = ["I like Bonn"] * 20 + [f"we saw Rome {n}" for n in range(20)]
    tags = ["O O B-place"] * 20 + ["O O B-place O"] * 20
    row = save(store, home, "token-classification", Columns("words", "tags", "split"), words=words, tags=tags)
    found = rows.opened(home.dataset(row.id), "test")
    assert found.value(0) == ["we", "saw", "Rome", "1"]
    assert found.contain("rome 1").tolist()[:1] == [True]
    assert found.having(1).all()
    assert not found.having(2).any()
    images = rows.opened(home.dataset(saved_digits.id), "test")
    assert images.value(0)[:4] == b"\x89PNG"
    assert not images.is_text and not images.contain("a").any()


def test_a_row_that_is_in_the_training_rows_too_is_found_there(store, home):
    texts = [f"row {number}" for number in range(40)]
    texts[3] = texts[39] = "the same words"
    row = save(store, home, "text-classification", Columns("text", "label", "split"), text=texts, label=["x", "y"] * 20)
    test, train = (rows.opened(home.dataset(row.id), name) for name in ("test", "train"))
    assert train.like(test, len(test) - 1).tolist() == [3]
    assert train.like(test, 0).tolist() == []


def test_a_data_set_whose_files_are_gone_is_named(home):
    with pytest.raises(DataError, match="cannot be read"):
        rows.opened(home.dataset(7), "test")
