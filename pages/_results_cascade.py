"""Student and teacher together: the student answers where it is sure, the teacher the rest; and both at once."""

import numpy as np
import streamlit as st

from pages import _downloads as downloads
from pages import _explained
from pages import _pictures as pictures
from pages._language import _
from pages._scores import Scored, by_role, milliseconds
from pages._studio import errors_shown, get_acts, get_home
from pages._words import about_percent, change, changes, measured, sentences
from studio import tasks
from studio.evaluate import cascade, metrics
from studio.evaluate.cascade import Answered, Point
from studio.evaluate.measured import is_clear
from studio.events import Comparison
from studio.kept import answers
from studio.kept.answers import Kept
from studio.kept.trust import Run
from studio.service.passing import room
from studio.store.rows import RunRow
from studio.tasks import Measure, Task


def show(run: RunRow, task: Task, rows: Run, models: dict[str, Kept], scored: list[Scored]) -> None:
    """The threshold, chosen on validation rows, and what it brings on test rows; below it both models at once."""
    measure = task.measures[0]
    if task.kind == "number":
        st.info(
            _("A number comes without a probability, so nobody can tell where the student is sure: no cascade here."),
            icon=":material/info:",
        )
    else:
        home = get_home()
        validation = {name: answers.opened(home, run.id, name, "validation") for name in ("teacher", "student")}
        known = {name: kept for name, kept in validation.items() if kept is not None}
        if len(known) < 2:
            st.info(
                _("The answers to validation rows are not kept: no threshold can be chosen."), icon=":material/info:"
            )
        else:
            _cascade(run, task, answered(rows, known), answered(rows, models), scored)
    _ensemble(run, task, models, measure)


def answered(rows: Run, models: dict[str, Kept]) -> Answered:
    """What a cascade is made of, of the rows that are looked at."""
    student, teacher = (rows.sample(models[name]) for name in ("student", "teacher"))
    return Answered(student.confidence, student.statistics, teacher.statistics)


def _cascade(run: RunRow, task: Task, validation: Answered, test: Answered, scored: list[Scored]) -> None:
    measure, of = task.measures[0], task.targets.measure
    points = cascade.curve(validation, of, measure.name)
    alone, teacher = points[0].value, points[-1].value
    aims = {
        "teacher": (_("as good as the teacher"), teacher),
        "half": (_("half of the way to the teacher"), (alone + teacher) / 2),
        "best": (_("as good as possible"), max(point.value for point in points)),
    }
    aim = st.segmented_control(_("Both together should be"), list(aims), default="teacher", key="aim", required=True,
                               format_func=lambda name: aims[name][0])  # fmt: skip
    chosen = cascade.chosen(points, aims[aim or "teacher"][1])
    test_point = test.at(chosen.threshold, of, measure.name)
    curve = [test.at(point.threshold, of, measure.name) for point in points]
    student_suffices = test_point.asked == 0 or curve[0].value >= test_point.value
    gained = None if student_suffices else _gained(task, test, chosen)
    st.subheader(_finding(test_point, curve, measure, gained), anchor=False)
    left, right = st.columns([6, 5], gap="medium")
    with left:
        st.html(_explained.cascade(points, curve, test_point, measure))
        st.caption(_("The threshold is chosen on validation rows; the dot is that choice on the test rows."))
    with right:
        st.html(_explained.facts(_facts(test_point, curve, measure, by_role(scored))))
        if gained is not None:
            st.caption(_gain(gained, measure))
        if takes_longer(test_point, by_role(scored)):
            st.markdown(":material/warning: " + _("Both together take longer for a row than the teacher alone."))
        st.caption(
            _(
                "The rule: the student’s answer counts where it is at least this sure (0 to 1); the teacher answers "
                "the rest."
            )
        )
        st.code(f"{chosen.threshold:.4f}", language=None)
        if not student_suffices:
            _export(run, chosen, test_point, measure, len(test.confidence))


def _finding(test_point: Point, curve: list[Point], measure: Measure, gained: Comparison | None) -> str:
    if test_point.asked == 0:
        return _("The student alone reaches that: nothing is asked of the teacher")
    if curve[0].value >= test_point.value:
        return _("The student alone is already as good: {student} (both together {value}, teacher {teacher})",
                 student=measured(curve[0].value, measure), value=measured(test_point.value, measure),
                 teacher=measured(curve[-1].value, measure))  # fmt: skip
    known = {
        "share": about_percent(test_point.asked),
        "value": measured(test_point.value, measure),
        "student": measured(curve[0].value, measure),
        "teacher": measured(curve[-1].value, measure),
    }
    if gained is not None and is_clear(gained, 1):
        return _("Asking the teacher about {share} of the rows brings {value} (student {student}, teacher {teacher})",
                 **known)  # fmt: skip
    return _("Asking the teacher about {share} of the rows brings no clear gain: {value} (student {student}, teacher "
             "{teacher})", **known)  # fmt: skip


