"""Compare: runs side by side."""

import itertools
from dataclasses import replace

import pytest

from pages import _charts as charts
from pages import _compared, _report_compared, _sides
from pages import _run_pictures as run_pictures
from studio import events, tasks
from studio.config.reading import parse_config
from studio.home import Home
from studio.service import comparison, paired
from tests.conftest import TINY
from tests.pages.conftest import EVALUATIONS, opened, words, written


@pytest.fixture
def two(filled):
    """A second finished run, better and slower."""
    run = filled.submit(parse_config({"dataset": "reviews", **TINY, "alpha": 0.25}), key="second", owner="me")
    said = [events.Metrics(phase="distill", step=step, values={"accuracy": step / 20}) for step in range(20)]
    said += [events.Evaluation(role="student", split="test", metric=metric, value=value * 1.05, n=100)
             for metric, value in EVALUATIONS.items()]  # fmt: skip
    filled.record(run.id, [*said, events.Verdict(outcome="better", sentence="So it is.")])
    filled.finish(run.id)
    filled.describe_run(run.id, name="A <b>second</b>, bolder one")
    return filled


def test_the_comparison_says_which_is_best_what_differs_and_what_is_worth_having(app, two):
    app = opened(app, "compare.py", runs="1,4")
    assert "scored best: 94.5 %" in words(app).replace("\\", "")
    text = " ".join(written(app).split())
    assert "Alpha 0.7 0.25" in text and "Temperature" not in text
    assert "Each has its place" in text
    assert len(app.get("plotly_chart")) == 2


def test_names_of_users_are_text(app, two):
    app = opened(app, "compare.py", runs="1,4")
    assert "<b>second</b>" in written(app)
    drawn = "".join(str(chart.proto) for chart in app.get("plotly_chart"))
    assert "<b>" not in drawn and "second" in drawn


@pytest.mark.parametrize("said", ["", "1", "x,,-3", "1,99", "9" * 40])
def test_an_address_without_two_runs_asks_for_them(app, two, said):
    app = opened(app, "compare.py", runs=said)
    assert app.multiselect(key="chosen").placeholder == "Choose two runs or more"
    assert "Runs that learned from the same data" in words(app)


def test_runs_on_the_same_data_are_offered_and_compared_at_a_click(app, two):
    app = opened(app, "compare.py")
    (offer,) = [button for button in app.button if button.label == "Compare the newest 2"]
    app = offer.click().run()
    assert app.multiselect(key="chosen").value == [4, 1]
    assert "scored best: 94.5 %" in words(app).replace("\\", "")


@pytest.mark.parametrize(
    ("p_value", "said", "marks"),
    [
        (None, "scored best: 94.5 %", 0),
        (0.2, "94.5 %, which may be chance", 0),
        (0.01, "94.5 %, by more than chance", 1),
    ],
)
def test_who_scored_best_is_told_with_the_word_of_a_test_and_marked_where_it_is_no_chance(
    app, two, monkeypatch, p_value, said, marks
):
    difference = events.Comparison(first="student", second="student", split="test", difference=0.045, low=0.0, high=0.1,
                                   p_value=p_value or 1.0, n=100)  # fmt: skip
    if p_value is not None:
        monkeypatch.setattr(paired, "_compared", lambda *_: ("", difference))
    app = opened(app, "compare.py", runs="1,4")
    assert said in words(app).replace("\\", "")
    drawn = [one.proto.body for one in app.get("html") if '<dl class="ds-facts">' in one.proto.body]
    assert [body.count("<em>best</em>") for body in drawn] == [0, marks]  # 5 % larger and slower is no difference
    assert "94.5" in drawn[1]


def test_a_tie_is_called_one_and_times_of_two_runtimes_are_not_compared(app, filled):
    run = filled.submit(parse_config({"dataset": "reviews", **TINY, "alpha": 0.25}), key="second", owner="me")
    said = [events.Evaluation(role="student", split="test", metric="accuracy", value=0.9, n=100),
            events.Evaluation(role="student", split="", metric="latency_ms", value=0.1, runtime="ONNX Runtime"),
            events.Verdict(outcome="better", sentence="So it is.")]  # fmt: skip
    filled.record(run.id, said)
    filled.finish(run.id)
    filled.describe_run(run.id, name="other")
    compared = comparison.sides(filled, [1, 4])
    assert comparison.front(compared, "student_ms") == []
    app = opened(app, "compare.py", runs="1,4", cost="time")
    told = words(app).replace("\\", "")
    assert "“Run 1” and “other” are equally good: 90.0 %" in told
    assert "scored best" not in told
    assert "timed in different runtimes" in told
    drawn = [one.proto.body for one in app.get("html") if '<dl class="ds-facts">' in one.proto.body]
    assert not any("<em>best</em>0." in body for body in drawn) and "0.10 ms in ONNX Runtime" in drawn[1]


