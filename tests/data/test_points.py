"""Images that are written as numbers, in many columns or in one."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from studio.data import cells
from studio.data.cleaning import clean
from studio.data.columns import guess_columns, guess_task
from studio.data.uploads import read
from studio.errors import LimitError

SIDE = 8
IMAGES = np.random.default_rng(0).integers(0, 256, (12, SIDE * SIDE))
KINDS = [number % 3 for number in range(12)]


def saved(folder, table, header=True):
    path = folder / "images.csv"
    table.to_csv(path, index=False, header=header)
    return read(path)


def points(names, values=IMAGES, **others):
    return pd.DataFrame({**others, **{name: values[:, place] for place, name in enumerate(names)}})


def drawn(upload):
    return np.stack([np.array(Image.open(io.BytesIO(cell))) for cell in upload.table["image"]])


@pytest.mark.parametrize(
    ("names", "header"),
    [
        ([f"pixel{number}" for number in range(64)], True),
        ([f"{row}x{column}" for row in range(SIDE) for column in range(SIDE)], True),
        ([str(number) for number in range(64)], False),
    ],
)
def test_a_column_for_each_point_is_an_image_a_row(tmp_path, names, header):
    upload = saved(tmp_path, points(names, label=KINDS), header)
    assert guess_task(upload) == "image-classification"
    assert (drawn(upload).reshape(12, -1) == IMAGES).all()
    assert list(upload.table["label"]) == list(map(str, KINDS))
    assert upload.notes[-2] == "The numbers in 64 columns are grey images of 8 × 8 points."
    assert upload.notes[-1].startswith("Their labels stand in ")


@pytest.mark.parametrize("place", [0, 64])
def test_of_columns_without_names_the_one_with_the_fewest_values_at_an_end_is_the_label(tmp_path, place):
    dark = IMAGES.copy()
    dark[:, 0] = 0  # a corner that is black in every image
    table = pd.DataFrame(np.insert(dark, place, KINDS, axis=1))
    upload = saved(tmp_path, table, header=False)
    assert list(upload.table["label"]) == list(map(str, KINDS))
    assert (drawn(upload).reshape(12, -1) == dark).all()


def test_the_digits_of_scikit_learn_are_as_bright_as_they_are_there(tmp_path):
    names = [f"pixel_{row}_{column}" for row in range(SIDE) for column in range(SIDE)]
    upload = saved(tmp_path, points(names, IMAGES % 17, target=KINDS))
    assert (drawn(upload).reshape(12, -1) == np.rint(IMAGES % 17 * (255 / 16))).all()


def test_points_that_are_shares_of_white_are_drawn_as_bright(tmp_path):
    upload = saved(tmp_path, points([f"p{number}" for number in range(64)], IMAGES / 255, label=KINDS))
    assert (drawn(upload).reshape(12, -1) == IMAGES).all()


def test_all_points_in_one_cell_are_an_image_and_the_names_of_its_splits_are_known(tmp_path):
    usage = ["Training"] * 8 + ["PublicTest"] * 2 + ["PrivateTest"] * 2
    table = pd.DataFrame({"emotion": KINDS, "pixels": [" ".join(map(str, one)) for one in IMAGES], "Usage": usage})
    upload = saved(tmp_path, table)
    assert (drawn(upload).reshape(12, -1) == IMAGES).all()
    assert list(upload.table["split"]) == ["train"] * 8 + ["validation"] * 2 + ["test"] * 2
    assert list(upload.table["label"]) == list(map(str, KINDS))
    found = clean(upload, guess_columns(upload), "image-classification")
    assert "gives_away" not in {one.kind for one in found.report.findings}, "the labels are not another column, too"


def test_images_without_labels_have_none(tmp_path):
    upload = saved(tmp_path, points([f"pixel{number}" for number in range(64)]))
    assert set(upload.table["label"]) == {""} and upload.notes[-1] == "They have no labels."


def test_rows_with_a_point_that_is_none_are_left_out_with_their_lines(tmp_path):
    table = points([f"pixel{number}" for number in range(64)], label=KINDS).astype(object)
    many = pd.concat([table] * 20, ignore_index=True)
    many.iloc[3, 5], many.iloc[231, 6] = "?", 256
    upload = saved(tmp_path, many)
    assert len(upload.table) == 238
    (refused,) = upload.refused
    assert refused.lines == (5, 233) and "?" in refused.rows[0]


@pytest.mark.parametrize(
    "table",
    [
        points([f"f{number}" for number in range(64)], label=KINDS),
        points([f"pixel{number}" for number in range(64)], IMAGES - 100, label=KINDS),
        points([f"pixel{number}" for number in range(60)], label=KINDS),
        pd.DataFrame({"text": ["1 2 3", "4 5"] * 6, "label": KINDS}),
    ],
)
def test_other_columns_of_numbers_are_no_images(tmp_path, table):
    assert saved(tmp_path, table).kind == "table"


def test_many_columns_that_are_no_points_are_still_too_many(tmp_path):
    wide = pd.DataFrame({f"name {number}": ["a", "b"] for number in range(cells.MAX_COLUMNS + 1)})
    with pytest.raises(LimitError, match="501 columns; at most 500"):
        saved(tmp_path, wide)
