"""Results: the verdict, the models side by side, what can be downloaded."""

import re
from dataclasses import replace

import pytest

from pages import _pictures as pictures
from pages import _results_numbers as numbers
from pages import _size_and_quality as size_and_quality
from pages._scores import Scored, headline, scored, three
from studio import events, tasks
from studio.config.reading import parse_config
from studio.service import acts, export
from tests.conftest import TINY
from tests.pages.conftest import fresh, opened, words, written


def test_three_numbers_come_first_and_the_verdict_says_what_the_teacher_brought(app, filled):
    app = opened(app, "results.py", run="1")
    assert app.title[0].value == "Keeps 100 % of the teacher’s accuracy\\."
    assert "100 % of the teacher’s accuracy kept 90.0 % against 90.0 %" in " ".join(written(app).split())
    assert "The student kept 97 % of it" in words(app).replace("\\", "")


def test_the_picture_names_every_model_beside_its_value(app, filled):
    drawn = " ".join(written(opened(app, "results.py", run="1")).split())
    for name in ("Teacher 90.0 %", "Student 90.0 %", "Without teacher 90.0 %"):
        assert name in drawn
    assert "Accuracy on 100 test rows" in drawn


def test_all_numbers_have_their_intervals(app, filled):
    drawn = " ".join(written(opened(app, "results.py", run="1", tab="numbers")).split())
    assert "Accuracy 90.0 % (81.0 % to 94.5 %)" in drawn
    assert "Size on disk 4 MB 4 MB 4 MB" in drawn


def test_models_that_were_compared_in_all_measures_have_the_intervals_of_their_differences():
    task = tasks.get("language-model")
    pairs = [
        events.Comparison(first="student", second=second, split="test", metric=measure.name, difference=0.02, low=0.01,
                          high=0.03, p_value=0.01, n=100)
        for measure in task.measures for second in ("teacher", "control")
    ]  # fmt: skip
    found = [numbers.differences(pairs, measure) for measure in task.measures]
    assert found[0] == {"Student − control": "−0.030 to −0.010"}
    assert found[2] == {"Student − control": "+1.0 to +3.0"}
    assert numbers.differences([pair for pair in pairs if pair.metric == "bits_per_byte"], task.measures[0]) == {}


def test_a_baseline_is_a_model_beside_the_others(app, filled):
    told = [("baseline", "accuracy", 0.7), ("baseline", "size_bytes", 2e4)]
    measured = [
        events.Evaluation(role=role, split="test", metric=metric, value=value, low=0.6, high=0.8, n=100)
        for role, metric, value in told
    ]
    from pages._scores import scored
    from studio import tasks

    measure = tasks.get("text-classification").measures[0]
    models = scored([*filled.evaluations(1), *measured], measure)
    assert [(model.name, model.value) for model in models][-1] == ("Baseline", 0.7)


@pytest.fixture
def looked_back(filled):
    """A run whose student was measured as it was before it learned, too."""
    filled.record(1, [
        events.Evaluation(role="untouched", split="test", metric="accuracy", value=0.85, low=0.8, high=0.88, n=100),
        events.Evaluation(role="untouched", split="", metric="parameters", value=1e6),
        events.Comparison(first="student", second="untouched", split="test", difference=0.05, low=0.02, high=0.08,
                          p_value=0.01, n=100),
    ])  # fmt: skip
    return filled


def test_the_student_before_it_learned_is_a_model_beside_the_others_that_is_not_timed(app, looked_back):
    drawn = " ".join(written(opened(app, "results.py", run="1", tab="numbers")).split())
    assert "Before training 85.0 %" in drawn
    assert "Accuracy 90.0 % (81.0 % to 94.5 %) 90.0 % (81.0 % to 94.5 %) 90.0 % (81.0 % to 94.5 %) 85.0 % (80" in drawn
    assert "Size on disk 4 MB 4 MB 4 MB –" in drawn
    text = words(app).replace("\\", "")
    assert "Before training: the small model before it learned anything; it is not timed again." in text
    assert "whether training was worth it at all: 85.0 %; after it 90.0 %." in text
    assert "The difference is **+5.0 points**, its 95 % interval +2.0 to +8.0." in text


