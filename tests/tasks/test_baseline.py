"""The baseline: what it reads, what it answers, and that it is the same each time."""

import io

import numpy as np
import pytest
from datasets import Dataset
from PIL import Image
from sklearn.feature_extraction.text import TfidfVectorizer

from studio import tasks
from studio.config.run import UNLABELLED
from studio.tasks import baseline

TEXTS = ["a good book", "good and fine", "a bad book", "bad and poor"] * 10
LABELS = [0, 0, 2, 2] * 10


def texts(values=TEXTS, labels=LABELS) -> Dataset:
    return Dataset.from_dict({"text": values, "label": labels})


def test_it_learns_classes_and_never_chooses_one_that_no_training_row_has():
    found = baseline.fit(tasks.get("text-classification"), texts(), 3, seed=0).logits(texts())
    assert found.values.shape == (40, 3)
    assert found.values.argmax(-1).tolist() == LABELS


def test_the_same_rows_give_the_same_answers_to_the_bit():
    first, second = (baseline.fit(tasks.get("text-classification"), texts(), 3, seed=0).logits(texts()) for _ in "ab")
    assert (first.values == second.values).all()


def test_rows_without_a_label_teach_it_nothing():
    noise = texts([*TEXTS, *["good good good"] * 50], [*LABELS, *[UNLABELLED] * 50])
    plain, more = (baseline.fit(tasks.get("text-classification"), rows, 3, seed=0) for rows in (texts(), noise))
    assert (plain.logits(texts()).values == more.logits(texts()).values).all()


def test_of_many_rows_some_are_drawn(monkeypatch):
    monkeypatch.setattr(baseline, "MOST_ROWS", 12)
    seen = []
    fit_words = TfidfVectorizer.fit
    monkeypatch.setattr(TfidfVectorizer, "fit", lambda self, rows: (seen.append(len(rows)), fit_words(self, rows))[1])
    baseline.fit(tasks.get("text-classification"), texts(), 3, seed=0)
    assert seen == [12, 12]


def test_one_class_alone_is_no_baseline():
    with pytest.raises(ValueError, match="class"):
        baseline.fit(tasks.get("text-classification"), texts(labels=[1] * 40), 3, seed=0)


def test_several_labels_are_found_each_for_itself():
    rows = texts(labels=[[0], [0, 1], [2], [1, 2]] * 10)
    task = tasks.get("text-classification", multi_label=True)
    found = baseline.fit(task, rows, 3, seed=0).logits(rows)
    assert (found.values > 0).long().tolist()[:4] == [[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1]]


def test_numbers_for_pairs_follow_what_both_texts_share():
    generator = np.random.default_rng(0)
    words = ["cat", "dog", "sun", "sea", "red", "car", "sky", "ice"]
    pairs = [(" ".join(generator.choice(words, 4)), " ".join(generator.choice(words, 4))) for _ in range(300)]
    shared = [len(set(first.split()) & set(second.split())) / 4 for first, second in pairs]
    rows = Dataset.from_dict({"text": [a for a, _ in pairs], "text_pair": [b for _, b in pairs], "label": shared})
    found = baseline.fit(tasks.get("regression"), rows, 1, seed=0).logits(rows)
    assert found.values.shape == (300, 1)
    assert np.corrcoef(found.values[:, 0].numpy(), shared)[0, 1] > 0.8


def test_words_get_a_tag_each_by_themselves_and_their_neighbours():
    rows = Dataset.from_dict({"words": [["in", "Paris"], ["Bob", "ran", "home"]] * 8, "label": [[0, 1], [2, 0, 0]] * 8})
    found = baseline.fit(tasks.get("token-classification"), rows, 3, seed=0).logits(rows)
    assert found.offsets.tolist()[:3] == [0, 2, 5]
    assert found.values.argmax(-1).tolist()[:5] == [0, 1, 2, 0, 0]


def image(brightness: int) -> dict:
    file = io.BytesIO()
    Image.new("L", (9, 7), brightness).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def test_images_are_read_by_their_pixels_one_channel_where_all_are_grey():
    from datasets import Features, Value
    from datasets import Image as ImageFeature

    columns = {"image": [image(30 + 180 * (number % 2)) for number in range(20)], "label": [0, 1] * 10}
    rows = Dataset.from_dict(columns, features=Features({"image": ImageFeature(), "label": Value("int64")}))
    fitted = baseline.fit(tasks.get("image-classification"), rows, 2, seed=0)
    assert fitted.logits(rows).values.argmax(-1).tolist() == [0, 1] * 10
    assert fitted.parameters == 28 * 28 + 1


def test_its_size_is_its_weights_and_the_words_that_it_knows():
    fitted = baseline.fit(tasks.get("text-classification"), texts(), 3, seed=0)
    terms = [term for part in fitted.features.parts for term in part.vocabulary_]
    assert fitted.parameters == len(terms) + 1
    assert fitted.size_bytes == 4 * fitted.parameters + sum(len(term.encode()) + 8 for term in terms)
