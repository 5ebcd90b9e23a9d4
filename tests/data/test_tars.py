"""TAR archives are read as ZIP archives of the same files are, under the same limits."""

import io
import tarfile

import pandas as pd
import pytest

from studio.data import archives, uploads
from studio.errors import DataError, LimitError
from tests.data.test_known_forms import TEXTS, pictures, table

IMAGES = pictures([f"./pets/{['cat', 'dog'][n % 2]}/{n}.png" for n in range(20)])


def packed(path, files, mode="w", **about):
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for field, value in about.items():
                setattr(member, field, value)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize(("name", "kind"), [
    ("a.tar", ""), ("a.tar.gz", "gz"), ("a.tgz", "gz"), ("a.tar.bz2", "bz2"), ("a.tar.xz", "xz"), ("a.txz", "xz"),
])  # fmt: skip
def test_folders_of_images_in_a_tar_archive_are_read(tmp_path, name, kind):
    upload = uploads.read(packed(tmp_path / name, IMAGES, f"w:{kind}"))
    assert upload.table["label"].value_counts().to_dict() == {"cat": 10, "dog": 10}
    assert upload.table["file"][0] == "pets/cat/0.png"


def test_a_class_may_stand_in_a_file_beside_each_image(tmp_path):
    images = {f"{n:04}.png": data for n, data in enumerate(IMAGES.values())}
    classes = {f"{n:04}.cls": b"12"[n % 2 : n % 2 + 1] for n in range(20)}
    assert list(uploads.read(packed(tmp_path / "a.tar", images | classes)).table["label"][:2]) == ["1", "2"]
    said = {f"{n:04}.txt": TEXTS[n].encode() for n in range(20)}
    assert set(uploads.read(packed(tmp_path / "b.tar", images | said)).table["label"]) == {""}, (
        "what is said is no class"
    )


def test_a_table_for_each_split_in_a_tar_archive_is_read(tmp_path):
    rows = table([["text", "label"], *[[text, "ab"[n % 2]] for n, text in enumerate(TEXTS)]]).encode()
    upload = uploads.read(packed(tmp_path / "a.tar", {"d/train.csv": rows, "d/test.csv": rows}))
    assert upload.table["split"].value_counts().to_dict() == {"train": 60, "test": 60}


@pytest.mark.parametrize(("about", "told"), [
    ({"name": "../a.png"}, "climbs out"), ({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "a link or a device"),
    ({"type": tarfile.LNKTYPE, "linkname": "b.png"}, "a link or a device"), ({"type": tarfile.FIFOTYPE}, "a link"),
])  # fmt: skip
def test_what_is_no_plain_file_of_the_archive_is_refused(tmp_path, about, told):
    with pytest.raises(DataError, match=told):
        uploads.read(packed(tmp_path / "a.tar", {"cat/1.png": b""}, **about))


def test_a_damaged_archive_and_one_with_too_much_in_it_are_refused(tmp_path, monkeypatch):
    path = packed(tmp_path / "a.tar", IMAGES)
    (tmp_path / "b.tar").write_bytes(path.read_bytes()[:700])
    with pytest.raises(DataError, match=r"TAR|damaged|images"):
        uploads.read(tmp_path / "b.tar")
    (tmp_path / "c.tar").write_bytes(pd.Series(TEXTS).to_csv().encode() * 9)
    with pytest.raises(DataError, match="not a readable TAR archive"):
        uploads.read(tmp_path / "c.tar")
    monkeypatch.setattr(archives, "MAX_MEMBERS", 19)
    with pytest.raises(LimitError, match="more than 19 files"):
        uploads.read(path)
