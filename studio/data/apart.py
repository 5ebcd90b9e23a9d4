"""Read an upload in a process of its own, which has so much memory and time and no more: whatever a file does to its
reader, the studio goes on.

The rows come back as an Arrow file, so nothing that a reader says is code; those of a large table stay in it.
"""

import contextlib
import errno
import gc
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
from array import array
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa

from studio import errors
from studio.data import cells, uploads
from studio.data.on_disk import ROWS_AT_ONCE, ArrowFile, OnDisk
from studio.data.refused import Refused
from studio.data.uploads import Upload
from studio.errors import DataError, DeviceError, LimitError, StudioError
from studio.home import PASSING
from studio.machine import cgroups

TURNS = 2
"""So many files are read at a time; others wait, so that together they take no more memory than there is."""

LEAST_BYTES = 2 * 1024**3
SECONDS, SECONDS_PER_MB = 60.0, 1.0
"""So much processor time may a reader take."""

WAITED_TIMES = 5
"""Beside other work it takes so many times as long at most."""

LARGE_ROWS, LARGE_BYTES = 200_000, 256 * 1024**2
"""A table of more than this stays on disk."""

ROW_BYTES, HELD_ROW_BYTES, TEXT_TIMES = 70, 450, 2
"""What a row of such a table takes in memory until it is saved, and one of a table in memory beside so many times its
text: measured with `python -m tests.bench.big`."""

SHORT, MOST_KNOWN = 32, 100_000
"""Cells up to this length are looked up among those that were there, so many of them."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
TOO_LARGE = "The file takes more memory to read than it may."
_LINES, _ABOUT = "lines", "about.json"


def read(
    path: Path,
    *,
    name: str = "",
    header: bool | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Upload:
    """What `uploads.read` gives, read by another process.

    Raises `DataError`, also where the reader took too long, too much memory, or did not survive the file.
    """
    with _own_turn(), _turns:
        return _read(path, name, header, encoding, delimiter)


_turns = threading.BoundedSemaphore(TURNS)
_whose: ContextVar[str | None] = ContextVar("whose", default=None)
_own_turns: dict[str, threading.Lock] = {}


@contextlib.contextmanager
def one_at_a_time(person: str | None) -> Iterator[None]:
    """Of the files that this person has read within such blocks one is read at a time: whoever brings many, or slow
    ones, leaves a turn to others. None stands for who is alone with the studio."""
    before = _whose.set(person)
    try:
        yield
    finally:
        _whose.reset(before)


def _own_turn() -> contextlib.AbstractContextManager[Any]:
    person = _whose.get()
    return contextlib.nullcontext() if person is None else _own_turns.setdefault(person, threading.Lock())


def _read(path: Path, name: str, header: bool | None, encoding: str | None, delimiter: str | None) -> Upload:
    seconds = math.ceil(SECONDS + SECONDS_PER_MB * (path.stat().st_size / 1e6 if path.is_file() else 0))
    asked = {"path": str(path.absolute()), "name": name or path.name, "header": header, "encoding": encoding,
             "delimiter": delimiter, "memory": _memory(), "seconds": seconds}  # fmt: skip
    place = tempfile.TemporaryDirectory(prefix=PASSING)  # it is removed when nobody holds it any more
    folder = Path(place.name)
    command = [sys.executable, "-m", "studio.data.apart", str(folder)]
    try:
        done = subprocess.run(
            command, input=json.dumps(asked), text=True, capture_output=True, timeout=WAITED_TIMES * seconds,
            cwd=Path(__file__).parents[2], env=_environment() | {"TMPDIR": str(folder)}, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise _too_long(WAITED_TIMES * seconds) from error
    if done.returncode == os.EX_IOERR:
        room = tempfile.gettempdir()
        raise DeviceError(f"There is no room left in {room}, where files are read.", "Free some, or set TMPDIR.")
    if not (folder / _ABOUT).is_file():
        raise _too_long(seconds) if done.returncode == -signal.SIGXCPU else _of_a_dead_reader(done)
    return _received(folder, place)


def _memory() -> int:
    """Bytes that a reader may take: its part of what is free."""
    return max(LEAST_BYTES, _free() // TURNS)


def _free() -> int:
    return min([psutil.virtual_memory().available, *cgroups.left()])


def _environment() -> dict[str, str]:
    """Threads of libraries that a reader has no use for take memory of their own."""
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ARROW_IO_THREADS"), "1")
    return {**os.environ, **single, "PYTHONUTF8": "1"}


def _too_long(seconds: int) -> LimitError:
    return LimitError(f"The file took more than {seconds:,} seconds to read.", "Split it.")


def _of_a_dead_reader(done: "subprocess.CompletedProcess[str]") -> DataError:
    if "MemoryError" in done.stderr or "bad_alloc" in done.stderr or "realloc" in done.stderr:
        return LimitError(TOO_LARGE, "Split it.")
    last = (done.stderr.strip().splitlines() or [""])[-1][:200]
    return DataError(
        f"The file ended the process that read it (status {done.returncode}): {last}.",
        "It is damaged, or takes too much memory. Save it again, or split it.",
    )


def _received(folder: Path, place: "tempfile.TemporaryDirectory[str]") -> Upload:
    about: dict[str, Any] = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    if "error" in about:
        raise errors.by_name(about["error"])(about["message"], about["cure"])
    files = [folder / name for name in about["files"]]
    rows, size = about["rows"], sum(file.stat().st_size for file in files)
    is_large = rows > LARGE_ROWS or size > LARGE_BYTES
    _require_room(rows, ROW_BYTES * rows if is_large else HELD_ROW_BYTES * rows + TEXT_TIMES * size)
    frame = _on_disk(files, about["columns"], place) if is_large else _frame(files, about["columns"])
    refused = tuple(Refused(each["reason"], tuple(each["lines"]), tuple(each["rows"])) for each in about["refused"])
    return Upload(about["kind"], frame, tuple(about["notes"]), _lines(folder, about), refused)


def _lines(folder: Path, about: dict[str, Any]) -> Sequence[int]:
    """The numbers of the rows' lines, where there are any."""
    said = about["lines"]
    if isinstance(said, dict):
        return range(said["from"], said["to"])
    return tuple(np.fromfile(folder / said, np.int64).tolist()) if said else ()


