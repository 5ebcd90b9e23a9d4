"""Results that are explored: rows by who is right, confidence, both models together; of every kind of label."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from pages import _explained, _results_cascade, _results_classes, _results_rows, _results_trust
from pages._scores import Scored
from studio import events, tasks
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.folder import load
from studio.data.uploads import Upload
from studio.evaluate import calibration, cascade, changes
from studio.kept import answers, logits, trust
from studio.pipeline import keeping
from studio.service import calibrated, corrections, library, questions
from studio.tasks.positions import PositionLogits
from tests.conftest import BAD, GOOD, TINY
from tests.pages.conftest import fresh, opened, words, written

KINDS = {
    "text-classification": Columns("text", "label", "split"),
    "several": Columns("text", "label", "split", separator="|"),
    "regression": Columns("text", "label", "split"),
    "token-classification": Columns("text", "label", "split"),
}


def cells(kind: str, rows: int) -> tuple[list[str], list[str]]:
    """Inputs and labels of a data set of that kind."""
    if kind == "token-classification":
        places = [("Rome", "B-place"), ("Ann", "B-person")]
        return [f"we saw {places[n % 2][0]} {n}" for n in range(rows)], [
            f"O O {places[n % 2][1]} O" for n in range(rows)
        ]
    texts = [f"the {(GOOD if n % 2 else BAD)[n % 5]} thing number {n}" for n in range(rows)]
    if kind == "regression":
        return texts, [f"{n % 7 + n / 1000}" for n in range(rows)]
    if kind == "several":
        return texts, [("food", "service", "food | service")[n % 3] for n in range(rows)]
    return texts, [("good" if n % 2 else "bad") for n in range(rows)]


def finished(store, home, kind: str, rows: int = 120, **settings):
    """A finished run on data of that kind, whose models answered at random but not quite."""
    texts, labels = cells(kind, rows)
    splits = ["train" if n % 4 < 2 else "test" if n % 4 == 2 else "validation" for n in range(rows)]
    splits = [splits[(n // 3) % rows] for n in range(rows)]
    table = pd.DataFrame({"text": texts, "label": labels, "split": splits}, dtype=object)
    task = "text-classification" if kind == "several" else kind
    columns = KINDS[kind]
    row = library.save(store, home, kind, clean(Upload("table", table), columns, task), columns)
    run = store.submit(parse_config({"dataset": kind, **TINY, **settings}), key=kind, owner="me")
    learns = tasks.get(row.task, row.multi_label)
    keep(home, run, row, learns)
    measured = {role: learns.targets.measure(one.statistics) for role, one in answers.of_run(home, run.id).items()}
    store.record(run.id, [
        *(events.Evaluation(role=role, split="test", metric=name, value=value, n=row.splits["test"])
          for role, values in measured.items() for name, value in values.items()),
        *(events.Evaluation(role=role, split="", metric="latency_ms", value=ms, runtime="PyTorch")
          for role, ms in (("teacher", 10.0), ("student", 1.0))),
        events.Verdict(outcome="better", sentence="Good."),
    ])  # fmt: skip
    store.finish(run.id)
    return run, row


def keep(home, run, row, learns) -> None:
    """Answers of three models to every split: the label with some noise, more for the student than for the teacher."""
    dataset = load(home.dataset(row.id))
    keeping_them = keeping.Keeping(home, run.id, learns, run.config)
    for split in ("train", "validation", "test"):
        rows = dataset.dict[split]
        values = rows["label"][:]
        labels = learns.targets.tensor(values, len(row.labels))
        counts = [len(words) for words in rows["words"]] if "words" in rows.column_names else [1] * len(rows)
        offsets = torch.tensor([0, *np.cumsum(counts)])
        encoded = Encoded(labels, offsets, row.labels)
        for number, (role, noise) in enumerate((("teacher", 0.6), ("student", 1.5), ("baseline", 3.0))):
            generator = torch.Generator().manual_seed(number)
            clean_logits = wanted(labels, len(row.labels), learns.kind)
            logits = clean_logits + noise * torch.randn(clean_logits.shape, generator=generator)
            found = PositionLogits.arranged(logits, offsets)
            if split != "train" or role == "teacher":
                list(keeping_them(role, split, found, encoded))


class Encoded(SimpleNamespace):
    """Encoded rows of which only labels and places matter."""

    def __init__(self, labels, offsets, tags):
        super().__init__(labels=labels, offsets=offsets, tags=tuple(tags))

    def __len__(self) -> int:
        return len(self.offsets) - 1


def wanted(labels: torch.Tensor, classes: int, kind: str) -> torch.Tensor:
    if kind == "number":
        return labels[:, None].clone()
    if kind == "multi_label":
        return labels.float() * 4 - 2
    return torch.nn.functional.one_hot(labels, classes).float() * 2


@pytest.mark.parametrize("kind", KINDS)
def test_every_tab_opens_for_every_kind_of_label(app, store, home, kind):
    run, _ = finished(store, home, kind)
    for tab in ("classes", "rows", "confidence", "together", "numbers"):
        page = opened(fresh(), "results.py", run=str(run.id), tab=tab)
        assert not page.exception, tab
        assert not page.error, tab
    page = opened(fresh(), "results.py", run=str(run.id), tab="rows", row="1")
    assert not page.exception
    assert "Test row 1 of" in words(page)
    assert "Training rows that the teacher takes for most alike" in words(page)


def test_rows_are_counted_by_who_is_right_and_a_link_opens_one_group(app, store, home):
    run, _ = finished(store, home, "text-classification")
    teacher, student = (answers.opened(home, run.id, role) for role in ("teacher", "student"))
    lost, gained = int((teacher.right & ~student.right).sum()), int((~teacher.right & student.right).sum())
    page = opened(app, "results.py", run=str(run.id), tab="rows")
    assert f"Rows lost on the way to the student: {lost}; gained: {gained}" in words(page)
    page = opened(fresh(), "results.py", run=str(run.id), tab="rows", group="both")
    assert page.session_state["group"] == "both"


def test_rows_are_searched_and_what_is_searched_stands_in_the_address(app, store, home):
    run, _ = finished(store, home, "text-classification")
    page = opened(app, "results.py", run=str(run.id), tab="rows", group="both", q="number 6")
    assert page.text_input(key="q").value == "number 6"
    drawn = written(page)
    assert "thing number 6" in drawn
    assert "thing number 7 " not in drawn


def test_a_wrong_label_is_marked_and_learned_from_anew_while_the_old_data_stays(app, store, home):
    run, row = finished(store, home, "text-classification")
    before = load(home.dataset(row.id)).dict["test"]["label"][:]
    page = opened(app, "results.py", run=str(run.id), tab="rows", row="1")
    other = row.labels[1 - before[0]]
    page.selectbox(key="right-label").select(other).run()
    page.button(key="mark").click().run()
    assert [(one.split, one.row, one.label) for one in store.marks(row.id)] == [("test", 0, 1 - before[0])]
    assert "it should be" in words(page)
    new = corrections.save(store, home, row.id, "better")
    after = load(home.dataset(new.id)).dict["test"]["label"][:]
    assert after[0] == 1 - before[0]
    assert after[1:] == before[1:]
    assert load(home.dataset(row.id)).dict["test"]["label"][:] == before
    assert new.fingerprint != row.fingerprint


def test_downloaded_rows_hold_what_every_model_says_and_no_formula(store, home):
    texts = ["=1+1", "@SUM(A1)", *(f"plain {n}" for n in range(38))]
    table = pd.DataFrame({"text": texts, "label": ["x", "y"] * 20,
                          "split": ["test"] * 12 + ["validation"] * 8 + ["train"] * 20}, dtype=object)  # fmt: skip
    columns = Columns("text", "label", "split")
    row = library.save(store, home, "odd", clean(Upload("table", table), columns, "text-classification"), columns)
    run = store.submit(parse_config({"dataset": "odd", **TINY}), key="odd", owner="me")
    keep(home, run, row, tasks.get(row.task))
    shown = _results_rows.opened(run, row, tasks.get(row.task))
    lines = _results_rows.as_csv(shown, np.arange(3)).decode("utf-8-sig").splitlines()
    assert lines[0].startswith("row,text,label,teacher answer,teacher confidence,teacher loss,teacher right,student")
    assert lines[1].startswith("1,'=1+1,x,")
    assert lines[2].startswith("2,'@SUM(A1),y,")


def as_sure(before: float, after: float, value: float = 1.0) -> trust.Temperature:
    """A model that is right on 3 of 4 validation rows, as sure as told without the temperature and with it."""
    return trust.Temperature(value, np.full(40, before), np.full(40, after), np.arange(40) % 4 > 0)


@pytest.mark.parametrize(
    ("found", "is_offered"), [(as_sure(0.99, 0.75, value=50.0), True), (as_sure(0.75, 0.99), False)]
)
def test_a_temperature_is_offered_where_it_helps_on_validation_rows_whatever_test_rows_say(
    app, store, home, monkeypatch, found, is_offered
):
    run, _ = finished(store, home, "text-classification")
    monkeypatch.setattr(trust.Run, "temperature", lambda self, role: found)
    page = opened(app, "results.py", run=str(run.id), tab="confidence")
    assert ("by a temperature does not help" in words(page)) != is_offered
    assert bool([one for one in page.toggle if one.key == "calibrate"]) == is_offered


def test_whether_a_temperature_helps_is_judged_by_rows_to_which_it_was_not_fitted(store, home, monkeypatch):
    run, row = finished(store, home, "text-classification")
    seen = []

    def fitted(values, labels, kind):
        seen.append({tuple(one) for one in values})
        return float(len(seen))

    monkeypatch.setattr(logits, "fitted_temperature", fitted)
    found = trust.Run(home, run.id, home.dataset(row.id), "class").temperature("student")
    values = answers.opened(home, run.id, "student", "validation").logits
    assert seen[1].isdisjoint(seen[2]) and seen[1] | seen[2] == seen[0]
    assert abs(len(seen[1]) - len(seen[2])) <= 1
    for temperature in (2, 3):
        mine = np.array([tuple(one) not in seen[temperature - 1] for one in values])
        assert found.after[mine] == pytest.approx(logits.confidence(values[mine], None, "class", temperature))


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (-0.02, 0.03, "neither surer nor less sure than it is right, as far as 287 rows can tell"),
        (0.01, 0.05, "1.0 points surer than it is right"),
        (-0.05, -0.01, "1.0 points more often right than it says"),
        (float("nan"), float("nan"), "too few rows to tell"),
    ],
)
def test_of_how_sure_a_model_is_no_more_is_said_than_the_rows_can_tell(low, high, told):
    gap = calibration.Estimate(-0.01 if high < 0 else 0.01, low, high)
    assert told in _results_trust._finding("student", gap, 287)


def test_the_student_is_told_beside_the_same_model_without_a_teacher():
    says = {"teacher": [1, 0, 1, 1], "student": [1, 0, 1, 0], "control": [0, 0, 1, 0]}
    models = {name: SimpleNamespace(batch=pa.table({"answer": said})) for name, said in says.items()}
    task = tasks.get("text-classification")
    told = _results_trust._nearness(models, task)
    assert "on 75.0 % of the test rows, without a teacher on 50.0 %" in told
    del models["control"]
    assert _results_trust._nearness(models, task).endswith("on 75.0 % of the test rows")


def test_the_temperature_goes_into_the_download_when_somebody_wants_it(app, store, home, monkeypatch):
    run, _ = finished(store, home, "text-classification")
    monkeypatch.setattr(trust.Run, "temperature", lambda self, role: as_sure(0.99, 0.75, value=1.25))
    page = opened(app, "results.py", run=str(run.id), tab="confidence")
    page.toggle(key="calibrate").set_value(True).run()
    assert calibrated.read(home, run.id) == 1.25
    assert "1.2500" in calibrated.lines(home, run.id)
    page.toggle(key="calibrate").set_value(False).run()
    assert calibrated.read(home, run.id) is None


def test_a_run_from_before_answers_were_kept_says_so(app, filled):
    page = opened(app, "results.py", run="1", tab="rows")
    assert "before the answers to single rows were kept" in words(page)


def test_the_models_of_an_older_run_are_asked_with_one_click(app, filled, home, monkeypatch):
    asked = []
    monkeypatch.setattr(questions, "keep", lambda home, store, run_id: asked.append(run_id))
    home.model(1, "student").mkdir(parents=True)
    page = opened(app, "results.py", run="1", tab="rows")
    page.button(key="keep").click().run()
    assert asked == [1]


def test_a_number_that_a_model_says_has_no_more_digits_than_mean_something(app, store, home):
    run, _ = finished(store, home, "regression")
    page = opened(app, "results.py", run=str(run.id), tab="rows")
    said = re.findall(r"Student +([−\d.]+)", written(page))
    assert said and all(len(one.strip("−0").replace(".", "").lstrip("0")) <= 3 for one in said)


@pytest.mark.parametrize(("low", "p_value", "is_gain"), [(0.01, 0.01, True), (-0.01, 0.2, False), (0.01, 0.2, False)])
def test_asking_the_teacher_is_a_gain_only_where_that_is_more_than_chance(low, p_value, is_gain):
    curve = [cascade.Point(threshold=share, asked=share, value=0.88 + 0.02 * share) for share in (0.0, 0.4, 1.0)]
    pair = events.Comparison(first="student", second="student", split="test", metric="accuracy", n=287,
                             difference=0.02, low=low, high=0.04, p_value=p_value)  # fmt: skip
    told = _results_cascade._finding(curve[1], curve, tasks.get("text-classification").measures[0], pair)
    assert ("no clear gain" not in told) is is_gain


def test_both_models_that_take_longer_than_the_teacher_alone_are_no_gain_and_that_is_told():
    chosen = cascade.Point(threshold=0.9, asked=0.3, value=0.9)
    for teacher, longer in ((0.22, True), (9.0, False)):
        times = {"teacher": teacher, "student": 0.24}
        models = {role: Scored(role, 0.9, 0.8, 1.0, 9, latency_ms=ms) for role, ms in times.items()}
        assert _results_cascade.takes_longer(chosen, models) is longer


@pytest.mark.parametrize("row", ["0", "999", "x", "9" * 30])
def test_a_row_that_does_not_exist_shows_the_list(app, store, home, row):
    run, _ = finished(store, home, "text-classification")
    page = opened(app, "results.py", run=str(run.id), tab="rows", row=row)
    assert not page.exception
    assert "Rows lost on the way" in words(page)


def test_a_student_as_good_as_both_together_is_offered_alone_and_the_mean_of_both_has_an_interval(
    app, store, home, monkeypatch
):
    run, _ = finished(store, home, "text-classification")
    both = answers.opened(home, run.id, "student")
    opened_before = answers.opened
    monkeypatch.setattr(answers, "opened", lambda *told: both if answers.ENSEMBLE in told else opened_before(*told))
    home.model(run.id, "student").mkdir(parents=True, exist_ok=True)
    page = opened(app, "results.py", run=str(run.id), tab="together")
    assert [one.key for one in page.button if one.key == "cascade-build"] == ["cascade-build"]
    assert "The mean of both is not clearly better than the teacher alone" in words(page)
    assert re.search(r"Against the student alone: \+10\.0 points \(95 % interval [−+][\d.]+ to \+[\d.]+\)", words(page))
    monkeypatch.setattr(cascade, "chosen", lambda points, least: points[-1])  # of the test rows the teacher is worse
    monkeypatch.setattr(_results_cascade, "answered", swapped)
    page = opened(fresh(), "results.py", run=str(run.id), tab="together")
    assert "The student alone is already as good" in words(page)
    assert not [one for one in page.button if one.key == "cascade-build"]


def swapped(rows, models):
    """The better model in the student's place."""
    found = {"teacher": models["student"], "student": models["teacher"]}
    student, teacher = (rows.sample(found[name]) for name in ("student", "teacher"))
    return cascade.Answered(student.confidence, student.statistics, teacher.statistics)


