"""Runs: the list, and the live view of one run."""

import pytest

from studio import events
from studio.config.reading import parse_config
from tests.conftest import TINY
from tests.pages.conftest import fresh, opened


def test_a_failed_run_shows_message_and_cure_and_no_html(app, filled):
    app = opened(app, "run.py", run="2")
    (error,) = app.error
    assert "is broken" in error.value
    assert "Choose another" in error.value
    assert "<script>" not in error.value


def test_a_run_that_does_not_exist_is_told_in_words(app, filled):
    app = opened(app, "run.py", run="99")
    assert "no run 99" in app.error[0].value.replace("\\", "")


def test_the_runs_page_lists_every_run_with_its_state(app, filled):
    app = opened(app, "all_runs.py")
    (table,) = app.dataframe
    assert sorted(table.value["Status"]) == ["failed", "finished", "queued"]


def test_a_run_that_goes_on_can_be_paused_and_one_that_waits_moved_to_the_front(app, filled):
    running = filled.submit(parse_config({"dataset": "reviews", **TINY}), key="running", owner="me")
    opened(app, "run.py", run=str(running.id)).button(key="pause").click().run()
    assert filled.run(running.id).stop_requested and filled.run(running.id).paused
    waiting = filled.submit(parse_config({"dataset": "reviews", **TINY}), key="waiting")
    again = fresh()
    opened(again, "run.py", run=str(waiting.id)).button(key="front").click().run()
    assert filled.claim("me").id == waiting.id


def test_a_run_that_failed_goes_on_at_a_click(app, filled):
    app = opened(app, "run.py", run="2")
    app.button(key="resume").click().run()
    assert not app.exception
    assert filled.run(2).status == "queued"


def test_a_run_is_archived_and_found_again(app, filled):
    app = opened(app, "run.py", run="1")
    app.button(key="archive").click().run()
    assert filled.run(1).archived
    again = fresh()
    again = opened(again, "all_runs.py")
    assert 1 not in again.dataframe[0].value["Run"].tolist()
    again.toggle(key="archived").set_value(True).run()
    assert 1 in again.dataframe[0].value["Run"].tolist()


def test_an_old_address_of_a_run_opens_its_page(app, filled):
    app = opened(app, "all_runs.py", run="1")
    assert "Run 1" in [title.value for title in app.title]


def test_the_way_back_from_a_run_leads_to_the_list_without_its_number(app, filled):
    app = opened(app, "run.py", run="1")
    (back,) = [link.proto for link in app.get("page_link") if link.proto.label == "All runs"]
    assert (back.page, back.query_string) == ("runs", "")
    assert [title.value for title in opened(fresh(), "all_runs.py").title] == ["Runs"]


@pytest.mark.parametrize("number", ["999", "1" * 23])
def test_a_number_that_no_run_has_is_told_in_words(app, filled, number):
    app = opened(app, "run.py", run=number)
    assert f"no run {number}" in app.error[0].value.replace("\\", "")


def test_a_paused_run_is_called_paused_and_offers_to_resume(app, filled):
    paused = filled.submit(parse_config({"dataset": "reviews", **TINY}), key="paused", owner="me")
    filled.request_stop(paused.id, True)
    filled.stopped(paused.id)
    app = opened(app, "run.py", run=str(paused.id))
    assert app.button(key="resume").label == "Resume"
    assert not [link for link in app.get("page_link") if link.proto.label == "See the results"]
    assert "paused" in opened(fresh(), "all_runs.py").dataframe[0].value["Status"].tolist()


def test_a_run_shows_one_bar_one_time_and_its_own_stages(app, store, saved):
    running = store.submit(parse_config({"dataset": "reviews", **TINY}), key="running", owner="me")
    names = (("prepare", ""), ("distill", "student"), ("control", "student"))
    stages = [events.PlannedStage(phase=phase, role=pace, seconds=100, pace=pace) for phase, pace in names]
    store.record(
        running.id,
        [
            events.PhaseStarted(phase="prepare"),
            events.Planned(stages=tuple(stages)),
            events.PhaseFinished(phase="prepare", seconds=3, steps=0),
            events.PhaseStarted(phase="distill"),
            events.PhaseFinished(phase="distill", seconds=600, steps=50),
            events.PhaseStarted(phase="control"),
            events.Progress(phase="control", step=0, total=50),
        ],
    )
    app = opened(app, "run.py", run=str(running.id))
    (bar,) = app.get("progress")
    assert bar.proto.value == 66
    assert "about 10 min 0 s left" in bar.proto.text.replace("\\", "")
    (line,) = (one.value for one in app.markdown if " › " in one.value)
    assert line.endswith("Prepare :gray[3 s] › Distil :gray[10 min 0 s] › **Train control**")


def test_a_run_of_an_earlier_version_shows_the_stages_that_it_went_through(app, store, saved):
    running = store.submit(parse_config({"dataset": "reviews", **TINY}), key="running", owner="me")
    said = [events.PhaseStarted(phase="prepare"), events.PhaseFinished(phase="prepare", seconds=3, steps=0)]
    store.record(running.id, [*said, events.PhaseStarted(phase="distill")])
    app = opened(app, "run.py", run=str(running.id))
    (line,) = (one.value for one in app.markdown if " › " in one.value)
    assert line.endswith("Prepare :gray[3 s] › **Distil**")
