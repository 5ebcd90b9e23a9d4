"""Archives are believed nothing: sizes, overlap, nesting and formats are checked against what is there."""

import io
import re
import struct
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from studio.data import archives, compressed, uploads
from studio.data import zipped as in_zips
from studio.errors import DataError, LimitError
from studio.tasks import image_files
from tests.data.test_uploads import png, zipped

LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


def lying(path, content: bytes, says: int, **others: bytes):
    """An archive whose first member unpacks to more than its headers say."""
    zipped(path, {"cat/1.png": content, **others})
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(LOCAL) + 22, says)
    struct.pack_into("<I", data, data.index(CENTRAL) + 24, says)
    path.write_bytes(data)
    return path


def test_a_member_that_is_longer_than_it_says_is_not_unpacked_to_its_end(tmp_path, monkeypatch):
    path, asked, unpack = lying(tmp_path / "a.zip", bytes(5_000_000), says=1_000), [], zipfile.ZipExtFile.read
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda self, n=-1: asked.append(n) or unpack(self, n))
    with zipfile.ZipFile(path) as archive:
        read = 0
        with pytest.raises((LimitError, DataError)):
            for chunk in archives.chunks(archive, archive.infolist()[0]):
                read += len(chunk)
    assert read <= 1_001
    assert 0 < min(asked) <= max(asked) <= 1_001, "without a number all is unpacked, and then cut"


def test_a_workbook_is_held_to_the_limits_of_archives(tmp_path):
    pd.DataFrame({"text": ["one", "two"], "label": ["a", "b"]}).to_excel(tmp_path / "good.xlsx", index=False)
    with zipfile.ZipFile(tmp_path / "good.xlsx") as archive:
        good = {name: archive.read(name) for name in archive.namelist()}
    assert len(uploads.read(zipped(tmp_path / "again.xlsx", good)).table) == 2
    with pytest.raises(LimitError, match="packed more than"):
        uploads.read(zipped(tmp_path / "large.xlsx", {"xl/more.xml": bytes(20 * 1024**2), **good}))
    with pytest.raises(DataError, match=r"'cat/1\.png'"):
        uploads.read(lying(tmp_path / "lies.xlsx", bytes(900_000), says=100, **good))


def test_members_that_share_bytes_are_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", {"cat/1.png": png(1), "cat/2.png": png(2)})
    data = bytearray(path.read_bytes())
    second = data.index(CENTRAL, data.index(CENTRAL) + 1)
    struct.pack_into("<I", data, second + 42, 0)
    path.write_bytes(data)
    with pytest.raises(DataError, match="overlap"):
        uploads.read(path)


def test_many_small_members_that_unpack_to_much_are_refused_together(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "TOTAL_RATIO_FROM_BYTES", 1_000_000)
    files = {f"cat/{number}.bmp": bytes(100_000) for number in range(50)}
    with pytest.raises(LimitError, match=r"unpacks to 5 MB"):
        uploads.read(zipped(tmp_path / "a.zip", files))


def test_images_are_read_no_further_than_the_limit_of_all_together(tmp_path, monkeypatch):
    monkeypatch.setattr(in_zips, "MAX_IMAGES_BYTES", 3 * len(png(1)))
    with pytest.raises(LimitError, match="images take more"):
        uploads.read(zipped(tmp_path / "a.zip", {f"cat/{number}.png": png(1) for number in range(5)}))


def test_an_archive_in_an_archive_is_not_opened(tmp_path):
    inner = zipped(tmp_path / "inner.zip", {"cat/1.png": png(1)}).read_bytes()
    with pytest.raises(DataError, match="another archive"):
        uploads.read(zipped(tmp_path / "outer.zip", {"inner.zip": inner}))


def test_a_compressed_file_is_unpacked_no_further_than_the_limit(tmp_path, monkeypatch):
    import gzip

    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(bytes(5_000_000)))
    monkeypatch.setattr(compressed, "RATIO_FROM_BYTES", 1_000_000)
    monkeypatch.setattr(compressed, "CHUNK", 100_000)
    with pytest.raises(LimitError, match="unpacks to more than 1 MB"):
        uploads.read(path)


def test_a_damaged_member_is_told_by_its_name(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rows.csv", "text,label\none,a\n")
    path.write_bytes(path.read_bytes().replace(b"one,a", b"two,b"))
    with pytest.raises(DataError, match=r"'rows.csv' in the archive is damaged"):
        uploads.read(path)


@pytest.mark.parametrize(
    ("size", "is_read"), [((200, 1), True), ((201, 1), False), ((1, 5_000), False), ((2, 400), True)]
)
def test_a_line_of_pixels_that_a_model_would_make_larger_than_memory_is_no_image(size, is_read):
    file = io.BytesIO()
    Image.new("L", size).save(file, "PNG")
    assert uploads.is_image(file.getvalue()) is is_read


def test_a_jpeg_that_is_passed_over_again_and_again_is_no_image():
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG", progressive=True)
    usual = file.getvalue()
    last = usual.rindex(image_files.SCAN)
    assert uploads.is_image(usual)
    assert not uploads.is_image(usual[:last] + usual[last:-2] * 1_000 + usual[-2:])


def test_an_image_file_of_a_format_that_starts_other_programs_is_no_image(tmp_path):
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    assert "EPS" not in image_files.FORMATS
    assert not uploads.is_image(eps)
    upload = uploads.read(zipped(tmp_path / "a.zip", {"cat/1.png": eps, "cat/2.png": png(1), "dog/3.png": png(2)}))
    assert set(upload.table["file"]) == {"cat/2.png", "dog/3.png"}
    assert upload.refused[0].count == 1


def test_images_of_users_are_opened_in_one_place():
    project = Path(image_files.__file__).parents[2]
    code = [file for part in ("studio", "pages") for file in (project / part).rglob("*.py")]
    openers = {file.name for file in code if re.search(r"^[^'\"]*Image\.open\(", file.read_text("utf-8"), re.MULTILINE)}
    assert openers == {"image_files.py", "corruptions.py"}, "the latter opens what it has just written"


def photo(orientation: int) -> bytes:
    """A picture of a dark left and a light right side, laid down as cameras do."""
    image = Image.new("L", (16, 8), 255)
    image.paste(0, (0, 0, 8, 8))
    about = Image.Exif()
    about[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, "PNG", exif=about)
    return file.getvalue()


def test_a_photo_is_learned_the_way_up_that_its_camera_noted():
    from studio.tasks.encoded_images import _decode

    assert _decode(photo(1), "L").size == (16, 8)
    turned = _decode(photo(6), "L")
    assert turned.size == (8, 16)
    assert turned.getpixel((4, 2)) == 0
    assert turned.getpixel((4, 14)) == 255


def test_a_folder_beside_those_of_the_splits_is_asked_for(tmp_path):
    files = {"train/cat/1.png": png(1), "test/cat/2.png": png(2), "oos/cat/3.png": png(3)}
    with pytest.raises(DataError, match="called 'oos'"):
        uploads.read(zipped(tmp_path / "a.zip", files))
