"""How far a run is as a whole: from its own words, through the store, to the page and the command line."""

import io
import time

import pytest
from rich.console import Console

from studio import events
from studio.cli import training
from studio.config.reading import parse_config
from studio.pipeline.distill import distill
from studio.service import runs
from studio.service.progress import whole
from studio.service.runs import carry
from tests.conftest import TINY

STAGES = tuple(
    events.PlannedStage(phase=phase, role=role, steps=100, seconds=seconds, pace=role)
    for phase, role, seconds in (("prepare", "", 1), ("distill", "student", 9), ("control", "student", 10))
)


@pytest.fixture
def run(store, saved):
    return store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner="me")


def begun(*more):
    return [
        events.PhaseStarted(phase="prepare"),
        events.Planned(stages=STAGES),
        events.PhaseFinished(phase="prepare", seconds=1.0, steps=0),
        events.PhaseStarted(phase="distill"),
        *more,
    ]


def at(step, phase="distill"):
    return events.Progress(phase=phase, step=step, total=100)


def test_a_whole_run_never_goes_back_and_ends_at_its_end(store, home, run, monkeypatch):
    monkeypatch.setattr(runs, "FLUSH_SECONDS", 0)  # every event is looked at
    config = parse_config({"dataset": "reviews", **TINY, "hard_epochs": 1})

    def execute(job, stop):
        yield from distill(job.model_copy(update={"config": config}))

    shares = [whole(store, store.run(run.id)).share for _ in carry(store, home, run, execute)]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == pytest.approx(1)
    assert len(set(shares)) > 8


def test_the_time_left_is_that_of_all_stages_to_come(store, run):
    store.record(run.id, begun(at(0), at(50)))
    store._db.execute("UPDATE runs SET phase_started_at = ?", [time.time() - 45])
    done = whole(store, store.run(run.id))
    assert done.share == pytest.approx(1 / 20 + 19 / 20 * 9 / 19 / 2)
    assert done.seconds_left == pytest.approx(45 + 100, rel=0.05)


def test_a_run_that_goes_on_counts_its_pace_from_where_it_was_taken_up(store, run):
    store.record(run.id, begun(at(0), at(40)))
    store.record(run.id, [events.PhaseStarted(phase="prepare"), *begun(at(40), at(50))[1:]])
    store._db.execute("UPDATE runs SET phase_started_at = ?", [time.time() - 10])
    assert whole(store, store.run(run.id)).seconds_left == pytest.approx(50 + 1000 / 9, rel=0.1)


def test_the_timetable_outlives_a_stop_and_is_told_again_once(store, run):
    store.record(run.id, begun(at(0), at(50), events.PhaseFinished(phase="distill", seconds=9, steps=100)))
    before = whole(store, store.run(run.id)).share
    store.request_stop(run.id)
    store.stopped(run.id)
    store.resume(run.id, owner="me")
    store.record(run.id, [events.PhaseStarted(phase="prepare")])
    assert whole(store, store.run(run.id)).share == before == pytest.approx(0.5)
    store.record(run.id, [events.Planned(stages=STAGES[:2])])
    assert store.timetable(run.id) == STAGES[:2]


def test_a_run_that_has_told_no_timetable_has_no_total(store, run):
    store.record(run.id, [events.PhaseStarted(phase="prepare"), at(50, "prepare")])
    assert whole(store, store.run(run.id)) == (0.0, None)


def test_the_command_line_draws_one_bar_and_names_the_stage(store, run, monkeypatch):
    drawn = io.StringIO()
    monkeypatch.setattr(training, "console", Console(file=drawn, width=100, force_terminal=True))
    said = begun(at(0), at(100), events.PhaseFinished(phase="distill", seconds=9.0, steps=100))

    def heard():
        for event in said:
            store.record(run.id, [event])
            yield event

    training._draw(heard(), False, store, run.id)
    text = drawn.getvalue()
    assert "Distil" in text
    assert "50%" in text
    assert "left" in text
    assert text.count("━" * 20) >= 1


def test_the_first_point_of_a_curve_is_told_at_once_and_others_together(monkeypatch):
    monkeypatch.setattr(runs, "FLUSH_SECONDS", 1e9)
    points = [events.Metrics(phase="record", step=step, values={"accuracy": 0.9}) for step in range(4)]
    said = [events.PhaseStarted(phase="record"), *points]
    assert [len(batch) for batch in runs._batches(iter(said))] == [1, 1, 3]
