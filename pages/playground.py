"""Try a run's models: one input, what each of them says of it, side by side; or a whole file."""

import time
from typing import Any

import streamlit as st

from pages import _answers as answers
from pages import _judged as judge
from pages import _pictures as pictures
from pages import _playground_file as whole_file
from pages import _results_what_if as what_if
from pages import _why as why
from pages._language import _
from pages._playground_input import ASKED, forget, own_input, take_row, test_rows
from pages._run_rows import name_of
from pages._scores import scored
from pages._studio import (
    errors_shown,
    get_acts,
    get_home,
    get_person,
    get_store,
    go_to,
    run_in_address,
    set_title,
    show_error,
    task_of,
)
from pages._words import escape, model, role
from studio import tasks
from studio.errors import StudioError
from studio.pipeline.answers import AskedRole, Partial, Replies
from studio.service import playground
from studio.store.rows import RunRow
from studio.tasks.tokens import written_words

EXAMPLES, LONGEST_EXAMPLE, BLIND = 3, 60, "playground-blind"

REDRAWN_SECONDS = 0.15  # what models write is drawn anew so often

home, store = get_home(), get_store()


def choose() -> RunRow | None:
    """The run in the address, or the newest whose student can be asked."""
    can = [run for run in store.runs() if run.verdict is not None and home.model(run.id, "student").is_dir()]
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title(_("Playground"), anchor=False, width="content")
        wanted = run_in_address("run")
        numbers = [run.id for run in can]
        if wanted is None or wanted.id in numbers:
            index = numbers.index(wanted.id) if wanted is not None else 0
            return _chosen(can, index)
    if wanted is not None:
        st.info(_("Run {run} has no student that can be asked yet.", run=wanted.id), icon=":material/info:")
    return None


def _chosen(can: list[RunRow], index: int) -> RunRow | None:
    """Of the runs that can be asked the one that is wanted; a list to take another one."""
    if not can:
        return None
    return st.selectbox(_("Run"), can, index=index, format_func=name, key="playground-run", on_change=forget,
                        label_visibility="collapsed", width=440)  # fmt: skip


def name(run: RunRow) -> str:
    return _("{name} · {student} · run {run}", name=name_of(run), student=model(run.config.student), run=run.id)


def ask(run: RunRow, task: tasks.Task) -> None:
    """The input on the left, the models' answers to it on the right; a whole file below."""
    row = next((row for row in store.datasets() if row.id == run.dataset_id), None)
    rows = test_rows(str(home.root), row) if row is not None and row.splits.get("test") else []
    left, right = st.columns([5, 7], gap="large")
    with left:
        is_answered = task.targets.column is None and row is not None and "pair" in row.columns
        value = own_input(task, rows, is_answered)
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button(_("Ask the models"), type="primary", icon=":material/play_arrow:", key="playground-ask",
                         disabled=value is None):  # fmt: skip
                st.session_state[ASKED] = (value, None)
            if rows:
                st.button(_("Take a test row"), icon=":material/casino:", key="playground-row",
                          on_click=take_row, args=(task, rows))  # fmt: skip
        if task.kind == "token" and get_person().has("member"):
            st.toggle(
                _("Judge blind"), key=BLIND, help=_("Two texts without names; say which goes on better. It counts.")
            )
        if rows:
            examples(task, rows)
    with right:
        if ASKED in st.session_state:
            with errors_shown():
                answer(run, task)
        else:
            known = {
                scored_model.role: scored_model for scored_model in scored(store.evaluations(run.id), task.measures[0])
            }
            roles = playground.asked_roles(home, store, run.id)
            st.html(answers.nothing_yet({role_name: known.get(role_name) for role_name in roles}, task.measures[0]))
    if task.kind != "token":
        whole_file.section(run)


def examples(task: tasks.Task, rows: list[dict[str, Any]]) -> None:
    """Some test rows to ask about at a click: texts by their first words, anything else by the button above."""
    shown = [row["text"] for row in rows[:EXAMPLES] if isinstance(row.get("text"), str) and row["text"].strip()]
    st.caption(_("Test rows are rows that no model of this run has learned from."))
    if task.targets.column is None:
        return
    with st.container(gap="xsmall", key="examples"):
        for number, text in enumerate(shown):
            line = " ".join(text.split())
            excerpt = line if len(line) <= LONGEST_EXAMPLE else f"{line[:LONGEST_EXAMPLE]} …"
            st.button(f"“{escape(excerpt)}”", key=f"example-{number}", type="tertiary", on_click=take_row,
                      args=(task, rows, number))  # fmt: skip


