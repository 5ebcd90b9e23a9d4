"""What the studio keeps on disk: how much, who uses it, and what goes by itself when nobody does.

Uploads, and what was made to be downloaded, go after a day: whoever wanted them has them. So does what a killed process
left half written. Teacher outputs can always be made anew; they go when nobody has read them for
`STUDIO_TEACHER_OUTPUTS_DAYS` (90), and the longest unread ones first when they take more than
`STUDIO_TEACHER_OUTPUTS_GB` (20). What teachers behind addresses said was paid for, and stays until somebody deletes it.
"""

import contextlib
import math
import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from filelock import Timeout

from studio import files
from studio.errors import ConfigError, StoreError
from studio.home import PASSING, Home
from studio.service import answer_record
from studio.store.store import Store

Kind = Literal["data sets", "models", "teacher outputs", "asked answers", "uploads", "downloads"]

DAY = 24 * 3600.0
PASSING_DAYS = 1
"""How long what comes in or goes out may stay."""

COARSE_S = 3.0
"""By so much the time of a file may be behind the clock: kernels stamp by ticks, some file systems by two seconds."""

_FINGERPRINT = re.compile(r"[0-9a-f]{32}")
_OUTPUTS = re.compile(r"[0-9a-f]{32}(-[a-z0-9.+-]+)?")
"""Behind the fingerprint stands what was kept of each answer, where that is not all of it."""


@dataclass(frozen=True)
class Kept:
    """One thing on disk. `name` is its number or fingerprint, `used_at` when it was last read or written, as far as is
    known, and `used_by` what would miss it."""

    kind: Kind
    name: str
    title: str
    bytes: int
    used_at: float
    used_by: tuple[str, ...] = ()


def kept(store: Store, home: Home) -> list[Kept]:
    """Everything on disk, the largest first."""
    found = [*_made(store, home), *teacher_outputs(home), *asked_answers(home), *_passing(home)]
    return [_with_users(store, entry) for entry in sorted(found, key=lambda entry: -entry.bytes)]


def largest(store: Store, home: Home, most: int) -> list[Kept]:
    """The data sets and runs that take most, at most so many."""
    found = sorted(_made(store, home), key=lambda entry: -entry.bytes)
    return [_with_users(store, entry) for entry in found[:most]]


def teacher_outputs(home: Home) -> list[Kept]:
    folders = home.teacher_outputs.iterdir() if home.teacher_outputs.is_dir() else ()
    return [
        Kept(
            "teacher outputs",
            folder.name,
            f"Answers of a teacher, {folder.name[:8]}",
            files.size(folder),
            _used_at(folder),
        )
        for folder in folders
        if _OUTPUTS.fullmatch(folder.name)
    ]


def delete_teacher_outputs(store: Store, home: Home, name: str) -> int:
    """Returns the bytes that are free again. Raises `StoreError` where there are none of that name, or while a run goes
    on that may read them."""
    folder = home.teacher_outputs / name
    if not _OUTPUTS.fullmatch(name) or not folder.is_dir():
        raise StoreError(f"There are no teacher outputs {name!r}.", "`python -m studio disk` lists what there is.")
    if store.carried():
        raise StoreError("A run goes on, and may read them.", "Wait for its end, or stop it.")
    freed = files.size(folder)
    shutil.rmtree(folder)
    return freed


def asked_answers(home: Home) -> list[Kept]:
    """What teachers behind addresses said, a file for each teacher and way of asking."""
    found = []
    for file in home.asked.glob("*.jsonl"):
        whose = answer_record.about(file)
        title = f"{whose.model} · {whose.host}" if whose.host else f"Answers of a teacher, {file.stem[:8]}"
        found.append(Kept("asked answers", file.stem, title, file.stat().st_size, _used_at(file)))
    return found


def delete_asked_answers(home: Home, name: str) -> int:
    """Returns the bytes that are free again. Raises `StoreError` where there are none of that name, or while their
    teacher is asked."""
    file = home.asked / f"{name}.jsonl"
    if not _FINGERPRINT.fullmatch(name) or not file.is_file():
        raise StoreError(f"There are no asked answers {name!r}.", "`python -m studio disk` lists what there is.")
    try:
        with answer_record.unasked(file):
            freed = file.stat().st_size
            file.unlink()
    except Timeout as error:
        raise StoreError("Their teacher is being asked.", "Wait for the end of it.") from error
    return freed


