"""Files of programs that mark objects in images, as COCO, Pascal VOC (LabelImg), CVAT and YOLO have them: the classes
of the objects in an image are its labels. Where the objects are is not read."""

import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import unescape
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import yaml

from studio.data import archives, json_tables, splits, text_files
from studio.data.one_hot import NONE
from studio.errors import DataError, LimitError

ENDINGS = (".json", ".xml", ".txt", ".names", ".yaml", ".yml")
CAPTIONS, OBJECTS = "caption", "category_id"
MOST_BYTES = 1024**2
"""So long are lists of the names of classes at most."""

NAMES = ("classes", "obj", "labels", "names", "predefined_classes")
"""What the list of the names of classes is called, where objects are marked with their numbers."""

_YOLO = re.compile(r"\d+(\s+-?\d*\.?\d+(e-?\d+)?){4,}", re.IGNORECASE)
_OBJECT = re.compile(r"<object\b[^<>]*>.*?<name>([^<>]*)</name>", re.DOTALL)
_IMAGE = re.compile(r"<image\b[^<>]*?\sname=\"([^\"<>]*)\"[^<>]*?(?:/>|>(.*?)</image>)", re.DOTALL)
_LABEL = re.compile(r"<\w+\b[^<>]*?\slabel=\"([^\"<>]*)\"")


class Marked(NamedTuple):
    """{image: the classes of the objects in it, each once}, the files that say it, and notes."""

    classes: dict[str, list[str]]
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> dict[str, str]:
        """As cells: a class, or a list of several in JSON."""
        if all(len(found) < 2 for found in self.classes.values()):
            return {name: found[0] if found else NONE for name, found in self.classes.items()}
        return {name: json.dumps(found or [NONE], ensure_ascii=False) for name, found in self.classes.items()}


def read(archive: zipfile.ZipFile, files: Sequence[zipfile.ZipInfo], images: Sequence[str]) -> Marked:
    """What the files beside images say of most of them; nothing where they do not."""
    by_stem: dict[str, list[str]] = {}
    for name in images:
        by_stem.setdefault(PurePosixPath(name.replace("\\", "/")).stem, []).append(name)
    names: list[str] | None = None
    found: dict[str, dict[str, None]] = {}
    sources: list[str] = []
    captions, unread = [], Counter[str]()
    for member in (member for member in files if _suffix(member) in ENDINGS):
        text = _text(archive, member)
        if _suffix(member) == ".txt" and PurePosixPath(member.filename).stem in by_stem and _is_yolo(text):
            names = _names(archive, files) if names is None else names
            said: Mapping[str, Sequence[str]] = {
                member.filename: [_named(line, names) for line in text.splitlines() if line.strip()]
            }
        else:
            said, describes, lost = _said(member, text)
            captions += [member.filename] if describes else []
            unread += Counter({member.filename: lost})
        near = [(_nearest(name, member.filename, by_stem), classes) for name, classes in said.items()]
        sources += [member.filename] if any(image for image, _ in near) else []
        for image, classes in ((image, classes) for image, classes in near if image):
            found.setdefault(image, {}).update(dict.fromkeys(classes))
    notes = [f"{name!r} describes the images in sentences, which are not read." for name in captions]
    if 2 * len(found) <= len(images) or not any(found.values()):
        return Marked({}, tuple(captions), tuple(notes))
    notes.append(
        "Objects are marked in the images: their classes are the labels of the whole image. Where they are is not "
        "read, for the studio has no task that finds objects."
    )
    for name, lost in unread.items():
        one = f"One mark in {name!r} was left out: it names no image of the file, or no class."
        many = f"{lost:,} marks in {name!r} were left out: they name no image of the file, or no class."
        notes.append(one if lost == 1 else many)
    if not all(found.values()):
        notes.append(f"An image in which nothing is marked has the label {NONE!r}.")
    return Marked({image: list(classes) for image, classes in found.items()}, (*captions, *sources), tuple(notes))


