"""Every page on an empty and on a filled store, without a browser."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from studio import events
from studio.config.plan import Distill, Prune, Quantize
from studio.config.reading import parse_config
from studio.errors import ModelError
from studio.pipeline.answers import Preview
from tests.conftest import TINY

SHELL = str(Path(__file__).parents[2] / "pages" / "_shell.py")
PAGES = ("home.py", "data.py", "new_run.py", "all_runs.py", "run.py", "results.py", "settings.py")


@pytest.fixture
def app(home, store) -> AppTest:
    return AppTest.from_file(SHELL, default_timeout=60)


def opened(app: AppTest, page: str, **query: str) -> AppTest:
    app.run()
    if page != "home.py":
        app.switch_page(page)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


def words(app: AppTest) -> str:
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "success", "error", "metric")
    return " ".join(
        str(getattr(element, "value", "")) + str(getattr(element, "label", ""))
        for kind in kinds
        for element in getattr(app, kind)
    )


EVALUATIONS = {"accuracy": 0.9, "f1_macro": 0.89, "parameters": 1e6, "size_bytes": 4e6, "latency_ms": 2.5}


@pytest.fixture
def filled(store, saved):
    """One finished run, one that failed, one that waits."""
    config = parse_config({"dataset": "reviews", **TINY})
    run = store.submit(config, key="finished", owner="me")
    said: list[events.Event] = [events.PhaseStarted(phase="distill"), events.Log(message="hello <b>there</b>")]
    said += [
        events.Metrics(phase="distill", step=n, values={"loss": 1 / (n + 1), "accuracy": n / 20}) for n in range(20)
    ]
    said += [events.DeviceUse(seconds=2, values={"cpu_percent": 150.0, "memory_bytes": 5e8})]
    for role in ("teacher", "student", "control"):
        said += [
            events.Evaluation(
                role=role, split="test", metric=metric, value=value, low=value * 0.9, high=value * 1.05, n=100
            )
            for metric, value in EVALUATIONS.items()
        ]
        said += [events.Confusion(role=role, split="test", labels=["bad", "good"], counts=[[40, 10], [5, 45]])]
    said += [events.PhaseFinished(phase="distill", seconds=3, steps=20)]
    said += [events.Verdict(outcome="better", sentence="The student kept 97 % of it.")]
    store.record(run.id, said)
    store.finish(run.id)
    failed = store.submit(config, key="failed", owner="me")
    store.fail(failed.id, events_error())
    store.submit(config, key="queued")
    return store


def events_error():
    from studio.errors import ModelError

    return ModelError("The model <script>alert(1)</script> is broken.", "Choose another.")


@pytest.mark.parametrize("page_file", PAGES)
def test_every_page_opens_on_an_empty_store(app, page_file):
    opened(app, page_file)


@pytest.mark.parametrize("page_file", PAGES)
def test_every_page_opens_on_a_filled_store(app, filled, page_file):
    opened(app, page_file)


def test_home_shows_both_demos_and_the_latest_verdict(app, filled):
    app = opened(app, "home.py")
    assert {button.key for button in app.button} >= {"demo-text", "demo-images"}
    assert "The student kept 97 % of it" in words(app).replace("\\", "")


def test_a_click_on_a_demo_queues_its_run(app, store):
    app = opened(app, "home.py")
    app.button(key="demo-images").click().run()
    assert [run.config.dataset for run in store.runs()] == ["Demo: handwritten digits"]


def test_the_verdict_and_all_three_models_are_on_the_results_page(app, filled):
    app = opened(app, "results.py", run="1")
    text = words(app).replace("\\", "")
    assert "The student kept 97 % of it." in text
    assert all(role in text for role in ("Teacher", "Student", "Control"))
    assert [metric.value for metric in app.metric if metric.label == "Accuracy"] == ["90.0 %"] * 3
    assert "95 % interval 81.0 % to 94.5 %" in text


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
    again = AppTest.from_file(SHELL, default_timeout=60)
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
    again = AppTest.from_file(SHELL, default_timeout=60)
    again = opened(again, "all_runs.py")
    assert 1 not in again.dataframe[0].value["Run"].tolist()
    again.toggle(key="archived").set_value(True).run()
    assert 1 in again.dataframe[0].value["Run"].tolist()


def test_start_twice_with_the_same_draft_makes_one_run(app, saved, store):
    app = opened(app, "new_run.py", draft="one-visit")
    app.button(key="start").click().run()
    again = AppTest.from_file(SHELL, default_timeout=60)
    again = opened(again, "new_run.py", draft="one-visit")
    again.button(key="start").click().run()
    assert len(store.runs()) == 1
    assert store.runs()[0].config.control


def test_the_settings_on_the_page_become_the_config(app, saved, store):
    app = opened(app, "new_run.py", draft="d")
    app.slider(key="setting-temperature").set_value(7.0)
    app.slider(key="setting-alpha").set_value(0.25)
    app.toggle(key="setting-control").set_value(False)
    app.text_input(key="setting-learning_rate").set_value("2e-4").run()
    app.button(key="start").click().run()
    config = store.runs()[0].config
    assert (config.temperature, config.alpha, config.control, config.learning_rate) == (7.0, 0.25, False, 2e-4)


def test_a_method_becomes_the_terms_of_the_config(app, saved, store):
    app = opened(app, "new_run.py", draft="d")
    app.selectbox(key="method-text-classification").set_value("minilm").run()
    app.button(key="start").click().run()
    terms = [term.loss for term in store.runs()[0].config.terms]
    assert terms == ["soft_target", "attention_distribution", "value_relation"]


def test_methods_that_need_three_classes_are_not_offered_for_two(app, saved):
    app = opened(app, "new_run.py", draft="d")
    assert not {"DKD", "Standardized logits"} & set(app.selectbox(key="method-text-classification").options)


def test_a_mix_of_ones_own_takes_losses_and_weights(app, saved, store):
    app = opened(app, "new_run.py", draft="d")
    app.selectbox(key="method-text-classification").set_value("own").run()
    app.multiselect(key="losses").set_value(["soft_target", "hint"]).run()
    app.number_input(key="weight-hint").set_value(0.25).run()
    app.button(key="start").click().run()
    assert [(term.loss, term.share) for term in store.runs()[0].config.terms] == [("soft_target", 1.0), ("hint", 0.25)]


def test_teachers_steps_and_more_data_become_the_config(app, saved, store):
    app = opened(app, "new_run.py", draft="d")
    app.multiselect(key="references-more_teachers-text-classification").set_value(["builtin/fasttext-large"]).run()
    app.multiselect(key="references-assistants-text-classification").set_value(["builtin/transformer-small"]).run()
    app.button_group(key="augment-text-classification").set_value(["word_dropout"]).run()
    app.toggle(key="setting-auto").set_value(True).run()
    app.button(key="start").click().run()
    config = store.runs()[0].config
    assert config.more_teachers == ("builtin/fasttext-large",)
    assert config.assistants == ("builtin/transformer-small",)
    assert config.augment == ("word_dropout",)
    assert config.auto


def test_going_on_with_new_data_proposes_the_student_its_teacher_and_the_data_it_knows(app, filled, store, home):
    from studio.data.cleaning import clean
    from studio.data.columns import Columns
    from studio.service import library
    from tests.conftest import reviews

    for role in ("student", "teacher"):
        home.model(1, role).mkdir(parents=True)
    columns = Columns("text", "label")
    library.save(store, home, "later", clean(reviews(60), columns, "text-classification"), columns)
    app = opened(app, "new_run.py", draft="d", student="run:1/student", teacher="run:1/teacher")
    app.button(key="start").click().run()
    config = store.runs()[0].config
    assert (config.dataset, config.replay) == ("later", "reviews")
    assert (config.student, config.teacher) == ("run:1/student", "run:1/teacher")


def test_a_run_can_be_started_again_with_all_its_settings(app, saved, store):
    names = {**TINY, "student": "teacher/1-layer", "temperature": 6.0, "alpha": 0.35, "terms": "soft_target, hint:0.5",
             "auto": True, "hard_epochs": 2, "more_teachers": "builtin/fasttext-large", "fusion": "confidence",
             "assistants": "builtin/transformer-tiny", "augment": "word_dropout", "views": 5, "seed": 11,
             "learning_rate": 2e-4, "alpha_schedule": "linear", "control": False, "devices": 2,
             "device": "cuda"}  # fmt: skip
    store.submit(parse_config({"dataset": "reviews", **names}), key="first")
    app = opened(app, "new_run.py", draft="again", **{"from": "1"})
    app.button(key="start").click().run()
    again, first = store.runs()
    found, wanted = again.config.model_dump(), first.config.model_dump()
    assert {name: value for name, value in found.items() if value != wanted[name]} == {}


def test_a_run_with_a_named_method_and_an_earlier_students_model_is_started_again(app, filled, home, store):
    for role in ("student", "teacher"):
        home.model(1, role).mkdir(parents=True)
    names = {**TINY, "teacher": "run:1/teacher", "student": "run:1/student", "terms": "soft_target, hidden_cosine"}
    run = store.submit(parse_config({"dataset": "reviews", **names}), key="first")
    app = opened(app, "new_run.py", draft="again", **{"from": str(run.id)})
    assert app.selectbox(key="method-text-classification").value == "cosine"
    app.button(key="start").click().run()
    assert store.runs()[0].config == run.config


@pytest.fixture
def checked(monkeypatch):
    """The configs whose plans were checked; checking is another module's test."""
    seen = []
    monkeypatch.setattr("studio.service.questions.estimate", lambda home, store, config: seen.append(config))
    return seen


