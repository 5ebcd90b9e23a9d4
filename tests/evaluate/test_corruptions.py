"""Inputs that are made worse: by how much, in the same way under the same seed, and nothing else of a row."""

import io

import numpy as np
import pytest
from datasets import Dataset
from PIL import Image

from studio import tasks
from studio.evaluate import corruptions

TEXT = "seven quiet gardeners carried yellow ladders through the open market " * 40


def draws() -> np.random.Generator:
    return np.random.default_rng(0)


def picture(value: int = 120, size: tuple[int, int] = (40, 40)) -> bytes:
    file = io.BytesIO()
    Image.new("L", size, value).save(file, "PNG")
    return file.getvalue()


def as_array(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)), dtype=float)


def test_about_as_many_letters_are_mistyped_as_asked_for():
    letters = sum(letter.isalpha() for letter in TEXT)
    written = corruptions.typos(TEXT, 0.1, draws())
    assert 0.85 * letters < sum(letter.isalpha() for letter in written) < 1.15 * letters
    same_length = [corruptions.typos("ab" * 500, share, draws()) for share in (0.05, 0.2)]
    changed = [1000 - len(text) + text.count("aa") + text.count("bb") for text in same_length]
    assert 0 < changed[0] < changed[1]
    assert corruptions.typos(TEXT, 0, draws()) == TEXT


def test_words_are_left_out_and_never_all_of_them():
    words = len(TEXT.split(" "))
    left = len(corruptions.dropped_words(TEXT, 0.4, draws()).split(" "))
    assert left == pytest.approx(0.6 * words, rel=0.15)
    assert corruptions.dropped_words("alone", 1.0, draws()) == "alone"


def test_so_many_words_are_written_in_capitals():
    words = corruptions.capitals(TEXT, 0.25, draws()).split()
    assert sum(word.isupper() for word in words) == pytest.approx(0.25 * len(words), rel=0.3)


def test_noise_has_the_deviation_that_its_level_says():
    rows = Dataset.from_dict({"image": [{"bytes": picture(), "path": None}], "label": [0]})
    noisy = corruptions.corrupted(rows, "noise", 0.1)
    assert as_array(noisy["image"][0]["bytes"]).std() == pytest.approx(25.5, rel=0.05)


def test_brightness_is_a_factor_and_jpeg_stays_near():
    image = Image.open(io.BytesIO(picture(100)))
    assert np.asarray(corruptions.brightness(image, 0.5, draws())).mean() == pytest.approx(50, abs=1)
    assert abs(np.asarray(corruptions.jpeg(image, 25, draws())).mean() - 100) < 4


def test_blur_spreads_an_edge_the_further_the_larger_its_level():
    half = np.zeros((40, 40), dtype=np.uint8)
    half[:, 20:] = 200
    widths = []
    for level in (0.02, 0.08):
        across = np.asarray(corruptions.blur(Image.fromarray(half), level, draws()))[20]
        widths.append(int(((across > 10) & (across < 190)).sum()))
    assert 0 < widths[0] < widths[1]


def test_blur_reaches_as_far_as_the_shorter_side_says():
    half = np.zeros((20, 200), dtype=np.uint8)
    half[:, 100:] = 200
    across = [
        np.asarray(corruptions.blur(Image.fromarray(pixels), 0.05, draws())).astype(float)[10]
        for pixels in (half, half[:, 90:110])
    ]
    assert np.abs(across[0][95:105] - across[1][5:15]).max() < 5


def test_no_row_is_changed_as_the_one_before():
    rows = Dataset.from_dict({"text": [TEXT, TEXT], "label": [0, 0]})
    first, second = corruptions.corrupted(rows, "typos", 0.2)["text"]
    assert first != second


def test_rows_keep_their_labels_and_are_changed_alike_under_one_seed():
    rows = Dataset.from_dict({"text": [TEXT, "a second text here"], "text_pair": ["one", TEXT], "label": [1, 0]})
    first, again, other = (corruptions.corrupted(rows, "typos", 0.2, seed) for seed in (0, 0, 1))
    assert first["label"][:] == [1, 0]
    assert first["text"][:] == again["text"][:] != other["text"][:]
    assert first["text_pair"][1] != TEXT
    assert corruptions.corrupted(rows, "typos", 0) is rows


def test_tagged_words_keep_their_number():
    words = tasks.get("token-classification")
    assert "dropped_words" not in corruptions.of_task(words)
    rows = Dataset.from_dict({"words": [["seven", "quiet", "gardeners"]], "label": [[0, 0, 1]]})
    for name in corruptions.of_task(words):
        assert len(corruptions.corrupted(rows, name, corruptions.TEXT[name].levels[-1])["words"][0]) == 3


def test_every_task_has_ways_but_for_those_that_learn_the_text_itself():
    for name, task in tasks.TASKS.items():
        assert bool(corruptions.of_task(task)) == (task.kind != "token"), name
