"""Where the teacher places the rows of a run: a vector each, on disk, for the training rows nearest to a test row."""

from pathlib import Path

import numpy as np

from studio import files
from studio.home import Home

SPLITS = ("train", "test")


def write(home: Home, run_id: int, split: str, rows: np.ndarray) -> None:
    """Keep (rows, width) float16 in place of what was kept before; what is beyond its range is at its end."""
    most = np.finfo(np.float16).max
    with files.whole_file(_place(home, run_id, split)) as part, part.open("wb") as file:
        np.save(file, np.clip(rows, -most, most).astype(np.float16), allow_pickle=False)


def opened(home: Home, run_id: int, split: str) -> np.ndarray | None:
    """(rows, width), mapped into memory; None where nobody has asked for them yet, or the file is damaged."""
    try:
        found: np.ndarray = np.load(_place(home, run_id, split), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.ndim == 2 else None


def nearest(row: np.ndarray, known: np.ndarray, count: int = 5) -> np.ndarray:
    """The numbers of the rows of `known` (rows, width) with the smallest angle to this one (width,), the nearest
    first.

    >>> nearest(np.array([1.0, 0.0]), np.array([[0.0, 1.0], [5.0, 0.1], [1.0, 1.0]]), 2).tolist()
    [1, 2]
    """
    found, row = [], row.astype(np.float32)  # in half precision a length over 255 overflows
    for start in range(0, len(known), _AT_ONCE):
        part = np.asarray(known[start : start + _AT_ONCE], dtype=np.float32)
        lengths = np.maximum(np.linalg.norm(part, axis=1) * np.linalg.norm(row), 1e-12)
        found.append(part @ row / lengths)
    alike = np.nan_to_num(np.concatenate(found), nan=-np.inf) if found else np.array([])
    return np.argsort(-alike, kind="stable")[:count]


_AT_ONCE = 100_000


def _place(home: Home, run_id: int, split: str) -> Path:
    return home.kept(run_id) / f"teacher-{SPLITS[SPLITS.index(split)]}-embeddings.npy"
