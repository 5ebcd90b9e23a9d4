"""Look into a ZIP archive before reading it, and believe nothing that it says of its sizes. Names in it are only ever
compared, never used as paths."""

import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from studio.errors import DataError, LimitError

MAX_MEMBERS = 500_000
MAX_UNPACKED_BYTES = 8 * 1024**3
MAX_MEMBER_BYTES = 256 * 1024**2
MAX_RATIO = 200
RATIO_FROM_BYTES = 1024**2
"""A small member may be packed tighter: only what unpacks to more than this is held to the ratio."""

MAX_TOTAL_RATIO = 100
TOTAL_RATIO_FROM_BYTES = 200 * 1024**2
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
CHUNK = 1024**2
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What Python's own reader raises over a damaged member."""

_LOCAL_HEADER_BYTES = 30


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
    packed = Path(archive.filename).stat().st_size if archive.filename else total
    if is_out_of_proportion(packed, total):
        raise LimitError(
            f"The archive of {packed / 1e6:.1f} MB unpacks to {total / 1e6:,.0f} MB, as archives made to do harm do.",
            "Save images as PNG or JPEG, and tables as CSV.",
        )
    for member in files:
        require_sound(member)
    _check_overlap(archive)
    return [member for member in files if not _is_clutter(member.filename)]


def is_out_of_proportion(packed: int, total: int) -> bool:
    """Whether so many bytes hold far more, which takes work that their size does not show."""
    return total > TOTAL_RATIO_FROM_BYTES and total > MAX_TOTAL_RATIO * packed


def require_proportion(path: Path, size: int) -> None:
    """Raise `LimitError` where the rows of a file take far more than it does: `size` bytes were counted so far."""
    packed = path.stat().st_size
    if is_out_of_proportion(packed, size):
        raise LimitError(
            f"The file of {packed / 1e6:.1f} MB holds rows of more than {size / 1e6:,.0f} MB, as files made to do harm "
            "do.",
            "Leave out what is the same in all rows, or save the table as CSV.",
        )


def open_zip(path: Path) -> zipfile.ZipFile:
    """The archive; raises `DataError` where it is none."""
    try:
        return zipfile.ZipFile(path)
    except BROKEN as error:
        raise DataError(f"The file is not a readable ZIP archive: {error}.", "Save or pack it again.") from error


def read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The content of a member; raises `LimitError` where it is longer than the archive says, `DataError` where it is
    damaged."""
    return b"".join(chunks(archive, member))


def require_true_sizes(archive: zipfile.ZipFile) -> None:
    """Unpack every member once without keeping it: raises what `read` does."""
    for member in archive.infolist():
        if not member.is_dir():
            for _ in chunks(archive, member):
                pass


def chunks(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """The same piece by piece."""
    size = 0
    try:
        with archive.open(member) as opened:
            while chunk := opened.read(min(CHUNK, member.file_size + 1)):
                size += len(chunk)
                if size > member.file_size:
                    break
                yield chunk
    except BROKEN as error:
        raise DataError(f"{member.filename!r} in the archive is damaged: {error}.", "Pack it again.") from error
    if size != member.file_size:
        message = f"{member.filename!r} is not {member.file_size:,} bytes long, as the archive says."
        raise LimitError(message, "Pack it again.")


def _check_overlap(archive: zipfile.ZipFile) -> None:
    """Members that share bytes unpack to far more than the archive holds."""
    end, before = 0, ""
    for member in sorted(archive.infolist(), key=lambda member: member.header_offset):
        if member.header_offset < end:
            raise DataError(f"{before!r} and {member.filename!r} overlap in the archive.", "Pack it again.")
        end = member.header_offset + _LOCAL_HEADER_BYTES + len(member.orig_filename) + member.compress_size
        before = member.filename


def require_sound(member: zipfile.ZipInfo) -> None:
    """Raise `DataError` or `LimitError` over what a member says of itself: its name, its kind, its sizes."""
    name = member.filename.replace("\\", "/")
    if name.startswith("/") or ".." in PurePosixPath(name).parts or ":" in name.split("/")[0]:
        raise DataError(f"The archive holds a file whose name climbs out of it: {name!r}.", "Pack it again without it.")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise DataError(f"The archive holds a link or a device: {name!r}.", "Pack plain files only.")
    if member.compress_type not in METHODS:
        raise DataError(
            f"{name!r} is packed in a way that is not read (method {member.compress_type}).", "Pack it again."
        )
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
    return not parts or parts[0] == "__MACOSX" or parts[-1].startswith(".") or parts[-1] in ("Thumbs.db", "desktop.ini")
