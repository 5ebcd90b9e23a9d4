"""Where data sets and runs are kept."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from studio import files
from studio.home import Home
from studio.machine.identity import is_gone
from studio.service import people
from studio.service.acts import Acts
from studio.service.ownership import INTERRUPTED
from studio.store.store import Store

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Place:
    """A home and its store."""

    home: Home

    @classmethod
    def at(cls, home: str | Path | None) -> Place:
        """The place, in which no run claims to be running after its process was killed."""
        chosen = Home.from_environment() if home is None else Home(Path(home).expanduser().resolve())
        place = cls(chosen)
        place.store.take_back(is_gone, INTERRUPTED)
        return place

    @property
    def store(self) -> Store:
        return _store(self.home.database)

    @property
    def acts(self) -> Acts:
        """What whoever sits here does."""
        return Acts(people.local(), self.home, self.store)


@functools.lru_cache(maxsize=32)
def _store(path: Path) -> Store:
    files.recover(path.parent)
    return Store(path)
