"""A data set of the Hugging Face Hub by its name: the real download against a hub on loopback."""

import functools
import json
import shutil
from types import SimpleNamespace

import huggingface_hub
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from studio.data import uploads
from studio.errors import DataError, DiskError, LimitError
from studio.service import hub_data, library, sources
from studio.tasks.image_files import NO_IMAGE
from tests.data.test_uploads import png
from tests.fake_hub import serving

CLASSES = {"info": {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}}


def written(folder, file, rows=20, label=True):
    """A Parquet file as the `datasets` library writes it: classes as numbers, their names beside them."""
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = [number % 2 if label else -1 for number in range(rows)]
    table = pa.table({"text": [f"{path.stem} {number}" for number in range(rows)], "label": labels})
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(CLASSES)}), path)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """(folder of the data set, what is called with a name and a card, requested paths)."""
    folder, requested = tmp_path / "data", []
    folder.mkdir()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)

    def call(name, card=None, converted=None, **more):
        with serving(folder, "someone/films", kind="datasets", card=card, converted=converted) as (address, asked):
            monkeypatch.setattr(hub_data, "HfApi", functools.partial(huggingface_hub.HfApi, endpoint=address))
            fetch = functools.partial(huggingface_hub.snapshot_download, endpoint=address, cache_dir=tmp_path / "cache")
            monkeypatch.setattr(hub_data, "snapshot_download", fetch)
            try:
                return sources.bring(f"hub:{name}", **more)
            finally:
                requested.extend(asked)

    return folder, call, requested


def test_the_tables_of_the_splits_are_joined_with_their_classes_by_name_and_nothing_else_is_fetched(hub):
    folder, call, requested = hub
    for file in (
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
        "data/test-00000-of-00001.parquet",
    ):
        written(folder, file)
    (folder / "films.py").write_text("print('run')")
    (folder / "README.md").write_text("films")
    told = []
    upload = call("someone/films", tell=lambda *values: told.append(values))
    assert upload.table["split"].value_counts().to_dict() == {"train": 40, "test": 20}
    assert set(upload.table["label"]) == {"neg", "pos"}
    assert not [path for path in requested if "films.py" in path.rpartition("resolve")[2]]
    assert told == [] or told[-1][0] <= told[-1][1]


def test_of_several_subsets_one_must_be_named(hub):
    folder, call, _ = hub
    for subset in ("plain", "spoken"):
        written(folder, f"{subset}/train-00000-of-00001.parquet")
        written(folder, f"{subset}/validation-00000-of-00001.parquet")
    with pytest.raises(DataError, match=r"has 2 subsets: plain, spoken\. Name one: hub:someone/films/plain"):
        call("someone/films")
    assert len(call("someone/films/spoken").table) == 40
    with pytest.raises(DataError, match="no subset 'sung'"):
        call("someone/films/sung")


def test_what_the_card_says_of_splits_wins_and_rows_without_labels_keep_none(hub):
    folder, call, _ = hub
    written(folder, "parts/one.parquet")
    written(folder, "parts/two.parquet")
    written(folder, "parts/rest.parquet", label=False)
    parts = [{"split": "train", "path": "parts/one*"}, {"split": "heldout", "path": ["parts/two.parquet"]}]
    rest = [{"split": "unsupervised", "path": "parts/rest.parquet"}]
    upload = call("someone/films", {"configs": [{"config_name": "default", "data_files": parts + rest}]})
    assert upload.table["split"].value_counts().to_dict() == {"train": 40, "test": 20}
    assert (upload.table["label"] == "").sum() == 20


def test_a_split_that_nobody_knows_is_left_out_and_named_or_asked_for_where_there_is_no_other(hub):
    folder, call, _ = hub
    written(folder, "train.parquet")
    written(folder, "extra.parquet")
    upload = call("someone/films")
    assert len(upload.table) == 20
    assert any("extra.parquet" in note for note in upload.notes)
    (folder / "train.parquet").unlink()
    with pytest.raises(DataError, match="is that for training"):
        call("someone/films")


def test_a_data_set_that_is_too_large_is_refused_before_it_is_fetched(hub, monkeypatch):
    folder, call, requested = hub
    written(folder, "train.parquet")
    monkeypatch.setattr(uploads, "MAX_BYTES", 100)
    with pytest.raises(LimitError, match="at most"):
        call("someone/films")
    assert not [path for path in requested if "resolve" in path]