def test_a_student_that_was_far_away_before_it_learned_is_named_beside_the_picture_and_leaves_room_for_the_others():
    measure = tasks.get("language-model").measures[0]
    models = [Scored(role, value, value - 0.1, value + 0.1, 60, 2e6)
              for role, value in (("teacher", -2.0), ("student", -2.4))]  # fmt: skip
    heights = []
    for before in (-2.9, -3.2, -9.0, -1.0):
        drawn = size_and_quality.sizes([*models, Scored("untouched", before, before, before, 60)], measure)
        heights.append(re.findall(r"dot\" style=\"left:[^;]+;bottom:(\d+)px", drawn))
        is_near = before > -3.1 and before < -1.2
        assert ("Outside the picture: Before training" in drawn) is not is_near
        assert ('class="untouched"' in drawn) is is_near
    assert heights[1] == heights[2] == heights[3] != heights[0]


def test_every_word_of_the_field_is_explained_with_the_numbers_of_the_run(app, filled):
    effect = events.Comparison(first="student", second="control", split="test", difference=0.04, low=0.01, high=0.07,
                               p_value=0.01, n=100)  # fmt: skip
    filled.record(1, [effect])
    app = opened(app, "results.py", run="1")
    text = words(app).replace("\\", "")
    for told in ("**90 of 100**", "**without the teacher**", "**+4.0 points**", "**81.0 % to 94.5 %**", "are 4 rows"):
        assert told in text


def test_the_classes_are_sorted_by_what_was_lost_and_the_largest_loss_is_said(app, filled, store, saved):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="classes", owner="me")
    counts = {"teacher": [[45, 5], [10, 40]], "student": [[44, 6], [30, 20]]}
    store.record(run.id, [
        *(events.Confusion(role=role, split="test", labels=["bad", "good"], counts=of) for role, of in counts.items()),
        events.Evaluation(role="student", split="test", metric="accuracy", value=0.5, low=0.4, high=0.6, n=10),
        events.Verdict(outcome="no_control", sentence="Half of it."),
    ])  # fmt: skip
    store.finish(run.id)
    app = opened(app, "results.py", run=str(run.id))
    assert "“good” lost most: 40.0 points" in words(app).replace("\\", "")
    drawn = " ".join(written(app).split())
    assert drawn.index("80.0 → 40.0 %, 50 rows") < drawn.index("90.0 → 88.0 %, 50 rows")
    app = opened(fresh(), "results.py", run=str(run.id), tab="mix-ups")
    drawn = " ".join(written(app).split())
    assert "Student: 36 of 100 test rows are taken for another class" in drawn
    assert "good bad 30 of 50 bad good 6 of 50" in drawn
    one = events.Confusion(role="student", split="test", labels=["bad", "good"], counts=[[50, 0], [1, 49]])
    store.record(run.id, [one])
    assert "Student: 1 of 100 test rows is taken for another class" in " ".join(written(app.run()).split())
    store.record(
        run.id, [events.Confusion(role="student", split="test", labels=["bad", "good"], counts=counts["student"])]
    )
    app = app.run().segmented_control(key="matrix").set_value("difference").run()
    drawn = " ".join(written(app).split())
    assert "The student takes 36 test rows for another class, the teacher 15" in drawn
    assert "good bad 30 10 bad good 6 5" in drawn


def test_the_settings_of_a_run_are_those_that_are_not_as_usual(app, store, filled, saved):
    run = store.submit(parse_config({"dataset": "reviews", **TINY, "alpha": 0.25}), key="settings", owner="me")
    store.record(run.id, [
        events.Evaluation(role="student", split="test", metric="accuracy", value=0.5, low=0.4, high=0.6, n=10),
        events.Verdict(outcome="no_control", sentence="Half of it."),
    ])  # fmt: skip
    store.finish(run.id)
    app = opened(app, "results.py", run=str(run.id), tab="settings")
    drawn = " ".join(written(app).split())
    assert "Alpha 0.25" in drawn and "Temperature" not in drawn
    assert "temperature: 4.0" in app.code[0].value


def test_a_label_that_looks_like_html_stays_text(app, store, saved):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="html", owner="me")
    labels = ["<img src=x onerror=alert(1)>", "good"]
    store.record(run.id, [
        *(events.Confusion(role=role, split="test", labels=labels, counts=[[5, 1], [2, 4]])
          for role in ("teacher", "student")),
        events.Evaluation(role="student", split="test", metric="accuracy", value=0.5, low=0.4, high=0.6, n=10),
        events.Verdict(outcome="no_control", sentence="Half of it."),
    ])  # fmt: skip
    store.finish(run.id)
    app = opened(app, "results.py", run=str(run.id))
    drawn = [element.proto.body for element in app.get("html")]
    assert [body for body in drawn if "&lt;img src=x" in body]
    assert not [body for body in drawn if "<img" in body]


