"""The file: opened, checked, brought to today's shape; one connection a thread.

WAL mode: a reader never waits for a writer. A damaged or newer database is left untouched.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from studio.errors import StoreError
from studio.home import Home
from studio.store.connection import connect, file_number, gone, in_words
from studio.store.migrations import MIGRATIONS

BUSY_MILLISECONDS = 15_000


class OpenDatabase:
    """The database at `path`, made when it is not there. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._open()

    @property
    def _db(self) -> Database:
        """This thread's connection, a new one where the file was put back meanwhile. Raises `DiskError` where it is
        gone: SQLite would go on writing into what nobody can open any more."""
        known = getattr(self._local, "file", None)
        if known is not None and known != (now := file_number(self.path)):
            if now is None:
                raise gone(self.path)
            self._local.db.close()
            del self._local.db, self._local.file
        if not hasattr(self._local, "db"):
            connection = connect(self.path, BUSY_MILLISECONDS / 1000)
            for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
                connection.execute(f"PRAGMA {pragma}")
            self._local.db, self._local.file = Database(connection), file_number(self.path)
        db: Database = self._local.db
        return db

    @contextlib.contextmanager
    def _on_the_disk(self) -> Iterator[None]:
        """What is written here, and before, outlives a power cut from the moment the block ends. Points of curves need
        no such care: a run that goes on tells them again."""
        self._db.execute("PRAGMA synchronous = FULL")
        try:
            yield
        finally:
            self._db.execute("PRAGMA synchronous = NORMAL")

    def _open(self) -> None:
        """Look at what is there without touching it, then bring it to today's shape."""
        try:
            Home(self.path.parent).make()
            if self.path.exists() and self.path.stat().st_size:
                self._check()
            self._db.conn.execute("BEGIN IMMEDIATE")
            MIGRATIONS.apply(self._db)
            self._db.conn.commit()
        except OSError as error:
            raise StoreError(
                f"The folder {self.path.parent} cannot be used: {error.strerror}.",
                "Set STUDIO_HOME to a folder that you can write to.",
            ) from error
        except sqlite3.DatabaseError as error:
            raise in_words(error, self.path) or StoreError(
                f"{self.path} cannot be opened as the studio's database: {error}.",
                "Restore it from a backup, or set STUDIO_HOME to another folder. Nothing was changed.",
            ) from error

    def _check(self) -> None:
        """Raise where the file is damaged, another program's, or newer; it is only read."""
        address = f"{self.path.resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=BUSY_MILLISECONDS / 1000)) as connection:
            health = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if health != "ok":
                raise sqlite3.DatabaseError(f"it is damaged ({health.splitlines()[-1]})")
            db = Database(connection)
            applied = [migration.name for migration in MIGRATIONS.applied(db)]
            if db.table_names() and not applied:
                raise sqlite3.DatabaseError("it belongs to another program")
        newer = set(applied) - {migration.name for migration in MIGRATIONS.pending(Database(memory=True))}
        if newer:
            raise StoreError(
                f"{self.path} was written by a newer version of the studio ({max(newer)}).",
                "Update the studio, or set STUDIO_HOME to another folder. Nothing was changed.",
            )

    def _rows(self, sql: str, values: Iterable[Any] | dict[str, Any] = ()) -> list[dict[str, Any]]:
        return list(self._db.query(sql, values if isinstance(values, dict) else list(values)))

    def _row(self, sql: str, values: Iterable[Any] = ()) -> dict[str, Any] | None:
        return next(iter(self._rows(sql, values)), None)
