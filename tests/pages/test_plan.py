"""New run: the steps that make the student small."""

import pytest

from pages import _asked
from studio.config.plan import KINDS, Distill, Prune, Quantize
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.errors import ModelError
from studio.pipeline.answers import Estimate, Preview
from studio.service import library
from tests.conftest import TINY, reviews
from tests.pages.conftest import opened, words, written


@pytest.fixture
def checked(monkeypatch):
    """The configs whose plans were checked; checking is another module's test."""
    seen = []

    def estimate(home, store, config):
        seen.append(config)
        return Estimate()

    monkeypatch.setattr("studio.service.questions.estimate", estimate)
    return seen


def test_a_plan_by_its_name_becomes_steps_and_is_checked_before_the_start(app, saved, store, checked):
    app = opened(app, "new_run.py")
    app.slider(key="setting-prune_ratio").set_value(0.5).run()
    app.selectbox(key="plan-text-classification").set_value("int8").run()
    app.button(key="start").click().run()
    config = store.runs()[0].config
    assert config.steps == (Prune(ratio=0.5), Distill(), Quantize(form="int8"))
    assert checked[-1].steps == config.steps


def test_steps_of_ones_own_are_added_moved_and_taken_away(app, saved, store, checked):
    app = opened(app, "new_run.py")
    app.selectbox(key="plan-text-classification").set_value("own").run()
    for kind in ("quantize", "factorize", "prune"):
        app.selectbox(key="step-kind").set_value(kind)  # pressed at once, before the page is drawn anew
        app.button(key="step-add").click().run()
    ups = [button for button in app.button if button.key.startswith("up-")]
    assert len(ups) == 4  # distill, factorize, prune, quantize: the last one stays the last
    ups[2].click().run()
    button_named(app, "up-", 1).click().run()
    button_named(app, "away-", 2).click().run()
    next(slider for slider in app.slider if slider.key.startswith("ratio-")).set_value(0.25).run()
    next(pills for pills in app.button_group if pills.key.startswith("units-")).set_value(["heads", "neurons"]).run()
    app.button(key="start").click().run()
    steps = store.runs()[0].config.steps
    assert [step.do for step in steps] == ["prune", "distill", "quantize"]
    assert (steps[0].ratio, steps[0].units) == (0.25, ("heads", "neurons"))


def button_named(app, start, number):
    return [button for button in app.button if button.key.startswith(start)][number]


def test_steps_in_an_order_that_makes_no_sense_are_told_on_the_page(app, saved):
    app = opened(app, "new_run.py")
    app.selectbox(key="plan-text-classification").set_value("own").run()
    app.button(key="step-add").click().run()
    button_named(app, "away-", 0).click().run()
    assert ["a plan needs a step" in error.value for error in app.error] == [True]
    assert not [button for button in app.button if button.key == "start"]


def test_a_plan_that_this_student_cannot_follow_is_refused_on_the_page(app, saved, store, monkeypatch):
    def refuse(home, store, config):
        raise ModelError("A ratio of 0.9 would remove all 2 heads of a layer.", "Take at most 0.5.")

    monkeypatch.setattr("studio.service.questions.estimate", refuse)
    app = opened(app, "new_run.py")
    app.slider(key="setting-prune_ratio").set_value(0.9).run()
    app.button(key="start").click().run()
    assert "Take at most 0.5." in words(app).replace("\\", "")
    assert store.runs() == []


def test_what_pruning_alone_would_cost_is_drawn(app, saved, monkeypatch):
    found = Preview(ratios=[0.0, 0.5], accuracy=[0.9, 0.6], rows=40, step=Prune(ratio=0.5))
    monkeypatch.setattr("studio.service.questions.preview", lambda home, store, config: found)
    app = opened(app, "new_run.py")
    app.toggle(key="wants-preview").set_value(True).run()
    assert not app.exception
    assert "With 50 % pruned and nothing trained: 60.0 %, where it was 90.0 %" in written(app)
    assert "Accuracy on 40 validation rows" in written(app)
    assert len(app.get("plotly_chart")) == 1


def test_a_run_with_a_plan_of_its_own_is_started_again_with_it(app, saved, store, checked):
    plan = [{"do": "prune", "ratio": 0.5, "units": ["heads"], "rounds": 2}, "distill:3", "quantize:codebook"]
    first = store.submit(parse_config({"dataset": "reviews", **TINY, "plan": plan}), key="first")
    app = opened(app, "new_run.py", **{"from": str(first.id)})
    app.button(key="start").click().run()
    assert store.runs()[0].id != first.id
    assert store.runs()[0].config.steps == first.config.steps


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_is_added_by_its_word_with_its_first_values_and_makes_a_config(app, saved, store, checked, kind):
    app = opened(app, "new_run.py")
    app.selectbox(key="plan-text-classification").set_value("own").run()
    app.selectbox(key="step-kind").set_value(kind).run()
    app.button(key="step-add").click().run()
    assert any(f"2 · {KINDS[kind].word}" in markdown.value for markdown in app.markdown)
    app.button(key="start").click().run()
    step = store.runs()[0].config.steps[1].model_dump()
    assert step == KINDS[kind](**step).model_dump()
    assert {name: step[name] for name in KINDS[kind].first} == KINDS[kind].first


def test_steps_that_the_page_cannot_change_in_full_are_started_again_as_they_are(app, saved, store, checked):
    plan = [{"do": "factorize", "energy": 0.9, "weighted": False}, {"do": "sparsify", "threshold": 0.01}, "distill"]
    first = store.submit(parse_config({"dataset": "reviews", **TINY, "plan": plan}), key="first")
    app = opened(app, "new_run.py", **{"from": str(first.id)})
    assert f"Settings copied from run {first.id}." in [caption.value for caption in app.caption]
    app.button(key="start").click().run()
    assert store.runs()[0].config.steps == first.config.steps


def test_a_plan_that_prunes_by_the_ratio_is_started_again_with_that_ratio(app, saved, store, checked):
    written = {"dataset": "reviews", **TINY, "plan": "prune, distill", "prune_ratio": 0.3}
    first = store.submit(parse_config(written), key="first")
    app = opened(app, "new_run.py", **{"from": str(first.id)})
    app.button(key="start").click().run()
    assert store.runs()[0].config.steps == first.config.steps


def test_whole_numbers_are_one_switch(app, saved, store, checked):
    app = opened(app, "new_run.py")
    app.toggle(key="whole-numbers-text-classification").set_value(True).run()
    app.button(key="start").click().run()
    assert store.runs()[0].config.steps == (Distill(), Quantize(form="int8"))


def test_what_was_found_of_data_is_not_told_of_other_data_that_takes_its_name(app, saved, store, home, checked):
    config = parse_config({"dataset": "reviews", **TINY})
    assert _asked.estimate(config) is _asked.estimate(config)
    store.rename_dataset(saved.id, "old")
    assert _asked.rows_of(config) == ""
    columns = Columns("text", "label")
    library.save(store, home, "reviews", clean(reviews(60), columns, "text-classification"), columns)
    _asked.estimate(config).result()
    assert len(checked) == 2