def test_classes_that_the_student_never_recognises_are_named():
    labels, teacher = np.array([0] * 30 + [1] * 4), np.array([True] * 34)
    found = changes.of_classes(labels, teacher, teacher & (labels == 0))
    assert "no test row right of “ra\\_re” (4)" in _results_classes.never(found, ["often", "ra_re"])
    assert _results_classes.never(changes.of_classes(labels, teacher, teacher), ["often", "ra_re"]) == ""


def test_a_group_without_rows_takes_no_area_and_the_others_take_what_they_have():
    drawn = _explained.mosaic({"both": 90, "teacher": 10, "student": 0, "neither": 0}, "both")
    assert re.findall(r"flex-grow:(\d+)", drawn) == ["100", "90", "10"]
    assert "0" in re.findall(r"<b>(\d+)</b>", drawn)


def test_the_picture_of_both_together_has_round_ticks_and_says_what_stands_across():
    points = [cascade.Point(threshold=1 - share, asked=share, value=0.734 + 0.2 * share) for share in (0.0, 0.5, 1.0)]
    accuracy = tasks.get("text-classification").measures[0]
    worse = [cascade.Point(point.threshold, point.asked, point.value - 0.1) for point in points]
    names = re.findall(
        r'class="name" style="[^"]*\+ (-?\d+)px\)">([^<]*)<', _explained.cascade(points, worse, worse[1], accuracy)
    )
    assert names == [("14", "validation rows"), ("-14", "test rows")]  # none on the other's curve
    drawn = _explained.cascade(points, points, points[1], accuracy)
    assert re.findall(r'class="tick"[^>]*><span>([^<]*)<', drawn) == ["80 %", "90 %"]
    assert re.findall(r'class="across"[^>]*>([^<]*)<', drawn) == ["0 %", "50 %", "100 %"]
