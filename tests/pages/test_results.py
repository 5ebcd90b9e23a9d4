"""Results: the verdict, the models side by side, what can be downloaded."""

import pytest

from studio import events
from studio.config.reading import parse_config
from tests.conftest import TINY
from tests.pages.conftest import fresh, opened, words


def test_the_verdict_and_all_three_models_are_on_the_results_page(app, filled):
    app = opened(app, "results.py", run="1")
    text = words(app).replace("\\", "")
    assert "The student kept 97 % of it." in text
    assert all(role in text for role in ("Teacher", "Student", "Control"))
    assert [metric.value for metric in app.metric if metric.label == "Accuracy"] == ["90.0 %"] * 3
    assert "95 % interval 81.0 % to 94.5 %" in text


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


def test_tabs_of_classes_appear_only_where_a_row_has_one_class(app, filled, store):
    assert [tab.label for tab in opened(app, "results.py", run="1").tabs] == ["By class", "Confusion", "Curves"]
    other = store.submit(parse_config({"dataset": "reviews", **TINY}), key="other", owner="me")
    store.record(other.id, [
        events.Evaluation(role="student", split="test", metric="accuracy", value=0.5, low=0.4, high=0.6, n=10),
        events.Verdict(outcome="no_control", sentence="Half of it."),
    ])  # fmt: skip
    store.finish(other.id)
    assert not opened(fresh(), "results.py", run=str(other.id)).tabs


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
    app = opened(app, "results.py", run=str(run.id))
    shown = [(metric.label, metric.value) for metric in app.metric]
    assert shown == [
        ("Spearman correlation", "0.900"), ("Pearson correlation", "0.900"),
        ("Spearman correlation", "0.800"), ("Pearson correlation", "0.800"),
        ("Spearman correlation", "−0.100"), ("Pearson correlation", "−0.100"),
    ]  # fmt: skip
    assert [metric.delta for metric in app.metric][::2] == [
        "baseline", "−0.100 compared with the teacher", "−1.000 compared with the teacher"
    ]  # fmt: skip
    assert "95 % interval 0.700 to 0.850, 9 test rows" in words(app)
    assert not app.tabs
    (table,) = [table.value for table in app.dataframe if "Step" in table.value.columns]
    assert table["Spearman correlation"].tolist() == ["0.900 (0.800 to 0.950)"]
