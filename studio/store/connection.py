"""A connection to SQLite whose errors of disk and folder are sentences that a person can act on."""

import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from studio.errors import DiskError, StoreError

SHARED_BYTES = 64 * 1024


class Connection(sqlite3.Connection):
    """Raises `DiskError` where the disk is full, or the folder is read-only or gone, `StoreError` for a number that is
    larger than SQLite counts; every other error as it is."""

    path: Path

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        try:
            return super().execute(sql, parameters)
        except sqlite3.DatabaseError as error:
            raise in_words(error, self.path) or error from error
        except OverflowError as error:
            raise StoreError("Nothing has a number as large as that.", "Check the number.") from error

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        try:
            return super().executemany(sql, parameters)
        except sqlite3.DatabaseError as error:
            raise in_words(error, self.path) or error from error

    def commit(self) -> None:
        try:
            super().commit()
        except sqlite3.DatabaseError as error:
            raise in_words(error, self.path) or error from error


def connect(path: Path, seconds: float) -> Connection:
    try:
        connection = sqlite3.connect(path, timeout=seconds, factory=Connection)
    except sqlite3.DatabaseError as error:
        raise in_words(error, path) or error from error
    connection.path = path
    connection.create_function("fold", 1, str.casefold, deterministic=True)  # SQLite's lower() knows ASCII alone
    return connection


def file_number(path: Path) -> int | None:
    """What tells the file from another one of its name; None where there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


def gone(path: Path) -> DiskError:
    return DiskError(
        f"The studio's folder {path.parent} is gone.",
        "Bring it back, or start the studio again with STUDIO_HOME set to another folder.",
    )


def _is_full(folder: Path) -> bool:
    """Whether there is no room even for the file through which those who have the database open share it."""
    try:
        return shutil.disk_usage(folder).free < SHARED_BYTES
    except OSError:
        return False


def in_words(error: sqlite3.DatabaseError, path: Path) -> DiskError | None:
    """What SQLite says of the disk and the folder; None where it speaks of something else."""
    kind = getattr(error, "sqlite_errorname", None) or ""
    if kind == "SQLITE_FULL" or (kind.startswith("SQLITE_IOERR") and _is_full(path.parent)):
        return DiskError(
            f"The disk that holds {path.parent} is full.",
            "Free some space, for example by deleting runs: what has been written is not lost, and runs go on.",
        )
    if kind.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR")):
        if not path.exists():
            return gone(path)
        if kind.startswith("SQLITE_IOERR"):
            return DiskError(f"The disk that holds {path.parent} reports an error: {error}.", "Look after that disk.")
        return DiskError(
            f"{path.parent} cannot be written to: the folder or its disk is read-only.",
            "Make it writable, or set STUDIO_HOME to another folder.",
        )
    return None