def test_a_data_sets_label_that_looks_like_html_stays_text_in_its_bar():
    drawn = pictures.class_counts({'<a href="javascript:alert(1)">x</a>': 3})
    assert "<a" not in drawn
    assert 'title="&lt;a href=&quot;javascript:alert(1)&quot;&gt;x&lt;/a&gt;"' in drawn


def test_a_result_is_changed_and_started_again_with_one_click(app, filled):
    app = opened(app, "results.py", run="1")
    app.button(key="again").click().run()
    assert not app.exception
    assert app.title[0].value == "New run"


def test_the_results_show_what_each_step_cost(app, filled):
    told = [("Teacher", 90, 4_000_000), ("Student at first", 50, 1_000_000), ("Distil", 85, 1_000_000)]
    filled.record(
        1,
        [
            events.StageResult(title=title, value=right / 100, n=100, low=right / 100 - 0.1, high=right / 100 + 0.1,
                             parameters=size // 4, size_bytes=size, latency_ms=1.5)
            for title, right, size in told
        ],
    )  # fmt: skip
    app = opened(app, "results.py", run="1", tab="steps")
    assert "Step by step" in [tab.label for tab in app.tabs]
    drawn = " ".join(written(app).split())
    assert "Distil 85.0 % (75.0 % to 95.0 %) +35.0 250 K 1 MB 1.5 ms" in drawn
    assert "on the validation rows that chose its weights, too: the values are a little too good" in words(app)
    assert "On validation rows: 4.0 times smaller, 5.0 points below" in drawn


@pytest.mark.parametrize(("verdict", "steps"), [("Good.", 2), (None, 3)])
def test_before_a_step_is_done_or_a_verdict_is_there_steps_have_no_finding(app, home, store, saved, verdict, steps):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="steps", owner="me")
    names = ("Teacher", "Student at first", "Distil")[:steps]
    said = [events.StageResult(title=title, value=0.8, n=100, low=0.7, high=0.9, parameters=9, size_bytes=36,
                               latency_ms=1.5) for title in names]  # fmt: skip
    said += [events.Evaluation(role="student", split="test", metric="accuracy", value=0.8, low=0.7, high=0.9, n=100)]
    said += [events.Verdict(outcome="no_control", sentence=verdict)] if verdict else []
    store.record(run.id, said)
    store.stopped(run.id)
    home.model(run.id, "student").mkdir(parents=True)
    app = opened(app, "results.py", run=str(run.id), tab="steps")
    assert "by size on disk after every step" in words(app) and "On validation rows" not in written(app)


def test_what_a_run_chose_by_itself_is_told_with_its_reason(app, filled):
    chosen = events.Choice(temperature=2.0, alpha=0.9, reason="It got more right.", tried=[(2.0, 0.9, 0.8)])
    filled.record(1, [chosen])
    app = opened(app, "results.py", run="1", tab="tuning")
    text = words(app).replace("\\", "")
    assert "T = **2**, alpha = **0.9**. It got more right." in text


def test_old_and_new_data_are_shown_apart(app, filled, store):
    old = [events.Evaluation(role=role, split=events.OLD_TEST, metric="accuracy", value=0.7, low=0.6, high=0.8, n=50)
           for role in ("teacher", "student", "control")]  # fmt: skip
    store.record(1, old)
    app = opened(app, "results.py", run="1", tab="data")
    assert "New and old data" in [tab.label for tab in app.tabs]
    drawn = " ".join(written(app).split())
    assert "New 90.0 % (81.0 % to 94.5 %)" in drawn
    assert "Old 70.0 % (60.0 % to 80.0 %)" in drawn


