"""A TAR archive as a ZIP that holds the same files, which is read then: with the same names, under the same limits."""

import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from studio.data import archives
from studio.errors import DataError, LimitError

PACKED = {".tgz": ".gz", ".tbz2": ".bz2", ".tbz": ".bz2", ".txz": ".xz"}
"""How a packed TAR archive may end in one word, and how it is packed."""


def as_zip(path: Path, to: Path) -> None:
    """Write the ZIP to the file `to`. Raises `DataError` where the archive is damaged or holds what is no plain file,
    `LimitError` where it is too large."""
    count, total = 0, 0
    try:
        with tarfile.open(path, "r|") as archive, zipfile.ZipFile(to, "w") as copy:
            for member in archive:
                if member.isdir():
                    continue
                count, total = count + 1, total + member.size
                _require_few(count, total)
                _copy(archive, member, copy)
    except (tarfile.TarError, *archives.BROKEN) as error:
        raise DataError(f"The file is not a readable TAR archive: {error}.", "Pack it again.") from error


def _copy(archive: tarfile.TarFile, member: tarfile.TarInfo, copy: zipfile.ZipFile) -> None:
    name = str(PurePosixPath(member.name))
    source = archive.extractfile(member) if member.isfile() and not member.issparse() else None
    if source is None:
        raise DataError(f"The archive holds a link or a device: {name!r}.", "Pack plain files only.")
    about = zipfile.ZipInfo(name)
    about.file_size = about.compress_size = member.size
    archives.require_sound(about)
    with source, copy.open(about, "w") as target:
        while chunk := source.read(archives.CHUNK):
            target.write(chunk)
        if source.tell() != member.size:
            raise tarfile.ReadError(f"{name!r} is not {member.size:,} bytes long")


def _require_few(count: int, total: int) -> None:
    if count > archives.MAX_MEMBERS or total > archives.MAX_UNPACKED_BYTES:
        raise LimitError(
            f"The archive holds more than {archives.MAX_MEMBERS:,} files, or more than "
            f"{archives.MAX_UNPACKED_BYTES >> 30} GiB.",
            "Split it.",
        )