def _frame(files: Sequence[Path], names: Sequence[str]) -> pd.DataFrame:
    """All rows in memory."""
    tables = []
    for path in files:
        with pa.memory_map(str(path)) as file:
            tables.append(pa.ipc.open_file(file).read_all())
    columns = {name: [_column(table, name) for table in tables] for name in names}
    return pd.DataFrame({name: np.concatenate(parts) for name, parts in columns.items()}, dtype=object, copy=False)


def _column(table: pa.Table, name: str) -> np.ndarray:
    if name in table.column_names:
        return _cells(table[name])
    return np.full(table.num_rows, "", dtype=object)


def _on_disk(files: Sequence[Path], names: Sequence[str], place: "tempfile.TemporaryDirectory[str]") -> pd.DataFrame:
    """The rows where they are; a file that lacks a column has empty cells there."""
    tables = []
    for path in files:
        columns = ArrowFile(path, keep=place).columns()
        count = len(next(iter(columns.values()), ()))
        tables.append([columns.get(name, OnDisk.alike("", count)) for name in names])
    whole = {name: OnDisk.stacked([table[number] for table in tables]) for number, name in enumerate(names)}
    return pd.DataFrame(whole, copy=False)


def _require_room(rows: int, needed: int) -> None:
    """Raise `LimitError` before memory runs out."""
    free = _free()
    if needed > free:
        raise LimitError(
            f"The table of {rows:,} rows takes about {needed / 1e9:.1f} GB of memory to be checked and saved, and the "
            f"machine has {free / 1e9:.1f} GB left.",
            "Split it, or end what else runs there.",
        )


