"""New run: a goal chooses the student; goal, data and models stand in the address."""

import pytest
from streamlit.testing.v1 import AppTest

from studio import events
from studio.pipeline.answers import Sizes
from tests.pages.conftest import SIZES, fresh, opened, words, written

TEACHER, STUDENT = "teacher-builtin-text-classification", "student-builtin-text-classification"


def students(app):
    """The list of built-in students, whichever of its widgets stands there."""
    (found,) = (radio for radio in app.radio if radio.key and radio.key.startswith(STUDENT))
    return found


def student_source(app):
    (found,) = (group for group in app.button_group if group.key and group.key.startswith("student-source"))
    return found


@pytest.mark.parametrize(
    ("goal", "student"),
    [("tenth", "transformer-tiny"), ("accurate", "transformer-small"), ("fast", "transformer-tiny"),
     ("smallest", "fasttext-tiny"), ("own", "transformer-tiny")],
)  # fmt: skip
def test_a_goal_is_the_student_that_comes_nearest_to_it(app, saved, store, counted, goal, student):
    app = opened(app, "new_run.py")
    app.button_group(key="goal").set_value(goal).run()
    app.button(key="start").click().run()
    assert store.runs()[0].config.student == f"builtin/{student}"


def test_a_time_limit_is_typed_stands_in_the_address_and_decides(app, saved, store, counted):
    app = opened(app, "new_run.py", ms="10")
    app.button_group(key="goal").set_value("fast").run()
    assert app.number_input(key="ms").value == 10
    app.button(key="start").click().run()
    assert store.runs()[0].config.student == "builtin/transformer-small"


def test_a_time_limit_that_nothing_meets_is_told_with_the_fastest(app, saved, counted):
    app = opened(app, "new_run.py", ms="no number")
    app.button_group(key="goal").set_value("fast").run()
    assert app.number_input(key="ms").value == 5
    app.number_input(key="ms").set_value(0.5).run()
    assert app.query_params["ms"] == "0.5"
    assert "The fastest, transformer-tiny, takes 1.2 ms" in words(app).replace("\\", "")


def test_what_did_best_on_this_data_is_told_with_the_way_to_it(app, filled, counted):
    app = opened(app, "new_run.py", dataset="1")
    assert "Best so far on this data: **transformer-tiny**, 90.0 %, 100 % of its teacher." in words(app).replace(
        "\\", ""
    )


def test_a_run_that_learned_nothing_is_not_recommended(app, filled, counted):
    filled.record(1, [events.Verdict(outcome="not_learned", sentence="It did not learn.")])
    assert "Best so far" not in words(opened(app, "new_run.py", dataset="1"))


def test_a_goal_tells_its_numbers_and_both_cards_have_size_and_speed(app, saved, counted):
    app = opened(app, "new_run.py")
    assert "20 times smaller than its teacher, 1.2 ms a row on this machine" in words(app)
    drawn = " ".join(written(app).split())
    assert "Size about 16 MB Parameters 4 M Time for one row 1.2 ms" in drawn
    assert "Size about 800 kB Parameters 200 K" in drawn


@pytest.mark.parametrize(
    ("size", "said"),
    [(400_000, "Nearest to that: **transformer-mini**, 10 times smaller"),
     (700_000, "No model here is a tenth of this teacher. The nearest: **transformer-mini**, 5.7 times smaller"),
     (1_500_000, "Stored in whole numbers (int8, below) it is about 11 times smaller.")],
)  # fmt: skip
def test_a_tenth_is_said_only_where_it_is_about_one(app, saved, counted, monkeypatch, size, said):
    sizes = {"transformer-base": 4_000_000, "transformer-mini": size}
    monkeypatch.setattr("studio.service.questions.sizes", lambda *_: Sizes(parameters=sizes, milliseconds={}))
    shown = words(opened(app, "new_run.py")).replace("\\", "")
    assert said in shown
    assert ("int8, below" in shown) is (size > 1_000_000)


def test_while_models_are_counted_nothing_can_be_started_that_was_not_shown(app, saved, monkeypatch):
    from concurrent.futures import Future

    from pages import _asked

    monkeypatch.setattr(_asked, "sizes", lambda dataset, teacher: Future())
    app = opened(app, "new_run.py")
    assert not [button for button in app.button if button.key == "start"]
    app.button_group(key="goal").set_value("own").run()
    assert [button for button in app.button if button.key == "start"]


def test_a_student_chosen_by_name_wins_over_the_goals(app, saved, store, monkeypatch):
    monkeypatch.setattr("studio.service.questions.sizes", lambda home, store, config: Sizes(parameters=SIZES))
    app = opened(app, "new_run.py")
    student_source(app).set_value("teacher").run()
    app.button(key="start").click().run()
    assert store.runs()[0].config.student == "teacher/2-layers"


