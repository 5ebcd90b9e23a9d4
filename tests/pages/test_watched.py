"""A run that several windows watch is read and drawn once."""

import json

import pytest

from pages import _charts as charts
from pages import _watched
from studio import events
from studio.config.reading import parse_config
from tests.conftest import TINY


@pytest.fixture
def run(store, saved, monkeypatch):
    monkeypatch.setattr(_watched, "get_store", lambda: store)
    return store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner="me")


def tell(store, run, *steps):
    store.record(run.id, [events.Metrics(phase="distill", step=step, values={"loss": 1.0}) for step in steps])


def test_what_is_new_is_added_and_what_is_known_is_not_read_again(store, run, monkeypatch):
    held = _watched.Watched(run.id)
    tell(store, run, 1, 2)
    assert [point.step for point in held.points()] == [1, 2]
    read = []
    real = store.curve
    monkeypatch.setattr(store, "curve", lambda *words: read.append(real(*words)) or read[-1])
    tell(store, run, 3)
    assert [point.step for point in held.points()] == [1, 2, 3]
    assert [point.step for point in held.points()] == [1, 2, 3]
    assert [[point.step for point in one] for one in read] == [[3], []]


def test_a_figure_is_drawn_only_when_there_is_more_to_show(store, run):
    held, drawn = _watched.Watched(run.id), []

    def draw(points):
        drawn.append(len(points))
        return charts.loss_curves(points)

    tell(store, run, 1, 2)
    first = held.figure("loss", held.points(), draw)
    assert held.figure("loss", held.points(), draw) == first
    tell(store, run, 3)
    later = json.loads(held.figure("loss", held.points(), draw))
    assert drawn == [2, 3]
    assert later["data"][0]["x"] == [1, 2, 3]
    assert "template" not in later["layout"]


def test_windows_on_one_run_share_what_is_held_and_another_run_has_its_own(store, run):
    other = store.submit(parse_config({"dataset": "reviews", **TINY}), key="other")
    assert _watched.watched(run) is _watched.watched(store.run(run.id))
    assert _watched.watched(run) is not _watched.watched(other)