def test_cautions_stand_below_the_numbers_and_the_next_step_opens_the_run_that_it_proposes(app, filled, store):
    caution = events.Caution(code="few_test_rows", sentence="Only <9> test rows.", cure="Label more.")
    step = events.NextStep(code="longer", label="Train twice as long", changes={"epochs": 7})
    told = events.Verdict(outcome="better", sentence="Good.", cautions=(caution,), next_step=step)
    filled.record(1, [told])
    app = opened(app, "results.py", run="1")
    assert "Only <9> test rows. Label more." in written(app)
    (link,) = [link.proto for link in app.get("page_link") if link.proto.label.startswith("Next:")]
    assert (link.page, link.query_string) == ("new_run", "from=1&next=1")
    app = opened(fresh(), "new_run.py", draft="d", **{"from": "1", "next": "1"})
    assert app.select_slider(key="setting-epochs").value == 7


@pytest.mark.parametrize("number", ["999", "1" * 23])
def test_results_of_a_run_that_does_not_exist_are_told_in_words(app, filled, number):
    app = opened(app, "results.py", run=number)
    assert f"no run {number}" in app.error[0].value.replace("\\", "")


def test_a_stopped_run_without_a_student_promises_no_download(app, filled):
    stopped = filled.submit(parse_config({"dataset": "reviews", **TINY}), key="stopped", owner="me")
    filled.request_stop(stopped.id)
    filled.stopped(stopped.id)
    app = opened(app, "results.py", run=str(stopped.id))
    assert "it has no results" in app.info[0].value
    assert "download" not in words(app)


def test_a_stopped_run_with_a_student_offers_it(app, filled, home):
    stopped = filled.submit(parse_config({"dataset": "reviews", **TINY}), key="stopped", owner="me")
    filled.stopped(stopped.id)
    home.model(stopped.id, "student").mkdir(parents=True)
    app = opened(app, "results.py", run=str(stopped.id))
    assert "can be downloaded" in app.warning[0].value
    assert app.button(key="prepare").label == "Build download"


def test_a_download_is_built_where_it_is_cleaned_up_later(app, filled, home, monkeypatch):
    monkeypatch.setattr(acts.Acts, "convert", lambda *_: None)
    monkeypatch.setattr(export, "student_zip", lambda home, store, run, target: target.write_bytes(b"zip") and target)
    stopped = filled.submit(parse_config({"dataset": "reviews", **TINY}), key="stopped", owner="me")
    filled.stopped(stopped.id)
    home.model(stopped.id, "student").mkdir(parents=True)
    app = opened(app, "results.py", run=str(stopped.id))
    app.button(key="prepare").click().run()
    assert not app.exception
    assert [file.name for file in home.downloads.glob("*/*.zip")] == [f"student-{stopped.id}.zip"]


def test_tabs_of_classes_appear_only_where_a_row_has_one_class(app, filled, store):
    tabs = [tab.label for tab in opened(app, "results.py", run="1").tabs]
    assert tabs == ["Classes", "Rows", "Mix-ups", "All numbers", "Curves", "Settings"]
    other = store.submit(parse_config({"dataset": "reviews", **TINY}), key="other", owner="me")
    store.record(other.id, [
        events.Evaluation(role="student", split="test", metric="accuracy", value=0.5, low=0.4, high=0.6, n=10),
        events.Verdict(outcome="no_control", sentence="Half of it."),
    ])  # fmt: skip
    store.finish(other.id)
    tabs = [tab.label for tab in opened(fresh(), "results.py", run=str(other.id)).tabs]
    assert tabs == ["Rows", "All numbers", "Curves", "Settings"]


def test_a_result_leads_back_to_its_run_and_names_models_data_and_day(app, filled):
    app = opened(app, "results.py", run="1")
    (back,) = [link.proto for link in app.get("page_link") if link.proto.label == "Run 1"]
    assert (back.page, back.query_string) == ("run", "run=1")
    text = words(app).replace("\\", "")
    assert "reviews · transformer-small → transformer-tiny" in text
    assert "just now" in text


