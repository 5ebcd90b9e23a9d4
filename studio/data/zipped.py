"""What is in a ZIP: class folders of images or of texts, images with a table of file and label, or tables."""

import statistics
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from studio.data import archives, file_names, image_lists, splits, text_files
from studio.data.cells import MAX_CELL, Blocks, Found, clean_text
from studio.data.refused import Refused
from studio.errors import DataError, LimitError
from studio.tasks import image_files

IMAGES = (".png", ".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".webp", ".tif", ".tiff")
UNREAD = (".heic", ".heif", ".avif", ".svg", ".jp2", ".psd", ".raw", ".cr2", ".nef", ".dng", ".eps", ".ico")
"""Images of other kinds, which are counted."""

ABOUT = ("readme", "license", "licence", "notice", "citation", "changelog", "credits", "sample_submission")
"""Files beside the data, which are no table."""

ARCHIVES = (".zip", ".gz", ".tar", ".7z", ".rar", ".zst", ".bz2", ".xz", ".tgz")
BLOCK_BYTES = 64 * 1024**2
"""Images go to disk whenever there are so many bytes of them."""

MAX_IMAGES_BYTES = 2 * 1024**3
"""Of all images together, as they are kept."""

MOST_NAMED, MAX_EMPTY = 3, 20
LEAST_TEXTS, MOST_FILES, LOOKED_AT = 10, 50, 5
OTHER_KIND, OUTSIDE = "an image of a kind that is not read", "in no folder of a class"


def images(path: Path) -> Blocks:
    """Images with label, split and file, some at a time. What cannot be decoded is left out and counted."""
    with archives.open_zip(path) as archive:
        files = archives.members(archive)
        members = _images(archive, files)
        if not members:
            raise DataError("The archive holds no images.", f"Put files ending in {', '.join(IMAGES)} into it.")
        listed = image_lists.labels(archive, [member for member in files if not _is_about(member)], _names(members))
        labels, notes = listed.labels, listed.notes
        known, in_lists = _split_folders(members), image_lists.of_splits(archive, files, _names(members))
        notes = [*notes, *(["The splits are those of the lists of files beside the images."] if in_lists else [])]
        if not labels:
            _check_split_folders(members, known)
            labels, more = _by_names(_names(members), known)
            notes = [*notes, *more]
        rows: list[tuple[bytes, str, str, str]] = []
        broken: list[str] = []
        classes: set[str] = set()
        count, size, held = 0, 0, 0
        for member in members:
            data = _readable(archive, member)
            if data is None:
                broken.append(member.filename)
                continue
            size, held, count = size + len(data), held + len(data), count + 1
            if size > MAX_IMAGES_BYTES:
                raise LimitError(f"The images take more than {MAX_IMAGES_BYTES >> 30} GiB.", "Make them smaller.")
            split, label = _place(member.filename, labels, known)
            split = split or in_lists.get(member.filename, "")
            classes.update(image_lists.classes(label))
            rows.append((data, label, split, member.filename))
            if held > BLOCK_BYTES:
                yield Found(_table(rows))
                rows, held = [], 0
        notes += _empty_folders(archive)
    if not count:
        raise DataError(f"None of the {len(members):,} images in the archive can be read.", "Save them as PNG or JPEG.")
    unread = [member.filename for member in files if _suffix(member) in UNREAD]
    left = {image_files.NO_IMAGE: broken, OTHER_KIND: unread}
    refused = tuple(Refused.of(reason, [0] * len(names), names) for reason, names in left.items() if names)
    if rows or refused:
        yield Found(_table(rows), refused=refused)
    tables = set(listed.tables)
    rest = [member for member in files if member.filename not in tables]
    return (f"{count:,} images in {len(classes):,} classes.", *_told_of(left, rest, members), *notes)


def _told_of(
    left: dict[str, list[str]], files: Sequence[zipfile.ZipInfo], members: Sequence[zipfile.ZipInfo]
) -> list[str]:
    """What is said of the files that are no images."""
    broken, others = left[image_files.NO_IMAGE], len(files) - len(members)
    notes = []
    if broken:
        named = ", ".join(map(repr, broken[:MOST_NAMED])) + (" …" if len(broken) > MOST_NAMED else "")
        one = f"One file was left out, {image_files.NO_IMAGE}: {named}."
        many = f"{len(broken):,} files were left out, each {image_files.NO_IMAGE}: {named}."
        notes.append(one if len(broken) == 1 else many)
    if left[OTHER_KIND]:
        named = ", ".join(sorted({PurePosixPath(name).suffix.lower() for name in left[OTHER_KIND]}))
        one = f"One image was left out, for {named} is not read: save it as PNG."
        many = f"{len(left[OTHER_KIND]):,} images were left out, for {named} is not read: save them as PNG."
        notes.append(one if len(left[OTHER_KIND]) == 1 else many)
    others -= len(left[OTHER_KIND])
    if others:
        many = f"{others:,} files in the archive are no images."
        notes.append("One file in the archive is no image." if others == 1 else many)
    return notes


def _empty_folders(archive: zipfile.ZipFile) -> list[str]:
    """A folder in which nothing lies may be a class that was forgotten."""
    names = [member.filename.replace("\\", "/") for member in archive.infolist()]
    empty = [name for name in names if name.endswith("/") and sum(other.startswith(name) for other in names) == 1]
    if not empty or len(empty) > MAX_EMPTY:
        return []
    return [f"Folders in which nothing lies: {', '.join(repr(name.rstrip('/')) for name in empty)}."]


def _table(rows: list[tuple[bytes, str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["image", "label", "split", "file"], dtype=object)


def tables(path: Path, endings: Sequence[str]) -> list[zipfile.ZipInfo]:
    """The tables in an archive without images; none where it holds images.

    Raises `DataError` where it holds neither.
    """
    with archives.open_zip(path) as archive:
        files = archives.members(archive)
        if _images(archive, files):
            return []
        found = [member for member in files if _suffix(member).removeprefix(".") in endings and not _is_about(member)]
        plain = [member for member in files if not _is_about(member)]
        if not found and are_texts(plain):
            return plain
        if not found and any(_suffix(member) in UNREAD for member in files):
            kinds = ", ".join(sorted({_suffix(member) for member in files if _suffix(member) in UNREAD}))
            raise DataError(f"The images in the archive are of a kind that is not read: {kinds}.", "Save them as PNG.")
        if not found:
            inner = next((member.filename for member in files if _suffix(member) in ARCHIVES), None)
            if inner is not None:
                raise DataError(f"The archive holds another archive, {inner!r}.", "Unpack it, and bring what is in it.")
            listed = ", ".join(repr(member.filename) for member in files[:MOST_NAMED]) or "nothing"
            raise DataError(
                f"The archive holds no images and no table that can be read: {listed}.",
                f"Put images ({', '.join(IMAGES)}) or tables ({', '.join(endings)}) into it.",
            )
        return found


def _images(archive: zipfile.ZipFile, files: Sequence[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """The images by the endings of their names; where most have none and the first ones are images, all of these."""
    without = [member for member in files if not _suffix(member) and not _is_about(member)]
    some = without[:LOOKED_AT] if 2 * len(without) > len(files) else []
    are_images = bool(some) and all(_readable(archive, member) is not None for member in some)
    return [member for member in files if _suffix(member) in IMAGES or (are_images and not _suffix(member))]


def are_texts(members: Sequence[zipfile.ZipInfo]) -> bool:
    """Whether nearly all are plain texts that lie in folders of classes, as many collections come."""
    if len(members) < LEAST_TEXTS or not all(map(is_plain, _names(members))):
        return False
    named = [label for label in _classes(members, _split_folders(members)) if label]
    return len(named) >= 0.9 * len(members) and len(set(named)) > 1


def are_lines(members: Sequence[zipfile.ZipInfo]) -> bool:
    """Whether they are a file of texts for each class, such as `positive.txt` and `negative.txt` beside each other: a
    name with a number or a point in it is rather one of a document, and one of a split is none of a class."""
    paths = [PurePosixPath(name.replace("\\", "/")) for name in _names(members)]
    plain = all(path.suffix.lower() == ".txt" and path.stem.replace("_", "").isalpha() for path in paths)
    alone = len({path.parent for path in paths}) == 1 and not any(splits.of(path.stem) for path in paths)
    return plain and alone and 1 < len(paths) <= MOST_FILES


def lines(path: Path, members: Sequence[zipfile.ZipInfo]) -> Blocks:
    """The lines of files of classes with label, split and file."""
    with archives.open_zip(path) as archive:
        for member in members:
            said = _text(archive, member).splitlines()
            label = PurePosixPath(member.filename.replace("\\", "/")).stem
            yield Found(_texts_table([(line.strip(), label, "", member.filename) for line in said if line.strip()]))
    named = ", ".join(repr(name) for name in _names(members))
    return (f"Each line is a text, and the name of its file the label: {named}.",)


def is_plain(name: str) -> bool:
    """Whether a file's name ends as that of a text, or has no ending; a number behind a point is none."""
    suffix = PurePosixPath(name.replace("\\", "/")).suffix.lower()
    return suffix in (".txt", "") or suffix[1:].isdigit()


def _classes(members: Sequence[zipfile.ZipInfo], known: Mapping[str, str]) -> list[str]:
    """The class of each text by the folder it lies in; "" where it lies less deep than most of them do."""
    named = [[folder for folder in _folders(name) if folder not in known] for name in _names(members)]
    depth = statistics.mode(map(len, named))
    return [path[-1] if path and len(path) >= depth else "" for path in named]


def texts(path: Path, members: Sequence[zipfile.ZipInfo]) -> Blocks:
    """Texts with label, split and file, one a file, some at a time. What lies in no folder of a class is left out."""
    known = _split_folders(members)
    _check_split_folders(members, known)
    rows: list[tuple[str, str, str, str]] = []
    outside: list[str] = []
    held = 0
    with archives.open_zip(path) as archive:
        for member, label in zip(members, _classes(members, known), strict=True):
            if not label:
                outside.append(member.filename)
                continue
            said = "" if label.lower() in splits.UNLABELLED else label
            rows.append((_text(archive, member), said, _place(member.filename, {}, known)[0], member.filename))
            held += member.file_size
            if held > BLOCK_BYTES:
                yield Found(_texts_table(rows))
                rows, held = [], 0
    refused = (Refused.of(OUTSIDE, [0] * len(outside), outside),) if outside else ()
    yield Found(_texts_table(rows), refused=refused)
    return (f"{len(members) - len(outside):,} texts, one a file, in folders of their classes.",)


def _text(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> str:
    try:
        found = text_files.read(archives.read(archive, member)).text
    except DataError as error:
        raise DataError(f"{member.filename}: {error.message}", error.cure) from error
    if len(found) > MAX_CELL:
        raise LimitError(f"{member.filename} has more than {MAX_CELL >> 20} MiB.", "Cut it into several texts.")
    return clean_text(found)


def _texts_table(rows: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["text", "label", "split", "file"], dtype=object)


def unpack(path: Path, member: zipfile.ZipInfo, to: Path) -> None:
    """Write what is in a member to the file `to`; raises what `archives.read` does."""
    with archives.open_zip(path) as archive, to.open("wb") as file:
        for chunk in archives.chunks(archive, member):
            file.write(chunk)


def _readable(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes | None:
    """The image in a member; None where it is damaged. A member that is longer than it says is no accident."""
    try:
        data = archives.read(archive, member)
    except LimitError:
        raise
    except DataError:
        return None
    return data if image_files.is_image(data) else None


def _suffix(member: zipfile.ZipInfo) -> str:
    return PurePosixPath(member.filename.replace("\\", "/")).suffix.lower()


def _folders(name: str) -> list[str]:
    return list(PurePosixPath(name.replace("\\", "/")).parts[:-1])


def _is_about(member: zipfile.ZipInfo) -> bool:
    return PurePosixPath(member.filename.replace("\\", "/")).stem.lower() in ABOUT


def _names(members: Sequence[zipfile.ZipInfo]) -> list[str]:
    return [member.filename for member in members]


def _split_folders(members: Sequence[zipfile.ZipInfo]) -> dict[str, str]:
    """{folder: split} of those that are splits."""
    return splits.folders(map(_folders, _names(members)))


def _place(name: str, labels: image_lists.Labels, known: Mapping[str, str]) -> tuple[str, str]:
    """(split, label) of an image from the table, and from the folders it lies in; `known` are those of splits."""
    folders = _folders(name)
    split = next((known[folder] for folder in folders if folder in known), "")
    if labels:
        said, label = next((labels[key] for key in image_lists.keys(name) if key in labels), ("", ""))
        return said or split, label
    named = [folder for folder in folders if folder not in known]
    return split, named[-1] if named else ""


def _by_names(names: Sequence[str], known: Mapping[str, str]) -> tuple[image_lists.Labels, list[str]]:
    """Where the innermost folders tell no two classes: by the names of the files, else by folders further out."""
    placed = {name: _place(name, {}, known) for name in names}
    labels, notes = file_names.labels(placed)
    if labels or len({label for _, label in placed.values()}) > 1:
        return labels, notes
    paths = {name: [folder for folder in _folders(name) if folder not in known] for name in names}
    for depth in range(2, min(map(len, paths.values())) + 1):
        if len({path[-depth] for path in paths.values()}) > 1:
            return {image_lists.keys(name)[0]: (placed[name][0], path[-depth]) for name, path in paths.items()}, []
    return {}, []


def _check_split_folders(members: Sequence[zipfile.ZipInfo], known: Mapping[str, str]) -> None:
    """A folder beside train and test that is neither is asked for, never trained on in silence."""
    paths = [_folders(name) for name in _names(members)]
    depths = [next((place for place, folder in enumerate(path) if folder in known), None) for path in paths]
    for depth in {depth for depth in depths if depth is not None}:
        beside = {path[depth] for path in paths if len(path) > depth + 1 and path[depth] not in known}
        splits.require_known(beside, "A folder beside those of the splits")
