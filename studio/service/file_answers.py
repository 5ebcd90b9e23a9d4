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
        told = {name: getattr(self, name) for name in _WRITTEN}
        told["scored"] = None if self.scored is None else [self.scored.rows, self.scored.empty, self.scored.columns]
        with files.whole_file(self.folder / ABOUT) as part:
            part.write_text(json.dumps(told), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "FileAnswers":
        """What an earlier process wrote of a file; one that it did not finish has failed. Raises `OSError` or
        `ValueError` where that cannot be read."""
        told = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        try:
            one = cls(folder=folder, **{name: told[name] for name in _WRITTEN})
            scored = None if told["scored"] is None else Scored(one.answers, *told["scored"])
        except (TypeError, KeyError) as error:
            raise ValueError(f"{folder / ABOUT} says nothing of a file: {error}") from error
        one.scored, one.state = scored, "failed" if scored is None else "finished"
        if scored is None:
            one.error = StudioError("The studio ended before every row had an answer.", "Bring the file again.")
        return one


_WRITTEN = ("id", "run_id", "role", "name", "made_by", "begun")


class _Stopped(Exception):
    """Somebody wants it no more."""


class FileDesk:
    """All files of one home, one after another: they share the process of the playground with those who type."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._known = {one.id: one for one in _of_earlier(home)}
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
            mine = [one for one in self._known.values() if one.made_by == made_by]
            if sum(not one.is_over for one in mine) >= MOST_WAITING:
                raise LimitError(f"{MOST_WAITING} files are being answered already.", "Wait for one of them.")
            self._forget_old(mine)
            folder = room(self.home, self.home.downloads, len(data))
            (folder / f"file{PurePath(name).suffix.lower()}").write_bytes(data)
            one = FileAnswers(uuid.uuid4().hex, run_id, role, name, made_by, folder, dict(columns or {}))
            one.write()
            self._known[one.id] = one
        threading.Thread(target=self._work, args=(store, one), name=f"answers {one.id[:6]}", daemon=True).start()
        return one

    def of(self, run_id: int, made_by: str | None) -> list[FileAnswers]:
        """A person's files about a run, the newest first; without those whose answers had their day."""
        with self._changing:
            mine = [one for one in self._known.values() if (one.run_id, one.made_by) == (run_id, made_by)]
            mine = [one for one in mine if one.state != "finished" or one.answers.is_file()]
        return sorted(mine, key=lambda one: -one.begun)

    def _work(self, store: Store, one: FileAnswers) -> None:
        def tell(done: int, total: int) -> None:
            one.done, one.total = done, total
            if one.stop.is_set():
                raise _Stopped

        from studio.data import apart  # it opens libraries

        source = one.folder / f"file{PurePath(one.name).suffix.lower()}"
        with self._working:
            try:
                if one.stop.is_set():
                    raise _Stopped
                one.state = "working"
                asked = playground.shared(self.home.root)
                with apart.one_at_a_time(one.made_by):
                    one.scored = predict_file(
                        store, self.home, one.run_id, source, one.answers, tell=tell,
                        ask=lambda values: asked.stream(store, one.run_id, one.role, values),
                        column=one.columns.get("column"), pair=one.columns.get("pair"),
                    )  # fmt: skip
                one.write()
                one.state = "finished"
            except _Stopped:
                one.state = "stopped"
            except StudioError as error:
                one.error, one.state = error, "failed"
            except Exception:
                one.error = StudioError("The file could not be answered.", "The server's log has the details.")
                one.state = "failed"
                raise
            finally:
                if one.state == "finished":
                    source.unlink(missing_ok=True)
                else:
                    shutil.rmtree(one.folder, ignore_errors=True)

    def _forget_old(self, files: list[FileAnswers]) -> None:
        over = sorted((one for one in files if one.is_over), key=lambda one: one.begun)
        for one in over[: max(0, len(over) - MOST_KEPT + 1)]:
            shutil.rmtree(one.folder, ignore_errors=True)
            del self._known[one.id]


def _of_earlier(home: Home) -> Iterator[FileAnswers]:
    """The files that earlier processes took, as far as their folders are there."""
    for about in home.downloads.glob(f"*/{ABOUT}"):
        with contextlib.suppress(OSError, ValueError):  # damaged, or had its day meanwhile
            yield FileAnswers.read(about.parent)


@functools.cache
def shared(root: Path) -> FileDesk:
    """The one of this process for a home."""
    return FileDesk(Home(root))
