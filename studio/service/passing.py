"""What is on its way in or out, each thing in a folder of its own: of a person few at a time, and never the last of the
disk. `studio.service.housekeeping` deletes it a day later."""

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from studio import files
from studio.home import Home

MOST, MOST_BYTES = 8, 6 * 1024**3
"""So many things, and bytes, of one person wait in one place."""

OWNER = "owner"


def room(home: Home, place: Path, coming: int = 0, owner: str | None = None) -> Path:
    """A folder for something of `coming` bytes, as far as that is known, in `home.uploads` or `home.downloads`. What
    its owner has had there longest goes where it would be too much; what has none stays.

    Raises `DiskError` where the disk has no room for it.
    """
    home.make()
    home.require_room(coming)
    if owner is not None:
        _leave_some(place, owner, coming)
    folder = place / secrets.token_urlsafe(16)
    folder.mkdir(parents=True)
    if owner is not None:
        (folder / OWNER).write_text(owner, encoding="utf-8")
    return folder


def owner_of(folder: Path) -> str | None:
    """Whose thing this is; None where there is none, or nobody's."""
    try:
        return (folder / OWNER).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None


def _leave_some(place: Path, owner: str, coming: int) -> None:
    taken = coming
    for number, (_, folder) in enumerate(sorted(_of(place, owner), reverse=True), start=1):
        taken += files.size(folder)
        if number >= MOST or taken > MOST_BYTES:
            shutil.rmtree(folder, ignore_errors=True)


def _of(place: Path, owner: str) -> Iterator[tuple[int, Path]]:
    """What this person has there, and since when."""
    for file in place.glob(f"*/{OWNER}"):
        with contextlib.suppress(FileNotFoundError):  # gone meanwhile
            if file.read_text(encoding="utf-8") == owner:
                yield file.stat().st_mtime_ns, file.parent
