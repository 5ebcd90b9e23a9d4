import itertools

import numpy as np
import pytest

from pages import _charts as charts
from pages._curves import curves
from pages._learned import Course
from studio import tasks
from studio.events import Confusion, StageResult
from studio.store.rows import Point

ACCURACY = tasks.Measure("accuracy", "Accuracy", "")
SPEARMAN = tasks.Measure("spearman", "Spearman", "", unit="number")


def points(count=50):
    names = ("loss", "soft_target_loss", "label_loss", "accuracy")
    phases = ("teach", "distill", "control")
    return [Point(phase, step, name, 1 / (step + 1)) for phase in phases for step in range(count) for name in names]


def test_the_student_has_three_losses_and_teacher_and_control_one():
    names = [trace.name for trace in charts.loss_curves(points()).data]
    assert names == ["teacher", "student, total", "student, soft targets", "student, labels", "control"]


def test_every_loss_is_told_in_per_cent_of_its_start_and_named_at_its_end():
    figure = charts.loss_curves(points())
    assert {trace.y[0] for trace in figure.data} == {100.0}
    assert figure.data[0].y[1] == pytest.approx(50)
    assert not figure.layout.showlegend
    ends = [note.text.split("</span> ")[-1] for note in figure.layout.annotations]
    assert sorted(ends) == ["control", "labels", "soft targets", "student", "teacher"]


def test_curves_of_a_measure_show_all_three_and_the_teachers_level_in_per_cent():
    figure = charts.measure_curves(points(), ACCURACY)
    assert [trace.name for trace in figure.data] == ["teacher", "student", "control"]
    assert figure.layout.shapes[0].y0 == 100.0
    assert figure.layout.yaxis.ticksuffix == " %"


def test_a_curve_is_named_with_a_piece_of_its_line_and_one_of_many_points_is_a_line_alone():
    marks = {note.text.split("</span> ")[-1]: note.text for note in charts.loss_curves(points()).layout.annotations}
    assert "•••" in marks["labels"] and "– –" in marks["soft targets"] and "●" in marks["student"]
    few, many = (charts.measure_curves(points(count=count), ACCURACY).data[0].mode for count in (30, 31))
    assert (few, many) == ("lines+markers", "lines")


def test_the_first_point_of_a_curve_has_its_name_beside_it_and_no_parts_of_a_step():
    figure = charts.measure_curves([Point("teach", 0, "accuracy", 0.4)], ACCURACY)
    (note,) = figure.layout.annotations
    assert (note.x, note.xref, note.xanchor) == (1, "paper", "left")
    assert figure.layout.xaxis.showticklabels is False
    assert charts.measure_curves(points(), ACCURACY).layout.xaxis.showticklabels is None


def test_before_the_student_begins_the_teacher_that_came_ready_is_the_first_point():
    figure = charts.measure_curves([Point("record", 0, "accuracy", 0.925)], ACCURACY)
    (teacher,) = figure.data
    assert (teacher.x, teacher.y, teacher.line.color) == ((0,), (92.5,), charts.COLOURS["teacher"])
    assert figure.layout.yaxis.range[0] == 0 and figure.layout.yaxis.range[1] > 100
    begun = [Point("record", 0, "accuracy", 0.925), Point("distill", 0, "accuracy", 0.5)]
    assert [trace.name for trace in charts.measure_curves(begun, ACCURACY).data] == ["student"]


def test_a_teacher_that_learns_alone_is_named_once():
    figure = charts.measure_curves([point for point in points() if point.phase == "teach"], ACCURACY)
    assert len(figure.layout.annotations) == 1 and not figure.layout.shapes


def named(ends):
    """The names on curves that end at these places: phase, step, value."""
    said = [Point(phase, step, "spearman", value * step / last) for phase, last, value in ends
            for step in (0, last)]  # fmt: skip
    return {note.text.split("</span> ")[-1]: note for note in charts.measure_curves(said, SPEARMAN).layout.annotations}


def test_each_curve_is_named_in_its_colour_where_it_ends_and_names_do_not_lie_on_each_other():
    notes = named([("teach", 40, 0.9), ("distill", 100, 0.7), ("control", 100, 0.7)])
    assert [(notes[name].x, notes[name].xref) for name in ("teacher", "student")] == [(40, None), (1, "paper")]
    assert [notes[name].y for name in ("teacher", "student", "control")] == [0.9, 0.7, 0.7]
    assert "#d97706" in notes["teacher"].text and "#0d9488" in notes["student"].text
    assert abs(notes["student"].yshift - notes["control"].yshift) == 18


def test_steps_named_by_a_user_stay_text():
    step = StageResult(title="<b>x</b>", value=0.9, n=9, low=0.8, high=0.95, parameters=9, size_bytes=36,
                       latency_ms=1.0)  # fmt: skip
    assert charts.stage_results([step], ACCURACY).data[0].text == ("&lt;b&gt;x&lt;/b&gt;",)


