"""What the student should be: a goal whose student is found by what was counted and timed, or models by their names."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from pages import _address as address
from pages import _asked as asked
from pages import _pictures as pictures
from pages._goals import (
    GOALS,
    MOST_MILLISECONDS,
    OWN,
    USUAL,
    Sized,
    from_a_tenth,
    good_for,
    is_about_a_tenth,
    sizes_in,
    student_for,
    students,
)
from pages._language import _
from pages._markup import element
from pages._models import choose_model, show_model
from pages._recommended import recommend
from pages._scores import milliseconds, times
from pages._words import about_size, commas, count, escape, model, sentences
from studio import tasks
from studio.config.run import RunConfig
from studio.errors import StudioError
from studio.store.rows import DatasetRow

LEAST_LIMIT, LONGEST_LIMIT = 0.01, 10_000.0
BYTES_OF_A_PARAMETER = 4
"""As a model is saved."""
INT8 = 4
"""So many times smaller a model is in int8."""


def known_of(dataset: DatasetRow, task: tasks.Task, teacher: str) -> dict[str, Sized] | None:
    """The models with their sizes and times for this data, by reference; None while they are being counted."""
    if not is_counted(dataset, task, teacher):
        return None
    if not task.builtins:
        return {}
    try:
        found = asked.sizes(dataset, teacher).result()
    except StudioError as error:
        caption = _("How large the models are could not be found out: {message}", message=escape(error.message))
        st.caption(caption)
        return {}
    return sizes_in(task, found.parameters, found.milliseconds)


def is_counted(dataset: DatasetRow, task: tasks.Task, teacher: str) -> bool:
    return not task.builtins or asked.sizes(dataset, teacher).done()


def waits_for_count(dataset: DatasetRow, task: tasks.Task, teacher: str) -> bool:
    """Whether the goal finds its student once the models are counted; nobody has to choose one."""
    return st.session_state["goal"] != OWN and not all(
        is_counted(dataset, task, reference) for reference in (usual_of(task), teacher)
    )


def usual_of(task: tasks.Task) -> str:
    """The model by which the built-in ones are counted."""
    return f"builtin/{task.builtins[0]}" if task.builtins else ""


@st.fragment(run_every="1s")
def until_counted(dataset: DatasetRow, teacher: str) -> None:
    """Nothing to see but that it is worked on; then the page with the numbers."""
    if asked.sizes(dataset, teacher).done():
        st.rerun()
    st.caption(_("Counting and timing the models for this data …"))


def choose_models(
    dataset: DatasetRow, task: tasks.Task, start: RunConfig | None, visit: dict[str, Any]
) -> tuple[str | None, str | None]:
    """The teacher, and a student by what it should be; None while one is not known. `visit`: what this visit to the
    page began with."""
    goal_place, cards = st.container(), st.container()
    built_in = known_of(dataset, task, usual_of(task))
    with st.expander(_("Choose the models yourself"), key="fold-models"):
        left, right = st.columns(2, gap="large")
    with left:
        st.markdown(_("**Teacher**: the large model to imitate"))
        teacher = by_name("teacher", task, first_model("teacher", start), built_in or {}, visit)
    known = built_in
    if teacher is not None and not teacher.startswith("builtin/") and built_in is not None:
        known = known_of(dataset, task, teacher)
    with goal_place:
        goal, student = choose_goal(start), None
        if goal != OWN and teacher is not None and known != {}:
            student = by_goal(goal, teacher, known, dataset)
    with right:
        st.markdown(_("**Student**: the small model, in place of the goal"))
        if student is not None:
            take_by_goal(student)
        chosen = partial(choose_own, st.session_state.get("student number", 0))
        own = by_name("student", task, student or first_model("student", start), built_in or {}, visit, chosen)
    if goal == OWN or (student is None and known is not None):
        student = own
    with cards:
        show_models(teacher, student, known or {})
        recommend(dataset, task, teacher, start is not None)
    return teacher, student


def first_model(role: str, start: RunConfig | None) -> str:
    """What an earlier run had."""
    return "" if start is None else start.teacher if role == "teacher" else start.student


def by_name(
    role: str, task: tasks.Task, first: str, known: Mapping[str, Sized], visit: dict[str, Any],
    on_change: Callable[[], None] = address.catch_up,
) -> str | None:  # fmt: skip
    """A model that is chosen itself. Once it is another one than at first it stands in the address; the way back in the
    browser brings back the one before."""
    said, seen, before = st.query_params.get(role, ""), f"{role} in the address", f"{role} {task.name}"
    if visit.setdefault(seen, said) != said and not is_by_goal(role):
        show_model(role, said or visit.get(before) or first, task.name)
    chosen = choose_model(role, task, first if is_by_goal(role) else said or first, known, on_change)
    if is_by_goal(role):
        visit[before] = None
        address.put(role, None)
    elif chosen and chosen != said and (said or chosen != visit.setdefault(before, chosen)):
        address.put(role, chosen)
    visit[seen] = st.query_params.get(role, "")
    return chosen


def is_by_goal(role: str) -> bool:
    """Whether the goal says which model it is."""
    return role == "student" and st.session_state["goal"] != OWN


def take_by_goal(student: str) -> None:
    """The widgets of the student are new ones wherever the goal takes another one, or takes one again."""
    if st.session_state.get("student by goal") != student:
        st.session_state["student number"] = st.session_state.get("student number", 0) + 1
        st.session_state["student by goal"] = student


def choose_own(number: int) -> None:
    """Who chooses a student by its name needs no goal. What a window sends that still shows the widgets of an earlier
    student was chosen by nobody."""
    if number == st.session_state.get("student number", 0):
        st.session_state["student by goal"] = None
        st.session_state["goal"] = OWN
        address.write("goal")


def choose_goal(start: RunConfig | None) -> str:
    """What the student should be; the choice by name where the address or an earlier run has made it."""
    address.follow("goal")
    address.one("goal", list(GOALS), first=OWN if start or "student" in st.query_params else USUAL)
    chosen = st.pills(_("Goal"), list(GOALS), key="goal", label_visibility="collapsed", required=True,
                      default=st.session_state["goal"], format_func=lambda goal: _(GOALS[goal]),
                      on_change=address.write, args=("goal",))  # fmt: skip
    return str(chosen)


def by_goal(goal: str, teacher: str, known: Mapping[str, Sized] | None, dataset: DatasetRow) -> str | None:
    """The student that comes nearest to the goal, said with its numbers; None where there is none, or while the models
    are being counted."""
    if known is None:
        until_counted(dataset, teacher)
        return None
    smaller, whole = students(teacher, known), known.get(teacher)
    limit = milliseconds_allowed() if goal == "fast" else MOST_MILLISECONDS
    found = student_for(goal, teacher, smaller, whole, limit) if whole is not None else None
    if found is None or whole is None:
        st.caption(no_student(limit, smaller))
        return None
    numbers = [_("{ratio} times smaller than its teacher", ratio=times(whole.parameters / found.parameters))]
    if found.milliseconds is not None:
        numbers.append(_("{time} a row on this machine", time=milliseconds(found.milliseconds)))
    named = {"student": escape(model(found.reference)), "numbers": commas(numbers)}
    if goal == "tenth" and not is_about_a_tenth(found, whole):
        chosen = _("No model here is a tenth of this teacher. The nearest: **{student}**, {numbers}.", **named)
    else:
        chosen = _("Nearest to that: **{student}**, {numbers}.", **named)
    st.caption(sentences(chosen, in_int8(goal, found, whole), _("How good it gets, the run will tell.")))
    return found.reference


def in_int8(goal: str, student: Sized, whole: Sized) -> str:
    """How much smaller the student is in whole numbers, where that is nearer to a tenth."""
    ratio = whole.parameters / student.parameters
    if goal != "tenth" or from_a_tenth(INT8 * ratio) >= from_a_tenth(ratio):
        return ""
    return _("Stored in whole numbers (int8, below) it is about {ratio} times smaller.", ratio=f"{INT8 * ratio:.0f}")


def milliseconds_allowed() -> float:
    """How long one row may take; it stands in the address, as every number that somebody may want to hand on."""
    address.text("ms")
    said = st.session_state["ms"]
    if isinstance(said, str):  # as the address gives it
        is_number = said.replace(".", "", 1).isdecimal() and LEAST_LIMIT <= float(said) <= LONGEST_LIMIT
        st.session_state["ms"] = float(said) if is_number else MOST_MILLISECONDS
    return st.number_input(
        _("Longest time for one row, in milliseconds"), LEAST_LIMIT, LONGEST_LIMIT, step=1.0, format="%g", key="ms",
        width=280, on_change=address.write, args=("ms", MOST_MILLISECONDS),
    )  # fmt: skip


def no_student(limit: float, smaller: Sequence[Sized]) -> str:
    """Why there is none, with the nearest one."""
    timed = [student for student in smaller if student.milliseconds is not None]
    if not smaller:
        return _("No smaller model is known for this teacher yet: choose one below.")
    if not timed:
        return _("None of the students was timed here: choose one below.")
    fastest = min(timed, key=lambda student: student.milliseconds or 0.0)
    return _(
        "No student answers in under {limit} here. The fastest, {student}, takes {time}: allow more, or choose below.",
        limit=milliseconds(limit), student=escape(model(fastest.reference)),
        time=milliseconds(fastest.milliseconds or 0.0),
    )  # fmt: skip


def show_models(teacher: str | None, student: str | None, known: Mapping[str, Sized]) -> None:
    """Both models as cards: size, speed, what they start from, what they are good for."""
    cards = []
    for role, over, reference in (("teacher", _("Teacher"), teacher), ("student", _("Student"), student)):
        sized, facts = known.get(reference or ""), {}
        if sized is not None:
            facts[_("Size")] = _("about {size}", size=about_size(BYTES_OF_A_PARAMETER * sized.parameters))
            facts[_("Parameters")] = count(sized.parameters)
            if sized.milliseconds is not None:
                facts[_("Time for one row")] = milliseconds(sized.milliseconds)
        if reference:
            is_new = reference.startswith("builtin/")
            facts[_("Starts")] = _("untrained") if is_new else _("with what it knows")
        shown = model(reference) if reference else _("not chosen yet")
        cards.append(pictures.model_card(role, over, shown, facts, good_for(reference)))
    st.html(element("div", *cards, kind="ds-models"))
