"""A few rows of a saved data set without opening the whole of it."""

import pandas as pd

from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.glimpse import glimpse
from studio.data.uploads import Upload
from studio.service import library


def test_rows_of_every_label_come_first(home, saved):
    found = glimpse(home.dataset(saved.id), 3)
    assert [set(row) for row in found] == [{"text", "label"}] * 3
    assert {row["label"] for row in found[:2]} == {0, 1}


def test_a_damaged_or_missing_file_has_none(home, saved):
    (file,) = (home.dataset(saved.id) / "train").glob("data-*.arrow")
    file.write_bytes(b"no arrow")
    assert glimpse(home.dataset(saved.id), 3) == []
    assert glimpse(home.root / "nowhere", 3) == []


def test_a_preview_of_data_in_the_order_of_its_classes_shows_rows_of_all(home, store):
    rows = [(f"{label} {number}", label, "train") for label in ("bad", "good") for number in range(60)]
    rows += [(f"{label} of {split}", label, split) for label in ("bad", "good") for split in ("validation", "test")]
    columns = Columns("text", "label", "split")
    upload = Upload("table", pd.DataFrame(rows, columns=["text", "label", "split"], dtype=object))
    saved = library.save(store, home, "in order", clean(upload, columns, "text-classification"), columns)
    assert set(library.head(home, saved, 20)["label"]) == {"bad", "good"}
