"""What examinations of a run found, kept beside its answers: pages read it, and ask for it once."""

import logging
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from studio import files
from studio.home import Home

Record = TypeVar("Record", bound=BaseModel)

_log = logging.getLogger(__name__)


def write(home: Home, run_id: int, record: BaseModel, about: str = "") -> None:
    """Keep what was found, in place of what was kept of its kind before. `about`: of which of several."""
    with files.whole_file(_place(home, run_id, type(record), about)) as part:
        part.write_text(record.model_dump_json(), encoding="utf-8")


def read(home: Home, run_id: int, kind: type[Record], about: str = "") -> Record | None:
    """What is kept of this kind; None where nobody has asked for it, or the file is of another version or damaged."""
    file = _place(home, run_id, kind, about)
    try:
        return kind.model_validate_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError, ValueError) as error:
        _log.warning("%s is not read and made anew: %s", file, error)
        return None


def _place(home: Home, run_id: int, kind: type[BaseModel], about: str) -> Path:
    if about and not about.isdecimal():
        raise ValueError(f"about must be a number, got {about!r}")
    return home.kept(run_id) / f"{kind.__name__.lower()}{'-' if about else ''}{about}.json"
