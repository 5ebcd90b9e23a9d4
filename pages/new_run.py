"""Data, teacher and student, settings, review, start."""

import uuid
from typing import Any

import streamlit as st

from pages._parameters import expert_names, parameter
from pages._studio import errors_shown, get_home, get_store
from pages._ways import choose_method, choose_more_data, choose_more_teachers, choose_replay
from pages._words import count, duration, escape, method, model, size, teachers
from studio import runner
from studio.config import PRESET_HELP, PRESETS, RunConfig, parse_config
from studio.references import BUILTIN_IMAGE, BUILTIN_TEXT
from studio.rows import DatasetRow

SOURCES = {"builtin": "Built in", "hub": "Hugging Face", "folder": "Folder", "run": "Earlier run"}
CUT, SAME = "Cut from teacher", "Same as teacher"
MAIN = ("temperature", "alpha", "prune_ratio", "epochs", "teacher_epochs", "batch_size")

home, store = get_home(), get_store()


def draft_key() -> str:
    """What makes two clicks or two tabs one run: it is made once and stays in the address."""
    if "draft" not in st.query_params:
        st.query_params["draft"] = uuid.uuid4().hex
    return st.query_params["draft"]


def choose_data() -> DatasetRow | None:
    rows = store.datasets()
    if not rows:
        st.info("There is no data yet.", icon=":material/inbox:")
        st.page_link("data.py", label="Add data", icon=":material/upload_file:")
        return None
    wanted = st.query_params.get("dataset", "")
    index = next((number for number, row in enumerate(rows) if str(row.id) == wanted), 0)
    row = st.selectbox("Data set", rows, index=index, format_func=lambda row: row.name, key="dataset")
    parts = ", ".join(f"{number:,} {split}" for split, number in row.splits.items())
    st.caption(f"{row.task.replace('-', ' ').capitalize()} · {len(row.labels)} labels · {parts} rows")
    return row


def choose_model(role: str, task: str) -> str | None:
    """A model reference, or None while it is not complete."""
    names = list(SOURCES.values())
    options = names if role == "teacher" else [*names, CUT, SAME]
    linked = st.query_params.get(role, "")
    known = next((SOURCES[prefix] for prefix in SOURCES if linked.startswith(prefix)), options[0])
    linked = linked.partition(":")[2] or linked.partition("/")[2]
    source = st.segmented_control("From", options, default=known, key=f"{role}-source", label_visibility="collapsed")
    if source == SAME:
        st.caption("Born again: the same model learns anew, now from the first one. It often ends up better.")
        return "teacher/same"
    if source == CUT:
        layers = st.slider("Layers to keep", 1, 12, 2, key="student-layers", help="Fewer layers: smaller and faster.")
        st.caption("It starts from the teacher's own weights. For transformers; must be fewer than the teacher has.")
        return f"teacher/{layers}-layers"
    if source == SOURCES["hub"]:
        name = st.text_input("Model id", linked, placeholder="google-bert/bert-base-uncased", key=f"{role}-hub")
        st.caption("It is downloaded once. Only safetensors weights are opened, and no code that comes with them.")
        return f"hub:{name.strip()}" if name.strip() else None
    if source == SOURCES["folder"]:
        path = st.text_input(
            "Path of a Hugging Face folder", linked, placeholder="/models/my-teacher", key=f"{role}-folder"
        )
        return f"folder:{path.strip()}" if path.strip() else None
    if source == SOURCES["run"]:
        return choose_from_runs(role, task)
    known_names = BUILTIN_TEXT if task == "text-classification" else BUILTIN_IMAGE
    index = known_names.index(linked) if linked in known_names else 0 if role == "teacher" else 2
    name = st.selectbox("Architecture", known_names, index=index, key=f"{role}-builtin-{task}")
    st.caption("Trained from scratch on your data: no download.")
    return f"builtin/{name}"


