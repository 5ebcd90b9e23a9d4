"""What a run will cost, measured beside the page: time, memory, sizes, and whether the teacher can teach."""

from collections.abc import Sequence

import streamlit as st

from pages import _asked as asked
from pages import _pictures as pictures
from pages._language import _, retell
from pages._markup import element
from pages._scores import times
from pages._studio import errors_shown
from pages._words import about, count, escape, measured, size
from studio import tasks
from studio.config.run import RunConfig
from studio.pipeline.answers import Checked, Estimate

SHORTER = "length before rows were read whole"


def cost(config: RunConfig) -> None:
    """Time, memory and sizes, measured beside the page. The answer takes its place alone: nothing else is drawn anew,
    so that a list that is open stays open."""
    again = None if asked.estimate(config).done() else "1s"
    st.fragment(show_cost, run_every=again)(config)


def show_cost(config: RunConfig) -> None:
    answer = asked.estimate(config)
    if not answer.done():
        st.html(pictures.facts({_("Time"): _("being worked out …"), _("Memory"): "…", _("Teacher check"): "…"}))
        return
    with errors_shown():
        found = answer.result()
        known = costs(found)
        if known:
            st.html(pictures.facts(known))
        if found.seconds is not None:  # a phone has it beside Start, too
            st.html(element("p", _("It takes {time}.", time=about(found.seconds)), kind="ds-takes"))
        if found.whole_length is not None:
            offer_length(found.notes, found.whole_length, config.max_length)
        else:
            notes_told(found.notes)
            offer_way_back(config.max_length)
        if found.teacher is not None:
            show_check(found.teacher, config)
        elif found.teacher_is_taught and task_of(config).kind == "token":
            st.caption(_(
                "The teacher has learned nothing yet: it is trained on this data first, and checked before the student "
                "begins."
            ))  # fmt: skip
        elif found.teacher_is_taught:
            st.caption(_(
                "The teacher does not know these labels yet: it is trained on them first, and checked before the "
                "student begins."
            ))  # fmt: skip


def notes_told(notes: Sequence[str]) -> None:
    for note in notes:
        st.caption(escape(retell(note)))


def offer_length(notes: Sequence[str], tokens: int, now: int) -> None:
    """What is cut off, and a button that has nearly all rows read whole."""

    def take() -> None:
        st.session_state["setting-max_length"], st.session_state[SHORTER] = tokens, now

    with st.container(key="too-long", gap="small"):
        notes_told(notes)
        label = _("Read nearly all whole: {number} tokens", number=f"{tokens:,}")
        if st.button(label, key="read-whole", on_click=take):
            st.rerun()  # all of the page: time and memory change, too
        st.caption(_("That takes more time and memory; what it takes is told here before you start."))


def offer_way_back(now: int) -> None:
    """Who had rows read whole, and sees what that takes, may have them cut again."""
    before = st.session_state.get(SHORTER, now)
    if before >= now:
        return

    def take() -> None:
        st.session_state["setting-max_length"] = st.session_state.pop(SHORTER)

    label = _("Back to {before} tokens (now {number})", before=f"{before:,}", number=f"{now:,}")
    if st.button(label, key="read-shorter", on_click=take, icon=":material/undo:"):
        st.rerun()


def task_of(config: RunConfig) -> tasks.Task:
    return tasks.get(config.task or next(iter(tasks.TASKS)))


def costs(found: Estimate) -> dict[str, str]:
    """Time, memory and sizes, as far as they are known."""
    known = {}
    if found.seconds is not None:
        known[_("Time")] = about(found.seconds)
    if found.memory_bytes is not None:
        known[_("Memory")] = _("at least {size}", size=size(found.memory_bytes))
    if found.teacher_parameters and found.student_parameters:
        known[_("Teacher")] = _("{number} parameters", number=count(found.teacher_parameters))
        share = found.teacher_parameters / found.student_parameters
        known[_("Student")] = _(
            "{number}, {ratio} times smaller", number=count(found.student_parameters), ratio=times(share)
        )
    return known


def show_check(teacher: Checked, config: RunConfig) -> None:
    """How good a teacher is that knows the labels, and what that means."""
    task = task_of(config)
    said = {
        "value": measured(teacher.value, task.measures[0]),
        "constant": measured(teacher.constant, task.measures[0]),
    }
    if task.measures[0].lower:  # there are no answers to rows: tokens are told
        if teacher.is_weak:
            st.warning(_(
                "The teacher reaches {value} on {rows} validation rows, each token as often as it comes {constant}: it "
                "has nothing to teach yet. Choose another one, or let it learn your texts.", rows=teacher.rows, **said,
            ))  # fmt: skip
        else:
            st.caption(_(
                "✓ Teacher checked: {value} on {rows} validation rows; each token as often as it comes reaches "
                "{constant}.", rows=teacher.rows, **said,
            ))  # fmt: skip
    elif teacher.is_weak:
        st.warning(_(
            "The teacher reaches {value} on {rows} validation rows, the same answer for every row {constant}: it has "
            "nothing to teach yet. Choose another one, or let it learn your labels.", rows=teacher.rows, **said,
        ))  # fmt: skip
    elif teacher.is_below_baseline and teacher.baseline is not None:
        st.warning(_(
            "The teacher reaches {value} on {rows} validation rows, a linear model that takes seconds {baseline}: use "
            "that one, choose a pretrained teacher, or label more rows. The run stops there unless you allow a weak "
            "teacher.",
            rows=teacher.rows, value=said["value"], baseline=measured(teacher.baseline, task.measures[0]),
        ))  # fmt: skip
    else:
        st.caption(_(
            "✓ Teacher checked: {value} on {rows} validation rows; the same answer for every row reaches {constant}.",
            rows=teacher.rows, **said,
        ))  # fmt: skip
