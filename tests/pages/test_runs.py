"""Runs: the list, and the live view of one run."""

import pytest

from studio import events
from studio.config.reading import parse_config
from studio.errors import ModelError
from studio.pipeline.teacher_check import CURE
from tests.conftest import TINY
from tests.pages.conftest import fresh, opened, words, written


def test_a_failed_run_shows_message_and_cure_and_no_html(app, filled):
    app = opened(app, "run.py", run="2")
    (error,) = app.error
    assert "is broken" in error.value
    assert "Choose another" in error.value
    assert "<script>" not in error.value
    assert "failed" in written(app).split()


def test_what_a_label_says_in_the_log_turns_no_line_round_and_whoever_copies_it_brings_no_command(app, filled):
    filled.record(2, [events.Log(message="label \u202enolla \x1b[2J is rare")])
    app = opened(app, "run.py", run="2")
    assert "label \ufffdnolla \ufffd[2J is rare" in app.code[0].value


def test_a_run_that_does_not_exist_is_told_in_words(app, filled):
    app = opened(app, "run.py", run="99")
    assert "no run 99" in app.error[0].value.replace("\\", "")


def listed(app) -> list[str]:
    """The addresses that the rows open, from the top."""
    return [f"{link.proto.page}?{link.proto.query_string}" for link in app.get("page_link")
            if link.proto.page in ("run", "results")]  # fmt: skip


def test_the_runs_page_lists_every_run_with_its_state_and_opens_what_there_is_to_see(app, filled):
    app = opened(app, "all_runs.py")
    assert all(state in written(app) for state in ("failed", "queued", "The teacher helped"))
    assert listed(app) == ["run?run=3", "run?run=2", "results?run=1"]


def test_a_row_shows_three_numbers_and_no_sentence(app, filled):
    app = opened(app, "all_runs.py")
    assert "100 % kept 1 × smaller 1 × faster" in " ".join(written(app).split())
    assert "97" not in written(app) + words(app)


def test_runs_are_found_by_what_they_are_called_and_by_their_state(app, filled):
    app = opened(app, "all_runs.py")
    app.multiselect(key="state").set_value(["failed"]).run()
    assert listed(app) == ["run?run=2"]
    assert app.query_params["state"] in ("failed", ["failed"])
    app.text_input(key="q").set_value("nothing like it").run()
    assert "No run fits" in written(app)


def test_a_run_is_found_by_the_name_that_its_data_has_in_the_readers_language(app, filled, saved):
    filled.rename_dataset(saved.id, "Demo: support messages")
    app.context = {"locale": "zh-CN"}
    assert len(listed(opened(app, "all_runs.py", q="客服消息"))) == 3
    again = fresh()
    again.context = {"locale": "zh-CN"}
    assert not listed(opened(again, "all_runs.py", q="手写数字"))


def test_a_link_opens_the_list_as_it_was(app, filled):
    filled.describe_run(2, name="Second thoughts", tags=["odd"])
    app = opened(app, "all_runs.py", q="second", tag="odd", state="failed", sort="oldest")
    assert listed(app) == ["run?run=2"]
    assert app.selectbox(key="sort").value == "oldest"
    again = opened(fresh(), "all_runs.py", tag="no such tag", state="odd", sort="odd")
    assert len(listed(again)) == 3


def test_a_long_list_is_shown_a_page_at_a_time(app, filled):
    for number in range(40):
        filled.submit(parse_config({"dataset": "reviews", **TINY}), key=f"run {number}")
    app = opened(app, "all_runs.py")
    assert len(listed(app)) == 15 and "1 to 15 of 43 runs" in words(app)
    for said, first in (("3", "run?run=13"), ("x", "run?run=43"), ("9" * 20, "run?run=43")):
        app = fresh().run().switch_page("all_runs.py")
        app.query_params["page"] = said
        assert listed(app.run())[0] == first


