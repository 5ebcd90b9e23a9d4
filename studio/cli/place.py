"""The home that the command line works in, and whoever sits there."""

from studio import files
from studio.home import Home
from studio.machine.identity import is_gone
from studio.service import ownership, people, preferences
from studio.service.acts import Acts
from studio.store.store import Store


def open_home() -> tuple[Home, Store]:
    """The home and its store, in which no run claims to be running after its process was killed."""
    home = Home.from_environment()
    preferences.apply(home)
    store = Store(home.database)
    files.recover(home.root)
    store.take_back(is_gone, ownership.INTERRUPTED)
    return home, store


def acts_here(home: Home, store: Store) -> Acts:
    """What whoever sits here does: the command line is for those who may read and write the home anyway."""
    return Acts(people.local(), home, store)