def _cells(column: pa.ChunkedArray) -> np.ndarray:
    """The values as Python's; short ones that come again are one object, which takes little memory."""
    known: dict[Any, Any] = {}
    found = np.empty(len(column), dtype=object)
    start = 0
    for chunk in column.chunks:
        values = chunk.to_pylist()
        found[start : start + len(chunk)] = [
            value if len(value) > SHORT else known.setdefault(value, value) for value in values
        ]
        known = known if len(known) < MOST_KNOWN else {}
        start += len(chunk)
    return found


class _Writer:
    """Writes blocks of rows as Arrow files: a new one where a column comes that was not there before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[str] = []
        self.columns: dict[str, None] = {}
        self.rows = 0
        self.kind = "table"
        self.refused: list[Refused] = []
        self._lines = array("q")
        self._opened: tuple[list[str], Any, Any] | None = None

    def write(self, block: Upload) -> None:
        names = list(block.table.columns)
        values = {name: pa.array(block.table[name].tolist(), _kind(block.kind, name)) for name in names}
        if self._opened is None or self._opened[0] != names:
            self._open(names, pa.table(values).schema)
        assert self._opened is not None
        self._opened[1].write_table(pa.table(values), max_chunksize=ROWS_AT_ONCE)
        self.kind, self.rows = block.kind, self.rows + len(block.table)
        self.columns |= dict.fromkeys(names)
        self.refused += block.refused
        self._lines.extend(block.lines)

    def finish(self, notes: Sequence[str]) -> None:
        self._close()
        lines = self._lines if len(self._lines) == self.rows else array("q")
        follow = not len(lines) or lines[-1] - lines[0] + 1 == len(lines)
        said: Any = {"from": lines[0], "to": lines[-1] + 1} if len(lines) and follow else None
        if len(lines) and not follow:
            said = _LINES
            (self.folder / _LINES).write_bytes(lines.tobytes())
        about = {
            "kind": self.kind, "notes": notes, "rows": self.rows, "columns": list(self.columns), "files": self.files,
            "lines": said, "refused": list(map(asdict, uploads.merged(self.refused))),
        }  # fmt: skip
        _say(self.folder, about)

    def _open(self, names: list[str], schema: pa.Schema) -> None:
        self._close()
        self.files.append(f"{len(self.files)}.arrow")
        file = pa.OSFile(str(self.folder / self.files[-1]), "wb")
        self._opened = names, pa.ipc.new_file(file, schema), file

    def _close(self) -> None:
        for opened in self._opened[1:] if self._opened else ():
            opened.close()


def _kind(kind: str, column: str) -> pa.DataType:
    return pa.large_binary() if kind == "images" and column == "image" else pa.large_string()


def _say(folder: Path, about: dict[str, Any]) -> None:
    """Written last: without it the reader did not come to its end."""
    (folder / _ABOUT).write_text(json.dumps(about), encoding="utf-8")


def _limit(memory: int, seconds: int) -> None:
    """The bytes of memory and the seconds of processor time that this process may take."""
    if sys.platform != "linux":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """The reader: what to read stands on standard input, what was read goes into the folder."""
    folder, asked = Path(sys.argv[1]), json.loads(sys.stdin.read())
    _limit(asked.pop("memory"), asked.pop("seconds"))
    gc.disable()  # rows hold no circles, and to look for some takes a third of the time
    try:
        _read_into(folder, Path(asked.pop("path")), asked)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        sys.exit(os.EX_IOERR)  # not even that can be written


def _read_into(folder: Path, path: Path, asked: dict[str, Any]) -> None:
    try:
        writer = _Writer(folder)
        writer.finish(cells.each(uploads.blocks(path, **asked), writer.write))
    except StudioError as error:
        _say(folder, {"error": type(error).__name__, "message": error.message, "cure": error.cure})
    except MemoryError:
        _say(folder, {"error": "LimitError", "message": TOO_LARGE, "cure": "Split it."})


if __name__ == "__main__":
    main()