def test_what_is_ticked_is_compared(app, filled):
    filled.record(2, [events.Verdict(outcome="better", sentence="It kept most.")])
    app = opened(app, "all_runs.py")
    app.checkbox(key="tick-1").check().run()
    assert app.button(key="compare").disabled
    app.checkbox(key="tick-2").check().run()
    app.button(key="compare").click().run()
    assert app.query_params["runs"] == "1,2"


def test_what_people_write_on_a_run_is_shown_as_text_and_can_be_changed(app, filled):
    filled.describe_run(1, name="<b>*first*</b>", note="because <i>so</i>", tags=["<u>"])
    app = opened(app, "all_runs.py")
    assert "<b>" not in [link.proto.label for link in app.get("page_link")][-1].replace("\\<", "")
    assert "because <i>so</i>" in written(app) and "<u>" in written(app)
    app.button(key="edit-1").click().run()
    assert not app.exception
    assert "<b>*first*</b>" in [field.value for field in app.text_input]


def test_a_run_that_goes_on_can_be_paused_and_one_that_waits_moved_to_the_front(app, filled):
    running = filled.submit(parse_config({"dataset": "reviews", **TINY}), key="running", owner="me")
    opened(app, "run.py", run=str(running.id)).button(key="pause").click().run()
    assert filled.run(running.id).stop_requested and filled.run(running.id).paused
    waiting = filled.submit(parse_config({"dataset": "reviews", **TINY}), key="waiting")
    again = fresh()
    opened(again, "run.py", run=str(waiting.id)).button(key="front").click().run()
    assert filled.claim("me").id == waiting.id


def test_a_run_of_a_machine_that_is_gone_is_taken_back_when_that_was_confirmed(app, filled):
    lost = filled.submit(parse_config({"dataset": "reviews", **TINY}), key="lost", owner="elsewhere")
    app = opened(app, "run.py", run=str(lost.id))
    app.button(key="take back").click().run()
    assert filled.run(lost.id).status == "running"
    app.button(key="take back").click()
    app.button(key="take back now").click().run()
    assert not app.exception
    assert filled.run(lost.id).status == "queued"


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
    assert "results?run=1" not in listed(again)
    again.toggle(key="archived").set_value(True).run()
    assert "results?run=1" in listed(again)


def test_an_old_address_of_a_run_opens_its_page(app, filled):
    app = opened(app, "all_runs.py", run="1")
    assert "Run 1 · just now" in words(app)


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
    assert not [button for button in app.button if button.label == "See the results"]
    assert "paused" in written(opened(fresh(), "all_runs.py"))


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
    (bar,) = [one.proto.body for one in app.get("html") if 'class="ds-bar"' in one.proto.body]
    assert "width:67%" in bar
    assert "**67 %** · about 10 min left" in words(app)
    assert "Prepare 3 s Distil 10 min 0 s Train control now" in " ".join(written(app).split())


def test_a_run_of_an_earlier_version_shows_the_stages_that_it_went_through(app, store, saved):
    running = store.submit(parse_config({"dataset": "reviews", **TINY}), key="running", owner="me")
    said = [events.PhaseStarted(phase="prepare"), events.PhaseFinished(phase="prepare", seconds=3, steps=0)]
    store.record(running.id, [*said, events.PhaseStarted(phase="distill")])
    app = opened(app, "run.py", run=str(running.id))
    assert "Prepare 3 s Distil now" in " ".join(written(app).split())


def test_the_deciding_measure_comes_first_and_losses_at_a_click(app, filled):
    app = opened(app, "run.py", run="1")
    assert [tab.label for tab in app.tabs] == ["Accuracy", "Loss"]
    assert "On validation rows the student reaches 95.0 %" in written(app)


@pytest.mark.parametrize("said", ["loss", "Loss"])
def test_the_address_opens_a_tab_by_its_key_or_by_what_it_was_called_before(app, filled, said):
    app = opened(app, "run.py", run="1", curves=said)
    assert "in per cent of where the curve began" in written(app)


def test_the_address_of_a_tab_is_the_same_in_every_language(app, filled):
    app.session_state["studio-language"] = "zh"
    assert "学生模型的损失为初始值的 5%" in written(opened(app, "run.py", run="1", curves="loss"))