def test_a_plan_by_its_name_becomes_steps_and_is_checked_before_the_start(app, saved, store, checked):
    app = opened(app, "new_run.py", draft="d")
    app.slider(key="setting-prune_ratio").set_value(0.5).run()
    app.selectbox(key="plan-text-classification").set_value("int8").run()
    app.button(key="start").click().run()
    config = store.runs()[0].config
    assert config.steps == (Prune(ratio=0.5), Distill(), Quantize(form="int8"))
    assert [config.steps for config in checked] == [config.steps]


def test_steps_of_ones_own_are_added_moved_and_taken_away(app, saved, store, checked):
    app = opened(app, "new_run.py", draft="d")
    app.selectbox(key="plan-text-classification").set_value("own").run()
    for kind in ("quantize", "factorize", "prune"):
        app.selectbox(key="step-kind").set_value(kind).run()
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
    app = opened(app, "new_run.py", draft="d")
    app.selectbox(key="plan-text-classification").set_value("own").run()
    app.button(key="step-add").click().run()
    button_named(app, "away-", 0).click().run()
    assert ["a plan needs a step" in error.value for error in app.error] == [True]
    assert not [button for button in app.button if button.key == "start"]


def test_a_plan_that_this_student_cannot_follow_is_refused_on_the_page(app, saved, store, monkeypatch):
    def refuse(home, store, config):
        raise ModelError("A ratio of 0.9 would remove all 2 heads of a layer.", "Take at most 0.5.")

    monkeypatch.setattr("studio.service.questions.estimate", refuse)
    app = opened(app, "new_run.py", draft="d")
    app.slider(key="setting-prune_ratio").set_value(0.9).run()
    app.button(key="start").click().run()
    assert "Take at most 0.5." in words(app).replace("\\", "")
    assert store.runs() == []