def _gained(task: Task, test: Answered, chosen: Point) -> Comparison:
    """Both together against the student alone, on the test rows."""
    return _compared(task.name, task.kind == "multi_label", test.together(chosen.threshold), test.student)


def _gain(pair: Comparison, measure: Measure) -> str:
    """By how much both together are better than the student alone, as far as the test rows can tell."""
    facts = {"gain": change(measure.shown(pair.difference), measure.unit)} | changes(pair.low, pair.high, measure)
    if measure.unit == "share":
        return _("Against the student alone: {gain} points (95 % interval {low} to {high}).", **facts)
    return _("Against the student alone: {gain} (95 % interval {low} to {high}).", **facts)


def _facts(test_point: Point, curve: list[Point], measure: Measure, models: dict[str, Scored]) -> list[tuple[str, str]]:
    facts = [
        (_("Rows that the teacher answers"), about_percent(test_point.asked)),
        (_(measure.title), measured(test_point.value, measure)),
    ]
    times = [models[name].latency_ms for name in ("student", "teacher") if name in models]
    if len(times) == 2 and times[0] and times[1]:
        both = test_point.milliseconds(times[0], times[1])
        facts.append((_("Time of a row, on average"), milliseconds(both)))
        facts.append((_("Teacher’s time of a row"), milliseconds(times[1])))
        facts.append((_("Time, against the teacher alone"), about_percent(both / times[1])))
    return facts


def takes_longer(test_point: Point, models: dict[str, Scored]) -> bool:
    """Whether asking both costs more time than asking the teacher about every row."""
    times = [models[name].latency_ms for name in ("student", "teacher") if name in models]
    return len(times) == 2 and all(times) and test_point.milliseconds(times[0] or 0, times[1] or 0) > (times[1] or 0)


def _export(run: RunRow, chosen: Point, test_point: Point, measure: Measure, rows: int) -> None:
    """A zip with both models and the rule, made when somebody asks for it."""
    acts = get_acts()
    if not acts.person.has("member") or not get_home().model(run.id, "student").is_dir():
        return
    if st.button(_("Build both models with the rule"), icon=":material/inventory_2:", key="cascade-build"):
        with errors_shown(), st.spinner(_("Packing …")):
            home = get_home()
            target = room(home, home.downloads, owner=acts.person.address or "") / f"cascade-{run.id}.zip"
            facts: dict[str, float | str] = {
                "measure": measure.name,
                "value": test_point.value,
                "asked": test_point.asked,
                "rows": rows,
            }
            st.session_state["cascade"] = (run.id, chosen.threshold,
                                           acts.export_cascade(run.id, chosen.threshold, facts, target))  # fmt: skip
    packed = st.session_state.get("cascade")
    if packed and packed[:2] == (run.id, chosen.threshold) and packed[2].exists():
        downloads.button(_("Download the cascade"), packed[2], primary=True)


def _ensemble(run: RunRow, task: Task, models: dict[str, Kept], measure: Measure) -> None:
    """Both at once: the mean of their logits."""
    both = answers.opened(get_home(), run.id, answers.ENSEMBLE)
    if both is None or not len(both.statistics):
        return
    finding, interval = _against_the_better(task, models, both)
    st.subheader(finding, anchor=False)
    table = []
    for title, kept in (
        (_("Teacher"), models["teacher"]),
        (_("Student"), models["student"]),
        (_("Mean of both"), both),
    ):
        values = task.targets.measure(kept.statistics)
        table.append({"": title} | {_(metric.title): measured(values[metric.name], metric) for metric in task.measures})
    st.html(pictures.table(table))
    st.caption(sentences(
        _("Both at once: their scores (logits) are averaged, on the test rows. Every row costs the time of both."),
        interval,
    ))  # fmt: skip


def _against_the_better(task: Task, models: dict[str, Kept], both: Kept) -> tuple[str, str]:
    """Whether the mean of both is clearly better than the better one of them alone; and its interval."""
    lead = task.measures[0]
    values = {name: task.targets.measure(models[name].statistics)[lead.name] for name in ("student", "teacher")}
    better = max(values, key=lambda name: values[name])
    pair = _compared(task.name, task.kind == "multi_label", both.statistics, models[better].statistics)
    interval = _("95 % interval of the difference: {low} to {high}.", **changes(pair.low, pair.high, lead))
    if is_clear(pair, 1):
        words = {"teacher": _("The mean of both is better than the teacher alone, by more than chance"),
                 "student": _("The mean of both is better than the student alone, by more than chance")}  # fmt: skip
    else:
        words = {"teacher": _("The mean of both is not clearly better than the teacher alone"),
                 "student": _("The mean of both is not clearly better than the student alone")}  # fmt: skip
    return words[better], interval


@st.cache_data(max_entries=32, show_spinner=False)
def _compared(task: str, multi_label: bool, first: np.ndarray, second: np.ndarray) -> Comparison:
    """A paired test on the same test rows; of some measures rows are drawn anew thousands of times."""
    return metrics.compare(tasks.get(task, multi_label), ("student", "student"), "test", (first, second))