def test_goal_data_and_models_stand_in_the_address(app, saved, pairs, counted):
    app = opened(app, "new_run.py")
    app.selectbox(key="dataset").set_value(str(saved.id)).run()
    app.button_group(key="goal").set_value("fast").run()
    app.radio(key="teacher-builtin-text-classification").set_value("transformer-small").run()
    assert {name: app.query_params[name] for name in ("dataset", "goal", "teacher")} == {
        "dataset": str(saved.id), "goal": "fast", "teacher": "builtin/transformer-small"
    }  # fmt: skip
    students(app).set_value("fasttext-tiny").run()
    assert (app.query_params["goal"], app.query_params["student"]) == ("own", "builtin/fasttext-tiny")
    again = opened(fresh(), "new_run.py", **{name: str(said) for name, said in app.query_params.items()})
    assert (again.selectbox(key="dataset").value, again.button_group(key="goal").value) == (str(saved.id), "own")
    assert students(again).value == "fasttext-tiny"


def test_the_way_back_brings_the_goal_and_the_model_that_stood_in_the_address(app, saved, counted):
    app = opened(app, "new_run.py", goal="smallest")
    app.button_group(key="goal").set_value("fast").run()
    app.radio(key="teacher-builtin-text-classification").set_value("transformer-small").run()
    app.query_params["goal"] = "smallest"  # as the browser's button does
    del app.query_params["teacher"]
    app.run()
    assert app.button_group(key="goal").value == "smallest"
    assert app.radio(key="teacher-builtin-text-classification").value == "transformer-base"


def test_the_list_of_students_shows_the_one_that_the_goal_takes(app, saved, counted):
    app = opened(app, "new_run.py", goal="smallest")
    assert students(app).value == "fasttext-tiny"
    app.button_group(key="goal").set_value("accurate").run()
    assert students(app).value == "transformer-small"


def test_a_student_that_nobody_named_is_asked_for_and_not_promised(app, saved):
    app = opened(app, "new_run.py", goal="own")
    student_source(app).set_value("hub").run()
    assert "Choose a student to continue." in words(app)
    assert "once the models are counted" not in words(app)


def test_models_that_are_chosen_faster_than_the_address_follows_are_the_last_ones(app, saved, counted):
    app = opened(app, "new_run.py")
    before = dict(app.query_params.items())
    app.radio(key=TEACHER).set_value("fasttext-tiny").run()
    assert app.query_params["teacher"] == "builtin/fasttext-tiny"
    late(app, before).radio(key=TEACHER).set_value("fasttext-small").run()
    assert (app.radio(key=TEACHER).value, app.query_params["teacher"]) == ("fasttext-small", "builtin/fasttext-small")
    before = dict(app.query_params.items())
    app.radio(key=TEACHER).set_value("transformer-base").run()
    late(app, before).button_group(key="goal").set_value("accurate").run()
    assert app.radio(key=TEACHER).value == "transformer-base"
    assert app.query_params["goal"] == "accurate"


def test_each_student_that_a_goal_takes_has_widgets_of_its_own_which_a_window_that_is_behind_does_not_know(
    app, saved, counted
):
    app = opened(app, "new_run.py")
    seen = [students(app).key]
    for step in (lambda: app.radio(key=TEACHER).set_value("transformer-small"),
                 lambda: app.button_group(key="goal").set_value("smallest"),
                 lambda: students(app).set_value("transformer-tiny")):  # fmt: skip
        step().run()
        seen.append(students(app).key)
    assert len(set(seen[:3])) == 3 and seen[3] == seen[2], "who has just chosen goes on in the same list"
    assert app.button_group(key="goal").value == "own"
    app.button_group(key="goal").set_value("smallest").run()
    assert students(app).key not in seen
    assert students(app).value == "fasttext-tiny"


def test_what_a_window_that_is_behind_sends_of_an_earlier_student_is_no_choice():
    def page():
        import streamlit as st

        from pages._how_small import choose_own

        st.session_state["student number"], st.session_state["goal"] = 2, "fast"
        choose_own(1)
        st.write(st.session_state["goal"])
        choose_own(2)
        st.write(st.session_state["goal"])

    app = AppTest.from_function(page, default_timeout=120).run()
    assert not app.exception
    assert [one.value for one in app.markdown] == ["fast", "own"]


def late(app, address):
    """As a window that does not know yet what was written into its address."""
    app.query_params.clear()
    for name, said in address.items():
        app.query_params[name] = said
    return app
