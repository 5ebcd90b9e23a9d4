import json

import pandas as pd
import pytest

from studio.config.run import UNLABELLED
from studio.data import uploads
from studio.data.cleaning import Rows, clean, inspect
from studio.data.columns import Columns, guess_columns
from studio.data.folder import divide, fingerprint, load
from studio.data.uploads import Upload
from studio.errors import DataError
from studio.service import library
from tests.conftest import reviews

COLUMNS = Columns("text", "label")


def cleaned(upload: Upload, test: Upload | None = None) -> Rows:
    return clean(upload, COLUMNS, "text-classification", test)


def table(texts: list[str], labels: list[str]) -> Upload:
    return Upload("table", pd.DataFrame({"text": texts, "label": labels}, dtype=object))


@pytest.mark.parametrize("seed", range(4))
def test_a_prompt_that_most_rows_begin_with_stays_in_training_and_splits_keep_their_shares(seed):
    prompts = ["Tell me a story."] * 120 + ["Go on."] * 60 + [f"What is {number} + 1?" for number in range(220)]
    rows = {"prompt": prompts, "answer": [f"So it is, {number} times." for number in range(400)]}
    columns = Columns("prompt", None, pair="answer")
    divided = divide(clean(Upload("table", pd.DataFrame(rows, dtype=object)), columns, "language-model"), seed=seed)
    sizes = {name: len(part) for name, part in divided.parts.items()}
    assert 36 <= sizes["test"] <= 80 and 20 <= sizes["validation"] <= 40, sizes


def test_copies_of_one_input_alone_are_divided_all_the_same():
    table = pd.DataFrame(
        {"prompt": ["so"] * 40 + ["no"] * 40 + ["well"] * 40, "answer": [str(number) for number in range(120)]},
        dtype=object,
    )
    divided = divide(clean(Upload("table", table), Columns("prompt", None, pair="answer"), "language-model"))
    assert all(len(part) == 40 for part in divided.parts.values())


def test_splits_are_stratified_seeded_and_share_no_row():
    first, again = divide(cleaned(reviews(200))), divide(cleaned(reviews(200)))
    other = divide(cleaned(reviews(200)), seed=1).whole()
    texts = {split: set(rows["text"]) for split, rows in first.whole().items()}
    assert {split: len(rows) for split, rows in first.parts.items()} == {"train": 140, "validation": 20, "test": 40}
    assert all(sum(rows["label"]) * 2 == len(rows) for rows in first.whole().values())
    assert not texts["train"] & texts["test"]
    assert not texts["train"] & texts["validation"]
    assert fingerprint(first.parts, ["bad", "good"]) == fingerprint(again.parts, ["bad", "good"])
    assert texts["test"] != set(other["test"]["text"])


def test_copies_of_one_text_never_lie_in_two_splits_that_the_studio_makes():
    texts = [f"message {number % 40}" + ("  " if number >= 40 else "") for number in range(80)]
    splits = divide(cleaned(table(texts, ["a" if int(text.split()[1]) % 2 else "b" for text in texts]))).whole()
    plain = {split: {text.strip() for text in rows["text"]} for split, rows in splits.items()}
    assert not plain["train"] & plain["test"]
    assert not plain["train"] & plain["validation"]


def test_rows_without_a_label_are_kept_for_training_and_never_measured_on():
    splits = divide(cleaned(reviews(120, unlabelled=30))).whole()
    assert sum(label == UNLABELLED for label in splits["train"]["label"]) == 30
    assert UNLABELLED not in splits["test"]["label"][:]
    assert UNLABELLED not in splits["validation"]["label"][:]


def test_a_given_test_file_is_the_test_set_and_nothing_else_is():
    given = table(["unseen good thing", "unseen bad thing", "one without a label"], ["good", "bad", ""])
    splits = divide(cleaned(reviews(), given)).whole()
    assert splits["test"]["text"][:] == ["unseen good thing", "unseen bad thing"]