def _said(member: zipfile.ZipInfo, text: str) -> tuple[Mapping[str, Sequence[str]], bool, int]:
    """({file of an image: its classes}, whether it tells of images in sentences, how many marks cannot be read)."""
    if _suffix(member) == ".json":
        return _coco(text)
    if _suffix(member) == ".xml":
        images = {unescape(name): list(map(unescape, _LABEL.findall(said))) for name, said in _IMAGE.findall(text)}
        return images or {member.filename: list(map(unescape, _OBJECT.findall(text)))}, False, 0
    return {}, False, 0


def _coco(text: str) -> tuple[Mapping[str, Sequence[str]], bool, int]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}, False, 0
    if not json_tables.lists_images(said):
        return {}, False, 0
    kinds, images, marks = (json_tables.objects(said, name) for name in ("categories", "images", "annotations"))
    if marks and all(CAPTIONS in mark for mark in marks):
        return {}, True, 0
    names = {_number(kind, "id"): str(kind.get("name")) for kind in kinds}
    files = {_number(image, "id"): str(image["file_name"]) for image in images}
    found: dict[str, list[str]] = {name: [] for name in files.values()}
    lost = 0
    for mark in marks:
        image, kind = _number(mark, "image_id"), _number(mark, OBJECTS)
        if image is None or kind is None or image not in files:
            lost += 1
        else:
            found[files[image]].append(names.get(kind, str(kind)))
    return found, False, lost


def _number(part: Mapping[str, Any], name: str) -> str | int | None:
    """The number, or the name in place of one, that an image, a class or a mark has or points to."""
    said = part.get(name)
    return said if isinstance(said, str | int) else None


def _is_yolo(text: str) -> bool:
    """Whether each line is the number of a class and where an object is; an empty file marks nothing."""
    return all(_YOLO.fullmatch(line.strip()) for line in text.splitlines() if line.strip())


def _named(line: str, names: Sequence[str]) -> str:
    number = line.split()[0]
    return names[int(number)] if len(number) < 6 and int(number) < len(names) else number


def _names(archive: zipfile.ZipFile, files: Sequence[zipfile.ZipInfo]) -> list[str]:
    """The names of the classes in their order; none where no file tells."""
    for member in (member for member in files if member.file_size < MOST_BYTES):
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.suffix.lower() in (".yaml", ".yml"):
            found = list(_in_yaml(_text(archive, member)))
        elif path.stem.lower() in NAMES and path.suffix.lower() in (".txt", ".names"):
            found = [line.strip() for line in _text(archive, member).splitlines() if line.strip()]
        else:
            continue
        if found:
            return found
    return []


def _in_yaml(text: str) -> Iterator[str]:
    try:
        said = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return
    names = said.get("names") if isinstance(said, dict) else None
    names = [names[place] for place in sorted(names)] if isinstance(names, dict) and _numbered(names) else names
    yield from map(str, names if isinstance(names, list) else [])


def _numbered(names: dict[Any, Any]) -> bool:
    return all(isinstance(place, int) for place in names)


def _nearest(name: str, file: str, by_stem: Mapping[str, Sequence[str]]) -> str | None:
    """The image of that name; of several the one whose folders are most alike those of the file that speaks of it, or
    of the split that the file's name says."""
    path = PurePosixPath(name.replace("\\", "/"))
    there = by_stem.get(path.stem, ())
    if len(there) < 2:
        return next(iter(there), None)
    said = PurePosixPath(file.replace("\\", "/"))
    split = splits.of(said.stem)

    def alike(image: str) -> tuple[bool, int]:
        folders = PurePosixPath(image.replace("\\", "/")).parts[:-1]
        in_split = split is not None and split in map(splits.of, folders)
        return in_split, len(set(folders) & {*path.parts[:-1], *said.parts[:-1]})

    return max(there, key=alike)


def _text(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> str:
    try:
        return text_files.read(archives.read(archive, member)).text
    except LimitError:
        raise
    except DataError:  # it lies beside the images for another reason
        return ""


def _suffix(member: zipfile.ZipInfo) -> str:
    return PurePosixPath(member.filename.replace("\\", "/")).suffix.lower()
