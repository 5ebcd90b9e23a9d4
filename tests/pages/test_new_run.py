"""New run: what is chosen on the page becomes the config of the run."""

import pytest

from pages._goals import GOALS, USUAL
from studio import tasks
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.pipeline.answers import Checked, Estimate
from studio.service import library
from tests.conftest import TINY, reviews
from tests.pages.conftest import fresh, opened, words, written


def test_start_twice_with_the_same_draft_makes_one_run(app, saved, store):
    app = opened(app, "new_run.py")
    draft = app.session_state["draft"]
    app.button(key="start").click().run()
    assert "Run 1 · just now" in words(app).replace("\\", "")
    again = opened(fresh(), "new_run.py")
    again.session_state["draft"] = draft
    again.button(key="start").click().run()
    assert len(store.runs()) == 1
    assert store.runs()[0].config.control


def test_a_link_does_not_decide_which_clicks_on_start_are_one(app, saved, store):
    for window in (app, fresh()):
        opened(window, "new_run.py", draft="one-link").button(key="start").click().run()
    assert len(store.runs()) == 2


def test_the_settings_on_the_page_become_the_config(app, saved, store):
    app = opened(app, "new_run.py")
    app.slider(key="setting-temperature").set_value(7.0)
    app.slider(key="setting-alpha").set_value(0.25)
    app.toggle(key="setting-control").set_value(False)
    app.text_input(key="setting-learning_rate").set_value("2e-4").run()
    app.button(key="start").click().run()
    config = store.runs()[0].config
    assert (config.temperature, config.alpha, config.control, config.learning_rate) == (7.0, 0.25, False, 2e-4)


def test_a_method_becomes_the_terms_of_the_config(app, saved, store):
    app = opened(app, "new_run.py")
    app.selectbox(key="method-text-classification").set_value("minilm").run()
    app.button(key="start").click().run()
    terms = [term.loss for term in store.runs()[0].config.terms]
    assert terms == ["soft_target", "attention_distribution", "value_relation"]


def test_methods_that_need_three_classes_are_not_offered_for_two(app, saved):
    app = opened(app, "new_run.py")
    assert not {"DKD", "Standardized logits"} & set(app.selectbox(key="method-text-classification").options)


def test_a_mix_of_ones_own_takes_losses_and_weights(app, saved, store):
    app = opened(app, "new_run.py")
    app.selectbox(key="method-text-classification").set_value("own").run()
    app.multiselect(key="losses").set_value(["soft_target", "hint"]).run()
    app.number_input(key="weight-hint").set_value(0.25).run()
    app.button(key="start").click().run()
    assert [(term.loss, term.share) for term in store.runs()[0].config.terms] == [("soft_target", 1.0), ("hint", 0.25)]


def test_teachers_steps_and_more_data_become_the_config(app, saved, store):
    app = opened(app, "new_run.py")
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

    for role in ("student", "teacher"):
        home.model(1, role).mkdir(parents=True)
    columns = Columns("text", "label")
    library.save(store, home, "later", clean(reviews(60), columns, "text-classification"), columns)
    app = opened(app, "new_run.py", student="run:1/student", teacher="run:1/teacher")
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
    app = opened(app, "new_run.py", **{"from": "1"})
    app.button(key="start").click().run()
    again, first = store.runs()
    found, wanted = again.config.model_dump(), first.config.model_dump()
    assert {name: value for name, value in found.items() if value != wanted[name]} == {}


def test_a_run_with_a_named_method_and_an_earlier_students_model_is_started_again(app, filled, home, store):
    for role in ("student", "teacher"):
        home.model(1, role).mkdir(parents=True)
    names = {**TINY, "teacher": "run:1/teacher", "student": "run:1/student", "terms": "soft_target, hidden_cosine"}
    run = store.submit(parse_config({"dataset": "reviews", **names}), key="first")
    app = opened(app, "new_run.py", **{"from": str(run.id)})
    assert app.selectbox(key="method-text-classification").value == "cosine"
    app.button(key="start").click().run()
    assert store.runs()[0].config == run.config


def test_a_preset_sets_the_sliders(app, saved):
    app = opened(app, "new_run.py")
    app.button_group(key="preset").set_value("Fast").run()
    assert app.slider(key="setting-batch_size").value == 64
    assert app.number_input(key="setting-training_length").value == 0.3


def test_a_wrong_setting_is_told_with_name_range_and_value(app, saved):
    app = opened(app, "new_run.py")
    app.text_input(key="setting-learning_rate").set_value("7").run()
    assert "“Learning rate” must be above 0 and at most 1" in app.error[0].value.replace("\\", "")


@pytest.mark.parametrize("number", ["999", "1" * 23])
def test_settings_of_a_run_that_does_not_exist_are_told_and_a_new_run_can_be_made(app, saved, number):
    app = opened(app, "new_run.py", **{"from": number})
    assert f"no run {number}" in app.error[0].value.replace("\\", "")
    assert [button for button in app.button if button.key == "start"]


@pytest.mark.parametrize("reference", ["run:999/student", "builtin/none-such", "nonsense"])
def test_a_model_in_the_address_that_is_none_leaves_the_page_usable(app, saved, reference):
    app = opened(app, "new_run.py", student=reference)
    assert app.title[0].value == "New run"


def test_a_task_brings_its_own_loss_models_and_methods(app, pairs, store):
    app = opened(app, "new_run.py")
    task = tasks.get("regression")
    assert app.caption[0].value.startswith(f"{task.title} · 50 train")
    assert app.radio(key=f"teacher-builtin-{task.name}").options == list(task.builtins)
    assert "Soft targets" not in app.selectbox(key=f"method-{task.name}").options
    app.button(key="start").click().run()
    config = store.runs()[0].config
    assert config.task == task.name
    assert [term.loss for term in config.terms] == list(task.terms)