@pytest.mark.parametrize("measure", [ACCURACY, tasks.Measure("loss", "Loss", "", unit="number", lower=True)])
def test_the_names_of_steps_do_not_lie_on_each_other(measure):
    told = [StageResult(title=title, value=0.9, n=9, low=0.8, high=0.95, parameters=9, size_bytes=36, latency_ms=1.0)
            for title in ("Teacher", "Student at first", "Prune", "Distil")]  # fmt: skip
    notes = charts.stage_results(told, measure).layout.annotations
    places = sorted(note.yshift for note in notes)
    assert {note.text for note in notes} == {"Teacher", "Student at first", "Prune", "Distil"}
    assert min(above - below for below, above in itertools.pairwise(places)) >= 18
    assert len({note.y for note in notes}) == 1 and notes[0].x == pytest.approx(np.log10(36e-6))
    far = [told[0], told[2].model_copy(update={"size_bytes": 9})]
    alone = charts.stage_results(far, measure).layout.annotations
    assert [note.yshift for note in alone] == [pytest.approx(9)] * 2


def test_a_measure_that_is_no_share_keeps_its_numbers():
    said = [Point("distill", step, "spearman", step / 10) for step in range(5)]
    figure = charts.measure_curves(said, SPEARMAN, teacher=0.9)
    assert figure.data[0].y == (0.0, 0.1, 0.2, 0.3, 0.4)
    assert figure.layout.shapes[0].y0 == 0.9
    assert figure.layout.yaxis.ticksuffix is None


def test_no_points_make_an_empty_chart_and_no_error():
    assert len(charts.loss_curves([]).data) == 0
    assert len(charts.measure_curves([], ACCURACY).data) == 0


def test_a_long_curve_is_cut_to_what_a_screen_can_show_and_keeps_its_ends_and_peak():
    steps = np.arange(100_000, dtype=float)
    values = np.sin(steps / 5_000)
    values[54_321] = 40
    x, y = charts.downsample(steps, values)
    assert len(x) <= charts.MAX_POINTS
    assert (x[0], x[-1]) == (0, 99_999)
    assert y.max() == 40


def test_the_interval_of_a_step_is_drawn_as_it_is():
    step = StageResult(title="Distil", value=0.8, n=9, low=0.7, high=0.85, parameters=9, size_bytes=36, latency_ms=1.0)
    bar = charts.stage_results([step], ACCURACY).data[0].error_y
    assert bar.array[0] == pytest.approx(5)
    assert bar.arrayminus[0] == pytest.approx(10)


def test_the_confusion_matrix_shows_counts_and_shades_shares():
    matrix = Confusion(role="student", split="test", labels=["a", "b"], counts=[[8, 2], [0, 5]])
    heat = charts.confusion(matrix).data[0]
    assert heat.z.tolist() == [[0.8, 0.2], [0.0, 1.0]]
    assert heat.text.tolist() == [[8, 2], [0, 5]]


def test_a_teacher_that_came_ready_is_a_dashed_line_in_a_document():
    said = [
        Point("record", 9, "accuracy", 0.925),
        Point("distill", 1, "accuracy", 0.2),
        Point("distill", 9, "accuracy", 0.8),
    ]
    drawn = str(curves(said, ACCURACY, Course()))
    assert "Teacher 92.5 %" in drawn and drawn.count("stroke-dasharray") == 1
    assert "stroke-dasharray" not in str(curves([*said, Point("teach", 9, "accuracy", 0.9)], ACCURACY, Course()))


def test_no_axis_shows_steps_before_the_first_one():
    figure = charts.measure_curves([Point("distill", 0, "accuracy", 0.2)], ACCURACY)
    assert figure.layout.xaxis.rangemode == "nonnegative"


def test_the_numbers_of_an_axis_have_as_many_decimals_each_how_near_they_may_be():
    stops = charts.measure_curves([], tasks.get("regression").measures[0]).layout.yaxis.tickformatstops
    for apart, form in ((0.02, ".2f"), (0.1, ".1f"), (0.5, ".1f"), (0.001, ".3f")):
        assert [stop.value for stop in stops if stop.dtickrange[0] <= apart <= stop.dtickrange[1]] == [form]
    assert not [stop for stop in stops if stop.dtickrange[1] >= 10]


@pytest.mark.parametrize(("sizes", "numbers"), [((2.7e6, 3.7e6), (2.7, 3.7)), ((4e6, 4.1e6), (4.1,))])
def test_an_axis_of_sizes_that_are_alike_has_their_own_numbers(sizes, numbers):
    steps = [StageResult(title="t", value=0.5, low=0.4, high=0.6, n=9, size_bytes=size, parameters=1, latency_ms=1)
             for size in sizes]  # fmt: skip
    axis = charts.stage_results(steps, ACCURACY).layout.xaxis
    assert axis.tickvals == numbers
    far = [steps[0], steps[1].model_copy(update={"size_bytes": 40e6})]
    assert charts.stage_results(far, ACCURACY).layout.xaxis.dtick == "D2"
