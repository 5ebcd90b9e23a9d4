"""Where the studio keeps things on disk. Every path is made of ids and fingerprints, never of a user's text."""

import contextlib
import os
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from studio.errors import DiskError

DEFAULT_HOME = "~/.distillation-studio"
SHARED_HOME = "STUDIO_SHARED_HOME"
"""Set in the processes of a run that keep their files in one home: the first one writes them."""

LEAST_BYTES = 20 * 1024**2
"""With less than this on its disk a home is called full: checkpoints and the database need some room."""

FREE_BYTES, FREE_SHARE = 1e9, 0.05
"""Nothing new is begun where less than one of them would be left on the disk: what goes on needs it."""

_ROLE = re.compile(r"(student|control|smoothed|teacher)(-[1-9]\d*)?|assistant-[1-9]\d*")

PASSING = "distillation-studio-"
"""How the studio's folders among the temporary ones begin: they are there while a file is read, fetched or sent, or the
rows of a large table are held."""


@dataclass(frozen=True)
class Home:
    """The folder `STUDIO_HOME`. Nothing is created until someone writes there."""

    root: Path

    @classmethod
    def from_environment(cls) -> "Home":
        return cls(Path(os.environ.get("STUDIO_HOME") or DEFAULT_HOME).expanduser().resolve())

    def make(self) -> None:
        """Create the folder, for its owner alone: it holds data and models. One that was there before is closed to
        others, too, where it is the studio's own: it is empty, or holds the database. A group that may write there was
        let in by somebody, and stays."""
        if not self.root.is_dir():
            self.root.parent.mkdir(parents=True, exist_ok=True)
            self.root.mkdir(mode=0o700, exist_ok=True)
        elif self.exposed() and (self.database.exists() or not any(self.root.iterdir())):
            with contextlib.suppress(PermissionError):  # it is another user's; `exposed` goes on saying so
                mode = stat.S_IMODE(self.root.stat().st_mode)
                self.root.chmod(mode & ~_too_open(mode))

    def exposed(self) -> str | None:
        """That other users of the machine can look into the folder, in a sentence; None where they cannot."""
        if os.name != "posix" or not self.root.is_dir() or not _too_open(self.root.stat().st_mode):
            return None
        return (
            f"Other users of this machine can look into the studio's folder {self.root}, which holds other things or "
            "belongs to another user. Close it with chmod 700, or set STUDIO_HOME to a folder of its own."
        )

    @property
    def database(self) -> Path:
        return self.root / "studio.db"

    @property
    def uploads(self) -> Path:
        """Files on their way in; each in a folder of its own that is removed when its data is saved, or a day later."""
        return self.root / "uploads"

    @property
    def downloads(self) -> Path:
        """Files on their way out; each in a folder of its own that is removed a day later."""
        return self.root / "downloads"

    @property
    def teacher_outputs(self) -> Path:
        return self.root / "teacher-outputs"

    @property
    def asked(self) -> Path:
        """What teachers behind addresses said; see `studio.service.answering`."""
        return self.root / "asked"

    @property
    def graphs(self) -> Path:
        """How the networks of some architectures are written as ONNX, without weights; made anew where it is gone."""
        return self.root / "graphs"

    @property
    def checksums(self) -> Path:
        """What is known of model files elsewhere, so that they are not read through at each start."""
        return self.root / "checksums.json"

    def trouble(self) -> str | None:
        """Why nothing can be written here any more, in a sentence; None where it can."""
        if not self.root.is_dir():
            return f"The studio's folder {self.root} is gone. Bring it back, or set STUDIO_HOME to another one."
        if not os.access(self.root, os.W_OK) or _is_read_only(self.root):
            return f"The studio's folder {self.root} is read-only: nothing is saved, and no run goes on."
        free = shutil.disk_usage(self.root).free
        if free < LEAST_BYTES:
            return (
                f"The disk that holds {self.root} is full ({free / 1e6:.0f} MB left): free some space, and runs go on."
            )
        return None

    def require_room(self, coming: int = 0) -> None:
        """As the function of that name, for what is kept here."""
        require_room(self.root, coming)

    def dataset(self, dataset_id: int) -> Path:
        return self.root / "datasets" / str(int(dataset_id))

    def run(self, run_id: int) -> Path:
        return self.root / "runs" / str(int(run_id))

    def model(self, run_id: int, role: str) -> Path:
        """The Hugging Face folder of a run's `student`, `control`, fine-tuned `teacher`, `teacher-2`, `assistant-1`.

        Where a run has several seeds `student` is the one that is exported, `student-1`, `student-2` … are all."""
        if not _ROLE.fullmatch(role):
            raise ValueError(
                f"role must be student, control, smoothed, teacher or assistant, or one with a number, got {role!r}"
            )
        return self.run(run_id) / role

    def checkpoints(self, run_id: int) -> Path:
        """Where the states of a run's stages are kept while it goes on, each by its phase."""
        return self.run(run_id) / "checkpoints"

    def quantized(self, run_id: int, role: str) -> Path:
        """The student or the control of a run in int8, where its plan ends with that."""
        return self.model(run_id, role).with_name(f"{role}-int8")

    def onnx(self, run_id: int) -> Path:
        """The student of a run as ONNX files."""
        return self.run(run_id) / "onnx"

    def kept(self, run_id: int) -> Path:
        """What the models of a run said of each row; see `studio.kept`."""
        return self.run(run_id) / "kept"

    def roles(self, run_id: int) -> list[str]:
        """The saved models of a run that others can start from; a control is for comparing alone."""
        folder = self.run(run_id)
        there = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        return [name for name in there if _ROLE.fullmatch(name) and not name.startswith(("control", "smoothed"))]

    def log(self, run_id: int) -> Path:
        return self.run(run_id) / "worker.log"


def require_room(folder: Path, coming: int = 0) -> None:
    """Raise `DiskError` where something new, of `coming` bytes as far as that is known, would take what runs that go on
    need of the disk."""
    disk = shutil.disk_usage(folder)
    if disk.free - coming < floor(disk.total):
        raise DiskError(
            f"The disk that holds {folder} is nearly full ({disk.free / 1e6:,.0f} MB left): nothing new is begun.",
            "Free some space, for example by deleting runs or data sets.",
        )


def floor(size: int) -> float:
    """Bytes that nothing new takes of a disk of this size.

    >>> floor(10**9), floor(10**12)
    (50000000.0, 1000000000.0)
    """
    return min(FREE_BYTES, FREE_SHARE * size)


def _too_open(mode: int) -> int:
    """The rights of others among those of a folder, and of a group that may only look.

    >>> oct(_too_open(0o755)), oct(_too_open(0o775)), oct(_too_open(0o2770)), oct(_too_open(0o700))
    ('0o55', '0o5', '0o0', '0o0')
    """
    group = 0 if mode & stat.S_IWGRP else stat.S_IRWXG
    return mode & (group | stat.S_IRWXO)


def _is_read_only(folder: Path) -> bool:
    return hasattr(os, "statvfs") and bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
