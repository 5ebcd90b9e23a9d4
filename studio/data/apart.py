"""Read an upload in a process of its own, which has so much memory and time and no more: whatever a file does to its
reader, the studio goes on.

The rows come back as an Arrow file, so nothing that a reader says is code.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa

from studio import errors
from studio.data import uploads
from studio.data.refused import Refused
from studio.data.uploads import Upload
from studio.errors import DataError, LimitError, StudioError
from studio.machine import cgroups

LEAST_BYTES, MEMORY_SHARE = 2 * 1024**3, 0.5
SECONDS, SECONDS_PER_MB = 60.0, 1.0
ROWS_A_BATCH = 4_096
ROW_BYTES, TEXT_TIMES = 450, 2
"""What a row takes until it is saved, beside so many times its text: measured with `python -m tests.bench.big`."""

SHORT, MOST_KNOWN = 32, 100_000
"""Cells up to this length are looked up among those that were there, so many of them."""

TOO_LARGE = "The file takes more memory to read than it may."
_TABLE, _ABOUT = "table.arrow", "about.json"


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
    asked = {"path": str(path.absolute()), "name": name or path.name, "header": header, "encoding": encoding,
             "delimiter": delimiter, "memory": _memory()}  # fmt: skip
    seconds = SECONDS + SECONDS_PER_MB * (path.stat().st_size / 1e6 if path.is_file() else 0)
    with tempfile.TemporaryDirectory(prefix="reading-") as place:
        folder = Path(place)
        command = [sys.executable, "-m", "studio.data.apart", str(folder)]
        try:
            done = subprocess.run(
                command, input=json.dumps(asked), text=True, capture_output=True, timeout=seconds,
                cwd=Path(__file__).parents[2], env=_environment(), check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise LimitError(f"The file took more than {seconds:.0f} seconds to read.", "Split it.") from error
        if not (folder / _ABOUT).is_file():
            raise _of_a_dead_reader(done)
        return _received(folder)


def _memory() -> int:
    """Bytes that a reader may take."""
    return max(LEAST_BYTES, int(psutil.virtual_memory().total * MEMORY_SHARE))


def _environment() -> dict[str, str]:
    """Threads of libraries that a reader has no use for take memory of their own."""
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ARROW_IO_THREADS"), "1")
    return {**os.environ, **single, "PYTHONUTF8": "1"}


def _of_a_dead_reader(done: "subprocess.CompletedProcess[str]") -> DataError:
    if "MemoryError" in done.stderr or "bad_alloc" in done.stderr or "realloc" in done.stderr:
        return LimitError(TOO_LARGE, "Split it.")
    last = (done.stderr.strip().splitlines() or [""])[-1][:200]
    return DataError(
        f"The file ended the process that read it (status {done.returncode}): {last}.",
        "It is damaged, or takes too much memory. Save it again, or split it.",
    )


def _received(folder: Path) -> Upload:
    about: dict[str, Any] = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    if "error" in about:
        raise errors.by_name(about["error"])(about["message"], about["cure"])
    with pa.memory_map(str(folder / _TABLE)) as file:
        table = pa.ipc.open_file(file).read_all()
        _require_room(table.num_rows, table.nbytes)
        frame = _frame(table)
    refused = tuple(Refused(each["reason"], tuple(each["lines"]), tuple(each["rows"])) for each in about["refused"])
    return Upload(about["kind"], frame, tuple(about["notes"]), _numbers(about["lines"]), refused)


def _frame(table: pa.Table) -> pd.DataFrame:
    return pd.DataFrame({name: _cells(table[name]) for name in table.column_names}, dtype=object, copy=False)


def _require_room(rows: int, size: int) -> None:
    """Raise `LimitError` before memory runs out: a table is held as a whole while it is checked and saved."""
    needed, free = ROW_BYTES * rows + TEXT_TIMES * size, min([psutil.virtual_memory().available, *cgroups.left()])
    if needed > free:
        raise LimitError(
            f"The table of {rows:,} rows takes about {needed / 1e9:.1f} GB of memory to be checked and saved, and the "
            f"machine has {free / 1e9:.1f} GB left.",
            "Split it, or end what else runs there.",
        )


def _cells(column: pa.ChunkedArray) -> np.ndarray:
    """The values as Python's; short ones that come again are one object, which takes little memory."""
    known: dict[Any, Any] = {}
    cells = np.empty(len(column), dtype=object)
    start = 0
    for chunk in column.chunks:
        values = chunk.to_pylist()
        cells[start : start + len(chunk)] = [
            value if len(value) > SHORT else known.setdefault(value, value) for value in values
        ]
        known = known if len(known) < MOST_KNOWN else {}
        start += len(chunk)
    return cells


def _write(upload: Upload, folder: Path) -> None:
    table = pa.table(
        {
            name: pa.array(
                upload.table[name].tolist(),
                pa.large_binary() if upload.kind == "images" and name == "image" else pa.large_string(),
            )
            for name in upload.table.columns
        }
    )
    with pa.OSFile(str(folder / _TABLE), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=ROWS_A_BATCH)
    about = {
        "kind": upload.kind,
        "notes": upload.notes,
        "lines": {"from": upload.lines.start, "to": upload.lines.stop}
        if isinstance(upload.lines, range)
        else upload.lines,
        "refused": list(map(asdict, upload.refused)),
    }
    _say(folder, about)


def _numbers(said: Any) -> Sequence[int]:
    return range(said["from"], said["to"]) if isinstance(said, dict) else tuple(said)


def _say(folder: Path, about: dict[str, Any]) -> None:
    """Written last: without it the reader did not come to its end."""
    (folder / _ABOUT).write_text(json.dumps(about), encoding="utf-8")


def _limit(memory: int) -> None:
    if sys.platform != "linux":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """The reader: what to read stands on standard input, what was read goes into the folder."""
    folder, asked = Path(sys.argv[1]), json.loads(sys.stdin.read())
    _limit(asked.pop("memory"))
    path = Path(asked.pop("path"))
    try:
        _write(uploads.read(path, **asked), folder)
    except StudioError as error:
        _say(folder, {"error": type(error).__name__, "message": error.message, "cure": error.cure})
    except MemoryError:
        _say(folder, {"error": "LimitError", "message": TOO_LARGE, "cure": "Split it."})


if __name__ == "__main__":
    main()