def test_leaks_are_counted_and_taken_out_of_training_on_request():
    leaking = table(["The LOVELY thing  number 1 was lovely", "unseen bad thing"], ["good", "bad"])
    upload = table(
        [*reviews().table["text"], "the lovely thing number 1 was lovely"], [*reviews().table["label"], "good"]
    )
    rows = cleaned(upload, leaking)
    assert inspect(rows).leaked == 1
    kept, dropped = divide(rows).whole(), divide(library.without_leaks(rows)).whole()
    assert len(kept["train"]) + len(kept["validation"]) - len(dropped["train"]) - len(dropped["validation"]) >= 1
    assert len(dropped["test"]) == 2


def test_labels_that_are_numbers_are_ordered_by_size():
    texts = [f"text {number}" for number in range(60)]
    assert cleaned(table(texts, [str(number % 12) for number in range(60)])).labels == [
        str(number) for number in range(12)
    ]


@pytest.mark.parametrize(
    ("upload", "words"),
    [
        (table(["a", "b"] * 10, ["x"] * 20), "at least two different labels"),
        (table(["a", "b"], ["x", "y"]), "at least 10"),
        (table([" "] * 20, ["x", "y"] * 10), "at least two different labels"),
    ],
)
def test_data_that_cannot_be_learned_from_is_refused_in_words(upload, words):
    with pytest.raises(DataError, match=words):
        cleaned(upload)


def test_a_column_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(DataError, match=r"no column 'body'.*'text', 'label'"):
        clean(reviews(), Columns("body", "label"), "text-classification")


def test_columns_are_guessed_by_name_and_by_content():
    plain = pd.DataFrame({"0": ["a long sentence about a film", "another quite long one"] * 10, "1": ["1", "0"] * 10})
    named = pd.DataFrame({"id": range(20), "category": ["x", "y"] * 10, "message": ["hello there"] * 20})
    assert guess_columns(Upload("table", plain)) == Columns("0", "1")
    assert guess_columns(Upload("table", named)) == Columns("message", "category")


def test_what_is_saved_is_read_back_and_saving_it_again_changes_nothing(store, home):
    rows = cleaned(reviews())
    first = library.save(store, home, "mine", rows, COLUMNS)
    again = library.save(store, home, "mine", rows, COLUMNS)
    loaded = load(home.dataset(first.id))
    assert first.id == again.id
    assert loaded.labels == ["bad", "good"]
    assert loaded.fingerprint == first.fingerprint
    assert {split: len(part) for split, part in loaded.dict.items()} == first.splits


@pytest.mark.parametrize("name", ["", "   ", "7", "a\nb", "x" * 200])
def test_a_name_that_is_none_is_refused(store, home, name):
    with pytest.raises(DataError, match="name"):
        library.save(store, home, name, cleaned(reviews()), COLUMNS)


def test_naughty_strings_survive_the_way_to_disk_and_back(store, home, real_data):
    strings = [
        line for line in (real_data / "hostile" / "naughty_strings.txt").read_text().splitlines() if line.strip()
    ]
    upload = table(strings, ["a" if number % 2 else "b" for number in range(len(strings))])
    saved = library.save(store, home, "'; DROP TABLE runs; --", cleaned(upload), COLUMNS)
    loaded = load(home.dataset(saved.id)).dict
    assert sorted(text for rows in loaded.values() for text in rows["text"]) == sorted(strings)
    assert json.loads((home.dataset(saved.id) / "dataset.json").read_text())["name"] == "'; DROP TABLE runs; --"
    assert home.dataset(saved.id).parent == home.root / "datasets"


def test_the_leak_in_the_chinese_reviews_is_found(real_data):
    folder = real_data / "text" / "chnsenticorp"
    train, test = uploads.read(folder / "train.tsv"), uploads.read(folder / "test.tsv")
    rows = clean(train, guess_columns(train), "text-classification", test)
    assert 325 <= inspect(rows).leaked <= 335


def test_the_intents_of_a_bank_with_line_breaks_in_quotes_are_read_whole(real_data):
    upload = uploads.read(real_data / "text" / "banking77" / "train.csv")
    assert guess_columns(upload) == Columns("text", "category")
    assert len(upload.table) == 10_003
    assert len(cleaned_labels(upload)) == 77


def cleaned_labels(upload: Upload) -> list[str]:
    return clean(upload, guess_columns(upload), "text-classification").labels
