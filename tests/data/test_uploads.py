import io
import json
import stat
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from studio.data import archives, uploads
from studio.errors import DataError, LimitError

ROWS = [
    ("das Übel war groß", "schlecht"),
    ('sehr gut, "wirklich"', "gut"),
    ("naja; geht so", "gut"),
    ("zwei\nZeilen", "gut"),
]


def png(shade: int, size: int = 8) -> bytes:
    file = io.BytesIO()
    Image.new("L", (size, size), shade).save(file, "PNG")
    return file.getvalue()


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_encoding_and_delimiter_is_read_as_it_was_written(tmp_path, encoding, delimiter):
    path = tmp_path / "rows.csv"
    table = pd.DataFrame(ROWS * 5, columns=["text", "label"])
    path.write_bytes(table.to_csv(index=False, sep=delimiter).encode(encoding))
    read = uploads.read(path).table
    assert list(map(tuple, read.to_numpy())) == ROWS * 5
    assert list(read.columns) == ["text", "label"]


def test_without_a_header_columns_are_numbered_and_no_row_is_lost(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("a fine film\t1\na dull film\t0\n")
    assert list(uploads.read(path, header=False).table.columns) == ["0", "1"]
    assert len(uploads.read(path, header=False).table) == 2


def test_words_that_look_like_nothing_or_numbers_stay_words(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\nNA,null\n1e5,007\nnan,None\n")
    assert uploads.read(path, header=True).table.to_numpy().tolist() == [
        ["NA", "null"],
        ["1e5", "007"],
        ["nan", "None"],
    ]


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet", "xlsx"])
def test_json_parquet_and_excel_are_read(tmp_path, suffix):
    path = tmp_path / f"rows.{suffix}"
    table = pd.DataFrame({"text": ["one", "two"], "label": [1, 0]})
    if suffix == "jsonl":
        table.to_json(path, orient="records", lines=True)
    elif suffix == "json":
        path.write_text(json.dumps(table.to_dict(orient="records")))
    elif suffix == "parquet":
        table.to_parquet(path)
    else:
        table.to_excel(path, index=False)
    assert uploads.read(path).table.to_numpy().tolist() == [["one", "1"], ["two", "0"]]


def test_what_looks_like_utf7_is_told_and_read_when_it_is_named(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes("text,label\none,grün\ntwo,grün\nthree,grün\nfour,rot\n".encode("utf-7"))
    assert "Some words look like UTF-7; if they are, name the encoding utf-7." in uploads.read(path).notes
    named = uploads.read(path, encoding="utf-7")
    assert named.table["label"].tolist() == ["grün", "grün", "grün", "rot"]
    assert not [note for note in named.notes if "look like" in note]


@pytest.mark.parametrize("name", ["model.bin", "weights.pt", "data.pkl", "array.npy", "m.joblib"])
def test_what_could_run_code_is_refused_unopened(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\x80\x04.")
    with pytest.raises(DataError, match="can run code"):
        uploads.read(path)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"train/cat/1.png": 0, "train/dog/1.png": 9, "test/cat/2.png": 5},
            {("train", "cat"), ("train", "dog"), ("test", "cat")},
        ),
        ({"cat/1.png": 0, "dog/2.png": 9}, {("", "cat"), ("", "dog")}),
        ({"set/val/cat/1.png": 0, "set/train/dog/2.png": 9}, {("validation", "cat"), ("train", "dog")}),
    ],
)
def test_folders_of_a_zip_name_split_and_class(tmp_path, files, expected):
    path = zipped(tmp_path / "images.zip", {name: png(shade) for name, shade in files.items()})
    table = uploads.read(path).table
    assert set(zip(table["split"], table["label"], strict=True)) == expected


def test_images_with_a_table_of_file_and_label_are_read(tmp_path):
    files = {"a.png": png(1), "b.png": png(2), "labels.csv": b"file,label\na.png,cat\nb.png,dog\n"}
    table = uploads.read(zipped(tmp_path / "images.zip", files)).table
    assert dict(zip(table["file"], table["label"], strict=True)) == {"a.png": "cat", "b.png": "dog"}


def test_broken_images_are_counted_and_left_out(tmp_path):
    files = {"cat/1.png": png(1), "dog/2.png": png(2), "dog/3.png": png(2)[:40], "dog/4.jpg": b"not an image"}
    upload = uploads.read(zipped(tmp_path / "images.zip", files))
    assert len(upload.table) == 2
    assert any("2 files were left out, each not an image" in note for note in upload.notes)


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/etc/evil.png", "C:/evil.png", "..\\evil.png"])
def test_an_archive_whose_names_climb_out_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="climbs out"):
        uploads.read(zipped(tmp_path / "images.zip", {name: png(1)}))


def test_a_link_in_an_archive_is_refused(tmp_path):
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("cat/1.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="link or a device"):
        uploads.read(path)


def test_an_archive_packed_to_do_harm_is_refused_before_it_is_unpacked(tmp_path):
    with pytest.raises(LimitError, match="packed more than"):
        uploads.read(zipped(tmp_path / "bomb.zip", {"cat/1.png": bytes(20 * 1024**2)}))


def test_too_many_files_are_refused_with_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    with pytest.raises(LimitError, match="holds 4 files; at most 3"):
        uploads.read(zipped(tmp_path / "many.zip", {f"cat/{number}.png": png(1) for number in range(4)}))


def test_every_hostile_file_is_read_or_refused_in_words(real_data):
    refused = 0
    for path in sorted((real_data / "hostile").rglob("*")):
        if path.is_file():
            try:
                uploads.read(path)
            except DataError as error:
                refused += 1
                assert error.message
    assert refused > 20


def test_images_that_pillow_refuses_never_stop_an_upload(tmp_path, real_data):
    broken = {f"cat/{path.name}": path.read_bytes() for path in (real_data / "hostile" / "broken_images").iterdir()}
    files = {"dog/good.png": png(3), "cat/good.png": png(4), **broken}
    table = uploads.read(zipped(tmp_path / "images.zip", files)).table
    assert {"dog/good.png", "cat/good.png"} <= set(table["file"])


@pytest.mark.parametrize(
    "name", ["comma_in_quotes", "escaped_quotes", "newlines", "quotes_and_newlines", "utf8", "json"]
)
def test_the_csv_spectrum_is_read_like_pandas_reads_it(real_data, name):
    path = real_data / "hostile" / "csv_spectrum" / f"{name}.csv"
    expected = pd.read_csv(path, dtype=str, keep_default_na=False)
    read = uploads.read(path, header=True).table
    assert read.to_numpy().tolist() == expected.to_numpy().tolist()
