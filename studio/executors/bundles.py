"""Files of a home that travel between machines: what a run needs, and what it has made."""

import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

from studio import files
from studio.home import Home
from studio.pipeline.job import Job

Bundle = bytes
"""What a task needs, or what it made: files under the home, as a tar archive."""


def new_files(folder: Path, sent: dict[Path, float]) -> Iterator[Bundle]:
    """The run's files that came or changed since they were sent; what is half written stays."""
    fresh = [path for path in files.inside(folder / "runs") if not files.is_partial(path.relative_to(folder))]
    changed = [path for path in fresh if sent.get(path) != path.stat().st_mtime]
    sent |= {path: path.stat().st_mtime for path in changed}
    if changed:
        yield pack(folder, changed)


def needed(job: Job) -> list[Path]:
    """The data, what the run has saved so far, and the models of earlier runs that it names."""
    folders = [job.dataset, job.home.run(job.run_id), *([job.replay] if job.replay else [])]
    for reference in job.config.references:
        if reference.run is not None:
            folders.append(job.home.model(reference.run, reference.role))
    return [file for folder in folders for file in files.inside(folder)]


def pack(root: Path, paths: list[Path]) -> Bundle:
    """The files by their paths under `root`."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for file in paths:
            archive.add(file, str(file.relative_to(root)), recursive=False)
    return held.getvalue()


def unpack(bundle: Bundle, root: Path) -> None:
    """Write the files under `root`, each whole or not at all; paths that lead outside of it are refused."""
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        for member in archive:
            inside = tarfile.data_filter(member, str(root))
            content = archive.extractfile(inside)
            if content is None:
                continue  # no file
            with files.whole_file(root / inside.name) as part, part.open("wb") as written:
                shutil.copyfileobj(content, written)


def moved(job: Job, root: Path) -> Job:
    """The same job with its folders under another home."""
    old = job.home.root
    replay = None if job.replay is None else root / job.replay.relative_to(old)
    here = {"home": Home(root), "dataset": root / job.dataset.relative_to(old), "replay": replay}
    return job.model_copy(update=here)
