"""What each class gained and lost on the way from teacher to student, and what is taken for what."""

from collections.abc import Sequence

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages import _charts as charts
from pages import _explained as explained
from pages import _pictures as pictures
from pages._language import _, counted
from pages._studio import get_home
from pages._words import escape, listed, role
from studio.evaluate import changes
from studio.events import Confusion
from studio.kept import answers
from studio.kept.answers import Kept
from studio.store.rows import RunRow
from studio.tasks import Task

MOST_CLASSES, MOST_MIX_UPS, FEWEST_CLASSES, FEW_CLASSES, LARGEST_MATRIX, MOST_NAMED = 8, 8, 5, 10, 20, 5
DIFFERENCE = "difference"


def both(run: RunRow, task: Task) -> tuple[Kept, Kept] | None:
    """What teacher and student said of the test rows; None where nothing is kept, or a row has neither one class nor
    several labels."""
    if task.kind == "number" or task.measures[0].interval != "share":
        return None
    home = get_home()
    teacher, student = (answers.opened(home, run.id, name) for name in ("teacher", "student"))
    return None if teacher is None or student is None or not teacher.labelled.any() else (teacher, student)


def per_class(task: Task, teacher: Kept, student: Kept) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `changes.of_classes` reads."""
    first, second = teacher.statistics, student.statistics
    if task.kind == "multi_label":
        labels = first.shape[1] // 2
        return first[:, :labels], first[:, labels:], second[:, labels:]
    return first[:, 0], task.targets.right(first), task.targets.right(second)


def show(run: RunRow, task: Task, models: tuple[Kept, Kept], labels: Sequence[str]) -> None:
    """Each class with both models’ shares and whether chance explains the difference."""
    found = changes.of_classes(*per_class(task, *models))
    clear = [change for change in found if change.is_clear and change.difference < 0]
    if clear:
        title = _("{number} of {classes} classes lost more than chance explains", number=len(clear), classes=len(found))
    elif any(change.difference < 0 for change in found):
        title = _("No class lost more than chance explains, as far as these rows can tell")
    else:
        title = _("No class lost anything")
    st.subheader(title, anchor=False)
    unseen = never(found, labels)
    if unseen:
        st.markdown(f":material/warning: {unseen}")
    st.caption(
        _("The share of each class that a model gets right: teacher (orange), student (teal). The largest loss first; "
          "the 95 % intervals are each for itself; bold what is more than chance for all classes together.")
    )  # fmt: skip
    st.html(explained.class_changes(found[:MOST_CLASSES], labels))
    if len(found) > MOST_CLASSES:
        more = len(found) - MOST_CLASSES
        with st.expander(counted("{number} more class", "{number} more classes", more)):
            st.html(explained.class_changes(found[MOST_CLASSES:], labels))
    worst = found[0]
    if worst.lost:
        st.page_link(
            "results.py",
            label=_("Show the rows of “{label}” that the student lost", label=escape(labels[worst.number])),
            query_params={"run": str(run.id), "tab": "rows", "group": "teacher", "class": labels[worst.number]},
            icon=":material/table_rows:",
        )


def never(found: Sequence[changes.ClassChange], labels: Sequence[str]) -> str:
    """Of which classes the student gets no test row right; "" where there is none."""
    names = [f"“{escape(labels[change.number])}” ({change.rows:,})" for change in found if change.second == 0]
    shown = listed([*names[:MOST_NAMED], *(["…"] if len(names) > MOST_NAMED else [])])
    return _("The student gets no test row right of {classes}. Bring more rows.", classes=shown) if names else ""


def show_without_rows(matrices: dict[str, Confusion]) -> None:
    """Of a run from before answers were kept: the classes without intervals."""
    if "teacher" not in matrices or "student" not in matrices:
        st.caption(_("There is no teacher to compare with."))
        return
    found = pictures.losses(matrices["teacher"], matrices["student"])
    st.subheader(escape(pictures.lost_and_kept(found)), anchor=False)
    st.caption(
        _("The share of each class that a model gets right: teacher (orange), student (teal). The largest loss first.")
    )
    st.html(pictures.class_changes(found[:MOST_CLASSES]))
    if len(found) > MOST_CLASSES:
        more = len(found) - MOST_CLASSES
        with st.expander(counted("{number} more class", "{number} more classes", more)):
            st.html(pictures.class_changes(found[MOST_CLASSES:]))


def mix_ups(matrices: dict[str, Confusion]) -> None:
    """What each model takes for what, and how student and teacher differ; the whole table where it can be read."""
    names = list(matrices)
    options = [*names, *([DIFFERENCE] if {"teacher", "student"} <= set(names) else [])]
    chosen = st.segmented_control(
        _("Model"), options, default="student" if "student" in names else names[0], key="matrix", required=True,
        label_visibility="collapsed",
        format_func=lambda name: _("Student against teacher") if name == DIFFERENCE else role(name),
    )  # fmt: skip
    if chosen == DIFFERENCE:
        _difference(matrices["teacher"], matrices["student"])
        return
    matrix = matrices[chosen or names[0]]
    found = pictures.mix_ups(matrix)
    wrong, rows = sum(number for _true, _guess, number, _rows in found), int(np.sum(matrix.counts))
    finding = counted("{model}: {wrong} of {rows} test rows is taken for another class",
                      "{model}: {wrong} of {rows} test rows are taken for another class", wrong,
                      model=role(matrix.role), wrong=f"{wrong:,}", rows=f"{rows:,}")  # fmt: skip
    st.html(pictures.titled(finding, _("Each row is a true class, each column what the model says. The diagonal is "
                                       "right.")))  # fmt: skip
    left, right = _beside(matrix)
    with left:
        if len(matrix.labels) <= LARGEST_MATRIX:
            st.html(pictures.confusion(matrix))
        else:
            with st.container(key="only-wide-confusion"):  # so many classes are a table on a phone
                st.plotly_chart(charts.confusion(matrix), key=f"confusion-{matrix.role}",
                                config={"displayModeBar": False})  # fmt: skip
    if found:
        right.html(pictures.table([
            {_("True class"): true, _("Taken for"): guess, _("Rows"): _("{number} of {all}", number=number, all=rows)}
            for true, guess, number, rows in found[:MOST_MIX_UPS]
        ]))  # fmt: skip


def _beside(matrix: Confusion) -> Sequence[DeltaGenerator]:
    """Where a table of classes stands, and what is mixed up most: beside each other where there is room."""
    many = len(matrix.labels)
    if many > FEW_CLASSES:
        return st.container(), st.container(key="mixed-up")
    left, right = st.columns([1, 1] if many <= FEWEST_CLASSES else [3, 2], gap="large")
    return left, right.container(key="mixed-up")


def _difference(teacher: Confusion, student: Confusion) -> None:
    """Which mix-ups came and which went."""
    first, second = np.array(teacher.counts), np.array(student.counts)
    apart = second - first
    wrong = {matrix.role: sum(mix_up[2] for mix_up in pictures.mix_ups(matrix)) for matrix in (teacher, student)}
    written = {role: f"{number:,}" for role, number in wrong.items()}
    st.html(pictures.titled(
        counted("The student takes {student} test row for another class, the teacher {teacher}",
                "The student takes {student} test rows for another class, the teacher {teacher}", wrong["student"],
                **written),
        _("The student’s rows less the teacher’s: each row is a true class, each column what is said.")))  # fmt: skip
    left, right = _beside(teacher)
    if len(teacher.labels) <= LARGEST_MATRIX:
        left.html(explained.difference(teacher.labels, apart))
    np.fill_diagonal(apart, 0)
    order = np.argsort(-abs(apart), axis=None)[:MOST_MIX_UPS]
    places = [place for place in zip(*np.unravel_index(order, apart.shape), strict=True) if apart[place]]
    if places:
        right.html(pictures.table([
            {_("True class"): teacher.labels[true], _("Taken for"): teacher.labels[guess],
             _("Student"): f"{second[true, guess]:,}", _("Teacher"): f"{first[true, guess]:,}"}
            for true, guess in places
        ]))  # fmt: skip
