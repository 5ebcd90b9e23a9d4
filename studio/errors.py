"""Every error that the studio raises on purpose, on one screen.

A message says what is wrong, names the value, and `cure` says what to do about it.
"""


class StudioError(Exception):
    """Something a person can understand and mend.

    `str(error)` is the whole sentence for pages, the command line and logs: message, then cure.
    """

    def __init__(self, message: str, cure: str = "") -> None:
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


class ExportError(StudioError):
    """A student cannot be exported as asked."""


def _family(kind: type[StudioError]) -> list[type[StudioError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _family(child))]


def by_name(name: str) -> type[StudioError]:
    """The error class called `name`; `StudioError` where there is none (an error that crossed a process)."""
    found = {error.__name__: error for error in _family(StudioError)}
    return found.get(name, StudioError)
