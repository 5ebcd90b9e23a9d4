"""Files and folders that are written whole or not at all, whatever kills the process or the machine.

    with whole(folder) as part:       # an empty folder beside the target
        model.save_pretrained(part)
    # on the disk, and in its place

A block that fails leaves what was there before. Two that write at the same time leave the one that ended last.
What a disk loses or changes later is found by the checksums that `sealed` puts beside the files.
"""

import contextlib
import ctypes
import errno
import hashlib
import itertools
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

MARK = ".part-"
_OLD = "old-"
LEFTOVER_SECONDS = 24 * 3600
"""What a killed process left behind is deleted when the same target is written so much later."""

NO_BYTES = 1024**2
"""With less than this left a disk is full."""

_RENAME_EXCHANGE, _HERE = 2, -100
"""`renameat2` of Linux: change places; names from the working directory on."""


@contextlib.contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """An empty folder to fill; it takes the place of `folder` when the block ends without an error."""
    with whole_file(folder) as part:
        part.mkdir()
        yield part


@contextlib.contextmanager
def whole_file(file: Path) -> Iterator[Path]:
    """A path to write to; what is there takes the place of `file` when the block ends without an error.

    Raises `OSError` (ENOSPC) where the disk is full, whatever the library that wrote makes of that.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    _delete_leftovers(file)
    with _room_beside(file) as room:
        part = room / file.name
        with _full_disk_told(room, file):
            yield part
        _publish(part, file, aside=room)


@contextlib.contextmanager
def new_file(file: Path) -> Iterator[Path]:
    """As `whole_file`, where there must be none: raises `FileExistsError` where there is, or one has come meanwhile."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(file):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(file))
    _delete_leftovers(file)
    with _room_beside(file) as room:
        part = room / file.name
        with _full_disk_told(room, file):
            yield part
        sync(part)
        try:
            os.link(part, file)  # a move would take the place of what is there
        except FileExistsError:
            raise
        except OSError:  # a disk that knows no links
            part.rename(file)
        sync(file.parent)


@contextlib.contextmanager
def _full_disk_told(room: Path, file: Path) -> Iterator[None]:
    """Torch and others end in errors of their own where a write is cut short, and a write that fails names no file."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(file)
        raise
    except Exception as error:
        if shutil.disk_usage(room).free < NO_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file)) from error
        raise


SUMS = "SHA256SUMS"
"""The checksums of a folder's files, in the form that `sha256sum --check` reads."""


@contextlib.contextmanager
def sealed(folder: Path, *endings: str) -> Iterator[Path]:
    """As `whole`, with the checksums of the files that end so (of all, where nothing is said) beside them."""
    with whole(folder) as part:
        yield part
        lines = [f"{known}  {name}\n" for name, known in checksums(part, endings or ("",)).items()]
        (part / SUMS).write_text("".join(lines), encoding="utf-8")


def damage(folder: Path, *endings: str) -> str | None:
    """What is not as it was written, such as "model.safetensors is not what was written"; None where all files that end
    so are as they were (or simply all), or nobody wrote down how that is."""
    listed = folder / SUMS
    if not listed.is_file():
        return None
    for line in listed.read_text(encoding="utf-8", errors="replace").splitlines():
        known, _, name = line.partition("  ")
        if not name.endswith(endings or ("",)):
            continue
        file = folder / name
        if not file.is_file():
            return f"{name} is gone"
        if checksum(file) != known:
            return f"{name} is empty" if not file.stat().st_size else f"{name} is not what was written"
    return None


def checksums(folder: Path, endings: tuple[str, ...] = ("",)) -> dict[str, str]:
    """SHA-256 of every file with such an ending by its path in the folder."""
    found = [file for file in inside(folder) if file.name.endswith(endings)]
    return {file.relative_to(folder).as_posix(): checksum(file) for file in found}


def checksum(file: Path) -> str:
    """SHA-256 of a file's bytes."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Wait until the file's content, or the folder's list of names, is on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # a folder cannot be opened there
    opened = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def recover(root: Path) -> list[Path]:
    """Take back what a killed writer had put aside two or three folders below `root`; returns what is there again."""
    back = []
    for old in (*root.glob(f"*/*{MARK}*/{_OLD}*"), *root.glob(f"*/*/*{MARK}*/{_OLD}*")):
        target = old.parent.with_name(old.parent.name.rpartition(MARK)[0])
        if not target.exists():
            with contextlib.suppress(OSError):  # the writer lives, and was first
                old.rename(target)
                back.append(target)
    return back


def is_partial(path: Path) -> bool:
    """Whether the file is part of something that is being written.

    >>> is_partial(Path("runs/3/student.part-x1/student/config.json")), is_partial(Path("runs/3/student/config.json"))
    (True, False)
    """
    return any(MARK in name for name in path.parts)


def inside(folder: Path) -> list[Path]:
    """All files in a folder and its folders, in their order; what is taken away meanwhile is left out."""
    found = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
    return sorted(path for path in found if path.is_file())


def size(folder: Path) -> int:
    """The bytes of all files in a folder; one that is taken away meanwhile counts nothing."""
    total = 0
    for file in inside(folder):
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


@contextlib.contextmanager
def _room_beside(target: Path) -> Iterator[Path]:
    """A folder of this writer alone, on the target's file system."""
    room = Path(tempfile.mkdtemp(prefix=target.name + MARK, dir=target.parent))
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _delete_leftovers(target: Path) -> None:
    for room in target.parent.glob(f"{_literal(target.name)}{MARK}*"):
        with contextlib.suppress(OSError):  # another writer was first
            if time.time() - room.stat().st_mtime > LEFTOVER_SECONDS:
                shutil.rmtree(room)


def _literal(name: str) -> str:
    """The name as a pattern that fits it alone."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _publish(part: Path, target: Path, aside: Path) -> None:
    """Move `part` to `target`, both sides of the move on the disk. A folder cannot be moved onto one that is not empty:
    the two change places in one step; where the system has no such step the old one is put into `aside` first, from
    where `recover` takes it back."""
    _sync_tree(part)
    for attempt in itertools.count():
        try:
            part.replace(target)
            break
        except OSError as error:
            if not part.is_dir() or error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES):
                raise
            if error.errno == errno.EACCES and not target.is_dir():  # what Windows says of a folder in the way
                raise
        if _exchange(part, target):
            break
        with contextlib.suppress(FileNotFoundError):  # another writer has put it aside
            target.rename(aside / f"{_OLD}{attempt}")
    sync(target.parent)


def _exchange(path: Path, other: Path) -> bool:
    """Let two names change places in one step; False where the system or its disk cannot, or `other` is gone."""
    swap = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    if swap is None:
        return False
    names = (_HERE, os.fsencode(path), _HERE, os.fsencode(other))
    return bool(swap(*names, ctypes.c_uint(_RENAME_EXCHANGE)) == 0)


def _sync_tree(path: Path) -> None:
    for inner in (*path.rglob("*"), path):
        sync(inner)
