"""Teacher and student of the wizard: built in, from the hub, a folder or an earlier run, or made from the teacher."""

import streamlit as st

from pages._studio import get_home, get_store
from pages._words import model
from studio import tasks

SOURCES = {"builtin": "Built in", "hub": "Hugging Face", "folder": "Folder", "run": "Earlier run"}
CUT, SAME = "Cut from teacher", "Same as teacher"


def choose_model(role: str, task: str, proposed: str) -> str | None:
    """A model reference, or None while it is not complete; `proposed` is shown until the user changes it."""
    names = list(SOURCES.values())
    options = names if role == "teacher" else [*names, CUT, SAME]
    made = SAME if proposed == "teacher/same" else CUT if proposed.startswith("teacher/") else options[0]
    known = next((SOURCES[prefix] for prefix in SOURCES if proposed.startswith(prefix)), made)
    linked = proposed.partition(":")[2] or proposed.partition("/")[2]
    source = st.segmented_control("From", options, default=known, key=f"{role}-source", label_visibility="collapsed")
    if source == SAME:
        st.caption("Born again: the same model learns anew, now from the first one. It often ends up better.")
        return "teacher/same"
    if source == CUT:
        kept = int(linked.partition("-")[0]) if made == CUT else 2
        layers = st.slider(
            "Layers to keep", 1, max(12, kept), kept, key="student-layers", help="Fewer layers: smaller and faster."
        )
        st.caption("It starts from the teacher's own weights. For transformers; must be fewer than the teacher has.")
        return f"teacher/{layers}-layer{'s' if layers > 1 else ''}"
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
        return choose_from_runs(role, task, proposed)
    known_names = tasks.get(task).builtins
    index = known_names.index(linked) if linked in known_names else 0 if role == "teacher" else 2
    name = st.selectbox("Architecture", known_names, index=index, key=f"{role}-builtin-{task}")
    st.caption("Trained from scratch on your data: no download.")
    return f"builtin/{name}"


def models_of_runs(task: str) -> list[str]:
    """References of what earlier runs have trained."""
    home, runs = get_home(), get_store().runs()
    return [f"run:{run.id}/{kind}" for run in runs if run.config.task == task for kind in home.roles(run.id)]


def choose_from_runs(role: str, task: str, proposed: str) -> str | None:
    there = models_of_runs(task)
    if not there:
        st.caption("No earlier run on this kind of data has a model yet.")
        return None
    index = there.index(proposed) if proposed in there else 0
    return st.selectbox("Model", there, index=index, format_func=model, key=f"{role}-run")


def learned_before(student: str | None) -> str | None:
    """The name of the data that an earlier run taught this student."""
    if student is None or not student.startswith("run:"):
        return None
    return get_store().run(int(student.removeprefix("run:").split("/")[0])).config.dataset