def test_a_run_of_an_earlier_version_is_marked_and_its_size_is_not_compared(app, two, home):
    two._db.execute("UPDATE runs SET edition = 0 WHERE id = 1")
    app = opened(app, "compare.py", runs="1,4")
    told = words(app).replace("\\", "")
    assert "“Run 1”: measured by an earlier version" in written(app)
    assert "counted in two ways" in told and "is smallest" not in told
    report = _report_compared.report(home, two, [1, 4])
    assert "“Run 1”: measured by an earlier version" in report and "Run it again" in report
    assert "counted in two ways" in report and "size on disk →" not in report
    two._db.execute("UPDATE runs SET edition = 0")
    assert "earlier version" not in written(opened(app, "compare.py", runs="1,4"))


def test_the_smallest_of_equally_good_ones_is_not_called_the_best(two):
    measure = tasks.get("text-classification").measures[0]
    one, other = comparison.sides(two, [1, 4])
    assert "scored best" in run_pictures.finding([one, other], [4], "student_bytes", measure)
    alike = replace(other, summary=replace(other.summary, student=one.summary.student))
    assert "is as good as the best" in run_pictures.finding([one, alike], [1], "student_bytes", measure)


def valued(side, run_id, value, bytes_=4e6):
    summary = replace(side.summary, student=value, student_bytes=bytes_)
    return replace(side, run=replace(side.run, id=run_id, name=f"r{run_id}"), summary=summary)


def test_numbers_that_read_alike_are_a_tie_in_the_picture_as_in_the_title(two):
    measure, side = tasks.get("text-classification").measures[0], comparison.sides(two, [1, 4])[0]
    compared = [valued(side, 1, 0.9004, 9e6), valued(side, 2, 0.9001, 3e6)]
    front = run_pictures.worth_having(compared, "student_bytes", measure, None)
    told = run_pictures.finding(compared, front, "student_bytes", measure)
    assert (front, told) == ([2], "“r2” is as good as the best, and no other one is smaller")
    assert run_pictures.worth_having(compared, "student_bytes", measure, True) == [2, 1]


def test_the_best_is_marked_only_where_numbers_read_otherwise(two):
    side = comparison.sides(two, [1, 4])[0]
    for one, other, best in ((4_600.0, 5_400.0, None), (4_600.0, 5_600.0, 1)):
        assert _sides._best([valued(side, 1, 0.9, one), valued(side, 2, 0.9, other)], "student_bytes") == best
    for value, best in ((0.9001, None), (0.89, 1)):
        assert _sides._best([valued(side, 1, 0.9), valued(side, 2, value)], "student") == best
    for noise, best in ((1.2, 1), (2.5, None)):
        ratio = events.Evaluation(
            role="control", split="", metric="latency_ratio", value=1.1, low=1 / noise, high=noise
        )
        slow, fast = (replace(side, evaluations=(*side.evaluations, ratio),
                              run=replace(side.run, id=number), summary=replace(side.summary, student_ms=ms))
                      for number, ms in ((4, 2.0), (1, 1.0)))  # fmt: skip
        assert _sides._best([slow, fast], "student_ms") == best
    measure = tasks.get("text-classification").measures[0]
    assert "smallest" not in _compared.headline([valued(side, 1, 0.9, 5.4e3), valued(side, 2, 0.8, 4.6e3)], measure, [])


def test_one_run_alone_is_not_called_the_best(two):
    measure, side = tasks.get("text-classification").measures[0], comparison.sides(two, [1, 4])[0]
    one, no_size, no_score = valued(side, 1, 0.9), valued(side, 2, 0.8, None), valued(side, 3, None)
    assert run_pictures.finding([one, no_size], [1], "student_bytes", measure) == "Only “r1” has both numbers"
    assert _compared.headline([one, no_score], measure, []) == "Only “r1” was measured on test rows: 90.0 %"
    assert "scored best" in _compared.headline([one, no_size], measure, [])


