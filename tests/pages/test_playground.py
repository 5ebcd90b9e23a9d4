"""Playground: one input, what the models of a run say of it."""

import pytest

from studio.errors import ModelError
from studio.pipeline.answers import Replies, Said
from studio.service.playground import Playground
from tests.pages.conftest import opened, words, written


@pytest.fixture
def asked(filled, home, monkeypatch):
    """What was asked; teacher and student say different things."""
    home.model(1, "student").mkdir(parents=True)
    heard = []

    def ask(self, store, run_id, value):
        heard.append((run_id, value))
        return Replies(said=[said("teacher", "good", 0.8), said("student", "bad", 0.6)], device="cpu")

    monkeypatch.setattr(Playground, "ask", ask)
    return heard


def said(role, label, share):
    other = "bad" if label == "good" else "good"
    answer = {"label": label, "score": share}
    return Said(role=role, answer=answer, shares={label: share, other: 1 - share}, milliseconds=1.5)


def test_what_a_person_writes_is_asked_and_every_model_answers(app, asked):
    app = opened(app, "playground.py", run="1")
    app.text_area(key="playground-text").set_value("what a film").run()
    app.button(key="playground-ask").click().run()
    assert asked == [(1, "what a film")]
    assert "They differ" in words(app)
    shown = " ".join(written(app).split())
    assert "Teacher good" in shown
    assert "80.0 %" in shown
    assert "Student bad" in shown


def test_nothing_is_asked_before_there_is_something(app, asked):
    app = opened(app, "playground.py", run="1")
    assert app.button(key="playground-ask").disabled
    assert not asked


def test_a_test_row_is_asked_at_once_and_its_label_is_told(app, asked):
    app = opened(app, "playground.py", run="1")
    app.button(key="playground-row").click().run()
    assert not app.exception
    assert asked[0][1] == app.text_area(key="playground-text").value
    assert "In the data it is: " in words(app)
    first = asked[0][1]
    app.button(key="playground-row").click().run()
    assert asked[-1][1] != first


def test_a_temperature_softens_what_the_teacher_said(app, asked):
    app = opened(app, "playground.py", run="1")
    app.button(key="playground-row").click().run()
    app.slider(key="playground-temperature-1").set_value(1.0).run()
    assert written(app).count("80.0 %") == 3  # the teacher's card, what it says, what is heard at T = 1
    app.slider(key="playground-temperature-1").set_value(2.0).run()
    assert "66.7 %" in written(app)


def test_a_model_that_cannot_be_opened_is_told(app, asked, monkeypatch):
    def fail(self, store, run_id, value):
        raise ModelError("The student is damaged.", "Train it again.")

    monkeypatch.setattr(Playground, "ask", fail)
    app = opened(app, "playground.py", run="1")
    app.button(key="playground-row").click().run()
    assert "damaged" in words(app)


def test_a_run_without_a_student_is_told_and_nothing_breaks(app, asked):
    for wanted in ("2", "99", "9" * 30):
        assert "playground-ask" not in [button.key for button in opened(app, "playground.py", run=wanted).button]


def test_without_a_run_the_way_to_one_is_shown(app):
    assert "No run has finished yet" in words(opened(app, "playground.py"))
