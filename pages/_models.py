"""Teacher and student of the wizard: built in, from the hub, a folder or an earlier run, or made from the teacher."""

from collections.abc import Callable, Mapping
from pathlib import Path

import streamlit as st

from pages._goals import Sized, good_for
from pages._language import N_, _
from pages._scores import milliseconds
from pages._studio import get_home, get_person, get_store
from pages._words import count, model, parsed
from studio import tasks
from studio.config.references import ModelReference
from studio.errors import StoreError
from studio.service.people import may_open, model_folders

SAME = "same"
SOURCES = {
    "builtin": N_("Built in"), "hub": N_("Hugging Face"), "folder": N_("Folder"), "run": N_("Earlier run"),
    "teacher": N_("Cut from teacher"), SAME: N_("Same as teacher"),
}  # fmt: skip
USUAL_LAYERS, MOST_LAYERS, MOST_FOLDERS = 2, 12, 100


def choose_model(
    role: str, task: tasks.Task, proposed: str, known: Mapping[str, Sized], on_change: Callable[[], None]
) -> str | None:
    """A model reference, or None while it is not complete; `proposed` is shown until the user changes it. `known`: what
    is known of models, by reference. `on_change` is called when somebody chooses."""
    first = parsed(proposed) or ModelReference("builtin", "")
    options = [source for source in SOURCES if source not in ("teacher", SAME) or role == "student"]
    shown = SAME if first.is_same else first.source
    st.session_state.setdefault(key(role, "source"), shown)
    source = st.segmented_control(
        _("Source"), options, key=key(role, "source"), label_visibility="collapsed", wrap=True, required=True,
        format_func=lambda source: _(SOURCES[source]), on_change=on_change,
    )  # fmt: skip
    name = first.name if source == shown else ""
    if role == "teacher" and task.kind == "token":
        st.caption(_("A model behind an address answers your prompts first; the student learns what it wrote."))
        st.page_link("data.py", label=_("Have prompts answered"), icon=":material/forum:")
    match source:
        case "same":
            st.caption(_("Born again: the same model learns anew from the first one. It often ends up better."))
            return "teacher/same"
        case "teacher":
            return choose_layers(name, on_change)
        case "hub":
            st.session_state.setdefault(key(role, "hub"), name)
            written = st.text_input(_("Model id"), placeholder="google-bert/bert-base-uncased", key=key(role, "hub"),
                                    on_change=on_change)  # fmt: skip
            st.caption(
                _(
                    "Downloaded once from huggingface.co; your data is not sent there. Only safetensors weights are "
                    "opened, and no code that comes with them is run."
                )
            )
            return f"hub:{written.strip()}" if written.strip() else None
        case "folder":
            there = list(dict.fromkeys([*([name] if name else []), *map(str, found_folders())]))
            st.session_state.setdefault(key(role, "folder"), name or None)
            picked = st.selectbox(
                _("Path of a Hugging Face folder"), there, index=None, key=key(role, "folder"),
                accept_new_options=True, placeholder="/models/my-teacher", on_change=on_change,
            )  # fmt: skip
            return folder((picked or "").strip())
        case "run":
            return choose_from_runs(role, task, proposed, on_change)
    return choose_builtin(role, task, name, known, on_change)


def show_model(role: str, reference: str, task: str | None) -> None:
    """The widgets of a role say this model."""
    found = parsed(reference) or ModelReference("builtin", "")
    source = SAME if found.is_same else found.source
    st.session_state[key(role, "source")] = source
    if source == "builtin":
        st.session_state[key(role, f"builtin-{task}")] = found.name or None
    elif source == "teacher":
        st.session_state[key(role, "layers")] = found.layers
    elif source == "run":
        st.session_state[key(role, "run")] = reference
    elif source != SAME:
        st.session_state[key(role, source)] = found.name


def key(role: str, part: str) -> str:
    """The key of a widget of this role. Each student that a goal takes has widgets of its own: a window that is behind
    sends those of the one before, which nobody asks any more."""
    number = st.session_state.get(f"{role} number", 0)
    return f"{role}-{part} {number}" if number else f"{role}-{part}"


