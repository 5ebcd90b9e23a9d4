"""Every error that the studio raises on purpose, on one screen.

A message says what is wrong, names the value, and `cure` says what to do about it.
"""

import errno

MOST_LETTERS = 2_000
"""Of a message: what it names may be a cell of megabytes."""


class StudioError(Exception):
    """Something a person can understand and mend.

    `str(error)` is the whole sentence for pages, the command line and logs: message, then cure.
    """

    def __init__(self, message: str, cure: str = "") -> None:
        message = message if len(message) <= MOST_LETTERS else message[: MOST_LETTERS - 1] + "…"
        super().__init__(message, cure)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.message} {self.cure}".strip()


class ConfigError(StudioError):
    """A setting is out of range, unknown or does not fit the others."""


class DataError(StudioError):
    """An upload cannot be read, or a data set cannot be used as asked."""


class LimitError(DataError):
    """An upload is over one of the named limits."""


class ModelError(StudioError):
    """A model cannot be found, downloaded, opened or built."""


class DeviceError(StudioError):
    """The asked device is not there, or its memory is used up."""


class DivergedError(StudioError):
    """The loss became infinite or not a number."""


class WorkerError(StudioError):
    """The process that trains ended without saying why."""


class WorkerDiedError(WorkerError):
    """The process that trains was killed: the run can go on from its last checkpoint."""


class WorkerOutOfMemoryError(WorkerDiedError):
    """The system killed the process that trains because memory ran out."""


class WorkerStuckError(WorkerDiedError):
    """The process that trains said nothing for so long that it was ended."""


class StoreError(StudioError):
    """The database is missing, damaged, newer than this version, or has no such row."""


class DiskError(StoreError):
    """Nothing can be written: the disk is full, or the folder is read-only or gone. What was written is not lost."""


class AccessError(StudioError):
    """Whoever asks may not do this."""


class ExportError(StudioError):
    """A student cannot be exported as asked."""


def of_system(error: OSError) -> StudioError | None:
    """What the system says of a disk or a folder; None where it speaks of something else."""
    place = f" {error.filename}" if error.filename else ""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT if error.filename:
            return DeviceError(f"The disk that holds {error.filename} is full.", MORE_SPACE)
        case errno.ENOSPC | errno.EDQUOT:
            return DeviceError("The disk is full.", MORE_SPACE)
        case errno.EROFS:
            return DeviceError(f"The disk of{place or ' the studio'} is read-only.", "Make it writable.")
        case errno.EACCES | errno.EPERM:
            return DeviceError(f"The studio may not use{place or ' a file'}.", "Give it the right to, or move it.")
    return None


MORE_SPACE = "Free some space, for example by deleting runs, and try again: a run goes on from its last checkpoint."


def _family(kind: type[StudioError]) -> list[type[StudioError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _family(child))]


def by_name(name: str) -> type[StudioError]:
    """The error class called `name`; `StudioError` where there is none (an error that crossed a process)."""
    found = {error.__name__: error for error in _family(StudioError)}
    return found.get(name, StudioError)
