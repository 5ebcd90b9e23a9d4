"""What an admin sets in the pages stands in for the environment."""

import os

import pytest

from studio.errors import AccessError, ConfigError
from studio.executors import registry
from studio.service import people, preferences
from studio.service.acts import Acts
from studio.service.people import Person


@pytest.fixture
def acts(home, store, monkeypatch):
    for name in (*preferences.CHECKS, preferences.STOOD_IN):
        monkeypatch.setenv(name, "")  # so that it is as before afterwards
        monkeypatch.delenv(name)
    return Acts(people.local(), home, store)


def test_what_is_set_holds_at_once_and_after_the_next_start(acts, home, monkeypatch):
    preferences.change(acts, "STUDIO_SLOTS", "3")
    assert registry.wanted_slots() == 3
    for name in ("STUDIO_SLOTS", preferences.STOOD_IN):
        monkeypatch.delenv(name)
    preferences.apply(home)
    assert registry.wanted_slots() == 3
    assert not preferences.is_given("STUDIO_SLOTS")
    preferences.change(acts, "STUDIO_SLOTS", "")
    assert "STUDIO_SLOTS" not in os.environ


def test_the_environment_wins_and_is_not_overwritten(acts, home, monkeypatch):
    preferences.change(acts, "STUDIO_SLOTS", "3")
    monkeypatch.delenv(preferences.STOOD_IN)
    monkeypatch.setenv("STUDIO_SLOTS", "2")
    preferences.apply(home)
    assert registry.wanted_slots() == 2
    with pytest.raises(ConfigError, match="is set in the environment"):
        preferences.change(acts, "STUDIO_SLOTS", "4")


@pytest.mark.parametrize(
    ("name", "value"),
    [("STUDIO_SLOTS", "none"), ("STUDIO_SLOTS", "999"), ("STUDIO_WEBHOOK", "file:///etc/passwd"),
     ("STUDIO_MODEL_FOLDERS", "/no/such/folder"), ("STUDIO_TRACKERS", "nobody")],
)  # fmt: skip
def test_a_value_that_is_none_is_refused_and_nothing_changes(acts, home, name, value):
    with pytest.raises(ConfigError):
        preferences.change(acts, name, value)
    assert name not in os.environ and not (home.root / preferences.FILE).exists()


def test_only_an_admin_sets_something(acts, home, store):
    with pytest.raises(AccessError):
        preferences.change(Acts(Person("mia", "member", "mia"), home, store), "STUDIO_SLOTS", "2")


def test_a_damaged_file_counts_as_an_empty_one(acts, home):
    home.make()
    (home.root / preferences.FILE).write_text('{"STUDIO_SLOTS": 3, "PATH": "/evil"')
    preferences.apply(home)
    assert "STUDIO_SLOTS" not in os.environ
    (home.root / preferences.FILE).write_text('{"PATH": "/evil", "STUDIO_SLOTS": "2"}')
    preferences.apply(home)
    assert os.environ["PATH"] != "/evil" and registry.wanted_slots() == 2
