"""What teachers behind addresses said, on disk: a file for each teacher and way of asking, a line for each answer.

One alone writes into a file at a time: two who ask the same would pay twice.
"""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterable
from concurrent.futures import Future, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from studio.errors import DataError
from studio.home import Home
from studio.service import journal
from studio.service.endpoint import Endpoint, Said


class Record:
    """The answers of a teacher, open to add some. Raises `DataError` where somebody else has it open."""

    def __init__(self, home: Home, teacher: Endpoint, seed: int) -> None:
        file = kept_in(home, teacher, seed)
        file.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as opened:
            try:
                opened.enter_context(locked(file))
            except Timeout as error:
                raise DataError(f"{teacher.model} of {teacher.host} is being asked in the same way right now.",
                                "Wait for the end of it: two who ask the same would pay twice.") from error  # fmt: skip
            self.known = read(file)
            self._writing = threading.Lock()
            self._add = opened.enter_context(journal.adding(file))
            if not file.stat().st_size:
                self._add({"model": teacher.model, "host": teacher.host})
            self._opened = opened.pop_all()

    def keep(self, key: str, said: Said) -> None:
        """Write an answer; when this returns it is on the disk. Any thread may."""
        with self._writing:
            self._add({"key": key, **asdict(said)})

    def close_after(self, under_way: Iterable[Future[Any]]) -> None:
        """Let others open it, when what is under way has come and is kept."""
        left = [one for one in under_way if not one.done()]

        def close() -> None:
            wait(left)
            self._opened.close()  # others may open it even where a full disk did not take the last lines

        if left:
            threading.Thread(target=close, name="answers-under-way").start()
        else:
            close()


@dataclass(frozen=True)
class About:
    """A file of answers: whose they are; "" where it does not say."""

    model: str
    host: str


def kept_in(home: Home, teacher: Endpoint, seed: int) -> Path:
    """The file of a teacher's answers: by what decides them, which the key is not."""
    told = {name: value for name, value in asdict(teacher).items() if name != "key"} | {"seed": seed}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]
    return home.asked / f"{digest}.jsonl"


def locked(file: Path) -> FileLock:
    """What one holds who writes into a file of answers; `acquire` raises `Timeout` where another one does."""
    return FileLock(file.with_suffix(".lock"), timeout=0, thread_local=False)


def read(file: Path) -> dict[str, Said]:
    """What was said, by key; a last line that was cut off while it was written is asked for again."""
    return {one.pop("key"): Said(**one) for one in journal.read(file) if "key" in one}


def about(file: Path) -> About:
    """Whose answers a file holds, by its first line."""
    told = next(journal.read(file), {})
    return About(str(told.get("model", "")), str(told.get("host", "")))
