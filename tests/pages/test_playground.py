"""Playground: one input, what the models of a run say of it; a whole file."""

import base64
import html
import io
import json
import re

import numpy as np
import pytest
from PIL import Image, ImageDraw
from streamlit.testing.v1 import AppTest

from pages import _answers, _playground_input, _why
from studio.errors import ModelError
from studio.pipeline.answers import Attributed, Attributions, Part, Replies, Said, Token
from studio.service import file_answers, questions
from studio.service.acts import Acts
from studio.service.file_answers import FileAnswers
from studio.service.people import local
from studio.service.playground import Playground
from studio.service.predict import Scored
from studio.tasks.image_files import FORMATS
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
    assert "Student not as the teacher bad" in shown


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


def test_a_temperature_softens_what_the_teacher_said_of_an_input_of_ones_own(app, asked):
    app = opened(app, "playground.py", run="1")
    app.text_area(key="playground-text").set_value("what a film").run()
    app.button(key="playground-ask").click().run()
    app.slider(key="what-if-temperature").set_value(1.0).run()
    assert "0.72 bits of doubt, of 1.00 at most" in words(app)
    app.slider(key="what-if-temperature").set_value(2.0).run()
    assert "0.92 bits of doubt" in words(app)
    app.selectbox(key="what-if-label").set_value("bad").run()
    assert "opposite directions: the teacher would have the student less sure" in words(app)


def test_why_is_asked_of_teacher_and_student_and_their_words_stand_side_by_side(app, asked, monkeypatch):
    heard = []

    def why(self, store, run_id, value, label=""):
        heard.append((run_id, value, label))
        parts = [Part(text="what", of=0, value=-0.5), Part(text="<film>", of=0, value=2.0)]
        both = [Attributed(role=role, parts=parts, score=1.5, start=0) for role in ("teacher", "student")]
        return Attributions(label="good", said=both)

    monkeypatch.setattr(Playground, "why", why)
    app = opened(app, "playground.py", run="1")
    app.text_area(key="playground-text").set_value("what <film>").run()
    app.button(key="playground-ask").click().run()
    app.button(key="why-ask").click().run()
    assert heard == [(1, "what <film>", "")]
    assert "Teacher and student both look at" in words(app)
    assert "evidence for it: +1.50" in written(app)
    app.selectbox(key="why-label").set_value("bad").run()
    assert "evidence for it" not in written(app)


def test_a_picture_shows_in_the_models_colour_where_it_looks():
    one = Attributed(role="student", heat=[[0.0, 1.0], [-1.0, 0.0]], picture=[[0, 0], [0, 0]], score=1, start=0)
    data = re.search(r"base64,([^\"]+)", _why.picture(one))
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data.group(1))))).astype(int)
    assert pixels[0, 1].tolist() == [13, 148, 136]
    assert pixels[1, 0].tolist() == [190, 18, 60]
    assert len(set(pixels[0, 0])) == 1


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
    assert "No run has finished yet" in written(opened(app, "playground.py"))


def test_what_differs_from_the_teacher_is_marked():
    models = [said("teacher", "good", 0.8), said("int8", "good", 0.7), said("baseline", "bad", 0.6)]
    drawn = _answers.cards([models[0], models[1].model_copy(update={"milliseconds": 0.5}), models[2]])
    assert "Student in int8" in drawn
    assert drawn.count("not as the teacher") == 1
    assert "0.50 ms for this one" in drawn


def test_words_stand_above_what_each_model_takes_them_for():
    models = [
        Said(
            role=role,
            answer={"entities": [{"type": kind, "start": 1, "end": 3, "score": 0.9}]},
            shares={},
            milliseconds=1,
        )
        for role, kind in (("teacher", "place"), ("student", "<person>"))
    ]
    drawn = _answers.tokens(models, ["in", "New", "York"])
    assert drawn.count('<td class="found">place</td>') == 2
    assert drawn.count('<td class="found other" title="not as the teacher">&lt;person&gt;</td>') == 2


