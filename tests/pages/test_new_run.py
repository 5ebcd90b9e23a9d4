"""New run: what is chosen on the page becomes the config of the run."""

import pytest

from studio import events, tasks
from studio.config.plan import KINDS, Distill, Prune, Quantize
from studio.config.reading import parse_config
from studio.errors import ModelError
from studio.pipeline.answers import Checked, Estimate, Preview, Sizes
from tests.conftest import TINY
from tests.pages.conftest import fresh, opened, words, written


def test_start_twice_with_the_same_draft_makes_one_run(app, saved, store):
    app = opened(app, "new_run.py", draft="one-visit")
    app.button(key="start").click().run()
    assert "Run 1 · just now" in words(app).replace("\\", "")
    again = fresh()
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

    def estimate(home, store, config):
        seen.append(config)
        return Estimate()

    monkeypatch.setattr("studio.service.questions.estimate", estimate)
    return seen


def test_a_plan_by_its_name_becomes_steps_and_is_checked_before_the_start(app, saved, store, checked):
    app = opened(app, "new_run.py", draft="d")
    app.slider(key="setting-prune_ratio").set_value(0.5).run()
    app.selectbox(key="plan-text-classification").set_value("int8").run()
    app.button(key="start").click().run()
    config = store.runs()[0].config
    assert config.steps == (Prune(ratio=0.5), Distill(), Quantize(form="int8"))
    assert checked[-1].steps == config.steps


def test_steps_of_ones_own_are_added_moved_and_taken_away(app, saved, store, checked):
    app = opened(app, "new_run.py", draft="d")
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


def test_a_preset_sets_the_sliders(app, saved):
    app = opened(app, "new_run.py", draft="d")
    app.button_group(key="preset").set_value("Fast").run()
    assert app.slider(key="setting-batch_size").value == 64
    assert app.number_input(key="setting-training_length").value == 0.3


def test_a_wrong_setting_is_told_with_name_range_and_value(app, saved):
    app = opened(app, "new_run.py", draft="d")
    app.text_input(key="setting-learning_rate").set_value("7").run()
    assert "learning_rate must be above 0 and at most 1" in app.error[0].value.replace("\\", "")


@pytest.mark.parametrize("number", ["999", "1" * 23])
def test_settings_of_a_run_that_does_not_exist_are_told_and_a_new_run_can_be_made(app, saved, number):
    app = opened(app, "new_run.py", draft="d", **{"from": number})
    assert f"no run {number}" in app.error[0].value.replace("\\", "")
    assert [button for button in app.button if button.key == "start"]


@pytest.mark.parametrize("reference", ["run:999/student", "builtin/none-such", "nonsense"])
def test_a_model_in_the_address_that_is_none_leaves_the_page_usable(app, saved, reference):
    app = opened(app, "new_run.py", draft="d", student=reference)
    assert app.title[0].value == "New run"


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_is_added_by_its_word_with_its_first_values_and_makes_a_config(app, saved, store, checked, kind):
    app = opened(app, "new_run.py", draft="d")
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
    app = opened(app, "new_run.py", draft="d", **{"from": str(first.id)})
    assert f"Settings copied from run {first.id}." in [caption.value for caption in app.caption]
    app.button(key="start").click().run()
    assert store.runs()[0].config.steps == first.config.steps


def test_a_plan_that_prunes_by_the_ratio_is_started_again_with_that_ratio(app, saved, store, checked):
    written = {"dataset": "reviews", **TINY, "plan": "prune, distill", "prune_ratio": 0.3}
    first = store.submit(parse_config(written), key="first")
    app = opened(app, "new_run.py", draft="d", **{"from": str(first.id)})
    app.button(key="start").click().run()
    assert store.runs()[0].config.steps == first.config.steps


def test_a_task_brings_its_own_loss_models_and_methods(app, pairs, store):
    app = opened(app, "new_run.py", draft="d")
    task = tasks.get("regression")
    assert app.caption[0].value.startswith(f"{task.title} · 50 train")
    assert app.radio(key=f"teacher-builtin-{task.name}").options == list(task.builtins)
    assert "Soft targets" not in app.selectbox(key=f"method-{task.name}").options
    app.button(key="start").click().run()
    config = store.runs()[0].config
    assert config.task == task.name
    assert [term.loss for term in config.terms] == list(task.terms)


SIZES = {"transformer-base": 4_000_000, "transformer-small": 1_000_000, "transformer-tiny": 200_000,
         "fasttext-large": 190_000, "fasttext-small": 16_000, "fasttext-tiny": 4_000}  # fmt: skip
TIMES = {name: 9.0 if name == "transformer-small" else 1.25 for name in SIZES}


@pytest.fixture
def counted(monkeypatch):
    monkeypatch.setattr(
        "studio.service.questions.sizes", lambda home, store, config: Sizes(parameters=SIZES, milliseconds=TIMES)
    )


