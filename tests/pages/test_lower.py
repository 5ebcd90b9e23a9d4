"""Measures that are better the lower they are, as pages show them: kept with a minus before them, written without."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pages import _compared as tables
from pages import _pictures as pictures
from pages import _report_compared
from pages import _run_pictures as run_pictures
from pages import _size_and_quality as size_and_quality
from pages._curves import curves
from pages._learned import Course
from pages._results_examined import _of_other
from pages._scores import Scored, three
from studio import events, tasks
from studio.config.reading import parse_config
from studio.config.run import RunConfig
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.uploads import Upload
from studio.kept import answers
from studio.pipeline.answers import Elsewhere, Estimate
from studio.service import comparison, library, paired
from tests.pages.conftest import opened, words, written

BITS = tasks.get("language-model").measures[0]
DIFFERENCE = events.Comparison(first="student", second="student", split="test", difference=0.5, low=0.4, high=0.6,
                               p_value=0.001, n=100)  # fmt: skip


def test_the_difference_of_two_students_lies_in_its_interval_on_the_page_and_in_the_report(
    app, home, spoken, monkeypatch
):
    monkeypatch.setattr(paired, "_compared", lambda *_: ("", DIFFERENCE))
    page = written(opened(app, "compare.py", runs="1,2,3"))
    document = _report_compared.report(home, spoken, [1, 2, 3])
    for told in (page, document):
        assert "−0.500" in told and "−0.600 to −0.400" in told and "1.800 – 2.100" in told
    assert "scored best: 2.000, by more than chance" in words(app).replace("\\", "")


def test_what_is_drawn_of_compared_runs_is_what_people_know(spoken):
    compared = comparison.sides(spoken, [1, 2, 3])
    figure = run_pictures.price(compared, [1, 2, 3], "student_bytes", BITS)
    (best, *_others) = [mark for mark in figure.data if mark.mode.startswith("markers")]
    assert (best.y[0], best.error_y.array[0], best.error_y.arrayminus[0]) == pytest.approx((2.0, 0.1, 0.2))
    assert figure.layout.yaxis.autorange == "reversed"  # what is better stands higher, as in every such picture
    found = [[comparison.curve(spoken, side)] for side in compared]
    line = run_pictures.curves(found, ["a", "b", "c"], False, 0.0, BITS).data[0]
    assert line.y[-1] == pytest.approx(2.0) and line.y[0] > line.y[-1]
    assert line.hovertemplate == "%{y:.3f}"


def test_beside_the_settings_the_better_one_stands_higher_with_the_number_that_people_know(spoken):
    compared = comparison.sides(spoken, [1, 2, 3])
    figure = run_pictures.parallel(compared, comparison.differing(compared), {"alpha": "Alpha"}, BITS)
    heights = [line.y[2] for line in figure.data]
    assert heights[0] == 1 and heights[2] == 0 and 0 < heights[1] < 1
    assert {one.y: one.text for one in figure.layout.annotations if one.x == 2} == {0: "3.5", 1: "2"}
    names = {one.y: one.text for one in figure.layout.annotations if one.x == 0}
    assert [names[line.y[0]] for line in figure.data] == [one.name for one in compared]


def test_equal_students_share_one_tick_beside_their_settings(spoken):
    axis = run_pictures.of_quality([-2.0, -2.0], BITS)
    assert axis.ticks == [(0.5, "2")]


def test_the_steps_of_a_plan_say_what_was_lost_with_a_plus(app, spoken):
    told = " ".join(written(opened(app, "results.py", run="1", tab="steps")).split())
    assert "2.400 (2.200 to 2.500) +0.400" in told


def test_on_other_data_the_smaller_end_stands_first():
    told = _of_other(Elsewhere(dataset="more", rows=9, known=0, values={"student": (-2.0, -2.1, -1.9)}), BITS)
    assert "2.000 (1.900 to 2.100)" in told.values()


@pytest.mark.parametrize(("p_values", "is_clear"), [((0.01, 0.01), True), ((0.01, 0.3), False), ((0.3, 0.3), False)])
def test_a_student_is_the_best_by_more_than_chance_where_it_differs_from_every_other_one(p_values, is_clear):
    known = [paired.Paired(1, 2 + place, DIFFERENCE, p_value=p_value) for place, p_value in enumerate(p_values)]
    assert tables.is_clear(known) is is_clear
    untested = replace(known[0], comparison=None, reason="rows")
    assert tables.is_clear([untested]) is None
    assert tables.is_clear([known[0], untested]) is False


def test_a_result_says_better_and_worse_where_a_sign_would_say_nothing(app, spoken):
    told = " ".join(written(opened(app, "results.py", run="1")).split())
    assert "0.500 worse than the teacher in bits per byte 2.000 against 1.500" in told
    assert "Lower is better, and stands higher" in told
    models = {role: Scored(role, -bits, -bits, -bits, 9) for role, bits in (("teacher", 1.5), ("student", 1.25))}
    assert size_and_quality.finding(list(models.values()), BITS) == "0.250 better"
    assert three([models["teacher"], models["student"]], BITS)[0].short == "better"
    drawn = str(pictures.shrink(*(replace(one, size_bytes=9e5) for one in models.values()), BITS, "Of run 1."))
    assert "Area: size on disk. Of run 1." in drawn and "Filled" not in drawn


@pytest.fixture
def told(home, store, spoken):
    """The first run's answers to two texts, and to a prompt; the student has most of the second text's tokens wrong."""
    columns = Columns("text", None)
    table = pd.DataFrame({"text": [f"Once upon {number} times" for number in range(40)]}, dtype=object)
    row = library.save(store, home, "kept tales", clean(Upload("table", table), columns, "language-model"), columns)
    run = store.submit(parse_config({"dataset": "kept tales", "teacher": "builtin/gpt-small",
                                     "student": "builtin/gpt-tiny"}), key="kept")  # fmt: skip
    rows = row.splits["test"]
    for role, right in (("teacher", 5), ("student", 2)):
        statistics = np.tile([8 * np.log(2), 6.0, 4.0, right, 0.0, 0.0, 9.0], (rows, 1))
        plain = np.full(rows, np.nan)
        kept = answers.Answers(pa.array([0] * rows), plain, np.ones(rows), np.ones(rows, bool),
                               np.full(rows, 2 * right > 6), statistics, np.zeros((rows, 2)))  # fmt: skip
        answers.write(home, run.id, role, "test", kept)
    store.record(run.id, [
        *(events.Evaluation(role=role, split="test", metric=BITS.name, value=-2.0, n=rows)
          for role in ("teacher", "student")),
        events.Verdict(outcome="better", sentence="So it is."),
    ])  # fmt: skip
    store.finish(run.id)
    return run


def test_rows_that_have_no_label_are_listed_and_opened_with_how_good_each_model_is_on_them(app, told):
    page = opened(app, "results.py", run=str(told.id), tab="rows")
    assert not page.exception
    listed = " ".join(written(page).split())
    assert "Once upon" in listed and "2.000 bits per byte" in listed and "Label" not in listed
    assert "sure" not in " ".join(box.label for box in page.selectbox)
    one = opened(app, "results.py", run=str(told.id), tab="rows", row="1")
    assert not one.exception and "2.000 bits per byte" in written(one)
    assert "Label in the data" not in words(one) and "Once upon" in words(one)


@pytest.mark.parametrize("tab", ["more-rows", "robustness", "layers", "numbers", "curves", "settings"])
def test_every_tab_of_a_language_model_opens(app, told, tab):
    page = opened(app, "results.py", run=str(told.id), tab=tab)
    assert not page.exception and not page.error


def test_a_curve_in_a_report_falls_as_it_is_learned_and_has_round_numbers_beside_it(spoken):
    drawn = str(curves(spoken.curve(1), BITS, Course()))
    assert "On validation rows the student reaches" in drawn
    (line,) = re.findall(r'points="([^"]*)"', drawn)
    first, *_between, last = [float(point.split(",")[1]) for point in line.split()]
    assert first < last  # a picture counts from above
    assert "Lower is better" in drawn and ">2.2<" in drawn and "2.315" not in drawn


def test_a_new_run_names_bits_and_speaks_of_no_labels(app, spoken, monkeypatch):
    estimate = Estimate(teacher_is_taught=True, whole_length=1_200, notes=["This model reads no more at once."])
    monkeypatch.setattr("studio.service.questions.estimate", lambda *_: estimate)
    app = opened(app, "new_run.py", dataset=str(spoken.run(1).dataset_id))
    said = words(app).replace("\\", "")
    assert "Best so far on this data: **gpt-tiny**, 2.000 (bits per byte)." in said
    assert "The teacher has learned nothing yet" in said and "does not know these labels" not in said
    assert "This model reads no more at once." in said


def test_how_long_a_run_takes_stands_beside_start_too(app, spoken, monkeypatch):
    monkeypatch.setattr("studio.service.questions.estimate", lambda *_: Estimate(seconds=2_520.0))
    app = opened(app, "new_run.py", dataset=str(spoken.run(1).dataset_id))
    assert "It takes about 42 min." in written(app).replace("\N{NO-BREAK SPACE}", " ")


def test_one_press_has_the_rows_of_a_language_model_read_whole(app, spoken, monkeypatch):
    def estimate(*asked):
        config = next(one for one in asked if isinstance(one, RunConfig))
        return Estimate(whole_length=1_200 if config.max_length < 1_200 else None)

    monkeypatch.setattr("studio.service.questions.estimate", estimate)
    app = opened(app, "new_run.py", dataset=str(spoken.run(1).dataset_id))
    before = app.number_input(key="setting-max_length").value
    assert app.button(key="read-whole").label == "Read nearly all whole: 1,200 tokens"
    app.button(key="read-whole").click().run()
    assert app.number_input(key="setting-max_length").value == 1_200
    app.button_group(key="preset").set_value("Fast").run()
    assert app.number_input(key="setting-max_length").value == 1_200
    app.button_group(key="preset").set_value("Balanced").run()
    app.button(key="read-shorter").click().run()
    assert app.number_input(key="setting-max_length").value == before
    assert app.button(key="read-whole") and "read-shorter" not in [button.key for button in app.button]
