"""A few rows of a saved data set without opening the whole of it."""

from studio.data.glimpse import glimpse


def test_rows_of_every_label_come_first(home, saved):
    found = glimpse(home.dataset(saved.id), 3)
    assert [set(row) for row in found] == [{"text", "label"}] * 3
    assert {row["label"] for row in found[:2]} == {0, 1}


def test_a_damaged_or_missing_file_has_none(home, saved):
    (file,) = (home.dataset(saved.id) / "train").glob("data-*.arrow")
    file.write_bytes(b"no arrow")
    assert glimpse(home.dataset(saved.id), 3) == []
    assert glimpse(home.root / "nowhere", 3) == []