def test_what_pruning_alone_would_cost_is_drawn(app, saved, monkeypatch):
    found = Preview(ratios=[0.0, 0.5], accuracy=[0.9, 0.6], rows=40, step=Prune(ratio=0.5))
    monkeypatch.setattr("studio.service.questions.preview", lambda home, store, config: found)
    app = opened(app, "new_run.py", draft="d")
    app.toggle(key="wants-preview").set_value(True).run()
    assert not app.exception
    assert "Accuracy on 40 validation rows, 90.0 % before" in words(app)
    assert len(app.get("plotly_chart")) == 1


def test_a_run_with_a_plan_of_its_own_is_started_again_with_it(app, saved, store, checked):
    plan = [{"do": "prune", "ratio": 0.5, "units": ["heads"], "rounds": 2}, "distill:3", "quantize:codebook"]
    first = store.submit(parse_config({"dataset": "reviews", **TINY, "plan": plan}), key="first")
    app = opened(app, "new_run.py", draft="d", **{"from": str(first.id)})
    app.button(key="start").click().run()
    assert store.runs()[0].id != first.id
    assert store.runs()[0].config.steps == first.config.steps


def test_the_results_show_what_each_step_cost(app, filled):
    told = [("Teacher", 90, 4_000_000), ("Student at first", 50, 1_000_000), ("Distil", 85, 1_000_000)]
    filled.record(
        1,
        [
            events.StageResult(title=title, right=right, n=100, low=right / 100 - 0.1, high=right / 100 + 0.1,
                             parameters=size // 4, size_bytes=size, latency_ms=1.5)
            for title, right, size in told
        ],
    )  # fmt: skip
    app = opened(app, "results.py", run="1")
    table = next(table.value for table in app.dataframe if "Step" in table.value.columns)
    assert table["Step"].tolist() == ["Teacher", "Student at first", "Distil"]
    assert table["Change"].tolist() == ["", "", "+35.0"]
    assert table["Size"].tolist() == ["4.0 MB", "1.0 MB", "1.0 MB"]


def test_what_a_run_chose_by_itself_is_told_with_its_reason(app, filled):
    chosen = events.Choice(temperature=2.0, alpha=0.9, reason="It got more right.", tried=[(2.0, 0.9, 0.8)])
    filled.record(1, [chosen])
    app = opened(app, "results.py", run="1")
    text = words(app).replace("\\", "")
    assert "T = **2**, alpha = **0.9**. It got more right." in text


def test_old_and_new_data_are_shown_apart(app, filled, store):
    old = [events.Evaluation(role=role, split=events.OLD_TEST, metric="accuracy", value=0.7, low=0.6, high=0.8, n=50)
           for role in ("teacher", "student", "control")]  # fmt: skip
    store.record(1, old)
    app = opened(app, "results.py", run="1")
    tables = [table.value for table in app.dataframe if "Data" in table.value.columns]
    assert tables[0]["Student"].tolist() == ["90.0 % (81.0 % to 94.5 %)", "70.0 % (60.0 % to 80.0 %)"]
    assert [metric.value for metric in app.metric if metric.label == "Accuracy"] == ["90.0 %"] * 3


def test_a_preset_sets_the_sliders(app, saved):
    app = opened(app, "new_run.py", draft="d")
    app.button_group(key="preset").set_value("Fast").run()
    assert app.slider(key="setting-epochs").value == 2


def test_a_wrong_setting_is_told_with_name_range_and_value(app, saved):
    app = opened(app, "new_run.py", draft="d")
    app.text_input(key="setting-learning_rate").set_value("7").run()
    assert "learning_rate must be above 0 and at most 1" in app.error[0].value.replace("\\", "")


def test_a_database_that_cannot_be_opened_is_told_in_words(home):
    home.database.parent.mkdir(parents=True)
    home.database.write_bytes(b"nonsense" * 200)
    app = AppTest.from_file(SHELL, default_timeout=60).run()
    assert "cannot be opened" in app.error[0].value
    assert not app.exception


def test_a_server_open_to_a_network_shows_nothing_without_a_login(app, monkeypatch):
    import streamlit as st

    real = st.get_option
    monkeypatch.setattr(st, "get_option", lambda name: "0.0.0.0" if name == "server.address" else real(name))
    app.run()
    assert not app.exception
    assert not [button for button in app.button if (button.key or "").startswith("demo-")]
    assert "open to the network" in words(app)