@pytest.mark.parametrize(
    ("goal", "student"),
    [("tenth", "transformer-tiny"), ("accurate", "transformer-small"), ("fast", "transformer-tiny"),
     ("smallest", "fasttext-tiny"), ("own", "transformer-tiny")],
)  # fmt: skip
def test_a_goal_is_the_student_that_comes_nearest_to_it(app, saved, store, counted, goal, student):
    app = opened(app, "new_run.py", draft="d")
    app.button_group(key="goal").set_value(goal).run()
    app.button(key="start").click().run()
    assert store.runs()[0].config.student == f"builtin/{student}"


def test_a_time_limit_is_typed_stands_in_the_address_and_decides(app, saved, store, counted):
    app = opened(app, "new_run.py", draft="d", ms="10")
    app.button_group(key="goal").set_value("fast").run()
    assert app.number_input(key="ms").value == 10
    app.button(key="start").click().run()
    assert store.runs()[0].config.student == "builtin/transformer-small"


def test_a_time_limit_that_nothing_meets_is_told_with_the_fastest(app, saved, counted):
    app = opened(app, "new_run.py", draft="d", ms="no number")
    app.button_group(key="goal").set_value("fast").run()
    assert app.number_input(key="ms").value == 5
    app.number_input(key="ms").set_value(0.5).run()
    assert app.query_params["ms"] == "0.5"
    assert "The fastest, transformer-tiny, takes 1.2 ms" in words(app).replace("\\", "")


def test_what_did_best_on_this_data_is_told_with_the_way_to_it(app, filled, counted):
    app = opened(app, "new_run.py", dataset="1")
    assert "Best so far on this data: **transformer-tiny**, 90.0 %, 100.0 % of its teacher." in words(app).replace(
        "\\", ""
    )


def test_a_goal_tells_its_numbers_and_both_cards_have_size_and_speed(app, saved, counted):
    app = opened(app, "new_run.py", draft="d")
    assert "20.0 times smaller than its teacher, 1.2 ms a row on this machine" in words(app)
    drawn = " ".join(written(app).split())
    assert "Size 4.0 M parameters One row here 1.2 ms" in drawn
    assert "Size 200.0 K parameters" in drawn


def test_while_models_are_counted_nothing_can_be_started_that_was_not_shown(app, saved, monkeypatch):
    from concurrent.futures import Future

    from pages import _asked

    monkeypatch.setattr(_asked, "sizes", lambda dataset, teacher: Future())
    app = opened(app, "new_run.py", draft="d")
    assert not [button for button in app.button if button.key == "start"]
    app.button_group(key="goal").set_value("own").run()
    assert [button for button in app.button if button.key == "start"]


def test_whole_numbers_are_one_switch(app, saved, store, checked):
    app = opened(app, "new_run.py", draft="d")
    app.toggle(key="whole-numbers-text-classification").set_value(True).run()
    app.button(key="start").click().run()
    assert store.runs()[0].config.steps == (Distill(), Quantize(form="int8"))


def test_every_setting_says_where_its_value_comes_from(app, saved, store):
    app = opened(app, "new_run.py", draft="d")
    labels = {slider.key: slider.label for slider in app.slider}
    assert labels["setting-batch_size"] == "Batch size :gray[· Balanced]"
    assert labels["setting-alpha"] == "Alpha :gray[· default]"
    app.slider(key="setting-alpha").set_value(0.25).run()
    assert app.slider(key="setting-alpha").label == "Alpha :gray[· yours]"
    first = store.submit(parse_config({"dataset": "reviews", **TINY}), key="first")
    again = opened(fresh(), "new_run.py", draft="d", **{"from": str(first.id)})
    assert again.slider(key="setting-alpha").label == f"Alpha :gray[· as in run {first.id}]"


def test_a_teacher_that_knows_the_labels_is_checked_by_itself(app, saved, monkeypatch):
    found = Estimate(teacher=Checked(value=0.9, constant=0.5, rows=40, is_weak=False))
    monkeypatch.setattr("studio.service.questions.estimate", lambda home, store, config: found)
    app = opened(app, "new_run.py", draft="d")
    assert "✓ Teacher checked: 90.0 % on 40 validation rows" in words(app)


def test_a_student_chosen_by_name_wins_over_the_goals(app, saved, store, monkeypatch):
    monkeypatch.setattr("studio.service.questions.sizes", lambda home, store, config: Sizes(parameters=SIZES))
    app = opened(app, "new_run.py", draft="d")
    app.button_group(key="student-source").set_value("teacher").run()
    app.button(key="start").click().run()
    assert store.runs()[0].config.student == "teacher/2-layers"


