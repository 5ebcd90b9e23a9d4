"""Look into a ZIP archive before reading it. Names in it are only ever compared, never used as paths."""

import stat
import zipfile
from pathlib import Path, PurePosixPath

from studio.errors import DataError, LimitError

MAX_MEMBERS = 500_000
MAX_UNPACKED_BYTES = 8 * 1024**3
MAX_MEMBER_BYTES = 256 * 1024**2
MAX_RATIO = 200
RATIO_FROM_BYTES = 1024**2
"""A small member may be packed tighter: only what unpacks to more than this is held to the ratio."""


def members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files of an archive that is safe to read; raises `DataError` or `LimitError` with the reason."""
    files = [member for member in archive.infolist() if not member.is_dir()]
    if len(files) > MAX_MEMBERS:
        raise LimitError(f"The archive holds {len(files):,} files; at most {MAX_MEMBERS:,} are read.", "Split it.")
    total = sum(member.file_size for member in files)
    if total > MAX_UNPACKED_BYTES:
        raise LimitError(
            f"The archive unpacks to {total / 1024**3:.1f} GiB; at most {MAX_UNPACKED_BYTES // 1024**3} GiB are read.",
            "Split it, or make the images smaller.",
        )
    for member in files:
        _check(member)
    return [member for member in files if not _is_clutter(member.filename)]


def open_zip(path: Path) -> zipfile.ZipFile:
    """The archive; raises `DataError` where it is none."""
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"The file is not a readable ZIP archive: {error}.", "Pack it again.") from error


def _check(member: zipfile.ZipInfo) -> None:
    name = member.filename.replace("\\", "/")
    if name.startswith("/") or ".." in PurePosixPath(name).parts or ":" in name.split("/")[0]:
        raise DataError(f"The archive holds a file whose name climbs out of it: {name!r}.", "Pack it again without it.")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise DataError(f"The archive holds a link or a device: {name!r}.", "Pack plain files only.")
    if member.flag_bits & 0x1:
        raise DataError("The archive is locked with a password.", "Pack it again without one.")
    if member.file_size > MAX_MEMBER_BYTES:
        raise LimitError(
            f"{name!r} unpacks to {member.file_size >> 20} MiB; at most {MAX_MEMBER_BYTES >> 20} MiB are read.",
            "Leave it out.",
        )
    if member.file_size > RATIO_FROM_BYTES and member.file_size > MAX_RATIO * max(1, member.compress_size):
        raise LimitError(
            f"{name!r} is packed more than {MAX_RATIO} times smaller than it is, as archives made to do harm are.",
            "Leave it out.",
        )


def _is_clutter(name: str) -> bool:
    """What operating systems add unasked."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return parts[0] == "__MACOSX" or parts[-1].startswith(".") or parts[-1] in ("Thumbs.db", "desktop.ini")
