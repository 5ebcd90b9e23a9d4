"""New run: what is other than in the run before is listed, and comes back by one click."""

import pytest

from pages._language import in_language
from pages._run_pictures import CHANGES, setting_of
from studio import events, tasks
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.service import library
from tests.conftest import TINY, reviews
from tests.pages.conftest import opened, words


@pytest.fixture
def with_next_step(store, saved):
    """A finished run whose next step is a longer training of its teacher."""
    run = store.submit(
        parse_config({"dataset": "reviews", **TINY, "teacher_epochs": 6, "epochs": 4}), key="a", owner="me"
    )
    step = events.NextStep(code="longer", label="Train the teacher twice as long", changes={"teacher_epochs": 12})
    store.record(run.id, [events.Verdict(outcome="better", sentence="Good.", next_step=step)])
    store.finish(run.id)
    return {"from": str(run.id), "next": "1"}


def test_a_next_step_changes_what_it_says_and_the_page_lists_it_with_the_way_back(app, store, with_next_step):
    app = opened(app, "new_run.py", **with_next_step)
    assert "**Changed from run 1**" in words(app)
    assert "Teacher epochs: 6 → **12**" in words(app)
    app.button(key="undo-teacher_epochs").click().run()
    assert "Changed from run" not in words(app)
    assert "next" not in app.query_params
    app.button(key="start").click().run()
    again, first = store.runs()
    assert again.config == first.config


def test_the_way_back_from_an_undone_next_step_brings_it_again(app, with_next_step):
    app = opened(app, "new_run.py", **with_next_step)
    app.button(key="undo-teacher_epochs").click().run()
    assert "Changed from run" not in words(app)
    app.query_params["next"] = "1"
    app.run()
    assert "Teacher epochs: 6 → **12**" in words(app)
    del app.query_params["next"]
    app.run()
    assert "Changed from run" not in words(app)


def test_the_way_back_brings_the_model_of_a_next_step_again(app, store, with_next_step):
    step = events.NextStep(code="other", label="Use another", changes={"student": "builtin/fasttext-tiny"})
    store.record(1, [events.Verdict(outcome="better", sentence="Good.", next_step=step)])
    app = opened(app, "new_run.py", **with_next_step)
    assert "→ **fasttext" in words(app)
    app.button(key="undo-student").click().run()
    assert "→ **fasttext" not in words(app)
    app.query_params["next"] = "1"
    app.run()
    assert "→ **fasttext" in words(app)


def test_every_change_of_ones_own_is_listed_and_a_model_comes_back_by_one_click(app, store, with_next_step):
    app = opened(app, "new_run.py", **{**with_next_step, "student": "builtin/fasttext-tiny"})
    app.slider(key="setting-alpha").set_value(0.25).run()
    app.selectbox(key="method-text-classification").set_value("minilm").run()
    assert "Student: transformer\\-tiny → **fasttext\\-tiny**" in words(app)
    assert "Alpha: 0\\.7 → **0\\.25**" in words(app)
    assert "Distillation losses: Soft targets → **Soft targets, Attention" in words(app)
    assert not [button for button in app.button if button.key == "undo-terms"]
    app.button(key="undo-student").click().run()
    app.button(key="start").click().run()
    config = store.runs()[0].config
    assert (config.student, config.alpha) == ("builtin/transformer-tiny", 0.25)


def test_other_data_is_listed_and_comes_back_by_one_click(app, home, store, with_next_step):
    columns = Columns("text", "label")
    other = library.save(store, home, "later", clean(reviews(40), columns, "text-classification"), columns)
    app = opened(app, "new_run.py", **{**with_next_step, "dataset": str(other.id)})
    assert "reviews → **later**" in words(app)
    app.button(key="undo-dataset").click().run()
    assert "→ **later**" not in words(app)
    assert app.selectbox(key="dataset").value == "1"
    assert app.query_params["dataset"] == "1"


def test_changes_are_listed_while_the_models_are_still_counted(app, with_next_step, monkeypatch):
    app = opened(app, "new_run.py", **with_next_step)
    monkeypatch.setattr("pages._how_small.is_counted", lambda *asked: False)
    monkeypatch.setattr("pages._how_small.until_counted", lambda *asked: None)
    app.button_group(key="goal").set_value("smallest").run()
    assert "The student is chosen once the models are counted" in words(app)
    assert "Teacher epochs: 6 → **12**" in words(app)


def test_a_student_that_a_goal_chose_comes_back_by_one_click_too(app, with_next_step, counted):
    app = opened(app, "new_run.py", **with_next_step)
    app.button_group(key="goal").set_value("smallest").run()
    assert "Student: transformer\\-tiny → **fasttext\\-tiny**" in words(app)
    app.button(key="undo-student").click().run()
    assert "Student: transformer" not in words(app)
    assert app.button_group(key="goal").value == "own"


def test_changed_copies_and_words_to_choose_from_are_called_by_their_titles():
    assert set(CHANGES) == {name for task in tasks.TASKS.values() for name in task.changes}
    with in_language("zh"):
        assert setting_of("augment", ["cutmix"]) == "两条拼接（CutMix）"
        assert "confidence" not in setting_of("fusion", "confidence")
    assert setting_of("augment", []) == "–"
