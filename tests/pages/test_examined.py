"""What is examined on request: offered, asked once, shown; to a viewer only shown."""

import pytest

from pages import _answers as answers
from pages import _results_written as writing
from pages._results_examined import at_worst, finding, other_way
from studio import events, tasks
from studio.config.reading import parse_config
from studio.events import Comparison
from studio.kept import examined
from studio.pipeline.answers import Curve, Elsewhere, Gap, Layers, Robustness, Written, WrittenBy
from studio.service import questions
from studio.service.acts import Acts
from tests.conftest import TINY, reviews
from tests.pages.conftest import opened, words, written
from tests.pages.test_explore import finished

MEASURE = tasks.get("text-classification").measures[0]


def curve(role: str, values: list[float]) -> Curve:
    return Curve(corruption="typos", role=role, levels=[0, 0.02, 0.05, 0.1, 0.2], values=values,
                 low=[value - 0.03 for value in values], high=[value + 0.03 for value in values])  # fmt: skip


def gap(level: float, difference: float, p_value: float) -> Gap:
    return Gap(corruption="typos", level=level, difference=difference, p_value=p_value)


def robust() -> Robustness:
    curves = [curve("teacher", [0.9, 0.9, 0.88, 0.85, 0.8]), curve("student", [0.88, 0.87, 0.8, 0.7, 0.5])]
    return Robustness(curves=curves, rows=30, gaps=[gap(0.1, 0.13, 0.04), gap(0.2, 0.28, 0.01)])


@pytest.fixture
def run(store, home):
    run, _row = finished(store, home, "text-classification")
    (home.model(run.id, "student")).mkdir(parents=True)
    return run


def test_worse_inputs_are_asked_about_at_a_click_and_the_finding_is_said(app, home, run, monkeypatch):
    asked = []

    def examine(home, store, run_id, kind):
        asked.append((run_id, kind))
        examined.write(home, run_id, robust())
        return robust()

    monkeypatch.setattr(questions, "examine", examine)
    page = opened(app, "results.py", run=str(run.id), tab="robustness")
    page.button(key="examine-robustness").click().run()
    assert asked == [(run.id, Robustness)]
    assert "Typing errors at 20 %: the student loses 38.0 points, the teacher 10.0 points" in words(page)


def test_only_where_student_and_teacher_are_apart_by_more_than_chance_is_it_a_finding():
    curves = {"typos": robust().curves}
    for gaps in ([], [gap(0.2, 0.28, 0.06)], [gap(0.2, -0.1, 0.06)], [gap(0.2, 0.0, 0.001)]):
        assert "No clear difference" in finding(curves, gaps, MEASURE)
    clear = [gap(0.2, 0.28, 0.06), gap(0.1, 0.13, 0.01), gap(0.05, 0.06, 0.01)]
    assert finding(curves, clear, MEASURE).startswith("Typing errors at 10 %: the student loses 18.0 points")
    better = {"typos": [curve("teacher", [0.9, 0.9, 0.91, 0.9, 0.9]), robust().curves[1]]}
    assert finding(better, [gap(0.05, 0.09, 0.01)], MEASURE).endswith("the teacher nothing")


def test_where_the_teacher_loses_more_is_told_too_and_comes_first_where_that_is_more():
    curves = {"typos": [curve("teacher", [0.9, 0.9, 0.88, 0.5, 0.2]), curve("student", [0.9, 0.9, 0.8, 0.7, 0.5])]}
    gaps = [gap(0.05, 0.08, 0.01), gap(0.1, -0.2, 0.01), gap(0.2, -0.3, 0.01)]
    assert (
        finding(curves, gaps, MEASURE)
        == "Typing errors at 20 %: the student loses 40.0 points, the teacher 70.0 points"
    )
    told = other_way(curves, gaps, MEASURE)
    assert told.endswith(
        "other way round. Typing errors at 5 %: the student loses 10.0 points, the teacher 2.0 points."
    )
    assert other_way(curves, gaps[1:], MEASURE) == ""
    gaps[2] = gap(0.2, -0.3, 0.2)
    assert finding(curves, gaps, MEASURE).startswith("Typing errors at 10 %")


