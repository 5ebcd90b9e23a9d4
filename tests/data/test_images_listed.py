"""What lies beside images in an archive: workbooks, lists of the files of a split; and images without an ending."""

import pandas as pd
import pytest

from studio.data import uploads
from tests.data.test_known_forms import TEXTS, packed, picture, pictures

NAMES = [f"images/{['cat', 'dog'][n % 2]}/{n}.png" for n in range(30)]


def test_the_table_beside_images_may_be_a_workbook(tmp_path):
    rows = pd.DataFrame({"file": [f"{n}.png" for n in range(30)], "label": ["a", "b", "c"] * 10})
    rows.to_excel(tmp_path / "labels.xlsx", index=False)
    files = pictures([f"im/{n}.png" for n in range(30)]) | {"labels.xlsx": (tmp_path / "labels.xlsx").read_bytes()}
    assert list(packed(tmp_path, files).table["label"][:3]) == ["a", "b", "c"]


@pytest.mark.parametrize("written", ["{}.png", "{}", "images/{}.png"])
def test_lists_of_files_that_are_called_as_splits_are_tell_the_splits(tmp_path, written):
    said = [name.removeprefix("images/").removesuffix(".png") for name in NAMES]
    lists = {"meta/train.txt": said[:20], "meta/test.txt": said[20:], "meta/classes.txt": ["cat", "dog"]}
    files = {name: "\n".join(map(written.format, lines)) for name, lines in lists.items()}
    upload = packed(tmp_path, pictures(NAMES) | files)
    assert list(upload.table["split"]) == ["train"] * 20 + ["test"] * 10
    assert list(upload.table["label"][:2]) == ["cat", "dog"]
    assert "The splits are those of the lists of files beside the images." in upload.notes


def test_a_text_of_another_kind_that_is_called_as_a_split_tells_none(tmp_path):
    upload = packed(tmp_path, pictures(NAMES) | {"train.txt": "\n".join(TEXTS), "test.txt": bytes(range(256)) * 9})
    assert set(upload.table["split"]) == {""}


def test_images_without_endings_are_images_and_texts_without_endings_are_texts(tmp_path):
    images = {name.removesuffix(".png"): picture(number) for number, name in enumerate(NAMES)}
    upload = packed(tmp_path, images)
    assert upload.kind == "images" and upload.table["label"].value_counts().to_dict() == {"cat": 15, "dog": 15}
    texts = packed(tmp_path, {name: TEXTS[number] for number, name in enumerate(images)})
    assert texts.kind == "table" and set(texts.table["label"]) == {"cat", "dog"}
    assert uploads.read(tmp_path / "data.zip").notes[0].startswith("30 texts")