def test_a_task_whose_measure_is_no_share_shows_it_as_a_number_and_all_its_measures(app, pairs, store):
    run = store.submit(parse_config({"dataset": "pairs", **TINY}), key="pairs", owner="me")
    values = {"teacher": 0.9, "student": 0.8, "control": -0.1}
    store.record(run.id, [
        *(events.Evaluation(role=role, split="test", metric=metric, value=value, low=value - 0.1, high=value + 0.05,
                            n=9)
          for role, value in values.items() for metric in ("spearman", "pearson")),
        events.StageResult(title="Teacher", metric="spearman", value=0.9, n=9, low=0.8, high=0.95, parameters=9,
                           size_bytes=36, latency_ms=1.0),
        events.Metrics(phase="distill", step=1, values={"loss": 1.0, "spearman": 0.5}),
        events.Verdict(outcome="better", sentence="Good."),
    ])  # fmt: skip
    store.finish(run.id)
    app = opened(app, "results.py", run=str(run.id), tab="numbers")
    assert app.title[0].value.replace("\\", "") == "Spearman correlation: 0.800 (teacher\N{NO-BREAK SPACE}0.900)."
    drawn = " ".join(written(app).split())
    assert "−0.100 in Spearman correlation, against the teacher" in drawn
    assert "Pearson correlation 0.900 (0.800 to 0.950) 0.800 (0.700 to 0.850) −0.100 (−0.200 to −0.050)" in drawn
    assert [tab.label for tab in app.tabs] == ["Rows", "All numbers", "Step by step", "Curves", "Settings"]


def test_several_seeds_are_drawn_as_points_and_the_exported_one_is_named(app, store, saved):
    run = store.submit(parse_config({"dataset": "reviews", **TINY, "seeds": 2}), key="seeds", owner="me")
    measured = {
        "teacher": {None: 0.9},
        "student": {0: 0.8, 1: 0.86, None: 0.83},
        "control": {0: 0.7, 1: 0.74, None: 0.72},
    }
    store.record(run.id, [
        *(events.SeedResult(seed=seed, metric="accuracy", student=0.8, exported=seed == 1) for seed in (0, 1)),
        *(events.Evaluation(role=role, split="test", metric="accuracy", value=value, low=value - 0.1, high=value + 0.1,
                            n=100, seed=seed) for role, values in measured.items() for seed, value in values.items()),
        events.Verdict(outcome="better", sentence="Over 2 seeds it was worth it."),
    ])  # fmt: skip
    store.finish(run.id)
    drawn = " ".join(written(opened(app, "results.py", run=str(run.id), tab="seeds")).split())
    assert "Accuracy on the test rows: a dot for each seed, a line for their mean Without teacher" in drawn
    assert "1 (exported)" in drawn
    assert "0 (exported)" not in drawn


def test_the_picture_of_the_seeds_has_a_dot_for_each_and_says_their_values():
    models = [Scored("student", 0.83, 0.8, 0.9, 100), Scored("control", 0.72, 0.7, 0.8, 100)]
    of_seeds = {"student": [0.8, 0.86], "control": [0.7, 0.74]}
    drawn = size_and_quality.seeds(models, of_seeds, tasks.get("text-classification").measures[0])
    assert drawn.count('class="dot"') == 4
    assert "Student 80.0 %, 86.0 %; Without teacher 70.0 %, 74.0 %" in drawn
    assert "Another seed moves the same model by up to 6.0 points" in drawn


def test_models_that_share_a_place_stand_beside_each_other_and_one_without_a_size_is_a_line():
    measure = tasks.get("text-classification").measures[0]
    alike = [Scored(role, 0.98, 0.9, 1.0, 60, 2e6) for role in ("student", "control")]
    others = [Scored("teacher", 0.97, 0.88, 0.99, 60, 14e6), Scored("baseline", 0.98, 0.9, 1.0, 60)]
    drawn = size_and_quality.sizes([*others, *alike], measure)
    places = re.findall('class="dot" style="left:([^;]+)', drawn)
    assert len(places) == 3 == len(set(places))
    assert drawn.count('class="name"') == 4
    apart = [Scored("student", 0.98, 0.97, 0.99, 60, 2e6), Scored("control", 0.5, 0.4, 0.6, 60, 2e6)]
    assert {"calc(50.0% + -2px)", "calc(50.0% + 2px)"} <= set(
        re.findall("left:(calc[^;]+)", size_and_quality.sizes(apart, measure))
    )