def test_each_picture_says_what_student_and_teacher_come_to_where_the_student_is_worst():
    assert at_worst(robust().curves, MEASURE) == "At 20 %: student 88.0 % → 50.0 %, teacher 90.0 % → 80.0 %"
    same = [curve(role, [0.9] * 5) for role in ("teacher", "student")]
    assert at_worst(same, MEASURE) == "Neither student nor teacher loses anything"


def test_what_was_examined_before_there_were_tests_claims_nothing():
    old = robust().model_dump(mode="json", exclude={"gaps"})
    known = Robustness.model_validate(old)
    assert finding({"typos": known.curves}, known.gaps, MEASURE) == "How good each model stays on worse inputs"


def test_layers_are_shown_with_the_nearest_one_of_the_teacher(app, home, run):
    examined.write(home, run.id, Layers(teacher=["1", "2"], student=["1"], alike=[[0.31], [0.87]], rows=30))
    page = opened(app, "results.py", run=str(run.id), tab="layers")
    assert "most like layer 2 of 2 of its teacher: 0.87" in words(page)
    assert "0.31" in written(page)


def test_other_data_with_the_same_labels_is_offered_and_its_numbers_are_told(app, home, store, run, monkeypatch):
    page = opened(app, "results.py", run=str(run.id), tab="robustness")
    assert "add a data set with the same labels" in words(page)
    from studio.data.cleaning import clean
    from studio.data.columns import Columns
    from studio.service import library

    columns = Columns("text", "label")
    other = library.save(store, home, "more", clean(reviews(), columns, "text-classification"), columns)
    found = Elsewhere(
        dataset="more", rows=24, known=6, values={"teacher": (0.9, 0.8, 0.95), "student": (0.7, 0.6, 0.8)}
    )
    monkeypatch.setattr(questions, "elsewhere", lambda *asked: examined.write(home, run.id, found, str(other.id)))
    page = opened(app, "results.py", run=str(run.id), tab="robustness")
    page.button(key="examine-elsewhere").click().run()
    assert "70.0 % (60.0 % to 80.0 %)" in written(page)
    assert "seen while they learned" in words(page)


def test_a_run_whose_student_is_gone_says_so(app, home, run):
    home.model(run.id, "student").rmdir()
    assert "is not kept" in words(opened(app, "results.py", run=str(run.id), tab="layers"))


def said(role: str, bits: tuple[float, float, float]) -> WrittenBy:
    return WrittenBy(role=role, values={"teacher_bits_per_byte": bits, "exact_match": (0.5, 0.3, 0.7)},
                     texts=[f"So says <b>{role}</b>"], tokens_per_second=9.0)  # fmt: skip


def wrote(p_value: float) -> Written:
    ends = {"teacher_bits_per_byte": (0.5, 0.4, 0.6), "exact_match": (0, -0.1, 0.1)}
    pairs = [
        Comparison(first="student", second="control", split="test", metric=name, difference=difference, low=low,
                   high=high, p_value=p_value, n=9)
        for name, (difference, low, high) in ends.items()
    ]  # fmt: skip
    by = [said("student", (-2.0, -2.2, -1.9)), said("control", (-2.5, -2.7, -2.4))]
    return Written(rows=9, most=20, given=["Say *it*"], expected=["So"], by=by, against=pairs)


