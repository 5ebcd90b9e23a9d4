"""Data, teacher and student, settings, review, start."""

import contextlib
import uuid
from typing import Any

import streamlit as st

from pages._models import choose_model, learned_before, models_of_runs
from pages._parameters import expert_names, parameter
from pages._plan import choose_plan, show_preview
from pages._studio import errors_shown, get_home, get_store, run_in_address, show_error
from pages._ways import choose_augmentation, choose_method, choose_more_teachers, choose_replay
from pages._words import count, duration, escape, method, model, percent, size, teachers
from studio import tasks
from studio.config.plan import title
from studio.config.reading import PRESET_HELP, PRESETS, parse_config
from studio.config.run import RunConfig
from studio.errors import ConfigError, StoreError
from studio.service import questions
from studio.store.rows import DatasetRow

MAIN = ("temperature", "alpha", "prune_ratio", "epochs", "teacher_epochs", "batch_size")

home, store = get_home(), get_store()


def draft_key() -> str:
    """What makes two clicks or two tabs one run: it is made once and stays in the address."""
    if "draft" not in st.query_params:
        st.query_params["draft"] = uuid.uuid4().hex
    return st.query_params["draft"]


def started_again() -> RunConfig | None:
    """The settings of the run in the address, to be changed and started again."""
    try:
        run = run_in_address("from")
    except StoreError as error:
        show_error(error)
        return None
    return run.config if run else None


def proposed(role: str, start: RunConfig | None) -> str:
    """The model that is chosen at first: the one in the address, or that of the run that is started again."""
    again = "" if start is None else start.teacher if role == "teacher" else start.student
    return st.query_params.get(role, again)


def choose_data(start: RunConfig | None) -> DatasetRow | None:
    rows = store.datasets()
    if not rows:
        st.info("There is no data yet.", icon=":material/inbox:")
        st.page_link("data.py", label="Add data", icon=":material/upload_file:")
        return None
    wanted = st.query_params.get("dataset", "")
    again = start.dataset if start else None
    index = next((number for number, row in enumerate(rows) if str(row.id) == wanted or row.name == again), 0)
    row = st.selectbox("Data set", rows, index=index, format_func=lambda row: row.name, key="dataset")
    parts = ", ".join(f"{number:,} {split}" for split, number in row.splits.items())
    task = tasks.get(row.task, row.multi_label)
    labels = "" if task.kind == "number" else f"{len(row.labels)} labels · "
    st.caption(f"{task.title} · {labels}{parts} rows")
    return row


def choose_preset(start: RunConfig | None) -> dict[str, Any]:
    """The values that the widgets show at first: a preset's, or those of the run that is started again."""
    first = None if start else "Balanced"
    preset = st.segmented_control("Preset", list(PRESETS), default=first, key="preset") or first
    if preset is None:
        st.caption(f"Settings copied from run {st.query_params['from']}.")
        return start.model_dump() if start else {}
    st.caption(PRESET_HELP[preset])
    if st.session_state.get("preset-shown") != preset:
        st.session_state["preset-shown"] = preset
        for name, value in PRESETS[preset].items():
            st.session_state[f"setting-{name}"] = value
    plain = {name: field.default for name, field in RunConfig.model_fields.items()}
    return (start.model_dump() if start else plain) | PRESETS[preset]


def choose_settings(start: RunConfig | None) -> dict[str, Any]:
    defaults = choose_preset(start)
    columns = st.columns(2)
    values = {}
    for number, name in enumerate(MAIN):
        with columns[number % 2]:
            values[name] = parameter(name, defaults[name])
    values["auto"] = parameter("auto", defaults["auto"])
    values["control"] = parameter("control", defaults["control"])
    with st.expander("Expert settings"):
        columns = st.columns(2)
        for number, name in enumerate(expert_names()):
            with columns[number % 2]:
                values[name] = parameter(name, defaults[name])
    return values


@st.cache_data(show_spinner="Trying out a few steps …", max_entries=50, ttl=3600)
def estimate(config: RunConfig) -> Any:
    return questions.estimate(home, store, config)