def test_time_memory_and_sizes_are_shown_by_themselves(app, saved, monkeypatch):
    found = Estimate(seconds=95, memory_bytes=5e8, teacher_parameters=4000, student_parameters=1000, device="cpu",
                     teacher_is_taught=True)  # fmt: skip
    monkeypatch.setattr("studio.service.questions.estimate", lambda home, store, config: found)
    app = opened(app, "new_run.py", draft="d")
    drawn = " ".join(written(app).split())
    assert "Time about 95 s Memory at least 500.0 MB" in drawn.replace("  ", " ")
    assert "1.0 K, 4.0 times smaller" in drawn
    assert "it is trained on them first" in words(app)


def test_pasted_yaml_is_the_run_that_starts(app, saved, store):
    text = parse_config({"dataset": "reviews", **TINY, "temperature": 7.5, "seed": 12}).to_yaml()
    app = opened(app, "new_run.py", draft="d")
    app.text_area(key="yaml").set_value(text).run()
    app.button(key="use-yaml").click().run()
    assert "Settings from YAML" in words(app)
    app.button(key="start").click().run()
    config = store.runs()[0].config
    assert (config.temperature, config.seed) == (7.5, 12)


def test_wrong_yaml_is_told_and_the_form_stays(app, saved):
    app = opened(app, "new_run.py", draft="d")
    app.text_area(key="yaml").set_value("dataset: reviews\nalpha: 7").run()
    app.button(key="use-yaml").click().run()
    assert "alpha must be between 0 and 1, got 7" in app.error[0].value.replace("\\", "")
    assert [slider for slider in app.slider if slider.key == "setting-alpha"]


def test_the_three_settings_have_pictures_that_follow_them(app, saved):
    app = opened(app, "new_run.py", draft="d")
    app.slider(key="setting-alpha").set_value(0.25).run()
    drawn = " ".join(written(app).split())
    assert "teacher 25 % labels 75 %" in drawn
    app.slider(key="setting-prune_ratio").set_value(0.4).run()
    assert "60 % stay" in written(app)


@pytest.fixture
def with_next_step(store, saved):
    """A finished run whose next step is a longer training of its teacher."""
    run = store.submit(
        parse_config({"dataset": "reviews", **TINY, "teacher_epochs": 6, "epochs": 4}), key="a", owner="me"
    )
    step = events.NextStep(code="longer", label="Train the teacher twice as long", changes={"teacher_epochs": 12})
    store.record(run.id, [events.Verdict(outcome="better", sentence="Good.", next_step=step)])
    store.finish(run.id)
    return {"from": str(run.id), "next": "1", "draft": "d"}


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


def test_a_student_that_a_goal_chose_comes_back_by_one_click_too(app, with_next_step, counted):
    app = opened(app, "new_run.py", **with_next_step)
    app.button_group(key="goal").set_value("smallest").run()
    assert "Student: transformer\\-tiny → **fasttext\\-tiny**" in words(app)
    app.button(key="undo-student").click().run()
    assert "Student: transformer" not in words(app)
    assert app.button_group(key="goal").value == "own"


def test_the_way_back_brings_the_data_of_the_address(app, saved, pairs):
    app = opened(app, "new_run.py", dataset=str(pairs.id))
    app.selectbox(key="dataset").set_value(str(saved.id)).run()
    assert app.query_params["dataset"] == str(saved.id)
    app.query_params["dataset"] = str(pairs.id)
    app.run()
    assert app.selectbox(key="dataset").value == str(pairs.id)


def test_goal_data_and_models_stand_in_the_address(app, saved, pairs, counted):
    app = opened(app, "new_run.py")
    app.selectbox(key="dataset").set_value(str(saved.id)).run()
    app.button_group(key="goal").set_value("fast").run()
    app.radio(key="teacher-builtin-text-classification").set_value("transformer-small").run()
    assert {name: app.query_params[name] for name in ("dataset", "goal", "teacher")} == {
        "dataset": str(saved.id), "goal": "fast", "teacher": "builtin/transformer-small"
    }  # fmt: skip
    app.radio(key="student-builtin-text-classification").set_value("fasttext-tiny").run()
    assert (app.query_params["goal"], app.query_params["student"]) == ("own", "builtin/fasttext-tiny")
    again = opened(fresh(), "new_run.py", **{name: str(said) for name, said in app.query_params.items()})
    assert (again.selectbox(key="dataset").value, again.button_group(key="goal").value) == (str(saved.id), "own")
    assert again.radio(key="student-builtin-text-classification").value == "fasttext-tiny"


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
    assert app.radio(key="student-builtin-text-classification").value == "fasttext-tiny"
    app.button_group(key="goal").set_value("accurate").run()
    assert app.radio(key="student-builtin-text-classification").value == "transformer-small"


def test_epochs_that_the_studio_chooses_are_called_automatic(app, saved):
    slider = opened(app, "new_run.py").select_slider(key="setting-epochs")
    assert (slider.value, slider.options[:2]) == (0, ["Automatic", "1"])
