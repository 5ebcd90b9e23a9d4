"""The rows of the store as plain frozen records."""

from dataclasses import dataclass
from typing import Any, Literal

from studio.config.run import RunConfig
from studio.events import Caution, NextStep

Status = Literal["queued", "running", "finished", "stopped", "failed"]
OVER: tuple[Status, ...] = ("finished", "stopped", "failed")


@dataclass(frozen=True)
class DatasetRow:
    """A saved data set. `splits` counts rows; `columns` names where input and label came from; `made_by` is the address
    of who saved it, None where nobody had signed in."""

    id: int
    name: str
    task: str
    labels: list[str]
    splits: dict[str, int]
    fingerprint: str
    columns: dict[str, str]
    report: dict[str, Any]
    created_at: float
    made_by: str | None = None

    @property
    def multi_label(self) -> bool:
        """Whether a row can have any number of labels."""
        return "separator" in self.columns


@dataclass(frozen=True)
class RunRow:
    """One run as it stands. Times are seconds since 1970; `total` is None where a phase does not know its length.

    `owner` is the process that carries it, or did last, and `beat` its heartbeat; batches are cut into `parts`.
    `made_by` is the address of who started it, None where nobody had signed in. `name`, `note` and `tags` are what
    people wrote on it. `edition` says how it was measured (`studio.events.EDITION`).
    `unreadable` says why this version cannot read the run's settings; `config` is then what it can read of them.
    """

    id: int
    status: Status
    config: RunConfig
    dataset_id: int
    phase: str | None
    phase_started_at: float | None
    step: int
    total: int | None
    detail: str
    stop_requested: bool
    error: str | None
    message: str | None
    cure: str | None
    outcome: str | None
    verdict: str | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    priority: int = 0
    archived: bool = False
    paused: bool = False
    owner: str | None = None
    beat: int = 0
    parts: int = 1
    unreadable: str = ""
    cautions: tuple[Caution, ...] = ()
    next_step: NextStep | None = None
    made_by: str | None = None
    name: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()
    edition: int = 0

    @property
    def can_resume(self) -> bool:
        """Whether it ended before its verdict, so that it can go on from where it was."""
        return self.status in ("stopped", "failed")

    @property
    def is_over(self) -> bool:
        return self.status in OVER


@dataclass(frozen=True)
class Summary:
    """What a run's models reached in the measure that decides, `student` with its 95 % interval on so many test rows,
    and what they take; None where it was not measured. Times can be compared where both ran in one runtime."""

    teacher: float | None = None
    student: float | None = None
    low: float | None = None
    high: float | None = None
    rows: int | None = None
    control: float | None = None
    teacher_bytes: float | None = None
    student_bytes: float | None = None
    teacher_ms: float | None = None
    student_ms: float | None = None
    teacher_runtime: str | None = None
    student_runtime: str | None = None


@dataclass(frozen=True)
class Carried:
    """A run that goes on, and who carries it."""

    id: int
    owner: str | None
    beat: int
    stop_requested: bool


@dataclass(frozen=True)
class Lease:
    """Who holds a lease, and the holder's heartbeat."""

    owner: str
    beat: int


@dataclass(frozen=True)
class Point:
    """One number of one curve."""

    phase: str
    step: int
    name: str
    value: float


Cursor = dict[tuple[str, str], int]
"""The last step that a reader has of each curve, by phase and name."""


@dataclass(frozen=True)
class LogRow:
    id: int
    time: float
    level: str
    message: str


@dataclass(frozen=True)
class AuditRow:
    """Who did what, and to what."""

    id: int
    time: float
    who: str
    what: str
    about: str


@dataclass(frozen=True)
class TokenRow:
    """A token that programs ask with, without its secret. `made_by` is the address of who made it, None where nobody
    had signed in; times are seconds since 1970."""

    id: int
    name: str
    role: str
    made_by: str | None
    created_at: float
    expires_at: float
    used_at: float | None
    revoked_at: float | None

    def works(self, now: float) -> bool:
        return self.revoked_at is None and now < self.expires_at


@dataclass(frozen=True)
class PhaseRow:
    """A phase of a run; `seconds` is None while it goes on. It was taken up at `first_step`, None before it says
    where it is."""

    name: str
    seconds: float | None
    steps: int
    first_step: int | None = None
