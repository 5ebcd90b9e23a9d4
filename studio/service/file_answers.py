"""Whole files answered beside the pages: a thread does it while people go on, close the page, and come back.

What a file is about stands beside its answers, so that whoever brought it finds them after the studio was restarted.
"""

import contextlib
import functools
import json
import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Literal

from studio import files
from studio.errors import LimitError, StudioError
from studio.home import Home
from studio.pipeline.answers import AskedRole
from studio.service import playground
from studio.service.passing import room
from studio.service.predict import Scored, predict_file
from studio.store.store import Store

State = Literal["waiting", "working", "finished", "failed", "stopped"]

MOST_KEPT, MOST_WAITING = 20, 5
"""So many answered files of a person are kept for taking away; so many may wait or be worked on."""

ABOUT = "about.json"
"""What a file is about, beside its answers."""


@dataclass
class FileAnswers:
    """One file and how far it is. `error` says why it failed; `scored` what was written."""

    id: str
    run_id: int
    role: AskedRole
    name: str
    made_by: str | None
    folder: Path
    columns: dict[str, str] = field(default_factory=dict)
    begun: float = field(default_factory=time.time)
    state: State = "waiting"
    done: int = 0
    total: int = 0
    error: StudioError | None = None
    scored: Scored | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def is_over(self) -> bool:
        return self.state in ("finished", "failed", "stopped")

    @property
    def answers(self) -> Path:
        return self.folder / "answers.csv"

    def write(self) -> None:
        """What `read` reads."""
        values = {name: getattr(self, name) for name in _WRITTEN}
        values["scored"] = None if self.scored is None else [self.scored.rows, self.scored.empty, self.scored.columns]
        with files.whole_file(self.folder / ABOUT) as part:
            part.write_text(json.dumps(values), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "FileAnswers":
        """What an earlier process wrote of a file; one that it did not finish has failed. Raises `OSError` or
        `ValueError` where that cannot be read."""
        values = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        try:
            job = cls(folder=folder, **{name: values[name] for name in _WRITTEN})
            scored = None if values["scored"] is None else Scored(job.answers, *values["scored"])
        except (TypeError, KeyError) as error:
            raise ValueError(f"{folder / ABOUT} says nothing of a file: {error}") from error
        job.scored, job.state = scored, "failed" if scored is None else "finished"
        if scored is None:
            job.error = StudioError("The studio ended before every row had an answer.", "Bring the file again.")
        return job


_WRITTEN = ("id", "run_id", "role", "name", "made_by", "begun")


class _Stopped(Exception):
    """Somebody wants it no more."""


class FileDesk:
    """All files of one home, one after another: they share the process of the playground with those who type."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._known = {job.id: job for job in _of_earlier(home)}
        self._changing = threading.Lock()
        self._working = threading.Lock()

    def begin(
        self, store: Store, run_id: int, role: AskedRole, name: str, data: bytes, made_by: str | None,
        columns: Mapping[str, str] | None = None,
    ) -> FileAnswers:  # fmt: skip
        """Take a file; its answers are written from now on. `columns` names those of the inputs, `column` and `pair`,
        where they are not called as in the run's data. Raises `LimitError` where too many of this person wait already.
        """
        with self._changing:
            mine = [job for job in self._known.values() if job.made_by == made_by]
            if sum(not job.is_over for job in mine) >= MOST_WAITING:
                raise LimitError(f"{MOST_WAITING} files are being answered already.", "Wait for one of them.")
            self._forget_old(mine)
            folder = room(self.home, self.home.downloads, len(data))
            (folder / f"file{PurePath(name).suffix.lower()}").write_bytes(data)
            job = FileAnswers(uuid.uuid4().hex, run_id, role, name, made_by, folder, dict(columns or {}))
            job.write()
            self._known[job.id] = job
        threading.Thread(target=self._work, args=(store, job), name=f"answers {job.id[:6]}", daemon=True).start()
        return job

    def of(self, run_id: int, made_by: str | None) -> list[FileAnswers]:
        """A person's files about a run, the newest first; without those whose answers had their day."""
        with self._changing:
            mine = [job for job in self._known.values() if (job.run_id, job.made_by) == (run_id, made_by)]
            mine = [job for job in mine if job.state != "finished" or job.answers.is_file()]
        return sorted(mine, key=lambda job: -job.begun)

    def _work(self, store: Store, job: FileAnswers) -> None:
        def tell(done: int, total: int) -> None:
            job.done, job.total = done, total
            if job.stop.is_set():
                raise _Stopped

        from studio.data import apart  # it opens libraries

        source = job.folder / f"file{PurePath(job.name).suffix.lower()}"
        with self._working:
            try:
                if job.stop.is_set():
                    raise _Stopped
                job.state = "working"
                asked = playground.shared(self.home.root)
                with apart.one_at_a_time(job.made_by):
                    job.scored = predict_file(
                        store, self.home, job.run_id, source, job.answers, tell=tell,
                        ask=lambda values: asked.stream(store, job.run_id, job.role, values),
                        column=job.columns.get("column"), pair=job.columns.get("pair"),
                    )  # fmt: skip
                job.write()
                job.state = "finished"
            except _Stopped:
                job.state = "stopped"
            except StudioError as error:
                job.error, job.state = error, "failed"
            except Exception:
                job.error = StudioError("The file could not be answered.", "The server's log has the details.")
                job.state = "failed"
                raise
            finally:
                if job.state == "finished":
                    source.unlink(missing_ok=True)
                else:
                    shutil.rmtree(job.folder, ignore_errors=True)

    def _forget_old(self, files: list[FileAnswers]) -> None:
        over = sorted((job for job in files if job.is_over), key=lambda job: job.begun)
        for job in over[: max(0, len(over) - MOST_KEPT + 1)]:
            shutil.rmtree(job.folder, ignore_errors=True)
            del self._known[job.id]


def _of_earlier(home: Home) -> Iterator[FileAnswers]:
    """The files that earlier processes took, as far as their folders are there."""
    for about in home.downloads.glob(f"*/{ABOUT}"):
        with contextlib.suppress(OSError, ValueError):  # damaged, or had its day meanwhile
            yield FileAnswers.read(about.parent)


@functools.cache
def shared(root: Path) -> FileDesk:
    """The one of this process for a home."""
    return FileDesk(Home(root))