def models_of_runs(task: str) -> list[str]:
    """References of what earlier runs have trained."""
    return [f"run:{run.id}/{kind}" for run in store.runs() if run.config.task == task for kind in home.roles(run.id)]


def choose_from_runs(role: str, task: str) -> str | None:
    there = models_of_runs(task)
    if not there:
        st.caption("No earlier run on this kind of data has a model yet.")
        return None
    wanted = st.query_params.get(role, "")
    index = there.index(wanted) if wanted in there else 0
    return st.selectbox("Model", there, index=index, format_func=model, key=f"{role}-run")


def learned_before(student: str | None) -> str | None:
    """The name of the data that an earlier run taught this student."""
    if student is None or not student.startswith("run:"):
        return None
    return store.run(int(student.removeprefix("run:").split("/")[0])).config.dataset


def choose_settings() -> dict[str, Any]:
    preset = st.segmented_control("Preset", list(PRESETS), default="Balanced", key="preset") or "Balanced"
    st.caption(PRESET_HELP[preset])
    if st.session_state.get("preset-shown") != preset:
        st.session_state["preset-shown"] = preset
        for name, value in PRESETS[preset].items():
            st.session_state[f"setting-{name}"] = value
    defaults = {name: field.default for name, field in RunConfig.model_fields.items()} | PRESETS[preset]
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
    return runner.estimate(home, store, config)


def review(config: RunConfig) -> None:
    st.markdown(
        f"**{escape(config.dataset)}**  \n"
        f"Teacher: **{escape(teachers(config))}**  \nStudent: **{escape(model(config.student))}**  \n"
        f"Method: **{escape(method(config))}**"
    )
    with errors_shown():
        show_estimate(config)
    st.caption("The test rows are read once, at the very end. The best state is picked on validation rows.")
    with st.expander("The same as YAML"):
        st.code(config.to_yaml(), language="yaml")
    if st.button("Start", type="primary", icon=":material/play_arrow:", width="stretch", key="start"):
        with errors_shown():
            run = store.submit(config, key=draft_key())
            st.switch_page("runs.py", query_params={"run": str(run.id)})


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
            st.metric("Student", count(found.student_parameters), f"{share:.1%} of the teacher", delta_color="off",
                      border=True, delta_arrow="off")  # fmt: skip
        with st.container(horizontal=True):
            st.metric(
                "Time", f"≈ {duration(found.seconds)}", border=True, help=f"On {found.device}, if nothing else runs."
            )
            st.metric("Memory", f"≥ {size(found.memory_bytes)}", border=True)
        if found.teacher_is_taught:
            st.caption("The teacher does not know these labels yet, so it learns them first.")


st.title("New run", anchor=False)
left, right = st.columns([5, 3], gap="large")
draft_key()
with left:
    st.header("1 · Data", anchor=False)
    dataset = choose_data()
    if dataset is not None:
        st.header("2 · Teacher and student", anchor=False)
        st.markdown("**Teacher**: the large model to imitate")
        with st.container(border=True):
            teacher = choose_model("teacher", dataset.task)
        st.markdown("**Student**: the small model you want to have")
        with st.container(border=True):
            student = choose_model("student", dataset.task)
            replay = choose_replay(student, dataset, store.datasets(), learned_before(student))
        st.header("3 · Settings", anchor=False)
        values = choose_settings() | {"replay": replay}
        st.header("4 · How it learns", anchor=False)
        values |= choose_method(dataset)
        values |= choose_more_teachers(dataset.task, models_of_runs(dataset.task))
        values |= choose_more_data(dataset.task)
with right, st.container(border=True):
    st.subheader("Review and start", anchor=False)
    if dataset is None:
        st.caption("Add data first.")
    elif teacher is None or student is None:
        st.caption(f"Choose a {'teacher' if teacher is None else 'student'} to go on.")
    else:
        chosen = {"dataset": dataset.name, "task": dataset.task, "teacher": teacher, "student": student}
        with errors_shown():
            review(parse_config(chosen | values))