def test_a_tie_is_no_praise_and_a_speed_whose_interval_holds_1_is_not_called_faster():
    accuracy = tasks.get("text-classification").measures[0]
    found = []
    for role, time in (("teacher", 3.0), ("student", 2.0)):
        found.append(events.Evaluation(role=role, split="test", metric="accuracy", value=0.5, low=0.4, high=0.6, n=100))
        costs = {"size_bytes": 10.0 * time, "latency_ms": time}
        found += [events.Evaluation(role=role, split="", metric=name, value=cost) for name, cost in costs.items()]
    for low, told in ((0.9, "not clearly faster or slower"), (1.2, "faster")):
        ratio = events.Evaluation(role="teacher", split="", metric="latency_ratio", value=1.5, low=low, high=1.9)
        models = scored([*found, ratio], accuracy)
        assert three(models, accuracy)[-1].words == told
        assert size_and_quality.finding(models, accuracy) == "1.5 times smaller, the same score"
    assert headline(models, accuracy, "better").startswith("Keeps 100")
    above = [models[0], replace(models[1], value=0.52)]
    assert three(above, accuracy)[0].words == "of the teacher’s accuracy reached"
    assert (
        headline(above, accuracy, "better")
        .replace("\N{NO-BREAK SPACE}", " ")
        .startswith("As good as its teacher in accuracy (52.0 % against 50.0 %), ")
    )
    for outcome in ("not_learned", "weak_teacher"):
        said = headline(models, accuracy, outcome)
        assert said.startswith("Accuracy: 50.0") and "smaller" not in said and "Keeps" not in said


@pytest.mark.parametrize(
    ("teacher", "control", "told"),
    [
        ((1.5, 1.3, 1.6), 1.1, ("1.5", "×", "faster")),
        ((1.5, 1.3, 1.6), 1.2, ("Faster", "", "not measured exactly")),
        ((1.5, 1.3, 1.6), 1.4, ("1", "×", "not clearly faster or slower")),
        ((22.0, 19.4, 54.0), 1.46, ("≥\N{NARROW NO-BREAK SPACE}13", "×", "faster at least")),
    ],
)
def test_of_speed_no_more_is_told_than_is_sure_where_one_network_was_timed_at_two_speeds(teacher, control, told):
    accuracy = tasks.get("text-classification").measures[0]
    costs = {"teacher": (3.0, 90.0), "student": (2.0, 9.0), "control": (2.0, 9.0)}
    found = [events.Evaluation(role=role, split="test", metric="accuracy", value=0.5) for role in costs]
    for role, (time, parameters) in costs.items():
        known = {"latency_ms": time, "parameters": parameters}
        found += [events.Evaluation(role=role, split="", metric=name, value=value) for name, value in known.items()]
    ratios = {"teacher": teacher, "control": (1.0, 0.99, control)}
    found += [
        events.Evaluation(role=role, split="", metric="latency_ratio", value=value, low=low, high=high)
        for role, (value, low, high) in ratios.items()
    ]
    number = three(scored(found, accuracy), accuracy)[-1]
    assert (number.value, number.unit, number.words) == told


def test_the_caution_of_one_seed_has_a_button_that_starts_a_run_with_three(app, store, saved):
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="one", owner="me")
    step = events.NextStep(code="more_seeds", label="Train with 3 seeds", changes={"seeds": 3})
    caution = events.Caution(code="one_seed", sentence="One seed.", cure="More.", next_step=step)
    store.record(run.id, [events.Verdict(outcome="better", sentence="Worth it.", cautions=(caution,))])
    store.finish(run.id)
    app = opened(app, "results.py", run=str(run.id))
    app.button(key="cure-one_seed").click().run()
    started = store.runs()[0]
    assert (started.id != run.id, started.config.seeds, started.config.seed) == (True, 3, run.config.seed)


def test_the_curves_say_what_they_show_and_explain_the_control(app, filled):
    app = opened(app, "results.py", run="1", tab="curves")
    drawn = written(app)
    assert "On validation rows the student reaches 95.0 %" in drawn
    assert "The student stands at 5 % of its first loss" in drawn
    assert "Control:" not in drawn
    filled.record(1, [events.Metrics(phase="control", step=1, values={"loss": 1, "accuracy": 0.5})])
    assert "Control: the same small model, trained without the teacher." in written(app.run())


def test_of_a_run_that_learned_nothing_no_share_is_said_to_be_kept():
    accuracy = tasks.get("text-classification").measures[0]
    models = [Scored("teacher", 0.321, 0.3, 0.4, 90), Scored("student", 0.321, 0.3, 0.4, 90)]
    number = three(models, accuracy, "not_learned")[0]
    assert (number.value, number.unit, number.words) == ("32.1", "%", "accuracy of the student")
    assert three(models, accuracy, "better")[0].short == "kept"
