"""What an admin sets on the page Settings, kept in the home: it stands in for environment variables that are not set.

Nothing here is a secret: those come from the environment alone.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

from studio import files
from studio.errors import ConfigError
from studio.executors import trackers
from studio.home import Home
from studio.service.acts import Acts

FILE, STOOD_IN = "preferences.json", "STUDIO_STANDS_IN"
"""The file in the home; the variable that names those that came from it, for processes that are started from here."""
MOST_SLOTS = 64


def apply(home: Home) -> None:
    """Set the variables that the environment leaves out. A file that cannot be read counts as an empty one."""
    for name, value in _kept(home).items():
        if name not in os.environ:
            _stand_in(name, value)


def is_given(name: str) -> bool:
    """Whether the environment itself sets this variable: then it cannot be changed here."""
    return name in os.environ and name not in _standing_in()


def change(acts: Acts, name: str, value: str) -> None:
    """Keep a value and let it hold from now on; an empty one takes it back.

    Raises `AccessError` for whoever is no admin, `ConfigError` where the environment sets it or the value is none.
    """
    acts.require("admin")
    if is_given(name):
        raise ConfigError(f"{name} is set in the environment.", "Change it there, and start the studio again.")
    value = value.strip()
    if value:
        CHECKS[name](value)
    kept = {other: known for other, known in _kept(acts.home).items() if other != name}
    with files.whole_file(acts.home.root / FILE) as part:
        part.write_text(json.dumps(kept | ({name: value} if value else {}), indent=2), encoding="utf-8")
    if value:
        _stand_in(name, value)
    else:
        os.environ.pop(name, None)
    acts.note("set", name)


def _kept(home: Home) -> dict[str, str]:
    try:
        read = json.loads((home.root / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    known = read.items() if isinstance(read, dict) else ()
    return {name: value for name, value in known if name in CHECKS and isinstance(value, str)}


def _standing_in() -> list[str]:
    return [name for name in os.environ.get(STOOD_IN, "").split(",") if name]


def _stand_in(name: str, value: str) -> None:
    os.environ[name] = value
    os.environ[STOOD_IN] = ",".join(dict.fromkeys([*_standing_in(), name]))


def _check_slots(value: str) -> None:
    if not (value.isdecimal() and 1 <= int(value) <= MOST_SLOTS):
        raise ConfigError(f"Runs at once must be a whole number from 1 to {MOST_SLOTS}, got {value!r}.", "Correct it.")


def _check_webhook(value: str) -> None:
    if not value.startswith(("http://", "https://")):
        raise ConfigError(f"The address must begin with http:// or https://, got {value!r}.", "Correct it.")


def _check_folders(value: str) -> None:
    for folder in (Path(part).expanduser() for part in value.split(os.pathsep) if part):
        if not folder.is_absolute() or not folder.is_dir():
            raise ConfigError(f"There is no folder {folder}.", "Write the whole path of a folder of this machine.")


def _check_trackers(value: str) -> None:
    unknown = [name for name in value.split(",") if name not in trackers.PACKAGES]
    if unknown:
        raise ConfigError(f"There is no tracker {unknown[0]!r}.", f"Choose some of {', '.join(trackers.PACKAGES)}.")


CHECKS: dict[str, Callable[[str], None]] = {
    "STUDIO_SLOTS": _check_slots,
    "STUDIO_WEBHOOK": _check_webhook,
    "STUDIO_MODEL_FOLDERS": _check_folders,
    "STUDIO_TRACKERS": _check_trackers,
}
"""The variables that can be set here, each with what its value must be."""
