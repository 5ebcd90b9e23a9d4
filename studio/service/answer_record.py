"""What teachers behind addresses said, on disk: a file for each teacher and way of asking, a line for each answer.

Any number may write into a file; who asks says before which questions, and nobody else asks those meanwhile: two who
ask the same would pay twice.
"""

import contextlib
import hashlib
import json
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from studio.errors import DataError
from studio.home import Home
from studio.service import journal
from studio.service.endpoint import Endpoint, Said
from studio.service.here import ModelHere

Teacher = Endpoint | ModelHere
CLAIM = ".asking"
TURN_SECONDS = 20.0


class Record:
    """The answers of a teacher, open to add those to some questions, `keys`. Raises `DataError` where somebody else is
    asking one of them."""

    def __init__(self, home: Home, teacher: Teacher, seed: int, keys: Sequence[str]) -> None:
        file = kept_in(home, teacher, seed)
        file.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as opened:
            try:
                opened.enter_context(_claimed(file, keys))
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
        left = [future for future in under_way if not future.done()]

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


def kept_in(home: Home, teacher: Teacher, seed: int) -> Path:
    """The file of a teacher's answers: by what decides them."""
    settings = teacher.decides | {"seed": seed}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:32]
    return home.asked / f"{digest}.jsonl"


@contextlib.contextmanager
def unasked(file: Path) -> Iterator[None]:
    """While the block goes on nobody begins to ask what is kept in this file. Raises `Timeout` where somebody asks."""
    with _turn(file):
        if _under_way(file):
            raise Timeout(str(file))
        yield


@contextlib.contextmanager
def _claimed(file: Path, keys: Sequence[str]) -> Iterator[None]:
    """While the block goes on nobody else asks these questions. Raises `Timeout` where somebody asks one of them."""
    claim = file.with_suffix(f".{uuid.uuid4().hex}{CLAIM}")
    with contextlib.ExitStack() as held:
        with _turn(file):
            if not _under_way(file).isdisjoint(keys):
                raise Timeout(str(file))
            held.callback(_forget, claim)
            held.enter_context(_lock(claim))
            claim.write_text("\n".join(keys), encoding="ascii")
        yield


def _under_way(file: Path) -> set[str]:
    """The questions that are asked now; what a process that was killed wanted to ask is forgotten."""
    found: set[str] = set()
    for claim in file.parent.glob(f"{file.stem}.*{CLAIM}"):
        try:
            with _lock(claim):
                _forget(claim)
        except Timeout:
            with contextlib.suppress(FileNotFoundError):  # it has just ended
                found.update(claim.read_text(encoding="ascii").split())
    return found


def _forget(claim: Path) -> None:
    for path in (claim, claim.with_suffix(".lock")):
        path.unlink(missing_ok=True)


def _lock(claim: Path) -> FileLock:
    """Held as long as somebody asks; another thread may release it."""
    return FileLock(claim.with_suffix(".lock"), timeout=0, thread_local=False)


def _turn(file: Path) -> FileLock:
    """Held while questions are compared."""
    return FileLock(file.with_suffix(".lock"), timeout=TURN_SECONDS)


def read(file: Path) -> dict[str, Said]:
    """What was said, by key; a last line that was cut off while it was written is asked for again."""
    return {entry.pop("key"): Said(**entry) for entry in journal.read(file) if "key" in entry}


def about(file: Path) -> About:
    """Whose answers a file holds, by its first line."""
    first = next(journal.read(file), {})
    return About(str(first.get("model", "")), str(first.get("host", "")))