def test_what_may_be_chance_is_said_in_the_picture_as_in_the_title(two):
    measure, side = tasks.get("text-classification").measures[0], comparison.sides(two, [1, 4])[0]
    compared = [valued(side, 1, 0.9), valued(side, 2, 0.8)]
    for clear, said in ((False, "scored best, which may be chance, and"), (True, "scored best, and")):
        assert said in run_pictures.finding(compared, [1], "student_bytes", measure, clear)


def test_sizes_counted_in_two_ways_have_no_axis_beside_the_settings(two):
    measure, side = tasks.get("text-classification").measures[0], comparison.sides(two, [1, 4])[0]
    compared = [valued(side, number, 0.9) for number in (1, 2, 3)]
    for edition, has_size in ((side.run.edition, True), (side.run.edition + 1, False)):
        compared[0] = replace(compared[0], run=replace(compared[0].run, edition=edition))
        figure = run_pictures.parallel(compared, {"alpha": [0.1, 0.2, 0.3]}, {"alpha": "Alpha"}, measure)
        assert ("size, kB" in figure.layout.xaxis.ticktext) is has_size


def test_several_runs_of_an_earlier_version_are_all_to_be_run_again(two):
    side = comparison.sides(two, [1, 4])[0]
    old = [valued(side, number, 0.9) for number in (1, 2)]
    new = replace(side, run=replace(side.run, id=3, edition=side.run.edition + 1))
    assert "“r1” and “r2”: measured" in (told := _compared.of_earlier_versions([*old, new]))
    assert "Run them again" in told


def test_no_difference_and_equal_numbers_are_said_in_words():
    accuracy = tasks.get("text-classification").measures[0]
    assert _compared.told_clear("a", 0, 1) == "“a”: no difference that is more than chance"
    assert _compared.told_clear("a", 1, 2) == "“a” differs from 1 of 2 by more than chance"
    assert _compared.did_best({"a": 0.968, "b": 0.9681}, accuracy) == (
        "“a” and “b” are equally good on validation rows: 96.8 %"
    )
    assert _compared.did_best({"a": 0.968, "b": 0.9}, accuracy) == "“a” did best on validation rows: 96.8 %"


def test_runs_that_wait_are_compared_in_their_settings(app, two):
    app = opened(app, "compare.py", runs="2,3")
    assert "None of these runs has a result yet" in words(app)
    assert "All settings are the same" in words(app)


def test_axis_and_smoothing_stand_in_the_address(app, two):
    app = opened(app, "compare.py", runs="1,4", x="time", smooth="0.8", cost="time")
    assert app.button_group(key="x").value == "time"
    assert app.selectbox(key="smooth").value == "0.8"


def test_what_a_million_answers_cost_is_time_at_the_price_of_an_hour(two):
    compared = comparison.sides(two, [1, 4])
    measure, front = compared[0].measure, comparison.front(compared, "student_ms")
    figure = run_pictures.price(compared, front, "student_ms", measure, hourly=0.36)
    spent = sorted(side.summary.student_ms for side in compared)
    drawn = sorted(mark.x[0] for mark in figure.data if mark.mode.startswith("markers"))
    assert drawn == pytest.approx([ms / 1000 / 3600 * 1e6 * 0.36 for ms in spent])


def test_the_price_of_an_hour_is_asked_and_a_search_is_one_click_away(app, two):
    page = opened(app, "compare.py", runs="1,4", cost="cost")
    assert page.number_input(key="hourly").value == 0.1


def test_an_address_with_more_runs_than_can_be_compared_compares_the_first_ones_and_says_so(
    app, store, saved, monkeypatch
):
    monkeypatch.setattr(comparison, "MOST_RUNS", 3)
    config = parse_config({"dataset": "reviews", **TINY})
    ids = [store.submit(config, key=str(number)).id for number in range(5)]
    page = opened(app, "compare.py", runs=",".join(map(str, [*ids, 1])))
    assert "names 5 runs. The first 3 are compared" in words(page)
    assert page.multiselect(key="chosen").value == ids[:3]