def review(config: RunConfig) -> None:
    st.markdown(
        f"**{escape(config.dataset)}**  \n"
        f"Teacher: **{escape(teachers(config))}**  \nStudent: **{escape(model(config.student))}**  \n"
        f"Method: **{escape(method(config))}**  \n"
        f"Plan: **{escape(' → '.join(title(step) for step in config.steps))}**"
    )
    with errors_shown():
        show_estimate(config)
    st.caption("Test rows are read once, at the very end. The best state of each model is picked on validation rows.")
    with st.expander("Settings as YAML"):
        st.code(config.to_yaml(), language="yaml")
    if st.button("Start", type="primary", icon=":material/play_arrow:", width="stretch", key="start"):
        with errors_shown():
            if len(config.steps) > 1:
                estimate(config)  # a plan that this student cannot follow is refused here, before anything is trained
            run = store.submit(config, key=draft_key())
            st.switch_page("run.py", query_params={"run": str(run.id)})


def show_estimate(config: RunConfig) -> None:
    if not st.toggle("Estimate size, time and memory", key="wants-estimate", help="Takes about ten seconds."):
        return
    found = estimate(config)
    for note in found.notes:
        st.caption(escape(note))
    if found.teacher_parameters and found.student_parameters:
        share = found.student_parameters / found.teacher_parameters
        with st.container(horizontal=True):
            st.metric("Teacher", count(found.teacher_parameters), border=True, help="Parameters")
            st.metric("Student", count(found.student_parameters), f"{percent(share)} of the teacher", delta_color="off",
                      border=True, delta_arrow="off")  # fmt: skip
        with st.container(horizontal=True):
            st.metric(
                "Time",
                f"≈ {duration(found.seconds)}",
                border=True,
                help=f"On {found.device}, with nothing else running.",
            )
            st.metric("Memory", f"≥ {size(found.memory_bytes)}", border=True)
        if found.teacher_is_taught:
            st.caption("The teacher does not know these labels yet: it is trained on them first.")


def choose_all(dataset: DatasetRow, start: RunConfig | None) -> tuple[str | None, str | None, dict[str, Any]]:
    """Teacher, student and settings; a model is None while it is not complete."""
    task = tasks.get(dataset.task, dataset.multi_label)
    st.header("2 · Teacher and student", anchor=False)
    st.markdown("**Teacher**: the large model to imitate")
    with st.container(border=True):
        teacher = choose_model("teacher", task, proposed("teacher", start))
    st.markdown("**Student**: the small model you want")
    with st.container(border=True):
        student = choose_model("student", task, proposed("student", start))
        learned = start.replay if start else learned_before(student)
        replay = choose_replay(student, dataset, store.datasets(), learned)
    st.header("3 · Settings", anchor=False)
    values = choose_settings(start) | {"replay": replay}
    st.header("4 · How it learns", anchor=False)
    values |= choose_method(task, dataset, start)
    values |= choose_more_teachers(task, models_of_runs(task), start)
    values |= choose_augmentation(task, start)
    st.header("5 · How it gets small", anchor=False)
    values |= choose_plan(task, values["prune_ratio"], start)
    values |= {"dataset": dataset.name, "task": dataset.task, "teacher": teacher, "student": student}
    if teacher is not None and student is not None:
        with contextlib.suppress(ConfigError):  # the review tells what is wrong
            show_preview(parse_config(values), task)
    return teacher, student, values


st.title("New run", anchor=False)
draft_key()
start = started_again()
left, right = st.columns([5, 3], gap="large")
with left:
    st.header("1 · Data", anchor=False)
    dataset = choose_data(start)
    if dataset is not None:
        teacher, student, values = choose_all(dataset, start)
with right, st.container(border=True):
    st.subheader("Review and start", anchor=False)
    if dataset is None:
        st.caption("Add data first.")
    elif teacher is None or student is None:
        st.caption(f"Choose a {'teacher' if teacher is None else 'student'} to continue.")
    else:
        with errors_shown():
            review(parse_config(values))