def test_what_models_wrote_is_told_in_numbers_and_to_be_read_and_compared_by_a_rule(app, home, store, monkeypatch):
    row = store.add_dataset(name="tales", task="language-model", labels=[], splits={"train": 80, "test": 20},
                            fingerprint="f", columns={"input": "text"}, report={})  # fmt: skip
    store.dataset_ready(row.id)
    run = store.submit(parse_config({"dataset": "tales", **TINY, "teacher": "builtin/gpt-small",
                                     "student": "builtin/gpt-tiny"}), key="k", owner="me")  # fmt: skip
    store.record(run.id, [
        *(events.Evaluation(role=role, split="test", metric="bits_per_byte", value=-2.0, low=-2.1, high=-1.9, n=20)
          for role in ("teacher", "student", "control")),
        events.Verdict(outcome="better", sentence="Good."),
    ])  # fmt: skip
    store.finish(run.id)
    examined.write(home, run.id, wrote(0.01))
    home.model(run.id, "student").mkdir(parents=True)
    page = opened(app, "results.py", run=str(run.id), tab="written")
    assert "The teacher finds what the student writes likelier than what the control writes" in words(page)
    shown = written(page)
    assert "2.000 (1.900 to 2.200)" in shown
    assert "−0.600 to −0.400" in shown
    assert "Say *it*" in shown
    assert "So says <b>student</b>" in shown
    assert "Cut off by the limit" not in shown, "nobody told it then"
    assert "did not write" not in words(page)
    examined.write(home, run.id, wrote(0.01).model_copy(update={"left_out": "hub:a/b is no longer on this machine."}))
    page = opened(app, "results.py", run=str(run.id), tab="written")
    told = "The small model before training did not write. hub:a/b is no longer on this machine."
    assert told in words(page).replace("\\", "").replace("\u2060", "")
    asked = []
    monkeypatch.setattr(Acts, "examine_written", lambda self, *told: asked.append(told))
    page.text_input[0].set_value(r" #### (\d+) ")
    for most in (20, 300):
        page.number_input[0].set_value(most)
        next(button for button in page.button if button.label == "Let them write again").click().run()
    assert asked == [(run.id, r"#### (\d+)", 20), (run.id, r"#### (\d+)", 300)]


def test_where_the_limit_of_tokens_ended_a_text_is_told():
    found = wrote(0.2)
    by = [one.model_copy(update={"cut": [one.role == "student"], "cut_share": 0.25}) for one in found.by]
    lines = writing.numbers(found.model_copy(update={"by": by}))
    assert next(line for line in lines if "Cut off by the limit of tokens" in line.values())["Student"] == "25.0 %"
    shown = str(answers.texts({"student": "So it", "control": "So it is."}, ["student"]))
    assert shown.count("Cut off by the limit of tokens.") == 1


def test_a_difference_that_the_test_does_not_bear_is_no_finding():
    assert "write alike" in writing.finding(wrote(0.2))


def test_beside_the_control_the_student_is_compared_with_itself_before_it_learned():
    found = wrote(0.01)
    pairs = [comparison.model_copy(update={"second": "untouched", "low": 0.7, "high": 0.9})
             for comparison in found.against if comparison.metric == "teacher_bits_per_byte"]  # fmt: skip
    more = {"against": [*found.against, *pairs], "by": [*found.by, said("untouched", (-3.0, -3.2, -2.9))]}
    lines = writing.numbers(found.model_copy(update=more))
    of_teacher = next(line for line in lines if line["Measure"] == "Bits per byte for the teacher")
    assert of_teacher["Before training"] == "3.000 (2.900 to 3.200)"
    assert (of_teacher["Student − control"], of_teacher["Student − before training"]) == (
        "−0.600 to −0.400", "−0.900 to −0.700",
    )  # fmt: skip
    exact = next(line for line in lines if line["Measure"] == "Exact answers")
    assert exact["Student − before training"] == "–", "it was not compared"
    assert "Student − before training" not in writing.numbers(found)[0]


def test_a_measure_that_a_model_of_other_tokens_does_not_have_is_no_number():
    found = wrote(0.01)
    teacher = WrittenBy(role="teacher", values={"teacher_kl": (0.0, 0.0, 0.0)}, texts=[], tokens_per_second=1.0)
    (line,) = [line for line in writing.numbers(found.model_copy(update={"by": [teacher, *found.by]}))
               if line["Measure"] == "KL to the teacher"]  # fmt: skip
    assert (line["Teacher"], line["Student"]) == ("0.000 (0.000 to 0.000)", "–")
