"""What is counted in a data set, and where its rows go."""

from datasets import Dataset

from studio.data.cleaning import clean, inspect
from studio.data.columns import Columns
from studio.data.folder import divide, fingerprint
from studio.service import library
from tests.data.test_data import cleaned, table


def of_two_classes(many: int, few: int):
    texts = [f"text number {number}" for number in range(many + few)]
    return cleaned(table(texts, ["many"] * many + ["few"] * few))


def test_every_split_has_its_share_of_every_class():
    splits = divide(of_two_classes(180, 20)).whole()
    counts = {name: [rows["label"][:].count(label) for label in (1, 0)] for name, rows in splits.items()}
    assert counts == {"train": [126, 14], "validation": [18, 2], "test": [36, 4]}


def test_a_class_of_one_row_stays_in_training():
    splits = divide(of_two_classes(40, 1)).whole()
    assert splits["train"]["label"][:].count(0) == 1


def test_leaked_rows_and_no_others_are_taken_out_of_training():
    texts = [f"text number {number}" for number in range(40)]
    rows = cleaned(table(texts, ["a", "b"] * 20), table(["Text  number 7", "text number 8", "new"], ["b", "a", "a"]))
    splits = divide(library.without_leaks(rows)).whole()
    left = {*splits["train"]["text"], *splits["validation"]["text"]}
    assert left == set(texts) - {"text number 7", "text number 8"}
    assert inspect(rows).leaked == 2


def test_a_row_without_a_label_in_a_given_split_goes_to_training():
    texts = [f"text number {number}" for number in range(40)]
    upload = table(texts, ["", *(["a", "b"] * 20)[1:]])
    upload.table["split"] = ["validation"] * 10 + ["train"] * 20 + ["test"] * 10
    splits = divide(clean(upload, Columns("text", "label", "split"), "text-classification")).whole()
    assert len(splits["validation"]) == 9
    assert "text number 0" in splits["train"]["text"][:]


def test_conflicts_and_duplicates_are_counted_once():
    texts = ["same", "Same ", "twice", "twice", *(f"text number {number}" for number in range(20))]
    report = inspect(cleaned(table(texts, ["a", "b", "a", "a", *["a", "b"] * 10])))
    assert report.duplicates == 2
    assert report.conflicts == 1


def test_the_fingerprint_changes_with_texts_labels_names_and_splits():
    def digest(train, test, names=("a", "b")):
        parts = {name: Dataset.from_dict({"text": texts, "label": labels})
                 for name, (texts, labels) in {"train": train, "test": test}.items()}  # fmt: skip
        return fingerprint({split: [rows] for split, rows in parts.items()}, list(names))

    first = digest((["x", "y"], [0, 1]), (["z"], [0]))
    assert first == digest((["x", "y"], [0, 1]), (["z"], [0]))
    others = [
        digest((["x", "yy"], [0, 1]), (["z"], [0])),
        digest((["x", "y"], [1, 1]), (["z"], [0])),
        digest((["x", "y"], [0, 1]), (["z"], [0]), ("a", "c")),
        digest((["y", "x"], [1, 0]), (["z"], [0])),
    ]
    assert first not in others
    assert len(set(others)) == 4


def test_the_fingerprint_tells_the_same_rows_in_another_split_apart():
    rows = Dataset.from_dict({"text": ["x"], "label": [0]})
    assert fingerprint({"train": [rows]}, ["a"]) != fingerprint({"test": [rows]}, ["a"])


def test_a_test_row_without_a_label_is_neither_measured_on_nor_trained_on():
    texts = [f"text number {number}" for number in range(40)]
    rows = cleaned(table(texts, ["a", "b"] * 20), table(["new and labelled", "new and not"], ["a", ""]))
    assert all("new and not" not in part["text"][:] for part in divide(rows).whole().values())