def test_a_data_set_that_would_take_the_last_of_the_disk_is_not_fetched(hub, monkeypatch):
    folder, call, requested = hub
    written(folder, "train.parquet")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(total=10**12, free=10**9))
    with pytest.raises(DiskError, match="nothing new is begun"):
        call("someone/films")
    assert not [path for path in requested if "resolve" in path]


def test_a_data_set_of_csv_files_is_read_too(hub):
    folder, call, _ = hub
    pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]}).to_csv(folder / "train.csv", index=False)
    assert call("someone/films").table["label"].tolist() == ["x", "y"]


def test_a_name_as_the_hub_has_them_that_is_no_file_is_told_how_to_fetch_it():
    with pytest.raises(DataError, match="There is no file someone/films") as told:
        sources.bring("someone/films")
    assert "hub:someone/films" in told.value.cure


@pytest.mark.parametrize("name", ["someone/nothing", "a/b/c/d", "", "../etc/passwd", "a//b"])
def test_a_name_that_there_is_not_is_told(hub, name):
    folder, call, _ = hub
    written(folder, "train.parquet")
    with pytest.raises(DataError, match="no data set"):
        call(name)


def test_a_data_set_without_tables_is_told(hub):
    folder, call, _ = hub
    (folder / "weights.bin").write_bytes(b"pickle")
    with pytest.raises(DataError, match="holds no table"):
        call("someone/films")


def pictures(folder, file, shades, label=True):
    """Image files in a column of a Parquet file, as the `datasets` library writes them."""
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [{"bytes": png(shade), "path": f"{shade}.png"} for shade in shades]
    labels = [shade % 2 if label else -1 for shade in shades]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(cells, kind), "label": labels})
    features = {"image": {"_type": "Image"}, **CLASSES["info"]["features"]}
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})}), path)


def test_a_data_set_of_images_comes_with_its_splits_and_class_names_and_can_be_saved(hub, store, home):
    folder, call, _ = hub
    pictures(folder, "data/train-00000-of-00002.parquet", range(20))
    pictures(folder, "data/train-00001-of-00002.parquet", range(20, 40))
    pictures(folder, "data/test-00000-of-00001.parquet", range(40, 50))
    pictures(folder, "data/unsupervised-00000-of-00001.parquet", range(50, 55), label=False)
    upload = call("someone/films")
    assert upload.kind == "images"
    assert upload.table["split"].value_counts().to_dict() == {"train": 45, "test": 10}
    assert upload.table.loc[upload.table["file"] == "41.png", "label"].tolist() == ["pos"]
    row = library.add(store, home, library.Files(upload), name="films").row
    assert (row.task, row.labels, row.splits["test"]) == ("image-classification", ["neg", "pos"], 10)


def test_an_image_of_the_hub_that_is_none_is_left_out_and_counted(hub):
    folder, call, _ = hub
    pictures(folder, "train.parquet", range(12))
    table = pq.read_table(folder / "train.parquet")
    cells = table["image"].to_pylist()
    cells[3] = {"bytes": b"no image", "path": "3.png"}
    broken = table.set_column(0, "image", pa.array(cells, table.schema.field("image").type))
    pq.write_table(broken.replace_schema_metadata(table.schema.metadata), folder / "train.parquet")
    upload = call("someone/films")
    assert len(upload.table) == 11
    assert [(each.reason, each.rows) for each in upload.refused] == [(NO_IMAGE, ("3.png",))]


def test_images_in_folders_come_as_the_hub_itself_has_written_them_and_else_are_told(hub):
    folder, call, requested = hub
    (folder / "train" / "cat").mkdir(parents=True)
    (folder / "train" / "cat" / "1.png").write_bytes(png(1))
    files = tuple(f"default/{split}/0000.parquet" for split in ("train", "test"))
    for file in files:
        pictures(folder, file, range(12))
    upload = call("someone/films", converted=files)
    assert upload.table["split"].value_counts().to_dict() == {"train": 12, "test": 12}
    assert not [path for path in requested if path.endswith("1.png")]
    for file in files:
        (folder / file).unlink()
    with pytest.raises(DataError, match="holds no table"):
        call("someone/films")
