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


def test_a_long_run_is_held_as_so_many_points_that_it_looks_the_same(store, run, monkeypatch):
    monkeypatch.setattr(charts, "MAX_POINTS", 100)
    monkeypatch.setattr(_watched, "downsample", lambda steps, values: charts.downsample(steps, values, 100))
    values = [9.0 if step == 777 else 1.0 for step in range(3_000)]
    store.record(run.id, [events.Metrics(phase="distill", step=n, values={"loss": v}) for n, v in enumerate(values)])
    held = _watched.Watched(run.id)
    points = held.points()
    assert len(points) <= 100
    assert (points[0].step, points[-1].step) == (0, 2_999)
    assert 9.0 in [point.value for point in points]
    monkeypatch.setattr(_watched, "MOST_POINTS", 120)
    tell(store, run, *range(3_000, 3_100))
    assert len(held.points()) <= 100
    assert held.points()[-1].step == 3_099


def test_a_page_never_reads_the_points_of_a_long_run_one_by_one(store, run, monkeypatch):
    tell(store, run, *range(50))
    read = []
    real = store.curve
    monkeypatch.setattr(store, "curve", lambda *words: read.append(real(*words)) or read[-1])
    assert len(_watched.Watched(run.id).points()) == 50
    assert read == [[]]


def test_a_curve_can_be_read_by_its_name_alone(store, run):
    store.record(run.id, [events.Metrics(phase="distill", step=1, values={"loss": 1.0, "accuracy": 0.5})])
    assert [point.name for point in store.curve(run.id, name="accuracy")] == ["accuracy"]
