"""Files beside images that say which objects are marked in them: their classes are the labels of the images."""

import json

import pytest

from studio.data import uploads
from studio.data.columns import guess_columns
from studio.errors import DataError
from studio.service import sources
from tests.data.test_known_forms import packed, pictures

KINDS = ("cat", "dog", "car")
NAMES = [f"{number:03}.png" for number in range(24)]
IMAGES = pictures([f"images/{name}" for name in NAMES])
ONE = "Objects are marked in the images"


def coco(marked, names=NAMES, **mark):
    images = [{"id": number + 100, "file_name": name} for number, name in enumerate(names)]
    marks = [{"image_id": number + 100, "category_id": kind + 1, "bbox": [1, 1, 5, 5], **mark}
             for number in range(len(names)) for kind in marked(number)]  # fmt: skip
    kinds = [{"id": number + 1, "name": kind} for number, kind in enumerate(KINDS)]
    return json.dumps({"info": {}, "images": images, "annotations": marks, "categories": kinds})


def one(number):
    return [number % 2]


def voc(number):
    return f"<annotation><filename>x</filename><object>\n<name>{KINDS[number % 2]}</name></object></annotation>"


def yolo(number):
    return f"{number % 2} 0.5 0.5 0.25 0.25\n" * (1 + number % 3)


CVAT = "<annotations>" + "".join(
    f'<image id="{n}" name="{name}" width="8"><box label="{KINDS[n % 2]}" xtl="1"></box></image>'
    for n, name in enumerate(NAMES)
) + "</annotations>"  # fmt: skip
FORMS = [
    {"annotations.json": coco(one)},
    {f"annotations/{n:03}.xml": voc(n) for n in range(24)},
    {"annotations.xml": CVAT},
    {f"labels/{n:03}.txt": yolo(n) for n in range(24)} | {"classes.txt": "cat\ndog\n"},
    {f"labels/{n:03}.txt": yolo(n) for n in range(24)} | {"data.yaml": "nc: 2\nnames:\n  0: cat\n  1: dog\n"},
    {"boxes.csv": "filename,width,class,xmin\n" + "".join(f"{n:03}.png,8,{KINDS[n % 2]},1\n" * 2 for n in range(24))},
]


@pytest.mark.parametrize("files", FORMS)
def test_the_class_of_the_objects_that_are_marked_in_an_image_is_its_label(tmp_path, files):
    upload = packed(tmp_path, IMAGES | files)
    assert list(upload.table["label"]) == ["cat", "dog"] * 12
    assert "boxes.csv" in files or any(note.startswith(ONE) for note in upload.notes)


def test_an_image_with_objects_of_several_classes_has_several_labels_and_one_without_any_has_none(tmp_path):
    upload = packed(tmp_path, IMAGES | {"a.json": coco(lambda n: range(n % 4))})
    assert list(upload.table["label"][:4]) == ['["none"]', '["cat"]', '["cat", "dog"]', '["cat", "dog", "car"]']
    assert guess_columns(upload).separator == "|"
    assert upload.notes[0] == "24 images in 4 classes."
    assert upload.notes[-1] == "An image in which nothing is marked has the label 'none'."


def test_an_image_in_several_rows_of_a_table_has_all_of_their_labels(tmp_path):
    rows = "file,label\n" + "".join(f"{name},cat\n{name},{KINDS[n % 2]}\n" for n, name in enumerate(NAMES))
    assert list(packed(tmp_path, IMAGES | {"a.csv": rows}).table["label"][:2]) == ['["cat"]', '["cat", "dog"]']


def test_a_mark_that_points_nowhere_is_counted_and_the_others_are_read(tmp_path):
    said = json.loads(coco(one))
    odd = [{"image_id": [1], "category_id": 1}, {"image_id": 9999, "category_id": 1}, {"image_id": 100}]
    said["annotations"] += [*odd, {"image_id": 101, "category_id": {"id": 1}}]
    said["categories"].append({"id": {}, "name": "odd"})
    upload = packed(tmp_path, IMAGES | {"a.json": json.dumps(said)})
    assert list(upload.table["label"]) == ["cat", "dog"] * 12
    assert "4 marks in 'a.json' were left out: they name no image of the file, or no class." in upload.notes


@pytest.mark.parametrize("names", [
    ("train/_annotations.coco.json", "valid/_annotations.coco.json"),
    ("annotations/instances_train2017.json", "annotations/instances_valid2017.json"),
])  # fmt: skip
def test_a_file_for_each_split_speaks_of_the_images_of_its_own(tmp_path, names):
    images = pictures([f"{split}/{name}" for split in ("train", "valid") for name in NAMES])
    said = {name: coco(lambda n, kind=kind: [kind]) for kind, name in enumerate(names)}
    given = packed(tmp_path, images | said).table
    assert set(given[given["split"] == "train"]["label"]) == {"cat"}
    assert set(given[given["split"] == "validation"]["label"]) == {"dog"}


def test_sentences_about_images_are_not_read_and_that_is_told(tmp_path):
    upload = packed(tmp_path, IMAGES | {"captions.json": coco(one, caption="a cat on a mat")})
    assert "'captions.json' describes the images in sentences, which are not read." in upload.notes
    assert set(upload.table["label"]) == {"images"}


def test_a_list_of_images_without_the_images_asks_for_them(tmp_path):
    (tmp_path / "a.json").write_text(coco(one))
    with pytest.raises(DataError, match="what is in 24 images, and holds none of them") as caught:
        uploads.read(tmp_path / "a.json")
    assert "ZIP of the images" in caught.value.cure


def test_a_folder_of_images_with_such_files_is_read_as_its_archive_is(tmp_path):
    for name, data in (IMAGES | {f"annotations/{n:03}.xml": voc(n).encode() for n in range(24)}).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert set(sources.read(tmp_path).table["label"]) == {"cat", "dog"}


@pytest.mark.parametrize("text", [
    '{"images": [{"id": [], "file_name": {}}], "annotations": [1]}', '{"images": 1, "annotations": {}}',
    '{"images": [{"id": 1, "file_name": "000.png"}], "annotations": [], "categories": [{"id": []}]}',
])  # fmt: skip
def test_what_only_begins_like_such_a_file_does_no_harm(tmp_path, text):
    files = {"a.json": text, "b.xml": "<object><name>x", "c.yaml": "names: [[]", "000.txt": "0 1 1 1 1"}
    assert set(packed(tmp_path, IMAGES | files).table["label"]) == {"images"}
