"""One compressed file (gz, bz2, xz, zst), unpacked beside it as far as the limits go."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from studio.data.archives import BROKEN, MAX_RATIO
from studio.errors import DataError, LimitError

MAX_BYTES = 2 * 1024**3
RATIO_FROM_BYTES = 64 * 1024**2
CHUNK = 1024**2

OPENERS: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": lambda path: pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"),
}


def unpack(path: Path, suffix: str, to: Path) -> None:
    """Write what is in `path` to the file `to`; raises `LimitError` where it is too much, `DataError` where it is
    damaged."""
    packed, size = path.stat().st_size, 0
    try:
        with OPENERS[suffix](path) as source, to.open("wb") as target:
            while chunk := source.read(CHUNK):
                size += len(chunk)
                if size > MAX_BYTES or (size > RATIO_FROM_BYTES and size > MAX_RATIO * packed):
                    raise LimitError(
                        f"The {suffix} file of {packed / 1e6:.1f} MB unpacks to more than {size / 1e6:,.0f} MB.",
                        "Split it, or bring it unpacked.",
                    )
                target.write(chunk)
    except (*BROKEN, pa.ArrowException) as error:
        raise DataError(f"The {suffix} file cannot be unpacked: {error}.", "Pack it again.") from error