def picture(ground, pen, box, kind="PNG"):
    drawn = Image.new("L", (100, 100), ground)
    ImageDraw.Draw(drawn).rectangle(box, fill=pen)
    file = io.BytesIO()
    drawn.save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_pictures_of_the_data_are_looked_at_in_whatever_format_they_are(kind):
    rows = [{"image": picture(0, 255, (40, 40, 60, 60), kind)}]
    assert _playground_input.is_dark(rows)
    assert not _playground_input.are_drawings(rows), "it is larger"


@pytest.mark.parametrize(("ground", "pen"), [(0, 255), (255, 0)])
def test_a_drawing_is_as_large_and_as_light_as_those_of_the_data(ground, pen):
    rows = [{"image": picture(ground, pen, (10, 10, 89, 49))}]
    assert _playground_input.is_dark(rows) == (ground == 0)
    placed = _playground_input.as_in_the_data(picture(ground, pen, (5, 5, 14, 24)), rows, ground == 0)
    with Image.open(io.BytesIO(placed)) as found:
        assert found.getpixel((0, 0)) == ground
        left, upper, right, lower = _playground_input._box(found, ground == 0)
    assert (lower - upper, right - left) == (80, 40)
    assert (left + right, upper + lower) == (100, 100)
    assert _playground_input.as_in_the_data(picture(ground, ground, (0, 0, 1, 1)), rows, ground == 0) is None


def test_a_file_that_is_being_answered_says_how_far_it_is_and_one_that_is_ready_can_be_taken(app, asked, home):
    desk = file_answers.shared(home.root)
    going, ready = (FileAnswers(name, 1, "student", f"{name}<b>.csv", None, home.root) for name in ("going", "ready"))
    going.state, going.done, going.total = "working", 30, 120
    desk._known = {"going": going, "ready": ready}
    ready.answers.write_text("text,label")
    ready.state, ready.scored = "finished", Scored(ready.answers, 3, 1, ("label",))
    page = opened(app, "playground.py", run="1")
    assert "2 rows have an answer." in words(page)
    assert "1 row has no input and got none." in words(page)
    page.button(key="file-stop-going").click().run()
    assert going.stop.is_set()


def test_the_student_in_int8_is_made_when_somebody_asks_for_it(app, asked, monkeypatch):
    made = []
    monkeypatch.setattr(questions, "convert", lambda home, store, run_id: made.append(run_id))
    app = opened(app, "playground.py", run="1")
    app.button(key="playground-row").click().run()
    app.button(key="playground-int8").click().run()
    assert made == [1]


def test_what_a_model_wrote_is_coloured_where_the_other_one_would_not_have():
    tokens = [Token(text="Once <b>", own=0.9, other=0.9), Token(text=" upon", own=0.9, other=0.009)]
    one = Said(role="student", answer={"text": "Once <b> upon"}, shares={}, milliseconds=5, tokens=tokens)
    drawn = _answers.card(one)
    assert re.findall(r'<span class="ds-gap" style="--gap:(\d+)%"[^>]*>([^<]*)<', drawn) == [("100", " upon")]
    assert "Once &lt;b&gt;" in drawn
    assert "Once <b> upon" in html.unescape(re.sub("<[^>]*>", "", _answers.texts({"student": "Once <b> upon"})))


def test_who_has_seen_the_names_judges_blind_another_input_only(app, asked, monkeypatch, home):
    from pages import _studio
    from studio import tasks
    from studio.service import judged

    def ask(self, store, run_id, value, tell=None):
        both = [Said(role=role, answer={"text": f" by the {role}"}, shares={}, milliseconds=1)
                for role in ("student", "control")]  # fmt: skip
        return Replies(said=both, device="cpu")

    monkeypatch.setattr(Playground, "ask", ask)
    monkeypatch.setattr(_studio, "task_of", lambda run: tasks.get("language-model"))
    app = opened(app, "playground.py", run="1")
    app.text_area(key="playground-text").set_value("Once").run()
    app.button(key="playground-ask").click().run()
    app.toggle(key="playground-blind").set_value(True).run()
    assert "You have seen who wrote what" in words(app)
    assert not [one for one in app.button if one.key and one.key.startswith("judge-")]
    app.text_area(key="playground-text").set_value("Twice").run()
    app.button(key="playground-ask").click().run()
    app.button(key="judge-first").click().run()
    assert not app.exception
    assert judged.counts(home, 1, ("student", "control")).inputs == 1
    assert "You have seen" not in words(app)


