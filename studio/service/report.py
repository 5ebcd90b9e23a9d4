"""The results of a run as one HTML document, written by the pages' own program: it needs nothing else to be read."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from studio.errors import ExportError, WorkerError
from studio.home import Home
from studio.language.languages import LANGUAGES, SOURCE
from studio.service import comparison, new_files
from studio.service.program import program_folder
from studio.store.store import Store

SECONDS = 120.0


def write(home: Home, store: Store, run_id: int, to: Path, language: str = SOURCE, slides: bool = False) -> Path:
    """Write the report of a run, or its slides, to a file that must not be there; returns the file.

    Raises `StoreError` where there is no such run, `ExportError` where it has no results yet, where the language is
    unknown, or where the file cannot be written.
    """
    _require_new(to, language)
    run = store.run(run_id)
    if run.verdict is None:
        raise ExportError(f"Run {run_id} has no results yet; it is {run.status}.", "Wait until it has finished.")
    return _put(to, _written(home, "_report", [str(run_id), *["--slides"] * slides], language))


def write_comparison(home: Home, store: Store, run_ids: Sequence[int], to: Path, language: str = SOURCE) -> Path:
    """Write the report of a comparison of runs; returns the file. Raises as `write` does, and `ConfigError` for fewer
    than two runs."""
    _require_new(to, language)
    comparison.sides(store, run_ids)
    return _put(to, _written(home, "_report_compared", [str(run_id) for run_id in run_ids], language))


def _require_new(to: Path, language: str) -> None:
    if language not in LANGUAGES:
        raise ExportError(f"There is no report in {language!r}.", f"There are {', '.join(LANGUAGES)}.")
    if to.suffix.lower() not in (".html", ".htm"):
        raise ExportError(f"{to.name} must end in .html.", "Choose another name.")
    if to.exists():
        raise ExportError(f"{to} is there already.", "Choose another name: nothing is overwritten.")


def _put(to: Path, written: bytes) -> Path:
    with new_files.written(to) as part:
        part.write_bytes(written)
    return to


def _written(home: Home, program: str, about: Sequence[str], language: str) -> bytes:
    """What a program of the pages writes. It runs as one of its own: the engine knows nothing of the pages."""
    folder = str(program_folder())
    command = [sys.executable, "-m", f"pages.{program}", *about, "--language", language]
    paths = [folder, str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]
    known = os.environ | {"STUDIO_HOME": str(home.root), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    try:
        done = subprocess.run(command, cwd=folder, env=known, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise WorkerError(f"The report took longer than {SECONDS:g} s.", "Try again.") from error
    if done.returncode != 0:
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
        raise WorkerError(f"The report could not be written: {last}", "The page Results has it, too.")
    return done.stdout
