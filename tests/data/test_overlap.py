"""What test rows share with training rows, and what they alone have."""

from datasets import Dataset

from studio.config.run import UNLABELLED
from studio.data import overlap


def texts(*rows: tuple[str, int]) -> Dataset:
    return Dataset.from_dict({"text": [text for text, _ in rows], "label": [label for _, label in rows]})


def test_a_test_row_whose_text_is_a_training_row_but_for_case_and_space_leaks():
    training = [texts(("Good  book", 0)), texts(("bad", 1))]
    assert overlap.leaked(training, texts(("good book", 0), ("Bad", 1), ("new", 0))) == 2


def test_of_a_pair_both_texts_must_be_the_same():
    pairs = Dataset.from_dict({"text": ["a", "a"], "text_pair": ["b", "c"], "label": [0, 1]})
    assert overlap.leaked([pairs], pairs.select([1])) == 1
    other = Dataset.from_dict({"text": ["a"], "text_pair": ["d"], "label": [0]})
    assert overlap.leaked([pairs], other) == 0


def test_words_leak_as_the_text_that_they_are():
    rows = Dataset.from_dict({"words": [["New", "York"]], "label": [[1, 2]]})
    assert overlap.leaked([rows], rows) == 1


def test_labels_that_only_test_rows_have_are_named():
    training = [texts(("a", 0), ("b", UNLABELLED))]
    assert overlap.unseen_labels(training, texts(("c", 0), ("d", 2)), ["x", "y", "z"]) == ("z",)
    several = Dataset.from_dict({"text": ["a"], "label": [[0, 1]]})
    assert overlap.unseen_labels([several], several, ["x", "y"]) == ()


def test_numbers_are_no_labels_that_could_be_missing():
    rows = Dataset.from_dict({"text": ["a"], "label": [0.5]})
    assert overlap.unseen_labels([rows], Dataset.from_dict({"text": ["b"], "label": [1.5]}), ["score"]) == ()