def test_what_somebody_writes_to_models_of_chats_is_said_in_a_chat():
    def page():
        import json

        import streamlit as st

        from pages._playground_input import own_input
        from studio import tasks

        said = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "So"},
                {"role": "assistant", "content": "Yes."}]  # fmt: skip
        st.json(own_input(tasks.get("language-model"), [{"prompt": "", "text": json.dumps(said), "form": "chat"}]))

    app = AppTest.from_function(page, default_timeout=120).run()
    app.text_area(key="playground-text").set_value("Hi there").run()
    assert json.loads(app.json[0].value) == [
        {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi there"},
    ]  # fmt: skip


def test_a_judgement_that_cannot_be_kept_is_told(monkeypatch, home, store):
    from pages import _judged

    shown = []
    monkeypatch.setattr(_judged, "get_acts", lambda: Acts(local(), home, store))
    monkeypatch.setattr("pages._studio.show_error", shown.append)
    _judged.say(99, ("student", "control"), "first", "Once", "key")
    assert "no run 99" in str(shown[0])


def test_two_texts_are_judged_without_their_names_and_named_afterwards(app, asked, monkeypatch):
    from pages import _judged
    from studio.service import judged

    pair = [
        Said(role=role, answer={"text": f" by the {role}"}, shares={}, milliseconds=1)
        for role in ("student", "control")
    ]
    assert [one.role for one in _judged.pair_of([said("teacher", "good", 1), *pair])] == ["student", "control"]
    assert [one.role for one in _judged.pair_of([said("teacher", "good", 1), pair[0]])] == ["student", "teacher"]
    assert _judged.pair_of([said("teacher", "good", 1)]) is None

    def page():
        from pages import _judged as judge
        from pages._studio import get_store
        from studio.pipeline.answers import Said

        run = get_store().run(1)
        pair = tuple(Said(role=role, answer={"text": f" by the {role}"}, shares={}, milliseconds=1)
                     for role in ("student", "control"))  # fmt: skip
        if not judge.texts(run, "Once", pair):
            judge.so_far(run, pair)

    app = AppTest.from_function(page, default_timeout=120).run()
    drawn = re.sub("<[^>]*>", "|", app.get("html")[0].proto.body)
    left = "control" if judged.is_swapped("Once") else "student"
    assert drawn.index(f"by the {left}") < drawn.index("by the " + ({"control", "student"} - {left}).pop())
    assert "Student" not in drawn
    next(one for one in app.button if one.label == "A is better").click().run()
    name = {"student": "Student", "control": "Without teacher"}[left]
    assert f"{name} better 1" in app.caption[0].value


def test_where_a_file_has_not_the_column_of_the_data_one_is_guessed_and_can_be_chosen(app, asked, monkeypatch):
    begun = []
    monkeypatch.setattr(Acts, "answer_file", lambda self, *what: begun.append(what))
    app = opened(app, "playground.py", run="1")
    rows = "id,message,day\n" + "\n".join(f"{n},where is my parcel number {n},monday" for n in range(30))
    app.file_uploader(key="playground-file").set_value(("new.csv", rows.encode(), "text/csv")).run()
    assert "This file has no column “text”" in words(app).replace("\\", "")
    box = next(box for box in app.selectbox if (box.key or "").startswith("playground-column-input"))
    assert box.value == "message"
    app.button(key="playground-file-ask").click().run()
    assert begun[0][-1] == {"column": "message"}


def test_a_run_that_there_is_not_is_told_below_the_title_with_a_way_on(app, saved):
    app = opened(app, "playground.py", run="999")
    assert [title.value for title in app.title] == ["Playground"]
    assert "There is no run 999" in words(app)