def test_a_teacher_that_came_ready_has_its_line_from_what_was_measured_before_the_student_began(app, filled):
    filled.record(1, [events.Metrics(phase="record", step=0, values={"accuracy": 0.97})])
    assert "On validation rows the student reaches 95.0 %, its teacher 97.0 %" in written(
        opened(app, "run.py", run="1")
    )


def test_a_finished_run_has_one_primary_button_and_it_leads_to_the_results(app, filled):
    app = opened(app, "run.py", run="1")
    (primary,) = [button for button in app.button if button.proto.type == "primary"]
    assert primary.label == "See the results"
    primary.click().run()
    assert "teacher’s accuracy" in app.title[0].value


def test_a_trial_of_a_search_tells_what_it_reached_on_validation_rows(app, store, saved):
    run = store.submit(parse_config({"dataset": "reviews", "evaluate_on": "validation", **TINY}), key="t", owner="me")
    told = "A trial: the student has 88.2 % in Accuracy on 30 validation rows. The test rows were not read."
    store.record(run.id, [events.Verdict(outcome="no_control", sentence=told)])
    store.finish(run.id)
    assert "88\\.2 % in Accuracy on 30 validation rows" in words(opened(app, "all_runs.py"))


def test_a_run_that_waits_alone_shows_neither_empty_curves_nor_buttons_that_move_it_nowhere(app, store, saved):
    alone = store.submit(parse_config({"dataset": "reviews", **TINY}), key="alone")
    app = opened(app, "run.py", run=str(alone.id))
    assert "It starts in a moment" in words(app)
    assert not app.tabs
    assert [button.key for button in app.button] == ["stop"]
    store.submit(parse_config({"dataset": "reviews", **TINY}), key="another")
    assert "front" in [button.key for button in app.run().button]


def test_a_run_that_failed_offers_a_change_before_all_else(app, filled):
    app = opened(app, "run.py", run="2")
    assert [button.key for button in app.button if button.proto.type == "primary"] == ["start-again"]
    assert not app.tabs


def test_a_command_in_an_error_looks_like_one(app, filled):
    app = opened(app, "run.py", run="999")
    assert app.error[0].value.endswith("so does `python -m studio runs`\\.")


def test_the_list_says_of_times_no_more_than_the_results_do(app, filled):
    apart = events.Evaluation(role="control", split="", metric="latency_ratio", value=1.0, low=0.5, high=2.0)
    slow = events.Evaluation(role="teacher", split="test", metric="latency_ms", value=90.0)
    filled.record(1, [apart, slow])
    assert "Faster not exact" in " ".join(written(opened(app, "all_runs.py")).split())


def test_a_run_that_ended_because_its_teacher_is_weak_says_what_to_press_and_goes_on_at_a_click(app, store, saved):
    config = parse_config({"dataset": "reviews", **TINY, "allow_weak_teacher": False})
    run = store.submit(config, key="weak", owner="me")
    store.fail(run.id, ModelError("The teacher gets 50.0 %.", CURE))
    opened(app, "run.py", run=str(run.id))
    told = app.error[0].value.replace("\\", "")
    assert "train it longer (“Teacher epochs”, “Training length”)" in told and "_" not in told
    app.button(key="go-on").click().run()
    same = store.run(run.id + 1)
    assert same.config.allow_weak_teacher and same.config.student == config.student
    opened(app, "run.py", run=str(run.id))
    app.button(key="go-on").click().run()
    assert len(store.runs()) == 2


def test_a_run_that_failed_for_another_reason_offers_no_way_past_a_weak_teacher(app, store, saved):
    run = store.submit(
        parse_config({"dataset": "reviews", **TINY, "allow_weak_teacher": False}), key="broken", owner="me"
    )
    store.fail(run.id, ModelError("The model is broken.", "Choose another."))
    opened(app, "run.py", run=str(run.id))
    assert app.error and "go-on" not in [button.key for button in app.button]
