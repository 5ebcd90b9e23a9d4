"""Archives as people have them: images and texts in folders, with and without a table beside them."""

import io
import json
import zipfile

import pytest

from studio.data import uploads
from studio.data.cleaning import clean
from studio.data.columns import guess_columns
from studio.errors import DataError
from studio.service import sources
from tests.data.test_odd_files import WANTED, csv_of, rows_of
from tests.data.test_uploads import png


def archive(tmp_path, *names, **files):
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for number, name in enumerate(names):
            packed.writestr(name, b"" if name.endswith("/") else png(number))
        for name, content in files.items():
            packed.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return path


def labels_of(upload):
    return dict(zip(upload.table["file"], upload.table["label"], strict=True))


def test_a_table_of_names_without_endings_gives_the_labels_and_what_it_lacks_is_told(tmp_path):
    table = "id,breed\n" + "".join(f"{number},{'ab'[number % 2]}\n" for number in (0, 1, 2, 9))
    upload = uploads.read(archive(tmp_path, *(f"pictures/{number}.png" for number in range(4)), labels_dot_csv=table))
    assert labels_of(upload) == {
        "pictures/0.png": "a", "pictures/1.png": "b", "pictures/2.png": "a", "pictures/3.png": ""
    }  # fmt: skip
    assert {"One row of the table names no image of the archive.",
            "One image stands in no row of the table: it has no label."} < set(upload.notes)  # fmt: skip


def test_metadata_in_each_folder_is_read_as_the_datasets_library_writes_it(tmp_path):
    lines = {split: "\n".join(json.dumps({"file_name": f"{number}.png", "label": f"{split}{number % 2}"})
                              for number in range(3)) for split in ("train", "test")}  # fmt: skip
    names = [f"{split}/{number}.png" for split in lines for number in range(3)]
    files = {f"{split}__metadata_dot_jsonl": content for split, content in lines.items()}
    upload = uploads.read(archive(tmp_path, *names, **files))
    assert labels_of(upload)["test/1.png"] == "test1"
    assert upload.table["split"].tolist() == ["train"] * 3 + ["test"] * 3


def test_a_table_that_names_no_image_leaves_the_folders_their_say(tmp_path):
    upload = uploads.read(archive(tmp_path, "cat/1.png", "dog/2.png", counts_dot_csv="class,label\ncat,1\ndog,1\n"))
    assert set(upload.table["label"]) == {"cat", "dog"}


def test_images_of_a_kind_that_is_not_read_are_counted_and_empty_folders_named(tmp_path):
    upload = uploads.read(archive(tmp_path, "cat/1.png", "dog/2.png", "cat/3.heic", "cat/4.heic", "bird/"))
    assert [(each.reason, each.count) for each in upload.refused] == [("an image of a kind that is not read", 2)]
    assert any("'bird'" in note for note in upload.notes)
    with pytest.raises(DataError, match="of a kind that is not read"):
        uploads.read(archive(tmp_path, "cat/1.heic", "dog/2.heic"))


def test_a_readme_beside_a_table_is_no_split(tmp_path):
    path = archive(
        tmp_path, data_dot_csv=csv_of(), README_dot_txt="Read me.", inner__LICENSE_dot_txt="Do what you like."
    )
    assert rows_of(uploads.read(path)) == WANTED


@pytest.mark.parametrize("mode", ["CMYK", "I;16", "RGBA", "LA", "P", "1", "F"])
def test_images_of_every_mode_are_taken(tmp_path, mode):
    from PIL import Image

    file = io.BytesIO()
    kind = {"CMYK": "JPEG", "F": "TIFF"}.get(mode, "PNG")
    Image.new(mode, (8, 8)).save(file, kind)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr(f"cat/1.{kind.lower()}", file.getvalue())
    assert len(uploads.read(tmp_path / "a.zip").table) == 1


def texts_of_classes(beside=()):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in beside:
            archive.writestr(name, text)
        for split in ("train", "test"):
            for label in ("neg", "pos"):
                for number in range(6):
                    archive.writestr(f"corpus/{split}/{label}/{number}.txt", f"Text {number},\n{split} and {label}\n")
    return file.getvalue()


def test_texts_in_folders_of_their_classes_are_rows_with_labels_and_splits(tmp_path):
    (tmp_path / "a.zip").write_bytes(texts_of_classes([("corpus/train/urls.txt", "https://example.org")]))
    upload = uploads.read(tmp_path / "a.zip")
    assert len(upload.table) == 24
    first = upload.table.iloc[0]
    assert (first["text"].strip(), first["label"], first["split"]) == ("Text 0,\ntrain and neg", "neg", "train")
    assert [(each.reason, each.rows) for each in upload.refused] == [
        ("in no folder of a class", ("corpus/train/urls.txt",))
    ]
    rows = clean(upload, guess_columns(upload), "text-classification")
    assert rows.report.splits == {"train": 12, "test": 12}
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path / "there")
    (tmp_path / "there" / "words.txt").write_text("of no class")
    folder = sources.read(tmp_path / "there")
    assert len(folder.table) == 24
    assert folder.refused[0].rows == ("corpus/train/urls.txt", "words.txt")


def test_texts_in_a_folder_of_texts_without_labels_have_none(tmp_path):
    (tmp_path / "a.zip").write_bytes(texts_of_classes([("corpus/train/unsup/0.txt", "Who knows?")]))
    table = uploads.read(tmp_path / "a.zip").table
    assert table.loc[table["text"].str.startswith("Who"), "label"].tolist() == [""]
    assert set(table["label"]) == {"", "neg", "pos"}


def test_a_text_that_cannot_be_read_is_named_by_its_file(tmp_path):
    good = " ".join(["Gr\u00fc\u00dfe"] * 40).encode()
    (tmp_path / "a.zip").write_bytes(texts_of_classes([("corpus/train/neg/broken.txt", good + b"\xff")]))
    with pytest.raises(DataError, match=r"corpus/train/neg/broken\.txt: Line 1 holds the byte 0xff"):
        uploads.read(tmp_path / "a.zip")