def test_names_in_the_picture_stand_where_there_is_room_for_them(two):
    for run_id, bytes_ in ((1, 1e5), (4, 3e6)):
        two.record(run_id, [events.Evaluation(role="student", split="", metric="size_bytes", value=bytes_)])
    compared = comparison.sides(two, [1, 4])
    measure = comparison.same_measure(compared)
    figure = run_pictures.price(compared, [1], "student_bytes", measure)
    assert [(note.xanchor, note.yshift) for note in figure.layout.annotations] == [("left", -9), ("right", 9)]
    told = run_pictures.finding([*compared, compared[0]], [1, 4], "student_bytes", measure)
    assert told == "“Run 1” and “A <b>second</b>, bolder one” are worth having; the others are beaten"


def test_two_folders_of_one_name_are_told_apart(app, store, saved):
    for number, place in enumerate(("/a/bert", "/b/bert")):
        store.submit(parse_config({"dataset": "reviews", **TINY, "teacher": f"folder:{place}"}), key=str(number))
    told = written(opened(app, "compare.py", runs="1,2"))
    assert "folder:/a/bert" in told and "folder:/b/bert" in told


def test_runs_of_one_name_stand_beside_each_other_with_their_numbers(app, home, two):
    for run_id in (1, 4):
        two.describe_run(run_id, name="tried")
    page = written(opened(app, "compare.py", runs="1,4"))
    document = _report_compared.report(home, two, [1, 4])
    for told in (page, document):
        assert "tried · run 1" in told and "tried · run 4" in told


def test_names_of_curves_that_end_anywhere_stand_apart_in_the_margin_and_lines_lead_to_them():
    ends = {"short": (10, 0.9), "Search 1, trial 3": (40, 0.9), "long, as names of runs are": (100, 0.89)}
    found = [[comparison.Curve(1, (0, last), (0.0, 60.0), (0.1, value))] for last, value in ends.values()]
    figure = run_pictures.curves(found, list(ends), False, 0.0, tasks.Measure("accuracy", "Accuracy", ""))
    notes = figure.layout.annotations
    assert {note.xref for note in notes} == {"paper"} and {note.xanchor for note in notes} == {"left"}
    pixel = 80 / (run_pictures.HEIGHT - charts.AXIS)
    places = [note.y / pixel + note.yshift for note in notes]
    assert [above - below for below, above in itertools.pairwise(places)] == pytest.approx([18, 18])
    assert [line.x0 for line in figure.layout.shapes] == [100, 10, 40]
    assert {line.x1 for line in figure.layout.shapes} == {100}
    assert "long,\N{NO-BREAK SPACE}as…runs are" in notes[0].text


def test_names_of_points_that_lie_together_do_not_lie_on_each_other(two):
    measure, side = tasks.get("text-classification").measures[0], comparison.sides(two, [1, 4])[0]
    compared = [valued(side, run_id, 0.9, 9e6) for run_id in (1, 2, 3)]
    figure = run_pictures.price(compared, [1], "student_bytes", measure)
    places = sorted(note.yshift for note in figure.layout.annotations)
    assert [above - below for below, above in itertools.pairwise(places)] == pytest.approx([18, 18])


def test_students_that_were_tested_on_different_rows_are_not_called_better_or_worth_their_price(app, two, monkeypatch):
    monkeypatch.setattr(paired, "_same_test_rows", lambda *_: False)
    app = opened(app, "compare.py", runs="1,4")
    told = words(app).replace("\\", "")
    assert "scored best" not in told and "Not better or worse:" in written(app)
    assert "tested on different rows" in written(app) and not app.get("plotly_chart")
    sides = _compared.named(comparison.sides(two, [1, 4]))
    tests = _compared.best_tested(Home.from_environment(), sides)
    assert "94.5 %, but not all were tested on the same rows" in _compared.headline(sides, sides[0].measure, tests)


def test_unnamed_runs_on_different_data_are_called_by_it(two):
    one, other = comparison.sides(two, [1, 4])
    bare = [replace(side, run=replace(side.run, name="")) for side in (one, other)]
    assert [side.name for side in _compared.named(bare)] == ["Run 1", "Run 4"]
    bare[1] = replace(bare[1], run=replace(bare[1].run, dataset_id=99))
    assert [side.name for side in _compared.named(bare)] == ["reviews · run 1", "reviews · run 4"]