def answer(run: RunRow, task: tasks.Task) -> None:
    """What the models say of what was asked."""
    asked, label = st.session_state[ASKED]
    with st.spinner(_("Asking the models; they are opened the first time …")):
        if task.kind == "token" and not st.session_state.get(BLIND):
            judge.named(run, asked)
            found = written(run, asked)
        else:
            found = playground.shared(home.root).ask(store, run.id, asked)
    pair = judge.pair_of(found.said) if task.kind == "token" else None
    if pair is not None and st.session_state.get(BLIND) and judge.texts(run, asked, pair):
        return
    show(found, asked, label, run, task)
    if pair is not None:
        judge.so_far(run, pair)


def written(run: RunRow, asked: Any) -> Replies:
    """What the models write, shown while they do."""
    place, texts, latest = st.empty(), dict[AskedRole, str](), [0.0]

    def tell(part: Partial) -> None:
        texts[part.role] = part.text
        if time.monotonic() - latest[0] > REDRAWN_SECONDS:
            latest[0] = time.monotonic()
            place.html(answers.texts(texts))

    found = playground.shared(home.root).ask(store, run.id, asked, tell)
    place.empty()
    return found


def show(found: Replies, asked: Any, label: Any, run: RunRow, task: tasks.Task) -> None:
    """All answers side by side."""
    words = written_words(asked) if isinstance(asked, str) else [str(part) for part in asked]
    if isinstance(asked, bytes):
        st.image(asked, width=140)
        words = []
    if task.targets.column is not None:
        st.subheader(escape(answers.agreement(found.said, words)), anchor=False)
    if label is not None:
        st.caption(_("In the data it is: {label}", label=escape(answers.meant(label, words))))
    if any("entities" in said.answer for said in found.said):
        st.html(answers.tokens(found.said, words))
    st.html(answers.cards(found.said, words))
    if task.kind == "token":
        st.caption(_("All go on from the same words under the same seed. A token is marked the more, the less likely "
                     "the teacher takes it; in the teacher’s own text, the less likely the student does."))  # fmt: skip
    else:
        where = _("the GPU") if found.device.startswith("cuda") else _("the processor")
        st.caption(_("Timed on {where} of this machine, from the input to the answer, the fastest of a few times. "
                     "Results has the times that can be compared.", where=where))  # fmt: skip
    for role_name, reason in found.missing.items():
        st.warning(f"{role(role_name)}: {escape(reason)}", icon=":material/warning:")
    offer_int8(run, task, found)
    teacher = found.said[0]
    student = next((said for said in found.said if said.role == "student"), None)
    if teacher.role == "teacher" and student is not None and task.kind == "class" and len(teacher.shares) > 1:
        what_if.of_own(run, teacher.shares, student.shares, label if isinstance(label, str) else None)
    row = next((row for row in store.datasets() if row.id == run.dataset_id), None)
    if row is not None:
        why.section(run, task, asked, row.labels)


def offer_int8(run: RunRow, task: tasks.Task, found: Replies) -> None:
    """The student in int8 beside the others, where nobody has made it yet."""
    asked = {said.role for said in found.said} | set(found.missing)
    is_quantized = home.quantized(run.id, "student").is_dir()
    if "int8" in asked or is_quantized or task.kind == "token" or not get_person().has("member"):
        return
    if st.button(_("Also ask the student in int8"), icon=":material/compress:", key="playground-int8",
                 help=_("It is quantized first, which takes up to a minute. The download has it, too.")):  # fmt: skip
        with errors_shown():
            with st.spinner(_("Quantizing the student …")):
                get_acts().convert(run.id)
            st.rerun()


try:
    chosen = choose()
    st.caption(_("Ask the large model, the small one, and those that they are compared with, about the same thing."))
    if chosen is not None:
        set_title(_("Playground of run {run}", run=chosen.id))
        ask(chosen, task_of(chosen))
    elif run_in_address("run") is None:
        st.html(pictures.empty(_("No run has finished yet"), _("When one has, ask its models here about a text or a "
                               "picture of your own, and see who is right and how sure.")))  # fmt: skip
        if st.button(_("Try a demo"), type="primary", icon=":material/play_arrow:", key="try-demo"):
            go_to("home.py")
except StudioError as error:
    show_error(error)
    st.page_link("all_runs.py", label=_("All runs"), icon=":material/arrow_back:")