def tidy(store: Store, home: Home) -> int:
    """Delete what has had its time; returns the bytes that are free again. Teacher outputs that were read since the
    oldest run that goes on began stay: it may read them again.

    Raises `ConfigError` where a limit is no number.
    """
    days, most = limits()
    now = time.time()
    freed = sum(
        _removed(home.root / entry.kind / entry.name) for entry in _passing(home) if _had_its_day(entry.used_at)
    )
    freed += sum(_removed(place) for place in (*_left_behind(), *_of_nobody(store, home)))
    held = 0
    for outputs in sorted(teacher_outputs(home), key=lambda entry: -entry.used_at):
        held += outputs.bytes
        folder = home.teacher_outputs / outputs.name
        if (held > most or now - outputs.used_at > days * DAY) and not _may_be_read(store, folder):
            freed += _removed(folder)
    return freed


def _may_be_read(store: Store, folder: Path) -> bool:
    """Whether it was read since the oldest of the runs that go on now began."""
    begun = min((store.run(run.id).started_at or 0.0 for run in store.carried()), default=math.inf)
    return not folder.exists() or _used_at(folder) >= begun - COARSE_S


def _of_nobody(store: Store, home: Home) -> list[Path]:
    """What writers that were killed did not finish, and folders of runs and data sets that are no more. A number that
    this database never gave is another one's: its folder stays, such as where a new database was begun."""
    found = [*home.root.glob(f"*/*{files.MARK}*"), *home.root.glob(f"*/*/*{files.MARK}*")]
    kinds: tuple[Literal["runs", "datasets"], ...] = ("runs", "datasets")
    for kind in kinds:
        known, last = store.numbers(kind), store.last_number(kind)
        numbered = (folder for folder in (home.root / kind).glob("*") if folder.name.isdecimal())
        found += [folder for folder in numbered if int(folder.name) <= last and int(folder.name) not in known]
    return [folder for folder in found if _had_its_day(_written_at(folder))]


def _left_behind() -> list[Path]:
    """Folders whose process was killed: one that lives removes its own."""
    places = Path(tempfile.gettempdir()).glob(f"{PASSING}*")
    return [place for place in places if place.is_dir() and _had_its_day(place.stat().st_mtime)]


def _had_its_day(used_at: float) -> bool:
    return time.time() - used_at > PASSING_DAYS * DAY


def _removed(folder: Path) -> int:
    freed = files.size(folder)
    shutil.rmtree(folder, ignore_errors=True)  # another user's stays
    return freed if not folder.exists() else 0


def _made(store: Store, home: Home) -> list[Kept]:
    """What people made: data sets, and the models of runs."""
    datasets = [
        Kept("data sets", str(row.id), row.name, files.size(home.dataset(row.id)), row.created_at)
        for row in store.datasets()
    ]
    models = [
        Kept("models", str(run.id), f"Run {run.id}", files.size(home.run(run.id)), run.finished_at or run.created_at)
        for run in store.runs(None, archived=True)
        if home.run(run.id).is_dir()
    ]
    return [*datasets, *models]


def _with_users(store: Store, entry: Kept) -> Kept:
    users: list[int] = []
    if entry.kind == "data sets":
        users = store.users_of_dataset(store.dataset_by_id(int(entry.name)))
    elif entry.kind == "models":
        users = store.users_of(int(entry.name))
    return replace(entry, used_by=tuple(f"run {user}" for user in users))


def _passing(home: Home) -> list[Kept]:
    """What is on its way in or out, by the folder that it is in."""
    kinds: tuple[tuple[Kind, Path, str], ...] = (
        ("uploads", home.uploads, "An upload"), ("downloads", home.downloads, "A file to download"),
    )  # fmt: skip
    return [
        Kept(kind, folder.name, title, files.size(folder), _written_at(folder))
        for kind, place, title in kinds
        for folder in (place.iterdir() if place.is_dir() else ())
    ]


def _written_at(folder: Path) -> float:
    """When it, or something in it, was written last: a large file is on its way for long. 0 where it is gone again."""
    last = 0.0
    for path in (folder, *files.inside(folder)):
        with contextlib.suppress(FileNotFoundError):
            last = max(last, path.stat().st_mtime)
    return last


def _used_at(folder: Path) -> float:
    return folder.stat().st_mtime


def limits() -> tuple[float, float]:
    """Days for which teacher outputs stay unread, and the bytes that they may take. Raises `ConfigError` where one of
    them is no number."""
    return _limit("STUDIO_TEACHER_OUTPUTS_DAYS", 90.0), _limit("STUDIO_TEACHER_OUTPUTS_GB", 20.0) * 1e9


def _limit(name: str, usual: float) -> float:
    text = os.environ.get(name, "")
    try:
        found = float(text) if text else usual
    except ValueError:
        found = -1.0
    if not 0 <= found < math.inf:
        raise ConfigError(f"{name} must be a number from 0 on, got {text!r}.", "Correct it or leave it out.")
    return found
