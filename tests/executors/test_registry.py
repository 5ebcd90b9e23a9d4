"""Which executor carries out runs, and how many at once."""

import pytest

from studio.errors import (
    ConfigError,
)
from studio.executors import registry
from studio.executors.registry import EXECUTORS, wanted_slots


def test_a_number_of_slots_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("STUDIO_SLOTS", "many")
    with pytest.raises(ConfigError, match="from 1 on, got 'many'"):
        wanted_slots()
    monkeypatch.setenv("STUDIO_SLOTS", "3")
    assert wanted_slots() == 3


def test_a_cluster_takes_more_runs_at_once_than_this_machine_has_devices(monkeypatch):
    monkeypatch.setenv("STUDIO_EXECUTOR", "ray")
    assert wanted_slots() == EXECUTORS["ray"].slots() > EXECUTORS["local"].slots()
    assert EXECUTORS["local"].nodes is None


def test_an_executor_that_there_is_not_is_refused(monkeypatch):
    monkeypatch.setenv("STUDIO_EXECUTOR", "cloud")
    with pytest.raises(ConfigError, match="local or ray, got 'cloud'"):
        registry.chosen()