def test_every_setting_says_where_its_value_comes_from(app, saved, store):
    app = opened(app, "new_run.py")
    labels = {slider.key: slider.label for slider in app.slider}
    assert labels["setting-batch_size"] == "Batch size :gray[· Balanced]"
    assert labels["setting-alpha"] == "Alpha :gray[· default]"
    app.slider(key="setting-alpha").set_value(0.25).run()
    assert app.slider(key="setting-alpha").label == "Alpha :gray[· yours]"
    first = store.submit(parse_config({"dataset": "reviews", **TINY}), key="first")
    again = opened(fresh(), "new_run.py", **{"from": str(first.id)})
    assert again.slider(key="setting-alpha").label == f"Alpha :gray[· as in run {first.id}]"


def test_a_teacher_that_knows_the_labels_is_checked_by_itself(app, saved, monkeypatch):
    found = Estimate(teacher=Checked(value=0.9, constant=0.5, rows=40, is_weak=False))
    monkeypatch.setattr("studio.service.questions.estimate", lambda home, store, config: found)
    app = opened(app, "new_run.py")
    assert "✓ Teacher checked: 90.0 % on 40 validation rows" in words(app)


def test_time_memory_and_sizes_are_shown_by_themselves(app, saved, monkeypatch):
    found = Estimate(seconds=95, memory_bytes=5e8, teacher_parameters=4000, student_parameters=1000, device="cpu",
                     teacher_is_taught=True)  # fmt: skip
    monkeypatch.setattr("studio.service.questions.estimate", lambda home, store, config: found)
    app = opened(app, "new_run.py")
    drawn = " ".join(written(app).split())
    assert "Time about 95 s Memory at least 500 MB" in drawn.replace("  ", " ")
    assert "1 K, 4.0 times smaller" in drawn
    assert "it is trained on them first" in words(app)


def test_pasted_yaml_is_the_run_that_starts(app, saved, store):
    text = parse_config({"dataset": "reviews", **TINY, "temperature": 7.5, "seed": 12}).to_yaml()
    app = opened(app, "new_run.py")
    app.text_area(key="yaml").set_value(text).run()
    app.button(key="use-yaml").click().run()
    assert "Settings from YAML" in words(app)
    app.button(key="start").click().run()
    config = store.runs()[0].config
    assert (config.temperature, config.seed) == (7.5, 12)


def test_wrong_yaml_is_told_and_the_form_stays(app, saved):
    app = opened(app, "new_run.py")
    app.text_area(key="yaml").set_value("dataset: reviews\nalpha: 7").run()
    app.button(key="use-yaml").click().run()
    assert "alpha must be between 0 and 1, got 7" in app.error[0].value.replace("\\", "")
    assert [slider for slider in app.slider if slider.key == "setting-alpha"]


def test_of_a_file_of_megabytes_no_more_is_looked_at_than_settings_can_have(app, saved):
    app = opened(app, "new_run.py")
    app.file_uploader(key="yaml-file").set_value(("run.yaml", b"dataset: " + b"x" * 3_000_000, "text/yaml")).run()
    app.button(key="use-yaml").click().run()
    assert "it has 1,048,576 letters, and at most 100,000 are read" in app.error[0].value.replace("\\", "")


def test_the_three_settings_have_pictures_that_follow_them(app, saved):
    app = opened(app, "new_run.py")
    app.slider(key="setting-alpha").set_value(0.25).run()
    drawn = " ".join(written(app).split())
    assert "teacher 25 % labels 75 %" in drawn
    app.slider(key="setting-prune_ratio").set_value(0.4).run()
    assert "60 % stay" in written(app)


def test_the_way_back_brings_the_data_of_the_address(app, saved, pairs):
    app = opened(app, "new_run.py", dataset=str(pairs.id))
    app.selectbox(key="dataset").set_value(str(saved.id)).run()
    assert app.query_params["dataset"] == str(saved.id)
    app.query_params["dataset"] = str(pairs.id)
    app.run()
    assert app.selectbox(key="dataset").value == str(pairs.id)


def test_epochs_that_the_studio_chooses_are_called_automatic(app, saved):
    slider = opened(app, "new_run.py").select_slider(key="setting-epochs")
    assert (slider.value, slider.options[:2]) == (0, ["Automatic", "1"])


@pytest.mark.parametrize("name, said", [
    ("soft", "−0.6 points compared with training without a teacher, ± 0.3 from seed to seed."),
    ("minilm", "as good as training without a teacher, ± 0.2 points from seed to seed."),
])  # fmt: skip
def test_what_a_method_brought_is_told_with_how_far_to_trust_it(app, saved, name, said):
    app = opened(app, "new_run.py")
    app.selectbox(key="method-text-classification").set_value(name).run()
    assert said in words(app) and "+0.0" not in words(app)


def test_a_window_that_misses_a_redraw_still_shows_the_choices_that_count(app, saved, pairs):
    app = opened(app, "new_run.py", dataset=str(saved.id))
    data, (goal,) = app.selectbox(key="dataset"), [one for one in app.get("button_group") if one.key == "goal"]
    assert data.options[data.proto.default] == "reviews" and data.proto.default > 0
    assert [list(GOALS)[number] for number in goal.proto.default] == [USUAL]


def test_the_steps_that_will_be_done_are_told_in_the_readers_language(app, saved):
    app.context = {"locale": "zh-CN"}
    shown = words(opened(app, "new_run.py", teacher="builtin/transformer-small", student="builtin/transformer-tiny"))
    assert "软目标 · 蒸馏" in shown