def found_folders() -> list[Path]:
    """The folders with a model below those of `STUDIO_MODEL_FOLDERS`."""
    found = [place for root in model_folders() for place in (root, *root.glob("*"))]
    return sorted(place for place in found if (place / "config.json").is_file())[:MOST_FOLDERS]


def folder(path: str) -> str | None:
    """A reference to a folder of this machine, where this person may have it opened."""
    if not path:
        return None
    return str(ModelReference("folder", path)) if _may_be_opened(path) else None


def _may_be_opened(path: str) -> bool:
    return get_person().has("admin") or may_open(ModelReference("folder", path).path)


def why_refused(role: str) -> str:
    """Why the folder that was chosen for a role is not opened; "" where none is, or it may be."""
    path = str(st.session_state.get(key(role, "folder")) or "").strip()
    if st.session_state.get(key(role, "source")) != "folder" or not path or _may_be_opened(path):
        return ""
    return _("Only an admin can open this folder: it is in none of STUDIO_MODEL_FOLDERS.")


def choose_builtin(
    role: str, task: tasks.Task, name: str, known: Mapping[str, Sized], on_change: Callable[[], None]
) -> str:
    """One of the models that the studio builds, each with its size, its speed and what it is good for."""
    usual = 0 if role == "teacher" else min(2, len(task.builtins) - 1)
    named = key(role, f"builtin-{task.name}")
    if st.session_state.get(named) not in task.builtins:
        st.session_state[named] = name if name in task.builtins else task.builtins[usual]
    picked = st.radio(_("Built-in models"), task.builtins, key=named, on_change=on_change,
                      captions=[about(f"builtin/{builtin}", known) for builtin in task.builtins])  # fmt: skip
    st.caption(_("They start untrained, and so are weaker than a downloaded model."))
    return f"builtin/{picked}"


def about(reference: str, known: Mapping[str, Sized]) -> str:
    """A model in a line: its size, its speed, what it is good for."""
    facts, sized = [], known.get(reference)
    if sized is not None:
        facts.append(_("{number} parameters", number=count(sized.parameters)))
        if sized.milliseconds is not None:
            facts.append(_("{time} a row", time=milliseconds(sized.milliseconds)))
    return " · ".join([*facts, good_for(reference)])


def choose_layers(name: str, on_change: Callable[[], None]) -> str:
    kept = st.session_state.setdefault(key("student", "layers"), int(name or USUAL_LAYERS))
    layers = st.slider(
        _("Layers to keep"), 1, max(MOST_LAYERS, kept), key=key("student", "layers"), on_change=on_change,
        help=_("Fewer layers: smaller, faster."),
    )  # fmt: skip
    st.caption(_("Starts from the teacher’s own weights. For transformers; must be fewer than the teacher has."))
    return str(ModelReference.cut(layers))


def models_of_runs(task: tasks.Task) -> list[str]:
    """References of what earlier runs have trained."""
    home, runs = get_home(), get_store().runs()
    of_task = [run.id for run in runs if run.config.task == task.name]
    return [str(ModelReference.of_run(run, role)) for run in of_task for role in home.roles(run)]


def choose_from_runs(role: str, task: tasks.Task, proposed: str, on_change: Callable[[], None]) -> str | None:
    there = models_of_runs(task)
    if not there:
        st.caption(_("No earlier run on this kind of data has a model yet."))
        return None
    if st.session_state.get(key(role, "run")) not in there:
        st.session_state[key(role, "run")] = proposed if proposed in there else there[0]
    return st.selectbox(_("Model"), there, format_func=model, key=key(role, "run"), on_change=on_change)


def learned_before(student: str | None) -> str | None:
    """The name of the data that an earlier run taught this student."""
    reference = parsed(student)
    if reference is None or reference.run is None:
        return None
    try:
        return get_store().run(reference.run).config.dataset
    except StoreError:
        return None
