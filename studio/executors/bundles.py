"""Files of a home that travel between machines: what a run needs, and what it has made."""

import io
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from studio.config.run import RunConfig
from studio.home import Home
from studio.pipeline.job import Job


@dataclass(frozen=True)
class Bundle:
    """What a task needs, or what it made: files under the home, as a tar archive."""

    files: bytes


def new_files(folder: Path, sent: dict[Path, float]) -> Iterator[Bundle]:
    """The run's files that came or changed since they were sent; what is half written stays."""
    fresh = [path for path in files_in(folder / "runs") if path.suffix != ".part" and ".part" not in str(path.parent)]
    changed = [path for path in fresh if sent.get(path) != path.stat().st_mtime]
    sent |= {path: path.stat().st_mtime for path in changed}
    if changed:
        yield pack(folder, changed)


def needed(job: Job, home: Home) -> list[Path]:
    """The data, what the run has saved so far, and the models of earlier runs that it names."""
    folders = [Path(job.dataset), home.run(job.run_id), *([Path(job.replay)] if job.replay else [])]
    config: RunConfig = job.config
    for reference in (config.teacher, config.student, *config.more_teachers, *config.assistants):
        if reference.startswith("run:"):
            number, role = reference.removeprefix("run:").split("/")
            folders.append(home.model(int(number), role))
    return [file for folder in folders for file in files_in(folder)]


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def pack(root: Path, files: list[Path]) -> Bundle:
    """The files by their place under `root`."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for file in files:
            archive.add(file, str(file.relative_to(root)), recursive=False)
    return Bundle(held.getvalue())


def unpack(parcel: Bundle, root: Path) -> None:
    """Put the files into their places, each in one move; places outside of `root` are refused."""
    with (
        tarfile.open(fileobj=io.BytesIO(parcel.files)) as archive,
        tempfile.TemporaryDirectory(dir=_made(root)) as part,
    ):
        archive.extractall(part, filter="data")
        for file in files_in(Path(part)):
            place = root / file.relative_to(part)
            _made(place.parent)
            file.replace(place)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def moved(job: Job, root: Path) -> Job:
    """The same job with its folders under another home."""
    here = {"dataset": str(root / Path(job.dataset).relative_to(job.home)), "home": str(root)}
    replay = {} if job.replay is None else {"replay": str(root / Path(job.replay).relative_to(job.home))}
    return job.model_copy(update=here | replay)
