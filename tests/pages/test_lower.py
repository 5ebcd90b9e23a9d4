"""Measures that are better the lower they are, as pages show them: kept with a minus before them, written without."""

import dataclasses

import pytest

from pages import _compared as tables
from pages import _report_compared
from pages import _run_pictures as run_pictures
from pages._results_examined import _of_other
from studio import events, tasks
from studio.pipeline.answers import Elsewhere
from studio.service import comparison, paired
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
    curves = [[comparison.curve(spoken, side)] for side in compared]
    line = run_pictures.curves(curves, ["a", "b", "c"], False, 0.0, BITS).data[0]
    assert line.y[-1] == pytest.approx(2.0) and line.y[0] > line.y[-1]
    assert line.hovertemplate == "%{y:.3f}"


def test_beside_the_settings_the_better_one_stands_higher_with_the_number_that_people_know(spoken):
    compared = comparison.sides(spoken, [1, 2, 3])
    figure = run_pictures.parallel(compared, comparison.differing(compared), {"alpha": "Alpha"}, BITS)
    heights = [line.y[1] for line in figure.data]
    assert heights[0] == 1 and heights[2] == 0 and 0 < heights[1] < 1
    assert {one.y: one.text for one in figure.layout.annotations if one.x == 1} == {0: "3.5", 1: "2"}


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
    untested = dataclasses.replace(known[0], comparison=None, reason="rows")
    assert tables.is_clear([untested]) is None
    assert tables.is_clear([known[0], untested]) is False
